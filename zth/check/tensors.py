"""What checkers of tensors share: comparing them, and reading a model."""

import contextlib

import numpy as np
import torch

from zth import check
from zth.check import Wrong, show


class TensorCheck(check.Check):
    """A `Check` that compares float64 tensors of one shape."""

    def read(self, value):
        return tensor(value)

    def like(self, got, want):
        return got.view(want.shape) if got.numel() == want.numel() == 1 else got

    def same(self, a, b, atol, rtol, free=None):
        if a.shape != b.shape:
            return False
        if free is not None:
            a, b = a[~free], b[~free]
        return torch.allclose(a, b, atol=atol, rtol=rtol, equal_nan=True)

    def differing(self, got, want, free=None):
        return differing(got, want, free)


def tensor(value):
    """Any numbers (tensor, array, list, list of tensors) as float64."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double()
    try:
        return torch.from_numpy(np.array(value, dtype=np.float64))
    except (RuntimeError, TypeError, ValueError):
        if isinstance(value, (list, tuple)):
            return torch.stack([tensor(item) for item in value])
        raise Wrong(f"expected numbers, got {show(value)}") from None


def differing(got, want, free=None):
    """How to show two tensors: small ones whole, else where they differ."""
    if got.shape != want.shape:
        return f"of shape {tuple(want.shape)}", f"of shape {tuple(got.shape)}"
    if want.numel() <= 8:
        return show(want), show(got)
    far = (got - want).abs().nan_to_num(torch.inf, torch.inf)
    far[got == want] = 0  # infinities of one sign
    if free is not None:
        far[free] = 0
    place = np.unravel_index(far.argmax().item(), far.shape)
    where = f"[{', '.join(map(str, place))}] = "
    return where + show(want[place]), where + show(got[place])


@contextlib.contextmanager
def evaluating(model):
    """No gradients, and a module in evaluation mode, put back afterwards."""
    modules = list(model.modules()) if hasattr(model, "modules") else []
    modes = [module.training for module in modules]
    try:
        if modules:
            model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in zip(modules, modes):
            module.training = mode


def predict(check, model, idx, vocab_size=27):
    """A model's probabilities (N, V), float64, after contexts idx (N, T).

    The model is a function, a module, or an object with `probs`; it returns
    logits or probabilities, (N, V), or (N, T, V) whose last position counts.
    """
    case = f"idx of shape {tuple(idx.shape)}, the contexts of a split"
    function = model if callable(model) else getattr(model, "probs", None)
    if function is None:
        check.fail("hand over a function idx -> logits, or an object with "
                   "a method probs", got=show(model))
    with evaluating(model):
        out = check.call(function, idx, case=case)
    if isinstance(out, tuple):
        out = out[0]  # (logits, loss)
    if hasattr(out, "probs"):
        check.fail("a model was returned: return its probabilities, "
                   "model.probs(idx)", input=case, got=show(out))
    out = tensor(out)
    if out.ndim == 3 and out.shape[:2] == idx.shape:
        out = out[:, -1]
    if out.shape != (len(idx), vocab_size):
        check.fail("one row of 27 an example, for '.', a, …, z", input=case,
                   expected=f"shape {(len(idx), vocab_size)}",
                   got=f"shape {tuple(out.shape)}")
    bad = (out.isnan() | (out == torch.inf)).any(1)
    if bad.any():
        row = idx[bad][0]
        check.fail(
            "a context that never occurred gives 0/0 without smoothing; an "
            "infinity minus an infinity gives NaN too",
            input=f"the context {row.tolist()}",
            expected="27 numbers",
            got=f"NaN or infinity, in {bad.sum()} of {len(idx)} rows",
        )
    return probabilities(check, out, case)


def probabilities(check, out, case):
    """Rows that are probabilities as they are, others through a softmax."""

    def normal(p):
        return (p >= 0).all() and ((p.sum(1) - 1).abs() < 1e-4).all()

    if normal(out):
        return out / out.sum(1, keepdim=True)
    for p, why in (
        (10**out, "your rows are base-10 logarithms (10 to their power sums "
         "to 1): a softmax takes natural ones"),
        (2**out, "your rows are base-2 logarithms (2 to their power sums to "
         "1): a softmax takes natural ones"),
        ((-out).exp(), "your rows are losses, minus the log-probabilities: "
         "the sign is turned"),
    ):
        if normal(p):
            check.fail(why, input=case, expected="logits or probabilities",
                       got=f"a first row that begins {show(out[0, :4])}")
    above = out - out.min(1, keepdim=True).values  # counts, if all whole
    whole = ((above - above.round()).abs() < 1e-3).all()
    if (out >= 0).all() and (out.max() <= 1 or whole):
        low, high = out.sum(1).min(), out.sum(1).max()
        check.fail(
            "these are neither probabilities nor logits: the rows are not "
            "normalised (did the sum run over the wrong axis, or was it "
            "taken before smoothing was added?)",
            input=case,
            expected="rows that sum to 1, or logits",
            got=f"no negative number, rows that sum to {low:.4g} up to "
            f"{high:.4g}",
        )
    return out.log_softmax(1).exp()

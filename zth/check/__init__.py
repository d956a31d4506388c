"""Checkers: one an exercise, each a function that takes the reader's answer.

A checker runs the answer on named edge cases and on fresh random ones, and
compares with a slow specification in plain loops. Where they differ, each
known mistake is made on the same input, and the one that comes out like the
answer is named. It looks at values that the answer returned, at nothing else.
A right answer prints one line; another raises `Wrong`.
"""

import contextlib
import textwrap
import traceback
from pathlib import Path

import numpy as np
import torch


class Wrong(AssertionError):
    """An answer is wrong: on which input, what was expected, likely why."""

    def _render_traceback_(self):
        """What IPython shows: the message, without the way to it."""
        return str(self).splitlines()


class Check:
    """One call of a checker: its name, and how many cases passed so far."""

    def __init__(self, name):
        self.name, self.cases = name, 0

    def fail(self, why, **lines):
        """Raise `Wrong`: a line for each of input, expected, got; and why."""
        lines["likely"] = why
        text = [
            textwrap.fill(
                str(value),
                79,
                initial_indent=f"  {key:10}",
                subsequent_indent=" " * 12,
            )
            for key, value in lines.items()
            if value
        ]
        raise Wrong("\n".join([f"{self.name}: not right yet", *text]))

    def call(self, function, *args, case, of_none=None):
        """What the answer returns; `Wrong` if it is unwritten or raises.

        of_none: what may be behind a None, returned or tripped over.
        """
        hint = f"\n  likely    {of_none}" if of_none else ""
        try:
            value = function(*args)
        except NotImplementedError:
            value, hint = None, ""
        except Exception as error:
            if not (isinstance(error, TypeError) and "NoneType" in str(error)):
                hint = ""
            raise Wrong(
                f"{self.name}: your code raised {type(error).__name__}: "
                f"{error}{where(error)}\n  input     {case}{hint}"
            ) from error
        if value is None:
            name = getattr(function, "__name__", "it")
            raise Wrong(
                f"{self.name}: not written yet ({name} returned nothing, or "
                f"raised NotImplementedError){hint}"
            )
        return value

    def unpack(self, value, count, names, case):
        """The first `count` things of what must be a sequence of them."""
        if hasattr(value, "__len__") and len(value) >= count:
            return list(value)[:count]
        self.fail(f"return {names}", input=case, got=show(value))

    def expect(
        self,
        what,
        got,
        want,
        mistakes,
        inputs,
        *,
        case,
        atol=1e-5,
        rtol=1e-4,
        free=None,
    ):
        """Compare; on a difference name the first mistake that gives `got`.

        Each mistake is a generator function of (got, *inputs) that yields
        what it would return; its docstring is what the reader is told.
        `free` (bool, of want's shape) marks entries that may be anything.
        """
        want = tensor(want)
        got = tensor(got)
        if got.numel() == want.numel() == 1:
            got = got.view(want.shape)

        def same(a, b):
            if a.shape != b.shape:
                return False
            if free is not None:
                a, b = a[~free], b[~free]
            return torch.allclose(a, b, atol=atol, rtol=rtol, equal_nan=True)

        if same(got, want):
            return
        why = next(
            (
                message(mistake)
                for mistake in mistakes
                for wrong in mistake(got, *inputs)
                if same(got, tensor(wrong))
            ),
            None,
        )
        expected, found = differing(got, want, free)
        self.fail(
            why,
            input=case,
            expected=f"{what} {expected}",
            got=f"{what} {found}",
        )

    def passed(self, remark=None):
        """Print that the answer is right."""
        cases = f"{self.cases} case{'s' * (self.cases != 1)}"
        print(f"{self.name}: right ({remark or cases})")


def where(error):
    """The last line of the reader's own code on the way to an error."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__)
           if Path(frame.filename).parent != Path(__file__).parent]
    own = [frame for frame in own if "site-packages" not in frame.filename]
    if not own or not own[-1].line:
        return ""
    return f"\n  line {own[-1].lineno:<5}{own[-1].line}"


def message(mistake):
    """What a mistake's docstring tells the reader, as one line."""
    return " ".join(mistake.__doc__.split())


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


def show(value):
    """A value in a few words: numbers rounded, shapes of what is large."""
    if isinstance(value, torch.Tensor):
        if value.numel() == 1:
            return f"{value.item():.6g}"
        if value.numel() <= 8:
            return "[" + ", ".join(f"{x:.6g}" for x in value.flatten()) + "]"
        return f"a tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 70 else text[:67] + "..."


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


from zth.check.bigrams import (  # noqa: E402  (it needs what stands above)
    cross_entropy,
    devices,
    indexing,
    reach,
    smoothing,
    splits,
    trigram,
)

__all__ = [
    "Wrong",
    "cross_entropy",
    "devices",
    "indexing",
    "reach",
    "smoothing",
    "splits",
    "trigram",
]

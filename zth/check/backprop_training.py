"""The checker of a net that is trained on gradients by hand (L5-EX4).

A mistake's docstring is what the reader reads. Shapes: xb (n, T), yb (n,);
params are C (27, n_embd), W1 (T n_embd, n_hidden), b1, W2 (n_hidden, 27), b2,
gain and bias (n_hidden,).
"""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from zth import data
from zth.check import mlp, show
from zth.check.by_hand import by_hand, unchanged
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["training"]

PARAMS = "C", "W1", "b1", "W2", "b2", "gain", "bias"
SHAPES = (27, 10), (30, 200), (200,), (200, 27), (27,), (200,), (200,)
BACKWARDS = "b2", "W2", "gain", "bias", "W1", "b1", "C"
EPS = 1e-5
BAR = 2.12  # nats, on the lecture's names; its own run ends at 2.1099


def before_tanh(params, idx):
    """The hidden layer's sums (N, n_hidden), which batch norm takes."""
    C, W1, b1 = params[:3]
    return C[idx].flatten(1) @ W1 + b1


def batch_loss(params, xb, yb):
    """The specification, for autograd: the loss of a batch."""
    *_, W2, b2, gain, bias = params
    x = before_tanh(params, xb)
    x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0) + EPS)
    logits = torch.tanh(gain * x_hat + bias) @ W2 + b2
    return F.cross_entropy(logits, yb)


@torch.enable_grad()
def gradients_of(params, xb, yb):
    """The specification: (loss, {name: gradient}) from autograd."""
    leaves = [p.clone().requires_grad_() for p in params]
    loss = batch_loss(leaves, xb, yb)
    return loss.detach(), dict(zip(PARAMS, torch.autograd.grad(loss, leaves)))


def net_by_hand(params, xb, yb, *, dlogits=None, da=None, dx=None, dC=None,
                **instead):
    """{name: gradient}, with a part done differently.

    Each of dlogits, da, dx, dC is a function of the values so far; `instead`
    gives a parameter's own gradient as such a function.
    """
    C, W1, b1, W2, b2, gain, bias = params
    n = len(xb)
    e = C[xb].flatten(1)
    x = e @ W1 + b1
    centred = x - x.mean(0)
    s = (centred.square().sum(0) / (n - 1) + EPS) ** -0.5
    x_hat = centred * s
    a = gain * x_hat + bias
    h = a.tanh()
    logits = h @ W2 + b2
    t = SimpleNamespace(**locals())
    t.onehot = F.one_hot(yb, W2.shape[1])
    t.probs = logits.softmax(1)
    t.dlogits = dlogits(t) if dlogits else (t.probs - t.onehot) / n
    t.dh = t.dlogits @ W2.T
    t.da = da(t) if da else t.dh * (1 - h * h)
    t.dgain, t.dbias = (t.da * x_hat).sum(0), t.da.sum(0)
    t.dx = dx(t) if dx else gain * s * (
        t.da - t.dbias / n - x_hat * t.dgain / (n - 1))
    t.de = (t.dx @ W1.T).view(*xb.shape, -1)
    dC = dC(t) if dC else torch.zeros_like(C).index_add(
        0, xb.flatten(), t.de.flatten(0, 1))
    found = dict(zip(PARAMS, (
        dC, e.T @ t.dx, t.dx.sum(0), h.T @ t.dlogits, t.dlogits.sum(0),
        t.dgain, t.dbias)))
    return found | {name: f(t) for name, f in instead.items()}


def summed_loss(got, params, xb, yb):
    """This is the sum over the batch: the loss is the mean."""
    yield gradients_of(params, xb, yb)[0] * len(xb)


def loss_in_bits(got, params, xb, yb):
    """This is in bits: use the natural logarithm."""
    yield gradients_of(params, xb, yb)[0] / 0.6931471805599453


def biased_forward(got, params, xb, yb):
    """Your batch norm divides by the biased variance, over n: this net has the
    lecture's, over n - 1."""
    yield other_norm(params, xb, yb, lambda x: x.var(0, correction=0) + EPS)


def no_eps_forward(got, params, xb, yb):
    """The epsilon is missing: divide by sqrt(var + 1e-5)."""
    yield other_norm(params, xb, yb, lambda x: x.var(0))


def eps_outside_forward(got, params, xb, yb):
    """The epsilon is outside the root: divide by sqrt(var + 1e-5)."""
    yield other_norm(params, xb, yb, lambda x: (x.std(0) + EPS) ** 2)


def eps_of_another_size(got, params, xb, yb):
    """This net's epsilon is 1e-5: you took one of another size."""
    for eps in (1e-3, 1e-4, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12):
        yield other_norm(params, xb, yb, lambda x: x.var(0) + eps)


def no_norm(got, params, xb, yb):
    """Batch norm is missing between the first layer and the tanh."""
    *_, W2, b2, gain, bias = params
    x = before_tanh(params, xb)
    for z in (x, gain * x + bias):
        yield F.cross_entropy(torch.tanh(z) @ W2 + b2, yb)


def other_norm(params, xb, yb, square):
    *_, W2, b2, gain, bias = params
    x = before_tanh(params, xb)
    x_hat = (x - x.mean(0)) / square(x).sqrt()
    return F.cross_entropy(torch.tanh(gain * x_hat + bias) @ W2 + b2, yb)


LOSS_MISTAKES = [summed_loss, loss_in_bits, biased_forward, no_eps_forward,
                 eps_outside_forward, eps_of_another_size, no_norm]


def gradient_zero(got, name, *batch):
    """It is zero: was it never filled in?"""
    if name != "b1":
        yield torch.zeros_like(net_by_hand(*batch)[name])


def not_a_mean(got, name, *batch):
    """All gradients are n times too large: the loss is a mean, so dlogits is
    (probs - onehot) / n."""
    yield net_by_hand(*batch, dlogits=lambda t: t.probs - t.onehot)[name]


def target_not_taken_off(got, name, *batch):
    """dlogits is probs / n here: take 1 off at each row's target first."""
    yield net_by_hand(*batch, dlogits=lambda t: t.probs / t.n)[name]


def turned(got, name, *batch):
    """The sign is turned: dlogits is (probs - onehot) / n, and the update
    subtracts."""
    yield net_by_hand(*batch, dlogits=lambda t: (t.onehot - t.probs) / t.n)[
        name]


def softmax_of_columns(got, name, *batch):
    """Your softmax runs over the examples: probabilities of one example sum to
    1, so take it along axis 1."""
    yield net_by_hand(*batch, dlogits=lambda t: (
        t.logits.softmax(0) - t.onehot) / t.n)[name]


def another_parameters(got, name, *batch):
    """This is another parameter's gradient: return them in the order of
    params, C, W1, b1, W2, b2, gain, bias."""
    found = net_by_hand(*batch)
    if name != "b1":
        yield from (x for other, x in found.items() if other != name)


def of_sums_not_of_tanh(got, name, *batch):
    """W2 multiplies h, which is behind the tanh: its gradient is
    h.T @ dlogits."""
    for of in ("a", "x_hat", "x"):
        yield net_by_hand(*batch, W2=lambda t: getattr(t, of).T @ t.dlogits)[
            name]


def tanh_skipped(got, name, *batch):
    """The tanh is missing on the way back: its slope is 1 - h², entry by
    entry."""
    yield net_by_hand(*batch, da=lambda t: t.dh)[name]


def tanh_of_another_slope(got, name, *batch):
    """The slope of tanh is 1 - h², with h behind the tanh: yours is another
    one."""
    for slope in (lambda t: 1 - t.h, lambda t: 1 - t.a**2, lambda t: (
            1 - t.h.tanh() ** 2), lambda t: t.h * (1 - t.h)):
        yield net_by_hand(*batch, da=lambda t: t.dh * slope(t))[name]


def gain_of_sums(got, name, *batch):
    """The gain multiplies x_hat, so its gradient is the sum of da x_hat over
    the batch: you took another factor, or none, which is the bias's."""
    for factor in (lambda t: t.x, lambda t: t.a, lambda t: 1, lambda t: t.h,
                   lambda t: t.centred):
        yield net_by_hand(*batch, gain=lambda t: (t.da * factor(t)).sum(0))[
            name]


def statistics_constant(got, name, *batch):
    """You treat mean and variance as constants. They move with every example:
    their two terms are missing in dx."""
    yield net_by_hand(*batch, dx=lambda t: t.gain * t.s * t.da)[name]


def variance_constant(got, name, *batch):
    """In dx the term of the variance is missing, x_hat dgain / (n - 1)."""
    yield net_by_hand(*batch, dx=lambda t: t.gain * t.s * (
        t.da - t.dbias / t.n))[name]


def mean_constant(got, name, *batch):
    """In dx the term of the mean is missing, dbias / n."""
    yield net_by_hand(*batch, dx=lambda t: t.gain * t.s * (
        t.da - t.x_hat * t.dgain / (t.n - 1)))[name]


def biased_backward(got, name, *batch):
    """The variances do not match: forward you divide by n - 1, and in dx the
    variance's term by n."""
    yield net_by_hand(*batch, dx=lambda t: t.gain * t.s * (
        t.da - t.dbias / t.n - t.x_hat * t.dgain / t.n))[name]


def both_unbiased(got, name, *batch):
    """In dx you divide both terms by n - 1: the mean is over n."""
    yield net_by_hand(*batch, dx=lambda t: t.gain * t.s * (
        t.da - (t.dbias + t.x_hat * t.dgain) / (t.n - 1)))[name]


def gain_missing(got, name, *batch):
    """The gain is missing in dx: x_hat is multiplied by it."""
    yield net_by_hand(*batch, dx=lambda t: t.s * (
        t.da - t.dbias / t.n - t.x_hat * t.dgain / (t.n - 1)))[name]


def eps_backward(got, name, *batch):
    """The epsilon is missing on the way back: use the same 1 / sqrt(var + eps)
    as forward."""
    def dx(t):
        s = t.x.var(0) ** -0.5
        x_hat = t.centred * s
        return t.gain * s * (t.da - t.dbias / t.n - x_hat * (
            t.da * x_hat).sum(0) / (t.n - 1))

    yield net_by_hand(*batch, dx=dx)[name]
    yield net_by_hand(*batch, dx=lambda t: t.gain * t.x.var(0) ** -0.5 * (
        t.da - t.dbias / t.n - t.x_hat * t.dgain / (t.n - 1)))[name]


def one_bias_for_another(got, name, *batch):
    """b1's gradient is the sum of dx, in front of batch norm, and that is zero
    up to rounding: batch norm takes a constant off again. You summed what is
    behind it."""
    yield net_by_hand(*batch, b1=lambda t: t.dbias)[name]
    yield net_by_hand(*batch, b1=lambda t: t.dh.sum(0))[name]


def assigned(got, name, *batch):
    """dC is assigned, not added up: a character that occurs twice in the batch
    keeps one of its gradients. Use index_add_."""
    def dC(t, order):
        found = torch.zeros_like(t.C)
        pairs = list(zip(t.xb.flatten().tolist(), t.de.flatten(0, 1)))
        for i, row in pairs[::order]:
            found[i] = row
        return found

    yield net_by_hand(*batch, dC=lambda t: dC(t, 1))[name]
    yield net_by_hand(*batch, dC=lambda t: dC(t, -1))[name]


def one_position(got, name, *batch):
    """dC has the gradients of one position: each of the context's characters
    was looked up in C."""
    for k in range(batch[1].shape[1]):
        yield net_by_hand(*batch, dC=lambda t: torch.zeros_like(
            t.C).index_add(0, t.xb[:, k], t.de[:, k]))[name]


def positions_mixed(got, name, *batch):
    """The rows of de and the characters do not belong together: give de the
    shape (n, block_size, n_embd), example by example, as the flattening of
    C[xb] has it."""
    yield net_by_hand(*batch, dC=lambda t: torch.zeros_like(t.C).index_add(
        0, t.xb.T.flatten(), t.de.flatten(0, 1)))[name]
    yield net_by_hand(*batch, dC=lambda t: torch.zeros_like(t.C).index_add(
        0, t.xb.flip(1).flatten(), t.de.flatten(0, 1)))[name]


GRADIENT_MISTAKES = [
    gradient_zero, not_a_mean, target_not_taken_off, turned,
    softmax_of_columns, tanh_skipped, tanh_of_another_slope,
    statistics_constant, variance_constant, mean_constant, biased_backward,
    both_unbiased, gain_missing, eps_backward, one_bias_for_another,
    assigned, one_position, positions_mixed, of_sums_not_of_tanh,
    gain_of_sums, another_parameters]


def a_batch(g, n, n_embd, n_hidden, block_size, scale=1.0):
    """Random params in float64, and a batch; `scale` is that of W1."""
    sizes = ((27, n_embd), (block_size * n_embd, n_hidden), (n_hidden,),
             (n_hidden, 27), (27,), (n_hidden,), (n_hidden,))
    params = [torch.randn(size, generator=g, dtype=torch.float64)
              for size in sizes]
    params[1] *= scale
    params[3] *= n_hidden**-0.5
    xb = torch.randint(27, (n, block_size), generator=g)
    xb[: n // 2, 0] = 0  # as at the beginning of names
    return params, xb, torch.randint(27, (n,), generator=g)


def check_gradients(check, gradients, params, xb, yb, case, rounding):
    given = [*params, xb, yb]
    kept = [x.clone() for x in given]
    got = by_hand(check, gradients, params, xb, yb, case=case)
    unchanged(check, kept, given, (*PARAMS, "xb", "yb"), case)
    if len(got) != 2 or len(got[1]) != 7:
        check.fail("return the loss and a list of seven gradients, in the "
                   "order of params", input=case, got=show(got))
    loss, grads = got
    for name, p, grad in zip(PARAMS, params, grads):
        if not isinstance(grad, torch.Tensor):
            check.fail("return tensors: the update is p -= rate * grad",
                       input=case, got=f"the gradient of {name}, a "
                       f"{type(grad).__name__}")
        if grad.shape != p.shape:
            turn = grad.ndim == 2 and grad.T.shape == p.shape
            check.fail(
                "a gradient has the shape of its parameter, and they come in "
                "the order C, W1, b1, W2, b2, gain, bias"
                + (": this one is transposed" if turn else ""), input=case,
                expected=f"the gradient of {name} of shape {tuple(p.shape)}",
                got=f"{tuple(grad.shape)}")
        if grad.dtype != p.dtype:
            check.fail("the gradients have another precision than the "
                       "parameters: make new tensors with zeros_like or "
                       "new_zeros, not with a dtype of their own", input=case,
                       expected=f"the gradient of {name} in {p.dtype}",
                       got=grad.dtype)
    batch = [x.double() for x in kept[:7]], xb, yb
    want_loss, want = gradients_of(*batch)
    limits = dict(case=case, atol=rounding, rtol=10 * rounding)
    check.expect("loss", loss, want_loss, LOSS_MISTAKES, batch, **limits)
    got = dict(zip(PARAMS, grads))
    for name in BACKWARDS:  # the first that is wrong says where it begins
        check.expect(f"the gradient of {name}", got[name], want[name],
                     GRADIENT_MISTAKES, (name, *batch), **limits)
    check.cases += 1


def as_deviation(got, x):
    """The second one is a standard deviation: return the variance."""
    yield x.std(0)
    yield x.std(0, correction=0)


def as_inverse(got, x):
    """The second one is 1 / sqrt(var + eps): return the variance itself."""
    yield (x.var(0) + EPS) ** -0.5
    yield x.var(0) ** -0.5


def biased_statistics(got, x):
    """This is the biased variance, over n: in training you divide by n - 1."""
    yield x.var(0, correction=0)


def eps_included(got, x):
    """The epsilon is in the variance already: evaluation adds it once more."""
    yield x.var(0) + EPS


def of_the_first(got, x):
    """These are the statistics of a part, a batch perhaps: take all of the
    contexts that are handed over."""
    for n in (32, 64):
        yield from (part.mean(0) for part in (x[:n], x[-n:]))
        yield from (part.var(0) for part in (x[:n], x[-n:]))


def wrong_way_round(got, x):
    """Mean and variance come in the other order: return mean, var."""
    yield x.mean(0)
    yield x.var(0)


STATISTICS_MISTAKES = [as_deviation, as_inverse, biased_statistics,
                       eps_included, of_the_first, wrong_way_round]


def check_calibrate(check, calibrate, params, idx, case):
    got = by_hand(check, calibrate, params, idx, case=case)
    got = check.unpack(got, 2, "mean, var", case)
    x = before_tanh(params, idx)
    mistakes = STATISTICS_MISTAKES

    def without_b1(got, x):
        """b1 is missing, or C is of other contexts: these are the statistics
        of what batch norm takes, C[idx].flatten(1) @ W1 + b1."""
        yield (x - params[2]).mean(0)

    def behind_the_norm(got, x):
        """These are statistics of what comes out: batch norm standardises what
        goes in, C[idx].flatten(1) @ W1 + b1."""
        x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0) + EPS)
        for y in (x_hat, params[5] * x_hat + params[6], x.tanh()):
            yield from (y.mean(0), y.var(0))

    for what, value, want in zip(("mean", "var"), got, (x.mean(0), x.var(0))):
        check.expect(what, tensor(value).flatten(), want,
                     [*mistakes, without_b1, behind_the_norm], (x,),
                     case=case, atol=1e-10, rtol=1e-8)
    check.cases += 1


def check_params(check, params):
    """The validation loss, with statistics of the training names alone."""
    params = [tensor(p) for p in params]
    shapes = [tuple(p.shape) for p in params]
    sizes = [p.numel() for p in params]
    case = "params, after training"
    if len(params) != 7 or sizes != [math.prod(s) for s in SHAPES]:
        check.fail("hand over the seven tensors of the net with 12,297 "
                   "parameters, C, W1, b1, W2, b2, gain, bias", input=case,
                   expected=", ".join(map(str, SHAPES)),
                   got=", ".join(map(str, shapes)))
    params = [p.view(shape) for p, shape in zip(params, SHAPES)]
    if not all(p.isfinite().all() for p in params):
        check.fail("the training ran away: the rate is too large, or the sign "
                   "of the update is turned", input=case,
                   expected="finite numbers", got="NaN or infinity")
    splits = data.split(data.load_names())
    train, val = (data.distinct_contexts(*data.windows(part, 3))
                  for part in (splits.train, splits.val))
    x, n = before_tanh(params, train[0]), train[1].sum(1)
    mean = n @ x / n.sum()
    var = n @ (x - mean).square() / (n.sum() - 1)

    def model(idx):
        x_hat = (before_tanh(params, idx) - mean) / torch.sqrt(var + EPS)
        h = torch.tanh(params[5] * x_hat + params[6])
        return h @ params[3] + params[4]

    loss_train, loss = (
        -((counts * model(idx).log_softmax(1)).sum() / counts.sum()).item()
        for idx, counts in (train, val))
    source = data.source()
    bar = BAR if source.is_lecture else mlp.to_beat(source)
    lines = dict(input="params, with the statistics of the training names",
                 expected=f"a validation loss of at most {bar:.2f}",
                 got=f"{loss:.4f}")
    if loss > bar:
        check.fail(why_high(loss_train, loss), **lines)
    mlp.trained_on_more(check, model, splits, 3, lines)
    return f"validation loss {loss:.3f}; wanted: {bar:.2f}"


def why_high(train, val):
    """What keeps the validation loss above the bar."""
    if val > 2.8:
        return ("the net has hardly learned anything: were the parameters "
                "updated, and does the update subtract lr times the gradient?")
    if val - train > 0.1:
        return (f"the net over-fits, {train:.2f} on the training names: was "
                "it trained on a part of them?")
    return (f"the net has not finished learning, {train:.2f} on the training "
            "names: let the rate fall to zero, take more steps or a larger "
            "batch with a larger rate")


def training(gradients, calibrate, params=None):
    """Check a net trained on gradients by hand, exercise L5-EX4.

    gradients(params, xb (n, T), yb (n,)) -> (loss, grads), in the order of
    params: C, W1, b1, W2, b2, gain, bias. calibrate(params, idx (N, T)) ->
    (mean, var (n_hidden,)) of what batch norm takes. With params, the
    trained ones, their validation loss is measured too.
    """
    check = Check("training")
    g = torch.Generator().manual_seed(check.seed)
    cases = [("a batch of 8, 5 hidden units", (8, 3, 5, 3), 1.0),
             ("a batch of 2, block_size 2", (2, 4, 6, 2), 1.0),
             ("a batch of 32 for the lecture's net", (32, 10, 200, 3), 0.3),
             ("hidden sums that hardly vary, so that epsilon counts",
              (16, 3, 6, 3), 1e-3)]
    for case, sizes, scale in cases:
        check_gradients(check, gradients, *a_batch(g, *sizes, scale),
                        case + ", float64", 1e-11)
    params32, xb, yb = a_batch(g, 32, 10, 20, 3)
    check_gradients(check, gradients, [p.float() for p in params32], xb, yb,
                    "a batch of 32, float32", 1e-5)
    for n in (100, 3):
        batch, idx, _ = a_batch(g, n, 3, 5, 3)
        check_calibrate(check, calibrate, batch, idx, f"{n} contexts")
    check.passed(None if params is None else check_params(check, params))

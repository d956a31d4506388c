"""The checker of the gradient of batch norm (L5-EX3).

A mistake's docstring is what the reader reads. Shapes: dout, x (n, C), gain
(C,).
"""

import torch

from zth.check.by_hand import unchanged
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["batch_norm"]


@torch.enable_grad()
def by_autograd(dout, x, gain, eps):
    """dx, dgain, dbias of the lecture's batch norm, from its forward pass."""
    n = len(x)
    leaves = [t.clone().requires_grad_()
              for t in (x, gain, torch.zeros_like(gain))]
    x, gain, bias = leaves
    diff = x - x.sum(0) / n
    var = (diff * diff).sum(0) / (n - 1)
    y = gain * diff / torch.sqrt(var + eps) + bias
    return torch.autograd.grad(y, leaves, dout)


def line(dout, x, gain, eps, *, m=None, s=None, itself=1.0, mean=1.0,
         spread=1.0):
    """The one expression, with m or s replaced, or its terms weighted."""
    m = m or len(x) - 1
    diff = x - x.mean(0)
    if s is None:
        s = (diff.square().sum(0) / m + eps) ** -0.5
    x_hat = diff * s
    return gain * s * (itself * dout - mean * dout.mean(0) - spread * x_hat
                       * (dout * x_hat).sum(0) / m)


def constants(got, dout, x, gain, eps):
    """Mean and variance are taken as constants: this is gain * dout / std. An
    input moves both, and through them every output."""
    yield line(dout, x, gain, eps, mean=0, spread=0)


def no_mean_path(got, dout, x, gain, eps):
    """The way through the mean is missing: take off the mean of dout. (The sum
    of dx over the batch must be zero.)"""
    yield line(dout, x, gain, eps, mean=0)


def no_variance_path(got, dout, x, gain, eps):
    """The way through the variance is missing: the term with x_hat times the
    sum of dout * x_hat. (dx must be perpendicular to x_hat, almost.)"""
    yield line(dout, x, gain, eps, spread=0)


def no_direct_path(got, dout, x, gain, eps):
    """The direct way is missing: dout itself, less what goes through mean and
    variance."""
    yield line(dout, x, gain, eps, itself=0)


def bessel_dropped(got, dout, x, gain, eps):
    """Bessel's correction is missing in the last term: with the variance over
    n - 1 its factor is n/(n - 1), or 1/(n - 1) without the n in front."""
    yield line(dout, x, gain, eps, spread=(len(x) - 1) / len(x))


def bessel_upside_down(got, dout, x, gain, eps):
    """Bessel's correction is upside down: the last term has n/(n - 1), not
    (n - 1)/n."""
    yield line(dout, x, gain, eps, spread=((len(x) - 1) / len(x)) ** 2)


def biased(got, dout, x, gain, eps):
    """This is right for the variance over n, as in nn.BatchNorm1d: the lecture
    divides by n - 1, in the standard deviation and in the last term."""
    yield line(dout, x, gain, eps, m=len(x))


def two_variances(got, dout, x, gain, eps):
    """The last term has Bessel's correction, your standard deviation does not:
    take the variance over n - 1, x.var(0)."""
    n = len(x)
    yield line(dout, x, gain, eps, m=n, spread=n / (n - 1))


def index_reused(got, dout, x, gain, eps):
    """A sum over the batch is missing, as if its index were the row of dx:
    sum over all examples j, then multiply by what belongs to row i."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    x_hat = (x - x.mean(0)) * s
    means = dout.mean(0), dout / n
    for k, mean in enumerate(means):
        for j, total in enumerate(((dout * x_hat).sum(0), dout * x_hat)):
            if k or j:
                yield gain * s * (dout - mean - x_hat * total / (n - 1))


def sums_apart(got, dout, x, gain, eps):
    """The sum of products became a product of sums: multiply dout by x_hat
    example by example, then sum."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    x_hat = (x - x.mean(0)) * s
    for total in (dout.sum(0) * x_hat, dout.sum(0) * x_hat.sum(0)):
        yield gain * s * (dout - dout.mean(0) - x_hat * total / (n - 1))
    yield gain * s * (dout - dout.mean(0)
                      - (dout * x_hat * x_hat).sum(0) / (n - 1))


def wrong_axis(got, dout, x, gain, eps):
    """A sum runs along the rows, or over everything: each channel has its own,
    down the batch, over axis 0."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    x_hat = (x - x.mean(0)) * s
    pairs = [(lambda t: t.sum(0)), (lambda t: t.sum(1, keepdim=True)),
             (lambda t: t.sum())]
    for k, of_dout in enumerate(pairs):
        for j, of_product in enumerate(pairs):
            if k or j:
                yield gain * s * (dout - of_dout(dout) / n - x_hat
                                  * of_product(dout * x_hat) / (n - 1))


def eps_outside(got, dout, x, gain, eps):
    """The epsilon is outside the root: 1 / sqrt(var + eps), not 1 / (sqrt(var)
    + eps)."""
    s = 1 / (x.var(0).sqrt() + eps)
    yield line(dout, x, gain, eps, s=s)


def eps_of_its_own(got, dout, x, gain, eps):
    """The argument `eps` has no effect: you leave it out, or use one of your
    own."""
    for other in (0.0, 1e-5, 1e-6, 1e-8):
        yield line(dout, x, gain, other)


def no_gain(got, dout, x, gain, eps):
    """The gain is missing: y = gain * x_hat + bias, so every term carries
    it."""
    yield line(dout, x, torch.ones_like(gain), eps)


def gain_twice(got, dout, x, gain, eps):
    """The gain is applied twice."""
    yield line(dout, x, gain**2, eps)


def gain_on_one_term(got, dout, x, gain, eps):
    """The gain multiplies some of the three terms and not the others: it
    belongs in front of the bracket."""
    one = torch.ones_like(gain)
    parts = [dict(mean=0, spread=0), dict(itself=0, spread=0),
             dict(itself=0, mean=0)]
    for mine in ((1, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)):
        yield sum(line(dout, x, gain if has else one, eps, **part)
                  for has, part in zip(mine, parts))


def not_divided(got, dout, x, gain, eps):
    """This is n times too large: the bracket with n * dout in it has a factor
    1/n in front."""
    yield len(x) * line(dout, x, gain, eps)


def itself_divided(got, dout, x, gain, eps):
    """The bracket is divided by n, and dout in it was not multiplied by n: n *
    dout - sum - ..., all over n."""
    yield line(dout, x, gain, eps, itself=1 / len(x))


def sums_not_divided(got, dout, x, gain, eps):
    """A sum lacks its divisor: the mean's is n, the variance's n - 1."""
    n = len(x)
    yield from (line(dout, x, gain, eps, mean=n),
                line(dout, x, gain, eps, mean=n, spread=n - 1),
                line(dout, x, gain, eps, spread=n - 1),
                line(dout, x, gain, eps, mean=n, spread=n),
                line(dout, x, gain, eps, spread=n))


def two_or_half(got, dout, x, gain, eps):
    """The last term is off by a factor of 2: the 2 of the square and the 1/2
    of the root cancel."""
    for factor in (2, 0.5, -2, -0.5):
        yield line(dout, x, gain, eps, spread=factor)


def sign_of_a_term(got, dout, x, gain, eps):
    """A sign is turned: both sums are taken off, and the whole is not
    negative."""
    yield from (line(dout, x, gain, eps, mean=-1),
                line(dout, x, gain, eps, spread=-1),
                line(dout, x, gain, eps, mean=-1, spread=-1),
                -line(dout, x, gain, eps))


def not_normalised(got, dout, x, gain, eps):
    """The last term needs x_hat, twice: the deviations or x itself stand in
    one of its places."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    diff = x - x.mean(0)
    x_hat = diff * s
    for a in (x_hat, diff, x):
        for b in (x_hat, diff, x):
            if a is not x_hat or b is not x_hat:
                yield gain * s * (dout - dout.mean(0) - a * (dout * b).sum(0)
                                  / (n - 1))


def times_std(got, dout, x, gain, eps):
    """The standard deviation in front multiplies, or is squared, or missing:
    the bracket is multiplied by gain / sqrt(var + eps)."""
    var = x.var(0) + eps
    right = line(dout, x, gain, eps)
    yield from (right * var, right * var.sqrt(), right / var.sqrt())


def as_it_came(got, dout, x, gain, eps):
    """This is dout, or gain * dout, as if batch norm divided by nothing."""
    yield from (dout, gain * dout)


def normalised_inputs(got, dout, x, gain, eps):
    """These are the normalised inputs, the forward pass: the gradient is asked
    for."""
    x_hat = (x - x.mean(0)) * (x.var(0) + eps) ** -0.5
    yield from (x_hat, gain * x_hat)


BATCH_NORM_MISTAKES = [
    constants, no_mean_path, no_variance_path, no_direct_path,
    bessel_dropped, bessel_upside_down, biased, two_variances, eps_outside,
    eps_of_its_own, no_gain, gain_twice, gain_on_one_term, not_divided,
    itself_divided, sums_not_divided, two_or_half, sign_of_a_term,
    index_reused, sums_apart, wrong_axis, not_normalised, times_std,
    as_it_came, normalised_inputs]


def gain_unsummed(got, dout, x, gain, eps):
    """dgain is one number a channel: sum dout * x_hat over the batch."""
    x_hat = (x - x.mean(0)) * (x.var(0) + eps) ** -0.5
    yield dout * x_hat


def bias_and_gain_swapped(got, dout, x, gain, eps):
    """dgain and dbias are swapped: return dx, dgain, dbias."""
    yield dout.sum(0)


def batch_norm(dx_of):
    """Check the gradient of the lecture's batch norm, exercise L5-EX3.

    dx_of(dout (n, C), x (n, C), gain (C,), eps) -> dx (n, C), or (dx, dgain,
    dbias); float64, training mode, the variance over n - 1.
    """
    check = Check("batch_norm")
    g = torch.Generator().manual_seed(check.seed)
    cases = [(f"random numbers ({n}, {C}), eps = {eps}", n, C, eps)
             for n, C, eps in ((5, 3, 0.1), (32, 6, 1e-5), (4, 4, 1e-2),
                               (2, 3, 1.0), (9, 1, 1e-3))]
    for case, n, C, eps in cases:
        x = 1 + 2 * torch.randn(n, C, generator=g).double()
        dout = torch.randn(n, C, generator=g).double()
        gain = 1 + torch.randn(C, generator=g).double()
        inputs = dout, x, gain
        given = [t.clone() for t in inputs]
        value = check.call(dx_of, *given, eps, case=case)
        unchanged(check, inputs, given, ("dout", "x", "gain"), case)
        dx, dgain, dbias = by_autograd(*inputs, eps)
        rest = []
        if isinstance(value, (tuple, list)) and len(value) == 3:  # no n is 3
            value, *rest = value
        check.expect("dx", value, dx, BATCH_NORM_MISTAKES, (*inputs, eps),
                     case=case)
        for name, got, want, mistakes in zip(
                ("dgain", "dbias"), rest, (dgain, dbias),
                ([bias_and_gain_swapped, gain_unsummed], [])):
            got = tensor(got)
            got = got[0] if got.shape == (1, C) else got
            check.expect(name, got, want, mistakes, (*inputs, eps),
                         case=case)
        check.cases += 1
    check.passed()

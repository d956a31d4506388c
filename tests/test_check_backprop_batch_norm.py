"""zth.check.backprop, batch norm; oracle: answers planted right and wrong."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answers import passes, refuses

from zth import manual
from zth.check import backprop as check
from zth.check import backprop_batch_norm, message


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
def test_the_starter_is_not_written_yet(unwritten):
    said = refuses(check.batch_norm, unwritten)
    assert "batch_norm: not written yet" in said


def as_in_the_lecture(dhpreact, hprebn, bngain, eps):
    n = len(hprebn)
    bnvar_inv = (hprebn.var(0, keepdim=True) + eps) ** -0.5
    bnraw = (hprebn - hprebn.mean(0, keepdim=True)) * bnvar_inv
    return bngain * bnvar_inv / n * (
        n * dhpreact - dhpreact.sum(0)
        - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))


def stage_by_stage(dout, x, gain, eps):
    n, diff = len(x), x - x.mean(0)
    s = ((diff**2).sum(0) / (n - 1) + eps) ** -0.5
    dx_hat = gain * dout
    dvar = (dx_hat * diff).sum(0) * -0.5 * s**3
    ddiff = dx_hat * s + 2 / (n - 1) * diff * dvar
    return ddiff - ddiff.sum(0) / n


def in_loops(dout, x, gain, eps):
    n, C = x.shape
    dx = [[0.0] * C for _ in range(n)]
    for c in range(C):
        column, g = x[:, c].tolist(), dout[:, c].tolist()
        mu = sum(column) / n
        s = (sum((v - mu) ** 2 for v in column) / (n - 1) + eps) ** -0.5
        x_hat = [(v - mu) * s for v in column]
        for i in range(n):
            for j in range(n):
                dx[i][c] += gain[c].item() * s * g[j] * (
                    (i == j) - 1 / n - x_hat[i] * x_hat[j] / (n - 1))
    return dx


def in_numpy(dout, x, gain, eps):
    return stage_by_stage(dout.float(), x.float(), gain.float(), eps).numpy()


def all_three_as_rows(*args):
    dx, dgain, dbias = manual.batch_norm(*args)
    return [dx, dgain[None], dbias[None]]


@pytest.mark.parametrize("answer", [
    manual.batch_norm, as_in_the_lecture, stage_by_stage, in_loops, in_numpy,
    backprop_batch_norm.by_autograd, all_three_as_rows,
    lambda *args: manual.batch_norm(*args)[0]])
def test_accepts(capsys, answer):
    passes(capsys, check.batch_norm, answer)


@torch.no_grad()
def test_needs_no_grad_mode(capsys):
    passes(capsys, check.batch_norm, manual.batch_norm)


def wrong(*, m=1, factor=1, weights=(1, 1, 1), s_of=None, gain_of=None,
          scale=1, sums=(0, 0)):
    """The line, done wrong somewhere.

    m: what is taken from n in the variance; factor: on the last term, from
    n; weights: of the three terms, from n; sums: the axes of both sums.
    """
    def answer(dout, x, gain, eps):
        n = len(x)
        diff = x - x.mean(0)
        var = (diff**2).sum(0) / (n - m)
        s = s_of(var, eps) if s_of else (var + eps) ** -0.5
        x_hat = diff * s
        gain = gain_of(gain) if gain_of else gain
        one, two, three = (w(n) if callable(w) else w for w in weights)
        by = factor(n) if callable(factor) else factor
        first = total(dout, sums[0]) / n
        last = x_hat * total(dout * x_hat, sums[1]) / (n - 1) * by
        return gain * s * (one * dout - two * first - three * last) * (
            scale(n) if callable(scale) else scale)

    return answer


def total(t, axis):
    """Its sum down the batch (0), over channels (1), over all, or none."""
    if axis == "none":
        return t
    return t.sum() if axis == "all" else t.sum(axis, keepdim=True)


def last_term(of):
    """The line with another last term: of(x, diff, x_hat, dout)."""
    def answer(dout, x, gain, eps):
        s = (x.var(0) + eps) ** -0.5
        diff = x - x.mean(0)
        return gain * s * (dout - dout.mean(0) - of(x, diff, diff * s, dout)
                           / (len(x) - 1))

    return answer


def gain_first_term(dout, x, gain, eps):
    s = (x.var(0) + eps) ** -0.5
    x_hat = (x - x.mean(0)) * s
    return s * (gain * dout - dout.mean(0) - x_hat * (dout * x_hat).sum(0)
                / (len(x) - 1))


def in_place(dout, x, gain, eps):
    x -= x.mean(0)
    return manual.batch_norm(dout, x, gain, eps)


def of_torch(dout, x, gain, eps):
    x = x.clone().requires_grad_()
    F.batch_norm(x, None, None, gain, training=True, eps=eps).backward(dout)
    return x.grad


WRONG = [
    (wrong(weights=(1, 0, 0)), "taken as constants"),
    (wrong(weights=(1, 0, 1)), "way through the mean is missing"),
    (wrong(weights=(1, 1, 0)), "way through the variance is missing"),
    (wrong(weights=(0, 1, 1)), "The direct way is missing"),
    (wrong(factor=lambda n: (n - 1) / n), "Bessel's correction is missing"),
    (wrong(factor=lambda n: ((n - 1) / n) ** 2), "is upside down"),
    (of_torch, "right for the variance over n, as in nn.BatchNorm1d"),
    (lambda *a: manual.batch_norm(*a, unbiased=False),
     "right for the variance over n, as in nn.BatchNorm1d"),
    (wrong(m=0), "your standard deviation does not"),
    (wrong(sums=("none", "none")), "A sum over the batch is missing"),
    (wrong(sums=(0, "none")), "A sum over the batch is missing"),
    (wrong(sums=("none", 0)), "A sum over the batch is missing"),
    (last_term(lambda x, d, h, g: h * g.sum(0) * h.sum(0)),
     "way through the variance is missing"),  # the sum of x_hat is zero
    (last_term(lambda x, d, h, g: h * h * g.sum(0)),
     "became a product of sums"),
    (wrong(sums=(0, "all")), "A sum runs along the rows"),
    (wrong(sums=("all", "all")), "A sum runs along the rows"),
    (wrong(sums=(1, 0)), "A sum runs along the rows"),
    (wrong(s_of=lambda var, eps: 1 / (var.sqrt() + eps)),
     "The epsilon is outside the root"),
    (wrong(s_of=lambda var, eps: (var + 1e-5) ** -0.5),
     "The argument `eps` has no effect"),
    (wrong(s_of=lambda var, eps: var ** -0.5),
     "The argument `eps` has no effect"),
    (wrong(gain_of=torch.ones_like), "The gain is missing"),
    (wrong(gain_of=lambda gain: gain**2), "The gain is applied twice"),
    (gain_first_term, "some of the three terms"),
    (wrong(scale=lambda n: n), "n times too large"),
    (wrong(weights=(lambda n: 1 / n, 1, 1)), "was not multiplied by n"),
    (wrong(weights=(1, lambda n: n, 1)), "A sum lacks its divisor"),
    (wrong(weights=(1, lambda n: n, lambda n: n - 1)),
     "A sum lacks its divisor"),
    (wrong(weights=(1, 1, 2)), "off by a factor of 2"),
    (wrong(weights=(1, 1, 0.5)), "off by a factor of 2"),
    (wrong(weights=(1, -1, 1)), "A sign is turned"),
    (wrong(weights=(1, 1, -1)), "A sign is turned"),
    (wrong(scale=-1), "A sign is turned"),
    (last_term(lambda x, d, h, g: d * (g * d).sum(0)),
     "The last term needs x_hat, twice"),
    (last_term(lambda x, d, h, g: h * (g * x).sum(0)),
     "The last term needs x_hat, twice"),
    (lambda dout, *rest: manual.batch_norm(dout, *rest)[0]
     * (rest[0].var(0) + rest[2]), "in front multiplies"),
    (lambda dout, x, gain, eps: gain * dout, "as if batch norm divided"),
    (lambda dout, x, gain, eps: dout, "as if batch norm divided"),
    (lambda dout, x, gain, eps: gain * (x - x.mean(0))
     / (x.var(0) + eps).sqrt(), "the forward pass"),
    (in_place, "x was changed in place"),
    (lambda *a: [manual.batch_norm(*a)[i] for i in (0, 2, 1)],
     "dgain and dbias are swapped"),
    (lambda dout, x, gain, eps: (
        manual.batch_norm(dout, x, gain, eps)[0],
        dout * (x - x.mean(0)) * (x.var(0) + eps) ** -0.5, dout.sum(0)),
     "dgain is one number a channel"),
]


@pytest.mark.parametrize("answer, why", WRONG, ids=[why for _, why in WRONG])
def test_names(answer, why):
    for _ in range(3):  # the checker draws afresh
        assert why in refuses(check.batch_norm, answer)


def test_messages_differ():
    said = [message(mistake) for mistake in [
        *backprop_batch_norm.BATCH_NORM_MISTAKES,
        backprop_batch_norm.gain_unsummed,
        backprop_batch_norm.bias_and_gain_swapped]]
    assert len(set(said)) == len(said) == 27


def test_a_wrong_dbias_is_shown():
    def answer(*args):
        dx, dgain, dbias = manual.batch_norm(*args)
        return dx, dgain, dbias / len(dx)

    said = refuses(check.batch_norm, answer)
    assert "expected dbias [" in said and "likely" not in said


def test_an_unknown_mistake_shows_where_it_is_largest():
    def answer(dout, *rest):
        dx = manual.batch_norm(dout, *rest)[0]
        dx[3, 2] = np.pi
        return dx

    said = refuses(check.batch_norm, answer)
    assert "input random numbers (5, 3), eps = 0.1" in said
    assert "got dx [3, 2] = 3.14159" in said and "likely" not in said

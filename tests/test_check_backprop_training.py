"""zth.check.backprop, L5-EX4; oracle: answers planted right and wrong."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from answers import passes, refuses

from zth import data, manual
from zth.check import backprop as check


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


# Right ----------------------------------------------------------------------


def calibrate(params, idx):
    x = params[0][idx].flatten(1) @ params[1] + params[2]
    return x.mean(0), x.var(0)


def calibrate_rows(params, idx):
    """As rows, computed in float32 and from the squares."""
    x = (params[0][idx].flatten(1) @ params[1] + params[2])
    mean = x.mean(0, keepdim=True)
    square = ((x - mean) ** 2).sum(0, keepdim=True)
    return [mean, square / (len(x) - 1)]


def forward(params, xb, eps=1e-5):
    C, W1, b1, W2, b2, gain, bias = params
    e = C[xb].flatten(1)
    x = e @ W1 + b1
    h = torch.tanh(gain * (x - x.mean(0)) / torch.sqrt(x.var(0) + eps) + bias)
    return e, x, h, h @ W2 + b2


def by_functions(params, xb, yb):
    """Put together from the book's backward passes."""
    C, W1, b1, W2, b2, gain, bias = params
    e, x, h, logits = forward(params, xb)
    dh, dW2, db2 = manual.linear(manual.cross_entropy(logits, yb), h, W2)
    dx, dgain, dbias = manual.batch_norm(manual.tanh(dh, h), x, gain)
    de, dW1, db1 = manual.linear(dx, e, W1)
    dC = manual.embedding(de.view(*xb.shape, -1), xb, len(C))
    loss = F.cross_entropy(logits, yb)
    return loss, [dC, dW1, db1, dW2, db2, dgain, dbias]


def line_by_line(params, xb, yb):
    """As in the lecture, with its double loop."""
    C, W1, b1, W2, b2, gain, bias = params
    n = len(xb)
    emb = C[xb]
    embcat = emb.view(n, -1)
    hprebn = embcat @ W1 + b1
    bnmeani = hprebn.sum(0) / n
    bndiff = hprebn - bnmeani
    bnvar = (bndiff**2).sum(0) / (n - 1)
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = bndiff * bnvar_inv
    h = torch.tanh(gain * bnraw + bias)
    logits = h @ W2 + b2
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), yb] -= 1
    dlogits /= n
    dh = dlogits @ W2.T
    dhpreact = (1 - h**2) * dh
    dbnraw = gain * dhpreact
    dbnvar = (-0.5 * (bnvar + 1e-5) ** -1.5) * (bndiff * dbnraw).sum(0)
    dbndiff = bnvar_inv * dbnraw + 2 / (n - 1) * bndiff * dbnvar
    dhprebn = dbndiff - dbndiff.sum(0) / n
    demb = (dhprebn @ W1.T).view(emb.shape)
    dC = torch.zeros_like(C)
    for k in range(n):
        for j in range(xb.shape[1]):
            dC[xb[k, j]] += demb[k, j]
    grads = (dC, embcat.T @ dhprebn, torch.zeros_like(b1), h.T @ dlogits,
             dlogits.sum(0), (bnraw * dhpreact).sum(0), dhpreact.sum(0))
    return F.cross_entropy(logits, yb).item(), grads


@pytest.mark.parametrize("answer", [by_functions, line_by_line])
@pytest.mark.parametrize("statistics", [calibrate, calibrate_rows])
def test_right(capsys, answer, statistics):
    passes(capsys, check.training, answer, statistics)


# Unwritten ------------------------------------------------------------------


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
def test_the_starter_is_not_written_yet(unwritten):
    for answer in ((unwritten, unwritten), (by_functions, unwritten)):
        assert "training: not written yet" in refuses(check.training, *answer)


# Wrong gradients ------------------------------------------------------------


def wrong(*, dlogits=None, da=None, dx=None, dC=None, forward=forward,
          end=lambda grads: grads):
    """An answer with one part spoiled."""
    def answer(params, xb, yb):
        C, W1, b1, W2, b2, gain, bias = params
        n = len(xb)
        e, x, h, logits = forward(params, xb)
        dl = manual.cross_entropy(logits, yb)
        dl = dlogits(dl, logits, yb) if dlogits else dl
        dh, dW2, db2 = manual.linear(dl, h, W2)
        das = da(dh, h) if da else manual.tanh(dh, h)
        dxs, dgain, dbias = manual.batch_norm(das, x, gain)
        if dx:
            s = (x.var(0) + 1e-5) ** -0.5
            dxs = dx(das, (x - x.mean(0)) * s, s, gain, n)
        de, dW1, db1 = manual.linear(dxs, e, W1)
        de = de.view(*xb.shape, -1)
        dCs = dC(C, xb, de) if dC else manual.embedding(de, xb, len(C))
        grads = [dCs, dW1, db1, dW2, db2, dgain, dbias]
        return F.cross_entropy(logits, yb), end(grads)

    return answer


def of_norm(mean=lambda n: n, var=lambda n: n - 1, gained=True):
    def dx(da, x_hat, s, gain, n):
        out = da - da.sum(0) / mean(n) - x_hat * (da * x_hat).sum(0) / var(n)
        return (gain if gained else 1) * s * out

    return dx


def other_forward(var):
    def forward(params, xb):
        C, W1, b1, W2, b2, gain, bias = params
        e = C[xb].flatten(1)
        x = e @ W1 + b1
        h = torch.tanh(gain * (x - x.mean(0)) / var(x) + bias)
        return e, x, h, h @ W2 + b2

    return forward


def without_norm(params, xb):
    C, W1, b1, W2, b2, *_ = params
    e = C[xb].flatten(1)
    x = e @ W1 + b1
    return e, x, x.tanh(), x.tanh() @ W2 + b2


def assigned(C, xb, de):
    dC = torch.zeros_like(C)
    for k in range(len(xb)):
        for j in range(xb.shape[1]):
            dC[xb[k, j]] = de[k, j]
    return dC


def put(i, x):
    """Grads with the i-th replaced by x(grads)."""
    return lambda grads: [*grads[:i], x(grads), *grads[i + 1:]]


def no_eps_back(da, x_hat, s, gain, n):
    x_hat = x_hat / x_hat.std(0)
    s = 1 / (1 / s**2 - 1e-5).sqrt()
    return of_norm()(da, x_hat, s, gain, n)


def by_backward(params, xb, yb):
    with torch.enable_grad():
        leaves = [p.clone().requires_grad_() for p in params]
        loss = F.cross_entropy(forward(leaves, xb)[-1], yb)
        loss.backward()
    return loss, [p.grad for p in leaves]


def left_on(params, xb, yb):
    """Right by hand, and backward() still called, in vain."""
    with torch.enable_grad():
        leaves = [p.clone().requires_grad_() for p in params]
        F.cross_entropy(forward(leaves, xb)[-1], yb).backward()
    return by_functions(params, xb, yb)


def in_place(params, xb, yb):
    found = by_functions(params, xb, yb)
    for p, grad in zip(params, found[1]):
        p -= 0.1 * grad
    return found


def overwritten_targets(params, xb, yb):
    found = by_functions(params, xb, yb)
    for k in range(len(xb)):
        yb[k] = 0
    return found


INF = math.inf
SPOILED = {
    "n times too large": wrong(dlogits=lambda d, z, y: d * len(y)),
    "take 1 off at each row's target": wrong(
        dlogits=lambda d, z, y: z.softmax(1) / len(y)),
    "The sign is turned": wrong(dlogits=lambda d, z, y: -d),
    "softmax runs over the examples": wrong(dlogits=lambda d, z, y: (
        z.softmax(0) - F.one_hot(y, 27)) / len(y)),
    "tanh is missing on the way back": wrong(da=lambda dh, h: dh),
    "slope of tanh is 1 - h²": wrong(da=lambda dh, h: (1 - h) * dh),
    "mean and variance as constants": wrong(
        dx=of_norm(lambda n: INF, lambda n: INF)),
    "term of the variance is missing": wrong(dx=of_norm(var=lambda n: INF)),
    "term of the mean is missing": wrong(dx=of_norm(lambda n: INF)),
    "The variances do not match": wrong(dx=of_norm(var=lambda n: n)),
    "both terms by n - 1": wrong(dx=of_norm(lambda n: n - 1)),
    "The gain is missing in dx": wrong(dx=of_norm(gained=False)),
    "epsilon is missing on the way back": wrong(dx=no_eps_back),
    "You summed what is behind it": wrong(end=put(2, lambda grads: grads[6])),
    "dC is assigned": wrong(dC=assigned),
    "gradients of one position": wrong(dC=lambda C, xb, de: manual.embedding(
        de[:, -1], xb[:, -1], len(C))),
    "do not belong together": wrong(dC=lambda C, xb, de: manual.embedding(
        de.reshape(xb.shape[1], len(xb), -1), xb.T, len(C))),
    "It is zero": wrong(dC=lambda C, xb, de: torch.zeros_like(C)),
    "another parameter's gradient": wrong(end=put(6, lambda grads: grads[5])),
    "or none, which is the bias's": wrong(end=lambda g: [*g[:5], g[6], g[5]]),
    "this one is transposed": wrong(end=put(3, lambda grads: grads[3].T)),
    "a gradient has the shape of its parameter": wrong(
        end=put(5, lambda grads: grads[5][None])),
    "another precision": wrong(end=lambda g: [x.float() for x in g]),
    "the biased variance": wrong(forward=other_forward(
        lambda x: (x.var(0, correction=0) + 1e-5).sqrt())),
    "The epsilon is missing: divide": wrong(forward=other_forward(
        lambda x: x.std(0))),
    "The epsilon is outside": wrong(forward=other_forward(
        lambda x: x.std(0) + 1e-5)),
    "one of another size": wrong(forward=other_forward(
        lambda x: (x.var(0) + 1e-3).sqrt())),
    "Batch norm is missing": wrong(forward=without_norm),
    "the sum over the batch": lambda p, xb, yb: (
        by_functions(p, xb, yb)[0] * len(xb), by_functions(p, xb, yb)[1]),
    "in bits": lambda p, xb, yb: (
        by_functions(p, xb, yb)[0] / math.log(2), by_functions(p, xb, yb)[1]),
    "return tensors": wrong(end=put(1, lambda grads: grads[1].numpy())),
    "autograd was asked": by_backward,
    "return the loss and a list": lambda *x: by_functions(*x)[1],
    "C was changed in place": in_place,
    "yb was changed in place": overwritten_targets,
    "ZeroDivisionError": lambda *x: 1 / 0,
}


@pytest.mark.parametrize("why", SPOILED)
def test_a_mistake_is_named(why):
    said = refuses(check.training, SPOILED[why], calibrate)
    assert why in said
    shape = "a gradient has the shape of its parameter"
    assert not [w for w in SPOILED if w not in (why, shape) and w in said]


def test_backward_left_on_is_found_beside_right_gradients():
    assert "autograd was asked" in refuses(check.training, left_on, calibrate)


# Wrong statistics -----------------------------------------------------------


def sums(params, idx):
    return params[0][idx].flatten(1) @ params[1] + params[2]


STATISTICS = {
    "is a standard deviation": lambda p, idx: (
        sums(p, idx).mean(0), sums(p, idx).std(0)),
    "second one is 1 / sqrt": lambda p, idx: (
        sums(p, idx).mean(0), (sums(p, idx).var(0) + 1e-5) ** -0.5),
    "biased variance": lambda p, idx: (
        sums(p, idx).mean(0), sums(p, idx).var(0, correction=0)),
    "epsilon is in the variance already": lambda p, idx: (
        sums(p, idx).mean(0), sums(p, idx).var(0) + 1e-5),
    "statistics of a part": lambda p, idx: calibrate(p, idx[-32:]),
    "in the other order": lambda p, idx: calibrate(p, idx)[::-1],
    "b1 is missing": lambda p, idx: calibrate(
        [*p[:2], torch.zeros_like(p[2])], idx),
    "statistics of what comes out": lambda p, idx: (
        lambda z: (z.mean(0), z.var(0)))(p[5] * (
            sums(p, idx) - sums(p, idx).mean(0)) / (
                sums(p, idx).var(0) + 1e-5).sqrt() + p[6]),
}


@pytest.mark.parametrize("why", STATISTICS)
def test_wrong_statistics_are_named(why):
    said = refuses(check.training, by_functions, STATISTICS[why])
    assert why in said
    assert not [w for w in STATISTICS if w != why and w in said]


# Trained parameters ---------------------------------------------------------


def start():
    g = torch.Generator().manual_seed(1)
    sizes = (27, 10), (30, 200), (200,), (200, 27), (27,), (200,), (200,)
    scales = 1, (5 / 3) / 30**0.5, 0, 0.05, 0, 0.1, 0.1
    params = [torch.randn(size, generator=g) * scale
              for size, scale in zip(sizes, scales)]
    params[5] += 1
    return params


@functools.cache
def trained(steps, *parts):
    """Adam on drawn contexts that know the shares of their targets."""
    names = sum((list(getattr(SPLITS, part)) for part in parts), [])
    contexts, counts = data.distinct_contexts(*data.windows(names, 3))
    total = counts.sum(1)
    shares = (counts / total[:, None]).float()
    params = [p.requires_grad_() for p in start()]
    adam = torch.optim.AdamW(params, weight_decay=0.01, fused=True)
    g = torch.Generator().manual_seed(1)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        ix = total.multinomial(512, replacement=True, generator=g)
        logits = forward(params, contexts[ix])[-1]
        adam.zero_grad()
        F.cross_entropy(logits, shares[ix]).backward()
        adam.step()
    return [p.detach() for p in params]


SPLITS = data.split(data.load_names())
GOOD = 900


def test_a_trained_net_passes(capsys):
    params = trained(GOOD, "train")
    passes(capsys, check.training, by_functions, calibrate, params)
    rows = [p[None] if p.ndim == 1 else p for p in params]
    passes(capsys, check.training, by_functions, calibrate, rows)


@pytest.mark.parametrize("params, why", [
    (start, "has hardly learned anything"),
    (lambda: trained(100, "train"), "has not finished learning"),
    (lambda: trained(GOOD, "train", "val"), "validation names"),
    (lambda: [p * math.nan for p in start()], "ran away"),
    (lambda: start()[:5], "12,297 parameters"),
    (lambda: [p[:, :7] if p.ndim == 2 else p for p in start()],
     "12,297 parameters"),
])
def test_a_net_that_is_not_good_enough(params, why):
    said = refuses(check.training, by_functions, calibrate, params())
    assert why in said

"""Backward passes of the net's layers, written by hand: no autograd in here.

Each function takes `dout`, the gradient of the loss in what a layer gave, and
what the layer got; it returns the gradient in what the layer got. A gradient
has the shape of what it belongs to. Shapes: N examples, C channels, V
vocabulary, T positions, D width of a query; `...` is any number of axes, none
among them.
"""

import torch
import torch.nn.functional as F


def cross_entropy(logits, targets):
    """dlogits (N, V) of the mean cross-entropy of logits (N, V): (p - y) / N.

    p are the rows' probabilities and y is 1 at the row's target, from targets
    (N,) int64, else 0; so each row sums to zero. One row of equal logits gives
    1 / V everywhere, but 1 / V - 1 at the target. ValueError for other shapes.
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(
            f"targets of shape {tuple(targets.shape)}: logits of shape "
            f"{tuple(logits.shape)} must be (N, V), with one target a row"
        )
    n, vocab_size = logits.shape
    return (logits.softmax(1) - F.one_hot(targets, vocab_size)) / n


def linear(dout, x, weight):
    """(dx, dweight, dbias) of x @ weight + bias, from dout (..., n_out).

    dx = dout weight^T (..., n_in), dweight = x^T dout (n_in, n_out) and
    dbias = sum of dout (n_out,), both over every leading axis. ValueError if
    dout and x (..., n_in) differ in their leading axes.
    """
    if dout.shape[:-1] != x.shape[:-1]:
        raise ValueError(
            f"dout of shape {tuple(dout.shape)}: must have the leading axes "
            f"of x, whose shape is {tuple(x.shape)}"
        )
    n_in, n_out = weight.shape
    rows = dout.reshape(-1, n_out)  # one row an example
    return dout @ weight.T, x.reshape(-1, n_in).T @ rows, rows.sum(0)


def tanh(dout, out):
    """dx (...) of out = tanh(x) (...): (1 - out^2) dout, entry by entry.

    At out = 0 the slope is 1. ValueError if dout and out differ in shape.
    """
    if dout.shape != out.shape:
        raise ValueError(
            f"dout of shape {tuple(dout.shape)}: must have the shape of out, "
            f"{tuple(out.shape)}"
        )
    return (1 - out**2) * dout


def batch_norm(dout, x, gain, eps=1e-5, unbiased=True):
    """(dx, dgain, dbias) of gain x_hat + bias over a batch x (N, C).

    x_hat = (x - mean) s with s = 1 / sqrt(var + eps), mean and variance over
    the examples. `unbiased` is the lecture's variance, over m = N - 1; False
    is torch's, over m = N. dbias = sum of dout, dgain = sum of dout x_hat,
    both (C,) like gain, and

        dx = gain s (dout - dbias / N - x_hat dgain / m),

    whose columns sum to zero. ValueError for a batch of one, which has no
    variance, and for a dout without the shape of x. Ioffe and Szegedy (2015).
    """
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(
            f"x of shape {tuple(x.shape)}: must be (N, C) with N at least 2"
        )
    if dout.shape != x.shape:
        raise ValueError(
            f"dout of shape {tuple(dout.shape)}: must have the shape of x, "
            f"{tuple(x.shape)}"
        )
    n = len(x)
    m = n - 1 if unbiased else n
    diff = x - x.mean(0)
    s = (diff.square().sum(0) / m + eps) ** -0.5
    x_hat = diff * s
    dgain, dbias = (dout * x_hat).sum(0), dout.sum(0)
    dx = gain * s * (dout - dbias / n - x_hat * dgain / m)
    return dx, dgain, dbias


def embedding(dout, idx, vocab_size):
    """dweight (vocab_size, n_embd) of weight[idx], from dout (..., n_embd).

    Row i is the sum of the rows of dout wherever idx (...) int64 is i, and
    zero where it never is. ValueError if dout is not idx with an axis more.
    """
    if dout.shape[:-1] != idx.shape:
        raise ValueError(
            f"dout of shape {tuple(dout.shape)}: must have the axes of idx, "
            f"whose shape is {tuple(idx.shape)}, and one more"
        )
    rows = dout.reshape(-1, dout.shape[-1])
    dweight = rows.new_zeros(vocab_size, rows.shape[1])
    return dweight.index_add_(0, idx.reshape(-1), rows)


def attention(dout, q, k, v):
    """(dq, dk, dv) of causal attention with q, k, v (..., T, D).

    out = P v, with P (..., T, T) the softmax of q k^T / sqrt(D) over the keys
    that are not later than the query. From dout (..., T, D)

        dv = P^T dout,  dP = dout v^T,
        dS = P (dP - sum of P dP over the keys),  entry by entry,
        dq = dS k / sqrt(D),  dk = dS^T q / sqrt(D).

    With T = 1 there is nothing to choose: dv = dout, dq = dk = 0. ValueError
    if the four differ in shape. Vaswani et al. (2017).
    """
    if q.ndim < 2 or not dout.shape == q.shape == k.shape == v.shape:
        raise ValueError(
            f"dout, q, k, v of shapes {tuple(dout.shape)}, {tuple(q.shape)}, "
            f"{tuple(k.shape)}, {tuple(v.shape)}: must be (..., T, D), one "
            "shape for all"
        )
    T, D = q.shape[-2:]
    scale = D**-0.5
    later = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ k.mT * scale).masked_fill(later, -torch.inf)
    probs = scores.softmax(-1)  # (..., T, T), a row for each query
    dprobs = dout @ v.mT
    inner = (probs * dprobs).sum(-1, keepdim=True)
    dscores = probs * (dprobs - inner) * scale
    return dscores @ k, dscores.mT @ q, probs.mT @ dout

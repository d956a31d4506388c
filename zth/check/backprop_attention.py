"""The checker of the backward pass of causal attention (L5-S1).

A mistake's docstring is what the reader reads. Shapes: dout, q, k, v (..., T,
D); P and dP (..., T, T), with a row for each query.
"""

import torch

from zth.check.by_hand import by_hand, unchanged
from zth.check.tensors import TensorCheck as Check

__all__ = ["attention"]


def row_by_row(dout, q, k, v):
    """The specification: one query after the other, in plain loops.

    dout, q, k, v (T, D) float64; softmax's Jacobian entry by entry.
    """
    T, D = q.shape
    dq, dk, dv = (torch.zeros(T, D, dtype=q.dtype) for _ in range(3))
    for t in range(T):
        p = (k[:t + 1] @ q[t] / D**0.5).softmax(0)
        for j in range(t + 1):
            dv[j] += p[j] * dout[t]
            ds = sum(p[i] * (float(i == j) - p[j]) * (dout[t] @ v[i])
                     for i in range(t + 1))
            dq[t] += ds * k[j] / D**0.5
            dk[j] += ds * q[t] / D**0.5
    return dq, dk, dv


def each_head(dout, q, k, v):
    """The specification on (..., T, D)."""
    heads = [row_by_row(*head) for head in zip(
        *(x.reshape(-1, *x.shape[-2:]) for x in (dout, q, k, v)))]
    return [torch.stack(part).view(q.shape) for part in zip(*heads)]


def forward(q, k, *, scale=None, hidden=None, fill=-torch.inf, axis=-1):
    """P (..., T, T), the causal softmax, or with a part done differently."""
    T, D = q.shape[-2:]
    scores = q @ k.mT * (D**-0.5 if scale is None else scale)
    ones = torch.ones(T, T, dtype=torch.bool)
    hidden = ones.triu(1) if hidden is None else hidden(ones)
    return scores.masked_fill(hidden, fill).softmax(axis)


def softmax_back(P, dP, axis=-1):
    return P * (dP - (P * dP).sum(axis, keepdim=True))


def backward(name, dout, q, k, v, P=None, jacobian=softmax_back, scale=None):
    """dq, dk or dv, from probabilities and a Jacobian that may be wrong."""
    P = forward(q, k) if P is None else P
    if name == "dv":
        return P.mT @ dout
    dS = jacobian(P, dout @ v.mT) * (
        q.shape[-1]**-0.5 if scale is None else scale)
    return dS @ k if name == "dq" else dS.mT @ q


def scale_forgotten(got, name, dout, q, k, v):
    """The scale is missing on the way back: the logits are q·k / √D, so dq and
    dk carry 1 / √D as well."""
    yield backward(name, dout, q, k, v, scale=1.0)


def scale_twice(got, name, dout, q, k, v):
    """The scale is applied twice on the way back: divide by √D once, between
    dS and its product with k or q."""
    yield backward(name, dout, q, k, v, scale=1 / q.shape[-1])


def scale_in_front_missing(got, name, dout, q, k, v):
    """Your softmax is that of q·k: divide by √D before it, D being the last
    axis."""
    for scale in (None, 1.0):
        yield backward(name, dout, q, k, v, forward(q, k, scale=1.0),
                       scale=scale)


def scale_of_something_else(got, name, dout, q, k, v):
    """You divide by D or by √T: divide by √D, D being the last axis."""
    T, D = q.shape[-2:]
    for scale in (1 / D, T**-0.5):
        for back in (scale, None):
            yield backward(name, dout, q, k, v, forward(q, k, scale=scale),
                           scale=back)


def second_term_missing(got, name, dout, q, k, v):
    """The second term of softmax's Jacobian is missing: the probabilities of a
    row sum to 1, so raising one logit lowers the others. Take the row's sum of
    P dP off dP."""
    yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * dP)


def diagonal_alone(got, name, dout, q, k, v):
    """You took each probability for a function of its own logit, with slope
    p (1 - p). That is the diagonal of the Jacobian: the rest of it is not
    zero."""
    yield backward(name, dout, q, k, v,
                   jacobian=lambda P, dP: P * (1 - P) * dP)


def softmax_skipped(got, name, dout, q, k, v):
    """The gradient passes through the softmax unchanged: its Jacobian is
    missing."""
    for jacobian in (lambda P, dP: dP.tril(), lambda P, dP: dP):
        yield backward(name, dout, q, k, v, jacobian=jacobian)


def summed_over_queries(got, name, dout, q, k, v):
    """In the Jacobian the sum of P dP runs over the queries: a query's logits
    are a row, sum along it, over the keys, axis -1."""
    yield backward(name, dout, q, k, v,
                   jacobian=lambda P, dP: softmax_back(P, dP, -2))


def one_sum_for_all(got, name, dout, q, k, v):
    """In the Jacobian there is one sum of P dP for the whole matrix: each
    query has one of its own, over its keys."""
    for axes in ((-2, -1), tuple(range(q.ndim))):
        yield backward(name, dout, q, k, v,
                       jacobian=lambda P, dP: softmax_back(P, dP, axes))


def axis_lost(got, name, dout, q, k, v):
    """The row sums lost their axis and were subtracted along the other one:
    keepdim=True keeps it."""
    yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * (
        dP - (P * dP).sum(-1)[..., None, :]))


def not_weighted(got, name, dout, q, k, v):
    """You take the plain sum or mean of a row of dP off: weight it with P."""
    for what in (torch.Tensor.mean, torch.Tensor.sum):
        yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * (
            dP - what(dP, -1, keepdim=True)))


def second_term_added(got, name, dout, q, k, v):
    """The second term of softmax's Jacobian is added: subtract it."""
    yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * (
        dP + (P * dP).sum(-1, keepdim=True)))


def softmax_over_queries(got, name, dout, q, k, v):
    """The softmax runs over the queries: the weights of one query sum to 1, so
    take it over the keys, axis -1 of q kᵀ."""
    for hidden in (None, torch.zeros_like):
        P = forward(q, k, hidden=hidden, axis=-2)
        for axis in (-2, -1):
            yield backward(name, dout, q, k, v, P, jacobian=lambda P, dP: (
                softmax_back(P, dP, axis)))


def no_mask(got, name, dout, q, k, v):
    """There is no mask: query t sees the keys 0 to t alone."""
    yield backward(name, dout, q, k, v, forward(q, k, hidden=torch.zeros_like))


def no_mask_back(got, name, dout, q, k, v):
    """The mask is missing on the way back: the probabilities that you
    recompute there are not those of the forward pass, and later keys get a
    gradient."""
    out = forward(q, k) @ v
    P = forward(q, k, hidden=torch.zeros_like)
    yield backward(name, dout, q, k, v, P, lambda P, dP: P * (
        dP - (dout * out).sum(-1, keepdim=True)))
    yield backward(name, dout, q, k, v, jacobian=lambda _, dP: softmax_back(
        P, dP))


def masked_after(got, name, dout, q, k, v):
    """You cut the later keys off after the softmax, and the rows no longer sum
    to 1: set their logits to minus infinity before it."""
    P = forward(q, k, hidden=torch.zeros_like)
    yield backward(name, dout, q, k, v, P.tril())
    yield backward(name, dout, q, k, v, P.tril(), lambda _, dP: softmax_back(
        P, dP.tril()))


def masked_with_zero(got, name, dout, q, k, v):
    """A hidden logit of 0 still gets its share of the softmax: fill in minus
    infinity."""
    P = forward(q, k, fill=0.0)
    for jacobian in (softmax_back, lambda P, dP: softmax_back(P, dP).tril()):
        yield backward(name, dout, q, k, v, P, jacobian)


def mask_turned(got, name, dout, q, k, v):
    """The mask is turned: query t sees what comes later and not what came
    before. Hide the keys j > t, triu(1)."""
    yield backward(name, dout, q, k, v, forward(
        q, k, hidden=lambda ones: ones.tril(-1)))


def own_key_hidden(got, name, dout, q, k, v):
    """A query does not see its own position, and the first one sees nothing:
    hide the keys j > t, triu with diagonal=1."""
    yield backward(name, dout, q, k, v, forward(
        q, k, hidden=torch.Tensor.triu))


def transposed(got, name, dout, q, k, v):
    """A transpose is missing, or one too many: P and dS have a row for each
    query, so that dq = dS k, dk = dSᵀ q, dv = Pᵀ dout."""
    P = forward(q, k)
    dS = softmax_back(P, dout @ v.mT) / q.shape[-1]**0.5
    yield {"dq": dS.mT @ k, "dk": dS @ q, "dv": P @ dout}[name]
    if name != "dv":
        yield backward(name, dout, q, k, v, jacobian=lambda P, dP: (
            softmax_back(P, dP.mT)))


def with_itself(got, name, dout, q, k, v):
    """dq is made of queries, or dk of keys: the logits are q·k, so a query's
    gradient is a sum of keys, and a key's a sum of queries."""
    if name != "dv":  # with k and q exchanged behind the softmax
        yield backward(name, dout, k, q, v, forward(q, k))


def out_of_order(got, name, dout, q, k, v):
    """The three come in another order: return dq, dk, dv."""
    for other in {"dq", "dk", "dv"} - {name}:
        yield backward(other, dout, q, k, v)


def sign_turned(got, name, dout, q, k, v):
    """The sign is turned."""
    yield -backward(name, dout, q, k, v)


def of_ones(got, name, dout, q, k, v):
    """dout has no effect: these are the gradients of the sum of the output."""
    yield backward(name, torch.ones_like(dout), q, k, v)


ATTENTION_MISTAKES = [
    scale_forgotten, scale_twice, scale_in_front_missing,
    second_term_missing, diagonal_alone, no_mask, no_mask_back,
    softmax_over_queries, transposed, with_itself, out_of_order,
    summed_over_queries, one_sum_for_all, axis_lost, not_weighted,
    second_term_added, softmax_skipped, masked_after, masked_with_zero,
    mask_turned, own_key_hidden, scale_of_something_else, sign_turned,
    of_ones]


def attention(backward_pass):
    """Check the backward pass of causal attention, exercise L5-S1.

    backward_pass(dout, q, k, v) -> (dq, dk, dv), all (..., T, D), of
    softmax(q k^T / sqrt(D)) v, where no query sees a later key.
    """
    check = Check("attention")
    g = torch.Generator().manual_seed(check.seed)
    cases = [
        ("T = 3, D = 2, all four random", (3, 2), 1.0),
        ("T = 5, D = 3", (5, 3), 1.0),
        ("T = D = 4", (4, 4), 1.0),
        ("2 × 3 heads at once, T = 6, D = 4", (2, 3, 6, 4), 1.0),
        ("one batch axis, T = 4, D = 5", (3, 4, 5), 1.0),
        ("T = 1: one key, nothing to choose", (1, 3), 1.0),
        ("peaked attention: logits in the hundreds", (6, 4), 300.0)]
    for case, shape, scale in cases:
        dout, q, k, v = torch.randn((4, *shape), generator=g,
                                    dtype=torch.float64)
        inputs = dout, q * scale, k, v
        kept = [x.clone() for x in inputs]
        got = by_hand(check, backward_pass, *inputs, case=case)
        unchanged(check, kept, inputs, ("dout", "q", "k", "v"), case)
        got = got if isinstance(got, (list, tuple)) else [got]
        got = check.unpack(got, 3, "dq, dk, dv", case)
        names = "dq", "dk", "dv"
        want = each_head(*kept)
        for i in (2, 0, 1):  # dv first: it tells whether P is right
            check.expect(names[i], got[i], want[i], ATTENTION_MISTAKES,
                         (names[i], *kept), case=case, atol=1e-9, rtol=1e-7)
        check.cases += 1
    check.passed()

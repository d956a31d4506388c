"""zth.check.backprop, L5-S1; oracle: answers planted right and wrong."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answers import passes, refuses

from zth import manual
from zth.check import backprop as check


def starter(dout, q, k, v):
    raise NotImplementedError


def returns_nothing(dout, q, k, v):
    pass


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
def test_the_starter_is_not_written_yet(unwritten):
    said = refuses(check.attention, unwritten)
    assert "attention: not written yet" in said


# Right ----------------------------------------------------------------------


def with_row_sums(dout, q, k, v):
    """The row sums of dout * out, as FlashAttention has them; a list."""
    T, D = q.shape[-2:]
    S = torch.einsum("...td,...sd->...ts", q, k) / D**0.5
    S = S + torch.full((T, T), -torch.inf).triu(1)
    P = torch.exp(S - torch.logsumexp(S, -1, keepdim=True))
    out = torch.einsum("...ts,...sd->...td", P, v)
    dP = torch.einsum("...td,...sd->...ts", dout, v)
    dS = P * (dP - (dout * out).sum(-1, keepdim=True))
    return [torch.einsum("...ts,...sd->...td", dS, k) / D**0.5,
            torch.einsum("...ts,...td->...sd", dS, q) / D**0.5,
            torch.einsum("...ts,...td->...sd", P, dout)]


def with_jacobians(dout, q, k, v):
    """A Jacobian for each query."""
    T, D = q.shape[-2:]
    S = (q @ k.mT / D**0.5).masked_fill(~torch.ones(T, T).tril().bool(), -1e30)
    P = S.softmax(-1)
    J = torch.diag_embed(P) - P[..., :, None] * P[..., None, :]
    dS = (J @ (dout @ v.mT)[..., None])[..., 0] / D**0.5
    return dS @ k, dS.mT @ q, P.mT @ dout


def in_numpy(dout, q, k, v):
    dout, q, k, v = (x.numpy() for x in (dout, q, k, v))
    T, D = q.shape[-2:]
    S = q @ k.swapaxes(-1, -2) / np.sqrt(D)
    S = np.where(np.tril(np.ones((T, T))) > 0, S, -np.inf)
    P = np.exp(S - S.max(-1, keepdims=True))
    P /= P.sum(-1, keepdims=True)
    dP = dout @ v.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / np.sqrt(D)
    return dS @ k, dS.swapaxes(-1, -2) @ q, P.swapaxes(-1, -2) @ dout


@pytest.mark.parametrize("answer", [
    manual.attention, with_row_sums, with_jacobians, in_numpy])
def test_right(capsys, answer):
    passes(capsys, check.attention, answer)


# Wrong ----------------------------------------------------------------------


def wrong(*, fill=-torch.inf, diagonal=1, tril_after=False, axis=-1,
          ahead=0.5, behind=0.5, jacobian=None, ending=None, back=None):
    """An answer with one part spoiled; powers of D ahead and behind."""
    def answer(dout, q, k, v):
        T, D = q.shape[-2:]
        S = q @ k.mT / D**ahead
        hidden = torch.ones(T, T).triu(diagonal).bool()
        P = S.masked_fill(hidden, fill).softmax(axis)
        P = P.tril() if tril_after else P
        dP, O = dout @ v.mT, P @ v
        P_back = P if back is None else back(S)
        if jacobian:
            dS = jacobian(P_back, dP)
        else:
            dS = P_back * (dP - (dout * O).sum(-1, keepdim=True))
        dS = dS / D**behind
        if ending:
            return ending(dS, P, dout, q, k, v)
        return dS @ k, dS.mT @ q, P.mT @ dout

    return answer


def by_autograd(dout, q, k, v):
    with torch.enable_grad():
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        out = F.scaled_dot_product_attention(*inputs, is_causal=True)
        return torch.autograd.grad(out, inputs, dout)


def by_backward(dout, q, k, v):
    with torch.enable_grad():
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        out = F.scaled_dot_product_attention(*inputs, is_causal=True)
        out.backward(dout)
    return [x.grad for x in inputs]


def by_func(dout, q, k, v):
    def forward(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return torch.func.vjp(forward, q, k, v)[1](dout)


def in_place(dout, q, k, v):
    right = manual.attention(dout, q, k, v)
    q *= q.shape[-1] ** -0.5
    return right


SPOILED = [
    (wrong(behind=0), "scale is missing on the way back"),
    (wrong(behind=1), "applied twice"),
    (wrong(ahead=0), "Your softmax is that of q·k"),
    (wrong(ahead=0, behind=0), "Your softmax is that of q·k"),
    (wrong(ahead=1, behind=1), "You divide by D or by √T"),
    (wrong(jacobian=lambda P, dP: P * dP), "second term of softmax's "
     "Jacobian is missing"),
    (wrong(jacobian=lambda P, dP: P * (1 - P) * dP), "diagonal of the "
     "Jacobian"),
    (wrong(jacobian=lambda P, dP: dP.tril()), "unchanged: its Jacobian"),
    (wrong(jacobian=lambda P, dP: P * (dP - (P * dP).sum(
        -2, keepdim=True))), "runs over the queries: a query's logits"),
    (wrong(jacobian=lambda P, dP: P * (dP - (P * dP).sum())), "one sum of "
     "P dP for the whole matrix"),
    (wrong(jacobian=lambda P, dP: P * (dP - (P * dP).sum(-1)[..., None, :])),
     "keepdim=True keeps it"),
    (wrong(jacobian=lambda P, dP: P * (dP - dP.mean(-1, keepdim=True))),
     "weight it with P"),
    (wrong(jacobian=lambda P, dP: P * (dP + (P * dP).sum(-1, keepdim=True))),
     "is added: subtract it"),
    (wrong(axis=-2), "softmax runs over the queries: the weights"),
    (wrong(axis=-2, jacobian=lambda P, dP: P * (dP - (P * dP).sum(
        -2, keepdim=True))), "softmax runs over the queries: the weights"),
    (wrong(diagonal=99), "There is no mask"),
    (wrong(back=lambda S: S.softmax(-1)), "mask is missing on the way back"),
    (wrong(diagonal=99, tril_after=True, jacobian=lambda P, dP: P * (
        dP - (P * dP).sum(-1, keepdim=True))), "cut the later keys off after"),
    (wrong(fill=0.0), "hidden logit of 0"),
    (wrong(diagonal=0), "does not see its own position"),
    (wrong(ending=lambda dS, P, g, q, k, v: (dS @ k, dS.mT @ q, P @ g)),
     "transpose is missing"),
    (wrong(ending=lambda dS, P, g, q, k, v: (dS @ k, dS @ q, P.mT @ g)),
     "transpose is missing"),
    (wrong(ending=lambda dS, P, g, q, k, v: (dS.mT @ k, dS.mT @ q, P.mT @ g)),
     "transpose is missing"),
    (wrong(ending=lambda dS, P, g, q, k, v: (dS @ q, dS.mT @ k, P.mT @ g)),
     "dq is made of queries"),
    (wrong(ending=lambda dS, P, g, q, k, v: (P.mT @ g, dS @ k, dS.mT @ q)),
     "come in another order"),
    (wrong(ending=lambda dS, P, g, q, k, v: (-dS @ k, -dS.mT @ q, P.mT @ g)),
     "sign is turned"),
    (lambda dout, *x: manual.attention(torch.ones_like(dout), *x),
     "dout has no effect"),
    (by_autograd, "autograd was asked"),
    (by_backward, "autograd was asked"),
    (by_func, "autograd was asked"),
    (in_place, "q was changed in place"),
    (lambda *x: manual.attention(*x)[0], "return dq, dk, dv"),
    (lambda *x: 1 / 0, "ZeroDivisionError"),
]


@pytest.mark.parametrize("answer, why", SPOILED, ids=[w for _, w in SPOILED])
def test_a_mistake_is_named(answer, why):
    assert why in refuses(check.attention, answer)


def test_the_mask_turned_round():
    def answer(dout, q, k, v):
        flipped = (x.flip(-2) for x in (dout, q, k, v))
        return [x.flip(-2) for x in manual.attention(*flipped)]

    assert "mask is turned" in refuses(check.attention, answer)


def test_an_unknown_mistake_shows_where_it_differs():
    def answer(*x):
        dq, dk, dv = manual.attention(*x)
        return dq, dk * 1.001, dv

    said = refuses(check.attention, answer)
    assert "expected dk" in said and "likely" not in said


def test_autograd_works_again_after_a_check():
    refuses(check.attention, by_autograd)
    x = torch.ones(2, requires_grad=True)
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]

"""zth.manual.attention; oracle: autograd of torch's own attention, float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from zth import manual

SIZES = st.integers(1, 7)


def randn(seed, shape, scale=1.0):
    """dout, q, k, v in float64; `scale` makes the logits larger."""
    g = torch.Generator().manual_seed(seed)
    dout, q, k, v = torch.randn((4, *shape), generator=g, dtype=torch.float64)
    return dout, q * scale, k, v


@given(st.lists(SIZES, max_size=2), SIZES, SIZES, st.integers(0, 2**31),
       st.sampled_from([0.0, 1.0, 10.0]))
def test_against_torch(leading, T, D, seed, scale):
    dout, *inputs = randn(seed, (*leading, T, D), scale)
    got = manual.attention(dout, *inputs)
    inputs = [x.requires_grad_() for x in inputs]
    out = F.scaled_dot_product_attention(*inputs, is_causal=True)
    wanted = torch.autograd.grad(out, inputs, dout)
    # entries cancel: the room is that of the terms of the sums
    room = 1e-12 * T * dout.abs().max() * max(x.abs().max() for x in inputs)
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape and a.dtype == torch.float64
        assert ((a - b).abs() <= room * (1 + scale)).all()


def test_at_the_size_of_a_head():
    dout, *inputs = randn(0, (4, 6, 64, 16))
    got = manual.attention(dout, *inputs)
    inputs = [x.requires_grad_() for x in inputs]
    out = F.scaled_dot_product_attention(*inputs, is_causal=True)
    for a, b in zip(got, torch.autograd.grad(out, inputs, dout)):
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()


def test_by_hand():
    # the second query weighs both keys alike, and pulls towards the value 3
    dout, q, k, v = torch.tensor(
        [[[0.0], [1]], [[7], [0]], [[1], [5]], [[1], [3]]])
    dq, dk, dv = manual.attention(dout, q, k, v)
    # dS = P (dP - sum of P dP) = [1/2 (1 - 2), 1/2 (3 - 2)]
    assert dq.tolist() == [[0], [0.5 * (5 - 1)]]
    assert dk.tolist() == [[0], [0]]
    assert dv.tolist() == [[0.5], [0.5]]


def test_the_future_gets_exactly_nothing():
    dout, *inputs = randn(1, (3, 8, 4))
    dout[:, :5] = 0
    dout[:, 6:] = 0  # position 5 alone
    dq, dk, dv = manual.attention(dout, *inputs)
    assert not dk[:, 6:].any() and not dv[:, 6:].any()
    assert dv[:, :6].all()
    assert dq[:, 5].all()
    dq[:, 5] = 0
    assert not dq.any()


def test_one_position_has_nothing_to_choose():
    dout, *inputs = randn(2, (3, 1, 4))
    dq, dk, dv = manual.attention(dout, *inputs)
    assert not dq.any() and not dk.any() and torch.equal(dv, dout)


def test_large_logits_stay_finite():
    dout, *inputs = randn(3, (5, 4), 1e4)
    assert all(x.isfinite().all() for x in manual.attention(dout, *inputs))


def test_no_argument_is_changed_and_float32_stays():
    given_ = [x.float() for x in randn(4, (2, 5, 4))]
    kept = [x.clone() for x in given_]
    got = manual.attention(*given_)
    assert all(map(torch.equal, kept, given_))
    assert {x.dtype for x in got} == {torch.float32}


@pytest.mark.parametrize("shapes", [
    [(4, 3), (4, 3), (5, 3), (5, 3)], [(4, 2), (4, 3), (4, 3), (4, 2)],
    [(3,), (3,), (3,), (3,)], [(2, 4, 3), (4, 3), (4, 3), (4, 3)]])
def test_wrong_shapes_are_refused(shapes):
    with pytest.raises(ValueError) as error:
        manual.attention(*map(torch.zeros, shapes))
    said = str(error.value)
    assert all(str(shape) in said for shape in shapes)
    assert "must be (..., T, D), one shape for all" in said

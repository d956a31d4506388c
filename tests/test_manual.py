"""zth.manual; oracle: autograd in float64, and torch.nn.BatchNorm1d."""

import ast
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zth import manual

SIZES, SEEDS = st.integers(1, 7), st.integers(0, 2**31)
LEADING = st.lists(SIZES, max_size=3)


def randn(seed, *shapes):
    """A float64 tensor of each shape."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=g, dtype=torch.float64)
            for shape in shapes]


def same(got, function, inputs, pull=None):
    """Assert what autograd gives, to 1e-12 of the tensor's largest entry."""
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    wanted = torch.autograd.grad(function(*inputs), inputs, pull)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted):
        assert a.shape == b.shape and a.dtype == torch.float64
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()


# Against autograd -----------------------------------------------------------


@given(SIZES, st.integers(2, 30), SEEDS)
def test_cross_entropy(n, vocab_size, seed):
    (logits,) = randn(seed, (n, vocab_size))
    targets = torch.arange(seed, seed + n) % vocab_size
    got = manual.cross_entropy(logits, targets)
    same([got], lambda z: F.cross_entropy(z, targets), [logits])
    assert got.sum(1).abs().max() < 1e-15


def test_cross_entropy_by_hand():
    got = manual.cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
    assert got.tolist() == [[0.25, 0.25, -0.75, 0.25]]


def test_cross_entropy_of_large_logits():
    logits = torch.tensor([[1000.0, 0.0], [-1000.0, 1000.0]])
    got = manual.cross_entropy(logits, torch.tensor([1, 1]))
    assert got.tolist() == [[0.5, -0.5], [0.0, 0.0]]


@given(LEADING, SIZES, SIZES, SEEDS)
def test_linear(leading, n_in, n_out, seed):
    x, weight, bias, dout = randn(
        seed, (*leading, n_in), (n_in, n_out), (n_out,), (*leading, n_out))
    same(manual.linear(dout, x, weight), lambda x, w, b: x @ w + b,
         [x, weight, bias], dout)


def test_linear_of_what_is_not_contiguous():
    x, weight, bias, dout = randn(1, (4, 5, 3), (2, 4), (2,), (5, 3, 2))
    x = x.permute(1, 2, 0)
    same(manual.linear(dout, x, weight.T), lambda x, w, b: x @ w + b,
         [x, weight.T, bias], dout)


@given(LEADING, SEEDS)
def test_tanh(shape, seed):
    x, dout = randn(seed, shape, shape)
    same([manual.tanh(dout, x.tanh())], torch.tanh, [x], dout)


@pytest.mark.parametrize("unbiased", [True, False])
@given(st.integers(2, 40), SIZES, SEEDS, st.sampled_from([0.0, 1e-5, 0.1]))
def test_batch_norm(unbiased, n, channels, seed, eps):
    x, gain, bias, dout = randn(
        seed, (n, channels), (channels,), (channels,), (n, channels))

    def forward(x, gain, bias):
        var = x.var(0, correction=int(unbiased))
        return gain * (x - x.mean(0)) / (var + eps).sqrt() + bias

    # two examples' dx cancel almost: the room is that of what is subtracted
    got = manual.batch_norm(dout, x, gain, eps, unbiased)
    inputs = [t.clone().requires_grad_() for t in (x, gain, bias)]
    wanted = torch.autograd.grad(forward(*inputs), inputs, dout)
    slope = (gain.abs() / (x.var(0, correction=int(unbiased)) + eps).sqrt())
    for a, b, scale in zip(got, wanted, (slope, 1, 1)):
        assert a.shape == b.shape
        room = 1e-12 * dout.abs().max() * n * scale
        assert ((a - b).abs() <= room).all()
    assert (got[0].sum(0).abs() <= 1e-12 * n * slope * dout.abs().max()).all()


@pytest.mark.parametrize("unbiased", [True, False])
def test_batch_norm_at_the_lectures_size(unbiased):
    x, gain, bias, dout = randn(0, (32, 64), (64,), (64,), (32, 64))
    same(manual.batch_norm(dout, x, gain, unbiased=unbiased),
         lambda x, g, b: g * (x - x.mean(0)) / (
             x.var(0, correction=int(unbiased)) + 1e-5).sqrt() + b,
         [x, gain, bias], dout)


def test_batch_norm_biased_is_torchs():
    x, gain, bias, dout = randn(0, (32, 6), (6,), (6,), (32, 6))
    layer = nn.BatchNorm1d(6, eps=1e-3).double()
    layer.weight.data, layer.bias.data = gain, bias
    wanted = torch.autograd.grad(
        layer(x.requires_grad_()), [x, layer.weight, layer.bias], dout)
    got = manual.batch_norm(dout, x.detach(), gain, 1e-3, unbiased=False)
    for a, b in zip(got, wanted):
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()


@given(LEADING, st.integers(1, 30), SIZES, SEEDS)
def test_embedding(shape, vocab_size, n_embd, seed):
    weight, dout = randn(seed, (vocab_size, n_embd), (*shape, n_embd))
    g = torch.Generator().manual_seed(seed)
    idx = torch.randint(vocab_size, shape, generator=g)  # some repeat
    same([manual.embedding(dout, idx, vocab_size)], lambda w: w[idx],
         [weight], dout)


def test_embedding_by_hand():
    dout = torch.tensor([[1.0, 2.0], [10.0, 20.0], [3.0, 4.0]])
    got = manual.embedding(dout, torch.tensor([2, 0, 2]), 4)
    assert got.tolist() == [[10, 20], [0, 0], [4, 6], [0, 0]]


# What the functions promise -------------------------------------------------


def test_no_argument_is_changed_and_no_graph_is_left():
    x, weight, gain, dout = randn(0, (5, 4), (4, 3), (3,), (5, 3))
    targets, idx = torch.arange(5) % 3, torch.arange(5) % 2
    y = x @ weight
    kept = [t.clone() for t in (x, weight, gain, dout, targets, idx, y)]
    manual.cross_entropy(y, targets), manual.linear(dout, x, weight)
    manual.tanh(dout, y), manual.batch_norm(dout, y, gain)
    manual.embedding(dout, idx, 2)
    after = x, weight, gain, dout, targets, idx, y
    assert all(map(torch.equal, kept, after))


def test_float32_stays_float32():
    x, weight, dout = (t.float() for t in randn(0, (5, 4), (4, 3), (5, 3)))
    targets = torch.arange(5) % 3
    outs = [manual.cross_entropy(dout, targets), manual.tanh(dout, dout),
            *manual.linear(dout, x, weight), manual.embedding(
                dout, targets, 3), *manual.batch_norm(dout, dout, dout[0])]
    assert {out.dtype for out in outs} == {torch.float32}


def test_no_autograd_is_called():
    code = ast.parse(Path(manual.__file__).read_text("utf-8"))
    called = {node.attr for node in ast.walk(code)
              if isinstance(node, ast.Attribute)}
    assert not called & {"autograd", "grad", "backward", "requires_grad_"}


def zeros(*shape):
    return torch.zeros(shape)


@pytest.mark.parametrize("call, message", [
    (lambda: manual.cross_entropy(zeros(4, 3), zeros(4, 1).long()),
     "targets of shape (4, 1): logits of shape (4, 3) must be (N, V), with "
     "one target a row"),
    (lambda: manual.cross_entropy(zeros(2, 4, 3), zeros(2, 4).long()),
     "logits of shape (2, 4, 3) must be (N, V)"),
    (lambda: manual.linear(zeros(2, 3, 4), zeros(3, 2, 5), zeros(5, 4)),
     "dout of shape (2, 3, 4): must have the leading axes of x, whose shape "
     "is (3, 2, 5)"),
    (lambda: manual.tanh(zeros(3), zeros(2, 3)),
     "dout of shape (3,): must have the shape of out, (2, 3)"),
    (lambda: manual.batch_norm(zeros(1, 3), zeros(1, 3), zeros(3)),
     "x of shape (1, 3): must be (N, C) with N at least 2"),
    (lambda: manual.batch_norm(zeros(4, 5, 3), zeros(4, 5, 3), zeros(3)),
     "x of shape (4, 5, 3): must be (N, C)"),
    (lambda: manual.batch_norm(zeros(3), zeros(4, 3), zeros(3)),
     "dout of shape (3,): must have the shape of x, (4, 3)"),
    (lambda: manual.embedding(zeros(3, 2, 4), zeros(2, 3).long(), 5),
     "dout of shape (3, 2, 4): must have the axes of idx, whose shape is "
     "(2, 3), and one more"),
])
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize("i", [-1, 3])
def test_an_id_outside_the_vocabulary_is_refused(i):
    ids = torch.tensor([i])
    with pytest.raises((IndexError, RuntimeError)):
        manual.embedding(zeros(1, 2), ids, 3)
    with pytest.raises((IndexError, RuntimeError)):
        manual.cross_entropy(zeros(1, 3), ids)

"""zth.layers; oracle: torch.nn with copied weights, in float64."""

import copy

import pytest
import torch
from torch import nn

from zth.layers import (
    BatchNorm1d,
    Embedding,
    Flatten,
    FlattenConsecutive,
    Linear,
    Sequential,
    Tanh,
)

close = torch.testing.assert_close


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=1):
    return torch.randn(shape, generator=gen(seed), dtype=torch.float64)


def double(layer):
    """The layer, its parameters and buffers in float64."""
    for tensor in [*layer.parameters(), *layer.buffers()]:
        tensor.data = tensor.data.double()
    return layer


def net(bias=False, seed=0):
    """A small net of the lecture's kind, in float64."""
    g = gen(seed)
    layers = [Embedding(11, 4, generator=g), Flatten()]
    for fan_in in (12, 8):
        layers += [Linear(fan_in, 8, bias=bias, generator=g), BatchNorm1d(8)]
        layers += [Tanh()]
    return double(Sequential(*layers, Linear(8, 11, generator=g)))


class Twin(nn.Module):
    """The same net of torch.nn, with the weights of ours."""

    def __init__(self, ours):
        super().__init__()
        kinds = {Embedding: embedding, Linear: linear, BatchNorm1d: norm,
                 Tanh: lambda _: nn.Tanh(), Flatten: lambda _: nn.Flatten()}
        self.layers = nn.Sequential(
            *(kinds[type(layer)](layer) for layer in ours.layers))

    def forward(self, x):
        return self.layers(x)

    def pairs(self, ours):
        """(ours, torch's) for each parameter; torch's as ours lies."""
        for mine, its in zip(ours.layers, self.layers):
            if isinstance(mine, Linear):
                yield mine.weight, its.weight, True
                if mine.bias is not None:
                    yield mine.bias, its.bias, False
            elif isinstance(mine, BatchNorm1d):
                yield mine.gamma, its.weight, False
                yield mine.beta, its.bias, False
            elif isinstance(mine, Embedding):
                yield mine.weight, its.weight, False


def embedding(layer):
    return nn.Embedding.from_pretrained(
        layer.weight.detach().clone(), freeze=False)


def linear(layer):
    fan_in, fan_out = layer.weight.shape
    twin = nn.Linear(fan_in, fan_out, bias=layer.bias is not None).double()
    twin.weight.data = layer.weight.detach().T.clone()
    if layer.bias is not None:
        twin.bias.data = layer.bias.detach().clone()
    return twin


def norm(layer):
    twin = nn.BatchNorm1d(
        len(layer.gamma), eps=layer.eps, momentum=layer.momentum).double()
    twin.weight.data = layer.gamma.detach().clone()
    twin.bias.data = layer.beta.detach().clone()
    return twin


# Single layers ----------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 6), (6,), (2, 3, 6), (0, 6)])
def test_linear_is_torchs(shape, bias):
    ours = double(Linear(6, 4, bias=bias, generator=gen()))
    if bias:
        ours.bias.data = randn(4, seed=2)
    x = randn(*shape)
    close(ours(x), linear(ours)(x))


def test_linear_starts_as_the_lectures():
    ours = Linear(30, 200, generator=gen(2147483647))
    weight = torch.randn((30, 200), generator=gen(2147483647)) / 30**0.5
    assert torch.equal(ours.weight, weight) and ours.bias.abs().sum() == 0
    y = ours(torch.randn(2000, 30, generator=gen()))
    assert abs(y.std().item() - 1) < 0.02


@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 5), (2, 2, 3, 5)])
@pytest.mark.parametrize("momentum, eps", [(0.1, 1e-5), (0.001, 0.1), (1, 1e-3)])
def test_batch_norm_is_torchs_through_training(shape, momentum, eps):
    ours = double(BatchNorm1d(5, eps=eps, momentum=momentum))
    ours.gamma.data, ours.beta.data = randn(5, seed=2), randn(5, seed=3)
    its = norm(ours)
    for seed in range(4, 9):
        x = (2 + 3 * randn(*shape, seed=seed)).requires_grad_()
        flat = x.detach().view(-1, 5).requires_grad_()
        pull = randn(*shape, seed=seed + 9)
        y, wanted = ours(x), its(flat)
        close(y, wanted.view(shape))
        y.backward(pull)
        wanted.backward(pull.view(-1, 5))
        close(x.grad, flat.grad.view(shape))
        close(ours.running_mean, its.running_mean)
        close(ours.running_var, its.running_var)
    close(ours.gamma.grad, its.weight.grad)
    close(ours.beta.grad, its.bias.grad)
    x, before = randn(*shape), copy.deepcopy(ours.buffers())
    ours.eval(), its.eval()
    close(ours(x), its(x.view(-1, 5)).view(shape))
    assert all(map(torch.equal, before, ours.buffers()))  # eval moves nothing


def test_batch_norm_by_hand():
    bn = double(BatchNorm1d(1, eps=0.0))
    x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    assert bn(x).tolist() == [[-1.0], [1.0]]  # mean 2, biased variance 1
    close(bn.running_mean, torch.tensor([0.2]).double())  # 0.9 0 + 0.1 2
    close(bn.running_var, torch.tensor([1.1]).double())  # 0.9 1 + 0.1 2
    assert not any(b.requires_grad for b in bn.buffers())


def test_three_axes_equal_two():
    three, two = double(BatchNorm1d(5)), double(BatchNorm1d(5))
    x = randn(4, 3, 5)
    close(three(x).view(12, 5), two(x.view(12, 5)), rtol=0, atol=1e-15)
    close(three.running_var, two.running_var)


def test_embedding_picks_rows_and_adds_gradients():
    table = double(Embedding(6, 3, generator=gen()))
    idx = torch.tensor([[1, 1], [5, 0]])
    y = table(idx)
    assert torch.equal(y, table.weight[idx]) and y.shape == (2, 2, 3)
    y.sum().backward()
    assert table.weight.grad[:, 0].tolist() == [1, 2, 0, 0, 0, 1]


def test_flatten_puts_positions_side_by_side():
    x = torch.arange(12).view(2, 3, 2)
    assert Flatten()(x).tolist() == [[*range(6)], [*range(6, 12)]]


@pytest.mark.parametrize("shape, n", [
    ((2, 8, 3), 2), ((2, 8, 3), 4), ((5, 6, 1), 3), ((1, 4, 2), 1),
    ((0, 4, 2), 2)])
def test_flatten_consecutive_puts_neighbours_side_by_side(shape, n):
    x = randn(*shape).requires_grad_()
    B, T, C = shape
    y = FlattenConsecutive(n)(x)
    assert torch.equal(y, x.view(B, T // n, n * C))
    assert torch.equal(y, torch.cat([x[:, i::n] for i in range(n)], -1))
    windows = x.unfold(1, n, n)  # (B, T / n, C, n)
    assert torch.equal(y, windows.transpose(2, 3).flatten(2))
    pull = randn(*y.shape, seed=2)
    y.backward(pull)
    assert torch.equal(x.grad, pull.view(shape))


def test_flatten_consecutive_by_hand():
    x = torch.arange(8).view(1, 4, 2)
    assert FlattenConsecutive(2)(x).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7]]]
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(FlattenConsecutive(2)(turned), FlattenConsecutive(2)(x))


@pytest.mark.parametrize("shape, n, left", [
    ((5, 2, 3), 2, (5, 6)), ((5, 8, 3), 8, (5, 24)), ((5, 1, 3), 1, (5, 3)),
    ((1, 2, 3), 2, (1, 6)), ((1, 4, 3), 2, (1, 2, 6))])
def test_one_position_left_loses_its_axis(shape, n, left):
    x = randn(*shape)
    y = FlattenConsecutive(n)(x)
    assert y.shape == left and torch.equal(y.flatten(), x.flatten())


# Whole nets -------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_a_net_trains_as_torchs(bias):
    ours = net(bias)
    its = Twin(ours)
    idx = torch.randint(0, 11, (9, 3), generator=gen(5))
    targets = torch.randint(0, 11, (9,), generator=gen(6))
    for _ in range(5):
        for model, parameters in (
                (ours, ours.parameters()), (its, list(its.parameters()))):
            loss = nn.functional.cross_entropy(model(idx), targets)
            for p in parameters:
                p.grad = None
            loss.backward()
            with torch.no_grad():
                for p in parameters:
                    p -= 0.5 * p.grad
    pairs = list(its.pairs(ours))
    assert len(pairs) == len(ours.parameters()) == len([*its.parameters()])
    for mine, twin, transposed in pairs:
        close(mine.grad, twin.grad.T if transposed else twin.grad)
        close(mine, twin.T if transposed else twin)
    ours.eval(), its.eval()
    close(ours(idx[:1]), its(idx[:1]))  # one example is enough now


def test_the_lectures_deep_net_has_47_024_parameters():
    g = gen(2147483647)
    layers = [Embedding(27, 10, generator=g), Flatten()]
    for fan_in in (30, 100, 100, 100, 100):
        layers += [Linear(fan_in, 100, bias=False, generator=g)]
        layers += [BatchNorm1d(100), Tanh()]
    layers += [Linear(100, 27, bias=False, generator=g), BatchNorm1d(27)]
    model = Sequential(*layers)
    assert sum(p.numel() for p in model.parameters()) == 47024
    logits = model(torch.zeros(2, 3, dtype=torch.int64))
    assert logits.shape == (2, 27)


def test_the_switch_reaches_every_layer():
    model = net()
    outer = Sequential(model)
    assert all(layer.training for layer in model.layers)
    assert outer.eval() is outer
    assert not any(layer.training for layer in model.layers)
    assert outer.train() is outer
    assert all(layer.training for layer in model.layers)


def test_training_lets_examples_see_each_other_and_eval_does_not():
    model = net()
    idx = torch.randint(0, 11, (6, 3), generator=gen(5))
    other = torch.cat([idx[:1], idx[1:].flip(1)])
    before = model(idx)
    assert (before[0] - model(other)[0]).abs().max() > 1e-3
    model.eval()
    close(model(idx)[0], model(other)[0], rtol=0, atol=1e-14)
    close(model(idx)[:1], model(idx[:1]), rtol=0, atol=1e-14)


def test_a_generator_decides_everything():
    first, second, third = net(seed=0), net(seed=0), net(seed=1)
    same = [torch.equal(a, b) for a, b in
            zip(first.parameters(), second.parameters())]
    assert all(same)
    assert not torch.equal(first.layers[0].weight, third.layers[0].weight)


# Refused ----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 5), (5,), (1, 1, 5)])
def test_a_single_example_has_no_variance(shape):
    bn = double(BatchNorm1d(5))
    with pytest.raises(ValueError, match=r"x of shape \(.*at least 2"):
        bn(randn(*shape))
    assert torch.equal(bn.running_mean, torch.zeros(5).double())
    close(bn.eval()(randn(*shape)), randn(*shape) / (1 + 1e-5) ** 0.5)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("dim", [1, 4])
def test_channels_must_be_the_last_axis(dim, mode):
    with pytest.raises(ValueError, match=f"last axis must have dim = {dim}"):
        BatchNorm1d(dim).train(mode)(torch.zeros(4, 4, 5))


@pytest.mark.parametrize("id_", [-1, 6])
def test_an_id_outside_the_table(id_):
    with pytest.raises(IndexError):
        Embedding(6, 3, generator=gen())(torch.tensor([id_]))


@pytest.mark.parametrize("shape, n", [
    ((2, 7, 3), 2), ((2, 8, 3), 3), ((2, 3, 1), 4), ((8, 3), 2),
    ((2, 2, 4, 3), 2)])
def test_positions_must_come_in_groups(shape, n):
    with pytest.raises(ValueError) as error:
        FlattenConsecutive(n)(torch.zeros(shape))
    assert str(error.value) == (f"x of shape {shape}: must be (B, T, C), "
                                f"with T a multiple of n = {n}")


def test_arguments_are_named():
    with pytest.raises(ValueError, match="n = 0: must be at least 1"):
        FlattenConsecutive(0)
    with pytest.raises(ValueError, match="fan_in = 0, fan_out = 4"):
        Linear(0, 4, generator=gen())
    with pytest.raises(ValueError, match="momentum = 1.5"):
        BatchNorm1d(3, momentum=1.5)
    with pytest.raises(TypeError):
        Linear(3, 4)  # no generator

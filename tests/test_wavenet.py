"""zth.wavenet; oracle: torch's conv1d with the same weights, in float64."""

import pytest
import torch
import torch.nn.functional as F

from zth.layers import (BatchNorm1d, Embedding, FlattenConsecutive, Linear,
                        Sequential, Tanh)
from zth.wavenet import Dilated, Gated, WaveNet, convolution, tree

close = torch.testing.assert_close


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=1):
    return torch.randn(shape, generator=gen(seed), dtype=torch.float64)


def ids(*shape, vocab_size=27, seed=1):
    return torch.randint(vocab_size, shape, generator=gen(seed))


def shaken(model):
    """The model in float64, nothing in it at 0 or 1, in evaluation mode."""
    for seed, p in enumerate(model.parameters()):
        p.data = p.data.double() + 0.3 * randn(*p.shape, seed=seed)
    for seed, b in enumerate(model.buffers()):
        b.data = b.data.double() + 0.5 * randn(*b.shape, seed=seed).abs()
    return model.eval()


def windows(idx, size):
    """Each context of a text: (B, size - 1 + T) to (B T, size)."""
    return idx.unfold(1, size, 1).reshape(-1, size)


def off(a, b):
    """Largest difference over the largest entry."""
    return ((a - b).abs().max() / b.abs().max()).item()


def conv1d(x, linear, dilation):
    """torch's convolution of x (B, C, L) with a linear layer of pairs."""
    weight = linear.weight.view(2, -1, linear.weight.shape[1])
    return F.conv1d(x, weight.permute(2, 1, 0), linear.bias,
                    dilation=dilation)


# The tree ---------------------------------------------------------------


@pytest.mark.parametrize("n_embd, n_hidden, count", [
    (24, 128, 76_579), (10, 68, 22_397)])
def test_the_lectures_parameter_counts(n_embd, n_hidden, count):
    model = tree(27, 8, n_embd, n_hidden, generator=gen())
    assert sum(p.numel() for p in model.parameters()) == count


def test_the_draws_are_the_lectures():
    torch.manual_seed(42)
    C = torch.randn((27, 24))
    weights = [torch.randn((n, 128)) / n**0.5 for n in (48, 256, 256)]
    last = torch.randn((128, 27)) / 128**0.5 * 0.1
    model = tree(27, 8, 24, 128, generator=gen(42))
    drawn = [p for p in model.parameters() if p.ndim == 2]
    assert all(map(torch.equal, drawn, [C, *weights, last]))


def test_shapes_at_every_step():
    model, shapes = tree(27, 8, 10, 68, generator=gen()), []
    x = ids(4, 8)
    for layer in model.layers:
        x = layer(x)
        shapes.append((type(layer).__name__, *x.shape[1:]))
    level = ["Linear", "BatchNorm1d", "Tanh"]
    assert shapes == [
        ("Embedding", 8, 10),
        ("FlattenConsecutive", 4, 20), *[(name, 4, 68) for name in level],
        ("FlattenConsecutive", 2, 136), *[(name, 2, 68) for name in level],
        ("FlattenConsecutive", 136), *[(name, 68) for name in level],
        ("Linear", 27)]


@pytest.mark.parametrize("block_size", [2, 4, 8, 16])
def test_a_tree_by_hand(block_size):
    """One node a time, in plain loops, with the definition of batch norm."""
    model = shaken(tree(5, block_size, 3, 4, generator=gen()))
    idx = ids(6, block_size, vocab_size=5)
    C, *levels, last, bias = model.parameters()
    norms = [n for n in model.layers if isinstance(n, BatchNorm1d)]
    rows = []
    for context in idx.tolist():
        nodes = [C[i] for i in context]
        for weight, gamma, beta, norm in zip(
                levels[::3], levels[1::3], levels[2::3], norms):
            joined = [torch.cat([a, b]) @ weight
                      for a, b in zip(nodes[::2], nodes[1::2])]
            std = (norm.running_var + norm.eps).sqrt()
            nodes = [torch.tanh(gamma * (z - norm.running_mean) / std + beta)
                     for z in joined]
        rows.append(nodes[0] @ last + bias)
    close(model(idx), torch.stack(rows), rtol=1e-12, atol=1e-12)


def test_every_character_of_the_context_moves_every_logit():
    model = shaken(tree(27, 8, 10, 12, generator=gen()))
    idx = ids(1, 8)
    for j in range(8):
        other = idx.clone()
        other[0, j] = (idx[0, j] + 1) % 27
        assert (model(other) - model(idx)).abs().min() > 0


# Its convolution ----------------------------------------------------------


@pytest.mark.parametrize("block_size", [2, 4, 8, 16])
@pytest.mark.parametrize("T", [1, 2, 21])
def test_the_convolution_is_the_tree_at_every_position(block_size, T):
    model = shaken(tree(27, block_size, 5, 7, generator=gen()))
    idx = ids(3, block_size - 1 + T)
    got = convolution(model)(idx)
    assert got.shape == (3, T, 27)
    assert off(got.flatten(0, 1), model(windows(idx, block_size))) < 1e-12


@pytest.mark.parametrize("block_size", [2, 8, 16])
def test_the_tree_is_torchs_dilated_convolution(block_size):
    model = shaken(tree(27, block_size, 5, 7, generator=gen()))
    idx = ids(3, block_size - 1 + 13)
    embedding, *layers = model.layers
    x, dilation = embedding(idx).transpose(1, 2), 1  # (B, C, L)
    for layer in layers[:-1]:
        if isinstance(layer, Linear):
            x, dilation = conv1d(x, layer, dilation), 2 * dilation
        elif isinstance(layer, BatchNorm1d):
            x = F.batch_norm(x, layer.running_mean, layer.running_var,
                             layer.gamma, layer.beta, eps=layer.eps)
        elif isinstance(layer, Tanh):
            x = x.tanh()
    x = F.conv1d(x, layers[-1].weight.T[:, :, None], layers[-1].bias)
    assert off(convolution(model)(idx), x.transpose(1, 2)) < 1e-12
    rows = x.transpose(1, 2).flatten(0, 1)
    assert off(model(windows(idx, block_size)), rows) < 1e-12


def test_the_context_of_a_row_is_eight_characters_and_none_that_follows():
    model = convolution(shaken(tree(27, 8, 10, 12, generator=gen())))
    idx = ids(1, 7 + 30)
    before = model(idx)
    for j in range(idx.shape[1]):
        other = idx.clone()
        other[0, j] = (idx[0, j] + 1) % 27
        moved = (model(other) - before).abs().amax(-1)[0] > 0
        rows = torch.arange(30)  # row t has read t to t + 7
        assert torch.equal(moved, (rows <= j) & (j <= rows + 7))


def test_the_convolution_has_the_trees_own_layers():
    model = tree(27, 8, 4, 6, generator=gen())
    twin = convolution(model)
    assert all(a is b for a, b in zip(model.parameters(), twin.parameters()))
    assert all(a is b for a, b in zip(model.buffers(), twin.buffers()))
    twin.eval()
    assert not any(layer.training for layer in model.layers
                   if isinstance(layer, BatchNorm1d))


def test_in_training_mode_the_two_differ():
    model = shaken(tree(27, 8, 4, 6, generator=gen())).train()
    idx = ids(5, 7 + 9)
    tree_, twin = model(windows(idx, 8)), convolution(model)(idx)
    assert off(twin.flatten(0, 1), tree_) > 1e-3


# WaveNet's own unit ---------------------------------------------------------


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_the_gated_unit_is_two_convolutions(dilation):
    unit = Gated(4, dilation, generator=gen())
    for seed, p in enumerate(unit.parameters()):
        p.data = randn(*p.shape, seed=seed)
    x = randn(3, 11, 4)
    turned = x.transpose(1, 2)
    signal = conv1d(turned, unit.signal, dilation)
    gate = conv1d(turned, unit.gate, dilation)
    wanted = signal.tanh() * gate.sigmoid()
    close(unit(x), wanted.transpose(1, 2), rtol=1e-12, atol=1e-12)
    assert unit(x).shape == (3, 11 - dilation, 4)


def small(levels=3):
    model = WaveNet(27, 4, 6, levels, generator=gen())
    for seed, p in enumerate(model.parameters()):
        p.data = randn(*p.shape, seed=seed) / 2
    return model


@pytest.mark.parametrize("levels", [1, 3, 4])
def test_the_net_is_torchs_with_residual_and_skip(levels):
    model, idx = small(levels), ids(3, 2**levels - 1 + 9)
    x, total = model.embedding(idx).transpose(1, 2), 0
    for i, unit in enumerate(model.units):
        z = (conv1d(x, unit.signal, 2**i).tanh()
             * conv1d(x, unit.gate, 2**i).sigmoid())
        skip = model.skip[i]
        total = total + F.conv1d(z, skip.weight.T[:, :, None],
                                 skip.bias)[:, :, -9:]
        if i < levels - 1:
            residual = model.residual[i]
            z = F.conv1d(z, residual.weight.T[:, :, None], residual.bias)
            x = x[:, :, 2**i:] + z
    for layer in model.head:
        total = F.conv1d(total.relu(), layer.weight.T[:, :, None], layer.bias)
    assert model(idx).shape == (3, 9, 27)
    assert off(model(idx), total.transpose(1, 2)) < 1e-12


def test_every_weight_of_the_net_has_a_gradient_and_is_listed_once():
    model = small()
    F.cross_entropy(model(ids(5, 12)).flatten(0, 1), ids(25)).backward()
    parameters = model.parameters()
    assert all(p.grad.abs().max() > 0 for p in parameters)
    assert len({id(p) for p in parameters}) == len(parameters)
    pair, square = 8 * 4 + 4, 4 * 4 + 4
    assert sum(p.numel() for p in parameters) == (
        27 * 4 + 3 * 2 * pair + 2 * square + 3 * (4 * 6 + 6)
        + (6 * 6 + 6) + (6 * 27 + 27))


def test_the_net_reads_as_far_as_the_tree_and_not_ahead():
    model, idx = small(), ids(1, 7 + 12)
    before = model(idx)
    for j in range(idx.shape[1]):
        other = idx.clone()
        other[0, j] = (idx[0, j] + 1) % 27
        moved = (model(other) - before).abs().amax(-1)[0] > 0
        rows = torch.arange(12)
        assert torch.equal(moved, (rows <= j) & (j <= rows + 7))


def test_a_generator_decides_everything():
    for build in (lambda g: tree(27, 8, 4, 6, generator=g),
                  lambda g: WaveNet(27, 4, 6, 3, generator=g)):
        first, second, third = (build(gen(s)).parameters() for s in (0, 0, 1))
        assert all(map(torch.equal, first, second))
        assert not torch.equal(first[0], third[0])


# Refused ----------------------------------------------------------------


@pytest.mark.parametrize("block_size", [-8, 0, 1, 3, 6, 12])
def test_a_tree_has_a_power_of_two(block_size):
    with pytest.raises(ValueError, match=f"block_size = {block_size}: must"):
        tree(27, block_size, 4, 6, generator=gen())


def test_a_tree_refuses_another_context():
    model = tree(27, 8, 4, 6, generator=gen())
    for T in (7, 12):
        with pytest.raises(ValueError, match="multiple of n = 2"):
            model(ids(2, T))


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 1, 4), (2, 8)])
def test_a_text_must_be_longer_than_the_dilation(shape):
    with pytest.raises(ValueError) as error:
        Dilated(3)(torch.zeros(shape))
    assert str(error.value) == (f"x of shape {shape}: must be (B, T, C), with "
                                "T more than the dilation, 3")


def test_arguments_are_named():
    with pytest.raises(ValueError, match="dilation = 0: must be at least 1"):
        Dilated(0)
    with pytest.raises(ValueError, match="levels = 0: must be at least 1"):
        WaveNet(27, 4, 6, 0, generator=gen())
    threes = Sequential(Embedding(27, 4, generator=gen()),
                        FlattenConsecutive(3))
    with pytest.raises(ValueError, match=r"FlattenConsecutive\(3\): each"):
        convolution(threes)

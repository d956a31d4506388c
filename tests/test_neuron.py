"""zth.neuron; oracle: the same net in torch with copied weights."""

import random

import pytest
import torch

from zth.engine import Value
from zth.neuron import MLP, Layer, Neuron


def float64(values, **options):
    """A tensor that was never float32."""
    return torch.tensor(values, dtype=torch.float64, **options)


def torch_net(net, activation):
    """A float64 torch net with the same weights."""
    modules = []
    for layer in net.layers:
        neurons = layer.neurons
        linear = torch.nn.Linear(len(neurons[0].w), len(neurons))
        linear.double()
        with torch.no_grad():
            linear.weight[:] = float64(
                [[w.data for w in neuron.w] for neuron in neurons])
            linear.bias[:] = float64([n.b.data for n in neurons])
        modules += [linear, activation()]
    return torch.nn.Sequential(*modules[:-1])


@pytest.mark.parametrize("activation, theirs", [
    (Value.relu, torch.nn.ReLU), (Value.tanh, torch.nn.Tanh)])
@pytest.mark.parametrize("sizes", [[1], [4, 3], [16, 16, 1]])
def test_outputs_and_gradients_are_torchs(activation, theirs, sizes):
    net = MLP(3, sizes, activation, rng=random.Random(1))
    twin = torch_net(net, theirs)
    rng = random.Random(2)
    for _ in range(3):
        x = [rng.uniform(-2, 2) for _ in range(3)]
        out, values = net(x), [Value(xi) for xi in x]
        assert [v.data for v in (out if sizes[-1] > 1 else [out])] \
            == pytest.approx(twin(float64(x)).tolist(), 1e-12)
        net.zero_grad()
        twin.zero_grad()
        out = net(values)
        sum(v**2 for v in (out if sizes[-1] > 1 else [out])).backward()
        inputs = float64(x, requires_grad=True)
        (twin(inputs) ** 2).sum().backward()
        assert [v.grad for v in values] == pytest.approx(
            inputs.grad.tolist(), rel=1e-12, abs=1e-13)
        wanted = []
        for linear in list(twin)[::2]:
            for row, bias in zip(linear.weight.grad, linear.bias.grad):
                wanted += [*row.tolist(), bias.item()]
        assert [p.grad for p in net.parameters()] == pytest.approx(
            wanted, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("n_in, sizes, count", [
    (3, [4, 4, 1], 41), (2, [16, 16, 1], 337), (1, [1], 2)])
def test_parameter_count(n_in, sizes, count):
    parameters = MLP(n_in, sizes).parameters()
    assert len(parameters) == len(set(parameters)) == count


def test_a_seed_decides_the_weights():
    nets = [MLP(2, [3, 1], rng=random.Random(seed)) for seed in (1, 1, 2)]
    a, b, c = [[p.data for p in net.parameters()] for net in nets]
    assert a == b != c


def test_without_a_generator_the_modules_seed_decides_as_in_micrograd():
    random.seed(1337)
    expected = [random.uniform(-1, 1) for _ in range(2)]
    random.seed(1337)
    neuron = Neuron(2)
    assert [w.data for w in neuron.w] == expected and neuron.b.data == 0.0


def test_zero_grad_reaches_every_parameter():
    net = MLP(2, [3, 1], rng=random.Random(1))
    net([1.0, -1.0]).backward()
    assert any(p.grad for p in net.parameters())
    net.zero_grad()
    assert all(p.grad == 0.0 for p in net.parameters())


def test_one_output_is_a_value_several_are_a_list():
    assert type(Layer(2, 1)([1, 2])) is Value
    assert len(Layer(2, 3)([1, 2])) == 3
    assert Neuron(2, None)([0, 0]).op == "sum"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="n_in=0, sizes=.*at least 1"):
        MLP(0, [1])
    with pytest.raises(ValueError, match="sizes=.*must be a layer"):
        MLP(2, [])
    with pytest.raises(ValueError, match="inputs=.*must be 2"):
        MLP(2, [1])([1.0, 2.0, 3.0])

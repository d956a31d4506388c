"""Neurons, layers and a multilayer perceptron of scalars, as in micrograd."""

import random

from zth.engine import Value, weighted_sum


class Module:
    """What has parameters."""

    def parameters(self):
        """All weights and biases, a list of `Value`s."""
        return []

    def zero_grad(self):
        """Set the parameters' grad to 0; other nodes `backward` resets."""
        for parameter in self.parameters():
            parameter.grad = 0.0


class Neuron(Module):
    """activation(w . x + b) of n_in inputs; no activation if it is None.

    Weights are uniform in (-1, 1), drawn from rng in order; the bias is 0.
    """

    def __init__(self, n_in, activation=Value.relu, *, rng=random):
        self.w = [Value(rng.uniform(-1, 1)) for _ in range(n_in)]
        self.b = Value(0)
        self.activation = activation

    def __call__(self, x):
        out = weighted_sum(self.w, x, self.b)
        return self.activation(out) if self.activation else out

    def parameters(self):
        return [*self.w, self.b]


class Layer(Module):
    """n_out neurons that see the same n_in inputs."""

    def __init__(self, n_in, n_out, activation=Value.relu, *, rng=random):
        self.neurons = [Neuron(n_in, activation, rng=rng)
                        for _ in range(n_out)]

    def __call__(self, x):
        """A list of n_out `Value`s; the `Value` itself if n_out is 1."""
        out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self):
        return [p for neuron in self.neurons for p in neuron.parameters()]


class MLP(Module):
    """Layers of sizes[0], sizes[1], ... neurons; the last has no activation.

    rng: a `random.Random`; without one the module `random` itself, as in
    micrograd, so that `random.seed` decides. MLP(2, [16, 16, 1]) has
    16 * 3 + 16 * 17 + 17 = 337 parameters.
    """

    def __init__(self, n_in, sizes, activation=Value.relu, *, rng=random):
        widths = [n_in, *sizes]
        if min(widths) < 1 or not sizes:
            raise ValueError(f"n_in={n_in}, sizes={sizes}: each must be at "
                             "least 1, and there must be a layer")
        last = len(sizes) - 1
        self.layers = [
            Layer(*widths[i:i + 2], activation if i < last else None, rng=rng)
            for i in range(len(sizes))]

    def __call__(self, x):
        """The outputs for inputs x, n_in numbers or `Value`s."""
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]

"""Layers of a feed-forward net, written out on tensors that have autograd.

Shapes: B examples, T positions, C channels; `...` is any number of axes, none
among them. Channels are always the last axis. A model is a `Sequential` from
ids to logits: ``Sequential(Embedding(...), Flatten(), Linear(...), ...)``.
Random weights come from an explicit torch.Generator.
"""

import torch
import torch.nn.functional as F


class Layer:
    """What the layers share: parameters, buffers, and a switch for training.

    Parameters are what gradient descent changes, buffers what a layer
    remembers besides. A new layer is in training mode.
    """

    training = True

    def parameters(self):
        """The tensors to train, in a fixed order."""
        return []

    def buffers(self):
        """The tensors that are kept, but not trained, in a fixed order."""
        return []

    def train(self, mode=True):
        """Switch to training mode, or out of it; returns the layer."""
        self.training = mode
        return self

    def eval(self):
        """Switch to evaluation mode; returns the layer."""
        return self.train(False)


class Linear(Layer):
    """x (..., fan_in) @ weight + bias: (..., fan_out).

    weight (fan_in, fan_out) starts normal with standard deviation
    1 / sqrt(fan_in), so that inputs of variance 1 give outputs of variance 1;
    bias (fan_out,) starts at zero. He, Zhang, Ren and Sun (2015), without
    their gain.
    """

    def __init__(self, fan_in, fan_out, *, bias=True, generator):
        if fan_in < 1 or fan_out < 1:
            raise ValueError(
                f"fan_in = {fan_in}, fan_out = {fan_out}: must be at least 1"
            )
        weight = torch.randn((fan_in, fan_out), generator=generator)
        self.weight = (weight / fan_in**0.5).requires_grad_()
        self.bias = torch.zeros(fan_out, requires_grad=True) if bias else None

    def __call__(self, x):
        y = x @ self.weight
        return y if self.bias is None else y + self.bias

    def parameters(self):
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class BatchNorm1d(Layer):
    """Each channel of x (..., dim) to mean beta and standard deviation gamma.

    In training mode the mean and the variance are those of the batch, over
    every axis but the last, and the running ones move towards them by the
    share `momentum`; in evaluation mode the running ones are used. As in
    torch, the batch is divided by its biased variance (over n), and the
    unbiased one (over n - 1) is stored. A new layer in evaluation mode
    changes x by a factor of 1 / sqrt(1 + eps) alone.

    ValueError for a single example a channel in training mode: it has no
    variance. Ioffe and Szegedy (2015).
    """

    def __init__(self, dim, *, eps=1e-5, momentum=0.1):
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum = {momentum}: must be from 0 to 1")
        self.eps, self.momentum = eps, momentum
        self.gamma = torch.ones(dim, requires_grad=True)
        self.beta = torch.zeros(dim, requires_grad=True)
        self.running_mean = torch.zeros(dim)
        self.running_var = torch.ones(dim)

    def __call__(self, x):
        if x.shape[-1] != len(self.gamma):
            raise ValueError(
                f"x of shape {tuple(x.shape)}: its last axis must have "
                f"dim = {len(self.gamma)} channels"
            )
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = self.batch_statistics(x)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return self.gamma * x_hat + self.beta

    def batch_statistics(self, x):
        """The batch's mean and biased variance, (dim,); moves the running."""
        n = x.numel() // x.shape[-1]
        if n < 2:
            raise ValueError(
                f"x of shape {tuple(x.shape)}: training needs at least 2 "
                "examples a channel; eval() uses the running statistics"
            )
        axes = tuple(range(x.ndim - 1))
        mean, var = x.mean(axes), x.var(axes, correction=0)
        with torch.no_grad():
            unbiased = var * (n / (n - 1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return mean, var

    def parameters(self):
        return [self.gamma, self.beta]

    def buffers(self):
        return [self.running_mean, self.running_var]


class Tanh(Layer):
    """The hyperbolic tangent of each number."""

    def __call__(self, x):
        return x.tanh()


class Embedding(Layer):
    """The row of weight (vocab_size, n_embd) for each id: (..., n_embd).

    weight starts standard normal. IndexError for an id outside the table.
    """

    def __init__(self, vocab_size, n_embd, *, generator):
        weight = torch.randn((vocab_size, n_embd), generator=generator)
        self.weight = weight.requires_grad_()

    def __call__(self, idx):
        # weight[idx], but -1 is no id, and on several threads the gradient's
        # sums keep their order
        return F.embedding(idx, self.weight)

    def parameters(self):
        return [self.weight]


class Flatten(Layer):
    """x (B, T, C) to (B, T C): an example's positions side by side."""

    def __call__(self, x):
        return x.flatten(1)


class FlattenConsecutive(Layer):
    """x (B, T, C) to (B, T / n, n C): each n neighbours side by side.

    Where that leaves one position, its axis goes: (B, n, C) to (B, n C).
    ValueError if x has other axes, or T is no multiple of n. Lecture 6.
    """

    def __init__(self, n):
        if n < 1:
            raise ValueError(f"n = {n}: must be at least 1")
        self.n = n

    def __call__(self, x):
        if x.ndim != 3 or x.shape[1] % self.n:
            raise ValueError(
                f"x of shape {tuple(x.shape)}: must be (B, T, C), with T a "
                f"multiple of n = {self.n}"
            )
        B, T, C = x.shape
        x = x.reshape(B, T // self.n, self.n * C)
        return x.squeeze(1) if T == self.n else x


class Sequential(Layer):
    """The layers one after the other: ``Sequential(f, g)(x) = g(f(x))``.

    `layers` is their list; parameters, buffers and the switch reach them all.
    """

    def __init__(self, *layers):
        self.layers = list(layers)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]

    def buffers(self):
        return [b for layer in self.layers for b in layer.buffers()]

    def train(self, mode=True):
        for layer in self.layers:
            layer.train(mode)
        return super().train(mode)

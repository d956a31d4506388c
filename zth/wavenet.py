"""The WaveNet of lecture 6: a tree over the context, and its convolution.

The tree joins two neighbours at each level, so 2^k positions become one
vector in k levels. The convolution has the same layers and slides them over a
text: the level that joins pairs d positions apart has the dilation d.
`Gated` and `WaveNet` are the unit and the net of the paper.
van den Oord and others (2016).
"""

import torch

from zth.layers import (BatchNorm1d, Embedding, FlattenConsecutive, Layer,
                        Linear, Sequential, Tanh)


def tree(vocab_size, block_size, n_embd, n_hidden, *, generator):
    """The lecture's model: ids (B, block_size) to logits (B, vocab_size).

    The last layer's weights start a tenth as large, so that the first logits
    are close to uniform. ValueError if block_size is no power of two, or 1.
    """
    if block_size < 2 or block_size & (block_size - 1):
        raise ValueError(f"block_size = {block_size}: must be a power of two, "
                         "at least 2")
    fan_in = n_embd
    layers = [Embedding(vocab_size, n_embd, generator=generator)]
    for _ in range(block_size.bit_length() - 1):
        layers += [FlattenConsecutive(2),
                   Linear(2 * fan_in, n_hidden, bias=False,
                          generator=generator),
                   BatchNorm1d(n_hidden), Tanh()]
        fan_in = n_hidden
    last = Linear(n_hidden, vocab_size, generator=generator)
    with torch.no_grad():
        last.weight *= 0.1
    return Sequential(*layers, last)


class Dilated(Layer):
    """x (B, T, C) to (B, T - dilation, 2 C): beside each position, before it,
    the one that lies `dilation` earlier. Nothing is padded.
    """

    def __init__(self, dilation):
        if dilation < 1:
            raise ValueError(f"dilation = {dilation}: must be at least 1")
        self.dilation = dilation

    def __call__(self, x):
        d = self.dilation
        if x.ndim != 3 or x.shape[1] <= d:
            raise ValueError(f"x of shape {tuple(x.shape)}: must be (B, T, C),"
                             f" with T more than the dilation, {d}")
        return torch.cat([x[:, :-d], x[:, d:]], -1)


def convolution(tree):
    """The tree's twin for whole texts: ids (B, block_size - 1 + T) to logits
    (B, T, vocab_size).

    Row t has, in evaluation mode, what the tree gives for the ids t to
    t + block_size - 1. The layers are the tree's own: what trains one trains
    both. ValueError if a level joins other than two.
    """
    layers, dilation = [], 1
    for layer in tree.layers:
        if isinstance(layer, FlattenConsecutive):
            if layer.n != 2:
                raise ValueError(f"FlattenConsecutive({layer.n}): each level "
                                 "must join 2")
            layer, dilation = Dilated(dilation), 2 * dilation
        layers.append(layer)
    return Sequential(*layers)


class Gated(Layer):
    """tanh(pair W) sigmoid(pair V) for each two positions `dilation` apart:
    x (B, T, C) to (B, T - dilation, C).
    """

    def __init__(self, n_channels, dilation, *, generator):
        self.pairs = Dilated(dilation)
        self.signal, self.gate = (
            Linear(2 * n_channels, n_channels, generator=generator)
            for _ in range(2))

    def __call__(self, x):
        pairs = self.pairs(x)
        return self.signal(pairs).tanh() * self.gate(pairs).sigmoid()

    def parameters(self):
        return self.signal.parameters() + self.gate.parameters()


class WaveNet(Layer):
    """The paper's net: ids (B, 2^levels - 1 + T) to logits (B, T, vocab_size).

    Each level's units go on to the next level, added to what came in
    (residual), and to the output, added up over the levels (skip).
    """

    def __init__(self, vocab_size, n_channels, n_skip, levels, *, generator):
        if levels < 1:
            raise ValueError(f"levels = {levels}: must be at least 1")

        def linear(fan_in, fan_out):
            return Linear(fan_in, fan_out, generator=generator)

        self.embedding = Embedding(vocab_size, n_channels, generator=generator)
        self.units = [Gated(n_channels, 2**i, generator=generator)
                      for i in range(levels)]
        self.residual = [linear(n_channels, n_channels)
                         for _ in range(levels - 1)]  # the last has no next
        self.skip = [linear(n_channels, n_skip) for _ in range(levels)]
        self.head = [linear(n_skip, n_skip), linear(n_skip, vocab_size)]

    def __call__(self, idx):
        x, skips = self.embedding(idx), []
        for i, unit in enumerate(self.units):
            z = unit(x)  # (B, T', C), T' shorter by 2^i
            skips.append(self.skip[i](z))
            if i < len(self.residual):
                x = x[:, -z.shape[1]:] + self.residual[i](z)
        T = z.shape[1]  # positions that see a whole context
        total = sum(skip[:, -T:] for skip in skips)
        first, last = self.head
        return last(first(total.relu()).relu())

    def parameters(self):
        layers = [self.embedding, *self.units, *self.residual, *self.skip,
                  *self.head]
        return [p for layer in layers for p in layer.parameters()]

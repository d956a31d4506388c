"""The WaveNet of lecture 6: a tree over the context, and its convolution.

The tree joins two neighbours at each level, so T = 2^k positions become one
vector in k levels. The convolution has the same layers and slides them over a
text: the level that joins pairs d positions apart has the dilation d.
van den Oord and others (2016).
"""

import torch

from zth.layers import (BatchNorm1d, Embedding, FlattenConsecutive, Layer,
                        Linear, Sequential, Tanh)


def tree(vocab_size, block_size, n_embd, n_hidden, *, generator):
    """The lecture's model: ids (B, block_size) to logits (B, vocab_size).

    block_size is a power of two, at least 2: ValueError if not. The last
    layer's weights start a tenth as large, so that the first logits are
    close to uniform.
    """
    if block_size < 2 or block_size & (block_size - 1):
        raise ValueError(f"block_size = {block_size}: must be a power of two, "
                         "at least 2")
    layers, fan_in = [Embedding(vocab_size, n_embd, generator=generator)], n_embd
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
    """x (B, T, C) to (B, T - dilation, 2 C): each position after the one
    that lies `dilation` before it. Nothing is padded.
    """

    def __init__(self, dilation):
        self.dilation = dilation

    def __call__(self, x):
        d = self.dilation
        if x.shape[1] <= d:
            raise ValueError(f"x of shape {tuple(x.shape)}: must have more "
                             f"positions than the dilation, {d}")
        return torch.cat([x[:, :-d], x[:, d:]], -1)


def convolution(tree):
    """The tree's twin for a whole text: ids (B, block_size - 1 + T) to logits
    (B, T, vocab_size).

    It has the tree's own layers, not copies: what trains one trains both.
    Row t of its logits is what the tree gives for ids t to t + block_size - 1.
    """
    layers, dilation = [], 1
    for layer in tree.layers:
        if isinstance(layer, FlattenConsecutive):
            layers.append(Dilated(dilation))
            dilation *= layer.n
        else:
            layers.append(layer)
    return Sequential(*layers)

"""The tree at every position against its convolution: CPU time on one thread.

The lecture's net (24-d embeddings, 128 hidden units), without batch norm,
which costs both the same for each node; the text is the validation names,
each one a text of its own, or 4,096 characters in a row.
"""

import statistics
import time

import torch
import torch.nn.functional as F

from zth.data import NAME_VOCAB, load_names, split, windows

CASES = [{"text": "names", "block_size": 8}] + [
    {"text": "long", "block_size": 2**k} for k in range(2, 8)]
VOLATILE = {"cpu_seconds_tree", "cpu_seconds_convolution"}
N_EMBD, N_HIDDEN = 24, 128


class Net:
    """Both forms of one net; counts what its linear layers are given."""

    def __init__(self, levels):
        g = torch.Generator().manual_seed(1)
        self.table = torch.randn((27, N_EMBD), generator=g)
        sizes = [2 * N_EMBD] + [2 * N_HIDDEN] * (levels - 1)
        self.weights = [torch.randn((n, N_HIDDEN), generator=g) / n**0.5
                        for n in sizes]
        self.last = torch.randn((N_HIDDEN, 27), generator=g) / 10
        self.nodes = self.products = 0

    def linear(self, x, weight):
        rows = x.numel() // x.shape[-1]
        self.nodes += rows * (weight is not self.last)
        self.products += rows * weight.numel()
        return x @ weight

    def tree(self, idx):
        """ids (B, T) to logits (B, 27)."""
        x = F.embedding(idx, self.table)
        for weight in self.weights:
            x = x.reshape(len(x), -1, len(weight))
            x = self.linear(x, weight).tanh()
        return self.linear(x[:, 0], self.last)

    def convolution(self, idx):
        """ids (B, T - 1 + L) to logits (B, L, 27)."""
        x, d = F.embedding(idx, self.table), 1
        for weight in self.weights:
            x = torch.cat([x[:, :-d], x[:, d:]], -1)
            x, d = self.linear(x, weight).tanh(), 2 * d
        return self.linear(x, self.last)


def texts(kind, block_size):
    """(contexts (N, T) in batches, texts of one length each (B, T - 1 + L)).

    The texts are in the order in which the contexts are.
    """
    if kind == "long":
        g = torch.Generator().manual_seed(2)
        ids = torch.randint(27, (1, block_size - 1 + 4096), generator=g)
        return ids[0].unfold(0, block_size, 1).split(256), [ids]
    names = sorted(split(load_names()).val, key=len)
    contexts, _ = windows(names, block_size)
    together = {}
    for name in names:  # its end is a target, but no input
        together.setdefault(len(name), []).append(NAME_VOCAB.encode(name))
    return contexts.split(256), [
        F.pad(torch.stack(of), (block_size, 0)) for of in together.values()]


def measure(text, block_size):
    contexts, whole = texts(text, block_size)
    net = Net(block_size.bit_length() - 1)
    forms = {"tree": lambda: torch.cat([net.tree(c) for c in contexts]),
             "convolution": lambda: torch.cat(
                 [net.convolution(w).flatten(0, 1) for w in whole])}
    found, logits, seconds = {}, {}, {name: [] for name in forms}
    with torch.no_grad():
        for name, form in forms.items():
            net.nodes = net.products = 0
            logits[name] = form()
            found[f"nodes_{name}"] = net.nodes
            found[f"products_{name}"] = net.products
        for _ in range(9):
            for name, form in forms.items():
                start, times = time.process_time(), 0
                while times == 0 or time.process_time() - start < 0.05:
                    form()
                    times += 1
                seconds[name].append((time.process_time() - start) / times)
    a, b = logits.values()
    found["positions"] = len(a)
    found["equal"] = bool((a - b).abs().max() < 1e-5 * a.abs().max())
    return found | {f"cpu_seconds_{name}": statistics.median(times)
                    for name, times in seconds.items()}

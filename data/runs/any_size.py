"""A perceptron of any size in under a minute, and what each part brings.

Every row but the first differs from BEST in what its `change` names.
"""

import time

import torch
import torch.nn.functional as F

from zth.data import distinct_contexts, load_names, split, windows
from zth.train import cosine, decay_groups, evaluate, sampler, train

BEST = {"block_size": 6, "n_embd": 24, "n_hidden": 400, "bend": "relu",
        "dropout": 0.2, "weight_decay": 0.1}
CHANGES = [{}, {"dropout": 0.0, "weight_decay": 0.0}, {"unique": True},
           {"bend": "tanh"}, {"block_size": 3}, {"block_size": 8},
           {"n_hidden": 200}, {"dropout": 0.0}, {"weight_decay": 0.0}]
CASES = [{"change": {}, "seed": 1, "dtype": "float64", "steps": 5}] + [
    {"change": change, "seed": seed, "dtype": "float32", "steps": 2_000}
    for change in CHANGES for seed in (1, 2, 3)]
VOLATILE = {"cpu_seconds"}


class Perceptron:
    """The lecture's net of any size; drops hidden units while it trains."""

    training = True

    def __init__(self, block_size, n_embd, n_hidden, bend, dropout,
                 generator, dtype):
        self.bend = {"relu": torch.relu, "tanh": torch.tanh}[bend]
        self.dropout, self.generator = dropout, generator
        fan_in = block_size * n_embd
        sizes = ((27, n_embd), 1), ((fan_in, n_hidden), (2 / fan_in) ** 0.5), (
            n_hidden, 0), ((n_hidden, 27), 0.01), (27, 0)
        self.parameters = [
            (torch.randn(size, generator=generator).to(dtype) * scale)
            .requires_grad_() for size, scale in sizes]

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def __call__(self, idx):
        C, W1, b1, W2, b2 = self.parameters
        h = self.bend(torch.addmm(b1, F.embedding(idx, C).flatten(1), W1))
        if self.training and self.dropout:
            keep = torch.empty_like(h).bernoulli_(1 - self.dropout,
                                                  generator=self.generator)
            h = h * keep / (1 - self.dropout)
        return torch.addmm(b2, h, W2)


def measure(change, seed, dtype, steps):
    how = BEST | change
    names = load_names()
    if how.pop("unique", False):
        names = list(dict.fromkeys(names))
    weight_decay, block_size = how.pop("weight_decay"), how["block_size"]
    g = torch.Generator().manual_seed(seed)
    model = Perceptron(**how, generator=g, dtype=getattr(torch, dtype))
    splits = split(names)
    known = set(splits.train)
    new = [name for name in splits.val if name not in known]
    examples = windows(splits.train, block_size)
    parts = [distinct_contexts(*examples)] + [
        windows(part, block_size) for part in (splits.val, new)]
    optimizer = torch.optim.AdamW(
        decay_groups(model.parameters, weight_decay), fused=True)
    batch = sampler(*examples, 512, generator=g)
    curve, spent, clock = [], 0.0, time.process_time()
    for step in train(model, batch, optimizer, steps=steps,
                      lr=cosine(0.01, steps, warmup=steps // 50)):
        if step.number % (steps // 5) == 0:
            spent += time.process_time() - clock
            curve.append([step.number, *(
                evaluate(model, *part) for part in parts[:2])])
            clock = time.process_time()
    return {"parameters": sum(p.numel() for p in model.parameters),
            "train": curve[-1][1], "val": curve[-1][2],
            "new": evaluate(model, *parts[2]), "curve": curve,
            "cpu_seconds": spent}

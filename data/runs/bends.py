"""A tree and a flat net of its size, without batch norm and dropout.

The recipe of `tree` and `flat` in the run `challenge`, which have batch norm
and tanh after each linear layer; here it is one function of each number.
"""

import time

import torch

from zth.data import load_names, split, windows
from zth.layers import (Embedding, FlattenConsecutive, Layer, Linear,
                        Sequential)
from zth.train import (cosine, decay_groups, evaluate, evaluating, sampler,
                       train)

SHAPES = {"tree": ((2, 2, 2), 128), "flat": ((8,), 343)}  # joined, hidden
CASES = [{"net": "tree", "bend": "tanh", "seed": 1, "steps": 20,
          "dtype": "float64"}] + [
    {"net": net, "bend": bend, "seed": seed, "steps": 18_000,
     "dtype": "float32"}
    for bend in ("ReLU", "tanh") for net in SHAPES for seed in (1, 2, 3)]
VOLATILE, WORKERS = {"cpu_seconds", "curve"}, 2
GROUPS = 100  # of names; name i is in group i % GROUPS


class Bend(Layer):
    """A function of each number."""

    def __init__(self, function):
        self.function = function

    def __call__(self, x):
        return self.function(x)


def build(net, bend, generator, n_embd=24):
    joined, n_hidden = SHAPES[net]
    bend = Bend({"ReLU": torch.relu, "tanh": torch.tanh}[bend])
    layers, fan_in = [Embedding(27, n_embd, generator=generator)], n_embd
    for n in joined:
        layers += [FlattenConsecutive(n),
                   Linear(n * fan_in, n_hidden, generator=generator), bend]
        fan_in = n_hidden
    last = Linear(n_hidden, 27, generator=generator)
    with torch.no_grad():
        last.weight *= 0.1
    return Sequential(*layers, last)


def groups(model, idx, targets):
    """The loss of each group of names, summed."""
    with evaluating(model):
        p = model(idx).double().softmax(1)
    nll = -p.gather(1, targets[:, None]).log()[:, 0]
    ends = (targets == 0).long()
    return torch.zeros(GROUPS, dtype=torch.float64).index_add(
        0, (ends.cumsum(0) - ends) % GROUPS, nll).tolist()


def measure(net, bend, seed, steps, dtype):
    splits = split(load_names())
    g = torch.Generator().manual_seed(seed)
    model = build(net, bend, g)
    for p in model.parameters():
        p.data = p.data.to(getattr(torch, dtype))
    batch = sampler(*windows(splits.train, 8), 256, generator=g)
    val = windows(splits.val, 8)
    optimizer = torch.optim.AdamW(
        decay_groups(model.parameters(), 0.1), betas=(0.9, 0.99), fused=True)
    curve, spent, clock = [], 0.0, time.process_time()
    for step in train(model, batch, optimizer, steps=steps,
                      lr=cosine(0.003, steps, warmup=steps // 20)):
        if step.number % (steps // 10) == 0:
            spent += time.process_time() - clock
            curve.append([step.number, spent, evaluate(model, *val)])
            clock = time.process_time()
    sample = windows(splits.train[:len(splits.val)], 8)
    return {"parameters": sum(p.numel() for p in model.parameters()),
            "val": curve[-1][2], "train": evaluate(model, *sample),
            "groups": groups(model, *val), "curve": curve,
            "cpu_seconds": spent}

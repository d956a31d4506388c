"""A flat net on seven characters, as in the challenge's solution: its cost."""

import time

import torch

from zth.data import load_names, split, windows
from zth.layers import Embedding, FlattenConsecutive, Layer, Linear, Sequential
from zth.train import cosine, decay_groups, evaluate, sampler, train

BLOCK_SIZE = 7
CASES = [{"seed": 1, "steps": 20, "dtype": "float64"}] + [
    {"seed": seed, "steps": 4000, "dtype": "float32"} for seed in (1, 2, 3)]
VOLATILE = {"cpu_seconds"}


class ReLU(Layer):
    """max(x, 0)."""

    def __call__(self, x):
        return x.relu()


def measure(seed, steps, dtype):
    splits = split(load_names())
    examples = windows(splits.train, BLOCK_SIZE)
    g = torch.Generator().manual_seed(seed)
    model = Sequential(
        Embedding(27, 24, generator=g), FlattenConsecutive(BLOCK_SIZE),
        Linear(24 * BLOCK_SIZE, 400, generator=g), ReLU(),
        Linear(400, 27, generator=g))
    for p in model.parameters():
        p.data = p.data.to(getattr(torch, dtype))
    adamw = torch.optim.AdamW(decay_groups(model.parameters(), 0.2))
    start = time.process_time()
    for _ in train(model, sampler(*examples, 512, generator=g), adamw,
                   steps=steps, lr=cosine(0.008, steps, warmup=steps // 20)):
        pass
    seconds = time.process_time() - start
    loss = evaluate(model, *windows(splits.val, BLOCK_SIZE))
    return {"val": loss, "cpu_seconds": seconds}

"""The lecture's net of 11,897 weights, its recipe changed one thing at a time.

Validation loss against CPU seconds of training; evaluation is not counted.
"""

import time

import torch
import torch.nn.functional as F

from zth.data import distinct_contexts, load_names, split, windows
from zth.train import cosine, decay_groups, evaluate, sampler, train

RECIPES = {
    # name: (start, optimizer, batch, weight decay, rates, steps); the first
    # rate with three seeds, the others with one
    "exact": ("scaled", "AdamW", "all", 0.1, [0.06, 0.03], 500),
    "decay": ("scaled", "AdamW", "contexts", 0.1, [0.02, 0.01, 0.04], 2_500),
    "contexts": ("scaled", "AdamW", "contexts", 0.0, [0.02, 0.01, 0.04],
                 2_500),
    "start": ("scaled", "AdamW", 512, 0.0, [0.01, 0.005, 0.02], 2_500),
    "AdamW": ("lecture", "AdamW", 512, 0.0, [0.02, 0.01, 0.04], 2_500),
    "batch": ("lecture", "SGD", 512, 0.0, [0.5, 0.25, 1.0], 2_500),
    "cosine": ("lecture", "SGD", 32, 0.0, [0.2, 0.1, 0.4], 25_000),
    "lecture": ("lecture", "SGD", 32, 0.0, [0.1], 200_000),
}
CASES = [{"recipe": "exact", "rate": 0.06, "seed": 1, "dtype": "float64",
          "steps": 20}] + [
    {"recipe": name, "rate": rate, "seed": seed, "dtype": "float32",
     "steps": RECIPES[name][5]}
    for name in RECIPES for i, rate in enumerate(RECIPES[name][4])
    for seed in ((1, 2, 3) if i == 0 and name != "lecture" else (1,))]
VOLATILE = {"cpu_seconds"}


def weights(start, generator, dtype):
    """C, W1, b1, W2, b2 as the lecture draws them, or scaled for tanh."""
    C, W1, b1, W2, b2 = [
        torch.randn(size, generator=generator).to(dtype)
        for size in ((27, 10), (30, 200), (200,), (200, 27), (27,))]
    if start == "scaled":
        W1, b1 = W1 * (5 / 3) / 30**0.5, b1 * 0.01
        W2, b2 = W2 * 0.01, b2 * 0
    return [w.requires_grad_() for w in (C, W1, b1, W2, b2)]


def batches(kind, examples, distinct, generator):
    """A batch function: examples, contexts with all they know, or all."""
    if kind == "all":
        return lambda: distinct
    if kind != "contexts":
        return sampler(*examples, kind, generator=generator)
    contexts, counts = distinct
    total = counts.sum(1)
    follows = counts / total[:, None]

    def batch():
        ix = total.multinomial(512, replacement=True, generator=generator)
        return contexts[ix], follows[ix]

    return batch


def measure(recipe, rate, seed, dtype, steps):
    start, optimizer, batch_size, weight_decay, _, _ = RECIPES[recipe]
    g = torch.Generator().manual_seed(seed)
    C, W1, b1, W2, b2 = parameters = weights(start, g, getattr(torch, dtype))

    def model(idx):
        h = torch.tanh(F.embedding(idx, C).flatten(1) @ W1 + b1)
        return h @ W2 + b2

    splits = split(load_names())
    examples, val = windows(splits.train, 3), windows(splits.val, 3)
    distinct = distinct_contexts(*examples)
    batch = batches(batch_size, examples, distinct, g)
    optimizer = getattr(torch.optim, optimizer)(
        decay_groups(parameters, weight_decay))
    lr = cosine(rate, steps, warmup=steps // 50)
    if recipe == "lecture":
        def lr(done):
            return rate if done < steps // 2 else rate / 10

    at = {max(1, round(steps * share / 20)) for share in range(1, 21)}
    at |= {round(steps * 2.0**-k) for k in range(5, 9)} - {0}
    curve, seconds, spent = [], [], 0.0
    clock = time.process_time()
    for step in train(model, batch, optimizer, steps=steps, lr=lr):
        if step.number in at:
            spent += time.process_time() - clock
            curve.append([step.number, evaluate(model, *val)])
            seconds.append(spent)
            clock = time.process_time()
    return {"val": curve[-1][1], "train": evaluate(model, *distinct),
            "curve": curve, "cpu_seconds": seconds}

"""The lecture's tree of 76,579 numbers under two better recipes, over seeds.

Both take AdamW, a warm-up, and a cosine to zero. `long` replaces a share of
the characters that the tree reads, in training alone, by others at random.
`lecture` is the lecture's own recipe for the first steps of its 200,000, for
the seconds of a step.
"""

import time

import torch

from zth.data import load_names, split, windows
from zth.train import cosine, decay_groups, evaluate, sampler, train
from zth.wavenet import tree

RECIPES = {  # batch, peak rate, weight decay, noise, steps
    "short": (256, 0.003, 0.2, 0.0, 9_000),
    "long": (512, 0.005, 0.1, 0.02, 9_500),
    "lecture": (32, 0.1, 0.0, 0.0, 2_000),
}
CASES = [{"recipe": "short", "seed": 1, "steps": 20, "dtype": "float64"}] + [
    {"recipe": recipe, "seed": seed, "steps": RECIPES[recipe][-1],
     "dtype": "float32"}
    for recipe in RECIPES for seed in (1, 2, 3)
    if recipe != "lecture" or seed == 1]
VOLATILE, WORKERS = {"cpu_seconds", "curve"}, 2


def noisy(batch, share, generator):
    """The batches with a share of their inputs replaced by random ids."""
    def changed():
        xb, yb = batch()
        other = torch.randint(27, xb.shape, generator=generator)
        hit = torch.rand(xb.shape, generator=generator) < share
        return torch.where(hit, other, xb), yb

    return changed if share else batch


def measure(recipe, seed, steps, dtype):
    splits = split(load_names())
    g = torch.Generator().manual_seed(seed)
    model = tree(27, 8, 24, 128, generator=g)
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data = tensor.data.to(getattr(torch, dtype))
    batch_size, peak, weight_decay, noise, _ = RECIPES[recipe]
    batch = noisy(sampler(*windows(splits.train, 8), batch_size, generator=g),
                  noise, g)
    val = windows(splits.val, 8)
    optimizer, lr = torch.optim.AdamW(
        decay_groups(model.parameters(), weight_decay), betas=(0.9, 0.99),
        fused=True), cosine(peak, steps, warmup=steps // 20)
    if recipe == "lecture":
        optimizer, lr = torch.optim.SGD(model.parameters()), peak
    curve, spent, clock = [], 0.0, time.process_time()
    for step in train(model, batch, optimizer, steps=steps, lr=lr):
        if step.number % (steps // 10) == 0:
            spent += time.process_time() - clock
            curve.append([step.number, spent, evaluate(model, *val)])
            clock = time.process_time()
    sample = windows(splits.train[:len(splits.val)], 8)
    return {"parameters": sum(p.numel() for p in model.parameters()),
            "val": curve[-1][2], "train": evaluate(model, *sample),
            "curve": curve, "cpu_seconds": spent}

"""Lecture 3's net from five starts: exact losses while it trains."""

import torch
import torch.nn.functional as F

from zth.data import distinct_contexts, load_names, split, windows

STARTS = ["lecture", "calm logits", "zero logits", "calm units", "both"]
SEEDS = [1, 2, 3]
CASES = [{"start": "both", "seed": 1, "steps": 30}] + [
    {"start": start, "seed": seed, "steps": 20_000}
    for seed in SEEDS for start in STARTS]
VOLATILE, WORKERS = set(), 5
MARKS = [0, 10, 30, 100, 300, 1000, 3000, 10_000, 15_000, 20_000]


def initialise(start, generator):
    """C, W1, b1, W2, b2 of 11,897 numbers; one seed is one set of draws."""
    C, W1, b1, W2, b2 = (
        torch.randn(size, generator=generator)
        for size in ((27, 10), (30, 200), 200, (200, 27), 27))
    if start in ("calm units", "both"):
        W1, b1 = W1 / 30**0.5, 0 * b1
    if start in ("calm logits", "both"):
        W2, b2 = 0.01 * W2, 0 * b2
    if start == "zero logits":
        W2, b2 = 0 * W2, 0 * b2
    return [p.requires_grad_() for p in (C, W1, b1, W2, b2)]


def forward(params, idx):
    C, W1, b1, W2, b2 = params
    h = torch.tanh(C[idx].view(len(idx), -1) @ W1 + b1)
    return h, h @ W2 + b2


def exact(params, contexts, counts):
    """The mean loss of all examples, and of tanh outputs the saturated."""
    with torch.no_grad():
        h, logits = forward(params, contexts)
        each = counts.sum(1) / counts.sum()
        loss = -(counts * logits.log_softmax(1)).sum() / counts.sum()
        saturated = each @ (h.abs() > 0.99).double().mean(1)
    return loss.item(), saturated.item()


def measure(start, seed, steps):
    splits = split(load_names())
    X, Y = windows(splits.train, 3)
    train = distinct_contexts(X, Y)
    val = distinct_contexts(*windows(splits.val, 3))
    g = torch.Generator().manual_seed(seed)
    params = initialise(start, g)
    rows = {"step": [], "train": [], "val": [], "saturated": []}
    for step in range(steps + 1):
        if step in MARKS:
            loss, saturated = exact(params, *train)
            rows["step"].append(step)
            rows["train"].append(loss)
            rows["val"].append(exact(params, *val)[0])
            rows["saturated"].append(saturated)
        ix = torch.randint(len(Y), (32,), generator=g)
        loss = F.cross_entropy(forward(params, X[ix])[1], Y[ix])
        lr = 0.1 if step < 15_000 else 0.01
        for p, grad in zip(params, torch.autograd.grad(loss, params)):
            p.data -= lr * grad
    return rows

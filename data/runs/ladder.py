"""The lecture's ladder of fixes: five starts of one net, 200,000 steps each."""

import time

import torch
import torch.nn.functional as F

from zth.data import load_names, split, windows

STAGES = ["original", "softmax", "tanh", "kaiming", "batch norm"]
LECTURE = 2147483647  # its seed; the others are ours
CASES = [{"stage": "batch norm", "seed": LECTURE, "steps": 1000}] + [
    {"stage": stage, "seed": seed, "steps": 200_000}
    for seed in (LECTURE, 1, 2)
    for stage in STAGES
]
VOLATILE = {"cpu_seconds"}


def start(stage, g):
    """The lecture's parameters, drawn in its order; b1 where it has one."""
    C = torch.randn((27, 10), generator=g)
    W1 = torch.randn((30, 200), generator=g)
    b1 = None if stage == "batch norm" else torch.randn(200, generator=g)
    W2 = torch.randn((200, 27), generator=g)
    b2 = torch.randn(27, generator=g)
    if stage != "original":
        W2, b2 = W2 * 0.01, b2 * 0
    if stage == "tanh":
        W1, b1 = W1 * 0.2, b1 * 0.01
    elif stage == "kaiming":
        W1, b1 = W1 * (5 / 3) / 30**0.5, b1 * 0.01
    elif stage == "batch norm":
        W1 = W1 * (5 / 3) / 30**0.5
        return [C, W1, W2, b2, torch.ones(1, 200), torch.zeros(1, 200)]
    return [C, W1, W2, b2, b1]


def hidden(parameters, idx, statistics=None):
    """The activations; where there is batch norm, with these statistics."""
    C, W1, _, _, *rest = parameters
    x = C[idx].view(len(idx), 30) @ W1
    if len(rest) == 1:
        return torch.tanh(x + rest[0])
    gain, bias = rest
    mean, std = statistics
    return torch.tanh(gain * (x - mean) / std + bias)


def of_batch(parameters, idx):
    """Mean and (unbiased) standard deviation of the batch before the tanh."""
    C, W1, *_ = parameters
    x = C[idx].view(len(idx), 30) @ W1
    return x.mean(0, keepdim=True), x.std(0, keepdim=True)


@torch.no_grad()
def loss(parameters, data, statistics):
    idx, targets = data
    h = hidden(parameters, idx, statistics)
    logits = h @ parameters[2] + parameters[3]
    return F.cross_entropy(logits.double(), targets).item()


@torch.no_grad()
def saturation(parameters, data, statistics):
    """Shares of activations beyond 0.99, and of units always beyond it."""
    beyond = hidden(parameters, data[0], statistics).abs() > 0.99
    return beyond.float().mean().item(), beyond.all(0).float().mean().item()


def measure(stage, seed, steps):
    splits = split(load_names())
    train, val = (windows(part, 3) for part in (splits.train, splits.val))
    g = torch.Generator().manual_seed(seed)
    parameters = start(stage, g)
    for p in parameters:
        p.requires_grad_()
    running = torch.zeros(1, 200), torch.ones(1, 200)
    normed = stage == "batch norm"
    with torch.no_grad():
        fresh = of_batch(parameters, train[0]) if normed else None
    saturated, dead = saturation(parameters, train, fresh)
    log, curve, seconds = [], [], 0.0
    for step in range(steps):
        if step % 10_000 == 0:
            curve.append(loss(parameters, val, running))
            clock = time.process_time()
        ix = torch.randint(0, len(train[0]), (32,), generator=g)
        idx, targets = train[0][ix], train[1][ix]
        batch = of_batch(parameters, idx) if normed else None
        h = hidden(parameters, idx, batch)
        logits = h @ parameters[2] + parameters[3]
        batch_loss = F.cross_entropy(logits, targets)
        for p in parameters:
            p.grad = None
        batch_loss.backward()
        lr = 0.1 if step < 100_000 else 0.01
        with torch.no_grad():
            for p in parameters:
                p += -lr * p.grad
            if normed:
                running = tuple(
                    0.999 * r + 0.001 * b for r, b in zip(running, batch)
                )
        if step % 10_000 == 0:
            log.append(batch_loss.item())
        if (step + 1) % 10_000 == 0 or step + 1 == steps:
            seconds += time.process_time() - clock
    with torch.no_grad():
        exact = of_batch(parameters, train[0]) if normed else None
    saturated_end, dead_end = saturation(parameters, train, exact)
    return {
        "first": log[0],
        "train": loss(parameters, train, running),
        "val": loss(parameters, val, running),
        "val_exact": loss(parameters, val, exact),  # statistics of all train
        "train_exact": loss(parameters, train, exact),
        "saturated": saturated,
        "dead": dead,
        "saturated_end": saturated_end,
        "dead_end": dead_end,
        "log": log,
        "curve": curve,
        "cpu_seconds": seconds,
    }

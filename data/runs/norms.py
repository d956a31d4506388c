"""Batch, layer and RMS norm at batch sizes 2 to 256: validation loss."""

import itertools
import math
import time

import torch
import torch.nn.functional as F

from zth.data import distinct_contexts, load_names, split, windows

CASES = [
    {"batch_size": batch_size, "norm": norm, "lr": lr, "seed": seed}
    for batch_size, norm, lr, seed in itertools.product(
        [2, 4, 8, 16, 32, 64, 128, 256],
        ["none", "batch", "layer", "rms"],
        [0.003, 0.01],
        [1, 2, 3],
    )
]
VOLATILE = {"cpu_seconds"}
STEPS, HIDDEN, DEPTH, EPS = 2000, 64, 3, 1e-5


def layer_norm(x, gamma, beta):
    mean = x.mean(-1, keepdim=True)
    var = x.var(-1, keepdim=True, correction=0)
    return gamma * (x - mean) / torch.sqrt(var + EPS) + beta


def rms_norm(x, gamma):
    return gamma * x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS)


def batch_norm(x, gamma, beta, running, momentum):
    """With the batch's statistics, or, momentum None, the running ones."""
    mean, var = running
    if momentum is not None:
        mean, var = x.mean(0), x.var(0, correction=0)
        with torch.no_grad():
            n = len(x)
            running.lerp_(torch.stack([mean, var * n / (n - 1)]), momentum)
    return gamma * (x - mean) / torch.sqrt(var + EPS) + beta


class Net:
    """3 characters of context, 3 hidden layers, the norm before each tanh."""

    def __init__(self, norm, generator):
        def weight(fan_in, fan_out, gain):
            w = torch.randn((fan_in, fan_out), generator=generator)
            return w * (gain / fan_in**0.5)

        self.norm = norm
        gain = 5 / 3 if norm == "none" else 1.0
        self.C = torch.randn((27, 10), generator=generator)
        self.hidden = [
            [weight(fan_in, HIDDEN, gain), torch.ones(HIDDEN),
             torch.zeros(HIDDEN)]
            for fan_in in [30] + [HIDDEN] * (DEPTH - 1)
        ]
        self.out = [weight(HIDDEN, 27, 0.1), torch.zeros(27)]
        self.running = [
            torch.stack([torch.zeros(HIDDEN), torch.ones(HIDDEN)])
            for _ in range(DEPTH)
        ]
        for p in self.parameters():
            p.requires_grad_()

    def parameters(self):
        return [self.C, *sum(self.hidden, []), *self.out]

    def __call__(self, idx, momentum=None):
        x = F.embedding(idx, self.C).flatten(1)
        for (W, gamma, beta), running in zip(self.hidden, self.running):
            x = x @ W
            if self.norm == "batch":
                x = batch_norm(x, gamma, beta, running, momentum)
            elif self.norm == "layer":
                x = layer_norm(x, gamma, beta)
            elif self.norm == "rms":
                x = rms_norm(x, gamma) + beta
            else:
                x = gamma * x + beta
            x = x.tanh()
        W, b = self.out
        return x @ W + b


def measure(batch_size, norm, lr, seed):
    train, val, _ = split(load_names())
    idx, targets = windows(train, 3)
    val_idx, val_targets = windows(val, 3)
    contexts, counts = distinct_contexts(val_idx, val_targets)
    generator = torch.Generator().manual_seed(seed)
    net = Net(norm, generator)
    adam = torch.optim.Adam(net.parameters(), lr=lr, fused=True)
    start = time.process_time()
    for step in range(STEPS):
        ix = torch.randint(len(idx), (batch_size,), generator=generator)
        loss = F.cross_entropy(net(idx[ix], 0.01), targets[ix])
        adam.param_groups[0]["lr"] = lr * (
            1 + math.cos(math.pi * step / STEPS)) / 2
        adam.zero_grad()
        loss.backward()
        adam.step()
    cpu_seconds = time.process_time() - start

    def val_loss():
        logp = net(contexts).log_softmax(1)
        return -((counts * logp).sum() / counts.sum()).item()

    with torch.no_grad():
        found = {"val": val_loss(), "cpu_seconds": cpu_seconds}
        if norm == "batch":
            # each validation example among others, as in training
            order = torch.randperm(len(val_idx), generator=generator)
            batches = order[: len(order) // batch_size * batch_size]
            batches = batches.view(-1, batch_size)[:2048]
            found["val_in_company"] = sum(
                F.cross_entropy(net(val_idx[ix], 0.0), val_targets[ix]).item()
                for ix in batches
            ) / len(batches)
            # and with the statistics of 20,000 training examples at once
            many = torch.randperm(len(idx), generator=generator)[:20000]
            net(idx[many], 1.0)
            found["val_exact_statistics"] = val_loss()
    return found

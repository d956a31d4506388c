"""A GPT that calculates: accuracy with and without a written trace."""

import itertools
import os
import time

import torch

from zth.calculator import (BLOCK, OPERATORS, SYMBOLS, pairs, read, result,
                            rows, supervised, text, write)
from zth.gpt import GPT, GPTConfig
from zth.muon import Muon, muon_groups
from zth.train import cosine, sampler, train

CASES = [{"trace": True, "steps": 3, "dtype": "float64", "seed": 1}]
CASES += [
    {"trace": trace, "steps": steps, "dtype": "float32", "seed": seed}
    for trace, steps in ((True, 3000), (False, 3000), (False, 6000))
    for seed in (1, 2, 3)
]
VOLATILE = {"cpu_seconds"}
WORKERS = min(9, os.cpu_count())
# a step takes BATCH rows of each operator; EVERY so many, ASKED of each are
# solved for the curve
BATCH, PEAK, EVERY, ASKED = 64, 4e-3, 250, 300


def measure(trace, steps, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    model = GPT(GPTConfig(vocab_size=len(SYMBOLS), block_size=BLOCK,
                          n_layer=2, n_head=4, n_embd=64),
                generator=generator)
    model = model.to(getattr(torch, dtype))
    batches = itertools.cycle([
        sampler(*supervised(rows(op, *pairs(held=False), trace=trace)), BATCH,
                generator=generator) for op in OPERATORS])
    asked, known = mixed(held=True), mixed(held=False)

    def solved(op, a, b):
        """(right result, found result, row) of each a op b."""
        return [(result(op, x, y), read(op, row), text(row))
                for x, y, row in zip(a.tolist(), b.tolist(),
                                     write(model, op, a, b).tolist())]

    muon = Muon(muon_groups(model, 0.1), betas=(0.9, 0.99))
    curve, loss, start = [], [], time.process_time()
    for step in train(model, lambda: next(batches)(), muon, steps=steps,
                      accumulate=len(OPERATORS),
                      lr=cosine(PEAK, steps, warmup=100 if steps > 100 else
                                0)):
        loss.append(step.loss)
        if step.number % EVERY == 0:
            before = time.process_time()
            curve.append([step.number, [
                share(solved(op, *asked[:, :ASKED])) for op in OPERATORS]])
            start += time.process_time() - before  # training alone counts
    cpu_seconds = time.process_time() - start
    found = {op: solved(op, *asked) for op in OPERATORS}
    return {
        "loss": torch.stack(loss[-50:]).mean().item(),
        "curve": curve,
        "right": [share(found[op]) for op in OPERATORS],
        "known": [  # as many problems that were trained on
            share(solved(op, *known[:, :asked.shape[1]])) for op in OPERATORS],
        "place": [  # of a product, units first
            share([(want // 10**k % 10, got and got // 10**k % 10, row)
                   for want, got, row in found["*"]]) for k in range(4)],
        "quotient": [  # of 0, 1 to 9, and 10 or more
            share([case for case in found["/"] if case[0] != "E"
                   and len(str(case[0][0]).lstrip("0")) == n])
            for n in range(3)],
        "wrong": {op: [row for want, got, row in found[op]
                       if want != got][:100] for op in OPERATORS},
        "cpu_seconds": cpu_seconds,
    }


def mixed(*, held):
    """The pairs (2, N), in an order without a rule."""
    a, b = pairs(held=held)
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(7))
    return torch.stack([a, b])[:, order]


def share(cases):
    """The share of cases whose result is the right one."""
    return sum(want == got for want, got, _ in cases) / len(cases)

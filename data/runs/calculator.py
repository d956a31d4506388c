"""A GPT that calculates: accuracy with and without a written trace."""

import itertools
import os
import time

import torch

from zth.calculator import (BLOCK, OPERATORS, SYMBOLS, pairs, read, result,
                            rows, supervised, text, write)
from zth.gpt import GPT, GPTConfig
from zth.train import cosine, decay_groups, sampler, train

CASES = [{"trace": True, "steps": 3, "dtype": "float64", "seed": 1}]
CASES += [
    {"trace": trace, "steps": steps, "dtype": "float32", "seed": seed}
    for trace, steps in ((True, 3000), (False, 6000), (False, 3000))
    for seed in (1, 2, 3)
]
VOLATILE = {"cpu_seconds"}
WORKERS = min(9, os.cpu_count())
# a step takes BATCH rows of each operator; EVERY so many, ASKED of each are
# solved for the curve
BATCH, PEAK, EVERY, ASKED = 64, 3e-3, 250, 300


def measure(trace, steps, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    model = GPT(GPTConfig(vocab_size=len(SYMBOLS), block_size=BLOCK,
                          n_layer=2, n_head=4, n_embd=64),
                generator=generator)
    model = model.to(getattr(torch, dtype))
    batches = itertools.cycle([
        sampler(*supervised(rows(op, *pairs(held=False), trace=trace)), BATCH,
                generator=generator) for op in OPERATORS])
    a, b = pairs(held=True)
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(7))
    a, b = a[order], b[order]  # an order without a rule

    def solved(op, limit=None):
        """(right result, found result, row) of the first held-out a op b."""
        x, y = a[:limit], b[:limit]
        return [(result(op, *pair), read(op, row), text(row))
                for *pair, row in zip(x.tolist(), y.tolist(),
                                      write(model, op, x, y).tolist())]

    adam = torch.optim.AdamW(decay_groups(model.parameters(), 0.1),
                             betas=(0.9, 0.99))
    curve, loss, start = [], [], time.process_time()
    for step in train(model, lambda: next(batches)(), adam, steps=steps,
                      accumulate=len(OPERATORS),
                      lr=cosine(PEAK, steps, warmup=100 if steps > 100 else
                                0)):
        loss.append(step.loss)
        if step.number % EVERY == 0:
            before = time.process_time()
            curve.append([step.number, [
                share(solved(op, ASKED)) for op in OPERATORS]])
            start += time.process_time() - before  # training alone counts
    cpu_seconds = time.process_time() - start
    found = {op: solved(op) for op in OPERATORS}
    return {
        "loss": torch.stack(loss[-50:]).mean().item(),
        "curve": curve,
        "right": [share(found[op]) for op in OPERATORS],
        "place": [  # of a product, units first
            share([(want // 10**k % 10, got and got // 10**k % 10, row)
                   for want, got, row in found["*"]]) for k in range(4)],
        "quotient": [  # 0, 1 to 9, and from 10 on
            share([case for case in found["/"] if case[0] != "E"
                   and len(str(case[0][0]).lstrip("0")) == n])
            for n in range(3)],
        "wrong": {op: [row for want, got, row in found[op] if want != got]
                  for op in OPERATORS},
        "cpu_seconds": cpu_seconds,
    }


def share(cases):
    """The share of cases whose result is the right one."""
    return sum(want == got for want, got, _ in cases) / len(cases)

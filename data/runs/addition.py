"""A GPT that adds: accuracy with and without reversal and mask."""

import itertools
import os
import time

import torch

from zth.addition import (PROMPT, add, digits, held_out, longest_chain,
                          problems, rows, supervised)
from zth.gpt import GPT, GPTConfig
from zth.train import cosine, decay_groups, train

# mask: the first supervised position is that of "=" (right), the first of all
# (none), or the one after "=" (late)
CASES = [{"reverse": True, "mask": "right", "steps": 3, "n_embd": 64,
          "dtype": "float64", "seed": 1}]
CASES += [
    {"reverse": reverse, "mask": mask, "steps": steps, "n_embd": n_embd,
     "dtype": "float32", "seed": seed}
    for (mask, steps, n_embd, orders), seed in itertools.product([
        ("right", 4800, 64, [True, False]), ("none", 4800, 64, [True, False]),
        ("right", 1200, 64, [True, False]), ("none", 1200, 64, [True, False]),
        ("late", 1200, 64, [True]),
        ("right", 400, 64, [True]),  # stopped early, to see what errs
        ("right", 1200, 32, [True]), ("right", 1200, 16, [True]),
        ("right", 1200, 8, [True])], [1, 2, 3])
    for reverse in orders
]
VOLATILE = {"cpu_seconds"}
WORKERS = min(12, os.cpu_count())
FIRST = {"right": PROMPT - 1, "none": 0, "late": PROMPT}
BATCH, PEAK, EVERY = 256, 3e-3, 50


def held_out_sums():
    """All held-out a, b below 1000, in an order without a rule."""
    a, b = torch.cartesian_prod(*[torch.arange(1000)] * 2).unbind(1)
    a, b = a[held_out(a, b)], b[held_out(a, b)]
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(7))
    return a[order], b[order]


def measure(reverse, mask, steps, n_embd, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    model = GPT(GPTConfig(vocab_size=12, block_size=11, n_layer=1, n_head=4,
                          n_embd=n_embd), generator=generator)
    model = model.to(getattr(torch, dtype))

    def batch():
        idx = rows(*problems(BATCH, generator=generator), reverse=reverse)
        return supervised(idx, first=FIRST[mask])

    a, b = held_out_sums()
    size = torch.maximum(a, b)
    length = 1 + (size > 9) + (size > 99)
    long, chain = length == 3, longest_chain(a, b)
    column = digits(a, 3) + digits(b, 3)  # units, tens, hundreds
    nine = (column == 9).any(1)

    def right(chosen, limit):
        """The share of right answers among the first chosen problems."""
        x, y = a[chosen][:limit], b[chosen][:limit]
        found = add(model, x, y, reverse=reverse)
        return (found == x + y).double().mean().item()

    adam = torch.optim.AdamW(decay_groups(model.parameters(), 0.1),
                             betas=(0.9, 0.99))
    curve, loss, start = [], [], time.process_time()
    for step in train(model, batch, adam, steps=steps,
                      lr=cosine(PEAK, steps, warmup=100 if steps > 100 else
                                0)):
        loss.append(step.loss)
        if step.number % EVERY == 0:
            curve.append([step.number, right(long, 2000)])
    cpu_seconds = time.process_time() - start
    x, y, below = (n[long][:10_000] for n in (a, b, column))
    same = digits(add(model, x, y, reverse=reverse), 4) == digits(x + y, 4)
    return {
        "loss": torch.stack(loss[-EVERY:]).mean().item(),
        "curve": curve,
        "digits": [right(length == n, 10_000) for n in (1, 2, 3)],
        "chain": [right(long & (chain == n), 2000) for n in range(4)],
        "no_carry": {"a nine": right(long & (chain == 0) & nine, 2000),
                     "no nine": right(long & (chain == 0) & ~nine, 2000)},
        "tens_and_hundreds_nine": right(
            long & (column[:, 1:] == 9).all(1), 2000),
        "place": same.double().mean(0).tolist(),  # units first
        # of tens, hundreds, thousands, by what the column below adds up to:
        # how many digits were asked, and how many of them wrong
        "below": [[[(below[:, k] == total).sum().item(),
                    ((below[:, k] == total) & ~same[:, k + 1]).sum().item()]
                   for total in range(19)] for k in range(3)],
        "cpu_seconds": cpu_seconds,
    }

"""How far counting goes: n-grams for n = 1 to 8, additive and Kneser-Ney."""

import time

import torch

from zth.data import load_names, split, windows
from zth.ngram import KneserNey, NGram

CASES = [
    {"n": n, "unique": unique} for unique in (False, True) for n in range(1, 9)
]
VOLATILE = {"seconds_additive", "seconds_kneser_ney"}
STRENGTHS = torch.logspace(-4, 1, 21).tolist()


def measure(n, unique):
    names = load_names()
    if unique:
        names = list(dict.fromkeys(names))
    splits = split(names)
    train, val = (windows(part, n - 1) for part in (splits.train, splits.val))

    start = time.perf_counter()
    model = NGram(n).fit(*train)
    losses = {}
    for model.smoothing in STRENGTHS:  # the counts stay, only k changes
        losses[model.smoothing] = model.nll(*val)
    middle = time.perf_counter()
    kneser_ney = KneserNey(n).fit(*train)
    nll = kneser_ney.nll(*val)
    end = time.perf_counter()

    best = min(losses, key=losses.get)
    unseen = model.table[model.code(val[0])].sum(1) == 0
    positive = sum((t.counts > 0).sum().item() for t in kneser_ney.tables)
    return {
        "additive": losses[best],
        "smoothing": best,
        "kneser_ney": nll,
        "contexts": len(model.table.contexts),
        "unseen": unseen.double().mean().item(),
        "counts": (model.table.counts > 0).sum().item(),
        "counts_kneser_ney": positive,
        "seconds_additive": middle - start,
        "seconds_kneser_ney": end - middle,
    }

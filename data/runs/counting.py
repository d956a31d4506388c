"""Counting trigrams and scoring all names: Python loops against the package."""

import statistics
import time

import torch

from zth.data import NAME_VOCAB, load_names, windows
from zth.ngram import NGram

CASES = [{"method": "package"}, {"method": "loops"}]
VOLATILE = {"seconds"}


def package(names):
    idx, targets = windows(names, 2)
    return NGram(3, smoothing=1).fit(idx, targets).nll(idx, targets)


def loops(names):
    """One pair of characters after the other, as the lecture types it."""
    stoi = NAME_VOCAB.stoi
    N = torch.ones(27, 27, 27, dtype=torch.float64)
    for name in names:
        chars = [".", "."] + list(name) + ["."]
        for a, b, c in zip(chars, chars[1:], chars[2:]):
            N[stoi[a], stoi[b], stoi[c]] += 1
    P = N / N.sum(2, keepdim=True)
    log_likelihood, n = 0.0, 0
    for name in names:
        chars = [".", "."] + list(name) + ["."]
        for a, b, c in zip(chars, chars[1:], chars[2:]):
            log_likelihood += torch.log(P[stoi[a], stoi[b], stoi[c]])
            n += 1
    return (-log_likelihood / n).item()


def measure(method):
    names = load_names()
    seconds = []
    for _ in range(5 if method == "package" else 1):
        start = time.perf_counter()
        nll = {"package": package, "loops": loops}[method](names)
        seconds.append(time.perf_counter() - start)
    return {"nll": nll, "seconds": statistics.median(seconds)}

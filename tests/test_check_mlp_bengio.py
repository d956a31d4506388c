"""zth.check.mlp, L3-E03; oracle: mixtures planted right and wrong, named."""

import math

import numpy as np
import pytest
import torch
from answers import passes, refuses

from zth.check import mlp as check


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


def at(rows, targets):
    return rows[torch.arange(len(targets)), targets]


def mixed_loss(w, p, q, targets):
    return -at((1 - w) * p + w * q, targets).log().mean().item()


def grid(held, loss=mixed_loss, n=200):
    return min((i / n for i in range(n + 1)), key=lambda w: loss(w, *held))


def scored(w, val, probs=None, loss=None):
    p, q, targets = val
    mixture = (1 - w) * p + w * q
    return (w, mixture if probs is None else probs(w, p, q, targets),
            mixed_loss(w, *val) if loss is None else loss(w, p, q, targets))


def by_grid(held, val):
    return scored(grid(held), val)


def coarse_grid(held, val):
    return scored(grid(held, n=100), val)


def by_em(held, val):
    """The expected share of the counts, over and over."""
    p, q = at(held[0], held[2]), at(held[1], held[2])
    w = 0.5
    for _ in range(3000):
        w = (w * q / ((1 - w) * p + w * q)).mean()
    return scored(w, val)  # 0-dim


def by_descent(held, val):
    p, q = at(held[0], held[2]).float(), at(held[1], held[2]).float()
    a = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([a], lr=0.1)
    for _ in range(400):
        w = a.sigmoid()
        loss = -((1 - w) * p + w * q).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return scored(a.sigmoid().item(), val)


def in_numpy(held, val):
    p, q, y = (np.asarray(x) for x in held)
    i = np.arange(len(y))
    ws = np.linspace(0, 1, 301)[:, None]
    with np.errstate(divide="ignore"):
        loss = -np.log((1 - ws) * p[i, y] + ws * q[i, y]).mean(1)
    w = ws[loss.argmin()]  # shape (1,)
    p, q, y = (np.asarray(x) for x in val)
    mix = (1 - w) * p + w * q
    return [w, mix, -np.log(mix[np.arange(len(y)), y]).mean()]


def in_lists(held, val):
    w, probs, loss = by_grid(held, val)
    return [[w], probs.tolist(), [loss], "more"]


def in_float32(held, val):
    p, q, y = held
    w, probs, loss = by_grid((p.float(), q.float(), y), val)
    return torch.tensor(w), probs.float(), torch.tensor(loss)


def changes_its_arguments(held, val):
    w = grid(held)
    p, q, y = val
    p *= 1 - w
    p += w * q
    return w, p, -at(p, y).log().mean()


@pytest.mark.parametrize("answer", [
    by_grid, coarse_grid, by_em, by_descent, in_numpy, in_lists, in_float32,
    changes_its_arguments])
def test_a_right_mixture_passes(capsys, answer):
    passes(capsys, check.bengio, answer)


def log_mixed(w, p, q, targets):
    logs = (1 - w) * p.clamp(min=1e-300).log() + w * q.clamp(
        min=1e-300).log()
    return logs.softmax(1)


def log_loss(w, p, q, targets):
    return -at(log_mixed(w, p, q, targets), targets).log().mean().item()


def mean_of_losses(w, p, q, targets):
    return (1 - w) * mixed_loss(0, p, q, targets) + w * mixed_loss(
        1, p, q, targets)


def log_of_mean(w, p, q, targets):
    return -at((1 - w) * p + w * q, targets).mean().log().item()


def mix(w, p, q, targets):
    return (1 - w) * p + w * q


def with_weight(choose):
    return lambda held, val: scored(choose(held, val), val)


def with_rows(probs):
    return lambda held, val: scored(grid(held), val, probs=probs)


def with_loss(loss):
    return lambda held, val: scored(grid(held), val, loss=loss)


WRONG = {
    "the net's weight": (with_weight(lambda h, v: 1 - grid(h)),
                         "This is the net's weight"),
    "chosen on val": (with_weight(lambda h, v: grid(v)),
                      "lowest loss on val"),
    "chosen on both": (with_weight(
        lambda h, v: grid(tuple(map(torch.cat, zip(h, v))))),
        "on held and val together"),
    "weights of logits": (lambda h, v: scored(
        grid(h, log_loss, 100), v, log_mixed, log_loss),
        "best weight for log-probabilities"),
    "losses mixed": (with_weight(lambda h, v: grid(h, mean_of_losses)),
                     "One model gets everything"),
    "mean before log": (with_weight(lambda h, v: grid(h, log_of_mean)),
                        "One model gets everything"),
    "one half": (with_weight(lambda h, v: 0.5), "one half whatever"),
    "a coarse grid": (with_weight(lambda h, v: grid(h, n=4)),
                      "expected w ="),
    "above 1": (with_weight(lambda h, v: 1.2), "w lies from 0 to 1"),
    "a weight a row": (lambda h, v: (torch.rand(5), *scored(0.3, v)[1:]),
                       "one weight for all rows"),
    "rows swapped": (with_rows(lambda w, p, q, t: mix(w, q, p, t)),
                     "weights are swapped"),
    "logs mixed": (with_rows(log_mixed), "Log-probabilities (or logits)"),
    "logs mixed, no softmax": (with_rows(
        lambda w, p, q, t: p ** (1 - w) * q**w), "Log-probabilities"),
    "logs of rows": (with_rows(lambda w, p, q, t: mix(w, p, q, t).log()),
                     "These are logarithms"),
    "only the net": (with_rows(lambda w, p, q, t: p), "not yet mixed"),
    "only the counts": (with_rows(lambda w, p, q, t: q), "not yet mixed"),
    "only the targets": (with_rows(
        lambda w, p, q, t: at(mix(w, p, q, t), t)), "targets' probabilities"),
    "loss of losses": (with_loss(mean_of_losses), "mean of the two losses"),
    "loss of a mean": (with_loss(log_of_mean), "a mean probability"),
    "loss on held": (lambda h, v: (*by_grid(h, v)[:2],
                                   mixed_loss(grid(h), *h)),
                     "the loss on held"),
    "bits": (with_loss(lambda *a: mixed_loss(*a) / math.log(2)), "in bits"),
    "perplexity": (with_loss(lambda *a: math.exp(mixed_loss(*a))),
                   "perplexity"),
    "sum": (with_loss(lambda *a: mixed_loss(*a) * len(a[3])), "is a sum"),
    "sign": (with_loss(lambda *a: -mixed_loss(*a)), "sign is turned"),
    "all entries": (with_loss(lambda w, p, q, t: -mix(
        w, p, q, t).log().mean()), "over all entries"),
    "two things": (lambda h, v: by_grid(h, v)[:2], "return w, probs, loss"),
    "raises": (lambda h, v: 1 / 0, "your code raised ZeroDivisionError"),
    "starter": (starter, "not written yet"),
    "nothing": (returns_nothing, "not written yet"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_mixture_is_named(name):
    answer, said = WRONG[name]
    assert said in refuses(check.bengio, answer)


def test_a_model_that_hedges_on_ends_only_is_refused():
    """An answer that never leaves the middle fails where an end is best."""
    def never_at_an_end(held, val):
        return scored(min(max(grid(held), 0.1), 0.9), val)

    assert "better at each target" in refuses(check.bengio, never_at_an_end)


def test_zeros_of_the_counts_may_not_become_nan():
    def in_logs(held, val):
        w, probs, loss = by_grid(held, val)
        rows = probs.clone()
        rows[at(val[1], val[2]) == 0] = math.nan
        return w, rows, loss

    said = refuses(check.bengio, in_logs)
    assert "probability 0" in said


def test_a_message_has_input_expected_and_got():
    said = refuses(check.bengio, with_weight(lambda h, v: 0.5))
    for part in ("input two models", "expected w =", "got", "likely"):
        assert part in said

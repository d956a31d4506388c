"""zth.check.wavenet, L6-S1; oracle: count models whose validation loss is
summed by hand here, a little different for each seed, and answers spoiled in
one way each."""

import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answers import passes, refuses

from zth import data
from zth.check import wavenet as check
from zth.ngram import KneserNey

TRAIN, VAL, TEST = data.split(data.load_names())
IDX, TARGETS = data.windows(VAL, 5)


@functools.cache
def counted(n, *parts):
    names = sum(map(list, parts), [])
    return KneserNey(n).fit(*data.windows(names, n - 1))


def seeds(n=6, parts=(tuple(TRAIN),), few=3, flat=0.0):
    """`few` models of the names, each with a share of the uniform's own."""
    model = counted(n, *parts)

    def one(share):
        return lambda idx: (1 - share) * model.probs(idx) + share / 27

    return [one(flat + 0.01 * (seed + 1)) for seed in range(few)]


def loss_of(model, names=VAL, block_size=5):
    idx, targets = data.windows(names, block_size)
    return -model(idx)[range(len(targets)), targets].log().mean().item()


def mean_loss(models, **where):
    return sum(loss_of(model, **where) for model in models) / len(models)


MODELS = seeds()
LOSS = mean_loss(MODELS)
MEANS = [loss_of(model) for model in MODELS]


class Recurrent(torch.nn.Module):
    """Logits after every position of a context, as a recurrent net has."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, idx):
        last = self.model(idx).log()
        return self.drop(last[:, None].expand(-1, idx.shape[1], -1))


RIGHT = {
    "functions": lambda: (MODELS, 5, LOSS),
    "a tuple": lambda: (tuple(MODELS), np.int64(5), torch.tensor(LOSS)),
    "rounded": lambda: (MODELS, 5, round(LOSS, 2)),
    "five seeds": lambda: (seeds(few=5), 5, mean_loss(seeds(few=5))),
    "longer": lambda: (seeds(7), 8, mean_loss(seeds(7), block_size=8)),
    "logits": lambda: ([lambda idx, model=model: model(idx).log().float() + 3
                        for model in MODELS], 5, LOSS),
    "modules": lambda: ([Recurrent(model) for model in MODELS], 5, LOSS),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_passes(capsys, name):
    said = passes(capsys, check.challenge, *RIGHT[name]())
    assert "the seeds differ" not in said


def test_a_lead_within_the_spread_is_said(capsys, monkeypatch):
    monkeypatch.setattr(check, "tree_loss", lambda source: LOSS + 1e-5)
    said = passes(capsys, check.challenge, MODELS, 5, LOSS)
    assert "the seeds differ by more than your lead" in said


def random_rows(idx):
    return MODELS[0](idx).log() + torch.rand(len(idx), 27)


def company(idx):
    logits = MODELS[0](idx).log()
    return logits - logits.mean(0) if len(idx) > 1 else logits


def answer(models, block_size=5):
    """All right but for the models."""
    return models, block_size, mean_loss(models, block_size=block_size)


def backwards(model):
    return lambda idx: model(idx.flip(1))


WRONG = {
    "starter": (lambda: ([], 8, None), "not written yet (models is empty)"),
    "no loss": (lambda: (MODELS, 5, None), "not written yet (val_loss"),
    "block_size": (lambda: (MODELS, 0, LOSS), "must be 1 to 100"),
    "one model": (lambda: (MODELS[0], 5, LOSS), "models must be a list"),
    "two seeds": (lambda: (MODELS[:2], 5, LOSS), "at least 3 seeds"),
    "one seed": (lambda: ([MODELS[0]] * 3, 5, LOSS), "one seed used twice"),
    "random": (lambda: ([MODELS[0], random_rows, MODELS[1]], 5, LOSS),
               "switch dropout off"),
    "company": (lambda: ([company, *MODELS[:2]], 5, LOSS),
                "must use its running statistics"),
    "zeros": (lambda: ([*MODELS[:2], lambda idx: F.one_hot(
        idx[:, -1], 27).double()], 5, LOSS), "probabilities are zero"),
    "the best": (lambda: (MODELS, 5, min(MEANS)), "the lowest of the valid"),
    "the last": (lambda: (seeds(few=5)[::2] + seeds(few=4)[3:], 5,
                          loss_of(seeds(few=4)[3])), "the last seed's"),
    "bits": (lambda: (MODELS, 5, LOSS / math.log(2)), "loss in bits"),
    "train": (lambda: (MODELS, 5, mean_loss(MODELS, names=TRAIN)),
              "loss on the training names"),
    "a batch": (lambda: (MODELS, 5, LOSS - 0.02), "a single batch's loss"),
    "knows val": (lambda: answer(seeds(parts=(tuple(TRAIN), tuple(VAL)))),
                  "learned from the validation names"),
    "knows test": (lambda: answer(seeds(parts=(tuple(TRAIN), tuple(TEST)))),
                   "learned from the test names"),
    "backwards": (lambda: answer(list(map(backwards, MODELS))),
                  "reads the context backwards"),
    "trigram": (lambda: answer(seeds(3)), "only the last 2 characters"),
    "unfinished": (lambda: answer(seeds(4, flat=0.6)), "not finished learning"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_named(name):
    spoiled, said = WRONG[name]
    assert said in refuses(check.challenge, *spoiled())


def test_the_bar_is_the_lectures_on_the_lectures_names():
    bar = check.tree_loss(data.source())
    assert LOSS < bar < mean_loss(seeds(3))
    assert bar == 1.9937 or not data.source().is_lecture

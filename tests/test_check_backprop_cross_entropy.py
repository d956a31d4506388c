"""zth.check.backprop, cross-entropy; oracle: answers planted right and wrong.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answers import passes, refuses

from zth import manual
from zth.check import backprop as check
from zth.check import message
from zth.check.backprop_cross_entropy import CROSS_ENTROPY_MISTAKES


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
def test_the_starter_is_not_written_yet(unwritten):
    said = refuses(check.cross_entropy, unwritten)
    assert "cross_entropy: not written yet" in said


def as_in_the_lecture(logits, targets):
    n = len(logits)
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), targets] -= 1
    dlogits /= n
    return dlogits


def by_autograd(logits, targets):
    z = logits.clone().requires_grad_()
    F.cross_entropy(z, targets).backward()
    return z.grad


def in_numpy(logits, targets):
    z, y = logits.float().numpy(), targets.numpy()
    e = np.exp(z - z.max(1, keepdims=True))
    return (e / e.sum(1, keepdims=True) - np.eye(z.shape[1])[y]) / len(y)


def in_lists(logits, targets):
    return as_in_the_lecture(logits, targets).tolist()


@pytest.mark.parametrize("answer", [
    manual.cross_entropy, as_in_the_lecture, by_autograd, in_numpy, in_lists])
def test_accepts(capsys, answer):
    passes(capsys, check.cross_entropy, answer)


def hot(z, y):
    return F.one_hot(y, z.shape[1]).double()


def exp_without_shift(z, y):
    p = z.exp() / z.exp().sum(1, keepdim=True)
    return (p - hot(z, y)) / len(z)


def columns(z, y):
    p = z.softmax(1)
    p[:, y] -= 1
    return p / len(z)


def rows(z, y):
    p = z.softmax(1)
    p[y] -= 1
    return p / len(z)


def turned_places(z, y):
    p = z.softmax(1)
    p[y, torch.arange(len(z))] -= 1
    return p / len(z)


def in_place(z, y):
    z -= z.amax(1, keepdim=True)
    return as_in_the_lecture(z, y)


def targets_in_place(z, y):
    dlogits = as_in_the_lecture(z, y)
    y += 1
    return dlogits


WRONG = [
    (exp_without_shift, "Infinity over infinity"),
    (lambda z, y: z.softmax(1) - hot(z, y), "The 1/n is missing"),
    (lambda z, y: (hot(z, y) - z.softmax(1)) / len(z), "The sign is turned"),
    (lambda z, y: z.softmax(1) / len(z), "one-hot target is missing"),
    (lambda z, y: -hot(z, y) / len(z), "The probabilities are missing"),
    (lambda z, y: z.softmax(1) / len(z) - hot(z, y),
     "reached the probabilities and not the one-hot target"),
    (lambda z, y: z.softmax(1) - hot(z, y) / len(z),
     "reached the one-hot target and not the probabilities"),
    (lambda z, y: (z.softmax(1) - hot(z, y)) / z.numel(),
     "divided by all n V entries"),
    (lambda z, y: (z.softmax(1) - hot(z, y)) / z.shape[1],
     "You divided by V"),
    (lambda z, y: (z.softmax(0) - hot(z, y)) / len(z),
     "runs down the columns"),
    (lambda z, y: (z.flatten().softmax(0).view_as(z) - hot(z, y)) / len(z),
     "One softmax over all entries"),
    (columns, "subtracted in whole columns"),
    (rows, "The target was used as a row"),
    (turned_places, "The target was used as a row"),
    (lambda z, y: as_in_the_lecture(z, z.argmax(1)),
     "at each row's largest logit"),
    (lambda z, y: (z.log_softmax(1) - hot(z, y)) / len(z),
     "You took logarithms"),
    (lambda z, y: -hot(z, y) / z.softmax(1) / len(z),
     "the gradient in the probabilities"),
    (lambda z, y: as_in_the_lecture(z.softmax(1), y),
     "applied to probabilities"),
    (lambda z, y: (z - hot(z, y)) / len(z), "The logits themselves stand"),
    (in_place, "logits was changed in place"),
    (targets_in_place, "targets was changed in place"),
]


@pytest.mark.parametrize("answer, why", WRONG, ids=[why for _, why in WRONG])
def test_names(answer, why):
    for _ in range(3):  # the checker draws afresh
        assert why in refuses(check.cross_entropy, answer)


def test_messages_differ():
    said = [message(mistake) for mistake
            in CROSS_ENTROPY_MISTAKES]
    assert len(set(said)) == len(said) == 18


@pytest.mark.parametrize("answer, got", [
    (lambda z, y: as_in_the_lecture(z, y).T, "of shape (3, 2)"),
    (lambda z, y: as_in_the_lecture(z, y).sum(1), "of shape (2,)")])
def test_shows_a_wrong_shape(answer, got):
    said = refuses(check.cross_entropy, answer)
    assert "expected dlogits of shape (2, 3)" in said and got in said


def test_an_unknown_mistake_shows_the_numbers():
    said = refuses(check.cross_entropy, lambda z, y: torch.full_like(z, 7.0))
    assert "input the rows [2, 0, 1] and [0, 1, 3], both of target 1" in said
    assert "expected dlogits [0.33262, -0.454985, 0.122364, " in said
    assert "got dlogits [7, 7, 7, 7, 7, 7]" in said and "likely" not in said

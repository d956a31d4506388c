"""zth.check.mlp, L3-E02; oracle: starts planted right and wrong, each named."""

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


def start(*, C=1, W1=None, b1=0, W2=0.01, b2=0, dtype=torch.float32,
          change=None):
    """A start whose parts are randn times these; W1 None is 1 / √fan_in."""
    def initialise(n_embd, n_hidden, generator):
        scales = [C, (3 * n_embd) ** -0.5 if W1 is None else W1, b1, W2, b2]
        sizes = [(27, n_embd), (3 * n_embd, n_hidden), n_hidden,
                 (n_hidden, 27), 27]
        params = [torch.randn(size, generator=generator, dtype=dtype) * scale
                  for size, scale in zip(sizes, scales)]
        return change(params) if change else params

    return initialise


def of_module(params):
    return [torch.nn.Parameter(p) for p in params]


RIGHT = {
    "fan-in": start(),
    "exact zero": start(W2=0),
    "gain 5/3": start(change=lambda p: [p[0], p[1] * 5 / 3, *p[2:]]),
    "wide b1": start(b1=0.01),
    "everything small": start(W1=0.01),
    "float64": start(dtype=torch.float64),
    "arrays": start(change=lambda p: tuple(x.numpy() for x in p)),
    "lists": start(change=lambda p: [x.tolist() for x in p]),
    "parameters": start(change=of_module),
    "rows of biases": start(change=lambda p: [
        p[0], p[1], p[2][None], p[3], p[4][None]]),
    "a dict": start(change=lambda p: dict(
        zip(("C", "W1", "b1", "W2", "b2"), p))),
    "more": start(change=lambda p: (*p, "more")),
    "zero W1": start(W1=0),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_start_passes(capsys, name):
    passes(capsys, check.initialisation, math.log, RIGHT[name])


@pytest.mark.parametrize("uniform", [
    lambda V: -math.log(1 / V), lambda V: torch.tensor(float(V)).log(),
    lambda V: np.log(V), lambda V: [round(math.log(V), 4)],
    lambda V: torch.nn.functional.cross_entropy(
        torch.zeros(1, V), torch.zeros(1, dtype=torch.int64))])
def test_a_right_loss_passes(capsys, uniform):
    passes(capsys, check.initialisation, uniform, start())


@pytest.mark.parametrize("uniform, said", [
    (math.log2, "in bits"),
    (math.log10, "base-10"),
    (lambda V: 1 / V, "This is the probability"),
    (lambda V: -math.log(V), "sign is turned"),
    (lambda V: V, "perplexity"),
    (lambda V: math.log(V - 1), "One symbol is missing"),
    (lambda V: math.log(27), "vocab_size has no effect"),
    (starter, "not written yet"), (returns_nothing, "not written yet"),
    (lambda V: 1 / 0, "your code raised ZeroDivisionError")])
def test_a_wrong_loss_is_named(uniform, said):
    assert said in refuses(check.initialisation, uniform, start())


def equal_units(params):
    C, W1, b1, W2, b2 = params
    return [C, W1[:, :1].expand_as(W1), b1, 0 * W2, b2]


def other_seed(n_embd, n_hidden, generator):
    return start()(n_embd, n_hidden, torch.Generator().manual_seed(1))


def unseeded(n_embd, n_hidden, generator):
    return start()(n_embd, n_hidden, None)


WRONG = {
    "the lecture's": (start(W1=1, b1=1, W2=1, b2=1), "neither term is small"),
    "calm units alone": (start(W2=1, b2=1), "neither term is small"),
    "only b2": (start(W2=1), "b2 alone does not help"),
    "only W2": (start(b2=1), "b2 still has the variance"),
    "a tenth": (start(W2=0.1), "W2 is still too wide"),
    "fan-in": (start(change=lambda p: [
        *p[:3], 100 * p[3] / len(p[3]) ** 0.5, p[4]]), "divided by √n_hidden"),
    "saturated": (start(W1=1, b1=1), "make W1 smaller"),
    "W1 a third": (start(W1=0.5), "make W1 smaller"),
    "all zero": (start(C=0, W1=0, W2=0), "only b2 ever gets a gradient"),
    "units and logits zero": (start(W1=0, W2=0), "only b2 ever"),
    "points and W1 zero": (start(C=0, W1=0), "no step moves C, W1"),
    "one unit": (start(change=equal_units), "draw W1 at random"),
    "told": (start(change=lambda p: [
        *p[:4], torch.tensor([2.2, 2.3] + 25 * [0.0])]), "was told"),
    "another generator": (other_seed, "every seed gives the same start"),
    "no generator": (unseeded, "draw every random number from the generator"),
    "transposed": (start(change=lambda p: [p[0], p[1].T, *p[2:]]),
                   "a row for each input"),
    "no b1": (start(change=lambda p: [p[0], p[1], p[3], p[4]]),
              "return C, W1, b1, W2, b2"),
    "NaN": (start(b2=math.nan), "NaN or infinity in b2"),
    "starter": (starter, "not written yet"),
    "nothing": (returns_nothing, "not written yet"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_start_is_named(name):
    answer, said = WRONG[name]
    assert said in refuses(check.initialisation, math.log, answer)


def test_a_message_has_input_expected_and_got():
    said = refuses(check.initialisation, math.log, start(W2=1))
    for part in ("input n_embd = 10", "expected a loss", "got", "likely"):
        assert part in said

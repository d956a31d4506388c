"""zth.check.batchnorm; oracle: answers planted right and wrong, each named."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from answers import passes, refuses

from zth.check import batchnorm as check


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
@pytest.mark.parametrize("name, count", [("zeros", 2), ("folding", 1),
                                         ("norms", 2)])
def test_the_starter_is_not_written_yet(name, count, unwritten):
    said = refuses(getattr(check, name), *[unwritten] * count)
    assert f"{name}: not written yet" in said


def test_the_second_function_alone_can_be_unwritten():
    assert "zeros: not written yet" in refuses(check.zeros, by_rule, starter)
    assert "norms: not written yet" in refuses(check.norms, layer_norm,
                                               starter)


# zeros --------------------------------------------------------------------

ALL = {"C", "W1", "b1", "W2", "b2"}


def by_rule(zero, rounds=5):
    alive = ALL - set(zero)
    for _ in range(rounds):
        h = "b1" in alive or {"C", "W1"} <= alive
        ever = {"b2"}
        ever |= {"W2"} if h else set()
        ever |= {"b1"} if "W2" in alive else set()
        ever |= {"W1"} if {"W2", "C"} <= alive else set()
        ever |= {"C"} if {"W2", "W1"} <= alive else set()
        alive |= ever
    return ever


def by_cases(zero):
    """The same from thinking: two pairs, written as a list."""
    zero = {name.lower() for name in zero}
    h = "b1" not in zero or not {"c", "w1"} & zero
    if "w2" in zero and not h:
        return ["b2"]
    if {"c", "w1"} <= zero:
        return ["W2", "b1", "b2"]
    return ["b2", "b1", "w2", "w1", "c"]


def by_running(zero):
    """A net of one's own, with Adam; the largest gradient of each name."""
    torch.manual_seed(0)
    idx, targets = torch.randint(27, (50, 3)), torch.randint(27, (50,))
    shapes = {"C": (27, 2), "W1": (6, 7), "b1": (7,), "W2": (7, 27),
              "b2": (27,)}
    p = {name: nn.Parameter(torch.zeros(shape) if name in zero
                            else torch.randn(shape))
         for name, shape in shapes.items()}
    adam, largest = torch.optim.Adam(p.values()), dict.fromkeys(p, 0.0)
    for _ in range(10):
        h = torch.tanh(p["C"][idx].view(50, 6) @ p["W1"] + p["b1"])
        adam.zero_grad()
        F.cross_entropy(h @ p["W2"] + p["b2"], targets).backward()
        for name, x in p.items():
            largest[name] = max(largest[name], x.grad.abs().max().item())
        adam.step()
    return largest


def entropy(targets):
    q = torch.bincount(targets).double() / len(targets)
    return -torch.special.xlogy(q, q).sum()


def entropy_of_counts(targets):
    counts = Counter(targets.tolist())
    n = sum(counts.values())
    return -sum(c / n * math.log(c / n) for c in counts.values())


def entropy_by_training(targets):
    b = torch.zeros(27, requires_grad=True)
    for _ in range(2000):
        loss = F.cross_entropy(b.expand(len(targets), 27), targets)
        (grad,) = torch.autograd.grad(loss, b)
        b = (b - 3 * grad).detach().requires_grad_()
    return loss


def entropy_with_epsilon(targets):
    q = np.bincount(targets.numpy(), minlength=27) / len(targets)
    return -(q * np.log(q + 1e-12)).sum()


@pytest.mark.parametrize("answers", [
    (by_rule, entropy), (by_cases, entropy_of_counts),
    (by_running, entropy_with_epsilon),
    (lambda zero: tuple(by_rule(zero)), lambda t: entropy(t)[None]),
    (lambda zero: " ".join(by_rule(zero)), entropy_by_training)])
def test_zeros_accepts(capsys, answers):
    passes(capsys, check.zeros, *answers)


def with_name(name, when):
    """The right answer, with a name put in or left out."""
    def trains(zero):
        found = set(by_rule(zero))
        return found ^ {name} if when(set(zero), found) else found

    return trains


def running(activation):
    def trains(zero):
        return check.trained(activation)[frozenset(zero)]

    return trains


TRAINS_WRONG = [
    (lambda zero: by_rule(zero, 1), "who has a gradient at the first step"),
    (lambda zero: ALL - zero, "stuck there: it is, only if"),
    (lambda zero: (ALL - zero) | by_rule(zero), "as random as they were"),
    (lambda zero: ALL - by_rule(zero), "never get a gradient"),
    (lambda zero: ALL if len(zero) < 5 else {"b2"},
     "Other starts hold both factors"),
    (lambda zero: ALL, "whatever starts at zero"),
    (running(torch.sigmoid), "for a sigmoid"),
    (running(torch.relu), "for a ReLU"),
    (lambda zero: {"b2"}, "does not depend on `zero`"),
    (with_name("W2", lambda zero, found: len(zero) == 5),
     "the gradient of W2 is H^T G, and H stays zero"),
    (with_name("b1", lambda zero, found: "W2" not in found),
     "D has the factor W2, and W2 stays zero"),
    (with_name("W1", lambda zero, found: "W1" not in found
               and "W2" in found), "the gradient of W1 is E^T D"),
    (with_name("C", lambda zero, found: "C" not in found
               and "W2" in found), "the gradient of C is made of D W1^T"),
    (with_name("b2", lambda zero, found: "b2" in zero),
     "b2 always trains"),
    (with_name("W2", lambda zero, found: zero == {"C", "W1"}),
     "W2 trains: H is not zero"),
    (with_name("b1", lambda zero, found: zero == {"C", "W1"}),
     "b1 trains: its gradient needs W2 alone"),
    (with_name("W1", lambda zero, found: zero == {"C"}),
     "W1 trains: at some step"),
    (with_name("C", lambda zero, found: zero == {"W1"}),
     "C trains: at some step"),
    (lambda zero: {"weights"}, "return a set of names"),
    (lambda zero: 3, "return a set of names"),
]


@pytest.mark.parametrize("answer, why", TRAINS_WRONG,
                         ids=[why for _, why in TRAINS_WRONG])
def test_zeros_names_what_trains(answer, why):
    assert why in refuses(check.zeros, answer, entropy)


def test_zeros_says_how_many_starts_are_wrong():
    said = refuses(check.zeros, with_name(
        "W2", lambda zero, found: len(zero) == 5), entropy)
    assert "C, W1, W2, b1, b2 at zero; 1 of 32 starts are wrong" in said
    assert "expected b2 got W2 b2" in said


def shares(targets):
    return torch.bincount(targets, minlength=27).double() / len(targets)


def no_ends(targets):
    targets = targets[targets > 0]
    return entropy(targets) if len(targets) else 0.0


def among_letters(targets):
    q = torch.bincount(targets, minlength=27)[1:].double()
    return -torch.special.xlogy(q / q.sum(), q / q.sum()).sum()


def smoothed(targets):
    p = torch.bincount(targets, minlength=27) + 1.0
    return -(p / p.sum()).log()[targets].mean()


SETTLES_WRONG = [
    (lambda t: entropy(t) / math.log(2), "in bits"),
    (lambda t: entropy(t) / math.log(10), "in bits, or in base 10"),
    (lambda t: math.log(27), "before the first step"),
    (lambda t: -entropy(t), "sign is turned"),
    (lambda t: entropy(t) * len(t), "the sum over the targets"),
    (lambda t: entropy(t).exp(), "perplexity"),
    (lambda t: -(shares(t) * shares(t).log()).sum(), "0 times minus"),
    (lambda t: -shares(t).max().log(), "most frequent character alone"),
    (lambda t: -shares(t)[t.unique()].log().mean(),
     "Every character counts once"),
    (no_ends, "The ends of the names were left out"),
    (among_letters, "The ends of the names were left out"),
    (lambda t: -torch.special.xlogy(
        shares(t)[1:] / (1 - shares(t)[0]),
        shares(t)[1:] / (1 - shares(t)[0])).sum() + 0, "ends"),
    (smoothed, "One was added to each count"),
]


@pytest.mark.parametrize("answer, why", SETTLES_WRONG)
def test_zeros_names_where_it_settles(answer, why):
    assert why in refuses(check.zeros, by_rule, answer)


# folding ------------------------------------------------------------------


def fold(weight, bias, gamma, beta, mean, var, eps):
    s = gamma / torch.sqrt(var + eps)
    b = torch.zeros_like(mean) if bias is None else bias
    return weight * s, (b - mean) * s + beta


def fold_in_numpy(weight, bias, gamma, beta, mean, var, eps):
    W, g, b, m, v = (x.numpy() for x in (weight, gamma, beta, mean, var))
    s = g / np.sqrt(v + eps)
    return W @ np.diag(s), b + s * ((0 if bias is None else bias.numpy()) - m)


def fold_of_lists(*args):
    weight, bias = fold(*args)
    return [weight.tolist(), bias[None].tolist(), "more"]


def fold_by_probing(weight, bias, gamma, beta, mean, var, eps):
    """The layer's answers to zero and to each unit vector are enough."""
    def f(x):
        y = x @ weight + (0 if bias is None else bias)
        return F.batch_norm(y, mean, var, gamma, beta, eps=eps)

    at_zero = f(torch.zeros(1, len(weight), dtype=weight.dtype))
    return f(torch.eye(len(weight), dtype=weight.dtype)) - at_zero, at_zero


class Folded:
    def __init__(self, weight, bias):
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)


@pytest.mark.parametrize("answer", [
    fold, fold_in_numpy, fold_of_lists, fold_by_probing,
    lambda *args: Folded(*fold(*args))])
def test_folding_accepts(capsys, answer):
    passes(capsys, check.folding, answer)


def fold_with(*, scale=None, bias=None, weight=None, own=True):
    """Folding, with the scale, the bias or the weight done differently."""
    def answer(W, b, gamma, beta, mean, var, eps):
        s = (scale or (lambda gamma, var, eps: gamma / (var + eps).sqrt()))(
            gamma, var, eps)
        b = torch.zeros_like(mean) if b is None or not own else b
        new = bias(b, mean, s, beta) if bias else (b - mean) * s + beta
        return weight(W, s) if weight else W * s, new

    return answer


def in_place(weight, bias, gamma, beta, mean, var, eps):
    s = gamma / (var + eps).sqrt()
    weight *= s
    return weight, ((0 if bias is None else bias) - mean) * s + beta


def rows(W, s):
    return W * s[:, None] if W.shape[0] == W.shape[1] else W * s


def needs_a_bias(weight, bias, *rest):
    bias + 1
    return fold(weight, bias, *rest)


def without_bias(weight, bias, *rest):
    new, b = fold(weight, bias, *rest)
    return new, None if bias is None else b


FOLD_WRONG = [
    (fold_with(scale=lambda g, v, eps: g / v.sqrt()), "epsilon is missing"),
    (fold_with(scale=lambda g, v, eps: g / (v.sqrt() + eps)),
     "epsilon is outside the root"),
    (fold_with(scale=lambda g, v, eps: g / (v + 1e-5).sqrt()),
     "The argument `eps` has no effect"),
    (fold_with(own=False), "linear layer's own bias is missing"),
    (fold_with(bias=lambda b, m, s, beta: b - m * s + beta),
     "bias was not scaled"),
    (fold_with(bias=lambda b, m, s, beta: b * s + beta),
     "running mean is missing"),
    (fold_with(bias=lambda b, m, s, beta: b * s - m + beta),
     "subtracted after scaling"),
    (fold_with(bias=lambda b, m, s, beta: (b + m) * s + beta),
     "The mean was added"),
    (fold_with(bias=lambda b, m, s, beta: (b - m) * s), "beta is missing"),
    (fold_with(bias=lambda b, m, s, beta: (b - m + beta) * s),
     "beta was scaled"),
    (fold_with(bias=lambda b, m, s, beta: b), "the bias is the old one"),
    (fold_with(scale=lambda g, v, eps: g / (v + eps)), "by the variance"),
    (fold_with(scale=lambda g, v, eps: g / (v * v + eps).sqrt()),
     "for a standard deviation"),
    (fold_with(scale=lambda g, v, eps: g * (v + eps).sqrt()),
     "You multiplied by the standard deviation"),
    (fold_with(scale=lambda g, v, eps: 1 / (v + eps).sqrt()),
     "gamma is missing"),
    (fold_with(weight=lambda W, s: W), "the weight is the old one"),
    (lambda W, b, *rest: (W, torch.zeros(W.shape[1]) if b is None else b),
     "the linear layer's own weight and bias"),
    (fold_with(weight=rows), "You scaled the rows"),
    (fold_with(weight=lambda W, s: W @ s), "scaling keeps the weight's"),
    (lambda *args: (fold(*args)[0].T, fold(*args)[1]), "is transposed"),
    (lambda *args: (fold(*args)[0], fold(*args)[1][:1]),
     "one bias an output unit"),
    (lambda *args: fold(*args)[0], "return the new weight and bias"),
    (in_place, "changed its argument weight in place"),
    (needs_a_bias, "bias=None, counts as bias 0"),
    (without_bias, "needs a bias, (b - mean) s + beta, even"),
]


@pytest.mark.parametrize("answer, why", FOLD_WRONG,
                         ids=[why for _, why in FOLD_WRONG])
def test_folding_names(answer, why):
    assert why in refuses(check.folding, answer)


# norms --------------------------------------------------------------------


def layer_norm(x, gamma, beta, eps):
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    return gamma * (x - mean) / (var + eps) ** 0.5 + beta


def rms_norm(x, gamma, eps):
    return gamma * x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def layer_norm_of_torch(x, gamma, beta, eps):
    return F.layer_norm(x, (len(gamma),), gamma, beta, eps)


def rms_norm_of_torch(x, gamma, eps):
    return F.rms_norm(x, (len(gamma),), gamma, eps)


def layer_norm_in_numpy(x, gamma, beta, eps):
    x = x.float().numpy()
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(
        x.var(-1, keepdims=True) + eps)
    return gamma.numpy() * y + beta.numpy()


@pytest.mark.parametrize("answers", [
    (layer_norm, rms_norm), (layer_norm_of_torch, rms_norm_of_torch),
    (layer_norm_in_numpy, rms_norm),
    (lambda x, g, b, eps: rms_norm(x - x.mean(-1, True), g, eps) + b,
     lambda x, g, eps: rms_norm_of_torch(x.float(), g.float(), eps))])
def test_norms_accepts(capsys, answers):
    passes(capsys, check.norms, *answers)


def layer_with(*, axes=-1, correction=0, power=0.5, eps_at="inside",
               end=None, centre=True):
    def answer(x, gamma, beta, eps):
        which = axes(x) if callable(axes) else axes
        mean = x.mean(which, keepdim=True)
        var = x.var(which, keepdim=True, correction=correction)
        root = {"inside": (var + eps) ** power, "outside": var**0.5 + eps,
                "missing": var**0.5, "own": (var + 1e-5) ** 0.5}[eps_at]
        y = (x - mean if centre else x) / root
        return end(y, gamma, beta) if end else gamma * y + beta

    return answer


def rms_with(*, axes=-1, centred=False, power=0.5, total=False, own=None,
             end=None):
    def answer(x, gamma, eps):
        which = axes(x) if callable(axes) else axes
        x = x - x.mean(-1, True) if centred else x
        square = (x * x).sum(which, True) if total else (
            (x * x).mean(which, True))
        y = x / (square + (own or eps)) ** power
        return end(y, gamma) if end else gamma * y

    return answer


LAYER_WRONG = [
    (layer_with(axes=0), "which is batch norm"),
    (layer_with(axes=lambda x: tuple(range(x.ndim - 1))),
     "which is batch norm"),
    (layer_with(axes=lambda x: tuple(range(x.ndim))), "One mean for the whole"),
    (layer_with(axes=lambda x: tuple(range(x.ndim))[1:]),
     "over positions and channels together"),
    (layer_with(correction=1), "You divided by C - 1"),
    (layer_with(eps_at="outside"), "epsilon is missing, or outside"),
    (layer_with(eps_at="missing"), "epsilon is missing, or outside"),
    (layer_with(eps_at="own"), "The argument `eps` has no effect"),
    (layer_with(centre=False), "The mean is still in it"),
    (lambda x, g, b, eps: rms_norm(x, g, eps) + b, "The mean is still in it"),
    (layer_with(power=1), "The square root is missing"),
    (layer_with(end=lambda y, g, b: g * y), "beta is missing"),
    (layer_with(end=lambda y, g, b: y + b), "gamma is missing"),
    (layer_with(end=lambda y, g, b: g * (y + b)), "gamma multiplies first"),
    (layer_with(end=lambda y, g, b: b * y + g), "are swapped"),
]
RMS_WRONG = [
    (rms_with(centred=True), "This is layer norm"),
    (rms_with(total=True), "divided by the length of the vector"),
    (rms_with(power=1), "The square root is missing"),
    (rms_with(axes=0), "which is batch norm"),
    (rms_with(axes=lambda x: tuple(range(x.ndim))), "One mean for the whole"),
    (rms_with(axes=lambda x: tuple(range(x.ndim))[1:]),
     "over positions and channels together"),
    (rms_with(own=1e-5), "The argument `eps` has no effect"),
    (rms_with(end=lambda y, g: y), "gamma is missing"),
]


@pytest.mark.parametrize("answer, why", LAYER_WRONG)
def test_norms_names_layer_norm(answer, why):
    assert why in refuses(check.norms, answer, rms_norm)


@pytest.mark.parametrize("answer, why", RMS_WRONG)
def test_norms_names_rms_norm(answer, why):
    assert why in refuses(check.norms, layer_norm, answer)

"""zth.check.micrograd, forward mode; oracle: answers planted right and wrong."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from answers import passes, refuses

from zth.check import micrograd as check
from zth.check.micrograd import Plain


class Jet:
    """Another way to write it: a pair in an array, subtraction on its own."""

    def __init__(self, pair):
        self.pair = np.asarray(pair, dtype=float)

    def lift(self, other):
        return other if isinstance(other, Jet) else Jet([other, 0])

    def map(self, value, slope):
        return Jet([value, slope * self.pair[1]])

    def __add__(self, other):
        return Jet(self.pair + self.lift(other).pair)

    def __sub__(self, other):
        return Jet(self.pair - self.lift(other).pair)

    def __rsub__(self, other):
        return Jet(self.lift(other).pair - self.pair)

    def __neg__(self):
        return Jet(-self.pair)

    def __mul__(self, other):
        (a, da), (b, db) = self.pair, self.lift(other).pair
        return Jet([a * b, da * b + db * a])

    def __truediv__(self, other):
        (a, da), (b, db) = self.pair, self.lift(other).pair
        return Jet([a / b, (da * b - db * a) / b**2])

    def __rtruediv__(self, other):
        return self.lift(other) / self

    def __pow__(self, k):
        a, _ = self.pair
        return self.map(a**k, k * a ** (k - 1))

    def exp(self):
        return self.map(*[np.exp(self.pair[0])] * 2)

    def log(self):
        return self.map(np.log(self.pair[0]), 1 / self.pair[0])

    def tanh(self):
        return self.map(np.tanh(self.pair[0]),
                        1 / np.cosh(self.pair[0]) ** 2)

    __radd__, __rmul__ = __add__, __mul__


def of_jets(f, point, direction):
    out = f(*[Jet(pair) for pair in zip(point, direction)])
    return out.pair if isinstance(out, Jet) else (out, 0)


def of_torch(f, point, direction):
    """torch's own forward mode, a tuple of tensors."""
    point, v = (torch.tensor(x, dtype=torch.float64)
                for x in (point, direction))
    return torch.func.jvp(lambda x: torch.as_tensor(
        f(*x), dtype=torch.float64), (point,), (v,))


def with_plain(**changes):
    """An answer made of the checker's own dual numbers, one thing changed."""
    kind = type("Dual", (Plain,), changes)

    def directional(f, point, direction):
        out = kind.of(f(*map(kind, point, direction)))
        return out.value, out.slope

    return directional


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("answer", [with_plain(), of_jets, of_torch])
def test_right_answers_pass(capsys, answer):
    passes(capsys, check.forward_mode, answer)


def starter(f, point, direction):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [starter, lambda *_: None])
def test_the_starter_is_not_written_yet(answer):
    assert "not written yet" in refuses(check.forward_mode, answer)


def differences(f, point, direction, h=1e-6):
    def value(s):
        return with_plain()(f, [x + s * v for x, v in zip(point, direction)],
                            direction)[0]

    return value(0), (value(h) - value(-h)) / (2 * h)


def moved(**one):
    """An answer whose direction is something else."""
    change = SimpleNamespace(**one).change

    def directional(f, point, direction):
        return with_plain()(f, point, change(direction))

    return directional


def chainless(name):
    def method(a):
        out = getattr(Plain(a.value, 1.0), name)()
        return type(a)(out.value, out.slope)

    return with_plain(**{name: method})


@pytest.mark.parametrize("answer, said", [
    (with_plain(product_slope=lambda a, b: a.slope * b.slope),
     "not the product of the slopes"),
    (with_plain(product_slope=lambda a, b: a.value * b.slope),
     "one is missing"),
    (with_plain(product_slope=lambda a, b: b.value * a.slope),
     "one is missing"),
    (with_plain(product_slope=lambda a, b: a.value * b.slope
                - a.slope * b.value), "product add"),
    (with_plain(of=classmethod(
        lambda cls, x: x if isinstance(x, Plain) else cls(x, 1.0))),
     "its slope is 0, not 1"),
    (with_plain(reciprocal=lambda b: b.chain(1 / b.value, 1 / b.value**2)),
     "1 / b falls as b grows"),
    (with_plain(reciprocal=lambda b: b.chain(1 / b.value, -1 / b.value)),
     "with a square"),
    (with_plain(power_slope=lambda a, k: k * a.value**k),
     "the exponent goes down by one"),
    (with_plain(power_slope=lambda a, k: a.value ** (k - 1)),
     "the factor k is missing"),
    (with_plain(tanh_slope=lambda a: 1 - a.value**2),
     "the square of its output"),
    (chainless("exp"), "the chain rule is missing"),
    (chainless("log"), "the chain rule is missing"),
    (chainless("tanh"), "the chain rule is missing"),
    (with_plain(__rsub__=Plain.__sub__), "have to turn them"),
    (with_plain(__rtruediv__=Plain.__truediv__), "have to turn them"),
    (moved(change=lambda v: [1.0] * len(v)), "The direction has no effect"),
    (moved(change=lambda v: [v[0], 0.0]), "Only one input moves"),
    (moved(change=lambda v: [x / math.hypot(*v) for x in v]),
     "for a v of any length"),
    (lambda f, x, v: with_plain()(f, x, v)[::-1], "have changed places"),
    (differences, "difference quotient"),
    (lambda f, x, v: (with_plain()(f, x, v)[0], with_plain()(f, x, v)[1]),
     "call f a single time"),
    (lambda f, x, v: 1.0, "two numbers, value and slope"),
    (lambda f, x, v: ("a", "b"), "expected numbers, got 'a'"),
])
def test_each_mistake_is_named(answer, said):
    assert said in refuses(check.forward_mode, answer)


def test_a_missing_operator_shows_the_readers_line():
    class Half:
        def __init__(self, value):
            self.value = value

    said = refuses(check.forward_mode,
                   lambda f, point, v: f(*map(Half, point)))
    assert "TypeError: unsupported operand" in said

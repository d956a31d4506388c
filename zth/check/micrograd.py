"""The checkers of lecture 1. A mistake's docstring is what the reader reads.

Needs no torch.
"""

import math
import random

from zth.check import Check, Wrong, show
from zth.engine import Value, as_value

__all__ = ["Wrong", "forward_mode"]

# L1-S3 --------------------------------------------------------------------


class Plain:
    """A dual number as it should be; the mistakes below change one method."""

    def __init__(self, value, slope=0.0):
        self.value, self.slope = value, slope

    @classmethod
    def of(cls, number):
        return number if isinstance(number, Plain) else cls(number)

    def chain(self, value, derivative):
        return type(self)(value, derivative * self.slope)

    def __add__(self, other):
        other = self.of(other)
        return type(self)(self.value + other.value, self.slope + other.slope)

    def product_slope(self, other):
        return self.value * other.slope + self.slope * other.value

    def __mul__(self, other):
        other = self.of(other)
        return type(self)(self.value * other.value, self.product_slope(other))

    def power_slope(self, k):
        return k * self.value ** (k - 1)

    def __pow__(self, k):
        return self.chain(self.value**k, self.power_slope(k))

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -self.of(other)

    def __rsub__(self, other):
        return self.of(other) - self

    def __truediv__(self, other):
        return self * self.of(other).reciprocal()

    def __rtruediv__(self, other):
        return self.of(other) / self

    def reciprocal(self):
        return self.chain(1 / self.value, -1 / self.value**2)

    def exp(self):
        return self.chain(math.exp(self.value), math.exp(self.value))

    def log(self):
        return self.chain(math.log(self.value), 1 / self.value)

    def tanh_slope(self):
        return 1 - math.tanh(self.value) ** 2

    def tanh(self):
        return self.chain(math.tanh(self.value), self.tanh_slope())

    __radd__, __rmul__ = __add__, __mul__


def along(f, point, direction, **changes):
    """(value, slope) with `Plain`, some of its methods changed."""
    kind = type("Dual", (Plain,), changes)
    out = kind.of(f(*map(kind, point, direction)))
    return [out.value, out.slope]


def one_factor_only(got, f, point, v):
    """The slope of a product has two terms, a b' and a' b: one is missing."""
    yield along(f, point, v, product_slope=lambda a, b: a.value * b.slope)
    yield along(f, point, v, product_slope=lambda a, b: a.slope * b.value)


def slopes_multiplied(got, f, point, v):
    """The slope of a product is not the product of the slopes: it is
    a b' + a' b."""
    yield along(f, point, v, product_slope=lambda a, b: a.slope * b.slope)


def terms_subtracted(got, f, point, v):
    """The two terms in the slope of a product add: a b' + a' b."""
    for sign in (1, -1):
        yield along(f, point, v, product_slope=lambda a, b: sign * (
            a.value * b.slope - a.slope * b.value))


def constants_move(got, f, point, v):
    """A plain number does not move: its slope is 0, not 1."""
    yield along(f, point, v, of=classmethod(
        lambda cls, x: x if isinstance(x, Plain) else cls(x, 1.0)))


def reciprocal_sign(got, f, point, v):
    """In a quotient: 1 / b falls as b grows, so its slope is -b' / b ** 2."""
    yield along(f, point, v, reciprocal=lambda b: b.chain(
        1 / b.value, 1 / b.value**2))


def reciprocal_unsquared(got, f, point, v):
    """In a quotient: the slope of 1 / b is -b' / b ** 2, with a square."""
    yield along(f, point, v, reciprocal=lambda b: b.chain(
        1 / b.value, -1 / b.value))


def power_undiminished(got, f, point, v):
    """The slope of a ** k is k a ** (k - 1) a': the exponent goes down by
    one."""
    yield along(f, point, v, power_slope=lambda a, k: k * a.value**k)


def power_without_factor(got, f, point, v):
    """The slope of a ** k is k a ** (k - 1) a': the factor k is missing."""
    yield along(f, point, v, power_slope=lambda a, k: a.value ** (k - 1))


def tanh_of_input(got, f, point, v):
    """The slope of tanh is 1 minus the square of its output, not of its
    input."""
    yield along(f, point, v, tanh_slope=lambda a: 1 - a.value**2)


def inner_slope_lost(got, f, point, v):
    """A function's slope has to be multiplied by its input's: the chain rule
    is missing in exp, log, tanh or **."""
    yield along(f, point, v, chain=lambda a, value, slope: type(a)(
        value, slope))
    for name in ("exp", "log", "tanh"):
        def alone(a, name=name):
            out = getattr(Plain(a.value, 1.0), name)()
            return type(a)(out.value, out.slope)

        yield along(f, point, v, **{name: alone})


def subtraction_turned(got, f, point, v):
    """With the number in front, as in 2 - a, the operands come in the other
    order: __rsub__ and __rtruediv__ have to turn them."""
    yield along(f, point, v, __rsub__=Plain.__sub__)
    yield along(f, point, v, __rtruediv__=Plain.__truediv__)
    yield along(f, point, v, __rsub__=Plain.__sub__,
                __rtruediv__=Plain.__truediv__)


def direction_ignored(got, f, point, v):
    """The direction has no effect: every input moves at speed 1."""
    yield along(f, point, [1.0] * len(point))


def only_one_moves(got, f, point, v):
    """Only one input moves: give each its own entry of the direction."""
    for i in range(len(point)):
        for speed in (1.0, v[i]):
            yield along(f, point, [speed * (j == i)
                                   for j in range(len(point))])


def per_unit_length(got, f, point, v):
    """You divided by the direction's length: the derivative along v is
    the sum of v_i times the partial derivatives, for a v of any length."""
    value, slope = along(f, point, v)
    yield [value, slope / math.hypot(*v)]


def value_and_slope_swapped(got, f, point, v):
    """Value and slope have changed places: first f's value."""
    yield along(f, point, v)[::-1]


def finite_difference(got, f, point, v):
    """This is a difference quotient, right in a few digits only: carry the
    slopes along instead."""
    def value(h):
        return along(f, [x + h * s for x, s in zip(point, v)], v)[0]

    for h in [10.0**-k for k in range(2, 12)]:
        yield [value(0), (value(h) - value(0)) / h]
        yield [value(0), (value(h) - value(-h)) / (2 * h)]


FORWARD_MISTAKES = [
    reciprocal_sign, reciprocal_unsquared, slopes_multiplied,
    one_factor_only, terms_subtracted, constants_move, power_undiminished,
    power_without_factor, tanh_of_input, inner_slope_lost,
    subtraction_turned, direction_ignored, only_one_moves, per_unit_length,
    value_and_slope_swapped, finite_difference,
]
FUNCTIONS = [  # (what it is, the function), of two inputs between 0.5 and 2
    ("x + y", lambda x, y: x + y),
    ("x * y", lambda x, y: x * y),
    ("x * x * y", lambda x, y: x * x * y),
    ("3 * x - y * 2 + 1", lambda x, y: 3 * x - y * 2 + 1),
    ("2 - x - y", lambda x, y: 2 - x - y),
    ("x / y", lambda x, y: x / y),
    ("1 / (x + y) / 2", lambda x, y: 1 / (x + y) / 2),
    ("x ** 3 + y ** -0.5", lambda x, y: x**3 + y**-0.5),
    ("(x * y).exp()", lambda x, y: (x * y).exp()),
    ("(x * x + y).log()", lambda x, y: (x * x + y).log()),
    ("(2 * x - y * y).tanh()", lambda x, y: (2 * x - y * y).tanh()),
    ("-x", lambda x, y: -x),
    ("4", lambda x, y: 4),
    ("((x * y).tanh() - y.log() / x) ** 2 * (-x).exp()",
     lambda x, y: ((x * y).tanh() - y.log() / x) ** 2 * (-x).exp()),
]


def forward_mode(answer):
    """Check directional(f, point, direction) -> (value, slope), L1-S3.

    f takes as many numbers as the point has and must be called once. Right
    is what reverse mode finds: the gradient's product with the direction.
    """
    check, rng = Check("forward_mode"), random.Random()
    for name, f in FUNCTIONS:
        for point, v in [([1.5, 0.75], [0.7, -1.25]), *(
                [[rng.uniform(0.5, 2), rng.uniform(0.5, 2)],
                 [rng.uniform(-2, 2), rng.uniform(-2, 2)]]
                for _ in range(2))]:
            calls = []

            def counted(*x):
                calls.append(x)
                return f(*x)

            case = (f"f = lambda x, y: {name}, point = {show(point)}, "
                    f"direction = {show(v)}")
            got = check.call(answer, counted, list(point), list(v), case=case)
            got = check.unpack(got, 2, "two numbers, value and slope", case)
            leaves = [Value(x) for x in point]
            out = as_value(f(*leaves))
            out.backward()
            slope = sum(x.grad * s for x, s in zip(leaves, v))
            check.expect("value and slope", got, [out.data, slope],
                         FORWARD_MISTAKES, (f, point, v), case=case,
                         atol=1e-11, rtol=1e-11)
            if len(calls) != 1:
                check.fail("one run carries value and slope at once: call f "
                           "a single time", input=case, expected="1 call",
                           got=f"{len(calls)} calls")
            check.cases += 1
    check.passed()

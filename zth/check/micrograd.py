"""The checkers of lecture 1. A mistake's docstring is what the reader reads.

Needs no torch.
"""

import itertools
import math
import random
import sys

from zth.check import Check, numbers, show, Wrong
from zth.engine import as_value, Value

__all__ = [
    "Wrong",
    "analytic",
    "forward_mode",
    "one_sided",
    "symmetric",
]

# L1-S1: the lecture's function of three inputs ------------------------------


def f(a, b, c):
    return -(a**3) + math.sin(3 * b) - 1 / c + b**2.5 - a**0.5


def terms(name, a, b, c):
    """The slopes of those terms of f that contain the input `name`."""
    return {"a": (-3 * a**2, -0.5 * a**-0.5),
            "b": (3 * math.cos(3 * b), 2.5 * b**1.5),
            "c": (c**-2,)}[name]


def f_slopes(*point):
    """The gradient of f."""
    return [math.fsum(terms(name, *point)) for name in "abc"]


def any_point(rng):
    """A point where f is defined, and up to 0.3 around it; c of any sign."""
    return (rng.uniform(0.5, 3), rng.uniform(0.5, 3),
            rng.choice((-1, 1)) * rng.uniform(0.5, 3))


def show_point(point):
    return f"({', '.join(f'{x:.6g}' for x in point)})"


# L1-S1a ---------------------------------------------------------------------


def either(right, wrong):
    """Sums of the right terms with one or more of them replaced."""
    picks = itertools.product(*zip(right, wrong))
    next(picks)  # all right
    yield from map(sum, picks)


def chain_factor(got, name, a, b, c):
    """The inner derivative is missing: when b moves by h, 3b moves by 3h, so
    the sine's slope in b is 3 cos(3b)."""
    if name == "b":
        yield from either(terms(name, a, b, c),
                          (math.cos(3 * b), 2.5 * b**1.5))


def inner_function(got, name, a, b, c):
    """The cosine is taken at b: the derivative of the outer function is taken
    where the outer function was, at 3b."""
    if name == "b":
        for factor in (3, 1):
            yield factor * math.cos(b) + 2.5 * b**1.5


def of_the_sine(got, name, a, b, c):
    """The derivative of the sine is the cosine, with a plus."""
    if name == "b":
        for factor, function in itertools.product(
                (3, 1, -1, -3), (math.sin, math.cos)):
            yield factor * function(3 * b) + 2.5 * b**1.5


def sign_of_reciprocal(got, name, a, b, c):
    """The sign of the slope in c: 1/c is c^-1 and falls with the slope -c^-2,
    and the minus in front of 1/c turns that once more."""
    if name == "c":
        yield -(c**-2)


def of_the_reciprocal(got, name, a, b, c):
    """-1/c is -c^-1: its exponent comes down as a factor, and is then lowered
    from -1 to -2."""
    if name == "c":
        yield from (1 / c, -1 / c, 1, -1, 0.5 * c**-2, 2 * c**-3, c**-3,
                    -(c**-3), -2 * c**-3)


def antiderivative(got, name, a, b, c):
    """A logarithm is the antiderivative of 1/c, the way back."""
    if name == "c":
        yield from (math.log(abs(c)), -math.log(abs(c)))


def power_kept(got, name, a, b, c):
    """The exponent comes down as a factor, and the power that is left is one
    lower: the slope of x^p is p x^(p - 1)."""
    if name != "c":
        yield from either(terms(name, a, b, c), {
            "a": (-3 * a**3, -0.5 * a**0.5),
            "b": (3 * math.cos(3 * b), 2.5 * b**2.5)}[name])


def factor_lost(got, name, a, b, c):
    """The power was lowered, but its exponent did not come down as a factor:
    the slope of x^p is p x^(p - 1)."""
    if name != "c":
        yield from either(terms(name, a, b, c), {
            "a": (-(a**2), -(a**-0.5)),
            "b": (3 * math.cos(3 * b), b**1.5)}[name])


def sign_of_term(got, name, a, b, c):
    """A term has the wrong sign: a sign in front of a term stays in front of
    its slope."""
    own = terms(name, a, b, c)
    yield from either(own, [-term for term in own])


def term_missing(got, name, a, b, c):
    """This input stands in two terms of f: their slopes are added, and one of
    them is missing."""
    if name != "c":
        yield from terms(name, a, b, c)


def others_kept(got, name, a, b, c):
    """Terms without this input are still there: while it moves alone they
    stay as they are, so their slope in it is 0."""
    slope = math.fsum(terms(name, a, b, c))
    rest = {"a": (math.sin(3 * b), -1 / c, b**2.5),
            "b": (-(a**3), -1 / c, -(a**0.5)),
            "c": (-(a**3), math.sin(3 * b), b**2.5, -(a**0.5))}[name]
    for kept in itertools.product(*((0, term) for term in rest)):
        if any(kept):
            yield slope + sum(kept)


def other_input(got, name, a, b, c):
    """This is the slope in another input: return them in the order of a, b,
    c."""
    yield from f_slopes(a, b, c)


def one_point_only(got, name, a, b, c):
    """These are the slopes at (2, 3, 4), whatever the arguments are."""
    yield f_slopes(2, 3, 4)["abc".index(name)]


def nearly(got, name, a, b, c):
    """Near, but not exact: is it a difference quotient, or was something
    rounded on the way (float32, typed digits)? A formula is exact."""
    slope = math.fsum(terms(name, a, b, c))
    if abs(got[0] - slope) < 1e-3 * max(1, abs(slope)):
        yield got


PAPER_MISTAKES = [
    chain_factor, inner_function, sign_of_reciprocal, of_the_reciprocal,
    antiderivative, power_kept, factor_lost, sign_of_term, of_the_sine,
    term_missing, others_kept, other_input, one_point_only, nearly,
]


def analytic(answer):
    """Check gradient(a, b, c) -> (df/da, df/db, df/dc), exact (L1-S1a)."""
    check, rng = Check("analytic"), random.Random()
    # random ones first: at a = 2 two mistakes give one number
    for point in [*(any_point(rng) for _ in range(6)), (2.0, 3.0, 4.0)]:
        case = f"(a, b, c) = {show_point(point)}"
        got = check.unpack(check.call(answer, *point, case=case), 3,
                           "three slopes: df/da, df/db, df/dc", case)
        for name, slope, want in zip("abc", got, f_slopes(*point)):
            check.expect(f"df/d{name}", slope, want, PAPER_MISTAKES,
                         (name, *point), case=case, atol=1e-12, rtol=1e-12)
        check.cases += 1
    check.passed()


# L1-S1b and L1-S1c ----------------------------------------------------------


def moved(point, *nudges):
    """The point with each nudge, a pair (place, by how much), added."""
    point = list(point)
    for i, by in nudges:
        point[i] += by
    return point


def forward(f, point, h):
    """(f(x + h) - f(x)) / h for each input; backward where h < 0."""
    return [(f(*moved(point, (i, h))) - f(*point)) / h for i in range(3)]


def centred(f, point, h):
    """(f(x + h) - f(x - h)) / 2h for each input."""
    return [(f(*moved(point, (i, h))) - f(*moved(point, (i, -h)))) / (2 * h)
            for i in range(3)]


def scaled(values, factor):
    return [factor * value for value in values]


def own_function(got, given, slopes, point, h):
    """This is the quotient of the exercise's f: differentiate the function
    that is handed over as the first argument."""
    if given is not f:
        yield from (forward(f, point, h), forward(f, point, -h),
                    centred(f, point, h))


def slope_itself(got, given, slopes, point, h):
    """These are the slopes themselves, not the quotients for this h: either
    the argument h has no effect, or nothing was nudged at all (the formula
    from paper, or an engine). Call the function at points h apart."""
    exact = slopes(*point)
    if len(got) == 3 and all(abs(x - y) < 1e-4 * max(1, abs(y))
                             for x, y in zip(got, exact)):
        yield got


def all_nudged(got, given, slopes, point, h):
    """All inputs were nudged at once: that measures the sum of the slopes.
    Nudge one input, and leave the others as they are."""
    def at(by):
        return given(*(x + by for x in point))

    yield [(at(h) - at(0)) / h] * 3
    yield [(at(0) - at(-h)) / h] * 3
    yield [(at(h) - at(-h)) / (2 * h)] * 3


def nudge_kept(got, given, slopes, point, h):
    """An input was still nudged when the next one's turn came: take each
    nudge back, or start from a fresh copy of the point."""
    def f(*nudges):
        return given(*moved(point, *nudges))

    for s in (h, -h):
        kept = [[(j, s) for j in range(i)] for i in range(4)]
        yield [(f(*kept[i + 1]) - f()) / s for i in range(3)]
        yield [(f(*kept[i + 1]) - f(*kept[i])) / s for i in range(3)]
        yield [(f(*kept[i], (i, h)) - f(*kept[i], (i, -h))) / (2 * h)
               for i in range(3)]


def asked_symmetric(got, given, slopes, point, h):
    """This is the symmetric difference, (f(x + h) - f(x - h)) / 2h. Here the
    one-sided one is asked: one nudge, and f at the point itself."""
    yield centred(given, point, h)


def asked_one_sided(got, given, slopes, point, h):
    """This is the one-sided difference. Here the symmetric one is asked: a
    nudge up and a nudge down, and the point itself is left out."""
    yield from (forward(given, point, h), forward(given, point, -h))


def sign_turned(got, given, slopes, point, h):
    """The sign is turned: subtract the value at the lower point from the value
    at the upper one."""
    for quotient in (forward(given, point, h), forward(given, point, -h),
                     centred(given, point, h)):
        yield scaled(quotient, -1)


def divided_by_2h(got, given, slopes, point, h):
    """Half of the quotient: the two points are h apart, so divide by h."""
    yield from (scaled(forward(given, point, s), 0.5) for s in (h, -h))


def divided_by_h(got, given, slopes, point, h):
    """Twice the quotient: the two points are 2h apart, so divide by 2h."""
    yield scaled(centred(given, point, h), 2)


def back_at_the_point(got, given, slopes, point, h):
    """Half of a one-sided difference: after a nudge up by h, a nudge down by h
    leads back to the point. The lower point is h below it."""
    yield from (scaled(forward(given, point, s), 0.5) for s in (h, -h))


def not_divided(got, given, slopes, point, h):
    """The rise alone, or the rise times h: divide it by the distance between
    the two points."""
    for power in (1, 2):
        yield from (scaled(forward(given, point, s), h**power)
                    for s in (h, -h))
        for distance in (1, 2):
            yield scaled(centred(given, point, h), distance * h**power)


def brackets_missing(got, given, slopes, point, h):
    """Brackets are missing: x - y / h divides y alone, and x / 2 * h divides
    by 2 and multiplies by h."""
    up, down = ([given(*moved(point, (i, s))) for i in range(3)]
                for s in (h, -h))
    here = [given(*point)] * 3
    for first, second, distance in (
            (up, here, h), (here, down, h), (up, down, 2 * h),
            (up, down, h)):
        yield [x - y / distance for x, y in zip(first, second)]
    for first, second in ((up, down), (up, here), (here, down)):
        yield [x - y / 2 * h for x, y in zip(first, second)]
        yield [(x - y) / 2 * h for x, y in zip(first, second)]


def share_of_input(got, given, slopes, point, h):
    """Each input was nudged by h times itself: the step is h, for each
    input."""
    for quotient in (forward, centred):
        yield [quotient(given, point, h * x)[i] for i, x in enumerate(point)]


def one_input(got, given, slopes, point, h):
    """The slope in the same input three times: nudge each in its turn."""
    for quotient in (forward(given, point, h), forward(given, point, -h),
                     centred(given, point, h)):
        yield from ([q] * 3 for q in quotient)


def few_digits(got, given, slopes, point, h):
    """Right in its first digits only: was something rounded on the way
    (float32)? Plain Python numbers are float64."""
    for want in (forward(given, point, h), forward(given, point, -h),
                 centred(given, point, h)):
        if len(got) == 3 and all(abs(x - y) < 1e-3 * max(1, abs(y))
                                 for x, y in zip(got, want)):
            yield got


QUOTIENT_MISTAKES = [
    all_nudged, nudge_kept, own_function, sign_turned, brackets_missing,
    not_divided, share_of_input, one_input, slope_itself, few_digits,
]
ONE_SIDED_MISTAKES = [asked_symmetric, divided_by_2h, *QUOTIENT_MISTAKES]
SYMMETRIC_MISTAKES = [asked_one_sided, divided_by_h, back_at_the_point,
                      *QUOTIENT_MISTAKES]


def polynomial(rng):
    """(f, its slopes, how it is written): its inputs act on each other."""
    p, q, r, s = (rng.choice((-1, 1)) * rng.randint(1, 4) for _ in range(4))

    def f(a, b, c):
        return p * a**3 + q * a * b**2 + r * b * c + s * a * b * c

    def slopes(a, b, c):
        return (3 * p * a**2 + q * b**2 + s * b * c,
                2 * q * a * b + r * c + s * a * c, r * b + s * a * b)

    return f, slopes, f"{p} a^3 + {q} a b^2 + {r} b c + {s} a b c"


def check_quotients(check, answer, quotients, mistakes):
    """Compare with one of the quotients, (f, point, h) -> three numbers."""
    rng = random.Random()
    lecture = (f, f_slopes, "the exercise's f")
    cases = [(*lecture, (2.0, 3.0, 4.0), 0.1)]
    for _ in range(3):
        for function in (lecture, polynomial(rng)):
            cases.append((*function, any_point(rng), rng.uniform(0.05, 0.2)))
    for given, slopes, text, point, h in cases:
        case = f"f = {text}, point = {show_point(point)}, h = {h:.6g}"
        handed = list(point)
        got = check.call(answer, given, handed, h, case=case)
        got = check.unpack(got, 3, "three numbers, one for each input", case)
        wants = [quotient(given, point, h) for quotient in quotients]
        want = next((want for want in wants if check.same(
            numbers(got), want, 1e-9, 1e-9)), wants[0])
        check.expect("quotients", got, want, mistakes,
                     (given, slopes, point, h), case=case,
                     atol=1e-9, rtol=1e-9)
        if not check.same(numbers(handed), point, 1e-9, 0):
            check.fail("the point that you were handed is another one "
                       "afterwards: work on a copy, list(point), or take each "
                       "nudge back", input=case,
                       expected=f"point as it was, {show_point(point)}",
                       got=f"point = {show_point(numbers(handed))}")
        check.cases += 1


def check_step(check, answer, limit, best, grows):
    """The default step is good enough for f at (2, 3, 4)."""
    point, asked = (2.0, 3.0, 4.0), []

    def spied(*inputs):
        asked.append(inputs)
        return f(*inputs)

    case = "the exercise's f, point = (2, 3, 4), no h handed over"
    got = check.unpack(check.call(answer, spied, list(point), case=case), 3,
                       "three numbers, one for each input", case)
    error = max(abs(x - y) for x, y in zip(numbers(got), f_slopes(*point)))
    if error <= limit:
        check.cases += 1
        return
    nudges = [abs(x - y) for inputs in asked for x, y in zip(inputs, point)]
    h = max(nudges, default=0)
    if h > best:
        why = (f"the default step, about {h:.3g}, is too large: the error "
               f"grows with {grows}. Choose a smaller one; the limit stays")
    elif h > 0:
        why = (f"the default step, about {h:.3g}, is too small: the values of "
               f"f are rounded at about {sys.float_info.epsilon:.0e} of their "
               "size, and the division by the step magnifies that")
    else:
        why = ("the default step is too small: x + h is x again, so that "
               "nothing was nudged")
    check.fail(why, input=case, expected=f"slopes off by at most {limit:.0e}",
               got=f"slopes off by up to {error:.2e}")


def one_sided(answer):
    """Check one_sided(f, point, h=...) -> three quotients (L1-S1b).

    Forward or backward; f takes the three numbers of the list `point`. The
    default step gives the slopes of the lecture's f at (2, 3, 4) to 1e-5.
    """
    check = Check("one_sided")
    check_quotients(check, answer,
                    [forward, lambda f, point, h: forward(f, point, -h)],
                    ONE_SIDED_MISTAKES)
    check_step(check, answer, 1e-5, 2e-8, "the step")
    check.passed()


def symmetric(answer):
    """Check symmetric(f, point, h=...) -> three quotients (L1-S1c).

    f takes the three numbers of the list `point`. The default step gives the
    slopes of the lecture's f at (2, 3, 4) to 1e-8.
    """
    check = Check("symmetric")
    check_quotients(check, answer, [centred], SYMMETRIC_MISTAKES)
    check_step(check, answer, 1e-8, 5e-6, "the square of the step")
    check.passed()


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

"""The checkers of lecture 1. A mistake's docstring is what the reader reads.

Needs no torch, but for `softmax_torch`.
"""

import itertools
import math
import operator
import random
import re
import sys
import textwrap

from zth.check import Check, numbers, show, Wrong
from zth.engine import as_value, Value

__all__ = [
    "Wrong",
    "analytic",
    "forward_mode",
    "one_sided",
    "softmax",
    "softmax_torch",
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
    check = Check("analytic")
    rng = random.Random(check.seed)
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
    rng = random.Random(check.seed)
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


# L1-S2: the operators of an engine -----------------------------------------

BINARY = {
    # sign: (operator, methods, derivatives in a and b, the same in words)
    "+": (operator.add, ("__add__", "__radd__"), lambda a, b: (1, 1),
          "1 in a and 1 in b"),
    "-": (operator.sub, ("__sub__", "__rsub__"), lambda a, b: (1, -1),
          "1 in a and -1 in b"),
    "*": (operator.mul, ("__mul__", "__rmul__"), lambda a, b: (b, a),
          "b in a and a in b"),
    "/": (operator.truediv, ("__truediv__", "__rtruediv__"),
          lambda a, b: (1 / b, -a / b**2), "1 / b in a and -a / b**2 in b"),
}
UNARY = {
    # as written: (on Values, method, on floats, derivative, in words)
    "-a": (operator.neg, "__neg__", operator.neg, lambda a: -1, "-1"),
    "a ** -1": (lambda a: a ** -1, "__pow__", lambda a: 1 / a,
                lambda a: -1 / a**2, "-1 * a ** -2: k a ** (k - 1)"),
    "a ** 3": (lambda a: a ** 3, "__pow__", lambda a: a**3,
               lambda a: 3 * a**2, "3 * a ** 2: k a ** (k - 1)"),
    "a.exp()": (lambda a: a.exp(), "exp", math.exp, math.exp,
                "the result itself, exp(a)"),
    "a.log()": (lambda a: a.log(), "log", math.log, lambda a: 1 / a,
                "1 / a"),
}
A, B = 1.75, 0.625  # where each operator is tried
ORDER = ("a node passed its gradient on before all of it had arrived, or more "
         "than once. Sort the graph first, so that each node comes before its "
         "operands, and go through it once, from the result on")


def turned_round(got, text, value):
    """The operands are turned round. In a - b, self is a and other is b: self
    + (-other), not other + (-self). In a reflected method, as __rsub__ and
    __rtruediv__, self is the operand on the right: other - self."""
    if "-" in text and text != "-a":
        yield -value
    if "/" in text:
        yield 1 / value


def other_base(got, text, value):
    """This is in another base than e: use math.exp and math.log."""
    if "log" in text:
        yield from (value / math.log(2), value / math.log(10))
    if "exp" in text:
        yield from (2**A, 10**A)


def one_operand_overwritten(got, slopes):
    """Here both operands are one node, and only one of its two contributions
    is left: gradients add up, so write += and not =, and keep both parents,
    in a tuple (a set holds one)."""
    yield from (slopes[0], slopes[1])


def overwritten(got, slopes):
    """A node that is used more than once got the gradient of one use alone:
    gradients add up, so write += and not = in this operator."""
    doubled = [2 * slope for slope in slopes]
    ones = [1, *slopes[1:]]
    yield from (doubled, slopes, ones, [1, *doubled[1:]])


def not_multiplied(got, slopes):
    """The derivative of this operator was not multiplied by the gradient of
    its result: the chain rule's other factor, out.grad."""
    yield [slopes[0] + 1, *slopes[1:]]
    yield [2 * slopes[0], *slopes[1:]]


def front_to_back(got, slopes):
    """The nodes were visited from the leaves to the result. Begin with the
    result: reversed(order)."""
    yield [1, *(0 for _ in slopes[1:])]


def passed_twice(got, slopes):
    """A node that is used twice passed its gradient on twice, the first part
    a second time. Plain recursion does that: sort the graph first, so that
    each node comes before its operands, and pass on once."""
    for times in (3, 4):
        yield [times * slopes[0] + 1, *(times * s for s in slopes[1:])]


def backward(check, node, case):
    """Run node.backward(); `Wrong` if it is unwritten or raises."""
    if not callable(getattr(node, "backward", None)):
        check.fail("return a Value, from which backward() can start; it was "
                   "lost where a plain number (.data) went on", input=case,
                   got=show(node))

    def backward():
        node.backward()
        return True

    called(check, backward, case=case)


def gradient(check, leaves, case):
    """The grad of each leaf."""
    grads = [getattr(leaf, "grad", None) for leaf in leaves]
    if any(grad is None for grad in grads):
        check.fail("after backward() each Value that the result came from "
                   "has a grad", input=case, got=f"grad = {grads}")
    return check.read(grads)


def called(check, function, *args, case, otherwise=None):
    """`Check.call`, with what is likely behind an error."""
    try:
        return check.call(function, *args, case=case)
    except Wrong as wrong:
        why = wrong.__cause__ and (why_raised(wrong.__cause__) or otherwise)
        if not why:
            raise
        likely = textwrap.fill(why, 79, initial_indent=f"  {'likely':10}",
                               subsequent_indent=" " * 12)
        raise Wrong(f"{wrong}\n{likely}") from wrong.__cause__


METHODS = {"+": "add", "-": "sub", "*": "mul", "/": "truediv",
           "** or pow()": "pow"}
NUMBERS = ("int", "float")


def why_raised(error):
    """What is likely behind an error of a reader's engine; None if unknown."""
    said = str(error)
    if found := re.search(r"type\(s\) for (.+?): '(\w+)' and '(\w+)'", said):
        sign, left, right = found.groups()
        if sign.rstrip("=") not in METHODS or left in NUMBERS and (
                right in NUMBERS):
            return None
        sign = sign.rstrip("=")
        method = METHODS[sign]
        if left not in NUMBERS:
            return f"{left} defines no __{method}__ that takes this operand"
        why = (f"a number {sign[:2].strip()} a Value: Python asks the Value "
               f"for __r{method}__, which it does not define")
        if sign == "+":
            why += ". sum() needs it: it starts from the number 0"
        return why
    if found := re.search(r"bad operand type for unary -: '(\w+)'", said):
        return f"{found[1]} defines no __neg__"
    if found := re.search(r"'(int|float)' object has no attribute", said):
        return ("a plain number where a Value was expected: let the operators "
                "take numbers too, other = other if isinstance(other, Value) "
                "else Value(other)")
    if found := re.search(r"'(\w+)' object has no attribute '(exp|log)'",
                          said):
        return f"{found[1]} has no method {found[2]} yet"
    if "must be real number" in said:
        return ("math.exp and math.log take plain numbers: value.data inside "
                "the engine, value.exp() outside")
    if found := re.search(r"'[<>]' not supported between .* '(\w+)'", said):
        return ("max cannot compare these: take the largest of the plain "
                "numbers, max(z.data for z in logits)")
    if "unhashable" in said:
        return ("a class with __eq__ and without __hash__ fits in no set; "
                "leave __eq__ out")
    if isinstance(error, RecursionError):
        return ("something calls itself without end: __radd__ that returns "
                "other + self asks itself again (return self + other)")
    return None


def operators(check, Value):
    """Each operator that the class has: value, derivatives, used again.

    What it has not is no fault here, and numbers beside Values need not be
    understood: what `softmax` and `nll` need shows there. Those that others
    are made of come first.
    """
    for name in ("+", "*", "a ** 3", "a ** -1", "-a", "a.exp()", "a.log()",
                 "-", "/"):
        if name in BINARY:
            binary(check, Value, name, *BINARY[name])
        else:
            f, method, value, slope, words = UNARY[name]
            if hasattr(Value, method):
                operator_of(check, Value, name, f, (A,), value(A),
                            (slope(A),), words)


def binary(check, Value, sign, f, methods, slopes, words):
    """An operator of two Values, and of a Value and a number."""
    if hasattr(Value, methods[0]):
        operator_of(check, Value, f"a {sign} b", f, (A, B), f(A, B),
                    slopes(A, B), words)
    words = words.replace("a and", "the left operand and").replace(
        "in b", "in the right one")
    for method, text, one, at, which in (
            (methods[0], f"a {sign} {B}", lambda a: f(a, B), (A, B), 0),
            (methods[1], f"{B} {sign} a", lambda a: f(B, a), (B, A), 1)):
        if hasattr(Value, method) and understands(Value, one):
            operator_of(check, Value, text, one, (A,), f(*at),
                        slopes(*at)[which:which + 1], words)


def understands(Value, function):
    """Whether an operator takes a plain number as the other operand."""
    try:
        function(Value(A))
    except (TypeError, AttributeError, AssertionError):
        return False
    except Exception:
        pass  # shown where it is called again
    return True


def operator_of(check, Value, text, f, at, value, slopes, words):
    """One operator: alone, then with an operand and its result used again."""
    case = f"{text} for " + ", ".join(f"{n} = {x}" for n, x in zip("ab", at))
    leaves = [Value(x) for x in at]
    try:
        f(*leaves)
    except NotImplementedError:
        return
    except Exception:
        pass  # shown below
    check.cases += 1
    got = derivatives(check, f, leaves, case, value, text)
    check.expect("derivatives", got, slopes, [
        no_start, other_slope(words)], (slopes,), case=case)

    if len(at) == 2:
        case = f"a {text[2]} a for a = {A}"
        a = Value(A)
        same = BINARY[text[2]][2](A, A)
        got = derivatives(check, lambda a: f(a, a), [a], case)
        check.expect("derivative", got, [sum(same)],
                     [one_operand_overwritten], (same,), case=case)

    case = f"t = {text}; (t + t) + a for " + ", ".join(
        f"{n} = {x}" for n, x in zip("ab", at))
    leaves = [Value(x) for x in at]

    def again(*leaves):
        t = f(*leaves)
        return (t + t) + leaves[0]

    want = [2 * slope for slope in slopes]
    want[0] += 1
    check.expect("derivatives", derivatives(check, again, leaves, case), want,
                 [front_to_back, overwritten, not_multiplied, passed_twice],
                 (slopes,), case=case)


def derivatives(check, f, leaves, case, value=None, text=None):
    """The leaves' grad after f(*leaves).backward(); its value is checked."""
    out = called(check, f, *leaves, case=case)
    if value is not None:
        check.expect("value", numbers_of(check, out, case), value,
                     [turned_round, other_base], (text, value), case=case)
    backward(check, out, case)
    return gradient(check, leaves, case)


def no_start(got, slopes):
    """No gradient arrived. The result's own grad is where backward begins: it
    must be 1.0 before the first step back. And no step may be left out."""
    yield [0 for _ in slopes]


def other_slope(words):
    def mistake(got, slopes):
        yield got

    mistake.__doc__ = f"The derivative of this operator is {words}."
    return mistake


def graphs(check, Value, rng):
    """Sums of sums: the gradient in a leaf is the number of paths to it."""
    shallow = [[(0, 1), (2, 2), (3, 2), (2, 4)],
               [(0, 1), (2, 2), (3, 2), (4, 2)]]
    drawn = [[(0, 1)] + [rng.sample((i + 1, rng.randrange(i + 2)), 2)
                         for i in range(1, 8)] for _ in range(6)]
    for links in (*shallow, *drawn):
        check.cases += 1
        nodes = [Value(1.0), Value(2.0)]
        names = ["a", "b"] + [f"n{i}" for i in range(1, len(links) + 1)]
        for i, k in links:
            nodes.append(nodes[i] + nodes[k])
        paths = [0] * (len(nodes) - 1) + [1]
        for node in reversed(range(2, len(nodes))):
            for parent in links[node - 2]:
                paths[parent] += paths[node]
        case = "; ".join(f"{names[n + 2]} = {names[i]} + {names[k]}"
                         for n, (i, k) in enumerate(links))
        backward(check, nodes[-1], case)
        got = gradient(check, nodes[:2], case)
        if not check.same(got, [float(n) for n in paths[:2]], 1e-9, 1e-9):
            check.fail(ORDER, input=f"{case}; {names[-1]}.backward()",
                       expected=f"gradients in a and b {paths[0]}, {paths[1]}",
                       got="gradients in a and b "
                       + ", ".join(f"{x:.10g}" for x in got))


def numbers_of(check, value, case):
    """A Value's number."""
    if not hasattr(value, "data"):
        check.fail("an operator returns a new Value", input=case,
                   got=show(value))
    return check.read(value)


# L1-S2: softmax and its loss ------------------------------------------------


def exact(z, y):
    """(probabilities, loss, its gradient) by the definition, kept in range."""
    top = max(z)
    total = math.fsum(math.exp(x - top) for x in z)
    p = [math.exp(x - top) / total for x in z]
    loss = math.log(total) + top - z[y]
    return p, loss, [x - (i == y) for i, x in enumerate(p)]


def exp(x):
    """e ** x, infinite where no float is it."""
    return math.exp(x) if x < 709.78 else math.inf


def log(x):
    return math.log(x) if x > 0 else -math.inf


def quotients(above, below):
    return [x / below if below else math.nan for x in above]


def not_normalised(got, z):
    """These are the exponentials: divide each by their sum."""
    yield [exp(x) for x in z]
    yield [exp(x - max(z)) for x in z]


def divided_by_largest(got, z):
    """Divided by the largest exponential: divide by the sum of all."""
    yield [exp(x - max(z)) for x in z]


def not_exponentiated(got, z):
    """The logits were divided by their sum: exponentiate them first."""
    yield quotients(z, math.fsum(z))


def log_probabilities(got, z):
    """These are the logarithms of the probabilities."""
    yield [log(p) for p in exact(z, 0)[0]]


def turned_logits(got, z):
    """The largest logit has the smallest probability: a sign is turned."""
    yield exact([-x for x in z], 0)[0]


def other_exponential(got, z):
    """The base is not e: use exp."""
    for base in (2, 10):
        yield exact([x * math.log(base) for x in z], 0)[0]


def shifted_above_only(got, z):
    """The maximum was subtracted in the numerator and not in the sum, or the
    other way round: subtract it from every logit first."""
    top, total = max(z), math.fsum(exp(x) for x in z)
    yield quotients([exp(x - top) for x in z], total)
    yield quotients([exp(x) for x in z], math.fsum(exp(x - top) for x in z))


def without_itself(got, z):
    """The sum leaves the logit's own exponential out: it runs over all."""
    total = math.fsum(exp(x) for x in z)
    yield [exp(x) / (total - exp(x)) if total > exp(x) else math.inf
           for x in z]


SOFTMAX_MISTAKES = [
    divided_by_largest, not_normalised, not_exponentiated, log_probabilities,
    turned_logits, other_exponential, shifted_above_only, without_itself,
]


def detached(got, want, p, i):
    """No gradient reaches the logits from a probability: somewhere plain
    numbers (.data) were computed with, and put into a new Value at the end."""
    yield [0 for _ in p]


def sum_constant(got, want, p, i):
    """The sum was taken as a plain number: it depends on every logit, so that
    the derivative of p_i in z_j is p_i ([i = j] - p_j)."""
    yield [p[i] * (i == j) for j in range(len(p))]


def turned_sign(got, z, y):
    """The sign is turned: the loss is minus the log-probability."""
    yield -exact(z, y)[1]


def base_of_log(got, z, y):
    """This is in another base: take the natural logarithm, math.log."""
    yield from (exact(z, y)[1] / math.log(base) for base in (2, 10))


def other_entry(got, z, y):
    """This is the loss of another label: the label is an index into the
    logits, counted from 0."""
    yield from (exact(z, i)[1] for i in range(len(z)) if z[i] != z[y])


def no_log(got, z, y):
    """The logarithm is missing: this is the label's probability."""
    p = exact(z, y)[0][y]
    yield from (p, -p, 1 - p)


def all_labels(got, z, y):
    """This adds up or averages the losses of all labels: only the one that is
    asked for counts."""
    total = math.fsum(exact(z, i)[1] for i in range(len(z)))
    yield from (total, total / len(z))


def divided(got, z, y):
    """The loss was divided by the number of logits: this is one example, and
    there is nothing to average over."""
    yield exact(z, y)[1] / len(z)


def softmax_twice(got, z, y):
    """A softmax was taken twice: nll takes logits, not probabilities."""
    yield exact(exact(z, y)[0], y)[1]


def only_the_sum(got, z, y):
    """This is the log of the sum of exponentials alone: the label's logit was
    not subtracted."""
    top = max(z)
    yield exact(z, y)[1] + z[y]
    yield exact(z, y)[1] + z[y] - top


def only_the_logit(got, z, y):
    """This is minus the label's logit: the log of the sum of exponentials was
    not added."""
    yield -z[y]


def maximum_not_back(got, z, y):
    """The maximum was subtracted inside the sum and not outside: log-sum-exp
    is the maximum plus the log of the sum of exp(z - maximum)."""
    for times in (1, -1):
        yield exact(z, y)[1] - times * max(z)


def nudged(got, z, y):
    """A small number was added inside the logarithm, or p was kept from 0: it
    changes the loss. Stay with logarithms: the log of the sum of exponentials
    minus the label's logit."""
    p = exact(z, y)[0][y]
    for power in range(4, 321):
        yield from (-log(p + 10.0**-power), -log(max(p, 10.0**-power)))


LOSS_MISTAKES = [
    turned_sign, base_of_log, only_the_sum, other_entry, no_log, all_labels,
    divided, softmax_twice, only_the_logit, maximum_not_back, nudged,
]


def nothing_arrives(got, p, y, top):
    """No gradient reaches the logits: somewhere plain numbers (.data) were
    computed with, and put into a new Value at the end."""
    yield [0 for _ in p]


def label_constant(got, p, y, top):
    """This is p: the label's logit was a plain number on its way to the loss,
    or its path was lost. The gradient is p minus the one-hot label."""
    yield p


def sum_is_constant(got, p, y, top):
    """This is minus the one-hot label: the sum of exponentials was a plain
    number. It depends on every logit, which gives the p in p - y."""
    yield [-(i == y) for i in range(len(p))]


def turned_gradient(got, p, y, top):
    """The gradient's sign is turned: it is p minus the one-hot label."""
    yield [(i == y) - x for i, x in enumerate(p)]


def twice_backward(got, p, y, top):
    """These are twice the gradients: backward ran twice on one graph, or the
    result's grad was not 1 at the start."""
    yield [2 * (x - (i == y)) for i, x in enumerate(p)]


def averaged(got, p, y, top):
    """These are the gradients divided by the number of logits: there is
    nothing to average over."""
    yield [(x - (i == y)) / len(p) for i, x in enumerate(p)]


def of_the_probability(got, p, y, top):
    """This is the gradient of the label's probability, or minus it: the
    logarithm's derivative 1 / p is missing."""
    for sign in (1, -1):
        yield [sign * p[y] * (x - (i == y)) for i, x in enumerate(p)]


def half_a_maximum(got, p, y, top):
    """The maximum was subtracted as a Value and added back as a plain number,
    or the other way round, so that one of two derivatives that cancel is
    missing. Take a plain number in both places."""
    for sign in (1, -1):
        yield [x - (i == y) + sign * (i == top) for i, x in enumerate(p)]


GRADIENT_MISTAKES = [
    nothing_arrives, label_constant, sum_is_constant, turned_gradient,
    twice_backward, averaged, of_the_probability, half_a_maximum,
]

UNSHIFTED = ("e ** z is too large for a float above z = 709.78, and 0 below "
             "-745.13: subtract the largest logit, as a plain number, from "
             "all of them first; that changes no probability")
LOG_OF_ZERO = ("the label's probability is too small for a float, so that it "
               "rounds to 0, and has no logarithm: take the log of the sum "
               "of exponentials minus the label's logit, where no "
               "probability is computed")
LECTURE = [0.0, 3.0, -2.0, 1.0], 3
EDGES = [([0.7, 2.4, -1.1, 0.2], 3), LECTURE,
         ([0.5, 0.5, 0.5], 1), ([2.5], 0), ([-1.0, 2.0], 0)]
# (logits, label, what is behind any failure)
LARGE = [([1000.0, 998.0, 999.0], 1, UNSHIFTED),
         ([-1000.0, -1001.5], 0, UNSHIFTED),
         ([709.0, 709.5, 709.2], 2, UNSHIFTED),
         ([0.0, 1000.0], 0, LOG_OF_ZERO),
         ([30.0, 1e6, -1e6], 2, LOG_OF_ZERO)]


def drawn(rng, count=8):
    """Fresh logits and labels."""
    for _ in range(count):
        z = [rng.uniform(-4, 4) for _ in range(rng.randint(2, 7))]
        yield z, rng.randrange(len(z))


def softmax(Value, softmax, nll):
    """Check an engine, softmax on it, and the loss (L1-S2).

    Value(data) has data, grad and backward(). softmax(logits): the
    probabilities of a list of Values, Values too. nll(logits, label): minus
    the log of the label's probability, a Value, for logits of any size.
    """
    check = Check("softmax")
    rng = random.Random(check.seed)
    value = check.call(Value, 2, case="Value(2)")
    if getattr(value, "data", None) != 2 or not hasattr(value, "backward"):
        check.fail("Value(2) has data 2, a grad, and a method backward()",
                   input="Value(2)", got=show(value))
    operators(check, Value)
    graphs(check, Value, rng)
    for z, y in (*EDGES, *drawn(rng)):
        check.cases += 1
        check_softmax(check, Value, softmax, z)
        for again in (False, True):
            check_nll(check, Value, nll, z, y, again=again)
    for z, y, why in LARGE:
        check.cases += 1
        check_softmax(check, Value, softmax, z, why=UNSHIFTED)
        check_nll(check, Value, nll, z, y, why=why)
    check.passed()


def call_of(name, z, y=None):
    values = "[" + ", ".join(f"Value({x:.6g})" for x in z) + "]"
    return f"{name}({values}{'' if y is None else f', {y}'})"


def check_softmax(check, Value, softmax, z, why=None):
    """The probabilities, and the derivative of each in every logit."""
    case = call_of("softmax", z)
    for i in range(1 if why else len(z)):
        leaves = [Value(x) for x in z]
        probs = called(check, softmax, list(leaves), case=case, otherwise=why)
        if not hasattr(probs, "__iter__"):
            check.fail("return a list, a probability for each logit",
                       input=case, got=show(probs))
        probs = list(probs)
        p = exact(z, 0)[0]
        mistakes = [] if why else SOFTMAX_MISTAKES
        check.expect("probabilities", check.read(probs), p, [
            *mistakes, *([always(why)] if why else [])], (z,), case=case,
            atol=1e-9, rtol=1e-9)
        if why:
            return
        case_i = f"{case}[{i}].backward()"
        backward(check, probs[i], case_i)
        want = [p[i] * ((i == j) - p[j]) for j in range(len(p))]
        check.expect("derivatives", gradient(check, leaves, case_i), want,
                     [detached, sum_constant], (want, p, i), case=case_i,
                     atol=1e-9, rtol=1e-9)


def check_nll(check, Value, nll, z, y, why=None, again=False):
    """The loss and its gradient in every logit."""
    case = call_of("nll", z, y) + ", on new Values" * again
    leaves = [Value(x) for x in z]
    loss = called(check, nll, list(leaves), y, case=case, otherwise=why)
    p, right, slopes = exact(z, y)
    limits = {"case": case, "atol": 1e-9, "rtol": 1e-9}
    last = [always(why)] if why else [kept] * again
    check.expect("loss", check.read(loss), right, [
        *([nudged] if why else LOSS_MISTAKES), *last], (z, y), **limits)
    if any(getattr(leaf, "grad", None) for leaf in leaves):
        check.fail("nll has called backward already: it returns the loss, and "
                   "leaves that to its caller, or gradients add up twice",
                   input=case, got="grads that are not 0 before backward()")
    backward(check, loss, case)
    got = gradient(check, leaves, case)
    top = z.index(max(z))
    check.expect("gradients", got, slopes, [
        *GRADIENT_MISTAKES, *last, no_zero_sum], (p, y, top), **limits)


def kept(got, *_):
    """The first call was right, and the second, on new Values, is not:
    something is kept between the two, as a list that all of them share."""
    yield got


def no_zero_sum(got, *_):
    """The gradients do not add up to 0, as they must: a number added to all
    logits changes no probability. A path from a logit to the loss is lost, or
    counted twice."""
    if abs(math.fsum(got)) > 1e-9:
        yield got


def always(why):
    def mistake(got, *_):
        yield got

    mistake.__doc__ = why
    return mistake


# L1-S2b -------------------------------------------------------------------


def rounded_first(got, z, y, part):
    """The logits were rounded to float32 before they became float64:
    torch.Tensor(...) makes float32, and .double() does not bring the digits
    back. torch.tensor(logits, dtype=torch.float64) keeps them."""
    import torch

    yield exact(torch.tensor(z, dtype=torch.float32).tolist(), y)[part]


def single_precision(got, z, y, part):
    """This is right to float32, about seven digits: make the logits float64,
    torch.tensor(logits, dtype=torch.float64)."""
    want = numbers(exact(z, y)[part])
    if len(got) == len(want) and all(
            abs(a - b) < 1e-5 * max(1, abs(b)) for a, b in zip(got, want)):
        yield got


def value_mistake(mistake):
    def of_loss(got, z, y, part):
        yield from mistake(got, z, y)

    of_loss.__doc__ = mistake.__doc__
    return of_loss


def gradient_mistake(mistake):
    def of_gradient(got, z, y, part):
        yield from mistake(got, exact(z, y)[0], y, z.index(max(z)))

    of_gradient.__doc__ = mistake.__doc__
    return of_gradient


def second_softmax(got, z, y, part):
    """A softmax was taken twice: F.cross_entropy takes logits, and applies
    the softmax itself."""
    p = exact(z, y)[0]
    q, loss, slopes = exact(p, y)
    along = math.fsum(a * b for a, b in zip(p, slopes))
    yield loss if part == 1 else [a * (b - along) for a, b in zip(p, slopes)]


PRECISION = [rounded_first, single_precision]
LOSS_IN_TORCH = [
    *map(value_mistake, (turned_sign, base_of_log)), second_softmax,
    *map(value_mistake, (other_entry, no_log, all_labels, divided,
                         only_the_sum, only_the_logit)),
    *PRECISION,
]
GRADIENT_IN_TORCH = [
    *map(gradient_mistake, GRADIENT_MISTAKES[:-1]), second_softmax,
    *PRECISION,
]
NO_GRAPH = ("ask for gradients where the logits become a tensor, "
            "requires_grad=True, and compute the loss with tensors alone")
NO_LEAF = ("grad is kept where the graph begins. A tensor that came out of an "
           "operation, as .double() of one with requires_grad=True, keeps "
           "none: torch.tensor(logits, dtype=torch.float64, "
           "requires_grad=True)")


def softmax_torch(loss_and_gradient):
    """Check the loss and its gradient by PyTorch (L1-S2b).

    loss_and_gradient(logits, label): the loss of a list of floats and its
    gradient in each of them, right to 1e-12.
    """
    check = Check("softmax_torch")
    rng = random.Random(check.seed)
    for z, y in (*EDGES, ([0.1, -0.7, 1.3, 0.2], 1), *drawn(rng)):
        check.cases += 1
        logits = ", ".join(f"{x:.6g}" for x in z)
        case = f"loss_and_gradient([{logits}], {y})"
        found = called_in_torch(check, loss_and_gradient, list(z), y, case)
        loss, grad = check.unpack(found, 2, "the loss and its gradient", case)
        if loss is None or grad is None:
            check.fail(NO_LEAF, input=case, got="None as "
                       + ("the gradient" if grad is None else "the loss"))
        _, right, slopes = exact(z, y)
        limits = {"case": case, "atol": 1e-12, "rtol": 1e-12}
        check.expect("loss", loss, right, LOSS_IN_TORCH, (z, y, 1), **limits)
        check.expect("gradient", grad, slopes, GRADIENT_IN_TORCH, (z, y, 2),
                     **limits)
    check.passed()


def called_in_torch(check, function, z, y, case):
    try:
        return called(check, function, z, y, case=case)
    except Wrong as wrong:
        if "does not require grad" not in str(wrong):
            raise
        likely = textwrap.fill(NO_GRAPH, 79, initial_indent=f"  {'likely':10}",
                               subsequent_indent=" " * 12)
        raise Wrong(f"{wrong}\n{likely}") from wrong.__cause__


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
    check = Check("forward_mode")
    rng = random.Random(check.seed)
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

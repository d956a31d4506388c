"""zth.check.micrograd, derivatives; oracle: torch's float64 autograd for the
slopes, and answers planted right and wrong, each named."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from answers import passes, refuses

from zth.check import micrograd as check


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
@pytest.mark.parametrize("name", ["analytic", "one_sided", "symmetric"])
def test_the_starter_is_not_written_yet(name, unwritten):
    said = refuses(getattr(check, name), unwritten)
    assert f"{name}: not written yet" in said


def test_the_checkers_need_no_torch():
    code = ("import sys; sys.modules['torch'] = None\n"
            "from zth.check import micrograd as check\n"
            "check.analytic(check.f_slopes)")
    subprocess.run([sys.executable, "-c", code], check=True)


# The specification ----------------------------------------------------------


def autograd(function, point):
    x = [torch.tensor(v, dtype=torch.float64, requires_grad=True)
         for v in point]
    return [g.item() for g in torch.autograd.grad(function(*x), x)]


def torch_f(a, b, c):
    return -(a**3) + (3 * b).sin() - 1 / c + b**2.5 - a**0.5


def test_the_slopes_are_autograds():
    rng = random.Random(1)
    for _ in range(50):
        point = check.any_point(rng)
        x = [torch.tensor(v, dtype=torch.float64) for v in point]
        assert math.isclose(torch_f(*x), check.f(*point), abs_tol=1e-12)
        np.testing.assert_allclose(check.f_slopes(*point),
                                   autograd(torch_f, point), 1e-12, 1e-12)
        polynomial, slopes, _ = check.polynomial(rng)
        np.testing.assert_allclose(slopes(*point),
                                   autograd(polynomial, point), 1e-12, 1e-12)
    np.testing.assert_allclose(  # what the lecture's sheet asks for
        check.f_slopes(2, 3, 4),
        (-12.353553390593273, 10.25699027111255, 0.0625), 1e-14)


# analytic -------------------------------------------------------------------


def paper(da=None, db=None, dc=None):
    """gradient(a, b, c), one slope or more replaced by a wrong formula."""
    da = da or (lambda a, b, c: -3 * a**2 - 0.5 * a**-0.5)
    db = db or (lambda a, b, c: 3 * math.cos(3 * b) + 2.5 * b**1.5)
    dc = dc or (lambda a, b, c: c**-2)
    return lambda *point: [slope(*point) for slope in (da, db, dc)]


def by_torch(a, b, c):
    return torch.tensor(autograd(torch_f, (a, b, c)), dtype=torch.float64)


@pytest.mark.parametrize("answer", [
    paper(),
    lambda a, b, c: tuple(paper()(a, b, c)),
    lambda a, b, c: np.array(paper()(a, b, c)),
    lambda a, b, c: (-3 * a * a - 1 / (2 * math.sqrt(a)),
                     np.float64(3 * np.cos(3 * b) + 2.5 * b * b / b**0.5),
                     torch.tensor(1 / c**2, dtype=torch.float64)),
    lambda a, b, c: [*paper()(a, b, c), check.f(a, b, c)],
    by_torch,
], ids=range(6))
def test_right_gradients_pass(capsys, answer):
    passes(capsys, check.analytic, answer)


@pytest.mark.parametrize("answer, slope, said", [
    (paper(db=lambda a, b, c: math.cos(3 * b) + 2.5 * b**1.5), "df/db",
     "The inner derivative is missing"),
    (paper(db=lambda a, b, c: math.cos(3 * b) + 2.5 * b**1.5,
           dc=lambda a, b, c: -(c**-2)), "df/db",
     "The inner derivative is missing"),
    (paper(db=lambda a, b, c: 3 * math.cos(b) + 2.5 * b**1.5), "df/db",
     "The cosine is taken at b"),
    (paper(db=lambda a, b, c: -3 * math.cos(3 * b) + 2.5 * b**1.5), "df/db",
     "A term has the wrong sign"),
    (paper(db=lambda a, b, c: 3 * math.sin(3 * b) + 2.5 * b**1.5), "df/db",
     "The derivative of the sine is the cosine"),
    (paper(db=lambda a, b, c: -math.cos(3 * b) + 2.5 * b**1.5), "df/db",
     "The derivative of the sine is the cosine"),
    (paper(dc=lambda a, b, c: -(c**-2)), "df/dc",
     "The sign of the slope in c"),
    (paper(dc=lambda a, b, c: 1 / c), "df/dc", "-1/c is -c^-1"),
    (paper(dc=lambda a, b, c: 1.0), "df/dc", "-1/c is -c^-1"),
    (paper(dc=lambda a, b, c: -math.log(abs(c))), "df/dc",
     "A logarithm is the antiderivative"),
    (paper(db=lambda a, b, c: 3 * math.cos(3 * b) + 2.5 * b**2.5), "df/db",
     "the power that is left is one lower"),
    (paper(da=lambda a, b, c: -3 * a**3 - 0.5 * a**-0.5), "df/da",
     "the power that is left is one lower"),
    (paper(da=lambda a, b, c: -3 * a**2 - 0.5 * a**0.5), "df/da",
     "the power that is left is one lower"),
    (paper(da=lambda a, b, c: -3 * a**3 - 0.5 * a**0.5), "df/da",
     "the power that is left is one lower"),
    (paper(db=lambda a, b, c: 3 * math.cos(3 * b) + b**1.5), "df/db",
     "its exponent did not come down"),
    (paper(da=lambda a, b, c: -3 * a**2 - a**-0.5), "df/da",
     "its exponent did not come down"),
    (paper(da=lambda a, b, c: 3 * a**2 - 0.5 * a**-0.5), "df/da",
     "A term has the wrong sign"),
    (paper(da=lambda a, b, c: -3 * a**2 + 0.5 * a**-0.5), "df/da",
     "A term has the wrong sign"),
    (paper(da=lambda a, b, c: -3 * a**2), "df/da",
     "one of them is missing"),
    (paper(db=lambda a, b, c: 2.5 * b**1.5), "df/db",
     "one of them is missing"),
    (paper(da=lambda a, b, c: -3 * a**2 - 0.5 * a**-0.5 + math.sin(3 * b)),
     "df/da", "Terms without this input"),
    (paper(dc=lambda a, b, c: c**-2 - a**3 + math.sin(3 * b) + b**2.5
           - a**0.5), "df/dc", "Terms without this input"),
    (lambda a, b, c: paper()(a, b, c)[::-1], "df/da",
     "the slope in another input"),
    (lambda a, b, c: paper()(2, 3, 4), "df/da",
     "the slopes at (2, 3, 4), whatever"),
    (lambda a, b, c: check.centred(check.f, (a, b, c), 1e-5), "df/da",
     "is it a difference quotient"),
    (lambda a, b, c: [round(x, 4) for x in paper()(a, b, c)], "df/da",
     "is it a difference quotient"),
    (lambda a, b, c: torch.tensor(paper()(a, b, c)), "df/da", "float32"),
], ids=range(27))
def test_a_wrong_gradient_is_named(answer, slope, said):
    message = refuses(check.analytic, answer)
    assert "analytic: not right yet" in message
    assert said in message
    assert f"expected {slope}" in message and "input (a, b, c) =" in message


def test_a_sum_of_slopes_is_no_gradient():
    said = refuses(check.analytic, lambda a, b, c: sum(paper()(a, b, c)))
    assert "return three slopes: df/da, df/db, df/dc" in said


# one_sided ------------------------------------------------------------------


def with_default(function, h):
    def answer(f, point, h=h):
        return function(f, point, h)

    return answer


def in_place(f, point, h=1e-7):
    """Nudges the list that it was handed, and takes each nudge back."""
    out, here = [], f(*point)
    for i in range(len(point)):
        point[i] += h
        out.append((f(*point) - here) / h)
        point[i] -= h
    return out


def with_numpy(f, point, h=1e-7):
    x = np.array(point)
    return np.array([(f(*(x + row)) - f(*x)) / h for row in h * np.eye(3)])


def three_by_hand(f, point, h=3e-8):
    a, b, c = point
    y = f(a, b, c)
    return ((f(a + h, b, c) - y) / h, (f(a, b + h, c) - y) / h,
            (f(a, b, c + h) - y) / h)


def true_step(f, point, h=1e-8):
    """Divides by the step that was taken, after rounding."""
    out = []
    for i, x in enumerate(point):
        up = list(point)
        up[i] = x + h
        out.append((f(*up) - f(*point)) / (up[i] - x))
    return out


def with_tensors(f, point, h=1e-7):
    out = []
    for i in range(3):
        up = torch.tensor(point, dtype=torch.float64)
        up[i] += h
        out.append((f(*up.tolist()) - f(*point)) / h)
    return torch.tensor(out, dtype=torch.float64)


def chosen_for_each(f, point, h=None):
    return [check.forward(f, point, h or 1e-8 * abs(x))[i]
            for i, x in enumerate(point)]


@pytest.mark.parametrize("answer", [
    in_place, with_numpy, three_by_hand, true_step, with_tensors,
    chosen_for_each, with_default(check.forward, 1.6e-6),
    with_default(check.forward, -1e-7),
    with_default(lambda f, point, h: check.forward(f, point, -h), 1e-7),
    with_default(lambda f, point, h: tuple(check.forward(f, point, h)), 1e-9),
], ids=range(10))
def test_right_one_sided_differences_pass(capsys, answer):
    passes(capsys, check.one_sided, answer)


def nudged(f, point, i, h):
    point = list(point)
    point[i] += h
    return f(*point)


def each(quotient, h=1e-7):
    """An answer of quotient(up, here, down, h) for each input."""
    def answer(f, point, h=h):
        return [quotient(nudged(f, point, i, h), f(*point),
                         nudged(f, point, i, -h), h) for i in range(3)]

    return answer


def all_at_once(f, point, h=1e-7):
    up = [x + h for x in point]
    return [(f(*up) - f(*point)) / h for _ in point]


def never_taken_back(f, point, h=1e-7):
    out, point = [], list(point)
    for i in range(3):
        before = f(*point)
        point[i] += h
        out.append((f(*point) - before) / h)
    return out


def one_base_never_taken_back(f, point, h=1e-7):
    out, up = [], list(point)
    for i in range(3):
        up[i] += h
        out.append((f(*up) - f(*point)) / h)
    return out


def leaves_the_last_nudge(f, point, h=1e-7):
    out = check.forward(f, point, h)
    point[2] += h
    return out


COMMON = [
    (all_at_once, "All inputs were nudged at once"),
    (one_base_never_taken_back, "take each nudge back"),
    (each(lambda up, here, down, h: (here - up) / h), "The sign is turned"),
    (each(lambda up, here, down, h: (down - up) / (2 * h)),
     "The sign is turned"),
    (each(lambda up, here, down, h: up - here), "The rise alone"),
    (each(lambda up, here, down, h: here - down), "The rise alone"),
    (each(lambda up, here, down, h: up - down), "The rise alone"),
    (each(lambda up, here, down, h: (up - here) * h), "The rise alone"),
    (each(lambda up, here, down, h: up - here / h), "Brackets are missing"),
    (each(lambda up, here, down, h: up - down / (2 * h)),
     "Brackets are missing"),
    (each(lambda up, here, down, h: (up - down) / 2 * h),
     "Brackets are missing"),
    (lambda f, point, h=1e-7: check.f_slopes(*point),
     "the slopes themselves, not the quotients"),
    (lambda f, point, h=1e-7: [check.forward(f, point, h)[0]] * 3,
     "three times"),
    (lambda f, point, h=1e-7: [check.centred(f, point, h)[1]] * 3,
     "three times"),
    (lambda f, point, h=1e-7: [
        check.forward(f, point, h * x)[i] for i, x in enumerate(point)],
     "h times itself"),
    (lambda f, point, h=1e-7: np.float64(3), "return three numbers"),
]


def named(checker, answer, said):
    message = refuses(checker, answer)
    assert said in message and "not right yet" in message
    assert "input f = " in message


@pytest.mark.parametrize("answer, said", [
    *COMMON,
    (never_taken_back, "take each nudge back"),
    (leaves_the_last_nudge, "work on a copy"),
    (each(lambda up, here, down, h: (up - down) / (2 * h)),
     "This is the symmetric difference"),
    (each(lambda up, here, down, h: (up - here) / (2 * h)),
     "the two points are h apart, so divide by h"),
    (lambda f, point, h=1e-7: check.forward(f, point, 1e-7),
     "the argument h has no effect"),
    (lambda f, point, h=1e-7: check.forward(check.f, point, h),
     "the quotient of the exercise's f"),
    (lambda f, point, h=1e-7: torch.tensor(check.forward(f, point, h)),
     "Right in its first digits only"),
], ids=range(len(COMMON) + 7))
def test_a_wrong_one_sided_difference_is_named(answer, said):
    named(check.one_sided, answer, said)


@pytest.mark.parametrize("h, said", [
    (1e-4, "about 0.0001, is too large: the error grows with the step"),
    (1e-5, "about 1e-05, is too large"),
    (2e-6, "about 2e-06, is too large"),
    (1e-12, "is too small: the values of f are rounded"),
    (1e-17, "x + h is x again"),
])
def test_a_bad_default_step_is_named(h, said):
    message = refuses(check.one_sided, with_default(check.forward, h))
    assert said in message and "no h handed over" in message
    assert "off by at most 1e-05" in message


def test_the_message_says_how_far_off_the_step_is():
    said = refuses(check.one_sided, with_default(check.forward, 1e-5))
    assert "slopes off by up to 5.96e-05" in said


def test_a_missing_default_is_shown():
    def answer(f, point, h):
        return check.forward(f, point, h)

    assert "missing 1 required positional argument: 'h'" in refuses(
        check.one_sided, answer)


# symmetric ------------------------------------------------------------------


def centred_in_place(f, point, h=1e-6):
    out = []
    for i in range(3):
        point[i] += h
        up = f(*point)
        point[i] -= 2 * h
        out.append((up - f(*point)) / (2 * h))
        point[i] += h
    return np.array(out)


def mean_of_two(f, point, h=5e-6):
    return [(x + y) / 2 for x, y in zip(check.forward(f, point, h),
                                        check.forward(f, point, -h))]


@pytest.mark.parametrize("answer", [
    centred_in_place, mean_of_two, with_default(check.centred, 4e-5),
    with_default(lambda f, point, h: tuple(check.centred(f, point, h)), 1e-6),
    with_default(lambda f, point, h: torch.tensor(
        check.centred(f, point, h), dtype=torch.float64), 1e-5),
], ids=range(5))
def test_right_symmetric_differences_pass(capsys, answer):
    passes(capsys, check.symmetric, answer)


def down_to_where_it_was(f, point, h=1e-6):
    out, point = [], list(point)
    for i in range(3):
        point[i] += h
        up = f(*point)
        point[i] -= h
        out.append((up - f(*point)) / (2 * h))
    return out


def centred_never_taken_back(f, point, h=1e-6):
    out, point = [], list(point)
    for i in range(3):
        out.append(check.centred(f, point, h)[i])
        point[i] += h
    return out


def centred_leaves_it_below(f, point, h=1e-6):
    out = check.centred(f, point, h)
    point[2] -= h
    return out


@pytest.mark.parametrize("answer, said", [
    *COMMON,
    (each(lambda up, here, down, h: (up - here) / h),
     "This is the one-sided difference"),
    (each(lambda up, here, down, h: (here - down) / h),
     "This is the one-sided difference"),
    (each(lambda up, here, down, h: (up - down) / h),
     "the two points are 2h apart, so divide by 2h"),
    (centred_never_taken_back, "take each nudge back"),
    (centred_leaves_it_below, "work on a copy"),
    (down_to_where_it_was, "leads back to the point"),
    (lambda f, point, h=1e-6: check.centred(f, point, 1e-6),
     "the argument h has no effect"),
    (lambda f, point, h=1e-6: check.centred(check.f, point, h),
     "the quotient of the exercise's f"),
    (lambda f, point, h=1e-6: torch.tensor(check.centred(f, point, h)),
     "Right in its first digits only"),
], ids=range(len(COMMON) + 9))
def test_a_wrong_symmetric_difference_is_named(answer, said):
    named(check.symmetric, answer, said)


@pytest.mark.parametrize("h, said", [
    (1e-4, "is too large: the error grows with the square of the step"),
    (1e-10, "is too small: the values of f are rounded"),
])
def test_a_bad_default_step_of_the_symmetric_one_is_named(h, said):
    message = refuses(check.symmetric, with_default(check.centred, h))
    assert said in message and "off by at most 1e-08" in message

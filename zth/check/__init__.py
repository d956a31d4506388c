"""Checkers: one an exercise, each a function that takes the reader's answer.

A checker runs the answer on named edge cases and on fresh random ones, and
compares with a slow specification in plain loops. Where they differ, each
known mistake is made on the same input, and the one that comes out like the
answer is named. It looks at values alone: those that the answer returned, and
those at which it asked a function that it was given. A right answer prints
one line; another raises `Wrong`.

A lecture's checkers come from one module of this package, and its pages import
it under the name `check`. What stands here needs no torch.
"""

import random
import textwrap
import traceback
from pathlib import Path


class Wrong(AssertionError):
    """An answer is wrong: on which input, what was expected, likely why."""

    def _render_traceback_(self):
        """What IPython shows: the message, without the way to it."""
        return str(self).splitlines()


def fresh_seed():
    """A seed that no answer can be made for, from the operating system: the
    reader's own random numbers come as they would have come."""
    return random.SystemRandom().getrandbits(31)


class Check:
    """One call of a checker: its name, the seed of its random cases, and how
    many cases passed so far."""

    def __init__(self, name):
        self.name, self.seed, self.cases = name, fresh_seed(), 0

    def fail(self, why, **lines):
        """Raise `Wrong`: a line for each of input, expected, got; and why."""
        lines["likely"] = why
        text = [
            textwrap.fill(
                str(value),
                79,
                initial_indent=f"  {key:10}",
                subsequent_indent=" " * 12,
            )
            for key, value in lines.items()
            if value
        ]
        raise Wrong("\n".join([f"{self.name}: not right yet", *text]))

    def call(self, function, *args, case, of_none=None):
        """What the answer returns; `Wrong` if it is unwritten or raises.

        of_none: what may be behind a None, returned or tripped over.
        """
        hint = f"\n  likely    {of_none}" if of_none else ""
        try:
            value = function(*args)
        except NotImplementedError:
            value, hint = None, ""
        except Exception as error:
            if not (isinstance(error, TypeError) and "NoneType" in str(error)):
                hint = ""
            raise Wrong(
                f"{self.name}: your code raised {type(error).__name__}: "
                f"{error}{where(error)}\n  input     {case}{hint}"
            ) from error
        if value is None:
            name = getattr(function, "__name__", "it")
            raise Wrong(
                f"{self.name}: not written yet ({name} returned nothing, or "
                f"raised NotImplementedError){hint}"
            )
        return value

    def unpack(self, value, count, names, case):
        """The first `count` things of what must be a sequence of them."""
        if hasattr(value, "__len__") and len(value) >= count:
            return list(value)[:count]
        self.fail(f"return {names}", input=case, got=show(value))

    def expect(self, what, got, want, mistakes, inputs, *, case,
               atol=1e-5, rtol=1e-4, free=None):
        """Compare; on a difference name the first mistake that gives `got`.

        Each mistake is a generator function of (got, *inputs) that yields
        what it would return; its docstring is what the reader is told.
        `free` (bool, of want's shape) marks entries that may be anything.
        """
        want = self.read(want)
        got = self.like(self.read(got), want)
        limits = atol, rtol, free
        if self.same(got, want, *limits):
            return
        why = next((message(mistake) for mistake in mistakes
                    for wrong in mistake(got, *inputs)
                    if self.same(got, self.read(wrong), *limits)), None)
        expected, found = self.differing(got, want, free)
        self.fail(why, input=case, expected=f"{what} {expected}",
                  got=f"{what} {found}")

    # What `expect` compares: here flat lists of floats. `TensorCheck` of
    # zth.check.tensors puts float64 tensors in their place.

    def read(self, value):
        """Any numbers (one, a sequence, a tensor, `Value`s) as floats."""
        return numbers(value)

    def like(self, got, want):
        """What was got, in the shape of what is wanted where that is free."""
        return got

    def same(self, a, b, atol, rtol, free=None):
        """Whether they are equal to atol + rtol |b|; NaN equals NaN."""
        skip = free or [False] * len(b)
        return len(a) == len(b) and all(
            x == y or x != x and y != y or abs(x - y) <= atol + rtol * abs(y)
            for x, y, any_ in zip(a, b, skip) if not any_)

    def differing(self, got, want, free=None):
        """How to show the two: (what is wanted, what was got)."""
        if len(got) != len(want):
            return f"{len(want)} numbers", f"{len(got)}"
        return tuple(", ".join(f"{x:.10g}" for x in row)
                     for row in (want, got))

    def passed(self, remark=None):
        """Print that the answer is right."""
        cases = f"{self.cases} case{'s' * (self.cases != 1)}"
        print(f"{self.name}: right ({remark or cases})")


def where(error):
    """The last line of the reader's own code on the way to an error."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__)
           if Path(frame.filename).parent != Path(__file__).parent]
    own = [frame for frame in own if "site-packages" not in frame.filename]
    if not own or not own[-1].line:
        return ""
    return f"\n  line {own[-1].lineno:<5}{own[-1].line}"


def message(mistake):
    """What a mistake's docstring tells the reader, as one line."""
    return " ".join(mistake.__doc__.split())


def numbers(value):
    """Numbers as a flat list of floats; `Wrong` if they are none.

    A number, a `Value` (its data), a tensor or an array, or a sequence of
    these.
    """
    value = getattr(value, "data", value) if not hasattr(
        value, "tolist") else value.tolist()
    if isinstance(value, (list, tuple)):
        return [x for item in value for x in numbers(item)]
    try:
        return [float(value)]
    except (TypeError, ValueError):
        raise Wrong(f"expected numbers, got {show(value)}") from None


def show(value):
    """A value in a few words: numbers rounded, shapes of what is large."""
    if hasattr(value, "numel"):  # a tensor
        if value.numel() == 1:
            return f"{value.item():.6g}"
        if value.numel() <= 8:
            return "[" + ", ".join(f"{x:.6g}" for x in value.flatten()) + "]"
        return f"a tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 70 else text[:67] + "..."

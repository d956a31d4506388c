"""zth.calculator; oracle: Python's own integers, divmod and strings."""

import re

import pytest
import torch

from zth import calculator
from zth.calculator import BLOCK, END, OPERATORS, SYMBOLS

ALL = torch.cartesian_prod(*[torch.arange(100)] * 2).unbind(1)
FORMS = [(op, trace) for op in OPERATORS for trace in (False, True)]


def ids(text):
    return [SYMBOLS.index(c) for c in text]


def units_first(digits):
    return sum(int(d) * 10**k for k, d in enumerate(digits))


def answer(op, a, b):
    """The right answer, spelt from Python's own a op b."""
    if op == "+":
        return f"{a + b:03}"[::-1]
    if op == "-":
        return ("-" if a < b else "+") + f"{abs(a - b):02}"[::-1]
    if op == "*":
        return f"{a * b:04}"[::-1]
    if b == 0:
        return "E"
    quotient, remainder = divmod(a, b)
    return f"{quotient:02}r" + f"{remainder:02}"[::-1]


def check_trace(op, a, b, trace):
    """Each number in a trace follows from those before it."""
    if op in "+-" or op == "/" and b == 0:
        assert trace == ""
    elif op == "*":
        units, tens = trace.split("+")
        assert len(units) == len(tens) == 3
        assert units_first(units) == a * int(f"{b:02}"[1])
        assert units_first(tens) == a * int(f"{b:02}"[0])
    else:
        steps = [(int(q), units_first(left))
                 for q, left in re.findall(r"(\d)(\d\d)", trace)]
        assert len(trace) == 3 * len(steps)
        (tens, left), *units = steps
        assert a == 10 * tens * b + left and left < 10 * b
        for count, (q, less) in enumerate(units, 1):
            assert q == count and less == left - b
            left = less
        assert 0 <= left < b


@pytest.mark.parametrize("op, trace", FORMS)
def test_every_row_holds_the_right_answer(op, trace):
    idx = calculator.rows(op, *ALL, trace=trace)
    assert idx.shape[1] <= BLOCK + 1 and (idx[:, -1] == END).all()
    for a, b, row in zip(*map(torch.Tensor.tolist, (*ALL, idx))):
        line = "".join(SYMBOLS[i] for i in row)
        line, points = line[:line.index(".")], line[line.index("."):]
        assert set(points) == {"."}  # nothing stands after the first
        prompt, *middle, last = line.split("=")
        assert prompt == f"{a:02}{op}{b:02}" and last == answer(op, a, b)
        if trace:
            check_trace(op, a, b, "".join(middle))
        else:
            assert not middle
        assert calculator.text(row) == line + "."
        got = calculator.read(op, row)
        if op == "/":
            assert got == (divmod(a, b) if b else "E")
        else:
            assert got == {"+": a + b, "-": a - b, "*": a * b}[op]
        assert got == calculator.result(op, a, b)


def test_the_longest_row_fills_the_block():
    assert calculator.rows("/", *ALL, trace=True).shape[1] == BLOCK + 1
    assert calculator.rows("/", *ALL, trace=False).shape[1] == 12


@pytest.mark.parametrize("op, a, b, want", [
    ("+", 27, 61, "27+61=880."), ("-", 27, 61, "27-61=-43."),
    ("-", 61, 27, "61-27=+43."), ("*", 27, 61, "27*61=720+261=7461."),
    ("/", 97, 4, "97/04=271131290350410=24r10."),
    ("/", 27, 61, "27/61=072=00r72."), ("/", 27, 0, "27/00=E.")])
def test_rows_with_a_trace(op, a, b, want):
    row = calculator.rows(op, torch.tensor([a]), torch.tensor([b]),
                          trace=True)
    assert row.tolist() == [ids(want)]


def test_no_order_of_a_held_out_pair_is_trained_on():
    trained, asked = (set(zip(*map(torch.Tensor.tolist,
                                   calculator.pairs(held=held))))
                      for held in (False, True))
    assert len(trained) + len(asked) == 100**2 and not trained & asked
    assert not trained & {(b, a) for a, b in asked}
    assert abs(len(asked) / 100**2 - 6 / 49) < 2e-3


@pytest.mark.parametrize("op, trace", FORMS)
def test_what_is_supervised(op, trace):
    idx = calculator.rows(op, *ALL, trace=trace)
    x, y = calculator.supervised(idx)
    assert torch.equal(x, idx[:, :-1])
    for row, targets in zip(idx.tolist(), y.tolist()):
        end = row.index(END)
        assert targets == [-1] * 5 + row[6:end + 1] + [-1] * (
            len(row) - 1 - end)


class Calculator:
    """A model that knows every row: logits for the next token of each."""

    def __init__(self, op, a, b, trace):
        idx = calculator.rows(op, a, b, trace=trace)
        self.rows = torch.nn.functional.pad(
            idx, (0, BLOCK + 1 - idx.shape[1]), value=END)

    def __call__(self, idx):
        T = idx.shape[1]
        assert torch.equal(idx, self.rows[:, :T])
        return torch.nn.functional.one_hot(self.rows[:, 1:T + 1],
                                           len(SYMBOLS))


@pytest.mark.parametrize("op, trace", FORMS)
def test_a_perfect_model_is_always_right(op, trace):
    model = Calculator(op, *ALL, trace)
    for a, b, row in zip(*map(torch.Tensor.tolist, (
            *ALL, calculator.write(model, op, *ALL)))):
        assert calculator.read(op, row) == calculator.result(op, a, b)


@pytest.mark.parametrize("token", range(len(SYMBOLS)))
def test_a_model_of_one_token_is_never_right(token):
    def model(idx):
        return torch.eye(len(SYMBOLS))[token].expand(*idx.shape, -1)

    for op in OPERATORS:
        a, b = torch.tensor([27, 0, 99]), torch.tensor([61, 1, 9])
        for row in calculator.write(model, op, a, b).tolist():
            assert calculator.read(op, row) is None


@pytest.mark.parametrize("op, broken", [
    ("+", "27+61=880"), ("+", "27+61=88."), ("+", "27+61=8800."),
    ("+", "27+61=8r0."), ("+", "27+61=+88."), ("+", "27+61=88=0."),
    ("+", "27+61=."), ("+", "27+61=E."), ("-", "27-61=430."),
    ("-", "27-61=43."), ("-", "27-61=*43."), ("*", "27*61=720+261."),
    ("*", "27*61=7461=."), ("/", "97/04=2410."), ("/", "97/04=24r1."),
    ("/", "97/04=24r1E."), ("/", "97/04=EE."), ("/", "97/04=.24r10.")])
def test_what_is_no_number_is_no_result(op, broken):
    assert calculator.read(op, ids(broken)) is None


def test_a_wrong_number_is_read_as_what_it_is():
    for op, row, want in (("+", "27+61=980.", 89), ("-", "27-61=+43.", 34),
                          ("*", "27*61=720+261=1111.", 1111),
                          ("/", "97/04=42r01.", (42, 10)),
                          ("/", "27/61=E.", "E")):
        assert calculator.read(op, ids(row)) == want

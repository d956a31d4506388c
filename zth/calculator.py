"""Rows of a calculator for a GPT: + - * and / of whole numbers from 0 to 99.

    27+61=880.   27-61=-43.   27*61=7461.   97/04=24r10.   27/00=E.

Results have the units first, as in zth.addition; a sign stands before them. A
quotient has its tens first, as division finds them; after r comes the
remainder. Divided by zero is E. A point ends the row, and points fill it up.
A trace, if there is one, stands between the first equals sign and the last.
Letters: N problems, T positions. Lecture 7, exercise 2.
"""

import re

import torch

from zth.addition import digits, held_out
from zth.sample import generate

OPERATORS = "+-*/"
SYMBOLS = "0123456789+-*/=rE."
END = SYMBOLS.index(".")
PROMPT = 6  # tokens up to and with the first "="
BLOCK = 42  # tokens of the longest row, 99/01= with its trace, less one
ANSWERS = {"+": r"\d{3}[.]", "-": r"[+-]\d\d[.]", "*": r"\d{4}[.]",
           "/": r"\d\dr\d\d[.]|E[.]"}


def pairs(*, held):
    """All a, b (N,) of 0 to 99 kept from training, or all that are not."""
    a, b = torch.cartesian_prod(*[torch.arange(100)] * 2).unbind(1)
    chosen = held_out(a, b) == held
    return a[chosen], b[chosen]


def side_by_side(*parts):
    """Ids (N, columns) of parts: ids (N,) or (N, columns), or characters."""
    n = max(len(part) for part in parts if torch.is_tensor(part))
    return torch.cat([
        part.view(n, -1) if torch.is_tensor(part) else
        torch.tensor([*map(SYMBOLS.index, part)]).long().expand(n, -1)
        for part in parts], dim=1)


def products(a, b):
    """The trace (N, 8) of a * b: a times the units and the tens of b."""
    return side_by_side(digits(a * (b % 10), 3), "+",
                        digits(a * (b // 10), 3), "=")


def long_division(a, b):
    """The trace (N, 31) of a / b for b > 0; -1 where nothing is written.

    Three tokens a time, a digit of the quotient and what is left: first its
    tens, then its units, counting how often b can be taken away. 97 / 4 is
    271 131 290 350 410: 2 tens leave 17, and 1, 2, 3, 4 times 4 leave 1.
    """
    left = a // 10 % b * 10 + a % 10
    trace = [a // 10 // b, digits(left, 2)]
    for count in range(1, 10):
        goes = left >= b
        left = left - b
        step = side_by_side(torch.full_like(a, count), digits(left, 2))
        trace.append(step.masked_fill(~goes[:, None], -1))
    return side_by_side(*trace, "=")


def rows(op, a, b, *, trace):
    """The ids (N, T) of a op b for a, b (N,); T is that of the longest."""
    prompt = side_by_side(digits(a, 2).flip(1), op, digits(b, 2).flip(1), "=")
    if op == "+":
        rest = digits(a + b, 3)
    elif op == "-":
        sign = torch.where(a < b, SYMBOLS.index("-"), SYMBOLS.index("+"))
        rest = side_by_side(sign, digits((a - b).abs(), 2))
    elif op == "*":
        rest = side_by_side(products(a, b) if trace else "",
                            digits(a * b, 4))
    else:
        c = b.clamp(min=1)  # by zero: E takes the place of what this gives
        rest = side_by_side(long_division(a, c) if trace else "",
                            digits(a // c, 2).flip(1), "r", digits(a % c, 2))
        rest[b == 0] = -1
        rest[b == 0, 0] = SYMBOLS.index("E")
    idx = side_by_side(prompt, rest, ".")
    gap = (idx < 0).long()
    idx = idx.gather(1, gap.argsort(dim=1, stable=True))  # gaps to the end
    idx = idx.masked_fill(idx < 0, END)
    return idx[:, :(idx != END).sum(1).max() + 1]


def supervised(idx):
    """Inputs and targets (N, T - 1): -1 in the prompt and after the point."""
    x, targets = idx[:, :-1], idx[:, 1:].clone()
    targets[:, :PROMPT - 1] = -1
    return x, targets.masked_fill(x == END, -1)


def write(model, op, a, b):
    """The rows (N, T) that the model writes after a op b =, greedily."""
    prompt = rows(op, a, b, trace=False)[:, :PROMPT]
    return generate(model, prompt, BLOCK + 1 - PROMPT, block_size=BLOCK,
                    top_k=1, stop=END)


def text(row):
    """The characters of a row (T,) of ids, up to its point."""
    whole, point, _ = "".join(SYMBOLS[i] for i in row).partition(".")
    return whole + point


def read(op, row):
    """What a row (T,) of ids says a op b is, as `result` has it, or None.

    The answer stands between the last equals sign and the point; None if
    there is no point, or no answer of this operator's form.
    """
    answer = text(row).rpartition("=")[2]
    if not re.fullmatch(ANSWERS[op], answer):
        return None
    if op == "/":
        return "E" if answer == "E." else (int(answer[:2]),
                                           int(answer[4:2:-1]))
    if op == "-":
        return int(answer[0] + answer[2:0:-1])
    return int(answer[-2::-1])


def result(op, a, b):
    """What a op b is: an int, (quotient, remainder), or E for a / 0."""
    if op == "/":
        return divmod(a, b) if b else "E"
    return {"+": a + b, "-": a - b, "*": a * b}[op]

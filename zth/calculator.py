"""A calculator's rows for a GPT: + - * and / of numbers from 0 to 99.

27+61=880. 27-61=-43. 27*61=7461. 97/04=24r10. 27/00=E. A number that is
computed from the units up is written so; quotients, which school finds from
the tens down, are not. Minus writes its sign first. Divided by gives quotient
and remainder, and by zero E. A trace stands between two equals signs. Letters:
N problems, T positions. Lecture 7, exercise 2.
"""

import re

import torch

from zth.addition import digits, held_out
from zth.sample import generate

SYMBOLS = "0123456789+-*/=rE."
OPERATORS = "+-*/"
PROMPT = 6  # tokens up to and with the first "="
END = SYMBOLS.index(".")
BLOCK = 42  # the longest row less its last token
ANSWERS = {"+": r"\d{3}", "-": r"[+-]\d\d", "*": r"\d{4}",
           "/": r"\d\dr\d\d|E"}


def pairs(held):
    """All a, b (N,) from 0 to 99 that are held out, or all that are not."""
    a, b = torch.cartesian_prod(*[torch.arange(100)] * 2).unbind(1)
    chosen = held_out(a, b) == held
    return a[chosen], b[chosen]


def columns(*parts):
    """Parts side by side, (N, columns): characters, or tensors (N,)."""
    n = max(len(part) for part in parts if torch.is_tensor(part))
    return torch.cat([
        part.view(n, -1) if torch.is_tensor(part) else
        torch.tensor([SYMBOLS.index(c) for c in part]).expand(n, -1)
        for part in parts], dim=1)


def times(a, b):
    """The trace (N, 7) of a * b: a times each digit of b, the units first."""
    return columns(digits(a * (b % 10), 3), "+", digits(a * (b // 10), 3), "=")


def divided(a, b):
    """The trace (N, 31) of a / b for b > 0, and -1 where nothing is written.

    The quotient's tens and what they leave; then b is taken away as often as
    it goes, counting. Each time three tokens: the count, and what is left.
    """
    left = a // 10 % b * 10 + a % 10
    trace = [a // 10 // b, digits(left, 2)]
    for count in range(1, 10):
        goes = (left >= b)[:, None]
        left = left - b
        trace.append(columns(torch.full_like(a, count), digits(left, 2))
                     .masked_fill(~goes, -1))
    return columns(*trace, "=")


def rows(op, a, b, *, trace):
    """The ids (N, T) of a op b for a, b (N,), filled up with END."""
    prompt = columns(digits(a, 2).flip(1), op, digits(b, 2).flip(1), "=")
    if op == "+":
        rest = [digits(a + b, 3)]
    elif op == "-":
        sign = torch.where(a < b, SYMBOLS.index("-"), SYMBOLS.index("+"))
        rest = [sign, digits((a - b).abs(), 2)]
    elif op == "*":
        rest = [times(a, b)] * trace + [digits(a * b, 4)]
    else:
        c = b.clamp(min=1)
        rest = [divided(a, c)] * trace + [
            digits(a // c, 2).flip(1), "r", digits(a % c, 2)]
        rest = columns(*rest).masked_fill((b == 0)[:, None], -1)
        rest[:, 0] = rest[:, 0].masked_fill(b == 0, SYMBOLS.index("E"))
        rest = [rest]
    idx = columns(prompt, *rest, ".")
    order = (idx < 0).long().argsort(dim=1, stable=True)  # holes to the end
    idx = idx.gather(1, order)
    idx = idx.masked_fill(idx < 0, END)
    return idx[:, :(idx != END).sum(1).max() + 1]


def supervised(idx):
    """Inputs and targets (N, T - 1): -1 in the prompt and behind the end."""
    x, targets = idx[:, :-1], idx[:, 1:].clone()
    targets[:, :PROMPT - 1] = -1
    return x, targets.masked_fill(x == END, -1)


def write(model, op, a, b):
    """The rows (N, T) that the model writes after a op b =, greedily."""
    idx = rows(op, a, b, trace=False)[:, :PROMPT]
    return generate(model, idx, BLOCK + 1 - PROMPT, block_size=BLOCK, top_k=1,
                    stop=END)


def read(op, row):
    """The result in a row (T,) of ids; None if there is none.

    An int, (quotient, remainder), or "E".
    """
    text = "".join(SYMBOLS[i] for i in row)
    row, end, _ = text.partition(".")
    answer = row.rpartition("=")[2]
    if not end or not re.fullmatch(ANSWERS[op], answer):
        return None
    if answer == "E":
        return answer
    if op == "/":
        return int(answer[:2]), int(answer[:2:-1])
    if op == "-":
        return int(answer[0] + answer[:0:-1])
    return int(answer[::-1])

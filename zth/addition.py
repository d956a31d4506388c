"""Sums for a GPT: rows of tokens such as 027+615=2460, digits reversed.

A summand has 3 digits and a sum 4, padded with zeros, so that a digit's place
is its position. A token's id is its place in SYMBOLS. Letters: N problems, T
positions. Lecture 7, exercise 2.
"""

import torch

from zth.train import evaluating

SYMBOLS = "0123456789+="
DIGITS = 3  # of a summand
PROMPT = 2 * DIGITS + 2  # tokens up to and with "="
ANSWER = DIGITS + 1  # digits of a sum


def held_out(a, b):
    """Whether a + b is kept from training, as is b + a: 6 of 49 are.

    The product does not change when a and b change places, and whether it
    leaves 1 when divided by 7 says nothing of digits or carries.
    """
    return (a + 1) * (b + 1) % 7 == 1


def digits(n, count):
    """The last `count` digits (N, count) of n (N,), the units first."""
    return n[:, None] // 10 ** torch.arange(count) % 10


def rows(a, b, *, reverse=True):
    """The ids (N, 12) of a + b for a, b (N,); `reverse`: units first.

    027+615=2460 is 27 + 615 = 642; 027+615=0642 without `reverse`.
    """
    plus = torch.full((len(a), 1), SYMBOLS.index("+"))
    equals = torch.full_like(plus, SYMBOLS.index("="))
    total = digits(a + b, ANSWER)
    return torch.cat([digits(a, DIGITS).flip(1), plus,
                      digits(b, DIGITS).flip(1), equals,
                      total if reverse else total.flip(1)], dim=1)


def supervised(idx, *, first=PROMPT - 1):
    """Inputs and targets (N, 11) of rows (N, 12): only answers are learnt.

    From position `first` on the target is the next token, before it -1,
    which `zth.train.mean_nll` leaves out. The default is where "=" stands.
    """
    targets = idx[:, 1:].clone()
    targets[:, :first] = -1
    return idx[:, :-1], targets


def problems(n, *, generator):
    """Summands a, b (n,) to train on: first how many digits, then which."""
    limit = 10 ** torch.randint(1, DIGITS + 1, (2 * n,), generator=generator)
    u = torch.rand((2, 2 * n), generator=generator, dtype=torch.float64)
    a, b = (u * limit).long()
    kept = ~held_out(a, b)  # never as few as half
    return a[kept][:n], b[kept][:n]


def add(model, a, b, *, reverse=True):
    """The sums (N,) that the model writes after a + b =, greedily.

    What is not a digit counts as -10,000, so that the sum is wrong.
    """
    idx = rows(a, b)[:, :PROMPT]
    with evaluating(model):
        for _ in range(ANSWER):
            new = model(idx)[:, -1].argmax(-1, keepdim=True)
            idx = torch.cat([idx, new], dim=1)
    answer = idx[:, PROMPT:]
    answer = answer.masked_fill(answer > 9, -10_000)
    answer = answer if reverse else answer.flip(1)
    return (answer * 10 ** torch.arange(ANSWER)).sum(1)


def longest_chain(a, b):
    """Through how many columns (N,) a carry of a + b runs at most.

    A column of 10 or more starts a chain; one of exactly 9 hands it on. 555 +
    555 has three chains of 1, 999 + 1 one of 3.
    """
    chain = longest = torch.zeros_like(a)
    for k in range(DIGITS):
        column = a // 10**k % 10 + b // 10**k % 10
        on = (chain + 1) * (chain > 0) * (column == 9)
        chain = torch.where(column > 9, 1, on)
        longest = torch.maximum(longest, chain)
    return longest

"""check.addition; oracle: answers planted right and wrong, each named."""

import random

import pytest
import torch
from answers import passes, refuses

from zth import addition
from zth.check import Check
from zth.check import gpt as check
from zth.check.gpt_addition import carry_lost


# What is right -------------------------------------------------------------


def held_out(a, b):
    return (a + 1) * (b + 1) % 7 == 1


def drawn(n=256, keep=None):
    """n pairs for training."""
    pairs = []
    while len(pairs) < n:
        limit = 10 ** random.choice([1, 2, 3])
        a, b = random.randrange(limit), random.randrange(limit)
        if keep(a, b) if keep else not held_out(a, b):
            pairs.append((a, b))
    return pairs


def rows(pairs, form="{a:03}+{b:03}={r}", total=lambda a, b: a + b):
    """Texts as ids; what is no symbol counts as padding, 12."""
    texts = [form.format(a=a, b=b, s=total(a, b),
                         r=f"{total(a, b):04}"[::-1]) for a, b in pairs]
    return torch.tensor([[addition.SYMBOLS.find(c) % 13 for c in text]
                         for text in texts])


def targets(idx, first=7):
    x, y = idx[:, :-1], idx[:, 1:].clone()
    y[:, :first] = -1
    return x, y


def batch():
    return targets(rows(drawn()))


def accuracy(add, pairs):
    return sum(s == a + b for s, (a, b) in zip(add(pairs), pairs)
               ) / len(pairs)


def add(pairs):
    return [a + b for a, b in pairs]


def test_the_solution_passes(capsys):
    passes(capsys, check.addition, held_out, batch, accuracy, add)


def test_the_readers_random_numbers_stay(capsys):
    served = iter([batch() for _ in range(200)])
    before = random.getstate(), torch.get_rng_state().tolist()
    passes(capsys, check.addition, held_out, lambda: next(served), accuracy,
           add)
    assert (random.getstate(), torch.get_rng_state().tolist()) == before


def test_each_call_of_a_checker_draws_anew(monkeypatch):
    monkeypatch.undo()
    assert len({Check("any").seed for _ in range(20)}) > 18


FATES = {}


def shuffled(a, b):
    """Each pair's fate drawn once: a tenth is held out."""
    pair = min(a, b), max(a, b)
    return FATES.setdefault(pair, random.random() < 0.1)


def only_tensors(a, b):
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return (1001 * low + high) % 13 == 5


RIGHT = [
    (shuffled, lambda: targets(rows(drawn(keep=lambda a, b: not shuffled(
        a, b)))), accuracy, add),
    (only_tensors, lambda: targets(rows(drawn(keep=lambda a, b: not (
        only_tensors(*map(torch.tensor, (a, b))))))), accuracy, add),
    # the sum forwards, lists, sums with an error in one of 200
    (held_out, lambda: targets(rows(drawn(), "{a:03}+{b:03}={s:04}")),
     lambda add, pairs: torch.tensor(accuracy(add, pairs)),
     lambda pairs: torch.tensor([a + b + (random.random() < 0.002)
                                 for a, b in pairs])),
    (held_out, lambda: [t.tolist() for t in batch()], accuracy,
     lambda pairs: [str(a + b) for a, b in pairs]),
    # an end token, summands padded with blanks
    (held_out, lambda: targets(rows(drawn(), "{a:3}+{b:3}={r}.")), accuracy,
     add),
    # summands backwards, too
    (held_out, lambda: targets(rows(drawn()).index_select(
        1, torch.tensor([2, 1, 0, 3, 6, 5, 4, 7, 8, 9, 10, 11]))), accuracy,
     add),
]


@pytest.mark.parametrize("answer", RIGHT)
def test_accepts(capsys, answer):
    passes(capsys, check.addition, *answer)


def starter(*args):
    raise NotImplementedError


@pytest.mark.parametrize("place", range(4))
def test_what_is_not_written_is_named(place):
    answer = [held_out, batch, accuracy, add]
    answer[place] = starter
    said = refuses(check.addition, *answer)
    assert "addition: not written yet (starter" in said


# What is wrong --------------------------------------------------------------

SPLIT = [
    (lambda a, b: (1001 * a + b) % 13 == 5, "b + a has seen the answer"),
    (lambda a, b: random.random() < 0.1, "at the second call"),
    (lambda a, b: False, "hold out enough to measure on"),
    (lambda a, b: a + b < 1500, "hold out enough to measure on"),
    (lambda a, b: all(a // 10**k % 10 + b // 10**k % 10 < 10
                      for k in range(3)), "easier than the task"),
    (lambda a, b: "no" if a else [1, 2] and torch.ones(2),
     "return True or False"),
]


@pytest.mark.parametrize("rule, why", SPLIT)
def test_names_what_is_wrong_with_the_split(rule, why):
    assert why in refuses(check.addition, rule, batch, accuracy, add)


def ordered(a, b):
    """Looked up in a set of a ≤ b alone."""
    return a <= b and held_out(a, b)


def plus_and_equals():
    x, y = batch()
    y[:, [2, 6]] = x[:, [3, 7]]
    return x, y


FIXED = batch()
BATCH = [
    (lambda: targets(rows(drawn()), 8), "one position late"),
    (lambda: targets(rows(drawn()), 6), "one position early"),
    (lambda: targets(rows(drawn()), 0), "the prompt is supervised"),
    (plus_and_equals, "before it [2, 6], where the next token is one of +="),
    (lambda: targets(rows(drawn()), 11), "no digit of the answer is learnt"),
    (lambda: tuple(t[:, :10] for t in batch()), "is not the sum"),
    (lambda: (batch()[0], batch()[0].masked_fill(
        torch.arange(11) < 7, -1)), "a target is the token after"),
    (lambda: (lambda x, y: (x, x.masked_fill(torch.arange(11) < 7, -1)))(
        *batch()), "the targets are the inputs themselves"),
    (lambda: (lambda x, y: (x, y.masked_fill(torch.arange(11) == 9, -1)))(
        *batch()), "a digit of the answer has no target"),
    (lambda: (lambda x, y: (x, y.masked_fill(y == -1, -100)))(*batch()),
     "what torch's cross_entropy ignores"),
    (lambda: FIXED, "two calls return the same problems"),
    (lambda: batch()[0], "a target for every position"),
    (lambda: (batch()[0], batch()[1][:, :-1]), "a target for every position"),
    (lambda: ([[1, 10, 2, 11], [1, 2, 10, 3, 11]], [[-1, -1, -1, 3],
                                                    [-1, -1, -1, -1, 5]]),
     "pad the numbers with zeros"),
    (lambda: targets(rows(drawn(), "{a:0<3}+{b:0<3}={r}")),
     "stand behind it"),
    (lambda: (lambda pairs: targets(torch.stack([rows(
        [p], "{a:03}+{b:03}=" + f"{str(sum(p))[::-1]:0>4}")[0]
        for p in pairs])))(drawn()), "stand before its reversed digits"),
    (lambda: targets(rows(drawn(), total=carry_lost)),
     "leave the carries out"),
    (lambda: targets(rows(drawn(), total=lambda a, b: a + b + 1)),
     "is not the sum"),
    (lambda: targets(rows(drawn(), "{a:03} {b:03}={r}")),
     "not a problem with its answer"),
    (lambda: targets(rows(drawn(keep=lambda a, b: True))),
     "is drawn for training"),
    (lambda: targets(rows(drawn(keep=lambda a, b: not ordered(a, b)))),
     "drawn the other way round"),
]


@pytest.mark.parametrize("served, why", BATCH)
def test_names_what_is_wrong_with_a_batch(served, why):
    assert why in refuses(check.addition, held_out, served, accuracy, add)


def per_token(add, pairs):
    right = n = 0
    for got, (a, b) in zip(add(pairs), pairs):
        right += sum(x == y for x, y in zip(f"{got:04}", f"{a + b:04}"))
        n += 4
    return right / n


SHARE = [
    (per_token, "share of right digits"),
    (lambda add, pairs: 100 * accuracy(add, pairs), "in percent"),
    (lambda add, pairs: len(pairs) * accuracy(add, pairs),
     "a number of answers"),
    (lambda add, pairs: 1 - accuracy(add, pairs), "share of wrong answers"),
    (lambda add, pairs: sum(abs(s - a - b) <= 10 for s, (a, b) in zip(
        add(pairs), pairs)) / len(pairs), "nearly right"),
    (lambda add, pairs: add(pairs) == [a + b for a, b in pairs],
     "whether *all* answers"),
    (lambda add, pairs: sum(s % 1000 == (a + b) % 1000 for s, (a, b) in zip(
        add(pairs), pairs)) / len(pairs), "the last three digits alone"),
    (lambda add, pairs: accuracy(add, [(1, 2), (3, 4)]),
     "other pairs than those handed over"),
]


@pytest.mark.parametrize("share, why", SHARE)
def test_names_what_is_wrong_with_the_accuracy(share, why):
    assert why in refuses(check.addition, held_out, batch, share, add)


def chain_fails(a, b):
    far = addition.longest_chain(torch.tensor([a]), torch.tensor([b])) > 1
    return a + b - 200 * far.item()


SUMS = [
    (lambda a, b: int(f"{a + b:04}"[::-1]), "come out backwards"),
    (lambda a, b: int(str(a + b)[::-1]), "come out backwards"),
    (carry_lost, "The carries are missing"),
    (lambda a, b: (a + b) % 1000, "The fourth digit is lost"),
    (lambda a, b: 10 * (a + b) + 11, "The token = was read"),
    (lambda a, b: a + b if max(a, b) > 99 else 7, "one and two digits"),
    (chain_fails, "has not finished learning"),
    (lambda a, b: 5, "hardly one sum is right"),
    (lambda a, b: a + b + random.choice([0, 0, 0, 100]), "more steps"),
]


@pytest.mark.parametrize("total, why", SUMS)
def test_names_what_is_wrong_with_the_sums(total, why):
    said = refuses(check.addition, held_out, batch, accuracy,
                   lambda pairs: [total(a, b) for a, b in pairs])
    assert why in said and "at least 99 %" in said


def test_sums_for_some_pairs_only():
    assert "a sum for each pair" in refuses(
        check.addition, held_out, batch, accuracy, lambda pairs: [3])


def test_the_messages_differ():
    whys = [why for _, why in SPLIT + BATCH + SHARE + SUMS]
    twice = {why for why in whys if whys.count(why) > 1}
    assert twice == {"hold out enough to measure on", "is not the sum",
                     "a target for every position", "come out backwards"}

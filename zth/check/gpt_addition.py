"""The checker of a GPT that adds (L7-EX2).

A mistake's docstring is what the reader reads. Pairs are lists of (a, b), two
ints below 1000.
"""

import functools
import itertools
import random

import torch

from zth.addition import SYMBOLS, longest_chain
from zth.check import Wrong, message, show
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["addition"]


def keeps_out(check, held_out, a, b):
    """Whether a + b is held out, of a function of ints or of tensors."""
    @functools.wraps(held_out)
    def either():
        try:
            return held_out(a, b)
        except (TypeError, AttributeError):
            return held_out(torch.tensor([a]), torch.tensor([b]))

    case = f"held_out({a}, {b})"
    value = check.call(either, case=case)
    try:
        return bool(value)
    except (RuntimeError, ValueError):
        check.fail("return True or False", input=case, got=show(value))


def chains(pairs):
    """The longest carry chain of each pair."""
    return longest_chain(*torch.tensor(pairs).T).tolist()


def held_out_sums(check, held_out, rng):
    """{(a, b): whether it is held out}, after a check of the rule itself."""
    short = list(itertools.product(range(10), repeat=2))
    drawn = [(rng.randrange(100), rng.randrange(100))
             for _ in range(1000)]
    drawn += [(rng.randrange(1000), rng.randrange(1000))
              for _ in range(9000)]
    for a, b in short:
        first, again = (keeps_out(check, held_out, a, b) for _ in range(2))
        if first != again:
            check.fail("the rule answers otherwise at the second call: a "
                       "problem may be drawn for training later. Let it "
                       "depend on a and b alone", input=f"{a} + {b}")
    table = {}
    for a, b in short + drawn:
        out = table[a, b] = keeps_out(check, held_out, a, b)
        case = f"{a} + {b}"
        if out != keeps_out(check, held_out, b, a):
            check.fail("who has seen b + a has seen the answer to a + b: "
                       "both belong in the same part. Sort the two, or use "
                       "a rule in which they may change places", input=case,
                       expected=f"the same as for {b} + {a}",
                       got="held out" if out else "in training")
    share = sum(table[pair] for pair in drawn) / len(drawn)
    if not 0.01 <= share <= 0.5:
        check.fail("hold out enough to measure on, and leave enough to learn "
                   "from", expected="from 1 % to 50 % of the sums held out",
                   got=f"{share:.1%}")
    far = [pair for pair, n in zip(drawn, chains(drawn)) if n >= 2]
    if not any(table[pair] for pair in far):
        check.fail("no sum with a long carry is held out: the test is easier "
                   "than the task", input="sums whose carry runs through two "
                   "columns or more", expected="some held out", got="none")
    return table


def rows_of(check, value):
    """(xb, yb) as lists of lists of ints."""
    x, y = check.unpack(value, 2, "a pair (xb, yb)", "batch()")
    try:
        x, y = tensor(x), tensor(y)
    except (RuntimeError, Wrong):
        check.fail("rows of different lengths: pad the numbers with zeros to "
                   "a fixed width", input="batch()")
    if x.ndim != 2 or x.shape != y.shape or not len(x):
        check.fail("a target for every position", input="batch()",
                   expected="xb and yb (B, T)",
                   got=f"{tuple(x.shape)} and {tuple(y.shape)}")
    if (y == -100).any():
        check.fail("-100 is what torch's cross_entropy ignores by default; "
                   "zth.train.mean_nll, which trains here, ignores -1",
                   input="batch()")
    return x.long().tolist(), y.long().tolist()


def text(ids):
    """Ids as a text; what is no symbol (padding, a mask) as a blank."""
    return "".join(SYMBOLS[i] if 0 <= i < 12 else " " for i in ids)


def three_numbers(row):
    """The digits of a, b and the answer in a text, or None."""
    prompt, equals, answer = row.partition("=")
    a, plus, b = prompt.partition("+")
    parts = [part.replace(" ", "") for part in (a, b, answer)]
    if equals and plus and all(part.isdigit() for part in parts):
        return parts


def backwards(digits):
    return digits[::-1]


def as_it_is(digits):
    return digits


def readings(parts):
    """{(how summands, how answers are written): (a, b, what is written)}."""
    for summand, answer in itertools.product((as_it_is, backwards), repeat=2):
        a, b = (int(summand(part)) for part in parts[:2])
        yield (summand, answer), (a, b, int(answer(parts[2])))


def zeros_behind(parts):
    """The zeros that fill a summand up stand behind it: 27 became 270. They
    belong in front, 027, so that each digit has its place."""
    a, b, s = parts
    for i, j in itertools.product(range(len(a)), range(len(b))):
        if a.endswith("0" * i) and b.endswith("0" * j):
            total = int(a[:len(a) - i]) + int(b[:len(b) - j])
            if total in (int(s), int(s[::-1])):
                return True


def zeros_first(parts):
    """The zeros that fill the sum up stand before its reversed digits: 642 in
    four digits is 0642, and reversed 2460."""
    a, b, s = parts
    filled = len(s) - len(s.lstrip("0"))
    return int(a) + int(b) in [int(s[i:][::-1] or 0)
                               for i in range(filled + 1)]


def no_carry(parts):
    """The answers of your rows leave the carries out."""
    a, b, s = parts
    return carry_lost(int(a), int(b)) in (int(s), int(s[::-1]))


def carry_lost(a, b):
    """The sum of the columns, each without the carry into it."""
    return sum((a // 10**k + b // 10**k) % 10 * 10**k for k in range(3))


ROW_MISTAKES = [zeros_first, no_carry, zeros_behind]


def problems_of(check, x, y):
    """The (a, b) of a batch's rows, whose texts and sums are checked."""
    found, first = [], None
    for xs, ys in zip(x, y):
        row = text(xs) + text(ys[-1:])
        parts = three_numbers(row)
        if parts is None:
            check.fail("this is not a problem with its answer: ids 0 to 9 "
                       "are digits, 10 is +, 11 is =, and yb ends with the "
                       "last digit of the sum", input="batch()",
                       expected="a row such as 027+615=2460", got=row)
        found.append(parts)
        first = first or row
    for how, _ in readings(found[0]):
        read = [dict(readings(parts))[how] for parts in found]
        if all(a + b == s for a, b, s in read):
            return [(a, b) for a, b, _ in read]
    why = next((message(mistake) for mistake in ROW_MISTAKES
                if all(map(mistake, found))), None)
    wrong = next((text(xs) + text(ys[-1:]) for xs, ys, p in zip(x, y, found)
                  if all(a + b != s for _, (a, b, s) in readings(p))), first)
    check.fail(why or "what stands behind = is not the sum, neither forwards "
               "nor backwards, in the same order in all rows",
               input="a row of batch()", expected="027+615=2460 for 27 + 615",
               got=wrong)


def supervision(check, xs, ys):
    """Which positions of a row have a target, and which target."""
    equals = xs.index(11)
    last = equals + len(text(xs + ys[-1:]).partition("=")[2].rstrip()) - 1
    learnt = [t for t, y in enumerate(ys) if y != -1]
    case = f"the row {text(xs)}, {learnt} supervised"
    early = [t for t in learnt if t < equals]
    if early == [equals - 1]:
        check.fail("the mask ends one position early: at the last digit of b "
                   "the next token is =, which belongs to the prompt",
                   input=case, expected=f"from {equals} on, where = stands",
                   got=f"from {early[0]} on")
    if early:
        check.fail("the prompt is supervised, all of it or in part: the "
                   "target is -1 wherever the next token belongs to the "
                   "prompt", input=case,
                   expected=f"from {equals} on, where = stands",
                   got=f"before it {early}, where the next token is one of "
                   f"{text(sorted({xs[t + 1] for t in early}))}")
    if equals not in learnt:
        check.fail("the mask is one position late: the token = is where the "
                   "first digit of the answer is predicted" if
                   equals + 1 in learnt else "no digit of the answer is "
                   "learnt at =, where the first one is predicted",
                   input=case, expected=f"from {equals} on, where = stands",
                   got=f"from {learnt[0]} on" if learnt else "nowhere")
    missing = sorted(set(range(equals, last + 1)) - set(learnt))
    if missing:
        check.fail("a digit of the answer has no target", input=case,
                   expected=f"{equals} to {last}", got=f"not {missing}")
    answer = range(equals, min(last + 1, len(xs) - 1))
    if any(ys[t] != xs[t + 1] for t in answer):
        same = all(ys[t] == xs[t] for t in answer)
        check.fail("the targets are the inputs themselves: a target is the "
                   "token after" if same else "a target is the token after "
                   "its position", input=f"the row {text(xs)}",
                   expected=f"targets {xs[equals + 1:]} and the last digit",
                   got=f"targets {ys[equals:]}")


def batches(check, batch, held_out):
    """Check the batch function: rows, mask, and nothing held out in it."""
    seen, before = [], None
    for _ in range(20):  # or fewer, if they are large
        x, y = rows_of(check, check.call(batch, case="batch()"))
        if x == before:
            check.fail("two calls return the same problems: draw new ones "
                       "each time", input="batch()")
        before = x
        # before the sums: without its last target a row lacks a digit
        for xs, ys in zip(x[:50], y):
            if 11 not in xs:
                break
            supervision(check, xs, ys)
        seen += problems_of(check, x, y)
        if len(seen) > 20_000:
            break
    leaked = [pair for pair in seen[:20_000]
              if keeps_out(check, held_out, *pair)]
    if leaked:
        one_way = all(a > b for a, b in leaked) or all(
            a < b for a, b in leaked)
        check.fail("a held-out sum is drawn the other way round, b + a for "
                   "a + b: leave out both" if one_way and len(leaked) > 5
                   else "a held-out sum is drawn for training: draw another "
                   "in its place", input="batch()", expected="none of them",
                   got=f"{leaked[0][0]} + {leaked[0][1]}, and "
                   f"{len(leaked) - 1} more of {len(seen[:20_000])}")


def by_digit(got, answers, pairs):
    """This is the share of right digits: an answer with one wrong digit is
    wrong. Count answers that are right as a whole."""
    for width in (3, 4):
        yield sum(x == y for s, (a, b) in zip(answers, pairs)
                  for x, y in zip(f"{s:0{width}}", f"{a + b:0{width}}")
                  ) / sum(len(f"{a + b:0{width}}") for a, b in pairs)


def in_percent(got, answers, pairs):
    """This is in percent: return a share, from 0 to 1."""
    yield 100 * exact(answers, pairs)


def counted(got, answers, pairs):
    """This is a number of answers: divide by how many there are."""
    yield len(pairs) * exact(answers, pairs)


def errors(got, answers, pairs):
    """This is the share of wrong answers."""
    yield 1 - exact(answers, pairs)


def nearly(got, answers, pairs):
    """You count answers that are nearly right: all digits must be."""
    for far in (1, 5, 10, 100):
        yield sum(abs(s - a - b) <= far for s, (a, b) in
                  zip(answers, pairs)) / len(pairs)


def without_the_first(got, answers, pairs):
    """You compare the last three digits alone: the sum of two numbers of
    three digits may have four."""
    yield sum((s - a - b) % 1000 == 0 for s, (a, b) in zip(answers, pairs)
              ) / len(pairs)


def all_or_none(got, answers, pairs):
    """You return whether *all* answers are right: return the share."""
    yield float(exact(answers, pairs) == 1)


def exact(answers, pairs):
    return sum(got == a + b for got, (a, b) in zip(answers, pairs)
               ) / len(pairs)


SHARE_MISTAKES = [by_digit, in_percent, counted, errors, nearly,
                  without_the_first, all_or_none]


def alike(answers, pairs):
    """Whether two ways to count agree, so that none could be named."""
    ways = [{round(share, 6) for share in way(None, answers, pairs)}
            for way in (by_digit, nearly, without_the_first)]
    ways.append({round(exact(answers, pairs), 6)})
    return sum(map(len, ways)) > len(set.union(*ways))


def shares(check, accuracy, rng):
    """Check the reader's accuracy on an adder whose answers are known."""
    for wrong in (0, 7, 20, 33):
        while True:
            pairs = [(100 + n // 900, 100 + n % 900)  # no pair twice
                     for n in rng.sample(range(810_000), 40)]
            planted = [a + b + rng.choice(
                [-1, 10, -100, 1000 if a + b < 1000 else -1000]) * (i < wrong)
                for i, (a, b) in enumerate(pairs)]
            if not wrong or not alike(planted, pairs):
                break
        answer, foreign = dict(zip(pairs, planted)), []

        def known(asked):
            asked = [tuple(map(int, pair)) for pair in asked]
            foreign.extend(pair for pair in asked if pair not in answer)
            return [answer.get(pair, 0) for pair in asked]

        case = f"40 pairs, {wrong} of them answered with a wrong digit"
        got = check.call(accuracy, known, list(pairs), case=case)
        if foreign:
            check.fail("add is asked other pairs than those handed over: "
                       "accuracy(add, pairs) is about these pairs alone",
                       input=case, got="add([({}, {}), …])".format(
                           *foreign[0]))
        check.expect("accuracy", got, exact(planted, pairs), SHARE_MISTAKES,
                     (planted, pairs), case=case)
        check.cases += 1


SHOWN = 8  # sums in a message


def scores(check, add, pairs):
    """The sums that `add` gives, one for each pair, as ints."""
    case = f"{len(pairs)} held-out pairs, the first {pairs[0]}"
    value = check.call(add, list(pairs), case=case)
    got = tensor(value).flatten().tolist()
    if len(got) != len(pairs):
        check.fail("a sum for each pair", input=case,
                   expected=f"{len(pairs)} sums", got=str(len(got)))
    return [round(x) if x == x else -1 for x in got]


def turned(a, b):
    """The digits come out backwards: they were written with the units first,
    so turn them round when you read the answer."""
    return int(f"{a + b:04}"[::-1])


def turned_short(a, b):
    """The digits come out backwards: they were written with the units first,
    so turn them round when you read the answer."""
    return int(str(a + b)[::-1])


def no_carries(a, b):
    """The carries are missing: each column is right by itself. Either the
    answers trained on lack them, or training has only begun."""
    return carry_lost(a, b)


def without_thousands(a, b):
    """The fourth digit is lost: the sum of two numbers of three digits may
    have four."""
    return (a + b) % 1000


def equals_read(a, b):
    """The token = was read as a digit: the answer begins behind it."""
    return (a + b) * 10 + 11


SUM_MISTAKES = [turned, turned_short, no_carries, without_thousands,
                equals_read]


def judge(check, add, table, rng):
    """Check the model itself, on sums that the reader's rule holds out."""
    out = [pair for pair, held in table.items() if held]
    rng.shuffle(out)
    long_ = [pair for pair in out if max(pair) > 99][:1000]
    short = [pair for pair in out if max(pair) < 100][:300]
    got = dict(zip(long_ + short, scores(check, add, long_ + short)))
    right = {pair: got[pair] == sum(pair) for pair in got}
    share, share_short = (
        sum(right[pair] for pair in pairs) / max(len(pairs), 1)
        for pairs in (long_, short))
    if share >= 0.99 and (share_short >= 0.95 or not short):
        return
    wrong = [pair for pair in long_ + short if not right[pair]]
    why = None
    for mistake in SUM_MISTAKES:
        like = sum(got[pair] == mistake(*pair) for pair in wrong)
        if like > 0.8 * len(wrong):
            why = message(mistake)
            break
    easy = [right[pair] for pair, n in zip(long_, chains(long_)) if n < 2]
    if why is None and share >= 0.99:
        why = ("numbers of one and two digits go wrong: fill them up with "
               "zeros in the same way when training and when asked, and "
               "draw them often enough")
    elif why is None and sum(easy) >= 0.98 * len(easy):
        why = ("only sums whose carry runs through several columns are "
               "wrong: the model has not finished learning. Take more steps")
    elif why is None and share < 0.02:
        why = ("hardly one sum is right: does what is asked look, token by "
               "token, like what was trained on, and are the four tokens "
               "after = read?")
    elif why is None:
        why = "more steps, or a higher rate that falls to zero"
    check.fail(
        why, input=", ".join(f"{a} + {b}" for a, b in wrong[:SHOWN]),
        expected=f"at least 99 % of the held-out sums of three digits right "
        f"({', '.join(str(a + b) for a, b in wrong[:SHOWN])})",
        got=f"{share:.1%}; {share_short:.0%} of shorter ones "
        f"({', '.join(str(got[pair]) for pair in wrong[:SHOWN])})")


def addition(held_out, batch, accuracy, add):
    """Check a GPT that adds, exercise L7-EX2.

    held_out(a, b) says whether a + b is kept from training, batch() -> (xb,
    yb) serves problems to train on, accuracy(add, pairs) is the share of
    right answers, add(pairs) gives the model's sums.
    """
    check = Check("addition")
    rng = random.Random(check.seed)
    table = held_out_sums(check, held_out, rng)
    check.cases += 1
    batches(check, batch, held_out)
    check.cases += 1
    shares(check, accuracy, rng)
    judge(check, add, table, rng)
    check.cases += 1
    check.passed()

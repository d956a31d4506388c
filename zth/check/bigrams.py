"""The checkers of lecture 2. A mistake's docstring is what the reader reads.

Contexts and targets are ids, '.' = 0, a = 1, ..., z = 26.
"""

import functools
import math
import random
from collections import Counter, defaultdict

import torch
import torch.nn.functional as F

from zth import data
from zth.check import Wrong, show
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import predict, probabilities, tensor
from zth.ngram import KneserNey

__all__ = [
    "Wrong",
    "cross_entropy",
    "devices",
    "indexing",
    "reach",
    "smoothing",
    "splits",
    "trigram",
]

V = 27
NAMES = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "emma"]

# A slow, readable specification -------------------------------------------


def events(names, n, start=None, end=True):
    """(context of n - 1 ids, target) for each letter and end of each name."""
    for name in names:
        ids = [0] * (n - 1 if start is None else start)
        ids += [ord(letter) - ord("a") + 1 for letter in name] + [0] * end
        for i in range(n - 1, len(ids)):
            yield tuple(ids[i - n + 1 : i]), ids[i]


def counted(pairs):
    """{context: how often each target followed it}."""
    table = defaultdict(Counter)
    for context, target in pairs:
        table[context][target] += 1
    return table


def probability(table, context, target, k, size=V):
    """(count + k) / (total + size k); NaN for 0/0."""
    counts = table.get(context, Counter())
    total = counts.total() + size * k
    return (counts[target] + k) / total if total else math.nan


def losses(table, pairs, k, size=V):
    """-ln P of each target; infinite where P = 0."""
    p = [probability(table, *pair, k, size) for pair in pairs]
    return [-math.log(x) if x != 0 else math.inf for x in p]


def mean(values):
    return math.fsum(values) / len(values) if values else math.nan


def ngram(train, names, n, k, **how):
    """Mean NLL of names under the n-gram with strength k fitted on train."""
    table = counted(events(train, n))
    return mean(losses(table, events(names, n), k, **how))


def made_up(rng, count, shortest=1, longest=6):
    """Fresh random names, the last one a single letter."""
    letters = "abcdeyz"
    names = ["".join(rng.choices(letters, k=rng.randint(shortest, longest)))
             for _ in range(count - 1)]
    return [*names, rng.choice(letters)]


def other_unit(nll):
    """A mean loss with its sign turned, in bits, in base 10, as a perplexity.

    Named by the mistakes below.
    """
    return {"sign": -nll, "log2": nll / math.log(2),
            "log10": nll / math.log(10), "exp": math.exp(min(nll, 700))}


# L2-E01 -------------------------------------------------------------------


def count_tensor(names, **how):
    """Counts (27, 27, 27) of each triple."""
    N = torch.zeros(V, V, V, dtype=torch.float64)
    for (a, b), c in events(names, 3, **how):
        N[a, b, c] += 1
    return N


def right_table(names, k):
    """(27, 27, 27) by the definition; NaN where a context was never seen."""
    table = counted(events(names, 3))
    return torch.tensor(
        [[[probability(table, (a, b), c, k) for c in range(V)]
          for b in range(V)] for a in range(V)], dtype=torch.float64)


def normalised(N):
    return N / N.sum(-1, keepdim=True)


def axis_lost(got, names, k):
    """Your table does not sum to 1 over the third character: without
    keepdim=True the sums are aligned with the wrong axes, and P[first, second,
    third] is divided by the total of the context (second, third)."""
    N = count_tensor(names) + k
    yield N / N.sum(2)


def wrong_axis(got, names, k):
    """Your table does not sum to 1 over the third character: you took the sum
    over another axis. Take it over the last one, and keep that axis:
    sum(-1, keepdim=True)."""
    N = count_tensor(names) + k
    for axis in (0, 1):
        for keep in (True, False):
            yield N / N.sum(axis, keepdim=keep)
    flat = N.view(V * V, V)
    yield (flat / flat.sum(0)).view(V, V, V)


def special_last(got, names, k):
    """Your ids are a = 0, ..., z = 25 and '.' = 26. Here '.' is id 0 and a to
    z are 1 to 26, on all three axes of P[first, second, third]."""
    ids = torch.arange(1, V + 1) % V  # the id of what you have at 0, 1, ...
    P = normalised(count_tensor(names) + k)
    yield P[ids][:, ids][:, :, ids]


def table_of_counts(got, names, k):
    """These are counts: divide each row by its total."""
    yield from (count_tensor(names) + k, count_tensor(names))


def divided_by_all(got, names, k):
    """You divided by the total of the whole table: that is the probability of
    a triple. Divide each row by its own total for P(third | first two)."""
    N = count_tensor(names) + k
    yield N / N.sum()


def no_smoothing(got, names, k):
    """The argument `smoothing` has no effect: this is the table without it."""
    P = normalised(count_tensor(names))
    yield from (P, P.nan_to_num(0), P.nan_to_num(1 / V))


def always_one(got, names, k):
    """The argument `smoothing` has no effect: you always add 1."""
    yield normalised(count_tensor(names) + 1)


def total_too_small(got, names, k):
    """Your rows do not sum to 1: each of the 27 counts gained `smoothing`, so
    the total gains 27 times as much."""
    N = count_tensor(names)
    total = N.sum(-1, keepdim=True)
    for denominator in (total, total + k):
        P = (N + k) / denominator
        yield from (P, P.nan_to_num(0, 0), P.nan_to_num(1 / V))


def total_only(got, names, k):
    """Smoothing went into the total but not into the counts."""
    N = count_tensor(names)
    for add in (k, V * k):
        yield N / (N.sum(-1, keepdim=True) + add)


def one_start(got, names, k):
    """The context ('.', '.') was never counted: with one '.' at the start the
    first letter of each name is no target. Start each name with two."""
    N = count_tensor(names, start=1)
    yield normalised(N + k)
    yield normalised(N + k).nan_to_num(0)


def no_end(got, names, k):
    """The end of a name was never counted: '.' is a target too."""
    yield normalised(count_tensor(names, end=False) + k)


def reordered(got, names, k):
    """The axes are in another order: P[first, second, third] is the
    probability of the third after the first two."""
    P = normalised(count_tensor(names) + k)
    for order in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        yield P.permute(order)


def one_character(got, names, k):
    """Your table looks at one character only: it is the bigram's, the same
    for every first character."""
    yield got[:1].expand(V, V, V)


def additive_net(got, names, k):
    """The two characters act on the logits one by one and are added, as in a
    net with 54 inputs: such a net cannot represent this table, in which a
    pair means more than the sum of its parts. Give each pair its own row."""
    logits = got.log()
    yield (logits[:, :1] + logits[:1] - logits[:1, :1]).softmax(-1)


TABLE_MISTAKES = [
    axis_lost, wrong_axis, special_last, table_of_counts, divided_by_all,
    no_smoothing, always_one, total_too_small, total_only, one_start, no_end,
    reordered, one_character, additive_net,
]


def trigram_losses(names, k):
    return losses(counted(events(names, 3)), events(names, 3), k)


def first_letter_missing(got, names, k):
    """First letters are not scored: with one '.' at the start there are fewer
    targets than the bigram has, and the two losses cannot be compared. Start
    each name with two."""
    pairs = list(events(names, 3, start=1))
    yield mean(losses(counted(pairs), pairs, k))
    yield mean(losses(counted(events(names, 3)), pairs, k))


def ends_missing(got, names, k):
    """The ends of the names are not scored: '.' is a target too."""
    yield mean(losses(counted(events(names, 3)),
                      list(events(names, 3, end=False)), k))


def sum_of_losses(got, names, k):
    """This is the sum over the targets: divide by their number."""
    yield math.fsum(trigram_losses(names, k))


def per_name(got, names, k):
    """This is the loss per name: divide by the number of targets, which is
    one for each letter and one for each end."""
    yield math.fsum(trigram_losses(names, k)) / len(names)
    table = counted(events(names, 3))
    yield mean([mean(losses(table, events([x], 3), k)) for x in names])


def counted_twice(got, names, k):
    """Half the loss: the inputs have two columns, and nelement() counts both.
    Divide by the number of targets."""
    yield mean(trigram_losses(names, k)) / 2


def sign_turned(got, names, k):
    """The sign is turned: this is the log-likelihood, the loss is minus it."""
    yield -mean(trigram_losses(names, k))


def in_bits(got, names, k):
    """This is in bits: use the natural logarithm, not log2."""
    yield other_unit(mean(trigram_losses(names, k)))["log2"]


def in_base_10(got, names, k):
    """This is a base-10 logarithm: use the natural one."""
    yield other_unit(mean(trigram_losses(names, k)))["log10"]


def perplexity(got, names, k):
    """This is the perplexity, e to the loss."""
    yield other_unit(mean(trigram_losses(names, k)))["exp"]


def unsmoothed_loss(got, names, k):
    """The table is smoothed, the loss is that of the table without
    smoothing."""
    yield mean(trigram_losses(names, 0))


def bigram_loss(got, names, k):
    """This is the bigram's loss."""
    yield ngram(names, names, 2, k)


LOSS_MISTAKES = [
    first_letter_missing, ends_missing, sum_of_losses, per_name,
    counted_twice, sign_turned, in_bits, in_base_10, perplexity,
    unsmoothed_loss, bigram_loss,
]


def trigram(answer):
    """Check trigram(names, smoothing) -> (P, nll), exercise L2-E01.

    P (27, 27, 27) or (729, 27): P[first, second, third]; rows of contexts
    that never occurred are free where smoothing is 0. nll: the mean over
    every letter and every end, in nats.
    """
    check = Check("trigram")
    rng = random.Random(check.seed)
    many = rng.sample(data.load_names(), 3000)
    cases = [(NAMES, 1), (["a"], 0.5), (NAMES, 0), (many, 1)]
    cases += [(made_up(rng, 12), rng.uniform(0.1, 3)) for _ in range(3)]
    for names, k in cases:
        case = f"names = {show(names)}, smoothing = {k:.4g}"
        value = check.call(answer, list(names), k, case=case)
        P, nll = check.unpack(value, 2, "P and nll", case)
        P = tensor(P)
        if P.shape == (V * V, V):
            P = P.view(V, V, V)
        if P.shape != (V, V, V):
            check.fail("one row of 27 for each pair of characters: '.', id 0, "
                       "both starts and ends a name, a to z are 1 to 26",
                       input=case,
                       expected=f"P of shape {(V, V, V)} or {(V * V, V)}",
                       got=f"P of shape {tuple(P.shape)}")
        want = right_table(names, k)
        check.expect("P", P, want, TABLE_MISTAKES, (names, k), case=case,
                     free=want.isnan())
        # a float32 sum over so many targets may be off by 0.0006
        check.expect("nll", nll, mean(trigram_losses(names, k)),
                     LOSS_MISTAKES, (names, k), case=case,
                     atol=1e-3 if len(names) > 1000 else 1e-5)
        check.cases += 1
    check.passed()


# L2-E02 -------------------------------------------------------------------


def right_losses(train, val, n, k):
    return [ngram(train, train, n, k), ngram(train, val, n, k)]


def swapped(got, train, val, n, k):
    """The two losses are swapped: first the training names', then the
    validation names'."""
    yield right_losses(train, val, n, k)[::-1]


def fitted_on_both(got, train, val, n, k):
    """The model has counted the validation names too: fit it on train
    alone."""
    both = [*train, *val]
    yield [ngram(both, train, n, k), ngram(both, val, n, k)]
    yield [ngram(train, train, n, k), ngram(both, val, n, k)]


def fitted_on_each(got, train, val, n, k):
    """The validation loss comes from a model fitted on the validation names:
    one model, fitted on train, gives both losses."""
    yield [ngram(train, train, n, k), ngram(val, val, n, k)]


def zeros_skipped(got, train, val, n, k):
    """Targets of probability zero were left out of the mean: the loss is
    infinite there, and that is the finding."""
    table, found = counted(events(train, n)), []
    for names in (train, val):
        all_ = losses(table, events(names, n), k)
        finite = [x for x in all_ if x < math.inf]
        found.append((mean(finite), math.fsum(finite) / len(all_)))
    yield from zip(*found)


def zeros_clamped(got, train, val, n, k):
    """A small number was added to probabilities of zero, or they were
    clamped: the loss is infinite there. Smoothing would make it finite, an
    epsilon inside the logarithm only makes it look so."""
    table = counted(events(train, n))
    for power in range(4, 46 if k == 0 else 0):
        eps = 10.0**-power
        for clamp in (lambda p: p + eps, lambda p: max(p, eps)):
            yield [mean([-math.log(clamp(probability(table, *pair, k)))
                         for pair in events(names, n)])
                   for names in (train, val)]


def zero_times_infinity(got, train, val, n, k):
    """NaN comes from 0/0, or from 0 times infinity: add up the loss of each
    target, and count * log P only where the count is positive."""
    right = right_losses(train, val, n, k)
    yield [math.nan, math.nan]
    yield [math.nan if math.isinf(x) else x for x in right]
    yield [right[0], math.nan]


def seen_letters_only(got, train, val, n, k):
    """The vocabulary came from the training names: it is 27 symbols, whatever
    letters happen to occur."""
    size = len(set("".join(train))) + 1
    yield [ngram(train, names, n, k, size=size) for names in (train, val)]
    size = len(set("".join([*train, *val]))) + 1
    yield [ngram(train, names, n, k, size=size) for names in (train, val)]


def n_ignored(got, train, val, n, k):
    """The argument `n` has no effect: these are the losses of the other
    model, n = 2 for 3 or 3 for 2."""
    yield right_losses(train, val, 5 - n, k)


def context_too_long(got, train, val, n, k):
    """These are the losses of the (n + 1)-gram, which looks at n characters
    of context: an n-gram looks at n - 1, and predicts the n-th."""
    yield right_losses(train, val, n + 1, k)


def context_too_short(got, train, val, n, k):
    """These are the losses of the (n - 1)-gram: an n-gram looks at n - 1
    characters of context, and predicts the n-th."""
    yield right_losses(train, val, n - 1, k)


def strength_ignored(got, train, val, n, k):
    """The argument `smoothing` has no effect."""
    for other in (0, 1):
        right = right_losses(train, val, n, other)
        yield right
        yield [math.inf if math.isnan(x) else x for x in right]


def first_letters_missing(got, train, val, n, k):
    """First letters are not scored: the trigram needs two '.' at the start of
    each name, or it is judged on fewer targets than the bigram."""
    fit = list(events(train, n, start=1))
    for table in (counted(fit), counted(events(train, n))):
        yield [mean(losses(table, list(pairs), k))
               for pairs in (fit, events(val, n, start=1))]


def summed(got, train, val, n, k):
    """These are sums over the targets: divide each by the number of its own
    targets."""
    right = right_losses(train, val, n, k)
    sizes = [len(list(events(names, n))) for names in (train, val)]
    yield [loss * size for loss, size in zip(right, sizes)]
    yield [right[0], right[1] * sizes[1] / sizes[0]]


def not_natural(got, train, val, n, k):
    """Not in nats: the loss is minus the mean natural logarithm (not log2, not
    log10, not a perplexity, and its sign is positive)."""
    units = map(other_unit, right_losses(train, val, n, k))
    for pair in zip(*(unit.values() for unit in units)):
        yield pair


EVALUATE_MISTAKES = [
    swapped, fitted_on_both, fitted_on_each, zeros_skipped, zeros_clamped,
    zero_times_infinity, n_ignored, context_too_long, context_too_short,
    first_letters_missing, summed, not_natural, seen_letters_only,
    strength_ignored,
]
NOTHING = "random.shuffle returns None, it shuffles its argument"


def parted(check, split_names, names, case):
    """Train, val and test of a split, if they part the names rightly."""
    given = list(names)
    value = check.call(split_names, given, case=case, of_none=NOTHING)
    if all(hasattr(value, part) for part in data.Splits._fields):
        value = (value.train, value.val, value.test)
    parts = check.unpack(value, 3, "train, val and test", case)
    if not all(hasattr(part, "__len__") for part in parts):
        none = any(part is None for part in parts)
        check.fail(NOTHING if none else "return three lists of names",
                   input=case, expected="train, val and test",
                   got=show(parts))
    parts = [list(part) for part in parts]

    def fail(why, expected, got):
        check.fail(why, input=case, expected=expected, got=got)

    known, found = Counter(names), Counter()
    for name in (name for part in parts for name in part):
        if not isinstance(name, str) or name not in known:
            fail("split the list of names, before anything is made of them: "
                 "windows or stretches of text from one name must not fall "
                 "on both sides",
                 "lists of whole names from the input", show(name))
        found[name] += 1
    for name, count in (found - known).items():
        fail("the parts overlap: a name from one entry of the list stands in "
             "two of them", f"{name!r} {known[name]} times in all",
             f"{found[name]} times")
    if found == Counter(set(names)) and found != known:
        fail("equal names were merged, as by a set: keep every entry here",
             f"{len(names)} names in all", f"{found.total()}")
    if found != known:
        fail("names are missing: the parts together must be the whole list",
             f"{len(names)} names in all", f"{found.total()}")
    sizes = [len(part) for part in parts]
    want = [0.8 * len(names), 0.1 * len(names), 0.1 * len(names)]
    if any(abs(a - b) >= 2 for a, b in zip(sizes, want)):
        fail("the fractions are 80, 10 and 10 % of the names, in the order "
             "train, val, test", [round(x) for x in want], sizes)
    orders = (names, sorted(names), names[::-1])
    if any(parts[0] == order[: sizes[0]] for order in orders):
        fail("the list was not shuffled: names.txt is two lists, girls' "
             "names by frequency, then boys' names by frequency (from line "
             "18,030 on), so that an unshuffled validation part is rare boys' "
             "names only",
             "the names in a random order",
             f"train begins {show(parts[0][:3])}, as the list does")
    if given != names:
        fail("the list itself was shuffled, in place: the next call, or the "
             "next run of the cell, shuffles the shuffled list and gives "
             "another split. Shuffle a copy",
             "the list as it was", f"it begins {show(given[:3])}")
    again = check.call(split_names, list(names), case=case)
    if all(hasattr(again, part) for part in data.Splits._fields):
        again = (again.train, again.val, again.test)
    if [list(part) for part in list(again)[:3]] != parts:
        fail("no fixed seed: a second call gives another split, and no two "
             "losses could be compared", "the same split twice",
             "two different splits")
    check.cases += 1
    return parts


def splits(split_names, evaluate):
    """Check the two functions of exercise L2-E02.

    split_names(names) -> train, val, test: the names parted 80/10/10 after a
    shuffle with a fixed seed. evaluate(train, val, n, smoothing) -> (train
    nll, val nll), nats, of the n-gram (n = 2 or 3) fitted on train alone.
    """
    check = Check("splits")
    rng = random.Random(check.seed)
    names = made_up(rng, 190, 4, 9)
    names += names[:10]
    parted(check, split_names, names, "200 made-up names, ten of them twice")
    train, val, _ = parted(check, split_names, data.load_names(), "the names")
    # after "a" always "b" in train: that a name ends there is impossible
    cases = [(["ab", "b", "ab"], ["b", "a"], n, 0) for n in (2, 3)]
    # n = 3 first: there a context of n characters gives the 4-gram; at n = 2
    # it would give the trigram, as if n had no effect
    cases += [(NAMES, ["ava", "mila"], n, 1) for n in (3, 2)]
    for n in (2, 3, 3):
        names = made_up(rng, 20)
        cases.append((names[:14], names[14:], n, rng.uniform(0.1, 3)))
    cases += [(train[:2000], val[:200], n, 0.3) for n in (2, 3)]
    for train, val, n, k in cases:
        case = (f"train = {show(train)}, val = {show(val)}, n = {n}, "
                f"smoothing = {k:.4g}")
        value = check.call(evaluate, list(train), list(val), n, k, case=case)
        check.expect("(train, val)",
                     check.unpack(value, 2, "two losses", case),
                     right_losses(train, val, n, k), EVALUATE_MISTAKES,
                     (train, val, n, k), case=case, atol=1e-4)
        check.cases += 1
    check.passed()


# L2-E03 -------------------------------------------------------------------


def pair_counts(names, reverse=False):
    """Counts (729, 27) after each pair of characters, row 27 a + b."""
    idx, targets = data.windows(names, 2)
    if reverse:
        idx = idx.flip(1)
    code = (idx[:, 0] * V + idx[:, 1]) * V + targets
    return torch.bincount(code, minlength=V**3).view(V * V, V).double()


def last_only(counts):
    """The bigram's counts in the trigram's 729 rows."""
    return counts.view(V, V, V).sum(0).repeat(V, 1)


def single_start(counts):
    """The counts without those after ('.', '.')."""
    counts = counts.clone()
    counts[0] = 0
    return counts


def added(counts, k):
    return (counts + k) / (counts.sum(1, keepdim=True) + V * k)


def strength(p, counts):
    """The k for which p is (counts + k) / (total + 27 k); None if none is."""
    total = counts.sum(1, keepdim=True)
    x, y = 1 - V * p, p * total - counts  # k x = y
    k = ((x * y).sum() / (x * x).sum().clamp(min=1e-30)).item()
    if k > 0 and (added(counts, k) - p).abs().max() < 1e-4:
        return k
    return None


def table_loss(counts, p):
    """Mean NLL of what was counted, under the table p (729, 27)."""
    return -(torch.xlogy(counts, p).sum() / counts.sum()).item()


def best_strength(counts, val_counts):
    """(validation loss, k) at the minimum over a fine logarithmic grid."""
    grid = torch.logspace(-3, 2, 251, dtype=torch.float64).tolist()
    return min((table_loss(val_counts, added(counts, k)), k) for k in grid)


def split_losses(p, targets):
    """-ln of the probability of each target, float64 (N,)."""
    return -p.gather(1, targets[:, None])[:, 0].log()


def knows(check, model, splits, block_size):
    """How much more names cost that occur in val alone, in test alone, nats.

    More than training names do, that is: about 0 where the model has counted
    those names as well.
    """
    train, others = set(splits.train), set(splits.val + splits.test)
    own = [name for name in splits.train if name not in others]
    own = random.Random(0).sample(own, min(3000, len(own)))
    new = ([name for name in part if name not in train][:2000]
           for part in (splits.val, splits.test))
    losses = [
        split_losses(predict(check, model, idx), targets).mean().item()
        for idx, targets in (data.windows(names, block_size)
                             for names in (own, *new))]
    return [loss - losses[0] for loss in losses[1:]]


LEAK = ("the model has learned from the validation names: names that occur "
        "only there cost it hardly more than training names do. Fit it on "
        "train alone")
TEST_LEAK = ("the model has learned from the test names, which take no part "
             "here. Fit it on train alone")


def leak(check, why, lines):
    """Fail for a model that has counted names it must not know."""
    check.fail(why, input=lines["input"],
               expected="a model of the training names alone",
               got=f"another, of validation loss {lines['got']}")


def leaks(check, model, splits, block_size, low, least, lines):
    """Fail if a loss is suspiciously low (val's, test's) by knowing names."""
    if any(low):
        gaps = knows(check, model, splits, block_size)
        for why, suspect, gap in zip((LEAK, TEST_LEAK), low, gaps):
            if suspect and gap < least:
                leak(check, why, lines)


def infinite(check, loss, case):
    zero = loss.isinf().sum().item()
    if zero:
        check.fail("some probabilities are zero, as without smoothing: one "
                   "such target makes the whole loss infinite", input=case,
                   expected="a finite loss",
                   got=f"probability 0 for {zero} of {len(loss)} targets")


def smoothing(model):
    """Check the tuned trigram of exercise L2-E03.

    model(idx (N, 2) int64) -> logits or probabilities (N, 27). It is scored
    on every target of the validation split and must come within 0.002 nats
    of the best additive smoothing.
    """
    check = Check("smoothing")
    splits = train, val, test = data.split(data.load_names())
    counts, val_counts, test_counts = map(pair_counts, splits)
    least, best = best_strength(counts, val_counts)
    idx, targets = data.windows(val, 2)
    case = f"the {len(targets)} targets of the validation split"
    loss = split_losses(predict(check, model, idx), targets)
    infinite(check, loss, case)
    loss = loss.mean().item()
    lines = dict(input=case,
                 expected=f"a validation loss of at most {least + 0.002:.4f}",
                 got=f"{loss:.4f}")
    p = predict(check, model, torch.cartesian_prod(*[torch.arange(V)] * 2))

    k = strength(p, counts)  # if it is huge, other counts fit p as well
    for why, other in ((LEAK, val_counts), (LEAK, val_counts + test_counts),
                       (TEST_LEAK, test_counts)):
        seen = (counts + other, other, last_only(counts + other))
        if not k and any(strength(p, table) for table in seen):
            leak(check, why, lines)
    low = [table_loss(part, p) < table_loss(part, added(counts, best)) - 0.02
           for part in (val_counts, test_counts)]
    leaks(check, model, splits, 2, low, 0.015, lines)

    if loss <= least + 0.002:
        additive = f"the best additive smoothing: {least:.4f}"
        if loss < least - 0.0005:
            additive = f"lower than any additive smoothing, {least:.4f}"
        check.passed(f"validation loss {loss:.4f}; {additive}")
        return

    if strength(p, last_only(counts)) or same_after(p.view(V, V, V)):
        check.fail("this is a bigram: your rows do not depend on the first of "
                   "the two characters", **lines)
    if k and abs(k - 1) < 0.01:
        check.fail("this is the trigram with k = 1: try amounts on a "
                   "logarithmic axis, below 1 too", **lines)
    if k:
        side = "less" if k > best else "more"
        check.fail(f"this is additive smoothing with k = {k:.3g}: the loss on "
                   f"validation is lowest for {side} than that", **lines)
    if strength(p, single_start(counts)):
        check.fail("the row after ('.', '.') is uniform: with one '.' at the "
                   "start no first letter was counted. Start each name with "
                   "two", **lines)
    if strength(p, pair_counts(train, reverse=True)):
        check.fail("the two characters are taken in the wrong order: idx[:, "
                   "0] is the older one, idx[:, 1] the one just before the "
                   "target", **lines)
    if close_to_uniform(p):
        check.fail("your rows are almost uniform: so much smoothing drowns "
                   "the counts (were probabilities sent through a softmax?)",
                   **lines)
    check.fail(None, **lines)


def same_after(P):
    """Whether P (27, 27, 27) is the same for every first character."""
    return (P - P[:1]).abs().max().item() < 1e-6


def close_to_uniform(p):
    return (p - 1 / V).abs().max().item() < 0.1


# L2-E04 -------------------------------------------------------------------


def columns(got, W, xs):
    """These are columns of W: index the first axis, W[xs], not W[:, xs] or
    W.T[xs]."""
    yield from (W[:, xs], W.T[xs])


def softmax_of_rows(got, W, xs):
    """These are probabilities, or exponentials of the rows: return the rows
    themselves, the logits."""
    yield from (W[xs].softmax(1), W[xs].exp(), W[xs].log_softmax(1),
                W[xs].softmax(0))


def off_by_one(got, W, xs):
    """These are the rows before or after the right ones: the ids count from
    0."""
    yield from (W[xs - 1], W[(xs + 1) % len(W)])


def the_one_hot(got, W, xs):
    """This is the one-hot encoding itself: the rows of W are asked for."""
    yield F.one_hot(xs, len(W)) if len(xs) else got


def transposed(got, W, xs):
    """The result is transposed: one row an example, (N, 27)."""
    yield W[xs].T


def sorted_rows(got, W, xs):
    """The right rows in another order: repeated ids repeat their row, and the
    order is that of xs."""
    yield W[xs.sort().values]
    yield W[xs.unique()]


INDEX_MISTAKES = [columns, softmax_of_rows, off_by_one, the_one_hot,
                  transposed, sorted_rows]


def last_one_wins(got, W, xs, upstream):
    """Where an id occurs more than once, only its last gradient was kept: the
    contributions of repeated rows add up."""
    grad = torch.zeros_like(W)
    for x, row in zip(xs.tolist(), upstream):
        grad[x] = row
    yield grad


def averaged(got, W, xs, upstream):
    """Where an id occurs more than once, its gradients were averaged: they
    add up."""
    grad = torch.zeros_like(W)
    for x in set(xs.tolist()):
        grad[x] = upstream[xs == x].mean(0)
    yield grad


def indexing(forward):
    """Check forward(W (27, 27), xs (N,)) -> logits (N, 27), exercise L2-E04.

    Equal to one_hot(xs) @ W, gradients within rounding, and no tensor of the
    one-hot's size kept for the backward pass.
    """
    check = Check("indexing")
    generator = torch.Generator().manual_seed(check.seed)
    cases = [
        ("xs = [5, 13, 13, 1, 0]", [5, 13, 13, 1, 0]),
        ("xs = [0]", [0]),
        ("xs = 40 times 26", [26] * 40),
        ("xs = 0 to 26 in order", range(V)),
        ("200 random ids", torch.randint(V, (200,), generator=generator)),
    ]
    # float32 first: in float64 one_hot(xs, 27).float() @ W only raises
    for dtype in (torch.float32, torch.float64):
        for case, xs in cases:
            case = f"{case}, W of dtype {dtype}"
            xs = torch.as_tensor(list(xs))
            W = torch.randn(V, V, generator=generator, dtype=dtype)
            check_rows(check, forward, W.requires_grad_(), xs, case)
            check.cases += 1
        one_hot_is_gone(check, forward, generator, dtype)
    check.passed()


def check_rows(check, forward, W, xs, case):
    """Values to the bit, gradients to rounding."""
    before, out = W.detach().clone(), check.call(forward, W, xs, case=case)
    want = torch.stack([before[x] for x in xs.tolist()])
    check.expect("logits", out, want, INDEX_MISTAKES, (before, xs), case=case,
                 atol=1e-6, rtol=1e-6)
    if not isinstance(out, torch.Tensor) or not out.requires_grad:
        check.fail("right values, but detached from the graph (.detach(), "
                   ".data, numpy, a list, no_grad): no gradient reaches W",
                   input=case)
    if out.dtype != W.dtype:
        check.fail("right values, cast to another dtype on the way",
                   input=case, expected=W.dtype, got=out.dtype)
    check.expect("logits", out, want, [], (), case=case, atol=0, rtol=0)
    upstream = torch.randn_like(want)
    out.backward(upstream)
    if W.grad is None:
        check.fail("right values, but from a copy of W (a new Parameter or "
                   "Embedding): the gradient goes to the copy, none reaches "
                   "W", input=case)
    grad = torch.zeros_like(before)
    for x, row in zip(xs.tolist(), upstream):
        grad[x] += row
    tolerance = 1e-12 if W.dtype == torch.float64 else 1e-5
    check.expect("gradient", W.grad, grad, [last_one_wins, averaged],
                 (before, xs, upstream), case=case, atol=10 * tolerance,
                 rtol=tolerance)


def one_hot_is_gone(check, forward, generator, dtype):
    """No floating-point tensor of N x 27 numbers is kept for backward."""
    W = torch.randn(V, V, generator=generator, dtype=dtype, requires_grad=True)
    xs = torch.randint(V, (64,), generator=generator)
    sizes = []

    def pack(kept):
        if kept.is_floating_point():
            sizes.append(kept.numel())
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept):
        forward(W, xs)
    if max(sizes, default=0) >= len(xs) * V:
        check.fail(f"right values, but a tensor of shape ({len(xs)}, {V}) was "
                   "kept for backward: the one-hot is still there",
                   input=f"xs = {len(xs)} random ids")


# L2-E05 -------------------------------------------------------------------


def unsafe(got, logits, targets):
    """exp overflowed (or a sum of exp underflowed to 0): subtract each row's
    maximum from the row first, which changes nothing else."""
    chosen = logits.gather(1, targets[:, None])[:, 0]
    counts = logits.exp()
    p = counts / counts.sum(1, keepdim=True)
    yield -p.gather(1, targets[:, None]).log().mean()
    yield (counts.sum(1).log() - chosen).mean()
    yield torch.tensor(torch.nan)


def log_of_softmax(got, logits, targets):
    """The softmax is safe, its logarithm is not: a probability too small for
    the dtype has lost its digits, or is 0, before the logarithm is taken. Stay
    with logarithms: the target's logit minus log-sum-exp."""
    yield -logits.softmax(1).gather(1, targets[:, None]).log().mean()


def one_maximum(got, logits, targets):
    """One maximum for the whole batch was subtracted: in rows far below it
    every exp is 0. Subtract each row's own maximum."""
    counts = (logits - logits.max()).exp()
    p = counts / counts.sum(1, keepdim=True)
    yield -p.gather(1, targets[:, None]).log().mean()
    chosen = logits.gather(1, targets[:, None])[:, 0]
    yield (counts.sum(1).log() + logits.max() - chosen).mean()


def nudged(got, logits, targets):
    """A small number was added inside the logarithm (or a clamp): it bounds
    the loss, and the true loss here is larger. Stay with logarithms all the
    way: log-sum-exp minus the target's logit."""
    p = logits.softmax(1).gather(1, targets[:, None])
    for power in range(4, 46):
        yield -(p + 10.0**-power).log().mean()
        yield -p.clamp(min=10.0**-power).log().mean()


def maximum_lost(got, logits, targets):
    """The maximum was subtracted inside the sum but not put back: log-sum-exp
    is the maximum plus the log of the sum."""
    chosen = logits.gather(1, targets[:, None])[:, 0]
    top = logits.max(1, keepdim=True).values
    yield ((logits - top).exp().sum(1).log() - chosen).mean()


def second_softmax(got, logits, targets):
    """A softmax was taken twice: cross-entropy takes logits, and turns them
    into probabilities itself."""
    yield F.cross_entropy(logits.softmax(1), targets)


def taken_as_probabilities(got, logits, targets):
    """The logits were not turned into log-probabilities before the target's
    was picked."""
    chosen = logits.gather(1, targets[:, None])
    yield from (-chosen.mean(), -chosen.log().mean())


def no_logarithm(got, logits, targets):
    """This is the mean probability of the targets, with or without a sign:
    the logarithm is missing."""
    p = logits.softmax(1).gather(1, targets[:, None]).mean()
    yield from (p, -p, 1 - p)


def not_a_mean(got, logits, targets):
    """This is the sum over the examples: the mean is asked for."""
    yield F.cross_entropy(logits, targets, reduction="sum")


def mean_over_symbols(got, logits, targets):
    """Divided by N V, the number of logits: the mean is over the N
    examples."""
    total = F.cross_entropy(logits, targets, reduction="sum")
    yield total / logits.numel()
    yield total / logits.shape[1]


def all_symbols(got, logits, targets):
    """All V log-probabilities were averaged: only that of the target
    counts."""
    yield -logits.log_softmax(1).mean()
    yield -logits.log_softmax(1).sum(1).mean()


def all_pairs(got, logits, targets):
    """Each example was paired with the targets of all of them: logits[:,
    targets] is (N, N). logits[torch.arange(N), targets] pairs each with its
    own."""
    yield -logits.log_softmax(1)[:, targets].mean()


def ids_for_logits(got, logits, targets):
    """The ids of the targets were subtracted from log-sum-exp: subtract the
    targets' logits."""
    yield (logits.logsumexp(1) - targets).mean()


def one_an_example(got, logits, targets):
    """This is the loss of each example: return their mean."""
    yield F.cross_entropy(logits, targets, reduction="none")


def down_the_batch(got, logits, targets):
    """The softmax ran over the batch: it runs over the symbols, axis 1."""
    logp = logits.log_softmax(0)
    yield -logp.gather(1, targets[:, None]).mean()


def bits(got, logits, targets):
    """This is in another base: log2 gives bits, log10 decimal digits; use the
    natural logarithm."""
    right = F.cross_entropy(logits, targets)
    yield from (right / math.log(2), right / math.log(10))


def turned(got, logits, targets):
    """The sign is turned: the loss is minus the log-probability."""
    yield -F.cross_entropy(logits, targets)


VALUE_MISTAKES = [
    not_a_mean, mean_over_symbols, second_softmax, taken_as_probabilities,
    no_logarithm, all_symbols, all_pairs, ids_for_logits, one_an_example,
    down_the_batch, bits, turned, maximum_lost,
]
RANGE_MISTAKES = [log_of_softmax, one_maximum, nudged, unsafe]


def gradient_of_sum(got, p, y):
    """This is N times the gradient: the loss is a mean, so each row is divided
    by N."""
    yield p - y


def only_probabilities(got, p, y):
    """This is p / N: the 1 of the target was not subtracted. The gradient is
    (p - y) / N."""
    yield p / len(p)


def only_targets(got, p, y):
    """This is -y / N: no gradient flows through the log-sum-exp. The gradient
    is (p - y) / N."""
    yield -y / len(p)


def other_way(got, p, y):
    """The gradient's sign is turned: it is (p - y) / N."""
    yield (y - p) / len(p)


GRADIENT_MISTAKES = [gradient_of_sum, only_probabilities, only_targets,
                     other_way]


def exact_loss(logits, targets):
    """Mean log-sum-exp minus the target's logit, by the definition."""
    rows = []
    for row, target in zip(logits.double().tolist(), targets.tolist()):
        top = max(row)
        rows.append(top + math.log(math.fsum(math.exp(x - top) for x in row))
                    - row[target])
    return mean(rows)


def cross_entropy(answer):
    """Check cross_entropy(logits (N, V), targets (N,)) -> mean nats (L2-E05).

    Finite for logits of any size, float32 or float64, and its gradient
    reaches the logits.
    """
    check = Check("cross_entropy")
    generator = torch.Generator().manual_seed(check.seed)
    case = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
    cases = [
        ("logits [[2, -1, 0.5], [0, 1, 3]], targets [1, 2]", case, [1, 2]),
        ("four equal logits (ln 4 is right)", torch.zeros(1, 4), [2])]
    for n, size in ((1, 2), (7, V), (64, V), (5, 3)):
        logits = 3 * torch.randn(n, size, generator=generator)
        targets = torch.randint(size, (n,), generator=generator).tolist()
        cases.append((f"random logits ({n}, {size})", logits, targets))
    far = torch.tensor([[85.0, 84.0, 86.0], [-85.0, -84.0, -86.0]])
    big = torch.tensor([[-100.0, 0.0, 100.0]])
    wide = [
        ("a row near 85, a row near -85", far, [0, 1]),
        ("logits [-100, 0, 100], target 1 (100 is right)", big, [1]),
        ("logits [-10000, 0, 10000], target 1 (10000 is right)", 100 * big,
         [1])]
    for compare in (check_loss, check_gradient):
        for dtype in (torch.float32, torch.float64):
            for case, logits, targets in cases + wide:
                compare(check, answer, logits.to(dtype),
                        torch.tensor(targets), f"{case}, {dtype}")
    check.cases = 2 * len(cases + wide)
    check.passed()


def loss_of(check, answer, logits, targets, case):
    out = check.call(answer, logits, targets.clone(), case=case)
    return out[0] if isinstance(out, tuple) else out


def check_loss(check, answer, logits, targets, case):
    """The value is the definition's."""
    given = logits.clone().requires_grad_()
    mistakes = VALUE_MISTAKES + RANGE_MISTAKES
    if logits.abs().max() > 50:
        mistakes = RANGE_MISTAKES + VALUE_MISTAKES
    check.expect("loss", loss_of(check, answer, given, targets, case),
                 exact_loss(logits, targets), mistakes, (logits, targets),
                 case=case, rtol=1e-5)


def check_gradient(check, answer, logits, targets, case):
    """The gradient reaches the logits, and is (p - y) / N."""
    given = logits.clone().requires_grad_()
    out = loss_of(check, answer, given, targets, case)
    if not isinstance(out, torch.Tensor) or not out.requires_grad:
        check.fail("the right loss, but detached from the graph (.item(), "
                   ".detach(), a Python number): no gradient reaches the "
                   "logits", input=case)
    out.sum().backward()
    if given.grad is None:
        check.fail("the right loss, but from a copy of the logits: no "
                   "gradient reaches them", input=case)
    p = logits.double().softmax(1)
    y = F.one_hot(targets, logits.shape[1]).double()
    check.expect("gradient", given.grad, (p - y) / len(p), GRADIENT_MISTAKES,
                 (p, y), case=case, atol=1e-6)


# L2-E06a ------------------------------------------------------------------


def on_the_right(idx):
    """Contexts with their padding moved from the left to the right."""
    order = (idx == 0).to(torch.int8).sort(dim=1, stable=True).indices
    return idx.gather(1, order)


def depth(check, model, idx):
    """How many of the last characters change the model's predictions."""
    other, right = idx.roll(1, 0), predict(check, model, idx)
    size = idx.shape[1]
    for m in range(size):
        mixed = torch.cat([other[:, : size - m], idx[:, size - m :]], 1)
        if (predict(check, model, mixed) - right).abs().max() < 1e-6:
            return m
    return size


def unseen_uniform(p, idx, train_idx):
    """Share of contexts that never occurred in train and get uniform rows."""
    seen = set(map(tuple, train_idx.tolist()))
    new = torch.tensor([tuple(row) not in seen for row in idx.tolist()])
    flat = ((p - 1 / V).abs() < 1e-3).all(1)
    return (new & flat).double().mean().item()


@functools.cache
def to_beat(source):
    """The validation loss of Kneser-Ney smoothing with n = 5."""
    train, val, _ = data.split(data.load_names())
    model = KneserNey(5).fit(*data.windows(train, 4))
    return model.nll(*data.windows(val, 4))


def reach(model, block_size):
    """Check a model of up to 10 characters of context, exercise L2-E06a.

    model(idx (N, block_size) int64) -> logits or probabilities (N, 27),
    fitted on train. Scored on every target of the validation split, it must
    come within 0.005 nats of Kneser-Ney smoothing with n = 5.
    """
    check = Check("reach")
    if block_size not in range(1, 11):
        raise Wrong(f"reach: block_size = {block_size!r}: must be 1 to 10")
    splits = data.split(data.load_names())
    bar = to_beat(data.source())
    idx, targets = data.windows(splits.val, block_size)
    case = (f"the {len(targets)} targets of the validation split, "
            f"{block_size} characters of context")
    p = predict(check, model, idx)
    loss = split_losses(p, targets)
    infinite(check, loss, case)
    loss = loss.mean().item()
    lines = dict(input=case, got=f"{loss:.4f}",
                 expected=f"a validation loss of at most {bar + 0.005:.4f}")
    if loss <= bar + 0.005:
        leaks(check, model, splits, block_size, (True, True), 0.03, lines)
        check.passed(f"validation loss {loss:.3f}; Kneser-Ney with n = 5: "
                     f"{bar:.3f}")
        return

    def turned_loss(idx):
        return split_losses(predict(check, model, idx), targets).mean().item()

    if turned_loss(idx.flip(1)) < loss - 0.05:
        check.fail("your model reads the context backwards: idx[:, -1] is the "
                   "character just before the target", **lines)
    if turned_loss(on_the_right(idx)) < loss - 0.05:
        check.fail("your model expects short contexts padded on the right: "
                   "they are padded with '.' on the left", **lines)
    used = depth(check, model, idx[::7])
    if used <= 1:
        check.fail("this is at best a bigram: only the last "
                   f"{'character changes' if used else '0 characters change'}"
                   " your predictions", **lines)
    train_idx, _ = data.windows(splits.train, block_size)
    share = unseen_uniform(p, idx, train_idx)
    if share > 0.02:
        check.fail(f"{share:.0%} of the contexts never occurred in train, and "
                   "you give each the uniform distribution: go back to a "
                   "shorter context there", **lines)
    if close_to_uniform(p):
        check.fail("your rows are almost uniform (were probabilities sent "
                   "through a softmax?)", **lines)
    if used < 4:
        check.fail(f"only the last {used} characters change your predictions: "
                   "take a longer context", **lines)
    check.fail("4 characters of context are enough, with better smoothing: a "
               "context seen a few times says little, so let shorter ones "
               "decide there, and count in those in how many different "
               "contexts a character came, not how often (continuation "
               "counts)", **lines)


# L2-E06b ------------------------------------------------------------------


def weighted_line(work, seconds, weights):
    """(a, b) that minimise the sum of weights (a + b work - seconds)^2."""
    rows = list(zip(weights, work, seconds))
    s = math.fsum(w for w, _, _ in rows)
    mx = math.fsum(w * x for w, x, _ in rows) / s
    my = math.fsum(w * y for w, _, y in rows) / s
    b = (math.fsum(w * (x - mx) * (y - my) for w, x, y in rows)
         / math.fsum(w * (x - mx) ** 2 for w, x, _ in rows))
    return my - b * mx, b


def right_cost(work, seconds):
    a, b = weighted_line(work, seconds, [1 / s**2 for s in seconds])
    return a, 1 / b


def absolute_errors(got, work, seconds):
    """The squares of the absolute errors were added, so the longest runs
    decide and the overhead drowns: divide each error by its seconds."""
    a, b = weighted_line(work, seconds, [1] * len(work))
    yield from ((a, 1 / b), (max(a, 0), 1 / b))


def other_weights(got, work, seconds):
    """The weights are off by a power: the error is divided by the seconds, so
    its square is weighted by 1 / seconds^2 (numpy.polyfit squares the weights
    that it is given)."""
    for power in (-2, -1, 1, 4):
        a, b = weighted_line(work, seconds, [s**-power for s in seconds])
        yield a, 1 / b


def half_weighted(got, work, seconds):
    """The right side was not divided by the seconds: with 1 / seconds and work
    / seconds on the left it is 1."""
    a, b = weighted_line(work, [s**2 for s in seconds],
                         [1 / s**2 for s in seconds])
    yield a, 1 / b


def half_divided(got, work, seconds):
    """Only the work was divided by the seconds: the whole equation is, which
    makes the overhead's column 1 / seconds and the right side 1."""
    a, b = weighted_line([x / s for x, s in zip(work, seconds)], seconds,
                         [1] * len(work))
    yield a, 1 / b
    if abs(got[0] - 1) < 1e-3 and not abs(got[1]) < 1e3 * max(work):
        yield got  # 1 + 0 x work / seconds = 1, at any work


def log_log(got, work, seconds):
    """A straight line in log-log: that fits a power law, which has no
    overhead. The overhead is the flat part of the curve at little work."""
    logs = [[math.log(x) for x in values] for values in (work, seconds)]
    a, b = weighted_line(*logs, [1] * len(work))
    for first in (a, math.exp(a), 10 ** (a / math.log(10))):
        for second in (b, 1 / b, math.exp(-a), math.exp(b)):
            yield first, second
    a, b = a / math.log(10), b
    yield from ((a, b), (a, 1 / b), (10**a, 10**b))


def reciprocal(got, work, seconds):
    """The second number is seconds per work: the rate is its reciprocal."""
    a, rate = right_cost(work, seconds)
    yield a, 1 / rate


def wrong_order(got, work, seconds):
    """The two are swapped: the overhead first, then the rate."""
    a, rate = right_cost(work, seconds)
    yield from ((rate, a), (1 / rate, a))


def no_overhead(got, work, seconds):
    """The overhead was left out: seconds = work / rate alone, a line through
    the origin."""
    for power in (0, 1, 2):
        w = [s**-power for s in seconds]
        b = (math.fsum(v * x * y for v, x, y in zip(w, work, seconds))
             / math.fsum(v * x * x for v, x in zip(w, work)))
        yield 0, 1 / b
    yield 0, mean([x / y for x, y in zip(work, seconds)])
    yield 0, math.fsum(work) / math.fsum(seconds)
    yield 0, right_cost(work, seconds)[1]


def from_the_ends(got, work, seconds):
    """The overhead was read off the smallest run and the rate off the largest:
    each holds some of the other. Fit both to all the runs."""
    first, last = min(zip(work, seconds)), max(zip(work, seconds))
    rates = [x / y for x, y in zip(work, seconds)]
    slope = (last[0] - first[0]) / (last[1] - first[1])
    for a in (first[1], min(seconds)):
        yield from ((a, last[0] / last[1]), (a, max(rates)), (a, slope))
    yield first[1] - first[0] / slope, slope


def relative_to_fit(got, work, seconds):
    """Errors relative to the fitted time: divide by the measured seconds, then
    the problem is linear and one solve gives it."""
    a, rate = right_cost(work, seconds)
    b = 1 / rate
    for _ in range(100):
        a, b = weighted_line(work, seconds, [(a + b * x) ** -2 for x in work])
        yield a, 1 / b


COST_MISTAKES = [
    absolute_errors, reciprocal, wrong_order, no_overhead, from_the_ends,
    other_weights, half_weighted, half_divided, log_log, relative_to_fit,
]


def devices(fit_cost):
    """Check fit_cost(work, seconds) -> (overhead, rate), exercise L2-E06b.

    work and seconds: float64 tensors (n,). The overhead in seconds and the
    rate in work per second that minimise the sum of the squares of
    (overhead + work / rate - seconds) / seconds.
    """
    check = Check("devices")
    rng = random.Random(check.seed)
    decades = [10.0**e for e in range(2, 10)]
    noise = [1.3, 0.85, 1.1, 0.8, 1.2, 0.9, 0.75, 1.25]
    cases = [("8 runs of 1e2 to 1e9 units of work, times off by up to 30 %",
              decades, [c * (2e-4 + x / 1e8) for c, x in zip(noise, decades)]),
             ("two runs", [10.0, 1000.0], [0.5, 2.0]),
             ("exact times", decades, [1e-3 + x / 5e6 for x in decades])]
    for _ in range(4):
        a, rate = 10 ** rng.uniform(-5, -2), 10 ** rng.uniform(5, 9)
        work = [a * rate * 10 ** (i / 3 - 2) for i in range(13)]
        cases.append((
            f"13 random runs, overhead near {a:.2g} s, rate near {rate:.2g}",
            work, [(a + x / rate) * rng.uniform(0.8, 1.2) for x in work]))
    for case, work, seconds in cases:
        value = check.call(fit_cost, *(
            torch.tensor(x, dtype=torch.float64) for x in (work, seconds)),
            case=case)
        got = tensor(check.unpack(value, 2, "overhead and rate", case))
        want = tensor(right_cost(work, seconds))
        check.expect(
            "(overhead, rate)", got.flatten(), want, COST_MISTAKES,
            (work, seconds), case=case, atol=0, rtol=2e-3)
        check.cases += 1
    check.passed()

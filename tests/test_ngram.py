"""zth.ngram; oracles: counts by hand, brute force in Python, closed forms."""

import itertools
import math
import random
from collections import Counter, defaultdict

import pytest
import torch

from zth import data
from zth.ngram import CountTable, KneserNey, NGram, discounts

WORDS = ["anna", "ann", "hanna", "joan", "jo", "a", "nan", "otto", "ono"]


def corpus(block_size, words=WORDS):
    return data.windows(words, block_size)


def random_words(seed, count=60, letters="abcd", longest=6):
    rng = random.Random(seed)
    return [
        "".join(rng.choices(letters, k=rng.randint(1, longest)))
        for _ in range(count)
    ]


def brute_counts(words, n):
    counts = defaultdict(Counter)
    for word in words:
        padded = "." * (n - 1) + word + "."
        for i in range(n - 1, len(padded)):
            counts[padded[i - n + 1 : i]][padded[i]] += 1
    return counts


def all_contexts(n):
    """Every context of n - 1 symbols of '.abcd', as ids."""
    ids = list(itertools.product(range(5), repeat=n - 1))
    return torch.tensor(ids, dtype=torch.int64).view(5 ** (n - 1), n - 1)


def test_bigram_counts_by_hand():
    idx, targets = corpus(1, ["ab", "b"])  # .a ab b. .b b.
    p = NGram(2).fit(idx, targets).probs(torch.tensor([[0], [1], [2]]))
    assert p[0, 1] == p[0, 2] == 0.5 and p[1, 2] == 1 and p[2, 0] == 1


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_ngram_equals_brute_force(n, smoothing):
    words = random_words(n)
    counts = brute_counts(words, n)
    model = NGram(n, smoothing=smoothing).fit(*corpus(n - 1, words))
    contexts = all_contexts(n)
    got = model.probs(contexts)
    for row, ids in zip(got, contexts.tolist()):
        seen = counts[data.NAME_VOCAB.decode(ids)]
        total = seen.total() + 27 * smoothing
        for char, y in data.NAME_VOCAB.stoi.items():
            want = (seen[char] + smoothing) / total if total else 1 / 27
            assert row[y].item() == pytest.approx(want, abs=1e-15)


def kneser_ney_by_definition(words, n, context, char, off, continuation):
    """The recursion as the papers write it, on strings, one value a call."""
    if n == 0:
        return 1 / 27
    top = len(context) + 1 == off["n"]
    if top or not continuation:
        rows = Counter()
        for c, counts in brute_counts(words, off["n"]).items():
            for y, count in counts.items():
                rows[(c[len(c) - (n - 1) :], y)] += count
    else:  # in how many ways could this (n)-gram be extended to the left?
        longer = {
            (c[len(c) - n :], y)
            for c, counts in brute_counts(words, off["n"]).items()
            for y in counts
        }
        rows = Counter((c[1:], y) for c, y in longer)
    after = {y: k for (c, y), k in rows.items() if c == context}
    lower = kneser_ney_by_definition(
        words, n - 1, context[1:], char, off, continuation
    )
    if not after:
        return lower
    tier = off[n]
    spent = sum(tier[min(k, 3)] for k in after.values())
    kept = max(after.get(char, 0) - tier[min(after.get(char, 0), 3)], 0)
    return (kept + spent * lower) / sum(after.values())


@pytest.mark.parametrize("continuation", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_kneser_ney_equals_its_definition(n, continuation):
    words = random_words(7, count=40)
    model = KneserNey(n, continuation=continuation).fit(*corpus(n - 1, words))
    off = {m: model.discounts[-m].tolist() for m in range(1, n + 1)} | {"n": n}
    contexts = all_contexts(n)[:: max(1, 5 ** (n - 1) // 12)]
    got = model.probs(contexts)
    for row, ids in zip(got, contexts.tolist()):
        context = data.NAME_VOCAB.decode(ids)
        for y in (0, 1, 4, 26):
            want = kneser_ney_by_definition(
                words, n, context, data.NAME_VOCAB.itos[y], off, continuation
            )
            assert row[y].item() == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("model", [NGram(3, smoothing=0.1), NGram(4), KneserNey(4), KneserNey(4, continuation=False), KneserNey(1)])
def test_rows_are_distributions_for_seen_and_unseen_contexts(model):
    model.fit(*corpus(3))
    contexts = torch.randint(27, (500, 3), generator=torch.Generator().manual_seed(1))
    p = model.probs(torch.cat([contexts, corpus(3)[0]]))
    assert p.dtype == torch.float64 and p.min() >= 0
    torch.testing.assert_close(p.sum(1), torch.ones(len(p), dtype=torch.float64))


def test_discounts_are_chen_and_goodmans():
    counts = torch.tensor([[1.0] * 8 + [2.0] * 4 + [3.0] * 2 + [4.0, 9.0]])
    y = 8 / (8 + 2 * 4)
    want = [0, 1 - 2 * y * 4 / 8, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2]
    assert discounts(counts).tolist() == pytest.approx(want)
    assert discounts(torch.zeros(1, 27)).tolist() == [0, 0.5, 0.5, 0.5]
    assert discounts(torch.ones(1, 27)).tolist() == [0, 1, 1, 1]
    threes = torch.tensor([[1.0, 1.0, 2.0, 3.0]])
    assert discounts(threes).tolist() == [0, 0.5, 0.5, 0.5]


def test_kneser_ney_prefers_the_character_of_many_contexts():
    # 'b' follows only 'a', often; 'd' follows every letter, rarely
    words = ["ab"] * 30 + [c + "d" for c in "efghijk"]
    model = KneserNey(2).fit(*corpus(1, words))
    plain = KneserNey(2, continuation=False).fit(*corpus(1, words))
    unseen = torch.tensor([[26]])  # after 'z', which never occurred
    b, d = data.NAME_VOCAB.encode("bd")
    assert model.probs(unseen)[0, d] > model.probs(unseen)[0, b]
    assert plain.probs(unseen)[0, d] < plain.probs(unseen)[0, b]


def test_infinite_smoothing_is_uniform_and_zero_meets_infinite_loss():
    idx, targets = corpus(2)
    assert NGram(3, smoothing=1e15).fit(idx, targets).nll(idx, targets) == pytest.approx(math.log(27))
    unseen = torch.tensor([25])
    assert NGram(3).fit(idx, targets).nll(idx[:1], unseen) == math.inf


def test_counts_are_the_maximum_of_the_likelihood():
    idx, targets = corpus(1)
    best = NGram(2).fit(idx, targets).nll(idx, targets)
    for smoothing in (1e-3, 0.1, 1.0):
        assert NGram(2, smoothing=smoothing).fit(idx, targets).nll(idx, targets) > best


def test_table_of_an_empty_context_has_one_row():
    idx, targets = corpus(0)
    table = CountTable(torch.zeros(len(idx), dtype=torch.int64), targets, 27)
    assert table.counts.shape == (2, 27) and table.counts.sum() == len(targets)


@pytest.mark.parametrize("make", [lambda: NGram(0), lambda: NGram(14), lambda: NGram(2, smoothing=-1), lambda: NGram(2, smoothing=math.nan), lambda: KneserNey(0)])
def test_bad_arguments(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_too_short_a_context_is_named():
    with pytest.raises(ValueError, match=r"idx of shape \(2, 1\).*n - 1 = 2"):
        NGram(3).fit(torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))


def test_sampling_repeats_and_follows_the_distribution():
    model = NGram(2).fit(*corpus(1, ["a", "b", "b", "b"]))
    g = torch.Generator().manual_seed(3)
    first = Counter(model.sample(generator=g)[0] for _ in range(2000))
    assert first[2] / 2000 == pytest.approx(0.75, abs=0.04)
    one, two = (
        [KneserNey(3).fit(*corpus(2)).sample(generator=g) for _ in range(5)]
        for g in (torch.Generator().manual_seed(5) for _ in range(2))
    )
    assert one == two


@pytest.mark.skipif(not data.source().is_lecture, reason="needs names.txt")
class TestLectureNumbers:
    """What the lecture and the literature's definitions give on names.txt."""

    words = property(lambda self: data.load_names())

    @pytest.mark.parametrize(
        "n, smoothing, nll",
        [(2, 0, 2.4540144891548743), (2, 1, 2.454576820115704), (3, 1, 2.2126)],
    )
    def test_losses_on_all_names(self, n, smoothing, nll):
        idx, targets = corpus(n - 1, self.words)
        assert len(targets) == 228_146
        got = NGram(n, smoothing=smoothing).fit(idx, targets).nll(idx, targets)
        assert got == pytest.approx(nll, abs=1e-12 if n == 2 else 5e-5)

    @pytest.mark.parametrize("smoothing", [0, 1])
    def test_sampled_names(self, smoothing):
        model = NGram(2, smoothing=smoothing).fit(*corpus(1, self.words))
        g = torch.Generator().manual_seed(2147483647)
        names = [data.NAME_VOCAB.decode(model.sample(generator=g)) for _ in range(5)]
        assert names == ["mor", "axx", "minaymoryles", "kondlaisah", "anchshizarie"]

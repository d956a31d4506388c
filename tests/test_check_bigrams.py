"""zth.check.bigrams; oracle: answers planted right and wrong, each named."""

import contextlib
import io
import math
import random

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from IPython.core.interactiveshell import InteractiveShell
from answers import passes, refuses

from zth import data
from zth.check import bigrams as check
from zth.ngram import KneserNey, NGram

TRAIN, VAL, TEST = data.split(data.load_names())


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
@pytest.mark.parametrize(
    "name, extra",
    [("trigram", ()), ("splits", (None,)), ("smoothing", ()),
     ("indexing", ()), ("cross_entropy", ()), ("reach", (4,)),
     ("devices", ())])
def test_the_starter_is_not_written_yet(name, extra, unwritten):
    extra = tuple(x or unwritten for x in extra)
    said = refuses(getattr(check, name), unwritten, *extra)
    assert f"{name}: not written yet" in said


def test_evaluate_alone_can_be_unwritten():
    assert "not written yet" in refuses(check.splits, data.split, starter)


def test_an_error_of_the_answer_is_shown_with_its_input():
    def broken(names, smoothing):
        return 1 / 0

    said = refuses(check.trigram, broken)
    assert "your code raised ZeroDivisionError" in said
    assert "names = ['emma'" in said
    line = broken.__code__.co_firstlineno + 1
    assert f"division by zero line {line} return 1 / 0 input" in said


def test_an_error_inside_a_library_is_shown_at_the_readers_line():
    def broken(W, xs):
        return W @ torch.zeros(3)

    said = refuses(check.indexing, broken)
    assert f"line {broken.__code__.co_firstlineno + 1} return W @ torch" in said


def test_ipython_shows_the_message_alone():
    shell = InteractiveShell()
    with pytest.raises(check.Wrong) as caught:
        check.indexing(lambda W, xs: W[:, xs])
    shown = caught.value._render_traceback_()
    assert "\n".join(shown) == str(caught.value)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        shell.run_cell("from zth.check import bigrams as check\n"
                       "check.indexing(lambda W, xs: None)")
    assert "not written yet" in out.getvalue()
    assert "Traceback" not in out.getvalue()


def test_a_model_in_place_of_its_probabilities_is_named():
    said = refuses(check.smoothing, lambda contexts: NGram(3))
    assert "return its probabilities, model.probs(idx)" in said


def test_a_message_has_input_expected_and_got():
    said = refuses(check.trigram, trigram_with(start=1))
    for part in ("input names", "expected P", "got P", "likely"):
        assert part in said


# trigram ------------------------------------------------------------------


def triples(names, start="..", end="."):
    ids = {letter: i for i, letter in enumerate(".abcdefghijklmnopqrstuvwxyz")}
    for name in names:
        name = start + name + end
        for three in zip(name, name[1:], name[2:]):
            yield tuple(ids[letter] for letter in three)


def trigram_with(*, start=2, end=".", table=None, loss=None, dtype=None):
    """A trigram with another start, table(N, k) or loss(p, names)."""
    def trigram(names, smoothing):
        idx = torch.tensor(list(triples(names, "." * start, end)))
        N = torch.zeros(27, 27, 27, dtype=dtype or torch.float64)
        ones = torch.ones(len(idx), dtype=N.dtype)
        N.index_put_(tuple(idx.T), ones, accumulate=True)
        P = N + smoothing
        P = table(N, smoothing) if table else P / P.sum(-1, keepdim=True)
        p = P[tuple(idx.T)]
        return P, loss(p, names) if loss else -p.log().mean()

    return trigram


def trigram_of_lists(names, smoothing):
    N = [[0] * 27 for _ in range(729)]
    for a, b, c in triples(names):
        N[27 * a + b][c] += 1
    P = [[(n + smoothing) / (sum(row) + 27 * smoothing or 1) for n in row]
         for row in N]
    losses = [-math.log(P[27 * a + b][c]) for a, b, c in triples(names)]
    return P, sum(losses) / len(losses), "more"


def trigram_of_arrays(names, smoothing):
    N = np.zeros((27, 27, 27), dtype=np.float32)
    for a, b, c in triples(names):
        N[a, b, c] += 1
    total = N.sum(axis=2, keepdims=True) + 27 * np.float32(smoothing)
    P = np.divide(N + np.float32(smoothing), total, where=total > 0,
                  out=np.full_like(N, 1 / 27))
    a, b, c = np.array(list(triples(names))).T
    return P, -np.log(P[a, b, c]).mean()


def trigram_in_a_loop(names, smoothing):
    P, _ = trigram_with(dtype=torch.float32)(names, smoothing)
    loss = torch.zeros(1)
    count = 0
    for a, b, c in triples(names):
        loss -= P[a, b, c].log()
        count += 1
    return P.view(729, 27), loss / count


class TrigramModel:
    """An answer whose numbers carry a gradient."""

    def __call__(self, names, smoothing):
        P, nll = trigram_with()(names, smoothing)
        return P.requires_grad_(), nll.requires_grad_()


@pytest.mark.parametrize("answer", [
    trigram_with(), trigram_with(dtype=torch.float32), trigram_of_lists,
    trigram_of_arrays, trigram_in_a_loop, TrigramModel()])
def test_trigram_accepts(capsys, answer):
    passes(capsys, check.trigram, answer)


def axis_zero(N, k):
    return (N + k) / (N + k).sum(0, keepdim=True)


def no_keepdim(N, k):
    return (N + k) / (N + k).sum(2)


def flat_columns(N, k):
    N = (N + k).view(729, 27)
    return (N / N.sum(0)).view(27, 27, 27)


def special_last(names, smoothing):
    """Ids a = 0, ..., z = 25, '.' = 26; the loss is right."""
    P, nll = trigram_with()(names, smoothing)
    return P.roll((-1, -1, -1), (0, 1, 2)), nll


def two_specials(names, smoothing):
    return torch.ones(28, 28, 28) / 28, 2.0


def bigram_rows(N, k):
    return ((N + k).sum(0) / (N + k).sum((0, 2))[:, None]).expand(27, 27, 27)


def additive(N, k):
    g = torch.Generator().manual_seed(1)
    A, B = torch.randn(2, 27, 27, generator=g, dtype=N.dtype)
    return (A[:, None] + B[None]).softmax(-1)


def fixed_strength(k):
    return lambda N, _: (N + k) / (N + k).sum(-1, keepdim=True)


def seen_first(names, smoothing):
    """First letters counted, but not scored."""
    P, _ = trigram_with()(names, smoothing)
    idx = torch.tensor(list(triples(names, ".")))
    return P, -P[tuple(idx.T)].log().mean()


def also_bigram(names, smoothing):
    P, _ = trigram_with()(names, smoothing)
    model = NGram(2, smoothing=smoothing).fit(*data.windows(names, 1))
    return P, model.nll(*data.windows(names, 1))


TRIGRAM_WRONG = [
    (trigram_with(table=axis_zero), "the sum over another axis"),
    (trigram_with(table=flat_columns), "the sum over another axis"),
    (trigram_with(table=no_keepdim), "without keepdim=True the sums are"),
    (special_last, "Here '.' is id 0 and a to z are 1 to 26"),
    (two_specials, "'.', id 0, both starts and ends a name"),
    (trigram_with(table=lambda N, k: N + k), "These are counts"),
    (trigram_with(table=lambda N, k: (N + k) / (N + k).sum()),
     "the total of the whole table"),
    (trigram_with(table=fixed_strength(0)), "this is the table without it"),
    (trigram_with(table=fixed_strength(1)), "you always add 1"),
    (trigram_with(table=lambda N, k: (N + k) / (N.sum(-1, True) + k)),
     "the total gains 27 times as much"),
    (trigram_with(table=lambda N, k: N / (N.sum(-1, True) + 27 * k)),
     "into the total but not into the counts"),
    (trigram_with(start=1), "('.', '.') was never counted"),
    (trigram_with(end=""), "The end of a name was never counted"),
    (trigram_with(table=lambda N, k: fixed_strength(k)(N, k).permute(2, 1, 0)),
     "The axes are in another order"),
    (trigram_with(table=bigram_rows), "looks at one character only"),
    (trigram_with(table=additive), "a net with 54 inputs"),
    (seen_first, "First letters are not scored"),
    (trigram_with(loss=lambda p, names: -p.log().sum()),
     "sum over the targets"),
    (trigram_with(loss=lambda p, names: -p.log().sum() / len(names)),
     "the loss per name"),
    (trigram_with(loss=lambda p, names: -p.log().mean() / 2),
     "nelement() counts both"),
    (trigram_with(loss=lambda p, names: p.log().mean()),
     "The sign is turned"),
    (trigram_with(loss=lambda p, names: -p.log2().mean()), "in bits"),
    (trigram_with(loss=lambda p, names: -p.log10().mean()), "base-10"),
    (trigram_with(loss=lambda p, names: (-p.log().mean()).exp()),
     "the perplexity"),
    (also_bigram, "the bigram's loss"),
    (lambda names, k: (torch.ones(54, 27), 0.0), "one row of 27 for each"),
    (lambda names, k: 2.2126, "return P and nll"),
]


@pytest.mark.parametrize("answer, why", TRIGRAM_WRONG,
                         ids=[why for _, why in TRIGRAM_WRONG])
def test_trigram_names(answer, why):
    assert why in refuses(check.trigram, answer)


# splits -------------------------------------------------------------------


def evaluate_with(*, train_on=None, loss=None, pairs=None, pick=None):
    """The n-gram's two losses, with one thing done differently."""
    def evaluate(train, val, n, smoothing):
        if pick:
            n, smoothing = pick(n, smoothing)
        windows = pairs or data.windows
        fit = train_on(train, val) if train_on else train
        model = NGram(n, smoothing=smoothing).fit(*windows(fit, n - 1))
        losses = []
        for names in (train, val):
            idx, targets = windows(names, n - 1)
            p = model.probs(idx).gather(1, targets[:, None])
            losses.append(loss(p) if loss else -p.log().mean())
        return losses

    return evaluate


evaluate = evaluate_with()


def split_by_rounding(names):
    order = np.random.default_rng(7).permutation(len(names))
    a, b = round(0.8 * len(names)), round(0.9 * len(names))
    return [[names[i] for i in part] for part in np.split(order, [a, b])]


def split_with_the_global_generator(names):
    random.seed(42)
    names = random.sample(names, len(names))
    a, b = int(0.8 * len(names)), int(0.9 * len(names))
    return tuple(names[:a]), tuple(names[a:b]), tuple(names[b:])


def evaluate_in_loops(train, val, n, smoothing):
    counts = {}
    for name in train:
        for i, letter in enumerate(name + "."):
            context = ("." * n + name)[i + 1 : i + n]
            row = counts.setdefault(context, {})
            row[letter] = row.get(letter, 0) + 1
    found = []
    for names in (train, val):
        losses = []
        for name in names:
            for i, letter in enumerate(name + "."):
                row = counts.get(("." * n + name)[i + 1 : i + n], {})
                total = sum(row.values()) + 27 * smoothing
                p = (row.get(letter, 0) + smoothing) / total if total else 0
                losses.append(-math.log(p) if p else math.inf)
        found.append(sum(losses) / len(losses))
    return found[0], found[1], "a test loss"


def evaluate_in_float32(*args):
    return torch.tensor(evaluate(*args), dtype=torch.float32)


@pytest.mark.parametrize("split", [
    data.split, split_by_rounding, split_with_the_global_generator])
@pytest.mark.parametrize("evaluate", [
    evaluate, evaluate_in_loops, evaluate_in_float32])
def test_splits_accepts(capsys, split, evaluate):
    passes(capsys, check.splits, split, evaluate)


def in_place(names):
    random.Random(42).shuffle(names)
    a, b = int(0.8 * len(names)), int(0.9 * len(names))
    return names[:a], names[a:b], names[b:]


def without_seed(names):
    return data.split(names, seed=None)


def unshuffled(names):
    a, b = int(0.8 * len(names)), int(0.9 * len(names))
    return names[:a], names[a:b], names[b:]


def cut_as_text(names):
    text = "\n".join(data.split(names)[0] + data.split(names)[1])
    a = text.index("\n", int(0.8 * len(text))) + 3  # inside a name
    return text[:a].split("\n"), text[a:].split("\n"), data.split(names)[2]


def cut_as_windows(names):
    idx, _ = data.windows(names, 3)
    return idx[:800], idx[800:900], idx[900:]


def overlapping(names):
    train, val, test = data.split(names)
    return train, val, train[: len(test)]


def without_copies(names):
    return data.split(sorted(set(names)))


def losing_some(names):
    train, val, test = data.split(names)
    return train[:-1], val, test


def half_and_quarters(names):
    names = sum(data.split(names), [])
    a, b = len(names) // 2, 3 * len(names) // 4
    return names[:a], names[a:b], names[b:]


def shuffled_nothing(names):
    return random.shuffle(names)


def cut_nothing(names):
    names = random.shuffle(names)
    return names[:80], names[80:90], names[90:]


def three_nothings(names):
    return [random.shuffle(names)] * 3


def other_type_error(names):
    return names + 1


SPLIT_WRONG = [
    (shuffled_nothing, "random.shuffle returns None, it shuffles its"),
    (cut_nothing, "input 200 made-up names, ten of them twice "
     "likely random.shuffle returns None, it shuffles its argument"),
    (three_nothings, "random.shuffle returns None, it shuffles its"),
    (lambda names: (80, 10, 10), "return three lists of names"),
    (in_place, "shuffled, in place"),
    (without_seed, "no fixed seed"),
    (unshuffled, "girls' names by frequency, then boys' names by"),
    (cut_as_text, "split the list of names, before"),
    (cut_as_windows, "split the list of names, before"),
    (overlapping, "the parts overlap"),
    (without_copies, "equal names were merged"),
    (losing_some, "names are missing"),
    (half_and_quarters, "the fractions are 80, 10 and 10 %"),
]


@pytest.mark.parametrize("split, why", SPLIT_WRONG,
                         ids=[split.__name__ for split, _ in SPLIT_WRONG])
def test_splits_names_a_wrong_split(split, why):
    assert why in refuses(check.splits, split, evaluate)


@pytest.mark.parametrize("split", [starter, other_type_error])
def test_splits_speaks_of_none_only_where_there_is_one(split):
    assert "None" not in refuses(check.splits, split, evaluate)


def skip_zeros(p):
    return -p[p > 0].log().mean()


def one_start(names, block_size):
    """Windows of names that start with a single '.'."""
    idx, targets = data.windows(names, block_size)
    if block_size < 2:
        return idx, targets
    return tuple(x[idx[:, 1] != 0] for x in (idx, targets))


def own_letters(train, val, n, smoothing):
    size = len(set("".join(train))) + 1
    model = NGram(n).fit(*data.windows(train, n - 1))
    losses = []
    for names in (train, val):
        idx, targets = data.windows(names, n - 1)
        counts = model.table[model.code(idx)]
        p = (counts + smoothing) / (counts.sum(1, True) + size * smoothing)
        losses.append(-p.gather(1, targets[:, None]).log().mean())
    return losses


def one_more(train, val, n, smoothing):
    """n characters of context."""
    return evaluate(train, val, n + 1, smoothing)


def count_times_log(train, val, n, smoothing):
    """0 * log 0 is NaN."""
    model = NGram(n, smoothing=smoothing).fit(*data.windows(train, n - 1))
    losses = []
    for names in (train, val):
        idx, targets = data.windows(names, n - 1)
        logp = model.probs(idx).log()
        losses.append(-(F.one_hot(targets, 27) * logp).sum(1).mean())
    return losses


EVALUATE_WRONG = [
    (lambda *args: evaluate(*args)[::-1], "The two losses are swapped"),
    (evaluate_with(train_on=lambda train, val: train + val),
     "counted the validation names too"),
    (lambda train, val, n, k: (evaluate(train, val, n, k)[0],
                               evaluate(val, val, n, k)[0]),
     "a model fitted on the validation names"),
    (evaluate_with(loss=skip_zeros), "were left out of the mean"),
    (evaluate_with(loss=lambda p: -(p + 1e-8).log().mean()),
     "A small number was added"),
    (evaluate_with(loss=lambda p: -p.clamp(min=1e-12).log().mean()),
     "A small number was added"),
    (count_times_log, "0 times infinity"),
    (own_letters, "The vocabulary came from the training names"),
    (evaluate_with(pick=lambda n, k: (2, k)), "`n` has no effect"),
    (evaluate_with(pick=lambda n, k: (3, k)), "`n` has no effect"),
    (lambda train, val, n, k: evaluate(train, val, n - 1, k),
     "the losses of the (n - 1)-gram"),
    (one_more, "the losses of the (n + 1)-gram"),
    (evaluate_with(pick=lambda n, k: (n, 0)),
     "`smoothing` has no effect"),
    (evaluate_with(pairs=one_start), "First letters are not scored"),
    (evaluate_with(loss=lambda p: -p.log().sum()), "These are sums"),
    (evaluate_with(loss=lambda p: -p.log2().mean()), "Not in nats"),
    (evaluate_with(loss=lambda p: -p.log10().mean()), "Not in nats"),
    (evaluate_with(loss=lambda p: p.log().mean()), "Not in nats"),
    (lambda *args: 2.4, "return two losses"),
]


@pytest.mark.parametrize("evaluate, why", EVALUATE_WRONG,
                         ids=[str(i) + why for i, (_, why)
                              in enumerate(EVALUATE_WRONG)])
def test_splits_names_a_wrong_evaluation(evaluate, why):
    assert why in refuses(check.splits, data.split, evaluate)


# smoothing ----------------------------------------------------------------


def additive_model(k, names=TRAIN, n=3):
    return NGram(n, smoothing=k).fit(*data.windows(names, n - 1))


TUNED = additive_model(0.18)


class Table(nn.Module):
    """The tuned trigram as a module; in training mode it answers noise."""

    def __init__(self, dtype):
        super().__init__()
        pairs = torch.cartesian_prod(torch.arange(27), torch.arange(27))
        self.rows = nn.Parameter(TUNED.probs(pairs).log().to(dtype))
        self.drop = nn.Dropout(0.5)
        self.frozen = nn.Dropout(0.5).eval()

    def forward(self, idx):
        logits = self.drop(self.rows[27 * idx[:, 0] + idx[:, 1]])
        return self.frozen(logits) + 3, None  # a shift changes nothing


@pytest.mark.parametrize("model", [
    TUNED, TUNED.probs, Table(torch.float32), Table(torch.float64),
    lambda idx: TUNED.probs(idx).tolist(),
    lambda idx: TUNED.probs(idx).float().numpy(),
    lambda idx: (TUNED.table[TUNED.code(idx)] + 0.18).log(),
    lambda idx: TUNED.probs(idx)[:, None].expand(-1, 2, -1)])
def test_smoothing_accepts(capsys, model):
    passes(capsys, check.smoothing, model)


def test_smoothing_leaves_a_module_in_its_mode(capsys):
    model = Table(torch.float32)
    check.smoothing(model)
    assert model.training and model.drop.training
    assert not model.frozen.training


def test_smoothing_says_so_where_a_loss_is_lower(capsys):
    check.smoothing(KneserNey(3).fit(*data.windows(TRAIN, 2)))
    assert "lower than any additive smoothing" in capsys.readouterr().out


def backwards(model):
    return lambda idx: model.probs(idx.flip(1))


def single_start(idx):
    p = TUNED.probs(idx)
    p[(idx == 0).all(1)] = 1 / 27
    return p


SMOOTHING_WRONG = [
    (additive_model(0), "some probabilities are zero"),
    (additive_model(1), "k = 1: try amounts on a logarithmic axis"),
    (additive_model(5), "additive smoothing with k = 5"),
    (additive_model(0.2, TRAIN + VAL), "learned from the validation names"),
    (additive_model(0.2, TRAIN + VAL + TEST), "learned from the validation"),
    (KneserNey(3).fit(*data.windows(TRAIN + VAL, 2)),
     "learned from the validation"),
    *[(additive_model(k, TRAIN + TEST), "learned from the test names")
      for k in (0.001, 0.2, 1, 100)],
    (additive_model(0.2, TEST), "learned from the test names"),
    (KneserNey(3).fit(*data.windows(TRAIN + TEST, 2)),
     "learned from the test names"),
    (additive_model(1e5), "additive smoothing with k = 1e+05"),
    (additive_model(0.1, n=2), "this is a bigram"),
    (single_start, "the row after ('.', '.') is uniform"),
    (lambda idx: additive_model_reversed.probs(idx), "in the wrong order"),
    (lambda idx: TUNED.table[TUNED.code(idx)] + 0.18, "not normalised"),
    (lambda idx: TUNED.probs(idx) / 2, "not normalised"),
    (lambda idx: TUNED.probs(idx).log10(), "base-10 logarithms"),
    (lambda idx: TUNED.probs(idx).log2(), "base-2 logarithms"),
    (lambda idx: -TUNED.probs(idx).log(), "the sign is turned"),
    (lambda idx: TUNED.probs(idx).softmax(1), "almost uniform"),
    (lambda idx: TUNED.probs(idx) * torch.nan, "0/0 without smoothing"),
    (lambda idx: TUNED.probs(idx)[:, 1:], "one row of 27"),
    (3.0, "hand over a function"),
]
idx, targets = data.windows(TRAIN, 2)
additive_model_reversed = NGram(3, smoothing=0.18).fit(idx.flip(1), targets)


@pytest.mark.parametrize("model, why", SMOOTHING_WRONG,
                         ids=[str(i) + why for i, (_, why)
                              in enumerate(SMOOTHING_WRONG)])
def test_smoothing_names(model, why):
    assert why in refuses(check.smoothing, model)


# indexing -----------------------------------------------------------------


@pytest.mark.parametrize("forward", [
    lambda W, xs: W[xs],
    lambda W, xs: F.embedding(xs, W),
    lambda W, xs: W.index_select(0, xs),
    lambda W, xs: torch.stack([W[x] for x in xs.tolist()]),
    lambda W, xs: W.gather(0, xs[:, None].expand(-1, 27))])
def test_indexing_accepts(capsys, forward):
    passes(capsys, check.indexing, forward)


class LastWins(torch.autograd.Function):
    @staticmethod
    def forward(ctx, W, xs):
        ctx.save_for_backward(xs)
        return W[xs]

    @staticmethod
    def backward(ctx, upstream):
        grad = upstream.new_zeros(27, 27)
        for x, row in zip(ctx.saved_tensors[0].tolist(), upstream):
            grad[x] = row
        return grad, None


INDEXING_WRONG = [
    (lambda W, xs: W[:, xs], "got logits of shape (27, 5)"),
    (lambda W, xs: W[:, xs].T, "These are columns of W"),
    (lambda W, xs: W.T[xs], "These are columns of W"),
    (lambda W, xs: W[xs].softmax(1), "These are probabilities"),
    (lambda W, xs: W[xs].exp(), "These are probabilities"),
    (lambda W, xs: W[xs - 1], "the ids count from 0"),
    (lambda W, xs: F.one_hot(xs, 27).double(), "the one-hot encoding itself"),
    (lambda W, xs: W[xs].T, "The result is transposed"),
    (lambda W, xs: W[xs.sort().values], "The right rows in another order"),
    (lambda W, xs: W[xs].detach(), "detached from the graph"),
    (lambda W, xs: W[xs].tolist(), "detached from the graph"),
    (lambda W, xs: W[xs].double(), "cast to another dtype"),
    (lambda W, xs: nn.Embedding.from_pretrained(W, freeze=False)(xs),
     "from a copy of W"),
    (LastWins.apply, "only its last gradient was kept"),
    (lambda W, xs: F.one_hot(xs, 27).to(W.dtype) @ W,
     "a tensor of shape (64, 27) was kept for backward"),
    (lambda W, xs: F.one_hot(xs, num_classes=27).float() @ W,
     "the one-hot is still there"),
    (lambda W, xs: W[xs].float(), "cast to another dtype"),
    (lambda W, xs: torch.einsum("nv,vc->nc", F.one_hot(xs, 27).to(W.dtype), W),
     "a tensor of shape (64, 27) was kept for backward"),
]


@pytest.mark.parametrize("forward, why", INDEXING_WRONG,
                         ids=[str(i) + why for i, (_, why)
                              in enumerate(INDEXING_WRONG)])
def test_indexing_names(forward, why):
    assert why in refuses(check.indexing, forward)


# cross_entropy ------------------------------------------------------------


def by_log_sum_exp(logits, targets):
    top = logits.max(1, keepdim=True).values
    logp = logits - top - (logits - top).exp().sum(1, keepdim=True).log()
    return -logp[torch.arange(len(targets)), targets].mean()


def in_a_loop(logits, targets):
    losses = [row.logsumexp(0) - row[i] for row, i in zip(logits, targets)]
    return sum(losses).view(1) / len(losses), "more"


@pytest.mark.parametrize("answer", [
    F.cross_entropy, nn.CrossEntropyLoss(), by_log_sum_exp, in_a_loop,
    lambda logits, targets: F.nll_loss(logits.log_softmax(1), targets),
    lambda logits, targets: F.cross_entropy(logits.double(), targets)])
def test_cross_entropy_accepts(capsys, answer):
    passes(capsys, check.cross_entropy, answer)


def chosen(p, targets):
    return p[torch.arange(len(targets)), targets]


def by_hand(logits, targets):
    counts = logits.exp()
    return -chosen(counts / counts.sum(1, keepdim=True), targets).log().mean()


def unsafe_sum(logits, targets):
    return (logits.exp().sum(1).log() - chosen(logits, targets)).mean()


def one_maximum(logits, targets):
    return by_hand(logits - logits.max(), targets)


def every_pair(logits, targets):
    return (logits.logsumexp(1) - logits[:, targets]).mean()


def every_pair_by_hand(logits, targets):
    counts = logits.exp()
    return -(counts / counts.sum(1, True))[:, targets].log().mean()


def lost_maximum(logits, targets):
    top = logits.max(1, keepdim=True).values
    total = (logits - top).exp().sum(1).log()
    return (total - chosen(logits, targets)).mean()


def with_gradient(gradient):
    """The right loss, with gradient(p, y) for its gradient."""
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits, targets):
            ctx.save_for_backward(logits, targets)
            return F.cross_entropy(logits, targets)

        @staticmethod
        def backward(ctx, upstream):
            logits, targets = ctx.saved_tensors
            y = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
            return gradient(logits.softmax(1), y) * upstream, None

    return Loss.apply


def softmaxed(logits, targets):
    return F.cross_entropy(logits.softmax(1), targets)


CE_WRONG = [
    (by_hand, "exp overflowed"),
    (unsafe_sum, "exp overflowed"),
    (one_maximum, "One maximum for the whole batch"),
    (lambda x, y: -chosen(x.softmax(1), y).log().mean(),
     "lost its digits, or is 0"),
    (lambda x, y: -(chosen(x.softmax(1), y) + 1e-9).log().mean(),
     "A small number was added inside the logarithm"),
    (lambda x, y: -chosen(x.softmax(1), y).clamp(min=1e-7).log().mean(),
     "A small number was added inside the logarithm"),
    (lost_maximum, "not put back"),
    (softmaxed, "A softmax was taken twice"),
    (every_pair, "logits[:, targets] is (N, N)"),
    (every_pair_by_hand, "logits[:, targets] is (N, N)"),
    (lambda x, y: (x.logsumexp(1) - y).mean(), "The ids of the targets"),
    (lambda x, y: F.nll_loss(x, y), "not turned into log-probabilities"),
    (lambda x, y: -chosen(x.softmax(1), y).mean(), "logarithm is missing"),
    (lambda x, y: F.cross_entropy(x, y, reduction="sum"),
     "the sum over the examples"),
    (lambda x, y: F.cross_entropy(x, y, reduction="sum") / x.numel(),
     "Divided by N V"),
    (lambda x, y: -x.log_softmax(1).mean(), "All V log-probabilities"),
    (lambda x, y: F.cross_entropy(x, y, reduction="none"),
     "the loss of each example"),
    (lambda x, y: -chosen(x.log_softmax(0), y).mean(), "over the batch"),
    (lambda x, y: F.cross_entropy(x, y) / math.log(2), "in another base"),
    (lambda x, y: F.cross_entropy(x, y) / math.log(10), "in another base"),
    (lambda x, y: -F.cross_entropy(x, y), "The sign is turned"),
    (lambda x, y: F.cross_entropy(x, y).item(), "detached from the graph"),
    (lambda x, y: F.cross_entropy(x.detach(), y), "detached from the graph"),
    (lambda x, y: F.cross_entropy(nn.Parameter(x.detach()), y),
     "from a copy of the logits"),
    (with_gradient(lambda p, y: p - y), "N times the gradient"),
    (with_gradient(lambda p, y: p / len(p)), "1 of the target was not"),
    (with_gradient(lambda p, y: -y / len(p)), "through the log-sum-exp"),
    (with_gradient(lambda p, y: (y - p) / len(p)), "gradient's sign"),
]


@pytest.mark.parametrize("answer, why", CE_WRONG,
                         ids=[str(i) + why for i, (_, why)
                              in enumerate(CE_WRONG)])
def test_cross_entropy_names(answer, why):
    assert why in refuses(check.cross_entropy, answer)


# reach --------------------------------------------------------------------


def kneser_ney(n, names=TRAIN):
    return KneserNey(n).fit(*data.windows(names, n - 1))


FIVE = kneser_ney(5)


@pytest.mark.parametrize("model, block_size", [
    (FIVE, 4), (FIVE, 10), (FIVE.probs, 4), (kneser_ney(7), 6),
    (kneser_ney(11), 10),
    (lambda idx: FIVE.probs(idx).log().float() - 5, 5),
    (lambda idx: FIVE.probs(idx).numpy(), 4),
    (lambda idx: 0.9 * FIVE.probs(idx) + 0.1 * kneser_ney(6).probs(idx), 5)])
def test_reach_accepts(capsys, model, block_size):
    passes(capsys, check.reach, model, block_size)


def flip(model):
    return lambda idx: model.probs(idx.flip(1))


def padded_right(model):
    """A model that was fitted on contexts padded on the right."""
    def to_right(idx):
        rows = [[i for i in row if i] for row in idx.tolist()]
        return torch.tensor([row + [0] * (idx.shape[1] - len(row))
                             for row in rows])

    idx, targets = data.windows(TRAIN, 4)
    return model.fit(to_right(idx), targets)


REACH_WRONG = [
    (lambda idx: -FIVE.probs(idx).log(), 4, "the sign is turned"),
    (lambda idx: FIVE.probs(idx) * 0.9, 4, "not normalised"),
    (lambda idx: FIVE.probs(idx).log10(), 4, "base-10"),
    (NGram(5).fit(*data.windows(TRAIN, 4)), 4, "some probabilities are zero"),
    (kneser_ney(5, TRAIN + VAL), 4, "learned from the validation names"),
    (kneser_ney(6, VAL), 5, "learned from the validation names"),
    (kneser_ney(5, TRAIN + TEST), 4, "learned from the test names"),
    (kneser_ney(11, TRAIN + TEST), 10, "learned from the test names"),
    (flip(FIVE), 4, "reads the context backwards"),
    (padded_right(KneserNey(5)), 4, "padded on the right"),
    (kneser_ney(2), 4, "at best a bigram"),
    (kneser_ney(1), 4, "at best a bigram: only the last 0"),
    (kneser_ney(4), 10, "only the last 3 characters"),
    (NGram(6, smoothing=0.1).fit(*data.windows(TRAIN, 5)), 5,
     "give each the uniform distribution"),
    (lambda idx: 0.5 * FIVE.probs(idx) + 0.5 * kneser_ney(2).probs(idx), 4,
     "4 characters of context are enough, with better smoothing"),
    (KneserNey(5, continuation=False).fit(*data.windows(TRAIN, 4)), 4,
     "4 characters of context are enough, with better smoothing"),
    (KneserNey(8, continuation=False).fit(*data.windows(TRAIN, 7)), 7,
     "4 characters of context are enough, with better smoothing"),
    (lambda idx: FIVE.probs(idx).softmax(1), 4, "almost uniform"),
    (FIVE, 11, "must be 1 to 10"),
    (FIVE, 3, "your code raised ValueError"),
]


@pytest.mark.parametrize("model, block_size, why", REACH_WRONG,
                         ids=[str(i) + row[-1]
                              for i, row in enumerate(REACH_WRONG)])
def test_reach_names(model, block_size, why):
    assert why in refuses(check.reach, model, block_size)


# devices ------------------------------------------------------------------


def by_least_squares(work, seconds):
    A = torch.stack([1 / seconds, work / seconds], 1)
    b = torch.ones(len(work), 1, dtype=A.dtype)
    overhead, per_work = torch.linalg.lstsq(A, b).solution[:, 0]
    return overhead, 1 / per_work


def by_polyfit(work, seconds):
    slope, intercept = np.polyfit(work, seconds, 1, w=1 / seconds)
    return [intercept, 1 / slope]


def in_float32(work, seconds):
    unit = work.max().float()
    overhead, rate = by_least_squares(work.float() / unit, seconds.float())
    return torch.stack([overhead, rate * unit])


def by_normal_equations(work, seconds):
    w = [1 / float(s) ** 2 for s in seconds]
    x, y = work.tolist(), seconds.tolist()
    s0, s1 = sum(w), sum(a * b for a, b in zip(w, x))
    s2 = sum(a * b * b for a, b in zip(w, x))
    t0 = sum(a * b for a, b in zip(w, y))
    t1 = sum(a * b * c for a, b, c in zip(w, x, y))
    det = s0 * s2 - s1 * s1
    return (s2 * t0 - s1 * t1) / det, det / (s0 * t1 - s1 * t0), "residual"


@pytest.mark.parametrize("fit", [
    by_least_squares, by_polyfit, in_float32, by_normal_equations])
def test_devices_accepts(capsys, fit):
    passes(capsys, check.devices, fit)


def line(weights):
    def fit(work, seconds):
        slope, intercept = np.polyfit(work, seconds, 1, w=weights(seconds))
        return intercept, 1 / slope

    return fit


def log_line(work, seconds):
    slope, intercept = np.polyfit(work.log(), seconds.log(), 1)
    return math.exp(intercept), 1 / slope


def through_the_origin(work, seconds):
    return 0.0, 1 / ((work * seconds).sum() / (work * work).sum())


def off_the_ends(work, seconds):
    return seconds[0], work[-1] / seconds[-1]


def columns(overhead, right):
    """Least squares with other columns than 1 / seconds, work / seconds, 1."""
    def fit(work, seconds):
        A = torch.stack([overhead(seconds), work / seconds], 1)
        b = right(seconds)[:, None]
        a, per_work = torch.linalg.lstsq(A, b).solution[:, 0]
        return a, 1 / per_work

    return fit


def relative_to_the_fit(work, seconds):
    a, rate = by_least_squares(work, seconds)
    for _ in range(30):
        w = 1 / (a + work / rate)
        A = torch.stack([w, w * work], 1)
        a, b = torch.linalg.lstsq(A, (w * seconds)[:, None]).solution[:, 0]
        rate = 1 / b
    return a, rate


DEVICES_WRONG = [
    (line(lambda s: None), "absolute errors"),
    (line(lambda s: s**-2), "The weights are off by a power"),
    (line(lambda s: s**-0.5), "The weights are off by a power"),
    (log_line, "A straight line in log-log"),
    (lambda w, s: (by_polyfit(w, s)[0], 1 / by_polyfit(w, s)[1]),
     "seconds per work"),
    (lambda w, s: by_polyfit(w, s)[::-1], "The two are swapped"),
    (through_the_origin, "The overhead was left out"),
    (lambda w, s: (0, (w / s).mean()), "The overhead was left out"),
    (off_the_ends, "read off the smallest run"),
    (columns(lambda s: 1 / s, lambda s: s), "The right side was not divided"),
    (columns(torch.ones_like, lambda s: s), "Only the work was divided"),
    (columns(torch.ones_like, torch.ones_like), "Only the work was divided"),
    (relative_to_the_fit, "Errors relative to the fitted time"),
    (lambda w, s: 5.0, "return overhead and rate"),
]


@pytest.mark.parametrize("fit, why", DEVICES_WRONG,
                         ids=[str(i) + why for i, (_, why)
                              in enumerate(DEVICES_WRONG)])
def test_devices_names(fit, why):
    assert why in refuses(check.devices, fit)

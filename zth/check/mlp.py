"""The checkers of lecture 3. A mistake's docstring is what the reader reads.

Contexts and targets are ids, '.' = 0, a = 1, ..., z = 26.
"""

import functools
import math
import random
from itertools import combinations

import torch

from zth import data
from zth.check import Wrong, show
from zth.check.bigrams import (
    LEAK,
    TEST_LEAK,
    close_to_uniform,
    depth,
    infinite,
    knows,
    leak,
    on_the_right,
    split_losses,
)
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import predict, tensor
from zth.ngram import KneserNey, NGram

__all__ = ["Wrong", "bengio", "initialisation", "tuning"]

V = 27

# L3-E02 -------------------------------------------------------------------

PARTS = "C, W1, b1, W2, b2"
EXCESS = 0.1  # nats above ln 27 that a start may have
SATURATED = 0.25  # share of tanh outputs beyond ±0.99


def in_bits(got, size):
    """This is in bits: use the natural logarithm, not log2."""
    yield math.log2(size)


def in_base_10(got, size):
    """This is a base-10 logarithm: use the natural one."""
    yield math.log10(size)


def probability_itself(got, size):
    """This is the probability: the loss is minus its logarithm."""
    yield 1 / size


def sign_turned(got, size):
    """The sign is turned: the loss is minus the logarithm of 1 / V."""
    yield -math.log(size)


def as_perplexity(got, size):
    """This is the perplexity, e to the loss: V equally likely symbols."""
    yield size


def letters_alone(got, size):
    """One symbol is missing: '.', the end of a name, is predicted too."""
    yield math.log(size - 1)


def always_27(got, size):
    """The argument vocab_size has no effect: this is ln 27."""
    yield math.log(27)


UNIFORM_MISTAKES = [in_bits, in_base_10, probability_itself, sign_turned,
                    as_perplexity, letters_alone, always_27]


def hidden(params, idx):
    """The tanh layer's outputs (N, n_hidden) after contexts idx (N, 3)."""
    C, W1, b1, _, _ = params
    return torch.tanh(C[idx].reshape(len(idx), -1) @ W1 + b1)


def start_loss(params, idx, targets):
    """Mean NLL of the targets (N,) in nats."""
    logits = hidden(params, idx) @ params[3] + params[4]
    return -logits.log_softmax(1).gather(1, targets[:, None]).mean()


def taken(check, value, n_embd, n_hidden, case):
    """The five parameters as float64 leaves; `Wrong` if they do not fit."""
    if isinstance(value, dict):
        value = list(value.values())
    params = [tensor(p).clone() for p in check.unpack(value, 5, PARTS, case)]
    shapes = [(V, n_embd), (3 * n_embd, n_hidden), (n_hidden,),
              (n_hidden, V), (V,)]
    for i, (name, size) in enumerate(zip(PARTS.split(", "), shapes)):
        if len(size) == 1 and params[i].shape == (1, *size):
            params[i] = params[i][0]
        if params[i].shape != size:
            check.fail(
                "W1 and W2 have a row for each input and a column for each "
                "output" if params[i].shape == size[::-1] else None,
                input=case, expected=f"{name} of shape {size}",
                got=f"shape {tuple(params[i].shape)}")
        if not params[i].isfinite().all():
            check.fail(None, input=case, expected="finite numbers",
                       got=f"NaN or infinity in {name}")
    return params


def why_high(params, h):
    """What lifts the loss: the bias, the weights, and by which size."""
    _, _, _, W2, b2 = params
    size = W2.square().mean().sqrt().item()
    of_weights = len(W2) * (h.square().mean() * size**2).item()
    of_bias = b2.square().mean().item()
    if of_bias > 0.15:
        return ("b2 still has the variance of a plain randn: it adds "
                "to the logits whatever the weights are" if of_weights < 0.2
                else "the logits have the variance n_hidden · E[h²] · Var(W2) "
                "+ Var(b2), and neither term is small")
    if abs(size * len(W2) ** 0.5 - 1) < 0.3:
        return ("W2 is divided by √n_hidden: that keeps the logits' variance "
                "near 1, good between hidden layers. Here it should be far "
                "below 1")
    if 0.7 < size < 1.4:
        return ("b2 alone does not help: W2 is as wide as before, and a "
                "logit adds n_hidden of its entries")
    return ("W2 is still too wide for this many hidden units: a logit's "
            "variance is n_hidden · E[h²] · Var(W2)")


def steps_on(params, idx, targets, steps=3):
    """The parameters after some steps of plain gradient descent."""
    params = [p.clone().requires_grad_() for p in params]
    for _ in range(steps):
        grads = torch.autograd.grad(start_loss(params, idx, targets), params)
        params = [(p - 0.1 * grad).detach().requires_grad_()
                  for p, grad in zip(params, grads)]
    return [p.detach() for p in params]


def start_of(check, answer, n_embd, n_hidden, seed, case):
    g = torch.Generator().manual_seed(seed)
    value = check.call(answer, n_embd, n_hidden, g, case=case)
    return taken(check, value, n_embd, n_hidden, case)


def can_learn(check, params, idx, targets, case):
    """`Wrong` if some parameter never moves, or all units stay alike."""
    after = steps_on(params, idx, targets)
    still = [name for name, old, new in zip(PARTS.split(", "), params, after)
             if torch.equal(old, new)]
    if still == ["C", "W1", "b1", "W2"]:
        check.fail("only b2 ever gets a gradient: the hidden layer gives "
                   "exactly 0 (so W2 gets none) and W2 is 0 too (so nothing "
                   "before it does). One of the two may be 0, not both",
                   input=case, expected="parameters that learn",
                   got=f"no step moves {', '.join(still)}")
    if still:
        check.fail("two factors of a product are both exactly 0, and each is "
                   "the other's gradient", input=case,
                   expected="parameters that learn",
                   got=f"no step moves {', '.join(still)}")
    W1 = after[1]
    if torch.allclose(W1, W1[:, :1].expand_as(W1), rtol=1e-9, atol=0):
        check.fail("all hidden units start alike, get the same gradient and "
                   "stay alike: draw W1 at random", input=case,
                   expected="hidden units that differ",
                   got="one hidden unit, many times")


def initialisation(uniform_loss, initialise):
    """Check uniform_loss(vocab_size) and initialise(n_embd, n_hidden,
    generator), exercise L3-E02.

    The first: the loss in nats where each of vocab_size symbols has the same
    probability. The second: C (27, n_embd), W1 (3 n_embd, n_hidden), b1, W2
    (n_hidden, 27) and b2 of lecture 3's net, whose loss at start is at most
    0.1 above ln 27, of whose tanh outputs at most a quarter are beyond ±0.99,
    and whose parameters all learn.
    """
    check = Check("initialisation")
    rng = random.Random(check.seed)
    for size in (27, 2, 65, rng.randint(100, 60_000)):
        case = f"vocab_size = {size}"
        got = check.call(uniform_loss, size, case=case)
        check.expect("the loss", got, math.log(size), UNIFORM_MISTAKES,
                     (size,), case=case, atol=1e-3, rtol=1e-3)
        check.cases += 1
    idx, targets = data.windows(rng.sample(data.load_names(), 300), 3)
    sizes = [(10, 200), (2, 100), (24, 500),
             (rng.randint(3, 30), rng.randint(50, 400))]
    # a fresh draw may be lucky, so the lecture's seed comes first
    seeds = [2147483647, *(rng.randint(1, 2**31) for _ in sizes)]
    for (n_embd, n_hidden), seed in zip(sizes, seeds):
        case = (f"n_embd = {n_embd}, n_hidden = {n_hidden}, a generator of "
                f"seed {seed}")
        inputs = n_embd, n_hidden, seed, case
        params = start_of(check, initialise, *inputs)
        h = hidden(params, idx)
        loss = start_loss(params, idx, targets).item()
        if loss > math.log(V) + EXCESS:
            check.fail(why_high(params, h), input=case,
                       expected=f"a loss of at most {math.log(V) + EXCESS:.3f}"
                       f", ln 27 + {EXCESS}", got=f"{loss:.3f}")
        if loss < math.log(V) - EXCESS:
            check.fail("a net that has not seen the data cannot be below "
                       "ln 27, unless it was told something about them",
                       input=case, expected=f"a loss near {math.log(V):.3f}",
                       got=f"{loss:.3f}")
        share = (h.abs() > 0.99).double().mean().item()
        if n_embd >= 10 and share > SATURATED:
            check.fail(
                "the sum of 3 · n_embd terms has 3 · n_embd times the "
                "variance of one: make W1 smaller in proportion to "
                "1 / √(3 · n_embd)", input=case,
                expected="at most a quarter of the tanh outputs beyond ±0.99",
                got=f"{share:.0%}")
        can_learn(check, params, idx, targets, case)
        again = start_of(check, initialise, *inputs)
        if not all(map(torch.equal, params, again)):
            check.fail("draw every random number from the generator: "
                       "torch.randn(size, generator=generator)", input=case,
                       expected="the same numbers from the same seed",
                       got="others at the second call")
        other = start_of(check, initialise, n_embd, n_hidden, seed + 1, case)
        if all(map(torch.equal, params, other)):
            check.fail("every seed gives the same start: draw from the "
                       "generator that is handed over", input=case,
                       expected="other numbers from another seed",
                       got="the same ones")
        check.cases += 1
    check.passed()


# L3-E01 -------------------------------------------------------------------

AHEAD = 0.08  # nats to be ahead of the best trigram of additive smoothing
ROUNDED = 0.0051  # a reported loss may be rounded to two decimals


@functools.cache
def to_beat(source):
    """The validation loss to reach: a good trigram's, less 0.08 nats."""
    train, val, _ = data.split(data.load_names())
    fitted = (NGram(3, smoothing=k).fit(*data.windows(train, 2))
              for k in (0.1, 0.15, 0.2, 0.3, 0.4))
    return min(model.nll(*data.windows(val, 2)) for model in fitted) - AHEAD


def losses_on(check, model, names, block_size):
    """-ln of the probability of each target of the names, float64 (N,)."""
    idx, targets = data.windows(names, block_size)
    return torch.cat([split_losses(predict(check, model, x), y) for x, y in
                      zip(idx.split(8192), targets.split(8192))])


def bits_reported(got, losses, idx, targets, p):
    """This is the validation loss in bits: report nats (log, not log2)."""
    yield losses.mean() / math.log(2)


def perplexity_reported(got, losses, idx, targets, p):
    """This is the perplexity, e to the loss: report the loss itself."""
    yield losses.mean().exp()


def turned_reported(got, losses, idx, targets, p):
    """The sign is turned: this is the mean log-likelihood."""
    yield -losses.mean()


def sum_reported(got, losses, idx, targets, p):
    """This is a sum, over all targets or over those of a name: report the
    mean over the targets."""
    yield losses.sum()
    yield losses.sum() / (targets == 0).sum()


def letters_reported(got, losses, idx, targets, p):
    """The ends of the names are missing: '.' is a target like any other."""
    yield losses[targets != 0].mean()


def names_reported(got, losses, idx, targets, p):
    """This is the mean over names of each name's mean, which counts a
    character of a short name for more: take the mean over all targets."""
    name = (targets == 0).cumsum(0) - (targets == 0).long()
    total = torch.zeros(name[-1] + 1, dtype=losses.dtype)
    number = total.index_add(0, name, torch.ones_like(losses))
    yield (total.index_add(0, name, losses) / number).mean()


def rows_reported(got, losses, idx, targets, p):
    """Each distinct context is counted once: weight its loss by how often it
    occurs, counts.sum(1)."""
    _, row = idx.unique(dim=0, return_inverse=True)
    total = torch.zeros(row.max() + 1, dtype=losses.dtype)
    number = total.index_add(0, row, torch.ones_like(losses))
    yield (total.index_add(0, row, losses) / number).mean()


def squeezed_reported(got, losses, idx, targets, p):
    """This is cross_entropy of probabilities: it takes logits, and does the
    softmax itself."""
    yield split_losses(p.softmax(1), targets).mean()


REPORT_MISTAKES = [bits_reported, perplexity_reported, turned_reported,
                   sum_reported, letters_reported, names_reported,
                   rows_reported, squeezed_reported]


def reported(check, models, splits, block_size, val_loss, inputs, case):
    """`Wrong` unless val_loss is the mean of the models' validation losses."""
    want, got = inputs[0].mean(), tensor(val_loss)
    if got.numel() == 1 and not abs(got.item() - want.item()) <= ROUNDED:
        for name, why in (
            ("train", "this is the loss on the training names, which the net "
             "has learned from: report the validation names"),
            ("test", "this is the loss on the test names: they take no part "
             "until all is chosen")):
            other = [losses_on(check, model, getattr(splits, name),
                               block_size).mean().item() for model in models]
            if abs(got.item() - sum(other) / len(other)) < 1e-3:
                check.fail(why, input=case, got=f"val_loss {show(got)}",
                           expected=f"val_loss {want:.4f}")
        near = ("higher than the model's own: is a penalty on the weights "
                "part of it, was dropout on, or is it a single batch's loss"
                if got.item() > want else
                "lower than the model's own: is it a single batch's loss, or "
                "a lucky value from along the way")

        def of_another_kind(got, *inputs):
            yield got

        of_another_kind.__doc__ = (
            f"{near}? Score the finished net on all validation targets")
        mistakes = [*REPORT_MISTAKES, of_another_kind]
        check.expect("val_loss", got, want, mistakes, inputs, case=case,
                     atol=1e-3, rtol=1e-5)
    check.expect("val_loss", got, want, [], (), case=case, atol=ROUNDED,
                 rtol=0)


def steady(check, model, idx, case):
    """`Wrong` if logits change from call to call, or with the company."""
    some = idx[:: len(idx) // 200]
    first, again = (predict(check, model, some) for _ in range(2))
    if (first - again).abs().max() > 1e-4:
        check.fail("the model is random: switch dropout off when it is not "
                   "training", input=case, expected="the same logits twice",
                   got="others at the second call")
    alone = torch.cat([predict(check, model, row[None]) for row in some[:20]])
    if (first[:20] - alone).abs().max() > 1e-3:
        check.fail("an example's logits depend on its company: batch norm "
                   "must use its running statistics here, and the axis of the "
                   "examples must not be mixed into the others", input=case,
                   expected="the same logits alone and among others",
                   got="other logits alone")


def trained_on_more(check, model, splits, block_size, lines):
    """`Wrong` if the net does better on some new names than on others.

    What new names cost the model beyond what they cost a count model of the
    training names is the same for those of val and of test, unless it was
    fitted on one of them; fitted on both, they cost hardly more than train.
    """
    train = set(splits.train)
    counted = KneserNey(4).fit(*data.windows(splits.train, 3))
    beyond = []
    for part in (splits.val, splits.test):
        new = [name for name in part if name not in train]
        own = losses_on(check, model, new, block_size).mean()
        beyond.append((own - counted.nll(*data.windows(new, 3))).item())
    for why, gap in ((LEAK, beyond[1] - beyond[0]),
                     (TEST_LEAK, beyond[0] - beyond[1])):
        if gap > 0.02:
            leak(check, why, lines)
    if sum(knows(check, model, splits, block_size)) / 2 < 0.02:
        leak(check, "validation and test names cost the model hardly more "
             "than training names: it has learned from them. Fit it on train "
             "alone", lines)


def why_short(check, model, splits, block_size, idx, p, loss):
    """What keeps a validation loss above the bar."""
    targets = data.windows(splits.val, block_size)[1]
    for turned, why in (
        (idx.flip(1), "your model reads the context backwards: idx[:, -1] is "
         "the character just before the target"),
        (on_the_right(idx), "your model expects short contexts padded on the "
         "right: they are padded with '.' on the left")):
        q = predict(check, model, turned)
        if split_losses(q, targets).mean().item() < loss - 0.05:
            return why
    if close_to_uniform(p):
        return ("your rows are almost uniform: were probabilities sent "
                "through a softmax, or is the net untrained?")
    used = depth(check, model, idx[::7])
    if used < min(3, block_size):
        return (f"only the last {used} characters change your predictions: "
                "is part of the context lost on its way (a wrong view or "
                "reshape)?")
    if block_size < 3:
        return "take at least three characters of context"
    names = random.Random(0).sample(splits.train, 2500)
    train = losses_on(check, model, names, block_size).mean().item()
    if train < loss - 0.15:
        return (f"the net over-fits: {train:.2f} on training names. Fewer "
                "steps, fewer units, weight decay or dropout")
    return (f"the net has not finished learning: {train:.2f} on training "
            "names too. Let the rate fall to zero at the last step, and look "
            "at batch size, peak rate and the first weights")


def tuning(model, block_size, val_loss):
    """Check a tuned net, exercise L3-E01.

    model(idx (N, block_size) int64) -> logits or probabilities (N, 27),
    fitted on train; val_loss is its mean NLL in nats on the validation split,
    as the reader reports it. The loss must be 0.08 nats below that of the
    best trigram with additive smoothing.
    """
    check = Check("tuning")
    if isinstance(block_size, bool) or block_size not in range(1, 101):
        raise Wrong(f"tuning: block_size = {block_size!r}: must be 1 to 100")
    block_size = int(block_size)
    splits = data.split(data.load_names())
    idx, targets = data.windows(splits.val, block_size)
    case = (f"the {len(targets)} targets of the validation split, "
            f"{block_size} characters of context")
    p = predict(check, model, idx)
    if val_loss is None:
        raise Wrong("tuning: not written yet (val_loss is None)")
    steady(check, model, idx, case)
    losses = split_losses(p, targets)
    infinite(check, losses, case)
    reported(check, [model], splits, block_size, val_loss,
             (losses, idx, targets, p), case)
    loss, bar = losses.mean().item(), to_beat(data.source())
    lines = dict(input=case, got=f"{loss:.4f}",
                 expected=f"a validation loss of at most {bar:.4f}")
    if loss > bar:
        check.fail(why_short(check, model, splits, block_size, idx, p, loss),
                   **lines)
    trained_on_more(check, model, splits, block_size, lines)
    check.passed(f"validation loss {loss:.3f}; wanted: {bar:.3f}")


# L3-E03 -------------------------------------------------------------------


def blend(p, q, w):
    """The mixture whose weight w is the second model's."""
    return (1 - w) * p + w * q


def geometric(p, q, w):
    """Log-probabilities (or logits) weighted, then a softmax."""
    logs = (1 - w) * p.clamp(min=1e-300).log() + w * q.clamp(
        min=1e-300).log()
    return logs.softmax(1)


def nll_of(rows, targets):
    return -rows.gather(1, targets[:, None]).log().mean().item()


def best_weight(p, q, targets):
    """The lowest point of the loss, by halving on the sign of its slope."""
    pairs = [(p[i, t].item(), q[i, t].item())
             for i, t in enumerate(targets.tolist())]

    def rises(w):  # the loss at w; where it is infinite, the slope is too
        m = [(1 - w) * a + w * b for a, b in pairs]
        if 0.0 in m:
            return w > 0.5
        return sum((a - b) / x for (a, b), x in zip(pairs, m)) > 0

    if rises(0.0):
        return 0.0
    if not rises(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(17):  # to 1e-5
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) else (middle, high)
    return (low + high) / 2


def best_geometric(p, q, targets):
    """The weight of `geometric` with the lowest loss, to 0.01."""
    return min((i / 100 for i in range(101)),
               key=lambda w: nll_of(geometric(p, q, w), targets))


def weight_of_the_net(got, held, val):
    """This is the net's weight: w multiplies the counts' probabilities, and
    the net gets 1 - w."""
    yield 1 - best_weight(*held)


def weight_from_val(got, held, val):
    """This weight has the lowest loss on val, the rows that judge the
    mixture: choose it on held alone."""
    yield best_weight(*val)


def weight_from_both(got, held, val):
    """This weight was chosen on held and val together: choose it on held
    alone."""
    yield best_weight(*map(torch.cat, zip(held, val)))


def weight_of_logs(got, held, val):
    """This is the best weight for log-probabilities (or logits): mix the
    probabilities, then take the logarithm."""
    yield best_geometric(*held)


def weight_at_an_end(got, held, val):
    """One model gets everything. What you minimise must be a straight line
    in w: a mean of the two losses, or of probabilities. Mix first, then take
    the logarithm of each target's probability, then the mean."""
    yield 0.0
    yield 1.0


def weight_one_half(got, held, val):
    """The weight is one half whatever the rows are: choose it on held."""
    yield 0.5


WEIGHT_MISTAKES = [weight_of_the_net, weight_from_val, weight_from_both,
                   weight_of_logs, weight_at_an_end, weight_one_half]


def rows_swapped(got, p, q, w, targets):
    """The weights are swapped: w multiplies the counts' probabilities."""
    yield blend(q, p, w)


def rows_of_logs(got, p, q, w, targets):
    """Log-probabilities (or logits) were mixed: mix the probabilities."""
    logs = (1 - w) * p.log() + w * q.log()
    yield geometric(p, q, w)
    yield logs.exp()
    yield logs


def rows_as_logs(got, p, q, w, targets):
    """These are logarithms of the mixture: return its probabilities."""
    yield blend(p, q, w).log()


def rows_of_one(got, p, q, w, targets):
    """These are one model's probabilities, not yet mixed."""
    yield p
    yield q


def rows_of_targets(got, p, q, w, targets):
    """These are the targets' probabilities alone: return the whole rows, and
    look the targets up for the loss."""
    rows = blend(p, q, w).gather(1, targets[:, None])
    yield rows[:, 0]
    yield rows


ROW_MISTAKES = [rows_swapped, rows_of_logs, rows_as_logs, rows_of_one,
                rows_of_targets]


def loss_of_losses(got, p, q, w, targets, held):
    """This is the mean of the two losses, weighted: that is the loss of
    mixed log-probabilities. Mix the probabilities first."""
    yield (1 - w) * nll_of(p, targets) + w * nll_of(q, targets)


def loss_of_mean(got, p, q, w, targets, held):
    """This is the logarithm of a mean probability: the mean comes after the
    logarithm."""
    yield -blend(p, q, w).gather(1, targets[:, None]).mean().log()


def loss_elsewhere(got, p, q, w, targets, held):
    """This is the loss on held: return the one on val."""
    yield nll_of(blend(held[0], held[1], w), held[2])


def loss_in_bits(got, p, q, w, targets, held):
    """This is in bits: use the natural logarithm, not log2."""
    yield nll_of(blend(p, q, w), targets) / math.log(2)


def loss_as_perplexity(got, p, q, w, targets, held):
    """This is the perplexity, e to the loss: return the loss."""
    yield math.exp(nll_of(blend(p, q, w), targets))


def loss_summed(got, p, q, w, targets, held):
    """This is a sum over the examples: return their mean."""
    yield nll_of(blend(p, q, w), targets) * len(targets)


def loss_turned(got, p, q, w, targets, held):
    """The sign is turned: the loss is minus the mean logarithm."""
    yield -nll_of(blend(p, q, w), targets)


def loss_of_all(got, p, q, w, targets, held):
    """This is the mean over all entries of the rows: look up the targets."""
    yield -blend(p, q, w).log().mean()


LOSS_MISTAKES = [loss_of_losses, loss_of_mean, loss_elsewhere, loss_in_bits,
                 loss_as_perplexity, loss_summed, loss_turned, loss_of_all]


def two_models(n, size, off_net, off_count, g):
    """Rows of two models, and targets drawn from what both are unsure of.

    off: how far a model's logits are from the truth, as a deviation.
    """
    def noise():
        return torch.randn(n, size, generator=g, dtype=torch.float64)

    truth = 1.5 * noise()
    targets = truth.softmax(1).multinomial(1, generator=g)[:, 0]
    return ((truth + off_net * noise()).softmax(1),
            (truth + off_count * noise()).softmax(1), targets)


def rows_that_tell(size, net_first, g):
    """held and val whose best weights, and the usual wrong ones, differ."""
    off = (0.8, 1.3) if net_first else (1.3, 0.8)
    while True:
        held = two_models(400, size, *off, g)
        val = two_models(150, size, *off[::-1], g)
        w = best_weight(*held)
        weights = [w, 1 - w, 0.5, 0, 1, best_weight(*val),
                   best_weight(*map(torch.cat, zip(held, val)))]
        if apart(weights) and apart([*weights, best_geometric(*held)]):
            return held, val


def apart(weights):
    return all(abs(a - b) > 0.03 for a, b in combinations(weights, 2))


def one_sided(good, size, g):
    """held and val where one model gives each target more than the other."""
    def rows(n):
        targets = torch.randint(size, (n,), generator=g)
        hit = torch.nn.functional.one_hot(targets, size).double()
        p, q = 0.5 * hit + 0.5 / size, 0.1 * hit + 0.9 / size
        return (p, q, targets) if good == "net" else (q, p, targets)

    return rows(60), rows(25)


def with_zeros(size, g):
    """Count rows that give some targets the probability 0."""
    found = []
    for part in rows_that_tell(size, False, g):
        p, q, targets = part
        q = q.clone()
        first = torch.arange(len(targets)) < len(targets) // 10
        q[first, targets[first]] = 0
        found.append((p, q / q.sum(1, keepdim=True), targets))
    return found


def bengio(interpolate):
    """Check interpolate(held, val), exercise L3-E03.

    held and val are each p_net (N, V) and p_count (N, V), the probabilities
    of two models, and targets (N,). It returns w, the weight of the counts
    with the lowest loss on held, to 0.01; the mixture's probabilities on val,
    (M, V); and their mean NLL on the targets of val, in nats.
    """
    check = Check("bengio")
    g = torch.Generator().manual_seed(check.seed)
    cases = [
        ("two models, the net the better one", *rows_that_tell(27, True, g)),
        ("two models, the counts the better one",
         *rows_that_tell(27, False, g)),
        ("rows of 5 symbols", *rows_that_tell(5, True, g)),
        ("a net that is better at each target", *one_sided("net", 27, g)),
        ("counts that are better at each target",
         *one_sided("counts", 27, g)),
        ("counts that give some targets probability 0", *with_zeros(27, g)),
    ]
    for case, held, val in cases:
        copies = [tuple(x.clone() for x in part) for part in (held, val)]
        value = check.call(interpolate, *copies, case=case)
        w, rows, loss = check.unpack(value, 3, "w, probs, loss", case)
        w = mixing_weight(check, w, held, val, case)
        p, q, targets = val
        check.expect("probs", rows, blend(p, q, w), ROW_MISTAKES,
                     (p, q, w, targets), case=case)
        check.expect("the loss", loss, nll_of(blend(p, q, w), targets),
                     LOSS_MISTAKES, (p, q, w, targets, held), case=case)
        check.cases += 1
    check.passed()


def mixing_weight(check, w, held, val, case):
    """The weight as a float; `Wrong` if it is not the best one on held."""
    w = tensor(w)
    if w.numel() != 1:
        check.fail("one weight for all rows", input=case,
                   expected="w, one number", got=show(w))
    w = w.item()
    if not -1e-6 <= w <= 1 + 1e-6:
        check.fail("a mixture's weights are not negative and add up to 1: "
                   "w lies from 0 to 1", input=case,
                   expected="w from 0 to 1", got=f"{w:.6g}")
    best = best_weight(*held)
    if abs(w - best) > 0.0101:
        check.expect("w =", w, best, WEIGHT_MISTAKES, (held, val), case=case,
                     atol=0.0101, rtol=0)
    return w

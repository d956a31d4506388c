"""The checkers of lecture 3. A mistake's docstring is what the reader reads.

Contexts and targets are ids, '.' = 0, a = 1, ..., z = 26.
"""

import functools
import math
import random

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

__all__ = ["Wrong", "initialisation", "tuning"]

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
    check, rng = Check("initialisation"), random.Random()
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


def reported(check, model, splits, block_size, val_loss, inputs, case):
    """`Wrong` unless val_loss is the mean of the validation losses."""
    want, got = inputs[0].mean(), tensor(val_loss)
    if got.numel() == 1 and not abs(got.item() - want.item()) <= ROUNDED:
        for name, why in (
            ("train", "this is the loss on the training names, which the net "
             "has learned from: report the validation names"),
            ("test", "this is the loss on the test names: they take no part "
             "until all is chosen")):
            other = losses_on(check, model, getattr(splits, name), block_size)
            if abs(got.item() - other.mean().item()) < 1e-3:
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
    reported(check, model, splits, block_size, val_loss,
             (losses, idx, targets, p), case)
    loss, bar = losses.mean().item(), to_beat(data.source())
    lines = dict(input=case, got=f"{loss:.4f}",
                 expected=f"a validation loss of at most {bar:.4f}")
    if loss > bar:
        check.fail(why_short(check, model, splits, block_size, idx, p, loss),
                   **lines)
    trained_on_more(check, model, splits, block_size, lines)
    check.passed(f"validation loss {loss:.3f}; wanted: {bar:.3f}")

"""The checkers of lecture 4. A mistake's docstring is what the reader reads.

Layers are written as in the lecture: x (B, fan_in) @ weight (fan_in, fan_out).
"""

import functools
import itertools
import math
import random

import torch
import torch.nn.functional as F

from zth import data
from zth.check import Wrong, message, show
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["Wrong", "folding", "norms", "zeros"]

# L4-E01 -------------------------------------------------------------------

NAMES = ("C", "W1", "b1", "W2", "b2")
STARTS = [frozenset(zero) for size in (5, 0, 1, 2, 3, 4)
          for zero in itertools.combinations(NAMES, size)]


@functools.cache
def trained(activation=torch.tanh, steps=8):
    """{names at zero: names that ever get a gradient}, by running each."""
    g = torch.Generator().manual_seed(1)
    idx = torch.randint(9, (20, 2), generator=g)
    targets = torch.randint(5, (20,), generator=g)
    found = {}
    for zero in STARTS:
        params = [torch.randn(shape, generator=g, dtype=torch.float64)
                  * (name not in zero) for name, shape in
                  zip(NAMES, [(9, 3), (6, 4), (4,), (4, 5), (5,)])]
        ever = set()
        for _ in range(steps):
            C, W1, b1, W2, b2 = (p.requires_grad_() for p in params)
            h = activation(C[idx].flatten(1) @ W1 + b1)
            loss = F.cross_entropy(h @ W2 + b2, targets)
            grads = torch.autograd.grad(loss, [C, W1, b1, W2, b2])
            ever |= {name for name, grad in zip(NAMES, grads) if grad.any()}
            params = [p.detach() - 0.3 * grad
                      for p, grad in zip(params, grads)]
        found[zero] = frozenset(ever)
    return found


def first_step_only(got):
    """This is who has a gradient at the first step. After it other tensors are
    not zero any more, and pass gradients on: go on until nothing changes."""
    return trained(steps=1)


def zero_for_ever(got):
    """You take a tensor that starts at zero as stuck there: it is, only if its
    gradient is zero, and that depends on the other tensors."""
    return {zero: set(NAMES) - zero for zero in STARTS}


def not_zero_at_last(got):
    """These are the tensors that are not zero in the end. Some of them are as
    random as they were: they never got a gradient."""
    return {zero: (set(NAMES) - zero) | trained()[zero] for zero in STARTS}


def what_stays(got):
    """These are the tensors that never get a gradient: the others are asked
    for."""
    return {zero: set(NAMES) - trained()[zero] for zero in STARTS}


def all_but_one_start(got):
    """You let everything train unless all five start at zero. Other starts
    hold both factors of a gradient at zero, too: C, b1 and W2, for one."""
    return {zero: {"b2"} if len(zero) == 5 else set(NAMES) for zero in STARTS}


def everything(got):
    """You let everything train, whatever starts at zero: look at the start
    with all five at zero, where H = 0 and W2 = 0."""
    return dict.fromkeys(STARTS, set(NAMES))


def one_answer(got):
    """Your answer does not depend on `zero`."""
    return dict.fromkeys(STARTS, got[STARTS[0]])


def of_a_sigmoid(got):
    """These are the answers for a sigmoid, which is 1/2 at zero: tanh 0 = 0."""
    return trained(torch.sigmoid)


def of_a_relu(got):
    """These are the answers for a ReLU, whose derivative at zero is zero; that
    of tanh is 1."""
    return trained(torch.relu)


TRAINS_MISTAKES = [
    first_step_only, zero_for_ever, not_zero_at_last, what_stays,
    everything, all_but_one_start, of_a_sigmoid, of_a_relu, one_answer]
STUCK = {
    "W2": "the gradient of W2 is H^T G, and H stays zero after every context: "
    "b1 stays zero, and so does E W1",
    "b1": "the gradient of b1 is a sum of D, D has the factor W2, and W2 "
    "stays zero",
    "W1": "the gradient of W1 is E^T D: it needs E, that is C, and D, that is "
    "W2, both at some step other than zero",
    "C": "the gradient of C is made of D W1^T: it needs W1 and D, that is W2, "
    "both at some step other than zero",
}
MOVES = {
    "b2": "b2 always trains: its gradient is the sum of G, which has no "
    "other factor",
    "W2": "W2 trains: H is not zero once b1 is not, or C and W1 are not",
    "b1": "b1 trains: its gradient needs W2 alone",
    "W1": "W1 trains: at some step neither C nor W2 is zero",
    "C": "C trains: at some step neither W1 nor W2 is zero",
}


def names_in(check, value, case):
    """The names that an answer holds, as a set of the five."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if isinstance(value, dict):
        value = [name for name, trains in value.items() if trains]
    known = {name.lower(): name for name in NAMES}
    try:
        given = list(value)
        return {known[name.lower()] for name in given}
    except (AttributeError, KeyError, TypeError):
        check.fail("return a set of names", input=case,
                   expected="names out of C, W1, b1, W2, b2", got=show(value))


def check_trains(check, answer):
    got = {}
    for zero in STARTS:
        case = f"zero = {{{', '.join(sorted(zero))}}}"
        value = check.call(answer, set(zero), case=case)
        got[zero] = names_in(check, value, case)
    wrong = [zero for zero in STARTS if got[zero] != trained()[zero]]
    check.cases += len(STARTS)
    if not wrong:
        return
    zero, want = wrong[0], trained()[wrong[0]]
    why = next((message(mistake) for mistake in TRAINS_MISTAKES
                if mistake(got) == got), None)
    extra = [STUCK[name] for name in reversed(NAMES) if name in
             got[zero] - want]
    missing = [MOVES[name] for name in reversed(NAMES) if name in
               want - got[zero]]
    check.fail(
        why or (extra + missing)[0],
        input=f"the start with {', '.join(sorted(zero)) or 'nothing'} at "
        f"zero; {len(wrong)} of {len(STARTS)} starts are wrong",
        expected=" ".join(n for n in NAMES if n in want),
        got=" ".join(n for n in NAMES if n in got[zero]) or "nothing")


def entropy(targets, size=27):
    """Minus the sum of q ln q, by the definition."""
    shares = [targets.count(v) / len(targets) for v in range(size)]
    return -math.fsum(q * math.log(q) for q in shares if q)


def ends_left_out(got, targets):
    """The ends of the names were left out: '.', id 0, is a target too."""
    yield entropy([t for t in targets if t] or [0])


def ends_as_one(got, targets):
    """The share of each letter is among the letters, without the ends: '.', id
    0, is a target too."""
    letters = len([t for t in targets if t]) or 1
    shares = [targets.count(v) / letters for v in range(1, 27)]
    yield -math.fsum(q * math.log(q) for q in shares if q)


def in_bits(got, targets):
    """This is in bits, or in base 10: use the natural logarithm."""
    yield from (entropy(targets) / math.log(2), entropy(targets)
                / math.log(10))


def uniform(got, targets):
    """This is the loss before the first step, when all characters are equally
    likely: the last bias does train."""
    yield from (math.log(27), math.log(len(set(targets))))


def summed(got, targets):
    """This is the sum over the targets: the loss is their mean."""
    yield entropy(targets) * len(targets)


def turned(got, targets):
    """The sign is turned: the loss is minus the mean logarithm."""
    yield -entropy(targets)


def zero_log_zero(got, targets):
    """A character that never occurs gave 0 times minus infinity: it adds
    nothing to the loss."""
    yield from (math.nan, math.inf, -math.inf)


def perplexity(got, targets):
    """This is the perplexity, e to the loss."""
    yield math.exp(entropy(targets))


def most_frequent(got, targets):
    """This is the loss on the most frequent character alone: take the mean
    over all targets."""
    yield -math.log(max(map(targets.count, set(targets))) / len(targets))


def one_each(got, targets):
    """Every character counts once in this mean: weight each with its share, or
    take the mean over the targets."""
    seen = [targets.count(v) / len(targets) for v in set(targets)]
    logs = math.fsum(map(math.log, seen))
    yield from (-logs / len(seen), -logs / 27, -logs)


def smoothed(got, targets):
    """One was added to each count: the net has no smoothing."""
    p = [(targets.count(v) + 1) / (len(targets) + 27) for v in range(27)]
    yield -math.fsum(math.log(p[t]) for t in targets) / len(targets)
    yield -math.fsum(x * math.log(x) for x in p)


SETTLES_MISTAKES = [
    zero_log_zero, uniform, ends_left_out, ends_as_one, in_bits, summed,
    turned, perplexity, most_frequent, one_each, smoothed]


def zeros(trains, settles_at):
    """Check what trains, and where the loss stops, exercise L4-E01.

    trains(zero) -> names, for all 32 sets of names out of C, W1, b1, W2, b2;
    settles_at(targets (N,) int64) -> the loss in nats of the all-zero net.
    """
    check = Check("zeros")
    rng = random.Random(check.seed)
    check_trains(check, trains)
    names = rng.sample(data.load_names(), 500)
    cases = [("targets of 500 names", data.windows(names, 1)[1].tolist()),
             ("'a' nine times, then '.' (0.3251 is right)", [1] * 9 + [0])]
    cases += [(f"{20 * k} random targets",
               rng.choices(range(27), [rng.random() for _ in range(27)],
                           k=20 * k)) for k in (1, 4, 16)]
    for case, targets in cases:
        got = check.call(settles_at, torch.tensor(targets), case=case)
        check.expect("loss", got, entropy(targets), SETTLES_MISTAKES,
                     (targets,), case=case, atol=1e-3)
        check.cases += 1
    check.passed()


# L4-E02 -------------------------------------------------------------------


def folded(weight, bias, gamma, beta, mean, var, eps):
    """The definition, one output unit after the other, in Python floats."""
    columns, biases = [], []
    for j in range(len(gamma)):
        s = gamma[j].item() / math.sqrt(var[j].item() + eps)
        columns.append([w * s for w in weight[:, j].tolist()])
        b = 0.0 if bias is None else bias[j].item()
        biases.append((b - mean[j].item()) * s + beta[j].item())
    return tensor(columns).T, tensor(biases)


def pair(weight, bias):
    """Weight and bias as one tensor (fan_in + 1, fan_out)."""
    return torch.cat([weight, bias.expand(1, weight.shape[1])])


def fold_with(weight, bias, gamma, beta, mean, var, eps, *, scale=None,
              bias_of=None):
    """Folding with another scale, or another bias from (b, m, s, beta)."""
    s = gamma / (var + eps).sqrt() if scale is None else scale
    b = torch.zeros_like(beta) if bias is None else bias
    new = (b - mean) * s + beta if bias_of is None else bias_of(b, mean, s,
                                                                beta)
    return pair(weight * s, new)


def no_eps(got, weight, bias, gamma, beta, mean, var, eps):
    """The epsilon is missing: the layer divides by sqrt(var + eps)."""
    yield fold_with(weight, bias, gamma, beta, mean, var, 0.0)


def eps_outside(got, weight, bias, gamma, beta, mean, var, eps):
    """The epsilon is outside the root: the layer divides by sqrt(var + eps),
    not by sqrt(var) + eps."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    scale=gamma / (var.sqrt() + eps))


def eps_fixed(got, weight, bias, gamma, beta, mean, var, eps):
    """The argument `eps` has no effect: you always use 1e-5."""
    yield fold_with(weight, bias, gamma, beta, mean, var, 1e-5)


def by_variance(got, weight, bias, gamma, beta, mean, var, eps):
    """You divided by the variance: take its square root."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    scale=gamma / (var + eps))


def std_squared(got, weight, bias, gamma, beta, mean, var, eps):
    """You took `var` for a standard deviation: it is a variance."""
    yield fold_with(weight, bias, gamma, beta, mean, var**2, eps)


def multiplied(got, weight, bias, gamma, beta, mean, var, eps):
    """You multiplied by the standard deviation: divide by it."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    scale=gamma * (var + eps).sqrt())


def no_gamma(got, weight, bias, gamma, beta, mean, var, eps):
    """gamma is missing: the scale is gamma / sqrt(var + eps)."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    scale=1 / (var + eps).sqrt())


def bias_forgotten(got, weight, bias, gamma, beta, mean, var, eps):
    """The linear layer's own bias is missing: the layer sees x W + b, so the
    new bias is (b - mean) s + beta."""
    yield fold_with(weight, None, gamma, beta, mean, var, eps)


def bias_not_scaled(got, weight, bias, gamma, beta, mean, var, eps):
    """The linear layer's bias was not scaled: it goes through the
    normalisation as well, (b - mean) s + beta."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    bias_of=lambda b, m, s, beta: b - m * s + beta)


def mean_forgotten(got, weight, bias, gamma, beta, mean, var, eps):
    """The running mean is missing from the bias: (b - mean) s + beta."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    bias_of=lambda b, m, s, beta: b * s + beta)


def mean_not_scaled(got, weight, bias, gamma, beta, mean, var, eps):
    """The mean was subtracted after scaling: (b - mean) s + beta, the
    difference is scaled."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    bias_of=lambda b, m, s, beta: b * s - m + beta)


def mean_added(got, weight, bias, gamma, beta, mean, var, eps):
    """The mean was added: it is subtracted."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    bias_of=lambda b, m, s, beta: (b + m) * s + beta)


def no_beta(got, weight, bias, gamma, beta, mean, var, eps):
    """beta is missing from the bias: (b - mean) s + beta."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    bias_of=lambda b, m, s, beta: (b - m) * s)


def beta_scaled(got, weight, bias, gamma, beta, mean, var, eps):
    """beta was scaled: it is added after the scaling."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    bias_of=lambda b, m, s, beta: (b - m + beta) * s)


def bias_as_it_was(got, weight, bias, gamma, beta, mean, var, eps):
    """The weight is folded, the bias is the old one: the new one is (b - mean)
    s + beta."""
    yield fold_with(weight, bias, gamma, beta, mean, var, eps,
                    bias_of=lambda b, m, s, beta: b)


def as_it_was(got, weight, bias, gamma, beta, mean, var, eps):
    """These are the linear layer's own weight and bias."""
    yield pair(weight, torch.zeros_like(beta) if bias is None else bias)


def weight_as_it_was(got, weight, bias, gamma, beta, mean, var, eps):
    """The bias is folded, the weight is the old one: its columns are scaled by
    gamma / sqrt(var + eps)."""
    right = fold_with(weight, bias, gamma, beta, mean, var, eps)
    yield torch.cat([weight, right[-1:]])


def rows_scaled(got, weight, bias, gamma, beta, mean, var, eps):
    """You scaled the rows of the weight: here it is (fan_in, fan_out), and an
    output unit is a column. (In torch's own Linear it is a row.)"""
    if weight.shape[0] == weight.shape[1]:
        right = fold_with(weight, bias, gamma, beta, mean, var, eps)
        s = gamma / (var + eps).sqrt()
        yield torch.cat([weight * s[:, None], right[-1:]])


FOLD_MISTAKES = [
    no_eps, eps_fixed, eps_outside, bias_forgotten, bias_not_scaled,
    mean_forgotten, mean_not_scaled, mean_added, by_variance, std_squared,
    multiplied, no_gamma, no_beta, beta_scaled, bias_as_it_was,
    weight_as_it_was, as_it_was, rows_scaled]


def read_fold(check, value, weight, case):
    """The new weight and bias of an answer as one tensor."""
    if hasattr(value, "weight") and hasattr(value, "bias"):
        value = value.weight, value.bias
    if isinstance(value, torch.Tensor):
        check.fail("return the new weight and bias", input=case,
                   got=show(value))
    new, bias = check.unpack(value, 2, "the new weight and bias", case)
    if bias is None:
        check.fail("the new layer needs a bias, (b - mean) s + beta, even "
                   "where the linear layer had none", input=case, got="None")
    new, bias = tensor(new), tensor(bias)
    if new.shape != weight.shape:
        turned = new.shape == weight.T.shape
        check.fail("the weight is transposed: keep it (fan_in, fan_out)"
                   if turned else "scaling keeps the weight's shape",
                   input=case, expected=f"weight {tuple(weight.shape)}",
                   got=f"weight {tuple(new.shape)}")
    if bias.numel() != weight.shape[1]:
        check.fail("one bias an output unit", input=case,
                   expected=f"bias ({weight.shape[1]},)",
                   got=f"bias {tuple(bias.shape)}")
    return pair(new, bias.flatten())


def folding(fold):
    """Check fold(weight, bias, gamma, beta, mean, var, eps), exercise L4-E02.

    weight (fan_in, fan_out), the others (fan_out,), bias perhaps None, eps a
    number; -> the weight and bias of the one linear layer that does the same
    as linear layer and batch norm in evaluation mode.
    """
    check = Check("folding")
    g = torch.Generator().manual_seed(check.seed)
    for fan_in, fan_out, eps, biased in (
            (30, 20, 1e-5, True), (4, 4, 1e-3, True), (3, 5, 0.1, True),
            (6, 2, 1e-5, False), (1, 1, 1e-3, True), (100, 27, 1e-5, False)):
        weight = torch.randn(fan_in, fan_out, generator=g).double()
        bias, gamma, beta, mean, spread = torch.randn(
            5, fan_out, generator=g).double()
        var = 1e-4 + spread**2
        var[0] = 1e-5 if eps < 1e-4 else var[0]  # a channel almost constant
        given = (weight, bias if biased else None, gamma, beta, mean, var)
        case = (f"weight ({fan_in}, {fan_out}), bias "
                f"{'given' if biased else 'None'}, eps = {eps}")
        copies = [None if t is None else t.clone() for t in given]
        value = check.call(
            fold, *copies, eps, case=case, of_none=None if biased else
            "a linear layer without a bias, bias=None, counts as bias 0")
        got = read_fold(check, value, weight, case)
        for name, before, after in zip(
                ("weight", "bias", "gamma", "beta", "mean", "var"), given,
                copies):
            if before is not None and not torch.equal(before, after):
                check.fail(f"your function changed its argument {name} in "
                           "place: folding twice, or comparing with the net "
                           "before, would go wrong", input=case)
        check.expect("row of [weight; bias]" if fan_out == 1 else
                     "[weight; bias]", got, pair(*folded(*given, eps)),
                     FOLD_MISTAKES, (*given, eps), case=case, atol=1e-6,
                     rtol=1e-6)
        check.cases += 1
    check.passed()


# L4-E03 -------------------------------------------------------------------


def by_hand(x, gamma, beta, eps, centred):
    """Layer norm, or RMS norm where not centred, one example at a time."""
    rows = []
    for row in x.reshape(-1, x.shape[-1]).tolist():
        mean = math.fsum(row) / len(row) if centred else 0.0
        square = math.fsum((v - mean) ** 2 for v in row) / len(row)
        rows.append([g * (v - mean) / math.sqrt(square + eps) + b for v, g, b
                     in zip(row, gamma.tolist(), beta.tolist())])
    return tensor(rows).view(x.shape)


def normalised(x, axes, eps, centred=True, correction=0):
    """x, its mean over the axes taken off or not, over its root mean square."""
    if centred:
        x = x - x.mean(axes, keepdim=True)
    n = math.prod(x.shape[axis] for axis in axes)
    square = (x * x).sum(axes, keepdim=True) / max(n - correction, 1)
    return x / (square + eps).sqrt()


def over_the_batch(got, x, gamma, beta, eps, centred):
    """This is normalised over the batch, channel by channel, which is batch
    norm: take the last axis, the channels of one example."""
    for axes in ((0,), tuple(range(x.ndim - 1))):
        yield gamma * normalised(x, axes, eps, centred) + beta


def over_everything(got, x, gamma, beta, eps, centred):
    """One mean for the whole batch: take the last axis alone, and keep it:
    keepdim=True."""
    yield gamma * normalised(x, tuple(range(x.ndim)), eps, centred) + beta


def over_positions(got, x, gamma, beta, eps, centred):
    """This is normalised over positions and channels together: take the last
    axis alone."""
    if x.ndim == 3:
        for axes in ((1, 2), (1,)):
            yield gamma * normalised(x, axes, eps, centred) + beta


def unbiased(got, x, gamma, beta, eps, centred):
    """You divided by C - 1: the definition takes the mean over the C channels
    (torch's var and std have correction=1 unless told otherwise)."""
    if x.shape[-1] > 1:
        yield gamma * normalised(x, (-1,), eps, centred, 1) + beta


def sum_of_squares(got, x, gamma, beta, eps, centred):
    """You divided by the length of the vector: the root of the *mean* square,
    so that each channel has a size near 1."""
    y = x - x.mean(-1, keepdim=True) if centred else x
    square = (y * y).sum(-1, keepdim=True)
    yield from (gamma * y / (square + eps).sqrt() + beta,
                gamma * y / (square.sqrt() + eps) + beta)


def divided_by_variance(got, x, gamma, beta, eps, centred):
    """The square root is missing."""
    y = x - x.mean(-1, keepdim=True) if centred else x
    yield gamma * y / ((y * y).mean(-1, keepdim=True) + eps) + beta


def without_eps(got, x, gamma, beta, eps, centred):
    """The epsilon is missing, or outside the root: sqrt(mean square + eps)."""
    y = x - x.mean(-1, keepdim=True) if centred else x
    root = (y * y).mean(-1, keepdim=True).sqrt()
    yield from (gamma * y / root + beta, gamma * y / (root + eps) + beta)


def eps_of_its_own(got, x, gamma, beta, eps, centred):
    """The argument `eps` has no effect: you use one of your own."""
    for other in (1e-5, 1e-6, 1e-8, 1e-12):
        yield gamma * normalised(x, (-1,), other, centred) + beta


def not_centred(got, x, gamma, beta, eps, centred):
    """The mean is still in it: layer norm takes it off, RMS norm does not."""
    if centred:
        yield gamma * normalised(x, (-1,), eps, False) + beta
        y = normalised(x - x.mean(-1, keepdim=True), (-1,), eps, False)
        std = ((x - x.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True)
        yield gamma * x / (std + eps).sqrt() + beta
        yield gamma * y


def centred_too(got, x, gamma, beta, eps, centred):
    """This is layer norm: RMS norm does not take off the mean."""
    if not centred:
        yield gamma * normalised(x, (-1,), eps, True)
        y = x - x.mean(-1, keepdim=True)
        yield gamma * y / ((x * x).mean(-1, keepdim=True) + eps).sqrt()
        std = (y * y).mean(-1, keepdim=True)
        yield gamma * x / (std + eps).sqrt()


def no_beta_here(got, x, gamma, beta, eps, centred):
    """beta is missing: it is added at the end, to each channel."""
    yield gamma * normalised(x, (-1,), eps, centred)


def no_gamma_here(got, x, gamma, beta, eps, centred):
    """gamma is missing: each channel is multiplied by its own."""
    yield normalised(x, (-1,), eps, centred) + beta


def gamma_last(got, x, gamma, beta, eps, centred):
    """gamma and beta are swapped, or beta was multiplied by gamma: gamma
    multiplies first, beta is added last."""
    y = normalised(x, (-1,), eps, centred)
    yield from (gamma * (y + beta), beta * y + gamma)


NORM_MISTAKES = [
    over_the_batch, over_positions, over_everything, unbiased, without_eps,
    eps_of_its_own, centred_too, no_beta_here, not_centred, sum_of_squares,
    divided_by_variance, no_gamma_here, gamma_last]


def norms(layer_norm, rms_norm):
    """Check layer norm and RMS norm, exercise L4-E03.

    layer_norm(x (..., C), gamma (C,), beta (C,), eps) and rms_norm(x, gamma,
    eps) -> (..., C): each example, and each position, on its own.
    """
    check = Check("norms")
    g = torch.Generator().manual_seed(check.seed)
    cases = [("the rows [.01, .02, .03] and [2, 0, -2], eps = 0.001",
              torch.tensor([[0.01, 0.02, 0.03], [2.0, 0.0, -2.0]]), 1e-3),
             ("a row of equal numbers", torch.full((2, 4), 3.0), 1e-2)]
    cases += [(f"random numbers {shape}, eps = {eps}",
               2 + torch.randn(shape, generator=g), eps)
              for shape, eps in (((5, 7), 0.1), ((1, 8), 1e-2),
                                 ((3, 4, 6), 1e-2), ((4, 4), 1e-3))]
    for name, function, centred in (("layer_norm", layer_norm, True),
                                    ("rms_norm", rms_norm, False)):
        for case, x, eps in cases:
            x = x.double()
            gamma, beta = torch.randn(2, x.shape[-1], generator=g).double()
            given = (gamma, beta) if centred else (gamma,)
            beta = beta if centred else torch.zeros_like(beta)
            case = f"{name}, {case}"
            got = check.call(function, x.clone(), *given, eps, case=case)
            check.expect(name, got, by_hand(x, gamma, beta, eps, centred),
                         NORM_MISTAKES, (x, gamma, beta, eps, centred),
                         case=case)
            check.cases += 1
    check.passed()

"""The checkers of lecture 6. A mistake's docstring is what the reader reads.

Contexts and targets are ids, '.' = 0, a = 1, ..., z = 26.
"""

import copy
import math

import torch
import torch.nn.functional as F

from zth import data
from zth.check import Wrong, message, show
from zth.check.bigrams import infinite, split_losses
from zth.check.mlp import reported, steady, to_beat, trained_on_more, why_short
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import predict, tensor
from zth.layers import BatchNorm1d, Linear
from zth.wavenet import tree

__all__ = ["Wrong", "axes", "convolution", "challenge"]

# L6-S4 --------------------------------------------------------------------

EPS, MOMENTUM = 1e-5, 0.1
CONVENTIONS = {"lecture": (1, 1), "torch": (0, 1)}  # divided by, stored


def by_channel(x, correction):
    """Mean and variance of each channel of x (..., C), in plain loops."""
    columns = zip(*x.reshape(-1, x.shape[-1]).tolist())
    means, variances = [], []
    for column in columns:
        mean = math.fsum(column) / len(column)
        total = math.fsum((v - mean) ** 2 for v in column)
        means.append(mean)
        variances.append(total / (len(column) - correction))
    return tensor(means), tensor(variances)


def scaled(x, mean, var, gamma, beta, eps=EPS):
    return gamma * (x - mean) / (var + eps).sqrt() + beta


def over(x, which, gamma, beta):
    """x normalised over these axes, with the one variance and the other."""
    for correction in (0, 1):
        if math.prod(x.shape[axis] for axis in which) > correction:
            yield scaled(x, x.mean(which, keepdim=True),
                         x.var(which, correction=correction, keepdim=True),
                         gamma, beta)


def over_examples(got, x, gamma, beta, running):
    """You average over the examples alone, so that each position has
    statistics of its own: a channel's are those of all its numbers, axes 0
    and 1 of x (B, T, C)."""
    if x.ndim == 3:
        yield from over(x, (0,), gamma, beta)


def over_all(got, x, gamma, beta, running):
    """One mean for all the numbers: the channels stay apart, so average over
    every axis but the last. (In x (B, C) that is axis 0 alone.)"""
    yield from over(x, tuple(range(x.ndim)), gamma, beta)


def over_channels(got, x, gamma, beta, running):
    """You average over the channels of one example, which is layer norm:
    average over every axis but the last."""
    yield from over(x, (x.ndim - 1,), gamma, beta)


def over_positions(got, x, gamma, beta, running):
    """You average over the positions, one example at a time: the examples
    belong in it too, axes 0 and 1."""
    if x.ndim == 3:
        yield from over(x, (1,), gamma, beta)


def as_if_n_c_l(got, x, gamma, beta, running):
    """You average over axes 0 and 2, as torch does with (N, C, L): here the
    channels are the last axis, (N, L, C)."""
    if x.ndim == 3:
        yield from over(x, (0, 2), gamma, beta)


def running_in_training(got, x, gamma, beta, running):
    """In training mode you used the running statistics: the batch's are
    wanted."""
    yield scaled(x, *running, gamma, beta)


def by_variance(got, x, gamma, beta, running):
    """The square root is missing: divide by sqrt(var + eps)."""
    for correction in (0, 1):
        mean, var = by_channel(x, correction)
        yield gamma * (x - mean) / (var + EPS) + beta


def without_eps(got, x, gamma, beta, running):
    """The epsilon is missing, or outside the root: sqrt(var + eps)."""
    for correction in (0, 1):
        mean, var = by_channel(x, correction)
        yield scaled(x, mean, var, gamma, beta, 0.0)
        yield gamma * (x - mean) / (var.sqrt() + EPS) + beta


def without_gamma(got, x, gamma, beta, running):
    """gamma or beta is missing: the result is gamma * x_hat + beta."""
    for correction in (0, 1):
        mean, var = by_channel(x, correction)
        one, zero = torch.ones_like(gamma), torch.zeros_like(beta)
        for gain, shift in ((one, beta), (gamma, zero), (one, zero)):
            yield scaled(x, mean, var, gain, shift)


TRAINING_MISTAKES = [
    over_examples, over_all, over_channels, over_positions, as_if_n_c_l,
    running_in_training, by_variance, without_eps, without_gamma]


def not_moved(got, before, batch, biased):
    """It did not move: in training mode it goes towards the batch's."""
    yield before


def other_way(got, before, batch, biased):
    """The momentum is the wrong way round: keep 0.9 of the old, take 0.1 of
    the batch's."""
    yield 0.1 * before + 0.9 * batch


def all_the_way(got, before, batch, biased):
    """It is the last batch's alone: keep 0.9 of the old, take 0.1 of the
    batch's."""
    yield batch


def biased_stored(got, before, batch, biased):
    """You store the biased variance, over n: lecture and torch both store the
    unbiased one, over n - 1, which is right on average for all data."""
    yield 0.9 * before + 0.1 * biased


def std_stored(got, before, batch, biased):
    """You store a standard deviation: `running_var` is a variance."""
    yield 0.9 * before + 0.1 * batch.clamp(min=0).sqrt()
    yield 0.9 * before + 0.1 * biased.clamp(min=0).sqrt()


RUNNING_MISTAKES = [not_moved, other_way, all_the_way, biased_stored,
                    std_stored]


def batch_in_eval(got, x, gamma, beta, running):
    """Outside training mode you still use the batch's statistics: use the
    running ones."""
    if len(x) > 1:
        yield from over(x, tuple(range(x.ndim - 1)), gamma, beta)
        yield from over(x, (0,), gamma, beta)


def without_gamma_in_eval(got, x, gamma, beta, running):
    """gamma and beta are missing outside training mode."""
    yield scaled(x, *running, torch.ones_like(gamma), torch.zeros_like(beta))


EVAL_MISTAKES = [batch_in_eval, without_gamma_in_eval]


def switch(layer, training):
    """Training mode on or off, by the layer's own method if it has one."""
    method = getattr(layer, "train" if training else "eval", None)
    if callable(method):
        method()
    else:
        layer.training = training


def held(check, layer, names, case):
    """The first attribute of these names; `Wrong` if there is none."""
    for name in names:
        if getattr(layer, name, None) is not None:
            return getattr(layer, name)
    check.fail(f"the layer keeps its {names[0]} under that name", input=case,
               got=f"no attribute {names[0]}")


def statistics(check, layer, dim, shape, case):
    """The layer's running mean and variance, (C,) float64 each."""
    found = []
    for name in ("running_mean", "running_var"):
        value = held(check, layer, (name,), case)
        if getattr(value, "requires_grad", False):
            check.fail(f"{name} is part of the graph: every later step would "
                       "hold on to all earlier ones; move it under "
                       "torch.no_grad()", input=case)
        value = tensor(value)
        if value.numel() != dim:
            of_all = value.numel() == 1
            check.fail("one number for all channels: each has its own"
                       if of_all else "that is a number for each position and "
                       "channel: a channel has the same statistics at every "
                       "position, so average over the positions as well, "
                       "axes 0 and 1", input=case,
                       expected=f"{name} with {dim} numbers",
                       got=f"{name} of shape {tuple(value.shape)}")
        found.append(value.flatten())
    return found


def made(check, norm, dim, g, case):
    """A layer with gains and shifts of its own, and these in float64."""
    layer = check.call(norm, dim, case=case)
    values = []
    for names in (("gamma", "weight"), ("beta", "bias")):
        value = 1 + torch.rand(dim, generator=g)
        with torch.no_grad():
            held(check, layer, names, case).copy_(value)
        values.append(value.double())
    return layer, *values


def axes(norm):
    """Check a batch norm for x (B, C) and (B, T, C), exercise L6-S4.

    norm(C) -> a layer with gamma, beta, running_mean, running_var and
    training (or train() and eval()); layer(x) -> as x. The batch is divided
    by its biased variance or by its unbiased one, the unbiased is stored.
    """
    check = Check("axes")
    g = torch.Generator().manual_seed(check.seed)
    possible = dict(CONVENTIONS)
    for shapes in ([(6, 4), (5, 4)], [(4, 3, 5), (4, 3, 5), (2, 6, 5)],
                   [(3, 2, 3), (5, 3), (2, 4, 3)], [(2, 5, 5)]):
        dim = shapes[0][-1]
        layer, gamma, beta = made(check, norm, dim, g, f"C = {dim}")
        running = torch.zeros(dim).double(), torch.ones(dim).double()
        for number, shape in enumerate(shapes, 1):
            case = f"x of shape {shape}, training, batch {number}"
            x = spread(shape, g)
            switch(layer, True)
            running = trained(check, layer, x, gamma, beta, running,
                              possible, case)
            check.cases += 1
        for shape in (shapes[0], (1, dim), (1, 7, dim)):
            case = f"x of shape {shape}, evaluation, after {len(shapes)} " \
                   f"batch{'es' * (len(shapes) > 1)}"
            x = spread(shape, g)
            switch(layer, False)
            y = check.call(layer, x.clone(), case=case)
            x = x.double()
            after = statistics(check, layer, dim, shape, case)
            if not all(torch.allclose(a, b, atol=1e-5, rtol=1e-4)
                       for a, b in zip(after, running)):
                check.fail("the running statistics move outside training "
                           "mode: there they are only read", input=case)
            check.expect("result", as_given(y, x),
                         scaled(x, *running, gamma, beta), EVAL_MISTAKES,
                         (x, gamma, beta, running), case=case, atol=1e-4)
            check.cases += 1
    check.passed()


def spread(shape, g):
    """Numbers that differ in mean and size by position and by channel."""
    x = torch.randn(shape, generator=g)
    offset = torch.randn(shape[1:], generator=g)
    x = (x + 2 * offset) * (0.5 + torch.rand(shape[-1], generator=g))
    x[..., 0] *= 0.003  # a channel whose variance is as small as epsilon
    return x


def as_given(y, x):
    """A result as float64, without axes of length 1 that x does not have."""
    y = tensor(y)
    return y.view(x.shape) if y.ndim > x.ndim and y.numel() == x.numel() else y


def trained(check, layer, x, gamma, beta, running, possible, case):
    """Check one call in training mode; returns the running statistics."""
    given = x.clone().requires_grad_()
    y = check.call(layer, given, case=case)
    got, x = as_given(y, x), x.double()
    right = {name: scaled(x, *by_channel(x, divided), gamma, beta)
             for name, (divided, _) in possible.items()}
    fits = [name for name in right if got.shape == x.shape and torch.allclose(
        got, right[name], atol=1e-4, rtol=1e-4)]
    if not fits:
        check.expect("result", got, next(iter(right.values())),
                     TRAINING_MISTAKES, (x, gamma, beta, running), case=case,
                     atol=1e-4)
    for name in set(possible) - set(fits):
        del possible[name]
    flows(check, y, given, x, gamma, beta, possible, case)
    mean, unbiased = by_channel(x, 1)
    biased = by_channel(x, 0)[1]
    found = statistics(check, layer, x.shape[-1], x.shape, case)
    moved = []
    for name, now, before, batch, other in zip(
            ("running_mean", "running_var"), found, running,
            (mean, unbiased), (mean, biased)):
        want = 0.9 * before + 0.1 * batch
        check.expect(name, now, want, RUNNING_MISTAKES,
                     (before, batch, other), case=case)
        moved.append(want)
    return moved


def flows(check, y, given, x, gamma, beta, possible, case):
    """The gradient goes through the batch's mean and variance, too."""
    pull = torch.linspace(-1, 2, x.numel()).view(x.shape) ** 2
    if not y.requires_grad:
        check.fail("the result has no gradient in x: torch.no_grad() is for "
                   "the running statistics alone", input=case)
    (got,) = torch.autograd.grad((y * pull).sum(), given)
    correction = CONVENTIONS[next(iter(possible))][0]
    x = x.clone().requires_grad_()
    which = tuple(range(x.ndim - 1))
    want = scaled(x, x.mean(which), x.var(which, correction=correction),
                  gamma, beta)
    (want,) = torch.autograd.grad((want * pull).sum(), x)
    if not torch.allclose(got.double(), want, rtol=1e-3,
                          atol=1e-3 * want.abs().max().item()):
        check.fail("the result is right, its gradient is not: it has to flow "
                   "through the batch's mean and variance as well, which "
                   "detach() and torch.no_grad() cut off", input=case)


# L6-S2 --------------------------------------------------------------------


def window_by_window(model, idx, size):
    """The tree at each position of each text, one context at a time."""
    rows = []
    for ids in idx.tolist():
        padded = [0] * (size - 1) + ids
        for t in range(len(ids)):
            rows.append(model(torch.tensor([padded[t:t + size]]))[0])
    return torch.stack(rows).view(*idx.shape, -1)


def slid(model, idx, *, left=None, fill="ids", dilations=None, taps=None,
         norm=None, turn=None):
    """The tree's layers slid along the texts, with one thing done otherwise.

    left: how many of the size - 1 pads go on the left; fill: "ids" pads with
    id 0, "embedding" with zeros after it, "levels" each level with zeros.
    """
    embedding, *layers, last = model.layers
    weights = [layer.weight for layer in layers if isinstance(layer, Linear)]
    dilations = dilations or [2**i for i in range(len(weights))]
    total = sum(dilations)
    left = total if left is None else left
    x = embedding(F.pad(idx, (left, total - left)) if fill == "ids" else idx)
    x = turn(x) if turn else x.transpose(1, 2)
    if fill == "embedding":
        x = F.pad(x, (left, total - left))
    dilations = iter(dilations)
    for layer in layers:
        if isinstance(layer, Linear):
            d = next(dilations)
            x = F.pad(x, (d, 0)) if fill == "levels" else x
            weight = taps(layer.weight) if taps else pairs(layer.weight)
            x = F.conv1d(x, weight, dilation=d)
        elif isinstance(layer, BatchNorm1d):
            x = norm(x, layer) if norm else F.batch_norm(
                x, layer.running_mean, layer.running_var, layer.gamma,
                layer.beta, eps=layer.eps)
        elif type(layer).__name__ == "Tanh":
            x = x.tanh()
    return last(x.transpose(1, 2))


def pairs(weight):
    """weight (2 C, H), the earlier one's rows first, for conv1d (H, C, 2)."""
    return weight.view(2, -1, weight.shape[1]).permute(2, 1, 0)


def levels(model):
    return sum(isinstance(layer, Linear) for layer in model.layers) - 1


def padded_right(got, model, idx, want):
    """The padding is on the right: row t then reads what follows it. It
    belongs on the left, before the text."""
    yield slid(model, idx, left=0)


def padded_both(got, model, idx, want):
    """The padding is on both sides, so that row t reads ahead: all of it
    belongs on the left."""
    size = 2 ** levels(model)
    for left in {(size - 1) // 2, size // 2} - {0, size - 1}:
        yield slid(model, idx, left=left)


def zeros_after(got, model, idx, want):
    """You padded with zeros after the embedding: the tree has read '.' there,
    so pad the ids with 0, and its row of the table is not zero."""
    yield slid(model, idx, fill="embedding")


def zeros_at_levels(got, model, idx, want):
    """You padded each level with zeros, as conv1d's `padding` does: the
    tree's nodes there are those of '.', which are not zero. Pad the ids once,
    with 0, before the embedding."""
    yield slid(model, idx, fill="levels")


def flipped(got, model, idx, want):
    """The two taps are swapped: conv1d does not turn its kernel round, so the
    first tap meets the earlier position, and belongs to the first rows of the
    linear layer's weight."""
    yield slid(model, idx, taps=lambda weight: pairs(weight).flip(2))


def interleaved(got, model, idx, want):
    """The weight was cut up across its channels: its first half of rows
    belongs to the earlier position, the second half to the later one, so
    view it as (2, C, H) before you permute."""
    for taps in (lambda w: w.T.reshape(w.shape[1], -1, 2),
                 lambda w: w.reshape(w.shape[1], -1, 2),
                 lambda w: w.reshape(-1, 2, w.shape[1]).permute(2, 0, 1)):
        yield slid(model, idx, taps=taps)


def reversed_dilations(got, model, idx, want):
    """The dilations come in reverse: the first level joins neighbours,
    dilation 1, and each later one is twice as far apart."""
    yield slid(model, idx, dilations=[
        2**i for i in reversed(range(levels(model)))])


def one_dilation(got, model, idx, want):
    """Every level has dilation 1: the second level joins nodes that lie 2
    apart, the third 4."""
    ones = [1] * levels(model)
    yield slid(model, idx, dilations=ones)
    size = 2 ** levels(model)
    more = F.pad(idx, (size - 1 - len(ones), 0))
    yield slid(model, more, dilations=ones)[:, -idx.shape[1]:]


def dilations_from_two(got, model, idx, want):
    """The dilations start at 2: the first level joins neighbours, dilation
    1."""
    yield slid(model, idx, dilations=[
        2 * 2**i for i in range(levels(model))])


def one_late(got, model, idx, want):
    """The rows are one off: row t reads up to position t itself, and you left
    that one out."""
    yield torch.cat([slid(model, F.pad(idx[:, :1], (1, -1))),
                     want[:, :-1]], 1)


def one_early(got, model, idx, want):
    """The rows are one off: row t reads up to position t, and yours reads the
    one after it as well."""
    yield slid(model, F.pad(idx, (0, 1)))[:, 1:]


def channels_in_the_middle(got, model, idx, want):
    """torch's conv1d has the channels in the middle, (N, C, L): turn the
    logits back with transpose(1, 2)."""
    yield want.transpose(1, 2)


def viewed(got, model, idx, want):
    """view or reshape made (N, C, L) of (N, L, C): that keeps the numbers in
    a row and mixes positions with channels. transpose(1, 2) swaps the axes."""
    yield slid(model, idx, turn=lambda x: x.reshape(
        len(x), x.shape[2], x.shape[1]))


def batch_statistics(got, model, idx, want):
    """Batch norm used the batch's statistics: in evaluation mode it is the
    running ones that make tree and convolution equal."""
    for correction in (0, 1):
        def norm(x, layer):
            mean = x.mean((0, 2), keepdim=True)
            var = x.var((0, 2), correction=correction, keepdim=True)
            return (layer.gamma[:, None] * (x - mean)
                    / (var + layer.eps).sqrt() + layer.beta[:, None])

        yield slid(model, idx, norm=norm)


def without_norm(got, model, idx, want):
    """The batch norm layers were left out."""
    yield slid(model, idx, norm=lambda x, layer: x)


CONVOLUTION_MISTAKES = [
    padded_right, padded_both, zeros_after, zeros_at_levels, flipped,
    reversed_dilations, one_dilation, dilations_from_two, one_early, one_late,
    interleaved, channels_in_the_middle, viewed, batch_statistics,
    without_norm]


def grown(block_size, n_embd, n_hidden, g):
    """A tree in float64 whose every number has moved off its start."""
    model = tree(27, block_size, n_embd, n_hidden, generator=g)
    for p in model.parameters():
        p.data = p.data.double() + 0.3 * torch.randn(
            p.shape, generator=g).double()
    for b in model.buffers():
        b.data = b.data.double() + 0.5 * torch.rand(
            b.shape, generator=g).double()
    return model.eval()


def convolution(everywhere):
    """Check the tree at all positions at once, exercise L6-S2.

    everywhere(model, idx): a tree in evaluation mode and ids (N, L) -> logits
    (N, L, 27), of which row t is what the tree gives for the ids that end at
    position t, with '.' (id 0) before the text.
    """
    check = Check("convolution")
    g = torch.Generator().manual_seed(check.seed)
    for block_size, sizes, shape in (
            (8, (4, 6), (2, 12)), (8, (5, 5), (3, 27)), (4, (3, 7), (1, 9)),
            (16, (6, 4), (2, 20)), (2, (4, 4), (2, 5)), (8, (10, 12), (2, 1))):
        model = grown(block_size, *sizes, g)
        idx = torch.randint(1, 27, shape, generator=g)
        case = (f"a tree over {block_size} characters, {sizes[0]} and "
                f"{sizes[1]} channels; ids of shape {shape}")
        before = copy.deepcopy(model.buffers())
        with torch.no_grad():
            value = called(check, everywhere, model, idx.clone(), case)
            want = window_by_window(model.eval(), idx, block_size)
            got = read_logits(check, value, want, block_size, case)
            check.expect("logits", got, want, CONVOLUTION_MISTAKES,
                         (model, idx, want), case=case, atol=1e-6, rtol=1e-6)
        if not all(map(torch.equal, before, model.buffers())):
            check.fail("the running statistics have moved: the tree is in "
                       "evaluation mode, leave it there", input=case)
        check.cases += 1
    check.passed()


def called(check, everywhere, model, idx, case):
    """What the answer returns; an error over axes says what torch wants."""
    try:
        return check.call(everywhere, model, idx, case=case)
    except Wrong as wrong:
        if not any(words in str(wrong) for words in (
                "channels, but got", "running_mean should contain")):
            raise
        raise Wrong(
            f"{wrong}\n  likely    conv1d and batch_norm want the channels in "
            "the middle, (N, C, L):\n            transpose(1, 2) what the "
            "embedding gives; the weight is (H, C, 2)"
        ) from wrong.__cause__


def read_logits(check, value, want, block_size, case):
    """An answer's logits in the shape (N, L, 27)."""
    got = tensor(value)
    N, L, V = want.shape
    if got.shape == (N * L, V):
        return got.view(N, L, V)
    if got.shape == want.shape:
        return got
    short = L - block_size + 1
    whys = {
        (N, V, L): message(channels_in_the_middle),
        (N, V): "that is one row a text: a row for each position is wanted",
        (N, short, V): "rows that lack a whole context are missing: put "
        f"{block_size - 1} times '.' before the text",
        (N, L + block_size - 1, V): "there are more rows than positions: the "
        "padding shortens again by one dilation a level, and here it did not",
    }
    check.fail(whys.get(tuple(got.shape)), input=case,
               expected=f"shape {tuple(want.shape)}", got=show(got))


# L6-S1 --------------------------------------------------------------------

SEEDS = 3  # fewer say nothing about the spread


def tree_loss(source):
    """The validation loss to beat: the lecture's last, on its own names."""
    return 1.9937 if source.is_lecture else to_beat(source) - 0.04


def challenge(models, block_size, val_loss):
    """Check nets that beat the lecture's tree, exercise L6-S1.

    models: at least three, of one recipe and different seeds, each a function
    or module idx (N, block_size) int64 -> logits or probabilities, (N, 27) or
    (N, block_size, 27), whose last position counts, fitted on train.
    val_loss is the mean of their validation losses, in nats a character.
    """
    check = Check("challenge")
    if isinstance(block_size, bool) or block_size not in range(1, 101):
        raise Wrong(f"challenge: block_size = {block_size!r}: must be 1 to "
                    "100")
    if not isinstance(models, (list, tuple)):
        raise Wrong("challenge: models must be a list, one model for each "
                    f"seed; it is {show(models)}")
    if not models and val_loss is None:
        raise Wrong("challenge: not written yet (models is empty)")
    if len(models) < SEEDS:
        raise Wrong(f"challenge: {len(models)} model(s): train the recipe "
                    f"with at least {SEEDS} seeds, or its gain cannot be told "
                    "from luck")
    block_size = int(block_size)
    splits = data.split(data.load_names())
    idx, targets = data.windows(splits.val, block_size)
    case = (f"the {len(targets)} targets of the validation split, "
            f"{block_size} characters of context")
    rows = []
    for model in models:
        rows.append(predict(check, model, idx))
        steady(check, model, idx, case)
    for i in range(1, len(rows)):
        for j in range(i):
            if torch.equal(rows[i], rows[j]):
                check.fail("two of the models are the same: was one seed used "
                           "twice, or one net put into the list twice?",
                           input=case, expected="a model for each seed",
                           got=f"equal predictions of models {j} and {i}")
    losses = [split_losses(p, targets) for p in rows]
    for loss in losses:
        infinite(check, loss, case)
    means = [loss.mean().item() for loss in losses]
    mean, spread = sum(means) / len(means), max(means) - min(means)
    if val_loss is None:
        raise Wrong("challenge: not written yet (val_loss is None)")
    the_best(check, val_loss, means, case)
    reported(check, models, splits, block_size, val_loss, (
        torch.cat(losses), idx.repeat(len(rows), 1),
        targets.repeat(len(rows)), torch.cat(rows)), case)
    bar = tree_loss(data.source())
    lines = dict(input=case, got=f"{mean:.4f}, {spread:.4f} from the lowest "
                 "to the highest seed",
                 expected=f"a mean validation loss below {bar:.4f}")
    if mean >= bar:
        worst = means.index(max(means))
        check.fail(why_short(check, models[worst], splits, block_size, idx,
                             rows[worst], means[worst]), **lines)
    for model, loss in zip(models, means):
        trained_on_more(check, model, splits, block_size, dict(
            input=case, got=f"{loss:.4f}", expected=""))
    sure = ("" if mean + spread / 2 < bar else
            "; the seeds differ by more than your lead")
    check.passed(f"validation loss {mean:.4f}, mean of {len(means)} seeds "
                 f"within {spread:.4f}; the lecture's: {bar:.4f}{sure}")


def the_best(check, val_loss, means, case):
    """`Wrong` for the best seed's loss, or another one's, as the mean."""
    got = tensor(val_loss)
    if got.numel() != 1 or got.item() == round(got.item(), 2):
        return  # `reported` has the word; two decimals may be the mean's
    mean = sum(means) / len(means)
    for name, loss in (("lowest", min(means)), ("highest", max(means)),
                       ("last seed's", means[-1])):
        if abs(got.item() - loss) < 1e-5 < abs(got.item() - mean) / 5:
            check.fail(f"this is the {name} of the validation losses: the "
                       "best of several seeds is luck, report their mean",
                       input=case, expected=f"val_loss {mean:.4f}",
                       got=f"val_loss {show(got)}")

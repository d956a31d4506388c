"""The checkers of lecture 5. What a mistake says is what the reader reads.

Tensors are as in the lecture: n examples in rows, channels in columns, and
dX is the gradient of the loss in X, with the shape of X.
"""

import contextlib
import math
import textwrap
from types import SimpleNamespace
from unittest import mock

import torch
import torch.nn.functional as F

from zth import data
from zth.check import Wrong, mlp, show
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["Wrong", "attention", "batch_norm", "cross_entropy", "lines",
           "training"]

# What the checkers share ---------------------------------------------------


class Asked(Exception):
    """Autograd was asked for a gradient."""


@contextlib.contextmanager
def without_autograd():
    """Nothing is recorded, and a call of backward or grad raises `Asked`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for owner, name in ((torch.Tensor, "backward"),
                            (torch.autograd, "backward"),
                            (torch.autograd, "grad")):
            def refuse(*args, **kwargs):
                raise Asked

            stack.enter_context(mock.patch.object(owner, name, refuse))
        yield


def by_hand(check, function, *args, case):
    """What the answer returns, if it gets there without autograd."""
    try:
        with without_autograd():
            return check.call(function, *args, case=case)
    except Wrong as error:
        if not isinstance(error.__cause__, Asked):
            raise
    check.fail("autograd was asked: a call of backward() or of autograd.grad "
               "is left in. Here every gradient is your own", input=case)


def unchanged(check, before, after, names, case):
    """`Wrong` if the answer wrote into what it was given."""
    for old, new, name in zip(before, after, names):
        if not torch.equal(old, new):
            check.fail(f"{name} was changed in place: work on a copy (clone), "
                       "the caller goes on using it", input=case)


# L5-EX1 -------------------------------------------------------------------

LEAVES = ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")


@torch.enable_grad()
def forward_pass(net):
    """The lecture's forward pass in float64, from the net's parameters."""
    t = SimpleNamespace(Xb=net["Xb"], Yb=net["Yb"], n=len(net["Xb"]))
    for name in LEAVES:
        setattr(t, name, tensor(net[name]).clone().requires_grad_())
    t.emb = t.C[t.Xb]
    t.embcat = t.emb.view(t.n, -1)
    t.hprebn = t.embcat @ t.W1 + t.b1
    t.bnmeani = t.hprebn.sum(0, keepdim=True) / t.n
    t.bndiff = t.hprebn - t.bnmeani
    t.bndiff2 = t.bndiff**2
    t.bnvar = t.bndiff2.sum(0, keepdim=True) / (t.n - 1)
    t.bnvar_inv = (t.bnvar + 1e-5) ** -0.5
    t.bnraw = t.bndiff * t.bnvar_inv
    t.hpreact = t.bngain * t.bnraw + t.bnbias
    t.h = torch.tanh(t.hpreact)
    t.logits = t.h @ t.W2 + t.b2
    t.logit_maxes = t.logits.max(1, keepdim=True).values
    t.norm_logits = t.logits - t.logit_maxes
    t.counts = t.norm_logits.exp()
    t.counts_sum = t.counts.sum(1, keepdim=True)
    t.counts_sum_inv = t.counts_sum**-1
    t.probs = t.counts * t.counts_sum_inv
    t.logprobs = t.probs.log()
    t.loss = -t.logprobs[range(t.n), t.Yb].mean()
    return t


def at_targets(t, value):
    """`value` where a row's target is, zero elsewhere."""
    return value * F.one_hot(t.Yb, t.logits.shape[1]).double()


def at_largest(t, column):
    """A column's number where the row's largest logit is, zero elsewhere."""
    place = t.logits.argmax(1)
    return F.one_hot(place, t.logits.shape[1]) * column


def gathered(t, rows, how="all", idx=None):
    """Rows (n, T, n_embd) put together in a table like C.

    how: "all" adds them; "last" keeps the last of each id, "column" the last
    of each id in each position, added over the positions; "first" adds those
    of the first position.
    """
    idx = t.Xb if idx is None else idx
    out = torch.zeros_like(t.C)
    for k in range(1 if how == "first" else idx.shape[1]):
        column = torch.zeros_like(out)
        for i in range(t.n):
            row = rows[i, k]
            if how in ("all", "first"):
                row = column[idx[i, k]] + row
            column[idx[i, k]] = row
        out += column
    if how == "last":
        for i, row in zip(idx.flatten(), rows.flatten(0, 1)):
            out[i] = row
    return out


def normal(t, d, m):
    """dhprebn in one expression, with a variance over m."""
    x, dy = t.bnraw, d.bnraw
    return t.bnvar_inv * (dy - dy.mean(0) - x * (x * dy).sum(0) / m)


# name: (whose gradients its line reads, the line)
LINES = {
    "logprobs": ((), lambda t, d: at_targets(t, -1 / t.n)),
    "probs": (("logprobs",), lambda t, d: d.logprobs / t.probs),
    "counts_sum_inv": (("probs",), lambda t, d: (
        t.counts * d.probs).sum(1, True)),
    "counts_sum": (("counts_sum_inv",), lambda t, d: (
        -(t.counts_sum**-2) * d.counts_sum_inv)),
    "counts": (("probs", "counts_sum"), lambda t, d: (
        t.counts_sum_inv * d.probs + d.counts_sum)),
    "norm_logits": (("counts",), lambda t, d: t.counts * d.counts),
    "logit_maxes": (("norm_logits",), lambda t, d: (
        -d.norm_logits.sum(1, True))),
    "logits": (("norm_logits", "logit_maxes"), lambda t, d: (
        d.norm_logits + at_largest(t, d.logit_maxes))),
    "h": (("logits",), lambda t, d: d.logits @ t.W2.T),
    "W2": (("logits",), lambda t, d: t.h.T @ d.logits),
    "b2": (("logits",), lambda t, d: d.logits.sum(0)),
    "hpreact": (("h",), lambda t, d: (1 - t.h**2) * d.h),
    "bngain": (("hpreact",), lambda t, d: (t.bnraw * d.hpreact).sum(0, True)),
    "bnbias": (("hpreact",), lambda t, d: d.hpreact.sum(0, True)),
    "bnraw": (("hpreact",), lambda t, d: t.bngain * d.hpreact),
    "bnvar_inv": (("bnraw",), lambda t, d: (t.bndiff * d.bnraw).sum(0, True)),
    "bnvar": (("bnvar_inv",), lambda t, d: (
        -0.5 * (t.bnvar + 1e-5) ** -1.5 * d.bnvar_inv)),
    "bndiff2": (("bnvar",), lambda t, d: (
        d.bnvar.expand_as(t.bndiff2) / (t.n - 1))),
    "bndiff": (("bnraw", "bndiff2"), lambda t, d: (
        t.bnvar_inv * d.bnraw + 2 * t.bndiff * d.bndiff2)),
    "bnmeani": (("bndiff",), lambda t, d: -d.bndiff.sum(0, True)),
    "hprebn": (("bndiff", "bnmeani"), lambda t, d: (
        d.bndiff + d.bnmeani / t.n)),
    "embcat": (("hprebn",), lambda t, d: d.hprebn @ t.W1.T),
    "W1": (("hprebn",), lambda t, d: t.embcat.T @ d.hprebn),
    "b1": (("hprebn",), lambda t, d: d.hprebn.sum(0)),
    "emb": (("embcat",), lambda t, d: d.embcat.view(t.emb.shape)),
    "C": (("emb",), lambda t, d: gathered(t, d.emb)),
}

# Zero in theory: how large the numbers are that cancel.
CANCEL = {
    "logit_maxes": lambda d: d.norm_logits.abs().sum(1).max(),
    "b1": lambda d: d.hprebn.abs().sum(0).max(),
}

# name: {what the reader is told: what such a line gives}
MISTAKES = {
    "logprobs": {
        "the sign is turned: the loss is *minus* the mean of the picked "
        "log-probabilities": lambda t, d: at_targets(t, 1 / t.n),
        "the factor 1/n is missing: the loss is a mean over the n examples":
            lambda t, d: at_targets(t, -1.0),
        "divided by all entries, n V: the mean is over the n picked ones":
            lambda t, d: at_targets(t, -1 / t.logits.numel()),
        "all entries are filled: the loss reads one entry a row, its "
        "target's, and the gradient in the others is zero":
            lambda t, d: torch.full_like(t.logits, -1 / t.n),
    },
    "probs": {
        "you multiplied by probs: the derivative of log p is 1/p":
            lambda t, d: d.logprobs * t.probs,
        "this is 1/probs, the local derivative alone: multiply it by "
        "dlogprobs": lambda t, d: 1 / t.probs,
        "you divided by logprobs: the derivative of log p is 1/p, with p "
        "itself": lambda t, d: d.logprobs / t.logprobs,
        "-1/p^2 is the derivative of 1/p: that of log p is 1/p":
            lambda t, d: -d.logprobs / t.probs**2,
    },
    "counts_sum_inv": {
        "the factor counts is missing: in counts * counts_sum_inv each "
        "factor's derivative is the other": lambda t, d: d.probs.sum(1, True),
        "this is the mean over the row: a number that was used V times gets "
        "the sum": lambda t, d: (t.counts * d.probs).mean(1, True),
        "the factor is counts, not probs: probs is counts * counts_sum_inv":
            lambda t, d: (t.probs * d.probs).sum(1, True),
    },
    "counts_sum": {
        "the sign is turned: the derivative of s**-1 is -s**-2":
            lambda t, d: t.counts_sum**-2 * d.counts_sum_inv,
        "the power is -1: the derivative of s**-1 is -s**-2, one lower":
            lambda t, d: -(t.counts_sum**-1) * d.counts_sum_inv,
        "1/s is the derivative of log s: that of s**-1 is -s**-2":
            lambda t, d: t.counts_sum**-1 * d.counts_sum_inv,
        "this is the local derivative alone: multiply it by dcounts_sum_inv":
            lambda t, d: -(t.counts_sum**-2),
    },
    "counts": {
        "the second contribution is missing: counts goes into probs and into "
        "counts_sum; add what comes back through counts_sum":
            lambda t, d: t.counts_sum_inv * d.probs,
        "only the second contribution is left: `=` where it must be `+=`, or "
        "the one through probs was forgotten":
            lambda t, d: d.counts_sum.expand_as(t.counts),
        "the two contributions were subtracted: where paths meet, gradients "
        "add": lambda t, d: t.counts_sum_inv * d.probs - d.counts_sum,
        "the contribution through counts_sum got a factor counts: a sum "
        "passes the gradient on as it is": lambda t, d: (
            t.counts_sum_inv * d.probs + t.counts * d.counts_sum),
        "the contribution through counts_sum was divided by V: a sum passes "
        "the whole gradient to each of its terms": lambda t, d: (
            t.counts_sum_inv * d.probs + d.counts_sum / t.counts.shape[1]),
    },
    "norm_logits": {
        "the derivative of exp is missing: it is exp itself, which is counts":
            lambda t, d: d.counts,
        "the factor is norm_logits: the derivative of exp is exp itself, "
        "counts": lambda t, d: t.norm_logits * d.counts,
        "the factor is probs: the derivative of exp is exp itself, counts":
            lambda t, d: t.probs * d.counts,
        "this is the local derivative alone: multiply it by dcounts":
            lambda t, d: t.counts,
    },
    "logit_maxes": {
        "the sign is turned: logit_maxes is subtracted from the logits":
            lambda t, d: d.norm_logits.sum(1, True),
    },
    "logits": {
        "the second path is missing: the logits also go into logit_maxes; "
        "add what comes back from there": lambda t, d: d.norm_logits,
        "dlogit_maxes went to the whole row: the maximum reads one logit "
        "alone, the largest": lambda t, d: d.norm_logits + d.logit_maxes,
        "dlogit_maxes went to the target's place: the maximum reads the "
        "largest logit, at argmax": lambda t, d: (
            d.norm_logits + at_targets(t, d.logit_maxes)),
        "the factor 1/n is missing: the loss is a mean over the n examples":
            lambda t, d: t.probs - at_targets(t, 1.0),
        "1 at the target was not subtracted: (probs - one-hot) / n":
            lambda t, d: t.probs / t.n,
        "these are the right numbers for targets turned round: one-hot minus "
        "probs has the wrong sign": lambda t, d: (
            at_targets(t, 1.0) - t.probs) / t.n,
    },
    "h": {
        "this is the gradient in hpreact already: dh stands before tanh's "
        "slope": lambda t, d: (1 - t.h**2) * (d.logits @ t.W2.T),
    },
    "W2": {
        "the other factor of the product is h, not hpreact":
            lambda t, d: t.hpreact.T @ d.logits,
        "divided by n: dlogits holds the 1/n of the mean already":
            lambda t, d: t.h.T @ d.logits / t.n,
    },
    "b2": {
        "this is the mean over the examples: b2 was added to each of the n "
        "rows, so their gradients are summed":
            lambda t, d: d.logits.mean(0),
    },
    "hpreact": {
        "tanh's slope is taken at its input: it is 1 - h**2, with the output "
        "h = tanh(hpreact)": lambda t, d: (1 - t.hpreact**2) * d.h,
        "tanh was applied twice: h is tanh(hpreact) already, so the slope is "
        "1 - h**2": lambda t, d: (1 - t.h.tanh() ** 2) * d.h,
        "the square is missing: tanh's slope is 1 - h**2":
            lambda t, d: (1 - t.h) * d.h,
        "h (1 - h) is the slope of the sigmoid: that of tanh is 1 - h**2":
            lambda t, d: t.h * (1 - t.h) * d.h,
        "the slope is 1 - h**2, not h**2": lambda t, d: t.h**2 * d.h,
        "this is dh: multiply it by tanh's slope, 1 - h**2":
            lambda t, d: d.h,
        "this is tanh's slope alone: multiply it by dh":
            lambda t, d: 1 - t.h**2,
    },
    "bngain": {
        "the factor bnraw is missing: the gain multiplies it":
            lambda t, d: d.hpreact.sum(0, True),
        "this is the mean over the examples: the gain was used in each of "
        "the n rows, so their gradients are summed":
            lambda t, d: (t.bnraw * d.hpreact).mean(0, True),
        "the factor is what the gain multiplies, bnraw, not bndiff":
            lambda t, d: (t.bndiff * d.hpreact).sum(0, True),
        "the factor is what the gain multiplies, bnraw, not hprebn":
            lambda t, d: (t.hprebn * d.hpreact).sum(0, True),
    },
    "bnbias": {
        "this is the mean over the examples: the shift was added to each of "
        "the n rows, so their gradients are summed":
            lambda t, d: d.hpreact.mean(0, True),
        "the gain does not multiply the shift": lambda t, d: (
            t.bngain * d.hpreact.sum(0, True)),
    },
    "bnraw": {
        "the factor bngain is missing: the gain multiplies bnraw":
            lambda t, d: d.hpreact,
        "the factor is bnraw itself: in bngain * bnraw each factor's "
        "derivative is the other": lambda t, d: t.bnraw * d.hpreact,
    },
    "bnvar_inv": {
        "the factor bndiff is missing: in bndiff * bnvar_inv each factor's "
        "derivative is the other": lambda t, d: d.bnraw.sum(0, True),
        "this is the mean over the examples: bnvar_inv was used in each of "
        "the n rows, so their gradients are summed":
            lambda t, d: (t.bndiff * d.bnraw).mean(0, True),
        "the factor is bndiff, not bnraw: bnraw is bndiff * bnvar_inv":
            lambda t, d: (t.bnraw * d.bnraw).sum(0, True),
    },
    "bnvar": {
        "the sign is turned: the derivative of v**-0.5 is -0.5 v**-1.5":
            lambda t, d: 0.5 * (t.bnvar + 1e-5) ** -1.5 * d.bnvar_inv,
        "the factor 0.5 is missing: the derivative of v**-0.5 is -0.5 "
        "v**-1.5": lambda t, d: -((t.bnvar + 1e-5) ** -1.5) * d.bnvar_inv,
        "the power was not lowered: the derivative of v**-0.5 is -0.5 "
        "v**-1.5": lambda t, d: -0.5 * t.bnvar_inv * d.bnvar_inv,
        "the power went up: the derivative of v**-0.5 is -0.5 v**-1.5":
            lambda t, d: -0.5 * (t.bnvar + 1e-5) ** 0.5 * d.bnvar_inv,
        "the epsilon is missing: bnvar_inv is (bnvar + 1e-5)**-0.5":
            lambda t, d: -0.5 * t.bnvar**-1.5 * d.bnvar_inv,
        "this is the local derivative alone: multiply it by dbnvar_inv":
            lambda t, d: -0.5 * (t.bnvar + 1e-5) ** -1.5,
    },
    "bndiff2": {
        "this is the biased variance, over n: the lecture's is over n - 1":
            lambda t, d: d.bnvar.expand_as(t.bndiff2) / t.n,
        "the factor 1/(n - 1) is missing: bnvar is that times the sum":
            lambda t, d: d.bnvar.expand_as(t.bndiff2),
    },
    "bndiff": {
        "the second contribution is missing: bndiff goes into bnraw and into "
        "bndiff2; add what comes back through the variance":
            lambda t, d: t.bnvar_inv * d.bnraw,
        "only the contribution through the variance is left: `=` where it "
        "must be `+=`, or the one through bnraw was forgotten":
            lambda t, d: 2 * t.bndiff * d.bndiff2,
        "the factor 2 is missing: the derivative of x**2 is 2 x":
            lambda t, d: t.bnvar_inv * d.bnraw + t.bndiff * d.bndiff2,
        "the derivative of x**2 is 2 x: the factor x, bndiff, is missing":
            lambda t, d: t.bnvar_inv * d.bnraw + 2 * d.bndiff2,
        "a later line changed it: after dhprebn = dbndiff both names are one "
        "tensor, and += changes it; take dbndiff.clone()": lambda t, d: (
            LINES["bndiff"][1](t, d) - LINES["bndiff"][1](t, d).mean(0)),
        "the two contributions were subtracted: where paths meet, their "
        "gradients add": lambda t, d: (
            t.bnvar_inv * d.bnraw - 2 * t.bndiff * d.bndiff2),
    },
    "bnmeani": {
        "the sign is turned: the mean is subtracted":
            lambda t, d: d.bndiff.sum(0, True),
        "the factor 1/n comes a line later: bnmeani was subtracted from each "
        "of the n rows, so their gradients are summed":
            lambda t, d: -d.bndiff.mean(0, True),
    },
    "hprebn": {
        "mean and variance were taken for constants: they depend on hprebn":
            lambda t, d: t.bnvar_inv * d.bnraw,
        "the second contribution is missing: hprebn goes into bndiff and into "
        "bnmeani; add what comes back through the mean":
            lambda t, d: d.bndiff,
        "only the contribution through the mean is left: `=` where it must "
        "be `+=`, or the one through bndiff was forgotten":
            lambda t, d: d.bnmeani.expand_as(t.hprebn) / t.n,
        "the factor 1/n is missing: bnmeani is 1/n times the sum":
            lambda t, d: d.bndiff + d.bnmeani,
        "the contribution through the mean was subtracted: dbnmeani has the "
        "minus sign already": lambda t, d: d.bndiff - d.bnmeani / t.n,
        "the variance was taken for a constant: it depends on hprebn":
            lambda t, d: t.bnvar_inv * (d.bnraw - d.bnraw.mean(0)),
        "this belongs to the biased variance, over n: the lecture's is over "
        "n - 1": lambda t, d: normal(t, d, t.n),
    },
    "embcat": {
        "batch norm was left out: this starts from dhpreact, not dhprebn":
            lambda t, d: d.hpreact @ t.W1.T,
    },
    "W1": {
        "batch norm is left out: this is made with dhpreact, not dhprebn":
            lambda t, d: t.embcat.T @ d.hpreact,
        "divided by n: the gradients hold the 1/n of the loss's mean "
        "already": lambda t, d: t.embcat.T @ d.hprebn / t.n,
    },
    "b1": {
        "batch norm is left out: this is the sum of dhpreact, not dhprebn":
            lambda t, d: d.hpreact.sum(0),
        "this is the sum of dbndiff: b1 goes into hprebn, and the mean takes "
        "it off again": lambda t, d: d.bndiff.sum(0),
        "this is the sum of dbnraw: b1 goes into hprebn":
            lambda t, d: d.bnraw.sum(0),
    },
    "emb": {
        "the numbers of a row are in another order: undo the view with "
        "view(emb.shape)": lambda t, d: d.embcat.view(
            t.n, t.emb.shape[2], -1).transpose(1, 2),
        "examples and positions are mixed up: undo the view with "
        "view(emb.shape)": lambda t, d: d.embcat.view(
            t.emb.shape[1], t.n, -1).transpose(0, 1),
    },
    "C": {
        "assigned, not added: with dC[Xb] = demb, and with dC[Xb] += demb "
        "too, one occurrence of a character is left of several; index_add_ "
        "adds them all": lambda t, d: gathered(t, d.emb, "last"),
        "added position by position, but with an index in which a character "
        "repeats: dC[i] += ... keeps one of them; index_add_ adds them all":
            lambda t, d: gathered(t, d.emb, "column"),
        "only the first position of each context was added: loop over the "
        "positions too": lambda t, d: gathered(t, d.emb, "first"),
        "this is the mean over a character's occurrences: each of them adds "
        "its gradient": lambda t, d: gathered(t, d.emb) / torch.bincount(
            t.Xb.flatten(), minlength=len(t.C)).clamp(min=1)[:, None],
        "the rows went to the targets' characters: emb was read at Xb":
            lambda t, d: gathered(t, d.emb, idx=t.Yb[:, None].expand_as(t.Xb)),
    },
}


class Lines:
    """The reader's gradients against the right ones, tensor by tensor.

    t is the forward pass, truth what autograd gives, and mine the same with
    the reader's own gradients in place of those that there are.
    """

    def __init__(self, t, given):
        self.t = t
        grads = torch.autograd.grad(t.loss, [vars(t)[x] for x in LINES])
        self.truth = SimpleNamespace(**dict(zip(LINES, grads)))
        for name, value in vars(t).items():
            if isinstance(value, torch.Tensor):
                setattr(t, name, value.detach())
        self.given = {name: tensor(value) for name, value in given.items()}
        self.mine = SimpleNamespace(**{**vars(self.truth), **self.given})
        double = all(getattr(value, "dtype", None) == torch.float64
                     for value in given.values())
        self.loose = 1e-12 if double else 3e-5

    def same(self, name, a, b, d):
        """Whether a is b, for the tensor of this name, up to rounding."""
        if a.shape != b.shape:
            return False
        far = (a - b).abs()
        far[(a == b) | (a.isnan() & b.isnan())] = 0
        scale = CANCEL[name](d) if name in CANCEL else b.abs().max()
        return bool(far.max() <= self.loose * scale.nan_to_num())

    def line(self, name, d, rule=None):
        """What the line, or a wrong rule for it, gives on d; None if it
        cannot be run: a gradient of the reader's has another shape."""
        try:
            return (rule or LINES[name][1])(self.t, d)
        except (IndexError, RuntimeError):
            return None

    def right(self, name):
        want = getattr(self.truth, name)
        return self.same(name, getattr(self.mine, name), want, self.truth)

    def follows(self, name):
        """Whether the line is right, given the reader's own gradients."""
        want = self.line(name, self.mine)
        return want is not None and self.same(
            name, self.given[name], want, self.mine)

    def roots(self, name):
        """The wrong gradients, the reader's own, that this one rests on."""
        found = []
        for up in LINES[name][0]:
            if not self.right(up):
                found += self.follows(up) and self.roots(up) or [up]
        return list(dict.fromkeys(found))

    def mistake(self, name):
        """What is wrong with the line, in words."""
        got, want = self.given[name], getattr(self.truth, name)
        if got.shape != want.shape:
            return self.shape(name, got)
        if not got.isfinite().all():
            return "it holds NaN or infinity"
        for d in (self.mine, self.truth):
            want = self.line(name, d)
            for text, rule in MISTAKES[name].items():
                wrong = self.line(name, d, rule)
                if want is not None and wrong is not None and (
                        self.same(name, got, wrong, d)
                        and not self.same(name, wrong, want, d)):
                    return text
        if not got.any():
            return "it is zero everywhere: nothing was filled in"
        for d in (self.mine, self.truth):
            want = self.line(name, d)
            if want is not None and (text := self.multiple(name, got, want,
                                                           d)):
                return text
        return ("no mistake known here gives these numbers: derive the line "
                "anew, shape first")

    def multiple(self, name, got, want, d):
        """What a constant factor too many may be, or None."""
        factor = ((got * want).sum() / (want * want).sum()).item()
        if name in CANCEL or not self.same(name, got, factor * want, d):
            return None
        known = {-1: "the sign is turned",
                 self.t.n: "it is n times too large",
                 1 / self.t.n: "it is n times too small"}
        for value, text in known.items():
            if abs(factor / value - 1) < 1e-3:
                return text
        return f"it is {factor:.4g} times what it must be, everywhere"

    def shape(self, name, got):
        """What a wrong shape says."""
        true = getattr(self.truth, name)
        off, to = tuple(got.shape), tuple(true.shape)
        tell = f"shape {off}, but {name} is {to}: "

        def fits(change):
            try:
                return any(self.same(name, change(got), want, d)
                           for d in (self.mine, self.truth)
                           if (want := self.line(name, d)) is not None)
            except RuntimeError:
                return False

        if fits(lambda x: x.reshape(to)):
            return tell + "the numbers are right" + (
                "; keepdim=True keeps the axis of the sum"
                if len(off) < len(to) else ", the axes are not")
        if got.ndim == 2 and fits(lambda x: x.T):
            return tell + "the product is transposed"
        if fits(lambda x: x.sum_to_size(to)):
            return tell + (f"{name} was broadcast going forward, so going "
                           "backward the copies' gradients are summed")
        if fits(lambda x: x.expand(to)):
            return tell + ("going forward its entries were summed, so each of "
                           "them gets the gradient: expand it")
        if len({*off} - {1}) == len({*to} - {1}) == 1:
            return tell + "the sum ran over the wrong axis"
        return tell + "a gradient has the shape of its tensor"


def named(given):
    """{tensor's name: gradient}, from names with or without the d of dX."""
    found = {}
    for key, value in given.items():
        name = key if key in LINES else key.removeprefix("d")
        if name not in LINES:
            raise refusal(f"there is no tensor for {key}: the names are d and "
                          f"one of {', '.join(LINES)}")
        found[name] = value
    return found


def of_net(net):
    """The forward pass, after a look at whether the net's own still holds."""
    missing = [x for x in ("Xb", "Yb", *LEAVES) if net.get(x) is None]
    if missing:
        raise refusal(f"{', '.join(missing)} not found: run the cells of the "
                      "forward pass, then hand over globals()")
    t = forward_pass(net)
    for name in LINES:
        own = net.get(name)
        if not isinstance(own, torch.Tensor):
            continue
        want = getattr(t, name)
        if own.shape != want.shape or not (
                (tensor(own) - want).abs().max() <= 1e-3 * want.abs().max()):
            raise refusal(
                f"{name} is not what the forward pass gives: a later line "
                "changed it, or a parameter, in place. Run the forward pass "
                "again, and write d… = … for new tensors")
    return t


def lines(net, grads=None, /, **more):
    """Check gradients of the 26 tensors of exercise L5-EX1, in any subset.

    net: the names of the forward pass, as globals() has them (Xb, Yb, C, W1,
    b1, W2, b2, bngain, bnbias). The gradients come as a dict, or by name:
    ``lines(globals(), dlogprobs=dlogprobs, dprobs=dprobs)``; with none given,
    all 26 are looked up in net.
    """
    given = named({**(grads or {}), **more}) or {
        name: net.get(f"d{name}") for name in LINES}
    done = {name: given[name] for name in LINES
            if given.get(name) is not None}
    missing = [name for name in LINES if name in given and name not in done]
    if not done:
        raise refusal("not written yet: fill in "
                      + ", ".join(f"d{name}" for name in missing))
    before = {x: net[f"d{x}"] for x in LINES if x not in given
              and isinstance(net.get(f"d{x}"), torch.Tensor)}
    judged = Lines(of_net(net), {**before, **done})
    wrong = [name for name in done if not judged.right(name)]
    if not wrong and not missing:
        count = "all 26" if len(done) == len(LINES) else len(done)
        Check("lines").passed(f"{count} gradient{'s' * (len(done) != 1)}")
        return
    raise refusal(f"{len(done) - len(wrong)} of {len(given)} are right",
                  *report(judged, wrong, missing))


def report(judged, wrong, missing):
    """(kind, text) for each wrong line, what rests on it, what is missing."""
    rows, rest = [], {}
    for name in wrong:
        roots = judged.roots(name)
        if roots and judged.follows(name):
            rest.setdefault(tuple(roots), []).append(name)
        else:
            rows.append(("wrong", f"d{name}: {judged.mistake(name)}"))
    for roots, names in rest.items():
        source = " and ".join(f"d{x}" for x in roots)
        rows.append(("follows", f"{', '.join(f'd{x}' for x in names)}: right, "
                     f"given your {source}; mend {source} first"))
    if missing:
        rows.append(("missing", ", ".join(f"d{x}" for x in missing)))
    return rows


def refusal(first, *rows):
    """`Wrong` with a first line, and a row for each (kind, text)."""
    text = [textwrap.fill(f"lines: {first}", 79, subsequent_indent="  ")]
    text += [textwrap.fill(what, 79, initial_indent=f"  {kind:10}",
                           subsequent_indent=" " * 12) for kind, what in rows]
    return Wrong("\n".join(text))


# L5-EX2 -------------------------------------------------------------------


def softmax_minus_target(logits, targets):
    """The definition, example by example, in Python floats."""
    rows = []
    for z, target in zip(logits.tolist(), targets.tolist()):
        e = [torch.tensor(v - max(z)).double().exp().item() for v in z]
        rows.append([(v / sum(e) - (c == target)) / len(targets)
                     for c, v in enumerate(e)])
    return tensor(rows)


def hot(logits, targets):
    """1 at each row's target, else 0."""
    return torch.zeros_like(logits).scatter_(1, targets[:, None], 1.0)


def without_n(got, logits, targets):
    """The 1/n is missing: the loss is the mean over the n examples, so a row
    of its gradient carries 1/n."""
    yield logits.softmax(1) - hot(logits, targets)


def target_not_divided(got, logits, targets):
    """The 1/n reached the probabilities and not the one-hot target: subtract
    first, then divide."""
    yield logits.softmax(1) / len(logits) - hot(logits, targets)


def probs_not_divided(got, logits, targets):
    """The 1/n reached the one-hot target and not the probabilities: divide
    their difference."""
    yield logits.softmax(1) - hot(logits, targets) / len(logits)


def over_all_entries(got, logits, targets):
    """You divided by all n V entries: the loss is a mean over the n examples,
    each of which has one target."""
    yield (logits.softmax(1) - hot(logits, targets)) / logits.numel()


def over_symbols(got, logits, targets):
    """You divided by V: the loss is a mean over the n examples."""
    yield (logits.softmax(1) - hot(logits, targets)) / logits.shape[1]


def target_minus_probs(got, logits, targets):
    """The sign is turned: this is target minus probability, which goes down
    where the loss goes up."""
    p_minus_y = logits.softmax(1) - hot(logits, targets)
    yield from (-p_minus_y / len(logits), -p_minus_y)


def without_target(got, logits, targets):
    """The one-hot target is missing: these are the probabilities, and nothing
    pulls the target's logit up."""
    yield from (logits.softmax(1) / len(logits), logits.softmax(1))


def without_probs(got, logits, targets):
    """The probabilities are missing: this is the gradient of minus the
    target's logit, without that of log-sum-exp."""
    yield from (-hot(logits, targets) / len(logits), -hot(logits, targets))


def down_the_columns(got, logits, targets):
    """The softmax runs down the columns, over the batch: an example is a row,
    so take axis 1."""
    p = logits.softmax(0)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def over_everything(got, logits, targets):
    """One softmax over all entries of the batch: each row has its own."""
    p = logits.flatten().softmax(0).view_as(logits)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def whole_columns(got, logits, targets):
    """The 1 was subtracted in whole columns, `[:, targets] -= 1`: one entry a
    row, `[range(n), targets] -= 1`."""
    p = logits.softmax(1)
    p[:, targets] -= 1
    yield from (p / len(logits), p)


def target_as_row(got, logits, targets):
    """The target was used as a row: the one-hot 1 belongs in row i, column
    targets[i]."""
    p, n = logits.softmax(1), len(logits)
    if targets.max() < n and n <= logits.shape[1]:
        at = p.clone()
        at[targets, torch.arange(n)] -= 1
        yield from (at / n, at)
    if targets.max() < n:
        at = p.clone()
        at[targets] -= 1
        yield from (at / n, at)


def at_the_largest(got, logits, targets):
    """The 1 was subtracted at each row's largest logit: it belongs at the
    target, which the net may not have favoured."""
    largest = hot(logits, logits.argmax(1))
    yield from ((logits.softmax(1) - largest) / len(logits),
                logits.softmax(1) - largest)


def of_log_probs(got, logits, targets):
    """You took logarithms of probabilities: the gradient of log-sum-exp is the
    probabilities themselves."""
    p = logits.log_softmax(1)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def in_probs(got, logits, targets):
    """This is the gradient in the probabilities, -1 / (n p) at the targets: go
    on through the softmax to the logits."""
    y = hot(logits, targets)
    yield from (-y / logits.softmax(1) / len(logits), -y / logits.softmax(1))


def softmax_twice(got, logits, targets):
    """The softmax was applied to probabilities: the arguments are logits, one
    softmax is enough; or none is, if `p` is a softmax already."""
    p = logits.softmax(1).softmax(1)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def no_softmax(got, logits, targets):
    """The logits themselves stand where their softmax belongs."""
    yield from ((logits - hot(logits, targets)) / len(logits),
                logits - hot(logits, targets))


def overflowed(got, logits, targets):
    """Infinity over infinity: a logit of 100 is too much for exp in float32,
    and one of 1,000 in float64. Subtract each row's largest logit first."""
    if got.isnan().any() and logits.max() > 80:
        yield got


CROSS_ENTROPY_MISTAKES = [
    overflowed, without_n, target_minus_probs, without_target, without_probs,
    target_not_divided, probs_not_divided, over_all_entries, over_symbols,
    down_the_columns, over_everything, whole_columns, target_as_row,
    at_the_largest, of_log_probs, in_probs, softmax_twice, no_softmax]


def cross_entropy(dlogits_of):
    """Check the gradient of the mean cross-entropy, exercise L5-EX2.

    dlogits_of(logits (n, V) float64, targets (n,) int64) -> (n, V).
    """
    check, g = Check("cross_entropy"), torch.Generator()
    g.seed()
    cases = [("the rows [2, 0, 1] and [0, 1, 3], both of target 1",
              torch.tensor([[2.0, 0, 1], [0, 1, 3]]), torch.tensor([1, 1])),
             ("one row of equal logits, target 0: -0.75, then 0.25 thrice",
              torch.zeros(1, 4), torch.tensor([0]))]
    cases += [(f"random logits ({n}, {V})",
               2 * torch.randn(n, V, generator=g),
               torch.randint(min(n, V), (n,), generator=g))
              for n, V in ((32, 27), (5, 5), (3, 7), (9, 4), (1, 2))]
    cases += [("a row of logits -1000, 0, 1000",
               torch.tensor([[-1000.0, 0, 1000]]), torch.tensor([1]))]
    for case, logits, targets in cases:
        logits = logits.double()
        given = logits.clone(), targets.clone()
        got = tensor(check.call(dlogits_of, *given, case=case))
        unchanged(check, (logits, targets), given, ("logits", "targets"),
                  case)
        check.expect("dlogits", got, softmax_minus_target(logits, targets),
                     CROSS_ENTROPY_MISTAKES, (logits, targets), case=case,
                     atol=1e-7, rtol=1e-5)
        check.cases += 1
    check.passed()


# L5-EX3 -------------------------------------------------------------------


@torch.enable_grad()
def by_autograd(dout, x, gain, eps):
    """dx, dgain, dbias of the lecture's batch norm, from its forward pass."""
    n = len(x)
    leaves = [t.clone().requires_grad_()
              for t in (x, gain, torch.zeros_like(gain))]
    x, gain, bias = leaves
    diff = x - x.sum(0) / n
    var = (diff * diff).sum(0) / (n - 1)
    y = gain * diff / torch.sqrt(var + eps) + bias
    return torch.autograd.grad(y, leaves, dout)


def line(dout, x, gain, eps, *, m=None, s=None, itself=1.0, mean=1.0,
         spread=1.0):
    """The one expression, with m or s replaced, or its terms weighted."""
    m = m or len(x) - 1
    diff = x - x.mean(0)
    if s is None:
        s = (diff.square().sum(0) / m + eps) ** -0.5
    x_hat = diff * s
    return gain * s * (itself * dout - mean * dout.mean(0) - spread * x_hat
                       * (dout * x_hat).sum(0) / m)


def constants(got, dout, x, gain, eps):
    """Mean and variance are taken as constants: this is gain * dout / std. An
    input moves both, and through them every output."""
    yield line(dout, x, gain, eps, mean=0, spread=0)


def no_mean_path(got, dout, x, gain, eps):
    """The way through the mean is missing: take off the mean of dout. (The sum
    of dx over the batch must be zero.)"""
    yield line(dout, x, gain, eps, mean=0)


def no_variance_path(got, dout, x, gain, eps):
    """The way through the variance is missing: the term with x_hat times the
    sum of dout * x_hat. (dx must be perpendicular to x_hat, almost.)"""
    yield line(dout, x, gain, eps, spread=0)


def no_direct_path(got, dout, x, gain, eps):
    """The direct way is missing: dout itself, less what goes through mean and
    variance."""
    yield line(dout, x, gain, eps, itself=0)


def bessel_dropped(got, dout, x, gain, eps):
    """Bessel's correction is missing in the last term: with the variance over
    n - 1 its factor is n/(n - 1), or 1/(n - 1) without the n in front."""
    yield line(dout, x, gain, eps, spread=(len(x) - 1) / len(x))


def bessel_upside_down(got, dout, x, gain, eps):
    """Bessel's correction is upside down: the last term has n/(n - 1), not
    (n - 1)/n."""
    yield line(dout, x, gain, eps, spread=((len(x) - 1) / len(x)) ** 2)


def biased(got, dout, x, gain, eps):
    """This is right for the variance over n, as in nn.BatchNorm1d: the lecture
    divides by n - 1, in the standard deviation and in the last term."""
    yield line(dout, x, gain, eps, m=len(x))


def two_variances(got, dout, x, gain, eps):
    """The last term has Bessel's correction, your standard deviation does not:
    take the variance over n - 1, x.var(0)."""
    n = len(x)
    yield line(dout, x, gain, eps, m=n, spread=n / (n - 1))


def index_reused(got, dout, x, gain, eps):
    """A sum over the batch is missing, as if its index were the row of dx:
    sum over all examples j, then multiply by what belongs to row i."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    x_hat = (x - x.mean(0)) * s
    means = dout.mean(0), dout / n
    for k, mean in enumerate(means):
        for j, total in enumerate(((dout * x_hat).sum(0), dout * x_hat)):
            if k or j:
                yield gain * s * (dout - mean - x_hat * total / (n - 1))


def sums_apart(got, dout, x, gain, eps):
    """The sum of products became a product of sums: multiply dout by x_hat
    example by example, then sum."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    x_hat = (x - x.mean(0)) * s
    for total in (dout.sum(0) * x_hat, dout.sum(0) * x_hat.sum(0)):
        yield gain * s * (dout - dout.mean(0) - x_hat * total / (n - 1))
    yield gain * s * (dout - dout.mean(0)
                      - (dout * x_hat * x_hat).sum(0) / (n - 1))


def wrong_axis(got, dout, x, gain, eps):
    """A sum runs along the rows, or over everything: each channel has its own,
    down the batch, over axis 0."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    x_hat = (x - x.mean(0)) * s
    pairs = [(lambda t: t.sum(0)), (lambda t: t.sum(1, keepdim=True)),
             (lambda t: t.sum())]
    for k, of_dout in enumerate(pairs):
        for j, of_product in enumerate(pairs):
            if k or j:
                yield gain * s * (dout - of_dout(dout) / n - x_hat
                                  * of_product(dout * x_hat) / (n - 1))


def eps_outside(got, dout, x, gain, eps):
    """The epsilon is outside the root: 1 / sqrt(var + eps), not 1 / (sqrt(var)
    + eps)."""
    s = 1 / (x.var(0).sqrt() + eps)
    yield line(dout, x, gain, eps, s=s)


def eps_of_its_own(got, dout, x, gain, eps):
    """The argument `eps` has no effect: you leave it out, or use one of your
    own."""
    for other in (0.0, 1e-5, 1e-6, 1e-8):
        yield line(dout, x, gain, other)


def no_gain(got, dout, x, gain, eps):
    """The gain is missing: y = gain * x_hat + bias, so every term carries
    it."""
    yield line(dout, x, torch.ones_like(gain), eps)


def gain_twice(got, dout, x, gain, eps):
    """The gain is applied twice."""
    yield line(dout, x, gain**2, eps)


def gain_on_one_term(got, dout, x, gain, eps):
    """The gain multiplies some of the three terms and not the others: it
    belongs in front of the bracket."""
    one = torch.ones_like(gain)
    parts = [dict(mean=0, spread=0), dict(itself=0, spread=0),
             dict(itself=0, mean=0)]
    for mine in ((1, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)):
        yield sum(line(dout, x, gain if has else one, eps, **part)
                  for has, part in zip(mine, parts))


def not_divided(got, dout, x, gain, eps):
    """This is n times too large: the bracket with n * dout in it has a factor
    1/n in front."""
    yield len(x) * line(dout, x, gain, eps)


def itself_divided(got, dout, x, gain, eps):
    """The bracket is divided by n, and dout in it was not multiplied by n: n *
    dout - sum - ..., all over n."""
    yield line(dout, x, gain, eps, itself=1 / len(x))


def sums_not_divided(got, dout, x, gain, eps):
    """A sum lacks its divisor: the mean's is n, the variance's n - 1."""
    n = len(x)
    yield from (line(dout, x, gain, eps, mean=n),
                line(dout, x, gain, eps, mean=n, spread=n - 1),
                line(dout, x, gain, eps, spread=n - 1),
                line(dout, x, gain, eps, mean=n, spread=n),
                line(dout, x, gain, eps, spread=n))


def two_or_half(got, dout, x, gain, eps):
    """The last term is off by a factor of 2: the 2 of the square and the 1/2
    of the root cancel."""
    for factor in (2, 0.5, -2, -0.5):
        yield line(dout, x, gain, eps, spread=factor)


def sign_of_a_term(got, dout, x, gain, eps):
    """A sign is turned: both sums are taken off, and the whole is not
    negative."""
    yield from (line(dout, x, gain, eps, mean=-1),
                line(dout, x, gain, eps, spread=-1),
                line(dout, x, gain, eps, mean=-1, spread=-1),
                -line(dout, x, gain, eps))


def not_normalised(got, dout, x, gain, eps):
    """The last term needs x_hat, twice: the deviations or x itself stand in
    one of its places."""
    n = len(x)
    s = (x.var(0) + eps) ** -0.5
    diff = x - x.mean(0)
    x_hat = diff * s
    for a in (x_hat, diff, x):
        for b in (x_hat, diff, x):
            if a is not x_hat or b is not x_hat:
                yield gain * s * (dout - dout.mean(0) - a * (dout * b).sum(0)
                                  / (n - 1))


def times_std(got, dout, x, gain, eps):
    """The standard deviation in front multiplies, or is squared, or missing:
    the bracket is multiplied by gain / sqrt(var + eps)."""
    var = x.var(0) + eps
    right = line(dout, x, gain, eps)
    yield from (right * var, right * var.sqrt(), right / var.sqrt())


def as_it_came(got, dout, x, gain, eps):
    """This is dout, or gain * dout, as if batch norm divided by nothing."""
    yield from (dout, gain * dout)


def normalised_inputs(got, dout, x, gain, eps):
    """These are the normalised inputs, the forward pass: the gradient is asked
    for."""
    x_hat = (x - x.mean(0)) * (x.var(0) + eps) ** -0.5
    yield from (x_hat, gain * x_hat)


BATCH_NORM_MISTAKES = [
    constants, no_mean_path, no_variance_path, no_direct_path,
    bessel_dropped, bessel_upside_down, biased, two_variances, eps_outside,
    eps_of_its_own, no_gain, gain_twice, gain_on_one_term, not_divided,
    itself_divided, sums_not_divided, two_or_half, sign_of_a_term,
    index_reused, sums_apart, wrong_axis, not_normalised, times_std,
    as_it_came, normalised_inputs]


def gain_unsummed(got, dout, x, gain, eps):
    """dgain is one number a channel: sum dout * x_hat over the batch."""
    x_hat = (x - x.mean(0)) * (x.var(0) + eps) ** -0.5
    yield dout * x_hat


def bias_and_gain_swapped(got, dout, x, gain, eps):
    """dgain and dbias are swapped: return dx, dgain, dbias."""
    yield dout.sum(0)


def batch_norm(dx_of):
    """Check the gradient of the lecture's batch norm, exercise L5-EX3.

    dx_of(dout (n, C), x (n, C), gain (C,), eps) -> dx (n, C), or (dx, dgain,
    dbias); float64, training mode, the variance over n - 1.
    """
    check, g = Check("batch_norm"), torch.Generator()
    g.seed()
    cases = [(f"random numbers ({n}, {C}), eps = {eps}", n, C, eps)
             for n, C, eps in ((5, 3, 0.1), (32, 6, 1e-5), (4, 4, 1e-2),
                               (2, 3, 1.0), (9, 1, 1e-3))]
    for case, n, C, eps in cases:
        x = 1 + 2 * torch.randn(n, C, generator=g).double()
        dout = torch.randn(n, C, generator=g).double()
        gain = 1 + torch.randn(C, generator=g).double()
        inputs = dout, x, gain
        given = [t.clone() for t in inputs]
        value = check.call(dx_of, *given, eps, case=case)
        unchanged(check, inputs, given, ("dout", "x", "gain"), case)
        dx, dgain, dbias = by_autograd(*inputs, eps)
        rest = []
        if isinstance(value, (tuple, list)) and len(value) == 3:  # no n is 3
            value, *rest = value
        check.expect("dx", value, dx, BATCH_NORM_MISTAKES, (*inputs, eps),
                     case=case)
        for name, got, want, mistakes in zip(
                ("dgain", "dbias"), rest, (dgain, dbias),
                ([bias_and_gain_swapped, gain_unsummed], [])):
            got = tensor(got)
            got = got[0] if got.shape == (1, C) else got
            check.expect(name, got, want, mistakes, (*inputs, eps),
                         case=case)
        check.cases += 1
    check.passed()


# L5-EX4 --------------------------------------------------------------------

PARAMS = "C", "W1", "b1", "W2", "b2", "gain", "bias"
SHAPES = (27, 10), (30, 200), (200,), (200, 27), (27,), (200,), (200,)
BACKWARDS = "b2", "W2", "gain", "bias", "W1", "b1", "C"
EPS = 1e-5
BAR = 2.12  # nats, on the lecture's names; its own run ends at 2.1099


def before_tanh(params, idx):
    """The hidden layer's sums (N, n_hidden), which batch norm takes."""
    C, W1, b1 = params[:3]
    return C[idx].flatten(1) @ W1 + b1


def batch_loss(params, xb, yb):
    """The specification, for autograd: the loss of a batch."""
    *_, W2, b2, gain, bias = params
    x = before_tanh(params, xb)
    x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0) + EPS)
    logits = torch.tanh(gain * x_hat + bias) @ W2 + b2
    return F.cross_entropy(logits, yb)


@torch.enable_grad()
def gradients_of(params, xb, yb):
    """The specification: (loss, {name: gradient}) from autograd."""
    leaves = [p.clone().requires_grad_() for p in params]
    loss = batch_loss(leaves, xb, yb)
    return loss.detach(), dict(zip(PARAMS, torch.autograd.grad(loss, leaves)))


def net_by_hand(params, xb, yb, *, dlogits=None, dz=None, dx=None, dC=None,
                **instead):
    """{name: gradient}, with a part done differently.

    Each of dlogits, dz, dx, dC is a function of the values so far; `instead`
    gives a parameter's own gradient as such a function.
    """
    C, W1, b1, W2, b2, gain, bias = params
    n = len(xb)
    e = C[xb].flatten(1)
    x = e @ W1 + b1
    centred = x - x.mean(0)
    s = (centred.square().sum(0) / (n - 1) + EPS) ** -0.5
    x_hat = centred * s
    z = gain * x_hat + bias
    h = z.tanh()
    logits = h @ W2 + b2
    a = SimpleNamespace(**locals())
    a.onehot = F.one_hot(yb, W2.shape[1])
    a.probs = logits.softmax(1)
    a.dlogits = dlogits(a) if dlogits else (a.probs - a.onehot) / n
    a.dh = a.dlogits @ W2.T
    a.dz = dz(a) if dz else a.dh * (1 - h * h)
    a.dgain, a.dbias = (a.dz * x_hat).sum(0), a.dz.sum(0)
    a.dx = dx(a) if dx else gain * s * (
        a.dz - a.dbias / n - x_hat * a.dgain / (n - 1))
    a.de = (a.dx @ W1.T).view(*xb.shape, -1)
    dC = dC(a) if dC else torch.zeros_like(C).index_add(
        0, xb.flatten(), a.de.flatten(0, 1))
    found = dict(zip(PARAMS, (
        dC, e.T @ a.dx, a.dx.sum(0), h.T @ a.dlogits, a.dlogits.sum(0),
        a.dgain, a.dbias)))
    return found | {name: f(a) for name, f in instead.items()}


def summed_loss(got, params, xb, yb):
    """This is the sum over the batch: the loss is the mean."""
    yield gradients_of(params, xb, yb)[0] * len(xb)


def loss_in_bits(got, params, xb, yb):
    """This is in bits: use the natural logarithm."""
    yield gradients_of(params, xb, yb)[0] / 0.6931471805599453


def biased_forward(got, params, xb, yb):
    """Your batch norm divides by the biased variance, over n: this net has the
    lecture's, over n - 1."""
    yield other_norm(params, xb, yb, lambda x: x.var(0, correction=0) + EPS)


def no_eps_forward(got, params, xb, yb):
    """The epsilon is missing: divide by sqrt(var + 1e-5)."""
    yield other_norm(params, xb, yb, lambda x: x.var(0))


def eps_outside_forward(got, params, xb, yb):
    """The epsilon is outside the root: divide by sqrt(var + 1e-5)."""
    yield other_norm(params, xb, yb, lambda x: (x.std(0) + EPS) ** 2)


def eps_of_another_size(got, params, xb, yb):
    """This net's epsilon is 1e-5: you took one of another size."""
    for eps in (1e-3, 1e-4, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12):
        yield other_norm(params, xb, yb, lambda x: x.var(0) + eps)


def no_norm(got, params, xb, yb):
    """Batch norm is missing between the first layer and the tanh."""
    *_, W2, b2, gain, bias = params
    x = before_tanh(params, xb)
    for z in (x, gain * x + bias):
        yield F.cross_entropy(torch.tanh(z) @ W2 + b2, yb)


def other_norm(params, xb, yb, square):
    *_, W2, b2, gain, bias = params
    x = before_tanh(params, xb)
    x_hat = (x - x.mean(0)) / square(x).sqrt()
    return F.cross_entropy(torch.tanh(gain * x_hat + bias) @ W2 + b2, yb)


LOSS_MISTAKES = [summed_loss, loss_in_bits, biased_forward, no_eps_forward,
                 eps_outside_forward, eps_of_another_size, no_norm]


def gradient_zero(got, name, *batch):
    """It is zero: was it never filled in?"""
    if name != "b1":
        yield torch.zeros_like(net_by_hand(*batch)[name])


def not_a_mean(got, name, *batch):
    """All gradients are n times too large: the loss is a mean, so dlogits is
    (probs - onehot) / n."""
    yield net_by_hand(*batch, dlogits=lambda a: a.probs - a.onehot)[name]


def target_not_taken_off(got, name, *batch):
    """dlogits is probs / n here: take 1 off at each row's target first."""
    yield net_by_hand(*batch, dlogits=lambda a: a.probs / a.n)[name]


def turned(got, name, *batch):
    """The sign is turned: dlogits is (probs - onehot) / n, and the update
    subtracts."""
    yield net_by_hand(*batch, dlogits=lambda a: (a.onehot - a.probs) / a.n)[
        name]


def softmax_of_columns(got, name, *batch):
    """Your softmax runs over the examples: probabilities of one example sum to
    1, so take it along axis 1."""
    yield net_by_hand(*batch, dlogits=lambda a: (
        a.logits.softmax(0) - a.onehot) / a.n)[name]


def another_parameters(got, name, *batch):
    """This is another parameter's gradient: return them in the order of
    params, C, W1, b1, W2, b2, gain, bias."""
    found = net_by_hand(*batch)
    if name != "b1":
        yield from (x for other, x in found.items() if other != name)


def of_sums_not_of_tanh(got, name, *batch):
    """W2 multiplies h, which is behind the tanh: its gradient is
    h.T @ dlogits."""
    for of in ("z", "x_hat", "x"):
        yield net_by_hand(*batch, W2=lambda a: getattr(a, of).T @ a.dlogits)[
            name]


def tanh_skipped(got, name, *batch):
    """The tanh is missing on the way back: its slope is 1 - h², entry by
    entry."""
    yield net_by_hand(*batch, dz=lambda a: a.dh)[name]


def tanh_of_another_slope(got, name, *batch):
    """The slope of tanh is 1 - h², with h behind the tanh: yours is another
    one."""
    for slope in (lambda a: 1 - a.h, lambda a: 1 - a.z**2, lambda a: (
            1 - a.h.tanh() ** 2), lambda a: a.h * (1 - a.h)):
        yield net_by_hand(*batch, dz=lambda a: a.dh * slope(a))[name]


def gain_of_sums(got, name, *batch):
    """The gain multiplies x_hat, so its gradient is the sum of dz x_hat over
    the batch: you took another factor, or none, which is the bias's."""
    for factor in (lambda a: a.x, lambda a: a.z, lambda a: 1, lambda a: a.h,
                   lambda a: a.centred):
        yield net_by_hand(*batch, gain=lambda a: (a.dz * factor(a)).sum(0))[
            name]


def statistics_constant(got, name, *batch):
    """You treat mean and variance as constants. They move with every example:
    their two terms are missing in dx."""
    yield net_by_hand(*batch, dx=lambda a: a.gain * a.s * a.dz)[name]


def variance_constant(got, name, *batch):
    """In dx the term of the variance is missing, x_hat dgain / (n - 1)."""
    yield net_by_hand(*batch, dx=lambda a: a.gain * a.s * (
        a.dz - a.dbias / a.n))[name]


def mean_constant(got, name, *batch):
    """In dx the term of the mean is missing, dbias / n."""
    yield net_by_hand(*batch, dx=lambda a: a.gain * a.s * (
        a.dz - a.x_hat * a.dgain / (a.n - 1)))[name]


def biased_backward(got, name, *batch):
    """The variances do not match: forward you divide by n - 1, and in dx the
    variance's term by n."""
    yield net_by_hand(*batch, dx=lambda a: a.gain * a.s * (
        a.dz - a.dbias / a.n - a.x_hat * a.dgain / a.n))[name]


def both_unbiased(got, name, *batch):
    """In dx you divide both terms by n - 1: the mean is over n."""
    yield net_by_hand(*batch, dx=lambda a: a.gain * a.s * (
        a.dz - (a.dbias + a.x_hat * a.dgain) / (a.n - 1)))[name]


def gain_missing(got, name, *batch):
    """The gain is missing in dx: x_hat is multiplied by it."""
    yield net_by_hand(*batch, dx=lambda a: a.s * (
        a.dz - a.dbias / a.n - a.x_hat * a.dgain / (a.n - 1)))[name]


def eps_backward(got, name, *batch):
    """The epsilon is missing on the way back: use the same 1 / sqrt(var + eps)
    as forward."""
    def dx(a):
        s = a.x.var(0) ** -0.5
        x_hat = a.centred * s
        return a.gain * s * (a.dz - a.dbias / a.n - x_hat * (
            a.dz * x_hat).sum(0) / (a.n - 1))

    yield net_by_hand(*batch, dx=dx)[name]
    yield net_by_hand(*batch, dx=lambda a: a.gain * a.x.var(0) ** -0.5 * (
        a.dz - a.dbias / a.n - a.x_hat * a.dgain / (a.n - 1)))[name]


def one_bias_for_another(got, name, *batch):
    """b1's gradient is the sum of dx, in front of batch norm, and that is zero
    up to rounding: batch norm takes a constant off again. You summed what is
    behind it."""
    yield net_by_hand(*batch, b1=lambda a: a.dbias)[name]
    yield net_by_hand(*batch, b1=lambda a: a.dh.sum(0))[name]


def assigned(got, name, *batch):
    """dC is assigned, not added up: a character that occurs twice in the batch
    keeps one of its gradients. Use index_add_."""
    def dC(a, order):
        found = torch.zeros_like(a.C)
        pairs = list(zip(a.xb.flatten().tolist(), a.de.flatten(0, 1)))
        for i, row in pairs[::order]:
            found[i] = row
        return found

    yield net_by_hand(*batch, dC=lambda a: dC(a, 1))[name]
    yield net_by_hand(*batch, dC=lambda a: dC(a, -1))[name]


def one_position(got, name, *batch):
    """dC has the gradients of one position: each of the context's characters
    was looked up in C."""
    for t in range(batch[1].shape[1]):
        yield net_by_hand(*batch, dC=lambda a: torch.zeros_like(
            a.C).index_add(0, a.xb[:, t], a.de[:, t]))[name]


def positions_mixed(got, name, *batch):
    """The rows of de and the characters do not belong together: give de the
    shape (n, block_size, n_embd), example by example, as the flattening of
    C[xb] has it."""
    yield net_by_hand(*batch, dC=lambda a: torch.zeros_like(a.C).index_add(
        0, a.xb.T.flatten(), a.de.flatten(0, 1)))[name]
    yield net_by_hand(*batch, dC=lambda a: torch.zeros_like(a.C).index_add(
        0, a.xb.flip(1).flatten(), a.de.flatten(0, 1)))[name]


GRADIENT_MISTAKES = [
    gradient_zero, not_a_mean, target_not_taken_off, turned,
    softmax_of_columns, tanh_skipped, tanh_of_another_slope,
    statistics_constant, variance_constant, mean_constant, biased_backward,
    both_unbiased, gain_missing, eps_backward, one_bias_for_another,
    assigned, one_position, positions_mixed, of_sums_not_of_tanh,
    gain_of_sums, another_parameters]


def a_batch(g, n, n_embd, n_hidden, block_size, scale=1.0):
    """Random params in float64, and a batch; `scale` is that of W1."""
    sizes = ((27, n_embd), (block_size * n_embd, n_hidden), (n_hidden,),
             (n_hidden, 27), (27,), (n_hidden,), (n_hidden,))
    params = [torch.randn(size, generator=g, dtype=torch.float64)
              for size in sizes]
    params[1] *= scale
    params[3] *= n_hidden**-0.5
    xb = torch.randint(27, (n, block_size), generator=g)
    xb[: n // 2, 0] = 0  # as at the beginning of names
    return params, xb, torch.randint(27, (n,), generator=g)


def check_gradients(check, gradients, params, xb, yb, case, rounding):
    given = [*params, xb, yb]
    kept = [x.clone() for x in given]
    got = by_hand(check, gradients, params, xb, yb, case=case)
    unchanged(check, kept, given, (*PARAMS, "xb", "yb"), case)
    if len(got) != 2 or len(got[1]) != 7:
        check.fail("return the loss and a list of seven gradients, in the "
                   "order of params", input=case, got=show(got))
    loss, grads = got
    for name, p, grad in zip(PARAMS, params, grads):
        if not isinstance(grad, torch.Tensor):
            check.fail("return tensors: the update is p -= rate * grad",
                       input=case, got=f"the gradient of {name}, a "
                       f"{type(grad).__name__}")
        if grad.shape != p.shape:
            turn = grad.ndim == 2 and grad.T.shape == p.shape
            check.fail(
                "a gradient has the shape of its parameter, and they come in "
                "the order C, W1, b1, W2, b2, gain, bias"
                + (": this one is transposed" if turn else ""), input=case,
                expected=f"the gradient of {name} of shape {tuple(p.shape)}",
                got=f"{tuple(grad.shape)}")
        if grad.dtype != p.dtype:
            check.fail("the gradients have another precision than the "
                       "parameters: make new tensors with zeros_like or "
                       "new_zeros, not with a dtype of their own", input=case,
                       expected=f"the gradient of {name} in {p.dtype}",
                       got=grad.dtype)
    batch = [x.double() for x in kept[:7]], xb, yb
    want_loss, want = gradients_of(*batch)
    limits = dict(case=case, atol=rounding, rtol=10 * rounding)
    check.expect("loss", loss, want_loss, LOSS_MISTAKES, batch, **limits)
    got = dict(zip(PARAMS, grads))
    for name in BACKWARDS:  # the first that is wrong says where it begins
        check.expect(f"the gradient of {name}", got[name], want[name],
                     GRADIENT_MISTAKES, (name, *batch), **limits)
    check.cases += 1


def as_deviation(got, x):
    """The second one is a standard deviation: return the variance."""
    yield x.std(0)
    yield x.std(0, correction=0)


def as_inverse(got, x):
    """The second one is 1 / sqrt(var + eps): return the variance itself."""
    yield (x.var(0) + EPS) ** -0.5
    yield x.var(0) ** -0.5


def biased_statistics(got, x):
    """This is the biased variance, over n: in training you divide by n - 1."""
    yield x.var(0, correction=0)


def eps_included(got, x):
    """The epsilon is in the variance already: evaluation adds it once more."""
    yield x.var(0) + EPS


def of_the_first(got, x):
    """These are the statistics of a part, a batch perhaps: take all of the
    contexts that are handed over."""
    for n in (32, 64):
        yield from (part.mean(0) for part in (x[:n], x[-n:]))
        yield from (part.var(0) for part in (x[:n], x[-n:]))


def wrong_way_round(got, x):
    """Mean and variance come in the other order: return mean, var."""
    yield x.mean(0)
    yield x.var(0)


STATISTICS_MISTAKES = [as_deviation, as_inverse, biased_statistics,
                       eps_included, of_the_first, wrong_way_round]


def check_calibrate(check, calibrate, params, idx, case):
    got = by_hand(check, calibrate, params, idx, case=case)
    got = check.unpack(got, 2, "mean, var", case)
    x = before_tanh(params, idx)
    mistakes = STATISTICS_MISTAKES

    def without_b1(got, x):
        """b1 is missing, or C is of other contexts: these are the statistics
        of what batch norm takes, C[idx].flatten(1) @ W1 + b1."""
        yield (x - params[2]).mean(0)

    def behind_the_norm(got, x):
        """These are statistics of what comes out: batch norm standardises what
        goes in, C[idx].flatten(1) @ W1 + b1."""
        x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0) + EPS)
        for y in (x_hat, params[5] * x_hat + params[6], x.tanh()):
            yield from (y.mean(0), y.var(0))

    for what, value, want in zip(("mean", "var"), got, (x.mean(0), x.var(0))):
        check.expect(what, tensor(value).flatten(), want,
                     [*mistakes, without_b1, behind_the_norm], (x,),
                     case=case, atol=1e-10, rtol=1e-8)
    check.cases += 1


def check_params(check, params):
    """The validation loss, with statistics of the training names alone."""
    params = [tensor(p) for p in params]
    shapes = [tuple(p.shape) for p in params]
    sizes = [p.numel() for p in params]
    case = "params, after training"
    if len(params) != 7 or sizes != [math.prod(s) for s in SHAPES]:
        check.fail("hand over the seven tensors of the net with 12,297 "
                   "parameters, C, W1, b1, W2, b2, gain, bias", input=case,
                   expected=", ".join(map(str, SHAPES)),
                   got=", ".join(map(str, shapes)))
    params = [p.view(shape) for p, shape in zip(params, SHAPES)]
    if not all(p.isfinite().all() for p in params):
        check.fail("the training ran away: the rate is too large, or the sign "
                   "of the update is turned", input=case,
                   expected="finite numbers", got="NaN or infinity")
    splits = data.split(data.load_names())
    train, val = (data.distinct_contexts(*data.windows(part, 3))
                  for part in (splits.train, splits.val))
    x, n = before_tanh(params, train[0]), train[1].sum(1)
    mean = n @ x / n.sum()
    var = n @ (x - mean).square() / (n.sum() - 1)

    def model(idx):
        x_hat = (before_tanh(params, idx) - mean) / torch.sqrt(var + EPS)
        return torch.tanh(params[5] * x_hat + params[6]) @ params[3] + params[4]

    loss_train, loss = (
        -((counts * model(idx).log_softmax(1)).sum() / counts.sum()).item()
        for idx, counts in (train, val))
    source = data.source()
    bar = BAR if source.is_lecture else mlp.to_beat(source)
    lines = dict(input="params, with the statistics of the training names",
                 expected=f"a validation loss of at most {bar:.2f}",
                 got=f"{loss:.4f}")
    if loss > bar:
        check.fail(why_high(loss_train, loss), **lines)
    mlp.trained_on_more(check, model, splits, 3, lines)
    return f"validation loss {loss:.3f}; wanted: {bar:.2f}"


def why_high(train, val):
    """What keeps the validation loss above the bar."""
    if val > 2.8:
        return ("the net has hardly learned anything: were the parameters "
                "updated, and does the update subtract lr times the gradient?")
    if val - train > 0.1:
        return (f"the net over-fits, {train:.2f} on the training names: was "
                "it trained on a part of them?")
    return (f"the net has not finished learning, {train:.2f} on the training "
            "names: let the rate fall to zero, take more steps or a larger "
            "batch with a larger rate")


def training(gradients, calibrate, params=None):
    """Check a net trained on gradients by hand, exercise L5-EX4.

    gradients(params, xb (n, T), yb (n,)) -> (loss, grads), in the order of
    params: C, W1, b1, W2, b2, gain, bias. calibrate(params, idx (N, T)) ->
    (mean, var (n_hidden,)) of what batch norm takes. With params, the
    trained ones, their validation loss is measured too.
    """
    check, g = Check("training"), torch.Generator()
    g.seed()
    cases = [("a batch of 8, 5 hidden units", (8, 3, 5, 3), 1.0),
             ("a batch of 2, block_size 2", (2, 4, 6, 2), 1.0),
             ("a batch of 32 for the lecture's net", (32, 10, 200, 3), 0.3),
             ("hidden sums that hardly vary, so that epsilon counts",
              (16, 3, 6, 3), 1e-3)]
    for case, sizes, scale in cases:
        check_gradients(check, gradients, *a_batch(g, *sizes, scale),
                        case + ", float64", 1e-11)
    params32, xb, yb = a_batch(g, 32, 10, 20, 3)
    check_gradients(check, gradients, [p.float() for p in params32], xb, yb,
                    "a batch of 32, float32", 1e-5)
    for n in (100, 3):
        batch, idx, _ = a_batch(g, n, 3, 5, 3)
        check_calibrate(check, calibrate, batch, idx, f"{n} contexts")
    check.passed(None if params is None else check_params(check, params))


# L5-S1 ---------------------------------------------------------------------


def row_by_row(dout, q, k, v):
    """The specification: one query after the other, in plain loops.

    dout, q, k, v (T, D) float64; softmax's Jacobian entry by entry.
    """
    T, D = q.shape
    dq, dk, dv = (torch.zeros(T, D, dtype=q.dtype) for _ in range(3))
    for t in range(T):
        p = (k[:t + 1] @ q[t] / D**0.5).softmax(0)
        for j in range(t + 1):
            dv[j] += p[j] * dout[t]
            ds = sum(p[i] * (float(i == j) - p[j]) * (dout[t] @ v[i])
                     for i in range(t + 1))
            dq[t] += ds * k[j] / D**0.5
            dk[j] += ds * q[t] / D**0.5
    return dq, dk, dv


def each_head(dout, q, k, v):
    """The specification on (..., T, D)."""
    heads = [row_by_row(*head) for head in zip(
        *(x.reshape(-1, *x.shape[-2:]) for x in (dout, q, k, v)))]
    return [torch.stack(part).view(q.shape) for part in zip(*heads)]


def forward(q, k, *, scale=None, hidden=None, fill=-torch.inf, axis=-1):
    """P (..., T, T), the causal softmax, or with a part done differently."""
    T, D = q.shape[-2:]
    scores = q @ k.mT * (D**-0.5 if scale is None else scale)
    ones = torch.ones(T, T, dtype=torch.bool)
    hidden = ones.triu(1) if hidden is None else hidden(ones)
    return scores.masked_fill(hidden, fill).softmax(axis)


def softmax_back(P, dP, axis=-1):
    return P * (dP - (P * dP).sum(axis, keepdim=True))


def backward(name, dout, q, k, v, P=None, jacobian=softmax_back, scale=None):
    """dq, dk or dv, from probabilities and a Jacobian that may be wrong."""
    P = forward(q, k) if P is None else P
    if name == "dv":
        return P.mT @ dout
    dS = jacobian(P, dout @ v.mT) * (
        q.shape[-1]**-0.5 if scale is None else scale)
    return dS @ k if name == "dq" else dS.mT @ q


def scale_forgotten(got, name, dout, q, k, v):
    """The scale is missing on the way back: the logits are q·k / √D, so dq and
    dk carry 1 / √D as well."""
    yield backward(name, dout, q, k, v, scale=1.0)


def scale_twice(got, name, dout, q, k, v):
    """The scale is applied twice on the way back: divide by √D once, between
    dS and its product with k or q."""
    yield backward(name, dout, q, k, v, scale=1 / q.shape[-1])


def scale_in_front_missing(got, name, dout, q, k, v):
    """Your softmax is that of q·k: divide by √D before it, D being the last
    axis."""
    for scale in (None, 1.0):
        yield backward(name, dout, q, k, v, forward(q, k, scale=1.0),
                       scale=scale)


def scale_of_something_else(got, name, dout, q, k, v):
    """You divide by D or by √T: divide by √D, D being the last axis."""
    T, D = q.shape[-2:]
    for scale in (1 / D, T**-0.5):
        for back in (scale, None):
            yield backward(name, dout, q, k, v, forward(q, k, scale=scale),
                           scale=back)


def second_term_missing(got, name, dout, q, k, v):
    """The second term of softmax's Jacobian is missing: the probabilities of a
    row sum to 1, so raising one logit lowers the others. Take the row's sum of
    P dP off dP."""
    yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * dP)


def diagonal_alone(got, name, dout, q, k, v):
    """You took each probability for a function of its own logit, with slope
    p (1 - p). That is the diagonal of the Jacobian: the rest of it is not
    zero."""
    yield backward(name, dout, q, k, v,
                   jacobian=lambda P, dP: P * (1 - P) * dP)


def softmax_skipped(got, name, dout, q, k, v):
    """The gradient passes through the softmax unchanged: its Jacobian is
    missing."""
    for jacobian in (lambda P, dP: dP.tril(), lambda P, dP: dP):
        yield backward(name, dout, q, k, v, jacobian=jacobian)


def summed_over_queries(got, name, dout, q, k, v):
    """In the Jacobian the sum of P dP runs over the queries: a query's logits
    are a row, sum along it, over the keys, axis -1."""
    yield backward(name, dout, q, k, v,
                   jacobian=lambda P, dP: softmax_back(P, dP, -2))


def one_sum_for_all(got, name, dout, q, k, v):
    """In the Jacobian there is one sum of P dP for the whole matrix: each
    query has one of its own, over its keys."""
    for axes in ((-2, -1), tuple(range(q.ndim))):
        yield backward(name, dout, q, k, v,
                       jacobian=lambda P, dP: softmax_back(P, dP, axes))


def axis_lost(got, name, dout, q, k, v):
    """The row sums lost their axis and were subtracted along the other one:
    keepdim=True keeps it."""
    yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * (
        dP - (P * dP).sum(-1)[..., None, :]))


def not_weighted(got, name, dout, q, k, v):
    """You take the plain sum or mean of a row of dP off: weight it with P."""
    for what in (torch.Tensor.mean, torch.Tensor.sum):
        yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * (
            dP - what(dP, -1, keepdim=True)))


def second_term_added(got, name, dout, q, k, v):
    """The second term of softmax's Jacobian is added: subtract it."""
    yield backward(name, dout, q, k, v, jacobian=lambda P, dP: P * (
        dP + (P * dP).sum(-1, keepdim=True)))


def softmax_over_queries(got, name, dout, q, k, v):
    """The softmax runs over the queries: the weights of one query sum to 1, so
    take it over the keys, axis -1 of q kᵀ."""
    for hidden in (None, torch.zeros_like):
        P = forward(q, k, hidden=hidden, axis=-2)
        for axis in (-2, -1):
            yield backward(name, dout, q, k, v, P, jacobian=lambda P, dP: (
                softmax_back(P, dP, axis)))


def no_mask(got, name, dout, q, k, v):
    """There is no mask: query t sees the keys 0 to t alone."""
    yield backward(name, dout, q, k, v, forward(q, k, hidden=torch.zeros_like))


def no_mask_back(got, name, dout, q, k, v):
    """The mask is missing on the way back: the probabilities that you
    recompute there are not those of the forward pass, and later keys get a
    gradient."""
    out = forward(q, k) @ v
    P = forward(q, k, hidden=torch.zeros_like)
    yield backward(name, dout, q, k, v, P, lambda P, dP: P * (
        dP - (dout * out).sum(-1, keepdim=True)))
    yield backward(name, dout, q, k, v, jacobian=lambda _, dP: softmax_back(
        P, dP))


def masked_after(got, name, dout, q, k, v):
    """You cut the later keys off after the softmax, and the rows no longer sum
    to 1: set their logits to minus infinity before it."""
    P = forward(q, k, hidden=torch.zeros_like)
    yield backward(name, dout, q, k, v, P.tril())
    yield backward(name, dout, q, k, v, P.tril(), lambda _, dP: softmax_back(
        P, dP.tril()))


def masked_with_zero(got, name, dout, q, k, v):
    """A hidden logit of 0 still gets its share of the softmax: fill in minus
    infinity."""
    P = forward(q, k, fill=0.0)
    for jacobian in (softmax_back, lambda P, dP: softmax_back(P, dP).tril()):
        yield backward(name, dout, q, k, v, P, jacobian)


def mask_turned(got, name, dout, q, k, v):
    """The mask is turned: query t sees what comes later and not what came
    before. Hide the keys j > t, triu(1)."""
    yield backward(name, dout, q, k, v, forward(
        q, k, hidden=lambda ones: ones.tril(-1)))


def own_key_hidden(got, name, dout, q, k, v):
    """A query does not see its own position, and the first one sees nothing:
    hide the keys j > t, triu with diagonal=1."""
    yield backward(name, dout, q, k, v, forward(
        q, k, hidden=torch.Tensor.triu))


def transposed(got, name, dout, q, k, v):
    """A transpose is missing, or one too many: P and dS have a row for each
    query, so that dq = dS k, dk = dSᵀ q, dv = Pᵀ dout."""
    P = forward(q, k)
    dS = softmax_back(P, dout @ v.mT) / q.shape[-1]**0.5
    yield {"dq": dS.mT @ k, "dk": dS @ q, "dv": P @ dout}[name]
    if name != "dv":
        yield backward(name, dout, q, k, v, jacobian=lambda P, dP: (
            softmax_back(P, dP.mT)))


def with_itself(got, name, dout, q, k, v):
    """dq is made of queries, or dk of keys: the logits are q·k, so a query's
    gradient is a sum of keys, and a key's a sum of queries."""
    if name != "dv":  # with k and q exchanged behind the softmax
        yield backward(name, dout, k, q, v, forward(q, k))


def out_of_order(got, name, dout, q, k, v):
    """The three come in another order: return dq, dk, dv."""
    for other in {"dq", "dk", "dv"} - {name}:
        yield backward(other, dout, q, k, v)


def sign_turned(got, name, dout, q, k, v):
    """The sign is turned."""
    yield -backward(name, dout, q, k, v)


def of_ones(got, name, dout, q, k, v):
    """dout has no effect: these are the gradients of the sum of the output."""
    yield backward(name, torch.ones_like(dout), q, k, v)


ATTENTION_MISTAKES = [
    scale_forgotten, scale_twice, scale_in_front_missing,
    second_term_missing, diagonal_alone, no_mask, no_mask_back,
    softmax_over_queries, transposed, with_itself, out_of_order,
    summed_over_queries, one_sum_for_all, axis_lost, not_weighted,
    second_term_added, softmax_skipped, masked_after, masked_with_zero,
    mask_turned, own_key_hidden, scale_of_something_else, sign_turned,
    of_ones]


def attention(backward_pass):
    """Check the backward pass of causal attention, exercise L5-S1.

    backward_pass(dout, q, k, v) -> (dq, dk, dv), all (..., T, D), of
    softmax(q k^T / sqrt(D)) v, where no query sees a later key.
    """
    check, g = Check("attention"), torch.Generator()
    g.seed()
    cases = [
        ("T = 3, D = 2, all four random", (3, 2), 1.0),
        ("T = 5, D = 3", (5, 3), 1.0),
        ("T = D = 4", (4, 4), 1.0),
        ("2 × 3 heads at once, T = 6, D = 4", (2, 3, 6, 4), 1.0),
        ("one batch axis, T = 4, D = 5", (3, 4, 5), 1.0),
        ("T = 1: one key, nothing to choose", (1, 3), 1.0),
        ("peaked attention: logits in the hundreds", (6, 4), 300.0)]
    for case, shape, scale in cases:
        dout, q, k, v = torch.randn((4, *shape), generator=g,
                                    dtype=torch.float64)
        inputs = dout, q * scale, k, v
        kept = [x.clone() for x in inputs]
        got = by_hand(check, backward_pass, *inputs, case=case)
        unchanged(check, kept, inputs, ("dout", "q", "k", "v"), case)
        got = got if isinstance(got, (list, tuple)) else [got]
        got = check.unpack(got, 3, "dq, dk, dv", case)
        names = "dq", "dk", "dv"
        want = each_head(*kept)
        for i in (2, 0, 1):  # dv first: it tells whether P is right
            check.expect(names[i], got[i], want[i], ATTENTION_MISTAKES,
                         (names[i], *kept), case=case, atol=1e-9, rtol=1e-7)
        check.cases += 1
    check.passed()

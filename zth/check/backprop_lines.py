"""The checker of the 26 gradients of the lecture's net, one by one (L5-EX1).

What a mistake says is what the reader reads. Tensors have the lecture's names
and shapes, n examples in rows and channels in columns; dX is the gradient of
the loss in X, with the shape of X.
"""

import textwrap
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from zth.check import Wrong
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["lines"]

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
        "this is the mean over the examples: the bias was added to each of "
        "the n rows, so their gradients are summed":
            lambda t, d: d.hpreact.mean(0, True),
        "the gain does not multiply the bias": lambda t, d: (
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

"""zth.check.gpt, heads; oracle: classes planted right and wrong, all named."""

import pytest
import torch
import torch.nn.functional as F
from answers import passes, refuses
from torch import nn

from zth.check import gpt as check
from zth.gpt import CausalSelfAttention, GPTConfig


class Longhand(nn.Module):
    """A right answer, in steps that the planted ones change."""

    def __init__(self, config):
        super().__init__()
        C, T = config.n_embd, config.block_size
        self.config, self.H = config, config.n_head
        self.c_attn = nn.Linear(C, 3 * C, bias=config.bias)
        self.c_proj = nn.Linear(C, C, bias=config.bias)
        self.register_buffer("tril", torch.ones(T, T).tril())

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = map(self.apart, self.qkv(self.c_attn(x)))
        scores = q @ k.transpose(-2, -1) * self.scale(C // self.H)
        y = self.weights(scores) @ v
        return self.last(self.together(y, B, T, C), x)

    def qkv(self, rows):
        return rows.chunk(3, dim=-1)

    def apart(self, part):
        B, T, C = part.shape
        return part.view(B, T, self.H, C // self.H).transpose(1, 2)

    def scale(self, D):
        return D**-0.5

    def causal(self, scores):
        T = scores.shape[-1]
        return scores.masked_fill(self.tril[:T, :T] == 0, float("-inf"))

    def weights(self, scores):
        return self.causal(scores).softmax(-1)

    def together(self, y, B, T, C):
        return y.transpose(1, 2).contiguous().view(B, T, C)

    def last(self, y, x):
        return self.c_proj(y)


def planted(**methods):
    return type("Planted", (Longhand,), methods)


class Einsum(Longhand):
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.H, -1).unbind(2)
        scores = torch.einsum("bthd,bshd->bhts", q, k) * self.scale(C / self.H)
        future = torch.ones(T, T).triu(1).bool()
        P = torch.softmax(scores.masked_fill(future, -1e30), 3)
        return self.c_proj(torch.einsum("bhts,bshd->bthd", P, v).flatten(2))


class InALoop(Longhand):
    """Slow, and right: the heads are columns, one after the other."""

    def forward(self, x):
        D = x.shape[-1] // self.H
        q, k, v = self.c_attn(x).split(x.shape[-1], 2)
        return self.c_proj(torch.cat([F.scaled_dot_product_attention(
            *(part[..., h * D:(h + 1) * D] for part in (q, k, v)),
            is_causal=True) for h in range(self.H)], 2))


class WithDropout(Longhand):
    def last(self, y, x):
        return F.dropout(self.c_proj(y), self.config.dropout, self.training)


class LecturesDropout(Longhand):
    """Its share is a number, whatever the config says."""

    def __init__(self, config):
        super().__init__(config)
        self.drop, self.dropout = nn.Dropout(0.2), nn.Dropout(0.2)

    def weights(self, scores):
        return self.drop(super().weights(scores))

    def last(self, y, x):
        return self.dropout(self.c_proj(y))


class InSinglePrecision(Longhand):
    def weights(self, scores):
        return F.softmax(super().causal(scores), -1,
                         dtype=torch.float32).to(scores.dtype)


class InDoublePrecision(Longhand):
    """Its layers are float64, whatever x is."""

    def __init__(self, config):
        super().__init__(config)
        self.double()

    def forward(self, x):
        return super().forward(x.double()).to(x.dtype)


class ReturnsDoublePrecision(InDoublePrecision):
    def forward(self, x):
        return Longhand.forward(self, x.double())


class GrowingMask(Longhand):
    """Keeps a mask, and makes a larger one when a longer text comes."""

    kept = torch.ones(0, 0)

    def weights(self, scores):
        T = scores.shape[-1]
        if T > len(self.kept):
            self.kept = torch.ones(T, T).tril()
        return scores.masked_fill(self.kept[:T, :T] == 0, float("-inf")
                                  ).softmax(-1)


class ForEachQuery(Longhand):
    """A loop, but over the positions."""

    def forward(self, x):
        q, k, v = map(self.apart, self.c_attn(x).chunk(3, -1))
        rows = [F.scaled_dot_product_attention(
            q[:, :, t:t + 1], k[:, :, :t + 1], v[:, :, :t + 1])
            for t in range(x.shape[1])]
        return self.c_proj(torch.cat(rows, 2).transpose(1, 2).flatten(2))


class StackedChunks(Longhand):
    def forward(self, x):
        q, k, v = (torch.stack(part.chunk(self.H, -1), 1)
                   for part in self.c_attn(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(torch.cat(y.unbind(1), -1))


class WithoutSoftmax(Longhand):
    """exp, its future set to 0, divided by its sum."""

    def weights(self, scores):
        e = (scores - scores.amax(-1, keepdim=True)).exp().tril()
        return e / e.sum(-1, keepdim=True)


def fills(number):
    def weights(self, scores):
        future = torch.ones(scores.shape[-2:]).triu(1).bool()
        return scores.masked_fill(future, number).softmax(-1)

    return type("Filled", (Longhand,), {"weights": weights})


RIGHT = [CausalSelfAttention, Longhand, Einsum, WithDropout, LecturesDropout,
         InSinglePrecision, InDoublePrecision, ReturnsDoublePrecision,
         GrowingMask, ForEachQuery, StackedChunks, WithoutSoftmax,
         fills(-1e3), fills(-1e4), fills(torch.finfo(torch.float32).min),
         lambda config: Longhand(config)]


@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_answer_passes(capsys, answer):
    for _ in range(5):  # random numbers, so not by luck
        assert "loop" not in passes(capsys, check.heads, answer)


class AllocatesAndLoops(InALoop):
    """Writes each head into a table of torch's usual kind of numbers."""

    def forward(self, x):
        B, T, C = x.shape
        table = torch.zeros(B, self.H, T, C // self.H)
        for h, part in enumerate(self.c_attn(x).chunk(3 * self.H, -1)[
                :self.H]):
            table[:, h] = part
        _, k, v = map(self.apart, self.c_attn(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(table, k, v, is_causal=True)
        return self.c_proj(self.together(y, B, T, C))


@pytest.mark.parametrize("answer", [InALoop, AllocatesAndLoops])
def test_a_loop_over_heads_passes_and_is_told(capsys, answer):
    assert "loops over the heads" in passes(capsys, check.heads, answer)


def test_answers_are_judged_in_torchs_usual_numbers(capsys):
    torch.set_default_dtype(torch.float64)
    try:
        passes(capsys, check.heads, AllocatesAndLoops)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_starter_is_not_written_yet():
    class Starter(Longhand):
        def forward(self, x):
            raise NotImplementedError

    class Nothing(Longhand):
        def forward(self, x):
            pass

    def unwritten(config):
        raise NotImplementedError

    for starter in (Starter, Nothing, unwritten):
        assert "heads: not written yet" in refuses(check.heads, starter)


def wrong_view(self, part):
    B, T, C = part.shape
    return part.reshape(B, self.H, T, C // self.H)


def no_transpose(self, part):
    return part.view(*part.shape[:2], self.H, -1)


def as_it_lies(self, y, B, T, C):
    return y.reshape(B, T, C)


def far_apart(self, part):
    return part.view(*part.shape[:2], -1, self.H).permute(0, 3, 1, 2)


def softmax(mask, axis=-1, fill=float("-inf")):
    """Weights with another mask, axis or filling."""
    return lambda self, s: s.masked_fill(
        mask(torch.ones(s.shape[-2:])) == 0, fill).softmax(axis)


def order(names):
    def qkv(self, rows):
        parts = dict(zip(names, rows.chunk(3, dim=-1)))
        return parts["q"], parts["k"], parts["v"]

    return qkv


def per_head(self, rows):
    B, T, _ = rows.shape
    parts = rows.view(B, T, self.H, 3, -1).unbind(3)
    return [part.flatten(2) for part in parts]


def kernel(mask=None, **options):
    """Torch's attention; `mask` of a table of ones is its attn_mask."""
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = map(self.apart, self.qkv(self.c_attn(x)))
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask and mask(torch.ones(T, T)), **options)
        return self.last(self.together(y, B, T, C), x)

    return forward


def always_dropped(self, x):
    return kernel(is_causal=True, dropout_p=self.config.dropout)(self, x)


def some_viewed_wrongly(names):
    def forward(self, x):
        B, T, C = x.shape
        parts = zip("qkv", self.c_attn(x).chunk(3, -1))
        q, k, v = ((wrong_view if name in names else Longhand.apart)(
            self, part) for name, part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(self.together(y, B, T, C))

    return planted(forward=forward)


def keys_reshaped(first):
    """k (B, H, D, T) by a reshape of (B, T, C), or of (B, H, T, D)."""
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).chunk(3, -1)
        k = first(self, k).reshape(B, self.H, C // self.H, T)
        scores = self.apart(q) @ k * self.scale(C // self.H)
        y = self.weights(scores) @ self.apart(v)
        return self.c_proj(self.together(y, B, T, C))

    return planted(forward=forward)


def thirds(*shape, axis):
    """q, k and v by one view of c_attn(x), as (B, T, C) each."""
    def qkv(self, rows):
        B, T, C = *rows.shape[:2], rows.shape[2] // 3
        sizes = {"B": B, "T": T, "C": C, "H": self.H, "D": C // self.H, 3: 3}
        return [part.reshape(B, T, C) for part in rows.reshape(
            [sizes[axis] for axis in shape]).unbind(axis)]

    return planted(qkv=qkv)


def scaled_by_root(length):
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = map(self.apart, self.c_attn(x).chunk(3, -1))
        scores = q @ k.mT / length(self, x) ** 0.5
        return self.c_proj(self.together(self.weights(scores) @ v, B, T, C))

    return planted(forward=forward)


def scores_of(product):
    """Another product of q and k (B, H, T, D) in place of q @ k.mT."""
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = map(self.apart, self.c_attn(x).chunk(3, -1))
        y = self.weights(product(q, k) * self.scale(C // self.H)) @ v
        return self.c_proj(self.together(y, B, T, C))

    return planted(forward=forward)


def at_once(shape, cut, back=Longhand.together):
    """q, k and v by one view of c_attn(x), no axes exchanged."""
    def forward(self, x):
        B, T, C = x.shape
        sizes = {"B": B, "T": T, "H": self.H, "D": C // self.H}
        q, k, v = cut(self.c_attn(x).view(
            [eval(axis, sizes) for axis in shape.split()]))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(back(self, y, B, T, C))

    return planted(forward=forward)


def divided_twice(self, x):
    B, T, C = x.shape
    q, k, v = map(self.apart, self.c_attn(x).chunk(3, -1))
    y = F.scaled_dot_product_attention(q * self.scale(C // self.H), k, v,
                                       is_causal=True)
    return self.c_proj(self.together(y, B, T, C))


def without_heads(self, x):
    q, k, v = self.c_attn(x).chunk(3, -1)
    return self.c_proj(F.scaled_dot_product_attention(q, k, v,
                                                      is_causal=True))


def mixes_keys(self, x):
    B, T, C = x.shape
    q, k, v = map(self.apart, self.c_attn(x).chunk(3, -1))
    scores = q @ k.mT * self.scale(C // self.H)
    return self.c_proj(self.together(self.weights(scores) @ k, B, T, C))


def width_first(self, part):
    """D heads of width H."""
    return part.view(*part.shape[:2], -1, self.H).transpose(1, 2)


def kept(part):
    """A mask made at the first call, and this part of it at the next."""
    def weights(self, scores):
        T = scores.shape[-1]
        if not hasattr(self, "first"):
            self.first = torch.ones(T, T).triu(1).bool()
        now = part or slice(T)
        return scores.masked_fill(self.first[now, now], float("-inf")
                                  ).softmax(-1)

    return planted(weights=weights)


def shows_what_is_new(self, scores):
    """A mask of the first text's length; a longer one's rows see all."""
    T = scores.shape[-1]
    self.first = getattr(self, "first", T)
    seen = torch.ones(T, T).tril()
    seen[self.first:] = 1
    return scores.masked_fill(seen == 0, float("-inf")).softmax(-1)


def exp_as_it_is(small):
    """A softmax by hand that subtracts nothing before exp."""
    def weights(self, scores):
        e = self.causal(scores).exp()
        return e / (e.sum(-1, keepdim=True) + small)

    return planted(weights=weights)


def counted(self, y, x):
    self.calls = getattr(self, "calls", 0) + 1
    return self.c_proj(y) / self.calls


def lost(self, y, x):
    return self.c_proj(y[:, -1:])


PLANTED = {
    "view without the transpose, transposed back":
        (planted(apart=wrong_view), "lets a position see later ones"),
    "viewed wrongly both ways":
        (planted(apart=wrong_view, together=as_it_lies),
         "sees only its own stretch of time"),
    "not transposed back": (planted(together=as_it_lies),
                            "were reshaped to (B, T, C) as they lie"),
    "heads attend to heads": (
        planted(apart=no_transpose, together=as_it_lies,
                weights=softmax(torch.tril)), "from head to head"),
    "heads attend to heads, in the kernel": (
        planted(apart=no_transpose, together=as_it_lies,
                forward=kernel(is_causal=True)), "from head to head"),
    "scaled by n_embd": (planted(scale=lambda self, D: (
        D * self.H) ** -0.5), "the root of n_embd"),
    "not scaled": (planted(scale=lambda self, D: 1.0), "are not divided"),
    "scaled by D": (planted(scale=lambda self, D: 1 / D),
                    "its square root is asked for"),
    "multiplied": (planted(scale=lambda self, D: D**0.5),
                   "You multiplied by the root"),
    "softmax over queries": (planted(weights=softmax(torch.tril, -2)),
                             "runs over the queries"),
    "softmax over heads": (planted(weights=softmax(torch.tril, 1)),
                           "runs over the heads"),
    "mask missing": (planted(forward=kernel()), "The mask is missing"),
    "mask turned": (planted(weights=softmax(torch.triu)),
                    "the wrong way round"),
    "mask strict": (planted(weights=softmax(lambda o: o.tril(-1))),
                    "Keep the diagonal"),
    "mask inverted": (planted(weights=softmax(lambda o: o.triu(1))),
                      "The mask is inverted"),
    "mask inverted, filled with a large number": (planted(weights=softmax(
        lambda o: o.triu(1), fill=-1e9)), "The mask is inverted"),
    "mask inverted, in the kernel": (planted(forward=kernel(
        lambda o: o.triu(1).bool())), "The mask is inverted"),
    "mask strict, filled with a large number": (planted(weights=softmax(
        lambda o: o.tril(-1), fill=-1e9)), "Keep the diagonal"),
    "mask strict, in the kernel": (planted(forward=kernel(
        lambda o: o.tril(-1).bool())), "Keep the diagonal"),
    "mask late by one": (planted(weights=softmax(lambda o: o.tril(1))),
                         "sees the next one too"),
    "mask added": (planted(forward=kernel(torch.tril)),
                   "A mask of ones and zeros was added"),
    **{f"mask of {fill}": (fills(float(fill)), "are not low enough")
       for fill in (-2, -10, -20, -25, -32, -35, -38, -50, -100, -300)},
    **{f"{fill} added": (planted(forward=kernel(
        lambda o, fill=fill: fill * o.triu(1))), "are not low enough")
       for fill in (-10, -25, -32, -50)},
    "exp as it is": (exp_as_it_is(0), "You took exp of the scores"),
    "exp as it is, a small number below": (exp_as_it_is(1e-9),
                                           "You took exp of the scores"),
    "a mask kept": (kept(slice(None)), "something made for the first is kept"),
    "a mask kept and cut": (kept(None),
                            "something made for the first is kept"),
    "a longer text unmasked": (planted(weights=shows_what_is_new),
                               "something made for the first is kept"),
    "keys by queries": (scores_of(lambda q, k: k @ q.mT),
                        "Query and key have changed places"),
    "queries by queries": (scores_of(lambda q, k: q @ q.mT),
                           "queries with queries"),
    "keys by keys": (scores_of(lambda q, k: k @ k.mT), "keys with keys"),
    "weights @ k": (planted(forward=mixes_keys), "The weights mix the keys"),
    "divided twice by the root": (planted(forward=divided_twice),
                                  "its square root is asked for"),
    "divided after the softmax": (
        planted(scale=lambda self, D: 1.0, weights=lambda self, s: (
            self.causal(s).softmax(-1) / (
                self.config.n_embd / self.H) ** 0.5)),
        "after the softmax: divide the scores"),
    "no heads": (planted(forward=without_heads), "The heads are forgotten"),
    "no heads, divided by the root of D": (
        planted(apart=lambda self, part: part[:, None]),
        "The heads are forgotten"),
    "D heads of width H": (planted(apart=width_first),
                           "D heads of width H"),
    "D heads of width H, in the kernel": (
        planted(apart=width_first, forward=kernel(is_causal=True)),
        "D heads of width H"),
    **{f"{shape} at once, {name} back": (
        at_once(shape, cut, back), "with T behind the heads")
       for shape, cut in (
           ("B 3 H T D", lambda rows: rows.unbind(1)),
           ("3 B H T D", lambda rows: rows.unbind(0)),
           ("B 3*H T D", lambda rows: rows.chunk(3, 1)),
           ("B H T 3*D", lambda rows: rows.chunk(3, -1)),
           ("B H T 3 D", lambda rows: rows.unbind(3)))
       for name, back in (("transposed", Longhand.together),
                          ("viewed", as_it_lies))},
    "mask of 1e-9": (planted(weights=softmax(torch.tril, fill=1e-9)),
                     "exp(0) = 1"),
    "infinity times 0": (planted(weights=lambda self, s: (
        s - torch.inf * (1 - torch.ones_like(s).tril())).softmax(-1)),
        "or infinity times 0"),
    "q viewed wrongly": (some_viewed_wrongly("q"), "You viewed q as"),
    "k viewed wrongly": (some_viewed_wrongly("k"), "You viewed k as"),
    "v viewed wrongly": (some_viewed_wrongly("v"), "You viewed v as"),
    "q and k viewed wrongly": (some_viewed_wrongly("qk"),
                               "You viewed q and k as"),
    "keys reshaped": (keys_reshaped(lambda self, k: k),
                      "You made k (B, H, D, T) by view"),
    "keys reshaped, not transposed": (keys_reshaped(Longhand.apart),
                                      "You made k (B, H, D, T) by view"),
    "parts last": (thirds("B", "T", "H", "D", 3, axis=-1),
                   "as (B, T, H, D, 3)"),
    "parts before the batch": (thirds(3, "B", "T", "C", axis=0),
                               "with the 3 before T"),
    "parts before the text": (thirds("B", 3, "T", "C", axis=1),
                              "with the 3 before T"),
    "scaled by H": (scaled_by_root(lambda self, x: self.H),
                    "the root of another length"),
    "scaled by T": (scaled_by_root(lambda self, x: x.shape[1]),
                    "the root of another length"),
    "softmax over examples": (planted(weights=softmax(torch.tril, 0)),
                              "over the examples"),
    "softmax over examples, filled with a large number": (
        planted(weights=softmax(torch.tril, 0, -1e9)), "over the examples"),
    "softmax over heads, filled with a large number": (
        planted(weights=softmax(torch.tril, 1, -1e9)), "runs over the heads"),
    "half precision": (planted(weights=lambda self, s: self.causal(
        s).bfloat16().softmax(-1).to(s.dtype)), "half precision"),
    "examples mixed": (planted(last=lambda self, y, x: self.c_proj(
        y - y.mean(0))), "depends on another example"),
    "not scaled, no mask": (
        planted(scale=lambda self, D: 1.0,
                weights=lambda self, s: s.softmax(-1)),
        "depends on a later input"),
    "a window": (planted(weights=softmax(lambda o: o.tril().triu(-2))),
                 "does not depend on all inputs"),
    "projected twice": (planted(last=lambda self, y, x: self.c_proj(
        self.c_proj(y))), "but not by the right numbers"),
    "one position": (planted(last=lost), "has the shape of x"),
    "gradient of NaN": (planted(weights=lambda self, s: Longhand.weights(
        self, s + torch.sqrt(s - s))), "gradient in x is NaN"),
    "dropout of the lecture's share left on": (
        planted(last=lambda self, y, x: F.dropout(self.c_proj(y), 0.2)),
        "dropout is on in evaluation mode"),
    "another in training": (
        planted(weights=lambda self, s: (s if self.training else self.causal(
            s)).softmax(-1)), "in training mode it is another"),
    "counts its calls": (planted(last=counted), "leaves something behind"),
    "written over": (planted(weights=lambda self, s: self.causal(
        s).softmax(-1).mul_(1.0).exp_().log_().mul_(1.0)),
        "modified by an inplace operation"),
    "mask of zeros": (planted(weights=softmax(torch.tril, fill=0.0)),
                      "exp(0) = 1"),
    "mask too late": (planted(
        weights=lambda self, s: s.softmax(-1).tril()), "does not sum to one"),
    "mask not cut": (planted(weights=lambda self, s: s.masked_fill(
        self.tril == 0, float("-inf")).softmax(-1)), "cut the mask to"),
    "channels of a head far apart": (planted(
        apart=far_apart, together=lambda self, y, B, T, C: y.permute(
            0, 2, 3, 1).reshape(B, T, C)), "are H apart here"),
    "concatenated in another order": (planted(
        together=lambda self, y, B, T, C: y.permute(0, 2, 3, 1).reshape(
            B, T, C)), "concatenated in another order"),
    "heads backwards": (planted(
        together=lambda self, y, B, T, C: y.flip(1).transpose(1, 2).flatten(
            2)), "concatenated in another order"),
    "key, query, value": (planted(qkv=order("kqv")),
                          "Query and key have changed places"),
    "query, value, key": (planted(qkv=order("qvk")), "in another order: the "
                          "first C rows"),
    "value first": (planted(qkv=order("vqk")), "in another order: the first "
                    "C rows"),
    "mixed per head": (planted(qkv=per_head), "You take the rows of c_attn "
                       "head by head"),
    "projection not called": (planted(last=lambda self, y, x: y),
                              "The projection is missing: c_proj comes last"),
    "residual inside": (planted(last=lambda self, y, x: x + self.c_proj(y)),
                        "that is the block's task"),
    "dropout left on": (planted(forward=always_dropped),
                        "dropout is on in evaluation mode"),
    "detached": (planted(weights=lambda self, s: Longhand.weights(
        self, s).detach()), "its gradient in x is not"),
    "without gradients": (planted(forward=torch.no_grad()(Longhand.forward)),
                          "no gradient comes back"),
    "a tuple": (planted(last=lambda self, y, x: (y, None)),
                "returns one tensor"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_named_and_no_other(name):
    answer, fragment = PLANTED[name]
    said = refuses(check.heads, answer)
    assert {f for _, f in PLANTED.values() if f in said} == {fragment}


def test_sizes_typed_in_are_not_called_a_mask():
    """A case with shorter texts is the first where they do not fit."""
    def apart(self, part):
        return part.view(*part.shape[:2], 3, 4).transpose(1, 2)

    said = refuses(check.heads, planted(apart=apart))
    assert "raised RuntimeError" in said and "cut the mask" not in said


def lacking(**layers):
    """An answer whose layers are these, by name."""
    class Lacking(Longhand):
        def __init__(self, config):
            super().__init__(config)
            for name, make in layers.items():
                setattr(self, name, make(config))

    return Lacking


@pytest.mark.parametrize("layers, fragment", [
    ({"c_proj": lambda config: nn.Identity()}, "the projection is missing: "
     "make self.c_proj"),
    ({"heads": lambda config: nn.Linear(2, 2)}, "no list of heads is left"),
    ({"c_attn": lambda config: nn.Linear(config.n_embd, config.n_embd)},
     "of all heads at once"),
    ({"c_attn": lambda config: nn.Linear(config.n_embd, 3 * config.n_embd)},
     "the config says bias=False"),
    ({"c_attn": lambda config: nn.Linear(
        config.n_embd, 3 * config.n_embd, bias=False)},
     "pass bias=config.bias to both"),
])
def test_other_parameters_are_refused(layers, fragment):
    assert fragment in refuses(check.heads, lacking(**layers))


def test_the_class_is_asked_for():
    model = Longhand(GPTConfig(5, 4, 1, 2, 8))
    assert "hand over the class itself" in refuses(check.heads, model)
    said = refuses(check.heads, lambda config: [1, 2])
    assert "make it a class" in said


def test_a_view_of_what_is_not_contiguous_shows_torchs_advice():
    answer = planted(together=lambda self, y, B, T, C: y.transpose(
        1, 2).view(B, T, C))
    said = refuses(check.heads, answer)
    assert "raised RuntimeError" in said and "reshape" in said

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

    def weights(self, scores):
        T = scores.shape[-1]
        return scores.masked_fill(self.tril[:T, :T] == 0,
                                  float("-inf")).softmax(-1)

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


RIGHT = [CausalSelfAttention, Longhand, Einsum, InALoop, WithDropout,
         lambda config: Longhand(config)]


@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_answer_passes(capsys, answer):
    passes(capsys, check.heads, answer)


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


def kernel(**options):
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = map(self.apart, self.qkv(self.c_attn(x)))
        y = F.scaled_dot_product_attention(q, k, v, **options)
        return self.last(self.together(y, B, T, C), x)

    return forward


def always_dropped(self, x):
    return kernel(is_causal=True, dropout_p=self.config.dropout)(self, x)


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
    "key, query, value": (planted(qkv=order("kqv")), "in another order: the "
                          "first C rows"),
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

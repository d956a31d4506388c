"""GPT with what later papers changed; it differs from zth.gpt in this file.

Rotary positions, norms without weights (of queries and keys as well), a
squared ReLU, branches and a head that start at zero, a head of its own, and
embeddings of the last few tokens together. Shapes as in zth.gpt.
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from zth.gpt import MLP, CausalSelfAttention, GPTConfig, check_length


@dataclass(frozen=True)
class ModernConfig(GPTConfig):
    """A GPT's size, and the n-grams that are embedded.

    For each n in `ngrams` the last n tokens together have one of `buckets`
    embeddings; a prime number of them spreads the n-grams best.
    """

    bias: bool = False
    ngrams: tuple[int, ...] = ()
    buckets: int = 16381

    def __post_init__(self):
        super().__post_init__()
        if self.n_embd // self.n_head % 2:
            raise ValueError(f"n_embd / n_head = "
                             f"{self.n_embd // self.n_head}: must be even")
        if min(self.ngrams, default=2) < 2:
            raise ValueError(f"ngrams = {self.ngrams}: each must be at "
                             "least 2")
        if self.buckets < 1:
            raise ValueError(f"buckets = {self.buckets}: must be at least 1")


def rms_norm(x):
    """x (..., C) divided by the root of its mean square over C.

    Layer norm without the mean and without weights. Zhang and Sennrich
    (2019).
    """
    eps = torch.finfo(x.dtype).eps
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps)


def angles(block_size, D):
    """The angle (block_size, D / 2) of each pair of channels: t / 10000^s.

    s grows from 0 to nearly 1 with the pair, so that some turn by one radian
    a position and some hardly at all.
    """
    share = torch.arange(D // 2) / (D // 2)
    return torch.outer(torch.arange(block_size), 10_000.0**-share)


def rotate(x, angle):
    """x (..., T, D), its pairs (x[d], x[d + D/2]) turned by angle (T, D / 2).

    The product of a query turned at t and a key turned at s depends on the
    difference t - s alone. Su et al. (2021), rotary position embedding.
    """
    a, b = x.chunk(2, dim=-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def ngram_rows(idx, n, vocab_size, buckets):
    """For each position of idx (B, T) the row of its last n ids, int64 (B, T).

    The n ids are the digits of a number to the base vocab_size + 1, of which
    the remainder by `buckets` is taken (Rabin and Karp); before the first
    token all digits are 0. Different n-grams may share a row.
    """
    T = idx.shape[1]
    digits = F.pad(idx + 1, (n - 1, 0))  # (B, n - 1 + T)
    row = torch.zeros_like(idx)
    for k in range(n):
        row = (row * (vocab_size + 1) + digits[:, k:k + T]) % buckets
    return row


class RotaryAttention(CausalSelfAttention):
    """Attention whose queries and keys are normed and turned."""

    def __init__(self, config):
        super().__init__(config)
        angle = angles(config.block_size, config.n_embd // config.n_head)
        self.register_buffer("angle", angle, persistent=False)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.n_head, -1).transpose(1, 2)  # (B, H, T, D)
            for part in self.c_attn(x).split(C, dim=2))
        q, k = (rotate(rms_norm(part), self.angle[:T]).to(v.dtype)
                for part in (q, k))
        y = F.scaled_dot_product_attention(
            q, k, v, is_causal=True,
            dropout_p=self.dropout if self.training else 0.0)
        y = y.transpose(1, 2).reshape(B, T, C)
        return self.resid_dropout(self.c_proj(y))


class SquaredMLP(MLP):
    """The MLP with the square of a ReLU in the middle. So et al. (2021)."""

    def forward(self, x):
        return self.dropout(self.c_proj(F.relu(self.c_fc(x)).square()))


class ModernBlock(nn.Module):
    """GPT's block, its norms without weights: (B, T, C) to the same."""

    def __init__(self, config):
        super().__init__()
        self.attn = RotaryAttention(config)
        self.mlp = SquaredMLP(config)

    def forward(self, x):
        x = x + self.attn(rms_norm(x))
        return x + self.mlp(rms_norm(x))


class ModernGPT(nn.Module):
    """Ids (B, T) to logits (B, T, V) of the token after each position.

    A new model's branches and head are zero: its loss is exactly ln V.
    ValueError if T exceeds block_size.
    """

    def __init__(self, config, *, generator=None):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.grams = nn.ModuleList(
            nn.Embedding(config.buckets, config.n_embd)
            for _ in config.ngrams)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(
            ModernBlock(config) for _ in range(config.n_layer))
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        for name, p in self.named_parameters():
            if name.endswith(("c_proj.weight", "bias")) or name.startswith(
                    ("lm_head", "grams")):
                nn.init.zeros_(p)
            else:  # inputs of variance 1 give outputs of variance 1
                nn.init.normal_(p, std=config.n_embd**-0.5,
                                generator=generator)

    def forward(self, idx):
        config = self.config
        check_length(idx, config.block_size)
        x = self.wte(idx)  # (B, T, C)
        for n, table in zip(config.ngrams, self.grams):
            x = x + table(ngram_rows(idx, n, config.vocab_size,
                                     config.buckets))
        x = self.drop(rms_norm(x))
        for block in self.h:
            x = block(x)
        return self.lm_head(rms_norm(x))

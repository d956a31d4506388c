"""GPT: predict each next token from the tokens up to it, by attention.

Shapes: B examples, T positions, C channels (n_embd), H heads (n_head),
D = C / H channels a head, V vocabulary. The parameters have GPT-2's names.
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class GPTConfig:
    """The size of a GPT; GPT-2 is GPTConfig(50257, 1024, 12, 12, 768).

    `dropout` is the share of numbers that training sets to zero; without
    `bias`, linear layers and layer norms only multiply.
    """

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self):
        for name in ("vocab_size", "block_size", "n_layer", "n_head",
                     "n_embd"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be "
                                 "at least 1")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd = {self.n_embd}: must be a multiple of "
                             f"n_head = {self.n_head}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout = {self.dropout}: must be from 0 to "
                             "below 1")


class CausalSelfAttention(nn.Module):
    """Each position's mixture of the values at it and before it.

    x (B, T, C) to (B, T, C). All heads are one class: they lie side by side
    on an axis of their own, as examples do. Vaswani et al. (2017).
    """

    def __init__(self, config):
        super().__init__()
        C = config.n_embd
        self.c_attn = nn.Linear(C, 3 * C, bias=config.bias)
        self.c_proj = nn.Linear(C, C, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)
        self.n_head, self.dropout = config.n_head, config.dropout

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.n_head, -1).transpose(1, 2)  # (B, H, T, D)
            for part in self.c_attn(x).split(C, dim=2))
        # softmax(q kᵀ / sqrt(D), the future masked) v, in one fast kernel
        y = F.scaled_dot_product_attention(
            q, k, v, is_causal=True,
            dropout_p=self.dropout if self.training else 0.0)
        y = y.transpose(1, 2).reshape(B, T, C)  # the heads side by side
        return self.resid_dropout(self.c_proj(y))


class MLP(nn.Module):
    """What each position does with what it gathered: (B, T, C) to same."""

    def __init__(self, config):
        super().__init__()
        C = config.n_embd
        self.c_fc = nn.Linear(C, 4 * C, bias=config.bias)
        self.c_proj = nn.Linear(4 * C, C, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        x = F.gelu(self.c_fc(x), approximate="tanh")  # GPT-2's GELU
        return self.dropout(self.c_proj(x))


class Block(nn.Module):
    """Gather, then compute; each adds to x (B, T, C) what it found."""

    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Ids (B, T) to logits (B, T, V) of the token after each position.

    Weights start normal with standard deviation 0.02, those that end in the
    sum over 2 n_layer branches with 0.02 / sqrt(2 n_layer); a new model's
    loss is near ln V. One matrix embeds tokens and scores them (lm_head).
    ValueError if T exceeds block_size. Radford et al. (2019), GPT-2.
    """

    def __init__(self, config, *, generator=None):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.ndim == 2:  # the norms' gains stay 1
                branch = name.endswith("c_proj.weight")
                std = 0.02 / (2 * config.n_layer) ** 0.5 if branch else 0.02
                nn.init.normal_(p, std=std, generator=generator)

    def forward(self, idx):
        T = check_length(idx, self.config.block_size)
        position = torch.arange(T, device=idx.device)
        x = self.drop(self.wte(idx) + self.wpe(position))  # (B, T, C)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def check_length(idx, block_size):
    """The number T of positions in idx (B, T), which block_size bounds."""
    if idx.ndim != 2 or not 1 <= idx.shape[1] <= block_size:
        raise ValueError(
            f"idx of shape {tuple(idx.shape)}: must be (B, T) with T from 1 "
            f"to block_size = {block_size}")
    return idx.shape[1]


def in_bfloat16(model):
    """The model, its matrix products in bfloat16 on a GPU; returns it.

    Weights, norms and logits stay float32: torch's autocast decides.
    """
    forward = torch.autocast("cuda", dtype=torch.bfloat16)(model.forward)
    model.forward = lambda idx: forward(idx).float()
    return model

"""Lecture 7's ladder on tiny Shakespeare, from bigram to norms: loss.

Each stage as the lecture had it when it quoted the number: batches of 32, 8
positions, 32 channels, AdamW, and all draws, those of the evaluations too,
from one generator in the lecture's order. Scores are divided by the root of
n_embd = 32 there, also with heads of width 8: `scale` says by which.
`curve` holds rows of step, training and validation loss, each the mean of
200 random batches; `val` is the loss after the last step on every character
of the last tenth but its first, in blocks of 8.
"""

import itertools
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from zth.data import CharVocab, load_text
from zth.text import blocks, random_blocks, split_text
from zth.train import evaluate

STAGES = ["bigram", "head", "heads", "feed-forward", "blocks", "norm"]
CASES = [{"stage": "norm", "scale": "n_embd", "seed": 1337, "steps": 20,
          "dtype": "float64"}]  # repeats to the last digits on any machine
CASES += [{"stage": stage, "scale": scale, "seed": seed,
           "steps": 3000 if stage == "bigram" else 5000, "dtype": "float32"}
          for stage, scale, seed in itertools.product(
              reversed(STAGES), ("n_embd", "head_size"), (1337, 1, 2))
          if scale == "n_embd" or stage in ("heads", "norm")]
VOLATILE = {"cpu_seconds"}
DATA, WORKERS = "tinyshakespeare.txt", 12
T, C = 8, 32  # block_size, n_embd


class Head(nn.Module):
    def __init__(self, D, scale):
        super().__init__()
        self.key = nn.Linear(C, D, bias=False)
        self.query = nn.Linear(C, D, bias=False)
        self.value = nn.Linear(C, D, bias=False)
        self.scale = {"n_embd": C, "head_size": D}[scale] ** -0.5
        self.register_buffer("tril", torch.tril(torch.ones(T, T)))

    def forward(self, x):
        t = x.shape[1]
        wei = self.query(x) @ self.key(x).transpose(1, 2) * self.scale
        wei = wei.masked_fill(self.tril[:t, :t] == 0, float("-inf"))
        return wei.softmax(-1) @ self.value(x)


class Heads(nn.Module):
    def __init__(self, n_head, scale, proj):
        super().__init__()
        self.heads = nn.ModuleList(Head(C // n_head, scale)
                                   for _ in range(n_head))
        self.proj = nn.Linear(C, C) if proj else nn.Identity()

    def forward(self, x):
        return self.proj(torch.cat([head(x) for head in self.heads], -1))


class Block(nn.Module):
    def __init__(self, scale, norm):
        super().__init__()
        self.sa = Heads(4, scale, proj=True)
        self.ffwd = nn.Sequential(nn.Linear(C, 4 * C), nn.ReLU(),
                                  nn.Linear(4 * C, C))
        self.ln1, self.ln2 = (nn.LayerNorm(C) if norm else nn.Identity()
                              for _ in range(2))

    def forward(self, x):
        x = x + self.sa(self.ln1(x))
        return x + self.ffwd(self.ln2(x))


class Model(nn.Module):
    def __init__(self, stage, vocab_size, scale):
        super().__init__()
        self.tok = nn.Embedding(vocab_size, C)
        self.pos = nn.Embedding(T, C)
        if stage in ("head", "heads"):
            body = [Heads({"head": 1, "heads": 4}[stage], scale, proj=False)]
        elif stage == "feed-forward":
            body = [Heads(4, scale, proj=False), nn.Linear(C, C), nn.ReLU()]
        else:
            body = [Block(scale, stage == "norm") for _ in range(3)]
            body += [nn.LayerNorm(C)] if stage == "norm" else []
        self.body = nn.Sequential(*body)
        self.lm_head = nn.Linear(C, vocab_size)

    def forward(self, idx):
        x = self.tok(idx) + self.pos(torch.arange(idx.shape[1]))
        return self.lm_head(self.body(x))


def measure(stage, scale, seed, steps, dtype):
    text = load_text(DATA)
    vocab = CharVocab(sorted(set(text)))
    parts = split_text(vocab.encode(text))
    torch.manual_seed(seed)
    model = (nn.Embedding(len(vocab), len(vocab)) if stage == "bigram"
             else Model(stage, len(vocab), scale))
    model.to(getattr(torch, dtype))
    adam = torch.optim.AdamW(model.parameters(),
                             lr=1e-2 if stage == "bigram" else 1e-3)
    batch, val_batch = (random_blocks(
        part, T, 32, generator=torch.default_generator) for part in parts)
    every = 300 if stage == "bigram" else 500
    curve, start = [], time.process_time()
    for step in range(steps):
        if step % every == 0 or step == steps - 1:
            curve.append([step, *(
                sum(evaluate(model, *draw()) for _ in range(200)) / 200
                for draw in (batch, val_batch))])
        xb, yb = batch()
        loss = F.cross_entropy(model(xb).flatten(0, 1), yb.flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
    return {"parameters": sum(p.numel() for p in model.parameters()),
            "curve": curve, "val": evaluate(model, *blocks(parts[1], T)),
            "cpu_seconds": time.process_time() - start}

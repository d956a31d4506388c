"""A training step of each model of the record `modern`: CPU time.

The models train in turn, a few steps each, again and again, so that what
else the machine does slows all of them alike. `cpu_ms` has a number a round.
`unturned` is `learned positions` with an attention that turns nothing, where
the record's turns by zero, which costs time and changes nothing.
"""

import hashlib
import runpy
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from zth.data import CharVocab, load_text
from zth.modern import RotaryAttention, rms_norm
from zth.text import random_blocks, split_text
from zth.train import train

CASES = [{"rounds": 1, "steps": 1}, {"rounds": 15, "steps": 10}]
VOLATILE = {"cpu_ms"}
DATA = "tinyshakespeare.txt"
SCRIPT = Path(__file__).with_name("modern.py")


class Unturned(RotaryAttention):
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.n_head, -1).transpose(1, 2)
                   for part in self.c_attn(x).split(C, dim=2))
        y = F.scaled_dot_product_attention(
            rms_norm(q), rms_norm(k), v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))


def trainings(text):
    """For each model its training, which yields after each step."""
    modern = runpy.run_path(str(SCRIPT))
    models = {name: how for name, how in modern["MODELS"].items()
              if name not in ("quick", "without the end")}
    models["unturned"] = models["learned positions"]
    vocab = CharVocab(sorted(set(text)))
    part = split_text(vocab.encode(text))[0]
    for name, how in models.items():
        g = torch.Generator().manual_seed(1)
        net, optimizer = modern["start"](how, len(vocab), g)
        if name == "unturned":
            for block in net.h:
                block.attn.__class__ = Unturned
        batch = random_blocks(part, how["block_size"], how["batch_size"],
                              generator=g)
        batch = modern["noisy"](batch, how.get("noise"), len(vocab), g)
        yield name, train(net, batch, optimizer, steps=1000, lr=how["lr"],
                          clip=1.0)


def measure(rounds, steps):
    models = dict(trainings(load_text(DATA)))
    loss = {name: next(run).loss.item() for name, run in models.items()}
    assert loss["unturned"] == loss["learned positions"]
    ms = {name: [] for name in models}
    for _ in range(rounds):
        for name, run in models.items():
            clock = time.process_time()
            for _ in range(steps):
                next(run)
            ms[name].append(round(
                (time.process_time() - clock) / steps * 1000, 2))
    return {"script": hashlib.sha256(SCRIPT.read_bytes()).hexdigest(),
            "cpu_ms": ms}

"""A GPT on tiny Shakespeare on one CPU thread: one feature after another.

Every model learns from the last 95 % of the training text (`without the end`
from the first) and takes about as many CPU seconds as nanoGPT's CPU recipe,
but for `large`, which takes twice as many. `val` is the loss on every
character of the last tenth of the text but its first, in consecutive blocks;
`train` the same of as many characters at the end of what was learnt. Where a
row has `mixed`, the model is mixed with a Kneser-Ney n-gram; the weight is
chosen on the first 5 % of the training text, which only the n-gram that is
used in the end has counted.
"""

import os
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from zth.data import CharVocab, load_text
from zth.gpt import GPT, MLP, Block, GPTConfig
from zth.modern import ModernConfig, ModernGPT
from zth.muon import Muon, muon_groups
from zth.ngram import KneserNey
from zth.text import blocks, random_blocks, split_text
from zth.train import cosine, decay_groups, evaluate, train

SIZE = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64,
        "dropout": 0.0}
NANOGPT = SIZE | {"batch_size": 12, "steps": 2000, "warmup": 100, "lr": 1e-3,
                  "final": 1e-4, "betas": (0.9, 0.99)}
RATE = NANOGPT | {"lr": 4e-3, "final": 0.0}
BATCH = RATE | {"batch_size": 32, "steps": 640, "warmup": 50}
SHALLOW = BATCH | {"n_layer": 2, "steps": 1280}
BLOCK = SHALLOW | {"modern": True, "betas": (0.9, 0.95), "steps": 880}
MUON = BLOCK | {"muon": True, "steps": 820}
GRAMS = MUON | {"buckets": 16381}
ONE = GRAMS | {"ngrams": (2, 3, 4), "n_layer": 1, "steps": 1080}
LARGE = MUON | {"n_layer": 3, "steps": 1260, "mix": True}
MODELS = {
    "quick": ONE | {"n_embd": 32, "steps": 20, "warmup": 5, "quick": True,
                    "buckets": 1021},
    "large": LARGE,
    "large, n-grams of 2": LARGE | {"ngrams": (2,), "buckets": 4231},
    "nanoGPT's recipe": NANOGPT,
    "rate": RATE, "batch": BATCH, "shallow": SHALLOW,
    "block": BLOCK, "muon": MUON,
    "n-grams of 2": GRAMS | {"ngrams": (2,), "steps": 740},
    "n-grams of 2, 3": GRAMS | {"ngrams": (2, 3), "steps": 720},
    "n-grams of 2, 3, 4": GRAMS | {"ngrams": (2, 3, 4), "steps": 680},
    "n-grams of 2 to 5": GRAMS | {"ngrams": (2, 3, 4, 5), "steps": 640},
    "one layer": ONE | {"mix": True},
    "noise": ONE | {"noise": 0.1, "mix": True},
    "dropout": ONE | {"dropout": 0.1},
    "without the end": ONE | {"without_end": True},
    "learned positions": MUON | {"swap": "positions"},
    "layer norm": MUON | {"swap": "norm"},
    "GELU": MUON | {"swap": "gelu"},
}
CASES = [{"model": "quick", "seed": 1}] + [
    {"model": model, "seed": seed} for model in list(MODELS)[1:]
    for seed in (1, 2, 3)]
VOLATILE = {"seconds", "curve", "mix_seconds"}
DATA, WORKERS = "tinyshakespeare.txt", min(12, os.cpu_count())


class Positions(nn.Module):
    """An embedding of tokens to which a learned one of places is added."""

    def __init__(self, wte, block_size):
        super().__init__()
        self.wte = wte
        self.wpe = nn.Parameter(torch.zeros(block_size, wte.embedding_dim))

    def forward(self, idx):
        return self.wte(idx) + self.wpe[:idx.shape[1]]


def swap(net, what, generator):
    """The modern net with GPT-2's way of doing one thing."""
    config = net.config
    for i, block in enumerate(net.h):
        if what == "positions":
            block.attn.angle.zero_()
        elif what == "norm":
            net.h[i] = Block(config)  # it has layer norms
            net.h[i].attn, net.h[i].mlp = block.attn, block.mlp
        elif what == "gelu":
            block.mlp = MLP(config)
            for p in block.mlp.parameters():
                nn.init.normal_(p, std=config.n_embd**-0.5,
                                generator=generator)
            nn.init.zeros_(block.mlp.c_proj.weight)
    if what == "positions":
        net.wte = Positions(net.wte, config.block_size)


def start(how, vocab_size, generator):
    """The model and its optimizer."""
    size = {name: how[name] for name in SIZE}
    adamw = {"betas": how["betas"], "fused": True}
    if not how.get("modern"):
        net = GPT(GPTConfig(vocab_size, **size, bias=False),
                  generator=generator)
    else:
        net = ModernGPT(ModernConfig(
            vocab_size, **size, ngrams=how.get("ngrams", ()),
            buckets=how.get("buckets", 1)), generator=generator)
        swap(net, how.get("swap"), generator)
    if not how.get("muon"):
        groups = decay_groups(net.parameters(), 0.1)
        return net, torch.optim.AdamW(groups, **adamw)
    return net, Muon(muon_groups(net, 0.1), **adamw)


def noisy(batch, share, vocab_size, generator):
    """The batches with a share of their inputs replaced by random ids."""
    def changed():
        xb, yb = batch()
        other = torch.randint(vocab_size, xb.shape, generator=generator)
        hit = torch.rand(xb.shape, generator=generator) < share
        return torch.where(hit, other, xb), yb

    return changed if share else batch


def of_targets(net, ids, block_size):
    """The net's probability of each of the ids but the first."""
    net.eval()
    idx, targets = blocks(ids, block_size)
    with torch.no_grad():
        logp = torch.cat([net(xb).double().log_softmax(-1)
                          for xb in idx.split(64)])
    p = logp.exp().gather(2, targets.clamp(min=0)[..., None])[..., 0]
    return p[targets != -1]


def counted(part, ids, vocab_size, n=7):
    """Kneser-Ney's probability of each of the ids but the first.

    `part` is counted. Before `ids` stand zeros, newlines.
    """
    model = KneserNey(n, vocab_size=vocab_size)
    model.fit(part.unfold(0, n - 1, 1)[:-1], part[n - 1:])
    near = F.pad(ids, (n - 2, 0))  # n - 1 ids before each target
    return torch.cat([
        model.probs(idx).gather(1, targets[:, None])[:, 0] for idx, targets
        in zip(near.unfold(0, n - 1, 1)[:-1].split(20_000),
               ids[1:].split(20_000))])


def nll(p):
    return -p.log().mean().item()


def mixed(net, part, held, val, vocab_size, block_size):
    """The mixture with an n-gram: its weight, and its losses."""
    clock = time.process_time()
    a = of_targets(net, held, block_size)
    b = counted(part, held, vocab_size)
    weights = torch.linspace(0, 1, 101, dtype=torch.float64).tolist()
    curve = [nll(w * a + (1 - w) * b) for w in weights]
    weight = weights[min(range(101), key=curve.__getitem__)]
    a = of_targets(net, val, block_size)
    b = counted(torch.cat([held, part]), val, vocab_size)
    found = {"weight": weight, "counted": nll(b),
             "mixed": nll(weight * a + (1 - weight) * b),
             "held_curve": curve[::5],
             "val_curve": [nll(w * a + (1 - w) * b) for w in weights[::5]]}
    return found | {"mix_seconds": time.process_time() - clock}


def measure(model, seed):
    how = MODELS[model]
    text = load_text(DATA)
    vocab = CharVocab(sorted(set(text)))
    training, val_part = split_text(vocab.encode(text))
    n = int(0.05 * len(training))
    held, part = training[:n], training[n:]
    if how.get("without_end"):
        part = training[:-n]
    val = blocks(val_part, how["block_size"])
    seen = blocks(part[-len(val_part):], how["block_size"])
    torch.manual_seed(seed)  # of dropout
    g = torch.Generator().manual_seed(seed)
    net, optimizer = start(how, len(vocab), g)
    if how.get("quick"):
        net.double()  # which repeats on any machine
        val, seen = ([part[:50] for part in data] for data in (val, seen))
    batch = random_blocks(part, how["block_size"], how["batch_size"],
                          generator=g)
    batch = noisy(batch, how.get("noise"), len(vocab), g)
    rate = cosine(how["lr"], how["steps"], warmup=how["warmup"],
                  final=how["final"])
    curve, spent, clock = [], 0.0, time.process_time()
    for step in train(net, batch, optimizer, steps=how["steps"], lr=rate,
                      clip=1.0):
        if step.number % (how["steps"] // 5) == 0:
            spent += time.process_time() - clock
            curve.append([step.number, round(spent, 2), round(
                evaluate(net, *val, batch_size=64), 4)])
            print(model, seed, *curve[-1], flush=True)
            clock = time.process_time()
    found = {"steps": how["steps"],
             "parameters": sum(p.numel() for p in net.parameters()),
             "train": evaluate(net, *seen, batch_size=64),
             "val": evaluate(net, *val, batch_size=64),
             "curve": curve, "seconds": spent}
    if how.get("mix"):
        found |= mixed(net, part, held, val_part, len(vocab),
                       how["block_size"])
    return found

"""GPTs of lecture 7's size on tiny Shakespeare, on a GPU: validation loss.

`lecture` has the lecture's recipe with GPT-2's structure, `modern` differs
from it in MODERN, and in a row's `change`. `val` is the loss on every
character of the last tenth but its first, in consecutive blocks; `val_200`
the lecture's measure, 200 random batches. Seconds are of all cases side by
side on one GPU.
"""

import time

import torch

from zth.data import CharVocab, load_text
from zth.gpt import GPT, GPTConfig, in_bfloat16
from zth.modern import ModernConfig, ModernGPT
from zth.muon import Muon, muon_groups
from zth.sample import generate
from zth.text import blocks, random_blocks, split_text
from zth.train import cosine, evaluate, train

LECTURE = {"n_layer": 6, "n_head": 6, "n_embd": 384, "block_size": 256,
           "dropout": 0.2, "batch_size": 64, "lr": 3e-4, "steps": 5000}
MODERN = LECTURE | {"n_layer": 4, "ngrams": (2, 3, 4), "buckets": 4093,
                    "dropout": 0.3, "lr": 4e-3, "weight_decay": 0.1,
                    "noise": 0.1, "steps": 2500}
CASES = [{"model": model, "change": {}, "seed": seed}
         for model in ("modern", "lecture") for seed in (1, 2, 3)]
VOLATILE = {"seconds"}
DEVICE, DATA, WORKERS = "cuda", "tinyshakespeare.txt", len(CASES)


def start(how, vocab_size, generator, device):
    """The model, its optimizer and its rate."""
    size = {name: how[name] for name in (
        "n_layer", "n_head", "n_embd", "block_size", "dropout")}
    fused = {"fused": device == "cuda"}
    if "ngrams" not in how:
        model = GPT(GPTConfig(vocab_size, **size), generator=generator)
        optimizer = torch.optim.AdamW(model.to(device).parameters(), **fused)
        return model, optimizer, how["lr"]
    model = ModernGPT(ModernConfig(vocab_size, **size, ngrams=how["ngrams"],
                                   buckets=how["buckets"]),
                      generator=generator).to(device)
    optimizer = Muon(muon_groups(model, how["weight_decay"]),
                     betas=(0.9, 0.95), **fused)
    return model, optimizer, cosine(how["lr"], how["steps"],
                                    warmup=how["steps"] // 25)


def noisy(batch, share, vocab_size, generator):
    """The batches with a share of their inputs replaced by random ids."""
    def changed():
        xb, yb = batch()
        other = torch.randint(vocab_size, xb.shape, generator=generator)
        hit = torch.rand(xb.shape, generator=generator) < share
        return torch.where(hit.to(xb.device), other.to(xb.device), xb), yb

    return changed if share else batch


def measure(model, change, seed, device=DEVICE):
    how = {"lecture": LECTURE, "modern": MODERN}[model] | change
    text = load_text(DATA)
    vocab = CharVocab(sorted(set(text)))
    part, val_part = split_text(vocab.encode(text).to(device))
    val = blocks(val_part, how["block_size"])
    seen = blocks(part[-len(val_part):], how["block_size"])
    torch.manual_seed(seed)  # of dropout
    g = torch.Generator().manual_seed(seed)
    net, optimizer, lr = start(how, len(vocab), g, device)
    if device == "cuda":
        in_bfloat16(net)
    batch = random_blocks(part, how["block_size"], how["batch_size"],
                          generator=g)
    batch = noisy(batch, how.get("noise"), len(vocab), g)
    clip = 1.0 if model == "modern" else None
    curve, spent, clock = [], 0.0, time.perf_counter()
    for step in train(net, batch, optimizer, steps=how["steps"], lr=lr,
                      clip=clip):
        if step.number % (how["steps"] // 20) == 0:
            step.loss.item()  # waits for the device
            spent += time.perf_counter() - clock
            curve.append([step.number, round(spent, 1), *(
                round(evaluate(net, *data, batch_size=64), 4)
                for data in (seen, val))])
            clock = time.perf_counter()
    if device == "cuda":
        del net.forward  # from here on in float32
    random = random_blocks(val_part, how["block_size"], how["batch_size"],
                           generator=torch.Generator().manual_seed(0))
    text = generate(net, vocab.encode("\n")[None].to(device), 300,
                    block_size=how["block_size"], generator=g)
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "train": evaluate(net, *seen, batch_size=64),
        "val": evaluate(net, *val, batch_size=64),
        "val_200": sum(evaluate(net, *random(), batch_size=64)
                       for _ in range(200)) / 200,
        "lowest_val": min(row[3] for row in curve),
        "sample": vocab.decode(text[0]), "curve": curve, "seconds": spent}

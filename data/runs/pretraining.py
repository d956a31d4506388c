"""A GPT that reads eleven classics, then tiny Shakespeare, or the latter only.

One model (`one layer` of the record `modern`) and one text to choose on, the
first 5 % of tiny Shakespeare's training text. A finetuned arm starts from the
weights after its steps on the classics, of which every paragraph that shares
30 characters with tiny Shakespeare is cut out; a scratch arm starts anew.
A curve's points are [step, loss held out, validation loss], six of them.
`pretraining` holds [step, train, held out], both of the classics: every
hundredth 1000 characters are held out, and those after them stand for what is
learnt. `zero_shot` are the two losses before any finetuning. An arm's name
tells its steps on the classics and on tiny Shakespeare, and the latter's rate.
"""

import copy
import os
import time

import torch

from zth.classics import BOOKS, CHARS, clean, cut, shared
from zth.data import CharVocab, load_text
from zth.modern import ModernConfig, ModernGPT
from zth.muon import Muon, muon_groups
from zth.text import blocks, random_blocks, split_text
from zth.train import cosine, evaluate, train

SHORT, LONG = (240, 120), (1440, 480)  # steps on the two texts
RATE, BLOCK, BATCH = 4e-3, 64, 32
CASES = [{"start": "quick", "seed": 1}] + [
    {"start": start, "seed": seed} for seed in (1, 2, 3)
    for start in ("classics", "scratch")]
VOLATILE = {"seconds"}
DATA, WORKERS = "tinyshakespeare.txt", min(12, os.cpu_count())


def new(vocab_size, seed, n_embd=128, buckets=16381):
    return ModernGPT(ModernConfig(
        vocab_size, block_size=BLOCK, n_layer=1, n_head=4, n_embd=n_embd,
        ngrams=(2, 3, 4), buckets=buckets),
        generator=torch.Generator().manual_seed(seed))


def fit(net, ids, texts, steps, rate, seed):
    """Train the net; its losses on both texts at six steps, and seconds."""
    g = torch.Generator().manual_seed(100 + seed)
    optimizer = Muon(muon_groups(net, 0.1), betas=(0.9, 0.95), fused=True)
    batch = random_blocks(ids, BLOCK, BATCH, generator=g)
    curve, spent, clock = [], 0.0, time.process_time()
    for step in train(net, batch, optimizer, steps=steps, clip=1.0,
                      lr=cosine(rate, steps, warmup=min(50, steps // 4))):
        if step.number % (steps // 6) == 0:
            spent += time.process_time() - clock
            curve.append([step.number, *losses(net, texts)])
            print(len(ids), rate, *curve[-1], round(spent, 1), flush=True)
            clock = time.process_time()
    return curve, spent


def losses(net, texts):
    return [round(evaluate(net, *blocks(ids, BLOCK), batch_size=64), 6)
            for ids in texts]


def of_classics(shakespeare, vocab):
    """What is learnt of the classics, a part of it, and what is held out."""
    books = "\n\n".join(map(clean, map(load_text, BOOKS)))
    while places := shared(books, shakespeare):
        books = cut(books, places)
    ids = vocab.encode(books)
    pieces = ids[:len(ids) // 1000 * 1000].view(-1, 1000)
    apart = torch.arange(len(pieces)) % 100 == 0
    return (pieces[~apart].flatten(), pieces[1::100].flatten(),
            pieces[apart].flatten())


def measure(start, seed):
    text, quick = load_text(DATA), start == "quick"
    vocab = CharVocab(sorted(set(text)))
    training, val = split_text(vocab.encode(text))
    n = int(0.05 * len(training))
    held, part = training[:n], training[n:]
    found = {"arms": {}, "seconds": {}}

    def arm(net, before, steps, divisor=1):
        name = f"{before} + {steps}, rate / {divisor}"
        found["arms"][name], found["seconds"][name] = fit(
            copy.deepcopy(net), part, texts, steps, RATE / divisor, seed)

    texts = (held[:3000], val[:3000]) if quick else (held, val)
    if start == "scratch":
        for steps in (*(n for budget in (SHORT, LONG)
                        for n in (budget[1], sum(budget))), 2 * LONG[1]):
            arm(new(len(vocab), seed), 0, steps)
        return found
    if quick:  # it needs no classics, and repeats on any machine
        first = part[:n]
        learnt, near, apart = first[:-4000], first[-4000:-2000], first[-2000:]
    else:
        assert "".join(vocab.itos.values()) == CHARS
        learnt, near, apart = of_classics(text, vocab)
    found |= {"pretraining": {}, "zero_shot": {}, "characters": len(learnt)}
    for before, steps in [(12, 6)] if quick else [SHORT, LONG]:
        net = (new(len(vocab), seed, n_embd=32, buckets=1021).double()
               if quick else new(len(vocab), seed))
        found["pretraining"][before], found["seconds"][before] = fit(
            net, learnt, (near, apart), before, RATE, seed)
        found["zero_shot"][before] = losses(net, texts)
        for divisor in (1, 3):
            arm(net, before, steps, divisor)
    return found

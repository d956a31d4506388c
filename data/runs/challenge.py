"""Beating the lecture's tree: seven nets on its split, over seeds.

All take AdamW, with a warm-up and a cosine to zero. Trees and flat nets read 8
characters; the last three nets read whole names, and a batch is then so many
names. `nine tenths` rows are trained without the last tenth of train,
and measured on it: they are there to choose the weight of a mixture.
"""

import time

import torch
import torch.nn.functional as F
from torch import nn

from zth.data import load_names, split, windows
from zth.layers import (BatchNorm1d, Embedding, FlattenConsecutive, Layer,
                        Linear, Sequential, Tanh)
from zth.ngram import KneserNey
from zth.train import cosine, decay_groups, evaluating, sampler, train
from zth.wavenet import WaveNet

RECIPES = {  # batch, peak rate, weight decay, steps
    "short tree": (256, 0.003, 0.2, 9_000),
    "tree": (256, 0.003, 0.1, 18_000),
    "tree, ReLU": (256, 0.003, 0.1, 18_000),
    "flat": (256, 0.003, 0.1, 18_000),
    "flat, ReLU": (256, 0.003, 0.1, 18_000),
    "gated": (64, 0.004, 0.1, 10_000),
    "GRU": (64, 0.004, 0.05, 9_000),
    "transformer": (64, 0.004, 0.1, 6_000),
}
JOINED = {"flat": (8,), "flat, ReLU": (8,)}  # else the tree's (2, 2, 2)
ALSO = {"nine tenths": ["GRU", "flat, ReLU"],
        "distinct": ["GRU", "flat, ReLU"]}
CASES = [{"recipe": "short tree", "names": "all", "seed": 1, "steps": 20,
          "dtype": "float64"}] + [
    {"recipe": recipe, "names": names, "seed": seed,
     "steps": RECIPES[recipe][3], "dtype": "float32"}
    for recipe in list(RECIPES)[:0:-1]  # the longest first
    for names in ("all", "nine tenths", "distinct")
    if names == "all" or recipe in ALSO[names] for seed in (1, 2, 3)]
VOLATILE, WORKERS = {"cpu_seconds", "curve"}, 12
WEIGHTS = torch.linspace(0, 1, 51, dtype=torch.float64)  # of the count model
OFTEN = torch.tensor([1, 4, 16, 64])  # contexts: 0, 1-3, 4-15, 16-63, more
GROUPS = 100


class ReLU(Layer):
    """max(x, 0), of which training drops a share."""

    def __init__(self, dropped):
        self.dropped = dropped

    def __call__(self, x):
        return F.dropout(x.relu(), self.dropped, self.training)


def joining(recipe, generator, n_embd=24):
    """A tree, or all 8 characters joined at once, of about 76,000 numbers."""
    joined = JOINED.get(recipe, (2, 2, 2))
    n_hidden, relu = 343 if joined == (8,) else 128, "ReLU" in recipe
    layers, fan_in = [Embedding(27, n_embd, generator=generator)], n_embd
    for n in joined:
        layers += [FlattenConsecutive(n), Linear(
            n * fan_in, n_hidden, bias=relu, generator=generator)]
        layers += [ReLU(0.1)] if relu else [BatchNorm1d(n_hidden), Tanh()]
        fan_in = n_hidden
    last = Linear(n_hidden, 27, generator=generator)
    with torch.no_grad():
        last.weight *= 0.1
    return Sequential(*layers, last)


class GRU(nn.Module):
    """Two layers of gated recurrent units."""

    def __init__(self, n_embd=64, n_hidden=128, dropout=0.2):
        super().__init__()
        self.embed = nn.Embedding(27, n_embd)
        self.rnn = nn.GRU(n_embd, n_hidden, 2, batch_first=True,
                          dropout=dropout)
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(n_hidden, 27)

    def forward(self, idx):
        h, _ = self.rnn(self.drop(self.embed(idx)))
        return self.head(self.drop(h))


class Transformer(nn.Module):
    """Three blocks of four heads; positions are learned."""

    def __init__(self, longest, width=64, dropout=0.05):
        super().__init__()
        self.embed = nn.Embedding(27, width)
        self.position = nn.Embedding(longest, width)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout, F.gelu, batch_first=True,
            norm_first=True) for _ in range(3))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 27)
        for table in (self.embed, self.position):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, idx):
        T = idx.shape[1]
        ahead = torch.full((T, T), float("-inf")).triu(1)
        x = self.embed(idx) + self.position.weight[:T]
        for block in self.blocks:
            x = block(x, src_mask=ahead, is_causal=True)
        return self.head(self.norm(x))


def whole(names, longest, before):
    """Ids (N, before + longest), targets (N, longest), -1 behind the end.

    `before` more dots stand in front, for a model that reads a context.
    """
    idx = torch.zeros(len(names), before + longest, dtype=torch.int64)
    targets = torch.full((len(names), longest), -1)
    for row, name in enumerate(names):
        ids = torch.tensor([ord(c) - 96 for c in name])
        idx[row, before + 1:before + 1 + len(ids)] = ids
        targets[row, :len(ids)] = ids
        targets[row, len(ids)] = 0
    return idx, targets


def of_whole(names, longest, before, batch_size, generator):
    """A batch function of whole names, cut behind the batch's longest."""
    idx, targets = whole(names, longest, before)
    lengths = (targets >= 0).sum(1)

    def batch():
        ix = torch.randint(len(idx), (batch_size,), generator=generator)
        T = int(lengths[ix].max())
        return idx[ix, :before + T], targets[ix, :T]

    return batch


def build(recipe, longest, generator):
    if recipe == "gated":
        return WaveNet(27, 48, 96, 3, generator=generator)
    if recipe == "GRU":
        return GRU()
    if recipe == "transformer":
        return Transformer(longest)
    return joining(recipe, generator)


def probabilities(net, inputs, targets):
    """(N, 27) float64 of all the targets, in the order of `windows`."""
    with evaluating(net):
        return torch.cat([net(x)[y >= 0].double().softmax(-1) for x, y in zip(
            inputs.split(2048), targets.split(2048))])


def loss(p, targets):
    return -p.gather(1, targets[:, None]).log()[:, 0]


def parts(p, targets, names, known, often):
    """Where the loss lies: groups of names, new names, rare contexts; and how
    often the likeliest character is right, by its probability.
    """
    ends = (targets == 0).long()
    nll, name = loss(p, targets), ends.cumsum(0) - ends
    is_new = torch.tensor([name not in known for name in names])[name]
    top, guess = p.max(1)
    group, shelf = name % GROUPS, torch.bucketize(often, OFTEN, right=True)
    tenth = (top * 10).long().clamp(max=9)
    right = (guess == targets).double()

    def sums(which, n, *values):
        return [torch.zeros(n, dtype=torch.float64).index_add(
            0, which, v).tolist() for v in (torch.ones_like(nll), *values)]

    return {"new": nll[is_new].mean().item(),
            "groups": sums(group, GROUPS, nll)[1],
            "contexts": sums(shelf, len(OFTEN) + 1, nll),
            "calibration": sums(tenth, 10, top, right)}


def measure(recipe, names, seed, steps, dtype):
    every = load_names()
    longest = max(map(len, every)) + 1
    splits = split(dict.fromkeys(every) if names == "distinct" else every)
    fitted, scored = splits.train, splits.val
    if names == "nine tenths":
        cut = len(fitted) * 9 // 10
        fitted, scored = fitted[:cut], fitted[cut:]
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    net = build(recipe, longest, g)
    for tensor in [*net.parameters(), *net.buffers()]:
        tensor.data = tensor.data.to(getattr(torch, dtype))
    batch_size, peak, weight_decay, _ = RECIPES[recipe]
    before = {"gated": 7, "GRU": 0, "transformer": 0}.get(recipe)

    def examples(part):
        return (windows(part, 8) if before is None
                else whole(part, longest, before))

    held = examples(scored)
    idx, targets = windows(scored, 8)
    batch = (sampler(*windows(fitted, 8), batch_size, generator=g)
             if before is None else
             of_whole(fitted, longest, before, batch_size, g))
    optimizer = torch.optim.AdamW(
        decay_groups(net.parameters(), weight_decay), betas=(0.9, 0.99),
        fused=True)
    lr = cosine(peak, steps, warmup=steps // 20)
    curve, spent, clock = [], 0.0, time.process_time()
    for step in train(net, batch, optimizer, steps=steps, lr=lr):
        if step.number % (steps // 10) == 0:
            spent += time.process_time() - clock
            p = probabilities(net, *held)
            curve.append([step.number, spent, loss(p, targets).mean().item()])
            clock = time.process_time()
    sample = fitted[:len(scored)]
    found = {"parameters": sum(p.numel() for p in net.parameters()),
             "val": curve[-1][2], "train": loss(
                 probabilities(net, *examples(sample)),
                 windows(sample, 8)[1]).mean().item(),
             "curve": curve, "cpu_seconds": spent}
    counted = KneserNey(6).fit(*windows(fitted, 5))
    often = counted.tables[0][counted.code(idx)].sum(1)
    found |= parts(p, targets, scored, set(fitted), often)
    mixed = [(p, counted.probs(idx), targets, "mixture")]
    if recipe == "GRU" and names == "all":  # the recipe chosen
        idx, targets = windows(splits.test, 8)
        mixed += [(probabilities(net, *examples(splits.test)),
                   counted.probs(idx), targets, "test")]
    for p, q, targets, name in mixed:
        found[name] = [loss((1 - w) * p + w * q, targets).mean().item()
                       for w in WEIGHTS]
    return found

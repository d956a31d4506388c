"""Ideas of Bengio and others (2003), each alone, on the tuned small net.

`mixture` rows, and `large mixture` with a net that reads 6 characters, choose
the weight of the count model on a tenth of train.
"""

import time

import torch
import torch.nn.functional as F

from zth.data import distinct_contexts, load_names, split, windows
from zth.ngram import KneserNey
from zth.train import cosine, decay_groups, evaluate, evaluating, train

SMALL = {"block_size": 3, "n_embd": 10, "n_hidden": 200, "bend": torch.tanh}
LARGE = {"block_size": 6, "n_embd": 24, "n_hidden": 400, "bend": torch.relu,
         "dropout": 0.2}
SHAPES = {"direct": SMALL | {"direct": True},
          "wider": SMALL | {"n_hidden": 214}, "large mixture": LARGE}
IDEAS = ["baseline", "direct", "wider", "unigram bias", "mixture",
         "1/(1+rt)", "constant", "one drop", "large mixture"]
RATES = {"1/(1+rt)": [(0.02, 9), (0.02, 99), (0.04, 9), (0.04, 99)],
         "constant": [(0.02, None), (0.005, None)],
         "large mixture": [(0.01, None)]}
CASES = [{"idea": "baseline", "rate": 0.02, "rT": None, "seed": 1,
          "dtype": "float64", "steps": 20}] + [
    {"idea": idea, "rate": rate, "rT": rT, "seed": seed, "dtype": "float32",
     "steps": 2_000 if idea == "large mixture" else 1_500}
    for idea in IDEAS for rate, rT in RATES.get(idea, [(0.02, None)])
    for seed in (1, 2, 3)]
VOLATILE = {"cpu_seconds"}


class Net:
    """The lecture's net: logits of hidden units, and of the points directly.
    """

    training = True

    def __init__(self, generator, dtype, *, block_size, n_embd, n_hidden,
                 bend, dropout=0.0, direct=False):
        self.bend, self.dropout, self.generator = bend, dropout, generator
        self.block_size, fan_in = block_size, block_size * n_embd
        sizes = ((27, n_embd), 1), ((fan_in, n_hidden), 1.6 / fan_in**0.5), (
            n_hidden, 0.01), ((n_hidden, 27), 0.01), (27, 0)
        self.parameters = [
            (torch.randn(size, generator=generator) * scale).to(dtype)
            for size, scale in sizes]
        if direct:  # without a path at first: the same net as the baseline
            self.parameters.append(torch.zeros(fan_in, 27, dtype=dtype))
        for p in self.parameters:
            p.requires_grad_()

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def __call__(self, idx):
        C, W1, b1, W2, b2, *direct = self.parameters
        x = F.embedding(idx, C).flatten(1)
        h = self.bend(x @ W1 + b1)
        if self.training and self.dropout:
            keep = torch.empty_like(h).bernoulli_(1 - self.dropout,
                                                  generator=self.generator)
            h = h * keep / (1 - self.dropout)
        logits = h @ W2 + b2
        return logits + x @ direct[0] if direct else logits


def schedule(idea, rate, rT, steps):
    """The paper's schedule has r T steps' worth of decay at the end."""
    return {"1/(1+rt)": lambda done: rate / (1 + rT * done / steps),
            "constant": lambda done: rate,
            "one drop": lambda done: rate / (1 if done < steps // 2 else 10),
            }.get(idea, cosine(rate, steps, warmup=steps // 50))


def fit(idea, rate, rT, seed, dtype, steps, names, val=None):
    """The trained net; its curve of validation losses; CPU seconds."""
    g = torch.Generator().manual_seed(seed)
    net = Net(g, getattr(torch, dtype), **SHAPES.get(idea, SMALL))
    contexts, counts = distinct_contexts(*windows(names, net.block_size))
    total = counts.sum(1)
    if idea == "unigram bias":
        with torch.no_grad():
            net.parameters[4] += (counts.sum(0) / counts.sum()).log()

    def batch():
        ix = total.multinomial(512, replacement=True, generator=g)
        return contexts[ix], (counts / total[:, None])[ix]

    optimizer = torch.optim.AdamW(decay_groups(net.parameters, 0.1))
    curve = [[0, evaluate(net, *val)]] if val else []
    spent, clock = 0.0, time.process_time()
    for step in train(net, batch, optimizer, steps=steps,
                      lr=schedule(idea, rate, rT, steps)):
        if val and (step.number in (10, 30, 100)
                    or step.number % (steps // 5) == 0):
            spent += time.process_time() - clock
            curve.append([step.number, evaluate(net, *val)])
            clock = time.process_time()
    return net, curve, spent


def probabilities(model, examples):
    """The probability of each target, float64 (N,)."""
    idx, targets = examples
    with evaluating(model):
        p = (model.probs(idx) if hasattr(model, "probs")
             else model(idx).double().softmax(1))
    return p.gather(1, targets[:, None])[:, 0]


def mixture(idea, names, val, **how):
    """Losses against the count model's weight, held out and on validation.

    The weight comes from the last tenth of the names, which neither model
    has seen; then both are fitted again, on all the names.
    """
    rest, held = names[:len(names) * 9 // 10], names[len(names) * 9 // 10:]
    weights = torch.linspace(0, 1, 101, dtype=torch.float64)
    found = {}
    for part, fitted, scored in (("held_out", rest, held),
                                 ("val", names, val)):
        net, _, _ = fit(idea, names=fitted, **how)
        p = probabilities(net, windows(scored, net.block_size))
        for n in (3, 6):
            counted = KneserNey(n).fit(*windows(fitted, n - 1))
            q = probabilities(counted, windows(scored, n - 1))
            found[f"{part}_{n}"] = [
                -((1 - w) * p + w * q).log().mean().item() for w in weights]
    return found


def measure(idea, **how):
    splits = split(load_names())
    if "mixture" in idea:
        return mixture(idea, splits.train, splits.val, **how)
    val = windows(splits.val, 3)
    net, curve, seconds = fit(idea, names=splits.train, val=val, **how)
    return {"val": curve[-1][1], "curve": curve, "cpu_seconds": seconds,
            "train": evaluate(net, *windows(splits.train, 3)),
            "parameters": sum(p.numel() for p in net.parameters)}

"""Lecture 5's net on gradients by hand: cost of a step, and whole trainings."""

import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from zth.data import distinct_contexts, load_names, split, windows

LECTURE = 2147483647  # its seed; the others are ours
CASES = [
    {"what": "operations", "batch_size": 32},
    *({"what": "step", "batch_size": size} for size in (32, 256, 2048)),
    *({"what": "embedding", "batch_size": size} for size in (32, 256)),
    *({"what": "training", "recipe": "ours", "seed": seed}
      for seed in (LECTURE, 1, 2, 3, 4)),
    *({"what": "training", "recipe": "lecture", "seed": seed}
      for seed in (LECTURE, 1, 2)),
]
VOLATILE = {"cpu_seconds"}
SEEDS = [LECTURE, 1, 2, 3, 4]
EPS = 1e-5


def start(seed):
    """The lecture's parameters, drawn in its order, and their generator."""
    g = torch.Generator().manual_seed(seed)
    sizes = (27, 10), (30, 200), (200,), (200, 27), (27,), (200,), (200,)
    scales = 1, (5 / 3) / 30**0.5, 0.1, 0.1, 0.1, 0.1, 0.1
    params = [torch.randn(size, generator=g) * scale
              for size, scale in zip(sizes, scales)]
    params[5] += 1  # the gain
    return params, g


def by_hand(params, xb, yb, backward=True):
    """The loss and the seven gradients; the loss alone without `backward`."""
    C, W1, b1, W2, b2, gain, bias = params
    n = len(xb)
    e = C[xb].flatten(1)
    x = e @ W1 + b1
    centred = x - x.mean(0)
    inv = (centred.square().sum(0) / (n - 1) + EPS).rsqrt()
    x_hat = centred * inv
    h = torch.tanh(gain * x_hat + bias)
    logits = h @ W2 + b2
    logp = logits.log_softmax(1)
    rows = torch.arange(n)
    loss = -logp[rows, yb].mean()
    if not backward:
        return loss, None
    dlogits = logp.exp()
    dlogits[rows, yb] -= 1
    dlogits /= n
    dz = (dlogits @ W2.T) * (1 - h * h)
    dgain, dbias = (dz * x_hat).sum(0), dz.sum(0)
    dx = gain * inv * (dz - dbias / n - x_hat * (dgain / (n - 1)))
    de = (dx @ W1.T).view(-1, C.shape[1])
    dC = torch.zeros_like(C).index_add_(0, xb.flatten(), de)
    return loss, [dC, e.T @ dx, dx.sum(0), h.T @ dlogits, dlogits.sum(0),
                  dgain, dbias]


def written_out(params, xb, yb):
    """The same lines of the forward pass, for autograd to record."""
    C, W1, b1, W2, b2, gain, bias = params
    x = C[xb].flatten(1) @ W1 + b1
    centred = x - x.mean(0)
    inv = (centred.square().sum(0) / (len(xb) - 1) + EPS).rsqrt()
    h = torch.tanh(gain * (centred * inv) + bias)
    return F.cross_entropy(h @ W2 + b2, yb)


def of_torch(params, xb, yb):
    """As few of torch's functions as there are (its variance is biased)."""
    C, W1, b1, W2, b2, gain, bias = params
    x = torch.addmm(b1, F.embedding(xb, C).flatten(1), W1)
    x = F.batch_norm(x, None, None, gain, bias, training=True, eps=EPS)
    return F.cross_entropy(torch.addmm(b2, torch.tanh(x), W2), yb)


def update(params, grads, lr=0.1):
    with torch.no_grad():
        for p, grad in zip(params, grads):
            p -= lr * grad


class Count(TorchDispatchMode):
    """Counts the operations that reach a device's code."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def nodes(loss):
    """How many nodes the graph behind the loss has."""
    waiting, seen = [loss.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return len(seen)


def steps_of(batch_size):
    """{name: what to do}: whole steps, and the parts of which they consist."""
    params, g = start(1)
    xb = torch.randint(27, (batch_size, 3), generator=g)
    yb = torch.randint(27, (batch_size,), generator=g)
    leaves = [p.clone().requires_grad_() for p in params]
    grads = [torch.zeros_like(p) for p in params]

    def whole(forward):
        return lambda: update(
            leaves, torch.autograd.grad(forward(leaves, xb, yb), leaves), 0.0)

    return {
        "by hand": lambda: update(params, by_hand(params, xb, yb)[1], 0.0),
        "autograd, written out": whole(written_out),
        "autograd, of torch": whole(of_torch),
        "forward": torch.no_grad()(lambda: written_out(params, xb, yb)),
        "forward, recorded": lambda: written_out(leaves, xb, yb),
        "forward and grad": lambda: torch.autograd.grad(
            written_out(leaves, xb, yb), leaves),
        "forward, by hand": lambda: by_hand(params, xb, yb, False),
        "gradients by hand": lambda: by_hand(params, xb, yb),
        "update": lambda: update(params, grads, 0.0),
    }


def operations(batch_size):
    found = {}
    for name, function in steps_of(batch_size).items():
        with Count() as count:
            function()
        found[name] = len(count.names)
    params, _ = start(1)
    xb, yb = torch.zeros(4, 3, dtype=torch.long), torch.arange(4)
    leaves = [p.requires_grad_() for p in params]
    return {"operations": found,
            "nodes": nodes(written_out(leaves, xb, yb)),
            "nodes_of_torch": nodes(of_torch(leaves, xb, yb))}


def seconds(functions, rounds=41, at_least=0.02):
    """{name: median CPU seconds of a call}, all of them in turn."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            began, calls = time.process_time(), 0
            while calls == 0 or time.process_time() - began < at_least:
                function()
                calls += 1
            times[name].append((time.process_time() - began) / calls)
    return {name: statistics.median(t) for name, t in times.items()}


def embedding(batch_size):
    g = torch.Generator().manual_seed(1)
    xb = torch.randint(27, (batch_size, 3), generator=g)
    demb = torch.randn(batch_size, 3, 10, generator=g)

    def loop():
        dC = torch.zeros(27, 10)
        for k in range(xb.shape[0]):
            for j in range(xb.shape[1]):
                ix = xb[k, j]
                dC[ix] += demb[k, j]
        return dC

    def index_add():
        return torch.zeros(27, 10).index_add_(
            0, xb.flatten(), demb.view(-1, 10))

    def one_hot():
        return F.one_hot(xb.flatten(), 27).float().T @ demb.view(-1, 10)

    functions = {"loop": loop, "index_add": index_add, "one_hot": one_hot}
    size = loop().abs().max()
    off = max((f() - loop()).abs().max() for f in functions.values()) / size
    return {"equal": bool(off < 1e-6), "cpu_seconds": seconds(functions, 15)}


def scores(params, contexts, counts, val):
    """Train and validation loss with the statistics of all of train."""
    C, W1, b1, W2, b2, gain, bias = (p.double() for p in params)
    n = counts.sum(1, keepdim=True)
    x = C[contexts].flatten(1) @ W1 + b1
    mean = (n * x).sum(0) / n.sum()
    var = (n * (x - mean).square()).sum(0) / (n.sum() - 1)

    def loss(idx, counts):
        x = C[idx].flatten(1) @ W1 + b1
        x_hat = (x - mean) / torch.sqrt(var + EPS)
        logp = (torch.tanh(gain * x_hat + bias) @ W2 + b2).log_softmax(1)
        return -((counts * logp).sum() / counts.sum()).item()

    return loss(contexts, counts), loss(*val)


RECIPES = {  # steps, batch size, rate at a step
    "lecture": (200_000, 32, lambda s: 0.1 if s < 100_000 else 0.01),
    "ours": (20_000, 256, lambda s: (1 + math.cos(math.pi * s / 20_000)) / 2),
}


@torch.no_grad()
def training(recipe, seed):
    steps, batch_size, rate = RECIPES[recipe]
    splits = split(load_names())
    idx, targets = windows(splits.train, 3)
    train = distinct_contexts(idx, targets)
    val = distinct_contexts(*windows(splits.val, 3))
    params, g = start(seed)
    curve, spent, log, every = [], 0.0, [], steps // 20
    for step in range(steps):
        began = time.process_time()
        ix = torch.randint(len(idx), (batch_size,), generator=g)
        loss, grads = by_hand(params, idx[ix], targets[ix])
        update(params, grads, rate(step))
        spent += time.process_time() - began
        if step % every == 0:
            log.append(loss.item())
        if (step + 1) % every == 0:
            curve.append([step + 1, *scores(params, *train, val)])
    return {"train": curve[-1][1], "val": curve[-1][2], "curve": curve,
            "log": log, "cpu_seconds": spent}


def measure(what, batch_size=None, recipe=None, seed=None):
    if what == "operations":
        return operations(batch_size)
    if what == "step":
        return {"cpu_seconds": seconds(steps_of(batch_size))}
    if what == "embedding":
        return embedding(batch_size)
    return training(recipe, seed)

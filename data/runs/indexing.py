"""One-hot times W against picking rows of W: time and memory of one step."""

import statistics
import time

import torch
import torch.nn.functional as F

# N examples, V symbols, C outputs; the second is the lecture's own case
CASES = [
    {"N": 4096, "V": 256, "C": 64},
    {"N": 228146, "V": 27, "C": 27},
    {"N": 8192, "V": 1024, "C": 64},
    {"N": 4096, "V": 8192, "C": 64},
    {"N": 1024, "V": 50257, "C": 64},
]
VOLATILE = {"seconds_one_hot", "seconds_rows"}


def one_hot(W, xs):
    return F.one_hot(xs, len(W)).float() @ W


def rows(W, xs):
    return W[xs]


def step(forward, W, xs, dlogits):
    """Gradient of W, and the bytes that wait for the backward pass."""
    kept = []

    def pack(tensor):
        kept.append(tensor.nelement() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        logits = forward(W, xs)
    (grad,) = torch.autograd.grad(logits, W, dlogits)
    return logits.detach(), grad, sum(kept)


def measure(N, V, C):
    g = torch.Generator().manual_seed(1)
    W = torch.randn(V, C, generator=g, requires_grad=True)
    xs = torch.randint(V, (N,), generator=g)
    dlogits = torch.randn(N, C, generator=g)
    result, found = {}, {}
    for name, forward in (("one_hot", one_hot), ("rows", rows)):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            found[name] = step(forward, W, xs, dlogits)
            seconds.append(time.perf_counter() - start)
        result[f"seconds_{name}"] = statistics.median(seconds)
        result[f"bytes_{name}"] = found[name][2]
    result["equal"] = torch.equal(found["one_hot"][0], found["rows"][0])
    return result

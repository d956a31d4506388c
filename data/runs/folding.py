"""Inference with batch norm against the folded net: CPU time on one thread."""

import statistics
import time

import torch
import torch.nn.functional as F

CASES = [
    {"hidden": hidden, "batch_size": batch_size}
    for hidden in (100, 1000)
    for batch_size in (1, 32, 1024)
]
VOLATILE = {"cpu_seconds_norm", "cpu_seconds_torch", "cpu_seconds_folded"}
EPS = 1e-5


def formula(x, gamma, beta, mean, var):
    """Batch norm in evaluation mode, as the book's layer computes it."""
    return gamma * ((x - mean) / torch.sqrt(var + EPS)) + beta


def of_torch(x, gamma, beta, mean, var):
    return F.batch_norm(x, mean, var, gamma, beta, eps=EPS)


def measure(hidden, batch_size):
    g = torch.Generator().manual_seed(1)
    sizes = [(30, hidden), (hidden, hidden), (hidden, 27)]
    weights = [torch.randn(s, generator=g) / s[0] ** 0.5 for s in sizes]
    biases = [torch.randn(s[1], generator=g) for s in sizes]
    norms = []
    for _ in range(2):
        gamma, beta, mean = torch.randn(3, hidden, generator=g)
        var = 0.5 + torch.rand(hidden, generator=g)
        norms.append((gamma, beta, mean, var))
    scales = [n[0] / torch.sqrt(n[3] + EPS) for n in norms]
    folded_weights = [w * s for w, s in zip(weights, scales)]
    folded_biases = [
        (b - n[2]) * s + n[1] for b, n, s in zip(biases, norms, scales)
    ]
    x0 = torch.randn((batch_size, 30), generator=g)

    def with_norm(norm):
        x = x0
        for w, b, n in zip(weights, biases, norms):
            x = norm(x @ w + b, *n).tanh()
        return x @ weights[2] + biases[2]

    def folded():
        x = x0
        for w, b in zip(folded_weights, folded_biases):
            x = (x @ w + b).tanh()
        return x @ weights[2] + biases[2]

    nets = {
        "norm": lambda: with_norm(formula),
        "torch": lambda: with_norm(of_torch),
        "folded": folded,
    }
    seconds = {name: [] for name in nets}
    with torch.no_grad():
        logits = {name: net() for name, net in nets.items()}
        size = logits["norm"].abs().max()
        equal = all(
            (other - logits["norm"]).abs().max() < 1e-5 * size
            for other in logits.values()
        )
        for _ in range(15):
            for name, net in nets.items():
                start, times = time.process_time(), 0
                while times == 0 or time.process_time() - start < 0.02:
                    net()
                    times += 1
                seconds[name].append((time.process_time() - start) / times)
    return {
        "equal": bool(equal),
        **{
            f"cpu_seconds_{name}": statistics.median(times)
            for name, times in seconds.items()
        },
    }

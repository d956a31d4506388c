"""One training step of lecture 1's net: micrograd against the book's engine.

The peers take turns in one process. micrograd is the package of that name.
"""

import gc
import random
import time

from zth.engine import Value
from zth.neuron import MLP, Neuron

CASES = [{"peers": ["ours", "chains"], "repeats": 3},
         {"peers": ["ours", "chains", "micrograd"], "repeats": 15}]
VOLATILE = {"cpu_ms"}


class Chain(Neuron):
    """A neuron that adds its terms one by one, two nodes for each."""

    def __call__(self, x):
        out = sum((w * xi for w, xi in zip(self.w, x)), self.b)
        return self.activation(out) if self.activation else out


def build(peer):
    """(net, its kind of Value); all nets have the same weights."""
    random.seed(1)
    if peer == "micrograd":
        from micrograd import engine, nn

        return nn.MLP(2, [16, 16, 1]), engine.Value
    net = MLP(2, [16, 16, 1])
    if peer == "chains":
        for layer in net.layers:
            for neuron in layer.neurons:
                neuron.__class__ = Chain
    return net, Value


def step(net, kind, points, labels):
    """Forward and backward of micrograd's demo: hinge loss and a penalty."""
    scores = [net([kind(x) for x in point]) for point in points]
    losses = [(1 + -y * score).relu() for y, score in zip(labels, scores)]
    loss = sum(losses) * (1.0 / len(losses))
    loss = loss + 1e-4 * sum(p * p for p in net.parameters())
    net.zero_grad()
    loss.backward()
    return loss.data


def measure(peers, repeats):
    rng = random.Random(1)
    points = [(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(100)]
    labels = [rng.choice((-1, 1)) for _ in points]
    nets, results, cpu_ms = {peer: build(peer) for peer in peers}, {}, {}
    for collector, switch in (("on", gc.enable), ("off", gc.disable)):
        times = {peer: [] for peer in peers}
        for _ in range(repeats):
            for peer, (net, kind) in nets.items():
                gc.collect()
                switch()
                start = time.process_time()
                loss = step(net, kind, points, labels)
                times[peer].append(1e3 * (time.process_time() - start))
                gc.enable()
                results[peer] = [loss, *(p.grad for p in net.parameters())]
        cpu_ms[collector] = {peer: min(t) for peer, t in times.items()}
    for found in results.values():
        assert all(abs(a - b) < 1e-9 for a, b in zip(results["ours"], found))
    return {"loss": results["ours"][0], "parameters": len(net.parameters()),
            "gradient": sum(map(abs, results["ours"][1:])), "cpu_ms": cpu_ms}

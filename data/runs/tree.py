"""The lecture's trees, drawn and trained as the lecture does it.

Its layers are written out here as it has them, with the unbiased variance of
a batch. In "axis" batch norm averages over axis 0 alone; in "noisy" over
examples and positions, but from one position of each example, drawn at
random: as few numbers as in "axis". Nets of several seeds train side by side:
S is their number. Batches of 32, and the rate is 0.1, for the last quarter of
the steps 0.01.
"""

import torch
import torch.nn.functional as F

from zth.data import load_names, split, windows

MODELS = {  # context, embedding, hidden, joined at each level
    "large": (8, 24, 128, (2, 2, 2)),
    "axis": (8, 10, 68, (2, 2, 2)),
    "noisy": (8, 10, 68, (2, 2, 2)),
    "tree": (8, 10, 68, (2, 2, 2)),
}
FOUR = [42, 1, 2, 3]
CASES = [
    {"model": "large", "seeds": [42], "steps": 20, "dtype": "float64"},
    {"model": "large", "seeds": [42], "steps": 200_000, "dtype": "float32"},
] + [{"model": model, "seeds": FOUR, "steps": 50_000, "dtype": "float32"}
     for model in ("axis", "noisy", "tree")]
VOLATILE, SEEDS = set(), FOUR


class Norm:
    """Batch norm of x (S, B, T, C), or (S, B, C), as the model has it."""

    def __init__(self, model, seeds, dim):
        self.axes = (1,) if model == "axis" else (1, 2)
        self.draws = torch.Generator().manual_seed(0)
        self.noisy, self.training = model == "noisy", True
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)
        self.gamma = self.gamma.repeat(seeds, 1).requires_grad_()
        self.beta = self.beta.repeat(seeds, 1).requires_grad_()
        self.mean, self.var = torch.zeros(1), torch.ones(1)

    def __call__(self, x):
        mean, var = self.mean, self.var
        if self.training:
            axes, of = self.axes[:x.ndim - 2], x
            if self.noisy and x.ndim == 4:
                at = torch.randint(x.shape[2], x.shape[:2],
                                   generator=self.draws)
                of = x.gather(2, at[..., None, None].expand(
                    -1, -1, 1, x.shape[3]))
            mean, var = of.mean(axes, True), of.var(axes, keepdim=True)
            with torch.no_grad():
                self.mean = 0.9 * self.mean + 0.1 * mean
                self.var = 0.9 * self.var + 0.1 * var
        x_hat = (x - mean) / torch.sqrt(var + 1e-5)
        shape = len(x), *[1] * (x.ndim - 2), x.shape[-1]
        return self.gamma.view(shape) * x_hat + self.beta.view(shape)


def draw(model, generator):
    """One net's weights, in the order in which the lecture draws them."""
    _, n_embd, n_hidden, joined = MODELS[model]
    weights, fan_in = [torch.randn((27, n_embd), generator=generator)], n_embd
    for n in joined:
        weight = torch.randn((n * fan_in, n_hidden), generator=generator)
        weights.append(weight / (n * fan_in) ** 0.5)
        fan_in = n_hidden
    last = torch.randn((n_hidden, 27), generator=generator) / n_hidden**0.5
    return [*weights, last * 0.1, torch.zeros(1, 27)]


class Nets:
    """S nets side by side: ids (S, B, T) to logits (S, B, 27)."""

    def __init__(self, model, generators, dtype):
        _, _, n_hidden, self.joined = MODELS[model]
        drawn = zip(*[draw(model, g) for g in generators])
        self.weights = [torch.stack(w).to(dtype).requires_grad_()
                        for w in drawn]
        self.norms = [Norm(model, len(generators), n_hidden)
                      for _ in self.joined]

    def __call__(self, idx):
        C, *weights, last, bias = self.weights
        S, B, _ = idx.shape
        x = C[torch.arange(S)[:, None, None], idx]
        for n, weight, norm in zip(self.joined, weights, self.norms):
            x = x.view(S, -1, n * x.shape[-1]) @ weight  # (S, B T / n, C)
            T = x.shape[1] // B
            x = torch.tanh(norm(x.view(S, B, T, -1) if T > 1 else x))
        return x @ last + bias

    def parameters(self):
        return self.weights + [
            p for norm in self.norms for p in (norm.gamma, norm.beta)]

    def losses(self, idx, targets):
        """The mean loss of each net, (S,)."""
        nll = F.cross_entropy(self(idx).flatten(0, 1), targets.flatten(),
                              reduction="none")
        return nll.view(targets.shape).mean(1)


def measure(model, seeds, steps, dtype):
    splits = split(load_names())
    block_size = MODELS[model][0]
    idx, targets = windows(splits.train, block_size)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    nets = Nets(model, generators, getattr(torch, dtype))
    parameters, losses = nets.parameters(), []
    for step in range(steps):
        ix = torch.stack([torch.randint(0, len(idx), (32,), generator=g)
                          for g in generators])
        loss = nets.losses(idx[ix], targets[ix])
        grads = torch.autograd.grad(loss.sum(), parameters)
        lr = 0.1 if step < 0.75 * steps else 0.01
        with torch.no_grad():
            for p, grad in zip(parameters, grads):
                p -= lr * grad
        losses.append(loss.detach())
    losses = torch.stack(losses)  # (steps, S)
    for norm in nets.norms:
        norm.training = False
    found = {"parameters": sum(p[0].numel() for p in parameters)}
    for name in ("train", "val"):
        xb, yb = windows(getattr(splits, name), block_size)
        with torch.no_grad():
            total = sum(
                len(y) * nets.losses(x.expand(len(seeds), -1, -1),
                                     y.expand(len(seeds), -1))
                for x, y in zip(xb.split(9999), yb.split(9999)))
        found[name] = (total / len(yb)).tolist()
    if steps == 200_000:  # what the lecture prints and plots
        found["first"] = losses[:1001, 0][[0, 1, 10, 100, 1000]].tolist()
        found["printed"] = losses[::10_000, 0].tolist()
        found["means"] = [round(x, 5) for x in
                          losses[:, 0].view(-1, 1000).mean(1).tolist()]
    return found

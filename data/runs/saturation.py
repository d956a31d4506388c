"""How much saturation costs: first weights of eight sizes, 5,000 steps each."""

import torch
import torch.nn.functional as F

from zth.data import load_names, split, windows

SCALES = [0.02, 0.1, 0.2, 0.4, 1.0, 2.0, 4.0, 8.0]  # of W1 and b1
STEPS = 5000
CASES = [
    {"scale": scale, "seed": seed} for seed in (1, 2, 3) for scale in SCALES
]
VOLATILE = set()


def measure(scale, seed):
    splits = split(load_names())
    idx, targets = windows(splits.train, 3)
    xval, yval = windows(splits.val, 3)
    g = torch.Generator().manual_seed(seed)
    C = torch.randn((27, 10), generator=g)
    W1 = torch.randn((30, 200), generator=g) * scale
    b1 = torch.randn(200, generator=g) * scale
    W2 = torch.randn((200, 27), generator=g) * 0.01
    parameters = [C, W1, b1, W2, torch.zeros(27)]
    for p in parameters:
        p.requires_grad_()

    def forward(idx):
        C, W1, b1, W2, b2 = parameters
        h = torch.tanh(C[idx].view(len(idx), 30) @ W1 + b1)
        return h, h @ W2 + b2

    def saturated():
        with torch.no_grad():
            return (forward(idx)[0].abs() > 0.99).float().mean().item()

    before = saturated()
    for _ in range(STEPS):
        ix = torch.randint(0, len(idx), (32,), generator=g)
        loss = F.cross_entropy(forward(idx[ix])[1], targets[ix])
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, gradient in zip(parameters, gradients):
                p -= 0.1 * gradient
    with torch.no_grad():
        val = F.cross_entropy(forward(xval)[1].double(), yval).item()
    return {"before": before, "after": saturated(), "val": val}

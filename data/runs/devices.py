"""Seconds of one training step of a names MLP, by device, batch and width."""

import statistics
import time

import torch
import torch.nn.functional as F

DEVICES = ["cpu, 1 thread", "cpu, 2 threads"]
DEVICES += ["cuda"] if torch.cuda.is_available() else []
DEVICES += ["mps"] if torch.backends.mps.is_available() else []
CASES = [
    {"device": device, "batch": batch, "width": width}
    for device in DEVICES
    for width in (64, 256, 1024)
    for batch in (32, 128, 512, 2048, 8192)
]
VOLATILE = {"seconds"}


def measure(device, batch, width):
    """One hidden layer on 3 characters of 16 numbers each, 27 outputs."""
    where = torch.device(device.split(",")[0])
    if where.type == "cpu":
        torch.set_num_threads(int(device.split()[1]))
    g = torch.Generator().manual_seed(1)
    W1 = torch.randn(48, width, generator=g).div(7).to(where)
    W2 = torch.randn(width, 27, generator=g).div(width**0.5).to(where)
    x = torch.randn(batch, 48, generator=g).to(where)
    y = torch.randint(27, (batch,), generator=g).to(where)
    W1.requires_grad_(), W2.requires_grad_()

    def step():
        loss = F.cross_entropy((x @ W1).tanh() @ W2, y)
        grads = torch.autograd.grad(loss, (W1, W2))
        with torch.no_grad():
            for W, grad in zip((W1, W2), grads):
                W -= 0.1 * grad
        return loss

    first = step().item()  # the first step also warms up
    repeats = max(5, min(200, 2_000_000 // (batch * width)))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            loss = step()
        loss.item()  # waits for a device that computes on its own
        seconds.append((time.perf_counter() - start) / repeats)
    # a product (B, I) (I, O) takes 2 B I O operations, and as many again for
    # the gradient of each factor; the first layer's input needs none
    work = 2 * batch * (3 * (48 * width + width * 27) - 48 * width)
    return {"work": work, "loss": first, "seconds": statistics.median(seconds)}

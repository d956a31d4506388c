"""Attention head by head against all heads at once: CPU time on one thread.

Forward and backward of one attention layer without biases: `list` has a list
of heads, `once` all heads on an axis of their own, written out, and `kernel`
the same through torch's own attention.
"""

import math
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CASES = [{"batch_size": B, "block_size": T, "n_embd": C, "n_head": H}
         for B, T, C, H in (
             (1, 8, 32, 4), (32, 8, 32, 4), (12, 64, 128, 1),
             (12, 64, 128, 4), (12, 64, 128, 16), (12, 64, 384, 6),
             (4, 256, 384, 6))]
VOLATILE = {"cpu_seconds_list", "cpu_seconds_once", "cpu_seconds_kernel"}


class Head(nn.Module):
    def __init__(self, T, C, D):
        super().__init__()
        self.query, self.key, self.value = (
            nn.Linear(C, D, bias=False) for _ in range(3))
        self.register_buffer("seen", torch.ones(T, T).tril() == 1)

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return scores.masked_fill(~self.seen, -math.inf).softmax(-1) @ v


class List(nn.Module):
    def __init__(self, T, C, H):
        super().__init__()
        self.heads = nn.ModuleList(Head(T, C, C // H) for _ in range(H))
        self.c_proj = nn.Linear(C, C, bias=False)

    def forward(self, x):
        return self.c_proj(torch.cat([head(x) for head in self.heads], -1))


class Once(nn.Module):
    def __init__(self, T, C, H):
        super().__init__()
        self.H = H
        self.c_attn = nn.Linear(C, 3 * C, bias=False)
        self.c_proj = nn.Linear(C, C, bias=False)
        self.register_buffer("seen", torch.ones(T, T).tril() == 1)

    def forward(self, x):
        q, k, v = (part.unflatten(2, (self.H, -1)).transpose(1, 2)
                   for part in self.c_attn(x).chunk(3, 2))  # (B, H, T, D)
        return self.c_proj(self.attend(q, k, v).transpose(1, 2).flatten(2))

    def attend(self, q, k, v):
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return scores.masked_fill(~self.seen, -math.inf).softmax(-1) @ v


class Kernel(Once):
    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def measure(batch_size, block_size, n_embd, n_head):
    torch.manual_seed(1)
    nets = {name: net(block_size, n_embd, n_head) for name, net in (
        ("list", List), ("once", Once), ("kernel", Kernel))}
    heads = nets["list"].heads
    with torch.no_grad():
        stacked = torch.cat([getattr(head, part).weight for part in
                             ("query", "key", "value") for head in heads])
        for name in ("once", "kernel"):
            nets[name].c_attn.weight.copy_(stacked)
            nets[name].c_proj.weight.copy_(nets["list"].c_proj.weight)
    x, pull = torch.randn(2, batch_size, block_size, n_embd)
    x.requires_grad_()

    def work(net):
        net.zero_grad()
        out = net(x)
        out.backward(pull)
        return out

    outs = {name: work(net) for name, net in nets.items()}
    seconds = {name: [] for name in nets}
    for _ in range(15):
        for name, net in nets.items():
            start, times = time.process_time(), 0
            while times == 0 or time.process_time() - start < 0.04:
                work(net)
                times += 1
            seconds[name].append((time.process_time() - start) / times)
    return {
        "parameters": sum(p.numel() for p in nets["once"].parameters()),
        "equal": all(torch.allclose(out, outs["list"], atol=1e-5)
                     for out in outs.values()),
        **{f"cpu_seconds_{name}": statistics.median(times)
           for name, times in seconds.items()}}

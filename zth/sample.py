"""Write with a language model: draw a token, append it, and go on."""

import torch

from zth.train import evaluating


def generate(model, idx, steps, *, block_size, temperature=1.0, top_k=None,
             stop=None, generator=None):
    """idx (B, T), int64, followed by up to `steps` new tokens.

    A model is a callable from ids (B, T) to logits (B, T, V); it sees the
    last `block_size` ids. Logits are divided by `temperature`, and only the
    `top_k` largest take part: with top_k=1 the largest is taken. An example
    that has drawn the token `stop` goes on with it, and the writing ends
    when all have. A generator (on the CPU) makes it repeatable.

    ValueError for an empty context, or an argument out of range.
    """
    if idx.ndim != 2 or not idx.shape[1]:
        raise ValueError(f"idx of shape {tuple(idx.shape)}: must be (B, T) "
                         "with T at least 1")
    for name, value, least in (("steps", steps, 0), ("top_k", top_k, 1),
                               ("block_size", block_size, 1)):
        if value is not None and value < least:
            raise ValueError(f"{name} = {value}: must be at least {least}")
    if not temperature > 0:
        raise ValueError(f"temperature = {temperature}: must be above 0; "
                         "top_k=1 takes the likeliest token")
    done = torch.zeros_like(idx[:, -1:], dtype=torch.bool)  # (B, 1)
    with evaluating(model):
        for _ in range(steps):
            logits = model(idx[:, -block_size:])[:, -1]  # (B, V)
            new = draw(logits / temperature, top_k, generator)
            if stop is not None:
                new = new.masked_fill(done, stop)
                done |= new == stop
            idx = torch.cat([idx, new], dim=1)
            if done.all():
                break
    return idx


def draw(logits, top_k, generator):
    """Ids (B, 1) drawn from the softmax of logits (B, V).

    One float64 uniform each, through the inverse of the cumulative
    distribution: a seed means the same ids in every version of torch.
    """
    V = logits.shape[-1]
    logits, order = logits.topk(min(top_k or V, V))  # (B, k), largest first
    cdf = logits.double().softmax(-1).cumsum(-1).cpu()
    u = torch.rand((len(cdf), 1), generator=generator, dtype=torch.float64)
    rank = torch.searchsorted(cdf, u * cdf[:, -1:])  # (B, 1)
    return order.gather(1, rank.to(order.device))

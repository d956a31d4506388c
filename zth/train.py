"""Training as a plain `for` loop: any model, any batches, any schedule.

    for step in train(model, batch, optimizer, steps=900, lr=cosine(0.1, 900)):
        if step.number % 300 == 0:
            print(step.number, evaluate(model, *val))

A model is a callable from ids to logits, a batch function a callable without
arguments that returns (xb, yb), a schedule a callable from the number of
steps done to a learning rate. All that a run depends on lies in the model,
the optimizer, the generators and that number: `save` keeps these.
"""

import contextlib
import math
import os
import sys
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from tqdm import tqdm


class Step(NamedTuple):
    """A step just taken: how many that makes, its batch's loss, its rate.

    The loss (0-dim, detached, in nats) is the one before the step.
    """

    number: int
    loss: torch.Tensor
    lr: float


def train(model, batch, optimizer, *, steps, lr, start=0, accumulate=1,
          clip=None):
    """Train until `steps` steps are done; yields a `Step` after each.

    A step takes the mean gradient of `accumulate` batches, shortens it to
    the norm `clip` if one is given, and uses the rate `lr`, a number or a
    schedule, for all weights. A resumed run starts at the `start` that `load`
    returned; `break` stops early. A terminal or live notebook shows a bar.
    """
    for name, value, least in (("steps", steps, 0), ("start", start, 0),
                               ("accumulate", accumulate, 1)):
        if value < least:
            raise ValueError(f"{name} = {value}: must be at least {least}")
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for done in tqdm(range(start, steps), initial=start, total=steps,
                     leave=False, disable=not watched()):
        rate = lr(done) if callable(lr) else lr
        for group in optimizer.param_groups:
            group["lr"] = rate
        if hasattr(model, "train"):
            model.train()
        optimizer.zero_grad()
        losses = []
        for _ in range(accumulate):
            xb, yb = batch()
            loss = mean_nll(model(xb), yb)
            (loss / accumulate).backward()
            losses.append(loss.detach())
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(weights, clip)
        optimizer.step()
        yield Step(done + 1, sum(losses) / accumulate, rate)


def watched():
    """Whether somebody looks on: in a terminal or a notebook's live kernel."""
    live = {"JPY_SESSION_NAME", "COLAB_RELEASE_TAG"} & os.environ.keys()
    return sys.stderr.isatty() or bool(live)


def mean_nll(logits, targets):
    """Mean negative log-likelihood in nats; uniform logits give ln V.

    logits (..., V); targets (...) int64 ids, of which -1 takes no part, or
    (..., V), how often each symbol is the target.
    """
    total, n = nll_sum(logits, targets)
    return total / n


def nll_sum(logits, targets):
    """(sum over the targets that `mean_nll` divides, their number)."""
    if targets.shape == logits.shape:
        return -(targets * logits.log_softmax(-1)).sum(), targets.sum()
    if targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"targets of shape {tuple(targets.shape)}: must be ids, "
            f"{tuple(logits.shape[:-1])}, or counts, {tuple(logits.shape)}")
    total = F.cross_entropy(logits.flatten(0, -2), targets.flatten(),
                            ignore_index=-1, reduction="sum")
    return total, (targets != -1).sum()


def evaluate(model, idx, targets, *, batch_size=8192):
    """The model's mean NLL over all the examples, in nats.

    idx (N, T), and targets as `mean_nll` takes them. A module is in
    evaluation mode meanwhile, and afterwards in the mode in which it was.
    """
    if len(idx) != len(targets) or not len(idx):
        raise ValueError(f"idx of {len(idx)} examples, targets of "
                         f"{len(targets)}: must be as many, at least 1")
    with evaluating(model):
        sums = [nll_sum(model(xb).double(), yb) for xb, yb in zip(
            idx.split(batch_size), targets.split(batch_size))]
    total, n = map(sum, zip(*sums))
    return (total / n).item()


@contextlib.contextmanager
def evaluating(model):
    """Without gradients, and a module in evaluation mode, until the end."""
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if training:
            model.train()


def sampler(idx, targets, batch_size, *, generator):
    """A batch function: `batch_size` examples drawn with replacement."""
    if batch_size < 1:
        raise ValueError(f"batch_size = {batch_size}: must be at least 1")

    def batch():
        ix = torch.randint(len(targets), (batch_size,), generator=generator)
        return idx[ix], targets[ix]

    return batch


def cosine(peak, steps, *, warmup=0, final=0.0):
    """A schedule: a straight line up to peak, then half a cosine down.

    The first of `warmup` steps has the rate peak / warmup; the rate `final`
    would be reached at step `steps`. Loshchilov and Hutter (2017).
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup = {warmup}: must be from 0 to steps - 1 = "
                         f"{steps - 1}")

    def lr(done):
        if done < warmup:
            return peak * (done + 1) / warmup
        share = min(1.0, (done - warmup) / (steps - warmup))
        return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * share))

    return lr


def decay_groups(parameters, weight_decay):
    """An optimizer's two groups: weight decay for matrices, none for vectors.

    A vector is a bias or a gain, and a model with smaller ones is no simpler.
    """
    groups = [{"params": [], "weight_decay": decay}
              for decay in (weight_decay, 0.0)]
    for p in parameters:
        groups[p.ndim < 2]["params"].append(p)
    return groups


def save(path, step, **parts):
    """Write a checkpoint: the number of steps done and each part's state.

    Parts are the model, the optimizer and every generator that batches or
    model draw from (`torch.default_generator` for `nn.Dropout`). The file has
    a temporary name until it is whole, so an interrupted call does no harm.
    """
    state = {name: part.get_state() if isinstance(part, torch.Generator)
             else part.state_dict() for name, part in parts.items()}
    temporary = Path(f"{path}.tmp")
    torch.save({"step": step, "parts": state}, temporary)
    os.replace(temporary, path)


def load(path, **parts):
    """Put a checkpoint's states back into the parts; returns the steps done.

    It reads tensors, numbers and texts only: a file can run no code.
    """
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if saved["parts"].keys() != parts.keys():
        raise ValueError(f"parts {', '.join(parts)}: must be those of {path}, "
                         f"{', '.join(saved['parts'])}")
    for name, part in parts.items():
        put = (part.set_state if isinstance(part, torch.Generator)
               else part.load_state_dict)
        put(saved["parts"][name])
    return saved["step"]

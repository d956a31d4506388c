"""The checker of all heads at once (L7-EX1).

A mistake's docstring is what the reader reads.

Shapes: x (B, T, C); H heads of width D = C / H.
"""

import itertools

import torch
from torch import nn

from zth.check import Wrong, show
from zth.check.tensors import TensorCheck as Check
from zth.gpt import GPTConfig

__all__ = ["heads"]

NAMES = ("c_attn.weight", "c_attn.bias", "c_proj.weight", "c_proj.bias")


def head_by_head(x, weights, n_head, block_size):
    """The definition: each example, head and query on its own."""
    w, b, w_proj, b_proj = weights
    B, T, C = x.shape
    D = C // n_head
    rows = []
    for example, t in itertools.product(range(B), range(T)):
        row = []
        for h in range(n_head):
            q, k, v = (
                x[example] @ w[first:first + D].T + b[first:first + D]
                for first in (h * D, C + h * D, 2 * C + h * D))  # (T, D)
            e = [torch.exp((q[t] * k[j]).sum() / D**0.5)
                 for j in range(t + 1)]
            row.append(sum(e[j] * v[j] for j in range(t + 1)) / sum(e))
        rows.append(torch.cat(row) @ w_proj.T + b_proj)
    return torch.stack(rows).view(B, T, C)


def split(part, H):
    """(B, T, C) to (B, H, T, D)."""
    return part.unflatten(2, (H, -1)).transpose(1, 2)


def split_wrong(part, H):
    B, T, C = part.shape
    return part.reshape(B, H, T, C // H)


def split_none(part, H):
    return part.unflatten(2, (H, -1))  # (B, T, H, D)


def split_interleaved(part, H):
    return part.unflatten(2, (-1, H)).permute(0, 3, 1, 2)


def join(y):
    """(B, H, T, D) to (B, T, C)."""
    return y.transpose(1, 2).flatten(2)


def join_wrong(y):
    B, H, T, D = y.shape
    return y.reshape(B, T, H * D)


def join_none(y):
    return y.flatten(2)  # of (B, T, H, D)


def join_interleaved(y):
    return y.permute(0, 2, 3, 1).flatten(2)


def causal(scores):
    """Minus infinity where a key is later than the query."""
    seen = torch.ones_like(scores, dtype=torch.bool).tril()
    return scores.masked_fill(~seen, -torch.inf)


def attend(x, weights, H, *, parts="qkv", split=split, join=join, power=-0.5,
           width=None, mask=causal, axis=-1, after=None):
    """Attention of all heads, before the projection, one thing changed."""
    w, b, _, _ = weights
    given = dict(zip(parts, (x @ w.T + b).chunk(3, -1)))
    q, k, v = (split(given[name], H) for name in "qkv")
    scores = q @ k.mT * (width or q.shape[-1]) ** power
    P = mask(scores).softmax(axis)
    return join((after(P) if after else P) @ v)


def project(y, weights):
    return y @ weights[2].T + weights[3]


def untransposed(got, x, weights, H, block_size):
    """You viewed q, k and v as (B, H, T, D), without a transpose: that cuts
    the T C numbers of an example into H stretches of time, and transposing
    back afterwards lets a position see later ones. View as (B, T, H, D),
    which cuts each row into heads, then transpose(1, 2)."""
    yield project(attend(x, weights, H, split=split_wrong), weights)


def untransposed_twice(got, x, weights, H, block_size):
    """You viewed wrongly both ways, q, k, v as (B, H, T, D) and back without
    a transpose: no future leaks, but each head sees only its own stretch of
    time. View as (B, T, H, D), transpose(1, 2), and back the same way."""
    yield project(attend(x, weights, H, split=split_wrong, join=join_wrong),
                  weights)


def not_transposed_back(got, x, weights, H, block_size):
    """The heads' outputs (B, H, T, D) were reshaped to (B, T, C) as they lie:
    transpose(1, 2) first, so that the heads of one position lie side by
    side."""
    yield project(attend(x, weights, H, join=join_wrong), weights)


def over_the_heads(got, x, weights, H, block_size):
    """With q, k, v as (B, T, H, D) the product is (B, T, H, H): each position
    looks from head to head within itself, and never at another position.
    transpose(1, 2) makes them (B, H, T, D)."""
    for mask in (causal, lambda scores: scores):
        yield project(attend(x, weights, H, split=split_none,
                             join=join_none, mask=mask), weights)


def scaled_by_n_embd(got, x, weights, H, block_size):
    """You divided by the root of n_embd: the dot product has D = n_embd /
    n_head terms, so divide by the root of D."""
    yield project(attend(x, weights, H, width=x.shape[-1]), weights)


def not_scaled(got, x, weights, H, block_size):
    """The scores are not divided by the root of D."""
    yield project(attend(x, weights, H, power=0), weights)


def scaled_by_width(got, x, weights, H, block_size):
    """You divided by D: its square root is asked for."""
    yield project(attend(x, weights, H, power=-1), weights)


def multiplied(got, x, weights, H, block_size):
    """You multiplied by the root of D: divide by it."""
    yield project(attend(x, weights, H, power=0.5), weights)


def over_queries(got, x, weights, H, block_size):
    """The softmax runs over the queries: take the last axis, the keys, so
    that a query's weights sum to one."""
    yield project(attend(x, weights, H, axis=-2), weights)


def softmax_over_heads(got, x, weights, H, block_size):
    """The softmax runs over the heads: take the last axis, the keys."""
    yield project(attend(x, weights, H, axis=1), weights)


def no_mask(got, x, weights, H, block_size):
    """The mask is missing: a position sees what comes after it."""
    yield project(attend(x, weights, H, mask=lambda s: s), weights)


def mask_turned(got, x, weights, H, block_size):
    """The mask is the wrong way round: it hides the past."""
    def turned(scores):
        return causal(scores.mT).mT

    yield project(attend(x, weights, H, mask=turned), weights)


def mask_strict(got, x, weights, H, block_size):
    """The mask hides the position itself, and the first one sees nothing:
    softmax of nothing but minus infinity is NaN. Keep the diagonal."""
    def strict(scores):
        seen = torch.ones_like(scores, dtype=torch.bool).tril(-1)
        return scores.masked_fill(~seen, -torch.inf)

    yield project(attend(x, weights, H, mask=strict), weights)


def mask_of_zeros(got, x, weights, H, block_size):
    """Masked scores are 0: exp(0) = 1 is no small weight. Fill with minus
    infinity before the softmax."""
    yield project(attend(x, weights, H, mask=torch.tril), weights)


def mask_too_late(got, x, weights, H, block_size):
    """The mask came after the softmax: what is left of a row does not sum to
    one. Mask the scores."""
    yield project(attend(x, weights, H, mask=lambda s: s, after=torch.tril),
                  weights)


def interleaved(got, x, weights, H, block_size):
    """A head's channels are H apart here: head 0 has the first D channels,
    head 1 the next D, so view (B, T, C) as (B, T, H, D), not (B, T, D, H)."""
    yield project(attend(x, weights, H, split=split_interleaved,
                         join=join_interleaved), weights)
    yield project(attend(x, weights, H, split=split_interleaved), weights)


def joined_interleaved(got, x, weights, H, block_size):
    """The outputs are concatenated in another order: all of head 0, then all
    of head 1, and so on, as torch.cat does it."""
    yield project(attend(x, weights, H, join=join_interleaved), weights)
    yield project(attend(x, weights, H, join=lambda y: join(y.flip(1))),
                  weights)


def other_order(got, x, weights, H, block_size):
    """Query, key and value are taken in another order: the first C rows of
    c_attn make the queries, the next C the keys, the last C the values."""
    for parts in itertools.permutations("qkv"):
        if parts != ("q", "k", "v"):
            yield project(attend(x, weights, H, parts=parts), weights)


def mixed_per_head(got, x, weights, H, block_size):
    """You take the rows of c_attn head by head, each with its query, key and
    value: here come the queries of all heads, then all keys, then all
    values. Split by C before you split into heads."""
    w, b, _, _ = weights
    C = x.shape[-1]
    order = torch.arange(3 * C).view(H, 3, C // H).transpose(0, 1).flatten()
    yield project(attend(x, (w[order], b[order], None, None), H), weights)


def no_projection(got, x, weights, H, block_size):
    """The projection is missing: c_proj comes last."""
    yield attend(x, weights, H)


def residual_inside(got, x, weights, H, block_size):
    """x was added: that is the block's task, not attention's."""
    yield x + project(attend(x, weights, H), weights)


HEADS_MISTAKES = [
    untransposed, untransposed_twice, not_transposed_back, over_the_heads,
    scaled_by_n_embd, not_scaled, scaled_by_width, multiplied, over_queries,
    softmax_over_heads, no_mask, mask_turned, mask_strict, mask_of_zeros,
    mask_too_late, interleaved, joined_interleaved, other_order,
    mixed_per_head, no_projection, residual_inside]


def weights_of(check, model, config, case):
    """The four weights of an answer, which must be these and no others."""
    C = config.n_embd
    shapes = dict(zip(NAMES, ((3 * C, C), (3 * C,), (C, C), (C,))))
    if not config.bias:
        shapes = {k: s for k, s in shapes.items() if k.endswith("weight")}
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    if found == shapes:
        zero = torch.zeros(3 * C, dtype=torch.float64)
        return [model.c_attn.weight,
                model.c_attn.bias if config.bias else zero,
                model.c_proj.weight,
                model.c_proj.bias if config.bias else zero[:C]]
    extra = sorted(found.keys() - shapes.keys())
    if "c_proj.weight" not in found:
        why = ("the projection is missing: make self.c_proj = nn.Linear(C, "
               "C, …), which comes last")
    elif extra and set(extra) <= {"c_attn.bias", "c_proj.bias"}:
        why = "the config says bias=False: pass bias=config.bias to nn.Linear"
    elif extra:
        why = ("all heads together have one c_attn and one c_proj, and no "
               "other parameters: no list of heads is left")
    elif not shapes.keys() <= found.keys():
        why = "pass bias=config.bias to both nn.Linear"
    else:
        why = ("c_attn makes queries, keys and values of all heads at once, "
               "nn.Linear(C, 3 * C); c_proj is nn.Linear(C, C)")
    check.fail(why, input=case, expected=", ".join(
        f"{n} {s}" for n, s in shapes.items()), got=", ".join(
            f"{n} {s}" for n, s in found.items()) or "no parameters")


def heads(attention):
    """Check the class CausalSelfAttention, exercise L7-EX1.

    attention(config) -> a module with nn.Linear layers c_attn and c_proj,
    for n_embd, n_head, block_size and bias of a GPTConfig; the module maps x
    (B, T, C) to (B, T, C), for T up to block_size.
    """
    check, g = Check("heads"), torch.Generator()
    g.seed()
    if isinstance(attention, nn.Module):
        check.fail("hand over the class itself, not an object of it",
                   got=show(type(attention).__name__ + "(…)"))
    for B, T, C, H, block_size, bias, dropout in (
            (2, 5, 12, 3, 5, True, 0.0), (2, 3, 12, 3, 8, True, 0.0),
            (1, 6, 8, 4, 7, False, 0.0), (3, 4, 6, 1, 4, True, 0.0),
            (2, 4, 6, 6, 9, True, 0.0), (2, 1, 8, 2, 4, True, 0.0),
            (2, 5, 12, 2, 5, True, 0.5)):
        config = GPTConfig(5, block_size, 1, H, C, dropout, bias)
        case = (f"n_embd {C}, n_head {H}, block_size {block_size}, bias "
                f"{bias}, dropout {dropout}; x of shape {(B, T, C)}")
        model = check.call(attention, config, case=case)
        if not isinstance(model, nn.Module):
            check.fail("make it a class CausalSelfAttention(nn.Module)",
                       input=case, got=show(model))
        model = model.double()
        weights = weights_of(check, model, config, case)
        for p in model.parameters():
            p.data = 0.6 * torch.randn(p.shape, generator=g).double()
        x = torch.randn(B, T, C, generator=g).double()
        judge(check, model.train(not dropout), x, weights, config, case)
        check.cases += 1
    check.passed()


def judge(check, model, x, weights, config, case):
    """Compare a model's outputs and gradients with the definition's."""
    T, H = x.shape[1], config.n_head
    mine, theirs = (x.clone().requires_grad_() for _ in range(2))
    try:
        got = check.call(model, theirs, case=case)
    except Wrong as wrong:
        if T < config.block_size and isinstance(wrong.__cause__, RuntimeError):
            check.fail(
                f"a text may be shorter than block_size: cut the mask to "
                f"[:T, :T], or make it of T ({wrong.__cause__})", input=case)
        raise
    if not isinstance(got, torch.Tensor):
        check.fail("forward returns one tensor (B, T, C)", input=case,
                   got=show(got))
    if config.dropout and not torch.equal(got, model(theirs)):
        check.fail("dropout is on in evaluation mode: two calls differ. "
                   "F.dropout and F.scaled_dot_product_attention do not know "
                   "the mode: give them the share `self.dropout if "
                   "self.training else 0.0`", input=case)
    args = weights, H, config.block_size
    want = head_by_head(mine, *args)
    with torch.no_grad():
        check.expect("output", got, want, HEADS_MISTAKES, (x, *args),
                     case=case, atol=1e-6, rtol=1e-6)
    pull = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view(x.shape)
    inputs = dict(zip(NAMES, weights))
    inputs = {n: p for n, p in inputs.items() if p.requires_grad}
    wanted = torch.autograd.grad((want * pull).sum(),
                                 [mine, *inputs.values()])
    if not got.requires_grad:
        check.fail("no gradient comes back: something was detached, or "
                   "computed under torch.no_grad()", input=case)
    found = torch.autograd.grad((got * pull).sum(),
                                [theirs, *inputs.values()],
                                allow_unused=True)
    for name, a, b in zip(("x", *inputs), found, wanted):
        if a is None or not torch.allclose(a, b, atol=1e-6, rtol=1e-6):
            check.fail(f"the output is right, its gradient in {name} is not: "
                       "something on the way was detached", input=case)

"""The checker of all heads at once (L7-EX1).

A mistake's docstring is what the reader reads.

Shapes: x (B, T, C); H heads of width D = C / H.
"""

import itertools

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from zth.check import Wrong, show
from zth.check.tensors import TensorCheck as Check
from zth.gpt import GPTConfig

__all__ = ["heads"]

FILLS = (-torch.inf, -1e9)  # what masked scores usually are
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


def filled(seen, fill=-torch.inf):
    """A mask: what `seen` of a table of ones makes 0 has the score `fill`."""
    def mask(scores):
        return scores.masked_fill(seen(torch.ones_like(scores)) == 0, fill)

    return mask


def cut(rows):
    """(B, T, 3C) to three of (B, T, C)."""
    return rows.chunk(3, -1)


def attend(x, weights, H, *, cut=cut, parts="qkv", split=split, wrongly="",
           turn=lambda k: k.mT, join=join, power=-0.5, width=None,
           mask=filled(torch.tril), softmax=torch.softmax, axis=-1,
           after=None):
    """Attention of all heads, before the projection, one thing changed.

    Of q, k and v those in `wrongly` are viewed as (B, H, T, D) at once.
    """
    w, b, _, _ = weights
    given = dict(zip(parts, cut(x @ w.T + b)))
    q, k, v = ((split_wrong if name in wrongly else split)(given[name], H)
               for name in "qkv")
    scores = q @ turn(k) * (width or q.shape[-1]) ** power
    P = softmax(mask(scores), axis)
    return join((after(P) if after else P) @ v)


def project(y, weights):
    return y @ weights[2].T + weights[3]


def untransposed(got, x, weights, H, block_size):
    """You viewed q, k and v as (B, H, T, D), without a transpose: that cuts
    the T C numbers of an example into H stretches of time, and transposing
    back afterwards lets a position see later ones. View as (B, T, H, D),
    which cuts each row into heads, then transpose(1, 2)."""
    yield project(attend(x, weights, H, wrongly="qkv"), weights)


def untransposed_twice(got, x, weights, H, block_size):
    """You viewed wrongly both ways, q, k, v as (B, H, T, D) and back without
    a transpose: no future leaks, but each head sees only its own stretch of
    time. View as (B, T, H, D), transpose(1, 2), and back the same way."""
    yield project(attend(x, weights, H, wrongly="qkv", join=join_wrong),
                  weights)


def viewed_wrongly(names):
    """The mistake of those who view some of q, k and v wrongly, not all."""
    def mistake(got, x, weights, H, block_size):
        yield project(attend(x, weights, H, wrongly=names), weights)

    others = [name for name in "qkv" if name not in names]
    mistake.__doc__ = (
        f"You viewed {' and '.join(names)} as (B, H, T, D), without a "
        f"transpose, and {' and '.join(others)} rightly. All three are viewed "
        "as (B, T, H, D), then transpose(1, 2).")
    return mistake


def reshaped_keys(got, x, weights, H, block_size):
    """You made k (B, H, D, T) by view or reshape: that only reads the same
    row of numbers in other lengths. After (B, T, H, D) and transpose(1, 2),
    as for q and v, transpose(-2, -1)."""
    B, T, C = x.shape
    yield project(attend(x, weights, H, turn=lambda k: k.reshape(
        B, H, C // H, T)), weights)
    yield project(attend(x, weights, H, turn=lambda k: join(k).reshape(
        B, H, C // H, T)), weights)


def not_transposed_back(got, x, weights, H, block_size):
    """The heads' outputs (B, H, T, D) were reshaped to (B, T, C) as they lie:
    transpose(1, 2) first, so that the heads of one position lie side by
    side."""
    yield project(attend(x, weights, H, join=join_wrong), weights)


def over_the_heads(got, x, weights, H, block_size):
    """With q, k, v as (B, T, H, D) the product is (B, T, H, H): each position
    looks from head to head within itself, and never at another position.
    transpose(1, 2) makes them (B, H, T, D)."""
    for mask in (filled(torch.tril), lambda scores: scores):
        yield project(attend(x, weights, H, split=split_none,
                             join=join_none, mask=mask), weights)


def scaled_by_n_embd(got, x, weights, H, block_size):
    """You divided by the root of n_embd: the dot product has D = n_embd /
    n_head terms, so divide by the root of D."""
    yield project(attend(x, weights, H, width=x.shape[-1]), weights)


def scaled_by_another(got, x, weights, H, block_size):
    """You divided by the root of another length (B, H, T or block_size): the
    dot product of a query and a key has D terms, so divide by the root of
    D."""
    for width in (H, x.shape[1], block_size, x.shape[0]):
        yield project(attend(x, weights, H, width=width), weights)


def not_scaled(got, x, weights, H, block_size):
    """The scores are not divided by the root of D."""
    yield project(attend(x, weights, H, power=0), weights)


def scaled_by_width(got, x, weights, H, block_size):
    """You divided by D: its square root is asked for, once.
    F.scaled_dot_product_attention divides by it already."""
    yield project(attend(x, weights, H, power=-1), weights)


def divided_late(got, x, weights, H, block_size):
    """You divided the weights by the root of D, after the softmax: divide the
    scores."""
    yield project(attend(x, weights, H, power=0, after=lambda P: P / (
        x.shape[-1] // H)**0.5), weights)


def multiplied(got, x, weights, H, block_size):
    """You multiplied by the root of D: divide by it."""
    yield project(attend(x, weights, H, power=0.5), weights)


def over_queries(got, x, weights, H, block_size):
    """The softmax runs over the queries: take the last axis, the keys, so
    that a query's weights sum to one."""
    yield project(attend(x, weights, H, axis=-2), weights)


def softmax_over_heads(got, x, weights, H, block_size):
    """The softmax runs over the heads: take the last axis, the keys."""
    for fill in FILLS:
        yield project(attend(x, weights, H, axis=1,
                             mask=filled(torch.tril, fill)), weights)


def softmax_over_examples(got, x, weights, H, block_size):
    """The softmax runs over the examples of the batch: take the last axis,
    the keys."""
    for fill in FILLS:
        yield project(attend(x, weights, H, axis=0,
                             mask=filled(torch.tril, fill)), weights)


def no_mask(got, x, weights, H, block_size):
    """The mask is missing: a position sees what comes after it."""
    yield project(attend(x, weights, H, mask=lambda s: s), weights)


def blind(x, weights, H, seen):
    """What comes out where a query may see no key at all.

    Minus infinities give NaN, which torch's own attention turns into zeros;
    any large number gives equal weights.
    """
    for fill in FILLS:
        for after in (None, torch.nan_to_num):
            yield project(attend(x, weights, H, after=after,
                                 mask=filled(seen, fill)), weights)


def mask_turned(got, x, weights, H, block_size):
    """The mask is the wrong way round: it hides the past."""
    yield from blind(x, weights, H, torch.triu)


def mask_inverted(got, x, weights, H, block_size):
    """The mask is inverted: it hides the past and the present, and shows the
    future. Fill with minus infinity where tril is 0; in the attn_mask of
    F.scaled_dot_product_attention True means seen."""
    yield from blind(x, weights, H, lambda ones: ones.triu(1))


def mask_strict(got, x, weights, H, block_size):
    """The mask hides the position itself, and the first one sees nothing (a
    softmax of nothing but minus infinity is NaN). Keep the diagonal."""
    yield from blind(x, weights, H, lambda ones: ones.tril(-1))


def mask_late_by_one(got, x, weights, H, block_size):
    """The mask is off by one: each position sees the next one too. The
    diagonal is the last that is seen: tril() without a 1, or triu(1) for
    what is hidden."""
    yield project(attend(x, weights, H, mask=filled(
        lambda ones: ones.tril(1))), weights)


def mask_added(got, x, weights, H, block_size):
    """A mask of ones and zeros was added to the scores: add 0 where a key is
    seen and minus infinity where not, or give F.scaled_dot_product_attention
    a mask of bool."""
    yield project(attend(x, weights, H, mask=lambda s: s + torch.ones_like(
        s).tril()), weights)


def mask_filled_too_high(got, x, weights, H, block_size):
    """Masked scores are not low enough: a score that is seen can be lower
    still, and then the future has the larger weight. Fill with minus
    infinity."""
    for fill in (*range(-2, -100, -1), -450):
        yield project(attend(x, weights, H, mask=filled(torch.tril, fill)),
                      weights)
        yield project(attend(x, weights, H, mask=lambda s: s + fill * (
            1 - torch.ones_like(s).tril())), weights)


def mask_of_zeros(got, x, weights, H, block_size):
    """Masked scores are 0: exp(0) = 1 is no small weight. Fill with minus
    infinity before the softmax."""
    yield project(attend(x, weights, H, mask=torch.tril), weights)


def not_shifted(got, x, weights, H, block_size):
    """You took exp of the scores as they are. In single precision it is 0
    below -104 and infinite above 88, and 0 / 0 is NaN: subtract a row's
    largest score first, or let softmax do it."""
    for small in (0, *(10.0**-n for n in range(5, 16))):  # to divide by
        def by_hand(scores, axis):
            e = scores.float().exp()
            return (e / (e.sum(axis, keepdim=True) + small)).double()

        yield project(attend(x, weights, H, softmax=by_hand), weights)


def mask_too_late(got, x, weights, H, block_size):
    """The mask came after the softmax: what is left of a row does not sum to
    one. Mask the scores."""
    yield project(attend(x, weights, H, mask=lambda s: s, after=torch.tril),
                  weights)


def one_head(got, x, weights, H, block_size):
    """The heads are forgotten: this is one head of width C. Cut q, k and v
    into H heads before the product."""
    C = x.shape[-1]
    for width in (C, C // H):
        yield project(attend(x, weights, 1, width=width), weights)


def heads_and_width_exchanged(got, x, weights, H, block_size):
    """You viewed (B, T, C) as (B, T, D, H) and exchanged axes 1 and 2: these
    are D heads of width H. View as (B, T, H, D), then transpose(1, 2)."""
    D = x.shape[-1] // H
    for width in (D, H):
        yield project(attend(x, weights, D, width=width), weights)


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


def exchanged(got, x, weights, H, block_size):
    """Query and key have changed places: the first C rows of c_attn make the
    queries, the next C the keys, and a row of scores belongs to a query: the
    product is q @ k.mT, not k @ q.mT."""
    yield project(attend(x, weights, H, parts="kqv"), weights)


def taken_twice(names, why):
    """The mistake of those whose q, k, v are these, one of them twice."""
    def mistake(got, x, weights, H, block_size):
        def cut_twice(rows):
            given = dict(zip("qkv", cut(rows)))
            return [given[name] for name in names]

        yield project(attend(x, weights, H, cut=cut_twice), weights)

    mistake.__doc__ = why
    return mistake


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


def parts_last(got, x, weights, H, block_size):
    """You viewed c_attn(x) as (B, T, H, D, 3), or with the 3 after H: its 3 C
    numbers are the queries of all heads, then all keys, then all values.
    View as (B, T, 3, H, D), or split by C first."""
    def cut_last(rows):
        return rows.unflatten(-1, (-1, 3)).unbind(-1)

    yield project(attend(x, weights, H, cut=cut_last), weights)


def parts_first(got, x, weights, H, block_size):
    """You viewed c_attn(x) with the 3 before T: that cuts the text, or the
    batch, into thirds. Its last axis has q, k and v: split by C along it, or
    view as (B, T, 3, H, D)."""
    B, T, C = x.shape
    for first, then in (((3, B, T, C), 0), ((B, 3, T, C), 1)):
        def cut_first(rows):
            return rows.reshape(first).unbind(then)

        yield project(attend(x, weights, H, cut=cut_first), weights)


def viewed_at_once(got, x, weights, H, block_size):
    """You viewed c_attn(x) with T behind the heads, as (B, 3, H, T, D),
    (B, H, T, 3 D) or the like: that cuts the text into stretches. T stays
    second: view as (B, T, 3, H, D), then exchange axes."""
    B, T, C = x.shape
    D = C // H
    for cut_up in (lambda rows: rows.view(B, 3, H, T, D).unbind(1),
                   lambda rows: rows.view(3, B, H, T, D).unbind(0),
                   lambda rows: rows.view(B, H, T, 3 * D).chunk(3, -1),
                   lambda rows: rows.view(B, H, T, 3, D).unbind(3)):
        for back in (join, join_wrong):
            yield project(attend(x, weights, H, cut=cut_up, join=back,
                                 split=lambda part, H: part), weights)


def nearly(got, x, weights, H, block_size):
    """Nearly right, to a digit or two: part of it is computed in half
    precision, or a small number changes it on the way."""
    right = project(attend(x, weights, H), weights)
    if got.shape == right.shape and torch.allclose(got, right, 0.05, 0.1):
        yield got


HEADS_MISTAKES = [
    untransposed, untransposed_twice,
    *map(viewed_wrongly, ("q", "k", "v", "qk", "qv", "kv")),
    reshaped_keys, not_transposed_back, over_the_heads, scaled_by_n_embd,
    scaled_by_another, not_scaled, scaled_by_width, divided_late, multiplied,
    over_queries, softmax_over_heads, softmax_over_examples,
    # Where all scores are far below zero, a mask of a low number cannot be
    # told from one of zeros or from none. The cases before could.
    mask_filled_too_high, mask_of_zeros, mask_added, no_mask, mask_turned,
    mask_inverted, mask_strict, mask_late_by_one, not_shifted, mask_too_late,
    one_head, heads_and_width_exchanged, interleaved, joined_interleaved,
    exchanged,
    taken_twice("qkk", "The weights mix the keys: they are for the values, "
                "weights @ v."),
    taken_twice("qqv", "The scores are products of queries with queries: take "
                "q @ k.mT."),
    taken_twice("kkv", "The scores are products of keys with keys: take "
                "q @ k.mT."),
    other_order, mixed_per_head, parts_last, parts_first, viewed_at_once,
    no_projection, residual_inside, nearly]


# What can be said of an answer that is like none of these.


def not_a_number(got, *inputs):
    """NaN: a softmax of nothing but minus infinity, or infinity times 0."""
    yield got


def mixed_examples(got, *inputs):
    """An output depends on another example of the batch: a view has put
    numbers of two examples together, or a sum runs over the batch."""
    yield got


def sees_the_future(got, *inputs):
    """An output depends on a later input: change one position, and look which
    outputs move. The mask lets the future in, or a view has put numbers of
    two positions together."""
    yield got


def misses_the_past(got, *inputs):
    """An output does not depend on all inputs up to its own: change one
    position, and look which outputs move."""
    yield got


def other_numbers(got, *inputs):
    """Each output depends on the inputs it should, but not by the right
    numbers: look at the scale, the order of q, k and v and of the heads, and
    the projection."""
    yield got


def symptom(model, x, got):
    """Which of these it is, found by changing one position at a time."""
    if not got.isfinite().all():
        return not_a_number
    B, T, _ = x.shape
    x = 0.1 * x  # small scores: no key has a weight too small to be seen
    before = model(x)
    moved = torch.zeros(B, T, B, T, dtype=torch.bool)  # [changed, output]
    for b, t in itertools.product(range(B), range(T)):
        other = x.clone()
        other[b, t] += 0.1
        moved[b, t] = (model(other) != before).any(-1)
    within = moved[range(B), :, range(B)].any(0)  # [changed t, output t]
    moved[range(B), :, range(B)] = False
    if moved.any():
        return mixed_examples
    if within.tril(-1).any():
        return sees_the_future
    return other_numbers if (within == torch.ones_like(
        within).triu()).all() else misses_the_past


def weights_of(check, model, config, case):
    """The four weights of an answer, which must be these and no others."""
    C = config.n_embd
    shapes = dict(zip(NAMES, ((3 * C, C), (3 * C,), (C, C), (C,))))
    if not config.bias:
        shapes = {k: s for k, s in shapes.items() if k.endswith("weight")}
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    if found == shapes:
        zero = torch.zeros(3 * C)
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


def low_scores(model, config, x):
    """Change weights and x so that every score is far below zero.

    Queries are keys times a negative number. Scores are from -500, of the
    first position with itself, to -350: too low for exp in single precision,
    and for a mask that is filled with a number of two or three digits. In a
    row they are at most 80 apart, which exp bears.
    """
    C, D = config.n_embd, config.n_embd // config.n_head
    x[:] = x[:, :1] * torch.linspace(1, 0.84, x.shape[1])[:, None]
    w = model.c_attn.weight
    keys = w[C:2 * C].view(-1, D, C)  # (H, D, C)
    size = (keys @ x[0, 0].to(w.dtype)).square().sum(-1)  # (H)
    w[:C] = (-500 * D**0.5 / size[:, None, None] * keys).view(C, C)


class Calls(TorchFunctionMode):
    """Counts the calls of torch's functions."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def loops(check, attention):
    """Whether more heads make more calls of torch's functions."""
    counts = []
    for H in (2, 4, 8):
        model = attention(GPTConfig(5, 3, 1, H, 16)).eval()
        with torch.no_grad(), Calls() as calls:
            check.call(model, torch.ones(1, 3, 16), case=f"n_embd 16, n_head "
                       f"{H}, block_size 3; x of shape (1, 3, 16)")
        counts.append(calls.count)
    return counts[0] < counts[1] < counts[2]


def works(model, x):
    try:
        model(x)
    except Exception:
        return False
    return True


@torch.no_grad()
def seeded(model, x):
    """The output with random numbers that are the same at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model(x.clone())


@torch.no_grad()
def differs_in_training(check, model, x, want, case):
    """Whether training mode gives another output, without dropout.

    Of many copies of x in one batch dropout would spare some and not others.
    """
    copies = check.call(model.train(), x.repeat(256, 1, 1),
                        case=f"{case}, 256 times, in training mode")
    model.eval()
    copies = copies.view(256, *x.shape).double()
    near = {"atol": 1e-4, "rtol": 1e-4}
    return (torch.allclose(copies, copies[:1].expand_as(copies), **near)
            and not torch.allclose(copies[0], want, **near))


def heads(attention):
    """Check the class CausalSelfAttention, exercise L7-EX1.

    attention(config) -> a module with nn.Linear layers c_attn and c_proj,
    for n_embd, n_head, block_size and bias of a GPTConfig; the module maps x
    (B, T, C) to (B, T, C), for T up to block_size. It is judged without
    dropout. A loop over the heads passes, and the line says that there is one.
    """
    check = Check("heads")
    g = torch.Generator().manual_seed(check.seed)
    if isinstance(attention, nn.Module):
        check.fail("hand over the class itself, not an object of it",
                   got=show(type(attention).__name__ + "(…)"))
    judged, texts, low = [], [], (1, 3, 8, 2, 3, False, 0.0)
    for sizes in ((2, 5, 12, 3, 5, True, 0.0), (2, 3, 12, 3, 8, True, 0.0),
                  (1, 6, 8, 4, 7, False, 0.0), (3, 4, 6, 1, 4, True, 0.0),
                  (2, 4, 6, 6, 9, True, 0.0), (2, 1, 8, 2, 4, True, 0.0),
                  (2, 5, 12, 2, 5, True, 0.5), low):
        B, T, C, H, block_size, bias, dropout = sizes
        config = GPTConfig(5, block_size, 1, H, C, dropout, bias)
        case = (f"n_embd {C}, n_head {H}, block_size {block_size}, bias "
                f"{bias}, dropout {dropout}; x of shape {(B, T, C)}")
        model = check.call(attention, config, case=case)
        if not isinstance(model, nn.Module):
            check.fail("make it a class CausalSelfAttention(nn.Module)",
                       input=case, got=show(model))
        weights = weights_of(check, model, config, case)
        x = torch.randn(B, block_size, C, generator=g)  # T of them first
        with torch.no_grad():
            for p in model.parameters():
                p.normal_(0, 0.6, generator=g)
            if sizes is low:
                case += ", all scores far below zero"
                low_scores(model, config, x)
        judged.append(judge(check, model.eval(), x[:, :T], weights, config,
                            case))
        texts.append((model, x, T, weights, config, case))
        check.cases += 1
    for parts in texts:
        other_lengths(check, *parts)
    for parts in judged:
        compare_gradients(check, *parts)
    remark = f"{check.cases} cases"
    if loops(check, attention):
        remark += ("; it still loops over the heads, and the exercise asks "
                   "for none")
    check.passed(remark)


def judge(check, model, x, weights, config, case):
    """Compare a model's outputs with the definition's.

    Returns what `compare_gradients` takes; with gradients compared after all
    outputs, a mistake of the output is not taken for one of the gradient.
    """
    T, H = x.shape[1], config.n_head
    mine, theirs = (x.clone().requires_grad_() for _ in range(2))
    try:
        got = check.call(model, theirs, case=case)
    except Wrong as wrong:
        if isinstance(wrong.__cause__, RuntimeError) and (
                T < config.block_size and works(
                    model, torch.ones(1, config.block_size, x.shape[2]))):
            check.fail(
                f"a text may be shorter than block_size: cut the mask to "
                f"[:T, :T], or make it of T ({wrong.__cause__})", input=case)
        raise
    if not isinstance(got, torch.Tensor):
        check.fail("forward returns one tensor (B, T, C)", input=case,
                   got=show(got))
    if got.shape != x.shape:
        check.fail("the result has the shape of x: the heads lie side by "
                   "side again, at every position", input=case,
                   expected=f"shape {tuple(x.shape)}",
                   got=f"shape {tuple(got.shape)}")
    with torch.no_grad():
        again = model(x.clone())
    if not torch.allclose(got, again, equal_nan=True):
        a, b = seeded(model, x), seeded(model, x)
        check.fail("dropout is on in evaluation mode: two calls with one x "
                   "differ. F.dropout and F.scaled_dot_product_attention do "
                   "not know the mode: give them the share `self.dropout if "
                   "self.training else 0.0`" if torch.equal(a, b) else
                   "two calls with one x differ: the first leaves something "
                   "behind that changes the second", input=case)
    args = [w.double() for w in weights], H, config.block_size
    want = head_by_head(mine.double(), *args)
    with torch.no_grad():
        right = check.same(check.read(got), want, 1e-4, 1e-4)
        rest = [] if right else [symptom(model, x, got)]
        check.expect("output", got, want, HEADS_MISTAKES + rest,
                     (x.double(), *args), case=case, atol=1e-4, rtol=1e-4)
    if not config.dropout and differs_in_training(check, model, x, want,
                                                  case):
        check.fail("in evaluation mode the output is right, in training mode "
                   "it is another: only dropout may depend on the mode",
                   input=case)
    return case, (theirs, got), (mine, want), weights


@torch.no_grad()
def other_lengths(check, model, x, T, weights, config, case):
    """Ask a model that was right for T positions of x for more, and fewer."""
    want = head_by_head(x.double(), [w.double() for w in weights],
                        config.n_head, config.block_size)
    for n in (x.shape[1], max(T - 1, 1)):
        why = (f"right for its first text, of {T} positions, and not for the "
               f"next, of {n}: something made for the first is kept, a mask "
               "perhaps. Make it anew, or once, of block_size, and cut it to "
               "[:T, :T]")
        try:
            got = check.call(model, x[:, :n].clone(), case=case)
        except Wrong as wrong:
            check.fail(f"{why} ({wrong.__cause__})", input=case)
        if not check.same(check.read(got), want[:, :n], 1e-4, 1e-4):
            check.fail(why, input=case)


def compare_gradients(check, case, theirs, mine, weights):
    """Compare the gradients of two pairs (x, output) in x and the weights."""
    (x, got), (mine, want) = theirs, mine
    pull = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view(x.shape)
    inputs = dict(zip(NAMES, weights))
    inputs = {n: p for n, p in inputs.items() if p.requires_grad}
    wanted = torch.autograd.grad((want * pull).sum(),
                                 [mine, *inputs.values()])
    if not got.requires_grad:
        check.fail("no gradient comes back: something was detached, or "
                   "computed under torch.no_grad()", input=case)
    found = check.call(
        lambda: torch.autograd.grad((got * pull).sum(), [
            x, *inputs.values()], allow_unused=True), case=case)
    for name, a, b in zip(("x", *inputs), found, wanted):
        if a is not None and a.isnan().any():
            check.fail(f"the output is right, its gradient in {name} is NaN: "
                       "on the way an infinity is multiplied by 0, as in a "
                       "mask that is multiplied", input=case)
        # Single precision leaves 1e-5, what is detached a good part of b.
        if a is None or not torch.allclose(a, b, atol=1e-3, rtol=1e-3):
            check.fail(f"the output is right, its gradient in {name} is not: "
                       "something on the way was detached", input=case)

"""The checker of six ideas from papers (L7-EX4).

A mistake's docstring is what the reader reads. Shapes: queries and keys q, k
(..., T, D), angle (T, D / 2).
"""

import itertools

import torch

from zth.check import show
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["modern"]


def numbers(check, function, *args, case, why=None):
    """What a feature returns, as float64; refused if it is not finite."""
    return finite(check, tensor(check.call(function, *args, case=case)), case,
                  why)


def finite(check, out, case, why=None):
    if not out.isfinite().all():
        check.fail(why or "a number came out of 0/0, of an overflow, or was "
                   "never written", input=case, expected="finite numbers",
                   got=f"NaN or infinity, in {(~out.isfinite()).sum()} of "
                   f"{out.numel()} places")
    return out


def layouts(D):
    """Usual pairings of D channels, one pair a row, (D / 2, 2)."""
    d = torch.arange(D)
    return {"halves": d.view(2, -1).T, "neighbours": d.view(-1, 2),
            "mirrored": torch.stack([d, d.flip(0)], 1)[:D // 2]}


def pairing(turn, D):
    """The channels that a function pairs, (D / 2, 2); None if it does not.

    Position 0 is not turned, position 1 + d has pair d alone turned, by a
    radian. A unit vector there has a product with another one at 0 only if
    the two are the pair's channels, positive for the first one turned.
    """
    angle = torch.cat([torch.zeros(1, D // 2), torch.eye(D // 2)])
    x = torch.eye(D)[:, None].repeat(1, len(angle), 1)  # (D, 1 + D/2, D)
    out = turn(x, angle, f"unit vectors {tuple(x.shape)}, at each position "
               "one pair turned by 1").transpose(0, 1)
    product = out[:1] @ out[1:].mT  # (D / 2, D, D)
    place = (product - product.mT).flatten(1).argmax(1)
    pairs = torch.stack([place % D, place // D], 1)
    if pairs.flatten().sort().values.equal(torch.arange(D)):
        return pairs
    return None


def turned_scores(q, k, angle, pairs):
    """The products of turned queries and keys, (..., T, T).

    A pair is a complex number; turned by t and s, the real part of one times
    the other's conjugate is the pair's product.
    """
    left, right = (torch.complex(*x[..., pairs].unbind(-1))
                   * torch.exp(1j * angle) for x in (q, k))
    return (left @ right.mH).real


def products(function, q, k, angle):
    return function(q, angle) @ function(k, angle).mT


def each_way(function):
    """A mistake made with each layout and direction, as its scores."""
    def generator(got, q, k, angle):
        for pairs in layouts(q.shape[-1]).values():
            for order in (pairs, pairs.flip(1)):
                def wrong(x, angle, order=order):
                    a, b = x[..., order].unbind(-1)
                    return torch.cat(function(a, b, angle), -1)
                yield products(wrong, q, k, angle)

    generator.__doc__ = function.__doc__
    return generator


@each_way
def added(a, b, angle):
    """the angles are added to the channels: turn the pairs instead; a sum
    holds where a token stands, not how far apart two stand."""
    return a + angle, b + angle


@each_way
def sines_added(a, b, angle):
    """sines and cosines are added, as in the first Transformer: multiply, so
    that each pair is turned."""
    return a + angle.sin(), b + angle.cos()


@each_way
def one_sign(a, b, angle):
    """both products with the sine have the same sign: that stretches a pair.
    A turn has a cos - b sin and a sin + b cos."""
    return (a * angle.cos() + b * angle.sin(),
            a * angle.sin() + b * angle.cos())


@each_way
def both_minus(a, b, angle):
    """both products with the sine have the same sign, minus: that stretches
    a pair. A turn has one plus and one minus."""
    return (a * angle.cos() - b * angle.sin(),
            b * angle.cos() - a * angle.sin())


@each_way
def overwritten(a, b, angle):
    """the second channel of a pair is computed from the new value of the
    first: keep the old one until both are done."""
    a = a * angle.cos() - b * angle.sin()
    return a, a * angle.sin() + b * angle.cos()


@each_way
def overwritten_too(a, b, angle):
    """the first channel of a pair is computed from the new value of the
    second: keep the old one until both are done."""
    b = a * angle.sin() + b * angle.cos()
    return a * angle.cos() - b * angle.sin(), b


@each_way
def cosine_alone(a, b, angle):
    """only the products with the cosine are there: each channel also takes
    its partner times the sine."""
    return a * angle.cos(), b * angle.cos()


@each_way
def degrees(a, b, angle):
    """the angles are taken for degrees: they are in radians."""
    angle = torch.deg2rad(angle)
    return (a * angle.cos() - b * angle.sin(),
            a * angle.sin() + b * angle.cos())


@each_way
def same_angle(a, b, angle):
    """every pair is turned by the first pair's angle: each has its own."""
    angle = angle[:, :1]
    return (a * angle.cos() - b * angle.sin(),
            a * angle.sin() + b * angle.cos())


def not_turned(got, q, k, angle):
    """nothing is turned: the scores are those without positions."""
    yield q @ k.mT


def mismatched(got, q, k, angle):
    """the pairs do not fit the angles: with halves, angle d belongs to the
    channels d and d + D/2; with neighbours, to 2d and 2d + 1."""
    def halves(x, angle):
        a, b = x.chunk(2, -1)
        angle = angle.repeat_interleave(2, -1)
        return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()

    def neighbours(x, angle):
        a, b = x[..., ::2], x[..., 1::2]
        angle = torch.cat([angle, angle], -1)
        return (x * angle.cos()
                + torch.stack([-b, a], -1).flatten(-2) * angle.sin())

    yield products(halves, q, k, angle)
    yield products(neighbours, q, k, angle)


def stretched(got, q, k, angle):
    """the vector at a position changes its length, and a turn keeps it:
    a cos - b sin and a sin + b cos, both from the old a and b, with one angle
    for the two."""
    yield got


def other_angles(got, q, k, angle):
    """lengths are kept, as by a turn, but the angles are others: pair d at
    position t is turned by angle[t, d], the same channels and the same
    direction everywhere."""
    yield got


ROTATE_MISTAKES = [not_turned, added, sines_added, one_sign, both_minus,
                   overwritten, overwritten_too, cosine_alone, mismatched,
                   same_angle, degrees]


def check_rotate(check, rotate, g):
    def turn(x, angle, case):
        x, angle = x.double(), angle.double()
        out = numbers(check, rotate, x.clone(), angle.clone(), case=case)
        if out.shape != x.shape:
            check.fail("a turn changes no shape: put the two members of the "
                       "pairs together again", input=case,
                       expected=f"shape {tuple(x.shape)}",
                       got=f"shape {tuple(out.shape)}")
        return out

    cases = [("all angles 0", (3, 4), torch.zeros(3, 2))]
    cases += [(f"q, k {shape}, angles t / 10000^s", shape,
               angle_table(shape[-2], shape[-1]))
              for shape in ((5, 4), (2, 3, 7, 8))]
    cases += [("q, k (6, 6), random angles", (6, 6),
               3 * torch.randn(6, 3, generator=g))]
    for case, shape, angle in cases:
        D, angle = shape[-1], angle.double()
        q, k = torch.randn((2, *shape), generator=g).double()
        turned = [turn(x, angle, case) for x in (q, k)]
        pairs = pairing(turn, D)
        found = pairs is not None
        long = [x.norm(dim=-1) for x in (q, *turned[:1])]
        check.expect(
            "products of turned q and k", turned[0] @ turned[1].mT,
            turned_scores(q, k, angle, pairs if found
                          else layouts(D)["halves"]),
            [*ROTATE_MISTAKES, other_angles if check.same(*long, 1e-4, 1e-4)
             else stretched], (q, k, angle), case=case)
        check.cases += 1
        if D == 8:
            remark = f"pairs are {spoken(pairs)}"
    return remark


def spoken(pairs):
    """A pairing by its name, or all its pairs."""
    def unordered(pairs):
        return sorted(sorted(pair) for pair in pairs.tolist())

    listed = unordered(pairs)
    return next((name for name, usual in layouts(pairs.numel()).items()
                 if unordered(usual) == listed),
                ", ".join(f"{a} and {b}" for a, b in listed))


def angle_table(block_size, D):
    share = torch.arange(D // 2) / (D // 2)
    t = torch.arange(block_size).double()
    return t[:, None] / 10_000.0**share


def other_base(got, block_size, D):
    """the base is another than 10,000. That is a choice of its own, but not
    the paper's."""
    share = torch.arange(D // 2) / (D // 2)
    for base in (2.0, 10.0, 1000.0, 1e5, 5e5, 1e6):
        yield torch.arange(block_size)[:, None] / base**share


def exponent_to_one(got, block_size, D):
    """the last pair's exponent is 1: d / (D / 2) stops before it."""
    yield (torch.arange(block_size)[:, None]
           / 10_000.0**torch.linspace(0, 1, D // 2))


def double_exponent(got, block_size, D):
    """the exponent runs to nearly 2: it is d / (D / 2) with d counting the
    pairs, or d / D with d counting channels by twos."""
    share = torch.arange(D // 2) / (D // 2)
    yield torch.arange(block_size)[:, None] / 10_000.0**(2 * share)


def backwards(got, block_size, D):
    """the sign is turned: t / 10000^s is not negative."""
    yield -angle_table(block_size, D)


def last_first(got, block_size, D):
    """the pairs are in the opposite order: the first turns fastest."""
    yield angle_table(block_size, D).flip(1)


def full_turns(got, block_size, D):
    """the angles are multiplied by 2 pi: they are radians, not turns."""
    yield 2 * torch.pi * angle_table(block_size, D)


def uneven(got, block_size, D):
    """a pair's angle does not grow by the same step at each position."""
    steps = got.diff(dim=0)
    if not torch.allclose(steps, steps[:1].expand_as(steps)):
        yield got


def other_steps(got, block_size, D):
    """each pair's angle grows by the same step at each position, but the
    steps are others: pair d's is 1 / 10000^(d / (D / 2))."""
    yield got


def half_exponent(got, block_size, D):
    """the exponent is d / D, or the base is 100: d / (D / 2) runs from 0 to
    nearly 1."""
    yield (torch.arange(block_size)[:, None]
           / 10_000.0**(torch.arange(D // 2) / D))


def fast_last(got, block_size, D):
    """the exponent's sign is turned: angles grow with the pair."""
    share = torch.arange(D // 2) / (D // 2)
    yield torch.arange(block_size)[:, None] * 10_000.0**share


ANGLES_MISTAKES = [half_exponent, other_base, fast_last, exponent_to_one,
                   double_exponent, backwards, last_first, full_turns, uneven,
                   other_steps]


def check_angles(check, angles, g):
    for block_size, D in ((1, 2), (5, 8), (9, 4)):
        case = f"block_size = {block_size}, D = {D}"
        got = numbers(check, angles, block_size, D, case=case)
        if got.shape != (block_size, D // 2):
            check.fail("one angle for each position and pair", input=case,
                       expected=f"shape {(block_size, D // 2)}",
                       got=f"shape {tuple(got.shape)}")
        check.expect("angles, less those of the first position",
                     got - got[:1], angle_table(block_size, D),
                     ANGLES_MISTAKES, (block_size, D), case=case)
        check.cases += 1


def centred(got, x):
    """the mean is taken off: that is layer norm."""
    y = x - x.mean(-1, keepdim=True)
    yield y / (y * y).mean(-1, keepdim=True).sqrt()


def of_the_sum(got, x):
    """the sum of squares stands under the root: take their mean."""
    yield x / (x * x).sum(-1, keepdim=True).sqrt()


def without_root(got, x):
    """divided by the mean square itself: take its root."""
    yield x / (x * x).mean(-1, keepdim=True)


def other_axis(got, x):
    """the mean runs over another axis than the last, the channels."""
    for axes in (0, -2, tuple(range(x.ndim))):
        yield x / (x * x).mean(axes, keepdim=True).sqrt()


def large_epsilon(got, x):
    """ε is so large that it shows: 1e-5 or less will do."""
    for eps in (1e-3, 1e-2, 0.1, 1.0):
        yield x / ((x * x).mean(-1, keepdim=True) + eps).sqrt()


def deviation(got, x):
    """divided by the standard deviation, which has the mean taken off: take
    the root of the mean square."""
    for correction in (0, 1):
        yield x / x.std(-1, correction=correction, keepdim=True)


def of_sizes(got, x):
    """divided by the mean, or the largest, of the absolute values: take the
    root of the mean square."""
    yield x / x.abs().mean(-1, keepdim=True)
    yield x / x.abs().amax(-1, keepdim=True)


def rough(got, x):
    """right to two digits or three: part of it is computed in half
    precision."""
    right = x / (x * x).mean(-1, keepdim=True).sqrt()
    if got.shape == x.shape and torch.allclose(got, right, 0.02, 0.02):
        yield got


RMS_MISTAKES = [centred, of_the_sum, without_root, other_axis, deviation,
                of_sizes, large_epsilon, rough]


def check_rms_norm(check, rms_norm, g):
    for shape in ((5, 7), (3, 4, 6), (1, 8)):
        x = 1 + 2 * torch.randn(shape, generator=g).double()
        square = torch.linspace(2, 8, x[..., 0].numel()).double()
        want = x / (x * x).mean(-1, keepdim=True).sqrt()
        x = want * square.sqrt().view(*shape[:-1], 1)  # its mean squares
        case = f"random numbers {shape}"
        got = numbers(check, rms_norm, x.clone(), case=case)
        check.expect("rms_norm(x)", got, want, RMS_MISTAKES, (x,), case=case)
        check.cases += 1
    x[:], case = 0, "a row of zeros, (1, 8)"
    got = numbers(
        check, rms_norm, x.clone(), case=case, why="a row of zeros is divided "
        "by zero: add ε to the mean square, under the root")
    if got.abs().max() > 1e-5:
        check.fail("zeros have to stay zeros: add ε to the mean square "
                   "alone, under the root", input=case, expected="zeros",
                   got=f"numbers up to {got.abs().max():.3g}")
    check.cases += 1


def beside(found):
    """The share of a matrix (n, n) that is not on its diagonal, 0 to 1."""
    rest = found - torch.diag(found.diagonal())
    return rest.norm() / found.norm().clamp(min=1e-30)


def check_orthogonal(check, orthogonal, g):
    # Newton and Schulz's steps in bfloat16 leave up to 0.06 beside the
    # diagonal, the sign of each entry 0.25 or more.
    limit = 0.12
    for shape, size in (((16, 8), 100.0), ((8, 8), 1.0), ((8, 16), 1e-3)):
        U, _, Vh = torch.linalg.svd(torch.randn(
            shape, generator=g).double(), full_matrices=False)
        s = size * torch.linspace(0.2, 1, min(shape)).double()
        G = U @ torch.diag(s) @ Vh
        case = f"G {shape}, singular values {0.2 * size:g} to {size:g}"
        got = numbers(
            check, orthogonal, G.clone(), case=case, why="a number came "
            "out of 0/0 or of an overflow. Divide G by its norm before the "
            "first step: from a singular value well above 1 the polynomial "
            "runs away")
        if got.shape != G.shape:
            check.fail("a tall matrix is turned over for the steps, and has "
                       "to be turned back", input=case,
                       expected=f"shape {shape}",
                       got=f"shape {tuple(got.shape)}")
        inside = U.mT @ got @ Vh.mT  # diagonal if the directions are kept
        found = inside.diagonal()
        lines = {"input": case, "expected": "between about 0.6 and 1.3",
                 "got": f"{found.min():.3g} to {found.max():.3g}"}
        if beside(inside) > limit:
            if len(G) == len(G.mT) and beside(
                    U.mT @ got.mT @ Vh.mT) < limit:
                why = ("this is the transpose of the answer: turn back what "
                       "was turned over, and nothing else")
            elif ((torch.linalg.svdvals(got) - 1).abs() < 0.05).all():
                why = ("the result is orthogonal, but not the one nearest to "
                       "G: U Vᵀ has the singular directions of G itself")
            else:
                why = ("the singular directions have changed: multiply by "
                       "powers of G Gᵀ alone, not entry by entry")
            check.fail(why, input=case, expected="Uᵀ X V diagonal",
                       got="entries beside the diagonal")
        if found.max() < 0:
            check.fail("the sign is turned: this is minus the direction",
                       **lines)
        if found.min() < -0.1:
            check.fail("some directions are turned round: every singular "
                       "value has to keep its sign", **lines)
        if found.max() > 4 * found.min():
            check.fail("the singular values still differ by their old ratio, "
                       "or by much of it: G was only scaled, or there were "
                       "too few steps", **lines)
        if found.min() < 0.55 or found.max() > 1.35:
            check.fail("the singular values are equal enough, but not near "
                       "1", **lines)
        check.cases += 1


def check_ngram_rows(check, ngram_rows, g):
    V = 11
    for n, buckets in ((2, 1009), (3, 10_007), (4, 997)):
        def rows(idx):
            case = (f"idx {tuple(idx.shape)}, n = {n}, vocab_size = {V}, "
                    f"buckets = {buckets}")
            raw = check.call(ngram_rows, idx.clone(), n, V, buckets,
                             case=case)
            out = finite(check, tensor(raw), case)
            if out.shape != idx.shape:
                check.fail("one row for each position, the first ones too",
                           input=case, expected=f"shape {tuple(idx.shape)}",
                           got=f"shape {tuple(out.shape)}")
            kind = str(getattr(raw, "dtype", ""))
            if "float" in kind or (out != out.round()).any():
                check.fail("the rows of a table are counted, each is an "
                           "integer: divide with // and take the remainder "
                           "with %", input=case, expected="integers",
                           got=f"{show(out[0, :3])} {kind}")
            if out.min() < 0 or out.max() >= buckets:
                check.fail("take the remainder by buckets", input=case,
                           expected=f"rows from 0 to {buckets - 1}",
                           got=f"{out.min():g} to {out.max():g}")
            return out

        idx = torch.randint(V, (2, 12), generator=g)
        if (rows(idx) != rows(idx)).any():
            check.fail("two calls with one idx differ: an n-gram keeps its "
                       "row, so draw no numbers, count no calls, and fill "
                       "what you allocate", input=f"n = {n}, twice the same")
        reach(check, rows, idx, n, V)
        repeat(check, rows, n, V, g)
        swap(check, rows, n, V, g)
        check.cases += 1


def reach(check, rows, idx, n, V):
    """Each row has to move with the last n ids, and with no other."""
    before = rows(idx)
    T = idx.shape[1]
    touched = torch.zeros(T, T)  # [changed position, moved row]
    for t in range(T):
        for by in (1, 4, 7):
            other = idx.clone()
            other[:, t] = (other[:, t] + by) % V
            touched[t] += (rows(other) != before).any(0)
    t = torch.arange(T)
    ahead, far = t[None] < t[:, None], t[None] >= t[:, None] + n
    for wrong, why in (
            (touched.bool() & ahead,
             "a row depends on an id after its position: the model would "
             "see what it has to predict"),
            (touched.bool() & far,
             f"a row depends on ids more than {n - 1} back: an n-gram is "
             "the last n ids, its own position's included"),
            (~touched.bool() & ~ahead & ~far,
             f"a row does not depend on all of the last {n} ids")):
        if wrong.any():
            a, b = wrong.nonzero()[0].tolist()
            check.fail(why, input=f"idx {tuple(idx.shape)}, n = {n}",
                       got=f"id {a} changed, and row {b} "
                       f"{'moved' if touched[a, b] else 'did not'}")


def repeat(check, rows, n, V, g):
    """One n-gram has one row: at any place, in any example, in any call."""
    T = 32
    gram = torch.randint(V, (n,), generator=g)
    text = torch.randint(V, (3, T), generator=g)
    ends = [(0, n - 1), (0, 2 * n), (0, T - 1), (1, n - 1), (1, T - 2),
            (2, n - 1)]
    for example, end in ends:
        text[example, end + 1 - n:end + 1] = gram
    # By themselves those ids are an example, and a text, of their own.
    first, alone = rows(text), rows(gram[None])
    for a, b, why in (
            (first[0, n - 1], first[0, [2 * n, T - 1]],
             "the row depends on the place in the text"),
            (first[0, n - 1], first[1:, n - 1],
             "the row depends on the example's place in the batch"),
            (first[:, :n - 1], first[:1, :n - 1],
             "before there are n ids, the row depends on the example's place "
             "in the batch"),
            (first[0, n - 1], first[1, T - 2],
             "the row depends on the place in the text"),
            (first[0, :n], alone[0],
             "the row depends on the size of idx, the length or the batch")):
        if (a != b).any():
            check.fail(f"one n-gram has two rows: {why}. The same n ids have "
                       "to give the same row everywhere",
                       input=f"the ids {gram.tolist()} at several places of "
                       f"idx {tuple(text.shape)}", expected="equal rows",
                       got=f"{show(a.flatten()[:3])} and "
                       f"{show(b.flatten()[:3])}")


def swap(check, rows, n, V, g):
    """Two ids exchanged have to give another row, for nearly all n-grams."""
    grams = torch.stack([torch.randperm(V, generator=g)[:n]
                         for _ in range(32)])
    before = rows(grams)[:, -1]
    for a, b in itertools.combinations(range(n), 2):
        other = grams.clone()
        other[:, [a, b]] = grams[:, [b, a]]
        if (rows(other)[:, -1] == before).all():
            check.fail(
                "the order of the ids does not count: exchanged, they have "
                "one row", input=f"n = {n}; ids {a} and {b} of each n-gram "
                "exchanged", expected="another row for nearly all n-grams",
                got=f"the same row for all {len(grams)}")


def other_weight(got, p, q, weight):
    """the weights are exchanged: `weight` is the first one's."""
    yield (1 - weight) * p + weight * q


def of_logs(got, p, q, weight):
    """logarithms are mixed: mix the probabilities, which then sum to 1."""
    logs = weight * p.log() + (1 - weight) * q.log()
    yield from (logs, logs.exp(), logs.softmax(-1))


def unweighted(got, p, q, weight):
    """the second one's share is missing, or not 1 - weight."""
    yield from (weight * p, weight * p + q, p + weight * q)


def no_weight(got, p, q, weight):
    """the weight is not used: this is the plain mean."""
    yield (p + q) / 2


def other_share(got, p, q, weight):
    """another weight is used: the shares are `weight` and 1 - weight, as
    they come."""
    if got.shape == p.shape:
        share = ((got - q) * (p - q)).sum() / ((p - q)**2).sum()
        yield share * p + (1 - share) * q


def log_of_mixture(got, p, q, weight):
    """the mixture is right, and then its logarithm is taken: return the
    probabilities."""
    right = (weight * p + (1 - weight) * q).log()
    yield from (right, -right)


def no_distribution(got, p, q, weight):
    """the mixture of two distributions sums to 1 again; this does not."""
    if got.shape == p.shape and ((got.sum(-1) - 1).abs() > 1e-4).any():
        yield got


MIX_MISTAKES = [other_weight, of_logs, unweighted, no_weight, other_share,
                log_of_mixture, no_distribution]


def check_mix(check, mix, g):
    for shape, weight in (((4, 5), 0.3), ((1, 3), 0.0), ((3, 65), 0.8)):
        p, q = torch.randn((2, *shape), generator=g).double().softmax(-1)
        case = f"probabilities {shape}, weight = {weight}"
        got = numbers(check, mix, p.clone(), q.clone(), weight, case=case)
        check.expect("mixture", got, weight * p + (1 - weight) * q,
                     MIX_MISTAKES, (p, q, weight), case=case)
        check.cases += 1


FEATURES = {"rotate": check_rotate, "angles": check_angles,
            "rms_norm": check_rms_norm, "orthogonal": check_orthogonal,
            "ngram_rows": check_ngram_rows, "mix": check_mix}


def modern(**features):
    """Check features of a modern GPT by their names, exercise L7-EX4.

    rotate(x (..., T, D), angle (T, D / 2)) -> (..., T, D), judged by the
    products of turned queries and keys, so that any pairing and direction
    passes that is the same for both; angles(block_size, D); rms_norm(x);
    orthogonal(G); ngram_rows(idx, n, vocab_size, buckets); mix(p, q, weight).
    """
    check = Check("modern")
    g = torch.Generator().manual_seed(check.seed)
    unknown = [name for name in features if name not in FEATURES]
    if unknown or not features:
        check.fail("name what you hand over: check.modern(rotate=rotate)",
                   expected=f"one or more of {', '.join(FEATURES)}",
                   got=show(unknown) if unknown else "nothing")
    remarks = [FEATURES[name](check, function, g)
               for name, function in features.items()]
    check.passed("; ".join(filter(None, [
        f"{', '.join(features)}: {check.cases} cases", *remarks])))

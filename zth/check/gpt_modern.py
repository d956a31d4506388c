"""The checker of six ideas from papers (L7-EX4).

A mistake's docstring is what the reader reads. Shapes: queries and keys q, k
(..., T, D), angle (T, D / 2).
"""

import torch

from zth.check import show
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["modern"]

PAIRS = ("halves", "neighbours")


def pairs(x, how):
    """The two members of each pair of channels, (..., D / 2) both."""
    return (x.chunk(2, -1) if how == "halves"
            else (x[..., ::2], x[..., 1::2]))


def turned_scores(q, k, angle, how, sign):
    """The products of turned queries and keys, pair by pair of channels.

    A pair is a complex number; turned by t and s, the real part of one times
    the other's conjugate is the pair's product.
    """
    total = 0
    for q1, q2, k1, k2, line in zip(*(
            part.unbind(-1) for x in (q, k) for part in pairs(x, how)),
            angle.unbind(-1)):
        unit = torch.exp(1j * sign * line)  # (T,)
        left = torch.complex(q1, q2) * unit
        right = torch.complex(k1, k2) * unit
        total = total + (left[..., :, None] * right.conj()[..., None, :]).real
    return total


def products(function, q, k, angle):
    return function(q, angle) @ function(k, angle).mT


def both_ways(function):
    """A mistake made with halves, and with neighbours, as its scores."""
    def generator(got, q, k, angle):
        for how in PAIRS:
            def wrong(x, angle, how=how):
                a, b = pairs(x, how)
                return torch.cat(function(a, b, angle), -1)
            yield products(wrong, q, k, angle)

    generator.__doc__ = function.__doc__
    return generator


@both_ways
def added(a, b, angle):
    """the angles are added to the channels: turn the pairs instead; a sum
    holds where a token stands, not how far apart two stand."""
    return a + angle, b + angle


@both_ways
def sines_added(a, b, angle):
    """sines and cosines are added, as in the first Transformer: multiply, so
    that each pair is turned."""
    return a + angle.sin(), b + angle.cos()


@both_ways
def one_sign(a, b, angle):
    """both products with the sine have the same sign: that stretches a pair.
    A turn has a cos - b sin and a sin + b cos."""
    return (a * angle.cos() + b * angle.sin(),
            a * angle.sin() + b * angle.cos())


@both_ways
def both_minus(a, b, angle):
    """both products with the sine have the same sign, minus: that stretches
    a pair. A turn has one plus and one minus."""
    return (a * angle.cos() - b * angle.sin(),
            b * angle.cos() - a * angle.sin())


@both_ways
def overwritten(a, b, angle):
    """the second channel of a pair is computed from the new value of the
    first: keep the old one until both are done."""
    a = a * angle.cos() - b * angle.sin()
    return a, a * angle.sin() + b * angle.cos()


@both_ways
def cosine_alone(a, b, angle):
    """only the products with the cosine are there: each channel also takes
    its partner times the sine."""
    return a * angle.cos(), b * angle.cos()


@both_ways
def degrees(a, b, angle):
    """the angles are taken for degrees: they are in radians."""
    angle = torch.deg2rad(angle)
    return (a * angle.cos() - b * angle.sin(),
            a * angle.sin() + b * angle.cos())


@both_ways
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


ROTATE_MISTAKES = [not_turned, added, sines_added, one_sign, both_minus,
                   overwritten, cosine_alone, mismatched, same_angle, degrees]


def check_rotate(check, rotate, g):
    ways = [(how, sign) for how in PAIRS for sign in (1, -1)]
    cases = [("all angles 0", (3, 4), torch.zeros(3, 2))]
    cases += [(f"q, k {shape}, angles t / 10000^s", shape,
               angle_table(shape[-2], shape[-1]))
              for shape in ((5, 4), (2, 3, 7, 8))]
    cases += [("q, k (6, 6), random angles", (6, 6),
               3 * torch.randn(6, 3, generator=g))]
    for case, shape, angle in cases:
        angle = angle.double()
        q, k = torch.randn((2, *shape), generator=g).double()
        turned = []
        for x in (q, k):
            out = tensor(check.call(rotate, x.clone(), angle.clone(),
                                    case=case))
            if out.shape != x.shape:
                check.fail("a turn changes no shape: put the two members of "
                           "the pairs together again", input=case,
                           expected=f"shape {tuple(x.shape)}",
                           got=f"shape {tuple(out.shape)}")
            turned.append(out)
        got = turned[0] @ turned[1].mT
        fitting = [way for way in ways if check.same(
            got, turned_scores(q, k, angle, *way), 1e-5, 1e-4)]
        if not fitting:
            check.expect("products of turned q and k", got,
                         turned_scores(q, k, angle, *ways[0]),
                         ROTATE_MISTAKES, (q, k, angle), case=case)
        ways = fitting
        check.cases += 1
    return f"pairs are {ways[0][0]}"


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


def half_exponent(got, block_size, D):
    """the exponent is d / D, or the base is 100: d / (D / 2) runs from 0 to
    nearly 1."""
    yield (torch.arange(block_size)[:, None]
           / 10_000.0**(torch.arange(D // 2) / D))


def fast_last(got, block_size, D):
    """the exponent's sign is turned: angles grow with the pair."""
    share = torch.arange(D // 2) / (D // 2)
    yield torch.arange(block_size)[:, None] * 10_000.0**share


def check_angles(check, angles, g):
    for block_size, D in ((1, 2), (5, 8), (9, 4)):
        case = f"block_size = {block_size}, D = {D}"
        got = tensor(check.call(angles, block_size, D, case=case))
        if got.shape != (block_size, D // 2):
            check.fail("one angle for each position and pair", input=case,
                       expected=f"shape {(block_size, D // 2)}",
                       got=f"shape {tuple(got.shape)}")
        check.expect("angles, less those of the first position",
                     got - got[:1], angle_table(block_size, D),
                     [half_exponent, other_base, fast_last], (block_size, D),
                     case=case)
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


def check_rms_norm(check, rms_norm, g):
    for shape in ((5, 7), (3, 4, 6), (1, 8)):
        x = 1 + 2 * torch.randn(shape, generator=g).double()
        case = f"random numbers {shape}"
        got = check.call(rms_norm, x.clone(), case=case)
        check.expect("rms_norm(x)", got,
                     x / (x * x).mean(-1, keepdim=True).sqrt(),
                     [centred, of_the_sum, without_root, other_axis], (x,),
                     case=case)
        check.cases += 1


def check_orthogonal(check, orthogonal, g):
    for shape, size in (((6, 6), 1.0), ((4, 9), 1e-3), ((9, 4), 100.0)):
        U, _, Vh = torch.linalg.svd(torch.randn(
            shape, generator=g).double(), full_matrices=False)
        s = size * torch.linspace(0.2, 1, min(shape)).double()
        G = U @ torch.diag(s) @ Vh
        case = f"G {shape}, singular values {0.2 * size:g} to {size:g}"
        got = tensor(check.call(orthogonal, G.clone(), case=case))
        if got.shape != G.shape:
            check.fail("a tall matrix is turned over for the steps, and has "
                       "to be turned back", input=case,
                       expected=f"shape {shape}",
                       got=f"shape {tuple(got.shape)}")
        inside = U.mT @ got @ Vh.mT  # diagonal if the directions are kept
        found = inside.diagonal()
        lines = {"input": case, "expected": "between about 0.6 and 1.3",
                 "got": f"{found.min():.3g} to {found.max():.3g}"}
        if (inside - torch.diag(found)).abs().max() > 0.05 * found.abs().max():
            check.fail("the singular directions have changed: multiply by "
                       "powers of G Gᵀ alone, not entry by entry",
                       input=case, expected="Uᵀ X V diagonal",
                       got="entries beside the diagonal")
        if found.max() < 0:
            check.fail("the sign is turned: this is minus the direction",
                       **lines)
        if found.max() > 4 * found.min():
            check.fail("G was only scaled: its singular values still differ "
                       "by their old ratio, or by much of it", **lines)
        if found.min() < 0.55 or found.max() > 1.35:
            check.fail("the singular values are equal enough, but not near "
                       "1", **lines)
        check.cases += 1


def check_ngram_rows(check, ngram_rows, g):
    V = 11
    for n, buckets in ((2, 1009), (3, 10_007), (4, 997)):
        idx = torch.randint(V, (2, 12), generator=g)
        case = f"idx (2, 12), n = {n}, vocab_size = {V}, buckets = {buckets}"

        def rows(idx):
            return tensor(check.call(ngram_rows, idx.clone(), n, V, buckets,
                                     case=case))

        before = rows(idx)
        if before.shape != idx.shape:
            check.fail("one row for each position, the first ones too",
                       input=case, expected=f"shape {tuple(idx.shape)}",
                       got=f"shape {tuple(before.shape)}")
        if before.min() < 0 or before.max() >= buckets:
            check.fail("take the remainder by buckets", input=case,
                       expected=f"rows from 0 to {buckets - 1}",
                       got=f"{before.min():g} to {before.max():g}")
        touched = torch.zeros(12, 12)  # [changed position, moved row]
        for t in range(12):
            for by in (1, 4, 7):
                other = idx.clone()
                other[:, t] = (other[:, t] + by) % V
                touched[t] += (rows(other) != before).any(0)
        t = torch.arange(12)
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
                check.fail(why, input=case, got=f"id {a} changed, and row "
                           f"{b} {'moved' if touched[a, b] else 'did not'}")
        pair = torch.tensor([[1] * n + [2, 3], [1] * n + [3, 2]])
        a, b = rows(pair)[:, -1]
        if a == b:
            check.fail("the order of the ids does not count: 2, 3 and 3, 2 "
                       "have one row", input=case)
        check.cases += 1


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


def check_mix(check, mix, g):
    for shape, weight in (((4, 5), 0.3), ((1, 3), 0.0), ((3, 65), 0.8)):
        p, q = torch.randn((2, *shape), generator=g).double().softmax(-1)
        case = f"probabilities {shape}, weight = {weight}"
        got = check.call(mix, p.clone(), q.clone(), weight, case=case)
        check.expect("mixture", got, weight * p + (1 - weight) * q,
                     [other_weight, of_logs, unweighted], (p, q, weight),
                     case=case)
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
    check, g = Check("modern"), torch.Generator()
    g.seed()
    unknown = [name for name in features if name not in FEATURES]
    if unknown or not features:
        check.fail("name what you hand over: check.modern(rotate=rotate)",
                   expected=f"one or more of {', '.join(FEATURES)}",
                   got=show(unknown) if unknown else "nothing")
    remarks = [FEATURES[name](check, function, g)
               for name, function in features.items()]
    check.passed("; ".join(filter(None, [
        f"{', '.join(features)}: {check.cases} cases", *remarks])))

"""zth.check.gpt, modern; oracle: answers planted right and wrong."""

import pytest
import torch
from answers import passes, refuses

from zth import modern, muon
from zth.check import gpt as check


def starter(*args):
    raise NotImplementedError


def mix(p, q, weight):
    return weight * p + (1 - weight) * q


OURS = {"rotate": modern.rotate, "angles": modern.angles,
        "rms_norm": modern.rms_norm, "orthogonal": muon.orthogonal,
        "ngram_rows": modern.ngram_rows, "mix": mix}


@pytest.mark.parametrize("name", OURS)
def test_the_starter_is_not_written_yet(name):
    for unwritten in (starter, lambda *args: None):
        assert "modern: not written yet" in refuses(check.modern,
                                                    **{name: unwritten})


@pytest.mark.parametrize("name", OURS)
def test_the_packages_own_passes(capsys, name):
    assert name in passes(capsys, check.modern, **{name: OURS[name]})


def test_several_at_once(capsys):
    out = passes(capsys, check.modern, **OURS)
    assert all(name in out for name in OURS)


def test_a_feature_has_to_be_named():
    for answer in ({}, {"rotary": modern.rotate}):
        said = refuses(check.modern, **answer)
        assert "name what you hand over" in said and "ngram_rows" in said


# rotate: right in other ways ------------------------------------------------


def interleaved(x, angle):
    a, b = x[..., ::2], x[..., 1::2]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def by_complex_numbers(x, angle):
    z = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(z * torch.polar(
        torch.ones_like(angle), angle)).flatten(-2)


def clockwise(x, angle):
    return modern.rotate(x, -angle)


def rotate_half(x, angle):
    """Llama's code on the hub."""
    a, b = x.chunk(2, -1)
    angle = torch.cat([angle, angle], -1)
    return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()


def pairs_joined_otherwise(x, angle):
    a, b = x[..., ::2], x[..., 1::2]
    return modern.rotate(torch.cat([a, b], -1), angle)


def by_loops(x, angle):
    x = x.clone()
    for t in range(x.shape[-2]):
        for d in range(x.shape[-1] // 2):
            c, s = angle[t, d].cos(), angle[t, d].sin()
            turn = torch.stack([torch.stack([c, -s]), torch.stack([s, c])])
            x[..., t, 2 * d:2 * d + 2] = (
                x[..., t, 2 * d:2 * d + 2] @ turn.T)
    return x


def with_pairs(channels):
    """A turn whose pair d is channels(D)[d]."""
    def turn(x, angle):
        a, b = x[..., channels(x.shape[-1])].unbind(-1)
        y = torch.empty_like(x)
        y[..., channels(x.shape[-1])] = torch.stack([
            a * angle.cos() - b * angle.sin(),
            a * angle.sin() + b * angle.cos()], -1)
        return y

    return turn


def mirrored(D):
    d = torch.arange(D)
    return torch.stack([d, d.flip(0)], 1)[:D // 2]


def shuffled(D):
    g = torch.Generator().manual_seed(D)
    return torch.randperm(D, generator=g).view(-1, 2)


def each_its_direction(x, angle):
    return modern.rotate(x, angle * torch.tensor([1, -1, 1, -1])[
        :angle.shape[1]])


def then_shuffled(x, angle):
    return modern.rotate(x, angle)[..., shuffled(x.shape[-1]).flatten()]


def single_precision(x, angle):
    return modern.rotate(x.float(), angle.float()).numpy()


@pytest.mark.parametrize("right, pairs", [
    (with_pairs(mirrored), "mirrored"), (with_pairs(shuffled), "0 and "),
    (each_its_direction, "halves"), (then_shuffled, "halves"),
    (single_precision, "halves"),
    (interleaved, "neighbours"), (by_complex_numbers, "neighbours"),
    (clockwise, "halves"), (rotate_half, "halves"),
    (pairs_joined_otherwise, "neighbours"), (by_loops, "neighbours")])
def test_each_consistent_turn_passes(capsys, right, pairs):
    assert pairs in passes(capsys, check.modern, rotate=right)


# rotate: wrong --------------------------------------------------------------


def halves(function):
    def wrong(x, angle):
        a, b = x.chunk(2, -1)
        return torch.cat(function(a, b, angle.cos(), angle.sin()), -1)
    return wrong


def turned_in_place(x, angle):
    a, b = x.chunk(2, -1)
    a *= angle.cos()
    a -= b * angle.sin()
    b *= angle.cos()
    b += a * angle.sin()
    return x


def mirrored_with_one_sign(x, angle):
    a, b = x.chunk(2, -1)
    a, b, c, s = a, b.flip(-1), angle.cos(), angle.sin()
    return torch.cat([a * c + b * s, (a * s + b * c).flip(-1)], -1)


def mixed_up(x, angle):
    a, b = x.chunk(2, -1)
    angle = angle.repeat_interleave(2, -1)
    return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()


def mixed_up_too(x, angle):
    angle = torch.cat([angle, angle], -1)
    turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * angle.cos() + turned * angle.sin()


def with_the_last_left(x, angle):
    return torch.cat([modern.rotate(x, angle)[..., :-1, :], x[..., -1:, :]],
                     -2)


def other_pairs_at_odd_positions(x, angle):
    odd = torch.arange(x.shape[-2]) % 2 == 1
    return torch.where(odd[:, None], interleaved(x, angle),
                       modern.rotate(x, angle))


def in_place_of_second(x, angle):
    a, b = x.chunk(2, -1)
    b *= angle.cos()
    b += a * angle.sin()
    a *= angle.cos()
    a -= b * angle.sin()
    return x


def a_nan(x, angle):
    x = modern.rotate(x, angle)
    x[..., -1, -1] = torch.nan
    return x


WRONG_TURNS = {
    "NaN or infinity": a_nan,
    "lengths are kept, as by a turn": with_the_last_left,
    "changes its length":
        lambda x, angle: 1.01 * modern.rotate(x, angle),
    "new value of the second": in_place_of_second,
    "the angles are added": lambda x, angle: x + torch.cat([angle, angle], -1),
    "sines and cosines are added":
        lambda x, angle: x + torch.cat([angle.sin(), angle.cos()], -1),
    "have the same sign:": halves(
        lambda a, b, c, s: (a * c + b * s, a * s + b * c)),
    "have the same sign, minus": halves(
        lambda a, b, c, s: (a * c - b * s, b * c - a * s)),
    "new value of the first": turned_in_place,
    "only the products with the cosine": halves(
        lambda a, b, c, s: (a * c, b * c)),
    "nothing is turned": lambda x, angle: x,
    "do not fit the angles": mixed_up,
    "turned by the first pair's angle":
        lambda x, angle: modern.rotate(x, angle[:, :1]),
    "taken for degrees":
        lambda x, angle: modern.rotate(x, torch.deg2rad(angle)),
    "a turn changes no shape":
        lambda x, angle: modern.rotate(x, angle)[..., 1:],
}


def test_each_wrong_turn_is_named():
    said = {why: refuses(check.modern, rotate=wrong)
            for why, wrong in WRONG_TURNS.items()}
    for why, message in said.items():
        assert why in message, (why, message)
    assert len(set(said.values())) == len(said)
    for why, wrong in (("do not fit the angles", mixed_up_too),
                       ("same sign", mirrored_with_one_sign),
                       ("lengths are kept", other_pairs_at_odd_positions)):
        assert why in refuses(check.modern, rotate=wrong)


# The other features ---------------------------------------------------------


def table(base=10_000.0, size=2, sign=-1):
    def angles(block_size, D):
        share = torch.arange(D // 2) / (D // size)
        return torch.outer(torch.arange(block_size), base**(sign * share))
    return angles


def normed(function):
    def wrong(x):
        return x / function(x)
    return wrong


def without_epsilon(x):
    return x / x.square().mean(-1, keepdim=True).sqrt()


def not_normed(G):
    X = G if len(G) <= G.shape[1] else G.mT
    for _ in range(5):
        A = X @ X.mT
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    return X if len(G) <= G.shape[1] else X.mT


def first_direction_turned(G):
    U, S, Vh = torch.linalg.svd(G, full_matrices=False)
    U[:, 0] *= -1
    return U @ Vh


def nearly_orthogonal(G):
    """Of a large matrix one entry is NaN."""
    X = muon.orthogonal(G)
    if G.abs().max() > 5:
        X[0, 0] = torch.nan
    return X


def rows(change):
    """The package's rows (B, T), changed."""
    def ngram_rows(idx, n, V, buckets):
        return change(modern.ngram_rows(idx, n, V, buckets)) % buckets

    return ngram_rows


def other_for_short_ones(idx, n, V, buckets):
    out = modern.ngram_rows(idx, n, V, buckets)
    out[:, :n - 1] += torch.arange(len(idx))[:, None]
    return out % buckets


def two_exchangeable(idx, n, V, buckets):
    """Of three ids the first two have one weight."""
    digits = torch.nn.functional.pad(idx + 1, (n - 1, 0)).unfold(1, n, 1)
    weights = 12 ** torch.arange(n)
    weights[:2] = weights[0] if n > 2 else weights[:2]
    return (digits * weights).sum(-1) % buckets


WRONG = {
    "angles": {
        "NaN or infinity": lambda block_size, D: torch.cat([
            torch.full((1, D // 2), torch.nan),
            modern.angles(block_size, D)[1:]]),
        "the last pair's exponent is 1": lambda block_size, D: torch.outer(
            torch.arange(block_size), 1e-4**torch.linspace(0, 1, D // 2)),
        "the exponent runs to nearly 2": table(1e8),
        "the sign is turned": lambda *size: -modern.angles(*size),
        "in the opposite order": lambda *size: modern.angles(*size).flip(1),
        "radians, not turns": lambda *size: 2 * torch.pi * modern.angles(
            *size),
        "does not grow by the same step":
            lambda *size: modern.angles(*size).square(),
        "but the steps are others": lambda *size: modern.angles(*size) / 2,
        "another than 10,000": table(500_000.0),
        "the exponent is d / D": table(size=1),
        "angles grow with the pair": table(sign=1),
        "one angle for each position and pair":
            lambda block_size, D: modern.angles(block_size, 2 * D),
    },
    "rms_norm": {
        "NaN or infinity": lambda x: x * torch.nan,
        "a row of zeros is divided by zero": without_epsilon,
        "zeros have to stay zeros": lambda x: without_epsilon(x + 1e-7),
        "ε is so large": normed(
            lambda x: (x.square().mean(-1, keepdim=True) + 1e-3).sqrt()),
        "standard deviation": normed(lambda x: x.std(-1, keepdim=True)),
        "absolute values": normed(lambda x: x.abs().mean(-1, keepdim=True)),
        "half precision": lambda x: modern.rms_norm(x.bfloat16()),
        "that is layer norm": lambda x: modern.rms_norm(
            x - x.mean(-1, keepdim=True)),
        "the sum of squares": normed(lambda x: x.norm(dim=-1, keepdim=True)),
        "take its root": normed(
            lambda x: x.square().mean(-1, keepdim=True)),
        "another axis": normed(
            lambda x: x.square().mean(0, keepdim=True).sqrt()),
    },
    "orthogonal": {
        "in 1 of 128 places": nearly_orthogonal,
        "Divide G by its norm": not_normed,
        "not the one nearest to G": lambda G: (
            torch.linalg.qr(G).Q if len(G) >= G.shape[1]
            else torch.linalg.qr(G.mT).Q.mT),
        "the transpose of the answer": lambda G: (
            muon.orthogonal(G) if len(G) != G.shape[1]
            else muon.orthogonal(G).mT),
        "some directions are turned round": first_direction_turned,
        "only scaled": lambda G: G / G.norm(),
        "the singular directions have changed": torch.sign,
        "the sign is turned": lambda G: -muon.orthogonal(G),
        "not near 1": lambda G: 3 * muon.orthogonal(G),
        "turned back": lambda G: (muon.orthogonal(G) if len(G) <= G.shape[1]
                                  else muon.orthogonal(G).mT),
    },
    "ngram_rows": {
        "NaN or infinity": rows(lambda out: out * torch.nan),
        "the place in the text":
            rows(lambda out: out + torch.arange(out.shape[1])),
        "the row depends on the example's place in the batch":
            rows(lambda out: out + torch.arange(len(out))[:, None]),
        "before there are n ids": other_for_short_ones,
        "the size of idx": rows(lambda out: out + out.shape[1]),
        "two calls with one idx differ":
            rows(lambda out: torch.randint(10**6, out.shape)),
        "an integer": rows(lambda out: out * 0.5),
        "depends on an id after": lambda idx, n, V, buckets: torch.roll(
            modern.ngram_rows(idx, n, V, buckets), -1, 1),
        "more than": lambda idx, n, V, buckets: modern.ngram_rows(
            idx, n + 1, V, buckets),
        "does not depend on all": lambda idx, n, V, buckets:
            modern.ngram_rows(idx, n - 1, V, buckets),
        "take the remainder": lambda idx, n, V, buckets:
            modern.ngram_rows(idx, n, V, buckets) + buckets,
        "one row for each position": lambda idx, n, V, buckets:
            modern.ngram_rows(idx, n, V, buckets)[:, 1:],
        "the order of the ids": lambda idx, n, V, buckets: sum(
            torch.nn.functional.pad(idx + 1, (k, 0))[:, :idx.shape[1]]
            for k in range(n)) % buckets,
    },
    "mix": {
        "the weights are exchanged": lambda p, q, w: mix(q, p, w),
        "logarithms are mixed": lambda p, q, w: mix(
            p.log(), q.log(), w).softmax(-1),
        "share is missing": lambda p, q, w: w * p + q,
        "NaN or infinity": lambda p, q, w: p * torch.nan,
        "the weight is not used": lambda p, q, w: (p + q) / 2,
        "another weight": lambda p, q, w: mix(p, q, w * w),
        "its logarithm is taken": lambda p, q, w: mix(p, q, w).log(),
        "this does not": lambda p, q, w: torch.maximum(p, q),
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_named(name):
    said = {why: refuses(check.modern, **{name: wrong})
            for why, wrong in WRONG[name].items()}
    for why, message in said.items():
        assert why in message, (why, message)
    assert len(set(said.values())) == len(said)


@pytest.mark.parametrize("name", OURS)
def test_what_is_not_finite_is_refused(name):
    for number in (torch.nan, torch.inf, -torch.inf):
        said = refuses(check.modern, **{name: lambda *args: torch.full_like(
            torch.as_tensor(OURS[name](*args)).double(), number)})
        assert "finite numbers got NaN or infinity" in said


def test_rows_are_integers_that_do_not_look_so():
    for wrong in (rows(torch.Tensor.float), rows(lambda out: (
            out.double() / 2).numpy())):
        assert "an integer" in refuses(check.modern, ngram_rows=wrong)


def test_any_two_ids_count_by_their_order():
    assert "the order of the ids" in refuses(check.modern,
                                             ngram_rows=two_exchangeable)


def hashed(idx, n, V, buckets):
    return [[hash((n, *([-1] * n + row)[t + 1:t + 1 + n])) % buckets
             for t in range(len(row))] for row in idx.tolist()]


def exclusive_or(idx, n, V, buckets):
    padded = torch.nn.functional.pad(idx, (n - 1, 0))
    out = torch.zeros_like(idx)
    for k, factor in zip(range(n), (36313, 27191, 51647, 41893)):
        out ^= factor * (padded[:, k:k + idx.shape[1]] + 1)
    return (out % buckets).int().numpy()


numbered = {}


def in_order_of_appearance(idx, n, V, buckets):
    return [[numbered.setdefault(
        (n, *([-1] * n + row)[t + 1:t + 1 + n]), len(numbered)) % buckets
        for t in range(len(row))] for row in idx.tolist()]


@pytest.mark.parametrize("right", [hashed, exclusive_or,
                                   in_order_of_appearance,
                                   rows(lambda out: -1 - out)])
def test_any_hash_passes(capsys, right):
    passes(capsys, check.modern, ngram_rows=right)


@pytest.mark.parametrize("right", [
    lambda x: x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt(),
    lambda x: x / (x.square().mean(-1, keepdim=True).sqrt() + 1e-6),
    lambda x: torch.nn.functional.normalize(x, dim=-1) * x.shape[-1]**0.5,
    lambda x: torch.nn.RMSNorm(x.shape[-1])(x.float())])
def test_each_small_epsilon_passes(capsys, right):
    passes(capsys, check.modern, rms_norm=right)


def published(G):
    """Newton and Schulz's steps as Keller Jordan published them."""
    X = G.bfloat16()
    if G.size(-2) > G.size(-1):
        X = X.mT
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        A = X @ X.mT
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    return X.mT if G.size(-2) > G.size(-1) else X


def cubic(G):
    X = G / G.norm()
    for _ in range(5):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@pytest.mark.parametrize("right", [published, cubic])
def test_steps_of_newton_and_schulz_pass_always(capsys, right):
    for _ in range(200):  # random matrices, so not by luck
        passes(capsys, check.modern, orthogonal=right)


def test_exact_orthogonal_and_numpy_pass(capsys):
    def exact(G):
        U, _, Vh = torch.linalg.svd(G, full_matrices=False)
        return (U @ Vh).numpy()

    passes(capsys, check.modern, orthogonal=exact)
    passes(capsys, check.modern, rms_norm=lambda x: torch.nn.functional
           .rms_norm(x, x.shape[-1:]).tolist())
    passes(capsys, check.modern, angles=lambda block_size, D: 1 + modern
           .angles(block_size, D))  # the difference counts

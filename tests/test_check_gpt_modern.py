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


@pytest.mark.parametrize("right, pairs", [
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


def mixed_up(x, angle):
    a, b = x.chunk(2, -1)
    angle = angle.repeat_interleave(2, -1)
    return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()


def mixed_up_too(x, angle):
    angle = torch.cat([angle, angle], -1)
    turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * angle.cos() + turned * angle.sin()


WRONG_TURNS = {
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
    assert "do not fit the angles" in refuses(check.modern,
                                              rotate=mixed_up_too)


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


WRONG = {
    "angles": {
        "another than 10,000": table(500_000.0),
        "the exponent is d / D": table(size=1),
        "angles grow with the pair": table(sign=1),
        "one angle for each position and pair":
            lambda block_size, D: modern.angles(block_size, 2 * D),
    },
    "rms_norm": {
        "that is layer norm": lambda x: modern.rms_norm(
            x - x.mean(-1, keepdim=True)),
        "the sum of squares": normed(lambda x: x.norm(dim=-1, keepdim=True)),
        "take its root": normed(
            lambda x: x.square().mean(-1, keepdim=True)),
        "another axis": normed(
            lambda x: x.square().mean(0, keepdim=True).sqrt()),
    },
    "orthogonal": {
        "only scaled": lambda G: G / G.norm(),
        "the singular directions have changed": torch.sign,
        "the sign is turned": lambda G: -muon.orthogonal(G),
        "not near 1": lambda G: 3 * muon.orthogonal(G),
        "turned back": lambda G: (muon.orthogonal(G) if len(G) <= G.shape[1]
                                  else muon.orthogonal(G).mT),
    },
    "ngram_rows": {
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
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_named(name):
    said = {why: refuses(check.modern, **{name: wrong})
            for why, wrong in WRONG[name].items()}
    for why, message in said.items():
        assert why in message, (why, message)
    assert len(set(said.values())) == len(said)


def test_exact_orthogonal_and_numpy_pass(capsys):
    def exact(G):
        U, _, Vh = torch.linalg.svd(G, full_matrices=False)
        return (U @ Vh).numpy()

    passes(capsys, check.modern, orthogonal=exact)
    passes(capsys, check.modern, rms_norm=lambda x: torch.nn.functional
           .rms_norm(x, x.shape[-1:]).tolist())
    passes(capsys, check.modern, angles=lambda block_size, D: 1 + modern
           .angles(block_size, D))  # the difference counts

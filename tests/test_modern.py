"""zth.modern; oracles: nn.RMSNorm, complex numbers, a count of n-grams."""

import math

import pytest
import torch
from torch import nn

from zth.modern import (ModernConfig, ModernGPT, RotaryAttention, SquaredMLP,
                        angles, ngram_rows, rms_norm, rotate)
from zth.muon import Muon, muon_groups
from zth.train import mean_nll, train

SMALL = {"vocab_size": 11, "block_size": 9, "n_layer": 2, "n_head": 3,
         "n_embd": 12}


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=1, dtype=torch.float64):
    return torch.randn(shape, generator=gen(seed), dtype=dtype)


def modern(seed=0, **how):
    return ModernGPT(ModernConfig(**SMALL | how), generator=gen(seed))


def shaken(model, seed=0):
    g = gen(seed)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=g, dtype=torch.float64) / 3
    return model.double()


def ids(*shape, V=11, seed=1):
    return torch.randint(V, shape, generator=gen(seed))


# Norm and positions ---------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rms_norm_is_torchs(dtype):
    x = randn(4, 5, 12, dtype=dtype)
    x[0, 0] = 0
    torch.testing.assert_close(
        rms_norm(x), nn.RMSNorm(12, elementwise_affine=False)(x))
    size = rms_norm(x).square().mean(-1)[0, 1:]
    torch.testing.assert_close(size, torch.ones_like(size))


def test_rotation_is_a_product_of_complex_numbers():
    x, angle = randn(2, 3, 7, 8), angles(7, 8).double()
    assert angle.shape == (7, 4)
    assert angle[:, 0].tolist() == list(range(7))
    torch.testing.assert_close(angle[1, 2], torch.tensor(0.01).double())
    turned = torch.complex(*x.chunk(2, -1)) * torch.exp(1j * angle)
    torch.testing.assert_close(
        rotate(x, angle), torch.cat([turned.real, turned.imag], -1))


def test_scores_depend_on_the_distance_alone():
    angle = angles(30, 8).double()
    q, k = (randn(8, seed=s).expand(30, 8) for s in (1, 2))
    scores = rotate(q, angle) @ rotate(k, angle).T
    for distance in range(-29, 30):
        line = scores.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line))
    assert scores[:, 0].std() > 0.1  # and on it they do
    torch.testing.assert_close(scores[0, 0], q[0] @ k[0])


def test_attention_is_the_plain_formula():
    attention = shaken(RotaryAttention(ModernConfig(**SMALL)))
    x = randn(2, 7, 12)
    q, k, v = (part.unflatten(2, (3, 4)).transpose(1, 2)
               for part in attention.c_attn(x).split(12, 2))
    q, k = (rotate(rms_norm(part), angles(7, 4)) for part in (q, k))
    scores = q @ k.mT / 2
    scores = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -math.inf)
    y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(x), attention.c_proj(y))


def test_the_mlp_squares():
    mlp, x = shaken(SquaredMLP(ModernConfig(**SMALL))), randn(2, 5, 12)
    h = (x @ mlp.c_fc.weight.T).clamp(min=0) ** 2
    torch.testing.assert_close(mlp(x), h @ mlp.c_proj.weight.T)


# N-grams --------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 4])
def test_with_enough_buckets_each_ngram_has_a_row_of_its_own(n):
    idx = ids(6, 50, V=4)
    rows = ngram_rows(idx, n, 4, 5**n)
    grams = {}
    for text, line in zip(idx.tolist(), rows.tolist()):
        padded = [None] * (n - 1) + text
        for t, row in enumerate(line):
            grams.setdefault(row, set()).add(tuple(padded[t:t + n]))
    assert all(len(found) == 1 for found in grams.values())
    assert len(grams) == len(set().union(*grams.values()))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_row_depends_on_the_last_n_ids_alone(n):
    idx = ids(1, 12)
    rows = ngram_rows(idx, n, 11, 1009)
    assert (rows >= 0).all() and (rows < 1009).all()
    for t in range(12):
        changed = idx.clone()
        changed[0, t] = (idx[0, t] + 1) % 11
        moved = (ngram_rows(changed, n, 11, 1009) != rows)[0]
        expected = torch.zeros(12, dtype=torch.bool)
        expected[t:t + n] = True
        assert torch.equal(moved, expected)
    shifted = torch.cat([ids(1, 5, seed=9), idx], 1)
    assert torch.equal(ngram_rows(shifted, n, 11, 1009)[:, 4 + n:],
                       rows[:, n - 1:])


def test_a_large_vocabulary_does_not_overflow():
    idx = torch.full((1, 8), 50_256)
    row = ngram_rows(idx, 5, 50_257, 1_000_003)[0, -1]
    number = sum(50_257 * 50_258**k for k in range(5))  # Python's, unbounded
    assert row == number % 1_000_003


# The model ------------------------------------------------------------------


@pytest.mark.parametrize("ngrams", [(), (2, 3)])
def test_no_position_sees_a_later_one(ngrams):
    model, idx = shaken(modern(ngrams=ngrams, buckets=101)), ids(1, 9)
    before = model(idx)
    for t in range(9):
        changed = idx.clone()
        changed[0, t] = (idx[0, t] + 1) % 11
        moved = (model(changed) - before).abs().amax(2)[0]
        assert (moved[:t] == 0).all() and (moved[t:] > 0).all()


def test_a_new_models_loss_is_ln_v_and_its_blocks_do_nothing():
    model, idx = modern(ngrams=(2,)), ids(2, 9)
    assert math.isclose(mean_nll(model(idx), idx).item(), math.log(11),
                        rel_tol=1e-6)
    x = randn(2, 9, 12, dtype=torch.float32)
    assert torch.equal(model.h[0](x), x)


def test_positions_matter_without_a_table_of_them():
    model = shaken(modern())
    out = model(torch.tensor([[1, 2, 3, 4], [2, 1, 3, 4]]))[:, -1]
    assert (out[0] - out[1]).abs().max() > 1e-3


def test_parameters_are_matrices_and_embeddings():
    model = modern(ngrams=(2, 3), buckets=101)
    assert all(p.ndim == 2 for p in model.parameters())
    assert sum(p.numel() for p in model.parameters()) == (
        2 * 12 * 12**2 + 2 * 11 * 12 + 2 * 101 * 12)
    assert "angle" not in str(model.state_dict().keys())


def test_it_overfits_one_batch():
    idx = ids(4, 9)
    model = modern(ngrams=(2,), buckets=101)
    optimizer = Muon(muon_groups(model, 0.0))
    *_, step = train(model, lambda: (idx[:, :-1], idx[:, 1:]), optimizer,
                     steps=150, lr=0.02)
    assert step.loss < 0.75  # the first letters cannot be known


# Bad input ------------------------------------------------------------------


@pytest.mark.parametrize("how, said", [
    ({"n_head": 12}, "n_embd / n_head = 1: must be even"),
    ({"ngrams": (1,)}, r"ngrams = \(1,\): each must be at least 2"),
    ({"buckets": 0}, "buckets = 0: must be at least 1"),
    ({"n_embd": 13}, "n_embd = 13: must be a multiple"),
])
def test_a_size_that_cannot_be_is_refused(how, said):
    with pytest.raises(ValueError, match=said):
        ModernConfig(**SMALL | how)


def test_too_long_a_context_is_refused():
    with pytest.raises(ValueError, match="from 1 to block_size = 9"):
        modern()(ids(1, 10))

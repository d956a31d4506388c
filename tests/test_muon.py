"""zth.muon; oracles: the singular value decomposition, torch.optim's Muon and
AdamW."""

import pytest
import torch
from torch import nn

from zth.modern import ModernConfig, ModernGPT
from zth.muon import Muon, muon_groups, orthogonal


def randn(*shape, seed=1, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=dtype)


@pytest.mark.parametrize("shape", [(20, 20), (12, 48), (48, 12), (3, 8, 5)])
def test_the_update_is_nearly_orthogonal(shape):
    G = randn(*shape)
    X = orthogonal(G)
    U, _, Vh = torch.linalg.svd(G, full_matrices=False)
    s = torch.linalg.svdvals(X)
    assert X.shape == G.shape and s.max() < 1.25
    assert s.quantile(0.1) > 0.6  # a tiny singular value may stay behind
    inside = U.mT @ X @ Vh.mT  # the same directions
    assert (inside - torch.diag_embed(inside.diagonal(
        dim1=-2, dim2=-1))).abs().max() < 1e-9


def test_the_update_is_as_large_as_adamws():
    for shape in ((30, 30), (30, 120), (120, 30)):
        p = nn.Parameter(torch.zeros(shape))
        p.grad = randn(*shape, dtype=torch.float32)
        Muon([{"params": [p], "muon": True}], lr=1.0,
             weight_decay=0.0).step()
        assert 0.15 < p.detach().square().mean().sqrt() < 0.25


def test_steps_are_torchs_muon():
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    weights = [nn.Parameter(randn(12, 20, dtype=torch.float32))
               for _ in range(2)]
    ours = Muon([{"params": weights[:1], "muon": True, "weight_decay": 0.1}])
    theirs = torch.optim.Muon(weights[1:], lr=0.05, weight_decay=0.1,
                              adjust_lr_fn="match_rms_adamw")
    for step in range(5):
        for p, optimizer in zip(weights, (ours, theirs)):
            p.grad = randn(12, 20, seed=step, dtype=torch.float32)
            optimizer.param_groups[0]["lr"] = 0.05
            optimizer.step()
    # torch's rounds to bfloat16
    assert (weights[0] - weights[1]).abs().max() < 0.05 * 0.05


def test_other_groups_take_adamws_step():
    a, b = (nn.Parameter(randn(5, 4)) for _ in range(2))
    m = nn.Parameter(randn(5, 4))
    before = m.detach().clone()
    ours = Muon([{"params": [m], "muon": True}, {"params": [a]}], lr=0.1,
                weight_decay=0.1, betas=(0.8, 0.9))
    theirs = torch.optim.AdamW([b], lr=0.1, weight_decay=0.1,
                               betas=(0.8, 0.9))
    for seed in range(3):
        for p in (a, b, m):
            p.grad = randn(5, 4, seed=seed)
        ours.step(), theirs.step()
    assert torch.equal(a, b) and not torch.equal(m, before)


def test_groups_part_the_parameters():
    model = ModernGPT(ModernConfig(11, 9, 2, 3, 12, ngrams=(2,), buckets=101,
                                   bias=True))
    hidden, rest, vectors = muon_groups(model, 0.1)
    assert [g["weight_decay"] for g in (hidden, rest, vectors)] == [.1, .1, 0]
    assert [g["muon"] for g in (hidden, rest, vectors)] == [True, False,
                                                            False]
    assert len(hidden["params"]) == 2 * 4 and len(rest["params"]) == 3
    assert {p.ndim for p in vectors["params"]} == {1}
    total = sum(len(g["params"]) for g in (hidden, rest, vectors))
    assert total == len(list(model.parameters()))

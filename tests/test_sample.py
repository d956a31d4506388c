"""zth.sample; oracles: argmax by hand, the exact distribution for V = 3."""

import pytest
import torch
from torch import nn

from zth.sample import generate


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


LOGITS = torch.tensor([[0.0, 1.0, 2.0], [1.5, 0.0, -1.0], [0.3, 0.2, 0.1]])


def bigram(idx):
    """The logits depend on the last id alone; V = 3."""
    return LOGITS[idx]


def start(B=1, id=0):
    return torch.full((B, 1), id)


def write(idx=None, steps=6, model=bigram, **how):
    how = {"block_size": 4, "generator": gen(), **how}
    return generate(model, start() if idx is None else idx, steps, **how)


def test_top_1_is_greedy():
    greedy = [0]
    for _ in range(6):
        greedy.append(LOGITS[greedy[-1]].argmax().item())
    assert write(top_k=1).tolist() == [greedy]


@pytest.mark.parametrize("temperature, top_k", [
    (1.0, None), (0.5, None), (2.0, 3), (1.0, 2), (1.0, 7)])
def test_draws_have_the_exact_distribution(temperature, top_k):
    n = 60_000
    found = write(start(n), 1, temperature=temperature, top_k=top_k)[:, 1]
    expected = (LOGITS[0] / temperature).softmax(0)
    if top_k == 2:
        expected[0] = 0  # the least likely
        expected /= expected.sum()
    share = torch.bincount(found, minlength=3) / n
    sd = (expected * (1 - expected) / n).sqrt()
    assert ((share - expected).abs() <= 4 * sd).all()


def test_pairs_have_the_distribution_of_a_chain():
    n = 60_000
    out = write(start(n), 2)
    pairs = torch.bincount(out[:, 1] * 3 + out[:, 2], minlength=9) / n
    p = LOGITS.softmax(1)
    assert (pairs.view(3, 3) - p[0][:, None] * p).abs().max() < 0.01


def test_a_generator_makes_it_repeatable():
    a, b, c = (write(start(5), 20, generator=gen(s)) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    # the ids themselves, in every version of torch
    assert write(steps=12, generator=gen(1)).tolist() == [
        [0, 2, 0, 2, 0, 2, 0, 2, 2, 1, 0, 2, 0]]


def test_the_model_sees_the_last_block_only():
    seen = []

    def model(idx):
        seen.append(idx.clone())
        return LOGITS[idx]

    idx = torch.tensor([[0, 1, 2, 0, 1, 2]])
    out = write(idx, 3, model=model)
    assert torch.equal(out[:, :6], idx) and out.shape == (1, 9)
    for i, context in enumerate(seen):
        assert torch.equal(context, out[:, 2 + i:6 + i])
    seen.clear()
    write(start(), 5, model=model)
    assert [context.shape[1] for context in seen] == [1, 2, 3, 4, 4]


def test_an_example_stops_and_the_writing_when_all_have():
    out = write(start(40), 60, stop=2)
    assert out.shape[1] < 61 and (out[:, -1] == 2).all()
    assert (out[:, -2] != 2).any()  # it was the last one that ended it
    for row in out[:, 1:].tolist():
        assert set(row[row.index(2):]) == {2} and 2 not in row[:row.index(2)]
    free = write(start(40), 60)
    first = (free == 2).int().argmax(1)
    for i, t in enumerate(first.tolist()):  # up to it nothing has changed
        assert torch.equal(out[i, :t + 1], free[i, :t + 1])


def test_a_module_writes_in_evaluation_mode_and_returns_to_its_own():
    model = nn.Sequential(nn.Embedding(3, 3), nn.Dropout(0.9)).train()
    model[0].weight.data = 9 * LOGITS
    greedy = write(model=lambda idx: 9 * LOGITS[idx], top_k=1)
    assert torch.equal(write(model=model, top_k=1), greedy)
    assert model.training and model[1].training


def test_no_steps_leave_the_context():
    assert torch.equal(write(start(2), 0), start(2))


@pytest.mark.parametrize("how, said", [
    ({"steps": -1}, "steps = -1: must be at least 0"),
    ({"temperature": 0.0}, "temperature = 0.0: must be above 0; top_k=1"),
    ({"temperature": float("nan")}, "temperature = nan: must be above 0"),
    ({"top_k": 0}, "top_k = 0: must be at least 1"),
    ({"block_size": 0}, "block_size = 0: must be at least 1"),
    ({"idx": torch.zeros(1, 0, dtype=torch.int64)}, "with T at least 1"),
    ({"idx": torch.zeros(3, dtype=torch.int64)}, r"idx of shape \(3,\)"),
])
def test_bad_input_is_named(how, said):
    with pytest.raises(ValueError, match=said):
        write(**how)

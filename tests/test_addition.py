"""zth.addition; oracle: Python's own integers, strings and loops."""

import itertools

import pytest
import torch

from zth import addition
from zth.train import mean_nll

ALL = torch.cartesian_prod(*[torch.arange(1000)] * 2)


def text(row):
    return "".join(addition.SYMBOLS[i] for i in row)


def test_the_split_knows_no_order_and_leaves_out_6_of_49():
    a, b = ALL.unbind(1)
    out = addition.held_out(a, b)
    assert torch.equal(out, addition.held_out(b, a))
    assert abs(out.double().mean().item() - 6 / 49) < 1e-3
    assert addition.held_out(3, 8) and not addition.held_out(3, 7)


def test_training_never_draws_a_held_out_sum():
    g = torch.Generator().manual_seed(1)
    a, b = addition.problems(50_000, generator=g)
    assert len(a) == len(b) == 50_000
    assert not addition.held_out(a, b).any()
    assert not addition.held_out(b, a).any()
    assert a.min() == 0 and max(a.max(), b.max()) == 999
    short = (torch.maximum(a, b) < 10).double().mean().item()
    assert 0.3 < short < 0.4


def test_rows():
    a, b = torch.tensor([27, 999, 0]), torch.tensor([615, 1, 0])
    assert [*map(text, addition.rows(a, b))] == [
        "027+615=2460", "999+001=0001", "000+000=0000"]
    assert [*map(text, addition.rows(a, b, reverse=False))] == [
        "027+615=0642", "999+001=1000", "000+000=0000"]


def test_the_first_supervised_position_is_the_equals_sign():
    idx = addition.rows(torch.tensor([27]), torch.tensor([615]))
    x, y = addition.supervised(idx)
    assert text(x[0]) == "027+615=246"
    assert y[0].tolist() == [-1] * 7 + [2, 4, 6, 0]
    assert addition.SYMBOLS[x[0, 7]] == "=" and y[0, 6] == -1
    assert (idx[0, 8:] == y[0, 7:]).all()  # and rows are left as they were
    everything = addition.supervised(idx, first=0)[1]
    assert torch.equal(everything, idx[:, 1:])


def test_the_loss_sees_answers_alone():
    x, y = addition.supervised(addition.rows(*addition.problems(
        20, generator=torch.Generator().manual_seed(1))))
    logits = torch.randn(20, 11, 12, generator=torch.Generator())
    before = mean_nll(logits, y)
    logits[:, :7] = 0
    assert mean_nll(logits, y) == before


class Adder:
    """A model that knows sums: logits for the next token of the right row."""

    def __init__(self, reverse):
        self.reverse = reverse

    def __call__(self, idx):
        a, b = (sum(idx[:, i + k] * 10 ** (2 - k) for k in range(3))
                for i in (0, 4))
        row = addition.rows(a, b, reverse=self.reverse)
        return torch.nn.functional.one_hot(row[:, 1:idx.shape[1] + 1], 12)


@pytest.mark.parametrize("trained, read", list(itertools.product(
    [True, False], repeat=2)))
def test_add_reads_what_the_model_writes(trained, read):
    a, b = ALL[::997].unbind(1)
    found = addition.add(Adder(trained), a, b, reverse=read)
    turned = [int(f"{s:04}"[::-1]) for s in (a + b).tolist()]
    want = a + b if trained == read else torch.tensor(turned)
    assert torch.equal(found, want)


def test_what_is_not_a_digit_is_wrong():
    a = b = torch.tensor([1, 2])
    found = addition.add(lambda idx: torch.eye(12)[10].expand(
        *idx.shape, 12), a, b)
    assert (found < 0).all()


def by_hand(a, b):
    """The longest chain of a + b, a column at a time."""
    longest = chain = 0
    for x, y in zip(f"{a:03}"[::-1], f"{b:03}"[::-1]):
        column = int(x) + int(y)
        if column > 9:
            chain = 1
        elif column == 9 and chain:
            chain += 1
        else:
            chain = 0
        longest = max(longest, chain)
    return longest


def test_longest_chain():
    a, b = ALL[::37].unbind(1)
    assert addition.longest_chain(a, b).tolist() == [
        *map(by_hand, a.tolist(), b.tolist())]
    for a, b, want in ((999, 1, 3), (555, 555, 1), (123, 456, 0), (4, 5, 0),
                       (95, 5, 2), (945, 955, 2), (965, 955, 1),
                       (195, 705, 2)):
        assert addition.longest_chain(
            torch.tensor([a]), torch.tensor([b])).item() == want

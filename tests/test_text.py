"""zth.text; oracle: the text itself, character by character."""

import pytest
import torch

from zth.text import blocks, random_blocks, read_text, split_text


def test_the_parts_are_nine_tenths_and_one():
    train, val = split_text(torch.arange(1_115_394))
    assert (len(train), len(val)) == (1_003_854, 111_540)  # the lecture's
    assert torch.equal(torch.cat([train, val]), torch.arange(1_115_394))


@pytest.mark.parametrize("n", [5, 8, 9, 10, 17])
def test_blocks_have_every_id_but_the_first_as_a_target_once(n):
    ids = 10 + torch.arange(n)
    idx, targets = blocks(ids, 4)
    assert idx.shape == targets.shape == (-(-(n - 1) // 4), 4)
    known = targets >= 0
    assert torch.equal(targets[known], ids[1:])
    assert torch.equal(idx[known], ids[:-1])
    assert (targets[~known] == -1).all()


def test_random_blocks_come_from_everywhere_and_targets_follow():
    ids = torch.arange(30)
    batch = random_blocks(ids, 4, 500,
                          generator=torch.Generator().manual_seed(1))
    xb, yb = batch()
    assert xb.shape == (500, 4) and torch.equal(yb, xb + 1)
    assert set(xb[:, 0].tolist()) == set(range(26))
    again = random_blocks(ids, 4, 500,
                          generator=torch.Generator().manual_seed(1))
    assert torch.equal(again()[0], xb) and not torch.equal(batch()[0], xb)


def test_a_text_is_read_as_it_is(tmp_path):
    (tmp_path / "a.txt").write_bytes("é\r\n".encode())
    assert read_text(tmp_path / "a.txt") == "é\r\n"


@pytest.mark.parametrize("content, said", [
    (b"", "a.txt: is empty"), (b"ab\xff", "a.txt: byte 2 is not UTF-8")])
def test_a_file_that_is_no_text_is_refused(tmp_path, content, said):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("block_size", [0, 5])
def test_too_long_a_block_is_refused(block_size):
    for call in (lambda: blocks(torch.arange(5), block_size),
                 lambda: random_blocks(torch.arange(5), block_size, 2,
                                       generator=None)):
        with pytest.raises(ValueError, match=f"block_size = {block_size}: "
                                             "must be from 1 to 4"):
            call()

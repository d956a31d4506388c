"""A text as a language model's data: read, parted, cut into blocks of ids.

Shapes: B examples, T positions (block_size), N blocks.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from zth.train import sampler


def read_text(path):
    """The file's text. ValueError if it is empty or not UTF-8."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8") from None
    if not text:
        raise ValueError(f"{path}: is empty")
    return text


def split_text(ids):
    """The first 90 % of ids for training, the last 10 % for validation."""
    n = int(0.9 * len(ids))
    return ids[:n], ids[n:]


def random_blocks(ids, block_size, batch_size, *, generator):
    """A batch function: xb, yb (B, T) from places drawn with replacement.

    yb holds for each position of xb the id that follows it.
    """
    check(ids, block_size)
    spans = ids.unfold(0, block_size + 1, 1)  # a view: nothing is copied
    return sampler(spans[:, :-1], spans[:, 1:], batch_size,
                   generator=generator)


def blocks(ids, block_size):
    """idx, targets (N, T): every id but the first is once a target.

    The blocks lie side by side, and a block's first target has one id of
    context. The last block is filled up with targets -1: they take no part.
    """
    check(ids, block_size)
    fill = -(len(ids) - 1) % block_size
    idx = F.pad(ids[:-1], (0, fill))
    targets = F.pad(ids[1:], (0, fill), value=-1)
    return idx.view(-1, block_size), targets.view(-1, block_size)


def check(ids, block_size):
    """ValueError unless block_size is from 1 to len(ids) - 1."""
    if not 1 <= block_size < len(ids):
        raise ValueError(f"block_size = {block_size}: must be from 1 to "
                         f"{len(ids) - 1}, one less than the text's part has "
                         "tokens")

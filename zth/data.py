"""Data sets with checksums, the character vocabulary, splits and windows.

Nothing here needs a network: where a download cannot be had, a data set that
ships with the package, or with Python itself, stands in and says so once.
torch is imported only where tensors are made, so that asking which data set
is at hand stays quick.
"""

import functools
import hashlib
import os
import random
import sys
import tomllib
import warnings
from pathlib import Path
from typing import NamedTuple

import platformdirs

PACKAGE = Path(__file__).resolve().parent
HOME = PACKAGE / "_data"  # what an installed package carries
if not HOME.is_dir():
    HOME = PACKAGE.parent / "data"
REGISTRY = tomllib.loads((HOME / "registry.toml").read_text("utf-8"))
URL = "https://raw.githubusercontent.com/{repo}/{commit}/{path}"


class Source(NamedTuple):
    """Which file the data come from; sha256 is of the text that is read."""

    name: str
    path: Path
    sha256: str
    is_lecture: bool


def source(name="names.txt"):
    """The `Source` of a registered file, or of its stand-in.

    Looked for in the folder ZTH_DATA_DIR, then in the user's cache, then
    downloaded (not with ZTH_OFFLINE=1). If it cannot be had, names come from
    `world-names.txt` and texts from `pydoc_data.topics`, and one line says
    so. ValueError if the name is not registered, or if a file is not, byte
    for byte, the registered one: such a file is neither used nor replaced.
    """
    return _source(name)


@functools.cache  # here: source() and source("names.txt") are one call
def _source(name):
    if name not in REGISTRY:
        raise ValueError(f"name={name!r}: not one of {', '.join(REGISTRY)}")
    if "repo" not in REGISTRY[name]:
        return _verified(name, HOME / name)
    if os.environ.get("ZTH_DATA_DIR"):
        path = Path(os.environ["ZTH_DATA_DIR"]) / name
        if path.exists():
            return _verified(name, path)
    path = platformdirs.user_cache_path("zth") / name
    if not path.exists():
        try:
            _download(name, path)
        except OSError:
            default = _default(name)
            print(f"{name} cannot be downloaded: {default.name} "
                  "stands in for it", flush=True)
            return default
    return _verified(name, path)


def _verified(name, path):
    """The `Source` of the file, once its checksum is found right."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = REGISTRY[name]["sha256"]
    if found != expected:
        raise ValueError(
            f"{path} is not the registered {name}: expected sha256 "
            f"{expected}, found {found}; it was left as it is, remove it")
    return Source(name, path, found, "repo" in REGISTRY[name])


def _download(name, path):
    """Fetch a file; OSError if it cannot be had, ValueError if it is wrong.

    pooch writes to a temporary name, verifies, then renames.
    """
    if os.environ.get("ZTH_OFFLINE") == "1":
        raise ConnectionError("ZTH_OFFLINE=1")
    with warnings.catch_warnings():  # in notebooks, of a progress bar's look
        warnings.simplefilter("ignore")
        import pooch

    pooch.get_logger().setLevel("WARNING")
    pooch.retrieve(
        URL.format(**REGISTRY[name]), "sha256:" + REGISTRY[name]["sha256"],
        path.name, path.parent, downloader=pooch.HTTPDownloader(
            timeout=10, progressbar=sys.stderr.isatty()))


def _default(name):
    """The `Source` that stands in for a file that cannot be had."""
    if name == "names.txt":
        return _source("world-names.txt")
    from pydoc_data import topics

    return Source("pydoc_data.topics", Path(topics.__file__),
                  hashlib.sha256(_topics().encode()).hexdigest(), False)


def _topics():
    """The documentation that Python carries: its length depends on Python."""
    from pydoc_data.topics import topics

    return "\n".join(topics[topic] for topic in sorted(topics))


def load_text(name="tinyshakespeare.txt"):
    """The text of a registered file, or of its stand-in."""
    found = source(name)
    if found.name == "pydoc_data.topics":
        return _topics()
    return found.path.read_bytes().decode("utf-8")


def load_names():
    """The names, lower-case a to z, in the file's order: 32,033 of them.

    18,730 if the embedded names stand in.
    """
    return load_text("names.txt").split()


def lecture(value, form="{}"):
    """The formatted value if the names are the lecture's, else a notice.

    For numbers that only the lecture's names give.
    """
    return form.format(value) if source().is_lecture else "needs names.txt"


class CharVocab:
    """Characters and their ids, in the order given; `stoi` and `itos`."""

    def __init__(self, chars):
        self.itos = dict(enumerate(chars))
        self.stoi = {char: i for i, char in self.itos.items()}
        if len(self.stoi) < len(self.itos):
            raise ValueError(f"chars={chars!r}: a character occurs twice")

    def __len__(self):
        return len(self.itos)

    def encode(self, text):
        """The characters' ids, int64 (N,).

        ValueError names a character that is not in the vocabulary.
        """
        import numpy as np
        import torch

        try:
            return torch.from_numpy(np.fromiter(
                map(self.stoi.__getitem__, text), np.int64, len(text)))
        except KeyError as error:
            char = error.args[0]
            raise ValueError(f"text[{text.index(char)}]={char!r}: "
                             "not in the vocabulary") from None

    def decode(self, ids):
        """The text of ids (N,), a tensor or any other sequence."""
        ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
        try:
            return "".join(self.itos[i] for i in ids)
        except KeyError as error:
            raise ValueError(f"ids[{ids.index(error.args[0])}]={error}: must "
                             f"be from 0 to {len(self) - 1}") from None


NAME_VOCAB = CharVocab(".abcdefghijklmnopqrstuvwxyz")  # '.' starts and ends


class Splits(NamedTuple):
    """Three lists of names that share no entry of the list they come from."""

    train: list
    val: list
    test: list


def split(names, *, seed=42):
    """80 %, 10 % and 10 % of the names after one shuffle, as `Splits`.

    The lecture's own split, which parts by name: seed 42 leaves 182,625,
    22,655 and 22,866 targets. `names` stays as it is.
    makemore, part 3.
    """
    names = list(names)
    random.Random(seed).shuffle(names)
    first, second = int(0.8 * len(names)), int(0.9 * len(names))
    return Splits(names[:first], names[first:second], names[second:])


def windows(names, block_size, vocab=NAME_VOCAB):
    """Every character of every name, and each name's end, with its context.

    Returns idx (N, block_size), the characters before each target, oldest
    first, and targets (N,), both int64; N counts the characters and one '.'
    for each name. Contexts are filled up on the left with '.'.
    """
    import torch

    if block_size < 0:
        raise ValueError(f"block_size={block_size}: must be at least 0")
    names = list(names)
    pad = vocab.encode(".").item()
    targets = vocab.encode("".join(name + "." for name in names))  # (N,)
    lengths = torch.tensor([len(name) + 1 for name in names],
                           dtype=torch.int64)
    starts = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    before = torch.arange(len(targets)) - starts  # (N,) characters known
    padded = torch.cat([torch.full((block_size,), pad), targets])
    idx = padded.unfold(0, block_size, 1)[:len(targets)]  # (N, block_size)
    age = torch.arange(block_size, 0, -1)  # (block_size,)
    return idx.masked_fill(age > before[:, None], pad), targets


def distinct_contexts(idx, targets, vocab_size=27):
    """Each context once, with how often each target followed it.

    From idx (N, T) and targets (N,), as `windows` makes them: contexts (M, T)
    int64, sorted, and counts (M, vocab_size). Only the order is lost, so with
    logits (M, vocab_size) of the contexts

        -(counts * logits.log_softmax(-1)).sum() / counts.sum()

    is the mean loss of all N examples, and so is its gradient. The counts
    are float64, to be exact and to sum the loss exactly; the gradient has the
    dtype of the logits. ValueError if the shapes do not fit, or a target is
    not from 0 to vocab_size - 1.
    """
    import torch

    if idx.ndim != 2 or not idx.shape[1] or targets.shape != idx.shape[:1]:
        raise ValueError(
            f"idx of shape {tuple(idx.shape)}, targets of shape "
            f"{tuple(targets.shape)}: must be (N, T) and (N,), T at least 1")
    outside = targets[(targets < 0) | (targets >= vocab_size)]
    if len(outside):
        raise ValueError(f"targets holds {outside[0]}: must be from 0 to "
                         f"vocab_size - 1 = {vocab_size - 1}")
    contexts, row = idx.unique(dim=0, return_inverse=True)  # row (N,)
    counts = torch.bincount(row * vocab_size + targets,
                            minlength=len(contexts) * vocab_size)
    return contexts, counts.view(-1, vocab_size).double()

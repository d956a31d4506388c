"""Oracles: published counts, sha256, the lecture's own loops."""

import hashlib
import http.server
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import platformdirs
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from zth import data

ROOT = Path(__file__).resolve().parents[1]
NAMES = b"emma\nolivia\nava"
NAME_LISTS = st.lists(st.text("abcxyz", max_size=6), max_size=8)


@pytest.fixture
def lecture_names():
    if not data.source().is_lecture:
        pytest.skip("needs names.txt")
    return data.load_names()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A world of its own: folders `given` and `cache`, names.txt = NAMES."""
    for folder in ("given", "cache"):
        (tmp_path / folder).mkdir()
    entry = data.REGISTRY["names.txt"] | {
        "bytes": len(NAMES), "sha256": hashlib.sha256(NAMES).hexdigest()}
    monkeypatch.setitem(data.REGISTRY, "names.txt", entry)
    monkeypatch.setenv("ZTH_DATA_DIR", str(tmp_path / "given"))
    monkeypatch.setenv("ZTH_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(platformdirs, "user_cache_path",
                        lambda name: tmp_path / "cache")
    data._source.cache_clear()
    yield tmp_path
    data._source.cache_clear()


@pytest.fixture
def server(here, monkeypatch):
    """A server in the place of the registered address; `answer` is sent."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked += 1
            status, body, length = server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answer = 0, (200, NAMES, len(NAMES))
    threading.Thread(target=server.serve_forever, args=(0.01,),
                     daemon=True).start()
    monkeypatch.setattr(data, "URL", "http://127.0.0.1:%d/{path}"
                        % server.server_port)
    monkeypatch.delenv("ZTH_OFFLINE")
    yield server
    server.shutdown()
    server.server_close()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Where data come from


def test_registry_pins_every_download():
    for name, entry in data.REGISTRY.items():
        assert re.fullmatch("[0-9a-f]{64}", entry["sha256"]), name
        assert entry["bytes"] > 0
        if "repo" in entry:
            assert re.fullmatch("[0-9a-f]{40}", entry["commit"]), name
    url = data.URL.format(**data.REGISTRY["names.txt"])
    assert "/karpathy/makemore/988aa59e" in url and url.endswith("/names.txt")


def test_given_folder_comes_first_and_is_not_written_to(here):
    (here / "given/names.txt").write_bytes(NAMES)
    (here / "cache/names.txt").write_bytes(b"wrong, but not looked at")
    found = data.source()
    assert found.path == here / "given/names.txt" and found.is_lecture
    assert found.name == "names.txt"
    assert found.sha256 == hashlib.sha256(NAMES).hexdigest()
    assert data.load_names() == ["emma", "olivia", "ava"]
    assert files(here / "given") == {"names.txt": NAMES}


def test_cache_comes_second_and_without_a_given_folder(here, monkeypatch):
    (here / "cache/names.txt").write_bytes(NAMES)
    assert data.source().path == here / "cache/names.txt"
    data._source.cache_clear()
    monkeypatch.delenv("ZTH_DATA_DIR")
    assert data.source().path == here / "cache/names.txt"


@pytest.mark.parametrize("folder", ["given", "cache"])
@pytest.mark.parametrize("content", [
    pytest.param(NAMES[:-3], id="truncated"),
    pytest.param(NAMES.replace(b"ava", b"eva"), id="substituted"),
    pytest.param(NAMES.replace(b"\n", b"\r\n"), id="line ends"),
    pytest.param(b"", id="empty")])
def test_wrong_file_is_refused_and_kept(server, here, folder, content):
    path = here / folder / "names.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        data.source()
    for part in (str(path), hashlib.sha256(NAMES).hexdigest(),
                 hashlib.sha256(content).hexdigest()):
        assert part in str(error.value)
    assert path.read_bytes() == content and server.asked == 0
    with pytest.raises(ValueError):  # nor at the second time
        data.load_names()


def test_download_is_kept_in_the_cache(server, here, capfd):
    assert data.load_names() == ["emma", "olivia", "ava"]
    assert data.source().is_lecture
    assert files(here / "cache") == {"names.txt": NAMES}
    assert files(here / "given") == {}
    data._source.cache_clear()
    data.source()
    assert server.asked == 1
    assert capfd.readouterr() == ("", "")


def test_download_into_a_subfolder(server, here, monkeypatch):
    monkeypatch.setitem(data.REGISTRY, "classics/emma.txt",
                        data.REGISTRY["names.txt"])
    found = data.source("classics/emma.txt")
    assert found.path == here / "cache/classics/emma.txt"
    assert files(here / "cache/classics") == {"emma.txt": NAMES}


def test_wrong_download_is_an_error(server, here):
    server.answer = 200, b"log in first", 12
    with pytest.raises(ValueError) as error:
        data.source()
    for part in ("names.txt", hashlib.sha256(NAMES).hexdigest(),
                 hashlib.sha256(b"log in first").hexdigest()):
        assert part in str(error.value)
    assert files(here / "cache") == {}


@pytest.mark.parametrize("answer", [
    pytest.param((404, b"", 0), id="not found"),
    pytest.param((200, NAMES[:5], len(NAMES)), id="broken off")])
def test_failed_download_leaves_the_stand_in(server, here, answer, capfd):
    server.answer = answer
    assert data.source().name == "world-names.txt"
    assert not data.source().is_lecture
    assert len(data.load_names()) == 18730
    assert files(here / "cache") == {}
    out, err = capfd.readouterr()
    assert out == ("names.txt cannot be downloaded: world-names.txt stands in "
                   "for it\n")
    assert err == ""


def test_offline_asks_nobody(server, here, monkeypatch):
    monkeypatch.setenv("ZTH_OFFLINE", "1")
    assert data.source().name == "world-names.txt"
    assert server.asked == 0


def test_text_stands_in_too(here, capsys):
    text = data.load_text()
    found = data.source("tinyshakespeare.txt")
    assert len(text) > 300_000 and "lambda" in text
    assert found.name == "pydoc_data.topics" and not found.is_lecture
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert capsys.readouterr().out.count("\n") == 1


def test_dead_proxy_and_empty_cache(tmp_path):
    """A fresh process prints one line, and nothing on stderr."""
    dead = "http://127.0.0.1:9"
    env = {key: value for key, value in os.environ.items()
           if not key.startswith("ZTH_") and key.lower() != "no_proxy"}
    env |= {"http_proxy": dead, "https_proxy": dead, "HTTPS_PROXY": dead,
            "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    code = ("from zth import data; print(len(data.load_names()), "
            "data.lecture(1.5), data.source().name, len(data.load_names()))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env,
                          capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "names.txt cannot be downloaded: world-names.txt stands in for it",
        "18730 needs names.txt world-names.txt 18730"]


def test_installed_package_carries_its_data(tmp_path):
    """Away from the repository the folder is called `_data`."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "zth", tmp_path / "zth", ignore=ignore)
    shutil.copytree(ROOT / "data", tmp_path / "zth/_data", ignore=ignore)
    code = ("import zth.data, zth.record; print(zth.record.RUNS); "
            "print(zth.data.source('world-names.txt').path)")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path,
                          capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "zth/_data/runs"),
                                   str(tmp_path / "zth/_data/world-names.txt")]


def test_identity_needs_no_torch():
    code = ("import sys; from zth import data; data.source('world-names.txt');"
            " print('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout == "False\n"


def test_unknown_name():
    with pytest.raises(ValueError, match="nmaes.txt.*world-names.txt"):
        data.source("nmaes.txt")


def test_lecture_number_needs_lecture_names(here):
    (here / "given/names.txt").write_bytes(NAMES)
    assert data.lecture(2.45401, "{:.3f}") == "2.454"
    (here / "given/names.txt").unlink()
    data._source.cache_clear()
    assert data.lecture(2.45401, "{:.3f}") == "needs names.txt"


# The data themselves


def test_lecture_names(lecture_names):
    assert len(lecture_names) == 32033
    assert len(set(lecture_names)) == 29494
    assert {len(name) for name in lecture_names} == set(range(2, 16))
    assert set("".join(lecture_names)) == set(data.NAME_VOCAB.stoi) - {"."}


def test_lecture_text():
    if not data.source("tinyshakespeare.txt").is_lecture:
        pytest.skip("needs tinyshakespeare.txt")
    text = data.load_text()
    assert len(text) == 1115394 and len(set(text)) == 65


def test_world_names():
    names = data.source("world-names.txt").path.read_text().splitlines()
    assert len(names) == 18730
    assert names == sorted(set(names))
    assert all(re.fullmatch("[a-z]{2,15}", name) for name in names)


def test_readme_states_source_and_count():
    readme = (ROOT / "data/README.md").read_text("utf-8")
    script = (ROOT / "data/build_world_names.py").read_text("utf-8")
    version = re.search('"Faker==(.+)"', script)[1]
    for part in (f"Faker {version}", "18,730", "MIT", "107,355", "13,378",
                 "13,405"):
        assert part in readme, part


# Vocabulary


@given(st.text(".abcdefghijklmnopqrstuvwxyz"))
@settings(max_examples=50)
def test_encode_and_decode_are_inverse(text):
    ids = data.NAME_VOCAB.encode(text)
    assert ids.dtype == torch.int64 and ids.shape == (len(text),)
    assert ids.tolist() == [data.NAME_VOCAB.stoi[char] for char in text]
    assert data.NAME_VOCAB.decode(ids) == text
    assert data.NAME_VOCAB.decode(ids.tolist()) == text


def test_vocabulary():
    vocab = data.CharVocab("é😀.")
    assert len(vocab) == 3 and vocab.stoi == {"é": 0, "😀": 1, ".": 2}
    assert vocab.itos == {0: "é", 1: "😀", 2: "."}
    assert vocab.encode("😀é").tolist() == [1, 0]
    assert data.NAME_VOCAB.stoi["."] == 0 and data.NAME_VOCAB.stoi["z"] == 26
    with pytest.raises(ValueError, match=r"text\[2\]='E'"):
        data.NAME_VOCAB.encode("emEma")
    with pytest.raises(ValueError, match=r"ids\[1\]=-1.*0 to 26"):
        data.NAME_VOCAB.decode(torch.tensor([3, -1]))
    with pytest.raises(ValueError, match="twice"):
        data.CharVocab("abca")


# Split


def test_lecture_split(lecture_names):
    parts = data.split(lecture_names)
    assert [len(part) for part in parts] == [25626, 3203, 3204]
    assert [len(data.windows(part, 3)[1]) for part in parts] == [
        182625, 22655, 22866]


def test_split_is_the_lectures():
    names = data.source("world-names.txt").path.read_text().split()
    before, state = list(names), random.getstate()
    parts = data.split(names)
    assert names == before and random.getstate() == state
    words = list(names)
    random.seed(42)
    random.shuffle(words)
    n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
    random.setstate(state)
    assert parts == (words[:n1], words[n1:n2], words[n2:])
    assert data.split(names, seed=43) != parts


@given(NAME_LISTS, st.integers(0, 99))
def test_split_is_a_partition(names, seed):
    parts = data.split(names, seed=seed)
    assert Counter(parts.train + parts.val + parts.test) == Counter(names)
    assert parts == data.split(names, seed=seed)


# Windows


def lecture_windows(words, block_size, stoi):
    """The lecture's own loop."""
    X, Y = [], []
    for w in words:
        context = [0] * block_size
        for ch in w + ".":
            ix = stoi[ch]
            X.append(context)
            Y.append(ix)
            context = (context + [ix])[1:] if block_size else []
    return X, Y


@given(NAME_LISTS, st.integers(0, 9))
@settings(max_examples=100)
def test_windows_equal_the_lectures_loop(names, block_size):
    idx, targets = data.windows(names, block_size)
    X, Y = lecture_windows(names, block_size, data.NAME_VOCAB.stoi)
    assert idx.dtype == targets.dtype == torch.int64
    assert idx.shape == (len(Y), block_size) and idx.is_contiguous()
    assert idx.tolist() == X and targets.tolist() == Y


def test_windows_of_all_names():
    names = data.load_names()
    idx, targets = data.windows(iter(names), 3)
    X, Y = lecture_windows(names, 3, data.NAME_VOCAB.stoi)
    assert torch.equal(idx, torch.tensor(X))
    assert torch.equal(targets, torch.tensor(Y))
    text = data.NAME_VOCAB.decode(targets)
    assert text == "".join(name + "." for name in names)


def test_windows_of_another_vocabulary():
    idx, targets = data.windows(["ba"], 2, data.CharVocab("ab."))
    assert idx.tolist() == [[2, 2], [2, 1], [1, 0]]
    assert targets.tolist() == [1, 0, 2]


def test_windows_errors():
    with pytest.raises(ValueError, match="block_size=-1"):
        data.windows(["emma"], -1)
    with pytest.raises(ValueError, match=r"'É'"):
        data.windows(["emma", "Élodie"], 3)
    with pytest.raises(ValueError, match="not in the vocab"):
        data.windows(["ba"], 2, data.CharVocab("ab"))


# Distinct contexts


@given(NAME_LISTS, st.integers(1, 4))
@settings(max_examples=100)
def test_distinct_contexts_count_every_target(names, block_size):
    idx, targets = data.windows(names, block_size)
    contexts, counts = data.distinct_contexts(idx, targets)
    assert contexts.dtype == torch.int64 and counts.dtype == torch.float64
    assert contexts.shape[1] == block_size
    assert counts.shape == (len(contexts), 27)
    found = {(*context, target): row[target]
             for context, row in zip(contexts.tolist(), counts.tolist())
             for target in range(27) if row[target]}
    assert found == Counter(zip(*idx.T.tolist(), targets.tolist()))
    assert contexts.tolist() == sorted(map(list, {*map(tuple, idx.tolist())}))


def long_and_short(names, dtype):
    """Loss and gradients of a small net, over all examples and over counts."""
    idx, targets = data.windows(names, 3)
    contexts, counts = data.distinct_contexts(idx, targets)
    g = torch.Generator().manual_seed(1)
    C, W = (torch.randn(size, generator=g, dtype=dtype, requires_grad=True)
            for size in ((27, 4), (12, 27)))

    def logits(idx):
        return torch.tanh(F.embedding(idx, C).flatten(1)) @ W

    long = F.cross_entropy(logits(idx), targets)
    short = -(counts * logits(contexts).log_softmax(-1)).sum() / counts.sum()
    return [(loss, *torch.autograd.grad(loss, (C, W)))
            for loss in (long, short)], contexts


def test_distinct_contexts_give_the_exact_loss(lecture_names):
    train = data.split(lecture_names).train
    (long, short), contexts = long_and_short(train, torch.float64)
    assert contexts.shape == (5438, 3)  # for 182,625 targets
    for a, b in zip(long, short):
        assert (a - b).abs().max() <= 1e-12 * a.abs().max()


def test_distinct_contexts_give_the_exact_loss_of_any_names():
    (long, short), _ = long_and_short(data.load_names()[:2000], torch.float32)
    assert short[0].dtype == torch.float64
    assert all(part.dtype == torch.float32 for part in short[1:])
    for a, b in zip(long, short):
        torch.testing.assert_close(a, b.float(), rtol=1e-4, atol=1e-6)


def test_distinct_contexts_of_another_vocabulary():
    idx = torch.tensor([[2, 0], [1, 1], [2, 0], [2, 0]])
    targets = torch.tensor([0, 2, 1, 0])
    contexts, counts = data.distinct_contexts(idx, targets, 3)
    assert contexts.tolist() == [[1, 1], [2, 0]]
    assert counts.tolist() == [[0, 0, 1], [2, 1, 0]]


@pytest.mark.parametrize("idx, targets, said", [
    ((4,), (4,), r"idx of shape \(4,\)"),
    ((4, 2, 1), (4,), r"\(4, 2, 1\).*must be \(N, T\)"),
    ((4, 2), (3,), r"targets of shape \(3,\)"),
    ((4, 2), (4, 1), r"targets of shape \(4, 1\)"),
    ((4, 0), (4,), "T at least 1")])
def test_distinct_contexts_shapes(idx, targets, said):
    idx, targets = (torch.zeros(size, dtype=torch.int64)
                    for size in (idx, targets))
    with pytest.raises(ValueError, match=said):
        data.distinct_contexts(idx, targets)


@pytest.mark.parametrize("bad", [-1, 27])
def test_distinct_contexts_targets(bad):
    with pytest.raises(ValueError, match=f"targets holds {bad}.*= 26"):
        data.distinct_contexts(torch.zeros(2, 3, dtype=torch.int64),
                               torch.tensor([4, bad]))

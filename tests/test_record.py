"""Oracles: each record's own experiment, repeated; planted changes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import IPython
import pytest

from zth import __main__, data, record

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = '''"""Doubles <numbers>.

More on it.
"""
import time
from pathlib import Path

from zth import ngram

CASES = [{"x": x, "seed": x % 2} for x in range(4)]
VOLATILE = {"seconds"}
LOG = Path(__file__).with_name("log")


def measure(x, seed):
    with LOG.open("a") as log:
        log.write(str(x))
    if x == 2 and LOG.with_name("stop").exists():
        raise KeyboardInterrupt
    return {"double": 2.0 * x, "curve": [x, [x / 3]], "none": None,
            "infinite": float("inf"), "seconds": time.perf_counter()}
'''


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "twice.py").write_text(EXPERIMENT)
    return tmp_path


def log(runs):
    """The cases measured since the last call."""
    path = runs / "log"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return text


def change(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


# The book's records


def test_each_experiment_has_its_record():
    results = sorted(path.stem for path in record.RUNS.glob("*.json"))
    assert results == record.names()


@pytest.mark.parametrize("name", record.names())
def test_record_repeats(name):
    why = record.verify(name)
    if why:
        pytest.skip(why)


@pytest.mark.parametrize("name", record.names())
def test_record_is_complete_and_names_no_place(name):
    path = record.RUNS / f"{name}.json"
    made = json.loads(path.read_text("utf-8"))
    assert made["command"] == f"make runs NAME={name}"
    assert made["rows"] and made["hardware"]["processor"]
    assert not any(f"{place}/" in path.read_text("utf-8")
                   for place in (ROOT, Path.home()))


# Running


def test_run_writes_a_whole_record(runs):
    assert record.stale("twice", folder=runs) == "has no record"
    assert "4 cases" in record.run("twice", folder=runs)
    made = json.loads((runs / "twice.json").read_text())
    assert list(made) == [
        "what", "command", "recorded", "commit", "versions", "hardware",
        "threads", "data", "seeds", "seconds", "code", "rows"]
    assert made["what"] == "Doubles <numbers>."
    assert set(made["versions"]) == {"Python", "torch", "numpy"}
    assert made["threads"] == 1 and made["seeds"] == [0, 1]
    assert made["data"] is None  # zth.ngram reads no data
    assert [row["double"] for row in made["rows"]] == [0, 2, 4, 6]
    assert made["rows"][3] | {"seconds": 0} == {
        "x": 3, "seed": 1, "double": 6.0, "curve": [3, [1.0]], "none": None,
        "infinite": float("inf"), "seconds": 0}
    assert {path.name for path in runs.iterdir()} == {
        "twice.py", "twice.json", "log"}
    text = (runs / "twice.json").read_text()
    assert sum('"double"' in line for line in text.splitlines()) == 4


def test_valid_run_is_not_repeated(runs):
    record.run("twice", folder=runs)
    log(runs)
    before = (runs / "twice.json").read_bytes()
    assert record.stale("twice", folder=runs) == ""
    assert record.run("twice", folder=runs) == "twice: up to date"
    assert log(runs) == "" and (runs / "twice.json").read_bytes() == before


def test_changed_code_is_repeated(runs, monkeypatch):
    record.run("twice", folder=runs)
    log(runs)
    change(runs / "twice.py", "2.0 * x", "3.0 * x")
    assert "other code" in record.stale("twice", folder=runs)
    record.run("twice", folder=runs)
    assert log(runs) == "0123"
    assert record.show("twice", folder=runs)[1]["double"] == 3
    monkeypatch.setattr(record, "sources", lambda code: [])
    assert "other code" in record.stale("twice", folder=runs)


def test_interrupted_run_goes_on(runs):
    (runs / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        record.run("twice", folder=runs)
    partial = runs / "twice.partial.json"
    assert log(runs) == "012" and not (runs / "twice.json").exists()
    assert len(json.loads(partial.read_text())["rows"]) == 2
    (runs / "stop").unlink()
    record.run("twice", folder=runs)
    assert log(runs) == "23" and not partial.exists()
    assert [row["x"] for row in record.show("twice", folder=runs)] == [
        0, 1, 2, 3]


@pytest.mark.parametrize("key", ["code", "hardware", "versions"])
def test_rows_made_otherwise_are_not_kept(runs, key):
    (runs / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        record.run("twice", folder=runs)
    log(runs)
    (runs / "stop").unlink()
    partial = runs / "twice.partial.json"
    partial.write_text(json.dumps(
        json.loads(partial.read_text()) | {key: "other"}))
    record.run("twice", folder=runs)
    assert log(runs) == "0123"


def test_killed_run_goes_on(runs):
    change(runs / "twice.py", "    if x == 2 and",
           "    if x == 2:\n        time.sleep(60)\n    if x == 2 and")
    code = ("from pathlib import Path; from zth import record; "
            "record.run('twice', folder=Path('.'))")
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=runs,
        env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        end = time.monotonic() + 60
        while not (runs / "log").exists() or "2" not in (
                runs / "log").read_text():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    partial = json.loads((runs / "twice.partial.json").read_text())
    assert [row["x"] for row in partial["rows"]] == [0, 1]


def test_missing_device_keeps_the_record(runs, monkeypatch):
    record.run("twice", folder=runs)
    before = (runs / "twice.json").read_bytes()
    change(runs / "twice.py", "CASES", 'DEVICE = "cuda"\nCASES')
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    log(runs)
    line = record.run("twice", folder=runs)
    assert "cuda is not at hand" in line and "other code" in line
    assert (runs / "twice.json").read_bytes() == before and log(runs) == ""
    assert record.verify("twice", folder=runs) == "twice needs cuda"


def test_device_is_named(runs, monkeypatch):
    change(runs / "twice.py", "CASES", 'DEVICE = "cuda"\nCASES')
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Abacus 9")
    record.run("twice", folder=runs)
    made = json.loads((runs / "twice.json").read_text())
    assert made["hardware"]["device"] == "Abacus 9"


def test_data_belong_to_the_record(runs, monkeypatch):
    change(runs / "twice.py", "import ngram", "import data, ngram")
    lecture = data.Source("names.txt", None,
                          data.REGISTRY["names.txt"]["sha256"], True)
    other = data.source("world-names.txt")
    monkeypatch.setattr(data, "source", lambda name="names.txt": other)
    record.run("twice", folder=runs)
    made = json.loads((runs / "twice.json").read_text())
    assert made["data"] == {"file": "names.txt", "name": "world-names.txt",
                            "sha256": other.sha256}
    assert record.stale("twice", folder=runs) == ""
    monkeypatch.setattr(data, "source", lambda name="names.txt": lecture)
    assert "stand-in" in record.stale("twice", folder=runs)
    assert record.verify("twice", folder=runs) == "twice needs world-names.txt"
    record.run("twice", folder=runs)
    monkeypatch.setattr(data, "source", lambda name="names.txt": other)
    assert record.stale("twice", folder=runs) == ""  # the better data
    assert record.verify("twice", folder=runs) == "twice needs names.txt"


def test_commit(tmp_path, monkeypatch):
    def git(*arguments):
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a", *arguments],
            cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    monkeypatch.setattr(record, "PACKAGE", tmp_path / "zth")
    path = tmp_path / "twice.py"
    path.write_text("1")
    assert record.commit([path]) is None
    git("init")
    git("add", "twice.py")
    git("commit", "-m", "a")
    commit = record.commit([path])
    assert len(commit) == 12 and git("rev-parse", "HEAD").startswith(commit)
    (tmp_path / "other").touch()
    assert record.commit([path]) == commit
    path.write_text("2")
    assert record.commit([path]) == commit + "-dirty"


def test_threads_are_the_experiments(runs):
    import torch

    before = torch.get_num_threads()
    change(runs / "twice.py", "CASES", "import torch\nTHREADS = 2\nCASES")
    change(runs / "twice.py", '"none": None',
           '"none": torch.get_num_threads()')
    record.run("twice", folder=runs)
    assert record.show("twice", folder=runs)[0]["none"] == 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("old, new, message", [
    ("VOLATILE", "VOLATIL", "does not define VOLATILE"),
    ('"double"', '"x"', "key of the case")])
def test_malformed_experiment(runs, old, new, message):
    change(runs / "twice.py", old, new)
    with pytest.raises(ValueError, match=message):
        record.run("twice", folder=runs)


def test_unknown_name(runs):
    for function in (record.run, record.stale):
        with pytest.raises(ValueError, match="'thrice'.*twice"):
            function("thrice", folder=runs)


# Verifying


@pytest.mark.parametrize("key, old, new", [
    ("double", '"double": 0.0', '"double": 1e-9'),
    ("curve", '"curve": [0, ', '"curve": [1, '),
    ("none", '"none": null, ', ""), ("infinite", "Infinity", "1e308"),
    ("x", '"x": 0', '"x": 5')])
def test_verify_finds_a_changed_value(runs, key, old, new):
    record.run("twice", folder=runs)
    assert record.verify("twice", folder=runs) == ""
    text = (runs / "twice.json").read_text()
    (runs / "twice.json").write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match="twice.json does not repeat: " + key):
        record.verify("twice", folder=runs)


def test_verify_allows_rounding_and_volatile_values(runs):
    record.run("twice", folder=runs)
    path = runs / "twice.json"
    made = json.loads(path.read_text())
    made["rows"][1]["double"] *= 1 + 1e-8
    made["rows"][1]["seconds"] = -1
    path.write_text(json.dumps(made))
    assert record.verify("twice", 4, folder=runs) == ""
    made["rows"][1]["double"] *= 1 + 1e-5
    path.write_text(json.dumps(made))
    assert record.verify("twice", 1, folder=runs) == ""
    with pytest.raises(ValueError, match="twice.json does not repeat: double"):
        record.verify("twice", 2, folder=runs)


# Showing


@pytest.fixture
def shown(monkeypatch):
    """What IPython displays, as HTML."""
    content = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: "alive")
    monkeypatch.setattr(
        "IPython.display.display",
        lambda bundle, raw: content.append(bundle["text/html"]))
    return content


def test_show_says_where_it_comes_from(runs, shown):
    record.run("twice", folder=runs)
    made = json.loads((runs / "twice.json").read_text())
    assert record.show("twice", folder=runs) == made["rows"]
    page, = shown
    assert page.startswith('<div class="zth-record">')
    for part in ("Doubles &lt;numbers&gt;.", made["recorded"],
                 "<code>make runs NAME=twice</code>", "commit unknown",
                 made["hardware"]["processor"], made["versions"]["torch"],
                 "threads: 1"):
        assert part in page
    assert "zth-warning" not in page and "<numbers>" not in page


@pytest.mark.parametrize("seconds, text", [
    (0.0123, "0.0123 s"), (9.75, "9.75 s"), (119.7, "120 s"), (150, "2 min"),
    (1509.4, "25 min"), (3599, "1 h 0 min"), (5516.2, "1 h 32 min")])
def test_a_duration_is_read_at_a_glance(seconds, text):
    assert record.duration(seconds) == text


def test_show_warns_of_changed_code(runs, shown):
    record.run("twice", folder=runs)
    change(runs / "twice.py", "2.0", "2.5")
    record.show("twice", folder=runs)
    assert 'class="zth-warning">The code has changed since' in shown[0]


def test_show_names_the_data(runs, shown, monkeypatch):
    change(runs / "twice.py", "import ngram", "import data, ngram")
    lecture = data.Source("names.txt", None,
                          data.REGISTRY["names.txt"]["sha256"], True)
    other = data.source("world-names.txt")
    for used, name in [(lecture, "names.txt (the lecture&#x27;s)"),
                       (other, "world-names.txt (the stand-in)")]:
        (runs / "twice.json").unlink(missing_ok=True)
        for at_hand in (used, lecture, other):
            monkeypatch.setattr(data, "source",
                                lambda name="names.txt": at_hand)
            if not (runs / "twice.json").exists():
                record.run("twice", folder=runs)
            record.show("twice", folder=runs)
            page = shown.pop()
            assert name in page and used.sha256[:12] in page
            assert ("zth-warning" in page) == (at_hand != used)
            if at_hand != used:
                assert f"comes from {at_hand.name}" in page


def test_show_without_ipython_prints(runs, capsys):
    record.run("twice", folder=runs)
    capsys.readouterr()
    record.show("twice", folder=runs)
    assert capsys.readouterr().out.startswith("Doubles <numbers>.\nRecorded")


def test_show_without_a_record(runs):
    with pytest.raises(ValueError, match="make runs NAME=twice"):
        record.show("twice", folder=runs)


# Which modules code imports


@pytest.fixture
def package(tmp_path):
    """A package with each kind of import inside it."""
    modules = {
        "__init__": "", "data": "import torch", "ngram": "from . import data",
        "check/__init__": "from .bigrams import trigram",
        "check/bigrams": "from ..ngram import NGram\nfrom . import texts",
        "check/texts": "", "train": "def f():\n    from zth import plot",
        "plot": "",
        "loop": "from zth import loop2", "loop2": "import zth.loop"}
    for name, code in modules.items():
        path = tmp_path / "zth" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    return tmp_path / "zth"


BIGRAMS = "check/__init__ check/bigrams check/texts data ngram"


@pytest.mark.parametrize("code, expected", [
    ("import torch", None),
    ("import zth", ""),
    ("import zth.data", "data"),
    ("import zth.data as d, torch", "data"),
    ("from zth.data import windows, split", "data"),
    ("from zth import data, plot", "data plot"),
    ("from zth import *", ""),
    ("from zth import ngram", "data ngram"),
    ("from zth import check", BIGRAMS),
    ("from zth.check import trigram", BIGRAMS),
    ("import zth.check.texts", BIGRAMS),
    ("import zth.train", "plot train"),
    ("def f():\n    import zth.plot", "plot"),
    ("import zth.loop", "loop loop2"),
    ("import zthree.data", None),
    ("from . import data", None),
    ("from zth import missing", ""),
    ("%config A.b = 'c'\n!ls\nif True:\n    %time 1\nimport zth.plot", "plot"),
    ("x = ('%s'\n     % 1)\nimport zth.plot", "plot"),
])
def test_sources(package, code, expected):
    found = [path.relative_to(package).with_suffix("").as_posix()
             for path in record.sources(code, package)]
    assert found == ([] if expected is None
                     else sorted(["__init__", *expected.split()]))


def test_code_that_does_not_parse_imports_everything(package):
    assert record.sources("def (", package) == sorted(package.rglob("*.py"))


def test_sources_of_the_package_itself():
    found = {path.relative_to(ROOT).as_posix()
             for path in record.sources("from zth import record")}
    assert found == {"zth/__init__.py", "zth/data.py", "zth/record.py"}


# The command


def test_cases_side_by_side_give_the_same_rows_and_go_on(runs):
    record.run("twice", folder=runs)
    alone = json.loads((runs / "twice.json").read_text())["rows"]
    (runs / "twice.json").unlink()
    log(runs)
    change(runs / "twice.py", "VOLATILE", "WORKERS = 3\nVOLATILE")
    (runs / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        record.run("twice", folder=runs)
    kept = json.loads((runs / "twice.partial.json").read_text())["rows"]
    assert len(kept) == 2
    (runs / "stop").unlink()
    log(runs)
    record.run("twice", folder=runs)
    assert sorted(log(runs)) == ["2", "3"]
    rows = json.loads((runs / "twice.json").read_text())["rows"]
    for row in rows + alone:
        del row["seconds"]
    assert rows == alone


def test_command():
    def call(*arguments):
        return subprocess.run([sys.executable, "-m", "zth", *arguments],
                              cwd=ROOT, capture_output=True, text=True)

    assert "runs" in call("--help").stdout
    wrong = call("runs", "no-such-run")
    assert wrong.returncode == 2 and "no-such-run" in wrong.stderr


@pytest.fixture
def command(runs, monkeypatch, capsys):
    """`python -m zth runs ...` on the planted folder: what it prints."""
    monkeypatch.setattr(record.names, "__defaults__", (runs,))
    for function in (record.stale, record.run):
        monkeypatch.setattr(function, "__kwdefaults__", {"folder": runs})

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["zth", "runs", *arguments])
        __main__.main()
        return capsys.readouterr().out

    return call


def test_command_repeats_what_is_stale(command):
    assert command().startswith(
        "twice: has no record\ntwice: recorded, 4 cases")
    assert command("twice") == "twice: up to date\n"


def test_command_says_that_it_goes_on(runs, command, capsys):
    (runs / "stop").touch()
    with pytest.raises(SystemExit) as stop:
        command()
    assert stop.value.code == 130
    assert "the next call goes on" in capsys.readouterr().out
    (runs / "stop").unlink()
    log(runs)
    command()
    assert log(runs) == "23"


def test_command_passes_over_a_missing_device(runs, command, monkeypatch):
    change(runs / "twice.py", "CASES", 'DEVICE = "mps"\nCASES')
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert "mps is not at hand: left as it is" in command()

"""The build command, on tiny books: faults fail it, by the page's name.

What the audit of the written site sees is tested in test_audit.py.
"""

import signal
import subprocess
import sys
import time

import psutil
import pytest
import tiny

FIGURE = tiny.cell("""\
import matplotlib.pyplot as plt
from myst_nb import glue
from zth import plot
plot.use_style()
fig, ax = plt.subplots()
ax.plot([1, 2, 4])
glue("slope", 1.5, display=False)
print({"one", "two", "three"})""", ":mystnb:", ":  figure:",
                   ":    name: fig-line", ":    caption: It bends.",
                   ":  image:", ":    alt: A line that bends upwards.")


def test_failed_cells_are_all_named(tmp_path):
    tiny.book(tmp_path, {
        "good": "# Good\n\n" + tiny.cell("print('fine')"),
        "bad": "# Bad\n\nText.\n\n" + tiny.cell(
            "x = 1\nassert x == 2, 'x is not two'", ":tags: [check]"),
        "dead": "# Dead\n\n" + tiny.cell("import os\nos._exit(1)"),
        "part/typo": "# Typo\n\n" + tiny.cell("import zth\nif:"),
    })
    done = tiny.build(tmp_path)
    assert done.returncode == 1
    line = (tmp_path / "book/bad.md").read_text().split("\n").index(
        "assert x == 2, 'x is not two'") + 1
    assert f"book/bad.md:{line}: AssertionError: x is not two" in done.stdout
    assert "book/dead.md: DeadKernelError" in done.stdout
    assert "book/part/typo.md:11: SyntaxError" in done.stdout
    assert "s  book/good.md" in done.stdout
    assert "Faults: 3" in done.stdout


def test_warnings_of_sphinx_and_lost_pages_are_faults(tmp_path):
    tiny.book(tmp_path, {
        "good": "# Good\n",
        "broken": "# Broken\n\nSee {ref}`nowhere`.\n",
        "nested": "# Nested\n\n:::{note}\n" + tiny.cell("1 + 1") + ":::\n",
    })
    tiny.write(tmp_path, "lost", "# Lost\n")
    done = tiny.build(tmp_path)
    assert done.returncode == 1
    assert "book/broken.md:9: WARNING: undefined label" in done.stdout
    assert "book/nested.md:10: WARNING" in done.stdout
    assert "book/lost.md: in no table of contents" in done.stdout
    assert "\x1b" not in done.stdout
    assert "good.md:" not in done.stdout


@pytest.mark.parametrize("text", [
    None, "# Bad\n\n```{code-cell}\n:tags: [a\n```"])
def test_a_page_that_cannot_be_read_is_named(tmp_path, text):
    tiny.book(tmp_path, {"bad": text or ""})
    if text is None:
        (tmp_path / "book/bad.md").unlink()
    done = tiny.build(tmp_path)
    assert done.returncode == 1
    assert "\nbook/bad.md: " in done.stdout
    assert "Traceback" not in done.stdout


def test_wrong_data_are_one_line(tmp_path):
    tiny.book(tmp_path, {})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "names.txt").write_text("emma\n")
    done = tiny.build(tmp_path, ZTH_DATA_DIR=str(tmp_path / "mine"))
    assert done.returncode == 1
    assert str(tmp_path / "mine" / "names.txt") in done.stdout
    assert "Traceback" not in done.stdout


def test_two_folders_give_the_same_bytes(tmp_path):
    sites = []
    for folder in (tmp_path / "a", tmp_path / "another" / "folder"):
        tiny.book(folder, {
            "figure": "# Figure\n\n" + FIGURE + "\n{glue:text}`slope:.2f`\n",
            "build-report": tiny.HEADER.replace("---\n\n", "nosearch: true\n"
                            "---\n\n") + "# Report\n\n```{nb-exec-table}\n```",
        })
        done = tiny.build(folder)
        assert done.returncode == 0, done.stdout
        sites.append({
            str(path.relative_to(folder / "_build/html")): path.read_bytes()
            for path in (folder / "_build/html").rglob("*") if path.is_file()
            and "_sources" not in path.parts})
    one, two = sites
    assert one.keys() == two.keys()
    differ = {name for name in one if one[name] != two[name]}
    assert differ <= {"book/build-report.html"}
    assert b"1.50" in one["book/figure.html"]


SLOW = """\
import os, pathlib, time
pathlib.Path("kernel").write_text(str(os.getpid()))
while not pathlib.Path("go").exists():
    time.sleep(0.05)"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_an_interrupted_build_loses_one_page(tmp_path):
    tiny.book(tmp_path, {"fast": "# Fast\n\n" + tiny.cell("print('fast')"),
                         "slow": "# Slow\n\n" + tiny.cell(SLOW)})
    kernel = tmp_path / "book" / "kernel"
    for count, sent in enumerate(["SIGKILL", "SIGTERM", "SIGINT"]):
        kernel.unlink(missing_ok=True)
        with open(tmp_path / "log", "w") as log:
            building = subprocess.Popen(
                [sys.executable, "-m", "tools.build", "--jobs", "2"],
                cwd=tmp_path, env=tiny.environment(tmp_path), stdout=log,
                stderr=log, preexec_fn=heeds_interrupts)
        said = (tmp_path / "log").read_text
        wait(lambda: kernel.exists() and kernel.read_text() and (
            count or "s  book/fast.md" in said()))
        building.send_signal(getattr(signal, sent))
        assert building.wait(timeout=300) != 0
        wait(lambda: not alive(int(kernel.read_text())))
        assert not count or "book/fast.md" not in said()
    (tmp_path / "book" / "go").touch()
    done = tiny.build(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "book/fast.md  (cached)" in done.stdout
    assert "s  book/slow.md" in done.stdout


def heeds_interrupts():
    """What a shell starts in the background ignores SIGINT: not this."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait(condition, seconds=60):
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid):
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

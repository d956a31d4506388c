"""What is executed again after a change, and that nothing else is."""

import hashlib
import re

import tiny

FIRST = "# First\n\n" + tiny.cell("""\
from myst_nb import glue
from zth import low
glue("number", low.NUMBER, display=False)""")
PAGES = {
    "first": FIRST,
    "second": "# Second\n\nIt is {glue:text}`first.md::number:d`.\n",
    "third": "# Third\n\n" + tiny.cell("%time 1\nimport zth.high as high"),
    "fourth": "# Fourth\n\n" + tiny.cell("name = 'shown'\nimport zth"),
}


def executed(folder, **extra):
    """Build, and say which pages were executed."""
    done = tiny.build(folder, **extra)
    assert done.returncode == 0, done.stdout
    table = done.stdout.partition("seconds  page")[2]
    found = set(re.findall(r"book/([a-z]+)\.md$", table, re.MULTILINE))
    early = set(re.findall(r"s  book/([a-z]+)\.md", done.stdout))
    assert found == early, done.stdout
    return found


def edit(path, old, new):
    """Replace a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def quoted(folder):
    """The number that the second page shows of the first."""
    text = (folder / "_build/html/book/second.html").read_text()
    return int(re.search(r"It is <span[^>]*>(\d+)</span>", text)[1])


def test_a_change_executes_what_depends_on_it(tmp_path):
    tiny.book(tmp_path, PAGES)
    (tmp_path / "zth/low.py").write_text("NUMBER = 41\n")
    (tmp_path / "zth/middle.py").write_text("from . import low\n")
    (tmp_path / "zth/high.py").write_text("from zth.middle import low\n")
    runs, registry = tmp_path / "data/runs", tmp_path / "data/registry.toml"
    (runs / "shown.py").write_text("'''What.'''\n")
    (runs / "shown.json").write_text("{}\n")
    (tmp_path / "names").mkdir()
    (tmp_path / "names/names.txt").write_text("emma\nolivia\n")
    found = hashlib.sha256(b"emma\nolivia\n").hexdigest()
    registry.write_text(re.sub(
        r'(\["names\.txt"\][^[]*sha256 = ")[0-9a-f]*', rf"\g<1>{found}",
        registry.read_text()))
    code = {"first", "third", "fourth"}

    assert executed(tmp_path) >= code
    assert quoted(tmp_path) == 41

    edit(tmp_path / "book/third.md", "# Third", "# The third")  # text alone
    edit(tmp_path / "book/first.md", "low.NUMBER", "low.NUMBER + 1")
    assert executed(tmp_path) == {"first"}
    assert quoted(tmp_path) == 42
    edit(tmp_path / "zth/low.py", "41", "50")
    tiny.write(tmp_path, "first", FIRST)  # back to the older text
    assert executed(tmp_path) == {"first", "third"}
    assert quoted(tmp_path) == 50

    edit(runs / "shown.json", "{}", "{ }")
    edit(tmp_path / "zth/middle.py", "low", "low  # as it is")
    assert executed(tmp_path) == {"third", "fourth"}
    edit(tmp_path / "constraints.txt", "torch==", "# torch==")
    assert executed(tmp_path) >= code
    lecture = {"ZTH_DATA_DIR": str(tmp_path / "names")}
    assert executed(tmp_path, **lecture) >= code
    assert executed(tmp_path, **lecture) == set()

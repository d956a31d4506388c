"""What the book adds to Sphinx.

Oracle: git repositories made here; the pages of a tiny book that the real
command builds.
"""

import re
import subprocess
from pathlib import Path

import pytest
import tiny
from bs4 import BeautifulSoup

from tools import address, bookext
from zth.data import Source
from zth.plot import PALETTE

LECTURE = Source("names.txt", Path("names.txt"), "ab" * 32, True)
EMBEDDED = Source("world-names.txt", Path("world.txt"), "cd" * 32, False)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with one commit, and a function that runs git."""
    monkeypatch.delenv("ZTH_REPOSITORY_URL", raising=False)

    def git(*args):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c",
                        *args], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-m", "first")
    return tmp_path, git


# Where the book was built ---------------------------------------------------

@pytest.mark.parametrize("remote, url", [
    ("https://github.com/a/b.git", "https://github.com/a/b"),
    ("https://github.com/a/b/", "https://github.com/a/b"),
    ("http://git.example.org:3000/a/b", "http://git.example.org:3000/a/b"),
    ("git@github.com:a/b.git", "https://github.com/a/b"),
    ("github.com:a/b", "https://github.com/a/b"),
    ("ssh://git@gitlab.com:2222/a/b.git", "https://gitlab.com/a/b"),
    ("https://user:secret@github.com/a/b", None),
    ("https://token@github.com/a/b", None),
    ("https://github.com/a/b?token=secret", None),
    ("ssh://git:secret@github.com/a/b", None),
    ("https://localhost/a/b", None),
    ("https://forge.internal/a/b", None),
    ("git@192.168.0.2:a/b", None),
    ("http://10.0.0.1/a/b", None),
    ("/srv/git/b.git", None),
    ("../b", None),
    ("file:///srv/git/b", None),
    ("C:\\git\\b", None),
    ("https://github.com", None),
])
def test_repository_url(repository, monkeypatch, remote, url):
    root, git = repository
    assert address.repository_url(root) is None  # no remote at all
    git("remote", "add", "origin", remote)
    assert address.repository_url(root) == url
    monkeypatch.setenv("ZTH_REPOSITORY_URL", "")
    assert address.repository_url(root) is None
    monkeypatch.setenv("ZTH_REPOSITORY_URL", "https://example.org/c/d")
    assert address.repository_url(root) == "https://example.org/c/d"


def test_commit(repository, tmp_path_factory):
    root, git = repository
    clean = address.commit(root)
    assert re.fullmatch("[0-9a-f]{10}", clean)
    (root / "untracked").touch()
    assert address.commit(root) == clean
    (root / "file").write_text("b")
    assert address.commit(root) == f"{clean} with local changes"
    (root / "folder").mkdir()  # an unpacked archive in another repository
    assert address.commit(root / "folder") == "unknown"
    assert address.commit(tmp_path_factory.mktemp("no")) == "unknown"


def test_foot():
    text = bookext.foot("0123456789", None, LECTURE, "A & B")
    assert re.search(r"commit 0123456789, with torch \S+, on names.txt "
                     r"\(sha256 abababababab\)\.</p>", text)
    link = BeautifulSoup(bookext.foot(
        "0123456789", "https://github.com/a/b", LECTURE, "A & B"),
        "html.parser").a
    assert link["href"] == (
        "https://github.com/a/b/issues/new?title=Mistake%3A%20A%20%26%20B")
    assert address.report_url("https://gitlab.com/a/b", "T") == (
        "https://gitlab.com/a/b/-/issues/new?issue%5Btitle%5D=T")


def test_notice():
    assert bookext.notice(LECTURE) == ""
    text = BeautifulSoup(bookext.notice(EMBEDDED), "html.parser").get_text()
    for part in ("world-names.txt", "differ", "names.txt", "ZTH_DATA_DIR"):
        assert part in text


# The label line -------------------------------------------------------------

def test_label_line():
    lecture = {"number": 2, "title": "Bigrams", "video": "abc"}
    exercise = {"id": "L2-E01", "lecture": 2, "title": "Trigram",
                "difficulty": 2, "minutes": 40, "video": 6910}
    line = BeautifulSoup(bookext.label_line(exercise, lecture, 4.7),
                         "html.parser")
    assert line.get_text() == ("Exercise L2-E01 · ●●○○ moderate · 40 minutes "
                               "· runs in about 5 s · lecture 2 at 1:55:10")
    dots = line.find(class_="zth-dots")
    assert dots["role"] == "img" and dots["aria-label"] == "difficulty 2 of 4"
    assert line.a["href"] == "https://www.youtube.com/watch?v=abc&t=6910s"
    del exercise["video"]
    line = bookext.label_line(exercise, lecture, 0.4)
    assert "runs in under 1 s" in line and "&amp;t=" not in line
    assert "runs in" not in bookext.label_line(exercise, lecture)


# A whole page ---------------------------------------------------------------

EXERCISE = """
```{{exercise-start}} The {0} one
:label: ex-{0}
```
Do it.
```{{exercise-end}}
```

```{{solution-start}} ex-{0}
:class: dropdown
```
Done.
```{{solution-end}}
```
"""
PAGE = """\
# A page

```{label-line} L2-E01
```

See [1:05](https://example.org/watch?v=abc&t=65s), {numref}`fig-line`,
{eq}`eq:less` and $n_1$.

:::{admonition} A *hint*
:class: dropdown
It helps.
:::

$$
a<b \\quad \\text{and} \\quad c > d
$$ (eq:less)

## All lectures

```{lectures}
```
""" + "".join(map(
    EXERCISE.format, ("first", "second"))) + "".join(tiny.cell(
        "from zth import plot\nimport matplotlib.pyplot as plt\n"
        "plot.use_style()\nplt.plot([1, 2]);", *option) for option in (
            [":mystnb:", ":  figure:", ":    name: fig-line",
             ":    caption: It rises.", ":  image:",
             ":    alt: A line that rises."],
            [":tags: [hide-input]", ":mystnb:", ":  figure:",
             ":    name: fig-again", ":    caption: It rises again.",
             ":  image:", ":    alt: The line again."]))
REPORT = """\
---
nosearch: true
---

# A report

```{nb-exec-table}
```
"""
LEDGER = """\
lectures:
- {number: 2, title: Bigrams, video: abc}
exercises:
- {id: L2-E01, lecture: 2, title: Trigram, difficulty: 2, minutes: 40,
   page: book/page.md, checker: trigram}
"""


def test_a_page_of_a_clean_book(tmp_path):
    root = tmp_path / "book"
    tiny.book(root, {"page": PAGE, "report": REPORT})
    (root / "book/exercises.yml").write_text(LEDGER)
    (root / "data/runs/pages.json").write_text(
        '{"rows": [{"page": "book/page.md", "seconds": 4.7}]}')
    done = tiny.build(root)
    assert done.returncode == 0, done.stdout
    site = root / "_build/html"
    text = (site / "book/page.html").read_text()
    soup = BeautifulSoup(text, "html.parser")
    assert [facts.get_text() for facts in soup.select(
        "div.exercise > p.zth-facts")] == ["moderate · 40 minutes"]
    assert "runs in about 5 s" in soup.select_one(".zth-label").get_text()
    assert "world-names.txt" in soup.select_one(".zth-notice").get_text()
    assert "commit unknown" in soup.select_one(".zth-foot").get_text()
    assert soup.find("a", string="1:05")["href"] == (
        "https://example.org/watch?v=abc&t=65s")
    report = BeautifulSoup(
        (site / "book/report.html").read_text(), "html.parser")
    assert report.select_one("td a[href='page.html']").get_text() == "A page"
    assert soup.select_one("h1 + .zth-label + .zth-launch").a["href"] == (
        "../workbooks/page.ipynb")
    assert "workbook" not in (site / "searchindex.js").read_text()
    lecture = soup.select_one("section > section.zth-lectures")
    assert lecture["id"] == "lecture-2-bigrams"
    assert lecture.h3.get_text() == "Lecture 2 · Bigrams#"
    assert lecture.table["aria-label"] == "Lecture 2 · Bigrams"
    assert soup.select_one(".bd-toc-nav a[href='#lecture-2-bigrams']")
    equation = soup.select_one("div.math")
    assert equation["id"] == "equation-eq-less"
    assert equation.annotation.get_text().count("a<b") == 1
    assert equation.select_one(".eqno").get_text().startswith("(1)")
    assert soup.find("a", href="#equation-eq-less").get_text() == "(1)"
    assert soup.select_one("span.math annotation").get_text() == "n_1"
    one, two = soup.select("svg.zth-figure")
    assert one["aria-label"] == "A line that rises."
    assert one.parent["id"] == "fig-line"
    assert "Fig. 1" in one.parent.figcaption.get_text()
    assert soup.find("a", href="#fig-line").get_text() == "Fig. 1"
    assert two["aria-label"] == "The line again."
    sheet = (site / "_static/figures.css").read_text()
    assert PALETTE["c0"][1] in sheet
    assert "figures.css" in text and "style.css" in text
    for unused in ("thebe", "fontawesome", "togglebutton", "sphinx-design",
                   "katex.min.js", "bootstrap.js"):
        assert unused not in text.lower()
    assert {path.suffix for path in (site / "_static").rglob("*.*")} <= {
        ".css", ".js", ".png", ".svg", ".txt", ".woff2"}
    folds = soup.select("details")
    assert [fold.summary.get_text(" ", strip=True) for fold in folds] == [
        "A hint", "Solution to Exercise 1 (The first one)",
        "Solution to Exercise 2 (The second one)",
        "Show the code Hide the code"]
    assert [fold.get("id") for fold in folds] == [
        None, "solution-ex-first", "solution-ex-second", None]
    assert not [fold for fold in folds if fold.get("open") is not None
                or fold.summary.find("a") or fold.summary.get("aria-label")]
    for page in site.rglob("*.html"):
        assert str(tmp_path) not in page.read_text(), page

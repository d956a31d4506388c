"""The notebooks made of the pages.

Oracle: the pages themselves, run by a Jupyter kernel; nbformat's schema; an
environment without the package; the numbers that Sphinx gives on the site.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
import warnings
from pathlib import Path

import nbformat
import pytest
import tiny
from bs4 import BeautifulSoup
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools import execute, workbooks

ROOT = Path(__file__).resolve().parents[1]
PAGES = {page.name: page for page in execute.read_pages(ROOT)[0]}


class AnyBook:
    """Resolves every reference, without a site: 1, or what was asked for."""

    setup = workbooks.setup(None, "")

    def number(self, role, label):
        return "book/page", "1"

    def numbered(self, role, label, page):
        return f"<{role} {label}>"

    def link(self, text, target, page):
        return f"<{text}|{target}>"

    def value(self, content, page):
        return "1"

    def citation(self, key):
        return "7", "A. Author. *A work*."

    def label_line(self, wanted, page):
        return f"*Exercise {wanted}*"

    def lectures(self):
        return ["- [](/book/one.md)"]

    def notice(self, page):
        return ""


def page_of(text, name="book/page.md"):
    """A page with this text, as the build reads it."""
    from myst_nb.core.read import read_myst_markdown_notebook

    notebook = read_myst_markdown_notebook(tiny.HEADER + text)
    return execute.Page(name, Path(name), notebook, "")


def run(notebook, folder, python=sys.executable):
    """Run a notebook there; the number of the cell that failed, the error."""
    client = NotebookClient(notebook, timeout=300)
    client.create_kernel_manager()
    client.km.transport = "ipc"  # no two kernels race for one port
    client.km.kernel_spec.argv[0] = str(python)
    with tempfile.TemporaryDirectory() as sockets:
        client.km.connection_file = f"{sockets}/kernel.json"
        try:
            client.execute(cwd=str(folder))
        except CellExecutionError as error:
            return next(i for i, cell in enumerate(notebook.cells)
                        if any(output.output_type == "error"
                               for output in cell.get("outputs", ()))), error
    return None, None


@pytest.fixture(autouse=True)
def as_in_a_build(monkeypatch):
    for name, value in execute.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


# The book's pages -----------------------------------------------------------

@pytest.mark.parametrize("name", PAGES)
def test_a_workbook_stops_at_its_first_check_as_not_written(name, tmp_path):
    notebook = workbooks.workbook(PAGES[name], AnyBook())
    checks = [i for i, cell in enumerate(notebook.cells)
              if "check" in workbooks.tags(cell)]
    failed, error = run(notebook, tmp_path)
    assert failed == (checks[0] if checks else None), error
    if checks:
        assert error.ename == "Wrong" and "not written yet" in error.evalue


@pytest.mark.parametrize("name", PAGES)
def test_a_solved_notebook_has_the_code_of_its_page(name):
    page = PAGES[name]
    notebook = workbooks.solved(page, AnyBook(), page.notebook)
    first, *code = [cell.source for cell in notebook.cells
                    if cell.cell_type == "code"]
    assert first == AnyBook.setup
    assert code == [cell.source for cell in page.notebook.cells
                    if cell.cell_type == "code"]


def leaks(page):
    """Lines of the solution, 20 characters or more, in the workbook."""
    cells = page.notebook.cells
    lines = {tag: {line.strip() for cell in cells
                   if tag in workbooks.tags(cell)
                   for line in cell.source.splitlines()}
             for tag in ("solution", "starter")}
    text = "\n".join(cell.source for cell in
                     workbooks.workbook(page, AnyBook()).cells)
    return [line for line in sorted(lines["solution"] - lines["starter"])
            if len(line) >= 20 and line in text]


@pytest.mark.parametrize("name", PAGES)
def test_a_workbook_gives_no_line_of_the_solution_away(name):
    assert leaks(PAGES[name]) == []


@pytest.mark.parametrize("name", PAGES)
def test_both_notebooks_are_valid_and_plain(name, tmp_path):
    page = PAGES[name]
    for notebook in (workbooks.workbook(page, AnyBook()),
                     workbooks.solved(page, AnyBook(), page.notebook)):
        nbformat.write(notebook, tmp_path / "a.ipynb")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = nbformat.read(tmp_path / "a.ipynb", nbformat.NO_CONVERT)
            nbformat.validate(again, relax_add_props=False)
        assert again == notebook
        assert (again.nbformat, again.nbformat_minor) == (
            nbformat.current_nbformat, nbformat.current_nbformat_minor)
        text = "\n".join(cell.source for cell in again.cells
                         if cell.cell_type == "markdown")
        assert not re.search(r"\{[\w:-]+\}`|^[`:]{3,}\{|^:\w+:|^\(.*\)=$",
                             text, re.M)
        assert again.cells[1].source.startswith("# ")


def test_a_solved_notebook_runs_to_its_end(tmp_path):
    page = PAGES["book/02-bigrams/indexing.md"]
    notebook = workbooks.solved(page, AnyBook(), page.notebook)
    failed, error = run(notebook, tmp_path)
    assert failed is None, error
    (check,) = [cell for cell in notebook.cells
                if "check" in workbooks.tags(cell)]
    assert "right" in check.outputs[0].text


# Markdown -------------------------------------------------------------------

EXERCISE = """\
# A title

```{label-line} L2-E01
```

The question.

```{exercise-start} A name
:label: ex-name
```
Do *it*.

:::{admonition} Hint 1
:class: dropdown
A nudge with $x$.
:::
```{exercise-end}
```

```{code-cell} python
:tags: [starter, skip-execution]
def answer():
    raise NotImplementedError
```

```{solution-start} ex-name
:class: dropdown
```
Secret prose.

$$
secret = 1
$$ (eq:secret)

```{code-cell} python
:tags: [solution]
def answer():
    return "the secret itself"
```
```{solution-end}
```

Afterwards.
"""


def sources(notebook):
    """The texts of a notebook's cells, the first cell left out."""
    return [cell.source for cell in notebook.cells[1:]]


def test_an_exercise_becomes_work_or_its_solution():
    page = page_of(EXERCISE)
    workbook = workbooks.workbook(page, AnyBook())
    first, starter, after = sources(workbook)
    title, note, rest = first.split("\n\n", 2)
    assert title == "# A title" and "starter" not in note
    assert rest == (
        "*Exercise L2-E01*\n\nThe question.\n\n**Exercise: A name**\n\n"
        "Do *it*.\n\n<details><summary>Hint 1</summary>\n\n"
        "A nudge with $x$.\n\n</details>")
    assert after == "Afterwards."
    assert workbook.cells[2].metadata == {"tags": ["starter"]}
    assert "`page-solved.ipynb`" not in note  # no check, no exercise
    solved = workbooks.solved(page, AnyBook(), page.notebook)
    assert sources(solved)[1:] == [
        starter, "**Solution**\n\nSecret prose.\n\n$$\nsecret = 1\n"
        "\\tag{1}\n$$", 'def answer():\n    return "the secret itself"', after]
    assert leaks(page) == []


def test_a_prediction_has_a_place_in_the_workbook():
    page = page_of("# A title\n\n:::{admonition} Predict\n:class: tip\n"
                   "How many?\n:::\n\nMany.\n")
    first, guess, rest = sources(workbooks.workbook(page, AnyBook()))
    assert first.endswith("> **Predict**\n>\n> How many?")
    assert guess == workbooks.GUESS and rest == "Many."
    assert len(sources(workbooks.solved(page, AnyBook(), page.notebook))) == 1


def test_a_leak_of_the_solution_is_found():
    page = page_of(EXERCISE + '\n`return "the secret itself"`\n')
    assert leaks(page) == ['return "the secret itself"']


def test_a_cell_of_the_solution_without_its_tag_is_refused():
    page = page_of(EXERCISE.replace(":tags: [solution]\n", ""))
    with pytest.raises(ValueError, match="page.md.*lacks the tag solution"):
        workbooks.workbook(page, AnyBook())


@pytest.mark.parametrize("source, written", [
    ("{glue:text}`a:.2f` of `{eq}` and $[a](b)$", "1 of `{eq}` and $[a](b)$"),
    ("**{glue:text}`a`**, {eq}`eq:a`, {numref}`fig-a`",
     "**1**, <eq eq:a>, <numref fig-a>"),
    ("[](a.md), [text](b) and `x[i](j)`", "<|a.md>, <text|b> and `x[i](j)`"),
    ("(a-label)=\n## Heading\n% a comment\ntext", "## Heading\ntext"),
    ("$$ a = b $$", "$$\n a = b \n$$"),
    ("x\n\n$$\n\\begin{aligned}\na &= b\n\\end{aligned}\n$$ (eq:a)\ny",
     "x\n\n$$\n\\begin{aligned}\na &= b\n\\end{aligned}\n\\tag{1}\n$$\n\ny"),
    ("````\n```{eq}\n{eq}`x`\n```\n````", None),
    ("```text\n(a)=\n$$\n```", "```text\n(a)=\n$$\n```"),
    (":::{admonition} Careful\n:class: warning\n- one\n- {eq}`eq:a`\n\n"
     "```\ncode\n```\n:::",
     "> **Careful**\n>\n> - one\n> - <eq eq:a>\n>\n> ```\n> code\n> ```"),
    ("::::{admonition} A\n:::{admonition} B\nb\n:::\n::::",
     "> **A**\n>\n> > **B**\n> >\n> > b"),
    ("```{lectures}\n```", "- <|/book/one.md>"),
    ("```{tableofcontents}\n```", None),
    ("{kbd}`x`", None),
    ("- a\n\n  ```{note}\n  b\n  ```", None),
])
def test_markdown(source, written):
    writer = workbooks.Writer("book/page.md", AnyBook(), solutions=True)
    if written is None:
        with pytest.raises(ValueError, match=r"book/page.md: no rule"):
            writer.text(source)
    else:
        assert writer.text(source) == written


def test_what_is_cited_is_listed_at_the_end():
    page = page_of("# A title\n\nAs in {cite}`author` and {cite}`author`.\n")
    *_, text, references = sources(workbooks.workbook(page, AnyBook()))
    assert text.endswith("As in [7] and [7].")
    assert references == "## References\n\n[7] A. Author. *A work*."


def test_a_figure_is_followed_by_its_caption():
    page = page_of("# A title\n\n" + tiny.cell(
        "1", ":tags: [hide-input]", ":mystnb:", ":  figure:",
        ":    name: fig-a", ":    caption: It is {glue:text}`a`."))
    notebook = workbooks.workbook(page, AnyBook())
    assert sources(notebook)[1:] == ["1", "*Fig. 1.* It is 1."]
    assert notebook.cells[2].metadata == {
        "tags": ["hide-input"], "cellView": "form",
        "jupyter": {"source_hidden": True}}


# The site's notebooks -------------------------------------------------------

SITE = {
    "page": """\
# A page

See {eq}`eq:there`, {eq}`eq:here`, {numref}`fig-line`, [](more/other.md),
[a place](place), {cite}`one2000`, {glue:text}`x:.1f` and
{glue:text}`more/other.md::y:,`.

$$
a < b
$$ (eq:here)

""" + tiny.cell("from myst_nb import glue\nglue('x', 1.25, display=False)\n"
                "print('shown')\nfrom IPython.display import SVG\n"
                "SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
                ":mystnb:", ":  figure:", ":    name: fig-line",
                ":    caption: A line.", ":  image:", ":    alt: A line."),
    "more/other": """\
# Another page

(place)=
## A place

$$
c = d
$$ (eq:there)

""" + tiny.cell("from myst_nb import glue\nglue('y', 12345, display=False)"),
    "works": "---\norphan: true\n---\n# Works\n\n```{bibliography}\n:style: unsrt\n```\n",
}
WORK = """\
@article{one2000, author = {One, Ann}, title = {Work}, journal = {Journal},
  year = {2000}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A tiny book, built with a public address and then without."""
    root = tmp_path_factory.mktemp("site") / "book"
    tiny.book(root, SITE)
    (root / "book/references.bib").write_text(WORK)
    found = []
    for url in ("https://github.com/Ann/b", ""):
        done = tiny.build(root, ZTH_REPOSITORY_URL=url)
        assert done.returncode == 0, done.stdout
        found.append({
            path.relative_to(root / "_build/html").as_posix():
            path.read_bytes() for path in (root / "_build/html").rglob("*")
            if path.is_file()})
    return found


def markdown(files, name):
    """All text of a notebook of the site."""
    notebook = nbformat.reads(files[f"workbooks/{name}.ipynb"].decode(), 4)
    return "\n".join(cell.source for cell in notebook.cells
                     if cell.cell_type == "markdown")


@pytest.mark.xdist_group("site")  # it is built once
def test_notebooks_say_what_the_site_says(site):
    for files in site:
        html = BeautifulSoup(files["book/page.html"], "html.parser")
        other = BeautifulSoup(files["book/more/other.html"], "html.parser")
        here, there = (soup.select_one(".eqno").get_text().strip("()#¶ \n\uf0c1")
                       for soup in (html, other))
        assert {here, there} == {"1", "2"}
        text = markdown(files, "page")
        assert f"\\tag{{{here}}}" in text and f", ({here}), Fig. 1," in text
        assert re.search(rf"See equation \({there}\) of \S*Another page",
                         text)
        assert "[1], 1.2 and\n12,345." in text
        assert "*Fig. 1.* A line." in text
        assert re.search(r"\[1\] Ann One\. Work\. \*Journal\*, 2000\.", text)
        assert "world-names.txt" in text
        assert "Another page" in markdown(files, "more/other")
        assert "workbooks/index.ipynb" not in files  # it has no code


@pytest.mark.xdist_group("site")  # it is built once
def test_links_lead_to_the_site_only_where_it_has_an_address(site):
    public, local = (markdown(files, "page") for files in site)
    pages = "https://ann.github.io/b/book"
    assert f"[Another page]({pages}/more/other.html)" in public
    assert f"[a place]({pages}/more/other.html#place)" in public
    assert f"[This page in the book]({pages}/page.html)" in public
    assert "](" not in local and "*Another page* (`other.ipynb`)," in local


@pytest.mark.xdist_group("site")  # it is built once
def test_launch_links(site):
    for files, names in zip(site, (
            {"Download the notebook", "Open in Colab", "Open in Binder",
             "Solved notebook"}, {"Download the notebook", "Solved notebook"}),
            strict=True):
        for page, up in (("page", "../"), ("more/other", "../../")):
            html = BeautifulSoup(files[f"book/{page}.html"], "html.parser")
            links = {a.get_text(): a["href"]
                     for a in html.select("nav.zth-launch a")}
            assert links.keys() == names
            assert links["Download the notebook"] == (
                f"{up}workbooks/{page}.ipynb")
            assert links["Solved notebook"] == (
                f"{up}workbooks/{page}-solved.ipynb")
            assert f"workbooks/{page}.ipynb" in files
            if "Open in Colab" in links:
                assert links["Open in Colab"] == (
                    "https://colab.research.google.com/github/Ann/b/blob/"
                    f"gh-pages/workbooks/{page}.ipynb")
                assert links["Open in Binder"] == (
                    "https://mybinder.org/v2/gh/Ann/b/HEAD?urlpath=lab%2Ftree"
                    f"%2Fbook%2F{page.replace('/', '%2F')}.md")
        works = BeautifulSoup(files["book/works.html"], "html.parser")
        assert not works.select("nav.zth-launch")  # no notebook


@pytest.mark.xdist_group("site")  # it is built once
def test_a_solved_notebook_shows_outputs_and_nothing_of_the_text(site):
    notebook = json.loads(site[0]["workbooks/page-solved.ipynb"])
    (cell,) = [cell for cell in notebook["cells"]
               if cell["cell_type"] == "code"][1:]
    assert [output["output_type"] for output in cell["outputs"]] == [
        "stream", "execute_result"]
    assert "scrapbook" not in json.dumps(notebook)
    workbook = json.loads(site[0]["workbooks/page.ipynb"])
    assert not any(cell.get("outputs") for cell in workbook["cells"])


@pytest.mark.xdist_group("site")  # it is built once
def test_two_builds_give_the_same_notebooks_and_wheel(site):
    wheels = [name for name in site[0] if name.endswith(".whl")]
    assert wheels == ["workbooks/zth-0.1.0-py3-none-any.whl"]
    assert site[0][wheels[0]] == site[1][wheels[0]]


# The first cell -------------------------------------------------------------

@pytest.fixture(scope="module")
def without_zth(tmp_path_factory):
    """A Python that has all packages of this one but the book's."""
    folder = tmp_path_factory.mktemp("without") / "venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    here = Path(pytest.__file__).parents[1]
    for entry in here.iterdir():
        if "zth" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def setup_only(*code):
    """A notebook of the first cell and some code."""
    return workbooks.assemble(
        [("# Title", None)] + [
            (source, nbformat.v4.new_code_cell()) for source in code],
        workbooks.Writer("book/page.md", AnyBook(), True), AnyBook(), "note")


@pytest.mark.xdist_group("site")  # it is built once
def test_the_wheel_is_linked_where_the_first_cell_says(site):
    (wheel,) = [name for name in site[0] if name.endswith(".whl")]
    text = (ROOT / "book/using-this-book.md").read_text("utf-8")
    assert text.startswith("# How to use this book\n")
    assert f'<a href="../{wheel}" download>' in text


@pytest.mark.xdist_group("site")  # it is built once
def test_the_first_cell_installs_what_is_missing(
        site, without_zth, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code = "import zth.check\nfrom zth.data import source\n" \
        "print(zth.check.__file__, source('world-names.txt').name)"
    notebook = setup_only(code)
    failed, error = run(notebook, tmp_path, without_zth)
    assert failed == 0 and error.ename == "FileNotFoundError"
    assert "zth-*.whl" in error.evalue
    assert "'How to use this book'" in error.evalue
    name = "zth-0.1.0-py3-none-any.whl"
    (tmp_path / name).write_bytes(site[0][f"workbooks/{name}"])
    (tmp_path / "topic").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    notebook = setup_only(code)
    failed, error = run(notebook, tmp_path / "topic", without_zth)
    assert failed is None, error
    where, source = notebook.cells[-1].outputs[0].text.split()
    assert Path(where).is_relative_to(without_zth.parents[1])
    assert source == "world-names.txt"


def test_the_first_cell_leaves_what_is_there(tmp_path):
    notebook = setup_only("import zth\nprint(zth.__file__)")
    failed, error = run(notebook, tmp_path)
    assert failed is None and not notebook.cells[0].outputs, error
    assert notebook.cells[-1].outputs[0].text.strip() == str(
        ROOT / "zth" / "__init__.py")


def test_glue_prints_in_a_notebook(tmp_path):
    code = ("from myst_nb import glue\nglue('loss', 2.34567, display=False)\n"
            "glue('n', 3)\nglue('who', 'a')")
    notebook = setup_only(AnyBook.setup, code)  # run twice, it works as once
    failed, error = run(notebook, tmp_path)
    assert failed is None, error
    assert notebook.cells[-1].outputs[0].text == (
        "loss = 2.3457\nn = 3\nwho = a\n")


def test_the_package_comes_from_the_repository_where_there_is_one():
    cell = workbooks.setup("https://example.org/a/b", "c0ffee")
    assert '"zth @ git+https://example.org/a/b@c0ffee")' in cell
    cell = workbooks.setup("https://example.org/a/b", "")
    assert '"zth @ git+https://example.org/a/b")' in cell
    assert "git+" not in workbooks.setup(None, "c0ffee")


# A reader's own copies ------------------------------------------------------

def test_a_readers_work_is_never_written_over(tmp_path):
    site, own = tmp_path / "html", tmp_path / "own"
    for name in ("a.ipynb", "a-solved.ipynb", "b/c.ipynb", "zth-1.whl"):
        path = site / "workbooks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("the book's")
    assert workbooks.hand_out(site, own) == (2, [])
    assert workbooks.hand_out(site, own) == (0, [])
    (own / "a.ipynb").write_text("mine")
    (site / "workbooks/b/d.ipynb").write_text("new")
    (site / "workbooks/zth-1.whl").write_text("newer")
    assert workbooks.hand_out(site, own) == (1, ["a.ipynb"])
    left = {path.relative_to(own).as_posix(): path.read_text()
            for path in own.rglob("*.*")}
    assert left == {"a.ipynb": "mine", "b/c.ipynb": "the book's",
                    "b/d.ipynb": "new", "zth-1.whl": "newer"}

"""The book's own rules; oracle: a small book in which each is broken once.

A rule takes a book's folder and yields its faults, each naming page or entry.
"""

import ast
import re
import symtable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from myst_nb.core.read import read_myst_markdown_notebook

from tools import ledger
from zth import record

ROOT = Path(__file__).resolve().parents[1]
FREE = {"data", "plot", "check", "record"}  # modules no page has to teach
FILLER = (r"simply|obviously|of course|let['’]s dive|needless to say|"
          r"basically|trivially|it is easy to see")


class Page(NamedTuple):
    """A page of the book: its name, its text, its cells in order."""

    name: str
    text: str
    cells: list

    def code(self, tag=None):
        """(place, cell) of the code cells, or of those with the tag."""
        cells = [c for c in self.cells if c.cell_type == "code"]
        return [(f"{self.name}: code cell {i}", cell)
                for i, cell in enumerate(cells, 1)
                if tag is None or tag in cell.metadata.get("tags", [])]


def toc(root):
    """The names of the pages, in the order of the table of contents."""
    def files(node):
        if isinstance(node, list):
            for item in node:
                yield from files(item)
        elif isinstance(node, dict):
            yield from (node[k] for k in ("root", "file") if k in node)
            for value in node.values():
                yield from files(value)

    nodes = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    return [name.removesuffix(".md") + ".md" for name in files(nodes)]


def pages(root):
    """The pages that exist, in order."""
    for name in toc(root):
        if (root / name).is_file():
            text = (root / name).read_text("utf-8")
            nb = read_myst_markdown_notebook(text)
            yield Page(name, text, nb.cells if nb else [])


def tree(cell):
    """The syntax tree of a cell; lines of IPython's own are blank."""
    source = cell if isinstance(cell, str) else cell.source
    return ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", source))


def quoted_module(cell):
    """The path "zth/ngram.py" in the first line of a quote cell, or None."""
    found = re.match(r"# (zth/[\w/]+\.py)\n", cell.source)
    return found and found[1]


def definitions(body):
    """{name: syntax tree without docstrings} of what a body defines."""
    found = {}
    for node in body:
        for inner in ast.walk(node):
            if isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
                if ast.get_docstring(inner) is not None:
                    inner.body = inner.body[1:] or [ast.Pass()]
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = ast.dump(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                found[ast.unparse(target)] = ast.dump(node)
        elif not isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr)):
            found[ast.unparse(node)] = ast.dump(node)
    return found


# The rules ------------------------------------------------------------------


def quotes_equal_the_package(root):
    """Whole definitions, equal to the package's but for docs and comments."""
    for page in pages(root):
        for place, cell in page.code():
            module = quoted_module(cell)
            if not module:
                continue
            if not (root / module).is_file():
                yield f"{place} quotes {module}, which is not there"
                continue
            quoted = definitions(tree(cell).body)
            kept = definitions(
                ast.parse((root / module).read_text("utf-8")).body)
            if not quoted:
                yield f"{place} quotes no definition"
            for name, code in quoted.items():
                if name not in kept:
                    yield f"{place}: {module} has no {name}"
                elif kept[name] != code:
                    yield f"{place}: {name} is not what {module} has"


def only_what_was_taught(root):
    """Names come from zth only once a quote cell has shown them.

    The first page, which shows what is to come, is free.
    """
    taught = set()
    for number, page in enumerate(pages(root)):
        for place, cell in page.code():
            if module := quoted_module(cell):
                taught |= {(module, name)
                           for name in definitions(tree(cell).body)}
            for module, name in imported(tree(cell)):
                if number == 0 or module.split(".")[0] in FREE:
                    continue
                path = f"zth/{module.replace('.', '/')}.py"
                if name is None:
                    yield f"{place} imports zth.{module} whole: import names"
                elif (path, name) not in taught:
                    yield (f"{place} uses {name} of zth.{module}, which no "
                           "quote cell has shown yet")


def imported(code):
    """(module under zth, name or None) of each import."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("zth."):
                    yield alias.name[4:], None
        elif isinstance(node, ast.ImportFrom) and node.module == "zth":
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").startswith("zth."):
                for alias in node.names:
                    yield node.module[4:], alias.name


def exercises_are_whole(root):
    """The ledger, the pages and the checkers hold the same exercises."""
    entries = ledger.load(root)["exercises"]
    there = {page.name: page for page in pages(root)}
    checkers = checkers_of(root)
    tests = "".join(path.read_text("utf-8")
                    for path in sorted((root / "tests").glob("test_check_*")))
    for entry in entries:
        if "page" not in entry:
            continue
        name, checker, id_ = entry["page"], entry["checker"], entry["id"]
        if name not in there:
            yield (f"{id_}: its page {name} is missing, or in no table of "
                   "contents")
            continue
        yield from (f"{id_}: {name} {fault}" for fault in parts_missing(
            there[name], entry, [e for e in entries if e.get("page") == name]))
        if checker not in checkers:
            yield f"{id_}: zth.check has no checker {checker}"
        for call in ("passes(capsys, check.", "refuses(check."):
            if not re.search(rf"{re.escape(call)}{checker}\b", tests):
                yield f"{id_}: no test in test_check_* has {call}{checker}"
    for checker in checkers - {e.get("checker") for e in entries}:
        yield f"checker {checker}: no exercise of the ledger has it"
    homes = {(e["id"], e.get("page")) for e in entries}
    for page in there.values():
        for id_ in re.findall(r"\{label-line\} *(\S+)", page.text):
            if (id_, page.name) not in homes:
                yield f"{page.name}: the ledger has no {id_} on this page"


def checkers_of(root):
    """The names that the modules of zth.check offer, but for `Wrong`."""
    found = set()
    for path in (root / "zth/check").glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and (
                    ast.unparse(node.targets[0]) == "__all__"):
                found |= set(ast.literal_eval(node.value))
    return found - {"Wrong"}


def parts_missing(page, entry, on_page):
    """What an exercise's page lacks; on_page are all the page's entries."""
    if not re.search(rf"(?m)^```\{{label-line\}} {entry['id']}\s*$",
                     page.text):
        yield f"has no label-line {entry['id']}"
    title = re.search(r"(?m)^# (.+)$", page.text)[1]
    if len(on_page) == 1 and title != entry["title"]:
        yield f"is titled {title!r}, the ledger says {entry['title']!r}"
    starts = re.findall(
        r"(?m)^```\{exercise-start\} \S.*\n:label: (ex-\S+)$", page.text)
    if len(starts) < len(on_page):
        yield "has no exercise-start with a title and a label ex-…"
    if page.text.count("```{exercise-end}") < len(on_page):
        yield "has no exercise-end"
    for label in starts:
        if f"```{{solution-start}} {label}\n" not in page.text:
            yield f"has no solution-start for {label}"
    if page.text.count("```{solution-end}") < len(on_page):
        yield "has no solution-end"
    for body in re.findall(r"(?s)\{exercise-start\}(.*?)\{exercise-end\}",
                           page.text):
        if len(re.findall(r"\{admonition\} Hint\b", body)) < 2:
            yield "has an exercise with fewer than two hints"
    for tag in ("starter", "solution"):
        if len(page.code(tag)) < len(on_page):
            yield f"has no cell tagged {tag}"
    for place, cell in page.code("starter"):
        if "skip-execution" not in cell.metadata["tags"]:
            yield "has a starter that is not tagged skip-execution"
    calls = [node.func.attr for _, cell in page.code("check")
             for node in ast.walk(tree(cell)) if isinstance(node, ast.Call)
             and isinstance(node.func, ast.Attribute)
             and isinstance(node.func.value, ast.Name)
             and node.func.value.id == "check"]
    if entry["checker"] not in calls:
        yield f"has no cell tagged check that calls check.{entry['checker']}"


def names_of(cell):
    """(names that a cell binds, names that it needs from before)."""
    def needed(table):
        for inner in table.get_children():
            for symbol in inner.get_symbols():
                if symbol.is_global() and symbol.is_referenced():
                    yield symbol.get_name()
            yield from needed(inner)

    top = symtable.symtable(ast.unparse(tree(cell)), "cell", "exec")
    bound = {s.get_name() for s in top.get_symbols()
             if s.is_assigned() or s.is_imported()}
    read = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    return bound, (read | {*needed(top)}) - bound


def an_answer_is_enough(root):
    """After a check nothing is needed that only the solution defines."""
    for page in pages(root):
        known, own = set(), set()
        for place, cell in page.code():
            bound, read = names_of(cell)
            if "solution" in cell.metadata.get("tags", []):
                own |= bound - known
                continue
            for name in sorted(read & own):
                yield f"{place} needs {name}, which only the solution defines"
            known |= bound
            own -= bound


def the_test_split_is_read_once(root):
    """One cell for each exercise that asks for it, and nothing else in it."""
    entries = ledger.load(root)["exercises"]
    for page in pages(root):
        asked = sum(e.get("test_split", False) for e in entries
                    if e.get("page") == page.name)
        reading = []
        for place, cell in page.code():
            code = tree(cell)
            if "skip-execution" in cell.metadata.get("tags", []):
                continue
            if any(map(reads_test, ast.walk(code))):
                reading.append(place)
                if not all(any(map(reads_test, ast.walk(statement)))
                           for statement in code.body):
                    yield f"{place} reads the test split and does more"
        if len(reading) != asked:
            yield (f"{page.name}: {len(reading)} cells read the test split, "
                   f"its exercises ask for {asked}: {reading}")


def reads_test(node):
    """Whether a node is `x.test`, `test`, `test_x` or `x_test`, loaded."""
    name = {ast.Attribute: "attr", ast.Name: "id"}.get(type(node))
    if not name or not isinstance(node.ctx, ast.Load):
        return False
    name = getattr(node, name)
    if isinstance(node, ast.Attribute):
        return name == "test"
    return name == "test" or name.startswith("test_") or name.endswith("_test")


def cells_are_short(root):
    """At most 25 lines of 79 columns; a whole class may run longer."""
    for page in pages(root):
        for place, cell in page.code():
            lines = cell.source.strip("\n").split("\n")
            yield from (f"{place} has a line of {len(line)}: {line}"
                        for line in lines if len(line) > 79)
            classes = all(isinstance(node, ast.ClassDef)
                          for node in tree(cell).body)
            if len(lines) > 25 and not classes:
                yield f"{place} has {len(lines)} lines: {lines[0]}"


def blank_line_before_math(root):
    """A display that stands right under text may not be read as math."""
    for page in pages(root):
        before, inside, fenced = "", False, False
        for number, line in enumerate(page.text.split("\n"), 1):
            fenced ^= line.startswith("```")
            if line.lstrip().startswith("$$") and not fenced:
                if not inside and before.strip():
                    yield f"{page.name}: line {number}: no blank line above $$"
                inside ^= line.count("$$") % 2 == 1
            before = line


def figures_have_alternative_text(root):
    """A cell that draws says in a sentence what its figure shows."""
    for page in pages(root):
        for place, cell in page.code():
            if not any(map(draws, ast.walk(tree(cell)))):
                continue
            options = cell.metadata.get("mystnb", {})
            alt = str(options.get("image", {}).get("alt", ""))
            if len(alt.split()) < 5 or not alt.endswith("."):
                yield f"{place} draws without a sentence of alternative text"
            if not options.get("figure", {}).get("caption"):
                yield f"{place} draws without a caption"


def draws(node):
    return (isinstance(node, ast.Attribute)
            and node.attr in ("subplots", "figure", "subplot_mosaic")
            and isinstance(node.value, ast.Name) and node.value.id == "plt")


def readme_has_the_ledgers_table(root):
    if (root / "README.md").is_file():
        text = (root / "README.md").read_text("utf-8")
        if text != ledger.with_table(text, ledger.load(root)):
            yield "README.md: its table of results is not the ledger's"


def toc_and_folder_agree(root):
    listed = toc(root)
    found = {path.relative_to(root).as_posix()
             for path in (root / "book").rglob("*.md")}
    yield from (f"{name}: listed, but not there"
                for name in listed if not (root / name).is_file())
    yield from (f"{name}: in no table of contents"
                for name in sorted(found - set(listed)))
    yield from (f"{name}: listed twice"
                for name in sorted({n for n in listed if listed.count(n) > 1}))


def prose_is_plain(root):
    """No filler, no exclamation marks."""
    for page in pages(root):
        for number, line in enumerate(prose(page.text).split("\n"), 1):
            if found := re.search(rf"(?i)\b({FILLER})\b", line):
                yield f"{page.name}: line {number}: {found[0]!r}: {line}"
            if re.search(r"""!(?=[\s"”’)*_]|$)""", line):
                yield f"{page.name}: line {number}: exclamation mark: {line}"


def prose(text):
    """The text of a page, blank where there is code or math."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    for pattern in (r"(?s)\A---\n.*?\n---\n", r"(?ms)^(```+).*?^\1 *$",
                    r"(?s)\$\$.*?\$\$", r"\$[^$\n]+\$", r"`[^`\n]+`"):
        text = re.sub(pattern, blank, text)
    return text


RULES = [
    quotes_equal_the_package, only_what_was_taught, exercises_are_whole,
    an_answer_is_enough, the_test_split_is_read_once, cells_are_short, blank_line_before_math,
    figures_have_alternative_text, readme_has_the_ledgers_table,
    toc_and_folder_agree, prose_is_plain,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_book_keeps(rule):
    faults = list(rule(ROOT))
    assert not faults, "\n" + "\n".join(faults)


def test_a_page_that_only_teaches_names_its_lecture():
    taught = [page for page in pages(ROOT) if page.name.count("/") == 2
              and "{label-line}" not in page.text]
    assert len(taught) >= 7
    assert [page.name for page in taught if not re.search(
        r"(?m)^\*Lecture \d · \d+ minutes of reading · \[the video\]\(https",
        page.text)] == []


# A small book, and each rule broken in it -------------------------------

LECTURES = """\
lectures:
  - {number: 2, title: Bigrams, video: abc}
exercises:
"""
ENTRY = """\
  - id: L2-E01
    lecture: 2
    title: Count pairs
    page: book/pairs.md
    checker: pairs
    difficulty: 1
    minutes: 10
    video: 60
    test_split: true
    result: {what: nats, lecture: "2.5", ours: "2.45", glue: loss}
"""
HEAD = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3}
---

"""
TEACHES = HEAD + """\
# Counting

The count $n!$ grows.

$$
a = b
$$ (eq:a)

```{code-cell} python
# zth/ngram.py
def count(names):
    # a comment of the page's own
    return len(names)
```

```{code-cell} python
:mystnb:
:  figure:
:    caption: A line.
:  image:
:    alt: A line that rises from left to right.
import matplotlib.pyplot as plt
fig, ax = plt.subplots()
```
"""
SOLVES = HEAD + """\
# Count pairs

```{label-line} L2-E01
```

```{code-cell} python
from zth.check import bigrams as check
from zth.data import split
from zth.ngram import count
```

```{exercise-start} Count the pairs
:label: ex-pairs
```
Count.

:::{admonition} Hint 1
Look.
:::

:::{admonition} Hint 2
Look again.
:::
```{exercise-end}
```

```{code-cell} python
:tags: [starter, skip-execution]
def pairs(names):
    raise NotImplementedError
```

```{solution-start} ex-pairs
:class: dropdown
```
```{code-cell} python
:tags: [solution]
def pairs(names):
    return count(names) - 1
```
```{solution-end}
```

```{code-cell} python
:tags: [check]
check.pairs(pairs)
```

```{code-cell} python
print(pairs(splits.test))
```
"""
BOOK = {
    "_toc.yml": "format: jb-book\nroot: book/index\n"
                "parts:\n  - chapters:\n    - file: book/pairs\n",
    "book/index.md": TEACHES,
    "book/pairs.md": SOLVES,
    "book/exercises.yml": LECTURES + ENTRY,
    "zth/ngram.py": 'def count(names):\n    """How many."""\n'
                    "    return len(names)\n",
    "zth/check/bigrams.py": '__all__ = ["Wrong", "pairs"]\n',
    "tests/test_check_pairs.py": "passes(capsys, check.pairs, x)\n"
                                 "refuses(check.pairs, x)\n",
    "README.md": "Book\n\n<!-- results -->\n"
                 "| lecture | exercise | the lecture's number | ours |\n"
                 "|---|---|---|---|\n"
                 "| 2 Bigrams | [Count pairs](book/pairs.md): nats | 2.5 "
                 "| 2.45 |\n<!-- /results -->\n",
}


@pytest.fixture
def small(tmp_path):
    for name, text in BOOK.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def broken(root, name, old, new):
    """Replace old by new in a file of the small book."""
    text = (root / name).read_text("utf-8")
    assert old in text, (name, old)
    (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_small_book_keeps(rule, small):
    assert list(rule(small)) == []


INDEX, PAIRS, LEDGER = "book/index.md", "book/pairs.md", "book/exercises.yml"
CHECK, TESTS = "zth/check/bigrams.py", "tests/test_check_pairs.py"
LONG = "x = 1\n" * 26
PLANTED = [
    # rule, file, old text, new text, what the fault says
    (quotes_equal_the_package, INDEX, "len(names)", "len(names) + 1",
     "book/index.md: code cell 1: count is not what zth/ngram.py has"),
    (quotes_equal_the_package, INDEX, "def count(names)", "def count(words)",
     "count is not what"),
    (quotes_equal_the_package, "zth/ngram.py", "len(names)", "sum(names)",
     "count is not what"),
    (quotes_equal_the_package, INDEX, "def count", "def tally",
     "zth/ngram.py has no tally"),
    (quotes_equal_the_package, INDEX, "zth/ngram.py", "zth/gone.py",
     "zth/gone.py, which is not there"),
    (only_what_was_taught, INDEX, "# zth/ngram.py", "# a draft",
     "book/pairs.md: code cell 1 uses count of zth.ngram"),
    (only_what_was_taught, PAIRS, "import count", "import count, NGram",
     "uses NGram of zth.ngram"),
    (only_what_was_taught, PAIRS, "from zth.check import bigrams as check",
     "from zth import check, ngram", "imports zth.ngram whole"),
    (only_what_was_taught, PAIRS, "from zth.check import bigrams as check",
     "import zth.ngram as n", "imports zth.ngram whole"),
    (only_what_was_taught, PAIRS, "import count",
     "import tally\n```\n\n```{code-cell} python\n# zth/ngram.py\n"
     "def tally():\n    pass", "book/pairs.md: code cell 1 uses tally"),
    (exercises_are_whole, PAIRS, "# Count pairs", "# Pairs",
     "is titled 'Pairs', the ledger says 'Count pairs'"),
    (exercises_are_whole, PAIRS, "```{label-line} L2-E01", "```{note}",
     "L2-E01: book/pairs.md has no label-line"),
    (exercises_are_whole, PAIRS, "L2-E01", "L2-E09", "has no L2-E09"),
    (exercises_are_whole, PAIRS, ":label: ex-pairs", ":class: x",
     "has no exercise-start"),
    (exercises_are_whole, PAIRS, "```{exercise-end}", "```{note}",
     "has no exercise-end"),
    (exercises_are_whole, PAIRS, "} Hint 2", "} Note",
     "fewer than two hints"),
    (exercises_are_whole, PAIRS, "[starter, skip-execution]", "[x]",
     "has no cell tagged starter"),
    (exercises_are_whole, PAIRS, ", skip-execution", "",
     "not tagged skip-execution"),
    (exercises_are_whole, PAIRS, "{solution-start} ex-pairs",
     "{solution-start} ex-other", "has no solution-start for ex-pairs"),
    (exercises_are_whole, PAIRS, "```{solution-end}", "```{note}",
     "has no solution-end"),
    (exercises_are_whole, PAIRS, "[solution]", "[x]",
     "has no cell tagged solution"),
    (exercises_are_whole, PAIRS, "[check]", "[x]",
     "has no cell tagged check that calls check.pairs"),
    (an_answer_is_enough, PAIRS, "    return count(names) - 1",
     "    return 1\n\n\nsplits = 2", "cell 5 needs splits, which only"),
    (an_answer_is_enough, PAIRS, "    return count(names) - 1",
     "    return k\n\n\nk = 3\n```\n\n```{code-cell} python\n"
     "def f(x):\n    return [k for _ in x]", "cell 4 needs k, which only"),
    (exercises_are_whole, PAIRS, "check.pairs(pairs)", "check.other(pairs)",
     "that calls check.pairs"),
    (exercises_are_whole, CHECK, ', "pairs"', "",
     "L2-E01: zth.check has no checker pairs"),
    (exercises_are_whole, CHECK, ', "pairs"', ', "pairs", "more"',
     "checker more: no exercise"),
    (exercises_are_whole, TESTS, "passes(capsys, check.pairs, x)", "",
     "L2-E01: no test in test_check_* has passes(capsys, check.pairs"),
    (exercises_are_whole, TESTS, "refuses(check.pairs, x)", "",
     "no test in test_check_* has refuses(check.pairs"),
    (exercises_are_whole, LEDGER, ENTRY, "  []\n", "checker pairs: no"),
    (exercises_are_whole, "_toc.yml", "- file: book/pairs",
     "- file: book/index",
     "L2-E01: its page book/pairs.md is missing"),
    (the_test_split_is_read_once, PAIRS, "print(pairs(splits.test))", "",
     "book/pairs.md: 0 cells read the test split, its exercises ask for 1"),
    (the_test_split_is_read_once, INDEX, "fig, ax", "print(test_loss)\nfig",
     "book/index.md: 1 cells read the test split"),
    (the_test_split_is_read_once, PAIRS, "print(pairs(splits.test))",
     "print(pairs(splits.test))\n```\n\n```{code-cell} python\nx_test + 1",
     "2 cells read the test split"),
    (the_test_split_is_read_once, PAIRS, "print(pairs(splits.test))",
     "best = choose()\nprint(pairs(splits.test))", "and does more"),
    (the_test_split_is_read_once, LEDGER, "    test_split: true\n", "",
     "its exercises ask for 0"),
    (cells_are_short, INDEX, "fig, ax", f"{LONG}fig, ax", "has 28 lines"),
    (cells_are_short, INDEX, "fig, ax", f"y = {'1' * 76}\nfig, ax",
     "book/index.md: code cell 2 has a line of 80"),
    (blank_line_before_math, INDEX, "grows.\n\n$$", "grows.\n$$",
     "book/index.md: line 10: no blank line above $$"),
    (figures_have_alternative_text, INDEX, "    alt: A line that rises from "
     "left to right.", "    alt: a line", "book/index.md: code cell 2 draws"),
    (figures_have_alternative_text, INDEX, "    caption: A line.",
     "    name: fig-x", "draws without a caption"),
    (readme_has_the_ledgers_table, LEDGER, '"2.45"', '"2.46"', "README.md"),
    (readme_has_the_ledgers_table, LEDGER, "glue: loss",
     "glue: loss, recorded: true", "README.md"),
    (readme_has_the_ledgers_table, "README.md", "| 2.45 |", "| 2.44 |",
     "README.md"),
    (toc_and_folder_agree, "_toc.yml", "book/pairs", "book/trios",
     "book/trios.md: listed, but not there"),
    (toc_and_folder_agree, "_toc.yml", "- file: book/pairs",
     "- file: book/index",
     "book/pairs.md: in no table of contents"),
    (prose_is_plain, INDEX, "The count", "Obviously the count",
     "book/index.md: line 9: 'Obviously'"),
    (prose_is_plain, INDEX, "grows.", "grows, of course.", "'of course'"),
    (prose_is_plain, INDEX, "grows.", "grows!", "exclamation mark"),
]


@pytest.mark.parametrize(
    "rule, name, old, new, fault", PLANTED,
    ids=[f"{p[0].__name__}-{i}" for i, p in enumerate(PLANTED)])
def test_a_planted_fault_is_named(small, rule, name, old, new, fault):
    broken(small, name, old, new)
    faults = list(rule(small))
    assert any(fault in found for found in faults), faults


def test_a_long_class_is_allowed(small):
    methods = "".join(f"\n    def f{i}(self):\n        pass\n"
                      for i in range(10))
    broken(small, INDEX, "import matplotlib",
           f"class Long:{methods}```\n\n```{{code-cell}} python\n"
           "import matplotlib")
    assert list(cells_are_short(small)) == []


@pytest.mark.parametrize("part", ["page", "checker"])
def test_page_and_checker_come_together(small, part):
    line = {"page": "    page: book/pairs.md\n",
            "checker": "    checker: pairs\n"}[part]
    broken(small, LEDGER, line, "")
    with pytest.raises(ValueError, match="L2-E01: page: page and checker"):
        ledger.load(small)


# Lecture 1 does without torch -------------------------------------------


def needs_torch(code):
    """The modules of zth, or the page, that import torch for this code."""
    def imports_it(text):
        return any(name.split(".")[0] == "torch"
                   for node in ast.parse(text).body
                   if isinstance(node, (ast.Import, ast.ImportFrom))
                   for name in [getattr(node, "module", None)
                                or node.names[0].name])

    found = ["the page"] if imports_it(code) else []
    return found + [path.name for path in record.sources(code)
                    if imports_it(path.read_text("utf-8"))]


def test_a_lecture_1_page_needs_no_torch_before_it_compares():
    mine = [page for page in pages(ROOT) if "01-micrograd" in page.name]
    assert len(mine) == 5
    for page in mine:
        cells = [cell.source for _, cell in page.code()]
        after = next((i for i, source in enumerate(cells)
                      if needs_torch(re.sub("(?m)^[%!].*", "", source))
                      == ["the page"]), len(cells))
        assert after > 3, page.name
        for source in cells[:after]:
            assert needs_torch(source) == [], page.name


@pytest.mark.parametrize("code, found", [
    ("import torch", ["the page"]),
    ("from torch import nn", ["the page"]),
    ("from zth.ngram import NGram", ["ngram.py"]),
    ("from zth.check import bigrams as check", ["bigrams.py"]),
    ("from zth.check import micrograd as check\nfrom zth import plot", []),
])
def test_what_needs_torch_is_named(code, found):
    assert set(found) <= set(needs_torch(code))
    assert bool(found) == bool(needs_torch(code))


# The ledger -------------------------------------------------------------


@pytest.mark.parametrize("old, new, fault", [
    ("    title: Count pairs\n", "", "L2-E01: title: missing"),
    ("difficulty: 1", "difficulty: 5", "L2-E01: difficulty: 5 must be 1 to 4"),
    ("difficulty: 1", "difficulty: hard", "difficulty: 'hard' must be int"),
    ("minutes: 10", "minutes: 0", "L2-E01: minutes: 0 must be at least 1"),
    ("video: 60", "video: -1", "L2-E01: video: -1"),
    ("lecture: 2\n", "lecture: 3\n", "L2-E01: id: must be like"),
    ("test_split", "test_splt", "L2-E01: test_splt: no such field"),
    ('ours: "2.45", ', "", "L2-E01: result: ours: missing"),
    ('ours: "2.45"', "ours: 2.45", "result: ours: 2.45 must be str"),
    ('ours: "2.45"', 'ours: "lower"', "'lower' has no number"),
    ("glue: loss", "glue: loss, recorded: 1", "recorded: 1 must be bool"),
    (ENTRY, ENTRY + ENTRY, "L2-E01: id: occurs twice"),
    ("title: Bigrams, ", "", "lecture 2: title: missing"),
    ("exercises:", "exercise:", "the two lists"),
])
def test_a_broken_ledger_is_refused(small, old, new, fault):
    broken(small, LEDGER, old, new)
    with pytest.raises(ValueError) as error:
        ledger.load(small)
    assert fault in str(error.value)


def test_every_exercise_of_the_lectures_is_listed():
    book = ledger.load(ROOT)
    assert [row["number"] for row in book["lectures"]] == list(range(1, 8))
    ids = {entry["id"] for entry in book["exercises"]}
    wanted = ["L1-S1a", "L1-S1b", "L1-S1c", "L1-S2", "L1-S2b"]
    wanted += [f"L2-E0{i}" for i in (1, 2, 3, 4, 5, "6a", "6b")]
    wanted += ["L3-E01", "L3-E02", "L3-E03", "L4-E01", "L4-E02"]
    wanted += [f"L5-EX{i}" for i in (1, 2, 3, 4)] + ["L6-S1", "L6-S2"]
    wanted += [f"L7-EX{i}" for i in (1, 2, 3, 4)]
    assert set(wanted) <= ids


def cached(root, glued):
    """The small book's page, executed in a cache, with something glued."""
    import nbformat
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn
    from myst_nb.core.read import myst_nb_reader_plugin

    nb = myst_nb_reader_plugin(str(root / PAIRS))
    prefix = "application/papermill.record/"
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
    nb.cells[-1].outputs = [nbformat.v4.new_output(
        "display_data", data={f"{prefix}text/plain": text},
        metadata={"scrapbook": {"name": key, "mime_prefix": prefix}})
        for key, text in glued.items()]
    path = root / "_build" / ".jupyter_cache"
    get_cache(path).cache_notebook_bundle(
        CacheBundleIn(nb, str(root / PAIRS)), check_validity=False)
    return path


@pytest.mark.parametrize("glued, fault", [
    ({"loss": "2.4512"}, None),
    ({"loss": "'2.4488'"}, None),
    ({"loss": "2.4566"}, "L2-E01 says 2.45 in the ledger, the page glues "
                         "loss = 2.46"),
    ({"other": "2.45"}, "is not glued as 'loss'"),
    ({"loss": "'needs names.txt'"}, "is not glued as 'loss'"),
    (None, "book/pairs.md: has not been executed"),
])
@pytest.mark.parametrize("is_lecture", [True, False])
def test_a_pages_number_is_the_ledgers(small, monkeypatch, glued, fault,
                                       is_lecture):
    from zth import data

    source = data.Source("names.txt", Path("names.txt"), "", is_lecture)
    monkeypatch.setattr(data, "source", lambda name="names.txt": source)
    cache = small / "_build" / ".jupyter_cache"
    if glued is not None:
        cache = cached(small, glued)
    faults = ledger.check_results(small, cache)
    if fault is None or not is_lecture:
        assert faults == []
    else:
        (found,) = faults
        assert found.startswith("book/pairs.md: ") and fault in found


def test_the_command_fills_and_checks_the_table(small, monkeypatch, capsys):
    monkeypatch.setattr(ledger, "ROOT", small)
    monkeypatch.setattr(ledger, "load", lambda root=small: LOAD(root))
    monkeypatch.setattr("sys.argv", ["ledger", "--check"])
    ledger.main()
    broken(small, "README.md", "| 2.45 |", "| 2.44 |")
    with pytest.raises(SystemExit, match="make readme"):
        ledger.main()
    monkeypatch.setattr("sys.argv", ["ledger", "--write"])
    ledger.main()
    assert (small / "README.md").read_text("utf-8") == BOOK["README.md"]


LOAD = ledger.load

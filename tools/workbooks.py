"""Two notebooks from each page: a workbook, and the page solved.

The workbook leaves the solution out and lets the starter run, so that it
stops at its first check until the reader has done the work. Both are plain
notebooks: what only the book's directives would show is written out in
Markdown, references are resolved as on the site, and the first cell installs
`zth` where it is missing.

    python -m tools.workbooks    copy new workbooks to where a reader works
"""

import filecmp
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from myst_nb.core.variables import format_plain_text
from nbformat.v4 import new_notebook

from tools import address, execute, ledger, results
from zth import data

FOLDER = "workbooks"  # under the site, and the reader's own under the root

SETUP = '''\
# @title Set up: install the book's package where it is missing
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace


def glue(name, value, display=True):
    """In the book it puts a number into the text; here it prints it."""
    print(name, "=", f"{{value:.4f}}" if isinstance(value, float) else value)


sys.modules["myst_nb"] = SimpleNamespace(glue=glue)
if find_spec("zth") is None:
    here = Path.cwd()
    wheels = [*here.glob("zth-*.whl"), *here.parent.glob("zth-*.whl")]
{choose}
    %pip install --quiet "{{wanted}}"
'''
FROM_REPOSITORY = '''\
    wanted = wheels[0] if wheels else (
        "zth @ git+{}")'''
FROM_WHEEL = '''\
    if not wheels:
        raise FileNotFoundError(
            "zth is not installed: put zth-*.whl beside this notebook; the "
            "book's page 'How to use this book' links it")
    wanted = wheels[0]'''

TODO = """\
> **Workbook.** Run the cells from the top, the folded ones too. Write your \
answer over the `raise NotImplementedError` of the starter cell; the check \
under it accepts a right answer however it is written, and names the mistake \
where it knows it. Until then the check stops a run of all cells. The \
solution is in `{solved}`."""
READ = """\
> **Notebook.** This page has no exercise: run its cells, and change them."""
DONE = """\
> **Solved.** The page with its solution, and with what its cells showed when \
the book ran it. Without the solution it is `{workbook}`."""
NUMBERS = """ \
Numbers in the text are of the book's run, on {data}; equations, figures and \
works keep the numbers that they have in the book."""

BREAK = "\f"  # between two cells of text
GUESS = "*Your prediction (edit this cell):*"
FOLDED = {"cellView": "form",  # for Colab
          "jupyter": {"source_hidden": True}}
INLINE = re.compile(
    r"\{(?P<role>[\w:-]+)\}`(?P<content>[^`]+)`"
    r"|(?P<code>`+)(?!`).+?(?<!`)(?P=code)(?!`)"
    r"|\$[^$]+\$"
    r"|\[(?P<text>[^][]*)\]\((?P<target>[^()\s]+)\)", re.DOTALL)
FENCE = re.compile(r"(`{3,}|:{3,})\{([\w:-]+)\}[ \t]*(.*)")
LEFT = re.compile(r"^\s*(?:`{3,}|:{3,})\{[\w:-]+\}.*|\{[\w:-]+\}`[^`]*`", re.M)


# Markdown ------------------------------------------------------------------

class Writer:
    """Writes a page's MyST as Markdown that any notebook renders.

    `book` resolves what the page refers to (`bookext.Book`). Without
    `solutions`, text between the marks of a solution is dropped. ValueError
    names what there is no rule for.
    """

    def __init__(self, page, book, solutions):
        self.page, self.book, self.solutions = page, book, solutions
        self.hidden = False  # inside a solution that is left out
        self.cited = {}  # number: the work, in the order of citation

    def text(self, source):
        """The Markdown of one cell's source."""
        written = self.join(source.splitlines())
        if left := LEFT.search(written):
            raise ValueError(
                f"{self.page}: no rule writes this into a notebook: {left[0]}")
        return written

    def join(self, lines):
        """The Markdown of the lines, its blocks apart."""
        blocks = (block.strip("\n") for block in self.blocks(lines))
        return "\n\n".join(block for block in blocks if block)

    def blocks(self, lines):
        """The Markdown of the lines, a string for each block."""
        lines, plain = iter(lines), []
        for line in lines:
            directive = FENCE.match(line)
            code = re.match(r"`{3,}", line)
            math = line.startswith("$$")
            if directive or code or math:
                yield self.inline("\n".join(plain))
                plain = []
            if directive:
                mark, name, argument = directive.groups()
                body = list(until(lines, rf"{mark}{mark[0]}*\s*"))
                yield self.directive(name, argument.strip(), body)
            elif self.hidden:
                continue
            elif code:
                yield "\n".join(
                    [line, *until(lines, rf"{code[0]}`*\s*"), code[0]])
            elif math:
                yield self.math(line, lines)
            elif not re.fullmatch(r"\([\w:.-]+\)=\s*|%( .*)?", line):
                plain.append(line)
        yield self.inline("\n".join(plain))

    def directive(self, name, argument, body):
        """The Markdown of a directive."""
        if name == "solution-start":
            self.hidden = not self.solutions
            return "**Solution**" * self.solutions
        if name == "solution-end":
            self.hidden = False
            return ""
        if self.hidden or name == "exercise-end":
            return ""
        if name == "exercise-start":
            return f"**Exercise: {self.inline(argument)}**"
        if name == "label-line":
            return self.book.label_line(argument, self.page)
        if name == "lectures":
            return self.inline("\n".join(self.book.lectures()))
        if name != "admonition":
            raise ValueError(f"{self.page}: no rule writes the directive "
                             f"{{{name}}} into a notebook")
        options = [line for line in body if re.match(r":[\w-]+:", line)]
        text = self.join(body[len(options):])
        if any("dropdown" in option for option in options):
            title = f"<summary>{self.inline(argument)}</summary>"
            return f"<details>{title}\n\n{text}\n\n</details>"
        quoted = f"**{self.inline(argument)}**\n\n{text}".splitlines()
        quoted = "\n".join(f"> {line}".rstrip() for line in quoted)
        if argument == "Predict" and not self.solutions:
            return f"{quoted}\n\n{BREAK}\n\n{GUESS}\n\n{BREAK}"
        return quoted

    def math(self, line, lines):
        """A displayed equation, with the number that the site gives it."""
        body = [line[2:]]
        while "$$" not in body[-1]:
            body.append(next(lines))
        last, _, label = body.pop().partition("$$")
        body.append(last)
        if label := label.strip().strip("()"):
            body.append(rf"\tag{{{self.book.number('eq', label)[1]}}}")
        return "\n".join(["$$", *filter(str.strip, body), "$$"])

    def inline(self, text):
        """The text with its roles and links written out."""
        return "" if self.hidden else INLINE.sub(self.resolve, text)

    def resolve(self, found):
        """What stands for one role or link; code and math stay."""
        role, content = found["role"], found["content"]
        if found["target"]:
            return self.book.link(found["text"], found["target"], self.page)
        if role == "glue:text":
            return self.book.value(content, self.page)
        if role in ("eq", "numref"):
            return self.book.numbered(role, content, self.page)
        if role == "cite":
            number, work = self.book.citation(content)
            self.cited[number] = work
            return f"[{number}]"
        return found[0]


def until(lines, end):
    """The lines before the one that matches the end, which is taken, too."""
    for line in lines:
        if re.fullmatch(end, line):
            return
        yield line


# Notebooks -----------------------------------------------------------------

def workbook(page, book):
    """The page (`execute.Page`) without its solution, the work to do."""
    writer, cells = Writer(page.name, book, solutions=False), []
    todo = READ
    for cell in page.notebook.cells:
        if cell.cell_type == "markdown":
            cells += [(text.strip("\n"), None)
                      for text in writer.text(cell.source).split(BREAK)]
        elif writer.hidden and "solution" not in tags(cell):
            raise ValueError(f"{page.name}: a cell of the solution lacks the "
                             f"tag solution: {cell.source.splitlines()[0]}")
        elif "solution" not in tags(cell):
            cells += code(writer, cell, tags(cell) - {"skip-execution"})
        if "check" in tags(cell):
            todo = TODO
    return assemble(cells, writer, book, todo)


def solved(page, book, executed):
    """The page with its solution, and the outputs of its executed cells."""
    writer, cells = Writer(page.name, book, solutions=True), []
    done = (cell for cell in executed.cells if cell.cell_type == "code")
    for cell in page.notebook.cells:
        if cell.cell_type == "markdown":
            cells.append((writer.text(cell.source), None))
        else:
            cells += code(writer, cell, tags(cell), next(done))
    return assemble(cells, writer, book, DONE)


def tags(cell):
    """The cell's tags."""
    return {*cell.metadata.get("tags", ())}


def code(writer, cell, its_tags, done=None):
    """A code cell, with the outputs of the one that was executed, if any.

    Its figure's caption follows as a cell of text.
    """
    metadata = {"tags": sorted(its_tags)} if its_tags else {}
    if "hide-input" in its_tags:
        metadata |= FOLDED
    its_own = new_cell("code", metadata)
    if done:
        its_own.execution_count = done.execution_count
        its_own.outputs = [  # but not what went into the book's text
            output for output in done.outputs
            if "scrapbook" not in output.get("metadata", {})]
    yield cell.source, its_own
    figure = cell.metadata.get("mystnb", {}).get("figure")
    if figure:
        _, number = writer.book.number("numref", figure["name"])
        yield f"*Fig. {number}.* {writer.inline(figure['caption'])}", None


def new_cell(kind, metadata=None):
    """An empty cell; nbformat's own would be held against the schema twice."""
    ran = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return nbformat.from_dict(
        {"cell_type": kind, "metadata": metadata or {}, **ran})


def assemble(cells, writer, book, note):
    """The notebook of (source, code cell or None): set-up, note, the rest."""
    if writer.cited:
        cells.append(("## References\n\n" + "\n\n".join(
            f"[{number}] {writer.cited[number]}"
            for number in sorted(writer.cited)), None))
    title, rest = cells[0][0].partition("\n")[::2]
    name = posixpath.basename(writer.page).removesuffix(".md")
    note = note.format(workbook=f"{name}.ipynb", solved=f"{name}-solved.ipynb")
    note += book.notice(writer.page)
    cells[0] = f"{title}\n\n{note}\n\n{rest.lstrip()}", None
    cells.insert(0, (book.setup, new_cell("code", FOLDED)))
    notebook = new_notebook(metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3",
                       "language": "python"},
        "language_info": {"name": "python"}})
    for i, (source, cell) in enumerate(cells):
        if source:
            cell = cell or new_cell("markdown")
            cell.update(source=source, id=f"cell-{i}")
            notebook.cells.append(cell)
    nbformat.validate(notebook)
    return notebook


def setup(repository, commit):
    """The source of a notebook's first cell, which gets the package."""
    choose = FROM_WHEEL
    if repository:
        choose = FROM_REPOSITORY.format(
            f"{repository}@{commit}" if commit else repository)
    return SETUP.format(choose=choose).rstrip()


# What pages refer to -------------------------------------------------------

class Book:
    """Resolves what pages refer to, as the site does.

    From Sphinx's environment, and from `executed`: a page's name in Sphinx
    to its notebook with outputs.
    """

    def __init__(self, env, executed):
        self.env, self.root = env, Path(env.srcdir)
        self.repository = address.repository_url(self.root)
        self.site = self.repository and address.site_url(self.repository)
        self.setup = setup(self.repository, address.head(self.root))
        self.values = {name: ledger.glued(notebook)
                       for name, notebook in executed.items()}

    def number(self, role, label):
        """(page, number) of what `eq` or `numref` refers to."""
        domains = self.env.domaindata
        try:
            if role == "eq":
                docname, _ = domains["math"]["objects"][label]
                numbers = self.env.toc_fignumbers[docname]["displaymath"]
                number = numbers[nodes.make_id(f"equation-{label}")]
            else:
                docname, _ = domains["std"]["anonlabels"][label]
                numbers = self.env.toc_fignumbers[docname]["figure"]
                number = numbers[nodes.make_id(label)]
        except KeyError:
            raise ValueError(f"{label}: no such label for {role}") from None
        return docname, ".".join(map(str, number))

    def numbered(self, role, label, page):
        """An equation or figure by its number, and its page if another."""
        docname, number = self.number(role, label)
        name = f"({number})" if role == "eq" else f"Fig. {number}"
        if docname == page.removesuffix(".md"):
            return name
        what = "equation " * (role == "eq")
        return f"{what}{name} of {self.link('', f'/{docname}.md', page)}"

    def link(self, text, target, page):
        """A link, by its address or, to the book's own pages, by title."""
        if urlsplit(target).scheme:
            return f"[{text}]({target})"
        file, _, place = target.partition("#")
        docname = posixpath.normpath(
            posixpath.join("/", posixpath.dirname(page), file))[1:]
        docname = docname.removesuffix(".md")
        labels = self.env.domaindata["std"]["labels"]
        if target in labels or (not file and place in labels):
            docname, place, title = labels[place or target]
        elif docname in self.env.titles:
            title = self.env.titles[docname].astext()
        else:
            raise ValueError(f"{page}: no page or label {target!r}")
        if not self.site:  # so there is nothing to link to
            own = docname in self.values and not place
            file = f" (`{posixpath.basename(docname)}.ipynb`)" * own
            return text or f"*{title}*{file}"
        return (f"[{text or title}]({self.site}{docname}.html"
                f"{f'#{place}' * bool(place)})")

    def value(self, content, page):
        """What a page glued: `key:format`, or `page.md::key:format`."""
        place, _, rest = content.rpartition("::")
        key, _, form = rest.partition(":")
        docname = posixpath.normpath(posixpath.join(
            posixpath.dirname(page), place)) if place else page
        try:
            text = self.values[docname.removesuffix(".md")][key]
        except KeyError:
            raise ValueError(f"{page}: {content} was not glued") from None
        return format_plain_text(text, form or "s")

    def citation(self, key):
        """(number, Markdown) of a work in the bibliography."""
        for found in self.env.domaindata["cite"]["citations"]:
            if found.key == key:
                entry = found.formatted_entry
                work = entry.text.render_as("markdown").replace("\\", "")
                return entry.label, " ".join(work.split())
        raise ValueError(f"{key}: not in the bibliography")

    def label_line(self, wanted, page):
        """The line under an exercise's title."""
        *facts, (text, url) = ledger.facts(
            *ledger.exercise(wanted, self.root),
            ledger.page_seconds(page.removesuffix(".md"), self.root))
        return f"*{' · '.join(facts)} · [{text}]({url})*"

    def lectures(self):
        """The lines of the list of all lectures and their exercises."""
        return results.lectures(self.root)

    def notice(self, page):
        """What a notebook's first lines say besides what it is."""
        source = data.source()
        said = NUMBERS.format(data="the lecture's names" if source.is_lecture
                              else f"{source.name}, not the lecture's names")
        if self.site:
            url = f"{self.site}{page.removesuffix('.md')}.html"
            said += f" [This page in the book]({url})."
        return said


# Files ---------------------------------------------------------------------

def path(docname, kind=""):
    """Where a page's notebook lies, from the site's root."""
    return f"{FOLDER}/{docname.removeprefix('book/')}{kind}.ipynb"


def write(env, pages, site):
    """Write both notebooks of each page, and the wheel, under the site.

    pages: {name in Sphinx: `execute.Page`}, each in the execution cache.
    """
    root = Path(env.srcdir)
    cache = get_cache(root / execute.CACHE)
    executed = {name: cache.get_cache_bundle(
        cache.match_cache_notebook(page.notebook).pk).nb
        for name, page in pages.items()}
    book = Book(env, executed)
    for name, page in pages.items():
        (site / path(name)).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(workbook(page, book), site / path(name))
        nbformat.write(solved(page, book, executed[name]),
                       site / path(name, "-solved"))
    if pages:
        wheel(root, site / FOLDER)


def wheel(root, folder):
    """Build the package's wheel into a folder; nothing else is touched."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("zth", "data"):
            shutil.copytree(root / name, Path(copy, name), ignore=(
                shutil.ignore_patterns("__pycache__", "*.partial.json")))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            if (root / name).exists():
                shutil.copy(root / name, copy)
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from setuptools.build_meta "
             "import build_wheel; build_wheel(sys.argv[1])", str(folder)],
            cwd=copy, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"the wheel cannot be built: {done.stderr}")


def hand_out(site, own):
    """Copy the workbooks that are new to a reader's own folder.

    Returns how many were copied, and the names of those that were kept
    although the book's differ: a reader's work is never written over.
    """
    copied, kept = 0, []
    for source in sorted((site / FOLDER).rglob("*.*")):
        target = own / source.relative_to(site / FOLDER)
        if source.stem.endswith("-solved"):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".whl" or not target.exists():
            temporary = target.with_name(target.name + ".tmp")
            shutil.copy(source, temporary)
            os.replace(temporary, target)
            copied += source.suffix == ".ipynb"
        elif not filecmp.cmp(source, target, shallow=False):
            kept.append(source.relative_to(site / FOLDER).as_posix())
    return copied, kept


def main():
    """Hand out the workbooks that `make workbooks` has just made."""
    copied, kept = hand_out(Path("_build", "html"), Path(FOLDER))
    print(f"New in {FOLDER}/: {copied} of the book's workbooks.")
    if kept:
        print("Left as they are, because they differ from the book's:",
              *kept, sep="\n  ")


if __name__ == "__main__":
    main()

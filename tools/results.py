"""The lists that are drawn from the ledger and the records.

`{lectures}`: every lecture and its exercises, the written ones with links.
`{results}`: what came out, beside the lecture's number, and how long a page
runs. `{records}`: where and how each recorded run was made. Each is a
function of the book's folder that gives lines of Markdown; the directives
draw them when the site is built.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tools import build, ledger
from zth import data
from zth.record import duration

NONE = "–"


def lectures(root):
    """The lines of a list of all lectures, the written ones first.

    A written lecture has a table of its exercises, another one line.
    """
    book, root = ledger.load(root), Path(root)
    written, planned = [], []
    for lecture in book["lectures"]:
        entries = [entry for entry in book["exercises"]
                   if entry["lecture"] == lecture["number"]]
        if any("page" in entry for entry in entries):
            written += written_lecture(lecture, entries, root)
        elif entries:
            titles = " · ".join(entry["title"] for entry in entries)
            planned.append(f"- **{heading(lecture)}:** {titles}")
    if planned:
        planned = ["### Not written yet", "", *planned]
    return written + planned


def heading(lecture):
    """What a lecture is headed with: its number and title."""
    return f"Lecture {lecture['number']} · {lecture['title']}"


def written_lecture(lecture, entries, root):
    """The lines of a lecture's name, where to begin, and its exercises."""
    pages = [entry["page"] for entry in entries if "page" in entry]
    first = Path(pages[0]).parent / "index.md"
    start = f"Start with [](/{first.as_posix()}) · "
    video = f"[the video]({ledger.video(lecture)})"
    return [f"### {heading(lecture)}", "",
            f"{start * (root / first).is_file()}{video}", "",
            "| exercise | difficulty | minutes |", "|---|---|---:|",
            *(f"| {title(entry)} | {ledger.DIFFICULTY[entry['difficulty']]} "
              f"| {entry['minutes']} |" for entry in entries), ""]


def title(entry):
    """An exercise's title, linked from the root if it has a page."""
    text = cell(entry["title"])
    return f"[{text}](/{entry['page']})" if "page" in entry else text


def cell(text):
    """A text that stands in a cell of a Markdown table as it is."""
    return re.sub(r"([\\|*_`<\[\]$])", r"\\\1", text)


def results(root):
    """The lines of what the tables of all results leave out, and of these.

    ValueError where a number is marked as recorded and its page shows no
    record.
    """
    book, lines = ledger.load(root), []
    numbers = {lecture["number"]: lecture for lecture in book["lectures"]}
    solved = [entry for entry in book["exercises"] if "page" in entry]
    if not data.source().is_lecture:
        lines += ["These numbers are those of the lecture's names. This build "
                  f"used {data.source().name}, so its pages show others.", ""]
    if left := len(book["exercises"]) - len(solved):
        lines.append(f"Not written yet, and so not in the tables: {left} of "
                     f"{len(book['exercises'])} exercises.")
    for number in sorted({entry["lecture"] for entry in solved}):
        lines += [
            "", f"## {heading(numbers[number])}", "",
            "| exercise, and what is measured | the lecture | ours "
            "| runs in |", "|---|---|---:|---:|",
            *(row(entry, root) for entry in solved
              if entry["lecture"] == number)]
    return lines


def row(entry, root):
    """The line of one exercise in the table of results."""
    result = entry.get("result", {})
    what, ours = result.get("what", ""), cell(result.get("ours", NONE))
    if result.get("recorded"):
        ours += aside("recorded")
        if not shown(entry["page"], root):
            raise ValueError(f"{entry['id']}: its number is marked as "
                             f"recorded, but {entry['page']} shows no record")
    theirs = result.get("lecture", NONE)
    theirs = NONE if theirs == "none" else theirs
    seconds = ledger.page_seconds(entry["page"].removesuffix(".md"), root)
    runs = NONE if seconds is None else f"{seconds:.0f} s"
    return (f"| {title(entry)}{aside(cell(what))} | {cell(theirs)} | {ours} "
            f"| {runs} |")


def aside(text):
    """A quieter line under what stands in a cell; "" of nothing."""
    return text and f' <span class="zth-aside">{text}</span>'


def shown(page, root):
    """The names of the records that a page shows."""
    text = (Path(root) / page).read_text("utf-8")
    return re.findall(r'\brecord\.show\("(\w+)"\)', text)


def records(root):
    """The lines of a list of all records: what, where shown, when and how.

    ValueError where a page shows a record that is not there.
    """
    root, pages = Path(root), {}
    for page in build.written(root):
        page = page.relative_to(root).as_posix()
        for name in dict.fromkeys(shown(page, root)):
            pages.setdefault(name, []).append(f"[](/{page})")
    lines = []
    for path in sorted((root / "data/runs").glob("*.json")):
        if not path.name.endswith(".partial.json"):
            record = json.loads(path.read_text("utf-8"))
            where = ", ".join(pages.pop(path.stem, ()))
            lines.append(record_line(record, where))
    if pages:
        raise ValueError(f"shown, but not in data/runs: {', '.join(pages)}")
    return lines


def record_line(record, where):
    """The line of one record; `where` are the pages that show it."""
    machine, threads = record["hardware"], record["threads"]
    versions = [f"{name} {value}"
                for name, value in record["versions"].items()]
    facts = [
        machine["processor"], f"{machine['cores']} cores",
        f"device {machine['device']}",
        f"{threads} thread{'s' * (threads != 1)}", *versions]
    what = "".join(part if part.startswith("`") else cell(part)
                   for part in re.split("(`[^`]+`)", record["what"]))
    return (f"- **{what}**"
            f"{f' Shown on {where}.' if where else ''} Recorded on "
            f"{record['recorded']} in {duration(record['seconds'])} by "
            f"`{record['command']}`, on {cell(', '.join(facts))}.")


# Sphinx --------------------------------------------------------------------

class Drawn(SphinxDirective):
    """Draws what a function of the book's folder writes."""

    def run(self):
        root = Path(self.env.srcdir)
        for path in (root / "book/exercises.yml",
                     *(root / "data/runs").glob("*.json")):
            self.env.note_dependency(str(path))
        try:
            lines = self.lines(root)
        except ValueError as error:
            raise self.error(str(error)) from error
        return self.parse(lines)

    def parse(self, lines):
        """The nodes of lines of Markdown, in a box of their own.

        What a heading begins goes into the page's section instead, under it.
        """
        box = nodes.container(classes=[f"zth-{self.name}"])
        section = self.state_machine.node
        before = len(section)
        self.state.nested_parse(
            StringList(lines, self.env.docname), self.content_offset, box,
            match_titles=True)
        for part in section[before:]:
            part["classes"] += box["classes"]
        return [box] if len(box) else []


class Lectures(Drawn):
    """`{lectures}`"""

    lines = staticmethod(lectures)


class Results(Drawn):
    """`{results}`"""

    lines = staticmethod(results)


class Records(Drawn):
    """`{records}`"""

    lines = staticmethod(records)


def name_tables(app, pagename, templatename, context, doctree):
    """Give a lecture's table its heading as the name that is read out."""
    if "zth-" in context.get("body", ""):
        context["body"] = re.sub(
            r'(<section class="zth-\w+" id="lecture.*?<h\d>(.*?)<a .*?<table)',
            r'\1 aria-label="\2"', context["body"], flags=re.DOTALL)


def setup(app):
    """Register the directives, and the names of tables, with Sphinx."""
    app.connect("html-page-context", name_tables)
    app.add_directive("lectures", Lectures)
    app.add_directive("results", Results)
    app.add_directive("records", Records)

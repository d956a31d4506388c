"""What the book adds to Sphinx.

The label line under an exercise's title, links to a page's notebooks, the
notice about the data, what each page was built with, figures that follow the
reader's theme, and what the modules imported here add; after the pages, the
notebooks themselves. Everything printed is the same on every build of one
commit: no dates, no counters that depend on the order of the build.
"""

import functools
import html
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tools import (
    address, execute, folds, katex, ledger, results, share, slim, svg,
    workbooks)

logger = logging.getLogger(__name__)

# Extensions that Jupyter Book loads and this book does not use: live code,
# whose scripts throw and name another host; grids and tabs; buttons for what
# folds.
UNUSED = ("sphinx_thebe", "sphinx_design", "sphinx_togglebutton")
UNUSED_CSS = ("sphinx-thebe.css", "togglebutton.css")


@functools.cache
def origin(root):
    """(commit, public address or None) of the book: git is asked once."""
    return address.commit(root), address.repository_url(root)


def foot(commit, repository, source, title):
    """The HTML of a page's foot: what it was built with, and where to write.

    repository is the book's public address or None, source the
    `zth.data.Source` of the names, title the page's.
    """
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    text = (f"Built from commit {commit}, with torch {torch}, on "
            f"{source.name} (sha256 {source.sha256[:12]}).")
    link = ""
    if repository:
        url = address.report_url(repository, f"Mistake: {title}")
        link = f' <a href="{html.escape(url)}">Report a mistake on this page</a>'
    return f'<p class="zth-foot">{html.escape(text)}{link}</p>'


def notice(source):
    """The HTML that heads a page built without the lecture's names, or ""."""
    if source.is_lecture:
        return ""
    return (
        '<aside class="zth-notice" aria-label="Data of this build"><p>'
        "<strong>Built without the lecture's names.</strong> This build used "
        f"<code>{html.escape(source.name)}</code>, which comes with the book, "
        "so its numbers differ from the lecture's. For the lecture's, put "
        "<code>names.txt</code> into a folder, set <code>ZTH_DATA_DIR</code> "
        "to that folder, or go online, and build again.</p></aside>\n")


# The label line ------------------------------------------------------------

def label_line(exercise, lecture, seconds=None):
    """The HTML of the line under an exercise's title."""
    name, level, *others, (text, url) = ledger.facts(
        exercise, lecture, seconds)
    filled = exercise["difficulty"]
    dots = "●" * filled + "○" * (4 - filled)
    parts = [
        name,
        f'<span class="zth-dots" role="img" aria-label="difficulty {filled} '
        f'of 4">{dots}</span> {level}',
        *others, f'<a href="{html.escape(url)}">{text}</a>']
    line = ' <span aria-hidden="true">·</span> '.join(
        f"<span>{part}</span>" for part in parts)
    return f'<p class="zth-label">{line}</p>'


class LabelLine(SphinxDirective):
    """`{label-line} ID`: the exercise's line, drawn from the ledger."""

    required_arguments = 1

    def run(self):
        root, wanted = self.env.srcdir, self.arguments[0]
        self.env.note_dependency(str(Path(root) / "book/exercises.yml"))
        try:
            found = ledger.exercise(wanted, root)
        except ValueError as error:
            raise self.error(str(error)) from error
        seconds = ledger.page_seconds(self.env.docname, root)
        return [nodes.raw("", label_line(*found, seconds), format="html")]


def add_facts(app, doctree, docname):
    """Put difficulty and minutes into a page's exercise boxes."""
    book = ledger.load(app.srcdir)
    entries = [entry for entry in book["exercises"]
               if entry.get("page") == f"{docname}.md"]
    boxes = [box for box in doctree.findall(nodes.Admonition)
             if "exercise" in box["classes"]]
    for box, entry in zip(boxes, entries):
        level = ledger.DIFFICULTY[entry["difficulty"]]
        box.insert(1, nodes.paragraph(
            "", f"{level} · {entry['minutes']} minutes",
            classes=["zth-facts"]))


# Notebooks -----------------------------------------------------------------

def launch_line(docname, has_check, repository):
    """The HTML of the links that open a page as a notebook.

    Those that need a public address are absent where there is none.
    """
    up = "../" * docname.count("/")
    kind = "workbook" if has_check else "notebook"
    workbook = workbooks.path(docname)
    links = [(f"Download the {kind}", up + workbook)]
    if repository:
        links += [
            ("Open in Colab", address.colab_url(repository, workbook)),
            ("Open in Binder",
             address.binder_url(repository, f"{docname}.md"))]
    links.append(("Solved notebook", up + workbooks.path(docname, "-solved")))
    line = " ".join(
        f'<a href="{html.escape(url)}"{" download" * url.endswith("b")}>'
        f"{text}</a>" for text, url in links if url)
    return (f'<nav class="zth-launch" aria-label="This page as a notebook">'
            f"{line}</nav>")


def add_launch_line(app, pagename, templatename, context, doctree):
    """Put the links to a page's notebooks under its title.

    Now that the page is written: a search should not find their words.
    """
    page = notebook_pages(app.srcdir).get(pagename)
    if page is None:
        return
    line = launch_line(
        pagename, any("check" in workbooks.tags(cell)
                      for cell in page.notebook.cells),
        origin(app.srcdir)[1])
    context["body"] = re.sub(
        r'</h1>\s*(<p class="zth-label">.*?</p>)?',
        lambda title: f"{title[0]}{line}\n", context["body"], count=1)


@functools.cache
def notebook_pages(root):
    """The pages that have code, by their name in Sphinx."""
    pages, _ = execute.read_pages(Path(root))
    return {page.name.removesuffix(".md"): page
            for page in pages if page.code}


def write_notebooks(app, exception):
    """Write the notebooks of all pages, and the package that they need."""
    if exception or app.builder.format != "html":
        return
    pages = notebook_pages(app.srcdir)
    try:
        workbooks.write(app.env, pages, Path(app.outdir))
    except ValueError as error:
        logger.warning("%s", error)


# Figures -------------------------------------------------------------------

def inline_figures(app, doctree, docname):
    """Put each SVG that a cell drew into the page itself."""
    if app.builder.format != "html":
        return
    letters = {}
    for count, image in enumerate(list(doctree.findall(nodes.image)), 1):
        uri = image["uri"]
        if "jupyter_execute" not in uri or not uri.endswith(".svg"):
            continue
        drawing = svg.inline(
            (Path(app.srcdir) / uri).read_text("utf-8"), image.get("alt", ""),
            f"f{count}", palette(), letters)
        image.replace_self(nodes.raw("", drawing, format="html"))


@functools.cache
def palette():
    """The figures' colours."""
    from zth.plot import PALETTE

    return PALETTE


# Sphinx --------------------------------------------------------------------

def unescape_links(app, doctree):
    """Undo MyST's escape of an outer address: docutils writes one itself."""
    for node in doctree.findall(nodes.reference):
        if "refuri" in node:
            node["refuri"] = html.unescape(node["refuri"])


def title_links(app, doctree, docname):
    """Let a link that shows a page's file show its title: a build report's."""
    for node in doctree.findall(nodes.reference):
        if title := app.env.titles.get(node.astext()):
            node.children = [nodes.inline("", title.astext())]


def drop_shared_ids(app, doctree, docname):
    """Drop the ids that every exercise and every solution would share."""
    for node in doctree.findall(nodes.section):
        node["ids"] = [name for name in node["ids"] if name not in (
            "exercise-content", "solution-content")]


def unplug(app):
    """Unplug the extensions that are not used: their scripts and styles.

    They are set up before this one.
    """
    for listeners in app.events.listeners.values():
        listeners[:] = [
            listener for listener in listeners
            if listener.handler.__module__.partition(".")[0] not in UNUSED]
    app.registry.css_files[:] = [
        css for css in app.registry.css_files if css[0] not in UNUSED_CSS]


def own_layout(app, config):
    """Let the layout in `tools/templates` stand over the theme's."""
    config.templates_path.insert(0, "tools/templates")


def write_palette(app):
    """Write the figures' colours where the pages look for them."""
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "figures.css").write_text(
        svg.style_sheet(palette()), "utf-8")


def all_pages(app, pagename, context):
    """The HTML that leads from a page to all others without a script."""
    home = app.config.root_doc
    if pagename == home:
        return ""
    return ('<noscript><a class="zth-all" href="'
            f'{context["pathto"](home)}">All pages</a></noscript>\n')


def dress_page(app, pagename, templatename, context, doctree):
    """Give the page its notice and its foot, and a way to the others."""
    from zth import data

    source = data.source()
    title = context.get("title") or pagename
    title = re.sub(r"<[^>]+>", "", title)
    context["theme_extra_footer"] = foot(
        *origin(app.srcdir), source, title)
    if "body" in context:
        # docutils' list of works has no items that a screen reader knows
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">',
            '<div class="citation-list">')
        context["body"] = (all_pages(app, pagename, context)
                           + notice(source) + context["body"])


def slim_site(app, exception):
    """Drop what no page uses."""
    if not exception and app.builder.format == "html":
        slim.slim(Path(app.outdir))


def setup(app):
    """Register all of this with Sphinx."""
    unplug(app)
    app.add_directive("label-line", LabelLine)
    app.add_css_file("figures.css")
    app.add_css_file("icons.css")
    app.add_css_file("style.css", priority=900)
    app.add_js_file("page.js")
    app.connect("config-inited", own_layout)
    app.connect("builder-inited", write_palette)
    for part in (katex, folds, results, share):
        part.setup(app)
    app.connect("doctree-read", unescape_links)
    app.connect("doctree-resolved", inline_figures)
    app.connect("doctree-resolved", title_links)
    app.connect("doctree-resolved", drop_shared_ids)
    app.connect("doctree-resolved", add_facts)
    app.connect("html-page-context", add_launch_line)
    app.connect("html-page-context", dress_page)
    app.connect("build-finished", write_notebooks)
    app.connect("build-finished", slim_site, priority=900)
    return {"version": "1", "parallel_read_safe": True,
            "parallel_write_safe": True}

"""What the book adds to Sphinx.

The label line under an exercise's title, links to a page's notebooks, the
notice about the data, what each page was built with, and figures that follow
the reader's theme; after the pages, the notebooks themselves. Everything
printed is the same on every build of one commit: no dates, no counters that
depend on the order of the build.
"""

import functools
import html
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tools import address, execute, ledger, results, workbooks

logger = logging.getLogger(__name__)

# The theme's own scripts know the reader's choice only once the page is read,
# and complain where there is none yet.
FIRST_VISIT = (
    "(root => { root.dataset.mode ||= 'auto'; root.dataset.theme ||= "
    "matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'; "
    "})(document.documentElement);")


def foot(root, source, title):
    """The HTML of a page's foot: what it was built with, and where to write.

    source is the `zth.data.Source` of the names, title the page's.
    """
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    text = (f"Built from commit {address.commit(root)}, with torch {torch}, on "
            f"{source.name} (sha256 {source.sha256[:12]}).")
    link = ""
    if repository := address.repository_url(root):
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


def add_launch_line(app, doctree, docname):
    """Put the links to a page's notebooks under its title."""
    page = notebook_pages(app.srcdir).get(docname)
    if page is None or app.builder.format != "html":
        return
    line = nodes.raw("", launch_line(
        docname, any("check" in workbooks.tags(cell)
                     for cell in page.notebook.cells),
        address.repository_url(app.srcdir)), format="html")
    title = next(doctree.findall(nodes.title))
    section = title.parent
    place = section.index(title) + 1
    if "zth-label" in section[place].astext():
        place += 1
    section.insert(place, line)


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

def style_sheet(palette):
    """The CSS variables of a palette {name: (light, dark)}."""
    light, dark = (
        " ".join(f"--fig-{name}: {pair[i]};" for name, pair in palette.items())
        for i in (0, 1))
    return (f":root {{ {light} }}\n"
            f'html[data-theme="dark"] {{ {dark} }}\n'
            f'@media print {{ html[data-theme="dark"] {{ {light} }} }}\n')


def inline_svg(svg, alt, prefix, palette):
    """A drawing as an <svg> that stands in the page and follows its theme.

    svg is the file's text, alt the alternative text. Ids that something
    refers to get the prefix, the others go. Light colours of the palette
    {name: (light, dark)} become variables.
    """
    names = {light.lower(): name for name, (light, _) in palette.items()}
    if len(names) < len(palette):
        raise ValueError("palette: two names share one light colour")
    svg = svg[svg.index("<svg"):].strip()
    for rule in (r"<!--.*?-->", r"<metadata>.*?</metadata>",
                 r"<style.*?</style>", r"<title>.*?</title>"):
        svg = re.sub(rule + r"\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>\s*|<defs/>\s*", "", svg)
    svg = svg.replace("xlink:href=", "href=")
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
    used = {a or b for a, b in used}
    svg = re.sub(
        r' id="([^"]+)"',
        lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)

    def colour(match):
        name = names.get(match[0].lower())
        return f"var(--fig-{name}, {match[0]})" if name else match[0]

    svg = re.sub(
        r'style="[^"]*"',
        lambda m: re.sub(r"#[0-9a-fA-F]{6}\b", colour, m[0]), svg)
    tag, rest = svg.split(">", 1)
    tag = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", tag)
    label = f' aria-label="{html.escape(alt)}"' if alt else ""
    return f'{tag} class="zth-figure" role="img"{label}>{rest}'


def inline_figures(app, doctree, docname):
    """Put each SVG that a cell drew into the page itself."""
    if app.builder.format != "html":
        return
    for count, image in enumerate(list(doctree.findall(nodes.image)), 1):
        uri = image["uri"]
        if "jupyter_execute" not in uri or not uri.endswith(".svg"):
            continue
        ids = image.parent["ids"] if isinstance(
            image.parent, nodes.figure) else []
        svg = (Path(app.srcdir) / uri).read_text("utf-8")
        svg = inline_svg(svg, image.get("alt", ""),
                         ids[0] if ids else f"svg{count}", palette())
        image.replace_self(nodes.raw("", svg, format="html"))


@functools.cache
def palette():
    """The figures' colours."""
    from zth.plot import PALETTE

    return PALETTE


# Sphinx --------------------------------------------------------------------

def escape_math(app, doctree, docname):
    """Keep `<` and `&` of displayed equations from being read as HTML.

    The KaTeX extension escapes them in inline math and in equations marked
    `nowrap`, and writes the text of other displayed ones as it is.
    """
    for node in doctree.findall(nodes.math_block):
        if not node.get("nowrap"):
            node["latex"] = rf"\[{node.astext()}\]"
            node["nowrap"] = True


def drop_shared_ids(app, doctree, docname):
    """Drop the ids that every exercise and every solution would share."""
    for node in doctree.findall(nodes.section):
        node["ids"] = [name for name in node["ids"] if name not in (
            "exercise-content", "solution-content")]


def without_thebe(app, config):
    """Unplug live code, which Jupyter Book loads and this book does not use.

    Its scripts come twice a page, throw, and name another host.
    """
    for listeners in app.events.listeners.values():
        listeners[:] = [listener for listener in listeners if
                        listener.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [
        css for css in app.registry.css_files if css[0] != "sphinx-thebe.css"]


def write_palette(app):
    """Write the figures' colours where the pages look for them."""
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "figures.css").write_text(style_sheet(palette()), "utf-8")


def dress_page(app, pagename, templatename, context, doctree):
    """Give the page its notice and its foot."""
    from zth import data

    source = data.source()
    title = context.get("title") or pagename
    title = re.sub(r"<[^>]+>", "", title)
    context["theme_extra_footer"] = foot(app.srcdir, source, title)
    if "body" in context:
        context["body"] = notice(source) + context["body"]


def setup(app):
    """Register all of this with Sphinx."""
    app.add_directive("label-line", LabelLine)
    results.setup(app)
    app.add_js_file(None, body=FIRST_VISIT, priority=100)
    app.add_css_file("figures.css")
    app.add_css_file("style.css", priority=900)
    app.connect("config-inited", without_thebe)
    app.connect("builder-inited", write_palette)
    app.connect("doctree-resolved", escape_math)
    app.connect("doctree-resolved", inline_figures)
    app.connect("doctree-resolved", drop_shared_ids)
    app.connect("doctree-resolved", add_launch_line)
    app.connect("html-page-context", dress_page)
    app.connect("build-finished", write_notebooks)
    return {"version": "1", "parallel_read_safe": True,
            "parallel_write_safe": True}

"""What the book adds to Sphinx.

The label line under an exercise's title, the notice about the data, what each
page was built with, and figures that follow the reader's theme. Everything
printed is the same on every build of one commit: no dates, no counters that
depend on the order of the build.
"""

import functools
import html
import ipaddress
import json
import os
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote, urlsplit

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tools import ledger

DIFFICULTY = {1: "gentle", 2: "moderate", 3: "hard", 4: "very hard"}

# The theme's own scripts know the reader's choice only once the page is read,
# and complain where there is none yet.
FIRST_VISIT = (
    "(root => { root.dataset.mode ||= 'auto'; root.dataset.theme ||= "
    "matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'; "
    "})(document.documentElement);")


# Where the book was built -------------------------------------------------

def git(root, *args):
    """What git prints in the folder, stripped; "" where it fails."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *args], cwd=root,
            capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit(root):
    """The commit of the book's own repository, as a reader should see it."""
    top = git(root, "rev-parse", "--show-toplevel")
    head = git(root, "rev-parse", "HEAD")
    if not head or Path(top).resolve() != Path(root).resolve():
        return "unknown"  # an unpacked archive, perhaps in another repository
    dirty = git(root, "status", "--porcelain", "--untracked-files=no")
    return head[:10] + (" with local changes" if dirty else "")


def repository_url(root):
    """The book's public address, or None.

    It is ZTH_REPOSITORY_URL where that is set (empty: no address), else the
    remote `origin`. Paths, hosts inside a private network and addresses with
    credentials are no public address.
    """
    url = os.environ.get("ZTH_REPOSITORY_URL")
    if url is None:
        url = git(root, "remote", "get-url", "origin")
    scp = re.fullmatch(r"(?:(\w+)@)?([\w.-]+\.[\w-]+):(?!/|\d+/)(.+)", url)
    if scp:
        url = f"ssh://{scp[2]}/{scp[3]}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    web = parts.scheme in ("http", "https")
    if not (web or parts.scheme in ("ssh", "git+ssh")) or not public(host):
        return None
    if parts.password or (web and (parts.username or parts.query)):
        return None
    path = parts.path.strip("/").removesuffix(".git")
    if not path:
        return None
    port = f":{port}" if web and port else ""
    return f"{parts.scheme if web else 'https'}://{host}{port}/{path}"


def public(host):
    """Whether a reader elsewhere can reach a host of this name."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        last = host.rpartition(".")[2]
        return "." in host and last not in (
            "local", "localhost", "internal", "lan", "home", "test", "invalid")


def report_url(repository, title):
    """The address at which a reader reports a mistake on a page."""
    new = "-/issues/new?issue[title]=" if "gitlab" in urlsplit(
        repository).hostname else "issues/new?title="
    return f"{repository}/{quote(new, '/-?=')}{quote(title)}"


def foot(root, source, title):
    """The HTML of a page's foot: what it was built with, and where to write.

    source is the `zth.data.Source` of the names, title the page's.
    """
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    text = (f"Built from commit {commit(root)}, with torch {torch}, on "
            f"{source.name} (sha256 {source.sha256[:12]}).")
    link = ""
    if repository := repository_url(root):
        address = html.escape(report_url(repository, f"Mistake: {title}"))
        link = f' <a href="{address}">Report a mistake on this page</a>'
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

def page_seconds(root, docname):
    """Seconds that the page's cells took, from the record; None without."""
    record = Path(root) / "data/runs/pages.json"
    if record.exists():
        for row in json.loads(record.read_text("utf-8"))["rows"]:
            if row.get("page", "").removesuffix(".md") == docname:
                return row["seconds"]
    return None


def clock(seconds):
    """Seconds as a player shows them: 3723 gives "1:02:03"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"


def label_line(exercise, lecture, seconds=None):
    """The HTML of the line under an exercise's title."""
    level = exercise["difficulty"]
    dots = "●" * level + "○" * (4 - level)
    parts = [
        f"Exercise {exercise['id']}",
        f'<span class="zth-dots" role="img" aria-label="difficulty {level} '
        f'of 4">{dots}</span> {DIFFICULTY[level]}',
        f"{exercise['minutes']} minutes"]
    if seconds is not None:
        about = f"about {seconds:.0f} s" if seconds >= 1 else "under 1 s"
        parts.append(f"runs in {about}")
    name = f"lecture {lecture['number']}"
    url = f"https://www.youtube.com/watch?v={lecture['video']}"
    if (at := exercise.get("video")) is not None:
        name, url = f"{name} at {clock(at)}", f"{url}&t={at}s"
    parts.append(f'<a href="{html.escape(url)}">{name}</a>')
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
            book = ledger.load(root)
        except ValueError as error:
            raise self.error(str(error)) from error
        exercise = {row["id"]: row for row in book["exercises"]}.get(wanted)
        if exercise is None:
            raise self.error(
                f"label-line {wanted!r}: not an id of book/exercises.yml")
        lecture = {row["number"]: row for row in book["lectures"]}[
            exercise["lecture"]]
        line = label_line(
            exercise, lecture, page_seconds(root, self.env.docname))
        return [nodes.raw("", line, format="html")]


class ExerciseList(SphinxDirective):
    """`{exercise-list}`: a table of every exercise, drawn from the ledger."""

    def run(self):
        self.env.note_dependency(
            str(Path(self.env.srcdir) / "book/exercises.yml"))
        book = ledger.load(self.env.srcdir)
        rows = ["| lecture | exercise | difficulty | minutes |",
                "|---|---|---|---:|"]
        for lecture in book["lectures"]:
            name = f"{lecture['number']} {lecture['title']}"
            for exercise in book["exercises"]:
                if exercise["lecture"] != lecture["number"]:
                    continue
                title = exercise["title"]
                if "page" in exercise:
                    title = f"[{title}](/{exercise['page']})"
                rows.append(f"| {name} | {title} | "
                            f"{DIFFICULTY[exercise['difficulty']]} | "
                            f"{exercise['minutes']} |")
                name = ""
        table = nodes.Element()
        self.state.nested_parse(
            StringList(rows, self.env.docname), self.content_offset, table)
        return table.children


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
    app.add_directive("exercise-list", ExerciseList)
    app.add_js_file(None, body=FIRST_VISIT, priority=100)
    app.add_css_file("figures.css")
    app.add_css_file("style.css", priority=900)
    app.connect("config-inited", without_thebe)
    app.connect("builder-inited", write_palette)
    app.connect("doctree-resolved", escape_math)
    app.connect("doctree-resolved", inline_figures)
    app.connect("doctree-resolved", drop_shared_ids)
    app.connect("html-page-context", dress_page)
    return {"version": "1", "parallel_read_safe": True,
            "parallel_write_safe": True}

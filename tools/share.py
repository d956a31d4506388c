"""Make the pages easy to find and to share.

A description of each page, which a search shows, too; where the book has a
public address also what other sites show of a link, and a map of the site;
and a page for addresses that lead nowhere.
"""

import html
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes

from tools import address

LENGTH = 160  # characters that a search engine shows of a description

LOST = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not found — {title}</title>
{base}<link rel="icon" href="_static/favicon.svg">
<style>
:root {{ color-scheme: light dark; {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}
@media print {{ :root {{ {light} }} }}
body {{ background: var(--paper); color: var(--ink); font: 1.1rem/1.6
  system-ui, sans-serif; margin: 15vh auto; max-width: 32rem; padding: 0 1rem }}
a {{ color: var(--c0) }}
</style>
</head>
<body>
<main>
<h1>There is no such page</h1>
<p>It may have moved, or the address may be mistyped.
Begin at <a href="{root}.html">{title}</a>,
or <a href="search.html">search the book</a>.</p>
</main>
</body>
</html>
"""


def site_url(app):
    """Where readers find the site, or None."""
    repository = address.repository_url(app.srcdir)
    return repository and address.site_url(repository)


def set_base(app, config):
    """Tell Sphinx the public address, for the pages' canonical links."""
    config.html_baseurl = site_url(app) or ""


def description(doctree):
    """The first sentences of a page, as plain text, or "".

    Its first paragraph that ends as a sentence does, up to the first formula
    that is more than letters, digits and signs.
    """
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section) or not re.search(
                r"[.:?!]$", paragraph.astext()):
            continue
        text = ""
        for part in paragraph.findall(nodes.Text):
            if isinstance(part.parent, nodes.math) and re.search(
                    r"[\\{}^_]", part):
                text += " …"
                break
            text += part
        return cut(" ".join(text.split()))
    return ""


def cut(text):
    """The text, cut at a word if it is too long."""
    if len(text) <= LENGTH:
        return text
    return text[:LENGTH - 1].rpartition(" ")[0].rstrip(",;:–—") + " …"


def describe_page(app, pagename, templatename, context, doctree):
    """Put a page's description into its head, and what a link to it shows."""
    if pagename == "search":
        app.add_js_file("descriptions.js")
        app.add_js_file("search.js")
    if doctree is None:
        return
    text = description(doctree)
    tags = {"name": {"description": text}}
    if context["pageurl"]:
        tags["property"] = {
            "og:title": app.env.titles[pagename].astext(),
            "og:description": text,
            "og:url": context["pageurl"],
            "og:type": "website" if pagename == app.config.root_doc
            else "article",
            "og:site_name": app.config.html_title}
    context["metatags"] += "".join(
        f'\n    <meta {key}="{name}" content="{html.escape(content)}">'
        for key, named in tags.items() for name, content in named.items()
        if content)


def descriptions(site):
    """The script that tells a search the description of each page."""
    found = {}
    for page in sorted(site.rglob("*.html")):
        if text := re.search(r'<meta name="description" content="([^"]*)">',
                             page.read_text("utf-8")):
            found[page.relative_to(site).as_posix()] = html.unescape(text[1])
    return f"const DESCRIPTIONS = {json.dumps(found, ensure_ascii=False)};\n"


def site_map(base, pages):
    """The sitemap of the pages, which are addresses from the base."""
    return "\n".join([
        '<?xml version="1.0" encoding="utf-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *(f"<url><loc>{html.escape(base + page)}</loc></url>"
          for page in pages),
        "</urlset>", ""])


def lost(title, root, base, palette):
    """The page for addresses that lead nowhere.

    root is the first page's name. It is shown at any depth below the public
    address base; without one its links hold where it lies.
    """
    light, dark = (" ".join(f"--{name}: {palette[name][i]};"
                            for name in ("ink", "paper", "c0"))
                   for i in (0, 1))
    path = base and urlsplit(base).path
    return LOST.format(
        title=html.escape(title), root=root, light=light, dark=dark,
        base=f'<base href="{html.escape(path)}">\n' if path else "")


def write_files(app, exception):
    """Write the page for lost readers and, at a public address, the map."""
    from zth.plot import PALETTE

    if exception or app.builder.format != "html":
        return
    site, base = Path(app.outdir), site_url(app)
    (site / "_static/descriptions.js").write_text(descriptions(site), "utf-8")
    (site / "404.html").write_text(lost(
        app.config.html_title, app.config.root_doc, base, PALETTE), "utf-8")
    if base:
        (site / "sitemap.xml").write_text(site_map(base, [
            app.builder.get_target_uri(page)
            for page in sorted(app.env.found_docs)]), "utf-8")


def setup(app):
    """Register all of this with Sphinx."""
    app.connect("config-inited", set_base)
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", write_files)

"""Look through the built site for faults that Sphinx does not see.

    python -m tools.audit _build/html    print the faults; exit status 1 if any
"""

import re
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Comment

from tools import execute

QUIET = {"code", "pre", "script", "style", "svg", "title"}  # no prose in them
RAW = re.compile(
    r"\$\$|\$(?!\s)[^$]+(?<!\s)\$|\\[A-Za-z]{2,}|\{(?:glue|eq|ref|numref|"
    r"doc|cite|math|label-line|code-cell|exercise|solution)\b")
FETCHED = {"stylesheet", "icon", "preload", "prefetch", "modulepreload",
           "preconnect", "dns-prefetch", "manifest"}
READABLE = {  # which tags, and how their ids begin
    "ex-": {"name": "div", "class_": "exercise"},
    "fig-": {"name": "figure"},
    "equation-eq-": {"name": "div", "class_": "math", "id": True}}
MESSAGES = {  # a tag's classes, and what it holds
    ("output", "traceback"): "a traceback in an output",
    ("output", "stderr"): "text on stderr in an output",
    ("xref", "pending"): "an unresolved reference",
    ("reference", "pending"): "an unresolved reference",
    ("problematic",): "a message of docutils",
    ("system-message",): "a message of docutils"}
SOURCES = ("src", "srcset", "poster", "data")


def audit(site, root=None):
    """The faults of the site in a folder, sorted: "page: fault" each.

    root is the book's folder; by default the site is its `_build/html`.
    """
    site = Path(site).resolve()
    root = Path(root).resolve() if root else site.parent.parent
    pages = [path for path in sorted(site.rglob("*.html"))
             if "_static" not in path.relative_to(site).parts]
    faults = [f"{sheet.relative_to(site)}: loads from another host: {url}"
              for sheet in site.rglob("*.css")
              for url in re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?"
                                    r"//[^\"')\s;]+)", sheet.read_text())]
    icons = site / "_static" / "icons.css"
    drawn = set(re.findall(
        r"\.(fa-[\w-]+)", icons.read_text("utf-8") if icons.is_file() else ""))
    names = [page.relative_to(site).with_suffix(".md") for page in pages]
    own = [(root / name).is_file() for name in names]  # not the theme's
    with ProcessPoolExecutor(execute.cores()) as pool:
        looks = dict(zip(pages, pool.map(look, pages, own, repeat(drawn))))
    for page, name, is_own in zip(pages, names, own):
        found = looks[page].faults + [
            f"a link to no such place: {short(url)}"
            for url, target, place in looks[page].links
            if target in looks and place not in looks[target].ids]
        name = name if is_own else page.relative_to(site)
        faults += [f"{name.as_posix()}: {fault}"
                   for fault in dict.fromkeys(found)]
    return sorted(faults)


class Look(NamedTuple):
    """What a page holds: faults, ids, (url, file, id) of links to places."""

    faults: list
    ids: set
    links: list


def look(page, own, drawn):
    """`Look` at a page's file; `own` if the book wrote it, not the theme."""
    soup = parse(page)
    faults = [*text_faults(soup), *output_faults(soup), *image_faults(soup),
              *icon_faults(page.read_text("utf-8"), drawn)]
    if own:
        faults += id_faults(soup)
    faults += [f"an address escaped twice: {short(tag['href'])}"
               for tag in soup.find_all(href=re.compile("&amp;"))]
    links = []
    for url, target in targets(soup, page):
        place = unquote(urlsplit(url).fragment)
        if target is None:
            faults.append(f"loads from another host: {short(url)}")
        elif not target.is_file():
            faults.append(f"a link to nothing: {short(url)}")
        elif place:
            links.append((url, target, place))
    return Look(faults, {tag["id"] for tag in soup.find_all(id=True)}, links)


def parse(path):
    """A page's tree, less the spans that draw formulas and colour code.

    They are most of it, and hold nothing to find.
    """
    page, kept, end = path.read_text("utf-8"), [], 0
    for drawn in re.finditer('<span class="katex-html"', page):
        kept.append(page[end:drawn.start()])
        depth = 0
        for tag in re.compile("</?span").finditer(page, drawn.start()):
            depth += -1 if tag[0] == "</span" else 1
            if not depth:
                break
        end = tag.end() + 1
    page = re.sub(
        r"<pre>.*?</pre>", lambda code: re.sub("</?span.*?>", "", code[0]),
        "".join(kept) + page[end:], flags=re.DOTALL)
    return BeautifulSoup(page, "html.parser")


def short(text):
    """At most 60 characters of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def text_faults(soup):
    """Math and roles that were not parsed, in text outside code and math."""
    for text in soup.body.find_all(string=RAW) if soup.body else ():
        if isinstance(text, Comment) or any(
                tag.name in QUIET or "math" in tag.get("class", ())
                for tag in text.parents):
            continue
        start = RAW.search(text).start()
        yield f"raw source in the text: {short(text[start:])}"


def output_faults(soup):
    """Tracebacks, stderr and what Sphinx could not resolve."""
    for tag in soup.find_all(class_=True):  # once: a page has 5,000 of them
        for classes, what in MESSAGES.items():
            if {*classes} <= {*tag["class"]}:
                lines = tag.get_text().strip().splitlines() or [""]
                yield f"{what}: {short(lines[-1])}"


def image_faults(soup):
    """Images and drawings without a text that says what they show."""
    for tag in soup.find_all("img"):
        alt, src = tag.get("alt", "").strip(), tag.get("src", "")
        if not alt or alt == src or re.fullmatch(
                r"\S+\.(svg|png|jpe?g|gif|webp)", alt):
            yield f"an image without alternative text: {short(src)}"
    for tag in soup.find_all("svg"):
        hidden = any(outer.get("aria-hidden") == "true"  # a formula's root
                     for outer in (tag, *tag.parents))
        if not hidden and not (
                tag.get("role") == "img" and tag.get("aria-label")):
            yield "a drawing without alternative text"


def icon_faults(page, drawn):
    """Icons of the theme, in a page's text, that icons.css does not draw."""
    for icon in re.findall(r"\bfa-[a-z-]+", page):
        if icon not in drawn:
            yield f"no drawing of the icon {icon}"


def id_faults(soup):
    """Ids that occur twice, and places to link to without a readable one."""
    seen = set()
    for tag in soup.find_all(id=True):
        if tag["id"] in seen:
            yield f"the id {tag['id']} occurs twice"
        seen.add(tag["id"])
    for start, which in READABLE.items():
        for tag in soup.find_all(**which):
            if not tag.get("id", "").startswith(start):
                yield (f"the id of {short(tag.get_text())!r} does not begin "
                       f"with {start}")
    for tag in soup.find_all("svg", class_="zth-figure"):
        if tag.parent.name != "figure":
            yield f"a drawing that is no figure: {short(tag['aria-label'])}"
    for title in soup.find_all("h1"):
        for tag in title.find_all(class_="math"):
            yield f"math in the title of a page: {short(tag.get_text())}"


def targets(soup, page):
    """(url, file) of each link into the site, and of all that is fetched.

    The file is None where a browser would fetch from another host.
    """
    for tag in soup.find_all(True):
        fetched = tag.name != "a" and (
            tag.name != "link" or FETCHED & {*tag.get("rel", ())})
        for key in ("href", *SOURCES):
            url = tag.get(key)
            if url is None or tag.name == "base" or (
                    key in SOURCES and tag.name == "a"):
                continue
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                if fetched and parts.scheme in ("", "http", "https"):
                    yield url, None
            elif url not in ("", "#"):
                path = page.parent / unquote(parts.path)
                yield url, path.resolve() if parts.path else page


def main(argv):
    """Print the faults of a site; the exit status."""
    faults = audit(*argv)
    print(*faults, sep="\n", end="\n" * bool(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

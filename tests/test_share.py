"""What makes the pages easy to find and to share.

Oracle: a tiny book that the real command builds, at a public address and at
none; paragraphs by hand.
"""

import xml.etree.ElementTree as ElementTree

import pytest
import tiny
from bs4 import BeautifulSoup
from docutils.core import publish_doctree

from tools import share
from zth.plot import PALETTE

FIRST = 'The first sentence says "what" this is & why.'
PAGES = {
    "index": f"# A tiny book\n\n{FIRST}\n",
    "deep/page": "# A page\n\n*No sentence*\n\n:::{note}\nA note.\n:::\n\n"
                 + "word " * 40 + "end.\n",
}
ADDRESS = "https://someone.github.io/book/"


def built(folder, address):
    """A tiny book's site, built at the address of a repository."""
    tiny.book(folder, PAGES)
    done = tiny.build(folder, ZTH_REPOSITORY_URL=address)
    assert done.returncode == 0, done.stdout
    return folder / "_build/html"


def head(page):
    """The contents of a page's meta tags by name or property."""
    tags = BeautifulSoup(page.read_text(), "html.parser").find_all("meta")
    return {tag.get("name") or tag.get("property"): tag.get("content")
            for tag in tags}


def test_a_site_at_a_public_address(tmp_path):
    site = built(tmp_path / "book", "https://github.com/someone/book")
    found = head(site / "book/index.html")
    assert found["description"] == found["og:description"] == (
        "The first sentence says “what” this is & why.")
    assert found["og:title"] == "A tiny book"
    assert found["og:type"] == "website"
    assert found["og:site_name"] == "Zero to Hero, solved"
    assert found["og:url"] == f"{ADDRESS}book/index.html"
    text = (site / "book/deep/page.html").read_text()
    assert f'rel="canonical" href="{ADDRESS}book/deep/page.html"' in text
    found = head(site / "book/deep/page.html")
    assert found["og:type"] == "article"
    assert found["description"] == "word " * 31 + "…"
    tree = ElementTree.parse(site / "sitemap.xml")
    assert [tag.text for tag in tree.findall(".//{*}loc")] == [
        f"{ADDRESS}book/deep/page.html", f"{ADDRESS}book/index.html"]
    assert '<base href="/book/">' in (site / "404.html").read_text()


def test_a_site_at_none(tmp_path):
    site = built(tmp_path / "book", "")
    assert (site / "_static/descriptions.js").read_text() == (
        'const DESCRIPTIONS = {"book/deep/page.html": "'
        + "word " * 31 + '…", "book/index.html": '
        '"The first sentence says “what” this is & why."};\n')
    assert "descriptions.js" in (site / "search.html").read_text()
    assert "descriptions.js" not in (site / "book/index.html").read_text()
    found = head(site / "book/index.html")
    assert found["description"].startswith("The first sentence")
    assert not [name for name in found if name and name.startswith("og:")]
    for page in ("book/index.html", "404.html"):
        text = (site / page).read_text()
        assert "canonical" not in text and "<base" not in text
    assert not (site / "sitemap.xml").exists()


@pytest.mark.parametrize("text, described", [
    ("Title\n=====\n\nOne *two* ``three``.", "One two three."),
    ("Title\n=====\n\nWith :math:`n + 1` of them.", "With n + 1 of them."),
    ("Title\n=====\n\nWith :math:`x_1` of them.", "With …"),
    ("Title\n=====\n\nOne: :math:`\\frac12`.\n\nTwo.", "One: …"),
    ("Title\n=====\n\nNo sentence\n\nA question?", "A question?"),
    ("Title\n=====\n\n- An item.\n\n.. note:: A note.", ""),
    ("Title\n=====\n\n" + "a" * 159 + ".", "a" * 159 + "."),
    ("Title\n=====\n\n" + "a" * 150 + ", and so on, it goes.",
     "a" * 150 + ", and so …"),
])
def test_the_description_of_a_page(text, described):
    found = share.description(publish_doctree(
        text, settings_overrides={"doctitle_xform": False}))
    assert found == described and len(found) <= share.LENGTH


def test_the_page_for_lost_readers_needs_nothing():
    for base in (None, ADDRESS):
        text = share.lost("A & B", "book/index", base, PALETTE)
        page = BeautifulSoup(text, "html.parser")
        assert page.h1 and page.main and page.title.get_text().endswith("A & B")
        assert [link["href"] for link in page.find_all("a")] == [
            "book/index.html", "search.html"]
        assert not page.find("script")
        for colour in (*PALETTE["ink"], *PALETTE["paper"]):
            assert colour in text

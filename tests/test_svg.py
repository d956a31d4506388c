"""Figures as part of the page.

Oracle: drawings by Matplotlib itself, read by an XML parser; positions are
compared with those of the drawing as Matplotlib wrote it.
"""

import io
import re

import matplotlib.figure
import pytest
from bs4 import BeautifulSoup

from tools import svg
from zth.plot import PALETTE


def drawing(points=3):
    """An SVG by Matplotlib, in the palette's colours, with a clipped line."""
    figure = matplotlib.figure.Figure(facecolor=PALETTE["paper"][0])
    axes = figure.subplots()
    axes.plot(range(points), color=PALETTE["c0"][0], marker="o")
    axes.plot([2, 1], color="#123456")
    axes.text(1, 1, "black text")
    file = io.StringIO()
    figure.savefig(file, format="svg")
    return file.getvalue()


def inline(text, alt="", prefix="f1", letters=None):
    """The drawing as the page has it: (its text, its parsed tree)."""
    text = svg.inline(text, alt, prefix, PALETTE,
                      {} if letters is None else letters)
    return text, BeautifulSoup(text, "html.parser").svg


def references(text):
    """The ids that a drawing refers to."""
    return set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))


def ids(tree):
    """The ids that a drawing defines."""
    return {tag["id"] for tag in tree.find_all(id=True)}


def test_a_drawing_is_inlined_and_follows_the_theme():
    text, tree = inline(drawing(), 'One "line"')
    assert tree["role"] == "img" and tree["aria-label"] == 'One "line"'
    assert "viewbox" in tree.attrs
    assert "stroke: var(--fig-c0, #0a63b0)" in text and "#123456" in text
    assert not re.search(r"(?<!, )#0a63b0|<\?xml|<!|<style|<title|metadata|"
                         r"xmlns|xlink|ns0", text)
    assert ids(tree) == references(text) != set()
    assert all(name.startswith("f1-") for name in ids(tree))
    assert "aria-label" not in inline(drawing())[0]


def test_an_outline_is_defined_once_a_page():
    letters = {}
    first, tree = inline(drawing(), letters=letters)
    second, other = inline(drawing(), prefix="f2", letters=letters)
    assert set(letters.values()) <= ids(tree)
    assert references(second) - ids(other) == set(letters.values())
    assert not ids(tree) & ids(other)
    assert len(second) < len(first)


def test_positions_move_by_less_than_a_hundredth():
    source = drawing(50)
    _, tree = inline(source)
    uses = [[float(number) for pair in re.findall(
        r'<use [^>]*x="([-.\d]+)" y="([-.\d]+)"', text) for number in pair]
        for text in (source, str(tree))]
    assert len(uses[0]) == len(uses[1]) > 100
    assert all(abs(a - b) <= 0.00501 for a, b in zip(*uses))
    assert not re.search(r"\.\d{3}", re.sub(r"scale\(.*?\)", "", str(tree)))


def test_a_style_that_all_members_repeat_stands_once():
    text, tree = inline(drawing(50))
    group = max(tree.find_all("g"), key=lambda group: len(
        group.find_all("use", recursive=False)))
    assert len(group.find_all("use")) == 50
    assert "var(--fig-c0" in group["style"]
    assert not group.select("use[style]")


@pytest.mark.parametrize("style", [
    "opacity: 0.5", "stroke-linecap: square", "fill: red; opacity: 0.5"])
def test_what_members_do_not_inherit_stays_with_them(style):
    text = (f'<svg><g><path d="M0 0" style="{style}"/>'
            f'<path d="M1 1" style="{style}"/></g></svg>')
    assert inline(text)[0].count("style=") == 2


@pytest.mark.parametrize("data, short", [
    ("M 0 267.599512 \nL 512.399292 267.599512 \nL 512.399292 0 \nz \n",
     "M0 267.6h512.4v-267.6z"),
    ("M 1.004 2.006 L 3 4 L 4.5 5.25 L 4 5", "M1 2.01l2 1.99 1.5 1.25-.5-.25"),
    ("M 1 1 Q 2 3 3 1 Q 4 0 5 1", "M1 1q1 2 2 0 1-1 2 0"),
    ("M 0 0 L 9 0 z M 5 5 L 5 6", "M0 0h9zM5 5v1"),
    ("M 1.25 2 A 3.33333 3 0 0 1 5 6", "M 1.25 2 A 3.33 3 0 0 1 5 6"),
    ("", ""),
])
def test_the_data_of_a_path(data, short):
    assert svg.path(data) == short


def test_two_names_for_one_light_colour_are_refused():
    with pytest.raises(ValueError, match="palette"):
        svg.inline("<svg></svg>", "", "a", {
            "x": ("#ffffff", "#000000"), "y": ("#FFFFFF", "#111111")}, {})


def test_the_style_sheet_has_both_themes_and_prints_light():
    sheet = svg.style_sheet({"ink": ("#111111", "#eeeeee")})
    light, dark, paper = sheet.splitlines()
    assert light == ":root { --fig-ink: #111111; }"
    assert dark == 'html[data-theme="dark"] { --fig-ink: #eeeeee; }'
    assert paper.startswith("@media print") and "#111111" in paper

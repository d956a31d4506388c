"""The audit of the built site, and other faults that fail a build.

Oracle: faults planted in a tiny book that the real command builds, one a
page; small pages by hand, one fault each, for the rest.
"""

import re

import pytest
import tiny

from tools import audit

PLANTED = {  # page: (its text, the message)
    "macro": ("Let $\\nosuchmacro x$ be.\n",
              "KaTeX refuses a formula: Undefined control sequence: "
              "\\nosuchmacro"),
    "dollars": ("The price is $$ x^2 = 1\n\nand no more.\n",
                "raw source in the text: $$ x^2 = 1"),
    "label": ("```{label-line} L9-E99\n```\n",
              "label-line 'L9-E99': not an id of book/exercises.yml"),
    "image": ("![](plot.svg)\n", "an image without alternative text"),
    "traceback": (tiny.cell("1 / 0", ":tags: [raises-exception]"),
                  "a traceback in an output"),
    "stderr": (tiny.cell("import sys; print('oops', file=sys.stderr)"),
               "text on stderr in an output: oops"),
}
DRAWN = ('<span class="math"><span class="katex-html"><span>x</span>'
         '<span><span>$$ x $$</span></span></span></span>')
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>'


def test_planted_faults_fail_the_build_and_are_named(tmp_path):
    tiny.book(tmp_path / "book", {"good": "# Good\n", **{
        name: f"# Bad\n\n{text}" for name, (text, _) in PLANTED.items()}})
    tiny.write(tmp_path / "book", "absent", "# Absent\n")
    (tmp_path / "book/book/plot.svg").write_text(SVG)
    (tmp_path / "book/book/exercises.yml").write_text(
        "lectures: []\nexercises: []\n")
    done = tiny.build(tmp_path / "book")
    assert done.returncode == 1, done.stdout
    messages = {name: message for name, (_, message) in PLANTED.items()}
    messages["absent"] = "in no table of contents"
    for name, message in messages.items():
        assert re.search(rf"^book/{name}\.md:.*{re.escape(message)}",
                         done.stdout, re.MULTILINE), done.stdout
    assert "book/good.md:" not in done.stdout


# A site by hand -------------------------------------------------------------

def faults(tmp_path, body, **files):
    """The audit of a site of one page, with other files beside it."""
    site = tmp_path / "_build" / "html"
    site.mkdir(parents=True)
    (site / "page.html").write_text(f"<html><body>{body}</body></html>")
    (tmp_path / "page.md").touch()
    (site / "_static").mkdir()
    (site / "_static/icons.css").write_text(".fa-solid {} .fa-bars {}")
    for name, text in files.items():
        (site / name.replace("_", ".")).write_text(text)
    return audit.audit(site)


def test_a_clean_page_has_no_fault(tmp_path):
    assert faults(
        tmp_path,
        r'<p id="a">It costs $5, or $6. <code>$$ \frac {glue}</code></p>'
        r'<span class="math"><annotation>\frac12 &lt; 1</annotation></span>'
        '<div class="math">x</div><div class="math" id="equation-eq-a"></div>'
        '<div class="exercise" id="ex-a"></div><i class="fa-solid fa-bars">'
        '</i><figure id="fig-a"><svg class="zth-figure" role="img" '
        'aria-label="A line"></svg></figure>'
        '<img src="a.png" alt="A line that falls"><a href="#a">up</a>'
        '<a href="https://example.org/?a=1&amp;b=2">out</a>'
        '<a href="b.html#b">b</a>'
        f'{SVG.replace("<svg", "<svg aria-hidden=true")}'
        '<span aria-hidden="true"><svg></svg></span>',
        a_png="", b_html="<body><p id=b></p></body>",
        **{"404_html": '<base href="/book/"><body><a href="b.html">b</a>'
           '</body>'}) == []


@pytest.mark.parametrize("body, message", [
    ("<p>so $$ x $$</p>", "raw source in the text: $$ x $$"),
    ("<p>so $x_1$ is</p>", "raw source in the text: $x_1$ is"),
    (r"<li>\frac12</li>", r"raw source in the text: \frac12"),
    ("<p>{glue:text}`nll`</p>", "raw source in the text: {glue:text}`nll`"),
    (f"{DRAWN}<p>so $$ y $$</p>", "raw source in the text: $$ y $$"),
    (f"<p>{DRAWN} so $$ y $$ and {DRAWN}</p>",
     "raw source in the text: $$ y $$"),
    ('<pre><span class="k">if</span></pre><p>so $$ y $$</p><pre>1</pre>',
     "raw source in the text: $$ y $$"),
    ('<img src="a.png">', "an image without alternative text: a.png"),
    ('<img src="a.png" alt="a.png">', "an image without alternative text"),
    ('<img src="a.png" alt="b-2.svg">', "an image without alternative text"),
    ("<svg></svg>", "a drawing without alternative text"),
    ('<svg role="img"></svg>', "a drawing without alternative text"),
    ('<div class="output traceback">Ow</div>', "a traceback in an output: Ow"),
    ('<div class="output stderr">Ow</div>', "text on stderr in an output: Ow"),
    ('<span class="xref std pending">t</span>', "an unresolved reference: t"),
    ('<p id="a"></p><p id="a"></p>', "the id a occurs twice"),
    ('<div class="exercise" id="id1">An exercise</div>',
     "the id of 'An exercise' does not begin with ex-"),
    ('<figure id="id1">A figure</figure>',
     "the id of 'A figure' does not begin with fig-"),
    ("<figure>A figure</figure>",
     "the id of 'A figure' does not begin with fig-"),
    ('<div class="math" id="equation-0">x</div>',
     "the id of 'x' does not begin with equation-eq-"),
    ('<svg class="zth-figure" role="img" aria-label="A line"></svg>',
     "a drawing that is no figure: A line"),
    ('<h1>Of <span class="math">n</span></h1>',
     "math in the title of a page: n"),
    ('<i class="fa-solid fa-none"></i>', "no drawing of the icon fa-none"),
    ("<script>'<i class=\"fa-none\">'</script>",
     "no drawing of the icon fa-none"),
    ('<a href="https://a.org/?b=1&amp;amp;t=2">n</a>',
     "an address escaped twice: https://a.org/?b=1&amp;t=2"),
    ('<a href="none.html">n</a>', "a link to nothing: none.html"),
    ('<a href="#none">n</a>', "a link to no such place: #none"),
    ('<a href="b.html#none">n</a>', "a link to no such place: b.html#none"),
    ('<script src="https://a.org/x.js"></script>', "loads from another host"),
    ('<link rel="stylesheet" href="//a.org/x.css">', "another host: //a.org"),
    ('<img src="http://a.org/x.png" alt="A dot">', "loads from another host"),
])
def test_each_fault_is_found(tmp_path, body, message):
    found = faults(tmp_path, body, a_png="", b_html="<body></body>")
    assert len(found) == 1
    assert found[0].startswith("page.md: ") and message in found[0]


def test_style_sheets_load_nothing_from_elsewhere(tmp_path):
    found = faults(tmp_path, "", a_css="@font-face {src: url(//a.org/f.woff)}")
    assert found == ["a.css: loads from another host: //a.org/f.woff"]


def test_the_command_exits_with_1_and_prints_the_faults(tmp_path, capsys):
    faults(tmp_path, "<svg></svg>")
    assert audit.main([tmp_path / "_build" / "html"]) == 1
    assert capsys.readouterr().out == (
        "page.md: a drawing without alternative text\n")
    (tmp_path / "_build/html/page.html").write_text("<body></body>")
    assert audit.main([tmp_path / "_build" / "html"]) == 0

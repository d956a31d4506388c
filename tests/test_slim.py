"""What is dropped from the built site.

Oracle: a small site by hand, in which it is plain what is used.
"""

import re

import pytest

from tools import slim

PAGE = """<html><head><link rel="stylesheet" href="_static/a.css?v=1">
<link rel="stylesheet" href="https://example.org/b.css">
<script src="_static/a.js"></script><script>call("inline-word")</script></head>
<body><p class="one two" id="here" style="color: var(--page)">Text four</p>
<pre><span class="k">def</span> <span class="n">f</span><span class="p">():
</span></pre><span class="n">n</span></body></html>
"""
NAMES = {"one", "two", "here", "three", "--read"}


@pytest.mark.parametrize("css, left", [
    (".one { color: red }", ".one{color: red}"),
    ("p.one > #here:hover, .four { color: red; }",
     "p.one > #here:hover{color: red}"),
    (".four { color: red }", ""),
    (".one .four { color: red }", ""),
    (".one:not(.four) { color: red }", ".one:not(.four){color: red}"),
    (".one:is(.four, p) { color: red }", ".one:is(.four, p){color: red}"),
    ('[class*="four"] { color: red }', '[class*="four"]{color: red}'),
    ("a { color: #four }", "a{color: #four}"),
    ("a { color: red; /* why */\n  margin: 0 1px }",
     "a{color: red;margin: 0 1px}"),
    ("a { --read: 1; --unread: 2 }", "a{--read: 1}"),
    ("a { --unread: 2 }", ""),
    ("a { & b { color: red } }", "a{ & b { color: red } }"),
    ("@media print { .four { color: red } .one { color: red } }",
     "@media print{\n.one{color: red}\n}"),
    ("@media print { @supports (a: b) { .four { color: red } } }", ""),
    ("@font-face { src: url(a.woff2) }", "@font-face { src: url(a.woff2) }"),
    ("@import url(b.css);", "@import url(b.css);"),
    ("/* why */ /*! a licence */", "/*! a licence */"),
    ('a { background: url("data:image/svg+xml,<svg a=\'b;c\'/>") }',
     'a{background: url("data:image/svg+xml,<svg a=\'b;c\'/>")}'),
])
def test_what_is_left_of_a_style_sheet(css, left):
    assert slim.purge(css, NAMES).strip() == left


@pytest.fixture
def site(tmp_path):
    static = tmp_path / "_static"
    for name, text in {
            "a.css": ".one { background: url(a.png) } "
            ".four { background: url(b.png) } .scripted, .inline-word { a: b }"
            ":root { --page: 1; --chain: var(--end); --end: 2 } "
            "/*# sourceMappingURL=a.css.map */",
            "a.js": "add('scripted'); load('c.js')\n"
            "//# sourceMappingURL=a.js.map\n",
            "c.js": "", "d.js": "add('four')", "a.png": "", "b.png": "",
            "a.css.map": "", "a.js.map": "", "vendor/x/LICENSE": "",
            "vendor/x/e.css": "", "fonts/a.woff2": "", "fonts/OFL.txt": "",
            "d.css": "@font-face { src: url(fonts/a.woff2) }",
            }.items():
        (static / name).parent.mkdir(parents=True, exist_ok=True)
        (static / name).write_text(text)
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/page.html").write_text(
        '<link rel="stylesheet" href="../_static/d.css">')
    slim.slim(tmp_path)
    return tmp_path


def test_what_is_left_of_a_site(site):
    left = {path.relative_to(site / "_static").as_posix()
            for path in (site / "_static").rglob("*")}
    assert left == {"a.css", "a.js", "c.js", "a.png", "d.css", "fonts",
                    "fonts/a.woff2", "fonts/OFL.txt"}
    assert (site / "_static/a.css").read_text() == (
        ".one{background: url(a.png)}\n.scripted,.inline-word{a: b}\n"
        ":root{--page: 1}\n")
    assert "sourceMappingURL" not in (site / "_static/a.js").read_text()


def test_pages_name_the_sheets_by_their_content(site):
    text = (site / "page.html").read_text()
    assert re.search(r'href="_static/a\.css\?v=[0-9a-f]{8}"', text)
    assert 'href="https://example.org/b.css"' in text
    assert "../_static/d.css?v=" in (site / "in/page.html").read_text()


def test_code_keeps_the_marks_that_have_a_colour(site):
    text = (site / "page.html").read_text()
    assert '<pre><span class="k">def</span> f():\n</pre>' in text
    assert '<span class="n">n</span></body>' in text

"""The built site in a real browser, and the checks that look at it.

Oracle: Chromium itself, axe-core, and the contrast formula of WCAG 2.2; each
check passes a page by hand and names each fault planted in it. The site is
what `make book` left in `_build/html`. Without one, with sources newer than
it, or without Chromium, the tests skip and say what to do.
"""

from functools import partial
from pathlib import Path

import browser
import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
PAGES = [page for page in browser.pages(SITE)
         if page != "404.html"]  # it has no theme to switch: test_share
SOURCES = ["book/*.*", "book/[!.]*/**/*.*", "zth/**/*.py", "tools/*.py",
           "_config.yml", "_toc.yml"]
WIDE, NARROW = ({"width": width, "height": 800} for width in (1280, 360))
FIRST, CHAPTER = "book/index.html", "book/02-bigrams/trigram.html"
QUERIES = {  # what a reader types: the page that should answer
    "backpropagation": "01-micrograd/index",
    "two moons": "01-micrograd/training",
    "dual number": "01-micrograd/forward-mode",
    "trigram": "02-bigrams/trigram",
    "shuffle": "02-bigrams/splits",
    "Kneser-Ney": "02-bigrams/smoothing",
    "one-hot": "02-bigrams/indexing",
    "softmax": "02-bigrams/cross-entropy",
    "underflow": "02-bigrams/cross-entropy",
    "WaveNet": "06-wavenet/index",
    "faster device": "02-bigrams/devices",
    "GPU": "07-gpt/modern",
    "learning rate": "03-mlp/index",
    "saddle": "04-batchnorm/zeros",
    "fold batch norm": "04-batchnorm/folding",
}


@pytest.fixture(scope="module")
def chromium():
    path = browser.chromium()
    if not path:
        pytest.skip("no Chromium: install it (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path)


@pytest.fixture(scope="module")
def site():
    """The address of the built site."""
    if not PAGES:
        pytest.skip("no site in _build/html: run make book first")
    built = (SITE / "index.html").stat().st_mtime
    for path in [path for pattern in SOURCES for path in ROOT.glob(pattern)]:
        if path.is_file() and path.stat().st_mtime > built:
            pytest.skip(f"{path.relative_to(ROOT)} is newer than the site in "
                        "_build/html: run make book first")
    with browser.serve(SITE) as home:
        yield home


# The site -------------------------------------------------------------------

@pytest.mark.parametrize("path", PAGES or ["any page"])
def test_page(chromium, site, path):
    """Wide and narrow, in light and dark, one after the other.

    Printed before a fold is opened, and thinned out by axe at the end, whose
    colours depend on the theme and whose other rules do not. The theme's own
    pages, an index and a search, are not for paper.
    """
    found = []
    prints = [browser.printed] if path.startswith("book/") else []
    colours = partial(browser.axe, **browser.COLOUR)

    def check(setting, *checks):
        found.extend(browser.faults(f"{path}, {setting}", page, checks))

    with browser.visit(chromium, site, path) as page:
        check("wide, light", browser.weight, browser.math, browser.figures,
              browser.still)
        browser.switch(page)
        check("wide, dark", browser.figures, *prints)
        browser.switch(page)
        check("wide, light", browser.folds, browser.sideways)
        page.set_viewport_size(NARROW)
        check("narrow, light", browser.figures, browser.sideways)
        browser.switch(page)
        check("narrow, dark", browser.figures, browser.sideways)
        page.set_viewport_size(WIDE)
        check("wide, dark", browser.sideways, colours)
        browser.switch(page)
        check("wide, light", colours, browser.axe_closed)
        page.set_viewport_size(NARROW)
        check("narrow, light", partial(browser.axe, **browser.SHAPE))
        check("any setting", browser.quiet)
    assert found == []


@pytest.mark.parametrize("path", [FIRST, CHAPTER])
def test_page_loaded_narrow_and_dark(chromium, site, path):
    with browser.visit(chromium, site, path, 360, "dark") as page:
        assert browser.faults(path, page, [
            browser.quiet, browser.math, browser.figures, browser.still,
            browser.folds, browser.sideways]) == []


@pytest.mark.parametrize("path", PAGES or ["any page"])
def test_page_without_scripts(chromium, site, path):
    with browser.visit(chromium, site, path, scripts=False) as page:
        assert browser.faults(path, page, [browser.readable]) == []


def test_a_narrow_page_without_scripts_leads_to_all_others(chromium, site):
    with browser.visit(chromium, site, CHAPTER, 360, scripts=False) as page:
        page.get_by_text("All pages", exact=True).click()
        page.wait_for_url(site + FIRST)
        assert page.locator("article a[href='02-bigrams/trigram.html']").count()


def test_the_root_leads_to_the_first_page(chromium, site):
    with browser.visit(chromium, site, "") as page:
        page.wait_for_url(site + FIRST)


def test_search_says_what_it_finds(chromium, site):
    with browser.visit(chromium, site, "search.html?q=trigram") as page:
        page.get_by_text("Take two characters and predict the third").wait_for()
        said = page.locator("#search-results li > p")
        assert said.count() == page.locator("#search-results li").count()


def test_search_finds(chromium, site):
    with browser.visit(chromium, site, FIRST) as page:
        assert [fault for query, name in QUERIES.items()
                for fault in browser.search(
                    page, query, f"book/{name}.html")] == []


def test_the_button_for_colours_says_which(chromium, site):
    with browser.visit(chromium, site, FIRST) as page:
        button, said = page.locator(".theme-switch-button").first, []
        for _ in range(3):
            said.append(button.get_attribute("aria-label"))
            button.click()
            page.wait_for_timeout(100)
        assert sorted(said) == [
            "Colours: dark", "Colours: light", "Colours: the system's"]


@pytest.mark.parametrize("width, shown", [(1280, True), (360, False)])
def test_the_button_for_the_pages_says_whether_they_show(
        chromium, site, width, shown):
    with browser.visit(chromium, site, FIRST, width) as page:
        button = page.locator(".primary-toggle")
        for there in (shown, not shown, shown):
            page.locator(".bd-sidebar-primary").wait_for(
                state="visible" if there else "hidden")
            assert button.get_attribute("aria-expanded") == (
                "true" if there else "false")
            button.evaluate("button => button.click()")


@pytest.mark.parametrize("path", [FIRST, "search.html"])
def test_nothing_covers_a_query(chromium, site, path):
    with browser.visit(chromium, site, path) as page:
        page.keyboard.press("Control+k")
        icon, query = (box.bounding_box() for box in page.locator(
            ".bd-search:visible").locator("i, input").all())
        assert icon["x"] + icon["width"] <= query["x"]


@pytest.mark.parametrize("path", [FIRST, CHAPTER])
def test_from_disk(chromium, site, path):
    with browser.visit(chromium, f"{SITE.as_uri()}/", path) as page:
        assert browser.faults(path, page, [
            browser.math, browser.folds, browser.readable]) == []
        assert [*browser.search(page, "trigram", CHAPTER)] == []


# The checks -----------------------------------------------------------------

GOOD = """<!doctype html>
<html lang="en" data-theme="light"><head><meta charset="utf-8">
<title>A page</title><link rel="icon" href="data:,">
<style>
html { --ink: #1f2430; --paper: #ffffff; --fig-grid: #d9dce2; }
html[data-theme="dark"] {
  --ink: #e6e4e0; --paper: #121212; --fig-grid: #383d47; }
body { background: var(--paper); color: var(--ink); font-size: 16px; }
pre { overflow-x: auto; }
svg { fill: var(--ink); stroke: none; }
.toggle-hidden > .admonition-title ~ * { display: none; }
@media print { pre { white-space: pre-wrap; } }
</style></head><body><main><article>
<h1>A page</h1>
<p>It costs $5. So <span class="math"><span class="katex"><span
class="katex-html">x</span></span></span> is <code>$$ 5 $$</code>.</p>
<pre tabindex="0">""" + "a long line of code " * 20 + """</pre>
<details><summary>Show the code</summary><p>The code</p></details>
<div class="admonition dropdown"><p class="admonition-title">Hint <button
class="toggle-button" aria-expanded="false" aria-label="Show">+</button></p>
<p>The hint</p></div>
<figure><svg class="zth-figure" role="img" aria-label="A line" width="90"
height="90">
<path d="M0 0H90V90H0z" style="fill: var(--paper)"/>
<path d="M9 80H80" style="fill: none; stroke: var(--fig-grid)"/>
<path d="M9 9L80 80" style="fill: none; stroke: var(--ink)"/>
<defs><path id="A" d="M0 0H4000V4000H0z" transform="scale(0.015625)"/>
<path id="dot" d="M0 0H5V5H0z"/></defs>
<use href="#dot" x="40" y="40" style="fill: var(--ink)"/>
<g style="fill: var(--ink)" transform="translate(50 20) scale(0.1 0.1)">
<use href="#A"/></g>
<g><path d="M60 60h5v5h-5z" style="fill: #fde725"/><path
d="M65 60h5v5h-5z" style="fill: #20928c"/><path
d="M70 60h5v5h-5z" style="fill: #482071"/></g>
</svg></figure>
</article><button class="theme-switch-button">Theme</button></main>
<script>
const root = document.documentElement, button = document.querySelector(
  '.toggle-button'), hint = button.closest('.admonition');
const other = () => root.dataset.theme === 'dark' ? 'light' : 'dark';
hint.classList.add('toggle-hidden');
button.onclick = () => button.ariaExpanded =
  !hint.classList.toggle('toggle-hidden');
document.querySelector('.theme-switch-button').onclick =
  () => root.dataset.theme = other();
if (matchMedia('(prefers-color-scheme: dark)').matches)
  root.dataset.theme = 'dark';
const restore = [];
onbeforeprint = () => {
  if (button.ariaExpanded !== 'true') button.click(), restore.push(button);
  if (root.dataset.theme === 'dark') root.dataset.theme = 'light',
    restore.push(document.querySelector('.theme-switch-button'));
};
onafterprint = () => { while (restore.length) restore.pop().click(); };
</script></body></html>"""
CHECKS = [browser.quiet, browser.math, browser.figures, browser.weight,
          browser.printed, browser.still, browser.folds, browser.sideways,
          browser.axe, browser.axe_closed]
END, LAST, STYLE, FIGURE = "</article>", "</body>", "</style>", "</figure>"
PLANTED = {"light": {  # check: what is replaced in the good page, by what, and
    # the message; a closing tag stays, after what is planted
    browser.quiet: [
        (LAST, "<script>console.error('oh')</script>",
         "error in the console: oh"),
        (LAST, "<script>console.warn('oh')</script>",
         "warning in the console: oh"),
        (LAST, "<script>throw Error('oh')</script>", "a script throws: oh"),
        (END, '<img src="none.png" alt="A dot">',
         "a request fails: none.png: 404"),
        (LAST, '<script src="//example.org/a.js"></script>',
         "asks another host: http://example.org/a.js"),
    ],
    browser.math: [
        ('"katex-html"', '"other"', "a formula is not rendered: x"),
        ('"katex-html"', '"katex-html katex-error"',
         "a formula is not rendered: x"),
        ('"katex-html">x', r'"katex-html">\foo',
         r"a formula is not rendered: \foo"),
        ("costs $5", "costs $$5", "raw source: $$5. So"),
        ("costs $5", r"costs \frac12", r"raw source: \frac12. So"),
        ("costs $5", r"costs \(5", r"raw source: \(5. So"),
        ("costs $5", "costs {glue:text}`a`", "raw source: {glue:text}`a`"),
    ],
    browser.figures: [
        ('aria-label="A line"', "", "a figure has no name"),
        (FIGURE, '<svg class="zth-figure" aria-label="A dot"></svg>',
         "a figure is shown 2 times"),
        (STYLE, "figure { display: none; }", "a figure is shown 0 times"),
        ('<g style="fill: var(--ink)"', '<g style="fill: #808080"',
         "text at 3.9 : 1, #808080 on #ffffff, in the figure A line"),
        ('<g style="fill: var(--ink)"',
         '<path d="M40 10H80V40H40z" style="fill: #1f2430"/>'
         '<g style="fill: #1f2430"', "text at 1.0 : 1, #1f2430 on #1f2430"),
        ('<g style="fill: var(--ink)"',
         '<text x="9" y="30" style="fill: #808080">Text</text><g',
         "text at 3.9 : 1"),
        ("stroke: var(--ink)", "stroke: #aaaaaa",
         "a line or marker at 2.3 : 1, #aaaaaa on #ffffff"),
        ("stroke: var(--ink)", "opacity: 0.3; stroke: #000000",
         "a line or marker at 2.1 : 1"),
        ("stroke: var(--fig-grid)", "stroke-width: 3; stroke: #d9dce2",
         "a line or marker at 1.4 : 1"),
        ('y="40" style="fill: var(--ink)"', 'y="40" style="fill: #aaaaaa"',
         "a line or marker at 2.3 : 1"),
    ],
    browser.weight: [
        (LAST, '<script src="large.js"></script>',
         "a first view loads 703 kB, 700 at most: large.js 700, page.html 3"),
    ],
    browser.still: [
        (STYLE, "html[data-theme=dark] figure { padding-left: 3px; }",
         "a figure moves with the theme"),
        (STYLE, "html[data-theme=dark] svg { width: 99px; }",
         "a figure moves with the theme"),
        ('"theme-switch-button"', '"other"', "no button switches the theme"),
    ],
    browser.folds: [
        ("<summary>", '<summary tabindex="-1">',
         "Tab does not reach fold 1, Show the code"),
        ("button.onclick =", "button.ondblclick =",
         "Enter does not open fold 2, Hint"),
        (STYLE, "details p { opacity: 0; }",
         "Enter does not open fold 1, Show the code"),
        ('aria-label="Show">+', ">", "no name for fold 2, Hint"),
        (END, '<div class="admonition dropdown">Hint 2</div>',
         "a fold has no handle: Hint 2"),
        (END, '<div class="cell tag_hide-input">x = 1</div>',
         "a fold has no handle: x = 1"),
    ],
    browser.sideways: [
        (END, f"<p>{'a' * 400}</p>", "scrolls sideways: "),
        (STYLE, "body { overflow: hidden; } details { width: 3000px; }"
         "details p { text-align: right; }",
         "sticks out of article: The code"),
        ("pre { overflow-x: auto; }", "pre { overflow-x: hidden; }",
         "pre cuts off: a long line of code"),
        (END, '<p style="height: 9px; overflow: hidden">A p</p>',
         "p cuts off below, "),
    ],
    browser.axe: [
        (' lang="en"', "", "axe, html-has-lang (serious)"),
        (STYLE, "details p { color: #999; }", "axe, color-contrast (serious)"),
        ("<pre tabindex", '<pre><span style="color: #999">def</span>'
         '<span style="color: #999">end</span></pre><pre tabindex',
         "axe, color-contrast (serious)"),
        ('"katex-html">', '"katex-html" style="color: #999">sin',
         "axe, color-contrast (serious)"),
    ],
    browser.axe_closed: [
        ("Show the code", "<style>details:not([open]) i { display: none; }"
         "</style><i>Show the code</i>", "axe, summary-name (serious)"),
    ],
    browser.printed: [
        (STYLE, "@media print { p { background: #444; color: white; } }",
         "p is printed on #444444"),
        (STYLE, "@media print { h1 { color: #aaa; } }",
         "faint, at 2.3 : 1, #aaaaaa on #ffffff: A page"),
        ("onbeforeprint", "oncancel", "not printed: Hint"),
        ("pre-wrap", "pre", "pre is cut off on paper, by "),
    ],
    browser.readable: [
        (STYLE, "article > p { display: none; }", "not shown, p: It costs $5"),
        (STYLE, ".math { visibility: hidden; }", "not shown, span: x"),
        (STYLE, "svg { height: 0; }", "not shown, svg: A line"),
        (STYLE, ".dropdown p + p { opacity: 0; }", "not shown, p: The hint"),
        (STYLE, "summary { display: none; }", "not shown, summary: Show"),
        (STYLE, "h1 { color: #aaa; }", "faint, at 2.3 : 1"),
    ],
}, "dark": {
    browser.figures: [
        ("stroke: var(--ink)", "stroke: #1f2430",
         "a line or marker at 1.2 : 1, #1f2430 on #121212"),
        ('<g style="fill: var(--ink)"', '<g style="fill: #0a63b0"',
         "text at 3.1 : 1, #0a63b0 on #121212"),
        ("fill: var(--paper)", "fill: #ffffff",
         "a line or marker at 1.3 : 1, #e6e4e0 on #ffffff"),
    ],
    browser.printed: [
        ("onbeforeprint", "oncancel", "main is printed on #121212"),
    ],
}}


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_good_page_has_no_fault(chromium, tmp_path, width, theme):
    (tmp_path / "page.html").write_text(GOOD)
    with browser.serve(tmp_path) as home, browser.visit(
            chromium, home, "page.html", width, theme) as page:
        assert browser.faults("page", page, CHECKS) == []


def test_a_good_page_is_readable_without_scripts(chromium, tmp_path):
    (tmp_path / "page.html").write_text(GOOD)
    with browser.serve(tmp_path) as home, browser.visit(
            chromium, home, "page.html", scripts=False) as page:
        assert browser.faults("page", page, [browser.readable]) == []


@pytest.mark.parametrize("theme, check", [
    pytest.param(theme, check, id=f"{check.__name__}-{theme}")
    for theme, planted in PLANTED.items() for check in planted])
def test_each_fault_is_found(chromium, tmp_path, theme, check):
    checks = {browser.axe_closed: [browser.axe]}.get(check, []) + [check]
    (tmp_path / "page.html").write_text(GOOD)
    (tmp_path / "large.js").write_text("/" * 700_000)
    with browser.serve(tmp_path) as home, browser.visit(
            chromium, home, "page.html", theme=theme,
            scripts=check is not browser.readable) as page:
        for old, new, message in PLANTED[theme][check]:
            assert GOOD.count(old) == 1
            if old in (END, LAST, STYLE, FIGURE):
                new += old
            (tmp_path / "page.html").write_text(GOOD.replace(old, new))
            page.reload()
            found = browser.faults("page", page, checks)
            assert f"page: {message}" in "\n".join(found)


def test_a_page_that_search_does_not_find(chromium, tmp_path):
    (tmp_path / "search.html").write_text("""<form><input name="q"></form>
        <script>onkeydown = event => {
          if (event.ctrlKey && event.key === 'k')
            event.preventDefault(), document.querySelector('input').focus();
        }</script><p class="search-summary">Found</p><ol id="search-results">
        <li><a href="a.html">A</a><li><a href="b.html#b">B</a>
        <li><a href="c.html">C</a></ol>""")
    with browser.serve(tmp_path) as home, browser.visit(
            chromium, home, "search.html") as page:
        assert [*browser.search(page, "word", "b.html")] == []
        assert [*browser.search(page, "word", "c.html")] == [
            "searching for 'word' finds a.html, b.html, c.html, not c.html"]


def test_the_pages_of_a_site(tmp_path):
    (tmp_path / "_static").mkdir()
    for name, text in {"a.html": "A", "_static/b.html": "B", "index.html":
                       '<meta http-equiv="Refresh" content="0; url=a.html">'
                       }.items():
        (tmp_path / name).write_text(text)
    assert browser.pages(tmp_path) == ["a.html"]

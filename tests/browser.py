"""What a reader's browser makes of a site: checks that yield its faults.

    with serve(site) as home, visit(chromium, home, "book/index.html") as page:
        print(*faults("book/index.html", page, [quiet, math]), sep="\\n")

A check takes a Playwright page that has loaded and yields its faults. Some
change the page: `folds` opens every fold, as `sideways` and `axe` do, and
`axe` thins the page out and comes last.
"""

import contextlib
import functools
import http.server
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from axe_playwright_python.base import AXE_SCRIPT

from tools import audit

NAMES = ("chromium", "chromium-browser", "google-chrome")
RAW = re.compile(audit.RAW.pattern + r"|\\[()\[\]]")
VIEW = 700_000  # bytes of a first view, uncompressed
COLOUR = {"runOnly": ["color-contrast"]}
SHAPE = {"rules": {"color-contrast": {"enabled": False}}}
PAPER = 717  # CSS pixels between the margins of a printed A4 page

# What the checks share. Colours are [red, green, blue, alpha], up to 255 and
# alpha up to 1. A box of one pixel is how text is kept for screen readers.
SHARED = r"""
const all = (selector, within = document) =>
  [...within.querySelectorAll(selector)];
const visible = element => element.checkVisibility(
  {opacityProperty: true, visibilityProperty: true});
const short = text => {
  const signs = [...text.replace(/\s+/g, ' ').trim()];
  return signs.length > 50 ? signs.slice(0, 49).join('') + '…'
    : signs.join('');
};
const name = element => short(
  element.getAttribute('aria-label') ?? element.getAttribute('alt')
  ?? element.innerText ?? '');
const title = element => element.localName + [...element.classList].map(
  name => '.' + name).join('');
const colour = text => {
  const numbers = (text.match(/-?[\d.]+(e-?\d+)?/g) ?? [0, 0, 0, 0]).map(
    Number);
  const unit = text.startsWith('color(') ? 255 : 1;
  return [...numbers.slice(0, 3).map(part => part * unit), numbers[3] ?? 1];
};
const over = (front, back) => [0, 1, 2].map(
  i => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
const background = (element, known = new Map()) => {
  if (!element) return [255, 255, 255, 1];
  if (!known.has(element)) known.set(element, over(
    colour(getComputedStyle(element).backgroundColor),
    background(element.parentElement, known)));
  return known.get(element);
};
const luminance = rgb => {
  const [red, green, blue] = rgb.slice(0, 3).map(part => part / 255).map(
    part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort(
    (a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const hex = rgb => '#' + rgb.slice(0, 3).map(
  part => Math.round(part).toString(16).padStart(2, '0')).join('');
const faint = (element, known) => {
  const back = background(element, known);
  const ink = over(colour(getComputedStyle(element).color), back);
  const ratio = contrast(ink, back);
  return ratio < 4.5 && `faint, at ${ratio.toFixed(1)} : 1, ${hex(ink)} on `
    + `${hex(back)}: ${short(element.textContent)}`;
};
const article = () => document.querySelector('article')
  ?? document.querySelector('main');
const folds = () => all('summary, button.toggle-button');
const isOpen = fold => fold.localName === 'summary'
  ? fold.parentElement.open : fold.ariaExpanded === 'true';
const folded = fold => fold.localName === 'summary'
  ? all(':scope > :not(summary)', fold.parentElement)
  : all(':scope > :not(.admonition-title)', fold.closest('.admonition'));
const unfold = () => folds().filter(fold => !isOpen(fold)).forEach(
  fold => fold.click());
const drawings = () => all('article svg.zth-figure, article img');
const settled = () => {
  for (const animation of document.getAnimations())
    if (animation.effect.getComputedTiming().endTime < Infinity)
      animation.finish();
  return document.fonts.ready;
};
"""


# The site and the browser ---------------------------------------------------

def chromium():
    """The path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def pages(site):
    """The site's pages as addresses from its root; not those that forward."""
    return [path.relative_to(site).as_posix()
            for path in sorted(site.rglob("*.html"))
            if "_static" not in path.relative_to(site).parts
            and 'http-equiv="Refresh"' not in path.read_text("utf-8")]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(site):
    """Serve a folder on localhost; its address, which ends in a slash."""
    handler = functools.partial(Quiet, directory=site)
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    server.handle_error = lambda *_: None  # a page that is left breaks off
    threading.Thread(target=server.serve_forever, args=[0.01]).start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def visit(browser, home, path, width=1280, theme="light", scripts=True):
    """A page as on a first visit: nothing cached, nothing remembered.

    Whatever lies outside home, an address that ends in a slash, is refused.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=theme,
        java_script_enabled=scripts)
    try:
        outside = re.compile(f"^(?!{re.escape(home)})")
        context.route(outside, lambda route: route.abort())
        page = context.new_page()
        page.goto(home + path)
        yield page
    finally:
        context.close()


def faults(name, page, checks):
    """The faults that the checks find on a page: "name: fault" each."""
    return [f"{name}: {fault}" for check in checks
            for fault in dict.fromkeys(check(page))]


def run(page, script, argument=None):
    """The value of a script that may use what the checks share."""
    return page.evaluate(
        f"async argument => {{ {SHARED} {script} }}", argument)


def host(page):
    """Where the page comes from: its host, or the file system."""
    parts = urlsplit(page.url)
    return f"{parts.scheme}://{parts.netloc}/"


# What every page owes its readers -------------------------------------------

def quiet(page):
    """Errors and warnings in the console, requests that fail or go astray."""
    for message in page.console_messages():
        if message.type in ("error", "warning"):
            yield f"{message.type} in the console: {message.text}"
    for error in page.page_errors():
        yield f"a script throws: {error.message}"
    for request in page.requests():
        url = request.url
        if not url.startswith((host(page), "data:", "blob:")):
            yield f"asks another host: {url}"
        elif request.failure:
            yield f"a request fails: {path_of(url)}: {request.failure}"
        elif (answer := request.response()) and answer.status >= 400:
            yield f"a request fails: {path_of(url)}: {answer.status}"


def path_of(url):
    """The path of an address."""
    return unquote(urlsplit(url).path).removeprefix("/")


def math(page):
    """Formulas that were not rendered, and raw source in the text."""
    texts, wrong = run(page, r"""
      const quiet = 'pre, code, script, style, svg, noscript, .math';
      const texts = [], walker = document.createTreeWalker(
        document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        if (!parent.closest(quiet) && visible(parent))
          texts.push(walker.currentNode.data);
      }
      const wrong = all('.math').filter(math => {
        const formula = math.querySelector('.katex-html');
        return !formula || math.querySelector('.katex-error')
          || /\\[A-Za-z]/.test(formula.textContent);
      });
      return [texts, wrong.map(math => short(math.textContent))];""")
    for formula in wrong:
        yield f"a formula is not rendered: {formula}"
    for text in texts:
        if found := RAW.search(text):
            yield f"raw source: {audit.short(text[found.start():])}"


def sideways(page):
    """A page that scrolls sideways; content cut off or outside its column.

    What is too wide scrolls in a box of its own. Every fold is opened. A fixed
    box, such as a drawer beside the screen, belongs to no column.
    """
    yield from run(page, r"""
      unfold();
      await settled();
      const found = [], root = document.scrollingElement;
      if (root.scrollWidth > root.clientWidth)
        found.push(`scrolls sideways: ${root.scrollWidth} px on a screen of `
                   + root.clientWidth);
      const known = new Map(), range = document.createRange();
      const look = element => {
        if (!known.has(element)) {
          const {display, position, overflowX} = getComputedStyle(element);
          known.set(element, {display, position, overflowX,
            box: element.getBoundingClientRect()});
        }
        return known.get(element);
      };
      const walker = document.createTreeWalker(
        document.querySelector('main'),
        NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const node = walker.currentNode, text = node.nodeType === 3;
        if (!(text ? node.data.trim() : node.matches('img, svg'))) continue;
        const parent = node.parentElement;
        if (!visible(parent) || (!text && parent.closest('svg, .katex')))
          continue;
        range.selectNode(node);
        let {left, right} = range.getBoundingClientRect();
        if (right - left < 1) continue;
        const what = text ? short(
          (parent.closest('.math') ?? node).textContent) : name(node);
        for (let at = parent; at; at = at.parentElement) {
          const {display, position, overflowX, box} = look(at);
          const out = right > box.right + 1 || left < box.left - 1;
          if (position === 'fixed') break;
          if (display === 'inline') continue;
          if (overflowX !== 'visible' && at !== root) {
            if (box.width <= 1) break;
            if (['auto', 'scroll'].includes(overflowX)) {
              left = Math.max(left, box.left);
              right = Math.min(right, box.right);
            } else if (out) {
              found.push(`${title(at)} cuts off: ${what}`);
              break;
            }
          } else if (out && (at.localName === 'article' || at === root)) {
            found.push(`sticks out of ${at.localName}: ${what}`);
            break;
          }
        }
      }
      for (const box of all('main :not(svg *)')) {
        const hidden = box.scrollHeight - box.clientHeight;
        if (hidden > 1 && box.clientHeight > 1 && visible(box)
            && ['hidden', 'clip'].includes(getComputedStyle(box).overflowY))
          found.push(`${title(box)} cuts off below, ${hidden} px: `
                     + short(box.innerText));
      }
      return found;""")


def folds(page):
    """Folds that the keyboard does not reach or open, or that have no name."""
    yield from run(page, r"""
      return all('.admonition.dropdown, .cell[class*="tag_hide-"]').filter(
        box => !box.querySelector('summary, button.toggle-button')
      ).map(box => `a fold has no handle: ${short(box.innerText)}`);""")
    for index in range(run(page, "return folds().length")):
        if run(page, r"""
              const fold = folds()[argument];
              fold.focus();
              return fold === document.activeElement && !isOpen(fold);
              """, index):
            page.keyboard.press("Enter")
    yield from run(page, r"""
      await settled();
      return folds().flatMap((fold, index) => {
        const box = fold.closest('.admonition') ?? fold.parentElement;
        const what = `fold ${index + 1}, ${short(box.innerText)}`;
        const found = [], shown = folded(fold).every(part => visible(part)
          && part.getBoundingClientRect().height > 0);
        if (fold.tabIndex < 0) found.push(`Tab does not reach ${what}`);
        if (!isOpen(fold) || !shown) found.push(`Enter does not open ${what}`);
        if (!name(fold)) found.push(`no name for ${what}`);
        return found;
      });""")


def axe(page, **options):
    """What axe-core finds serious or critical with every fold open.

    The options are axe-core's own, as `SHAPE` and `COLOUR`. Elements of one
    look in code and formulas are examined once, and drawings are left to
    `figures`: a page has thousands of them.
    """
    run(page, r"""
      unfold();
      await settled();
      const seen = new Set(), known = new Map();
      const looks = all('pre span, .katex').map(element => {
        const {color, fontSize, fontWeight} = getComputedStyle(element);
        return [element, [element.matches('.katex'), color, fontSize,
          fontWeight, background(element, known)].join(),
          element.closest('.katex-display')?.scrollWidth];
      });
      for (const [element, look, width] of looks) {
        if (!seen.has(look)) seen.add(look);
        else if (element.matches('.katex')) {
          const stub = document.createElement('span');
          stub.style = `display: inline-block; width: ${width ?? 9}px`;
          element.replaceChildren(stub);
        } else element.replaceWith(...element.childNodes);
      }
      for (const text of all('pre')) text.normalize();
      for (const drawing of all('svg.zth-figure')) drawing.replaceChildren();
      """)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    yield from violations(page, options)


def axe_closed(page):
    """What axe-core finds with every fold closed, colours apart, after `axe`.

    No colour is seen in closed folds alone.
    """
    run(page, r"""
      folds().filter(isOpen).forEach(fold => fold.click());
      await settled();""")
    yield from violations(page, SHAPE)


def violations(page, options):
    """What axe-core, once loaded, finds serious or critical."""
    found = page.evaluate("options => axe.run(document, options)",
                          {"resultTypes": ["violations"], **options})
    for violation in found["violations"]:
        if violation["impact"] in ("serious", "critical"):
            for node in violation["nodes"]:
                why = node["failureSummary"].splitlines()[1].strip()
                yield (f"axe, {violation['id']} ({violation['impact']}): "
                       f"{why}: {node['target'][0]}")


# Figures --------------------------------------------------------------------

def figures(page):
    """Drawings that are not there once, have no name, or are too faint.

    Text has to reach 4.5 : 1 against what lies under it, lines and markers
    3 : 1 against the page, or the shape that covers it. Exempt are thin lines
    in the palette's colour for grids, shapes in the page's colour, and the
    cells of a colour map: a group of paths without strokes, filled with three
    colours or more.
    Matplotlib writes text as <use> of glyphs defined 64 times as large.
    """
    yield from run(page, r"""
      const found = [], shown = new Map();
      for (const drawing of drawings()) {
        const frame = drawing.closest('figure') ?? drawing.parentElement;
        const there = visible(drawing)
          && drawing.getBoundingClientRect().height > 0;
        shown.set(frame, (shown.get(frame) ?? 0) + there);
        if (!name(drawing)) found.push('a figure has no name');
      }
      for (const [frame, count] of shown)
        if (count !== 1) found.push(
          `a figure is shown ${count} times: ${short(frame.textContent)}`);

      const shapes = 'path, use, rect, circle, ellipse, line, polyline, '
        + 'polygon, text';
      const grid = colour(getComputedStyle(document.body).getPropertyValue(
        '--fig-grid').trim().replace(/^#(..)(..)(..)$/, (_, ...parts) =>
        'rgb(' + parts.slice(0, 3).map(part => parseInt(part, 16)) + ')'));
      const maps = new Map();
      const isMap = group => {
        if (!maps.has(group)) maps.set(group, cellsOf(group));
        return maps.get(group);
      };
      const cellsOf = group => {
        const cells = [...group.children].map(cell => cell.localName === 'path'
          && !cell.style.stroke && cell.style.fill);
        return cells.every(fill => fill)
          && new Set(cells.filter(fill => fill !== 'none')).size > 2;
      };
      const inside = (shape, x, y) => {
        if (!shape.isPointInFill) return false;
        const point = new DOMPoint(x, y).matrixTransform(
          shape.getScreenCTM().inverse());
        return shape.isPointInFill(point);
      };
      for (const drawing of all('article svg.zth-figure').filter(visible)) {
        const whole = drawing.getBoundingClientRect();
        let paper = background(drawing);
        const faint = new Set(), areas = [];
        for (const shape of all(shapes, drawing)) {
          if (shape.closest('defs, clipPath')) continue;
          const style = getComputedStyle(shape);
          const origin = shape.localName === 'use' ? document.getElementById(
            shape.getAttribute('href').slice(1)) : shape;
          let opacity = 1;
          for (let at = shape; at !== drawing; at = at.parentElement)
            opacity *= getComputedStyle(at).opacity;
          const paint = key => {
            const own = origin.style[key] ? getComputedStyle(origin) : style;
            if (own[key] === 'none') return null;
            const [r, g, b, a] = colour(own[key]);
            const alpha = a * own[key + 'Opacity'] * opacity;
            return alpha > 0 ? [r, g, b, alpha] : null;
          };
          const fill = paint('fill');
          const stroke = parseFloat(style.strokeWidth) ? paint('stroke')
            : null;
          const text = shape.localName === 'text'
            || origin?.getAttribute('transform') === 'scale(0.015625)';
          const box = shape.getBoundingClientRect();
          const x = box.x + box.width / 2, y = box.y + box.height / 2;
          if (text) {
            if (!fill || !box.width) continue;
            const below = areas.filter(([area, edge]) => edge.left <= x
              && x <= edge.right && edge.top <= y && y <= edge.bottom
              && inside(area, x, y)).reduce(
              (back, [, , front]) => over(front, back), paper);
            const ink = over(fill, below), ratio = contrast(ink, below);
            if (ratio < 4.5) faint.add(`text at ${ratio.toFixed(1)} : 1, `
              + `${hex(ink)} on ${hex(below)}`);
            continue;
          }
          if (fill && box.width >= whole.width - 1
              && box.height >= whole.height - 1) paper = over(fill, paper);
          else if (fill && shape.localName !== 'use') areas.push(
            [shape, box, fill]);
          const isGrid = stroke && !fill && parseFloat(style.strokeWidth) <= 1
            && hex(stroke) === hex(grid);
          const isPaper = fill && !stroke && hex(over(fill, paper))
            === hex(paper);
          if (isGrid || isPaper || isMap(shape.parentElement)) continue;
          const inks = [fill, stroke].filter(ink => ink).map(
            ink => over(ink, paper));
          const ratios = inks.map(ink => contrast(ink, paper));
          if (inks.length && Math.max(...ratios) < 3) faint.add(
            `a line or marker at ${Math.max(...ratios).toFixed(1)} : 1, `
            + `${inks.map(hex).join(' and ')} on ${hex(paper)}`);
        }
        for (const fault of faint)
          found.push(`${fault}, in the figure ${name(drawing)}`);
      }
      return found;""")


def switch(page):
    """Switch the theme as a reader does; whether there is a button that does.

    The button goes from theme to theme, one of which is the system's own.
    """
    return run(page, r"""
      const before = document.documentElement.dataset.theme;
      for (let i = 0; i < 3; i++) {
        document.querySelector('.theme-switch-button')?.click();
        if (document.documentElement.dataset.theme === before) continue;
        await settled();
        return true;
      }
      return false;""")


def still(page):
    """Figures that move or change size when the reader switches the theme."""
    boxes = r"""
      await settled();
      return drawings().map(drawing => {
        const box = drawing.getBoundingClientRect();
        return [name(drawing), box.x, box.y + scrollY, box.width, box.height];
      });"""
    before = run(page, boxes)
    if not switch(page):
        yield "no button switches the theme"
    for old, new in zip(before, run(page, boxes), strict=True):
        if old != new:
            yield (f"a figure moves with the theme, from {old[1:]} to "
                   f"{new[1:]}: {old[0]}")
    switch(page)


# Other ways to read ---------------------------------------------------------

def weight(page):
    """A first view of more than `VIEW` bytes, with its largest files."""
    sizes = {}
    for request in page.requests():
        if answer := request.response():
            sizes[path_of(request.url)] = int(
                answer.headers.get("content-length", 0))
    if (total := sum(sizes.values())) > VIEW:
        largest = sorted(sizes, key=sizes.get, reverse=True)
        listed = ", ".join(f"{name} {sizes[name] / 1000:,.0f}"
                           for name in largest[:12])
        yield (f"a first view loads {total / 1000:,.0f} kB, "
               f"{VIEW / 1000:,.0f} at most: {listed}")


def readable(page):
    """What the article holds and does not show, or shows too faintly.

    Only a closed <details> may hide something: it opens without a script.
    """
    yield from run(page, r"""
      const found = [], known = new Map();
      for (const element of all('p, li, dt, dd, h1, h2, h3, pre, td, th, '
                                + 'summary, .math', article()).concat(
                                  drawings())) {
        const drawing = drawings().includes(element);
        const details = element.closest('details:not([open])');
        if (details && element.localName !== 'summary') continue;
        if (element.closest('summary, .katex') && element.localName
            !== 'summary') continue;
        if (!drawing && !element.textContent.trim()) continue;
        if (element.matches('.only-light, .only-dark')) continue;
        const box = element.getBoundingClientRect();
        const what = `${element.localName}: `
          + (short(element.textContent) || name(element));
        if (!visible(element) || box.width < 1 || box.height < 1)
          found.push(`not shown, ${what}`);
        else if (!drawing && faint(element, known))
          found.push(faint(element, known));
      }
      return found;""")


def printed(page):
    """Dark boxes, closed folds, faint text and clipped content on paper.

    Folded code may stay folded; hints and solutions may not.
    """
    size = page.viewport_size
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    yield from run(page, r"""
      dispatchEvent(new Event('beforeprint'));
      await settled();
      const found = [], known = new Map();
      for (const fold of folds()) {
        const box = fold.closest('.admonition');
        if (box?.matches(':not(.hide)') && !folded(fold).every(visible))
          found.push(`not printed: ${short(box.textContent)}`);
      }
      for (const box of all('main, main :not(svg *)').filter(visible)) {
        if (box.closest('.katex-mathml')) continue;  // for screen readers
        const back = background(box, known), style = getComputedStyle(box);
        const own = box.localName === 'main'
          || colour(style.backgroundColor)[3] > 0;
        if (own && luminance(back) < 0.8)
          found.push(`${title(box)} is printed on ${hex(back)}`);
        if (style.overflowX !== 'visible' && style.display !== 'inline'
            && box.clientWidth > 1 && box.scrollWidth > box.clientWidth + 1)
          found.push(`${title(box)} is cut off on paper, by `
                     + `${box.scrollWidth - box.clientWidth} px: `
                     + short(box.innerText));
        if ([...box.childNodes].some(node => node.nodeType === 3
            && node.data.trim()) && faint(box, known))
          found.push(faint(box, known));
      }
      return found;""")
    yield from figures(page)
    run(page, "dispatchEvent(new Event('afterprint'));")
    page.emulate_media(media="screen")
    page.set_viewport_size(size)


def search(page, query, wanted):
    """A query, typed as a reader does, whose first two hits lack a page."""
    page.keyboard.press("Control+k")
    page.keyboard.type(query)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelector('.search-summary')?.textContent.trim()")
    root = page.url.partition("search.html")[0]
    hits = [urlsplit(hit.removeprefix(root)).path for hit in run(
        page, "return all('#search-results li > a').map(hit => hit.href)")]
    if wanted not in hits[:2]:
        yield (f"searching for {query!r} finds "
               f"{', '.join(hits[:3]) or 'nothing'}, not {wanted}")

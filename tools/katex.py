"""TeX to HTML: KaTeX, run while the book is built.

Its script is the one that sphinxcontrib-katex ships; its style sheet and its
fonts lie in book/_static/katex. A reader's browser runs none of it.
"""

import functools
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)

# What KaTeX does not trust it would print in red, and raise nothing.
RENDER = r"""
function render(tex, displayMode) {
  const trust = context => {
    throw new katex.ParseError(`${context.command} is not allowed`);
  };
  try {
    return [katex.renderToString(
      tex, {displayMode, trust, strict: "error"}), ""];
  } catch (error) {
    return ["", error.message];
  }
}
"""


@functools.cache
def engine():
    """A JavaScript engine that has read KaTeX."""
    package = Path(find_spec("sphinxcontrib.katex").origin)
    found = MiniRacer()
    found.eval(package.with_name("katex.min.js").read_text("utf-8"))
    found.eval(RENDER)
    return found


@functools.cache
def render(tex, display):
    """The HTML, with MathML in it, of a formula.

    ValueError says why KaTeX refuses it.
    """
    text, fault = engine().call("render", tex, display)
    if fault:
        fault = fault.replace("\u0332", "")  # it underlines the place
        fault = fault.removeprefix("KaTeX parse error: ")
        raise ValueError(" ".join(fault.split()))
    return text


def rendered(node):
    """The HTML of a formula's node; a warning where there is none."""
    try:
        return render(node.astext(), isinstance(node, nodes.math_block))
    except ValueError as error:
        logger.warning("KaTeX refuses a formula: %s", error, location=node)
        return ""


def visit_math(writer, node):
    """Write a formula in the text."""
    writer.body.append(writer.starttag(node, "span", "", CLASS="math"))
    writer.body.append(f"{rendered(node)}</span>")
    raise nodes.SkipNode


def visit_equation(writer, node):
    """Write a displayed formula, its number and the link to it first."""
    writer.body.append(writer.starttag(node, "div", "", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<span class="eqno">({number})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(f"{rendered(node)}</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Make it Sphinx's renderer of math, `katex`."""
    app.add_html_math_renderer(
        "katex", (visit_math, None), (visit_equation, None))
    app.add_css_file("katex/katex.min.css")
    app.add_css_file("math.css")

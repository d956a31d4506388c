r"""TeX to HTML when the book is built.

Oracle: formulas that KaTeX's documentation lists as supported, and some that
it lists as not; the style sheet of the same KaTeX, which names its version.
"""

import re

import pytest
import tiny
from bs4 import BeautifulSoup

from tools import katex

SHEET = tiny.ROOT / "book/_static/katex/katex.min.css"


@pytest.mark.parametrize("tex", [
    r"\frac{dL_2}{dc} = -\tfrac2n \sum_{i=1}^n \left( x_i - c \right)",
    r"\begin{aligned} a &= b \\ &= \operatorname{softmax}(z)_k \end{aligned}",
    r"P \in \mathbb{R}^{27 \times 27},\; \hat p\, \{x \mid y\} \text{ if $x$}",
    r"\begin{cases} 1 & x \ge 0 \\ 0 & \text{otherwise} \end{cases}",
    r"\begin{array}{rl} a & b \\ \hline c & d \end{array} \iiint \ne \lVert",
    "a < b > c",
])
@pytest.mark.parametrize("display", [False, True])
def test_a_formula_is_drawn_read_and_copied(tex, display):
    html = BeautifulSoup(katex.render(tex, display), "html.parser")
    assert html.find("math") and html.find("annotation").get_text() == tex
    assert html.select_one(".katex-html")["aria-hidden"] == "true"
    assert bool(html.select(".katex-display")) == display


def test_a_formula_is_the_same_each_time():
    first = katex.render("x^2", False)
    katex.render.cache_clear()
    katex.engine.cache_clear()
    assert katex.render("x^2", False) == first


@pytest.mark.parametrize("tex, fault", [
    (r"\iiiint", r"Undefined control sequence: \iiiint"),
    (r"\eqref{a}", r"Undefined control sequence: \eqref"),
    (r"\begin{tabular}{l} a \end{tabular}", "No such environment: tabular"),
    (r"\frac{1}{2", "expected '}'"),
    ("x}", "Expected 'EOF', got '}'"),
    (r"\left( x", r"Expected '\right', got 'EOF'"),
    (r"\begin{cases} x", r"Expected & or \\ or \cr or \end"),
    ("a &= b", "Expected 'EOF', got '&'"),
    ("a $ b", "Can't use function '$' in math mode"),
    ("é", "Accented Unicode text character"),
    (r"\href{https://example.org}{x}", r"\href is not allowed"),
    ("a\n\\nosuch\nb", r"a \nosuch b"),
])
def test_a_formula_that_is_refused(tex, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        katex.render(tex, True)


def test_script_and_style_sheet_are_of_one_version():
    version = re.search(r'"(\d+\.\d+\.\d+)"', SHEET.read_text())[1]
    assert katex.engine().eval("katex.version") == version

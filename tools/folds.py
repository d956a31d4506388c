"""Hints, solutions and folded code as native <details>.

They open without a script, by keyboard, when a search in the page hits what
is in them, and on paper. Whatever is an admonition of class `dropdown` folds.
"""

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode


class Fold(nodes.General, nodes.Element):
    """What folds: its first child is its `Handle`."""


class Handle(nodes.Part, nodes.TextElement):
    """What opens a fold."""


def fold(app, doctree, docname):
    """Make a `Fold` of each admonition of class `dropdown`.

    A solution's title links to its exercise, and a handle holds no link.
    """
    if app.builder.format != "html":
        return
    for box in list(doctree.findall(nodes.Admonition)):
        if "dropdown" not in box["classes"]:
            continue
        title, *rest = box.children
        for link in list(title.findall(nodes.reference)):
            link.replace_self(link.children)
        name = box.get("target_label")
        box.parent.replace(box, Fold(
            "", Handle("", "", *title.children), *rest,
            classes=box["classes"],
            ids=[f"solution-{name}"] if name else box["ids"]))


def visit_fold(writer, node):
    """Begin a fold."""
    writer.body.append(writer.starttag(node, "details", CLASS="admonition"))


def visit_handle(writer, node):
    """Begin what opens a fold."""
    writer.body.append(writer.starttag(
        node, "summary", "", CLASS="admonition-title"))


def visit_code(writer, node):
    """Begin folded code; MyST-NB gives its handle two names at once."""
    classes = " ".join(["admonition hide", *node["classes"]])
    writer.body.append(f'<details class="{classes}">\n<summary>\n')
    for state, text in (("collapsed", "show"), ("expanded", "hide")):
        writer.body.append(f'<p class="{state} admonition-title">'
                           f'{writer.encode(node[f"prompt_{text}"])}</p>\n')
    writer.body.append("</summary>\n")


def close(name):
    """What ends an element of a fold."""
    return lambda writer, node: writer.body.append(f"</{name}>\n")


def setup(app):
    """Register what folds with Sphinx."""
    app.add_node(Fold, html=(visit_fold, close("details")))
    app.add_node(Handle, html=(visit_handle, close("summary")))
    app.add_node(HideCodeCellNode, override=True,
                 html=(visit_code, close("details")))
    app.connect("doctree-resolved", fold)

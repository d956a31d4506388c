"""The book's figures: one style, and one palette with a value for each theme.

Cells draw in the light colours; the site replaces each by a variable that
follows the reader's theme. Series are told apart by dash and marker as well
as by colour.
"""

import itertools

import matplotlib as mpl

# name: (on white, on the dark page); text reaches 4.5 : 1, lines 3 : 1 on both
PALETTE = {
    "ink": ("#1f2430", "#e6e4e0"),
    "muted": ("#5a6070", "#a8adb8"),
    "grid": ("#d9dce2", "#383d47"),
    "paper": ("#ffffff", "#121212"),
    "c0": ("#0a63b0", "#6db5ff"),
    "c1": ("#bb4a00", "#ff9d5c"),
    "c2": ("#14774a", "#5fd29a"),
    "c3": ("#863b9e", "#d69cec"),
    "c4": ("#7d6200", "#e0bd4a"),
    "c5": ("#ae1d58", "#ff90b5"),
}
LIGHT = {name: light for name, (light, _) in PALETTE.items()}
SERIES = [LIGHT[f"c{i}"] for i in range(6)]


def use_style():
    """Set the book's style; figures in notebooks become byte-stable SVG."""
    mpl.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": LIGHT["muted"],
            "axes.grid": True,
            "axes.labelcolor": LIGHT["ink"],
            "axes.prop_cycle": mpl.cycler(color=SERIES)
            + mpl.cycler(linestyle=["-", "--", "-.", ":", (0, (5, 1)), "-"]),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlecolor": LIGHT["ink"],
            "axes.titlesize": 11,
            "figure.constrained_layout.use": True,
            "figure.facecolor": LIGHT["paper"],
            "figure.figsize": (7.0, 3.4),
            "axes.facecolor": LIGHT["paper"],
            "font.size": 10,
            "grid.color": LIGHT["grid"],
            "grid.linewidth": 0.7,
            "legend.frameon": False,
            "legend.labelcolor": LIGHT["ink"],
            "lines.linewidth": 1.8,
            "svg.hashsalt": "zth",
            "text.color": LIGHT["ink"],
            "xtick.color": LIGHT["muted"],
            "xtick.labelcolor": LIGHT["ink"],
            "ytick.color": LIGHT["muted"],
            "ytick.labelcolor": LIGHT["ink"],
        }
    )
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # no notebook: the style is all there is to set
        return
    set_matplotlib_formats("svg", metadata={"Date": None})


def graph(root, names=None, *, ax=None):
    """Draw the expression behind a `Value`, operands to the left of results.

    A box for each node, with its name and operation, its data and its grad.
    names: {name: Value} for the nodes that have one. Returns the axes.
    """
    from matplotlib import pyplot as plt

    name_of = {value: name for name, value in (names or {}).items()}
    places = layout(root)
    width = 1 + max(x for x, _ in places.values())
    height = 1 + max(y for _, y in places.values())
    if ax is None:
        _, ax = plt.subplots(figsize=(1.4 * width, 0.75 * height))
    for node, (x, y) in places.items():
        sign = {"*": "×", "-": "−", "neg": "−", "sum": "Σ"}.get(
            node.op, node.op)
        title = "  ".join(filter(None, (name_of.get(node), sign)))
        lines = title, f"data {node.data:.4f}", f"grad {node.grad:.4f}"
        ax.text(x, y, "\n".join(filter(None, lines)), ha="center",
                va="center", fontsize=8, linespacing=1.4,
                bbox={"boxstyle": "round,pad=0.4", "fc": LIGHT["paper"],
                      "ec": LIGHT["c0" if node.parents else "c1"],
                      "ls": "-" if node.parents else "--"})
        for parent in node.parents:
            px, py = places[parent]
            ax.annotate("", (x - 0.41, y), (px + 0.41, py), arrowprops={
                "arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0,
                "color": LIGHT["muted"]})
    ax.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5))
    ax.axis("off")
    return ax


def layout(root):
    """{node: (column, row)} of the nodes under root, itself included.

    A result stands in a column right of its operands' and midway between
    their rows; a leaf stands just left of what uses it first, in a row of
    its own. Where two would meet, the later one goes further up.
    """
    from zth.engine import topological

    order = topological(root)
    column, users, places = {}, {}, {}
    for node in reversed(order):
        column[node] = 1 + max((column[p] for p in node.parents), default=-1)
        for parent in node.parents:
            users.setdefault(parent, []).append(column[node])
    for node, columns in users.items():
        if not node.parents:
            column[node] = min(columns) - 1
    rows = itertools.count()
    for node in reversed(order):
        above = [places[p][1] for p in node.parents]
        row = sum(above) / len(above) if above else next(rows)
        while any(x == column[node] and abs(y - row) < 1
                  for x, y in places.values()):
            row += 0.5
        places[node] = column[node], row
    return places

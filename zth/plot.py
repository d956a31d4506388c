"""The book's figures: one style, and one palette with a value for each theme.

Cells draw in the light colours; the site replaces each by a variable that
follows the reader's theme. Series are told apart by dash and marker as well
as by colour.
"""

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

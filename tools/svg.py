"""Figures as part of the page: in the reader's theme, and light.

What is left out cannot be seen: names that nothing refers to, digits beyond a
hundredth of a point, a style that all members of a group repeat, and letters
whose outline an earlier figure of the page defines.
"""

import re
from xml.etree import ElementTree

LETTER = "scale(0.015625)"  # how Matplotlib places a letter's outline
ROUNDED = ("d", "points", "x", "y", "width", "height", "viewBox")
# What a group may say for its members. Others a member does not inherit, or
# style.css sets on each.
SHARED = {"fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width",
          "stroke-dasharray", "stroke-dashoffset"}


def style_sheet(palette):
    """The CSS variables of a palette {name: (light, dark)}."""
    light, dark = (
        " ".join(f"--fig-{name}: {pair[i]};" for name, pair in palette.items())
        for i in (0, 1))
    return (f":root {{ {light} }}\n"
            f'html[data-theme="dark"] {{ {dark} }}\n'
            f'@media print {{ html[data-theme="dark"] {{ {light} }} }}\n')


def inline(svg, alt, prefix, palette, letters):
    """A drawing as an <svg> that stands in the page and follows its theme.

    svg is the file's text, alt the alternative text. Ids that something
    refers to get the prefix, the others go. Light colours of the palette
    {name: (light, dark)} become variables. letters {outline: id} are those of
    the page's earlier figures; this one's are added.
    """
    names = {light.lower(): name for name, (light, _) in palette.items()}
    if len(names) < len(palette):
        raise ValueError("palette: two names share one light colour")
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = without_namespace(element.tag)
        element.attrib = {without_namespace(key): value
                          for key, value in element.items()}
        for child in list(element):
            if without_namespace(child.tag) in ("metadata", "style", "title"):
                element.remove(child)
        for text in ("text", "tail"):
            if not (getattr(element, text) or "").strip():
                setattr(element, text, None)
    root.attrib.pop("version", None)
    tidy_ids(root, prefix, letters)
    for element in root.iter():
        if style := element.get("style"):
            element.set("style", re.sub(
                r"#[0-9a-fA-F]{6}\b", lambda found: colour(found, names),
                style))
        shorten(element)
    share(root)
    root.set("class", "zth-figure")
    root.set("role", "img")
    if alt:
        root.set("aria-label", alt)
    return ElementTree.tostring(root, "unicode").replace(" />", "/>")


def without_namespace(name):
    """The name of a tag or attribute alone."""
    return name.rpartition("}")[2]


def tidy_ids(root, prefix, letters):
    """Number the ids that something refers to; drop the others."""
    text = " ".join(value for element in root.iter()
                    for value in element.attrib.values())
    used = {*re.findall(r"url\(#([^)]+)\)", text),
            *(element.get("href", "")[1:] for element in root.iter())}
    names = {}
    for parent in root.iter():
        for element in list(parent):
            name = element.attrib.pop("id", None)
            if name not in used:
                continue
            names[name] = f"{prefix}-{len(names) + 1}"
            if element.get("transform") == LETTER:
                outline = element.get("d", "")
                if outline in letters:
                    names[name] = letters[outline]
                    parent.remove(element)
                    continue
                letters[outline] = names[name]
            element.set("id", names[name])
    for element in root.iter():
        for key, value in element.items():
            if key == "href" and value.startswith("#"):
                element.set(key, f"#{names[value[1:]]}")
            elif "url(#" in value:
                element.set(key, re.sub(
                    r"(?<=url\(#)[^)]+", lambda found: names[found[0]],
                    value))


def colour(found, names):
    """A colour as a variable of the palette, where it has a name there."""
    name = names.get(found[0].lower())
    return f"var(--fig-{name}, {found[0]})" if name else found[0]


def shorten(element):
    """Write an element's coordinates with two decimals at most."""
    for key in ROUNDED:
        if key in element.attrib:
            element.set(key, rounded(element.get(key)))
    if "d" in element.attrib:
        element.set("d", path(element.get("d")))
    if "transform" in element.attrib:  # a scale keeps its digits
        element.set("transform", re.sub(
            r"translate\(.*?\)", lambda found: rounded(found[0]),
            element.get("transform")))


def rounded(text):
    """The text with at most two decimals in each of its numbers."""
    return re.sub(r"-?\d+\.\d+", lambda found: str(
        round(float(found[0]), 2)).removesuffix(".0"), text)


def path(data):
    """A path's data, as Matplotlib writes it, in steps of hundredths."""
    commands = re.findall(r"([A-Za-z])([^A-Za-z]*)", data)
    if not {letter for letter, _ in commands} <= {*"MLQCZz"}:
        return rounded(data)
    written, last = "", ""
    for letter, numbers in commands:
        points = [round(100 * float(number)) for number in numbers.split()]
        steps = points
        if letter in "LQC":
            steps = [value - at[i % 2] for i, value in enumerate(points)]
            letter = letter.lower()
        if letter == "l" and 0 in steps:
            letter = "h" if steps[1] == 0 else "v"
            steps = [steps[letter == "v"]]
        at = points[-2:] or start
        if letter == "M":
            start = at
        written += " " if letter == last else letter
        written += " ".join(map(hundredths, steps))
        last = letter
    return written.replace(" -", "-")


def hundredths(number):
    """A number of hundredths, as short as it can be written."""
    text = str(number / 100).removesuffix(".0")
    return re.sub(r"^(-?)0\.", r"\1.", text)


def share(root):
    """Let a group say what all its members repeat: a style, a clip path."""
    for group in root.iter("g"):
        members = [child for child in group if child.tag != "defs"]
        for key in ("style", "clip-path"):
            values = {child.get(key) for child in members}
            value = values.pop() if len(values) == 1 else None
            if value is None or len(members) == 1 or key in group.attrib or (
                    key == "style" and not SHARED.issuperset(
                        re.findall(r"([\w-]+):", value))):
                continue
            group.set(key, value)
            for child in members:
                del child.attrib[key]

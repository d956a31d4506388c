"""Drop from the built site what none of its pages uses.

From the style sheets go the rules that ask for a class or an id that no page
has and no script can give, and the variables that nothing reads; then each
file under `_static` that nothing left names. What is in doubt stays. Names and
punctuation in code lose their marks: their colour is the text's.
"""

import re
import zlib

import tinycss2

WORD = re.compile(r"[\w-]+")
READ = re.compile(r"var\(\s*(--[\w-]+)")
NESTED = {"media", "supports", "layer", "container"}


def slim(site):
    """Drop what no page of the site in a folder uses."""
    pages = {path: path.read_text("utf-8") for path in site.rglob("*.html")
             if "_static" not in path.relative_to(site).parts}
    static = site / "_static"
    drop_unnamed(static, pages.values())
    for script in static.rglob("*.js"):
        script.write_text(re.sub(r"//# sourceMappingURL=.*\s*", "",
                                 script.read_text("utf-8")), "utf-8")
    names = used(static, pages.values())
    sheets = {path: path.read_text("utf-8") for path in static.rglob("*.css")}
    before = None
    while sheets != before:  # what a variable was read by may have gone
        before = sheets
        known = names.union(*map(READ.findall, sheets.values()))
        sheets = {path: purge(css, known) for path, css in sheets.items()}
    for path, css in sheets.items():
        path.write_text(css, "utf-8")
    drop_unnamed(static, pages.values())
    for page, text in pages.items():
        text = re.sub(r"<pre>.*?</pre>", unmark, text, flags=re.DOTALL)
        page.write_text(sign(text, page), "utf-8")


def used(static, pages):
    """What pages use: classes, ids, variables, and every word of a script."""
    names = set()
    scripts = [path.read_text("utf-8") for path in static.rglob("*.js")]
    for page in pages:
        for value in re.findall(r'\s(?:class|id)="([^"]*)"', page):
            names.update(value.split())
        names.update(READ.findall(page))
        scripts += re.findall(r"<script\b.*?</script>", page, re.DOTALL)
    return names.union(*map(WORD.findall, scripts))


def unmark(code):
    """A block of code without the marks of what has the text's colour."""
    return re.sub(r'<span class="[npw]">([^<]*)</span>', r"\1", code[0])


# Style sheets ---------------------------------------------------------------

def purge(css, names):
    """The style sheet without what has no effect, licences kept.

    names are the classes, ids and variables that there are.
    """
    return write(tinycss2.parse_stylesheet(css, skip_whitespace=True), names)


def write(rules, names):
    """The CSS of the rules that may apply."""
    written = []
    for rule in rules:
        if rule.type == "comment":
            if rule.value.startswith("!"):
                written.append(rule.serialize())
        elif rule.type == "qualified-rule":
            selectors = [tinycss2.serialize(selector).strip()
                         for selector in split(rule.prelude)
                         if names.issuperset(asked(selector))]
            inside = body(rule.content, names)
            if selectors and inside:
                written.append(f"{','.join(selectors)}{{{inside}}}")
        elif rule.type == "at-rule" and rule.content is not None and (
                rule.lower_at_keyword in NESTED):
            inside = write(tinycss2.parse_rule_list(
                rule.content, skip_whitespace=True), names)
            if inside:
                prelude = tinycss2.serialize(rule.prelude).strip()
                written.append(f"@{rule.at_keyword} {prelude}{{\n{inside}}}")
        else:
            written.append(rule.serialize())
    return "".join(f"{text}\n" for text in written)


def body(content, names):
    """The declarations of a rule, without those of variables unread."""
    declarations = tinycss2.parse_blocks_contents(
        content, skip_comments=True, skip_whitespace=True)
    if any(found.type != "declaration" for found in declarations):
        return tinycss2.serialize(content)
    return ";".join(
        found.serialize().strip() for found in declarations
        if not found.name.startswith("--") or found.name in names)


def split(prelude):
    """The selectors of a rule, each a list of tokens."""
    selectors = [[]]
    for token in prelude:
        if token == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return selectors


def asked(selector):
    """The classes and ids that a selector asks for; not those it excludes."""
    for before, token in zip([None, *selector], selector):
        if token.type == "hash" or (token.type == "ident" and before == "."):
            yield token.value


# Files ----------------------------------------------------------------------

def drop_unnamed(static, pages):
    """Delete each file that no page names, nor what a page names, and so on.

    A licence stays with what lies beside it: a text, of any name.
    """
    texts, kept = list(pages), set()
    files = {path for path in static.rglob("*") if path.is_file()}
    while texts:
        text = texts.pop()
        for path in files - kept:
            if path.name in text:
                kept.add(path)
                if path.suffix in (".css", ".js"):
                    texts.append(path.read_text("utf-8"))
    folders = {folder for path in kept for folder in path.parents}
    for path in files - kept:
        if path.suffix not in ("", ".txt") or path.parent not in folders:
            path.unlink()
    for folder in sorted(static.rglob("*/"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def sign(page, path):
    """The page with the sum of each style sheet behind its address.

    So that a reader's browser does not keep a sheet from an earlier build.
    """
    def signed(found):
        sheet = path.parent / found[1]
        return f"{found[1]}?v={zlib.crc32(sheet.read_bytes()):08x}"

    return re.sub(r'(?<=href=")([^":?]+\.css)(?:\?[^"]*)?(?=")', signed, page)

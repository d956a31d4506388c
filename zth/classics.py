"""Eleven books to pretrain on, in the characters of tiny Shakespeare.

The books are those that data/registry.toml lists under classics/, as Project
Gutenberg published them. A text's n-grams are all its windows of n characters.
"""

import re
import unicodedata

from zth.data import REGISTRY

BOOKS = tuple(name for name in REGISTRY if name.startswith("classics/"))
CHARS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BOOK = re.compile(r"(?ms)^\*\*\* ?START OF .*?$(.*?)"
                  r"^End of (?:the )?Project Gutenberg")
SAME = str.maketrans({'"': "'", "“": "'", "”": "'", "‘": "'", "’": "'",
                      "—": "-", "–": "-"})


def clean(book):
    """The text of a book, in the 65 characters of tiny Shakespeare.

    From a file of Project Gutenberg: what stands between its header and its
    licence, lines ended by a newline alone. Accents come off (NFKD), all
    quotes become ', dashes become hyphens, any other character is dropped.
    ValueError if the book's start or end is not marked.
    """
    found = BOOK.search(book.replace("\r\n", "\n"))
    if not found:
        raise ValueError("book: must have a line '*** START OF …' and below "
                         "it a line 'End of … Project Gutenberg …'")
    text = unicodedata.normalize("NFKD", found[1].strip("\n") + "\n")
    return "".join(char for char in text.translate(SAME) if char in CHARS)


def shared(text, other, n=30):
    """The places where an n-gram of `text` starts that `other` has as well.

    A sorted list. Upper and lower case count as equal, so the texts' length
    must not depend on it (that of texts from `clean` does not).
    """
    if n < 1:
        raise ValueError(f"n = {n}: must be at least 1")
    text, other = text.lower(), other.lower()
    grams = {other[i:i + n] for i in range(len(other) - n + 1)}
    return [i for i in range(len(text) - n + 1) if text[i:i + n] in grams]


def cut(text, places, n=30):
    """The text less every paragraph that holds one of the n-grams.

    places are where they start, as `shared` returns them. Blank lines part
    the paragraphs.
    """
    hit = bytearray(len(text))
    for i in places:
        hit[i:i + n] = b"\1" * n
    kept, start = [], 0
    for paragraph in text.split("\n\n"):
        end = start + len(paragraph) + 2  # with the blank line
        if 1 not in hit[start:end]:
            kept.append(paragraph)
        start = end
    return "\n\n".join(kept)

"""zth.classics; oracles: brute force, and a made-up file of Gutenberg's."""

import random

import pytest

from zth.classics import BOOKS, CHARS, clean, cut, shared
from zth.data import load_text, source

FILE = ("The Project Gutenberg EBook of Nothing\r\n\r\nTitle: Nothing\r\n\r\n"
        "*** START OF THIS PROJECT GUTENBERG EBOOK NOTHING ***\r\n\r\n\r\n"
        "CHAPTER 1\r\n\r\n“Élan”, said æ_Zoë_: \"no—3 (three)\";\r\n"
        "it's all\tright & good!\r\n\r\n\r\n"
        "End of the Project Gutenberg EBook of Nothing\r\n\r\n"
        "*** END OF THIS PROJECT GUTENBERG EBOOK NOTHING ***\r\nLicence\r\n")


def brute(text, other, n):
    text, other = text.lower(), other.lower()
    return [i for i in range(len(text) - n + 1) if text[i:i + n] in other]


def test_the_characters_are_shakespeares():
    if not source("tinyshakespeare.txt").is_lecture:
        pytest.skip("needs tinyshakespeare.txt")
    assert CHARS == "".join(sorted(set(load_text())))


def test_clean():
    assert clean(FILE) == ("CHAPTER \n\n'Elan', said Zoe: 'no-3 three';\n"
                           "it's allright & good!\n")
    assert clean(FILE.replace("\r\n", "\n")) == clean(FILE)
    other = FILE.replace("End of the Project", "End of Project")
    assert clean(other) == clean(FILE)


@pytest.mark.parametrize("line", ["*** START OF", "End of the"])
def test_an_unmarked_book_is_refused(line):
    with pytest.raises(ValueError, match="book: must have a line"):
        clean(FILE.replace(line, "nothing"))


@pytest.mark.parametrize("name", BOOKS)
def test_a_real_book(name):
    if not source(name).is_lecture:
        pytest.skip(f"needs {name}")
    text = clean(load_text(name))
    assert set(text) <= set(CHARS)
    assert "EBook" not in text and "Gutenberg-tm" not in text
    assert not any("gutenberg" in end.lower()
                   for end in (text[:80], text[-2000:]))
    assert 300_000 < len(text) < 3_300_000
    assert text.count("\n") > 3000


def test_shared_equals_brute_force():
    rng = random.Random(1)
    for n in (1, 2, 5, 8):
        text, other = ("".join(rng.choices("abA \n", k=200)) for _ in "ab")
        assert shared(text, other, n) == brute(text, other, n)
    assert shared("", other, 3) == shared("ab", other, 3) == []
    assert shared("xyz", "XYZ", 3) == [0]
    with pytest.raises(ValueError, match="n = 0: must be at least 1"):
        shared(text, other, 0)


def test_cut():
    text = "one two\n\nthree four\n\nfive six\n\n\n\nseven"

    def rest(other, n):
        return cut(text, shared(text, other, n), n)

    assert rest("of THREE f men", 5) == "one two\n\nfive six\n\n\n\nseven"
    assert rest("nothing", 5) == text
    assert rest(text, 5) == ""
    assert rest("o\n\nt", 4) == "five six\n\n\n\nseven"  # in two of them
    assert rest("\n\n", 2) == "seven"


def test_nothing_of_shakespeare_is_left():
    if not all(source(name).is_lecture
               for name in (*BOOKS, "tinyshakespeare.txt")):
        pytest.skip("needs the classics and tinyshakespeare.txt")
    text, books = load_text(), "\n\n".join(map(clean, map(load_text, BOOKS)))
    places = shared(books, text)
    assert len(places) == 19
    rest = cut(books, places)
    assert 0 < len(books) - len(rest) < 3000
    assert not shared(rest, text)

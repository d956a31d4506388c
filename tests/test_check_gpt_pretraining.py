"""zth.check.gpt, pretraining; oracle: answers planted right and wrong."""

import re
import unicodedata

import pytest
import torch
from answers import passes, refuses

from zth import classics
from zth.check import gpt as check
from zth.classics import CHARS


def starter(*args):
    raise NotImplementedError


def choose(curves):
    return {arm: min(curve, key=lambda point: point[1])[2]
            for arm, curve in curves.items()}


OURS = {"clean": classics.clean, "shared": classics.shared, "choose": choose}


@pytest.mark.parametrize("name", OURS)
def test_the_starter_is_not_written_yet(name):
    for unwritten in (starter, lambda *args: None):
        assert "pretraining: not written yet" in refuses(
            check.pretraining, **{name: unwritten})


@pytest.mark.parametrize("name", OURS)
def test_ours_passes(capsys, name):
    assert name in passes(capsys, check.pretraining, **{name: OURS[name]})


def test_several_at_once(capsys):
    out = passes(capsys, check.pretraining, **OURS)
    assert all(name in out for name in OURS)


def test_a_part_has_to_be_named():
    for answer in ({}, {"cleaned": classics.clean}):
        said = refuses(check.pretraining, **answer)
        assert "name what you hand over" in said and "clean, shared" in said


def each_is_named(name, wrong):
    said = {why: refuses(check.pretraining, **{name: answer})
            for why, answer in wrong.items()}
    for why, message in said.items():
        assert why in message, (why, message)
    likely = [message.split(" likely ")[-1] for message in said.values()]
    assert len(set(likely)) == len(said)


# clean ----------------------------------------------------------------------


def cleaner(start=r"^\*\*\* START OF[^\n]*\n", end="^End of .*Gutenberg",
            text=lambda text: text, crlf="\n", accents=True, quotes="“”‘’\"",
            keep=CHARS, other=""):
    """Another way to clean, one step of which may be spoilt."""
    def clean(book):
        book = book.replace("\r\n", crlf)
        if start:
            book = re.split(start, book, maxsplit=1, flags=re.M)[-1]
        if end:
            book = re.split(end, book, maxsplit=1, flags=re.M)[0]
        for quote in quotes:
            book = book.replace(quote, "'")
        if accents:
            book = "".join(char for char in unicodedata.normalize("NFKD", book)
                           if not unicodedata.combining(char))
        return text("".join(char if char in keep else other for char in book))
    return clean


def test_other_right_ways_to_clean_pass(capsys):
    for right in (cleaner(), cleaner(other=" "), cleaner(other="-"),
                  cleaner(text=str.strip),
                  cleaner(text=lambda text: text.strip() + "\n\n")):
        passes(capsys, check.pretraining, clean=right)


def test_each_wrong_way_to_clean_is_named():
    each_is_named("clean", {
        "the header is still there": cleaner(start=None),
        "the line '*** START OF …' is still there":
            cleaner(start="(?=START OF)"),
        "the licence is still there": cleaner(end=None),
        "the line 'End of … Project Gutenberg …' is still there":
            cleaner(end=r"^\*\*\* END OF"),
        "the line 'End of Project Gutenberg's …' is still":
            cleaner(end=r"^End of the Project|^\*\*\* END OF"),
        "keep the \\n alone": cleaner(crlf="\r\n", keep=CHARS + "\r"),
        "not among tiny Shakespeare's 65": cleaner(keep=CHARS + "0123"),
        "the letters' case is lost": cleaner(text=str.lower),
        "the newlines are lost": cleaner(
            text=lambda text: text.replace("\n", " ")),
        "blanks at the ends of lines": cleaner(text=lambda text: "\n".join(
            line.strip() for line in text.split("\n"))),
        "several blanks in a row": cleaner(
            text=lambda text: re.sub(" +", " ", text)),
        "'end of' inside it": cleaner(end="[Ee]nd of"),
        "blank lines are lost": cleaner(
            text=lambda text: re.sub("\n+", "\n", text)),
        "more newlines than lines": cleaner(crlf="\n\n"),
        "letters with an accent are lost": cleaner(accents=False),
        "quotes are lost": cleaner(quotes=""),
        "a row of stars": cleaner(end=r"^End of .*Gutenberg|\*\*\*"),
        "the words 'Project Gutenberg' inside":
            cleaner(end="End of .*Gutenberg|Project Gutenberg"),
        "return the text, a str": lambda book: list(cleaner()(book)),
    })


def test_lines_joined_to_paragraphs_are_named():
    joined = cleaner(text=lambda text: re.sub(
        r"(?<!\n)\n(?!\n)", " ", text))
    assert "the newlines are lost" in refuses(check.pretraining, clean=joined)


# shared ---------------------------------------------------------------------


def windows(text, n, every=1):
    return [text[i:i + n] for i in range(0, len(text) - n + 1, every)]


def search(text=str.lower, other=str.lower, n=lambda n: n, every=1,
           key=lambda gram: gram):
    """A plain search, one part of which may be spoilt."""
    spoil, spoil_other, size, step = text, other, n, every

    def shared(text, other, n):
        text, other, width = spoil(text), spoil_other(other), size(n)
        grams = {key(gram) for gram in windows(other, width)}
        return [i for i in range(0, len(text) - width + 1,
                                 n if step == "n" else step)
                if key(text[i:i + width]) in grams]
    return shared


def changed(function):
    """What a right search found, changed by function(found, text, n)."""
    return lambda text, other, n: function(
        classics.shared(text, other, n), text.lower(), n)


def by_lines(text, other, n):
    grams = {gram for line in other.lower().split("\n")
             for gram in windows(line, n)}
    return [i for i in range(len(text) - n + 1)
            if text[i:i + n].lower() in grams]


def by_whole_lines(text, other, n):
    lines, found, start = other.lower().split("\n"), [], 0
    for line in text.lower().split("\n"):
        found += [start] * (line in lines and len(line) >= n)
        start += len(line) + 1
    return found


def by_hashes(text, other, n):
    """Rolling hashes in int64 with torch."""
    def hashes(text):
        codes = torch.tensor([ord(char) for char in text.lower()])
        total = torch.zeros(max(0, len(codes) - n + 1), dtype=torch.int64)
        for k in range(n):
            total = total * 1_000_003 + codes[k:k + len(total)]
        return total

    return torch.isin(hashes(text), hashes(other)).nonzero().flatten()


def test_other_right_searches_pass(capsys):
    passes(capsys, check.pretraining, shared=by_hashes)
    passes(capsys, check.pretraining, shared=search())
    passes(capsys, check.pretraining,
           shared=lambda *args: set(classics.shared(*args)))


def test_each_wrong_search_is_named():
    each_is_named("shared", {
        "upper and lower case count": search(text=str, other=str),
        "only every n-th window": search(every="n"),
        "have n - 1 characters": search(n=lambda n: n - 1),
        "have n + 1 characters": search(n=lambda n: n + 1),
        "the last window is missed": lambda text, other, n: [
            i for i in classics.shared(text, other, n) if i < len(text) - n],
        "lines are compared one by one": by_lines,
        "only whole lines": by_whole_lines,
        "at the same place only": lambda text, other, n: [
            i for i in range(min(len(text), len(other)) - n + 1)
            if text[i:i + n].lower() == other[i:i + n].lower()],
        "only the beginning": lambda text, other, n: classics.shared(
            text[:len(text) // 2], other, n),
        "is given once": changed(lambda found, text, n: {
            text.find(text[i:i + n]) for i in found}),
        "in another order": search(key=lambda gram: tuple(sorted(gram))),
        "where the n-grams end": changed(
            lambda found, text, n: [i + n for i in found]),
        "counted from 1": changed(
            lambda found, text, n: [i + 1 for i in found]),
        "the first place of each passage": changed(
            lambda found, text, n: {*found} - {i + 1 for i in found}),
        "an n-gram covers": changed(
            lambda found, text, n: {i + k for i in found for k in range(n)}),
        "not always 30": search(n=lambda n: 30),
        "that is a mask": changed(
            lambda found, text, n: [i in found for i in range(len(text))]),
        "and not where it ends": changed(
            lambda found, text, n: [(i, i + n) for i in found]),
        "these are the places in `other`": lambda text, other, n:
            classics.shared(other, text, n),
        "not the n-grams": changed(
            lambda found, text, n: [text[i:i + n] for i in found]),
        "as a list": changed(lambda found, text, n: len(found)),
    })


# choose ---------------------------------------------------------------------


def by_rule(**rules):
    """A rule for each arm, or the `others`' rule."""
    return lambda curves: {
        arm: rules.get(arm, rules["others"])(curve)
        for arm, curve in curves.items()}


def right(curve):
    return min(curve, key=lambda point: point[1])[2]


def last(curve):
    return curve[-1][2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_pass(capsys, dtype):
    def choose(curves):
        found = {}
        for arm, curve in curves.items():
            curve = torch.tensor(curve, dtype=dtype)
            found[arm] = curve[curve[:, 1].argmin(), 2]
        return found

    passes(capsys, check.pretraining, choose=choose)
    passes(capsys, check.pretraining, choose=lambda curves: {
        arm: round(loss.item(), 4) for arm, loss in choose(curves).items()})


def test_each_wrong_choice_is_named():
    each_is_named("choose", {
        "the last checkpoint is taken": by_rule(others=last),
        "the first checkpoint is taken": by_rule(others=lambda c: c[0][2]),
        "then the validation text has chosen": by_rule(
            others=lambda c: min(point[2] for point in c)),
        "that is the held-out loss": by_rule(
            others=lambda c: min(point[1] for point in c)),
        "that is the step": by_rule(
            others=lambda c: min(c, key=lambda point: point[1])[0]),
        "the highest held-out loss": by_rule(
            others=lambda c: max(c, key=lambda point: point[1])[2]),
        "finetuned, lowest held-out loss; scratch, last checkpoint":
            by_rule(finetuned=right, others=last),
        "finetuned, lowest validation loss; scratch, lowest held-out":
            by_rule(finetuned=lambda c: min(point[2] for point in c),
                    others=right),
        "return a dict": lambda curves: [right(c) for c in curves.values()],
        "one number for each arm": by_rule(others=lambda c: c[-1]),
    })

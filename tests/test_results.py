"""The lists drawn from ledger and records; oracle: a small book, by hand."""

import json

import pytest
from myst_parser.parsers.docutils_ import Parser
from docutils.core import publish_string

from tools import results
from zth import data

LEDGER = """\
lectures:
  - {number: 1, title: Scalars, video: abc}
  - {number: 2, title: Bigrams, video: def}
  - {number: 3, title: Empty, video: ghi}
exercises:
  - {id: L1-S1, lecture: 1, title: A gradient, difficulty: 1, minutes: 20}
  - {id: L1-S2, lecture: 1, title: A loss, difficulty: 3, minutes: 75}
  - id: L2-E01
    lecture: 2
    title: Count pairs
    page: book/two/pairs.md
    checker: pairs
    difficulty: 2
    minutes: 45
    result: {what: mean NLL, lecture: "2.45", ours: "2.4541", glue: loss}
  - id: L2-E02
    lecture: 2
    title: Race
    page: book/two/race.md
    checker: race
    difficulty: 4
    minutes: 5
    result:
      {what: a step in µs, lecture: none, ours: "171", glue: us,
       recorded: true}
  - {id: L2-E03, lecture: 2, title: To come, difficulty: 2, minutes: 30}
  - id: L2-E04
    lecture: 2
    title: A proof
    page: book/two/proof.md
    checker: proof
    difficulty: 1
    minutes: 15
"""
RECORD = {
    "what": "Seconds of a step.", "command": "make runs NAME=race",
    "recorded": "2031-02-03", "commit": "0123", "seconds": 12.345,
    "versions": {"Python": "3.12.1", "torch": "9.9"},
    "hardware": {"processor": "A Processor", "cores": 4, "memory": 8,
                 "device": "cpu"},
    "threads": 2, "data": None, "seeds": [], "code": "", "rows": []}
PAGES = {**RECORD, "what": "Seconds of a page_, in `zth_`.", "threads": 1,
         "command": "make runs NAME=pages",
         "rows": [{"page": "book/two/pairs.md", "seconds": 12.7}]}
BOOK = {
    "book/exercises.yml": LEDGER,
    "book/two/index.md": '# Pairs of characters\n\nrecord.show("pages")',
    "book/two/pairs.md": "# Count pairs",
    "book/two/race.md": '# Race\n\nrows = record.show("race")',
    "book/two/proof.md": "# A proof",
    "data/runs/race.json": json.dumps(RECORD),
    "data/runs/pages.json": json.dumps(PAGES),
    "data/runs/race.partial.json": "{}",
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    for name, text in BOOK.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    lectures_names(monkeypatch, True)
    return tmp_path


def lectures_names(monkeypatch, whether):
    source = data.Source("names.txt", None, "", whether)
    monkeypatch.setattr(data, "source", lambda: source)


def replace(root, name, old, new):
    text = (root / name).read_text("utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new), encoding="utf-8")


def test_the_results_stand_beside_the_lectures(small):
    assert results.results(small) == [
        "Not written yet, and so not in the tables: 3 of 6 exercises.", "",
        "## Lecture 2 · Bigrams", "",
        "| exercise, and what is measured | the lecture | ours | runs in |",
        "|---|---|---:|---:|",
        '| [Count pairs](/book/two/pairs.md) <span class="zth-aside">mean NLL'
        "</span> | 2.45 | 2.4541 | 13 s |",
        '| [Race](/book/two/race.md) <span class="zth-aside">a step in µs'
        '</span> | – | 171 <span class="zth-aside">recorded</span> | – |',
        "| [A proof](/book/two/proof.md) | – | – | – |"]


def test_a_wrong_entry_shows(small):
    replace(small, "book/exercises.yml", '"2.4541"', '"9.9999"')
    replace(small, "data/runs/pages.json", "12.7", "99")
    text = "\n".join(results.results(small))
    assert "| 2.45 | 9.9999 | 99 s |" in text and "2.4541" not in text


def test_a_recorded_number_has_its_record(small):
    replace(small, "book/two/race.md", "record.show", "run.show")
    with pytest.raises(ValueError, match="L2-E02: .*/race.md shows no recor"):
        results.results(small)


def test_nothing_is_said_to_be_left_out_of_a_whole_book(small):
    text = LEDGER
    for line in LEDGER.splitlines(keepends=True):
        if line.startswith("  - {id"):
            text = text.replace(line, "")
    replace(small, "book/exercises.yml", LEDGER, text)
    assert "Not written" not in "\n".join(results.results(small))
    assert "Not written" not in "\n".join(results.lectures(small))


def test_other_data_are_named(small, monkeypatch):
    assert "lecture's names" not in "\n".join(results.results(small))
    lectures_names(monkeypatch, False)
    assert ("These numbers are those of the lecture's names. This build used "
            "names.txt, so its pages show others.") in results.results(small)


def test_the_records_say_where_and_how(small):
    assert results.records(small) == [
        "- **Seconds of a page\\_, in `zth_`.** Shown on "
        "[](/book/two/index.md). Recorded on 2031-02-03 in 12.3 s by "
        "`make runs NAME=pages`, on A Processor, 4 cores, device cpu, "
        "1 thread, Python 3.12.1, torch 9.9.",
        "- **Seconds of a step.** Shown on [](/book/two/race.md). Recorded "
        "on 2031-02-03 in 12.3 s by `make runs NAME=race`, on "
        "A Processor, 4 cores, device cpu, 2 threads, Python 3.12.1, "
        "torch 9.9."]


def test_a_record_that_is_not_there_is_named(small):
    replace(small, "book/two/race.md", '"race"', '"chase"')
    with pytest.raises(ValueError, match="not in data/runs: chase"):
        results.records(small)


def test_written_lectures_come_first(small):
    assert results.lectures(small) == [
        "### Lecture 2 · Bigrams", "",
        "Start with [](/book/two/index.md) · "
        "[the video](https://www.youtube.com/watch?v=def)", "",
        "| exercise | difficulty | minutes |", "|---|---|---:|",
        "| [Count pairs](/book/two/pairs.md) | moderate | 45 |",
        "| [Race](/book/two/race.md) | very hard | 5 |",
        "| To come | moderate | 30 |",
        "| [A proof](/book/two/proof.md) | gentle | 15 |", "",
        "### Not written yet", "",
        "- **Lecture 1 · Scalars:** A gradient · A loss"]


def test_a_lecture_without_a_first_page_names_none(small):
    (small / "book/two/index.md").unlink()
    assert results.lectures(small)[2] == (
        "[the video](https://www.youtube.com/watch?v=def)")


@pytest.mark.parametrize("text", [
    "a | b", "n_a * n_b and n_a", "2 < 3", "a [link]", "`code`", "$a$ $b$",
    "C:\\x"])
def test_a_cell_shows_the_text_as_it_is(text):
    html = publish_string(
        f"| head |\n|---|\n| {results.cell(text)} |", parser=Parser(),
        writer_name="html5", settings_overrides={
            "output_encoding": "unicode", "myst_enable_extensions":
            ["dollarmath"]})
    shown = text.replace("<", "&lt;")
    assert f"<td><p>{shown}</p></td>" in html

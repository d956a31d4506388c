"""The ledger book/exercises.yml: read it, check it, draw README's table.

    python -m tools.ledger --write   fill the table in README.md
    python -m tools.ledger --check   fail unless the table is the ledger's
"""

import argparse
import ast
import functools
import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results -->", "<!-- /results -->"
LECTURE = {"number": int, "title": str, "video": str}
EXERCISE = {
    "id": str,
    "lecture": int,
    "title": str,
    "difficulty": int,
    "minutes": int,
}
OPTIONAL = {
    "page": str,
    "checker": str,
    "video": int,
    "test_split": bool,
    "result": dict,
}
DIFFICULTY = {1: "gentle", 2: "moderate", 3: "hard", 4: "very hard"}
RESULT = {"what": str, "lecture": str, "ours": str, "glue": str}
MARKED = {"recorded": bool}


def load(root=ROOT):
    """The ledger as {"lectures": [dict, ...], "exercises": [dict, ...]}.

    ValueError names each entry and field that breaks a rule.
    """
    path = Path(root) / "book" / "exercises.yml"
    ledger, faults = parse(path.read_text(encoding="utf-8"))
    if faults:
        raise ValueError(f"{path}:\n  " + "\n  ".join(faults))
    return ledger


@functools.cache
def parse(text):
    """(the ledger, its faults) of the file's text: a build asks 140 times."""
    ledger = yaml.safe_load(text)
    return ledger, list(find_faults(ledger))


def fields(entry, required, optional=None):
    """What is wrong with an entry's fields: missing, unknown, wrong type."""
    known = required | (optional or {})
    for name in required.keys() - entry.keys():
        yield f"{name}: missing"
    for name, value in entry.items():
        if name not in known:
            yield f"{name}: no such field"
        elif type(value) is not known[name]:
            yield f"{name}: {value!r} must be {known[name].__name__}"


def find_faults(ledger):
    """The ledger's faults, one line each: entry, field, rule."""
    if not isinstance(ledger, dict) or ledger.keys() != {
        "lectures",
        "exercises",
    }:
        yield "must have exactly the two lists 'lectures' and 'exercises'"
        return
    for lecture in ledger["lectures"]:
        for fault in fields(lecture, LECTURE):
            yield f"lecture {lecture.get('number')}: {fault}"
    numbers = [lecture.get("number") for lecture in ledger["lectures"]]
    ids = set()
    for entry in ledger["exercises"]:
        name = entry.get("id")
        wrong = list(fields(entry, EXERCISE, OPTIONAL))
        if isinstance(entry.get("result"), dict):
            wrong += [f"result: {fault}"
                      for fault in fields(entry["result"], RESULT, MARKED)]
        if not wrong:
            wrong += rules(entry, numbers)
        if name in ids:
            wrong.append("id: occurs twice")
        ids.add(name)
        yield from (f"{name}: {fault}" for fault in sorted(wrong))


def rules(entry, numbers):
    """The rules between fields of one entry with the right types."""
    match = re.fullmatch(r"L(\d+)-[A-Z]+\d+[a-z]?", entry["id"])
    if not match or int(match[1]) != entry["lecture"]:
        yield "id: must be like L2-E01, with the lecture's number"
    if entry["lecture"] not in numbers:
        yield f"lecture: {entry['lecture']} is not among the lectures"
    if not 1 <= entry["difficulty"] <= 4:
        yield f"difficulty: {entry['difficulty']} must be 1 to 4"
    if entry["minutes"] < 1:
        yield f"minutes: {entry['minutes']} must be at least 1"
    if entry.get("video", 0) < 0:
        yield f"video: {entry['video']} must not be negative"
    if ("page" in entry) != ("checker" in entry):
        yield "page: page and checker come together"
    if "result" in entry and "page" not in entry:
        yield "result: only with a page"
    if "result" in entry and decimals(entry["result"]["ours"]) is None:
        yield f"result: ours: {entry['result']['ours']!r} has no number"


def decimals(text):
    """(number, decimals) of the first number in a text; None if none."""
    match = re.search(r"-?\d+(?:\.(\d+))?", text.replace(",", ""))
    return match and (match[0], len(match[1] or ""))


def exercise(wanted, root=ROOT):
    """(exercise, its lecture) of an id; ValueError if there is none."""
    ledger = load(root)
    for entry in ledger["exercises"]:
        if entry["id"] == wanted:
            numbers = {row["number"]: row for row in ledger["lectures"]}
            return entry, numbers[entry["lecture"]]
    raise ValueError(f"label-line {wanted!r}: not an id of book/exercises.yml")


def page_seconds(docname, root=ROOT):
    """Seconds that the page's cells took, from the record; None without."""
    record = Path(root) / "data/runs/pages.json"
    if record.exists():
        for row in json.loads(record.read_text("utf-8"))["rows"]:
            if row.get("page", "").removesuffix(".md") == docname:
                return row["seconds"]
    return None


def video(lecture):
    """The address of a lecture's video."""
    return f"https://www.youtube.com/watch?v={lecture['video']}"


def clock(seconds):
    """Seconds as a player shows them: 3723 gives "1:02:03"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"


def facts(entry, lecture, seconds=None):
    """What a reader should know of an exercise before it, in order.

    Its name, difficulty, minutes, how long its page runs where that is
    known, and (text, address) of its place in the lecture.
    """
    found = [f"Exercise {entry['id']}", DIFFICULTY[entry["difficulty"]],
             f"{entry['minutes']} minutes"]
    if seconds is not None:
        about = f"about {seconds:.0f} s" if seconds >= 1 else "under 1 s"
        found.append(f"runs in {about}")
    name = f"lecture {lecture['number']}"
    url = video(lecture)
    if (at := entry.get("video")) is not None:
        name, url = f"{name} at {clock(at)}", f"{url}&t={at}s"
    return [*found, (name, url)]


def table(ledger):
    """README's table of results, in Markdown."""
    titles = {x["number"]: x["title"] for x in ledger["lectures"]}
    rows = [
        "| lecture | exercise | the lecture's number | ours |",
        "|---|---|---|---|",
    ]
    for entry in ledger["exercises"]:
        if "result" in entry:
            result = entry["result"]
            recorded = ", recorded" * result.get("recorded", False)
            rows.append(
                f"| {entry['lecture']} {titles[entry['lecture']]} "
                f"| [{entry['title']}]({entry['page']}): {result['what']} "
                f"| {result['lecture']} | {result['ours']}{recorded} |"
            )
    return "\n".join(rows)


def with_table(readme, ledger):
    """The text of README.md with the ledger's table between the marks."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"README.md: must have {BEGIN} and {END} once each")
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(ledger)}\n{END}{rest.partition(END)[2]}"


def glued(notebook):
    """What an executed notebook glued: {key: its text as Python shows it}."""
    values = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            book = output.get("metadata", {}).get("scrapbook")
            if book:
                kind = book["mime_prefix"] + "text/plain"
                values[book["name"]] = output["data"].get(kind)
    return values


def check_results(root, cache_dir):
    """Faults "page: ..." where a page's glued number is not the ledger's.

    Reads the executed pages from the jupyter-cache at cache_dir. The numbers
    are those of the lecture's names: with other data nothing is compared.
    """
    from jupyter_cache import get_cache
    from myst_nb.core.read import myst_nb_reader_plugin

    from zth import data

    if not data.source().is_lecture:
        return []
    cache, faults = get_cache(cache_dir), []
    for entry in load(root)["exercises"]:
        if "result" not in entry:
            continue
        page, key = entry["page"], entry["result"]["glue"]
        ours, places = decimals(entry["result"]["ours"])
        try:
            notebook = myst_nb_reader_plugin(str(Path(root) / page))
            record = cache.match_cache_notebook(notebook)
        except (KeyError, OSError):
            faults.append(f"{page}: has not been executed")
            continue
        values = glued(cache.get_cache_bundle(record.pk).nb)
        try:
            value = float(ast.literal_eval(values[key]))
        except (KeyError, ValueError, TypeError, SyntaxError):
            faults.append(
                f"{page}: {entry['id']}'s number is not glued as {key!r} "
                f"(found {values.get(key)!r})"
            )
            continue
        if f"{value:.{places}f}" != ours:
            faults.append(
                f"{page}: {entry['id']} says {ours} in the ledger, the page "
                f"glues {key} = {value:.{places}f}"
            )
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="fill the table")
    action.add_argument("--check", action="store_true", help="compare only")
    write = parser.parse_args().write
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = with_table(old, load())
    if new != old and write:
        temporary = path.with_suffix(".tmp")
        temporary.write_text(new, encoding="utf-8")
        temporary.replace(path)
    elif new != old:
        sys.exit("README.md: its table is not the ledger's; run make readme")


if __name__ == "__main__":
    main()

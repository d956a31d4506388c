"""Recorded runs: what a build cannot afford or repeat, with its provenance.

`data/runs/NAME.py` is an experiment: a docstring whose first line says what
it measures; CASES, a list of keyword arguments, the quickest first, because
tests repeat that one; `measure(**case)`, which returns a dict of JSON values;
VOLATILE, the keys of it that cannot repeat, such as seconds. Optional are
DEVICE ("cpu", "cuda" or "mps"), THREADS (1), WORKERS (1), how many cases run
side by side, each in a process of its own, SEEDS, and DATA, the file that it
reads ("names.txt" if it uses `zth.data`). `data/runs/NAME.json` is its
record. torch is imported only to run one.
"""

import ast
import concurrent.futures
import datetime
import functools
import hashlib
import html
import json
import math
import multiprocessing
import os
import platform
import re
import runpy
import subprocess
import time
from itertools import repeat
from pathlib import Path

from zth import data

PACKAGE = Path(__file__).resolve().parent
RUNS = data.HOME / "runs"


def show(name, *, folder=RUNS):
    """The record's rows, each a case and its result; shows its provenance.

    As HTML in IPython, in print elsewhere. ValueError without a record.
    """
    record, script = _read(name, folder), folder / f"{name}.py"
    hardware, used = record["hardware"], record["data"]
    facts = [record["what"],
             f"Recorded on {record['recorded']} in "
             f"{duration(record['seconds'])} by `{record['command']}`, "
             f"commit {record['commit'] or 'unknown'}.",
             f"On {hardware['processor']}, {hardware['cores']} cores, "
             f"{hardware['memory']} GiB; device: {hardware['device']}; "
             f"threads: {record['threads']}; "
             f"{', '.join(map(' '.join, record['versions'].items()))}."]
    if used:
        facts.append(f"Data: {_kind(used)}, sha256 {used['sha256'][:12]}.")
    warnings = []
    if not script.is_file() or code_hash(script) != record["code"]:
        warnings.append("The code has changed since: `make runs` repeats it.")
    if used and used["sha256"] != data.source(used["file"]).sha256:
        warnings.append("Everything else here comes from "
                        f"{data.source(used['file']).name}.")
    _display(facts, warnings)
    return record["rows"]


def duration(seconds):
    """Seconds as a text: "9.75 s", and from two minutes on "25 min"."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _kind(used):
    """The recorded data's name, and whose they are."""
    whose = data.REGISTRY[used["file"]]["sha256"] == used["sha256"]
    whose = "the lecture's" if whose else "the stand-in"
    return f"{used['name']} ({whose})"


def _display(facts, warnings):
    """Show a record's facts and warnings as HTML, or print them."""
    try:
        from IPython import get_ipython
        from IPython.display import display
        live = get_ipython() is not None
    except ImportError:
        live = False
    text = "\n".join(facts + warnings)
    if not live:
        print(text)
        return
    lines = [f"<p>{html.escape(line)}</p>" for line in facts]
    lines += [f'<p class="zth-warning">{html.escape(line)}</p>'
              for line in warnings]
    content = re.sub("`(.+?)`", r"<code>\1</code>", "".join(lines))
    display({"text/html": f'<div class="zth-record">{content}</div>',
             "text/plain": text}, raw=True)


def names(folder=RUNS):
    """The experiments' names, sorted."""
    return sorted(path.stem for path in folder.glob("*.py"))


def stale(name, *, folder=RUNS):
    """Why the run has to be repeated; "" if its record is valid."""
    script = _script(name, folder)
    if not (folder / f"{name}.json").is_file():
        return "has no record"
    record = _read(name, folder)
    if record["code"] != code_hash(script):
        return "has other code than its record"
    if record["data"]:
        found = data.source(record["data"]["file"])
        if found.is_lecture and found.sha256 != record["data"]["sha256"]:
            return "was recorded on the stand-in data"
    return ""


def run(name, *, folder=RUNS):
    """Repeat a run that is stale, with a progress bar; returns what was done.

    The rows of an interrupted run are kept if the same code made them, on
    the same machine and data. Without the experiment's device nothing runs.
    """
    why = stale(name, folder=folder)
    if not why:
        return f"{name}: up to date"
    experiment = _load(name, folder)
    if not _at_hand(experiment["DEVICE"]):
        return (f"{name}: {why}, but {experiment['DEVICE']} is not at hand: "
                "left as it is")
    from tqdm import tqdm

    record = _provenance(name, folder, experiment)
    partial = folder / f"{name}.partial.json"
    if partial.is_file():
        old = json.loads(partial.read_text("utf-8"))
        if all(old[key] == record[key] for key in
               ("code", "data", "hardware", "threads", "versions")):
            record.update(seconds=old["seconds"], rows=old["rows"])
    rows, cases = record["rows"], experiment["CASES"]
    start = time.perf_counter() - record["seconds"]
    for row in tqdm(_measured(name, folder, experiment, cases[len(rows):]),
                    name, len(cases), initial=len(rows), disable=None):
        rows.append(row)
        record["seconds"] = time.perf_counter() - start
        _write(partial, record)
    partial.replace(folder / f"{name}.json")
    took = duration(record["seconds"])
    return f"{name}: recorded, {len(rows)} cases in {took}"


def verify(name, cases=1, *, folder=RUNS):
    """Repeat the first cases and compare; "", or why that cannot be done here.

    ValueError names each value, not volatile, that differs by more than one
    part in a million.
    """
    record, experiment = _read(name, folder), _load(name, folder)
    if not _at_hand(experiment["DEVICE"]):
        return f"{name} needs {experiment['DEVICE']}"
    used = record["data"]
    if used and used["sha256"] != data.source(used["file"]).sha256:
        return f"{name} needs {used['name']}"
    wrong = []
    for case, row in zip(experiment["CASES"][:cases], record["rows"]):
        repeated = _measure(experiment, case)
        for key in {**row, **repeated}.keys() - experiment["VOLATILE"]:
            before, now = (r.get(key, "nothing") for r in (row, repeated))
            if not _same(before, now):
                wrong.append(f"{key}: recorded {before}, now {now}")
    if wrong:
        wrong = "; ".join(sorted(wrong))
        raise ValueError(f"{name}.json does not repeat: {wrong}")
    return ""


def _same(a, b):
    """Whether two JSON values are equal, floats to one part in a million."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-6) or a != a and b != b
    return type(a) is type(b) and a == b


def _measured(name, folder, experiment, cases):
    """Yield the cases' rows in order, WORKERS at a time."""
    if experiment["WORKERS"] == 1:
        yield from (_measure(experiment, case) for case in cases)
        return
    with concurrent.futures.ProcessPoolExecutor(
            experiment["WORKERS"],  # a GPU cannot be used in a forked process
            mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_measure_one, repeat(name), repeat(folder), cases)


def _measure_one(name, folder, case):
    """One row, in a process that has not loaded the experiment yet."""
    return _measure(_load(name, folder), case)


def _measure(experiment, case):
    """One row: the case and its result, as JSON gives them back."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(experiment["THREADS"])
    try:
        result = experiment["measure"](**case)
    finally:
        torch.set_num_threads(threads)
    if result.keys() & case.keys():
        raise ValueError(f"measure(**{case}) returned a key of the case")
    return json.loads(json.dumps({**case, **result}))


def _script(name, folder):
    """The path of an experiment; ValueError if there is none."""
    if name not in names(folder):
        raise ValueError(
            f"name={name!r}: not one of {', '.join(names(folder))}")
    return folder / f"{name}.py"


def _load(name, folder):
    """What the experiment defines, with its optional values filled in."""
    experiment = runpy.run_path(str(_script(name, folder)))
    missing = {"CASES", "VOLATILE", "measure"} - experiment.keys()
    if missing:
        raise ValueError(f"{name}.py does not define {', '.join(missing)}")
    seeds = [case["seed"] for case in experiment["CASES"] if "seed" in case]
    return {"DEVICE": "cpu", "THREADS": 1, "WORKERS": 1,
            "SEEDS": sorted(set(seeds)), **experiment}


def _read(name, folder):
    """The record; ValueError if there is none."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"name={name!r}: has no record in data/runs; "
                         f"make runs NAME={name} makes it")
    return json.loads(path.read_text("utf-8"))


def _write(path, record):
    """Write a record, one row a line, to a temporary name and rename it."""
    head = json.dumps({**record, "rows": []}, indent=2).removesuffix("]\n}")
    rows = ",\n    ".join(map(json.dumps, record["rows"]))
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{head}\n    {rows}\n  ]\n}}\n", "utf-8",
                         newline="\n")
    temporary.replace(path)


def _provenance(name, folder, experiment):
    """A record without rows: when, how and on what it is made."""
    script = folder / f"{name}.py"
    files = sources(script.read_text("utf-8"))
    default = "names.txt" if PACKAGE / "data.py" in files else None
    file = experiment.get("DATA", default)
    return {
        "what": (experiment["__doc__"] or name).strip().splitlines()[0],
        "command": f"make runs NAME={name}",
        "recorded": datetime.date.today().isoformat(),
        "commit": commit([script, *files]),
        "versions": versions(),
        "hardware": hardware(experiment["DEVICE"]),
        "threads": experiment["THREADS"],
        "data": file and {"file": file, "name": data.source(file).name,
                          "sha256": data.source(file).sha256},
        "seeds": experiment["SEEDS"],
        "seconds": 0.0,
        "code": code_hash(script),
        "rows": [],
    }


def _at_hand(device):
    """Whether torch can compute on this kind of device here."""
    import torch

    return {"cpu": True, "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available()}[device]


def versions():
    """The versions of Python, torch and numpy."""
    import numpy
    import torch

    return {"Python": platform.python_version(),
            "torch": str(torch.__version__), "numpy": numpy.__version__}


def hardware(device):
    """What computes here; device is "cpu", "cuda" or "mps"."""
    import torch

    return {"processor": _processor(), "cores": _cores(),
            "memory": _memory(), "device":
            torch.cuda.get_device_name() if device == "cuda" else device}


def commit(paths):
    """The commit, "-dirty" if one of the files differs from it; or None."""
    try:
        head, changed = (
            subprocess.run(["git", *command], cwd=PACKAGE.parent, check=True,
                           capture_output=True, text=True).stdout.strip()
            for command in (["rev-parse", "--short=12", "HEAD"],
                            ["status", "--porcelain", "--", *paths]))
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + "-dirty" * bool(changed)


def _processor():
    """The processor's model."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.is_file() else ""
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _cores():
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory():
    """The machine's memory in GiB, rounded; None where it cannot be asked."""
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):
        return None
    return round(pages / 2**30)


def code_hash(script):
    """The sha256 of an experiment and of the modules that it imports."""
    digest = hashlib.sha256()
    text = script.read_text("utf-8")
    for path in [script, *sources(text)]:
        code = path.read_text("utf-8")  # line ends as on every system
        digest.update(f"{path.name}\n{len(code)}\n{code}".encode())
    return digest.hexdigest()


def sources(code, package=PACKAGE):
    """The files of `zth` that this code imports, directly or through others.

    Sorted paths, found without running anything. Lines of IPython's own are
    passed over; code that does not parse counts as importing all of `zth`.
    """
    try:
        waiting = list(_imports(_parse(code), ""))
    except SyntaxError:
        return sorted(package.rglob("*.py"))
    seen, found = set(), set()
    while waiting:
        module = waiting.pop()
        path = package.joinpath(*module.split(".")[1:])
        inside = path / "__init__.py"
        path = inside if inside.is_file() else path.with_suffix(".py")
        if module in seen or not path.is_file():
            continue
        seen.add(module)
        found.add(path)
        within = module if path == inside else module.rpartition(".")[0]
        waiting += _imported(path.read_text("utf-8"), within)
    return sorted(found)


@functools.cache  # a build asks for every module once a page
def _imported(code, within):
    return [*_imports(ast.parse(code), within)]


def _parse(code):
    """The syntax tree of a cell's code, IPython's lines blanked if need be."""
    try:
        return ast.parse(code)
    except SyntaxError:
        return ast.parse(re.sub(r"(?m)^([ \t]*)[%!?].*$", r"\1pass", code))


def _imports(tree, within):
    """Dotted names under `zth` that may be modules which the tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = within.split(".")
            base = parents[:len(parents) - node.level + 1] * bool(node.level)
            base = ".".join(base + [node.module] * bool(node.module))
            modules = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] == "zth":
                for end in range(1, len(parts) + 1):
                    yield ".".join(parts[:end])

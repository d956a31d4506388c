"""Build the book: `python -m tools.build`, which `make book` calls.

Gets the data, executes the pages, writes the site into `_build/html`, and
looks through what was written. Every fault names its page, and one fault
makes the exit status 1.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# To look for unused cycles among all the nodes of all pages takes a while.
SPHINX = ("import gc; gc.set_threshold(100_000); "
          "from jupyter_book.cli.main import main; main()")
OPTIONS = ["--all", "-W", "-n", "--keep-going", "-q"]


def main(argv=None):
    """Build the book in a folder; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.build",
                                     description="Build the book.")
    parser.add_argument("--root", type=Path, default=Path(),
                        help="the book's folder (here)")
    parser.add_argument("--jobs", type=int,
                        help="pages executed at a time (one a core)")
    options = parser.parse_args(argv)
    root = options.root.resolve()
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):
        signal.signal(getattr(signal, name), lambda *_: sys.exit(143))
    try:
        faults = build(root, options.jobs)
    except KeyboardInterrupt:
        print("\nInterrupted; the pages that were done stay done.")
        return 130
    for fault in faults:
        print(fault)
    if faults:
        print(f"\nFaults: {len(faults)}. The book is not built.")
        return 1
    print(f"\nOpen {root / '_build' / 'html' / 'index.html'}")
    return 0


def build(root, jobs=None):
    """Build the book and print how long it took; its faults, one a string."""
    start = time.perf_counter()
    try:
        sources = data(root)
        os.environ["ZTH_OFFLINE"] = "1"  # the pages download nothing
        from tools import audit, execute, ledger

        pages, timeout = execute.read_pages(root)
    except ValueError as error:
        return [str(error)]
    faults = absent(root)
    done = execute.execute(root, pages, timeout, sources, jobs)
    if done.faults:
        return faults + done.faults
    print("Writing the site", flush=True)
    with ThreadPoolExecutor(1) as pool:
        results = pool.submit(
            ledger.check_results, root, root / execute.CACHE)
        faults += re.findall(
            r"\S.*(?:\n\s.*)*", execute.plain(sphinx(root)))
        faults += results.result()
    faults += execute.strangers(root)
    faults += audit.audit(root / "_build" / "html")
    print("\n seconds  page")
    for name, seconds in done.seconds.items():
        cached = "" if name in done.fresh else "  (cached)"
        print(f"{seconds:8.1f}  {name}{cached}")
    print(f"{time.perf_counter() - start:8.1f}  the whole build\n")
    return faults


def data(root):
    """Get the data sets that the pages read, and say which they are."""
    from zth import data

    text = "".join(page.read_text("utf-8") for page in written(root))
    wanted = {"names.txt", *re.findall(r'"([\w/.-]+\.txt)"', text)}
    wanted.update(["tinyshakespeare.txt"] * ("load_text()" in text))
    found = [data.source(name) for name in sorted(wanted & {*data.REGISTRY})]
    for source in found:
        print(f"Data: {source.name}, sha256 {source.sha256[:12]}…, "
              f"{source.path}", flush=True)
    return found


def written(root):
    """The files of all pages, an editor's own copies left out."""
    return [page for page in sorted((root / "book").rglob("*.md"))
            if ".ipynb_checkpoints" not in page.parts]


def absent(root):
    """A fault for each page that is in no table of contents."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    listed = {(root / name).with_suffix(".md")
              for name in parse_toc_yaml(root / "_toc.yml")}
    return [f"{page.relative_to(root)}: in no table of contents"
            for page in written(root) if page not in listed]


def sphinx(root):
    """Write the site from the executed pages: the warnings, one a line."""
    for folder in ("html", ".doctrees", "jupyter_execute"):
        shutil.rmtree(root / "_build" / folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-c", SPHINX, "build", str(root), *OPTIONS],
        cwd=root, capture_output=True, text=True)
    said = done.stderr.replace(f"{root}/", "")
    return said or done.stdout * bool(done.returncode)


if __name__ == "__main__":
    sys.exit(main())

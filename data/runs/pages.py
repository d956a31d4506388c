"""Seconds that each page takes to run, in a fresh kernel on one thread."""

import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["cross-entropy", "indexing", "devices", "reach", "trigram"]
PAGES += ["index", "splits", "smoothing"]
CASES = [{"page": f"book/02-bigrams/{page}.md"} for page in PAGES]
VOLATILE = {"seconds"}


def measure(page):
    import jupytext
    from nbclient import NotebookClient

    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the page's kernel
    start = time.perf_counter()
    notebook = jupytext.read(ROOT / page)
    where = {"metadata": {"path": str((ROOT / page).parent)}}
    NotebookClient(notebook, timeout=900, resources=where).execute()
    return {"seconds": time.perf_counter() - start}

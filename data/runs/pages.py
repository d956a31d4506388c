"""Seconds that each page takes to run, in a fresh kernel on one thread."""

import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "02-bigrams": ["cross-entropy", "indexing", "devices", "reach", "trigram",
                   "index", "splits", "smoothing"],
    "01-micrograd": ["forward-mode", "derivatives", "softmax", "index",
                     "training"],
    "03-mlp": ["initialisation", "bengio", "tuning", "index"],
    "04-batchnorm": ["norms", "folding", "zeros", "batch-norm", "index"],
    "05-backprop": ["index", "every-line", "cross-entropy", "batch-norm",
                    "projection", "training", "attention"],
    "06-wavenet": ["index", "batch-norm", "convolution", "challenge"],
    "07-gpt": ["index", "heads", "addition", "modern", "pretraining",
               "calculator"],
}
CASES = [{"page": f"book/{folder}/{page}.md"}
         for folder, pages in PAGES.items() for page in pages]
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

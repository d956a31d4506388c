"""The whole book without a network: the real `make book` in a copy.

Oracle: the embedded names. The environment is the one that runs the tests;
the user's cache is empty and every proxy is a closed port.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEAD = "http://127.0.0.1:9"


def copy_of_the_tree(folder):
    """The files that git tracks or would, as they are, in a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


@pytest.mark.skipif(not list(Path(sys.prefix).glob(".book-*")),
                    reason="needs the environment that make makes")
def test_make_book_without_a_network(tmp_path):
    copy_of_the_tree(tmp_path)
    environment = {name: value for name, value in os.environ.items()
                   if name.lower() not in ("no_proxy", "all_proxy")
                   and not name.startswith(("ZTH_", "MAKE", "PYTEST"))}
    for name in ("http_proxy", "https_proxy"):
        environment |= {name: DEAD, name.upper(): DEAD}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"),
                    "VENV": sys.prefix}
    done = subprocess.run(["make", "-e", "book"], cwd=tmp_path,
                          env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("world-names.txt stands in for it") == 1
    assert not (tmp_path / "cache" / "zth" / "names.txt").exists()
    site = tmp_path / "_build" / "html"
    pages = [page.read_text("utf-8") for page in site.glob("book/**/*.html")]
    assert len(pages) > 10
    for page in pages:
        assert re.search(r'class="[^"]*zth-notice', page)
    compared = (site / "book/02-bigrams/index.html").read_text("utf-8")
    assert "needs names.txt" in compared

r"""A tiny book in a folder of its own, built by the book's real command.

    tiny.book(folder, {"page": "# Page\n\n" + tiny.cell("1 + 1")})
    done = tiny.build(folder)  # done.returncode; done.stdout, with stderr

The folder gets a copy of the package, the tools, the configuration and the
embedded data, so that a test may edit any of them. No network, no lecture
data: the names are the embedded ones.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3}
---

"""


def cell(code: str, *options: str) -> str:
    """A code cell; `options` are its option lines, as `:tags: [check]`."""
    return "\n".join(["```{code-cell} python", *options, code, "```", ""])


def book(folder: Path, pages: dict[str, str]) -> None:
    """Write a tiny book: page name (`index`, `folder/page`) to its text.

    Every page but `index`, the root, is a chapter, in the given order. A
    page is executed; a text that starts with `---` brings its own header.
    """
    def ignore(path, names):
        drop = {"__pycache__"}
        if Path(path) == ROOT / "data":
            drop.add("runs")
        return drop & set(names)

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("zth", "tools", "data", "book/_static"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("_config.yml", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "data" / "runs").mkdir(parents=True)
    (folder / "book" / "_static").mkdir(parents=True, exist_ok=True)
    (folder / "book" / "references.bib").touch()
    (folder / "book" / "exercises.yml").write_text(
        "lectures: []\nexercises: []\n")
    for name, text in {"index": "# A tiny book\n", **pages}.items():
        write(folder, name, text)
    chapters = [name for name in pages if name != "index"]
    toc = ["format: jb-book", "root: book/index"]
    toc += ["chapters:"] * bool(chapters)
    toc += [f"- file: book/{name}" for name in chapters]
    (folder / "_toc.yml").write_text("\n".join(toc) + "\n")


def write(folder: Path, name: str, text: str) -> None:
    """Write one page's text, under the notebook header if it has none."""
    path = folder / "book" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text.startswith("---") else HEADER + text)


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """The variables that a build of the tiny book runs under."""
    drop = ("ZTH_", "PYTEST_", "COV_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    return {**env, "PYTHONPATH": str(folder), "ZTH_OFFLINE": "1",
            "XDG_CACHE_HOME": str(folder / ".cache"), **extra}


def build(folder: Path, *options: str, **extra: str):
    """Run the real build command there; the completed process, with text."""
    return subprocess.run(
        [sys.executable, "-m", "tools.build", *options], cwd=folder,
        env=environment(folder, **extra), text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

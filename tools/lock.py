"""Renew constraints.txt, the exact versions that a build and the tests use.

    python -m tools.lock

They are resolved for the oldest Python that the book promises and the
machine that this runs on; pip needs the network for it. What only other
systems need (`appnope` on macOS) stays unpinned.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11.2"  # Debian 12's
HELD = {  # what must not move, and why
    "torch==2.13.0": "the book's numbers were measured with it",
    "sphinx-book-theme==1.1.4": "1.3 draws a second header and search box",
    "sphinxcontrib-katex==0.9.11": "its KaTeX is the one of book/_static",
}
LINUX_ONLY = ("cuda-", "nvidia-", "triton")  # torch pins these itself
HEAD = f"""\
# The exact versions of a build, for Python {PYTHON} and later.
# Written by `make lock`; what must not move is held in tools/lock.py.
"""


def requirements(path=ROOT / "pyproject.toml"):
    """All that the package and its extras ask for, but the package itself."""
    project = tomllib.loads(path.read_text("utf-8"))["project"]
    groups = [project["dependencies"],
              *project["optional-dependencies"].values()]
    return sorted({name for group in groups for name in group
                   if not name.startswith(project["name"] + "[")})


def resolve(wanted, python=PYTHON):
    """The pins that pip finds for these requirements, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run",
             "--ignore-installed", "--python-version", python,
             "--only-binary=:all:", "--target", folder,
             "--report", str(report), *wanted], check=True)
        found = json.loads(report.read_text("utf-8"))["install"]
    pins = {item["metadata"]["name"].lower():
            item["metadata"]["version"].partition("+")[0] for item in found}
    return [f"{name}=={version}" for name, version in sorted(pins.items())
            if not name.startswith(LINUX_ONLY)]


def main():
    """Write constraints.txt under a temporary name, then rename it."""
    pins = resolve(requirements() + list(HELD))
    path = ROOT / "constraints.txt"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(HEAD + "\n".join(pins) + "\n", "utf-8")
    temporary.replace(path)
    print(f"{path.name}: {len(pins)} packages")


if __name__ == "__main__":
    main()

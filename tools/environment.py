"""Install the pinned packages: `python tools/environment.py STAMP`.

STAMP is `FOLDER/.SET-KEY`: the environment's folder, the set of packages
(book, test or lab) and a key of the pins. It is written last, so a failed
install leaves none. The Python that runs this needs only its own library.
"""

import subprocess
import sys
from pathlib import Path

# Sizes: the wheels that pip resolves for constraints.txt on Linux, x86-64.
# 107 of them have 98 MB; torch has 192 MB for CPUs, 111 MB for macOS, and
# 2,730 MB for CUDA, of which 2,204 MB are the packages that it asks for.
# Time: venv and install of the downloaded wheels, two cores: 77 s.
SETS = {"book": ["book"], "test": ["test", "book"], "lab": ["lab", "book"]}
FIRST = """\
Installing the pinned packages into {}. The first time this downloads
  2.8 GB on Linux: PyTorch's build for CUDA is 2.7 GB of it
  (0.3 GB where pip is set to take PyTorch's build for CPUs),
  0.2 GB on macOS.
Besides the download it takes about {} minutes."""
MINUTES = 2


def main(stamp):
    """Make the environment that the stamp stands for; the exit status."""
    folder = stamp.parent
    name, _, key = stamp.name[1:].partition("-")
    python = folder / "bin" / "python"
    old = [path for chosen in SETS for path in folder.glob(f".{chosen}-*")]
    if not old:
        print(FIRST.format(folder, MINUTES), flush=True)
    if not runs(python):
        again = ["--clear"] if (folder / "pyvenv.cfg").exists() else []
        if run(sys.executable, "-m", "venv", *again, folder):
            return fail("The environment could not be created.")
    for path in old:
        if not path.name.endswith(f"-{key}"):
            path.unlink()
    quiet = ["--quiet"] * (not sys.stdout.isatty())
    if run(python, "-m", "pip", "install", "--disable-pip-version-check",
           *quiet, "-c", "constraints.txt", "-e", f".[{name}]"):
        return fail("The packages could not be installed.")
    for chosen in SETS[name]:
        (folder / f".{chosen}-{key}").touch()
    return 0


def runs(python):
    """Whether this is a Python that runs and fits the book."""
    code = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"
    try:
        return not subprocess.run([python, "-c", code],
                                  capture_output=True).returncode
    except OSError:
        return False


def run(*command):
    """Run a command in the book's folder; its exit status."""
    return subprocess.run(command, cwd=Path(__file__).parents[1]).returncode


def fail(reason):
    """Say what failed; the exit status."""
    print(f"{reason} Run make again to go on from here.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))

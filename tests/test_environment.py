"""The package as installed, the pins, and what make does before it builds."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tiny

from tools import lock

NEEDED = ("Makefile", "pyproject.toml", "constraints.txt", "tools")


def make(folder, *words, **variables):
    """Run make in a copy of the tree's own build files."""
    outer = ("MAKE", "MFLAGS", "VENV", "PYTHON")  # of a make that runs this
    env = {key: value for key, value in tiny.environment(folder).items()
           if not key.startswith(outer)} | variables
    return subprocess.run(["make", *words], cwd=folder, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture
def tree(tmp_path):
    """A folder with the build files, and a folder `bin` for programs."""
    for name in NEEDED:
        path = tiny.ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(
            path, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "sed", "cat", "cksum", "tr", "expand", "make"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    return tmp_path


def program(path, script):
    """Write a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_help_is_a_line_for_each_target(tree):
    said = make(tree).stdout.splitlines()
    text = (tree / "Makefile").read_text()
    targets = re.search(r"\.PHONY: (.*)", text)[1].split()
    assert [line.split()[:2] for line in said] == [
        ["make", target] for target in targets]
    assert all(len(line) < 80 for line in said)


def test_a_python_that_does_not_fit_is_refused(tree):
    program(tree / "bin/python3", 'test "$1" = -c && exit 1')
    done = make(tree, "book", PATH=str(tree / "bin"), PYTHON="python3")
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13, and python3 is none" in done.stdout
    assert len(done.stdout.splitlines()) <= 2  # make's own line is the other


def test_a_python_that_was_asked_for_is_not_replaced(tree):
    program(tree / "bin/python3.10", 'test "$1" = -c && exit 1')
    program(tree / "bin/python3.12", "exit 0")
    path = str(tree / "bin")
    done = make(tree, "book", PATH=path, PYTHON="python3.10")
    assert done.returncode != 0 and "python3.10 is none" in done.stdout
    program(tree / "bin/python3.12", 'test "$1" = -c && exit 1')
    assert "none was found" in make(tree, "book", PATH=path).stdout


def test_a_python_without_venv_is_said(tree):
    program(tree / "bin/python3.12",
            'case "$2" in *ensurepip*) exit 1;; esac')
    done = make(tree, "book", PATH=str(tree / "bin"))
    assert done.returncode != 0
    assert "python3.12 has no venv module" in done.stdout


def test_the_first_python_that_runs_is_taken(tree):
    program(tree / "bin/python3.11", "exit 127")  # as pyenv's shims do
    program(tree / "bin/python3.12", 'test "$1" = -c || echo took 3.12 "$@"')
    program(tree / "bin/mine", 'test "$1" = -c || echo took mine "$@"')
    path = str(tree / "bin")
    done = make(tree, "-i", "book", PATH=path)
    assert "took 3.12 tools/environment.py .venv/.book-" in done.stdout
    done = make(tree, "-i", "book", PATH=path, PYTHON="mine")
    assert "took mine" in done.stdout and "3.12" not in done.stdout


def test_a_failed_install_leaves_no_stamp(tree):
    done = make(tree, "test", PYTHON=sys.executable, PIP_NO_INDEX="1",
                PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode != 0
    assert "2.8 GB" in done.stdout
    assert "could not be installed. Run make again" in done.stdout
    assert (tree / ".venv/bin/python").exists()
    assert not list((tree / ".venv").glob(".*-*"))


def test_an_install_is_done_once_for_the_same_pins(tree):
    venv = tree / "ready"
    program(venv / "bin/python", f'echo ran "$@" >> {tree}/log')
    variables = {"VENV": str(venv), "PYTHON": sys.executable}

    def ran(target):
        (tree / "log").write_text("")
        assert make(tree, target, **variables).returncode == 0
        return [re.sub(r"^ran (-m )?", "", line).split()[0]
                for line in (tree / "log").read_text().splitlines()
                if "-c " not in line[:8]]

    assert ran("test") == ["pip", "pytest"]
    assert ran("test") == ["pytest"]
    assert ran("book") == ["tools.build"]  # what test needs has the book's
    with open(tree / "constraints.txt", "a") as file:
        file.write("# changed\n")
    assert ran("book") == ["pip", "tools.build"]
    assert len(list(venv.glob(".*-*"))) == 1  # the older ones do not hold


def test_the_installed_package_carries_its_data(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "README.md").touch()
    for name in ("zth", "data", "pyproject.toml"):
        path = tiny.ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(
            path, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
         "--no-build-isolation", "--disable-pip-version-check", "--no-index",
         "--target", tmp_path / "site", source], check=True)
    shutil.rmtree(source)
    code = ("import json; from zth import data, record; print(json.dumps("
            "[data.__file__, record.__file__, len(data.load_names())]))")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", text=True,
        env=tiny.environment(tmp_path / "site"), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert f'"{tmp_path}/site/zth/data.py"' in done.stdout
    assert done.stdout.endswith("18730]\n")
    kept = {path.name for path in (tmp_path / "site/zth/_data").rglob("*")}
    for path in (tiny.ROOT / "data").rglob("*"):
        if path.suffix in (".json", ".toml", ".txt", ".md"):
            assert path.name in kept or "partial" in path.name


def test_the_pins_are_exact_and_hold_what_must_hold():
    text = (tiny.ROOT / "constraints.txt").read_text()
    pins = dict(line.split("==") for line in text.splitlines()
                if not line.startswith("#"))
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins.values())
    for held in lock.HELD:
        name, _, version = held.partition("==")
        assert pins[name] == version
    assert pins["torch"] == "2.13.0"
    assert pins["jupyter-book"].startswith("1.")
    assert not [name for name in pins if name.startswith(lock.LINUX_ONLY)]
    wanted = {re.match(r"[\w-]+", name)[0] for name in lock.requirements()}
    assert wanted <= pins.keys()


def test_the_package_asks_for_no_exact_version():
    path = tiny.ROOT / "pyproject.toml"
    project = tomllib.loads(path.read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert not [name for name in lock.requirements(path) if "==" in name]
    assert Path(lock.ROOT) == tiny.ROOT

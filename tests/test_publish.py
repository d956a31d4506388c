"""What others run on the book: GitHub's workflow, Binder's files.

Oracles: the schema of GitHub's workflow files, as check-jsonschema carries
it; what tools/execute.py really reads, for the key of the cache; the steps'
own scripts, run here against a repository on disk; pip, asked what Binder
would install; jupytext, which opens a page for JupyterLab. Faults are planted
in copies.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jupytext
import pytest
import tiny
import yaml
from jupyter_cache import get_cache

from tools import archive, bookext, execute
from zth import data

WORKFLOWS = sorted((tiny.ROOT / ".github/workflows").iterdir())
BOOK = tiny.ROOT / ".github/workflows/book.yml"
BINDER = tiny.ROOT / "binder"


def load(path=BOOK):
    """A workflow; YAML 1.1 takes its key `on` for a truth value."""
    workflow = yaml.safe_load(path.read_text("utf-8"))
    return {"on" if key is True else key: value
            for key, value in workflow.items()}


def steps(workflow, job, key="uses", start=""):
    """The job's steps whose value of the key begins like that."""
    return [step for step in workflow["jobs"][job]["steps"]
            if key in step and step[key].startswith(start)]


def run(script, folder, **extra):
    """Run a step's script as GitHub does, with these variables added."""
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder,
                          env=os.environ | extra, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


# The workflow's form --------------------------------------------------------

def schema_faults(path):
    """What the schema of GitHub's workflows says against a file, or ""."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema",
         "vendor.github-workflows", path], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout * bool(done.returncode)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_workflow_has_the_form_that_github_wants(path):
    assert path.suffix == ".yml" and schema_faults(path) == ""


@pytest.mark.parametrize("old, new", [
    ("runs-on:", "runs_on:"), ("- run: make book", "- make book"),
    ("timeout-minutes: 90", "timeout-minutes: an hour"),
    ("pull_request:", "pull_requests:")])
def test_a_planted_fault_of_form_is_seen(tmp_path, old, new):
    text = BOOK.read_text("utf-8")
    assert old in text
    (tmp_path / "book.yml").write_text(text.replace(old, new), "utf-8")
    assert schema_faults(tmp_path / "book.yml")


def test_every_make_of_a_workflow_is_a_target():
    makefile = (tiny.ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    made = [re.findall(r"\bmake (\w+)", step["run"])
            for path in WORKFLOWS for job in load(path)["jobs"]
            for step in steps(load(path), job, "run")]
    assert [name for names in made for name in names] == [
        "book", "test", "zip"]
    assert {"book", "test", "zip"} <= targets


def test_actions_are_githubs_own_at_a_major_version():
    for path in WORKFLOWS:
        workflow = load(path)
        for job in workflow["jobs"]:
            for step in steps(workflow, job):
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


# What it may do -------------------------------------------------------------

def test_only_the_publishing_job_may_write_and_only_from_main():
    workflow = load()
    assert set(workflow["on"]) == {
        "push", "pull_request", "workflow_dispatch", "schedule"}
    assert workflow["permissions"] == {"contents": "read"}
    writing = {name: job["permissions"]
               for name, job in workflow["jobs"].items()
               if "permissions" in job}
    assert writing == {"publish": {"contents": "write"}}
    publish = workflow["jobs"]["publish"]
    assert publish["if"] == "github.ref == 'refs/heads/main'"
    assert publish["needs"] == "book"


def test_runs_of_one_branch_do_not_overlap_and_main_is_not_cut_short():
    assert load()["concurrency"] == {
        "group": "book-${{ github.ref }}",
        "cancel-in-progress": "${{ github.ref != 'refs/heads/main' }}"}


def test_the_weekly_run_starts_from_nothing():
    weekly = "github.event_name != 'schedule'"
    [python] = steps(load(), "book", start="actions/setup-python@")
    [cache] = steps(load(), "book", start="actions/cache@")
    assert python["with"]["cache"] == f"${{{{ {weekly} && 'pip' || '' }}}}"
    assert cache["if"] == weekly


def test_the_place_of_pytorchs_build_for_cpus_is_read_from_readme(tmp_path):
    [step] = [step for step in steps(load(), "book", "run")
              if "README.md" in step["run"]]
    done = run(step["run"], tiny.ROOT, GITHUB_ENV=str(tmp_path / "env"))
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"PIP_EXTRA_INDEX_URL=https://\S+/cpu\n",
                        (tmp_path / "env").read_text())
    (tmp_path / "README.md").write_text("Nothing about it.\n")
    assert run(step["run"], tmp_path, GITHUB_ENV="env").returncode


# The cache of executed pages ------------------------------------------------

@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """The files that the book's pages are cached under, from the root."""
    read = {data.source("world-names.txt").path}  # in place of the lecture's
    pages, _ = execute.read_pages(tiny.ROOT)
    for name in ("read_bytes", "read_text"):
        def note(path, *args, plain=getattr(Path, name), **options):
            read.add(path)
            return plain(path, *args, **options)
        monkeypatch.setattr(Path, name, note)
    common = execute.common(tiny.ROOT, [])
    for page in pages:
        read.add(page.path)
        execute.key(tiny.ROOT, page, get_cache(tmp_path), common)
    monkeypatch.undo()
    names = {path.resolve().relative_to(tiny.ROOT).as_posix()
             for path in read if tiny.ROOT in path.resolve().parents}
    assert {"book/02-bigrams/trigram.md", "zth/ngram.py", "constraints.txt",
            "data/runs/reach.json", "tools/execute.py"} <= names
    return names


def patterns(workflow):
    """The patterns of the files in the key of the execution cache."""
    [cache] = steps(workflow, "book", start="actions/cache@")
    [listed] = re.findall(r"hashFiles\((.*?)\)", cache["with"]["key"])
    return re.findall(r"'(.*?)'", listed)


def unmatched(names, patterns):
    """The names that no pattern matches, by the rules of hashFiles.

    `**/` stands for any folders or none, `**` for all below, `*` for
    anything within one name.
    """
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    expressions = ["".join(
        rules.get(part) or re.escape(part)
        for part in re.split(r"(\*\*/|\*\*|\*)", pattern))
        for pattern in patterns]
    return {name for name in names if not any(
        re.fullmatch(expression, name) for expression in expressions)}


def test_the_caches_key_covers_all_that_a_page_depends_on(hashed):
    wanted = patterns(load())
    assert unmatched(hashed, wanted) == set()
    for pattern in wanted:  # nor is one idle
        assert unmatched(hashed, set(wanted) - {pattern})


def test_patterns_match_as_hash_files_does():
    names = {"a.md", "book/a.md", "book/x/y/a.md", "book/a.mdx", "books/a.md"}
    assert unmatched(names, ["book/**/*.md"]) == {
        "a.md", "book/a.mdx", "books/a.md"}
    assert unmatched(names, ["book/**"]) == {"a.md", "books/a.md"}
    assert unmatched(names, ["*.md", "book/a.md"]) == names - {
        "a.md", "book/a.md"}


def test_the_cache_is_the_builds_own_and_an_older_one_is_taken():
    [cache] = steps(load(), "book", start="actions/cache@")
    assert cache["with"]["path"] == execute.CACHE.as_posix()
    older = "pages-${{ steps.python.outputs.python-version }}-"
    assert cache["with"]["restore-keys"] == older
    assert cache["with"]["key"].startswith(older)
    [python] = steps(load(), "book", start="actions/setup-python@")
    assert python["id"] == "python"


# Publishing -----------------------------------------------------------------

def git(folder, *words):
    """What git prints there."""
    return subprocess.run(["git", *words], cwd=folder, check=True, text=True,
                          capture_output=True).stdout


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """An empty repository in the place of the one on GitHub."""
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in {
            "GITHUB_REPOSITORY": "owner/book", "GITHUB_SHA": "0123abc",
            "TOKEN": "secret", "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{tmp_path}/remote.git.insteadOf",
            "GIT_CONFIG_VALUE_0":
            "https://x-access-token:secret@github.com/owner/book"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "remote.git"


def publish(folder, pages):
    """Pack a site of these files and run the publishing step on it."""
    for name, text in {"index.html": "", **pages}.items():
        path = folder / "_build/html" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert archive.main(["--root", str(folder)]) == 0
    shutil.copy(folder / f"_build/{archive.NAME}.zip", folder)
    [step] = steps(load(), "publish", "run")
    return run(step["run"], folder)


def test_the_site_is_the_one_commit_of_its_branch(remote, tmp_path):
    first = {"book/old.html": "old", "workbooks/old.ipynb": "{}"}
    second = {"_static/style.css": "", "workbooks/new.ipynb": "{}"}
    for name, pages in {"first": first, "second": second}.items():
        (tmp_path / name).mkdir()
        done = publish(tmp_path / name, pages)
        assert done.returncode == 0, done.stdout
        kept = git(remote, "ls-tree", "-r", "--name-only", "gh-pages")
        assert set(kept.split()) == {".nojekyll", "index.html", *pages}
    assert git(remote, "rev-list", "--count", "gh-pages") == "1\n"
    assert git(remote, "log", "--format=%s", "gh-pages") == (
        "The site of 0123abc\n")
    assert git(remote, "branch", "--format=%(refname:short)") == "gh-pages\n"


def test_a_site_that_cannot_be_pushed_fails_the_step(remote, tmp_path):
    shutil.rmtree(remote)
    (tmp_path / "site").mkdir()
    assert publish(tmp_path / "site", {}).returncode


def test_a_site_without_the_lectures_names_is_not_published(
        remote, tmp_path):
    (tmp_path / "site").mkdir()
    notice = bookext.notice(data.Source("world-names.txt", Path(), "", False))
    done = publish(tmp_path / "site", {"book/page.html": notice})
    assert done.returncode and "not published" in done.stdout
    assert git(remote, "branch") == ""


def test_what_is_uploaded_is_what_is_published():
    [up] = steps(load(), "book", start="actions/upload-artifact@")
    [down] = steps(load(), "publish", start="actions/download-artifact@")
    assert up["with"]["path"] == f"_build/{archive.NAME}.zip"
    assert up["with"]["name"] == down["with"]["name"]
    assert up["with"]["if-no-files-found"] == "error"


# Binder ---------------------------------------------------------------------

@pytest.fixture
def clone(tmp_path):
    """A copy of what an installation from the repository reads."""
    for name in ("zth", "data", "binder"):
        shutil.copytree(tiny.ROOT / name, tmp_path / name)
    for name in ("README.md", "pyproject.toml", "constraints.txt"):
        shutil.copy(tiny.ROOT / name, tmp_path)
    return tmp_path


def installs(folder):
    """What pip would install there for Binder, by name, beside what is here.

    Only what is missing here is looked up: to resolve all of it anew, pip
    would download all of it, PyTorch too, at every call.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet",
         "--disable-pip-version-check", "--no-build-isolation", "--retries",
         "1", "--report", "report.json", "-r", "binder/requirements.txt"],
        cwd=folder, capture_output=True, text=True)
    if done.returncode and "Retrying (" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "report.json").read_text("utf-8"))
    return {item["metadata"]["name"].lower(): item
            for item in report["install"]}


def test_binder_installs_the_clones_own_package_at_the_books_pins(clone):
    found = installs(clone)
    zth = found["zth"]
    assert zth["requested_extras"] == ["lab"]
    assert "lab" in zth["metadata"]["provides_extra"]
    assert zth["download_info"]["dir_info"] == {"editable": True}
    assert zth["download_info"]["url"] == clone.as_uri()
    pins = dict(line.split("==") for line in (
        clone / "constraints.txt").read_text().splitlines() if "==" in line)
    for name in ("jupyterlab", "jupytext", "ipykernel", "torch"):
        taken = (found[name]["metadata"]["version"] if name in found
                 else version(name))
        assert taken.partition("+")[0] == pins[name]


def test_binder_takes_a_python_that_the_book_fits():
    assert (BINDER / "runtime.txt").read_text() == "python-3.11\n"


def test_binder_lets_a_click_open_a_page_as_a_notebook(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(f"#!/bin/sh\necho {tmp_path}/env\n")
    (tmp_path / "bin/jupytext-config").write_text(
        f"#!/bin/sh\nexec {sys.executable} -m jupytext_config \"$@\"\n")
    for path in (tmp_path / "bin").iterdir():
        path.chmod(0o755)
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [BINDER / "postBuild"], cwd=tmp_path, capture_output=True, text=True,
        env={"HOME": str(tmp_path / "home"),
             "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    written = tmp_path / "env/etc/jupyter/labconfig"
    setting = json.loads(
        (written / "default_setting_overrides.json").read_text())
    [viewers] = setting.values()
    assert viewers == {"defaultViewers": {"markdown": "Jupytext Notebook"}}
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("name", ["trigram", "indexing", "reach"])
def test_jupytext_opens_a_page_with_its_code(name):
    path = tiny.ROOT / f"book/02-bigrams/{name}.md"
    opened = jupytext.read(path)
    read = [cell.source for cell in opened.cells if cell.cell_type == "code"]
    pages, _ = execute.read_pages(tiny.ROOT)
    [page] = [page for page in pages if page.path == path]
    assert read and "\n".join(read) == page.code
    assert opened.metadata.kernelspec.name == "python3"


def test_no_file_names_a_host_of_packages():
    for path in [*WORKFLOWS, *BINDER.iterdir()]:
        hosts = re.findall(r"https?://(?:[^/\s@]*@)?([\w.-]+)",
                           path.read_text("utf-8"))
        assert set(hosts) <= {"github.com"}

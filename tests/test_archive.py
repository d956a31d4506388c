"""The site in one archive.

Oracles: the files of the site that is packed, byte for byte; an archive of
its copy, with other times and modes; the audit, on a tiny book that the real
command builds, packed and unpacked in another place.
"""

import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import tiny

from tools import archive, audit

SITE = {
    "index.html": '<meta http-equiv="Refresh" content="0; url=book/a.html" />',
    "book/a.html": "<h1>Ä</h1>\n" * 1000,
    "_static/style.css": "body {}\n",
    "workbooks/a b.ipynb": "{}",
}
HIDDEN = {".buildinfo": "1", ".nojekyll": "", ".doctrees/a.doctree": "2"}


@pytest.fixture
def root(tmp_path):
    """A book's folder with a site in it."""
    site = tmp_path / "book/_build/html"
    for name, text in (SITE | HIDDEN).items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text, "utf-8")
    return tmp_path / "book"


def packed(root):
    """Pack the site; where the archive lies."""
    assert archive.main(["--root", str(root)]) == 0
    return root / "_build/zero-to-hero-solved.zip"


def test_the_archive_holds_the_site_in_one_folder(root, capsys):
    with zipfile.ZipFile(packed(root)) as file:
        assert file.testzip() is None
        assert file.namelist() == sorted(
            f"zero-to-hero-solved/{name}" for name in SITE)
        for name, text in SITE.items():
            entry = file.getinfo(f"zero-to-hero-solved/{name}")
            assert file.read(entry).decode("utf-8") == text
            assert entry.compress_type == zipfile.ZIP_DEFLATED
            assert oct(entry.external_attr >> 16) == "0o100644"
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\S+zero-to-hero-solved\.zip: 0\.0 MB", first)
    assert second == "Unpack it and open zero-to-hero-solved/index.html."


def test_the_same_site_gives_the_same_bytes(root, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(root, other, copy_function=shutil.copy)
    for path in other.rglob("*"):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o700)
    mask = os.umask(0o077)
    try:
        assert packed(other).read_bytes() == packed(root).read_bytes()
    finally:
        os.umask(mask)
    before = packed(root).read_bytes()
    assert packed(root).read_bytes() == before
    (root / "_build/html/book/a.html").write_text("changed")
    assert packed(root).read_bytes() != before


@pytest.mark.parametrize("error", [
    PermissionError(13, "Permission denied"), KeyboardInterrupt()])
def test_an_interrupted_packing_leaves_the_older_archive(
        root, monkeypatch, capsys, error):
    before = packed(root).read_bytes()
    capsys.readouterr()
    plain, seen = Path.read_bytes, []

    def broken(path):
        seen.append(path.name)
        if path.name == "a b.ipynb":  # the last one
            raise error
        return plain(path)

    monkeypatch.setattr(Path, "read_bytes", broken)
    if isinstance(error, OSError):
        assert archive.main(["--root", str(root)]) == 1
        said = capsys.readouterr()
        assert said.out == "" and said.err == (
            "The site was not packed: [Errno 13] Permission denied\n")
    else:
        with pytest.raises(KeyboardInterrupt):
            archive.main(["--root", str(root)])
    monkeypatch.undo()
    assert len(seen) == len(SITE)
    assert {path.name for path in (root / "_build").iterdir()} == {
        "html", "zero-to-hero-solved.zip"}
    assert (root / "_build/zero-to-hero-solved.zip").read_bytes() == before


def test_without_a_site_one_line_says_what_to_do(tmp_path, capsys):
    (tmp_path / "_build/html").mkdir(parents=True)
    assert archive.main(["--root", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert "html holds no site: run make book first." in said.err
    assert list((tmp_path / "_build").iterdir()) == [tmp_path / "_build/html"]


def test_an_unpacked_book_is_whole_and_leads_to_its_first_page(tmp_path):
    tiny.book(tmp_path / "book", {
        "index": "# A tiny book\n\nSee [the page](part/page.md).\n",
        "part/page": "# Page\n\n" + tiny.cell("1 + 1")})
    done = tiny.build(tmp_path / "book")
    assert done.returncode == 0, done.stdout
    with zipfile.ZipFile(packed(tmp_path / "book")) as file:
        file.extractall(tmp_path / "elsewhere")
    site = tmp_path / "elsewhere" / archive.NAME
    assert audit.audit(site, tmp_path / "book") == []
    [url] = re.findall(r"url=([^\"]+)\"", (site / "index.html").read_text())
    assert url == "book/index.html"  # a relative link: it needs no server
    assert "A tiny book" in (site / url).read_text("utf-8")

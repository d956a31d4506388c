"""Pack the built site into one archive that opens from disk.

    python -m tools.archive    writes _build/zero-to-hero-solved.zip

The same site gives the same bytes: entries are sorted, and times and modes
are fixed.
"""

import argparse
import sys
import zipfile
from pathlib import Path

NAME = "zero-to-hero-solved"  # the archive, and the one folder in it


def main(argv=None):
    """Pack the site of a book's folder; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.archive",
                                     description="Pack the built site.")
    parser.add_argument("--root", type=Path, default=Path(),
                        help="the book's folder (here)")
    root = parser.parse_args(argv).root
    site, archive = root / "_build/html", root / f"_build/{NAME}.zip"
    if not (site / "index.html").is_file():
        print(f"{site} holds no site: run make book first.", file=sys.stderr)
        return 1
    try:
        pack(site, archive)
    except OSError as error:
        print(f"The site was not packed: {error}", file=sys.stderr)
        return 1
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")
    print(f"Unpack it and open {NAME}/index.html.")
    return 0


def pack(site, archive):
    """Write the archive of a site, under a temporary name until it is done."""
    temporary = archive.with_suffix(".tmp")
    try:
        with zipfile.ZipFile(temporary, "w") as packed:
            for name, path in files(site):
                entry = zipfile.ZipInfo(f"{NAME}/{name}")  # of 1980
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # Unix, whose modes these are
                entry.external_attr = 0o100644 << 16
                packed.writestr(entry, path.read_bytes())
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)


def files(site):
    """Names and paths of what a reader needs, sorted by name.

    Hidden files are left out: only Sphinx and web servers read them.
    """
    found = ((path.relative_to(site), path) for path in site.rglob("*")
             if path.is_file())
    return sorted((name.as_posix(), path) for name, path in found
                  if not any(part.startswith(".") for part in name.parts))


if __name__ == "__main__":
    sys.exit(main())

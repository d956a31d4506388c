"""Where the book lives: its commit, its public address, links made of it."""

import ipaddress
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit

def git(root, *args):
    """What git prints in the folder, stripped; "" where it fails."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *args], cwd=root,
            capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def head(root):
    """The commit that is checked out in the book's own repository, or ""."""
    top = git(root, "rev-parse", "--show-toplevel")
    if Path(top).resolve() != Path(root).resolve():
        return ""  # an unpacked archive, perhaps in another repository
    return git(root, "rev-parse", "HEAD")


def commit(root):
    """The commit as a reader should see it."""
    found = head(root)
    if not found:
        return "unknown"
    dirty = git(root, "status", "--porcelain", "--untracked-files=no")
    return found[:10] + (" with local changes" if dirty else "")


def repository_url(root):
    """The book's public address, or None.

    It is ZTH_REPOSITORY_URL where that is set (empty: no address), else the
    remote `origin`. Paths, hosts inside a private network and addresses with
    credentials are no public address.
    """
    url = os.environ.get("ZTH_REPOSITORY_URL")
    if url is None:
        url = git(root, "remote", "get-url", "origin")
    scp = re.fullmatch(r"(?:(\w+)@)?([\w.-]+\.[\w-]+):(?!/|\d+/)(.+)", url)
    if scp:
        url = f"ssh://{scp[2]}/{scp[3]}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    web = parts.scheme in ("http", "https")
    if not (web or parts.scheme in ("ssh", "git+ssh")) or not public(host):
        return None
    if parts.password or (web and (parts.username or parts.query)):
        return None
    path = parts.path.strip("/").removesuffix(".git")
    if not path:
        return None
    port = f":{port}" if web and port else ""
    return f"{parts.scheme if web else 'https'}://{host}{port}/{path}"


def public(host):
    """Whether a reader elsewhere can reach a host of this name."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        last = host.rpartition(".")[2]
        return "." in host and last not in (
            "local", "localhost", "internal", "lan", "home", "test", "invalid")


def report_url(repository, title):
    """The address at which a reader reports a mistake on a page."""
    new = "-/issues/new?issue[title]=" if "gitlab" in urlsplit(
        repository).hostname else "issues/new?title="
    return f"{repository}/{quote(new, '/-?=')}{quote(title)}"


def site_url(repository):
    """Where GitHub Pages shows the site; None for other hosts."""
    owner, name = github(repository)
    if not owner:
        return None
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" + f"{name}/" * (name.lower() != host)


def colab_url(repository, path):
    """The address that opens a published notebook in Colab, or None.

    Colab reads from GitHub alone; `gh-pages` is the branch of the site.
    """
    owner, name = github(repository)
    return owner and ("https://colab.research.google.com/github/"
                      f"{owner}/{name}/blob/gh-pages/{quote(path)}")


def binder_url(repository, path):
    """The address that opens a file of the repository in Binder."""
    owner, name = github(repository)
    place = f"gh/{owner}/{name}" if owner else f"git/{quote(repository, '')}"
    return (f"https://mybinder.org/v2/{place}/HEAD?urlpath="
            f"{quote(f'lab/tree/{path}', '')}")


def github(repository):
    """(owner, name) of a repository on GitHub; (None, None) of another."""
    parts = urlsplit(repository)
    names = parts.path.strip("/").split("/")
    if parts.netloc not in ("github.com", "www.github.com") or len(names) != 2:
        return None, None
    return names

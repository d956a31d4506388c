"""Execute the pages side by side into the cache that Sphinx then reads.

A page is cached under its code, as jupyter_cache does it, and its record
carries a key: a hash of all that its outputs depend on. A record whose key
no page has is deleted, so nothing stale is ever there to be read. A page is
cached the moment it is done.
"""

import asyncio
import dataclasses
import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from jupyter_book.config import get_final_config
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.db import NbCacheRecord
from myst_nb.core.config import NbParserConfig
from myst_nb.core.read import create_nb_reader
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from sphinx_external_toc.parsing import parse_toc_yaml

from zth import record

CACHE = Path("_build", ".jupyter_cache")
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1767225600", "TZ": "UTC",
    "CUDA_VISIBLE_DEVICES": "",  # a page is the same on every machine
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONSTARTUP": "", "COLUMNS": "80",
}


class Page(NamedTuple):
    """A page that is a notebook: its name from the root, and its code."""

    name: str
    path: Path
    notebook: NotebookNode
    code: str


class Done(NamedTuple):
    """What execution left: seconds and freshness by page, and the faults."""

    seconds: dict
    fresh: set
    faults: list


def read_pages(root):
    """The table of contents' pages as Sphinx reads them, and the timeout.

    ValueError names a page that cannot be read.
    """
    config, _ = get_final_config(
        user_yaml=root / "_config.yml", sourcedir=root,
        cli_config={"latex_individualpages": False})
    fields = {field.name for field in dataclasses.fields(MdParserConfig)}
    markdown = MdParserConfig(**{
        key[5:]: value for key, value in config.items()
        if key.startswith("myst_") and key[5:] in fields})
    pages = []
    for name in parse_toc_yaml(root / "_toc.yml"):
        path = (root / name).with_suffix(".md")
        name = path.relative_to(root).as_posix()
        try:
            text = path.read_text("utf-8")
            reader = create_nb_reader(name, markdown, NbParserConfig(), text)
            notebook = reader and reader.read(text)
        except Exception as error:
            raise ValueError(f"{name}: {error}") from error
        if notebook:
            pages.append(Page(name, path, notebook, "\n".join(
                cell.source for cell in notebook.cells
                if cell.cell_type == "code")))
    return pages, config["nb_execution_timeout"]


def read_by(root, page):
    """The files that a page's outputs depend on: modules and records.

    A record is taken for shown where its name stands in quotes.
    """
    files = set(record.sources(page.code))
    names = set(re.findall(r"""["']([\w-]+)["']""", page.code))
    for path in (root / "data" / "runs").glob("*.*"):
        if path.stem in names and path.suffix in (".json", ".py"):
            files.add(path)
            if path.suffix == ".py":
                files.update(record.sources(path.read_text("utf-8")))
    return sorted(files)


def key(root, page, cache, common):
    """The hash of all that the page's outputs depend on."""
    digest = hashlib.sha256(common)
    digest.update(cache.create_hashed_notebook(page.notebook)[1].encode())
    for path in read_by(root, page):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def common(root, sources):
    """What all pages depend on: the data, the pins, Python, this file."""
    files = [root / "data" / "registry.toml", root / "constraints.txt",
             Path(__file__)]
    return repr([[(s.name, s.sha256) for s in sources],
                 platform.python_version(),
                 [path.read_bytes() for path in files]]).encode()


def purge(cache, keys):
    """Delete the records that carry none of the keys, and a kill's debris.

    Returns the seconds of the records that stay, by key.
    """
    seconds, folders = {}, set()
    try:
        records = cache.list_cache_records()
    except Exception:  # killed while it was created: nothing to lose
        cache.clear_cache()
        records = []
    for found in records:
        try:
            cache.get_cache_bundle(found.pk)
            assert found.data["key"] in keys
            seconds[found.data["key"]] = found.data["execution_seconds"]
            folders.add(found.hashkey)
        except Exception:  # not wanted, or half written
            NbCacheRecord.remove_records([found.pk], cache.db)
    for folder in (cache.path / "executed").glob("*"):
        if folder.name not in folders:
            shutil.rmtree(folder)
    return seconds


def execute(root, pages, timeout, sources, jobs=None):
    """Bring the cache up to date with the pages: `Done`.

    `sources` are the data that they read. `jobs` pages run at a time, as
    many as there are cores if None. What interrupts it (KeyboardInterrupt,
    SystemExit) ends the kernels first.
    """
    os.environ.update(ENVIRONMENT, IPYTHONDIR=str(root / "_build/.ipython"))
    cache = get_cache(root / CACHE)
    shared = common(root, sources)
    keys = {page.name: key(root, page, cache, shared) for page in pages}
    seconds = purge(cache, set(keys.values()))
    todo = {keys[page.name]: page for page in pages
            if keys[page.name] not in seconds}  # equal code runs once
    faults, started = [], []
    limit = asyncio.Semaphore(jobs or cores())

    async def run(key, page):
        async with limit:
            start = time.perf_counter()
            client = NotebookClient(page.notebook, timeout=timeout,
                                    record_timing=False, coalesce_streams=True)
            client.create_kernel_manager()
            client.km.transport = "ipc"  # no two kernels race for one port
            client.km.connection_file = f"{sockets}/{len(started)}.json"
            started.append(page)
            try:
                if page.code:
                    await client.async_execute(cwd=str(page.path.parent))
            except Exception as error:
                faults.append(fault(page, error))
                print(f"{time.perf_counter() - start:8.1f} s  {page.name} "
                      "failed", flush=True)
                return
            seconds[key] = time.perf_counter() - start
            cache.cache_notebook_bundle(
                CacheBundleIn(page.notebook, page.name, data={
                    "execution_seconds": seconds[key], "key": key}),
                check_validity=False, overwrite=True)
            print(f"{seconds[key]:8.1f} s  {page.name}", flush=True)

    async def run_all():
        async with asyncio.TaskGroup() as group:
            for item in todo.items():
                group.create_task(run(*item))

    with tempfile.TemporaryDirectory() as sockets:
        in_a_thread(run_all())
    return Done({page.name: seconds.get(keys[page.name]) for page in pages},
                {page.name for page in todo.values()}, faults)


def strangers(root):
    """A fault for each page that Sphinx executed: it missed the cache."""
    return [f"{found.uri}: Sphinx executed it, the cache did not match"
            for found in get_cache(root / CACHE).list_cache_records()
            if "key" not in found.data]


def cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_a_thread(coroutine):
    """Run it in another thread: in the main one nbclient takes the signals."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(loop.run_until_complete, task)
        try:
            future.result()
        except BaseException:
            if not future.done():
                loop.call_soon_threadsafe(task.cancel)
            raise
    loop.close()


def fault(page, error):
    """Where a page failed and how: `page:line: error`, and its last lines."""
    text = plain(getattr(error, "traceback", ""))
    tail = "".join(f"\n    {line}" for line in text.splitlines()[-12:])
    if not isinstance(error, CellExecutionError):
        return f"{page.name}: {type(error).__name__}: {error}"
    cell, line = [
        (cell, line) for cell, line in
        zip(page.notebook.cells, page.notebook.metadata["source_map"])
        if any(output.output_type == "error"
               for output in cell.get("outputs", ()))][-1]
    lines = page.path.read_text("utf-8").splitlines()
    line = lines.index(cell.source.split("\n")[0], line)
    within = re.search(r"Cell In\[\d+\], line (\d+)", text)
    line += int(within[1]) if within else 1
    reason = f"{error.ename}: {error.evalue}".splitlines()[0]
    return f"{page.name}:{line}: {reason}{tail}"


def plain(text):
    """The text without the codes that colour it in a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)

"""Build world-names.txt from the name lists of Faker 40.54.0.

    python data/build_world_names.py

Faker is installed in an environment of its own, which is removed afterwards.
From every locale's person provider come all lists whose names begin with
`first_names`; a name's accents are stripped (NFKD), it is lower-cased, and
kept if it then has letters a to z alone. Each name once, sorted.
"""

import hashlib
import importlib
import pkgutil
import random
import re
import subprocess
import sys
import tempfile
import unicodedata
import venv
from pathlib import Path

FAKER = "Faker==40.54.0"
TARGET = Path(__file__).with_name("world-names.txt")


def collect():
    """The sorted names; needs Faker."""
    from faker.providers import person

    names = set()
    for module in pkgutil.iter_modules(person.__path__, person.__name__ + "."):
        provider = importlib.import_module(module.name).Provider
        provider = provider(random.Random(0))  # one list is a property
        for attribute in dir(provider):
            if attribute.startswith("first_names"):
                names.update(map(plain, getattr(provider, attribute)))
    return sorted(name for name in names if re.fullmatch("[a-z]+", name))


def plain(name):
    """The name without accents, in lower case."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(c for c in letters if not unicodedata.combining(c)).lower()


def main():
    """Write world-names.txt and print what registry.toml has to say of it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        python = str(Path(folder, scripts, "python"))
        subprocess.run([python, "-m", "pip", "install", "--quiet", FAKER],
                       check=True)
        content = subprocess.run([python, __file__, "collect"], check=True,
                                 stdout=subprocess.PIPE).stdout
    names = content.split()
    temporary = TARGET.with_suffix(".tmp")
    temporary.write_bytes(b"\n".join(names) + b"\n")
    temporary.replace(TARGET)
    content = TARGET.read_bytes()
    print(f"{len(names)} names\nbytes = {len(content)}\n"
          f'sha256 = "{hashlib.sha256(content).hexdigest()}"')


if __name__ == "__main__":
    print("\n".join(collect())) if sys.argv[1:] == ["collect"] else main()

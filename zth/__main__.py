"""The package's commands: `python -m zth --help` lists them."""

import argparse
import sys

from zth import record


def runs(names):
    """Repeat the stale runs among the names (all, without names)."""
    whys = {name: record.stale(name) for name in names or record.names()}
    for name, why in whys.items():
        print(f"{name}: {why or 'up to date'}", flush=True)
    for name in filter(whys.get, whys):
        print(record.run(name), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="python -m zth")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "runs", help="repeat the recorded runs whose code has changed")
    command.add_argument("names", nargs="*", metavar="NAME",
                         help="a run in data/runs; all of them without")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(record.names())
    if unknown:
        command.error(f"no such run: {', '.join(sorted(unknown))}")
    try:
        runs(arguments.names)
    except KeyboardInterrupt:
        print("stopped: the next call goes on with the cases that are left")
        sys.exit(130)


if __name__ == "__main__":
    main()

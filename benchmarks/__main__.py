"""`python -m benchmarks NAME [options]` prints one JSON object per line; `--list` says what can be measured."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

import benchmarks


def names() -> list[str]:
    """The benchmarks there are: a file each."""
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("--list", action="store_true", help="name the benchmarks and stop")
    chosen = parser.add_subparsers(dest="name", metavar="NAME")
    for name in names():
        _offer(chosen, name)
    options = parser.parse_args(arguments)
    if options.list:
        print(*(f"{name:12}{_title(name)}" for name in names()), sep="\n")
    elif options.name:
        _measure(options)
    else:
        parser.error("which benchmark? --list names them")


def _offer(chosen: argparse._SubParsersAction[argparse.ArgumentParser], name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    parser = chosen.add_parser(
        name, help=_title(name), description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2, help="for every system alike (default 2)")
    module.options(parser)
    parser.set_defaults(measure=module.measure)


def _title(name: str) -> str:
    return (importlib.import_module(f"benchmarks.{name}").__doc__ or "").split("\n")[0]


def _measure(options: argparse.Namespace) -> None:
    try:
        options.measure(options)
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed; the peers come with: pip install 'embsql[bench]'")


if __name__ == "__main__":
    main()

"""`python -m benchmarks NAME [options]` prints one JSON object per line; `--list` says what can be
measured.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from types import ModuleType

import benchmarks
from benchmarks import _against


def names() -> list[str]:
    """The benchmarks there are: a file each."""
    return sorted(
        m.name
        for m in pkgutil.iter_modules(benchmarks.__path__)
        if not m.name.startswith("_")
    )


def main(arguments: list[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=benchmarks.__doc__
    )
    parser.add_argument(
        "--list", action="store_true", help="name the benchmarks and stop"
    )
    parser.add_argument(
        "name",
        nargs="?",
        choices=names(),
        metavar="NAME",
        help="NAME --help tells its options",
    )
    options = parser.parse_args(words[:1])
    if options.list:
        print(*(f"{name:14}{_title(name)}" for name in names()), sep="\n")
    elif options.name:
        _measure(options.name, words[1:])
    else:
        parser.error("which benchmark? --list names them")


def _title(name: str) -> str:
    return (_module(name).__doc__ or "").split("\n")[0]


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


def _measure(name: str, words: list[str]) -> None:
    try:
        options = _parser(name).parse_args(words)
        if options.against:
            _against.compare(name, *_against.parser().parse_known_args(words)[::-1])
        else:
            _module(name).measure(options)
    except ModuleNotFoundError as error:
        sys.exit(
            f"{error.name} is not installed; the peers come with: pip install 'embsql[bench]'"
        )


def _parser(name: str) -> argparse.ArgumentParser:
    module = _module(name)
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=module.__doc__,
        parents=[_against.parser()],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="for every system alike (default 2)"
    )
    module.options(parser)
    return parser


if __name__ == "__main__":
    main()

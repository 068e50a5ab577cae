"""Every name out of our own bodies as every argument of every question: python -m
tests.campaigns.capture.

A call is asked with all its arguments written as unqualified columns, as columns of an alias and
out of a CTE, each by another name, until each argument has had each name. Where a call may stand
takes turns. Prints one JSON line: calls asked, names, differences. The exit status is 1 where one
answer is not that of the literals.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator

import embsql
from tests.sql.test_capture import (
    NAMES,
    QUESTIONS,
    answer,
    around,
    forms,
    plain,
    written_arguments,
)
from tests.worlds import known_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="take every nth name")
    parser.add_argument("--questions", nargs="*", default=list(QUESTIONS))
    options = parser.parse_args()
    asked, wrong = 0, []
    with embsql.connect(":memory:") as database:
        known_run(database)
        for name in options.questions:
            right = answer(database, plain(name))
            for sql in calls(name, options.step):
                asked += 1
                wrong += [sql] if tried(database, sql) != right else []
    found = {
        "names": len(NAMES[:: options.step]),
        "asked": asked,
        "differences": len(wrong),
        "examples": wrong[:5],
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.exit(bool(wrong))


def calls(name: str, step: int) -> Iterator[str]:
    """The calls of a question in which each argument has each name, and forms take turns."""
    arguments = written_arguments(name)
    names = NAMES[::step] if arguments else []
    for start, form in zip(
        range(len(names)), itertools.cycle(forms(name)), strict=False
    ):
        ring = names[start:] + names[:start]  # a name of its own for each argument
        columns = dict(zip(arguments, ring, strict=False))
        yield from around(name, columns, ring[-1], ring[len(arguments)], form)


def tried(database: embsql.Database, sql: str) -> list[str]:
    """The answer, or the error in its place."""
    try:
        return answer(database, sql)
    except Exception as error:  # whatever it is, it is a difference
        return [str(error)]


if __name__ == "__main__":
    main()

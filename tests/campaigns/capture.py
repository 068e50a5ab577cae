"""Every name out of our own bodies as an argument of every question: python -m
tests.campaigns.capture.

Each argument is written as an unqualified column, as a column of an alias and out of a CTE of each
name, in each place that a call may stand in. Prints one JSON line: calls asked, names, differences.
The exit status is 1 where one answer is not that of the literal.
"""

from __future__ import annotations

import argparse
import json
import random
import sys

import embsql
from tests.sql.test_capture import NAMES, answer, arguments, around, forms, plain
from tests.worlds import known_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--names",
        type=int,
        default=len(NAMES),
        help="of each argument, drawn by the seed",
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)  # noqa: S311 - which names are tried
    asked, wrong = 0, []
    with embsql.connect(":memory:") as database:
        known_run(database)
        for name, argument in arguments():
            right = answer(database, plain(name))
            for one in draw.sample(NAMES, options.names):
                form = draw.choice(forms(name))
                for sql in around(name, argument, one, draw.choice(NAMES), one, form):
                    asked += 1
                    wrong += [sql] if tried(database, sql) != right else []
    found = {
        "names": len(NAMES),
        "asked": asked,
        "differences": len(wrong),
        "examples": wrong[:5],
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.exit(bool(wrong))


def tried(database: embsql.Database, sql: str) -> list[str]:
    """The answer, or the error in its place."""
    try:
        return answer(database, sql)
    except Exception as error:  # whatever it is, it is a difference
        return [str(error)]


if __name__ == "__main__":
    main()

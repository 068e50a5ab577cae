"""Thousands of random options through every door: python -m tests.campaigns.options --tries 10000
--seed 1

Prints what came of them by class of error, and every exception that is not embsql's; none is right.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import Doors, run


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--tries", type=int, default=10_000)
    words.add_argument("--seed", type=int, default=1)
    asked = words.parse_args()
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        doors = Doors(Path(folder))
        outcomes, foreign = run(doors.tries(asked.seed, asked.tries))
        doors.close()
    for name, number in outcomes.most_common():
        sys.stdout.write(f"{number:6} {name}\n")
    sys.stdout.write(
        f"{asked.tries} tries, {len(foreign)} foreign, {time.process_time() - begin:.0f} s of CPU\n"
    )
    sys.stdout.write("\n".join(foreign))
    return min(len(foreign), 1)


if __name__ == "__main__":
    sys.exit(main())

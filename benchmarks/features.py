"""What vectors of items cost before anything is trained: their part in the hash of the source, and
`content`, which does nothing but read them.

The vectors are made.
"""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa

from benchmarks._lines import in_turn, line
from embsql.algorithms.content import Content
from embsql.data import Interactions
from embsql.run import Run


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--repeat", type=int, default=1)


def measure(options: argparse.Namespace) -> None:
    made = _interactions(options.items, options.dim)
    run = Run(threads=options.threads)
    works = {"hashing": made.checksum, "content": lambda: Content().fit(made, run)}
    data = f"generated {options.items} x {options.dim}"
    for name, done in in_turn(works, options.repeat).items():
        line("features", data, "embsql", name, done.seconds, "s", repeat=options.repeat)


def _interactions(n: int, dim: int) -> Interactions:
    """A user who has met every item, and the items' vectors as a column of lists."""
    numbers = np.random.default_rng(1).standard_normal(n * dim, np.float32)
    lists = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * dim, numbers)
    return Interactions(
        np.zeros(n, np.int32),
        np.arange(n, dtype=np.int32),
        np.ones(n, np.float32),
        None,
        pa.array(["somebody"]),
        pa.array(np.arange(n)).cast(pa.string()),
        item_features=pa.table({"embedding": lists}),
    )

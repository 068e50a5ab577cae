"""How fast als is at equal quality, beside implicit 0.7: time, memory, compiling, growth, and the whole line.

Parts: curve (time and NDCG@20 by number of epochs; the time to reach what implicit reaches after 15 iterations), memory
(of a training over its data and result), jit (a first training in a fresh process), epochs (cost of one as data grow),
line (from a table in a file to a live run, over the bare training).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import embsql
from benchmarks._apart import apart, rss_mb
from benchmarks._lines import Timed, in_turn, line, real
from benchmarks._made import HELD_OUT, Pairs, clustered, load, ordered
from benchmarks._rank import Model, recall_ndcg
from embsql import algorithms
from embsql.data import Columns
from embsql.model import Run

EPOCHS = (1, 2, 3, 4, 6, 8, 12)
ITERATIONS = (1, 2, 3, 5, 8, 15)
ALPHAS, REGS = (10.0, 40.0, 160.0), (3.0, 10.0, 30.0, 100.0)
SEED = 1
USERS_PER_PAIR, USERS, ITEMS = 137 / 8000, 137_000, 20_000



#!/bin/bash
# Guess: a numpy.datetime64 that is given as a parameter is a time, whatever its unit, as in a DataFrame.
# Behavior: in nanoseconds, which is pandas' unit for years, it is a BIGINT, the count since 1970, and so are the entries
# of an array: extract and epoch of it are other questions. In microseconds it is a TIMESTAMP. A count also compares with
# numbers, so WHERE epoch_ms > $since keeps or drops every row instead of being an error.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" duckdb==2.0.1 numpy==2.4.6
PYTHONPATH="$folder" python3 - <<'PYTHON'
import duckdb
import numpy as np

found = [
    duckdb.execute("SELECT typeof($1), typeof($2)", [np.datetime64("2026-01-02", unit), np.array(["2026-01-02"], f"M8[{unit}]")]).fetchone()
    for unit in ("us", "ns")
]
print("duckdb", duckdb.__version__, "numpy", np.__version__, found)
assert found == [("TIMESTAMP", "TIMESTAMP[]"), ("BIGINT", "BIGINT[]")], "it is otherwise now"
PYTHON

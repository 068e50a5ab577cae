#!/bin/bash
# Guess: a numpy.datetime64 that is given as a parameter is a time, whatever its unit, as it is in a
# DataFrame.
# Behavior: in nanoseconds, which was pandas' only unit for years, it is a BIGINT, the count since
# 1970; so are the entries of an array. In microseconds it is a TIMESTAMP.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" duckdb==2.0.1 numpy==2.4.6
PYTHONPATH="$folder" python3 - <<'PYTHON'
import duckdb
import numpy as np


def types(unit):
    """What a moment is as a parameter, and an array of it."""
    given = [np.datetime64("2026-01-02", unit), np.array(["2026-01-02"], f"M8[{unit}]")]
    return duckdb.execute("SELECT typeof($1), typeof($2)", given).fetchone()


found = {unit: types(unit) for unit in ("us", "ns")}
print("duckdb", duckdb.__version__, "numpy", np.__version__, found)
assert found == {
    "us": ("TIMESTAMP", "TIMESTAMP[]"),
    "ns": ("BIGINT", "BIGINT[]"),
}, "it is otherwise now"
PYTHON

#!/bin/bash
# Guess: with unsupported_level=RAISE sqlglot translates to Spark SQL what it can, and raises for the rest.
# Behavior: sqlglot 30 writes array_agg(x ORDER BY y) as COLLECT_LIST(x), whose order is any, and percentile_cont(0.9) as
# PERCENTILE_APPROX, which is another number, without raising.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" sqlglot==30.30.0
PYTHONPATH="$folder" python3 - <<'PYTHON'
import sqlglot

asked = {
    "array_agg(x ORDER BY y)": "COLLECT_LIST(x)",
    "percentile_cont(0.9) WITHIN GROUP (ORDER BY x)": "PERCENTILE_APPROX(x, 0.9)",
}
for written, found in asked.items():
    level = sqlglot.ErrorLevel.RAISE
    (made,) = sqlglot.transpile(f"SELECT {written}", "duckdb", "spark", unsupported_level=level)
    print("sqlglot", sqlglot.__version__, written, "->", made)
    assert made == f"SELECT {found}", "it behaves otherwise now"
PYTHON

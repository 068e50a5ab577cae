#!/bin/bash
# Guess: sqlglot, which knows that DuckDB counts a list's entries from 1 and Spark from 0, leaves
# v[-1], the last entry, as it is or raises: in Spark nothing is at -1.
# Behavior: it subtracts one from every number it sees, v[-1] becomes v[-2], and from nothing else:
# v[i] stays v[i], and so is the entry after. None of it raises with unsupported_level=RAISE.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" sqlglot==30.30.0
PYTHONPATH="$folder" python3 - <<'PYTHON'
import sqlglot
from sqlglot import ErrorLevel

found = {
    asked: sqlglot.transpile(
        f"SELECT {asked}", read="duckdb", write="spark", unsupported_level=ErrorLevel.RAISE
    )[0].removeprefix("SELECT ")
    for asked in ("v[1]", "v[-1]", "v[i]")
}
print("sqlglot", sqlglot.__version__, found)
assert found == {"v[1]": "v[0]", "v[-1]": "v[-2]", "v[i]": "v[i]"}, "it is otherwise now"
PYTHON

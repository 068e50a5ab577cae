#!/bin/bash
# Guess: a macro that DuckDB 2.0 stores in a file for versions from 1.4 on is the same macro to
# 1.5, and EXPORT DATABASE there writes it as it was made.
# Behavior: lag(x, 1, x) has its offset and default twice, "lag(x, 1, x, 1, x)", which IMPORT
# DATABASE then refuses. lag(x) alone is right.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/new" duckdb==2.0.0
python3 -m pip install --quiet --target "$folder/old" duckdb==1.5.5
cd "$folder"
PYTHONPATH="$folder/new" python3 - <<'PYTHON'
import duckdb

connection = duckdb.connect()
connection.execute("ATTACH 'a.duckdb' AS a (STORAGE_VERSION 'v1.4.0'); USE a")
before = "SELECT lag(x, 1, x) OVER (ORDER BY x) AS y FROM (SELECT unnest(a) AS x)"
connection.execute(f"CREATE MACRO before(a) AS TABLE {before}")
print("duckdb", duckdb.__version__, connection.sql("FROM before([1, 2])").fetchall())
PYTHON
PYTHONPATH="$folder/old" python3 - <<'PYTHON'
from pathlib import Path

import duckdb

connection = duckdb.connect("a.duckdb")
connection.execute("EXPORT DATABASE 'copy'")
written = Path("copy/schema.sql").read_text()
try:
    duckdb.connect().execute("IMPORT DATABASE 'copy'")
    found = "imported"
except duckdb.Error as error:
    found = str(error)
print("duckdb", duckdb.__version__, written.strip(), found)
assert "lag(x, 1, x, 1, x)" in written, "it is otherwise now"
assert "Incorrect number of parameters for function lag" in found, "it is otherwise now"
PYTHON

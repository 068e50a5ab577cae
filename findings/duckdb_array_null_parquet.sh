#!/bin/bash
# Guess: a column of vectors is the same in Parquet whether DuckDB's type is FLOAT[] or FLOAT[2];
# Parquet knows lists alone.
# Behavior: with a NULL among the rows the file of FLOAT[2] cannot be read by pyarrow, nor by
# pandas on it ("Length spanned by list offsets (3) larger than values array (length 2)"); DuckDB
# and polars read it. pyarrow reads its own files of such a type with NULL, and DuckDB's of
# FLOAT[].
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0
cd "$folder"
PYTHONPATH="$folder" python3 - <<'PYTHON'
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


def read(kind):
    """What pyarrow and polars read of a vector and NULL."""
    rows = f"SELECT [1.5, 2]::{kind} AS vector UNION ALL SELECT NULL"
    duckdb.sql(f"COPY ({rows}) TO 'rows.parquet'")
    try:
        arrow = pq.read_table("rows.parquet")["vector"].to_pylist()
    except pa.ArrowInvalid as error:
        arrow = str(error)
    return arrow, pl.read_parquet("rows.parquet")["vector"].to_list()


found = {kind: read(kind) for kind in ("FLOAT[]", "FLOAT[2]")}
versions = [module.__version__ for module in (duckdb, pa, pl)]
print("duckdb, pyarrow, polars", *versions, found)
whole = [[1.5, 2.0], None]
spanned = "Length spanned by list offsets (3) larger than values array (length 2)"
assert found == {"FLOAT[]": (whole, whole), "FLOAT[2]": (spanned, whole)}, "it is otherwise now"
PYTHON

#!/bin/bash
# Guess: pyarrow, which makes NULL of what a numpy array masks, does so for the lists in a column
# of a DataFrame, too. DuckDB's df() masks a NULL within a list.
# Behavior: pa.array(masked) has NULL; pa.array([masked]) and Table.from_pandas take the number
# below the mask, which is 0 where DuckDB's df() made it. So [1.5, NULL] of a query is [1.5, 0.0]
# after a DataFrame, also in polars.from_pandas. As DuckDB reads the same DataFrame, it is [1.5,
# None].
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

masked = np.ma.array([1.5, 7.0], mask=[False, True])
frame = duckdb.sql("SELECT [1.5, NULL]::FLOAT[] AS vector").df()
found = {
    "array": pa.array(masked).to_pylist(),
    "array in a list": pa.array([masked]).to_pylist(),
    "from_pandas": pa.Table.from_pandas(frame)["vector"].to_pylist(),
    "DuckDB": [row[0] for row in duckdb.sql("SELECT vector FROM frame").fetchall()],
}
versions = [module.__version__ for module in (pa, pd, duckdb)]
print("pyarrow, pandas, duckdb", *versions, found)
assert found == {
    "array": [1.5, None],
    "array in a list": [[1.5, 7.0]],
    "from_pandas": [[1.5, 0.0]],
    "DuckDB": [[1.5, None]],
}, "it is otherwise now"
PYTHON

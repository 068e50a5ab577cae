#!/bin/bash
# Guess: ibis 12.0, whose extra for DuckDB lets pip install 2.0, works with it as with 1.5; or,
# where the two do not fit, fails when it connects or at the first query.
# Behavior: tables are read, but con.sql(...), and nothing else that was tried, fails: it needs
# fetch_arrow_table, which DuckDB 2.0 no longer has.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/ask.py" <<'PYTHON'
import duckdb
import ibis

connection = ibis.duckdb.connect()
connection.raw_sql("CREATE TABLE t AS SELECT 1 AS id, [1, 2]::FLOAT[] AS vector")
table = connection.table("t").to_pyarrow().to_pylist()
try:
    asked = connection.sql("SELECT 1 AS id").to_pyarrow().to_pylist()
except AttributeError as error:
    asked = str(error).partition("no attribute ")[2]
print("ibis", ibis.__version__, "duckdb", duckdb.__version__, table, asked)
PYTHON
for duckdb in 1.5.6 2.0.1; do
    "$folder/venv/bin/pip" install --quiet "ibis-framework[duckdb]==12.0.0" "duckdb==$duckdb" \
        pyarrow==26.0.1
    "$folder/venv/bin/python" -W ignore "$folder/ask.py"
done | tee "$folder/found"
diff - "$folder/found" <<'EXPECTED'
ibis 12.0.0 duckdb 1.5.6 [{'id': 1, 'vector': [1.0, 2.0]}] [{'id': 1}]
ibis 12.0.0 duckdb 2.0.1 [{'id': 1, 'vector': [1.0, 2.0]}] 'fetch_arrow_table'
EXPECTED

#!/bin/bash
# Guess: a Python function that create_function gives a connection is the connection's, like its settings, and there until
# remove_function or close.
# Behavior: in DuckDB 2.0.0 and 1.5.6 it is an entry of the catalog, made in the transaction that is open: ROLLBACK takes
# it away, without a word, and the next call does not find it, while create_function could be called again.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/function.py" <<'PYTHON'
import duckdb

connection = duckdb.connect()
connection.execute("BEGIN")
connection.create_function("twice", lambda x: 2 * x, ["INTEGER"], "INTEGER")
((answer,),) = connection.execute("SELECT twice(21)").fetchall()
connection.execute("ROLLBACK")
try:
    connection.execute("SELECT twice(21)").fetchall()
except duckdb.CatalogException as error:
    print("duckdb", duckdb.__version__, "->", answer, "then", str(error).split("!")[0])
else:
    raise SystemExit("the function outlives the transaction now")
try:
    connection.create_function("twice", lambda x: 2 * x, ["INTEGER"], "INTEGER")
except duckdb.NotImplementedException as error:
    print(str(error).split(",")[0])
else:
    raise SystemExit("it can be made again now")
PYTHON
for version in 2.0.0 1.5.6; do
    "$folder/venv/bin/pip" install --quiet "duckdb==$version" numpy==2.4.6
    "$folder/venv/bin/python" "$folder/function.py" 2> /dev/null
done
# Seen: duckdb 2.0.0 -> 42 then Catalog Error: Scalar Function with name twice does not exist
#       Not implemented Error: A function by the name of 'twice' is already created
#       and the same of 1.5.6

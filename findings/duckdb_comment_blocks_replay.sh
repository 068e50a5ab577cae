#!/bin/bash
# Guess: what a committed statement wrote into the log is read again when the file is opened after its process was
# killed; a comment on a column, which changes no row, least of all stands in the way.
# Behavior: in DuckDB 2.0.0 COMMENT ON COLUMN of a table whose CHECK calls a function (isfinite) makes the log
# unreadable, and so does a column that is added to it: opening the file is an error that asks for the extension
# core_functions, which is built in. The same file can be attached by a process that has another database open, and after
# a CHECKPOINT there it opens again. COMMENT ON TABLE does no harm, nor does the CHECK alone; and where the CHECK compares
# and calls no function, comments and columns are read again.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.0
cat > "$folder/replay.py" <<'PYTHON'
import os
import subprocess
import sys

import duckdb

TABLE = "CREATE TABLE t (x FLOAT CHECK (isfinite(x)), y INTEGER)"
WRITE = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
for statement in sys.argv[2:]:
    connection.execute(statement)
os.kill(os.getpid(), 9)
"""


COMPARED = TABLE.replace("isfinite(x)", "x < CAST('infinity' AS FLOAT)")


def opens(name: str, *statements: str, table: str = TABLE) -> bool:
    """Whether a file can be opened that a killed process leaves."""
    path = os.path.join(sys.argv[1], name)
    subprocess.run([sys.executable, "-c", WRITE, path, table, *statements])
    try:
        duckdb.connect(path).close()
    except duckdb.Error as error:
        print(name, "->", str(error).split("\n")[0].replace(sys.argv[1], "")[:120])
        return False
    print(name, "-> opens")
    return True


print("duckdb", duckdb.__version__)
assert opens("check_alone")
assert opens("comment_on_table", "COMMENT ON TABLE t IS 'a table'")
assert not opens("comment_on_column", "COMMENT ON COLUMN t.y IS 'a column'"), "it is read again now"
assert not opens("column_added", "ALTER TABLE t ADD COLUMN z INTEGER"), "it is read again now"
for name, statement in (
    ("comment_where_compared", "COMMENT ON COLUMN t.y IS 'a column'"),
    ("column_added_where_compared", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 0"),
):
    assert opens(name, statement, table=COMPARED)
path = os.path.join(sys.argv[1], "comment_on_column")
with duckdb.connect() as other:
    other.execute(f"ATTACH '{path}' AS blocked; CHECKPOINT blocked")
duckdb.connect(path).close()
print("comment_on_column, attached and checkpointed elsewhere -> opens")
PYTHON
"$folder/venv/bin/python" "$folder/replay.py" "$folder"

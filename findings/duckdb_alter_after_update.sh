#!/bin/bash
# Guess: DDL is transactional in DuckDB, so a transaction that changes rows of a table and then adds a column to it
# commits, as one that adds the column first does.
# Behavior: in DuckDB 1.5.5 its COMMIT is an error, "another transaction has altered this table", though there is no other,
# and all of it is lost. The other order commits. DuckDB 2.0.0 commits both.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/alter.py" <<'PYTHON'
import duckdb

UPDATE = "UPDATE t SET x = 2"
ALTER = "ALTER TABLE t ADD COLUMN y INTEGER"


def commits(*statements: str) -> bool:
    """Whether a transaction of these statements commits, in a database of its own."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
        for statement in ("BEGIN", *statements):
            connection.execute(statement)
        try:
            connection.execute("COMMIT")
        except duckdb.TransactionException as error:
            print("duckdb", duckdb.__version__, "->", str(error).split(": ", 1)[1])
            return False
    return True


is_newer = duckdb.__version__.startswith("2.")
assert commits(ALTER, UPDATE)
assert commits(UPDATE, ALTER) == is_newer, "it is otherwise now"
if is_newer:
    print("duckdb", duckdb.__version__, "-> both orders commit")
PYTHON
for version in 1.5.5 2.0.0; do
    "$folder/venv/bin/pip" install --quiet "duckdb==$version"
    "$folder/venv/bin/python" "$folder/alter.py"
done
# Seen: duckdb 1.5.5 -> Failed to commit: Attempting to modify table t but another transaction has altered this table
#       duckdb 2.0.0 -> both orders commit

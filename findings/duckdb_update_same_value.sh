#!/bin/bash
# Guess: of two transactions that UPDATE the same row, the second fails or waits, whatever they write. So "SET status =
# status" holds a row against others, as it does in PostgreSQL.
# Behavior: in DuckDB an UPDATE that leaves the value as it was is no change. Both commit, though the second began before
# the first was done. What counts up, "SET held = held + 1", conflicts as expected.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" duckdb==2.0.0
PYTHONPATH="$folder" python3 - <<'PYTHON'
import duckdb


def second(change):
    """What becomes of the later of two transactions that change one row alike."""
    db = duckdb.connect()
    db.execute("CREATE TABLE runs (run_id INTEGER, status VARCHAR, held INTEGER)")
    db.execute("INSERT INTO runs VALUES (1, 'ready', 0)")
    first, later = db.cursor(), db.cursor()
    first.execute("BEGIN")
    later.execute("BEGIN")
    later.execute("SELECT * FROM runs").fetchall()  # its snapshot is older than the commit of the first
    first.execute(f"UPDATE runs SET {change}")
    first.execute("COMMIT")
    try:
        later.execute(f"UPDATE runs SET {change}")
        later.execute("COMMIT")
    except duckdb.Error as error:
        return str(error)
    return "committed"


found = [second("status = status"), second("held = held + 1")]
print("duckdb", duckdb.__version__, found)
assert found == ["committed", "TransactionContext Error: Conflict on update!"], "it behaves otherwise now"
PYTHON

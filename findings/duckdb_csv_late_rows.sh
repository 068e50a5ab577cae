#!/bin/bash
# Guess: a CSV column whose first 20,480 rows are whole numbers and that holds 1.5 or 007 later is an error, or text.
# Behavior: read_csv keeps BIGINT, rounds 1.5 to 2 and makes 007 the number 7, without a word; the same two values among
# the first rows make the column VARCHAR. What a row is depends on where it stands.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" duckdb==2.0.0
PYTHONPATH="$folder" python3 - "$folder" <<'PYTHON'
import sys

import duckdb

usual = [str(n % 9 + 1) for n in range(30_000)]
found = {}
for place, rows in {"late": usual + ["007", "1.5"], "early": ["007", "1.5"] + usual}.items():
    path = f"{sys.argv[1]}/{place}.csv"
    with open(path, "w") as file:
        file.write("id,n\n" + "\n".join(f"{row},0" for row in rows) + "\n")
    ids = f"SELECT list_sort(list(DISTINCT CAST(id AS VARCHAR))) FROM read_csv('{path}')"
    found[place] = duckdb.sql(ids).fetchall()[0][0]
print("duckdb", duckdb.__version__, found)
assert found["late"] == [str(n) for n in range(1, 10)], "the late values are no longer changed"
assert {"007", "1.5"} <= set(found["early"]), "early values are changed as well"
PYTHON

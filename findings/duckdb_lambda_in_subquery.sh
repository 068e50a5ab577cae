#!/bin/bash
# Guess: where a scalar subquery may use a column of the query around it, so may a lambda inside that subquery.
# Behavior: DuckDB 1.5 (and 1.4) resolve the column in the subquery but not in the lambda: "Referenced table not found",
# also where a macro's body holds the lambda and its caller knows nothing of it. 2.0 finds the column.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/1" duckdb==1.5.6
python3 -m pip install --quiet --target "$folder/2" duckdb==2.0.0
cat > "$folder/ask.py" <<'PYTHON'
import sys

import duckdb

row = "FROM (SELECT unnest([1]) AS n) AS t"
answers = []
for expression in ("t.n + 1", "list_filter([1, 2], lambda x: x = t.n)"):
    try:
        answers.append(duckdb.sql(f"SELECT (SELECT {expression}) {row}").fetchall()[0][0])
    except duckdb.BinderException as error:
        answers.append(str(error).splitlines()[0])
print("duckdb", duckdb.__version__, answers)
old = [2, 'Binder Error: Referenced table "t" not found!']
assert answers == (old if sys.argv[1] == "1" else [2, [1]]), "it behaves otherwise now"
PYTHON
for version in 1 2; do
  PYTHONPATH="$folder/$version" python3 "$folder/ask.py" $version
done

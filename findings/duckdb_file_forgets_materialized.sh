#!/bin/bash
# Guess: a view or macro in a file is the one that was made, so AS MATERIALIZED of a CTE in it holds as long as the file.
# Behavior: in a file of the storage version that older DuckDB reads (the default of 1.5, v1.4.0 in 2.0) it holds until
# the file is opened again: from then on the optimizer may write the CTE's query into each place that names it, and
# nothing says so. A file of 2.0's own version keeps it.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/1" duckdb==1.5.6
python3 -m pip install --quiet --target "$folder/2" duckdb==2.0.0
cat > "$folder/ask.py" <<'PYTHON'
import sys

import duckdb

BODY = "WITH one AS MATERIALIZED (SELECT 1 AS n) SELECT a.n FROM one AS a, one AS b"


def kept(file, options):
    """Whether macro and view say MATERIALIZED, as made and after the file was opened again."""
    found = []
    for made in (False, True):
        with duckdb.connect() as db:
            db.execute(f"ATTACH '{file}' AS f {options}; USE f")
            if not made:
                db.execute(f"CREATE MACRO m() AS TABLE {BODY}; CREATE VIEW v AS {BODY}")
            macro = "SELECT macro_definition FROM duckdb_functions() WHERE function_name = 'm'"
            view = "SELECT sql FROM duckdb_views() WHERE view_name = 'v'"
            found += ["MATERIALIZED" in db.execute(ask).fetchone()[0] for ask in (macro, view)]
    return found


forgotten = [True, True, False, False]
print("duckdb", duckdb.__version__, "[macro, view, then both again]", end=" ")
if sys.argv[1] == "1":
    answers = [kept(sys.argv[2] + ".old", "")]
    wanted = [forgotten]
else:
    old = "(STORAGE_VERSION 'v1.4.0')"
    answers = [kept(sys.argv[2] + ".v14", old), kept(sys.argv[2] + ".v20", "")]
    wanted = [forgotten, [True] * 4]
print(answers)
assert answers == wanted, "it behaves otherwise now"
PYTHON
for version in 1 2; do
  PYTHONPATH="$folder/$version" python3 "$folder/ask.py" $version "$folder/file$version"
done

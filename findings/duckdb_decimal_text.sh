#!/bin/bash
# Guess: equal decimals of the same scale have the same text: 0.5 as DECIMAL(4, 3) and as DECIMAL(3, 3) is 0.500.
# Behavior: without a digit before the point in the type there is none in the text: .500. A text key made of a narrower
# column does not match the one made of a wider column.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" duckdb==2.0.0
PYTHONPATH="$folder" python3 - <<'PYTHON'
import duckdb

found = duckdb.sql("SELECT CAST(0.5::DECIMAL(4, 3) AS VARCHAR), CAST(0.5::DECIMAL(3, 3) AS VARCHAR)").fetchall()[0]
print("duckdb", duckdb.__version__, found)
assert found == ("0.500", ".500"), "the texts are others now"
PYTHON

#!/bin/bash
# Guess: the k nearest by cosine that sqlite-vec finds are the same whatever the order in which rows
# were inserted. A vector of zeros, whose distance is NULL, is among them last or not at all.
# Behavior: once it is among the first k rows it stays. Inserted first, it is the one nearest row,
# and an exact copy of the question is not; inserted last, it is left out.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" sqlite-vec==0.1.9 apsw==3.53.2.0
PYTHONPATH="$folder" python3 - <<'PYTHON'
import struct

import apsw
import sqlite_vec

VECTORS = {1: (1.0, 2.0), 2: (0.0, 0.0), 3: (2.0, 1.0)}


def nearest(order):
    """The nearest row to that of id 1, of rows inserted in this order."""
    database = apsw.Connection(":memory:")
    database.enable_load_extension(True)
    sqlite_vec.load(database)
    database.execute("CREATE VIRTUAL TABLE t USING vec0(v float[2] distance_metric=cosine)")
    packed = {id_: struct.pack("2f", *vector) for id_, vector in VECTORS.items()}
    for id_ in order:
        database.execute("INSERT INTO t(rowid, v) VALUES (?, ?)", (id_, packed[id_]))
    asked = "SELECT rowid, distance IS NULL FROM t WHERE v MATCH ? AND k = 1"
    return database.execute(asked, (packed[1],)).fetchall()


found = {order: nearest(order) for order in [(2, 1, 3), (1, 3, 2)]}
print("sqlite-vec", sqlite_vec.__version__, "SQLite", apsw.sqlite_lib_version(), found)
assert found == {(2, 1, 3): [(2, 1)], (1, 3, 2): [(1, 0)]}, "it is otherwise now"
PYTHON

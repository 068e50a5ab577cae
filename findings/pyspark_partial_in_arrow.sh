#!/bin/bash
# Guess: groupBy(...).applyInArrow takes a functools.partial, as mapInArrow and cogrouped applyInArrow do.
# Behavior: PySpark 4.3 looks at the types that a function names. A partial of a function with some ends in an
# UnboundLocalError after the warning "Cannot infer the eval type from type hints"; a lambda around it works. Needs Java 17.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyspark==4.3.0 pyarrow 'pandas<3' numpy
cd "$folder"
PYSPARK_PYTHON=python3 PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from functools import partial

import pyarrow as pa
from pyspark.sql import SparkSession

session = SparkSession.builder.master("local[1]").config("spark.ui.showConsoleProgress", "false").getOrCreate()
session.sparkContext.setLogLevel("OFF")


def add(step: int, key: tuple, rows: pa.Table) -> pa.Table:
    return pa.table({"id": [key[0].as_py() + step]})


function = partial(add, 1)
groups = session.range(2).groupBy("id")
found = []
for one in (lambda key, rows: function(key, rows), function):
    try:
        found.append(sorted(groups.applyInArrow(one, "id BIGINT").toArrow()["id"].to_pylist()))
    except UnboundLocalError as error:
        found.append(type(error).__name__)
version = session.version
session.stop()
print("pyspark", version, found)
assert found == [[1, 2], "UnboundLocalError"], "it behaves otherwise now"
PYTHON

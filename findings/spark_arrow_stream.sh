#!/bin/bash
# Guess: the Arrow stream that a DataFrame of PySpark offers (__arrow_c_stream__, which pyarrow.table reads) is what
# toArrow() gives.
# Behavior: in PySpark 4.3 the stream is made by Python workers on the executors, which must have pyarrow; toArrow() starts
# none. Where the executors' Python is another one, or not there, only toArrow() works. Needs Java 17.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyspark==4.3.0 pyarrow 'pandas<3'
cd "$folder"
PYSPARK_PYTHON=/bin/false PYTHONPATH="$folder" python3 - <<'PYTHON'
import pyarrow as pa
from pyspark.sql import SparkSession

session = SparkSession.builder.master("local[1]").config("spark.ui.showConsoleProgress", "false").getOrCreate()
session.sparkContext.setLogLevel("OFF")
frame = session.range(5)
found = [frame.toArrow().num_rows]
try:
    found.append(pa.table(frame).num_rows)
except pa.ArrowInvalid as error:
    found.append(type(error).__name__)
print("pyspark", session.version, found)
assert found == [5, "ArrowInvalid"], "it behaves otherwise now"
PYTHON

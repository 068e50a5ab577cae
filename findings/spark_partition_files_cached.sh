#!/bin/bash
# Guess: a partition of a Parquet table that was dropped and written anew is read by other sessions as it now is.
# Behavior: in Spark 4.3 a session that has read it looks for the files of before (FAILED_READ_FILE.FILE_NOT_EXIST), until
# REFRESH TABLE there; where the new partition has another LOCATION it is read. Needs Java 17.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyspark==4.3.0
cd "$folder"
PYTHONPATH="$folder" python3 - <<'PYTHON'
import os

from pyspark.sql import SparkSession

session = SparkSession.builder.master("local[1]").config("spark.ui.showConsoleProgress", "false").getOrCreate()
session.sparkContext.setLogLevel("OFF")
other = session.newSession()
session.sql("CREATE SCHEMA shop")
session.sql("CREATE TABLE shop.orders (amount INT, day INT) USING parquet PARTITIONED BY (day)")


def asked():
    try:
        return [row.amount for row in other.sql("SELECT * FROM shop.orders WHERE day = 1").collect()]
    except Exception as error:
        return "FILE_NOT_EXIST" if "FILE_NOT_EXIST" in str(error) else str(error)


def written(amount, location=""):
    session.sql("ALTER TABLE shop.orders DROP IF EXISTS PARTITION (day = 1)")
    if location:
        session.sql(f"ALTER TABLE shop.orders ADD PARTITION (day = 1) LOCATION '{location}'")
    session.sql(f"INSERT INTO shop.orders VALUES ({amount}, 1)")
    return asked()


found = [written(10), written(20), written(30, os.path.join(os.getcwd(), "elsewhere"))]
print("pyspark", session.version, found)
session.stop()
assert found == [[10], "FILE_NOT_EXIST", [30]], "it behaves otherwise now"
PYTHON

#!/bin/bash
# Guess: CREATE OR REPLACE FUNCTION of a SQL function is seen by every session of a catalog at its next query, as a view is.
# Behavior: in Spark 4.3 a session keeps a SQL function as it was when the session first called it, also within other
# functions. A view that is altered is seen at once. Needs Java 17.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyspark==4.3.0
cd "$folder"
PYTHONPATH="$folder" python3 - <<'PYTHON'
from pyspark.sql import SparkSession

session = SparkSession.builder.master("local[1]").config("spark.ui.showConsoleProgress", "false").getOrCreate()
session.sparkContext.setLogLevel("OFF")
other = session.newSession()
session.sql("CREATE SCHEMA shop")
session.sql("CREATE FUNCTION shop.live() RETURNS INT RETURN 1")
session.sql("CREATE VIEW shop.live_view AS SELECT 1 AS live")


def asked():
    return [other.sql(sql).collect()[0][0] for sql in ("SELECT shop.live()", "SELECT live FROM shop.live_view")]


found = [asked()]
session.sql("CREATE OR REPLACE FUNCTION shop.live() RETURNS INT RETURN 2")
session.sql("ALTER VIEW shop.live_view AS SELECT 2 AS live")
found.append(asked())
print("pyspark", session.version, found)
session.stop()
assert found == [[1, 1], [1, 2]], "it behaves otherwise now"
PYTHON

#!/bin/bash
# Guess: a SQL function of Spark's takes any expression as an argument, and its parameters are seen in all of its body.
# Behavior: Spark 4.3 refuses an argument in which a lambda is ("Lambda function with SQL UDF"), though the function is in
# no lambda; and a parameter in a subquery of a CTE is not resolved, also where it is written function.parameter.
# Needs Java 17.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyspark==4.3.0
cd "$folder"
PYTHONPATH="$folder" python3 - <<'PYTHON'
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

session = SparkSession.builder.master("local[1]").config("spark.ui.showConsoleProgress", "false").getOrCreate()
session.sql("CREATE FUNCTION first_of(a ARRAY<INT>) RETURNS INT RETURN a[0]")
body = "WITH given AS (SELECT (SELECT max(id) FROM range(9) WHERE id < upto.n) AS m) SELECT m FROM given"
tries = {
    "SELECT first_of(array(1))": None,
    "SELECT first_of(transform(array(1), x -> x + 1))": "LAMBDA_FUNCTION_WITH_SQL_UDF",
    "CREATE FUNCTION upto(n INT) RETURNS TABLE (m BIGINT) RETURN SELECT upto.n": None,
    f"CREATE OR REPLACE FUNCTION upto(n INT) RETURNS TABLE (m BIGINT) RETURN {body}": "UNRESOLVED_COLUMN",
}
for statement, refused in tries.items():
    try:
        session.sql(statement).collect()
        found = None
    except AnalysisException as error:
        found = error.getCondition()
    print(session.version, statement, "->", found)
    assert (refused or "") in (found or ""), "it behaves otherwise now"
    assert bool(refused) == bool(found), "it behaves otherwise now"
PYTHON

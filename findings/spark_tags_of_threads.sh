#!/bin/bash
# Guess: SparkSession.interruptTag ends what runs under a tag, whichever thread calls it: what else would one call it from?
# Behavior: in a classic session of Spark 4.3 it looks the tag up among those of the calling thread. From another one it
# returns an empty list, and the query runs on; SparkContext.cancelJobsWithTag ends it from anywhere. Needs Java 17.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyspark==4.3.0 pyarrow 'pandas<3'
cd "$folder"
PYTHONPATH="$folder" python3 - <<'PYTHON'
import threading
import time

from pyspark.sql import SparkSession

session = SparkSession.builder.master("local[1]").config("spark.ui.showConsoleProgress", "false").getOrCreate()
context = session.sparkContext
context.setLogLevel("OFF")
found, over = [], []


def end() -> None:
    while not context.statusTracker().getActiveStageIds():
        time.sleep(0.1)
    found.append(session.interruptTag("tagged"))
    time.sleep(3)
    found.append("ended" if over else "runs on")
    while not over:
        context.cancelJobsWithTag("of the context")
        time.sleep(0.1)


session.addTag("tagged")
context.addJobTag("of the context")
thread = threading.Thread(target=end)
thread.start()
try:
    session.sql("SELECT sum(a.id * b.id % 7) FROM range(1000000) AS a, range(300000) AS b").collect()
except Exception as error:
    found.append("SPARK_JOB_CANCELLED" in str(error))
over.append(True)
thread.join()
version = session.version
session.stop()
print("pyspark", version, found)
assert found == [[], "runs on", True], "it behaves otherwise now"
PYTHON

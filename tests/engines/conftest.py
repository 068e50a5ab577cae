"""Spark: one session, and so one JVM, for every test of a process; two models that are there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import embsql
from embsql.lifecycle import spark_publish
from embsql.sqlfiles import questions
from tests.worlds import known_run

ONE_OF_EACH_KIND = (
    "similar_items",
    "recommend",
    "lookalikes",
    "clusters",
    "cohort_profiles",
    "map",
    "training_log",
    "runs",
)
ASKED = (*ONE_OF_EACH_KIND, "models", "nearest_items", "user_embedding")
# what is compiled here is run once, and little of what is made is garbage for long
JAVA = " ".join(
    (
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Xms768m",
        "-Xmn400m",
        "-XX:ReservedCodeCacheSize=200m",
        "-XX:-UseCodeCacheFlushing",
    )
)
CHEAP = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": JAVA,
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.network.timeout": "600s",
    "spark.executor.heartbeatInterval": "60s",
    "spark.sql.session.timeZone": "Asia/Tokyo",  # nothing may depend on it
}


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session of Spark's on two cores of this machine."""
    sql = pytest.importorskip("pyspark.sql", reason="needs the extra spark")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java 17")
    os.environ["PYSPARK_PYTHON"] = sys.executable  # of the executors
    settings = CHEAP | {
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse"))
    }
    made = (
        sql.SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    )
    made.sparkContext.setLogLevel("OFF")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def world() -> Iterator[embsql.Database]:
    """The models `compass` and `angles` in DuckDB."""
    with embsql.connect(":memory:") as database:
        known_run(database)
        yield database


@pytest.fixture(scope="session")
def published(
    session: Any, world: embsql.Database, pytestconfig: pytest.Config
) -> embsql.Database:
    """The same two models in Spark.

    With the questions that are asked: to make all of them takes Spark as long as all else.
    """
    with pytest.MonkeyPatch.context() as patch:
        if pytestconfig.option.markexpr == "not slow":
            known = questions.questions()
            asked = {name: known[name] for name in ASKED}
            patch.setattr(spark_publish, "questions", lambda: asked)
        assert [run.copied for run in world.publish(session)] == [True, True]
    database = embsql.connect(session)
    rows = world.ask("SELECT * FROM embsql.cohorts").to_arrow()
    database.engine.write(
        "cohorts", dict(zip(rows.column_names, rows.columns, strict=True))
    )
    return database

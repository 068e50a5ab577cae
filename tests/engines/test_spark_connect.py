"""Spark Connect: what works in a session works over sc://, and a publisher that is killed there.

The server and its catalog outlive a client, so that what it left can be looked at.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import embsql
from tests.engines.conftest import ASKED, CHEAP
from tests.worlds import known_run

pytestmark = pytest.mark.slow
VICTIM = """
import os, signal, sys
from embsql.engines.spark import Spark
from embsql.lifecycle import spark_publish
from embsql.sqlfiles import questions
import embsql

registry, server, step = sys.argv[1:]
known, steps = questions.questions(), []
spark_publish.questions = lambda: {name: known[name] for name in (%s)}

def counted(method):
    def call(self, *arguments, **values):
        steps.append(method.__name__)
        if len(steps) == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return method(self, *arguments, **values)
    return call

Spark.run, Spark.write = counted(Spark.run), counted(Spark.write)
with embsql.connect(registry) as database:
    database.publish(server, "compass")
print(len(steps))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Spark Connect server."""
    pyspark = pytest.importorskip("pyspark", reason="needs the extra spark")
    pytest.importorskip("grpc", reason="needs pyspark[connect]")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java 17")
    folder, home = tmp_path_factory.mktemp("server"), Path(pyspark.__file__).parent
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    settings = CHEAP | {
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    options = [word for pair in settings.items() for word in ("--conf", "=".join(pair))]
    (jar,) = home.glob("jars/spark-connect_*.jar")
    main = "org.apache.spark.sql.connect.service.SparkConnectServer"
    command = ["--master", "local[2]", "--class", main, *options, str(jar)]
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
    }
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [home / "bin" / "spark-submit", *command],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
        )
    try:
        _await(started, port)
        yield f"sc://127.0.0.1:{port}"
    finally:
        _close_sessions()  # which would wait for a server that has gone
        started.terminate()
        started.wait()


def _close_sessions() -> None:
    """End what this process has open at the server."""
    from pyspark.sql.connect.session import SparkSession

    while session := SparkSession.getActiveSession():
        session.stop()


def _await(started: subprocess.Popen[bytes], port: int) -> None:
    """Until the server listens."""
    while started.poll() is None:
        with closing(socket.socket()) as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("the server of Spark Connect ended")


def published_by_another(registry: Path, server: str, step: int) -> int | None:
    """Publish in a process that is killed before a step; how many there are, if it was not."""
    script = VICTIM % ", ".join(f"{name!r}" for name in ASKED)
    command = [sys.executable, "-c", script, str(registry), server, str(step)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return int(ended.stdout) if ended.returncode == 0 else None


def test_a_killed_publisher(server: str, tmp_path: Path) -> None:
    registry, asked = (
        tmp_path / "a.duckdb",
        "SELECT * FROM embsql.recommend('compass', 'ada')",
    )
    users = "SELECT count(*) AS n FROM embsql.user_embeddings WHERE run_id = 1"
    with embsql.connect(registry) as database:
        known_run(database)
        wanted = database.ask(asked).to_pylist()
    assert published_by_another(registry, server, 10**9)
    there = embsql.connect(server)
    assert there.ask(asked).to_pylist() == wanted
    with embsql.connect(registry) as database:
        database.train(
            "compass",
            "SELECT 'u' || (i % 9) AS user_id, 'i' || (i % 5) AS item_id "
            "FROM range(60) AS t (i)",
            dim=2,
        )
        newer = database.ask(asked).to_pylist()
    for step in (
        4,
        6,
        12,
        20,
        24,
    ):  # the lock, the first tables, the records, the promotion
        assert published_by_another(registry, server, step) is None
        assert there.ask(asked).to_pylist() in (wanted, newer)
    assert published_by_another(registry, server, 10**9)
    assert there.ask(asked).to_pylist() == newer
    assert there.ask(users).to_pylist() == [{"n": 4}]
    left = "SHOW USER FUNCTIONS IN embsql_internal LIKE 'publishing_*'"
    assert not len(there.ask(left))


# it asks what the test above has published
def test_over_sc(server: str, tmp_path: Path) -> None:
    source = (
        "SELECT 'u' || (id % 9) AS user_id, 'i' || (id % 5) AS item_id FROM range(60)"
    )
    with embsql.connect(tmp_path / "b.duckdb") as database:
        assert (
            database.train("source", source, source_db=server, dim=2).status == "live"
        )
        with pytest.raises(embsql.errors.SourceFailed, match="cannot be found"):
            database.train("source", "no_such_table", source_db=server)
    there = embsql.connect(server)
    assert there.materialize("compass", k=2).neighbors > 0
    with pytest.raises(embsql.errors.UnknownModel, match="nope"):
        there.ask("SELECT * FROM embsql.recommend('nope', 'ada')")
    assert there.publish(tmp_path / "c.duckdb", "compass")[0].copied

"""`python -m tests.campaigns.spark_cluster` trains on a standalone cluster of this machine: a
master and two workers, each a process. One of the two, with its executor, is killed in the middle
of the second training. Both must give the same bytes, and leave no table behind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import embsql
from benchmarks._made import clustered
from embsql import errors
from embsql.distributed import blocks

ROOT = Path(__file__).parent.parent.parent
DEPLOY = "org.apache.spark.deploy"
CONNECTED = 60  # seconds within which workers are expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    blocks.PAIRS_PER_BLOCK = args.pairs // args.blocks
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(Path(folder)) as (url, workers),
    ):
        session = session_of(url, folder)
        try:
            found = measure(args, session, Path(folder), workers[1])
            sys.stdout.write(f"{json.dumps(found)}\n")
        finally:
            session.stop()


def measure(
    args: argparse.Namespace,
    session: Any,
    folder: Path,
    victim: subprocess.Popen[bytes],
) -> dict[str, Any]:
    """Train twice, the second time with a worker less from the first epoch on."""
    pairs = clustered(args.pairs // 50, 2000, args.pairs)
    file = folder / "pairs.parquet"
    pq.write_table(pa.table({"user_id": pairs.user, "item_id": pairs.item}), file)
    source = f"SELECT user_id, item_id FROM parquet.`{file}`"
    options = {
        "source_db": session,
        "device": "spark",
        "epochs": args.epochs,
        "dim": 16,
    }
    with embsql.connect(str(folder / "shop.duckdb")) as database:
        begun = executors(session)
        database.train("calm", source, **options)
        killer = threading.Thread(target=kill, args=(database, "disturbed", victim))
        killer.start()
        database.train("disturbed", source, **options)
        killer.join()
        found = database.rows("SELECT DISTINCT r.checksum FROM embsql.run_records AS r")
    left = session.sql("SHOW TABLES IN embsql_internal LIKE 'training_*'").collect()
    ended = executors(session)
    same = len(found) == 1
    assert same, "the bytes are others"
    assert not left, "tables are left"
    assert ended < begun, f"of {begun} executors {ended} are left"
    return {"executors": [begun, ended], "same_bytes": same, "tables_left": len(left)}


def kill(
    database: embsql.Database, model: str, victim: subprocess.Popen[bytes]
) -> None:
    """Kill a worker and its executor once the training has an epoch behind it."""
    with embsql.connect(database.engine.second()) as second:
        asked = "SELECT t.epoch FROM embsql.training_log($model) AS t"
        while not _epochs(second, asked, model):
            time.sleep(0.1)
    os.killpg(victim.pid, signal.SIGKILL)


def _epochs(database: embsql.Database, asked: str, model: str) -> int:
    try:
        return len(database.ask(asked, model=model))
    except errors.EmbsqlError:  # there is no such model yet
        return 0


def executors(session: Any) -> int:
    """How many there are now."""
    known = session.sparkContext._jsc.sc().getExecutorMemoryStatus().size()
    return int(known) - 1  # the driver is one of them


# --- the cluster ---------------------------------------------------------------------------------


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a master on loopback, and its two workers of one core each."""
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    with ExitStack() as started:
        master = [f"{DEPLOY}.master.Master", "--port", str(port)]
        started.enter_context(daemon(folder, "master", master))
        worker = [f"{DEPLOY}.worker.Worker", url, "--cores", "1", "--memory", "1g"]
        workers = [
            started.enter_context(
                daemon(folder, name, [*worker, "--work-dir", f"{folder}/{name}"])
            )
            for name in ("worker1", "worker2")
        ]
        yield url, workers


@contextmanager
def daemon(
    folder: Path, name: str, words: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """One of Spark's own processes, which is killed with all it started when the block ends."""
    import pyspark

    home = Path(pyspark.__file__).parent
    command = [home / "bin" / "spark-class", *words, "--host", "127.0.0.1"]
    ports = ["--webui-port", "0"]
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
    }
    with Path(folder, f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *ports],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def session_of(url: str, folder: str) -> Any:
    """A session on the cluster, once both workers are there."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "512m",
        "spark.executor.cores": "1",
        "spark.executorEnv.PYTHONPATH": str(ROOT),
        "spark.local.dir": folder,
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    session = SparkSession.builder.master(url).config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    deadline = time.monotonic() + CONNECTED
    while executors(session) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    return session


if __name__ == "__main__":
    main()

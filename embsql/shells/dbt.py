"""What dbt needs of Python.

The plugin of dbt-duckdb, training in a Python model, a worker while `dbt build` runs.

A profile names the plugin, and the materialization `embedding` (dbt_project/) calls what it offers:

    plugins:
      - module: embsql.dbt
"""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from embsql import engines
from embsql.api import commands
from embsql.api.database import Database
from embsql.arrow import one_array
from embsql.command_options import PythonModel
from embsql.errors import (
    CannotOpen,
    DatabaseBusy,
    EmbsqlError,
    InvalidArgument,
    MissingExtra,
)
from embsql.lifecycle import leases, registry
from embsql.options import construct, shown
from embsql.shells.worker import Worker
from embsql.sqlfiles import files

try:
    from dbt.adapters.duckdb.plugins import BasePlugin
except ModuleNotFoundError:  # dbt with PostgreSQL alone, or no dbt at all
    BasePlugin = object

# what a table in Python has one of
TABULAR = ("to_arrow_table", "__arrow_c_stream__", "__dataframe__")
RUNNING = """
    SELECT asked.what
    FROM embsql.jobs AS job
    CROSS JOIN LATERAL embsql_internal.request_stop(job.job_id) AS asked
    WHERE job.worker = $worker AND job.status = 'running'
"""
# as embsql's own files, so that BI tools with a 1.x driver read them
STORAGE = "v1.4.0"


def package_path() -> Path:
    """The folder of the dbt package.

    In a checkout it lies next to the Python package, in an installed wheel inside it.
    """
    package = Path(__file__).parent.parent
    inside = package / "dbt_project"
    return inside if inside.exists() else package.parent / "dbt_project"


# --- dbt-duckdb ----------------------------------------------------------------------------------


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt may be absent, and publishes no types
    """Puts embsql into dbt's connection.

    The questions, the commands, and what the materialization calls.
    """

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Choose a storage format that others read; say what hinders opening the file."""
        config.setdefault("storage_compatibility_version", STORAGE)
        path = Path(creds.path)
        # maybe a name that a file must not have
        if path.is_file() or path.stem.lower().startswith("embsql"):
            _look_into(creds.path)

    def configure_connection(self, conn: Any) -> None:
        """Install, and offer the commands, on a connection of our own.

        It is closed when dbt drops the plugin.
        """
        connection = conn.cursor()
        database = Database(connection)
        if not database.ask(
            "SELECT 1 FROM duckdb_functions() WHERE function_name = 'embsql_dbt'"
        ).num_rows:
            command = _errors_as_json(
                commands.dispatcher(lambda: Database(connection.cursor()))
            )
            connection.create_function(
                "embsql_dbt",
                command,
                ["VARCHAR[]"],
                "VARCHAR",
                side_effects=True,
                null_handling="special",
            )
        weakref.finalize(self, _close, database, connection)


def _look_into(path: str) -> None:
    """Raise dbt's error for a file that cannot be opened, in words that say what to do."""
    try:
        engines.open_engine(path).close()
    except (CannotOpen, DatabaseBusy) as error:
        # that one dbt-duckdb can share, or says why not
        if error.values.get("holder") != " (this one)":
            from dbt.adapters.exceptions import FailedToConnectError

            raise FailedToConnectError(str(error)) from None


def _errors_as_json(
    command: Callable[[list[str | None]], list[str | None]],
) -> Callable[[list[str | None]], str]:
    """A command whose mistakes are part of its answer, which is JSON.

    The node's error is then the message alone.
    """

    def answer(words: list[str | None]) -> str:
        try:
            return json.dumps({"answer": command(words)})
        except EmbsqlError as error:
            return json.dumps({"error": str(error)})

    return answer


def _close(database: Database, connection: Any) -> None:
    database.close()
    connection.close()


# --- Python models -------------------------------------------------------------------------------


def train(
    session: Any, rows: Any, model_name: str, *, entity: str = "item", **options: Any
) -> pa.Table:
    """Train in a Python model of dbt-duckdb; the live run's vectors, for the model to return.

    `session` is what dbt hands to `model`, `rows` what `dbt.ref` gives (or an Arrow table, or a
    data frame), `options` those of `Database.train`. Under `dbt build --empty` and `--sample`
    nothing is trained. The table has item_id (user_id with entity="user"), embedding and
    interactions. Raises EmbsqlError.

        def model(dbt, session):
            dbt.config(materialized="table")
            return embsql.dbt.train(session, dbt.ref("interactions"), "shop_items", dim=32)
    """
    entity = construct(PythonModel, {"entity": entity}).entity
    if not any(hasattr(rows, way) for way in TABULAR):
        raise InvalidArgument(
            name="rows",
            allowed="what dbt.ref gives, an Arrow table or a data frame",
            value=shown(rows),
        )
    table = rows.to_arrow_table() if hasattr(rows, "to_arrow_table") else rows
    connection = session.cursor()  # of our own: dbt's is in a transaction
    connection.register("embsql_rows", table)
    with Database(connection) as database:
        if not _is_dry_run():
            run = database.train(model_name, "embsql_rows", progress=False, **options)
            if run.refused:
                raise EmbsqlError(
                    message=f"run {run.run_id} of {model_name} was not made live: {run.refused}"
                )
        return _vectors(database, model_name, entity)


def _is_dry_run() -> bool:
    """Whether dbt was asked to build without data, or with a part of it."""
    from dbt.flags import get_flags

    flags = get_flags()
    return bool(getattr(flags, "EMPTY", False) or getattr(flags, "SAMPLE", None))


def _vectors(database: Database, model_name: str, entity: str) -> pa.Table:
    """The live run's vectors, each a list of as many floats; no rows when nothing is live."""
    # runs are counted from 1
    run_id = registry.live_run_id(database.engine, model_name) or 0
    rows = database.engine.ask(files.statements()[f"{entity}_vectors"], run_id=run_id)
    if len(rows):
        vectors = one_array(rows["embedding"])  # (n,) lists of d
        fixed = pa.FixedSizeListArray.from_arrays(
            vectors.flatten(), len(vectors[0])
        )  # (n, d)
        rows = rows.set_column(rows.column_names.index("embedding"), "embedding", fixed)
    return rows.rename_columns({"entity_id": f"{entity}_id"})


# --- embsql dbt ----------------------------------------------------------------------------------


def invoke(
    words: Sequence[str], address: str | None, log: Callable[[str], None]
) -> bool:
    """Run dbt in this process, with a worker at its side when the profile's database is PostgreSQL.

    The worker serves `address`, or where the profile leads. Of models that were built the page is
    written that their meta.embsql.report names. Whether dbt succeeded, which has said why not.
    Raises MissingExtra, and what `Database.report` raises.
    """
    try:
        from dbt.cli.main import dbtRunner
    except ModuleNotFoundError as error:
        raise MissingExtra(what="embsql dbt", package=error.name, extra="dbt") from None
    with BackgroundWorker(address, log) as worker:
        done = dbtRunner(callbacks=[worker.on_dbt_event]).invoke(list(words))
    if isinstance(done.exception, EmbsqlError):  # the worker could not begin
        raise done.exception
    _write_reports(done.result, address, log)
    return bool(done.success)


def _write_reports(
    result: Any, address: str | None, log: Callable[[str], None]
) -> None:
    """Write the pages that models want; by plain `dbt build` nobody could write a file."""
    wanted = dict(_reports(result))
    if not wanted or _is_dry_run():
        return
    with Database(address or _profile_address()) as database:
        for model, path in wanted.items():
            done = database.report(model, path=path)
            log(f"report of {model}@{done.run_id}: {done.path}")


def _reports(result: Any) -> Iterator[tuple[str, str]]:
    """The model and the file of each page, of nodes that were built."""
    for one in getattr(result, "results", ()):
        config = getattr(one.node, "config", None)
        given = (getattr(config, "meta", None) or {}).get("embsql") or {}
        if one.status == "success" and given.get("report"):
            yield str(given.get("name") or one.node.alias), str(given["report"])


def _profile_address() -> str:
    """Where the profile of the dbt that has just run leads."""
    from dbt.adapters.factory import FACTORY

    if "postgres" in FACTORY.adapters:
        return _conninfo(FACTORY.adapters["postgres"].config.credentials)
    return str(FACTORY.adapters["duckdb"].config.credentials.path)


class BackgroundWorker:
    """A worker in a thread, from when dbt has read its profile until the block ends."""

    def __init__(self, address: str | None, log: Callable[[str], None]) -> None:
        self.address, self.log = address, log
        # before, an adapter may be left from what this process did earlier
        self._announced = False
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> BackgroundWorker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker and self._thread:
            # dbt waits for its jobs: it was stopped in this one, or gave it up
            while self._cancel(self._worker):
                time.sleep(leases.POLL_INTERVAL)
            self._worker.stop()
            self._thread.join()
            self._worker.close()

    def _cancel(self, worker: Worker) -> bool:
        """Ask for what the worker does to stop; whether there was anything."""
        with closing(engines.open_engine(worker.address)) as engine:
            return bool(engine.ask(RUNNING, worker=worker.name).num_rows)

    def on_dbt_event(self, event: Any) -> None:
        """Begin when dbt has the adapter that it announced, if that is PostgreSQL's."""
        from dbt.adapters.factory import FACTORY

        self._announced = self._announced or event.info.name == "AdapterRegistered"
        if self._announced and "postgres" in FACTORY.adapters and not self._thread:
            given = self.address or _conninfo(
                FACTORY.adapters["postgres"].config.credentials
            )
            self._worker = Worker(given, self.log)
            self._thread = threading.Thread(
                target=_work, args=(self._worker,), daemon=True
            )
            self._thread.start()


def _work(worker: Worker) -> None:
    try:
        worker.work(once=False)
    except KeyboardInterrupt:  # a job ended badly while the worker was being stopped
        worker.release_claims()


def _conninfo(credentials: Any) -> str:
    """Credentials of dbt-postgres as libpq reads them."""
    names = {
        "host": "host",
        "port": "port",
        "user": "user",
        "password": "password",
        "database": "dbname",
    }
    given = {word: getattr(credentials, name) for name, word in names.items()}
    quoted = {
        word: str(value).replace("\\", r"\\").replace("'", r"\'")
        for word, value in given.items()
        if value
    }
    return " ".join(f"{word}='{value}'" for word, value in quoted.items())

"""A run in Spark: Parquet tables in the session's catalog, and the questions as SQL functions.

Nothing reads a run before it is promoted, and a promotion changes one view of the catalog. One
publishes at a time (`spark_lock`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from embsql import engines
from embsql.engines import Engine
from embsql.errors import CannotInstall, Corrupted, RunIdConflict, StatementFailed
from embsql.lifecycle.loaded import LARGE_TABLES, pages
from embsql.lifecycle.named_statements import log_event, query_named
from embsql.lifecycle.publish import (
    DERIVED_TABLES,
    IDENTITY,
    SMALL_TABLES,
    Published,
    content,
    not_itself,
    wanted_runs,
)
from embsql.lifecycle.spark_lock import publishing
from embsql.sqlfiles import spark as sql
from embsql.sqlfiles.files import statements
from embsql.sqlfiles.questions import questions
from embsql.sqlfiles.render import version

# the records last: what says that a run is there comes after all of it
TABLES = (*LARGE_TABLES, *DERIVED_TABLES, *reversed(SMALL_TABLES))
OLDEST = (4, 2)  # from which on Spark has functions of vectors
IN_MEMORY = (
    "A catalog in memory forgets its tables, and leaves their files, when its session ends: begin "
    "the session with Hive support, or remove that folder"
)
Models = dict[str, dict[str, Any]]  # by name, as the view embsql.models has them


def publish_to_spark(
    engine: Engine, target: Any, models: Sequence[str] = ()
) -> list[Published]:
    """Copy runs into Spark and make them live there.

    `models` are as of `publish`, `target` is "spark", the sc:// address of a server, or an open
    session. What is there already is not copied again. Raises RunIdConflict, RunNotReady,
    Corrupted, CannotOpen and CannotInstall, and InvalidArgument for what is in Spark itself.
    """
    if not engine.holds_registry:
        raise not_itself(engine.label)
    records = wanted_runs(engine, models)
    with engines.open_or_reuse(target, engine) as there:
        _check_version(there)
        with _as_installing(there):
            _make_schemas(there)
        with publishing(there):
            with _as_installing(there):
                _bring(there)
            return [_publish_run(engine, there, record) for record in records]


def _publish_run(source: Engine, there: Engine, record: Mapping[str, Any]) -> Published:
    """See to it that a run is in Spark, whole, and live there. Raises Corrupted."""
    name, run_id = record["model_name"], int(record["run_id"])
    known, wanted = _models(there), content(source, run_id)
    is_there = any(run_id in model["runs"] for model in known.values())
    if is_there:
        _check_same(there, record)
    is_same = is_there and content(there, run_id) == wanted
    if not is_same:
        _execute(there, sql.spark_removal(run_id, TABLES))
    _copy(source, there, run_id, DERIVED_TABLES if is_same else TABLES)
    if content(there, run_id) != wanted:
        raise Corrupted(database=there.label, run_id=run_id, name=name)
    _promote(there, _promoted(known, name, run_id))
    log_event(source, name, run_id, "publish", f"to {there.label}")
    _drop_gone(source, there, name)
    return Published(name, run_id, wanted.rows, wanted.checksum, not is_same)


def _drop_gone(source: Engine, there: Engine, name: str) -> None:
    """Drop the runs of a model that were published from a registry which has them no more.

    Those of another registry stay: this one does not know what they are.
    """
    had, has = (
        {row["run_id"] for row in query_named(source, asked, model_name=name)}
        for asked in ("published_runs", "runs_of")
    )
    known = _models(there)
    gone = (had - has).intersection(known[name]["runs"])
    if not gone:
        return
    _promote(there, _without(known, name, gone))
    for run_id in sorted(gone):
        _execute(there, sql.spark_removal(run_id, TABLES))


def _copy(source: Engine, there: Engine, run_id: int, tables: Sequence[str]) -> None:
    """Copy a run's rows of some tables, where it has any, in place of those that are there."""
    for table in tables:
        for number, rows in enumerate(_parts(source, table, run_id)):
            if number == 0:
                make_room(there, run_id, table)
            there.write(table, dict(zip(rows.column_names, rows.columns, strict=True)))


def make_room(there: Engine, run_id: int, table: str) -> None:
    """Drop a run's rows of a table, and give those to come a folder of their own."""
    copy = f"run_id={run_id}.{uuid.uuid4().hex}"
    folder = f"{_schema_folder(there)}/{table}/{copy}"
    _execute(there, sql.spark_removal(run_id, [table]))
    _execute(there, sql.spark_addition(run_id, table, folder))


def _schema_folder(there: Engine) -> str:
    """Where the tables are."""
    known = there.rows(statements("spark/statements.sql")["properties"])
    (folder,) = (row["info_value"] for row in known if row["info_name"] == "Location")
    return str(folder).rstrip("/")


def _parts(source: Engine, table: str, run_id: int) -> Iterator[pa.Table]:
    """A run's rows of a table, in parts that have some."""
    if table in LARGE_TABLES:
        parts = pages(source, table, run_id)
    else:
        parts = iter([source.ask(statements("publish.sql")[table], run_id=run_id)])
    return (rows for rows in parts if rows.num_rows)


def _check_same(there: Engine, record: Mapping[str, Any]) -> None:
    """Raise RunIdConflict where the run of this number is another."""
    run_id = int(record["run_id"])
    for found in there.rows(
        statements("spark/statements.sql")["record"], run_id=run_id
    ):
        if any(found[column] != record[column] for column in IDENTITY):
            raise RunIdConflict(
                database=there.label, run_id=run_id, name=found["model_name"]
            )


# --- what is live --------------------------------------------------------------------------------


def _models(there: Engine) -> Models:
    """The models that were published, by name."""
    asked = statements("spark/statements.sql")
    if not there.rows(asked["promotions"]):
        return {}
    return {model["model_name"]: model for model in there.rows(asked["models"])}


def _promoted(known: Models, name: str, run_id: int) -> list[dict[str, Any]]:
    """The models once a run is live."""
    before = known.get(name, {"live_run": None, "earlier_runs": [], "runs": []})
    earlier = [*before["earlier_runs"], before["live_run"]]
    model = {
        "model_name": name,
        "live_run": run_id,
        "earlier_runs": [run for run in earlier if run not in (None, run_id)],
        "runs": sorted({*before["runs"], run_id}),
        "updated_at": datetime.now(UTC).replace(tzinfo=None),
    }
    return list((known | {name: model}).values())


def _without(known: Models, name: str, gone: set[int]) -> list[dict[str, Any]]:
    """The models once some runs of one are gone."""
    kept = {
        runs: [run for run in known[name][runs] if run not in gone]
        for runs in ("earlier_runs", "runs")
    }
    return list((known | {name: known[name] | kept}).values())


def _promote(there: Engine, models: list[dict[str, Any]]) -> None:
    """Make what is live known."""
    words = there.rows(statements("spark/statements.sql")["derived"])
    newest = [one | {"newest_run": max(one["runs"])} for one in models]
    script = sql.spark_promotion(newest, [row["word"] for row in words])
    _execute(there, script)


# --- what is installed ---------------------------------------------------------------------------


def _check_version(there: Engine) -> None:
    """Raise CannotInstall where Spark is too old."""
    found = there.rows(statements("spark/statements.sql")["version"])[0]["version"]
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        reason = f"it is Spark {found.split()[0]}, and its functions of vectors came with 4.2"
        raise CannotInstall(database=there.label, reason=reason)


@contextmanager
def _as_installing(there: Engine) -> Iterator[None]:
    """What Spark refuses while embsql is made there as CannotInstall."""
    try:
        yield
    except StatementFailed as error:
        reason = str(error.values["reason"])
        remedy = f". {IN_MEMORY}" if "already exists" in reason else ""
        raise CannotInstall(database=there.label, reason=f"{reason}{remedy}") from None


def _make_schemas(there: Engine) -> None:
    asked = statements("spark/statements.sql")
    there.run(asked["schema"])
    there.run(asked["internal"])


def _bring(there: Engine) -> None:
    """Bring Spark's tables and functions up to this version."""
    asked = statements("spark/statements.sql")
    if any(version() in str(row) for row in there.rows(asked["properties"])):
        return
    _execute(there, sql.spark_tables())
    _execute(there, sql.spark_primitives())
    _promote(there, list(_models(there).values()))
    _execute(there, sql.spark_derived())
    _execute(there, sql.spark_views())
    _execute(there, map(sql.table_function, questions().values()))
    _execute(there, sql.spark_mark())


def _execute(there: Engine, script: Iterable[str]) -> None:
    """Run statements one after the other."""
    for statement in script:
        there.run(statement)

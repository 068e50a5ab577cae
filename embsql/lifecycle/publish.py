"""The same run in another database: its rows, its run_id, its bytes.

In a server or an open connection readers see nothing of a run before it is promoted. A DuckDB file
is never changed where it lies: a copy of it is, which then takes its name. Who has the old file
open keeps the old version, who opens it next finds the new one, and nobody meets a lock.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from embsql import engines
from embsql.arrow import Digest
from embsql.engines import Engine
from embsql.errors import (
    CannotOpen,
    Corrupted,
    InvalidArgument,
    ReadOnly,
    RunIdConflict,
)
from embsql.fsync import replacement, settle
from embsql.lifecycle import forgetting, installation, leases, registry, removal
from embsql.lifecycle.cells import in_cells
from embsql.lifecycle.leases import retry
from embsql.lifecycle.loaded import LARGE_TABLES, of_one_length, pages
from embsql.lifecycle.named_statements import execute_named, log_event, query_named
from embsql.lifecycle.pair_versions import write_table
from embsql.lifecycle.run_rows import Table
from embsql.run import Run
from embsql.sqlfiles.files import statements
from embsql.stopping import unstopped

SMALL_TABLES = (
    "run_records",
    "training_log",
    "metrics",
    "source_checks",
    "trials",
    "gates",
    "fold_in_settings",
    "item_gramian",
    "item_weights",
    "graph_edges",
    "tower_features",
    "tower_layers",
    "networks",
    "network_layers",
    "item_first_times",
)
# what a record says of the database that it is in
HERE = {"made_by", "promoted_at", "series", "snapshot"}
# what tells one run of a number from another
IDENTITY = ("model_name", "checksum", "source_hash")
# of a run, at any time after it
DERIVED_TABLES = ("clusters", "cluster_members", "maps", "top_items", "neighbors")


@dataclass(frozen=True, slots=True)
class Published:
    """A run that is live in another database."""

    model_name: str
    run_id: int
    rows: int  # vectors and interactions
    checksum: str  # of those rows, the same in both databases
    copied: bool  # False when they were there already


@dataclass(frozen=True, slots=True)
class RunDigest:
    """How many rows a run's vectors and interactions have, and a SHA-256 of their bytes."""

    rows: int
    checksum: str


def publish(engine: Engine, target: Any, models: Sequence[str] = ()) -> list[Published]:
    """Copy runs into `target` and make them live there.

    `models` are 'shop' or 'shop@7'; without any, the live run of every model is copied.

    `target` is a DuckDB file, a postgresql:// address, or an open connection of either. What is
    there already is not copied again. Raises RunIdConflict, RunNotReady, Corrupted,
    InvalidArgument, DatabaseBusy, CannotOpen, and whatever else an engine raises; a run that did
    not arrive whole leaves nothing behind.
    """
    records = wanted_runs(engine, models)
    target = engines.checked(target)
    opened = (
        _replacement(engine, target) if _is_file(target) else _other(engine, target)
    )
    with opened as there:
        return [_publish_run(engine, there, record) for record in records]


def wanted_runs(engine: Engine, models: Sequence[str]) -> list[dict[str, Any]]:
    """The records of the runs to publish. Raises what registry.finished_run raises."""
    return [
        registry.finished_run(engine, reference)
        for reference in models or _live(engine)
    ]


def _live(engine: Engine) -> list[str]:
    """The models that have a live run."""
    names = [row["model_name"] for row in query_named(engine, "model_names")]
    return [name for name in names if registry.live_run_id(engine, name) is not None]


# --- one run -------------------------------------------------------------------------------------


def _publish_run(
    source: Engine, target: Engine, record: Mapping[str, Any]
) -> Published:
    """See to it that a run is in the target, whole, and live there."""
    name = record["model_name"]
    run_id = int(record["run_id"])
    copied = retry(target, lambda: _copy_run(source, target, record))
    _drop_copy(source, target, run_id)
    there = _verified(source, target, record, copied=copied)
    if copied:
        log_event(target, name, run_id, "publish", f"from {source.label}")
    retry(target, lambda: _copy_derived(source, target, run_id))
    _drop_copy(source, target, run_id)  # who was forgotten while it was brought
    retry(target, lambda: execute_named(target, "ensure_model", model_name=name))
    registry.promote(target, f"{name}@{run_id}")
    removal.collect_garbage(target, name)
    return Published(name, run_id, there.rows, there.checksum, copied)


def _drop_copy(source: Engine, target: Engine, run_id: int) -> None:
    """Forget in the target whom the source has forgotten since the run was copied."""
    gone = _but(_people(target, run_id), _people(source, run_id))
    for user_id in gone.to_pylist():
        forgetting.clear(target, user_id, [run_id])


def _people(engine: Engine, run_id: int) -> pa.StringArray:
    rows = engine.ask(statements("publish.sql")["people"], run_id=run_id)
    return rows["user_id"].cast(pa.string()).combine_chunks()


def _but(ids: pa.StringArray, others: pa.StringArray) -> pa.StringArray:
    return ids.filter(pc.invert(pc.is_in(ids, value_set=others)))


def _copy_run(source: Engine, target: Engine, record: Mapping[str, Any]) -> bool:
    """Copy a run, all of it or nothing, unless it is there; whether it was copied.

    Raises RunIdConflict.
    """
    run_id = int(record["run_id"])
    for found in query_named(target, "run_record", run_id=run_id):
        if any(found[column] != record[column] for column in IDENTITY):
            raise _taken(target, found)
        return False
    with target.transaction():
        for table in SMALL_TABLES:
            for rows in of_one_length(
                source.ask(statements("publish.sql")[table], run_id=run_id)
            ):
                here = HERE.intersection(rows.column_names)
                target.write(table, _columns(rows.drop_columns(sorted(here))))
        large: Iterator[Table] = (
            (table, _columns(pa.concat_tables(pages(source, table, run_id))))
            for table in LARGE_TABLES
        )
        run = Run(seed=record["seed"], run_id=run_id)
        if query_named(source, "cells_of", run_id=run_id):
            large = in_cells(target, run, record["similarity"], large)
        for table, columns in large:
            write_table(target, run_id, table, columns)
        installation.install_readers(target)
        # in the same transaction: a run that is there has its indexes
        target.index(run_id)
    return True


def _copy_derived(source: Engine, target: Engine, run_id: int) -> None:
    """Copy what has been made of a run, also since it was copied, in place of the same there."""
    with target.transaction():
        execute_named(target, "lock_run", run_id=run_id)
        for table in DERIVED_TABLES:
            rows = source.ask(statements("publish.sql")[table], run_id=run_id)
            if rows.num_rows:
                execute_named(target, f"drop_{table}", run_id=run_id)
                target.write(table, _columns(rows))
        forgetting.drop_orphans(target, run_id, DERIVED_TABLES)


def _columns(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(rows.column_names, rows.columns, strict=True))


def _verified(
    source: Engine, target: Engine, record: Mapping[str, Any], *, copied: bool
) -> RunDigest:
    """What is in the target: what is in the source, but for people whom only the target forgot.

    They do not come back. A copy that differs is removed. Raises Corrupted for it, RunIdConflict
    for a run that was there, and UnknownRun where the source has it no more.
    """
    run_id = int(record["run_id"])
    try:
        there = content(target, run_id)
        people = _people(source, run_id)
        missing = people[:0] if copied else _but(people, _people(target, run_id))
        if there == content(source, run_id, missing):
            # raises where somebody removed it meanwhile
            registry.finished_run(source, f"{record['model_name']}@{run_id}")
            return there
        if not copied:
            raise _taken(target, record)
        raise Corrupted(database=target.label, run_id=run_id, name=record["model_name"])
    except BaseException:
        if copied:
            with unstopped():
                removal.delete_run(target, run_id)
        raise


def _taken(target: Engine, record: Mapping[str, Any]) -> RunIdConflict:
    return RunIdConflict(
        database=target.label, run_id=record["run_id"], name=record["model_name"]
    )


# --- what a run is -------------------------------------------------------------------------------


def content(
    engine: Engine, run_id: int, without: pa.StringArray | None = None
) -> RunDigest:
    """What a run's vectors and interactions are, the same for the same run on every engine.

    Rows of users `without` whom it is to be counted are passed over.
    """
    digest, rows = Digest(), 0
    for table in LARGE_TABLES:
        for page in pages(engine, table, run_id):
            kept = _others(page, without)
            digest.add(table, kept)
            rows += kept.num_rows
    return RunDigest(rows, digest.hexdigest())


def _others(page: pa.Table, without: pa.StringArray | None) -> pa.Table:
    """The rows of other users."""
    if without is None or "user_id" not in page.column_names:
        return page
    return page.filter(
        pc.invert(pc.is_in(page["user_id"].cast(pa.string()), value_set=without))
    )


# --- into a server, or an open connection --------------------------------------------------------


@contextmanager
def _other(source: Engine, target: Any) -> Iterator[Engine]:
    """The target with embsql in it while the block runs.

    Raises InvalidArgument when it is the source.
    """
    with engines.open_or_reuse(target, source) as there:
        if there.read_only:
            raise ReadOnly(path=there.label)
        _install(there)
        if _is_same(source, there):
            raise not_itself(there.label)
        yield there


def _install(engine: Engine) -> None:
    """Install embsql where it is missing.

    In an embedded database without the commands, which need the process that trains.
    """
    if engine.embedded:
        installation.install(engine)
    else:
        installation.ensure_installed(engine)


def _is_same(source: Engine, target: Engine) -> bool:
    """Whether two engines are one database, whatever they call it.

    A mark made in one is then seen in the other.

    Where it need not be asked no mark is made, as a publisher that is killed would leave it.
    """
    if source.name != target.name:
        return False
    # no model can have this name
    mark = {"model_name": f"publish {uuid.uuid4().hex}", "owner": "publish"}
    execute_named(target, "take_lease", run_id=0, **leases.this_process(), **mark)
    try:
        return bool(query_named(source, "lease", model_name=mark["model_name"]))
    finally:
        execute_named(target, "release", **mark)


def not_itself(label: str) -> InvalidArgument:
    """What to say to who publishes a database into itself."""
    return InvalidArgument(
        name="target",
        allowed="another database than the one that is published",
        value=label,
    )


# --- into a file ---------------------------------------------------------------------------------


def _is_file(target: Any) -> bool:
    """Whether a target is the name of a DuckDB file."""
    if isinstance(target, str):
        return "://" not in target and not engines.is_address(target)
    return isinstance(target, os.PathLike)


@contextmanager
def _replacement(source: Engine, target: str | os.PathLike[str]) -> Iterator[Engine]:
    """A database that takes the place of a file when the block ends well.

    Otherwise it is gone.

    It has the file's own name, in a folder next to it: DuckDB calls a database by that name.
    """
    path = _path(source, target)
    try:
        with replacement(path) as fresh, _copied(path, fresh):
            with closing(engines.open_engine(str(fresh))) as there:
                there.label = str(path)  # what messages shall call it
                _install(there)
                yield there
                there.run(statements("publish.sql")["checkpoint"])
            settle(fresh, path)
    except OSError as error:
        raise CannotOpen(path=str(path), reason=error.strerror or str(error)) from error


def _path(source: Engine, target: str | os.PathLike[str]) -> Path:
    """Where the file is, links followed.

    Raises InvalidArgument for memory, and for the source's own file.
    """
    if target in ("", ":memory:"):
        raise InvalidArgument(
            name="target",
            allowed="a file, a server or an open connection",
            value=repr(target),
        )
    path = Path(target).expanduser().resolve()
    homes = (
        source.ask(statements("publish.sql")["file"]).to_pylist()
        if source.embedded
        else []
    )
    if any(home["path"] and Path(home["path"]).resolve() == path for home in homes):
        raise not_itself(str(path))
    return path


@contextmanager
def _copied(path: Path, fresh: Path) -> Iterator[None]:
    """Copy the file, if there is one; nobody can write to the file while the block runs.

    Raises DatabaseBusy when somebody does, and CannotOpen when somebody did who never finished.
    """
    if not path.exists():
        yield
        return
    # DuckDB's lock on a file ends when its process closes any handle of that file: this one is
    # closed last.
    with (
        path.open("rb") as old,
        closing(engines.open_engine(str(path), read_only=True)),
    ):
        if Path(f"{path}.wal").exists():
            raise CannotOpen(
                path=str(path),
                reason="its .wal holds changes not yet in it; open it once for writing",
            )
        with fresh.open("wb") as new:
            shutil.copyfileobj(old, new)
        shutil.copymode(path, fresh)
        yield

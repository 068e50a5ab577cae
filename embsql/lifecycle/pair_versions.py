"""What runs were trained on: in a file each pair once, for all runs that have it as it is.

Snapshots of one source that follow each other are a series. A row says from which snapshot of its
series on it is there, and from which on no more, so a training on a source that has grown writes
what is new. A server keeps the rows of each run in tables of their own. See docs/decisions/0043.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from embsql.engines import Engine
from embsql.lifecycle.named_statements import execute_named, query_named
from embsql.lifecycle.pair_changes import changes, rows_of_parts
from embsql.sqlfiles.files import statements

Columns = Mapping[str, Any]
# how much of each the last snapshot of a series and one that follows it must have in common
SHARED = 0.5


def write_table(engine: Engine, run_id: int, table: str, columns: Columns) -> None:
    """Write rows of one of a run's tables, within the transaction that makes the run."""
    if table == "interactions":
        write_pairs(engine, run_id, [columns])
    else:
        engine.write(table, columns)


def write_pairs(engine: Engine, run_id: int, parts: Iterable[Columns]) -> None:
    """Write what a run was trained on, in parts."""
    if not engine.embedded:
        engine.write_parts("interactions", parts)
        return
    series = _series_before(engine, run_id)
    if series is None:
        begin_series(engine, run_id, parts)
        return
    _go_on(engine, run_id, series, rows_of_parts(parts))


def write_changed(
    engine: Engine, run_id: int, parent_run: int, users: Sequence[str], columns: Columns
) -> None:
    """Write what a run has that is made of another: the other's rows, but for some users."""
    own = {"run_id": run_id, "parent_run": parent_run, "users": users}
    if not engine.embedded:
        execute_named(engine, "copy_interactions", **own)
        engine.write("interactions", columns)
        return
    others = engine.ask(statements()["pairs_but"], parent_run=parent_run, users=users)
    rows = rows_of_parts([columns_of(others), columns])
    series = _series_before(engine, run_id)
    if series is None:
        begin_series(engine, run_id, [columns_of(rows)])
    else:
        _go_on(engine, run_id, series, rows)


# --- in a file -----------------------------------------------------------------------------------


def _series_before(engine: Engine, run_id: int) -> int | None:
    """The series that a run's rows are the next snapshot of.

    It is that of the newest run of its model, or else of any on the same source.
    """
    found = query_named(engine, "series_before", run_id=run_id)
    if not found:
        return None
    return int(found[0]["series"])


def begin_series(engine: Engine, run_id: int, parts: Iterable[Columns]) -> None:
    """Write rows as the first snapshot of a series of its own."""
    series = _new_series(engine)
    own = {"series": pa.scalar(series, pa.int64())}
    for columns in parts:
        engine.write("pair_versions", own | _pairs(columns))
    execute_named(engine, "note_snapshot", run_id=run_id, series=series, snapshot=1)


def _new_series(engine: Engine) -> int:
    """A series without snapshots. Of two who begin one at once its key refuses the second."""
    found = query_named(engine, "next_series")
    series = int(found[0]["series"])
    execute_named(engine, "begin_series", series=series)
    return series


def _pairs(columns: Columns) -> dict[str, Any]:
    """The rows without the number of their run."""
    return {name: column for name, column in columns.items() if name != "run_id"}


def _go_on(engine: Engine, run_id: int, series: int, rows: pa.Table) -> None:
    """Write rows as the next snapshot of a series, unless they are not much like its last."""
    if not len(rows):  # vectors from elsewhere, which were trained on nothing
        return
    # also where nothing changes: the last run that has the snapshot may be dropped meanwhile
    execute_named(engine, "hold_one_series", series=series)
    last = engine.ask(statements()["last_snapshot"], series=series)
    found = changes(rows, last)
    if found.kept < SHARED * max(len(rows), len(last)):
        begin_series(engine, run_id, [columns_of(rows)])
        return
    position = query_named(engine, "last_in_series", series=series)
    snapshot = int(position[0]["snapshot"])
    if found:
        snapshot += 1
        ended = last["pair_row"].filter(pa.array(found.ended))
        _end(engine, ended, snapshot)
        added = rows.filter(pa.array(found.added))
        _add(engine, added, series, snapshot)
    noted = {"series": series, "snapshot": snapshot}
    execute_named(engine, "note_snapshot", run_id=run_id, **noted)


def _add(engine: Engine, rows: pa.Table, series: int, snapshot: int) -> None:
    """Let some rows begin with a snapshot."""
    own = {
        "series": pa.scalar(series, pa.int64()),
        "from_snapshot": pa.scalar(snapshot, pa.int32()),
    }
    if rows.num_rows:
        engine.write("pair_versions", own | columns_of(rows))


def _end(engine: Engine, pair_rows: pa.ChunkedArray, snapshot: int) -> None:
    """Let some rows end with the snapshot before."""
    if len(pair_rows):
        execute_named(engine, "open_ended")
        engine.write("ended_pairs", {"pair_row": pair_rows}, schema="temp")
        execute_named(engine, "end_pairs", snapshot=snapshot)
        execute_named(engine, "close_ended")


def columns_of(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """The columns (n,) of a table, as an engine writes them."""
    return dict(zip(rows.column_names, rows.columns, strict=True))

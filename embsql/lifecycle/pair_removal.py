"""What goes of what runs of a file were trained on; how it is kept, `pair_versions` says."""

from __future__ import annotations

from collections.abc import Sequence

from embsql.engines import Engine
from embsql.lifecycle.named_statements import execute_named, query_named
from embsql.sqlfiles.files import statements


def drop_pairs(engine: Engine, run_id: int) -> None:
    """Remove from a file what no other run was trained on; the run's record still stands."""
    execute_named(engine, "hold_series", runs=[run_id])
    for position in query_named(engine, "position_in_series", run_id=run_id):
        execute_named(engine, "drop_unshared", **position)
        execute_named(engine, "reopen", series=position["series"], run_id=run_id)
    execute_named(engine, "drop_empty_series", run_id=run_id)


def forget_pairs(engine: Engine, user_id: str, runs: Sequence[int]) -> int:
    """Remove a person from what some runs of a file were trained on; how many rows went.

    Other runs keep the person.
    """
    held = {"runs": runs, "user_id": user_id}
    found = query_named(engine, "count_pairs", **held)
    gone = int(found[0]["pairs"])
    if not gone:
        return 0
    execute_named(engine, "hold_series", runs=runs)
    for row in query_named(engine, "sharing_runs", runs=runs):
        _set_apart(engine, row["run_id"])
    others = engine.ask(statements()["pairs_of_others"], **held)
    execute_named(engine, "forget_pairs", **held)
    if others.num_rows:
        names = zip(others.column_names, others.columns, strict=True)
        engine.write("pair_versions", dict(names))
    return gone


def _set_apart(engine: Engine, run_id: int) -> None:
    """Give a run that shares its snapshot a series of its own: what it loses others keep."""
    # here: pyarrow is slow to import
    from embsql.lifecycle.pair_versions import begin_series, columns_of

    rows = engine.ask(statements()["pairs_but"], parent_run=run_id, users=[])
    begin_series(engine, run_id, [columns_of(rows)])

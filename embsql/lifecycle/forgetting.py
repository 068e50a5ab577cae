"""Forgetting a person: gone from every run there is, and from those that are being made.

What is finished is cleared run by run, the live ones first. What is being made may hold the person
in memory: it gets a hash of the id, and leaves them out in the transaction that makes it
ready. Whoever forgets and whoever writes rows of a run both change the run's own row, so that one
of the two comes second and sees the other. See docs/decisions/0017.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from embsql.engines import Engine
from embsql.lifecycle.leases import retry
from embsql.lifecycle.named_statements import execute_named, log_event, query_named
from embsql.lifecycle.pair_removal import forget_pairs
from embsql.lifecycle.removal import sweep
from embsql.sources.source import UNNAMED

if TYPE_CHECKING:
    pass

BATCH = 100  # runs in one transaction: a server locks some ten relations for each
# of a person, in tables that all runs share
DERIVED = ("clusters", "labels", "maps", "top_items", "neighbors", "fresh", "examples")
# all that a run has of a person
PARTS = ("embeddings", "interactions", "histories", "cells", *DERIVED)
# tables with texts of errors, which may name a person
WORDS = ("run_records", "gates", "trials")
NAMED = ("'{}'", '"{}"', '\\"{}\\"', "user {},")
# options that are SELECTs
SELECTS = ("user_features", "item_features", "graph", "users", "labels", "test")
ORPHANS = {"top_items", "neighbors", "cluster_members", "maps"}


def forget(engine: Engine, user_id: str) -> int:
    """Remove one person from every run; the number of rows that went.

    The first transaction takes what all runs share and settles that no run to come holds them.
    Should it end early, the same call goes on where it was.
    """
    sweep(engine)  # or rows of runs that are gone would still hold them
    rows = retry(engine, lambda: _begin(engine, user_id))
    while runs := _left(engine, user_id):
        rows += clear(engine, user_id, runs)
    return rows


def clear(engine: Engine, user_id: str, runs: Sequence[int]) -> int:
    """Remove a person from some runs, at once; the number of rows that went."""

    def attempt() -> int:
        with engine.transaction():
            return _clear(engine, user_id, runs)

    return retry(engine, attempt)


def _begin(engine: Engine, user_id: str) -> int:
    """Note the person for every run; remove them from what is small, and from the first runs."""
    with engine.transaction():
        execute_named(engine, "hold_trainings")
        salt = next(iter(_salts(engine)), None) or secrets.token_hex(16)
        execute_named(
            engine, "note_forgotten", salt=salt, person=_hashed(salt, user_id)
        )
        every = [row["run_id"] for row in query_named(engine, "every_run")]
        rows = execute_named(engine, "forget_user_cohorts", user_id=user_id)
        rows += _erase(engine, user_id, every, DERIVED)
        _reword(engine, user_id)
        _unname(
            engine,
            user_id,
            [row["run_id"] for row in query_named(engine, "ended_runs")],
        )
        # the id itself would be a trace of the person
        log_event(engine, "", None, "forget")
        return rows + _clear(engine, user_id, _left(engine, user_id))


def _left(engine: Engine, user_id: str) -> list[int]:
    """The next runs that still hold a person."""
    found = query_named(engine, "to_be_cleared", people=_people(engine, user_id))
    runs = [row["run_id"] for row in found]
    return runs if engine.embedded else runs[:BATCH]


def _clear(engine: Engine, user_id: str, runs: Sequence[int]) -> int:
    """Remove a person from some runs, within a transaction."""
    execute_named(engine, "lock_runs", runs=runs)
    # before their rows go, which say whose words may name them
    _unname(engine, user_id, runs)
    rows = _erase(engine, user_id, runs, PARTS)
    if not engine.embedded:
        execute_named(engine, "forget_statistics", runs=runs, user_id=user_id)
    execute_named(engine, "cleared", runs=runs, people=_people(engine, user_id))
    return rows


def _erase(
    engine: Engine, user_id: str, runs: Sequence[int], parts: Iterable[str]
) -> int:
    # while it is known of which groups
    execute_named(engine, "forget_user_shares", runs=runs, user_id=user_id)
    rows = 0
    if engine.embedded and "interactions" in parts:
        rows = forget_pairs(engine, user_id, runs)
        # while it is known of which cells
        execute_named(engine, "forget_user_cell_sizes", runs=runs, user_id=user_id)
        parts = [part for part in parts if part != "interactions"]
    return rows + sum(
        execute_named(engine, f"forget_user_{part}", runs=runs, user_id=user_id)
        for part in parts
    )


def _reword(engine: Engine, user_id: str) -> None:
    """Blank the id in what went wrong, where it quotes it or calls it a user's."""
    if not engine.embedded:
        execute_named(engine, "forget_in_jobs", user_id=user_id)
        return
    for table in WORDS:
        for named, blank in _forms(user_id):
            execute_named(engine, f"forget_words_{table}", named=named, blank=blank)


def _forms(user_id: str) -> list[tuple[str, str]]:
    """How words name an id, in SQL and within JSON too, and what stands there afterwards."""
    sql = user_id.replace("'", "''")
    texts = {user_id, sql}
    texts |= {json.dumps(text)[1:-1] for text in texts}
    return [
        (form.format(text), form.format("forgotten"))
        for form in NAMED
        for text in texts
    ]


# --- SELECTs that name somebody ------------------------------------------------------------------


def _unname(engine: Engine, user_id: str, runs: Sequence[int]) -> None:
    """Mark SELECTs that name a person as gone, of the runs that hold them or have ended.

    Not a letter of a SELECT is changed, or it would be another one that still runs.
    """
    if not engine.embedded:
        execute_named(engine, "forget_selects", runs=runs, user_id=user_id)
        return
    for record in query_named(engine, "selects_of", runs=runs, user_id=user_id):
        _mark(engine, record, lambda select: _names(select, user_id))


def _names(select: str, user_id: str) -> bool:
    """Whether an id is a whole string of a SELECT. A bare 42 may be any number."""
    doubled = re.escape(user_id.replace("'", "''"))
    quoted = rf"(?<!')'{doubled}'(?!')"
    dollars = rf"\$(\w*)\${re.escape(user_id)}\$\1\$"
    return re.search(f"{quoted}|{dollars}", select) is not None


def _has_strings(select: str) -> bool:
    """Whether a SELECT can name anybody."""
    return "'" in select or "$" in select


def _mark(engine: Engine, record: dict[str, Any], named: Callable[[str], bool]) -> None:
    """Put a mark that nothing can run where a SELECT was that names somebody."""
    params = json.loads(record["params"])
    texts = {
        name: params[name] for name in SELECTS if isinstance(params.get(name), str)
    }
    gone = [name for name, select in texts.items() if named(select)]
    source = UNNAMED if named(record["source_sql"]) else record["source_sql"]
    if gone or source != record["source_sql"]:
        kept = params | {name: {"forgotten": True} for name in gone}
        execute_named(
            engine,
            "mark_selects",
            run_id=record["run_id"],
            params=json.dumps(kept) if gone else record["params"],
            source_sql=source,
        )


# --- runs that are being made --------------------------------------------------------------------


def leave_out(engine: Engine, run_id: int, users: Iterable[str]) -> None:
    """Remove who was forgotten since a run of these users began.

    For the transaction that makes it ready.
    """
    gone = query_named(engine, "forgotten_meanwhile", run_id=run_id)
    if not gone:
        return
    hashes = {row["person"] for row in gone}
    salts = {row["salt"] for row in gone}
    for user_id in users:
        if any(_hashed(salt, user_id) in hashes for salt in salts):
            _unname(engine, user_id, [run_id])
            _erase(engine, user_id, [run_id], PARTS)
    execute_named(engine, "blank_examples", run_id=run_id)
    execute_named(engine, "drop_forgotten", run_id=run_id)


def settle_forgotten(engine: Engine, run_id: int) -> None:
    """Blank what a failed run says of anybody, if somebody was forgotten since it began."""
    execute_named(engine, "blank_examples", run_id=run_id)
    execute_named(engine, "blank_error", run_id=run_id)
    for record in query_named(engine, "outlived_selects") if engine.embedded else ():
        _mark(engine, record, _has_strings)
    execute_named(engine, "drop_ended")


def drop_orphans(engine: Engine, run_id: int, tables: Collection[str]) -> None:
    """Remove who was forgotten while something was made of a finished run; its writer holds it."""
    for table in ORPHANS.intersection(tables):
        execute_named(engine, f"strangers_{table}", run_id=run_id)
    if engine.embedded and "cluster_members" in tables:
        execute_named(engine, "recount_clusters", run_id=run_id)


# --- who -----------------------------------------------------------------------------------------


def _salts(engine: Engine) -> list[str]:
    return [row["salt"] for row in query_named(engine, "salt")]


def _people(engine: Engine, user_id: str) -> list[str]:
    """What a person may be noted as."""
    return [_hashed(salt, user_id) for salt in _salts(engine)]


def _hashed(salt: str, user_id: str) -> str:
    return hashlib.sha256((salt + user_id).encode()).hexdigest()

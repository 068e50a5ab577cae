"""A database looked through: parts that change as a whole, and what contradicts itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from embsql import Database
from embsql.engines import Engine
from embsql.loaded import LARGE, pages
from embsql.surface import statements

Parts = dict[str, str]  # a part -> a hash of its rows
MODEL = ("solvers", "gram", "item_scales")
MADE = {
    "topk": ("top_items", "neighbors"),
    "clusters": ("clusters", "cluster_members"),
    "maps": ("maps",),
}
QUESTIONS = (
    "SELECT * FROM embsql.recommend('{model}', '5', k => 5)",
    "SELECT * FROM embsql.similar_items('{model}', '3', k => 5)",
)
TABLES = """
SELECT t.table_schema || '.' || t.table_name AS name
FROM information_schema.tables AS t
WHERE t.table_catalog = current_database() AND t.table_schema IN ('main', 'public', 'embsql')
ORDER BY name
"""
OF_RUNS = """
SELECT c.table_name AS name
FROM information_schema.columns AS c
WHERE c.table_catalog = current_database()
    AND c.table_schema = 'embsql'
    AND c.column_name = 'run_id'
ORDER BY name
"""
LOGS = {
    "training_log",
    "metrics",
    "validations",
    "trials",
    "gates",
    "forgotten",
    "runs",
}  # of any run
FREE = {"events", "leases"}
COUNTED = """
SELECT
    run.run_id, run.users, run.items,
    (SELECT count(*) FROM embsql.item_embeddings AS one WHERE one.run_id = run.run_id) AS item_rows,
    (SELECT count(*) FROM embsql.user_embeddings AS one WHERE one.run_id = run.run_id) AS user_rows
FROM embsql.runs AS run
WHERE run.status = 'ready'
"""
MODELS = "SELECT model.model_name, model.live_run, model.earlier_runs FROM embsql.models AS model"
PARTITIONS = """
SELECT c.relname AS name
FROM pg_class AS c
WHERE c.relnamespace = 'embsql_runs'::regnamespace AND c.relkind = 'r'
"""
LEFT_OVER = {
    "a lease of {}": "SELECT held.model_name AS name FROM embsql.leases AS held",
    "run {} still says that it trains": (
        "SELECT run.run_id AS name FROM embsql.runs AS run WHERE run.status = 'training'"
    ),
    "somebody still to be forgotten in run {}": (
        "SELECT gone.run_id AS name FROM embsql.forgotten AS gone"
    ),
}


def parts(database: Database) -> Parts:
    """Everything that a caller can see, by parts that are written at once."""
    engine, found = database.engine, {"tables": _hashed(database.ask(TABLES).to_pydict())}
    found |= {f"live {row['model_name']}": str(row["live_run"]) for row in models(database)}
    found[f"answers {found['live m']}"] = _answers(database, "m", found["live m"])
    for run_id in ready(engine):
        found[f"run {run_id}"] = rows_of(engine, run_id)
        found |= {f"{made} {run_id}": _rows(engine, run_id, MADE[made]) for made in MADE}
    return found


def models(database: Database) -> list[dict[str, Any]]:
    """What the names of models point at."""
    rows: list[dict[str, Any]] = database.ask(MODELS).to_pylist()
    return rows


def rows_of(engine: Engine, run_id: int) -> str:
    """A hash of a run's own rows, whatever its number."""
    large = [_unnumbered(page) for table in LARGE for page in pages(engine, table, run_id)]
    return _hashed([large, _rows(engine, run_id, MODEL)])


def ready(engine: Engine, model: str | None = None) -> list[int]:
    """The finished runs, or those of a model."""
    rows = engine.ask(
        "SELECT run.run_id, run.model_name FROM embsql.runs AS run WHERE run.status = 'ready' "
        "ORDER BY run.run_id"
    )
    return [row["run_id"] for row in rows.to_pylist() if model in (None, row["model_name"])]


def contradictions(database: Database, gone: int) -> list[str]:
    """What cannot be true at once; `gone` people have been forgotten."""
    return [
        *_pointers(database),
        *_counts(database, gone),
        *_strays(database),
        *_partitions(database),
    ]


def left_over(database: Database) -> list[str]:
    """What must not be there once an act has been done to its end."""
    return [
        what.format(row["name"])
        for what, sql in LEFT_OVER.items()
        for row in database.ask(sql).to_pylist()
    ]


def changed(before: Parts, found: Parts, after: Parts) -> list[str]:
    """Parts that are neither as they were nor as they are when the act has been done."""
    known = (
        before.keys() | after.keys()
    )  # of what was live in between nobody else knows the answers
    return [
        f"{part} is {found.get(part)}, was {before.get(part)}, becomes {after.get(part)}"
        for part in sorted(known | {name for name in found if not name.startswith("answers ")})
        if found.get(part) not in (before.get(part), after.get(part), *_made(part, before, found))
    ]


def _made(part: str, before: Parts, found: Parts) -> list[str]:
    """The runs that an act made and did not come to make live: one of them may be."""
    if not part.startswith("live "):
        return []
    return [name.split()[1] for name in found.keys() - before.keys() if name.startswith("run ")]


def unlike(before: Parts, after: Parts) -> list[str]:
    """Runs made by doing one act twice that are not the same."""
    new = {name: after[name] for name in after.keys() - before.keys() if name.startswith("run ")}
    return [f"one act made {new}"] if len(set(new.values())) > 1 else []


def _answers(database: Database, name: str, live: str) -> str:
    """What the live run answers, by the model's name and by its own: the same."""
    both = [_asked(database, model) for model in (name, f"{name}@{live}")]
    assert both[0] == both[1], f"answers of several versions: {both}"
    return _hashed(both)


def _asked(database: Database, model: str) -> list[Any]:
    return [database.ask(sql.format(model=model)).to_pydict() for sql in QUESTIONS]


def _rows(engine: Engine, run_id: int, tables: tuple[str, ...]) -> str:
    asked = (statements("publish.sql")[table] for table in tables)
    rows = (engine.ask(sql, run_id=run_id) for sql in asked)
    return _hashed([_unnumbered(table) for table in rows])


def _unnumbered(rows: pa.Table) -> dict[str, list[Any]]:
    return rows.drop_columns(["run_id"]).to_pydict()


def _hashed(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _pointers(database: Database) -> Iterator[str]:
    for row in models(database):
        name, there = row["model_name"], ready(database.engine, row["model_name"])
        for run_id in {*row["earlier_runs"], row["live_run"]} - {None, *there}:
            yield f"{name} points to run {run_id}, which is not there"


def _counts(database: Database, gone: int) -> Iterator[str]:
    for row in database.ask(COUNTED).to_pylist():
        if row["items"] != row["item_rows"] or not 0 <= row["users"] - row["user_rows"] <= gone:
            yield f"counts differ: {row}"


def _strays(database: Database) -> Iterator[str]:
    for row in database.ask(OF_RUNS).to_pylist():
        table = row["name"]
        if table not in FREE:
            known = "" if table in LOGS else "WHERE run.status = 'ready'"
            stray = (
                f"SELECT DISTINCT line.run_id FROM embsql.{table} AS line WHERE line.run_id NOT IN "
                f"(SELECT run.run_id FROM embsql.runs AS run {known})"
            )
            runs = [found["run_id"] for found in database.ask(stray).to_pylist()]
            yield from [f"{table} has rows of {runs}"] if runs else []


def _partitions(database: Database) -> Iterator[str]:
    if database.engine.embedded:
        return
    known = ready(database.engine)
    for row in database.ask(PARTITIONS).to_pylist():
        number = re.search(r"\d+$", row["name"])
        if number is None or int(number[0]) not in known:
            yield f"a table {row['name']} of no run"

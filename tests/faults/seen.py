"""A database looked through: parts that change as a whole, and what contradicts itself."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pyarrow as pa

from embsql import Database

Parts = dict[str, str]  # a part -> a hash of its rows
OF_A_RUN = {  # what is written at once of a run -> where it is
    "run": (
        "item_embeddings",
        "user_embeddings",
        "interactions",
        "fold_in_settings",
        "item_gramian",
        "item_weights",
        "graph_edges",
        "tower_features",
        "tower_layers",
        "networks",
        "network_layers",
        "item_first_times",
        "histories",
        "cells",
        "cell_members",
    ),
    "report": ("run_records", "training_log", "trials", "gates", "source_checks"),
    "metrics": ("metrics",),
    "topk": ("top_items", "neighbors"),
    "clusters": ("clusters", "cluster_members"),
    "maps": ("maps",),
}
IN_A_FILE = {"cells", "cell_members"}  # a server has an index
QUESTIONS = (
    "SELECT * FROM embsql.recommend('{model}', '5', k => 5)",
    "SELECT * FROM embsql.similar_items('{model}', '3', k => 5)",
)
TABLES = """
SELECT t.table_schema || '.' || t.table_name AS name
FROM information_schema.tables AS t
WHERE t.table_catalog = current_database() AND t.table_schema IN ('main', 'public', 'embsql')
    AND t.table_type = 'BASE TABLE'
ORDER BY name
"""
# A file keeps each pair once, so that what a run read there is a view.
OF_RUNS = """
SELECT c.table_name AS name
FROM information_schema.columns AS c
JOIN information_schema.tables AS t
    ON t.table_catalog = c.table_catalog AND t.table_schema = c.table_schema
    AND t.table_name = c.table_name
WHERE c.table_catalog = current_database()
    AND c.table_schema = 'embsql'
    AND c.column_name = 'run_id'
    AND (t.table_type = 'BASE TABLE' OR c.table_name = 'interactions')
ORDER BY name
"""
LOGS = {
    "training_log",
    "metrics",
    "source_checks",
    "trials",
    "gates",
    "forgotten",
    "run_records",
}  # of any run
FREE = {"events", "leases"}
UNSEEN = [
    "run_id",
    "held",
]  # columns that are no part's content: its number, who waited for it
RUNS = """
SELECT run.run_id, run.model_name, run.status, run.users, run.items
FROM embsql.run_records AS run
ORDER BY run.run_id
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
        "SELECT run.run_id AS name FROM embsql.run_records AS run WHERE run.status = 'training'"
    ),
    "somebody still to be forgotten in run {}": (
        "SELECT gone.run_id AS name FROM embsql.forgotten AS gone"
    ),
}
LEFT_OVER_THERE = {  # in a server
    "job {} is not over": (
        "SELECT job.job_id AS name FROM embsql.jobs AS job WHERE job.finished_at IS NULL"
    ),
    "a table {} of a run that is gone": "SELECT part.part_name AS name FROM embsql.leaving AS part",
    "what reads a source of a job, {}": (
        "SELECT f.proname AS name FROM pg_proc AS f "
        "WHERE f.pronamespace = 'embsql_sources'::regnamespace"
    ),
}


FUNCTIONS = {
    "duckdb": """
        SELECT DISTINCT f.schema_name || '.' || f.function_name AS name
        FROM duckdb_functions() AS f
        WHERE f.schema_name IN ('embsql', 'embsql_internal', 'ml')
            AND f.database_name = current_database()
        ORDER BY name
    """,
    "postgres": """
        SELECT f.oid::regprocedure::text AS name
        FROM pg_proc AS f
        JOIN pg_namespace AS n ON n.oid = f.pronamespace
        WHERE n.nspname IN ('embsql', 'embsql_internal', 'ml')
        ORDER BY name
    """,
}


class Look:
    """A database as it is at once, every table read once."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @cached_property
    def rows(self) -> dict[str, dict[int, list[str]]]:
        """Table -> run -> its rows, in an order of their own."""
        names = self.database.ask(OF_RUNS)["name"].to_pylist()
        return {
            name: _by_run(self.database.engine.ask(f"SELECT * FROM embsql.{name}"))
            for name in names
        }

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """What is known of every run."""
        rows: list[dict[str, Any]] = self.database.ask(RUNS).to_pylist()
        return rows

    @cached_property
    def models(self) -> list[dict[str, Any]]:
        """What the names of models point at."""
        rows: list[dict[str, Any]] = self.database.ask(MODELS).to_pylist()
        return rows

    @cached_property
    def leaving(self) -> set[int]:
        """Runs that are gone, whose tables go with the next removal: nothing else reads them."""
        if self.database.engine.embedded:
            return set()
        marked = self.database.ask("SELECT part_name FROM embsql.leaving")[
            "part_name"
        ].to_pylist()
        return {int(name.rpartition("_")[2]) for name in marked}

    def ready(self, model: str | None = None) -> list[int]:
        """The finished runs, or those of a model."""
        return [
            run["run_id"]
            for run in self.runs
            if run["status"] == "ready" and model in (None, run["model_name"])
        ]

    def parts(self) -> Parts:
        """Everything that a caller can see, by parts that are written at once."""
        functions = FUNCTIONS[self.database.engine.name]
        found = {"tables": self._listed(TABLES), "functions": self._listed(functions)}
        found |= {
            f"live {row['model_name']}": str(row["live_run"]) for row in self.models
        }
        found[f"answers {found['live m']}"] = _answers(
            self.database, "m", found["live m"]
        )
        for run_id in self.ready():
            found |= {f"{part} {run_id}": self.part(part, run_id) for part in OF_A_RUN}
        return found

    def _listed(self, sql: str) -> str:
        return hashed(self.database.ask(sql).to_pydict())

    def part(self, part: str, run_id: int) -> str:
        """A hash of a part of a run, whatever its number."""
        absent = set() if self.database.engine.embedded else IN_A_FILE
        tables = [table for table in OF_A_RUN[part] if table not in absent]
        return hashed([self.rows[table].get(run_id) for table in tables])

    def contradictions(self, gone: int) -> list[str]:
        """What cannot be true at once; `gone` people have been forgotten."""
        return [
            *_pointers(self),
            *_counts(self, gone),
            *_strays(self),
            *_partitions(self),
        ]


def _by_run(rows: pa.Table) -> dict[int, list[str]]:
    content = rows.drop_columns([name for name in UNSEEN if name in rows.column_names])
    found: defaultdict[int, list[str]] = defaultdict(list)
    for run_id, row in zip(
        rows["run_id"].to_pylist(), content.to_pylist(), strict=True
    ):
        found[run_id].append(repr(row))
    return {run_id: sorted(of_run) for run_id, of_run in found.items()}


def left_over(database: Database) -> list[str]:
    """What must not be there once an act has been done to its end."""
    asked = LEFT_OVER | ({} if database.engine.embedded else LEFT_OVER_THERE)
    return [
        what.format(row["name"])
        for what, sql in asked.items()
        for row in database.ask(sql).to_pylist()
    ]


def changed(before: Parts, found: Parts, after: Parts) -> list[str]:
    """Parts that are neither as they were nor as they are when the act has been done."""
    known = (
        before.keys() | after.keys()
    )  # of what was live in between nobody else knows the answers
    return [
        f"{part} is {found.get(part)}, was {before.get(part)}, becomes {after.get(part)}"
        for part in sorted(
            known | {name for name in found if not name.startswith("answers ")}
        )
        if found.get(part)
        not in (before.get(part), after.get(part), *_made(part, before, found))
    ]


def _made(part: str, before: Parts, found: Parts) -> list[str]:
    """The runs that an act made and did not come to make live: one of them may be."""
    if not part.startswith("live "):
        return []
    return [
        name.split()[1]
        for name in found.keys() - before.keys()
        if name.startswith("run ")
    ]


def unlike(before: Parts, after: Parts) -> list[str]:
    """Runs made by doing one act twice that are not the same."""
    new = {
        name: after[name]
        for name in after.keys() - before.keys()
        if name.startswith("run ")
    }
    return [f"one act made {new}"] if len(set(new.values())) > 1 else []


def _answers(database: Database, name: str, live: str) -> str:
    """What the live run answers, by the model's name and by its own: the same."""
    both = [_asked(database, model) for model in (name, f"{name}@{live}")]
    assert both[0] == both[1], f"answers of several versions: {both}"
    return hashed(both)


def _asked(database: Database, model: str) -> list[Any]:
    return [database.ask(sql.format(model=model)).to_pydict() for sql in QUESTIONS]


def hashed(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _pointers(look: Look) -> Iterator[str]:
    for row in look.models:
        name, there = row["model_name"], look.ready(row["model_name"])
        for run_id in {*row["earlier_runs"], row["live_run"]} - {None, *there}:
            yield f"{name} points to run {run_id}, which is not there"


def _counts(look: Look, gone: int) -> Iterator[str]:
    for run in look.runs:
        if run["status"] == "ready":
            items = len(look.rows["item_embeddings"].get(run["run_id"], []))
            users = len(look.rows["user_embeddings"].get(run["run_id"], []))
            if run["items"] != items or not 0 <= run["users"] - users <= gone:
                yield f"there are {items} items and {users} users of {run}"


def _strays(look: Look) -> Iterator[str]:
    known, ready = {run["run_id"] for run in look.runs}, {*look.ready()}
    for table, rows in look.rows.items():
        runs = rows.keys() - (known if table in LOGS else ready) - look.leaving
        if runs and table not in FREE:
            yield f"{table} has rows of {sorted(runs)}"


def _partitions(look: Look) -> Iterator[str]:
    if look.database.engine.embedded:
        return
    for row in look.database.ask(PARTITIONS).to_pylist():
        number = re.search(r"\d+$", row["name"])
        if number is None or int(number[0]) not in {*look.ready(), *look.leaving}:
            yield f"a table {row['name']} of no run"

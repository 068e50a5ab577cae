"""The relations that need no arguments: what they hold, and where they can be read."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import pytest
import sqlglot

import embsql
from embsql.sqlfiles.render import view_body
from embsql.sqlfiles.views import View, views

NAMES = [view.name for view in views()]
ANSWERS = {  # a view -> the question that answers the same
    "live_map": "SELECT entity_id, x, y, cluster_id FROM embsql.map('compass')",
    "live_clusters": "SELECT cluster_id, size, radius, label FROM embsql.clusters('compass')",
    "live_cluster_members": (
        "SELECT entity_id, cluster_id, distance, silhouette FROM embsql.cluster_members('compass')"
    ),
}


def rows(database: embsql.Database, sql: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in database.ask(sql).to_pylist())


def _outside_strings(sql: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "", sql)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
@pytest.mark.parametrize("view", views(), ids=NAMES)
def test_a_view_has_the_columns_that_it_explains(view: View, engine: str) -> None:
    body: Any = sqlglot.parse_one(view_body(view, engine), read="duckdb")
    assert body.named_selects == [name for name, _ in view.columns]
    assert not re.search(
        r"\bembsql\.\w+\(", _outside_strings(view_body(view, "duckdb"))
    ), "a macro in a view ends it where the file is attached under another name"


@pytest.mark.parametrize("view", ANSWERS)
def test_a_view_has_what_the_question_answers(known, view: str) -> None:
    asked = ANSWERS[view]
    columns = asked.partition(" FROM ")[0].removeprefix("SELECT ")
    where = " AND method = 'pca'" if view == "live_map" else ""
    where += " AND clustering = 'default'" if "cluster" in view else ""
    where += " AND entity = 'item'" if view.startswith("live") else ""
    same = f"SELECT {columns} FROM embsql.{view} WHERE model_name = 'compass'{where}"
    assert rows(known, same) == rows(known, asked) != []


def test_a_vector_is_a_list_of_numbers(known) -> None:
    (found,) = known.rows(
        "SELECT embedding, norm FROM embsql.live_embeddings "
        "WHERE model_name = 'compass' AND entity = 'item' AND entity_id = 'west'"
    )
    (same,) = known.rows(
        "SELECT norm FROM embsql.item_embedding('compass', items => ARRAY['west'])"
    )
    assert found == {"embedding": [-2.0, 0.0], "norm": same["norm"]}


def test_top_k_tables_are_those_of_the_live_run(known) -> None:
    known.materialize("compass", k=2)
    best = known.ask("SELECT item_id FROM embsql.recommend('compass', 'ada', k => 2)")
    shown = known.ask(
        "SELECT item_id FROM embsql.live_recommendations "
        "WHERE model_name = 'compass' AND entity_id = 'ada' ORDER BY rank"
    )
    assert shown.to_pylist() == best.to_pylist()
    near = known.ask(
        "SELECT DISTINCT model_name, entity FROM embsql.live_neighbors"
    ).to_pylist()
    assert near == [{"model_name": "compass", "entity": "item"}]


@pytest.fixture
def file(tmp_path):
    """A DuckDB file with a model, which nobody has open."""
    path = tmp_path / "shop.duckdb"
    with embsql.connect(path) as database:
        database.train(
            "m",
            "SELECT i % 7 AS user_id, i % 5 AS item_id FROM range(30) AS t (i)",
            dim=2,
            evaluate=True,
            gate=False,
            map=True,
            clusters=2,
        )
        database.materialize("m", k=2)
        counted = {
            name: len(database.rows(COUNTED.format("embsql", name))) for name in NAMES
        }
    return path, counted


COUNTED = "SELECT * FROM {}.{}"


def test_a_plain_client_reads_them_under_any_name(file) -> None:
    path, counted = file
    with duckdb.connect() as plain:
        plain.execute(f"ATTACH '{path}' AS other (READ_ONLY)")
        found = {
            name: len(plain.sql(COUNTED.format("other.embsql", name)).fetchall())
            for name in NAMES
        }
    assert found == counted
    assert all(counted.values())


def test_they_come_back_from_an_export(file, tmp_path) -> None:
    path, counted = file
    with duckdb.connect(path) as plain:
        plain.execute(f"EXPORT DATABASE '{tmp_path / 'dump'}'")
    with duckdb.connect() as plain:
        plain.execute(f"IMPORT DATABASE '{tmp_path / 'dump'}'")
        found = {
            name: len(plain.sql(COUNTED.format("embsql", name)).fetchall())
            for name in NAMES
        }
        assert plain.sql("SELECT status FROM embsql.runs('m')").fetchall() == [
            ("live",)
        ]
    assert found == counted

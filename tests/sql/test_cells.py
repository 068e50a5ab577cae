"""Search by cells: as many answers as by reading all, and as good ones as is measured."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql.errors import NoMemory
from embsql.lifecycle import cells

ISLANDS, DIM = 40, 8
ASKED = {
    "similar_items": ("item", "SELECT * FROM embsql.similar_items('{m}', $id, k => 5)"),
    "similar_users": ("user", "SELECT * FROM embsql.similar_users('{m}', $id, k => 5)"),
    "recommend": ("user", "SELECT * FROM embsql.recommend('{m}', $id, k => 5)"),
    "recommend_users": (
        "item",
        "SELECT * FROM embsql.recommend_users('{m}', $id, k => 5)",
    ),
    "lookalikes": (
        "user",
        "SELECT * FROM embsql.lookalikes('{m}', seeds => [$id], k => 5)",
    ),
    "nearest_items": (
        "user",
        "SELECT * FROM embsql.nearest_items("
        "'{m}', (SELECT embedding FROM embsql.user_embedding('{m}', users => [$id])), k => 5)",
    ),
    "nearest_users": (
        "item",
        "SELECT * FROM embsql.nearest_users("
        "'{m}', (SELECT embedding FROM embsql.item_embedding('{m}', items => [$id])), k => 5)",
    ),
}
SAME = {  # what has to be the same whatever is read
    "more than there are": "SELECT * FROM embsql.similar_items('{m}', 'i00007', k => 5000)",
    "none": "SELECT * FROM embsql.similar_items('{m}', 'i00007', k => 0)",
    "no such id": "SELECT * FROM embsql.similar_items('{m}', 'nobody', k => 3)",
    "nobody known": "SELECT * FROM embsql.recommend('{m}', 'nobody', k => 3)",
    "candidates": "SELECT * FROM embsql.recommend("
    "'{m}', 'u00001', k => 3, candidates => ['i00000', 'i00001', 'i00900', 'nothing'])",
    "no candidates": "SELECT * FROM embsql.recommend('{m}', 'u00001', candidates => [])",
    "one of many": "SELECT * FROM embsql.similar_items('{m}', 'i00003', k => 3)",
    "one score": "SELECT embsql.score('{m}', 'u00001', 'i00003') AS score",
}


@pytest.fixture(scope="module")
def world() -> Iterator[embsql.Database]:
    """The same vectors twice: model `cells`, and model `all`, which has none."""
    items, users = islands(1200, "i", 0.5), islands(400, "u", 0.3)
    with embsql.connect(":memory:") as database:
        database.register_embeddings("all", items, users=users, similarity="dot")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cells, "MIN_ROWS", 1)
            database.register_embeddings(
                "cells", items, users=users, similarity="dot", search_cells=True
            )
        yield database


def islands(n: int, letter: str, deviation: float) -> pa.Table:
    """Vectors in heaps, of several lengths; the last is of length 0."""
    rng = np.random.default_rng(7)
    centers = rng.standard_normal((ISLANDS, DIM))
    vectors = centers[rng.integers(0, ISLANDS, n)]  # (n, DIM)
    vectors += 0.2 * rng.standard_normal(vectors.shape)
    vectors *= rng.lognormal(0, deviation, (n, 1))
    vectors[-1] = 0
    name = "item" if letter == "i" else "user"
    return pa.table(
        {
            f"{name}_id": [f"{letter}{number:05d}" for number in range(n)],
            "embedding": list(vectors.astype(np.float32)),
        }
    )


def answers(
    database: embsql.Database, sql: str, model: str, **values: str
) -> list[dict]:
    return database.ask(sql.format(m=model), **values).to_pylist()


@pytest.mark.parametrize("name", ASKED)
def test_a_few_cells_hold_the_best(world, name: str) -> None:
    """On ids that follow no order; the share that is promised is of all questions."""
    entity, sql = ASKED[name]
    found = right = 0
    for number in range(3, 400, 57):
        exact = answers(world, sql, "all", id=f"{entity[0]}{number:05d}")
        read = answers(world, sql, "cells", id=f"{entity[0]}{number:05d}")
        assert len(read) == len(exact)
        found += len(exact)
        right += sum(
            row in exact or {**row, "rank": 0} in strangers(exact) for row in read
        )
    assert found == 35
    assert right / found >= 0.95


def strangers(rows: list[dict]) -> list[dict]:
    """Without ranks, which a missing one moves."""
    return [{**row, "rank": 0} for row in rows]


@pytest.mark.parametrize("name", SAME)
def test_as_if_all_were_read(world, name: str) -> None:
    assert answers(world, SAME[name], "cells") == answers(world, SAME[name], "all")


def test_less_is_read(world) -> None:
    """Every vector lies in one cell, but for that of length 0, which is in none; a search of any
    kind reads less than half of them.
    """
    rows = world.ask(
        "SELECT c.entity, c.similarity, sum(c.size) AS size, max(c.budget) AS budget, "
        "min(c.recall) AS recall FROM embsql.cells AS c GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    assert [row["size"] for row in rows] == [1199, 1199, 399, 399]
    assert all(row["budget"] < row["size"] / 2 and row["recall"] > 0.98 for row in rows)


def test_exactly_k_without_what_is_excluded(world) -> None:
    """Whoever leaves out all the near ones is answered by others: more cells are read."""
    near = answers(
        world, "SELECT * FROM embsql.similar_users('{m}', 'u00001', k => 300)", "all"
    )
    seeds = ["u00001", *(row["user_id"] for row in near)]
    sql = "SELECT * FROM embsql.lookalikes('{m}', seeds => $seeds, k => 50)"
    read = world.ask(sql.format(m="cells"), seeds=seeds).to_pylist()
    assert read == world.ask(sql.format(m="all"), seeds=seeds).to_pylist()
    assert len(read) == 50


@pytest.mark.parametrize("model", ["cells", "all"])
def test_many_subjects_at_once(world, model: str) -> None:
    """Each has its own cells, in a call for all; a run of the same file may have none."""
    sql = (
        "SELECT s.id, near.* FROM (SELECT unnest(['i00003', 'i00010', 'none']) AS id) AS s, "
        "LATERAL embsql.similar_items('{m}', s.id, k => 3) AS near ORDER BY s.id, near.rank"
    )
    one = answers(world, SAME["one of many"], "all")
    both = answers(world, sql, model)
    assert [{**row, "id": None} for row in both[:3]] == [
        {"id": None, **row} for row in one
    ]
    assert {row["id"] for row in both} == {"i00003", "i00010"}
    assert len(both) == 6


@pytest.mark.parametrize("vector", [[1.0, 2.0], [0.0, 0.0]])
def test_one_cell_may_hold_everything(db, monkeypatch, vector: list[float]) -> None:
    """Vectors that are all equal; those of length 0 are nobody's neighbors."""
    monkeypatch.setattr(cells, "MIN_ROWS", 1)
    ids = [f"i{number:03d}" for number in range(60)]
    db.register_embeddings(
        "m", pa.table({"item_id": ids, "embedding": [vector] * 60}), search_cells=True
    )
    found = db.ask("SELECT * FROM embsql.similar_items('m', 'i001', k => 100)")
    assert found["item_id"].to_pylist() == (
        [i for i in ids if i != "i001"] if any(vector) else []
    )


def test_half_of_all_vectors_are_of_length_0(db, monkeypatch) -> None:
    """They are in no cell; a dot product with them is 0, more than any that is negative."""
    monkeypatch.setattr(cells, "MIN_ROWS", 1)
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((200, 4))
    vectors[:100] = 0
    ids = [f"i{number:03d}" for number in range(200)]
    table = pa.table({"item_id": ids, "embedding": list(vectors.astype(np.float32))})
    own = {"users": None, "similarity": "dot"}
    db.register_embeddings("cells", table, search_cells=True, **own)
    db.register_embeddings("all", table, **own)
    for sql in (
        "SELECT * FROM embsql.similar_items('{m}', 'i150', k => 300)",
        "SELECT * FROM embsql.similar_items('{m}', 'i003', k => 5)",
        "SELECT * FROM embsql.nearest_items('{m}', [1, 0, 0, 0], k => 180)",
        "SELECT * FROM embsql.nearest_items('{m}', [0, 0, 0, 0], k => 7)",
    ):
        assert answers(db, sql, "cells") == answers(db, sql, "all"), sql


def test_small_runs_have_none_and_plan_none(db) -> None:
    ids = [f"i{number}" for number in range(50)]
    vectors = pa.table({"item_id": ids, "embedding": [[1.0, 2.0]] * 50})
    db.register_embeddings("m", vectors, search_cells=True)
    assert db.ask("SELECT c.* FROM embsql.cells AS c").num_rows == 0
    assert reading_cells(db) == []


def test_a_run_whose_cells_cannot_be_made_is_not_written(db, monkeypatch) -> None:
    """Nor is anything of it: the live run answers, and the next training is as any."""
    monkeypatch.setattr(cells, "MIN_ROWS", 1)
    items, users = islands(300, "i", 0.5), islands(100, "u", 0.3)
    db.register_embeddings("m", items, users=users, similarity="dot")
    sql = "SELECT * FROM embsql.similar_items('{m}', 'i00003', k => 3)"
    before = answers(db, sql, "m")
    again = {"users": users, "similarity": "dot", "search_cells": True, "force": True}
    with monkeypatch.context() as patch:
        patch.setattr(cells, "_guides", refuses)
        with pytest.raises(NoMemory):
            db.register_embeddings("m", items, **again)
    assert answers(db, sql, "m") == before
    for table in ("cells", "cell_members"):
        assert db.ask(f"SELECT t.* FROM embsql.{table} AS t").num_rows == 0
    db.register_embeddings("m", items, **again)
    assert set(reading_cells(db)) == {*ASKED}
    assert [row["item_id"] for row in answers(db, sql, "m")] == [
        row["item_id"] for row in before
    ]


def refuses(*_: object) -> None:
    """In the middle: what was to be written before is written."""
    raise MemoryError


def reading_cells(database: embsql.Database) -> list[str]:
    found = database.ask(
        "SELECT f.function_name AS name FROM duckdb_functions() AS f "
        "WHERE f.schema_name = 'embsql' AND contains(f.macro_definition, 'score_of_cell')"
    )
    return sorted(found["name"].to_pylist())


COUNTED = """
SELECT part.run_id, part.entity, part.similarity, part.cell
FROM embsql.cells AS part
LEFT JOIN embsql.cell_members AS member
    ON member.run_id = part.run_id AND member.entity = part.entity AND member.cell = part.cell
GROUP BY ALL
HAVING count(member.entity_id) <> any_value(part.size)
"""  # a size that is not that of its cell: fewer than k answers might come of it


def test_a_life_with_cells(tmp_path, monkeypatch) -> None:
    """Opened again, published, somebody forgotten, exported and imported, dropped."""
    monkeypatch.setattr(cells, "MIN_ROWS", 1)
    items, users = islands(300, "i", 0.5), islands(100, "u", 0.3)
    with embsql.connect(tmp_path / "a.duckdb") as database:
        database.register_embeddings(
            "m", items, users=users, similarity="dot", search_cells=True
        )
        database.publish(tmp_path / "b.duckdb", "m")
    sql = "SELECT * FROM embsql.similar_users('{m}', 'u00001', k => 3)"
    with (
        embsql.connect(tmp_path / "a.duckdb") as database,
        embsql.connect(tmp_path / "b.duckdb", read_only=True) as copy,
    ):
        assert set(reading_cells(copy)) == {*ASKED}
        (first, *_) = answers(database, sql, "m")
        assert answers(copy, sql, "m")[0] == first
        of_first = "SELECT m.* FROM embsql.cell_members AS m WHERE m.entity_id = $id"
        assert database.ask(of_first, id=first["user_id"]).num_rows == 1
        assert database.ask(COUNTED).num_rows == 0
        database.forget(first["user_id"])
        assert database.ask(of_first, id=first["user_id"]).num_rows == 0
        assert database.ask(COUNTED).num_rows == 0
        assert first["user_id"] not in {
            row["user_id"] for row in answers(database, sql, "m")
        }
        database.engine.run(f"EXPORT DATABASE '{tmp_path}/exported'")
        database.drop_model("m")
        for table in ("cells", "cell_members"):
            assert database.ask(f"SELECT t.* FROM embsql.{table} AS t").num_rows == 0

    with duckdb.connect() as plain:
        plain.execute(f"IMPORT DATABASE '{tmp_path}/exported'")
        found = plain.execute(sql.format(m="m")).fetchall()
    assert len(found) == 3


WHY = "SELECT hint FROM embsql.validation($m) WHERE \"check\" = 'search by cells'"


def test_of_few_vectors_it_is_said_that_they_are_read_whole(each) -> None:
    items = islands(60, "i", 0.5)
    each.register_embeddings("few", items, search_cells=True)
    (hint,) = each.ask(WHY, m="few")["hint"].to_pylist()
    words = "0 users and 60 items" if each.engine.embedded else "a server has an index"
    assert hint.startswith("search_cells changes nothing for this run: " + words)


def test_of_many_vectors_nothing_is_said(world) -> None:
    assert world.ask(WHY, m="cells").num_rows == 0
    assert world.ask(WHY, m="all").num_rows == 0


def test_who_is_new_to_a_refreshed_run_is_in_no_cell(db, monkeypatch) -> None:
    monkeypatch.setattr(cells, "MIN_ROWS", 1)
    db.engine.run(
        "CREATE TABLE events AS SELECT 'u' || (i % 37) AS user_id, 'i' || (i * 31 % 53) AS item_id,"
        " TIMESTAMP '2026-01-01' + to_minutes(i) AS event_time FROM range(600) AS t (i)"
    )
    db.train("m", "SELECT * FROM events", algorithm="als", dim=4, search_cells=True)
    db.engine.run("INSERT INTO events VALUES ('new', 'i3', TIMESTAMP '2026-03-01')")
    db.watch("m", "SELECT * FROM events")
    db.refresh("m")
    assert db.ask(COUNTED).num_rows == 0
    new = "SELECT u.cell FROM embsql.user_embeddings AS u WHERE u.user_id = 'new'"
    assert db.ask(new)["cell"].to_pylist() == [0]
    assert (
        db.ask("SELECT * FROM embsql.similar_users('m', 'new', k => 3)").num_rows == 3
    )
    near = db.ask("SELECT * FROM embsql.similar_users('m', 'u1', k => 100)")
    assert "new" in near["user_id"].to_pylist()

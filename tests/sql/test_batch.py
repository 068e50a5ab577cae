"""Questions about many subjects answer, row for row, what each subject is answered alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql.errors import EmbsqlError
from embsql.lifecycle import cells

LARGE = 9_000  # items, of which a sample is looked at before
USERS = ["u290", "u003", None, "u003", "nobody"]
ITEMS = ["i0140", "i0003", None, "i0003", "nothing"]
QUESTIONS = {
    "recommend": ("for_user", USERS),
    "recommend_users": ("for_item", ITEMS),
    "similar_items": ("for_item", ITEMS),
    "similar_users": ("for_user", USERS),
}
OPTIONS = {
    "recommend": [
        "k => 3",
        "k => 5000, exclude_seen => FALSE",
        "candidates => ARRAY['i0000', 'i0009', 'nothing']",
        "candidates => CAST(ARRAY[] AS VARCHAR[])",
    ],
    "recommend_users": ["k => 3", "k => 5000, exclude_seen => FALSE"],
    "similar_items": ["k => 3", "k => 5000", "k => 0", "k => NULL"],
    "similar_users": ["k => 1"],
}
CALLS = [(name, option) for name, options in OPTIONS.items() for option in options]


@pytest.fixture(scope="module")
def world() -> Iterator[embsql.Database]:
    """A run in cells, and one without them that has many equal scores."""
    rng = np.random.default_rng(1)
    pairs = {
        "user_id": [f"u{n:03d}" for n in rng.integers(0, 300, 3000)],
        "item_id": [f"i{n:04d}" for n in rng.integers(0, 150, 3000)],
    }
    with embsql.connect(":memory:") as database, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "MIN_ROWS", 1)
        source = pa.table(pairs)
        database.train(
            "cells", source, algorithm="svd", dim=4, seed=0, search_cells=True
        )
        vectors = pa.table(
            {
                "item_id": [f"i{n:04d}" for n in range(LARGE)],
                "embedding": rng.integers(-2, 3, (LARGE, 3)).astype("f4").tolist(),
            }
        )
        users = vectors.slice(0, 300).rename_columns(["user_id", "embedding"])
        database.register_embeddings("large", vectors, users=users, similarity="cosine")
        yield database


def answer(database: embsql.Database, call: str) -> list[tuple[Any, ...]]:
    """The rows of a call, numbers to five digits."""
    rows = database.ask(f"SELECT * FROM embsql.{call}").to_pylist()
    return [
        tuple(f"{x + 0:.5g}" if isinstance(x, float) else x for x in row.values())
        for row in rows
    ]


def literal(one: str | None) -> str:
    return "NULL" if one is None else f"'{one}'"


@pytest.mark.parametrize("model", ["cells", "large"])
@pytest.mark.parametrize(("name", "option"), CALLS)
def test_many_are_answered_as_each_is_alone(
    world: embsql.Database, model: str, name: str, option: str
) -> None:
    _, subjects = QUESTIONS[name]
    listed = ", ".join(map(literal, subjects))
    wanted = [
        (one, *row)
        for one in sorted({one for one in subjects if one})
        for row in answer(world, f"{name}('{model}', '{one}', {option})")
    ]
    assert (
        answer(world, f"{name}_batch('{model}', ARRAY[{listed}], {option})") == wanted
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_list_of_nobody_has_no_rows_and_of_an_unknown_model_is_an_error(
    world: embsql.Database, name: str
) -> None:
    nobody = "CAST(ARRAY[] AS VARCHAR[])"
    assert answer(world, f"{name}_batch('cells', {nobody})") == []
    assert answer(world, f"{name}_batch('cells', CAST(NULL AS VARCHAR[]))") == []
    with pytest.raises(EmbsqlError, match='no model named "cellz"'):
        answer(world, f"{name}_batch('cellz', {nobody})")


def test_lists_may_come_from_a_column(world: embsql.Database) -> None:
    found = world.ask(
        "SELECT s.n, a.for_user, a.item_id, a.rank "
        "FROM (VALUES (1, ['u003', 'u007'], 2), (2, ['u100'], 1)) AS s (n, users, k), "
        "LATERAL embsql.recommend_batch('cells', s.users, k => s.k) AS a ORDER BY ALL"
    ).to_pylist()
    wanted = [
        {"n": n, "for_user": user, "item_id": row[0], "rank": row[1]}
        for n, user, k in ((1, "u003", 2), (1, "u007", 2), (2, "u100", 1))
        for row in answer(world, f"recommend('cells', '{user}', k => {k})")
    ]
    assert sorted(found, key=str) == sorted(wanted, key=str)

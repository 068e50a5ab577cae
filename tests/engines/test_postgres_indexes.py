"""Answers through an index: exactly k, whatever a session sets, whoever is left out or has no
direction, and right for numbers of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import embsql
from tests.worlds import run_of

N, DIM, ZEROS = 300, 4, 30
# pgvector's own ef_search is 40, an index is asked for up to 400
COUNTS = (1, 41, N - ZEROS, 401, 1000)
THROUGH_INDEXES = "SET enable_seqscan = off; SET enable_sort = off"  # so few rows, too
SETTINGS = (
    "enable_seqscan = on",
    "enable_sort = on",
    "enable_indexscan = off",
    "hnsw.iterative_scan = off",
    "hnsw.iterative_scan = relaxed_order",
    "hnsw.ef_search = 1",
    "hnsw.max_scan_tuples = 1",
    "hnsw.scan_mem_multiplier = 1",
    "debug_parallel_query = on",
)
SEEN = 7  # items that the user and users that the item have met


def directions(n: int) -> np.ndarray:
    """Vectors (n, DIM) of all kinds of lengths, and of no two the same cosine."""
    rng = np.random.default_rng(5)
    lengths = rng.lognormal(0, 1, (n, 1))
    return (rng.standard_normal((n, DIM)) * lengths).astype("f4")


@pytest.fixture(scope="module", params=["dot", "cosine"])
def indexed(request, new_database) -> Iterator[embsql.Database]:
    """A model of items and users, of which the first 30 have no direction, with indexes; u0100 has
    met i0100 to i0106, as have u0101 to u0106 met i0100.
    """
    vectors = directions(N)
    vectors[:ZEROS] = 0
    with embsql.connect(new_database()) as database:
        run_of(database, 1, "m", vectors, vectors[::-1])
        pairs = [(f"u{100 + n:04d}", "i0100") for n in range(SEEN)]
        pairs += [("u0100", f"i{101 + n:04d}") for n in range(SEEN - 1)]
        users, items = zip(*pairs, strict=True)
        database.engine.write(
            "interactions",
            {
                "run_id": [1] * len(pairs),
                "user_id": list(users),
                "item_id": list(items),
                "weight": np.ones(len(pairs), "f4"),
            },
        )
        database.engine.run(
            "UPDATE embsql.run_records SET dim = $dim, similarity = $similarity; ",
            dim=DIM,
            similarity=request.param,
        )
        database.engine.run(THROUGH_INDEXES)
        yield database


CALLS = {  # with how many rows there are for each at most: dot, cosine
    "similar_items('m', 'i0100', k => $k)": (N - ZEROS - 1, N - ZEROS - 1),
    "similar_users('m', 'u0100', k => $k)": (N - ZEROS - 1, N - ZEROS - 1),
    "nearest_items('m', $v, k => $k)": (N, N - ZEROS),
    "nearest_users('m', $v, k => $k)": (N, N - ZEROS),
    "recommend('m', 'u0100', k => $k)": (N - SEEN, N - SEEN),
    "recommend('m', 'u0100', k => $k, exclude_seen => FALSE)": (N, N),
    "recommend('m', 'u0100', k => $k, candidates => $c)": (50 - SEEN, 50 - SEEN),
    "recommend_users('m', 'i0100', k => $k)": (N - SEEN, N - ZEROS - SEEN),
    "lookalikes('m', seeds => $s, k => $k)": (N - ZEROS - 2, N - ZEROS - 2),
}
GIVEN: dict[str, Any] = {
    "v": [1.0, 0.5, -1.0, 0.25],
    "c": [f"i{n:04d}" for n in range(100, 150)],
    "s": ["u0100", "u0200"],
}


def asked(database: embsql.Database, call: str, k: int) -> list[tuple[Any, ...]]:
    given = {name: value for name, value in GIVEN.items() if f"${name}" in call}
    found = database.ask(f"SELECT * FROM embsql.{call}", k=k, **given)
    return [tuple(row.values())[:3] for row in found]


def scans(database: embsql.Database) -> int:
    """How often an index of vectors was read."""
    database.ask("SELECT CAST(pg_stat_force_next_flush() AS text)")
    found = database.ask(
        "SELECT CAST(sum(idx_scan) AS bigint) AS n FROM pg_stat_user_indexes "
        "WHERE indexrelname ~ '(embedding|append_bias)_idx'"
    )
    return int(found["n"][0].as_py() or 0)


def test_exactly_k_whatever_is_set(indexed) -> None:
    kind = indexed.ask("SELECT similarity FROM embsql.run_records")["similarity"][0]
    most = {call: rows[kind.as_py() == "cosine"] for call, rows in CALLS.items()}
    exact = {call: asked(indexed, call, N) for call in CALLS}
    assert {call: len(rows) for call, rows in exact.items()} == most
    indexed.engine.run("SET embsql.index_above = '3'")
    indexed.engine.index(1)
    for setting in SETTINGS:
        indexed.engine.run(f"SET {setting}")
        for call, wanted in exact.items():
            for k in COUNTS:
                rows = asked(indexed, call, k)
                assert len(rows) == min(k, most[call]), (setting, call, k)
                assert [row[1] for row in rows] == list(range(1, len(rows) + 1))
                assert len({row[0] for row in rows}) == len(rows)
                scored = {row[0]: row[2] for row in wanted}
                assert {row[0]: row[2] for row in rows}.items() <= scored.items()
        indexed.engine.run(f"RESET {setting.split(' =')[0]}")
        indexed.engine.run(THROUGH_INDEXES)


def test_an_index_is_read(indexed) -> None:
    indexed.engine.run("SET embsql.index_above = '3'")
    indexed.engine.index(1)
    before = scans(indexed)
    through = [call for call in CALLS if "candidates" not in call]
    for call in through:
        asked(indexed, call, 41)
    assert scans(indexed) - before == len(through)


@pytest.fixture
def db(pg) -> Iterator[embsql.Database]:
    with embsql.connect(pg) as database:
        database.engine.run("SET embsql.index_storage = 'halfvec'")
        database.engine.run(THROUGH_INDEXES)
        yield database


SIZES = {1.0: "halfvec", 1e5: "vector", 1e-9: "vector", 1e17: "vector"}
QUESTIONS = ("similar_items('m', 'i0007', k => 20)", "recommend('m', 'u0007', k => 20)")


@pytest.mark.parametrize("size", SIZES)
def test_what_halfvec_does_not_hold_is_indexed_in_full(db, size: float) -> None:
    """It has no number above 65,504, and rounds those below 0.00000003 to 0."""
    vectors = directions(60) * np.float32(size)
    vectors[:2] = 0
    run_of(db, 1, "m", vectors, vectors[::-1])
    db.engine.run("UPDATE embsql.run_records SET dim = $dim", dim=DIM)
    exact = [db.ask(f"SELECT * FROM embsql.{call}") for call in QUESTIONS]
    db.engine.run("SET embsql.index_above = '3'")
    db.engine.index(1)
    storage = db.ask("SELECT DISTINCT storage FROM embsql.vector_indexes")["storage"]
    assert storage.to_pylist() == [SIZES[size]]
    assert [db.ask(f"SELECT * FROM embsql.{call}") for call in QUESTIONS] == exact
    assert scans(db) == len(QUESTIONS)


@pytest.mark.parametrize("size", [1e6, 1e-9])
def test_a_callers_vector_may_be_of_any_size(db, size: float) -> None:
    vectors = directions(60)
    run_of(db, 1, "m", vectors, vectors)
    db.engine.run("UPDATE embsql.run_records SET dim = $dim", dim=DIM)
    db.engine.run("SET embsql.index_above = '3'")
    db.engine.index(1)
    direction = np.array([1, 0.5, -1, 0.25])
    call = "SELECT item_id FROM embsql.nearest_items('m', $v, k => 20)"
    best = np.argsort(-(vectors @ direction))[:20]
    found = db.ask(call, v=direction * size)["item_id"].to_pylist()
    assert found == [f"i{n:04d}" for n in best]
    assert scans(db) == 1


def test_too_long_for_vector_and_too_large_for_halfvec_is_read_whole(db) -> None:
    table = pa.table(
        {
            "item_id": list("abcde"),
            "embedding": [[1e5, 3e4 * n] + [0.0] * 2000 for n in range(5)],
        }
    )
    db.engine.run("SET embsql.index_above = '3'")
    assert db.register_embeddings("m", table).status == "live"
    assert db.ask("SELECT * FROM embsql.vector_indexes").num_rows == 0
    found = db.ask("SELECT item_id FROM embsql.similar_items('m', 'e', k => 2)")
    assert found["item_id"].to_pylist() == ["d", "c"]

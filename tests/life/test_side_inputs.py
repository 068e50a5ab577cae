"""The side inputs of a training: the order of events, features, the vectors to go on from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql.data import Events, Interactions
from embsql.errors import BadFeatures, InvalidArgument, NotASelect
from embsql.run import Columns, Run
from embsql.sources import findings
from embsql.sources.prepare import prepare
from embsql.sources.side_inputs import by_id

ROWS = (
    "(VALUES ('b', 'y', 3), ('a', 'x', 2), ('a', 'z', 1), ('a', 'x', 1), "
    "('b', 'x', 3), ('a', 'y', NULL)) AS v"
)
ORDERED = f"SELECT * FROM {ROWS} (user_id, item_id, event_time)"


def read(database: embsql.Database, source: str) -> Interactions:
    return prepare(
        database.engine, source, Columns(), Run(), explicit=False, ordered=True
    ).interactions()


def reported(data: Interactions) -> list[tuple[str, str]]:
    """The events as (user, item), in order."""
    pairs = data.events_by_time().pair
    users, items = (
        ids.take(codes[pairs]).to_pylist()
        for ids, codes in ((data.users, data.user), (data.items, data.item))
    )
    return list(zip(users, items, strict=True))


def test_events_are_in_order_of_time_then_of_the_source(each: embsql.Database) -> None:
    data = read(each, ORDERED)
    assert reported(data) == [
        ("a", "y"),
        ("a", "z"),
        ("a", "x"),
        ("a", "x"),
        ("b", "y"),
        ("b", "x"),
    ]
    assert len(data) == 5


def test_without_a_time_the_order_is_the_source_s(each: embsql.Database) -> None:
    source = f"SELECT user_id, item_id FROM {ROWS} (user_id, item_id, event_time)"
    found = prepare(each.engine, source, Columns(), Run(), explicit=False, ordered=True)
    assert reported(found.interactions()) == [
        ("a", "x"),
        ("a", "z"),
        ("a", "x"),
        ("a", "y"),
        ("b", "y"),
        ("b", "x"),
    ]
    said = next(
        finding for finding in found.findings if finding.check_name == "order of events"
    )
    assert (said.severity, "order the source gave them" in str(said.hint)) == (
        "warning",
        True,
    )


def test_ties_of_time_are_counted(each: embsql.Database) -> None:
    found = prepare(
        each.engine, ORDERED, Columns(), Run(), explicit=False, ordered=True
    ).findings
    assert next(f for f in found if f.check_name == "order of events").affected == 2


def test_events_go_with_their_pairs() -> None:
    events = Events(
        np.array([0, 1, 0, 2], np.int32), np.ones(4, np.float32), np.arange(4)
    )
    kept = events.where(np.array([False, True, True]))
    assert kept.pair.tolist() == [0, 1]
    assert kept.time is not None
    assert kept.time.tolist() == [1, 3]


def test_features_are_in_the_order_of_their_ids(each: embsql.Database) -> None:
    ids = read(each, ORDERED).items  # x y z
    rows = "('z', 1.5, 'c'), ('x', 2.5, NULL), ('other', 9.0, 'c'), (NULL, 1.0, 'c')"
    source = f"SELECT * FROM (VALUES {rows}) AS v (item_id, price, kind)"
    table = by_id(each.engine, source, "item_id", "item_features").of(ids)
    assert [
        None if price is None else float(price) for price in table["price"].to_pylist()
    ] == [2.5, None, 1.5]
    assert table["kind"].to_pylist() == [None, None, "c"]


@pytest.mark.parametrize(
    ("source", "error", "complaint"),
    [
        ("SELECT 'x' AS item_id", BadFeatures, "no column besides item_id"),
        (
            "SELECT 'x' AS sku, 1 AS price",
            BadFeatures,
            "no column item_id; its columns are sku, price",
        ),
        (
            "SELECT 'x' AS item_id, 1 AS price UNION ALL SELECT 'x', 2",
            BadFeatures,
            'the id "x" more than once',
        ),
        ("DELETE FROM embsql.runs", NotASelect, "DELETE"),
    ],
)
def test_features_that_are_none_are_refused(
    each: embsql.Database, source: str, error: type, complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        by_id(each.engine, source, "item_id", "item_features")


def test_a_warm_start_needs_the_same_length(each: embsql.Database) -> None:
    each.train(
        "m", ORDERED, algorithm="item2vec", dim=4, warm_start=True
    )  # nothing is live yet: it starts afresh
    with pytest.raises(InvalidArgument, match=r"vectors of 4, not 8"):
        each.train("m", ORDERED, algorithm="item2vec", dim=8, warm_start=True)


def test_where_features_came_from_is_kept_and_used_again(each: embsql.Database) -> None:
    source = "SELECT * FROM (VALUES ('x', 'new'), ('y', 'old'), ('z', 'old')) AS v (item_id, kind)"
    first = each.train(
        "m", ORDERED, algorithm="fusion", dim=4, prior_strength=10, item_features=source
    )
    assert (
        each.train(
            "m",
            ORDERED,
            algorithm="fusion",
            dim=4,
            prior_strength=10,
            item_features=source,
        ).run_id
        == first.run_id
    )
    changed = source.replace("'new'", "'old'")
    assert (
        each.train(
            "m",
            ORDERED,
            algorithm="fusion",
            dim=4,
            prior_strength=10,
            item_features=changed,
        ).run_id
        != first.run_id
    )
    each.evaluate(f"m@{first.run_id}", split="random")


def test_items_without_a_vector_are_counted(each: embsql.Database) -> None:
    source = "SELECT * FROM (VALUES ('x', ARRAY[1.0, 2.0]), ('y', NULL)) AS v (item_id, text)"
    each.train("m", ORDERED, algorithm="half_als", item_features=source)
    rows = each.ask("SELECT * FROM embsql.validation('m')").to_pylist()
    found = next(row for row in rows if row["check"] == "item without vector text")
    assert (found["severity"], found["rows"]) == ("warning", 2)


def test_a_time_that_gives_the_last_event_away_is_reported() -> None:
    """Users 0 to 3 have events on days 1 and 9, user 4 on day 9 alone."""
    start = np.datetime64("2026-01-01", "us").astype(np.int64)
    codes = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4], np.int32)
    time = start + np.array([1, 9, 1, 9, 1, 9, 1, 9, 9]) * 86_400_000_000
    table = pa.table(
        {
            "last_order": [
                "2026-01-10",
                "2026-01-10",
                "2026-01-11",
                None,
                "2026-01-10",
            ],
            "joined": ["2026-01-02", "2025-06-01", "2026-01-02", None, "2026-01-10"],
            "land": ["a", "a", "b", "b", None],
        }
    )
    found = {
        f.check_name: f
        for f in findings.describe_features(table, "user", codes, time, encodes=True)
    }
    assert found["user feature last_order"].severity == "warning"
    assert "not before the last event of 3 of 3" in str(
        found["user feature last_order"].hint
    )
    assert {found[f"user feature {name}"].severity for name in ("joined", "land")} == {
        "info"
    }
    order = {
        f.check_name: f
        for f in findings.describe_features(
            table, "user", codes, np.arange(9), encodes=True
        )
    }
    assert order["user feature last_order"].severity == "info", "an order is no clock"

"""Items and users that nobody has interacted with yet, and of whom features are known.

In a world of two kinds: half of the users have what is red, the others what is blue.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import embsql
from embsql import errors
from tests.conftest import ENGINES

USERS, ITEMS = 12, 10  # of each kind
ROWS = [
    (f"u{kind}{user}", f"i{kind}{item}")
    for kind in (0, 1)
    for user in range(USERS)
    for item in range(ITEMS)
    if (user + item) % 3
]
KINDS = {
    "item": [f"i{kind}{item}" for kind in (0, 1) for item in range(ITEMS)],
    "user": [f"u{kind}{user}" for kind in (0, 1) for user in range(USERS)],
}
VECTORS = {"0": "ARRAY[1e0, 0e0]", "1": "ARRAY[0e0, 1e0]"}
COLORS = {"0": "'red'", "1": "'blue'"}
NEW = {"item": ["i0new", "i1new"], "user": ["u0new", "u1new"]}
OPTIONS: dict[str, dict[str, Any]] = {
    "content": {},
    "half_als": {},
    "fusion": {"dim": 4, "prior_strength": 10.0},
    "neural_content": {"dim": 4, "epochs": 5},
    "two_tower": {"dim": 4, "epochs": 5},
}
ALGORITHMS = [
    name
    for name in OPTIONS
    if find_spec("torch") or name not in ("neural_content", "two_tower")
]


def values(rows: list[tuple[str, str]]) -> str:
    return ", ".join(f"({', '.join(row)})" for row in rows)


def features(entity: str, *, vector: bool = True, new: bool = True) -> str:
    """What is known of all, by the digit in their id: a vector or a color; of one nothing."""
    ids = KINDS[entity] + (NEW[entity] if new else [])
    known = [(f"'{one}'", VECTORS[one[1]] if vector else COLORS[one[1]]) for one in ids]
    rows = values([*known, ("'unknown'", "NULL")])
    return f"SELECT * FROM (VALUES {rows}) AS v ({entity}_id, known)"


SOURCE = "SELECT * FROM (VALUES {}) AS v (user_id, item_id)".format(
    values([(f"'{user}'", f"'{item}'") for user, item in ROWS])
)
LISTED = {"duckdb": "", "postgres": "ARRAY"}


@pytest.fixture(scope="module", params=ENGINES)
def shop(request, new_database) -> Iterator[embsql.Database]:
    target = ":memory:" if request.param == "duckdb" else new_database()
    with embsql.connect(target) as database:
        for name in ALGORITHMS:
            database.train(
                name,
                SOURCE,
                algorithm=name,
                item_features=features("item", vector=name != "two_tower"),
                **OPTIONS[name],
            )
        yield database


@pytest.mark.parametrize("name", ALGORITHMS)
def test_who_likes_a_kind_is_recommended_what_is_new_of_it(shop, name: str) -> None:
    new = f"{LISTED[shop.engine.name]}['i0new', 'i1new']"
    for kind in (0, 1):
        call = f"embsql.recommend('{name}', 'u{kind}3', candidates => {new})"
        best = shop.ask(f"SELECT item_id FROM {call} WHERE rank = 1").to_pylist()
        assert best == [{"item_id": f"i{kind}new"}]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_is_new_lies_near_its_kind(shop, name: str) -> None:
    near = shop.ask(
        f"SELECT item_id FROM embsql.similar_items('{name}', 'i1new', k => 5)"
    )
    assert {one["item_id"][:2] for one in near.to_pylist()} == {"i1"}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_report_counts_them(shop, name: str) -> None:
    rows = shop.ask(f"SELECT * FROM embsql.validation('{name}')").to_pylist()
    (found,) = [row for row in rows if row["check"] == "new items"]
    assert (found["severity"], found["rows"]) == ("info", 2)
    # one of whom nothing is known is none
    assert items_of(shop, name) == 2 * ITEMS + 2


def test_nobody_left_what_was_not_there(shop) -> None:
    """A user is solved for the other items alone, in training and of a history given in SQL."""
    alone = {"algorithm": "half_als", "item_features": features("item", new=False)}
    shop.train("alone", SOURCE, **alone)
    users = "SELECT user_id AS id, embedding AS v FROM embsql.user_embedding('{}')"
    trained = vectors(shop, users.format("half_als"))
    for one, vector in vectors(shop, users.format("alone")).items():
        np.testing.assert_allclose(trained[one], vector, rtol=1e-5)
    items = [f"'{item}'" for user, item in ROWS if user == "u03"]
    given = f"{LISTED[shop.engine.name]}[{', '.join(items)}]"
    folded = vectors(shop, f"SELECT 1 AS id, embsql.fold_in('half_als', {given}) AS v")
    np.testing.assert_allclose(folded[1], trained["u03"], rtol=1e-5)


def test_many_newcomers_leave_others_as_they_are(each) -> None:
    """A penalty that counted them drew users to nothing."""
    ids = [f"'n{number}'" for number in range(300)]
    many = values([(one, "ARRAY[1e0, 1e0]") for one in ids])
    more = f"{features('item')} UNION ALL SELECT * FROM (VALUES {many}) AS w (item_id, known)"
    lengths = "SELECT avg(norm) AS mean FROM embsql.user_embedding('m')"
    found = []
    for known in (features("item", new=False), more):
        each.train(
            "m", SOURCE, algorithm="fusion", item_features=known, **OPTIONS["fusion"]
        )
        found.append(each.ask(lengths)["mean"][0].as_py())
    assert found[1] == pytest.approx(found[0], rel=0.02)


@pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
def test_what_only_newcomers_say_is_unknown(each) -> None:
    """A color of no known item would have a vector that nothing has learned."""
    green = " UNION ALL SELECT v.i, v.c FROM (VALUES ('g1', 'green'), ('g2', 'green')) AS v (i, c)"
    known = features("item", vector=False) + green
    each.train(
        "m", SOURCE, algorithm="two_tower", item_features=known, **OPTIONS["two_tower"]
    )
    asked = "SELECT embsql.embed_item('m', '{{\"known\": \"{}\"}}') AS v"
    green_one, purple_one = (
        each.ask(asked.format(color))["v"][0].as_py() for color in ("green", "purple")
    )
    assert green_one == purple_one


def test_ids_that_are_written_otherwise_are_noted(each) -> None:
    known = "SELECT ' ' || f.item_id AS item_id, f.known FROM ({}) AS f".format(
        features("item")
    )
    each.train("m", SOURCE, algorithm="content", item_features=known)
    rows = each.ask("SELECT * FROM embsql.validation('m')").to_pylist()
    (found,) = [row for row in rows if row["check"] == "new items"]
    assert (found["severity"], found["rows"]) == ("warning", 2 * ITEMS + 2)
    assert "are ids written as they are there" in found["hint"]


def test_a_new_id_that_no_index_takes_is_refused(each) -> None:
    long = "SELECT repeat('x', 5000), ARRAY[1e0, 0e0]"
    known = f"{features('item')} UNION ALL {long}"
    with pytest.raises(errors.IdTooLong, match="5000"):
        each.train("m", SOURCE, algorithm="content", item_features=known)


def items_of(shop: embsql.Database, name: str) -> int:
    counted = f"SELECT count(*) AS n FROM embsql.item_embedding('{name}')"
    return int(shop.ask(counted)["n"][0].as_py())


def vectors(shop: embsql.Database, sql: str) -> dict[Any, Any]:
    return {row["id"]: row["v"] for row in shop.ask(sql).to_pylist()}


@pytest.mark.parametrize("name", ["half_als", "two_tower"])
def test_users_of_whom_features_are_known_are_answered(each, name: str) -> None:
    if name not in ALGORITHMS:
        pytest.skip("torch is not installed")
    more = {"fixed_side": "users"} if name == "half_als" else OPTIONS[name]
    each.train(
        "m",
        SOURCE,
        algorithm=name,
        user_features=features("user", vector=name != "two_tower"),
        **more,
    )
    for kind in (0, 1):
        sql = f"SELECT item_id, source FROM embsql.recommend('m', 'u{kind}new', k => 3)"
        rows = each.ask(sql).to_pylist()
        assert {row["item_id"][:2] for row in rows} == {f"i{kind}"}
        assert {row["source"] for row in rows} == {"model"}


def test_what_reads_no_features_has_no_newcomers(each) -> None:
    each.train("m", SOURCE, algorithm="als", dim=4)
    assert items_of(each, "m") == 2 * ITEMS


def test_it_is_measured_compared_and_trained_again_with_them(each) -> None:
    options = {
        "algorithm": "fusion",
        "item_features": features("item"),
        **OPTIONS["fusion"],
    }
    each.train("m", SOURCE, algorithm="als", dim=4, evaluate=True)
    run = each.train("m", SOURCE, evaluate=True, gate=True, **options)
    figures = each.evaluate(f"m@{run.run_id}", split="random")
    assert figures["ndcg@10"] > 0
    again = each.train("m", SOURCE, evaluate=True, **options)
    assert (again.run_id, again.skipped) == (run.run_id, True)

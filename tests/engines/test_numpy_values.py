"""What numpy holds is taken as a value wherever Python's own is, by every engine alike.

The drivers differ: one refuses scalars, one makes a vector of every array of numbers, and of
nanoseconds one makes a number.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from embsql.plain_values import plain_value
from tests.worlds import run_of

NINE = np.array([[1, 9, 0.5], [9, 9, 9]])
VECTORS = {
    "single": np.array([1, 0.5], "f4"),
    "half": np.array([1, 0.5], "f2"),
    "longest": np.array([1, 0.5], "longdouble"),
    "other byte order": np.array([1, 0.5], ">f4"),
    "strided": NINE[0, ::2],
    "transposed": np.array([[1, 7], [0.5, 7]], "f4").T[0],
    "scalars in a list": [np.float32(1), np.float64(0.5)],
    "scalars in a tuple": (np.float16(1), 0.5),
    "objects": np.array([1, 0.5], object),
    "whole and other numbers": [1, 0.5],
}
QUESTIONS: dict[str, dict[str, Any]] = {
    "similar_items('compass', $id, k => $k)": {"id": np.str_("east"), "k": np.int8(2)},
    "similar_users('compass', $id, k => $k)": {
        "id": np.array("ada"),
        "k": np.uint64(2),
    },
    "recommend('compass', 'ada', k => $k, exclude_seen => $seen, candidates => $ids)": {
        "k": np.array(3),
        "seen": np.bool_(False),
        "ids": np.array(["north", "west", "east"]),
    },
    "recommend_from('compass', $ids, weights => $weights)": {
        "ids": np.array(["east", "north"], object),
        "weights": np.array([2, 1], "f4"),
    },
    "rank_items('compass', 'ada', $ids)": {"ids": [np.str_("west"), np.str_("east")]},
    "lookalikes('compass', seeds => $ids, k => $k)": {
        "ids": np.array(["ada", "bob"]),
        "k": np.float32(2),
    },
    "item_embedding('compass', items => $ids)": {"ids": np.array(["west"])},
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_a_vector_is_near_the_same(known, vector: Any) -> None:
    call = "SELECT * FROM embsql.nearest_items('angles', $vector, k => 3)"
    assert known.ask(call, vector=vector) == known.ask(call, vector=[1.0, 0.5])
    assert known.ask(call, vector=vector)["item_id"][0].as_py() == 'it\'s "odd" 🙂'


@pytest.mark.parametrize("call", QUESTIONS)
def test_a_question_answers_the_same(known, call: str) -> None:
    values = QUESTIONS[call]
    plain = {name: plain_value(value) for name, value in values.items()}
    assert not any("numpy" in repr(type(value)) for value in plain.values())
    asked = f"SELECT * FROM embsql.{call}"
    assert known.ask(asked, **values) == known.ask(asked, **plain)
    assert known.ask(asked, **values).num_rows


MOMENT = datetime.datetime(2020, 1, 2, 3, 4, 5, 123456)
NANOSECONDS = np.datetime64(MOMENT, "ns") + np.timedelta64(789, "ns")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (NANOSECONDS, MOMENT),
        (np.array([NANOSECONDS, "NaT"], "M8[ns]"), [MOMENT, None]),
        (np.array([NANOSECONDS, None], object), [MOMENT, None]),
        (np.timedelta64(1500, "ns"), datetime.timedelta(microseconds=1)),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        (np.longdouble(0.5), 0.5),
        (np.bytes_(b"a"), b"a"),
        ((1, None, 0.5), [1.0, None, 0.5]),
        ([True, 1], [True, 1]),
        ({"a": 1}, {"a": 1}),
        (None, None),
    ],
)
def test_it_becomes_pythons_own(value: Any, wanted: Any) -> None:
    found = plain_value(value)
    assert (type(found), found) == (type(wanted), wanted)


def test_a_moment_of_pandas_precision_is_a_moment(known) -> None:
    asked = "SELECT CAST($moment AS TIMESTAMP) AS moment"
    assert known.ask(asked, moment=NANOSECONDS)["moment"][0].as_py() == MOMENT


@pytest.mark.parametrize(
    "lies",
    [
        np.asfortranarray,
        lambda table: np.ascontiguousarray(table.T).T,
        lambda table: np.repeat(table, 2, axis=1)[:, ::2],
        lambda table: table[::-1, ::-1].copy()[::-1, ::-1],
    ],
    ids=["Fortran's order", "transposed", "strided", "reversed"],
)
def test_vectors_are_stored_however_they_lie_in_memory(each, lies: Any) -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    run_of(each, 1, "m", lies(table), table)
    found = each.ask("SELECT embedding FROM embsql.item_embedding('m')")
    assert found["embedding"].to_pylist() == table.tolist()

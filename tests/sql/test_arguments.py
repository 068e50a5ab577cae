"""Arguments of every type mean what their text means: the same calls on both engines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

import embsql
from embsql.errors import EmbsqlError
from tests.conftest import ENGINES

KEY = "00000000-0000-0000-0000-000000000007"
VECTORS = {"1": [1, 0], "2": [0, 1], "3": [1, 1], KEY: [-1, 0.5]}
FANS = {"1": [1, 0.25], "2": [0, 2], KEY: [3, 3]}


def select(entity: str, vectors: dict[str, list[float]]) -> str:
    values = ", ".join(
        f"('{key}', ARRAY{[float(x) for x in vector]})"
        for key, vector in vectors.items()
    )
    return f"SELECT * FROM (VALUES {values}) AS t ({entity}_id, embedding)"


@pytest.fixture(scope="module", params=ENGINES)
def numbered(request) -> Iterator[embsql.Database]:
    """A model `n` whose ids are numbers and a UUID."""
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target) as database:
        items, users = select("item", VECTORS), select("user", FANS)
        database.register_embeddings("n", items, users=users, similarity="dot")
        yield database


def rows(database: embsql.Database, call: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = database.ask(
        f"SELECT * FROM embsql.{call}"
    ).to_pylist()
    return found


@cache
def with_texts(database: embsql.Database, call: str) -> list[dict[str, Any]]:
    """What a call with nothing but texts answers: nobody writes here, so it is asked once."""
    return rows(database, call)


ID = f"CAST('{KEY}' AS UUID)"
NUMBERS = [
    "1",
    "CAST(1 AS SMALLINT)",
    "CAST(1 AS BIGINT)",
    "CAST(1 AS NUMERIC(5))",
    "CAST('1' AS VARCHAR)",
]
LISTS = [
    "ARRAY[1, 3]",
    "CAST(ARRAY[1, 3] AS BIGINT[])",
    "CAST(ARRAY[1, 3] AS SMALLINT[])",
    "CAST(ARRAY[1, 3] AS NUMERIC(5)[])",
    "CAST(ARRAY['1', '3'] AS VARCHAR[])",
]
ONE = {  # a question of one id: the call with its text
    "similar_items('n', {}, k => 3)": "'1'",
    "similar_users('n', {}, k => 3)": "'1'",
    "recommend('n', {}, k => 3)": "'1'",
    "recommend_users('n', {}, k => 3)": "'1'",
}
LISTED = {  # a question of a list
    "item_embedding('n', {})": "ARRAY['1', '3']",
    "user_embedding('n', users => {})": "ARRAY['1', '3']",
    "recommend('n', '2', candidates => {})": "ARRAY['1', '3']",
    "recommend('n', 2, candidates => {})": "ARRAY['1', '3']",
    "recommend_from('n', {}, k => 2)": "ARRAY['1', '3']",
    "recommend_from('n', {}, ARRAY[1, 2], k => 2)": "ARRAY['1', '3']",
    "rank_items('n', 1, {})": "ARRAY['1', '3']",
    "rank_items('n', '1', items => {})": "ARRAY['1', '3']",
    "lookalikes('n', seeds => {})": "ARRAY['1', '3']",
    "similar_items_batch('n', {}, k => 3)": "ARRAY['1', '3']",
    "similar_users_batch('n', for_users => {}, k => 3)": "ARRAY['1', '3']",
    "recommend_users_batch('n', {}, k => 3)": "ARRAY['1', '3']",
    "recommend_batch('n', {}, k => 3)": "ARRAY['1', '3']",
    "recommend_batch('n', {}, candidates => ARRAY['1', '3'])": "ARRAY['1', '3']",
    "recommend_batch('n', ARRAY['1', '3'], candidates => {})": "ARRAY['1', '3']",
    "recommend_batch('n', {}, candidates => ARRAY[1, 3])": "ARRAY['1', '3']",
    "lookalike_quality('n', {})": "ARRAY['1', '3']",
    "coherence('n', {}, ARRAY[7, 7])": "ARRAY['1', '3']",
    "coherence('n', ids => {}, labels => ARRAY['a', 'a'])": "ARRAY['1', '3']",
    "coherence('n', ARRAY['1', '3'], {})": "ARRAY['1', '3']",
}
PAIRS = [
    "score('n', {}, {})",
    "explain('n', {}, {})",
    "history_similarity('n', {}, {})",
    "explain_similarity('n', {}, {})",
]
COUNTS = [
    "CAST(2 AS BIGINT)",
    "CAST(2 AS SMALLINT)",
    "CAST(2 AS NUMERIC)",
    "CAST(2 AS DOUBLE PRECISION)",
    "2.0",
    "'2'",
    "(SELECT count(*) FROM (VALUES (1), (2)) AS t (n))",
]
ARRAYS = ["REAL", "DOUBLE PRECISION", "NUMERIC(9, 3)", "INTEGER", "BIGINT", "SMALLINT"]
VECTOR_QUESTIONS = [
    "(SELECT embedding FROM embsql.item_embedding('n', ARRAY[1]))",
    "embsql.fold_in('n', ARRAY[1])",
]


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("call", ONE)
def test_an_id_of_any_type(numbered, call: str, value: str) -> None:
    assert (
        rows(numbered, call.format(value))
        == with_texts(numbered, call.format(ONE[call]))
        != []
    )


@pytest.mark.parametrize("call", ONE)
def test_a_uuid(numbered, call: str) -> None:
    assert (
        rows(numbered, call.format(ID))
        == with_texts(numbered, call.format(f"'{KEY}'"))
        != []
    )


@pytest.mark.parametrize("value", LISTS)
@pytest.mark.parametrize("call", LISTED)
def test_a_list_of_any_type(numbered, call: str, value: str) -> None:
    assert rows(numbered, call.format(value)) == with_texts(
        numbered, call.format(LISTED[call])
    )


@pytest.mark.parametrize(
    "call", [call for call in LISTED if "recommend_from('n', {}, ARRAY" not in call]
)
def test_a_list_of_uuids(numbered, call: str) -> None:
    of_uuids, of_texts = f"ARRAY[{ID}, {ID}]", f"ARRAY['{KEY}', '{KEY}']"
    assert rows(numbered, call.format(of_uuids)) == rows(
        numbered, call.format(of_texts)
    )


@pytest.mark.parametrize("one", ["1", ID, "NULL", "'1'"])
@pytest.mark.parametrize("other", ["2", ID, "NULL", "'2'", "CAST('2' AS VARCHAR)"])
@pytest.mark.parametrize("call", PAIRS)
def test_two_ids_need_not_be_of_one_type(
    numbered, call: str, one: str, other: str
) -> None:
    words = {
        ID: f"'{KEY}'",
        "NULL": "NULL",
        "2": "'2'",
        **dict.fromkeys(NUMBERS, "'1'"),
    }
    found = pair(numbered, call.format(one, other))
    assert found == pair_of_texts(
        numbered, call.format(words.get(one, one), words.get(other, other))
    )


def pair(database: embsql.Database, call: str) -> list[list[Any]]:
    ask = "SELECT embsql." if call.startswith("score") else "SELECT * FROM embsql."
    return [list(row.values()) for row in database.ask(ask + call).to_pylist()]


pair_of_texts = cache(pair)


@pytest.mark.parametrize("k", COUNTS)
def test_a_count_of_any_type(numbered, k: str) -> None:
    wanted = with_texts(numbered, "similar_items('n', '1', k => 2)")
    assert rows(numbered, f"similar_items('n', '1', k => {k})") == wanted
    assert len(rows(numbered, f"recommend('n', '1', {k})")) == 2


def test_a_count_beyond_all(numbered) -> None:
    assert len(rows(numbered, "similar_items('n', '1', k => 9223372036854775807)")) == 3


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("question", ["nearest_items", "nearest_users"])
def test_a_vector_of_any_type(numbered, question: str, kind: str) -> None:
    wanted = with_texts(numbered, f"{question}('n', CAST(ARRAY[1.0, 0.0] AS REAL[]))")
    assert (
        rows(numbered, f"{question}('n', CAST(ARRAY[1, 0] AS {kind}[]))")
        == wanted
        != []
    )
    assert (
        rows(numbered, f"{question}('n', to_vector => ARRAY[1, 0], k => 2)")
        == wanted[:2]
    )
    assert rows(numbered, f"{question}('n', '[1, 0]', k => 2)") == wanted[:2]
    assert (
        rows(numbered, f"{question}('n', CAST('[1, 0]' AS VARCHAR), k => 2)")
        == wanted[:2]
    )


@pytest.mark.parametrize("question", ["nearest_items", "nearest_users"])
@pytest.mark.parametrize("vector", [[math.nan, 1.0], [math.inf, 1.0], [1e19, -2e19]])
def test_a_vector_whose_products_are_no_numbers_is_refused(
    known, question: str, vector: list[float]
) -> None:
    """NaN is the largest number to a database, and would be the best score; in a list that DuckDB
    1.5 is given it is NULL.
    """
    with pytest.raises(EmbsqlError, match=r"NaN|infinite value|NULL values"):
        known.ask(f"SELECT * FROM embsql.{question}('angles', $v)", v=vector)


@pytest.mark.parametrize("made", VECTOR_QUESTIONS)
def test_a_vector_goes_into_the_next_question_as_it_came(numbered, made: str) -> None:
    wanted = rows(numbered, "nearest_items('n', ARRAY[1.0, 0.0])")
    assert rows(numbered, f"nearest_items('n', {made})") == wanted
    vector = numbered.ask(f"SELECT {made} AS x").to_pylist()[0]["x"]
    assert vector == [1.0, 0.0]
    found = numbered.ask(
        "SELECT * FROM embsql.nearest_items('n', $vector)", vector=vector
    ).to_pylist()
    assert found == wanted


@pytest.mark.parametrize("value", [1, "1"])
def test_parameters_of_any_type(numbered, value: Any) -> None:
    call = (
        "SELECT * FROM embsql.recommend($model, $user, k => $k, candidates => $items)"
    )
    found = numbered.ask(
        call, model="n", user=value, k=2, items=[value, value]
    ).to_pylist()
    assert (
        found
        == rows(numbered, "recommend('n', '1', k => 2, candidates => ARRAY['1'])")
        != []
    )

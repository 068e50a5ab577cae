"""A question's arguments mean what the caller wrote, whatever names stand around the call.

DuckDB pastes arguments into a macro's body. Each test writes an argument as a name that occurs in
some body (a column, an alias, a CTE) and wants the answer that the same value gives as a literal.
`python -m tests.campaigns.capture` asks with every name; here a few are drawn by a seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

import embsql
from embsql.sqlfiles import macros, questions, render
from tests.worlds import known_run

QUESTIONS = questions.questions()
OF_A_MODEL = [
    name
    for name, question in QUESTIONS.items()
    if any(argument.name.startswith("model") for argument in question.arguments)
]
VALUES = {
    "model": "'compass'",
    "model_a": "'compass'",
    "model_b": "'angles'",
    "topic": "'recommend'",
    "for_item": "'east'",
    "for_user": "'ada'",
    "for_items": "['east', 'north']",
    "for_users": "['ada', 'bob']",
    "item_a": "'east'",
    "item_b": "'north'",
    "items": "['east', 'north']",
    "users": "['ada', 'bob']",
    "seeds": "['ada', 'cyd']",
    "weights": "[1.0, 2.0]",
    "session": "['east', 'north']",
    "as_of": "TIMESTAMP '2026-01-01'",
    "times": "[TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-02']",
    "to_vector": "[1.0, 0.5]",
    "k": "2",
    "exclude_seen": "TRUE",
    "exclude_seeds": "TRUE",
    "candidates": "['east', 'west']",
    "entity": "'item'",
    "clustering": "'default'",
    "method": "'pca'",
    "cohort_set": "'team'",
    "features": "'{}'",
    "ids": "['east', 'north', 'northeast']",
    "labels": "['x', 'x', 'y']",
}
IN_SELECT = "SELECT {call} AS value FROM {row} AS caller"
AROUND_VALUES = (
    IN_SELECT,
    "SELECT {literal} AS value FROM {row} AS caller WHERE {call} IS NOT DISTINCT FROM {literal}",
    "SELECT {literal} AS value FROM {row} AS caller JOIN (SELECT 1) AS one"
    " ON {call} IS NOT DISTINCT FROM {literal}",
    "SELECT {literal} AS value FROM {row} AS caller"
    " QUALIFY row_number() OVER (ORDER BY {call} DESC) = 1",
    "SELECT (SELECT {call}) AS value FROM {row} AS caller",
    "SELECT max({call}) AS value FROM {row} AS caller HAVING value IS NOT DISTINCT FROM {literal}",
)
AROUND_TABLES = (
    "SELECT answer.* FROM {row} AS caller, LATERAL (SELECT * FROM {call}) AS answer",
    "SELECT answer.* FROM {row} AS caller JOIN LATERAL (SELECT * FROM {call}) AS answer ON TRUE",
)


def names() -> list[str]:
    """Every name that stands in a body or in the prelude, but those that SQL keeps to itself."""
    made = render.surface("duckdb", commands=False) + render.networks()
    made += render.cells(file_id="")
    text = re.sub(macros.COMMENT, "", made)
    text = re.sub(macros.STRING, "", text)
    found = set(re.findall(r"[a-z_]\w*", text)) | set(
        re.findall(
            r"[a-z_]\w*", "".join(question.body for question in QUESTIONS.values())
        )
    )
    keywords = duckdb.sql("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    kept = {word for (word,) in keywords}
    return sorted(name for name in found - kept if not name.startswith(macros.RESERVED))


NAMES = names()


@pytest.fixture(scope="module")
def world() -> Iterator[embsql.Database]:
    with embsql.connect(":memory:") as database:
        known_run(database)
        database.engine.run(render.networks())  # as where a run has one
        yield database


def written_arguments(name: str) -> list[str]:
    """Every argument of a question but `k`, which LIMIT takes as it is."""
    return [one.name for one in QUESTIONS[name].arguments if one.name != "k"]


def arguments() -> list[tuple[str, str]]:
    """Every argument of every question, but `k`."""
    return [(name, one) for name in QUESTIONS for one in written_arguments(name)]


def call(name: str, **instead: str) -> str:
    """A question with its usual values, some of them written otherwise."""
    own = {one.name: literal(name, one.name) for one in QUESTIONS[name].arguments}
    return f"embsql.{name}({', '.join((own | instead).values())})"


def literal(name: str, argument: str) -> str:
    if (name, argument) == ("recommend_as_of", "for_user"):
        return "'nobody'"  # whose pairs need no times, which no run of this world has
    if (name, argument) == ("embed_item", "features"):
        return """'{"title": "big red"}'"""
    return VALUES[argument]


def answer(database: embsql.Database, sql: str) -> list[str]:
    return sorted(map(repr, database.engine.ask(sql).to_pylist()))


@cache
def with_literals(database: embsql.Database, name: str) -> list[str]:
    """What a question answers to its usual values."""
    return answer(database, plain(name))


def plain(name: str, asked: str = "") -> str:
    """A call, or the one with literals, as a statement."""
    asked = asked or call(name)
    return (
        f"SELECT {asked} AS value"
        if QUESTIONS[name].scalar
        else f"SELECT * FROM {asked}"
    )


@pytest.mark.parametrize(("name", "argument"), arguments())
def test_names_around_a_call_change_nothing(world, name: str, argument: str) -> None:
    draw = random.Random(f"{name} {argument}")  # noqa: S311 - which names are tried
    wanted = with_literals(world, name)
    column, alias, cte = draw.sample(NAMES, 3)
    for sql in around(name, {argument: column}, alias, cte, draw.choice(forms(name))):
        assert answer(world, sql) == wanted, sql


def forms(name: str) -> tuple[str, ...]:
    """Where a call may stand. DuckDB 2.0 refuses aggregates over a question that makes a vector."""
    around_values = AROUND_VALUES if name == "score" else AROUND_VALUES[:-1]
    return around_values if QUESTIONS[name].scalar else AROUND_TABLES


def around(
    name: str, columns: dict[str, str], alias: str, cte: str, form: str
) -> Iterator[str]:
    """The call with arguments as columns, as columns of an alias, and out of a CTE."""
    values = (f'{literal(name, one)} AS "{column}"' for one, column in columns.items())
    row = f"(SELECT {', '.join(values)})"
    result = f"({plain(name)})"
    yield form.format(row=row, call=call(name, **columns), literal=result)
    qualified = {one: f"{alias}.{column}" for one, column in columns.items()}
    yield form.replace("AS caller", f"AS {alias}").format(
        row=row, call=call(name, **qualified), literal=result
    )
    selected = {one: f"(SELECT {column} FROM {cte})" for one, column in columns.items()}
    yield f"WITH {cte} AS {row} {plain(name, call(name, **selected))}"


@pytest.mark.parametrize(
    "name", ["recommend", "similar_items", "lookalikes", "cohort_items"]
)
def test_k_may_come_out_of_a_cte(world, name: str) -> None:
    for cte in ("subject", "best", "seen", "nearest", "given"):
        asked = plain(name, call(name, k=f"(SELECT n FROM {cte})"))
        sql = f"WITH {cte} AS (SELECT 2 AS n) {asked}"
        assert answer(world, sql) == answer(world, plain(name))


def test_k_of_a_column_is_refused_by_duckdb(world) -> None:
    asked = call("recommend", k="s.n")
    sql = f"SELECT a.* FROM (SELECT 2 AS n) AS s, LATERAL (SELECT * FROM {asked}) AS a"
    with pytest.raises(duckdb.BinderException, match="LIMIT"):
        world.engine.ask(sql)


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_table_in_a_macro_has_the_reserved_prefix(name: str) -> None:
    question = QUESTIONS[name]
    types = {
        argument.name: questions.TYPES[argument.type] for argument in question.arguments
    }
    body = macros.bind(question.body, types, lambda **_: "SELECT 1")
    tree: Any = sqlglot.parse_one(body, read="duckdb")
    tables = [
        node.alias
        for node in tree.find_all(exp.CTE, exp.Table, exp.Subquery)
        if node.alias
    ]
    assert tables
    assert all(alias.startswith(macros.RESERVED) for alias in tables), tables


@pytest.mark.parametrize("name", OF_A_MODEL)
@pytest.mark.parametrize("subject", ["'aaa'", "'zzz'", "NULL"])
def test_an_unknown_model_raises_whatever_is_asked(
    world, name: str, subject: str
) -> None:
    needed = {argument.name: argument for argument in QUESTIONS[name].arguments}
    instead = {key: "'compas'" for key in needed if key.startswith("model")}
    texts = [key for key, one in needed.items() if one.type == "text"]
    instead |= {key: subject for key in texts if key not in instead}
    with pytest.raises(duckdb.Error, match='no model named "compas"'):
        world.engine.ask(plain(name, call(name, **instead)))

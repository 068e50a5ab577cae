"""What PostgreSQL locks does not grow with the number of runs that are kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import embsql
from benchmarks.locks import HELD, held, keep
from embsql.lifecycle import forgetting, installation
from embsql.lifecycle.named_statements import query_named
from embsql.sqlfiles import files, questions, render
from tests.sql.test_capture import literal
from tests.worlds import known_run

QUESTIONS = questions.questions() | questions.ml_questions()


def kept(address: str, runs: int) -> Iterator[embsql.Database]:
    """The two models whose vectors are known, each with a run, and so many runs of others."""
    with embsql.connect(address) as database:
        known_run(database)
        installation.install_ml(database.engine)
        keep(database, range(3, 3 + runs))
        yield database


@pytest.fixture(scope="module")
def few(new_database) -> Iterator[embsql.Database]:
    yield from kept(new_database(), 0)


@pytest.fixture(scope="module")
def many(new_database) -> Iterator[embsql.Database]:
    yield from kept(new_database(), 10)


def asked(name: str) -> str:
    """A question with its usual arguments."""
    question = QUESTIONS[name]
    words = [
        literal(name, argument.name).replace("[", "ARRAY[")
        for argument in question.arguments
    ]
    return f"SELECT * FROM {question.schema}.{name}({', '.join(words)})"


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_locks_as_much_of_few_runs_as_of_many(few, many, name: str) -> None:
    locks = held(few, asked(name))
    assert 0 < locks == held(many, asked(name))


def most(database: embsql.Database, monkeypatch: Any, work: Callable[[], Any]) -> int:
    """The most locks that a transaction of some work holds when it ends."""
    counts: list[int] = []
    run = database.engine.run

    def counting(sql: str, **values: Any) -> int:
        rows = run(sql, **values)
        counts.append(int(database.engine.ask(HELD)["locks"][0].as_py()))
        return rows

    monkeypatch.setattr(database.engine, "run", counting)
    work()
    return max(counts)


def test_what_is_made_of_a_run_locks_no_other(few, many, monkeypatch) -> None:
    def make(database: embsql.Database) -> None:
        database.materialize("compass", k=2)
        database.cluster("compass", entity="user", k=2)
        pairs = "SELECT n % 5 AS user_id, n % 3 AS item_id FROM generate_series(1, 20) AS t(n)"
        database.train("other", pairs, dim=2, epochs=1, progress=False)

    assert most(few, monkeypatch, lambda: make(few)) == most(
        many, monkeypatch, lambda: make(many)
    )


def test_forgetting_goes_by_batches(pg, monkeypatch) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    with embsql.connect(pg) as database:
        keep(database, range(1, 7), each=3)
        locks = most(database, monkeypatch, lambda: database.forget("u1"))
        keep(database, range(7, 13), each=3)
        assert locks >= most(database, monkeypatch, lambda: database.forget("u2"))
        left = "SELECT count(*) AS n FROM embsql.{} WHERE user_id = 'u2'"
        for table in ("user_embeddings", "interactions"):
            assert database.ask(left.format(table)).to_pylist() == [{"n": 0}]


def test_roles_get_the_tables_of_many_runs_by_batches(pg, monkeypatch) -> None:
    text = files.read_sql("roles.postgres.sql")
    assert re.findall(r"LIMIT 200\b", text), "the batch that is made smaller here"
    monkeypatch.setattr(
        render, "read_sql", lambda _: text.replace("LIMIT 200", "LIMIT 2")
    )
    with embsql.connect(pg) as database:
        keep(database, range(1, 4), each=3)
        few = most(
            database, monkeypatch, lambda: installation.install_roles(database.engine)
        )
        assert query_named(database.engine, "not_handed_over") == []
        keep(database, range(4, 13), each=3)
        database.engine.run("REASSIGN OWNED BY embsql_trainer TO CURRENT_USER")
        assert few >= most(
            database, monkeypatch, lambda: installation.install_roles(database.engine)
        )

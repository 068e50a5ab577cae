"""A subscriber of logical replication answers questions, about runs of later trainings too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

import embsql
from tests.conftest import ROOT
from tests.engines.test_moves import ASK, EVENTS, sql

PATIENCE = 30.0  # seconds
PARTITIONS = """
    SELECT count(*) FROM pg_class
    WHERE relnamespace = 'embsql_runs'::regnamespace AND relkind = 'r'
"""
QUESTIONS = (
    ASK,
    "SELECT * FROM embsql.similar_users('m', 'u5', k => 3)",
    "SELECT * FROM embsql.features('m')",
    "SELECT * FROM embsql.evaluation('m')",
    "SELECT * FROM embsql.live_clusters",
    "SELECT * FROM embsql.runs('m')",
)


def guide(statement: str) -> str:
    """A statement of the guide's part about replication."""
    page = (ROOT / "docs" / "guides" / "postgres.md").read_text()
    (block,) = (
        part for part in page.split("```") if part.startswith(f"sql\n{statement}")
    )
    return block.removeprefix("sql\n").strip().rstrip(";")


@pytest.fixture(scope="module")
def publisher(postgres, new_database) -> str:
    """The address of a database with a model, which it publishes."""
    (level,) = sql(postgres, "SHOW wal_level")
    if level != ("logical",):
        pytest.skip(
            "EMBSQL_TEST_POSTGRES names a server whose wal_level is not logical"
        )
    address: str = new_database()
    with embsql.connect(address) as db:
        db.install(roles=True)
        train(db, 2)
        db.cluster("m", k=2)
    sql(address, guide("CREATE PUBLICATION"))
    return address


@pytest.fixture(scope="module")
def subscriber(publisher, new_database) -> Iterator[str]:
    """The address of a database that subscribes to it, on the same server: so the slot is made by
    hand.
    """
    address: str = new_database()
    with embsql.connect(address) as db:
        db.install(roles=True)
    sql(publisher, "SELECT pg_create_logical_replication_slot('embsql', 'pgoutput')")
    where = conninfo.make_conninfo(publisher).replace("'", "''")
    subscribe = guide("CREATE SUBSCRIPTION").replace("host=primary dbname=shop", where)
    sql(address, f"{subscribe[:-1]}, create_slot = FALSE, slot_name = embsql)")
    yield address
    sql(
        address,
        "ALTER SUBSCRIPTION embsql DISABLE",
        "ALTER SUBSCRIPTION embsql SET (slot_name = NONE)",
        "DROP SUBSCRIPTION embsql",
    )
    assert within("SELECT active FROM pg_replication_slots", publisher, [(False,)])
    sql(publisher, "SELECT pg_drop_replication_slot('embsql')")


def train(db: embsql.Database, dim: int) -> None:
    db.train(
        "m", EVENTS, dim=dim, epochs=1, evaluate=dim == 2, gate=dim != 2, progress=False
    )


def within(question: str, address: str, wanted: list[Any]) -> bool:
    """Whether a database comes to answer so."""
    end = time.monotonic() + PATIENCE
    while found(question, address) != wanted:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def found(question: str, address: str) -> list[Any] | None:
    """What a database answers; None while it has no answer."""
    try:
        return sql(address, question)
    except psycopg.errors.RaiseException:  # no model of this name yet
        return None


def alike(publisher: str, subscriber: str) -> bool:
    """Whether the two come to answer alike."""
    return all(
        within(question, subscriber, sql(publisher, question)) for question in QUESTIONS
    )


def test_a_subscriber_follows(publisher, subscriber) -> None:
    assert alike(publisher, subscriber), "about a run that was there before"
    with embsql.connect(publisher) as db:
        train(db, 3)
        assert alike(publisher, subscriber), "about a later one"
        db.forget("u5")
        assert alike(publisher, subscriber)
        assert (
            sql(subscriber, "SELECT * FROM embsql.interactions WHERE user_id = 'u5'")
            == []
        )
        db.drop_run("m@1")
    assert within("SELECT run_id FROM embsql.runs", subscriber, [(2,)])
    sql(
        publisher,
        "UPDATE embsql.surface SET surface = 'another'",
        "INSERT INTO embsql.migrations VALUES ('another', '')",
    )
    with embsql.connect(":memory:") as local:
        rows = "SELECT 'u' || i % 9 AS user_id, i % 7 AS item_id FROM range(60) AS t(i)"
        local.train("m", rows, dim=4, epochs=1, progress=False)
        local.publish(publisher)
    assert alike(publisher, subscriber), "about one that was trained elsewhere"
    assert sql(subscriber, PARTITIONS) == [(6,)], (
        "and the run that went took its partitions along"
    )
    with embsql.connect(subscriber) as db:
        assert db.install() is False, "what is installed here is known here"


def test_where_nobody_subscribes_the_triggers_sleep(publisher) -> None:
    sleeping = """
        SELECT DISTINCT tgenabled FROM pg_trigger
        WHERE tgname IN ('follow_run', 'stay_local')
    """
    assert sql(publisher, sleeping) == [("R",)]

"""Behind a pooler that hands sessions on, nobody meets what another one set, and everything works.

More of the suite goes the same way: pytest --pgbouncer tests/engines/test_contract.py
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import embsql
from embsql.errors import Cancelled, ReadOnly
from embsql.shells import worker
from tests.pooler import pooler

EVENTS = (
    "SELECT i % 23 AS user_id, (i * 7 + i / 23) % 13 AS item_id "
    "FROM generate_series(0, 299) AS t (i)"
)
LEFT = """
SELECT 'setting ' || name || ' = ' || setting AS what
FROM pg_settings
WHERE source = 'session'
    -- what PgBouncer sets to each client's own
    AND name NOT IN (
        'application_name', 'client_encoding', 'DateStyle', 'TimeZone',
        'standard_conforming_strings'
    )
UNION ALL
SELECT 'embsql.complete_run' WHERE coalesce(current_setting('embsql.complete_run', TRUE), '') <> ''
UNION ALL SELECT 'listens to ' || channel FROM pg_listening_channels() AS channel
UNION ALL SELECT 'prepared ' || name FROM pg_prepared_statements
UNION ALL SELECT 'lock ' || objid FROM pg_locks
WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'
"""


@pytest.fixture
def through(postgres, pg) -> Iterator[Callable[[int], str]]:
    """The address of a database behind a pooler that has so many sessions for everybody."""
    opened = []

    def begin(sessions: int) -> str:
        opened.append(pooler(postgres, sessions))
        return opened[-1].__enter__()(pg)

    yield begin
    for one in opened:
        one.__exit__(None, None, None)


def left_behind(address: str) -> list[str]:
    """What the pooler's only session has of those before."""
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as stranger:
        return [what for (what,) in stranger.execute(LEFT).fetchall()]


def test_who_only_reads_does_not_take_the_pen_from_others(through) -> None:
    address = through(1)
    with embsql.connect(address, read_only=True) as reader:
        assert reader.engine.read_only
        with pytest.raises(ReadOnly):
            reader.engine.run("CREATE TABLE mine (a integer)")
        with psycopg.connect(address, autocommit=True) as stranger:
            stranger.execute("CREATE TABLE theirs (a integer)")
        assert reader.ask("SELECT * FROM theirs").num_rows == 0
    assert left_behind(address) == []


def test_no_command_leaves_anything_in_a_session(through) -> None:
    one, address = (
        through(1),
        through(4),
    )  # who trains has two sessions: one shows the signs of life
    with embsql.connect(address) as database:
        for seed in (1, 2):
            database.train(
                "m", EVENTS, dim=2, epochs=1, seed=seed, evaluate=True, gate=False
            )
        database.cluster("m", k=2)
        database.project("m")
        database.materialize("m", k=2)
        database.rollback("m")
        database.promote("m@2")
        database.forget(3)
        database.drop_run("m@1")
    with embsql.connect(one) as database:
        database.install(roles=True)
        assert (
            database.ask(
                "SELECT * FROM embsql.recommend('m', '1', exclude_seen => FALSE)"
            ).num_rows
            == 10
        )
        assert (
            database.ask(
                "SELECT * FROM embsql.similar_items('m', '1', k => 3)"
            ).num_rows
            == 3
        )
        database.forget(4)
    assert left_behind(one) == []
    with (
        psycopg.connect(address, autocommit=True) as keep,
        psycopg.connect(address) as other,
    ):
        keep.execute("BEGIN")  # two sessions of the four at least
        for session in (keep, other):
            assert session.execute(LEFT, prepare=False).fetchall() == []


def test_a_worker_says_that_it_hears_nobody_and_works(through) -> None:
    address, said = through(6), []
    with embsql.connect(address) as database:
        job = database.ask(
            "SELECT embsql.train('m', $source, options => '{\"dim\": 2, \"epochs\": 1}') AS job",
            source=EVENTS,
        ).to_pylist()[0]["job"]
        worker.run(address, once=True, log=said.append)
        done = database.ask(
            "SELECT status, error FROM embsql.jobs WHERE job_id = $job", job=job
        )
        assert done.to_pylist() == [{"status": "done", "error": None}]
        assert database.ask("SELECT 1 FROM embsql.leases").num_rows == 0
    assert "every 5 seconds, as behind a pooler none is heard" in said[0]


def test_a_worker_without_a_pooler_hears(pg) -> None:
    said: list[str] = []
    worker.run(pg, once=True, log=said.append)
    assert "pooler" not in said[0]


def test_cancelling_reaches_the_session_behind(through) -> None:
    address, outcome = through(6), []

    def work() -> None:
        with embsql.connect(address) as database:
            try:
                outcome.append(
                    database.train(
                        "m", "SELECT 1 AS user_id, 1 AS item_id FROM pg_sleep(36000)"
                    )
                )
            except Cancelled as error:
                outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    with embsql.connect(address) as database:
        found: Any = 0
        while not found:
            found = database.ask("SELECT 1 AS n FROM embsql.leases").num_rows
        database.cancel("m")
    thread.join(120)
    assert [type(end) for end in outcome] == [Cancelled]

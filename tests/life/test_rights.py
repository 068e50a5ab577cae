"""What somebody asks for is done with the rights of who asked: nobody gets more by asking than he has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

import embsql
from embsql import errors, worker

EVENTS = "SELECT i % 7 AS user_id, (i * 3) % 5 AS item_id FROM generate_series(0, 99) AS t (i)"
QUICK = {"dim": 2, "epochs": 1}
SECRET = "hunter2"  # noqa: S105 - what a table holds, nobody's password
ROLES = {"ann": "trainer", "bob": "trainer", "eve": "trainer", "rita": "reader", "adam": "admin", "wendy": "worker"}


class House:
    """A database with roles, people who log in, and what one of them asks the worker for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._open: dict[str, psycopg.Connection[Any]] = {}

    def as_(self, name: str | None) -> str:
        return conninfo.make_conninfo(self.address, user=f"embsql_test_{name}") if name else self.address

    def run(self, name: str | None, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement answers somebody; None is who owns the server."""
        if name not in self._open:
            self._open[name] = psycopg.connect(self.as_(name), autocommit=True)
        cursor = self._open[name].execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def ask(self, name: str | None, call: str, *values: Any) -> int:
        return self.run(name, f"SELECT embsql.{call}", *values)[0][0]

    def train(self, name: str | None, source: str, model: str = "m", **options: Any) -> int:
        return self.ask(name, "train(%s, %s, options => %s)", model, source, json.dumps(QUICK | options))

    def work(self, name: str = "wendy") -> None:
        """Let somebody be the worker until there is nothing left to do."""
        busy = worker.Worker(self.as_(name), lambda _line: None)
        try:
            busy.work(once=True)
        finally:
            busy.close()

    def done(self, job: int, name: str = "wendy") -> tuple[str, str | None]:
        """What became of a job that a worker was given: its status and its error."""
        self.work(name)
        return self.run(None, "SELECT status, error FROM embsql.jobs WHERE job_id = %s", job)[0]

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()


@pytest.fixture(scope="module")
def house(new_database: Callable[[], str]) -> Iterator[House]:
    address = new_database()
    people = ", ".join(f"embsql_test_{name}" for name in ROLES)
    with embsql.connect(address) as database:
        database.install(roles=True)
        for name, role in ROLES.items():
            database.engine.run(f"CREATE ROLE embsql_test_{name} LOGIN IN ROLE embsql_{role}")
        database.engine.run(f"""
            CREATE TABLE events AS {EVENTS};
            GRANT SELECT ON events TO embsql_trainer;
            CREATE TABLE secret AS SELECT '{SECRET}' || user_id AS user_id, item_id FROM events;
            GRANT SELECT ON secret TO embsql_test_bob;
            CREATE SCHEMA workshop;
            GRANT CREATE, USAGE ON SCHEMA workshop TO embsql_trainer;
        """)
    made = House(address)
    yield made
    made.close()
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {people} CASCADE; DROP ROLE {people}")


# --- a source is read with the rights of who asked -----------------------------------------------


def test_what_somebody_may_read_is_read(house: House) -> None:
    assert house.done(house.train("ann", "events")) == ("done", None)
    assert house.done(house.train("bob", "secret", "bobs")) == ("done", None)
    assert house.run(None, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'embsql_sources'::regnamespace") == [(0,)]


WAYS = {
    "source": lambda house: house.train("ann", "secret"),
    "SELECT": lambda house: house.train("ann", "SELECT user_id, item_id FROM public.secret"),
    "test": lambda house: house.train("ann", "events", evaluate=True, test="SELECT * FROM secret"),
    "features": lambda house: house.train(
        "ann", "events", item_features="SELECT DISTINCT item_id, user_id AS x FROM secret"
    ),
    "graph": lambda house: house.ask(
        "ann", "train('m', 'events', 'node2vec', %s)",
        json.dumps({"dim": 2, "epochs": 1, "graph": "SELECT item_id AS source_node, 1 AS target_node FROM secret"}),
    ),
    "evaluate": lambda house: house.ask("ann", "evaluate('bobs', %s)", json.dumps({"test": "SELECT * FROM secret"})),
    "labels": lambda house: house.ask(
        "ann", "cluster('bobs', k => 2, labels => 'SELECT item_id AS entity_id, user_id AS label FROM secret')"
    ),
    "items": lambda house: house.ask(
        "ann", "register_embeddings('m', 'SELECT user_id AS item_id, ARRAY[1, 2] AS embedding FROM secret')"
    ),
    "users": lambda house: house.ask(
        "ann", "register_embeddings('m', 'SELECT 1 AS item_id, ARRAY[1, 2] AS embedding', %s)",
        "SELECT user_id, ARRAY[1, 2] AS embedding FROM secret",
    ),
}  # fmt: skip


@pytest.mark.parametrize("read_by", WAYS)
def test_nobody_reads_a_table_through_the_worker(house: House, read_by: str) -> None:
    house.done(house.train("bob", "secret", "bobs"))
    status, error = house.done(WAYS[read_by](house))
    assert status == "failed"
    assert "permission denied for table secret" in str(error)
    assert SECRET not in str(error)


EVIL = """
    CREATE OR REPLACE FUNCTION workshop.evil() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        {what};
        RETURN 1;
    END $$
"""
ESCAPES = {
    "to read": "PERFORM 1 FROM secret",
    "to become the worker": "RESET ROLE; PERFORM 1 FROM secret",
    "to become another": "SET ROLE embsql_owner",
    "to write": "INSERT INTO workshop.diary VALUES (1)",
    "to write again": "SET TRANSACTION READ WRITE; INSERT INTO workshop.diary VALUES (1)",
    "to write by setting": "PERFORM set_config('transaction_read_only', 'off', FALSE); DELETE FROM workshop.diary",
    "to command": "CREATE TABLE workshop.mine (x integer)",
    "to commit": "COMMIT",
}


@pytest.mark.parametrize("what", ESCAPES)
def test_a_function_in_a_source_gets_nothing(house: House, what: str) -> None:
    house.run("ann", "CREATE TABLE IF NOT EXISTS workshop.diary (x integer)")
    house.run("ann", EVIL.format(what=ESCAPES[what]))
    before = house.run(None, "SELECT count(*) FROM pg_class")
    status, _ = house.done(house.train("ann", "SELECT user_id, item_id + 0 * workshop.evil() AS item_id FROM events"))
    assert status == "failed"
    assert house.run("ann", "TABLE workshop.diary") == []
    assert house.run(None, "SELECT count(*) FROM pg_class") == before


def test_who_a_function_is_run_as(house: House) -> None:
    loud = "RAISE EXCEPTION USING MESSAGE = current_user, ERRCODE = 'feature_not_supported'"
    house.run("ann", EVIL.format(what=loud))
    _, error = house.done(house.train("ann", "SELECT user_id, workshop.evil() AS item_id FROM events"))
    assert "embsql_test_ann" in str(error)


def test_a_type_of_ones_own_casts_as_its_owner(house: House) -> None:
    """A cast is a function: of a type of somebody's own it would be called where the column is made text."""
    house.run("ann", "CREATE TYPE workshop.mood AS ENUM ('1', '2')")
    house.run("ann", EVIL.format(what="PERFORM 1 FROM secret"))
    body = "SELECT workshop.evil()::text"
    house.run("ann", f"CREATE FUNCTION workshop.spelled(workshop.mood) RETURNS text LANGUAGE sql AS '{body}'")
    house.run("ann", "CREATE CAST (workshop.mood AS text) WITH FUNCTION workshop.spelled(workshop.mood)")
    source = "SELECT '1'::workshop.mood AS user_id, item_id FROM events"
    status, error = house.done(house.train("ann", source))
    assert (status, "permission denied" in str(error)) == ("failed", True)


def test_a_function_that_is_changed_is_not_called(house: House) -> None:
    """Its owner turns the function of a source into one that runs as its caller."""
    job = house.train("ann", "SELECT user_id, item_id FROM secret")
    ((name,),) = house.run("ann", "SELECT value FROM embsql.jobs, jsonb_each_text(sources) WHERE job_id = %s", job)
    house.run("ann", f'ALTER FUNCTION embsql_sources."{name}"(text[]) SECURITY INVOKER')
    assert "no longer what" in str(house.done(job)[1])


def test_a_function_cannot_be_changed_while_it_is_read(house: House) -> None:
    job = house.train("ann", "events", "later")
    house.run(None, "UPDATE embsql.jobs SET status = 'running' WHERE job_id = %s", job)
    with psycopg.connect(house.as_("wendy")) as reader:
        ((_, name),) = reader.execute("SELECT * FROM embsql.open_sources(%s)", [job]).fetchall()
        house.run("ann", "SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            house.run("ann", f'ALTER FUNCTION embsql_sources."{name}"(text[]) SECURITY INVOKER')
        reader.rollback()
    house.run(None, "UPDATE embsql.jobs SET status = 'cancelled' WHERE job_id = %s", job)


def test_only_its_worker_may_call_it(house: House) -> None:
    job = house.train("bob", "secret", "bobs", seed=7)
    ((name,),) = house.run(None, "SELECT value FROM embsql.jobs, jsonb_each_text(sources) WHERE job_id = %s", job)
    for who in ("ann", "adam", "wendy"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.run(who, f'SELECT * FROM embsql_sources."{name}"(NULL) AS x (name text, type oid)')
    with pytest.raises(psycopg.Error, match="not for"):
        house.run("ann", "SELECT * FROM embsql.open_sources(%s)", job)
    assert house.done(job)[0] == "done"


def test_one_select_and_no_more(house: House) -> None:
    house.run("ann", "CREATE TABLE IF NOT EXISTS workshop.kept (x integer)")
    for source in (
        "SELECT 1 AS user_id, 2 AS item_id) AS x; DROP TABLE workshop.kept; SELECT * FROM (SELECT 1",
        "SELECT 1 AS user_id; DROP TABLE workshop.kept",
        "DELETE FROM workshop.kept",
        "'); DROP TABLE workshop.kept; --",
        "WITH x AS (DELETE FROM workshop.kept RETURNING 1) SELECT 1 AS user_id, 2 AS item_id",
        "events'), $body$ $embsql$",
    ):
        assert house.done(house.train("ann", source))[0] == "failed"
    assert house.run("ann", "TABLE workshop.kept") == []


def test_names_mean_what_they_mean_to_the_caller(house: House) -> None:
    house.run("bob", "CREATE TABLE workshop.mine AS SELECT user_id, item_id FROM events")
    house.run("bob", "SET search_path = workshop")
    job = house.train("bob", "mine", "bobs", seed=3)
    house.run("bob", "RESET search_path")
    assert house.done(job) == ("done", None)
    assert "does not exist" in str(house.done(house.train("bob", "mine", "bobs", seed=4))[1])


def test_types_come_through(house: House) -> None:
    """Each type a column may have is read as it is where nobody stands between."""
    source = """
        SELECT lpad(item_id::text, 3)::char(5) AS user_id, item_id::numeric(6, 2) AS item_id,
            timestamptz '2026-01-01' + user_id * interval '1 day' AS event_time, 1.5::real AS weight,
            '(1,2)'::point AS p
        FROM events
    """
    with embsql.connect(house.address) as database:
        mine = database.train("direct", source, **QUICK)
        assert house.done(house.train("ann", source, "guarded")) == ("done", None)
        hashes = database.ask("SELECT DISTINCT source_hash FROM embsql.runs WHERE model_name IN ('direct', 'guarded')")
    assert mine.status == "live"
    assert hashes.num_rows == 1


def test_a_schema_that_a_dump_left_behind_is_made_anew(house: House) -> None:
    house.run(None, "DROP SCHEMA embsql_sources CASCADE")
    with embsql.connect(house.address) as database:
        assert database.install()
    assert house.done(house.train("ann", "events", "anew")) == ("done", None)


# --- what stands in an error ---------------------------------------------------------------------

QUOTING = {
    "a cast": "SELECT CAST(user_id AS integer) AS user_id, item_id FROM secret",
    "an id twice": None,
    "a weight": "SELECT user_id, item_id, -1 AS weight FROM secret",
    "an id too long": "SELECT repeat(user_id, 200) AS user_id, item_id FROM secret",
    "text as a weight": "SELECT item_id AS user_id, item_id, user_id AS weight FROM secret",
    "text as a time": "SELECT item_id AS user_id, item_id, user_id AS event_time FROM secret",
}


@pytest.mark.parametrize("what", QUOTING)
def test_no_row_stands_in_an_error_that_others_read(house: House, what: str) -> None:
    if QUOTING[what]:
        job = house.train("bob", QUOTING[what], "bobs")
    else:
        items = "SELECT user_id AS item_id, ARRAY[1, 2] AS embedding FROM secret"
        job = house.ask("bob", "register_embeddings('bobs', %s)", items)
    status, error = house.done(job)
    assert status == "failed"
    assert SECRET not in str(error)
    assert house.run(None, "SELECT 1 FROM embsql.runs AS r WHERE r::text LIKE %s", f"%{SECRET}%") == []


def test_who_trains_sees_the_row_himself(house: House) -> None:
    with embsql.connect(house.as_("bob")) as database, pytest.raises(errors.SourceFailed, match=SECRET):
        database.train("bobs", QUOTING["a cast"], **QUICK)

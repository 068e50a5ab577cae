"""A PostgreSQL database with roles, and people who log in as them."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg import conninfo

import embsql
from embsql.shells import worker

EVENTS = "SELECT i % 7 AS user_id, (i * 3) % 5 AS item_id FROM generate_series(0, 99) AS t (i)"
QUICK = {"dim": 2, "epochs": 1}
SECRET = "hunter2"  # noqa: S105 - what a table holds, nobody's password
ROLES = {
    "ann": "trainer",
    "bob": "trainer",
    "eve": "trainer",
    "rita": "reader",
    "adam": "admin",
    "wendy": "worker",
}
PEOPLE = ", ".join(f"embsql_test_{name}" for name in ROLES)


class House:
    """A database with roles, people who log in, and what one of them asks the worker for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._open: dict[str, psycopg.Connection[Any]] = {}

    def as_(self, name: str | None) -> str:
        return (
            conninfo.make_conninfo(self.address, user=f"embsql_test_{name}")
            if name
            else self.address
        )

    def run(self, name: str | None, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement answers somebody; None is who owns the server."""
        if name not in self._open:
            self._open[name] = psycopg.connect(self.as_(name), autocommit=True)
        cursor = self._open[name].execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def ask(self, name: str | None, call: str, *values: Any) -> int:
        return self.run(name, f"SELECT embsql.{call}", *values)[0][0]

    def train(
        self, name: str | None, source: str, model: str = "m", **options: Any
    ) -> int:
        return self.ask(
            name,
            "train(%s, %s, options => %s)",
            model,
            source,
            json.dumps(QUICK | options),
        )

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
        return self.run(
            None, "SELECT status, error FROM embsql.jobs WHERE job_id = %s", job
        )[0]

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()


def furnish(address: str) -> None:
    """Make the roles and the people, and tables of theirs."""
    with embsql.connect(address) as database:
        database.install(roles=True)
        for name, role in ROLES.items():
            database.engine.run(
                f"CREATE ROLE embsql_test_{name} LOGIN IN ROLE embsql_{role}"
            )
        database.engine.run(f"""
            CREATE TABLE events AS {EVENTS};
            GRANT SELECT ON events TO embsql_trainer;
            CREATE TABLE secret AS SELECT '{SECRET}' || user_id AS user_id, item_id FROM events;
            GRANT SELECT ON secret TO embsql_test_bob;
            CREATE SCHEMA workshop;
            GRANT CREATE, USAGE ON SCHEMA workshop TO embsql_trainer;
        """)


def clear(address: str) -> None:
    """Take the people away: roles are the server's, not the database's."""
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {PEOPLE} CASCADE; DROP ROLE {PEOPLE}")

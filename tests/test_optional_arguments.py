"""Every command as SQL does what it says whichever of its optional arguments are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import embsql
from embsql.api.commands import COMMANDS
from embsql.shells import worker
from embsql.sqlfiles import files
from tests.conftest import ENGINES

EVENTS = (
    "SELECT i % 23 AS user_id, (i * 7 + i / 23) % 13 AS item_id, i AS event_time "
    "FROM generate_series(0, 299) AS t (i)"
)
VECTORS = (
    "SELECT * FROM (VALUES ('a', ARRAY[1.0, 0.0]), ('b', ARRAY[0.0, 1.0])) "
    "AS v ({}, embedding)"
)
DECLARED = re.compile(r"CREATE OR REPLACE (?:MACRO|FUNCTION) embsql\.(\w+)\(([^)]*)\)")
ARGUMENT = re.compile(r"(\w+)(?: [a-z ]+?)?(?: (?:DEFAULT|:=) (.+))?")
GIVEN = {  # what a call says; of what does not stand here, the default
    "model": "m",
    "source": EVENTS,
    "items": VECTORS.format("item_id"),
    "users": VECTORS.format("user_id"),
    "train options": '{"dim": 2, "epochs": 1}',
}
FLAGS = {"materialize": "TRUE"}  # where `users` and `items` are no SELECT


def declared(engine: str) -> dict[str, dict[str, str | None]]:
    """The commands with their arguments and the defaults, as SQL."""
    found: dict[str, dict[str, str | None]] = {}
    for name, arguments in DECLARED.findall(files.read_sql(f"commands/{engine}.sql")):
        if name in COMMANDS:
            parts = [ARGUMENT.fullmatch(part.strip()) for part in arguments.split(",")]
            found[name] = {part[1]: part[2] for part in parts if part}
    return found


def value(command: str, argument: str, default: str | None) -> str:
    if command in FLAGS and argument in ("users", "items"):
        return FLAGS[command]
    text = GIVEN.get(f"{command} {argument}", GIVEN.get(argument))
    return default or "" if text is None else "'" + text.replace("'", "''") + "'"


def calls(engine: str) -> Iterator[tuple[str, str]]:
    """Of every command a call without each optional argument, and one without all."""
    for command, arguments in declared(engine).items():
        optional = [
            name for name, default in arguments.items() if default and name != "items"
        ]
        for left_out in [*([name] for name in optional), optional] if optional else []:
            said = {
                name: value(command, name, default)
                for name, default in arguments.items()
            }
            words = [
                f"{name} => {word}"
                for name, word in said.items()
                if name not in left_out
            ]
            yield command, f"embsql.{command}({', '.join(words)})"


CALLS = [(engine, *call) for engine in ENGINES for call in calls(engine)]


@pytest.fixture(scope="module")
def databases(new_database) -> Iterator[dict[str, embsql.Database]]:
    with (
        embsql.connect(":memory:") as duckdb,
        embsql.connect(new_database()) as postgres,
    ):
        yield {"duckdb": duckdb, "postgres": postgres}


def test_every_command_is_declared_on_every_engine() -> None:
    for engine in ENGINES:
        assert set(declared(engine)) == set(COMMANDS)
    assert len(CALLS) > 20


@pytest.mark.parametrize(
    ("engine", "command", "call"), CALLS, ids=[f"{e}-{c}" for e, c, _ in CALLS]
)
def test_optional_arguments_can_be_left_out(
    databases, engine: str, command: str, call: str
) -> None:
    database = databases[engine]
    if command not in ("train", "register_embeddings"):
        database.train("m", EVENTS, dim=2, epochs=1)
    if command == "refresh":
        database.engine.run(f"CREATE TABLE IF NOT EXISTS later AS {EVENTS}")
        database.watch("m", "later")
    if database.engine.embedded:
        assert database.ask(f"SELECT * FROM {call}").num_rows == 1
        return
    job = database.ask(f"SELECT {call} AS job").to_pylist()[0]["job"]
    worker.run(database.engine.second(), once=True, log=print)
    done = database.ask(
        "SELECT status, error FROM embsql.jobs WHERE job_id = $job", job=job
    ).to_pylist()
    assert done == [{"status": "done", "error": None}]

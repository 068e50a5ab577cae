"""The engines: DuckDB in this process, PostgreSQL, and DuckDB's command, another version of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg

import embsql
from embsql.errors import EmbsqlError
from tests.oracle.compare import Found
from tests.oracle.data import Row

COMMAND = Path(sys.executable).parent / "duckdb"
ERROR = re.compile(r"^(?=[A-Z][\w ]* Error: |Error: )", re.MULTILINE)


class Asked(Protocol):
    """Answers of statements, one after the other."""

    def __call__(self, statements: list[str]) -> Iterator[Found]: ...


def in_process(database: embsql.Database) -> Asked:
    """An open database."""

    def ask(statements: list[str]) -> Iterator[Found]:
        for statement in statements:
            try:
                table = database.ask(statement)
            except (duckdb.Error, psycopg.Error, EmbsqlError) as error:
                yield error
            else:
                yield list(
                    zip(
                        *(column.to_pylist() for column in table.to_arrow().columns),
                        strict=True,
                    )
                )

    return ask


def command(path: Path, client: Path = COMMAND) -> Asked:
    """A file as DuckDB's command reads it, all statements in one process."""

    def ask(statements: list[str]) -> Iterator[Found]:
        script = "".join(
            f".print #{n}\n{statement};\n" for n, statement in enumerate(statements)
        )
        line = [
            client,
            "-readonly",
            "-json",
            "-cmd",
            "SET threads = 1",
            path,
        ]  # small questions
        done = subprocess.run(
            line, input=script, capture_output=True, text=True, check=False
        )
        errors = iter(part.strip() for part in ERROR.split(done.stderr)[1:])
        blocks = re.split(r"^#\d+\n", done.stdout, flags=re.MULTILINE)[1:]
        assert len(blocks) == len(statements), (
            f"{len(blocks)} of {len(statements)} answers: {done.stderr[-500:]}"
        )
        for block in blocks:
            yield (
                _rows(json.loads(block))
                if block.strip()
                else duckdb.Error(next(errors))
            )

    return ask


def _rows(found: Iterable[dict[str, Any]]) -> list[Row]:
    return [tuple(map(_value, row.values())) for row in found]


def _value(value: Any) -> Any:
    """What JSON has as text: a time."""
    if isinstance(value, str) and re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", value
    ):
        return datetime.fromisoformat(value)
    return value

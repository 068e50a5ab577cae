"""One publishes to Spark at a time: a function in its catalog marks who does.

Whoever comes makes one, by a name of its own, and then looks for others. Of two that come at once
the later to look sees the other's, so never do both go on; both may give way. No clock is needed,
and a dead publisher's function is dropped by its own name, which nobody else can have taken.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from embsql.engines import Engine
from embsql.errors import AlreadyPublishing, StatementFailed
from embsql.lifecycle.leases import this_process
from embsql.processes import is_gone
from embsql.sqlfiles import spark as sql
from embsql.sqlfiles.files import statements
from embsql.stopping import unstopped

NAME = re.compile(r"publishing_[0-9a-f]{32}")


@contextmanager
def publishing(there: Engine) -> Iterator[None]:
    """Keep other publishers away while the block runs. Raises AlreadyPublishing."""
    own = f"publishing_{uuid.uuid4().hex}"
    _execute(there, sql.spark_lock(own, json.dumps(this_process() | {"since": _now()})))
    try:
        _give_way(there, own)
        yield
    finally:
        with unstopped():
            _execute(there, sql.spark_unlock(own))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _give_way(there: Engine, own: str) -> None:
    """Drop what dead publishers left. Raises AlreadyPublishing where one may be alive."""
    for name in _names(there):
        holder = None if name == own else _holder(there, name)
        if holder is None:
            continue
        if not is_gone(holder["process"]):
            raise AlreadyPublishing(
                database=there.label, function=name, **_words(holder)
            )
        _execute(there, sql.spark_unlock(name))


def _names(there: Engine) -> list[str]:
    """The functions of publishers."""
    rows = there.rows(statements("spark/statements.sql")["publishing"])
    found = (NAME.search(str(row)) for row in rows)
    return [name[0] for name in found if name]


def _holder(there: Engine, name: str) -> dict[str, Any] | None:
    """Who publishes; None where they have just ended."""
    try:
        rows = there.rows(sql.spark_holder(name))
    except StatementFailed:
        if name in _names(there):
            raise
        return None
    holder: dict[str, Any] = json.loads(rows[0]["holder"])
    return holder


def _words(holder: dict[str, Any]) -> dict[str, Any]:
    return {name: holder[name] for name in ("pid", "host", "since")}


def _execute(there: Engine, script: list[str]) -> None:
    for statement in script:
        there.run(statement)

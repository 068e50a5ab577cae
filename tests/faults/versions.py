"""Versions of a model that every answer gives away: each number in it is the version's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import embsql
from embsql.lifecycle import removal
from tests.worlds import run_of

ITEMS, USERS = 7, 5


@dataclass(frozen=True, slots=True)
class Read:
    """A statement whose every number is the version's."""

    sql: str
    rows: int  # with a number each
    answers: int = 1  # to so many calls of a question


def _listed(letter: str, many: int) -> str:
    """The ids of that many, as rows."""
    return ", ".join(f"('{letter}{n:04d}')" for n in range(many))


PEOPLE = f"(VALUES {_listed('u', USERS)}) AS person (id)"
THINGS = f"(VALUES {_listed('i', ITEMS)}) AS item (id)"
# DuckDB plans every statement anew, which takes longer than answering about many subjects at once.
READS = (
    Read(
        "SELECT score FROM embsql.recommend('m', 'u0001', k => 7, exclude_seen => FALSE)",
        7,
    ),
    Read(
        """
        SELECT best.score
        FROM embsql.recommend('m', 'u0002', k => 3, exclude_seen => FALSE) AS best
        UNION ALL
        SELECT vector.norm FROM embsql.item_embedding('m') AS vector
        """,
        3 + ITEMS,
        2,
    ),
    Read("SELECT score FROM embsql.recommend_users('m', 'i0003', k => 4)", 4),
    Read("SELECT embsql.score('m', 'u0000', 'i0004') AS score", 1),
    Read(
        f"""
        SELECT best.score
        FROM {PEOPLE}
        CROSS JOIN LATERAL embsql.recommend('m', person.id, k => 7, exclude_seen => FALSE) AS best
        """,
        USERS * 7,
        USERS,
    ),
    Read(
        f"""
        SELECT best.score
        FROM {THINGS}
        CROSS JOIN LATERAL embsql.recommend_users('m', item.id, k => 4) AS best
        """,
        ITEMS * 4,
        ITEMS,
    ),
    Read(
        f"SELECT embsql.score('m', person.id, item.id) AS score FROM {PEOPLE} CROSS JOIN {THINGS}",
        USERS * ITEMS,
        USERS * ITEMS,
    ),
)


def version(database: embsql.Database, number: int, model: str = "m") -> None:
    """Write version `number` as that run of a model, and make it live."""
    items = np.zeros((ITEMS, 2), np.float32)  # (7, 2)
    items[:, 0] = number
    users = np.tile(np.float32([1, 0]), (USERS, 1))  # (5, 2)
    run_of(database, number, model, items, users)


def next_move(database: embsql.Database, number: int) -> str:
    """A promotion and retention, or every third time a rollback; what it was."""
    version(database, number)
    removal.collect_garbage(database.engine, "m")
    if number % 3:
        return "promotions"
    database.rollback("m")
    return "rollbacks"


def read(connection: Any, asked: Read) -> list[str]:
    """Ask it; what is wrong with the answer."""
    where = f"in {asked.sql.strip()}"
    try:
        scores = [score for (score,) in connection.execute(asked.sql).fetchall()]
    except Exception as error:
        return [f"{type(error).__name__}: {str(error)[:200]} {where}"]
    if len(scores) != asked.rows or len(set(scores)) != 1:
        return [f"{scores} of several versions {where}"]
    return []

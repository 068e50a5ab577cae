"""Versions of a model that every answer gives away: each number in it is the version's."""

from __future__ import annotations

from typing import Any

import numpy as np

import embsql
from embsql.lifecycle import removal
from tests.worlds import run_of

ITEMS, USERS = 7, 5
READS = {  # what is asked -> how many numbers there are, each the version's
    "SELECT score FROM embsql.recommend('m', 'u0001', k => 7, exclude_seen => FALSE)": 7,
    """
    SELECT best.score
    FROM embsql.recommend('m', 'u0002', k => 3, exclude_seen => FALSE) AS best
    UNION ALL
    SELECT vector.norm FROM embsql.item_embedding('m') AS vector
    """: 3 + ITEMS,
    "SELECT score FROM embsql.recommend_users('m', 'i0003', k => 4)": 4,
    "SELECT embsql.score('m', 'u0000', 'i0004') AS score": 1,
}


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


def read(connection: Any, number: int) -> list[str]:
    """Ask one of the questions; what is wrong with the answer."""
    sql, rows = [*READS.items()][number % len(READS)]
    try:
        scores = [score for (score,) in connection.execute(sql).fetchall()]
    except Exception as error:
        return [f"{type(error).__name__}: {str(error)[:200]} in {sql.strip()}"]
    if len(scores) != rows or len(set(scores)) != 1:
        return [f"{scores} of several versions in {sql.strip()}"]
    return []

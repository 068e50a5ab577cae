"""A few items and users with their answers: what a person can judge."""

from __future__ import annotations

from typing import Any

from embsql.report.subject import Subject, clipped

Rows = list[dict[str, Any]]


def examples(subject: Subject, seed: int) -> dict[str, Any]:
    """Items and users drawn by seed, from the best known to the least, with their answers."""
    return {
        "seed": seed,
        "items": [
            _shown(row, similar=_items(subject, "similar_items", row))
            for row in subject.rows("item_examples", seed=seed)
        ],
        "users": [
            _shown(
                row,
                history=_items(subject, "history_of", row),
                best=_items(subject, "recommend", row),
            )
            for row in subject.rows("user_examples", seed=seed)
        ],
    }


def _items(subject: Subject, statement: str, row: dict[str, Any]) -> Rows:
    """The items that a statement answers with, asked about an example."""
    answer = subject.rows(statement, subject=row["subject"])
    return [item | {"item_id": clipped(item["item_id"])} for item in answer]


def _shown(row: dict[str, Any], **answers: Rows) -> dict[str, Any]:
    """An example as the page shows it."""
    return row | {"subject": clipped(row["subject"])} | answers

"""A few items and users with their answers: what a person can judge."""

from __future__ import annotations

from typing import Any

from embsql.report.subject import Subject


def examples(subject: Subject, seed: int) -> dict[str, Any]:
    """Items and users drawn by seed, from the best known to the least, with their answers."""
    return {
        "seed": seed,
        "items": [
            row | {"similar": subject.rows("similar_items", subject=row["subject"])}
            for row in subject.rows("item_examples", seed=seed)
        ],
        "users": [
            row
            | {
                "history": subject.rows("history_of", subject=row["subject"]),
                "best": subject.rows("recommend", subject=row["subject"]),
            }
            for row in subject.rows("user_examples", seed=seed)
        ],
    }

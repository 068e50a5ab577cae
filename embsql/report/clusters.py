"""Profiles of the clusters."""

from __future__ import annotations

from typing import Any

from embsql.report.subject import ENTITIES, Subject, clipped


def clusters(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """The clusters of items and of users, the largest first; none where none were made."""
    return {entity: _of(subject, entity) for entity in ENTITIES}


def _of(subject: Subject, entity: str) -> list[dict[str, Any]]:
    return [
        row
        | {
            "label": None if _unnamed(row) else clipped(row["label"]),
            "top_ids": [clipped(name) for name in row["top_ids"]],
        }
        for row in subject.rows("clusters", entity=entity)
    ]


def _unnamed(row: dict[str, Any]) -> bool:
    """Whether a cluster goes by its best known members, which stand next to it anyway."""
    return bool(row["label"] == ", ".join(row["top_ids"]))

"""How good it is, and how training went."""

from __future__ import annotations

from typing import Any

from embsql.report.subject import Subject


def quality(subject: Subject) -> list[dict[str, Any]]:
    """What was measured on held-out interactions, a row for each figure."""
    return subject.rows("evaluation")


def curve(subject: Subject) -> list[dict[str, Any]]:
    """A row for each metric and epoch."""
    return subject.rows("training_log")

"""What to do next: what embsql.advice finds, and what a page itself lacks or shows."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from embsql.report.subject import Subject


def advice(subject: Subject, page: dict[str, Any]) -> list[dict[str, str | None]]:
    """Sentences, and a command where one helps: of the run, then of the page's other sections."""
    found = subject.rows("advice")
    for part in (_of_pictures, _of_health):
        rows = part(page)
        found += [{"sentence": words, "command": typed} for words, typed in rows]
    return found


def _of_pictures(page: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    reference = page["model"]["reference"]
    for drawn in filter(itemgetter("points"), page["maps"]):
        if drawn["method"] is None:
            yield (
                f"The map of {drawn['entity']}s was drawn for this page alone; keep one, and "
                "compare it with the next run's.",
                f"embsql project {reference} --entity {drawn['entity']}",
            )
        if not page["clusters"][drawn["entity"]]:
            yield (
                f"No clusters of {drawn['entity']}s were made, so nothing says which groups "
                "there are.",
                f"embsql cluster {reference} --entity {drawn['entity']}",
            )


def _of_health(page: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for row in page["health"]["checks"]:
        if row["ok"] is False:
            yield (
                f"{row['name']} of {row['entity']}s is {row['value']:.4g}, with a bound of "
                f"{row['threshold']:.4g}: the section on health says what that means.",
                None,
            )

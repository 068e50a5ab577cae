"""What to do next, each with the figure or the fact behind it, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

TEST = (
    "Nobody measured how good this run is. Its vectors were not trained here, so nothing can be "
    "held out: give embsql evaluate a --test of yours, a table of user_id and item_id."
)


def advice(page: dict[str, Any]) -> list[dict[str, str | None]]:
    """Sentences, and a command where one helps, of what the other sections hold."""
    return [
        {"sentence": sentence, "command": command}
        for part in (_of_run, _of_source, _of_quality, _of_pictures, _of_health)
        for sentence, command in part(page)
    ]


def _of_run(page: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    model = page["model"]
    reference, gate = model["reference"], model["gate"]
    if model["status"] != "live":
        refused = f": {gate['reason']}" if gate and gate["reason"] else ""
        yield (
            f"Run {model['run_id']} is not live{refused}. Make it live if you trust it:",
            f"embsql promote {reference}",
        )


def _of_source(page: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for row in page["validation"]:
        if row["severity"] in {"error", "warning"} and row["hint"]:
            yield f"The source: {row['name']} ({row['rows']} rows). {row['hint']}", None


def _of_quality(page: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    figures, model = page["quality"], page["model"]
    if not figures and model["evaluate"]:
        yield "Nobody measured how good this run is. Measure it:", model["evaluate"]
    if not figures and model["registered"] and model["users"]:
        yield TEST, None
    for split, rows in groupby(figures, itemgetter("split")):
        for sentence in _beaten(split, list(rows)):
            yield sentence, "embsql algorithms"


def _beaten(split: str, figures: list[dict[str, Any]]) -> Iterator[str]:
    """What says that a baseline is better on a split."""
    main = _headline(figures)
    if main is None:
        return
    named = f"{main['metric']}@{main['k']} of {main['value']:.4f} (split {split})"
    for rival, what in (("popular", "what is popular"), ("itemknn", "item-kNN")):
        other = main[f"{rival}_value"]
        if other is not None and (main["ci_high"] or main["value"]) < other:
            yield (
                f"{named} is below that of {what}, {other:.4f}: try other options, or "
                "another algorithm:"
            )


def _headline(figures: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The figure by which a split is judged: ndcg over all users at the shortest list."""
    return next(
        (
            row
            for row in figures
            if row["segment"] == "all"
            and row["metric"] == "ndcg"
            and row["value"] is not None
        ),
        None,
    )


def _of_pictures(page: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    reference = page["model"]["reference"]
    for drawn in filter(itemgetter("points"), page["maps"]):
        if drawn["method"] is None:
            yield (
                f"The map of {drawn['entity']}s was drawn for this page alone; keep one, and "
                "compare it with the next run's:",
                f"embsql project {reference} --entity {drawn['entity']}",
            )
        if not page["clusters"][drawn["entity"]]:
            yield (
                f"No clusters of {drawn['entity']}s were made, so nothing says which groups "
                "there are:",
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

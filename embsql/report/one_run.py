"""What the page about one run says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embsql.report.advice import advice
from embsql.report.clusters import clusters
from embsql.report.drift import drift, shifts
from embsql.report.examples import examples
from embsql.report.health import health
from embsql.report.model import run_before, run_facts
from embsql.report.points import own_chart, points
from embsql.report.quality import curve, quality
from embsql.report.subject import ENTITIES, Subject, clipped


def one_run(about: Subject, labels: Mapping[str, str], seed: int) -> dict[str, Any]:
    """What the page says, by section; `labels` are what items are called."""
    sides = [side for entity in ENTITIES if (side := points(about, entity))]
    data: dict[str, Any] = {"model": run_facts(about)}
    before = run_before(data["model"])
    data |= {
        "quality": quality(about),
        "curve": curve(about),
        "maps": [own_chart(side, labels) for side in sides],
        "clusters": clusters(about),
        "drift": drift(before, shifts(about, before)),
        "health": health(about, sides),
        "examples": examples(about, seed),
        "validation": about.rows("validation"),
    }
    cut = {clipped(name): clipped(label) for name, label in labels.items()}
    return data | {"next": advice(about, data), "labels": _mentioned(data, cut)}


def _mentioned(data: Mapping[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """The labels of the items that are named outside the map."""
    items, users = data["examples"]["items"], data["examples"]["users"]
    names = {row["subject"] for row in items}
    names |= {near["item_id"] for row in items for near in row["similar"]}
    names |= {near["item_id"] for row in users for near in row["history"] + row["best"]}
    names |= {row["entity_id"] for row in data["drift"].get("movers", ())}
    names |= {name for row in data["clusters"]["item"] for name in row["top_ids"]}
    return {name: labels[name] for name in sorted(names & labels.keys())}

"""What the page about two runs says: the first, a, is what the second, b, is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from embsql.errors import NothingShared, SameRun
from embsql.lifecycle.paired import Paired
from embsql.report.aligned_maps import aligned_charts
from embsql.report.changed_answers import changed_answers
from embsql.report.clusters import clusters
from embsql.report.drift import drift, of_kind, shifts
from embsql.report.model import run_facts
from embsql.report.points import points
from embsql.report.subject import ENTITIES, Subject, clipped

FACTS = (
    *("algorithm", "dim", "similarity", "seed", "users", "items", "interactions"),
    *("source_sql", "started_at", "finished_at", "phase_seconds"),
)


def two_runs(
    a: Subject, b: Subject, labels: Mapping[str, str], seed: int, paired: Paired | None
) -> dict[str, Any]:
    """What the page says, by section; `labels` are what items are called."""
    before = a.reference
    moved = shifts(b, before)
    pairs = [
        (earlier, own)
        for entity in ENTITIES
        if (earlier := points(a, entity)) and (own := points(b, entity))
    ]
    kinds = {entity: of_kind(moved, entity) for entity in ENTITIES} if moved else {}
    models = [run_facts(one) for one in (a, b)]
    data = {
        "model": models[1],
        "earlier": models[0],
        "figures": b.rows("compared", before=before),
        "gate": _gate(a, b),
        "paired": paired and asdict(paired),
        "answers": changed_answers(b, before, seed),
        "maps": aligned_charts(pairs, labels, kinds),
        "clusters": clusters(b),
        "drift": drift(before, moved),
        "options": _differing(*models),
    }
    cut = {clipped(name): clipped(label) for name, label in labels.items()}
    return data | {"labels": _mentioned(data, cut)}


def check_comparable(a: Subject, b: Subject) -> None:
    """Raises SameRun and NothingShared."""
    if a.record["run_id"] == b.record["run_id"]:
        raise SameRun(reference=b.reference, name=b.name)
    if not b.rows("shared", before=a.reference):
        raise NothingShared(a=a.reference, b=b.reference)


def _gate(a: Subject, b: Subject) -> dict[str, Any] | None:
    """What a gate found of the two when one was to replace the other; none where none did."""
    found = b.rows("gated", before=a.reference) or a.rows("gated", before=b.reference)
    return next(iter(found), None)


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """Facts and options of which the two have another value, or only one has."""
    sides = [
        {name: one[name] for name in FACTS} | one["params"] | _versions(one)
        for one in (a, b)
    ]
    names = dict.fromkeys(name for side in sides for name in side)
    return [
        {"name": name, "a": sides[0].get(name), "b": sides[1].get(name)}
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def _versions(facts: dict[str, Any]) -> dict[str, Any]:
    return {f"version of {name}": number for name, number in facts["versions"].items()}


def _mentioned(data: Mapping[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """The labels of the items that are named outside the map."""
    names = {row["entity_id"] for row in data["drift"].get("movers", ())}
    for side in data["answers"]["sides"]:
        for one in side["examples"]:
            names |= {*one["a"], *one["b"]}
            names |= {one["subject"]} if side["entity"] == "item" else set()
    return {name: labels[name] for name in sorted(names & labels.keys())}

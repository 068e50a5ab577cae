"""The page: every section in one file of HTML, which opens anywhere and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from embsql.derived.labels import read_labels
from embsql.engines import Engine
from embsql.errors import ReportNotWritten
from embsql.options import shown
from embsql.report.advice import advice
from embsql.report.clusters import clusters
from embsql.report.drift import drift
from embsql.report.examples import examples
from embsql.report.health import health
from embsql.report.model import run_before, run_facts
from embsql.report.points import chart, points
from embsql.report.quality import curve, quality
from embsql.report.subject import ENTITIES, Subject, clipped, subject
from embsql.sources.source import Source

SUFFIXES = (".html", ".htm")
FOLDER = Path(__file__).parent
SCRIPTS = ("vendor/d3.min.js", "elements.js", "charts.js", "map.js", "page.js")


@dataclass(frozen=True, slots=True)
class Report:
    """What was written."""

    run_id: int
    path: str
    bytes: int
    points: int  # on its maps


def write(
    engine: Engine, reference: str, path: str, *, labels: Source | None, seed: int
) -> Report:
    """Write the page about a run; nothing is written into the database.

    Raises ReportNotWritten, UnknownModel, UnknownRun, NoLiveRun, RunNotReady and StillHolds, and
    what reading the labels of items raises.
    """
    _check_path(path)
    about = subject(engine, reference)
    called = read_labels(engine, labels, "item_labels") if labels else ((), ())
    data = sections(about, dict(zip(*called, strict=True)), seed=seed)
    text = rendered(data)
    _replace(Path(path), text)
    return Report(
        int(about.record["run_id"]),
        path,
        len(text.encode()),
        sum(drawn["points"] for drawn in data["maps"]),
    )


def _check_path(path: str) -> None:
    """Refuse what is no page: a database, a table of data. Raises ReportNotWritten."""
    if Path(path).suffix.lower() not in SUFFIXES:
        reason = f"its name must end with {' or '.join(SUFFIXES)}"
        raise ReportNotWritten(path=shown(path), reason=reason)


def _replace(path: Path, text: str) -> None:
    """Write a file that is there entirely, or as it was. Raises ReportNotWritten."""
    draft = path.with_name(f"{path.name}.draft")
    try:
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ReportNotWritten(path=shown(str(path)), reason=reason) from None


def sections(about: Subject, labels: Mapping[str, str], *, seed: int) -> dict[str, Any]:
    """What the page says, by section; `labels` are what items are called."""
    sides = [side for entity in ENTITIES if (side := points(about, entity))]
    data: dict[str, Any] = {"model": run_facts(about)}
    data |= {
        "quality": quality(about),
        "curve": curve(about),
        "maps": [chart(side, labels) for side in sides],
        "clusters": clusters(about),
        "drift": drift(about, run_before(data["model"])),
        "health": health(about, sides),
        "examples": examples(about, seed),
        "validation": about.rows("validation"),
    }
    cut = {clipped(name): clipped(label) for name, label in labels.items()}
    return data | {"next": advice(data), "labels": _mentioned(data, cut)}


def _mentioned(data: Mapping[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """The labels of the items that are named outside the map."""
    items, users = data["examples"]["items"], data["examples"]["users"]
    names = {row["subject"] for row in items}
    names |= {near["item_id"] for row in items for near in row["similar"]}
    names |= {near["item_id"] for row in users for near in row["history"] + row["best"]}
    names |= {row["entity_id"] for row in data["drift"].get("movers", ())}
    names |= {name for row in data["clusters"]["item"] for name in row["top_ids"]}
    return {name: labels[name] for name in sorted(names & labels.keys())}


def rendered(data: Mapping[str, Any]) -> str:
    """The file: the data as JSON that cannot close its element, and what draws them.

    Its policy lets run only the scripts that stand in it, and lets nothing be fetched.
    """
    # here: it takes long to load
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
    )
    scripts = [_read(name) for name in SCRIPTS]
    style = _read("page.css")
    return environment.get_template("page.html.j2").render(
        title=data["model"]["reference"],
        data=_json(data),
        style=style,
        scripts=scripts,
        script_hashes=" ".join(map(_hash, scripts)),
        style_hash=_hash(style),
    )


@cache
def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a policy calls a script or style by."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _json(data: Any) -> str:
    """JSON for an element of a page: nothing in it is a tag."""
    text = json.dumps(_plain(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _plain(value: Any) -> Any:
    """A value of JSON; a number that is none is null."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat(" ", "seconds") if isinstance(value, datetime) else value

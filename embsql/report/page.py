"""The page: every section in one file of HTML, which opens anywhere and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from embsql import palette
from embsql.derived.labels import names_of
from embsql.engines import Engine
from embsql.errors import InvalidArgument, ReportNotWritten
from embsql.lifecycle.paired import Paired, paired_anew, paired_on_test
from embsql.options import shown
from embsql.report.one_run import one_run
from embsql.report.subject import Subject, subject
from embsql.report.two_runs import check_comparable, two_runs
from embsql.sources.source import Source

SUFFIXES = (".html", ".htm")
FOLDER = Path(__file__).parent
SCRIPTS = (
    *("vendor/d3.min.js", "elements.js", "charts.js", "map.js"),
    *("one_run.js", "two_runs.js", "page.js"),
)


PALETTE = {"rest": palette.REST, "categories": list(palette.CATEGORIES)}


@dataclass(frozen=True, slots=True)
class Report:
    """What was written."""

    run_id: int
    compared_run: int | None  # with which the run is compared
    path: str
    bytes: int
    points: int  # on its maps


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a page is made with."""

    labels: Source | None = None  # what items are called
    seed: int  # draws the examples
    # of two runs: what both are asked about, for intervals of differences
    test: Source | None = None
    evaluate: bool = False  # of two runs: both are trained anew on a part, and asked


def write(engine: Engine, models: Sequence[str], path: str, wanted: Wanted) -> Report:
    """Write the page about a run, or about two; nothing is written into the database.

    Raises ReportNotWritten, InvalidArgument, UnknownModel, UnknownRun, NoLiveRun, RunNotReady and
    StillHolds, what reading the labels of items raises, and of two runs SameRun, NothingShared and
    what asking them anew raises.
    """
    _check_path(path)
    _check_models(models, wanted)
    *earlier, about = (subject(engine, model) for model in models)
    labels = names_of(engine, wanted.labels, "item_labels")
    if earlier:
        data = _compared(earlier[0], about, labels, wanted)
    else:
        data = one_run(about, labels, wanted.seed)
    text = rendered(data)
    _replace(Path(path), text)
    return Report(
        int(about.record["run_id"]),
        int(earlier[0].record["run_id"]) if earlier else None,
        path,
        len(text.encode()),
        sum(drawn["points"] for drawn in data["maps"]),
    )


def _compared(
    a: Subject, b: Subject, labels: Mapping[str, str], wanted: Wanted
) -> dict[str, Any]:
    """What the page about two runs says. Raises SameRun and NothingShared."""
    check_comparable(a, b)
    return two_runs(a, b, labels, wanted.seed, _paired(a, b, wanted))


def _check_models(models: Sequence[str], wanted: Wanted) -> None:
    """Raises InvalidArgument."""
    if len(models) not in {1, 2}:
        allowed = "one run, or two that are compared"
        raise InvalidArgument(name="models", allowed=allowed, value=str(len(models)))
    asked = wanted.test is not None, wanted.evaluate
    if any(asked) and len(models) == 1:
        allowed = "left out with one run: they compare two"
        raise InvalidArgument(
            name="test and evaluate", allowed=allowed, value="one run"
        )
    if all(asked):
        allowed = "given one without the other: they are two ways to ask both runs"
        raise InvalidArgument(name="test and evaluate", allowed=allowed, value="both")


def _paired(a: Subject, b: Subject, wanted: Wanted) -> Paired | None:
    """What two runs answer about the same pairs, where that was asked for."""
    if wanted.test is not None:
        return paired_on_test(b.engine, a.record, b.record, wanted.test)
    return paired_anew(b.engine, a.record, b.record) if wanted.evaluate else None


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
        run=data["model"]["reference"],
        earlier=data.get("earlier", {}).get("reference"),
        data=_json({**data, "palette": PALETTE}),
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

"""From the caller's SELECT to coded interactions, with a report of what was found on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Events, Interactions
from embsql.engines import Engine
from embsql.engines.columns import quote
from embsql.errors import (
    BadWeights,
    EmbsqlError,
    IdTooLong,
    InvalidArgument,
    NoRows,
    SourceFailed,
)
from embsql.options import shown
from embsql.run import Columns, Run
from embsql.sources.columns import LARGEST, id_text, nul_byte
from embsql.sources.findings import Finding, of_ids, of_order, of_pairs, of_rows
from embsql.sources.source import Given, Source, of_table, reading
from embsql.sqlfiles import files, render

LONGEST_ID = 1024  # bytes; an index entry of PostgreSQL holds no more than about 2,700
QUERIES = ("source_summary", "users", "items", "alike_users", "alike_items")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source as read: its interactions, unless its rows have a problem, and what was found."""

    data: Interactions | None
    findings: list[Finding]
    problem: EmbsqlError | None = None

    def interactions(self) -> Interactions:
        """The interactions.

        Raises what is wrong with the rows: NoRows, BadWeights, IdTooLong or NulByte.
        """
        if self.data is None:
            raise self.problem or EmbsqlError(message="the source could not be read")
        return self.data


def prepare(
    engine: Engine,
    source: Source,
    columns: Columns,
    run: Run,
    *,
    explicit: bool,
    ordered: bool = False,
) -> Prepared:
    """Read a source: evaluate it once, check it, code its ids, put its pairs in order.

    With `ordered` its events too.

    Raises NotASelect, SourceFailed, UnknownFormat, MissingColumn, BadColumnType or InexactId when
    it cannot be read at all; what is wrong with the rows themselves comes back as `problem`, beside
    the report.
    """
    with reading(engine, source) as (reader, text):
        facts, tables = _read(reader, text, columns, explicit=explicit, ordered=ordered)
    summary = tables["source_summary"].to_pylist()[0]
    findings = [*of_rows(summary, explicit), *of_ids(tables)]
    problem = _problem(summary, tables, facts, run.model_name)
    if problem:
        in_memory = isinstance(source, Given) and source.table is not None
        return Prepared(None, findings, of_table(problem) if in_memory else problem)
    data = _interactions(tables, run, explicit=explicit, has_time=facts["has_time"])
    endless = ~np.isfinite(data.weight)  # (n,)
    if endless.any():
        return Prepared(
            None, findings, _too_much(source, endless, facts, run.model_name)
        )
    if ordered:
        data = replace(data, events=_events(data, tables["pairs"]))
        findings.append(of_order(data))
    return Prepared(data, [*findings, *of_pairs(data, len(tables["pairs"]))])


def _read(
    engine: Engine, text: str, columns: Columns, *, explicit: bool, ordered: bool
) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """What is known of a source, and its tables.

    Where a guess about a file's types fails, all rows decide them.
    """
    facts = engine.source(text, columns, explicit=explicit)
    names = facts["names"]
    if names["user"] == names["item"]:
        allowed = "another column than that of users"
        raise InvalidArgument(
            name="item_col", allowed=allowed, value=shown(names["item"])
        )
    try:
        return facts, _tables(engine, facts, ordered=ordered)
    except SourceFailed:
        if not facts["guessed"]:
            raise
    facts = engine.source(text, columns, explicit=explicit, whole=True)
    return facts, _tables(engine, facts, ordered=ordered)


def _tables(
    engine: Engine, facts: dict[str, Any], *, ordered: bool
) -> dict[str, pa.Table]:
    """The summary, the vocabularies and the coded rows of a source."""
    statements = files.statements("prepare/statements.sql")
    now = int(time.time() * 1e6) if facts["clock"] else 2**62  # an order has no future
    queries = {name: statements[name] for name in QUERIES} | {
        "pairs": statements["events" if ordered else "pairs"]
    }
    select, script = (
        render.render_stage("source", facts),
        render.render_stage("coded", facts),
    )
    return engine.read(
        select,
        script,
        queries,
        files.read_sql("prepare/done.sql"),
        source_summary={"now": now},
    )


def _problem(
    summary: dict[str, Any],
    tables: dict[str, pa.Table],
    facts: dict[str, Any],
    model: str,
) -> EmbsqlError | None:
    """What makes training impossible, worst first."""
    names, signs = facts["names"], summary["negative"] and not facts["explicit"]
    if summary["infinite"] or signs:
        return _bad_weights(summary, quote(names["weight"]), bool(signs), model)
    if not len(tables["pairs"]):
        return NoRows(
            found=f"{summary['rows']} rows, none of them with two ids and a weight",
            model=model,
        )
    for entity in ("user", "item"):
        ids = tables[f"{entity}s"]["id"]
        lengths = pc.binary_length(ids).to_numpy()  # (n,) bytes
        if lengths.max() > LONGEST_ID:
            start, name = ids[int(lengths.argmax())].as_py()[:20], quote(names[entity])
            return IdTooLong(
                entity=entity,
                start=start,
                length=int(lengths.max()),
                limit=LONGEST_ID,
                remedy=f"md5({name}) AS {name}",
                shared={"start": ""},
            )
        found = nul_byte(ids, names[entity])
        if found:
            return found
    return None


def _bad_weights(
    summary: dict[str, Any], column: str, signs: bool, model: str
) -> BadWeights:
    """The worst of what is wrong with weights, and what leaves all such rows out."""
    finite, positive = (
        f"abs({column}) <= {LARGEST:g}" if summary["infinite"] else "",
        f"{column} > 0" if signs else "",
    )
    which, kind = (
        ("infinite", "not finite") if summary["infinite"] else ("negative", "negative")
    )
    return BadWeights(
        rows=summary[which],
        kind=kind,
        example=summary[f"{which}_example"],
        model=model,
        remedy="WHERE " + " AND ".join(filter(None, (finite, positive))),
        shared={"example": "some in the report"},
    )


def _too_much(
    source: Source, endless: Any, facts: dict[str, Any], model: str
) -> EmbsqlError:
    """The error for pairs whose rows add up to more than a float holds."""
    column = quote(facts["names"]["weight"])
    error = BadWeights(
        rows=int(endless.sum()),
        kind="not finite once the rows of a pair are added up",
        example=f"more than {LARGEST:g}",
        model=model,
        remedy=f"WHERE abs({column}) <= 1e30",
    )
    in_memory = isinstance(source, Given) and source.table is not None
    return of_table(error) if in_memory else error


def _interactions(
    tables: dict[str, pa.Table], run: Run, *, explicit: bool, has_time: bool
) -> Interactions:
    """The coded rows (n,) of the source as ordered pairs."""
    # here: asking does not need it
    from embsql.numeric.aggregate import by_pair

    pairs, users, items = (
        tables["pairs"],
        id_text(tables["users"]["id"]),
        id_text(tables["items"]["id"]),
    )
    # a column of NULLs tells no order
    timed = has_time and pairs["event_time"].null_count < len(pairs)
    with np.errstate(over="ignore"):  # a sum that is too much for a float is looked for
        columns = by_pair(
            pairs["user"].to_numpy(),
            pairs["item"].to_numpy(),
            pairs["weight"].to_numpy(),
            _times(pairs) if timed else None,
            (len(users), len(items)),
            run,
            average=explicit,
        )
    return Interactions(*columns, users, items)


def _events(data: Interactions, rows: pa.Table) -> Events:
    """The rows (m,) of the source, in order of user and time, as events of the pairs."""
    keys = data.user * np.int64(data.n_items) + data.item  # (n,) ascending
    wanted = (
        rows["user"].to_numpy() * np.int64(data.n_items) + rows["item"].to_numpy()
    )  # (m,)
    pair = np.searchsorted(keys, wanted).astype(np.int32)  # (m,)
    return Events(
        pair,
        rows["weight"].to_numpy().astype(np.float32),
        None if data.time is None else _times(rows),
    )


def _times(pairs: pa.Table) -> Any:
    """Times (n,) int64; a row without one counts as older than all others."""
    column = pairs["event_time"]
    if not column.null_count:
        return column.to_numpy()
    oldest = int(column.drop_null().to_numpy().min())
    return column.fill_null(max(oldest - 1, np.iinfo(np.int64).min)).to_numpy()

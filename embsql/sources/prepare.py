"""From the caller's SELECT to coded interactions, with a report of what was found on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
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
    SourceWithoutTimes,
)
from embsql.freed import give_back
from embsql.options import shown
from embsql.run import Columns, Run
from embsql.sources.coding import CodedRows, Rows, code, read_rows, summary
from embsql.sources.columns import LARGEST, nul_byte
from embsql.sources.findings import Finding, of_ids, of_order, of_pairs, of_rows
from embsql.sources.source import Given, Source, of_table, reading

LONGEST_ID = 1024  # bytes; an index entry of PostgreSQL holds no more than about 2,700


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
    since: int | None = None,
) -> Prepared:
    """Read a source: evaluate it once, check it, code its ids, put its pairs in order.

    With `ordered` its events too. `since` leaves out what is no newer, and what is yet to come.

    Raises NotASelect, SourceFailed, UnknownFormat, MissingColumn, BadColumnType or InexactId when
    it cannot be read at all, SourceWithoutTimes where it has none to be newer by; what is wrong
    with the rows themselves comes back as `problem`, beside the report.
    """
    with reading(engine, source) as (reader, text):
        facts, rows = _read(reader, text, columns, explicit=explicit, since=since)
    # an order has no future
    found = summary(rows, _now() if facts["clock"] else 2**62)
    coded = code(rows, explicit=explicit)
    del rows
    give_back()
    findings = [*of_rows(found, explicit), *of_ids(coded.ids)]
    problem = _problem(found, coded, facts, run.model_name)
    if problem:
        in_memory = isinstance(source, Given) and source.table is not None
        return Prepared(None, findings, of_table(problem) if in_memory else problem)
    data = _interactions(coded, run, explicit=explicit)
    endless = ~np.isfinite(data.weight)  # (n,)
    if endless.any():
        return Prepared(
            None, findings, _too_much(source, endless, facts, run.model_name)
        )
    if ordered:
        data = replace(data, events=_events(data, coded))
        findings.append(of_order(data))
    return Prepared(data, [*findings, *of_pairs(data, len(coded))])


def _now() -> int:
    """Microseconds since 1970."""
    return int(time.time() * 1e6)


def _read(
    engine: Engine, text: str, columns: Columns, *, explicit: bool, since: int | None
) -> tuple[dict[str, Any], Rows]:
    """What is known of a source, and its rows.

    Where a guess about a file's types fails, all rows decide them.
    """
    facts = engine.source(text, columns, explicit=explicit)
    names = facts["names"]
    if names["user"] == names["item"]:
        allowed = "another column than that of users"
        raise InvalidArgument(
            name="item_col", allowed=allowed, value=shown(names["item"])
        )
    if since is not None and not facts["has_time"]:
        raise SourceWithoutTimes
    newer = {"since": since, "now": _now()}
    try:
        return facts, read_rows(engine, facts | newer)
    except SourceFailed:
        if not facts["guessed"]:
            raise
    facts = engine.source(text, columns, explicit=explicit, whole=True)
    return facts, read_rows(engine, facts | newer)


def _problem(
    summary: dict[str, Any], coded: CodedRows, facts: dict[str, Any], model: str
) -> EmbsqlError | None:
    """What makes training impossible, worst first."""
    names, signs = facts["names"], summary["negative"] and not facts["explicit"]
    if summary["infinite"] or signs:
        return _bad_weights(summary, quote(names["weight"]), bool(signs), model)
    if not len(coded):
        return NoRows(
            found=f"{summary['rows']} rows, none of them with two ids and a weight",
            model=model,
        )
    for entity, ids in coded.ids.items():
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


def _interactions(coded: CodedRows, run: Run, *, explicit: bool) -> Interactions:
    """The coded rows (n,) of the source as ordered pairs."""
    # here: asking does not need it
    from embsql.numeric.aggregate import by_pair

    users, items = coded.ids["user"], coded.ids["item"]
    with np.errstate(over="ignore"):  # a sum that is too much for a float is looked for
        columns = by_pair(
            coded.user,
            coded.item,
            coded.weight,
            coded.time,
            (len(users), len(items)),
            run,
            average=explicit,
        )
    return Interactions(*columns, users, items)


def _events(data: Interactions, coded: CodedRows) -> Events:
    """The coded rows (n,) as events of the pairs: of each user's by time, equals as they came."""
    order = np.lexsort(
        (coded.user,) if coded.time is None else (coded.time, coded.user)
    )  # (n,)
    user, item = coded.user[order], coded.item[order]
    keys = data.user * np.int64(data.n_items) + data.item  # (pairs,) ascending
    pair = np.searchsorted(keys, user * np.int64(data.n_items) + item)  # (n,)
    weight = np.ones(len(order)) if coded.weight is None else coded.weight[order]
    time = None if coded.time is None else coded.time[order]
    return Events(pair.astype(np.int32), weight.astype(np.float32), time)

"""From the caller's SELECT to coded interactions, with a report of what was found on the way."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embsql.data import Events, Interactions
from embsql.engines import Engine
from embsql.errors import (
    EmbsqlError,
    InvalidArgument,
    NoRows,
    SourceFailed,
    SourceWithoutTimes,
)
from embsql.freed import give_back
from embsql.options import shown
from embsql.run import Columns, Run
from embsql.sources.coding import CodedRows, Rows, code, read_rows, summary
from embsql.sources.findings import (
    MISSING_WEIGHT,
    Finding,
    id_facts,
    of_ids,
    of_order,
    of_pairs,
    of_rows,
    pair_facts,
)
from embsql.sources.problems import find_problem, too_much
from embsql.sources.source import Given, Source, of_table, reading
from embsql.sqlfiles import render


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

    def some(self) -> Interactions | None:
        """The interactions; None where no row can be used. Raises what else is wrong with them."""
        return None if isinstance(self.problem, NoRows) else self.interactions()

    @property
    def without_weight(self) -> int:
        """Number of rows that were left out for want of a weight."""
        return sum(
            one.affected for one in self.findings if one.check_name == MISSING_WEIGHT
        )


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
    with the rows themselves comes back as `problem`, with the report.
    """
    with reading(engine, source) as (reader, text):
        facts, rows = _read(reader, text, columns, explicit=explicit, since=since)
    found = summary(rows, moment(facts))
    coded = code(rows, explicit=explicit)
    del rows
    give_back()
    ids = {entity: id_facts(texts) for entity, texts in coded.ids.items()}
    findings = [*of_rows(found, explicit), *of_ids(ids)]
    problem = find_problem(found, len(coded), ids, facts, run.model_name)
    if problem:
        return Prepared(None, findings, _of_source(problem, source))
    data = _interactions(coded, run, explicit=explicit)
    endless = int((~np.isfinite(data.weight)).sum())
    if endless:
        problem = too_much(endless, facts, run.model_name)
        return Prepared(None, findings, _of_source(problem, source))
    if ordered:
        data = replace(data, events=_events(data, coded))
        findings.append(of_order(data))
    return Prepared(data, [*findings, *of_pairs(pair_facts(data, len(coded)))])


def _of_source(problem: EmbsqlError, source: Source) -> EmbsqlError:
    """A problem with a source's rows, its remedy as that source is written."""
    in_memory = isinstance(source, Given) and source.table is not None
    return of_table(problem) if in_memory else problem


def moment(facts: dict[str, Any]) -> int:
    """Now, in the unit of a source's times; an order has no future."""
    return int(time.time() * 1e6) if facts["clock"] else 2**62


def known_of_source(
    engine: Engine, text: str, columns: Columns, *, explicit: bool
) -> dict[str, Any]:
    """What an engine knows of a source; see `Engine.source`.

    Raises NotASelect, SourceFailed, UnknownFormat, MissingColumn, BadColumnType, or InvalidArgument
    where users and items are one column.
    """
    facts = engine.source(text, columns, explicit=explicit)
    names = facts["names"]
    if names["user"] == names["item"]:
        allowed = "another column than that of users"
        raise InvalidArgument(
            name="item_col", allowed=allowed, value=shown(names["item"])
        )
    return facts


def _read(
    engine: Engine, text: str, columns: Columns, *, explicit: bool, since: int | None
) -> tuple[dict[str, Any], Rows]:
    """What is known of a source, and its rows.

    Where a guess about a file's types fails, all rows decide them.
    """
    facts = known_of_source(engine, text, columns, explicit=explicit)
    if since is not None and not facts["has_time"]:
        raise SourceWithoutTimes
    newer = {"since": since, "now": moment(facts)}
    try:
        return facts, read_rows(engine, facts | newer)
    except SourceFailed:
        if not facts["guessed"]:
            raise
    facts = engine.source(text, columns, explicit=explicit, whole=True)
    return facts, read_rows(engine, facts | newer)


def has_times(engine: Engine, source: Source, columns: Columns) -> bool:
    """Whether a source has a column of times; one that cannot be read has none."""
    with suppress(EmbsqlError), reading(engine, source) as (reader, text):
        known = known_of_source(reader, text, columns, explicit=True)
        return bool(known["has_time"])
    return False


def newest_time(engine: Engine, source: Source, columns: Columns) -> int | None:
    """The newest time of a source, of those that have come; None where it has no rows.

    Raises what `prepare` raises for what cannot be read, and for a source without times.
    """
    with reading(engine, source) as (reader, text):
        facts = known_of_source(reader, text, columns, explicit=False)
        if not facts["has_time"]:
            raise SourceWithoutTimes
        asked = render.render_stage("newest", facts | {"now": moment(facts)})
        with closing(reader.batches(asked, ["newest"])) as batches:
            found = [time for batch in batches for time in batch["newest"].to_pylist()]
    return next(iter(found), None)


def _interactions(coded: CodedRows, run: Run, *, explicit: bool) -> Interactions:
    """The coded rows (n,) of the source as ordered pairs."""
    # here: asking does not need it
    from embsql.numeric.aggregate import by_pair

    users = coded.ids["user"]
    items = coded.ids["item"]
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
    user = coded.user[order]
    item = coded.item[order]
    keys = data.user * np.int64(data.n_items) + data.item  # (pairs,) ascending
    pair = np.searchsorted(keys, user * np.int64(data.n_items) + item)  # (n,)
    weight = np.ones(len(order)) if coded.weight is None else coded.weight[order]
    time = None if coded.time is None else coded.time[order]
    return Events(pair.astype(np.int32), weight.astype(np.float32), time)

"""A test of the caller's own that asks what comes next: prefixes and targets, or whole sessions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import one_array
from embsql.data import Int64, Interactions
from embsql.engines import Engine
from embsql.engines.columns import need
from embsql.errors import BadColumnType, MissingColumn, NoRows, NotEvaluated
from embsql.evaluation.sessions import Mask, Sessions, sessions
from embsql.evaluation.splits import NEXT, TEST, Split, left_out
from embsql.lifecycle.loaded import Loaded, joined, keys
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare
from embsql.sources.source import Given, Source, reading

NAME = f"{TEST}+{NEXT}"  # what figures on it are filed under
PREFIX, TARGET, TIMES = "prefix", "target", "times"
# of the table of events that prefixes and targets are made into
EVENTS = Columns(user="row", item=PREFIX, time="position")
MISSING_TIMES = "missing time"  # the finding about rows without one


@dataclass(frozen=True, slots=True)
class SessionTest:
    """Sessions, and which of their events are asked about, each from those before it."""

    data: Interactions  # users are sessions; with events
    asked: Mask  # (events,)
    facts: dict[str, int]

    def checksum(self) -> str:
        """Of everything that is asked."""
        digest = hashlib.sha256(self.data.checksum().encode())
        digest.update(self.asked.tobytes())
        return digest.hexdigest()


def is_of_prefixes(names: set[str]) -> bool:
    """Whether columns of these names, in lower case, are to be prefixes and targets."""
    return PREFIX in names and (TARGET in names or "user_id" not in names)


def read_sessions(
    engine: Engine, test: Source, run: Run, named: Columns, times: str
) -> SessionTest:
    """Whole sessions, of which every event but the first is asked about.

    Their columns are called as `named` says, and `times`. Raises as `prepare` does, and
    NotEvaluated for a row without a time and where there is no session of two events.
    """
    columns = replace(named, time=times)
    data, without_time = _prepared(engine, test, columns, run)
    events = data.events_by_time()
    without_time = len(events) if events.time is None else without_time
    if without_time:
        reason = (
            f"{without_time} rows of its test have no {times}, so that nothing says what came next;"
            " leave them out"
        )
        raise NotEvaluated(name=run.model_name, reason=reason)
    asked = np.ones(len(events), bool)  # (events,)
    return _checked(SessionTest(data, asked, {}), run)


def read_prefixes(engine: Engine, test: Source, run: Run) -> SessionTest:
    """Rows of a list of items and the one after it, of which that one is asked about.

    Columns are prefix, target and perhaps times, of the items of each prefix. Raises as `prepare`
    does, and NotEvaluated where lists do not fit together and where there is nothing to ask.
    """
    with reading(engine, test) as (reader, text):
        rows = reader.gather(text)
    try:
        prefix = _column(rows, PREFIX)
        target = _column(rows, TARGET)
    except MissingColumn as error:
        remedy = "Give prefix, a list of items, and target, the item after them"
        raise MissingColumn(
            **error.values | {"source": "the test", "remedy": remedy}
        ) from None
    names = [name for name in rows.column_names if name.lower() == TIMES]
    times = one_array(rows[names[0]]) if names else None
    return _of_lists(engine, _Lists(prefix, target, times), run)


def _column(rows: pa.Table, name: str) -> pa.Array:
    """A column (n,), whatever the case of its name."""
    found = need(rows.column_names, None, name, name)
    return one_array(rows[found])


@dataclass(frozen=True, slots=True)
class _Lists:
    """Prefixes, targets and perhaps times as they were given: (n,) each."""

    prefix: pa.Array
    target: pa.Array
    times: pa.Array | None

    def __post_init__(self) -> None:
        for name, lists, column in (
            (PREFIX, self.prefix, "item_id"),
            (TIMES, self.times, "event_time"),
        ):
            if lists is not None and not _is_list(lists):
                raise BadColumnType(
                    column=name,
                    allowed="a list",
                    found=str(lists.type),
                    advice=f"In the SELECT, write array_agg({column} ORDER BY event_time)",
                )

    def where(self, keep: pa.Array) -> _Lists:
        """Those of rows for which keep (n,) is true."""
        return _Lists(
            prefix=self.prefix.filter(keep),
            target=self.target.filter(keep),
            times=None if self.times is None else self.times.filter(keep),
        )

    @property
    def length(self) -> Int64:
        """Of each prefix, (n,)."""
        return _lengths(self.prefix)


def _lengths(lists: pa.Array) -> Int64:
    """How many each list has (n,), none where it is NULL."""
    lengths: Int64 = pc.list_value_length(lists).fill_null(0).to_numpy()
    return lengths.astype(np.int64)


def _is_list(column: pa.Array) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(column.type) for is_kind in kinds)


def _of_lists(engine: Engine, given: _Lists, run: Run) -> SessionTest:
    """Each row as a session, of which the last event is the target."""
    asked = given.where(given.target.is_valid())
    if not len(asked.target):
        reason = f"none of the {len(given.target)} rows of its test has a target"
        raise NotEvaluated(name=run.model_name, reason=reason)
    data, _ = _prepared(engine, _events(asked), EVENTS, run)
    events = data.events_by_time()
    rows = np.array(data.users.to_pylist(), np.int64)  # (sessions,) their names
    row = rows[data.user[events.pair]]  # (events,)
    assert events.time is not None  # noqa: S101 - for mypy: _events gives each its position as time
    is_target = events.time == asked.length[row]  # (events,)
    time = _times(asked, row, events.time, run)  # (events,)
    data = replace(data, events=replace(events, time=time))
    facts = {"rows without a target": len(given.target) - int(is_target.sum())}
    return _checked(SessionTest(data, is_target, facts), run)


def _events(given: _Lists) -> Given:
    """The events of prefixes and targets as a table: which row, which item, at which position."""
    length = given.length  # (n,)
    n = len(length)
    number = np.arange(n)  # (n,)
    row = np.repeat(number, length)  # (in prefixes,)
    offsets = np.cumsum(length) - length  # (n,)
    position = np.arange(length.sum()) - np.repeat(offsets, length)  # (in prefixes,)
    items = pc.list_flatten(given.prefix)  # (in prefixes,)
    columns = {
        "row": np.concatenate([row, number]),
        PREFIX: pa.concat_arrays(_of_one_type(items, given.target)),
        "position": np.concatenate([position, length]),
    }
    return Given("prefixes and targets", pa.table(columns))


def _of_one_type(items: pa.Array, targets: pa.Array) -> list[pa.Array]:
    """Items of prefixes and targets as they can stand in one column."""
    if items.type == targets.type:
        return [items, targets]
    if pa.types.is_null(items.type):
        return [items.cast(targets.type), targets]
    whole = pa.types.is_integer(items.type) and pa.types.is_integer(targets.type)
    if whole:
        return [items.cast(pa.int64()), targets.cast(pa.int64())]
    raise BadColumnType(
        column=TARGET,
        allowed=f"of the type of the prefix's items, {items.type}",
        found=str(targets.type),
        advice="Cast one of the two in the SELECT",
    )


def _times(given: _Lists, row: Int64, position: Int64, run: Run) -> Int64 | None:
    """When each event was; a target, which nothing reads, when the one before it was."""
    if given.times is None:
        return None
    differs = _lengths(given.times) != given.length  # (n,)
    if differs.any():
        reason = (
            "prefix and times of its test differ in length; give every item one time"
        )
        raise NotEvaluated(name=run.model_name, reason=reason)
    flat = pc.list_flatten(given.times)  # (in prefixes,)
    if flat.null_count:
        reason = (
            f"its test has {flat.null_count} times that are NULL; give every item one, or leave"
            " times out"
        )
        raise NotEvaluated(name=run.model_name, reason=reason)
    values = _moments(flat)  # (in prefixes,)
    offsets = np.cumsum(given.length) - given.length  # (n,)
    within = np.minimum(position, given.length[row] - 1)  # (events,)
    of_event: Int64 = values[np.maximum(offsets[row] + within, 0)]  # (events,)
    return of_event


def _moments(times: pa.Array) -> Int64:
    """Times as those of a source are kept: (n,)."""
    kind = pa.types
    if kind.is_timestamp(times.type) or kind.is_date(times.type):
        micros = pa.timestamp("us", getattr(times.type, "tz", None))
        times = times.cast(micros, safe=False)
    elif not kind.is_integer(times.type):
        raise BadColumnType(
            column=TIMES,
            allowed="a list of timestamps, dates or whole numbers",
            found=str(times.type),
            advice="Cast it in the SELECT",
        )
    moments: Int64 = times.cast(pa.int64()).to_numpy()
    return moments


def _prepared(
    engine: Engine, test: Source, columns: Columns, run: Run
) -> tuple[Interactions, int]:
    """The events of a test, and how many rows have no time, as it is read."""
    try:
        found = prepare(engine, test, columns, run, explicit=True, ordered=True)
        without = (
            one.affected for one in found.findings if one.check_name == MISSING_TIMES
        )
        return found.interactions(), sum(without)
    except MissingColumn as error:
        raise MissingColumn(**error.values | {"source": "the test"}) from None
    except NoRows as error:
        reason = f"its test gives no event ({error.values['found']}); see what it returns by itself"
        raise NotEvaluated(name=run.model_name, reason=reason) from None


def _checked(test: SessionTest, run: Run) -> SessionTest:
    """The test. Raises NotEvaluated where no event has one before it."""
    if len(sessions(test.data, test.asked).asked):
        return test
    reason = (
        "no event of its test has one before it, from which it could be predicted; give sessions of"
        " two events or more"
    )
    raise NotEvaluated(name=run.model_name, reason=reason)


def asked_next(test: SessionTest, made: Loaded, run: Run) -> Split:
    """The test as questions to a run, whose vectors and network are asked as they are.

    Items that the run does not know follow behind those that it does. Every event weighs what
    embsql.fold_in lets one weigh without weights.
    """
    data = test.data
    users = joined(made.pairs.users, data.users)
    items = joined(made.pairs.items, data.items)
    every = _coded(sessions(data, test.asked), data, items)
    weight = np.float32(made.fold_in.settings.get("default_rating", 1))
    every = replace(every, weight=np.full(len(every.item), weight))
    drawn = every.drawn(run.seed)
    pairs = _pairs(data, drawn, users, items)
    facts = test.facts | drawn.facts(made.items.known(items))
    facts |= left_out(int(test.asked.sum()), every, drawn)
    train = replace(made.pairs, users=users, items=items)
    return Split(NAME, train, pairs, repeats=True, facts=facts, sessions=drawn)


def _coded(every: Sessions, data: Interactions, items: pa.StringArray) -> Sessions:
    """Sessions with their items as codes of another vocabulary."""
    position = pc.index_in(data.items, value_set=items).to_numpy()  # (n_items,)
    code = position.astype(np.int32)
    return replace(every, item=code[every.item])


def _pairs(
    data: Interactions, asked: Sessions, users: pa.StringArray, items: pa.StringArray
) -> Interactions:
    """The pairs of the events that are asked about, in other vocabularies."""
    is_asked = np.zeros(len(data), bool)  # (n,)
    pair = data.events_by_time().pair  # (events,)
    is_asked[pair[asked.asked]] = True
    found = np.sort(keys(data.where(is_asked), users, items))  # (asked,)
    user, item = np.divmod(found, len(items))  # (asked,) each
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        weight=np.ones(len(found), np.float32),
        time=None,
        users=users,
        items=items,
    )

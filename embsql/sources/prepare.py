"""From the caller's SELECT to coded interactions, with a report of what was found on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Events, Graph, Int32, Int64, Interactions
from embsql.engines import Engine
from embsql.engines.columns import find, quote
from embsql.errors import (
    BadArgument,
    BadFeatures,
    BadGraph,
    BadWeights,
    EmbsqlError,
    IdTooLong,
    NoRows,
    NulByte,
    SourceFailed,
)
from embsql.features.encoders import Feature, days, described
from embsql.features.time import DAY, is_clock
from embsql.features.vectors import is_vector
from embsql.options import shown
from embsql.run import Columns, Run
from embsql.sources.source import Given, Source, of_table, reading
from embsql.sqlfiles import surface

LONGEST_ID = 1024  # bytes; an index entry of PostgreSQL holds no more than about 2,700
LARGEST = 3e38  # weight; beyond it a float is infinite
OUTLIER = 1000  # a weight this many times the median is worth a warning
ENDS = ("source", "target")  # of an edge
QUERIES = ("census", "users", "items", "alike_users", "alike_items")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the validation report."""

    check_name: str
    severity: str  # error warning info ok
    affected: int  # rows, users or items
    example: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source as read: its interactions, unless its rows have a problem, and what was found."""

    data: Interactions | None
    findings: list[Finding]
    problem: EmbsqlError | None = None

    def interactions(self) -> Interactions:
        """The interactions. Raises what is wrong with the rows: NoRows, BadWeights, IdTooLong or NulByte."""
        if self.data is None:
            raise self.problem or EmbsqlError(message="the source could not be read")
        return self.data


def prepare(
    engine: Engine, source: Source, columns: Columns, run: Run, *, explicit: bool, ordered: bool = False
) -> Prepared:
    """Read a source: evaluate it once, check it, code its ids, put its pairs in order; with `ordered` its events too.

    Raises NotASelect, SourceFailed, UnknownFormat, MissingColumn, BadColumnType or InexactId when it cannot be read at
    all; what is wrong with the rows themselves comes back as `problem`, beside the report.
    """
    with reading(engine, source) as (reader, text):
        facts, tables = _read(reader, text, columns, explicit=explicit, ordered=ordered)
    census = tables["census"].to_pylist()[0]
    findings = [*_of_rows(census, explicit), *_of_ids(tables)]
    problem = _problem(census, tables, facts, run.model_name)
    if problem:
        in_memory = isinstance(source, Given) and source.table is not None
        return Prepared(None, findings, of_table(problem) if in_memory else problem)
    data = _interactions(tables, run, explicit=explicit, has_time=facts["has_time"])
    endless = ~np.isfinite(data.weight)  # (n,)
    if endless.any():
        return Prepared(None, findings, _too_much(source, endless, facts, run.model_name))
    if ordered:
        data = replace(data, events=_events(data, tables["pairs"]))
        findings.append(_of_order(data))
    return Prepared(data, [*findings, *_of_pairs(data, len(tables["pairs"]))])


def _read(
    engine: Engine, text: str, columns: Columns, *, explicit: bool, ordered: bool
) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """What is known of a source, and its tables; where a guess about a file's types fails, all rows decide them."""
    facts = engine.source(text, columns, explicit=explicit)
    names = facts["names"]
    if names["user"] == names["item"]:
        allowed = "another column than that of users"
        raise BadArgument(name="item_col", allowed=allowed, value=shown(names["item"]))
    try:
        return facts, _tables(engine, facts, ordered=ordered)
    except SourceFailed:
        if not facts["guessed"]:
            raise
    facts = engine.source(text, columns, explicit=explicit, whole=True)
    return facts, _tables(engine, facts, ordered=ordered)


def _tables(engine: Engine, facts: dict[str, Any], *, ordered: bool) -> dict[str, pa.Table]:
    """The census, the vocabularies and the coded rows of a source."""
    statements = surface.statements("prepare/statements.sql")
    now = int(time.time() * 1e6) if facts["clock"] else 2**62  # an order has no future
    queries = {name: statements[name] for name in QUERIES} | {"pairs": statements["events" if ordered else "pairs"]}
    select, script = surface.prepare("source", facts), surface.prepare("coded", facts)
    return engine.read(select, script, queries, surface.text("prepare/done.sql"), census={"now": now})


def _problem(
    census: dict[str, Any], tables: dict[str, pa.Table], facts: dict[str, Any], model: str
) -> EmbsqlError | None:
    """What makes training impossible, worst first."""
    names, signs = facts["names"], census["negative"] and not facts["explicit"]
    if census["infinite"] or signs:
        return _bad_weights(census, quote(names["weight"]), bool(signs), model)
    if not len(tables["pairs"]):
        return NoRows(found=f"{census['rows']} rows, none of them with two ids and a weight", model=model)
    for entity in ("user", "item"):
        ids = tables[f"{entity}s"]["id"]
        lengths = pc.binary_length(ids).to_numpy()  # (n,) bytes
        if lengths.max() > LONGEST_ID:
            start, name = ids[int(lengths.argmax())].as_py()[:20], quote(names[entity])
            return IdTooLong(entity=entity, start=start, length=int(lengths.max()), limit=LONGEST_ID,
                             remedy=f"md5({name}) AS {name}", shared={"start": ""})  # fmt: skip
        found = _nul(ids, names[entity])
        if found:
            return found
    return None


def _nul(ids: pa.StringArray | pa.ChunkedArray, column: str) -> NulByte | None:
    """The first id with a character that no server can store, and that no statement can name."""
    found = ids.filter(pc.match_substring(ids, "\0"))
    if not len(found):
        return None
    name, start = quote(column), found[0].as_py().replace("\0", "")[:20]
    remedy = f"replace({name}, chr(0), '') AS {name}"
    return NulByte(column=name, start=start, remedy=remedy, shared={"start": ""})


def _bad_weights(census: dict[str, Any], column: str, signs: bool, model: str) -> BadWeights:
    """The worst of what is wrong with weights, and what leaves all such rows out."""
    finite, positive = f"abs({column}) <= {LARGEST:g}" if census["infinite"] else "", f"{column} > 0" if signs else ""
    which, kind = ("infinite", "not finite") if census["infinite"] else ("negative", "negative")
    return BadWeights(rows=census[which], kind=kind, example=census[f"{which}_example"], model=model,
                      remedy="WHERE " + " AND ".join(filter(None, (finite, positive))),
                      shared={"example": "some in the report"})  # fmt: skip


def _too_much(source: Source, endless: Any, facts: dict[str, Any], model: str) -> EmbsqlError:
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


def _interactions(tables: dict[str, pa.Table], run: Run, *, explicit: bool, has_time: bool) -> Interactions:
    """The coded rows (n,) of the source as ordered pairs."""
    from embsql.numeric.aggregate import by_pair  # here: it brings the compiler, which asking does not need

    pairs, users, items = tables["pairs"], _text(tables["users"]["id"]), _text(tables["items"]["id"])
    timed = has_time and pairs["event_time"].null_count < len(pairs)  # a column of NULLs tells no order
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
    wanted = rows["user"].to_numpy() * np.int64(data.n_items) + rows["item"].to_numpy()  # (m,)
    pair = np.searchsorted(keys, wanted).astype(np.int32)  # (m,)
    return Events(pair, rows["weight"].to_numpy().astype(np.float32), None if data.time is None else _times(rows))


def _times(pairs: pa.Table) -> Any:
    """Times (n,) int64; a row without one counts as older than all others."""
    column = pairs["event_time"]
    if not column.null_count:
        return column.to_numpy()
    oldest = int(column.drop_null().to_numpy().min())
    return column.fill_null(max(oldest - 1, np.iinfo(np.int64).min)).to_numpy()


def features(engine: Engine, select: Source, column: str, option: str, ids: pa.StringArray) -> pa.Table:
    """What a caller's SELECT knows of each id: its other columns, a row per id, NULL where it has none of it.

    Raises as `by_id` does.
    """
    keys, rows = by_id(engine, select, column, option)
    return rows.take(pc.index_in(ids, keys))  # (n_ids,) of which row each is


def by_id(engine: Engine, select: Source, column: str, option: str) -> tuple[pa.StringArray, pa.Table]:
    """A caller's SELECT as the ids in a column (n,), each once, and the other columns (n, any).

    Rows without an id are left out. Raises NotASelect, SourceFailed, NulByte, or BadFeatures for an id that comes
    twice, and where the ids or all else are missing.
    """
    with reading(engine, select) as (reader, text):
        given = reader.gather(text, [column])
    key = find(given.column_names, None, column, option)
    if key is None or given.num_columns == 1:
        missing = f"no column {column}" if key is None else f"no column beside {key}"
        raise BadFeatures(option=option, found=f"{missing}; its columns are {', '.join(given.column_names)}")
    rows = given.filter(given[key].is_valid()).combine_chunks()
    keys = _text(rows[key])
    counts = keys.value_counts()
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        found = f'the id "{twice[0]["values"].as_py()}" more than once'
        raise BadFeatures(option=option, found=found, shared={"found": "an id more than once"})
    nul = _nul(keys, key)
    if nul:
        raise of_table(nul) if isinstance(select, Given) and select.table is not None else nul
    return keys, rows.drop_columns([key])


def told(table: pa.Table, entity: str, codes: Int32, time: Int64 | None, *, encodes: bool) -> Iterator[Finding]:
    """How much there is of each feature of a table (a row per id), and with `encodes` what it is taken for.

    `codes` and `time` (n,) are the ids and the last event of each pair. Raises BadFeatures.
    """
    given = [field.name for field in table.schema if is_vector(field.type)]
    for name in given:
        hint = f"of {len(table)} {entity}s; who has none counts as zero, and is near nothing"
        yield _finding(f"{entity} without vector {name}", table[name].null_count, "warning", hint)
    for feature in described(table.drop_columns(given), f"{entity}_features") if encodes else ():
        faults = [*_idle(feature), *(_late(table[feature.name], codes, time) if feature.kind == "time" else ())]
        taken = f"{feature.kind}, {feature.distinct} values, missing for {feature.missing} of {len(table)}"
        yield Finding(f"{entity} feature {feature.name}", "warning" if faults else "info",
                      len(table) - feature.missing, hint="; ".join([taken, *faults]))  # fmt: skip


def _idle(feature: Feature) -> Iterator[str]:
    if not feature.values and (feature.center is None or feature.distinct < 2):
        yield "it tells nothing apart"


def _late(column: pa.ChunkedArray, codes: Int32, time: Int64 | None) -> Iterator[str]:
    """Whether a time gives away what is to be predicted: when the last event was, of those with events on two days."""
    if time is None or not is_clock(time):
        return
    first, last = np.full(len(column), np.iinfo(np.int64).max), np.full(len(column), np.iinfo(np.int64).min)  # (ids,)
    np.minimum.at(first, codes, time // DAY)
    np.maximum.at(last, codes, time // DAY)
    said = days(column)  # (ids,)
    asked = (last > first) & ~np.isnan(said)  # (ids,)
    late = asked & (np.floor(np.nan_to_num(said)) >= last)
    if late.sum() > asked.sum() / 2:
        yield f"not before the last event of {late.sum()} of {asked.sum()}: it tells what is to be predicted"


def graph(engine: Engine, select: Source, ids: pa.StringArray) -> tuple[Graph, list[Finding]]:
    """The edges between known items of a caller's SELECT of source_node, target_node and weight, and what was found.

    Without a weight each edge weighs 1. Edges of an unknown item or of an item with itself are left out, as are those
    that lack a node or weigh nothing. Raises NotASelect, SourceFailed, BadColumnType, InexactId, or
    BadGraph for a weight that is negative or not finite, and where no edge is left.
    """
    with reading(engine, select) as (reader, text):
        given = reader.gather(text, [f"{end}_node" for end in ENDS], weight="weight")
    source, target = (_text(given[_end(given.column_names, f"{end}_node")]) for end in ENDS)
    weight, rows = _edge_weights(given), given.num_rows
    ends = [pc.index_in(nodes, ids).fill_null(-1).to_numpy() for nodes in (source, target)]  # (rows,), (rows,)
    missing = pc.or_(source.is_null(), target.is_null()).to_numpy(zero_copy_only=False) | (weight == 0)  # (rows,)
    unknown = ~missing & ((ends[0] < 0) | (ends[1] < 0))  # (rows,)
    loop = ~missing & ~unknown & (ends[0] == ends[1])  # (rows,)
    keep = ~(missing | unknown | loop)  # (rows,)
    if not keep.any():
        raise BadGraph(found=f"{rows} rows, none of them an edge between two items of the source")
    met = np.bincount(np.concatenate([end[keep] for end in ends]), minlength=len(ids))  # (n_items,)
    findings = [
        Finding("edges", "info", rows, hint="rows the graph returned"),
        _finding("edges without node or weight", int(missing.sum()), "warning", "left out"),
        _finding("edges of unknown items", int(unknown.sum()), "warning", "left out: the source has no such item"),
        _finding("edges of an item with itself", int(loop.sum()), "info", "left out: a walk would stand still"),
        _finding("items without edges", int((met == 0).sum()), "warning", "no walk meets them: their vectors are zero"),
    ]
    one, other = (end[keep].astype(np.int32) for end in ends)  # (edges,), (edges,)
    return Graph(one, other, weight[keep]), findings


def _end(names: list[str], wanted: str) -> str:
    """The graph's own spelling of a column. Raises BadGraph."""
    found = find(names, None, wanted, "graph")
    if found is None:
        raise BadGraph(found=f"no column {wanted}; its columns are {', '.join(names)}")
    return found


def _text(column: pa.ChunkedArray) -> pa.StringArray:
    """Ids, which the database has made text, as one array."""
    return column.cast(pa.string()).combine_chunks()


def _edge_weights(given: pa.Table) -> Any:
    """The weights (rows,) of edges: 1 where the graph has none, 0 where one is missing. Raises BadGraph."""
    column = find(given.column_names, None, "weight", "graph")
    if column is None:
        return np.ones(given.num_rows, np.float32)
    with np.errstate(over="ignore"):  # too much for a float is not finite
        weight = given[column].fill_null(0).to_numpy().astype(np.float32)  # (rows,)
    wrong = ~np.isfinite(weight) | (weight < 0)  # (rows,)
    if wrong.any():
        kind = "a negative weight" if np.isfinite(weight[wrong][0]) else "a weight that is not finite"
        rows = f"in {int(wrong.sum())} of {given.num_rows} rows"
        remedy = f"leave them out, WHERE {quote(column)} >= 0 AND {quote(column)} <= {LARGEST:g}"
        found = f"{kind} ({weight[wrong][0]:g}) {rows}; {remedy}"
        raise BadGraph(found=found, shared={"found": f"{kind} {rows}; {remedy}"})
    return weight


# --- the report ----------------------------------------------------------------------------------


def _finding(name: str, affected: int, severity: str, hint: str, example: str | None = None) -> Finding:
    """A line that is a severity when anything is affected, and ok when nothing is."""
    return Finding(name, severity, affected, example, hint) if affected else Finding(name, "ok", 0)


def _of_rows(census: dict[str, Any], explicit: bool) -> Iterator[Finding]:
    """What the rows themselves look like."""
    left_out = "left out; NULL, NaN and the empty text are no ids"
    yield Finding("rows", "info" if census["rows"] else "error", census["rows"], hint="rows the source returned")
    yield _finding("missing user id", census["no_user"], "warning", left_out)
    yield _finding("missing item id", census["no_item"], "warning", left_out)
    yield _finding("missing weight", census["null_weight"], "warning", "left out; filter NULL out in the SELECT")
    yield _finding("weight not finite", census["infinite"], "error", "mend the SELECT", census["infinite_example"])
    yield _finding("missing time", _without_time(census), "warning", "counted as older than every other row")
    yield _finding("time in the future", census["future_time"], "warning", "a wrong clock or a planned order?")
    if not explicit:
        refunds = "evidence cannot be negative; filter returns out, or train with feedback = explicit"
        yield _finding("zero weight", census["zero_weight"], "info", "left out: a weight of zero is no interaction")
        yield _finding("negative weight", census["negative"], "error", refunds, census["negative_example"])


def _without_time(census: dict[str, Any]) -> int:
    """Rows without a time where others have one."""
    return int(census["null_time"]) if census["null_time"] < census["rows"] else 0


def _of_ids(tables: dict[str, pa.Table]) -> Iterator[Finding]:
    """Ids that look like one thing spelled twice."""
    hint = "differ only by case or spaces; mend with lower(trim(...)) if they are one"
    floats = "text like 1.0 is not the id 1; where whole numbers were written so, read them as BIGINT"
    for entity in ("user", "item"):
        pointed = pc.sum(pc.match_substring_regex(tables[f"{entity}s"]["id"], r"^-?\d+\.0$")).as_py() or 0
        yield _finding(f"{entity} ids like 1.0", pointed, "warning", floats)
        twins = tables[f"alike_{entity}s"].to_pylist()[0]
        yield _finding(f"{entity} ids alike", twins["groups"], "warning", hint, twins["example"])


def _of_pairs(data: Interactions, rows: int) -> Iterator[Finding]:
    """What the interactions look like once they are pairs."""
    lonely = int((np.bincount(data.user) == 1).sum())
    yield _finding("repeated pairs", rows - len(data), "info", "rows of one user and item were added up")
    yield _finding("users with one item", lonely, "info", "they can be served but not held out, and teach little")
    yield _of_the_top_item(data)
    yield _of_weights(data)


def _of_order(data: Interactions) -> Finding:
    """Which order the events were taken in."""
    events = data.in_order()
    if events.time is None:
        hint = "there is no event_time: each user's rows count as having happened in the order the source gave them"
        return Finding("order of events", "warning", len(events), hint=hint)
    user = data.user[events.pair]  # (m,)
    ties = int(((user[1:] == user[:-1]) & (events.time[1:] == events.time[:-1])).sum())
    hint = "rows of one user at one time count as having happened in the order the source gave them"
    return _finding("order of events", ties, "info", hint)


def _of_the_top_item(data: Interactions) -> Finding:
    """An item that most users met says nothing about any of them."""
    per_item = np.bincount(data.item)  # (n_items,)
    top = int(per_item.argmax())
    share = per_item[top] / data.n_users
    affected = int(per_item[top]) if share > 0.5 and data.n_items > 2 else 0
    hint = f"{share:.0%} of the users met it; a delivery fee or a default?"
    return _finding("item met by most users", affected, "warning", hint, data.items[top].as_py())


def _of_weights(data: Interactions) -> Finding:
    """Weights that would drown the others."""
    median = float(np.median(data.weight))
    outliers = int((data.weight > OUTLIER * max(median, 1e-30)).sum())
    worst = int(data.weight.argmax())
    pair = f"user {data.users[data.user[worst]]}, item {data.items[data.item[worst]]}, weight {data.weight[worst]:g}"
    hint = f"over {OUTLIER} times the median of {median:g}; ln(1 + weight) tames them"
    return _finding("outlier weight", outliers, "warning", hint, pair)

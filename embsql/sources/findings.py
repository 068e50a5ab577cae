"""What was found in a source: the lines of its report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Int32, Int64, Interactions
from embsql.features.encoders import Feature, days, describe_columns
from embsql.features.time import DAY, is_timestamp
from embsql.features.vectors import is_vector

# of any width
SPACES = (
    " \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
)
MISSING_WEIGHT = "missing weight"
OUTLIER = 1000  # a weight this many times the median is worth a warning


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the validation report."""

    check_name: str
    severity: str  # error warning info ok
    affected: int  # rows, users or items
    example: str | None = None
    hint: str | None = None


def describe_features(
    table: pa.Table, entity: str, codes: Int32, time: Int64 | None, *, encodes: bool
) -> Iterator[Finding]:
    """How much there is of each feature of a table (a row per id).

    With `encodes` also what it is taken for.

    `codes` and `time` (n,) are the ids and the last event of each pair. Raises BadFeatures.
    """
    given = [field.name for field in table.schema if is_vector(field.type)]
    for name in given:
        hint = f"of {len(table)} {entity}s; who has none counts as zero, and is near nothing"
        yield finding(
            f"{entity} without vector {name}", table[name].null_count, "warning", hint
        )
    others = table.drop_columns(given if encodes else table.column_names)
    for feature in describe_columns(others, f"{entity}_features"):
        faults = [
            *_constant(feature),
            *(
                _leaks_target(table[feature.name], codes, time)
                if feature.kind == "time"
                else ()
            ),
        ]
        taken = (
            f"{feature.kind}, {feature.distinct} values, missing for {feature.missing} of "
            f"{len(table)}"
        )
        yield Finding(
            f"{entity} feature {feature.name}",
            "warning" if faults else "info",
            len(table) - feature.missing,
            hint="; ".join([taken, *faults]),
        )


def _constant(feature: Feature) -> Iterator[str]:
    if not feature.values and (feature.center is None or feature.distinct < 2):
        yield "it is constant"


def _leaks_target(
    column: pa.ChunkedArray, codes: Int32, time: Int64 | None
) -> Iterator[str]:
    """Whether a time gives away what is to be predicted: when the last event was.

    Of those with events on two days.
    """
    if time is None or not is_timestamp(time.max()):
        return
    first, last = (
        np.full(len(column), np.iinfo(np.int64).max),
        np.full(len(column), np.iinfo(np.int64).min),
    )  # (ids,)
    np.minimum.at(first, codes, time // DAY)
    np.maximum.at(last, codes, time // DAY)
    day = days(column)  # (ids,)
    asked = (last > first) & ~np.isnan(day)  # (ids,)
    late = asked & (np.floor(np.nan_to_num(day)) >= last)
    if late.sum() > asked.sum() / 2:
        yield (
            f"not before the last event of {late.sum()} of {asked.sum()}: it tells what is to "
            "be predicted"
        )


def finding(
    name: str, affected: int, severity: str, hint: str, example: str | None = None
) -> Finding:
    """A line that is a severity when anything is affected, and ok when nothing is."""
    return (
        Finding(name, severity, affected, example, hint)
        if affected
        else Finding(name, "ok", 0)
    )


def of_rows(summary: dict[str, Any], explicit: bool) -> Iterator[Finding]:
    """What the rows themselves look like."""
    left_out = "left out; NULL, NaN and the empty text are no ids"
    yield Finding(
        "rows",
        "info" if summary["rows"] else "error",
        summary["rows"],
        hint="rows the source returned",
    )
    yield finding("missing user id", summary["no_user"], "warning", left_out)
    yield finding("missing item id", summary["no_item"], "warning", left_out)
    yield finding(
        MISSING_WEIGHT,
        summary["null_weight"],
        "warning",
        "left out; filter NULL out in the SELECT",
    )
    yield finding(
        "weight not finite",
        summary["infinite"],
        "error",
        "fix the SELECT",
        summary.get("infinite_example"),
    )
    yield finding(
        "missing time",
        _without_time(summary),
        "warning",
        "counted as older than every other row",
    )
    yield finding(
        "time in the future",
        summary["future_time"],
        "warning",
        "a wrong clock or a planned order?",
    )
    if not explicit:
        refunds = (
            "evidence cannot be negative; filter returns out, or train with feedback = "
            "explicit"
        )
        yield finding(
            "zero weight",
            summary["zero_weight"],
            "info",
            "left out: a weight of zero is no interaction",
        )
        yield finding(
            "negative weight",
            summary["negative"],
            "error",
            refunds,
            summary.get("negative_example"),
        )


def _without_time(summary: dict[str, Any]) -> int:
    """Rows without a time where others have one."""
    return int(summary["null_time"]) if summary["null_time"] < summary["rows"] else 0


@dataclass(frozen=True, slots=True)
class IdFacts:
    """What the ids of users, or of items, look like."""

    pointed: int = 0  # how many are like 1.0
    alike: int = 0  # groups of several that differ by case or spaces alone
    example: tuple[str, str] | None = None  # two of the first group
    longest: str = ""  # in bytes; the first of several
    with_nul: str | None = None  # the first that has a character which no server stores


def id_facts(ids: pa.StringArray) -> IdFacts:
    """Those of ids in order."""
    if not len(ids):
        return IdFacts()
    pointed = pc.sum(pc.match_substring_regex(ids, r"^-?\d+\.0$")).as_py()
    longest = int(pc.binary_length(ids).to_numpy().argmax())
    with_nul = ids.filter(pc.match_substring(ids, "\0"))
    return IdFacts(
        pointed,
        *_alike(ids),
        longest=ids[longest].as_py(),
        with_nul=with_nul[0].as_py() if len(with_nul) else None,
    )


def _alike(ids: pa.StringArray) -> tuple[int, tuple[str, str] | None]:
    """How many groups of ids are the same but for case and spaces, and the first of them."""
    same = pc.utf8_lower(pc.utf8_trim(ids, SPACES)).dictionary_encode()
    group = same.indices.to_numpy()  # (n,)
    count = np.bincount(group, minlength=len(same.dictionary))  # (groups,)
    alike = np.flatnonzero(count > 1)
    if not len(alike):
        return 0, None
    first = np.flatnonzero(count[group] > 1)[0]  # in order of id
    last = np.flatnonzero(group == group[first])[-1]
    return len(alike), (ids[first].as_py(), ids[last].as_py())


def of_ids(facts: dict[str, IdFacts]) -> Iterator[Finding]:
    """Ids, of "user" and "item", that look like one thing spelled twice."""
    hint = (
        "differ only by case or spaces; write lower(trim(...)) if they are the same id"
    )
    floats = (
        "text like 1.0 is not the id 1; where whole numbers were written so, read them as "
        "BIGINT"
    )
    for entity, ids in facts.items():
        yield finding(f"{entity} ids like 1.0", ids.pointed, "warning", floats)
        example = ids.example and '"{}" and "{}"'.format(*ids.example)
        yield finding(f"{entity} ids alike", ids.alike, "warning", hint, example)


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What the interactions look like once they are pairs."""

    repeated: int  # rows that were added to others
    users: int
    items: int
    lonely: int  # users with one pair
    top_item: str
    top_pairs: int  # of that item
    outliers: int  # weights over OUTLIER times the median
    median: float
    heaviest: tuple[str, str, float]  # user, item and weight of the largest


def pair_facts(data: Interactions, rows: int) -> PairFacts:
    """Those of the pairs that so many rows came to."""
    per_item = np.bincount(data.item)  # (n_items,)
    top = int(per_item.argmax())
    median = float(np.median(data.weight))
    worst = int(data.weight.argmax())
    user = data.user[worst]
    item = data.item[worst]
    return PairFacts(
        repeated=rows - len(data),
        users=data.n_users,
        items=data.n_items,
        lonely=int((np.bincount(data.user) == 1).sum()),
        top_item=data.items[top].as_py(),
        top_pairs=int(per_item[top]),
        outliers=int((data.weight > outlier(median)).sum()),
        median=median,
        heaviest=(
            str(data.users[user]),
            str(data.items[item]),
            float(data.weight[worst]),
        ),
    )


def outlier(median: float) -> float:
    """A weight above this is one."""
    return OUTLIER * max(median, 1e-30)


def of_pairs(facts: PairFacts) -> Iterator[Finding]:
    """What is noteworthy about the pairs."""
    yield finding(
        "repeated pairs",
        facts.repeated,
        "info",
        "rows of one user and item were added up",
    )
    yield finding(
        "users with one item",
        facts.lonely,
        "info",
        "kept for serving, excluded from evaluation",
    )
    yield _of_the_top_item(facts)
    yield _of_weights(facts)


def of_order(data: Interactions) -> Finding:
    """Which order the events were taken in."""
    events = data.events_by_time()
    if events.time is None:
        hint = (
            "there is no event_time: each user's rows count as having happened in the order "
            "the source gave them"
        )
        return Finding("order of events", "warning", len(events), hint=hint)
    user = data.user[events.pair]  # (m,)
    same_user = user[1:] == user[:-1]  # (m - 1,)
    same_time = events.time[1:] == events.time[:-1]  # (m - 1,)
    ties = int(np.count_nonzero(same_user & same_time))
    hint = "rows of one user at one time count as having happened in the order the source gave them"
    return finding("order of events", ties, "info", hint)


def _of_the_top_item(facts: PairFacts) -> Finding:
    """An item that most users have says nothing about any of them."""
    share = facts.top_pairs / facts.users
    affected = facts.top_pairs if share > 0.5 and facts.items > 2 else 0
    hint = f"{share:.0%} of the users have it; a delivery fee or a default?"
    return finding("item of most users", affected, "warning", hint, facts.top_item)


def _of_weights(facts: PairFacts) -> Finding:
    """Weights that would drown the others."""
    user, item, weight = facts.heaviest
    pair = f"user {user}, item {item}, weight {weight:g}"
    median = f"{facts.median:g}"
    hint = f"over {OUTLIER} times the median of {median}; ln(1 + weight) tames them"
    return finding("outlier weight", facts.outliers, "warning", hint, pair)

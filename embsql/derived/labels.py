"""What a caller calls ids: a SELECT of entity_id and label."""

from __future__ import annotations

import pyarrow as pa

from embsql.engines import Engine
from embsql.errors import InvalidArgument
from embsql.run import Columns
from embsql.sources.coding import code, read_rows
from embsql.sources.source import Source, reading


def read_labels(
    engine: Engine, select: Source, option: str
) -> tuple[list[str], list[str]]:
    """The ids and their labels (p,), made text as ids of a source are; an id may have several.

    Raises InvalidArgument, NotASelect or SourceFailed.
    """
    with reading(engine, select) as (reader, text):
        types = reader.describe(text)
        if not {"entity_id", "label"} <= {name.lower() for name in types}:
            raise InvalidArgument(
                name=option,
                allowed="a SELECT of entity_id and label",
                value=", ".join(types),
            )
        return _labeled(reader, text)


def names_of(engine: Engine, select: Source | None, option: str) -> dict[str, str]:
    """What ids are called: of several labels the first by name; nothing without labels.

    Raises as `read_labels` does.
    """
    if select is None:
        return {}
    pairs = zip(*read_labels(engine, select, option), strict=True)
    return dict(sorted(pairs, reverse=True))


def _labeled(reader: Engine, text: str) -> tuple[list[str], list[str]]:
    facts = reader.source(text, Columns(user="entity_id", item="label"), explicit=True)
    # a column that is called weight weighs nothing here
    facts |= {"has_weight": False, "has_time": False}
    rows = code(read_rows(reader, facts), explicit=True)
    return (
        rows.ids["user"].take(pa.array(rows.user)).to_pylist(),
        rows.ids["item"].take(pa.array(rows.item)).to_pylist(),
    )

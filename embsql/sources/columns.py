"""What every column of ids and weights must be."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import one_array
from embsql.engines.columns import quote
from embsql.errors import NulByte

LARGEST = 3e38  # weight; beyond it a float is infinite


def nul_byte(ids: pa.StringArray | pa.ChunkedArray, column: str) -> NulByte | None:
    """The first id with a character that no server can store, and that no statement can name."""
    found = ids.filter(pc.match_substring(ids, "\0"))
    return nul_in(found[0].as_py(), column) if len(found) else None


def nul_in(found: str, column: str) -> NulByte:
    """The error for an id with such a character."""
    name, start = quote(column), found.replace("\0", "")[:20]
    remedy = f"replace({name}, chr(0), '') AS {name}"
    return NulByte(column=name, start=start, remedy=remedy, shared={"start": ""})


def id_text(column: pa.ChunkedArray) -> pa.StringArray:
    """Ids, which the database has made text, as one array."""
    return one_array(column.cast(pa.string()))

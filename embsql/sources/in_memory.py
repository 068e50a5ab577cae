"""Tables that Python holds, of whatever library, as Arrow's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from embsql.errors import EmbsqlError, InvalidArgument, SourceFailed
from embsql.options import shown


def _of_pandas(frame: Any) -> pa.Table:
    """A DataFrame of pandas, where a number that is masked in a list is NULL.

    DuckDB's df() masks NULLs, of which pyarrow makes what lies under the mask, most often 0
    (findings/pyarrow_nested_mask.sh).
    """
    table = pa.Table.from_pandas(frame)
    for position in range(frame.shape[1]):  # an index may come behind them
        field = table.schema.field(position)
        cells = frame.iloc[:, position] if pa.types.is_list(field.type) else ()
        if any(isinstance(cell, np.ma.MaskedArray) for cell in cells):
            lists = pa.array(map(_unmasked, cells), field.type, from_pandas=True)
            table = table.set_column(position, field, lists)
    return table


def _unmasked(cell: Any) -> Any:
    """A list's numbers, None for those that are masked."""
    return cell.tolist() if isinstance(cell, np.ma.MaskedArray) else cell


READERS: dict[str, Callable[[Any], pa.Table]] = {
    "pandas.DataFrame": _of_pandas,
    # the stream that it offers starts Python on executors; this needs none there
    "pyspark.DataFrame": lambda frame: frame.toArrow(),
}


def as_table(value: Any, kind: str, option: str, allowed: str) -> pa.Table:
    """A table of whatever library as Arrow's.

    Raises SourceFailed, or InvalidArgument for a single column.
    """
    try:
        table = READERS.get(kind, pa.table)(value)
    except Exception as error:
        lines = str(error).strip().splitlines()
        if "non-struct type" in str(error):  # a Series, an array
            value = f"one column, {kind}"
            raise InvalidArgument(name=option, allowed=allowed, value=value) from None
        raise _unreadable(kind, lines[0] if lines else type(error).__name__) from None
    ambiguous = _ambiguous(table.column_names)
    if ambiguous:
        raise _unreadable(kind, f"Duplicate column names found: {ambiguous}")
    return _without_halves(table)


def _unreadable(kind: str, problem: str) -> EmbsqlError:
    """The error for what is no table of Arrow's, and what to do."""
    remedy = "give each column one type, ids as text"
    if problem.startswith("Duplicate column names"):
        remedy = "names that differ by case alone are one: rename the columns, or leave some out"
    return SourceFailed(
        reason=f"{kind} cannot be read as an Arrow table ({problem}); {remedy}"
    )


def _ambiguous(names: list[str]) -> list[str]:
    """The names that are one to DuckDB, which would call all but the first otherwise."""
    counts = Counter(name.lower() for name in names)
    return [name for name in names if counts[name.lower()] > 1]


def _without_halves(table: pa.Table) -> pa.Table:
    """The same with 32 bits for each number of 16, which DuckDB cannot read."""
    for position, field in enumerate(table.schema):
        if "halffloat" in str(field.type):
            column = table[field.name].cast(_full(field.type))
            table = table.set_column(position, field.name, column)
    return table


def _full(kind: pa.DataType) -> pa.DataType:
    """A type with 32 bits for each number of 16."""
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_full(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_full(kind.value_type))
    return kind


def of_id(value: Any, allowed: str) -> pa.Table:
    """A value of Python as the column id of one row. Raises InvalidArgument."""
    try:
        return pa.table({"id": pa.array([value])})
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        pass  # what Arrow has no type for has a text of its own: a UUID, an enumeration
    try:
        missing = bool(value != value)  # noqa: PLR0124 - as NaN and NaT are, and NA has no answer
        texts = None if missing else [str(value)]
        return pa.table({"id": pa.array(texts)})
    except Exception:
        raise InvalidArgument(name="id", allowed=allowed, value=shown(value)) from None

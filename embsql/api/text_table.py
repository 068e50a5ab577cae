"""Rows as a table for people to read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from numbers import Number
from typing import Any

# what moves a terminal's cursor, or colors what follows
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def format_table(rows: list[dict[str, Any]]) -> str:
    """Columns under their names, numbers to the right."""
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    return format_columns(names, [[row[name] for row in rows] for name in names])


def format_columns(names: list[str], columns: list[list[Any]]) -> str:
    """The same of columns, of which several may have one name."""
    numeric = [is_numeric(column) for column in columns]
    cells = [[cell_text(value) for value in column] for column in columns]
    stacked = [[name, *column] for name, column in zip(names, cells, strict=True)]
    widths = [max(map(_width, column)) for column in stacked]
    lines = [names, ["-" * width for width in widths], *zip(*cells, strict=True)]
    return "\n".join(_line(list(line), widths, numeric) for line in lines)


def is_numeric(values: Iterable[Any]) -> bool:
    """Whether a column holds numbers, which stand to the right."""
    return all(isinstance(value, Number | None) for value in values)


def _line(cells: list[str], widths: list[int], numeric: list[bool]) -> str:
    padded = map(_padded, cells, widths, numeric)
    return "  ".join(padded).rstrip()


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """How many letters wide a terminal shows a text."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len  # here: most tables need no list of wide letters

    return cell_len(text)


def cell_text(value: Any) -> str:
    """A value as people read it: floats of four digits, of a list the first four values."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list):
        return (
            "["
            + ", ".join(cell_text(part) for part in value[:4])
            + (", ...]" if len(value) > 4 else "]")
        )
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], str(value))

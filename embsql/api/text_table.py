"""Rows as a table for people to read."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from numbers import Number
from typing import Any


def format_table(rows: list[dict[str, Any]]) -> str:
    """Columns under their names, numbers to the right."""
    if not rows:
        return "(no rows)"
    cells = [[cell_text(value) for value in row.values()] for row in rows]
    numeric = [is_numeric(row[name] for row in rows) for name in rows[0]]
    columns = zip(list(rows[0]), *cells, strict=True)
    widths = [max(map(_width, column)) for column in columns]
    lines = [list(rows[0]), ["-" * width for width in widths], *cells]
    return "\n".join(_line(line, widths, numeric) for line in lines)


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
    return str(value)

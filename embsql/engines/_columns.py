"""What engines share about a source: the names of its columns, and how a name is written."""

from __future__ import annotations

import re
from collections.abc import Iterable

from embsql.errors import MissingColumn, suggestion

FILE = re.compile(r"\S+\.(csv|tsv|parquet|json)(\.gz)?", re.IGNORECASE)
NAME = re.compile(r'\w+(\.\w+){0,2}|"[^"]+"')


def quote(name: str) -> str:
    """An identifier, whatever it contains, as SQL."""
    return '"' + name.replace('"', '""') + '"'


def find(known: Iterable[str], wanted: str | None, default: str, option: str) -> str | None:
    """The source's own spelling of a column's name; None when it is not asked for and not there."""
    names, name = list(known), wanted or default
    found = next((column for column in names if column.lower() == name.lower()), None)
    if found is None and wanted:
        raise _missing(names, name, option)
    return found


def need(known: Iterable[str], wanted: str | None, default: str, option: str) -> str:
    """The source's own spelling of a column's name. Raises MissingColumn."""
    names = list(known)
    found = find(names, wanted, default, option)
    if found is None:
        raise _missing(names, default, option)
    return found


def _missing(names: list[str], name: str, option: str) -> MissingColumn:
    return MissingColumn(column=name, suggestion=suggestion(name, names), found=", ".join(names), option=option)

"""What engines share about a source: its columns, and how a name is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from embsql.engines.files import literal
from embsql.errors import InexactId, MissingColumn, SourceFailed, suggestion

# No parameter stands inside these: texts, names, comments, dollar quotes.
OPAQUE = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
PART = r'(?:\w+|"(?:[^"]|"")+")'
NAME = re.compile(rf"{PART}(\.{PART}){{0,2}}")
CALL = re.compile(
    r"(?!(SELECT|WITH|FROM|VALUES|TABLE)\b)\w+(\.\w+)?\s*\(.*\)",
    re.IGNORECASE | re.DOTALL,
)
NO_TABLE = re.compile(
    r'Table with name \w+ does not exist|relation "\w+" does not exist'
)
FRAME = "A DataFrame or an Arrow table is given itself, without quotes: train('m', df)"
LEAVE = "Leave that name out"  # the column that it was given for is called as usual
LARGEST_WHOLE = 9.2e18
ALONE = "Run it by itself to see the row"
INEXACT = re.compile(r"inexact id (\S+) from (\d+) on in (.*?)[\"']?$", re.MULTILINE)


def bare(text: str) -> str:
    """A source without the semicolons around its end, and the comments behind them."""

    def blank(found: re.Match[str]) -> str:
        is_comment = found[0].startswith(("--", "/*"))
        return " " * len(found[0]) if is_comment else found[0]

    read = re.sub(OPAQUE, blank, text, flags=re.DOTALL)
    end = len(read.rstrip("; \t\r\n"))
    return (text[:end] if ";" in read[end:] else text).strip()


def quote(name: str) -> str:
    """An identifier, whatever it contains, as SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_name(text: str, plain: Callable[[str], str] = str) -> str:
    """The name of a table as SQL.

    Parts in quotes stay, others are quoted as `plain` makes them.
    """
    return ".".join(
        part if part[0] == '"' else quote(plain(part))
        for part in re.findall(PART, text)
    )


def find_column(
    known: Iterable[str], wanted: str | None, default: str, option: str
) -> str | None:
    """The source's own spelling of a column's name; None when it is not asked for and not there.

    In PostgreSQL names may differ by case alone: one spelled as it is asked for is meant.
    """
    names, name = list(known), wanted or default
    found = next(
        (column for column in names if column == name),
        next((column for column in names if column.lower() == name.lower()), None),
    )
    if found is None and wanted:
        raise _missing(
            names,
            name,
            option,
            usual=find_column(names, None, default, option) is not None,
        )
    return found


def need(known: Iterable[str], wanted: str | None, default: str, option: str) -> str:
    """The source's own spelling of a column's name. Raises MissingColumn."""
    names = list(known)
    found = find_column(names, wanted, default, option)
    if found is None:
        raise _missing(names, default, option)
    return found


def _missing(
    names: list[str], name: str, option: str, *, usual: bool = False
) -> MissingColumn:
    """The error for a missing column, where one of the usual name may be there."""
    return MissingColumn(
        source="the source",
        column=name,
        suggestion=suggestion(name, names),
        found=", ".join(names),
        option=option,
        remedy=LEAVE if usual else "Rename it there",
    )


def inexact(value: str, limit: int, column: str) -> str:
    """What a database is made to say, as SQL, of an id in floating point that may be several."""
    return f"concat('inexact id ', {value}, ' from {limit} on in ', {literal(column)})"


def failed(reason: str, kind: str | None, text: str) -> SourceFailed | InexactId:
    """The error for a database's own words about a source, where `text` is its type of text.

    `kind` says no more than what kind of error it is, where the words may quote a row; None where
    they never do.
    """
    found = INEXACT.search(reason)
    if found is None:
        if NO_TABLE.search(reason):
            reason += f"{'' if reason.endswith(('?', '!', '.')) else '.'} {FRAME}"
        return SourceFailed(
            reason=reason, shared={"reason": f"{kind}. {ALONE}"} if kind else None
        )
    value, limit, column = found.groups()
    # as text it would be 9.007199254740992e+15
    whole = abs(float(value)) < LARGEST_WHOLE
    remedy = (
        f"CAST({quote(column)} AS {'bigint' if whole else text}) AS {quote(column)}"
    )
    return InexactId(
        column=column,
        value=value,
        limit=limit,
        remedy=remedy,
        shared={"value": "a number"},
    )


class Readable(Protocol):
    """What an engine makes of a source's columns in its SQL."""

    def key(self, column: str) -> str:
        """An id, as text."""

    def weight(self, column: str) -> str:
        """A number."""

    def time(self, column: str) -> str:
        """Microseconds since 1970, or an order."""


def source_facts(
    query: str,
    looked: Readable,
    names: tuple[str, str, str | None, str | None],
    *,
    explicit: bool,
    clock: bool,
    guessed: bool = False,
) -> dict[str, Any]:
    """What reading a source needs to know of it: see `Engine.source`.

    `names` are the columns of users, items, weights and times; `clock` says whether times are
    moments, `guessed` whether types are those of the first rows.
    """
    user, item, weight, time = names
    return {
        "query": query,
        "explicit": explicit,
        "user": looked.key(user),
        "item": looked.key(item),
        "weight": looked.weight(weight) if weight else None,
        "time": looked.time(time) if time else None,
        "names": {"user": user, "item": item, "weight": weight},
        "has_weight": weight is not None,
        "has_time": time is not None,
        "clock": clock,
        "guessed": guessed,
        "since": None,
    }

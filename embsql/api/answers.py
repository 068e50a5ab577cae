"""Answers: rows that are shown as a table, and handed on to whatever reads Arrow."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from embsql.api.text_table import cell_text, format_columns, is_numeric
from embsql.errors import MissingExtra, NotConverted

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from matplotlib.figure import Figure

SHOWN = 20  # rows


class Answer:
    """The rows of an answer.

    What reads Arrow's streams takes one as it is: `pyarrow.table(answer)`,
    `polars.DataFrame(answer)`, and DuckDB by the name of the variable.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return int(self._table.num_rows)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        names: list[str] = self._table.column_names
        return names

    def __len__(self) -> int:
        return self.num_rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_pylist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and bool(self._table.equals(other._table))

    __hash__ = None  # type: ignore[assignment]  # what is equal by its rows has no cheap hash

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        if column not in self.column_names:
            raise KeyError(f"no column {column!r}, only {', '.join(self.column_names)}")
        return self._table[column]

    def to_arrow(self) -> pa.Table:
        """The rows as a table of pyarrow."""
        return self._table

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows as Python's values, a dictionary for each."""
        rows: list[dict[str, Any]] = self._table.to_pylist()
        return rows

    def to_pydict(self) -> dict[str, list[Any]]:
        """The columns as Python's values, a list for each."""
        columns: dict[str, list[Any]] = self._table.to_pydict()
        return columns

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a DataFrame of pandas. Raises MissingExtra and NotConverted."""
        _check_installed("pandas")
        return _converted("pandas", self._table.to_pandas)

    def to_polars(self) -> pl.DataFrame:
        """The rows as a DataFrame of polars. Raises MissingExtra and NotConverted."""
        _check_installed("polars")
        import polars as pl

        return _converted("polars", lambda: pl.DataFrame(self._table))

    def plot(self) -> Figure:
        """A picture of an answer of map, training_log, evaluation, compare, drift or clusters.

        A notebook shows it at the end of a cell; elsewhere `.savefig("map.png")` keeps it. A map
        has the colors of its column cluster_id. Raises MissingExtra and NoPicture.
        """
        from embsql.api.pictures import picture

        return picture(self._table)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        if not self.num_rows:
            return "(no rows)"
        table = format_columns(self.column_names, self._first())
        return f"{table}\n{self._size()}" if self.num_rows > SHOWN else table

    def _repr_html_(self) -> str:
        """The first rows as a notebook shows them."""
        columns = self._first()
        sides = ["right" if is_numeric(column) else "left" for column in columns]
        head = _row("th", self.column_names, sides)
        rows = zip(*columns, strict=True)
        body = (_row("td", map(cell_text, row), sides) for row in rows)
        return (
            f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"
            f"<p>{self._size()}</p>"
        )

    def _first(self) -> list[list[Any]]:
        """The columns of the rows that are shown."""
        return [_values(column) for column in self._table.slice(0, SHOWN).columns]

    def _size(self) -> str:
        rows = "1 row" if self.num_rows == 1 else f"{self.num_rows:,} rows"
        return f"{rows}, the first {SHOWN} shown" if self.num_rows > SHOWN else rows


def _row(tag: str, cells: Iterable[str], sides: list[str]) -> str:
    """A row of a table in HTML; whatever a cell holds is text there."""
    shown = (
        f'<{tag} dir="auto" style="text-align: {side}">{html.escape(text)}</{tag}>'
        for text, side in zip(cells, sides, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Values of Python; texts of times that Python has none for, before its year 1 and the like."""
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        values = [str(number) for number in column.cast("string").to_pylist()]
    return values


def _converted(package: str, convert: Callable[[], Any]) -> Any:
    """Raises NotConverted for what a library has no type for, whatever it raises."""
    try:
        return convert()
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise NotConverted(package=package, reason=reason) from None


def _check_installed(package: str) -> None:
    """Raises MissingExtra."""
    try:
        import_module(package)
    except ModuleNotFoundError:
        what = f"to_{package}"
        raise MissingExtra(what=what, package=package, extra="frames") from None

"""Tables as files, in the format that a file's name ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from embsql.errors import FileNotWritten, InvalidArgument

Write = Callable[[pa.Table, str], None]


def to_csv(table: pa.Table, path: str) -> None:
    """Write columns of single values, with a line of their names."""
    from pyarrow.csv import write_csv  # here: what writes no file does without it

    write_csv(table, path)


def to_parquet(table: pa.Table, path: str) -> None:
    """Write columns of any type."""
    from pyarrow.parquet import write_table

    write_table(table, path)


def writer(path: str, option: str, formats: Mapping[str, Write]) -> Write:
    """What writes the format of a file; known before there is anything to write.

    Raises InvalidArgument; what it returns raises FileNotWritten.
    """
    suffix = Path(path).suffix
    if suffix not in formats:
        allowed = f"a name that ends in {' or '.join(formats)}"
        raise InvalidArgument(name=option, allowed=allowed, value=path)

    def write(table: pa.Table, path: str) -> None:
        try:
            formats[suffix](table, path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise FileNotWritten(path=path, reason=reason) from None

    return write

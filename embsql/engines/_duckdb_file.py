"""A DuckDB file written anew."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import duckdb

from embsql.engines.files import literal
from embsql.errors import CannotOpen, DatabaseBusy
from embsql.fsync import replacement, settle

WRITTEN = """
SELECT regexp_extract(home.tags['storage_version'], '^v[0-9.]+') AS version, size.block_size
FROM duckdb_databases() AS home
JOIN pragma_database_size() AS size USING (database_name)
WHERE home.database_name = 'old'
"""


def rewrite(path: Path) -> None:
    """Replace a file that nobody has open by one with the same content, and nothing else in it.

    DuckDB keeps the bytes of what was deleted in free blocks. Whoever opens the file for writing
    meanwhile is refused; who reads it keeps the one that was. Raises CannotOpen, and what DuckDB
    raises.
    """
    with replacement(path) as fresh, closing(duckdb.connect()) as local:
        _hold(local, path)
        if Path(f"{path}.wal").exists():
            reason = "its .wal holds changes not yet in it; open it once for writing"
            raise CannotOpen(path=str(path), reason=reason)
        _copy(local, fresh)
        shutil.copymode(path, fresh)
        settle(fresh, path)  # while it is held: nobody writes to what goes


def _hold(local: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Open a file as `old`, so that nobody can write to it. Raises DatabaseBusy."""
    try:
        local.execute(f"ATTACH {literal(str(path))} AS old (READ_ONLY)")
    except duckdb.Error as error:  # whose class differs between versions
        if "already attached" not in str(error):
            raise
        raise DatabaseBusy(path=str(path), holder=" (this one)") from None


def _copy(local: duckdb.DuckDBPyConnection, fresh: Path) -> None:
    """The content of `old` in a new file that is written as that is."""
    ((version, block_size),) = local.execute(WRITTEN).fetchall()
    options = f"STORAGE_VERSION {literal(version)}, BLOCK_SIZE {int(block_size)}"
    local.execute(f"ATTACH {literal(str(fresh))} AS fresh ({options})")
    for statement in (
        "COPY FROM DATABASE old TO fresh",
        "CHECKPOINT fresh",
        "DETACH fresh",
    ):
        local.execute(statement)

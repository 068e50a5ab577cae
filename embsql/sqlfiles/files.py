"""The files below sql/: statements and schema files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def folder() -> Path:
    """Where sql/ is: inside the wheel, or next to the package in a checkout."""
    package = Path(__file__).parent.parent
    return package / "sql" if (package / "sql").is_dir() else package.parent / "sql"


def read_sql(name: str) -> str:
    """One file below sql/, for example prelude/duckdb.sql."""
    return (folder() / name).read_text(encoding="utf-8")


def described_statements(name: str) -> list[tuple[str, str, str]]:
    """(name, purpose, statement) of a file whose statements begin with `-- name: purpose`."""
    parts = re.split(r"^-- (\w+): (.*)\n", read_sql(name), flags=re.MULTILINE)[1:]
    found = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return [(name, purpose, statement.strip()) for name, purpose, statement in found]


@cache
def statements(name: str = "statements.sql", engine: str = "") -> dict[str, str]:
    """The statements of one file, by name.

    `x.postgres.sql` next to `x.sql` replaces some of them there.
    """
    own = sibling(folder() / name, engine).relative_to(folder())
    files = dict.fromkeys((name, str(own)))
    return {
        known: statement
        for file in files
        for known, _, statement in described_statements(file)
    }


@dataclass(frozen=True, slots=True)
class Migration:
    """One schema file: run once, in order of name."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """What tells one version of the file from another."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()

    @property
    def tables(self) -> list[str]:
        """The tables it makes."""
        return re.findall(r"^CREATE TABLE embsql\.(\w+)", self.text, re.MULTILINE)


def migrations(engine: str) -> list[Migration]:
    """Every schema file in order; `0001_x.postgres.sql` is instead of `0001_x.sql` there."""
    names = sorted(
        {path.name.split(".")[0] for path in (folder() / "schema").glob("*.sql")}
    )
    files = [sibling(folder() / "schema" / f"{name}.sql", engine) for name in names]
    return [
        Migration(path.name, path.read_text(encoding="utf-8"))
        for path in files
        if path.exists()
    ]


def sibling(path: Path, engine: str) -> Path:
    """The file that stands in for `path` on an engine, or `path` itself.

    x.postgres.sql stands in for x.sql.
    """
    own = path.with_suffix(f".{engine}.sql")
    return own if own.exists() else path

"""What SQLAlchemy sees of a database with the model `demo`: one line for the versions installed.

Not part of the suite: tests/drivers/reflect.sh installs pairs of versions and runs this with an
address as SQLAlchemy writes it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import metadata

import sqlalchemy as sa

PACKAGES = (
    "sqlalchemy",
    "duckdb",
    "duckdb-engine",
    "duckdb-sqlalchemy",
    "psycopg",
    "psycopg2-binary",
)
ASKED = "SELECT item_id FROM embsql.similar_items('demo', 'mug-03', k => 3)"


def main(address: str) -> None:
    warnings.simplefilter("ignore")  # of types that a dialect does not know
    engine = sa.create_engine(address)
    inspector = sa.inspect(engine)
    looks: dict[str, Callable[[], object]] = {
        "tables": lambda: inspector.get_table_names(schema="embsql"),
        "views": lambda: inspector.get_view_names(schema="embsql")[0],
        "columns": lambda: inspector.get_columns("live_map", schema="embsql"),
        "reflect": lambda: sa.MetaData().reflect(engine, schema="embsql", views=True),
        "ask": lambda: engine.connect().execute(sa.text(ASKED)).fetchall(),
    }
    seen = " ".join(f"{name}: {outcome(look)}" for name, look in looks.items())
    print(" ".join(installed()), "|", seen)


def installed() -> list[str]:
    versions = {
        dist.name.lower().replace("_", "-"): dist.version
        for dist in metadata.distributions()
    }
    return [f"{name} {versions[name]}" for name in PACKAGES if name in versions]


def outcome(look: Callable[[], object]) -> str:
    """Yes, or the error's first sentence."""
    try:
        look()
    except sa.exc.SQLAlchemyError as error:
        return str(error).splitlines()[0]
    return "yes"


if __name__ == "__main__":
    main(sys.argv[1])

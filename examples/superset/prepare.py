"""Trains what the dashboard shows on the shop that `embsql demo` leaves behind.

Usage: python examples/superset/prepare.py [demo.duckdb | postgresql://...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import embsql

FOLDER = Path(__file__).parent
QUARTERS = ("2025-07-01", "2025-10-01", "2026-01-01")  # where they begin
AISLES = "SELECT item_id AS entity_id, aisle AS label FROM shop_items"


def prepare(db: embsql.Database) -> None:
    """One run after each quarter, as a job would leave them; map, clusters, top-k."""
    orders = (FOLDER / "orders.sql").read_text(encoding="utf-8")
    for day in QUARTERS:
        db.train("shop", orders.replace("QUARTER", day), dim=32, evaluate=True)
    db.project("shop")
    db.cluster("shop", labels=AISLES)
    db.materialize("shop", k=5)


def main(address: str = "demo.duckdb") -> None:
    """Prepare the database at an address."""
    with embsql.connect(address) as db:
        prepare(db)
        print(db.runs("shop"))


if __name__ == "__main__":
    main(*sys.argv[1:])

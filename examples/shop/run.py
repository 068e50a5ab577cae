"""Runs story.sql on the database that `make demo` makes, and prints every answer.

Usage: python examples/shop/run.py [demo.duckdb]
"""

from __future__ import annotations

import sys
from pathlib import Path

import embsql

STORY = Path(__file__).with_name("story.sql")


def main(path: str = "demo.duckdb") -> None:
    """Tell the story."""
    if not Path(path).exists():
        sys.exit(f"there is no {path} here. Make it: make demo")
    with embsql.connect(path) as db:
        for statement in (
            STORY.read_text(encoding="utf-8").strip().removesuffix(";").split(";\n")
        ):
            print(f"{statement.strip()};\n\n{db.sql(statement)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

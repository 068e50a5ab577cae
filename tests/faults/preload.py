"""Imported by the zygote alone: compiled loops and parsed questions, and never torch."""

from __future__ import annotations

import tempfile

import embsql
from tests.faults import acts, victims

HOME = tempfile.TemporaryDirectory()  # goes with the zygote

victims.FILLED = f"{HOME.name}/filled.duckdb"
with embsql.connect(victims.FILLED) as database:
    acts.fill(database)

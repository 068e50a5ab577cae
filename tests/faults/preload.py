"""Imported by the zygote alone: compiled loops and parsed questions, and never torch."""

from __future__ import annotations

import embsql
from tests.faults import acts, victims  # noqa: F401 - what is forked runs these

with embsql.connect(":memory:") as database:
    acts.fill(database)

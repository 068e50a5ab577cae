"""Imported by a zygote of its own: dbt and both adapters, whose statements are steps too."""

from __future__ import annotations

import dbt.adapters.duckdb
import dbt.adapters.postgres
import dbt.cli.main  # noqa: F401 - what is forked has them at hand
from dbt.adapters.sql.connections import SQLConnectionManager

from tests.faults import preload, victims  # noqa: F401 - the rest, likewise

victims.PLACES.append((SQLConnectionManager, "add_query"))

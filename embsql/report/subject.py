"""The run that a page is about, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embsql.engines import Engine
from embsql.errors import NoLiveRun
from embsql.lifecycle import registry
from embsql.lifecycle.named_statements import query_named
from embsql.sqlfiles import files

if TYPE_CHECKING:
    import pyarrow as pa

ENTITIES = ("item", "user")
LONGEST_ID = 120  # characters of an id, or of any other word, that a page shows


@dataclass(frozen=True, slots=True)
class Subject:
    """A finished run; every statement is asked about it and no other."""

    engine: Engine
    record: Mapping[str, Any]  # its row of embsql.runs

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.record["model_name"])

    @property
    def reference(self) -> str:
        """What questions call the run: 'shop@7'."""
        return f"{self.name}@{self.record['run_id']}"

    @property
    def vectors(self) -> int:
        """How many it has, of users and items."""
        return sum(self.record[side] or 0 for side in ("users", "items"))

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """The answer of a statement of sql/report.sql that has few rows."""
        return self.engine.rows(self._text(statement), model=self.reference, **values)

    def table(self, statement: str, **values: Any) -> pa.Table:
        """The answer of a statement of sql/report.sql."""
        return self.engine.ask(self._text(statement), model=self.reference, **values)

    def _text(self, statement: str) -> str:
        return files.statements("report.sql", self.engine.name)[statement]


def subject(engine: Engine, model: str) -> Subject:
    """The run that 'shop' or 'shop@7' means; of a model without a live run, the newest finished.

    Raises UnknownModel, UnknownRun, NoLiveRun where nothing is finished, and RunNotReady.
    """
    try:
        return Subject(engine, registry.finished_run(engine, model))
    except NoLiveRun:
        newest = query_named(engine, "newest_finished", model_name=model)[0]["run_id"]
        if newest is None:
            raise
        return Subject(engine, registry.finished_run(engine, f"{model}@{newest}"))


def clipped(text: str) -> str:
    """A text as a page shows it, cut where it is long."""
    return text if len(text) <= LONGEST_ID else f"{text[:LONGEST_ID]}…"

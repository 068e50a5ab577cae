"""One side of a run's vectors, read as a matrix, and what is made of them written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from embsql.arrow import as_matrix
from embsql.data import Float32, Int32
from embsql.engines import Engine
from embsql.errors import InvalidArgument
from embsql.lifecycle import forgetting, registry
from embsql.lifecycle.leases import retry
from embsql.lifecycle.named_statements import execute_named
from embsql.sqlfiles import files


@dataclass(frozen=True, slots=True)
class EntityVectors:
    """The vectors of one side of a run, in order of id."""

    record: Mapping[str, Any]  # the run's
    entity: str
    ids: pa.Array  # (n,)
    vectors: Float32  # (n, d)
    interactions: Int32  # (n,)

    @property
    def run_id(self) -> int:
        """The run's number."""
        return int(self.record["run_id"])

    def rows(self, n: int) -> dict[str, Any]:
        """The columns that say whose n rows are."""
        return {
            "run_id": np.full(n, self.run_id),
            "entity_kind": pa.repeat(self.entity, n),
        }


def read_side(
    engine: Engine, reference: str, entity: str, *, normalize: bool
) -> EntityVectors:
    """The vectors of a finished run in order of id.

    With `normalize` they are made of length 1, and those without a direction are left out.
    """
    record = registry.finished_run(engine, reference)
    registry.check_own(engine, record["model_name"])
    table = engine.ask(
        named_statement(engine, f"{entity}_vectors"), run_id=record["run_id"]
    )
    vectors = as_matrix(table["embedding"])  # (n, d)
    norms = np.linalg.norm(vectors, axis=1)  # (n,)
    kept = np.flatnonzero(norms if normalize else np.ones_like(norms))  # (m,)
    if not len(kept):
        raise InvalidArgument(
            name="model",
            allowed=f"one with vectors of {entity}s that have a direction",
            value=reference,
        )
    ids, counts = (
        table["entity_id"].cast(pa.string()).combine_chunks(),
        table["interactions"].to_numpy(),
    )
    unit = vectors[kept] / norms[kept, None] if normalize else vectors[kept]  # (m, d)
    return EntityVectors(record, entity, ids.take(pa.array(kept)), unit, counts[kept])


def replace_rows(
    engine: Engine,
    side: EntityVectors,
    named: dict[str, str],
    tables: Mapping[str, dict[str, Any]],
) -> None:
    """Write tables in place of what has that name, at once.

    Raises RunNotReady for a run dropped meanwhile.
    """

    def attempt() -> None:
        with engine.transaction():
            # The run's row is whoever's writes it first: two that replace the same rows would both
            # find none to remove.
            registry.lock_run(engine, side.record["model_name"], side.run_id)
            for table, rows in tables.items():
                execute_named(
                    engine,
                    f"clear_{table}",
                    run_id=side.run_id,
                    entity=side.entity,
                    **named,
                )
                words = {
                    column: pa.repeat(word, len(rows["run_id"]))
                    for column, word in named.items()
                }
                engine.write(table, rows | words)
            forgetting.drop_orphans(engine, side.run_id, tables)

    retry(engine, attempt)


def named_statement(engine: Engine, name: str) -> str:
    """A statement of an engine, by name."""
    return files.statements(engine=engine.name)[name]

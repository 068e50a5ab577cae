"""Vectors as columns: what a model of churn or lifetime value is trained on."""

from __future__ import annotations

import pyarrow as pa

from embsql.arrow import as_matrix
from embsql.derived.vectors import named_statement
from embsql.engines import Engine
from embsql.lifecycle import registry


def wide_features(engine: Engine, model: str, *, entity: str) -> pa.Table:
    """embsql.features with a column for each entry of the vector: (n, d + 9).

    The columns e1, e2, ... stand in place of the vector.

    Raises UnknownModel, UnknownRun, NoLiveRun and RunNotReady.
    """
    registry.finished_run(engine, model)
    table = engine.ask(named_statement(engine, "features"), model=model, entity=entity)
    vectors = as_matrix(table["embedding"])  # (n, d)
    position = table.column_names.index("embedding")
    columns = {f"e{number}": column for number, column in enumerate(vectors.T, 1)}
    rest = {name: table[name] for name in table.column_names}
    before, after = list(rest)[:position], list(rest)[position + 1 :]
    return pa.table(
        {name: rest[name] for name in before}
        | columns
        | {name: rest[name] for name in after}
    )

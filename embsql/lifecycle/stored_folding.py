"""How a stored run makes vectors of histories, read back: its folding in, and its network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import as_matrix, one_array
from embsql.data import Clock, Float32, Float64, FoldIn, Network, NetworkLayer
from embsql.engines import Engine
from embsql.sqlfiles.files import statements


def fold_in_of(engine: Engine, run_id: int, items: pa.StringArray) -> FoldIn:
    """How a run with these items folds in."""
    stored = _settings(engine, run_id)
    scales = engine.ask(statements("publish.sql")["item_weights"], run_id=run_id)
    scale = None
    if scales.num_rows:
        ids = one_array(scales["item_id"])
        scale = aligned(scales["scale"], ids, items, 1).astype(np.float32)  # (m,)
    gramian = _gramian(engine, run_id)
    return FoldIn(stored["kind"], stored["settings"], scale, gramian)


def _gramian(engine: Engine, run_id: int) -> Float64 | None:
    """That of a run (d, d); None where it folds in without one."""
    lines = engine.ask(statements("publish.sql")["item_gramian"], run_id=run_id)
    if not lines.num_rows:
        return None
    return as_matrix(lines["entries"]).astype(np.float64)


def aligned(values: Any, ids: pa.Array, others: pa.StringArray, missing: float) -> Any:
    """Values (n,) of some ids in the order of others: (m,); `missing` for one without."""
    position = pc.index_in(others, value_set=ids.cast(pa.string()))  # (m,)
    return pc.take(values, position).fill_null(missing).to_numpy()


def _settings(engine: Engine, run_id: int) -> Mapping[str, Any]:
    """The kind of folding in, and its numbers; a run without any takes the mean."""
    found = engine.rows(statements("publish.sql")["fold_in_settings"], run_id=run_id)
    if not found:
        return {"kind": "mean", "settings": {}}
    kept = found[0]
    numbers = json.loads(kept["settings"])
    known = {name: value for name, value in numbers.items() if value is not None}
    return {"kind": kept["kind"], "settings": known}


def max_length_of(engine: Engine, run_id: int) -> int | None:
    """Of the histories that a run's network reads; None without a network."""
    network = engine.rows(statements("publish.sql")["networks"], run_id=run_id)
    if not network:
        return None
    return int(network[0]["max_length"])


def reads_once(engine: Engine, run_id: int) -> bool:
    """Whether a run's network reads each item of a history once, at its last event."""
    network = engine.rows(statements("publish.sql")["networks"], run_id=run_id)
    return bool(network) and network[0]["kind"] == "gru_distinct"


def network_of(engine: Engine, run_id: int, items: pa.StringArray) -> Network | None:
    """The network of a run with these items; None where it has none."""
    named = statements("publish.sql")
    found = engine.rows(named["networks"], run_id=run_id)
    rows = engine.rows(named["network_layers"], run_id=run_id)
    if not found or not rows:
        return None
    row = dict(found[0])
    latest_time = row.pop("latest_time")
    del row["run_id"]
    clock = None
    if latest_time is not None:
        first = engine.ask(named["item_first_times"], run_id=run_id)
        ids = one_array(first["item_id"])
        times = aligned(first["first_time"], ids, items, latest_time)  # (m,)
        clock = Clock(latest_time, times)
    return Network(**row, layers=tuple(_layers(rows)), clock=clock)


def _layers(rows: list[dict[str, Any]]) -> list[NetworkLayer]:
    """Linear maps of their rows, which are in order."""
    return [
        NetworkLayer(layer, part, *_map(list(lines)))
        for (layer, part), lines in groupby(rows, key=itemgetter("layer", "part"))
    ]


def _map(lines: list[dict[str, Any]]) -> tuple[Float32, Float32]:
    """Weights (out, in) and biases (out,) of the rows of one linear map."""
    weights = [np.asarray(line["weights"], np.float32) for line in lines]
    biases = [line["bias"] for line in lines]
    return np.stack(weights), np.array(biases, np.float32)

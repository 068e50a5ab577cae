"""What a run is trained on, as it is when the run starts: its interactions and side inputs."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql import algorithms
from embsql.algorithms import Algorithm
from embsql.data import Embeddings, Interactions
from embsql.engines import Engine
from embsql.errors import InvalidArgument, NotEnoughData
from embsql.lifecycle import registry
from embsql.lifecycle.loaded import side
from embsql.lifecycle.named_statements import query_named
from embsql.lifecycle.plan import Plan
from embsql.lifecycle.test_sessions import SessionTest
from embsql.run import Run
from embsql.sources.findings import Finding, describe_features, finding
from embsql.sources.prepare import prepare
from embsql.sources.side_inputs import by_id, graph, with_newcomers

NEW = {"user": "new users", "item": "new items"}  # what those without interactions are


def read_snapshot(engine: Engine, plan: Plan, run: Run, reader: Engine) -> Interactions:
    """The interactions as they are now, after writing down the report about them.

    Raises NotEnoughData, and what reading the source and the side inputs raises.
    """
    ordered = plan.reads_events or _rival_is_ordered(engine, plan)
    found = prepare(
        reader,
        plan.source,
        plan.columns,
        run,
        explicit=plan.algorithm.explicit,
        ordered=ordered,
    )
    write_findings(engine, run, found.findings)
    pairs = found.interactions()
    data, findings = add_side_inputs(reader, plan, pairs, newcomers=True)
    write_findings(engine, run, findings)
    check_enough(plan, pairs.n_users, pairs.n_items)
    return data


def check_enough(plan: Plan, users: int, items: int) -> None:
    """Refuse what nothing can be learned from. Raises NotEnoughData."""
    if users < 2 or items < 2:
        raise NotEnoughData(
            users=users, items=items, algorithm=plan.algorithm_name, need="2 of each"
        )


def _rival_is_ordered(engine: Engine, plan: Plan) -> bool:
    """Whether the gate may train the live run's algorithm anew, and that learns from order."""
    live = (
        registry.live_record(engine, plan.model_name)
        if plan.evaluate and plan.gate
        else None
    )
    name = live["algorithm"] if live else None
    # Of a class whose options decide, `ordered` is true.
    return name in algorithms.names() and bool(algorithms.find(name).ordered)


def add_side_inputs(
    reader: Engine, plan: Plan, data: Interactions, *, newcomers: bool = False
) -> tuple[Interactions, list[Finding]]:
    """The interactions with the plan's features and graph, and what was found in those.

    With `newcomers` also those of whom only features are known, where the algorithm makes vectors
    of these.
    """
    findings: list[Finding] = []
    for entity in ("user", "item"):
        data, found = _with_features(reader, plan, data, entity, newcomers=newcomers)
        findings += found
    if plan.graph:
        edges, of_edges = graph(reader, plan.graph, data.items)
        data = dataclasses.replace(data, graph=edges)
        findings += of_edges
    return data, findings


def _with_features(
    reader: Engine, plan: Plan, data: Interactions, entity: str, *, newcomers: bool
) -> tuple[Interactions, list[Finding]]:
    """The interactions with the features of users or items, and what was found in those.

    As they are where there is no source.
    """
    name = f"{entity}_features"
    source = getattr(plan, name)
    if not source:
        return data, []
    given = by_id(reader, source, f"{entity}_id", name)
    findings = []
    if newcomers and name in plan.algorithm.cold_start:
        before = _vocabulary(data, entity)
        data = with_newcomers(data, entity, given.described())
        after = _vocabulary(data, entity)
        new = len(after) - len(before)
        matched = pc.any(pc.is_in(before, given.ids)).as_py()
        findings.append(_counted(entity, new, matched=matched))
    ids = _vocabulary(data, entity)
    codes = data.user if entity == "user" else data.item  # (n,)
    known = given.of(ids)
    encodes = plan.algorithm.encodes or bool(plan.choosing)
    findings += describe_features(known, entity, codes, data.time, encodes=encodes)
    return dataclasses.replace(data, **{name: known}), findings


def _vocabulary(data: Interactions, entity: str) -> pa.StringArray:
    return data.users if entity == "user" else data.items


def _counted(entity: str, count: int, *, matched: bool) -> Finding:
    """How many are new; where nobody else has features, ids may be written otherwise."""
    hint = "they have no interactions yet, and the vectors that their features give"
    if matched:
        return finding(NEW[entity], count, "info", hint)
    hint = f"no {entity} of the source has features: are ids written as they are there?"
    return finding(NEW[entity], count, "warning", hint)


def of_newcomers(findings: list[Finding]) -> list[Finding]:
    """Those that count newcomers."""
    return [one for one in findings if one.check_name in NEW.values()]


def live_vectors(engine: Engine, plan: Plan, data: Interactions) -> Embeddings | None:
    """The live run's vectors in the order of these vocabularies; None when nothing is live.

    Users and items that are new have NaN. Raises InvalidArgument when the live run has another dim.
    """
    live = registry.live_record(engine, plan.model_name)
    if live is None:
        return None
    users, items = (
        side(engine, live["run_id"], entity).on(ids, missing=np.nan).vectors
        for entity, ids in (("user", data.users), ("item", data.items))
    )
    # removed while it was read
    if not query_named(engine, "run_record", run_id=live["run_id"]):
        return live_vectors(engine, plan, data)
    dim = getattr(plan.algorithm, "dim", items.shape[1])
    if items.shape[1] != dim:
        allowed = f"false when dim changes: the live run has vectors of {items.shape[1]}, not {dim}"
        raise InvalidArgument(name="warm_start", allowed=allowed, value="true")
    return Embeddings(users, items)


def write_findings(engine: Engine, run: Run, findings: list[Finding]) -> None:
    """Add findings to the run's report."""
    names = [column.name for column in dataclasses.fields(Finding)]
    columns = {name: [getattr(finding, name) for finding in findings] for name in names}
    engine.write("source_checks", {"run_id": [run.run_id] * len(findings), **columns})


def input_hash(
    plan: Plan, data: Interactions, test: Interactions | SessionTest | None
) -> str:
    """Of all that decides the result, so that unchanged work is recognized."""
    read = as_wanted(plan.algorithm, data).checksum()
    return hash_of(plan, read, *([test.checksum()] if test else []))


def hash_of(plan: Plan, *read: str) -> str:
    """The same, of the checksums of what was read."""
    options = json.dumps(
        [plan.algorithm.name, plan.params, plan.seed, plan.device, *read],
        sort_keys=True,
    )
    return hashlib.blake2b(options.encode(), digest_size=16).hexdigest()


def as_wanted(algorithm: Algorithm, data: Interactions) -> Interactions:
    """The data without the events, where an algorithm does not learn from their order."""
    return data if algorithm.ordered else dataclasses.replace(data, events=None)

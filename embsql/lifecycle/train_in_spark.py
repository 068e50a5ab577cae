"""The life of a run that is trained where its source lies, in Spark.

From lease to promote it is that of every run. What comes to this process are counts, a Gramian and
a loss per half sweep, and at the end the run, block by block, in the transaction that writes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import numpy as np

from embsql.algorithms import Algorithm, InBlocks
from embsql.data import Float32
from embsql.distributed.blocks import cut_into_blocks
from embsql.distributed.coding import SIDES, code_source
from embsql.distributed.interactions import InSpark
from embsql.distributed.measuring import Parts, figures_of, held_out_parts
from embsql.distributed.rows import SideRows, TrainedRows
from embsql.engines import Engine
from embsql.errors import Diverged, EmbsqlError, InvalidArgument
from embsql.evaluation.splits import FRACTION, Cut, resolve_split
from embsql.factorization.blocks import BlockEmbeddings, Sides
from embsql.factorization.objective import Totals
from embsql.lifecycle import gate, registry, run_rows
from embsql.lifecycle.gate import Comparison
from embsql.lifecycle.leases import Lease, retry
from embsql.lifecycle.measure import Measured, as_evaluation, headlines, tied
from embsql.lifecycle.pair_versions import write_pairs
from embsql.lifecycle.phase_log import PhaseLog
from embsql.lifecycle.plan import Plan
from embsql.lifecycle.snapshot import check_enough, hash_of, write_findings
from embsql.lifecycle.train import (
    finish,
    go_live,
    is_unchanged,
    resolve_search,
    under_lease,
    with_defaults,
    write_measured,
)
from embsql.phases import MEASURING, SEARCHING, TRAINING, WRITING, Phases
from embsql.run import Listener, Run

NOT_COMPARED = (
    "the live run is not asked in Spark; embsql report A B --test SELECT asks both"
)
SOURCE_IN_SPARK = (
    "cpu or cuda where the source is not in Spark; spark goes with source_db='spark', or with an "
    "open session"
)


def train_in_spark(
    engine: Engine,
    plan: Plan,
    listener: Listener | None,
    reader: Engine,
    phases: Phases,
) -> Run:
    """Train in the session that `reader` is, store in `engine`, promote; see `train_model`.

    Raises EmbsqlError; whatever is raised, the version that was live stays so, and no table of the
    training's is left in Spark.
    """
    from embsql.engines.spark import Spark
    from embsql.engines.spark_workspace import SparkWorkspace

    if not isinstance(reader, Spark):
        raise InvalidArgument(name="device", allowed=SOURCE_IN_SPARK, value="spark")

    def stages(run: Run, lease: Lease, log: PhaseLog) -> None:
        with SparkWorkspace(reader, _owner(engine, plan)) as work:
            data = _read(engine, plan, run, reader, work)
            source_hash = hash_of(plan, data.blocks.checksum)
            split = _split_name(plan, data) if plan.evaluate else None
            if not plan.force and is_unchanged(engine, plan, run, source_hash, split):
                return
            run.phases.enter(SEARCHING if plan.search else TRAINING)
            found = _searched(engine, plan, data, run)
            measured = _measured(engine, found, data, run) if plan.evaluate else None
            run.phases.enter(TRAINING)
            rows = TrainedRows(
                data, _fit(_with_defaults(engine, found, data, run), data, run)
            )
            lease.heartbeat()
            log.enter(engine, WRITING)
            retry(
                engine, lambda: _write(engine, found, run, rows, source_hash, measured)
            )
        go_live(engine, plan, run, lease, log, measured)

    return under_lease(engine, plan, stages, listener, phases)


def _fit(plan: Plan, data: InSpark, run: Run) -> BlockEmbeddings:
    """Train on data in blocks."""
    try:
        return data.stored(cast(InBlocks, plan.algorithm).fit_blocks(data, run))
    finally:
        with suppress(EmbsqlError, OSError):  # the session may be gone
            data.work.forget()


def _with_defaults(engine: Engine, plan: Plan, data: InSpark, run: Run) -> Plan:
    """The plan with the options that the data decide, noted in the run's params."""
    defaults = cast(InBlocks, plan.algorithm).defaults_in_blocks(data)
    algorithm = with_defaults(engine, plan, run, defaults)
    return dataclasses.replace(plan, algorithm=algorithm)


def _owner(engine: Engine, plan: Plan) -> str:
    """What the tables of a model's trainings are called: one of them at a time has the lease.

    A database in memory is this process's.
    """
    process = os.getpid() if engine.embedded and not engine.path else None
    named = json.dumps([engine.label, process, plan.model_name])
    return f"training_{hashlib.blake2b(named.encode(), digest_size=8).hexdigest()}"


def _read(engine: Engine, plan: Plan, run: Run, reader: Engine, work: Any) -> InSpark:
    """The interactions in blocks, after writing down the report about them."""
    coded = code_source(
        reader,
        work,
        str(plan.source),
        plan.columns,
        plan.model_name,
        explicit=plan.algorithm.explicit,
    )
    write_findings(engine, run, coded.findings)
    if coded.problem:
        raise coded.problem
    check_enough(plan, coded.users, coded.items)
    counts = Sides(coded.users, coded.items)
    blocks = cut_into_blocks(work, counts)
    totals = Totals(*counts, coded.pairs, blocks.weight)
    largest = coded.largest_weight
    newest = coded.newest_event
    return InSpark(work, blocks, totals, largest, newest, run)


# --- measuring -----------------------------------------------------------------------------------


def _split_name(plan: Plan, data: InSpark) -> str:
    """What the plan's figures are filed under."""
    return resolve_split(plan.split, has_time=data.newest_event is not None)


def _parts(plan: Plan, data: InSpark) -> Parts:
    """What the plan trains on and what it holds out."""
    cut = Cut(plan.seed, FRACTION, average=plan.algorithm.explicit, repeats=False)
    return held_out_parts(data, _split_name(plan, data), cut)


def _searched(engine: Engine, plan: Plan, data: InSpark, run: Run) -> Plan:
    """The plan with what its search finds, without the pairs that the run is measured on."""
    if plan.search is None:
        return plan
    silent = dataclasses.replace(run, on_report=None)
    k = plan.headline
    with data.work.scratch():
        parts = _parts(plan, _parts(plan, data).train if plan.evaluate else data)

        def measured(algorithm: Algorithm) -> float:
            trial = dataclasses.replace(plan, algorithm=algorithm, search=None)
            with data.work.scratch():
                made = _fit(trial, parts.train, silent)
                return headlines(figures_of(parts, made, run, (k,)))[f"ndcg@{k}"]

        return resolve_search(engine, plan, plan.search, run, measured)


def _measured(engine: Engine, plan: Plan, data: InSpark, run: Run) -> Measured:
    """Train on a part and ask about the other; the run itself is then trained on everything."""
    with data.work.scratch():
        parts = _parts(plan, data)
        write_findings(engine, run, tied(parts.facts))
        made = _fit(plan, parts.train, as_evaluation(run))
        run.phases.enter(MEASURING)
        figures = figures_of(parts, made, run, plan.k)
    compared = _compared(engine, plan) if plan.gate else None
    judged = gate.judged(
        figures, compared, parts.name, plan.headline, plan.gate_tolerance
    )
    return Measured(parts.name, figures, judged)


def _compared(engine: Engine, plan: Plan) -> Comparison:
    """Why the run is compared with popular items alone."""
    live = registry.live_record(engine, plan.model_name)
    if live is None:
        return Comparison("none", reason="nothing was live")
    return Comparison("none", compared_run=live["run_id"], reason=NOT_COMPARED)


# --- writing -------------------------------------------------------------------------------------


def _write(
    engine: Engine,
    plan: Plan,
    run: Run,
    rows: TrainedRows,
    source_hash: str,
    measured: Measured | None,
) -> None:
    """Everything of a run in one transaction, a block at a time."""
    totals = rows.data.totals
    written = Written(engine, plan, run)
    with engine.transaction():
        for side in SIDES:
            engine.write_parts(
                f"{side}_embeddings", written.parts(side, rows.side(side))
            )
        written.write_folding(rows)
        pairs = (run_rows.pair_rows(run, part)[1] for part in rows.interactions())
        write_pairs(engine, int(run.run_id or 0), pairs)
        write_measured(engine, run, measured)
        figures = {
            "source_hash": source_hash,
            "checksum": written.checksum(),
            "dim": rows.dim,
            "similarity": "dot",
            "users": totals.users,
            "items": totals.items,
            "interactions": totals.pairs,
        }
        finish(engine, plan, run, rows.users(), rows.data.newest_event, figures)


class Written:
    """The vectors of a run that have been written."""

    def __init__(self, engine: Engine, plan: Plan, run: Run) -> None:
        self._engine = engine
        self._plan = plan
        self._run = run
        self._vectors = hashlib.sha256()
        self._biases: dict[str, list[Float32]] = {side: [] for side in SIDES}
        self._gramian: Any = 0.0  # (dim, dim) of the items

    def parts(self, side: str, blocks: Iterator[SideRows]) -> Iterator[dict[str, Any]]:
        """The rows of users or items, users first, in order, as they are written."""
        for block in blocks:
            self._add(side, block)
            rows = block.ids, block.vectors, block.bias, block.counts
            yield run_rows.side_rows(self._run, side, *rows)[1]

    def _add(self, side: str, block: SideRows) -> None:
        """Count a block among what is written. Raises Diverged."""
        if not np.isfinite(block.vectors).all():
            raise Diverged(
                algorithm=self._plan.algorithm.name,
                epoch=self._plan.algorithm.epochs,
                model=self._run.model_name,
            )
        self._vectors.update(block.vectors.data)
        if block.bias is not None:
            self._biases[side].append(block.bias)
        if side == "item":
            self._gramian = self._gramian + run_rows.gramian_of_items(block.vectors)

    def write_folding(self, rows: TrainedRows) -> None:
        """Write how histories are folded in."""
        how = rows.made.fold_in
        for table, columns in run_rows.folding_rows(self._run, how, self._gramian):
            self._engine.write(table, columns)
        if how.item_scale is not None:
            weights = run_rows.item_weights(self._run, rows.items, how.item_scale)
            self._engine.write("item_weights", weights)

    def checksum(self) -> str:
        """The sum of all that was written, as `Embeddings.checksum` has it."""
        for side in ("item", "user"):
            if not self._biases[side]:
                self._vectors.update(b"none")
            for bias in self._biases[side]:
                self._vectors.update(bias.data)
        return self._vectors.hexdigest()

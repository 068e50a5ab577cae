"""The life of a run: lease, snapshot, train, write, validate, evaluate, promote, collect.

No transaction is held while training. Until `promote` no reader can see anything of a run; a run
that does not get there leaves its record, its log and its report behind, and nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

from embsql import algorithms
from embsql.algorithms import Algorithm
from embsql.checkpoints import Checkpoints, checkpoints
from embsql.data import Embeddings, Interactions
from embsql.engines import Engine
from embsql.errors import Cancelled, CannotOpen, ConnectionLost, LostLease, shared
from embsql.evaluation.evaluator import Questions
from embsql.freed import give_back
from embsql.lifecycle import (
    forgetting,
    installation,
    registry,
    removal,
    run_rows,
    search,
    test_set,
)
from embsql.lifecycle.auto import chosen, warn
from embsql.lifecycle.cells import in_cells, without_cells
from embsql.lifecycle.leases import Lease, retry
from embsql.lifecycle.measure import (
    Measured,
    as_stored,
    fit,
    headlines,
    judge,
    kept_figures,
    measure_on_a_part,
    metrics_rows,
    on_a_test,
    parts_of,
    split_name_of,
)
from embsql.lifecycle.named_statements import execute_named, query_named
from embsql.lifecycle.pair_versions import write_table
from embsql.lifecycle.phase_log import PhaseLog
from embsql.lifecycle.plan import DEFAULTS, Plan
from embsql.lifecycle.snapshot import (
    add_side_inputs,
    input_hash,
    live_vectors,
    of_newcomers,
    read_snapshot,
    write_findings,
)
from embsql.phases import MEASURING, SEARCHING, TRAINING, WRITING, Phases
from embsql.run import Listener, Run
from embsql.stopping import Stopped, unstopped


def train_model(
    engine: Engine,
    plan: Plan,
    listener: Listener | None = None,
    reader: Engine | None = None,
    phases: Phases | None = None,
) -> Run:
    """Train, store and promote a model; the run is live, or ready when its gate refused it.

    The source is read by `reader`, everything else is `engine`'s. `phases` says what it does.
    An unchanged source with unchanged options gives back the live run.
    Raises EmbsqlError; whatever is raised, the version that was live stays so.
    """
    source = reader or engine

    def snapshot(run: Run) -> Interactions:
        return read_snapshot(engine, plan, run, source)

    return complete(engine, plan, snapshot, listener, source, phases)


def complete(
    engine: Engine,
    plan: Plan,
    snapshot: Callable[[Run], Interactions],
    listener: Listener | None = None,
    reader: Engine | None = None,
    phases: Phases | None = None,
) -> Run:
    """A run from lease to collect, of the interactions that `snapshot` gives.

    What else it reads is in `reader`.
    """

    def stages(run: Run, lease: Lease, log: PhaseLog) -> None:
        _run_stages(engine, plan, run, lease, log, snapshot, reader or engine)

    return under_lease(engine, plan, stages, listener, phases)


def under_lease(
    engine: Engine,
    plan: Plan,
    stages: Callable[[Run, Lease, PhaseLog], None],
    listener: Listener | None = None,
    phases: Phases | None = None,
) -> Run:
    """A training whose stages, from snapshot to promote, are done by a function."""
    registry.check_name(plan.model_name)
    # what is unchanged needs no training, which only a look at the source can say
    if plan.force or registry.live_run_id(engine, plan.model_name) is None:
        plan.check_machine()
    return begun(engine, plan, stages, listener, phases)


def begun(
    engine: Engine,
    plan: Plan,
    stages: Callable[[Run, Lease, PhaseLog], None],
    listener: Listener | None = None,
    phases: Phases | None = None,
) -> Run:
    """A new run of a model, once `stages` have made it what it is to be while its lease is held.

    Raises what they raise, after writing it down.
    """
    run_id = registry.next_run(engine)
    log = PhaseLog(phases or Phases(), run_id)
    with Lease(engine, plan.model_name, run_id, log.write) as lease:
        run = Run(
            plan.seed,
            plan.threads,
            plan.device,
            run_id,
            plan.model_name,
            on_check=lease.check,
            phases=log.phases,
        )
        run.on_report = _reporter(engine, run_id, listener)
        _begin(engine, plan, run_id)
        failing = _record_failure(engine, run_id, log)
        with failing, lease.working(), run.phases.of_this_thread():
            stages(run, lease, log)
            _set_keep(engine, plan)
    removal.collect_garbage(engine, plan.model_name)
    return run


def _set_keep(engine: Engine, plan: Plan) -> None:
    """Note how many runs the model keeps, if this training says so."""
    if plan.keep is not None:
        kept = {"model_name": plan.model_name, "keep": plan.keep}
        retry(engine, lambda: execute_named(engine, "set_keep", **kept))


def _begin(engine: Engine, plan: Plan, run_id: int) -> None:
    """Write down that a run starts, and that runs of dead trainers have ended."""
    retry(
        engine,
        lambda: execute_named(engine, "ensure_model", model_name=plan.model_name),
    )
    retry(engine, lambda: _abandon(engine, plan.model_name, run_id))
    execute_named(
        engine,
        "begin_run",
        run_id=run_id,
        model_name=plan.model_name,
        algorithm=plan.algorithm_name,
        params=json.dumps(plan.params),
        source_sql=str(plan.source),
        seed=plan.seed,
        versions=json.dumps(_versions(plan)),
    )
    named = {
        f"{column}_col": name
        for column, name in dataclasses.asdict(plan.columns).items()
    }
    retry(engine, lambda: execute_named(engine, "name_columns", run_id=run_id, **named))


def _versions(plan: Plan) -> dict[str, Any]:
    packages = {name: version(name) for name in ("embsql", "duckdb", "numpy")}
    return {
        **packages,
        "python": platform.python_version(),
        "threads": plan.threads,
        "device": plan.device,
    }


@contextmanager
def _record_failure(engine: Engine, run_id: int, log: PhaseLog) -> Iterator[None]:
    """Write down how a run ended when it ended badly."""
    try:
        yield
    except BaseException as error:
        ends = isinstance(error, Cancelled | KeyboardInterrupt | Stopped)
        status = "cancelled" if ends else "failed"
        # Of a server that is gone: the next trainer writes this run off.
        ended = {"status": status, "error": shared(error) or "interrupted"}
        with suppress(ConnectionLost, CannotOpen), unstopped():
            retry(engine, lambda: _end(engine, run_id, **ended))
            log.enter(engine, None)
        raise


def _abandon(engine: Engine, model_name: str, run_id: int) -> None:
    """Write off the runs before this one that nobody trains any more."""
    with engine.transaction():
        execute_named(engine, "abandoned", model_name=model_name, run_id=run_id)
        execute_named(engine, "drop_ended")


def _end(engine: Engine, run_id: int, status: str, error: str) -> None:
    """Write off a run, and what it says of people forgotten meanwhile.

    One that is whole stays so, and says why it is not live.
    """
    why = {"run_id": run_id, "error": error}
    with engine.transaction():
        if not execute_named(engine, "end_run", status=status, **why):
            execute_named(engine, "set_gate_reason", **why)
        forgetting.settle_forgotten(engine, run_id)


def _reporter(engine: Engine, run_id: int, listener: Listener | None) -> Listener:
    def report(epoch: int, values: Mapping[str, float]) -> None:
        for metric, value in values.items():
            execute_named(
                engine,
                "log_epoch",
                run_id=run_id,
                epoch=epoch,
                metric=metric,
                value=float(value),
            )
        if listener:
            listener(epoch, dict(values))

    return report


# --- the stages ----------------------------------------------------------------------------------


def _run_stages(
    engine: Engine,
    plan: Plan,
    run: Run,
    lease: Lease,
    log: PhaseLog,
    snapshot: Callable[[Run], Interactions],
    reader: Engine,
) -> None:
    """The stages between lease and collect."""
    data = snapshot(run)
    give_back()
    test = None
    if plan.evaluate and plan.test:
        test = test_set.read_test(
            reader, plan.test, run, test_set.NONE, plan.columns, plan.split
        )
    is_new = plan.choosing is not None
    if plan.choosing:
        run.phases.enter(SEARCHING)
        plan, data = chosen(engine, plan, plan.choosing, data, run)
        data, findings = add_side_inputs(reader, plan, data, newcomers=True)
        write_findings(engine, run, of_newcomers(findings))
    warn(engine, plan, run)
    source_hash = input_hash(plan, data, test)
    split_name = split_name_of(plan, data, test) if plan.evaluate else None
    is_free = not plan.force and not is_new
    if is_free and is_unchanged(engine, plan, run, source_hash, split_name):
        return
    plan.check_machine()
    run.phases.enter(SEARCHING if plan.search else TRAINING)
    plan = _searched(engine, plan, data, run)
    before = live_vectors(engine, plan, data) if plan.warm_start else None
    run.checkpoints = _checkpoints(plan, source_hash, before)
    measured = None
    if split_name and test is None:
        measured = measure_on_a_part(engine, reader, plan, data, run)
    run.phases.enter(TRAINING)
    run.before = before  # only now: it has seen what the evaluation holds out
    defaults = plan.algorithm.defaults(data, run)
    embeddings = fit(with_defaults(engine, plan, run, defaults), data, run)
    give_back()
    if test is not None:
        run.phases.enter(MEASURING)
        made = as_stored(data, embeddings)
        answered = on_a_test(made, test, run, k=plan.k, repeats=plan.repeats)
        measured = judge(engine, reader, plan, data, answered, run)
    lease.heartbeat()
    log.enter(engine, WRITING)
    # again, where somebody was forgotten meanwhile
    retry(
        engine,
        lambda: _write(engine, plan, run, data, embeddings, source_hash, measured),
    )
    go_live(engine, plan, run, lease, log, measured)


def go_live(
    engine: Engine,
    plan: Plan,
    run: Run,
    lease: Lease,
    log: PhaseLog,
    measured: Measured | None = None,
) -> None:
    """Index what was written, and promote it, unless what was measured forbids it."""
    engine.index(int(run.run_id or 0))
    log.enter(engine, None)
    if run.checkpoints:
        run.checkpoints.clear()
    run.metrics = headlines(measured.figures) if measured else {}
    run.status = "ready"
    lease.heartbeat()
    run.refused = measured.verdict.refused if measured else None
    if run.refused:
        refused = {"run_id": run.run_id, "error": run.refused}
        retry(engine, lambda: execute_named(engine, "set_gate_reason", **refused))
        return
    _derive(engine, plan, run)
    lease.heartbeat()
    registry.promote(engine, f"{plan.model_name}@{run.run_id}")
    run.status = "live"


def _derive(engine: Engine, plan: Plan, run: Run) -> None:
    """Make maps and clusters; where that fails, the run is none the worse, and says so."""
    if plan.derive is None:
        return
    try:
        plan.derive(engine, f"{plan.model_name}@{run.run_id}")
    except Exception as error:  # whatever it is, the run is whole
        run.incomplete = f"not all maps and clusters were made: {shared(error)}"
        failed = {"run_id": run.run_id, "error": run.incomplete}
        retry(engine, lambda: execute_named(engine, "set_gate_reason", **failed))


def _checkpoints(
    plan: Plan, source_hash: str, before: Embeddings | None
) -> Checkpoints | None:
    """Where this run leaves how far it is. Raises CheckpointNotWritten.

    Threads do not count, as another machine may go on.
    """
    if plan.checkpoint_dir is None:
        return None
    # with what a search chose; source_hash knows only where it looked
    found = json.dumps(plan.params)
    return checkpoints(
        plan.checkpoint_dir,
        source_hash,
        found,
        before.checksum() if before else None,
        version("embsql"),
    )


def is_unchanged(
    engine: Engine,
    plan: Plan,
    run: Run,
    source_hash: str,
    split_name: str | None = None,
) -> bool:
    """Whether the live run came of the same input and options and was measured so.

    Then `run` becomes that run, with the maps and clusters that it lacks.
    """
    record = registry.live_record(engine, plan.model_name)
    if record is None or record["source_hash"] != source_hash:
        return False
    live = record["run_id"]
    figures = kept_figures(engine, live, split_name)
    if split_name and not {f"ndcg@{k}" for k in plan.k} <= set(figures):
        return False
    removal.delete_run(engine, int(run.run_id or 0))
    run.run_id = live
    run.status = "live"
    run.skipped = True
    run.metrics = figures
    if plan.derive:  # what was made of it then may be less
        plan.derive(engine, plan.model_name)
    return True


def _searched(engine: Engine, plan: Plan, data: Interactions, run: Run) -> Plan:
    """The plan with what its search finds, without the pairs that the run is measured on."""
    if plan.search is None:
        return plan
    known = parts_of(plan, data).train if plan.evaluate and not plan.test else data
    parts = parts_of(plan, known)
    questions = Questions.prepare(parts, run)
    # the epochs of a trial are not the run's
    silent = dataclasses.replace(run, on_report=None)

    def measured(algorithm: Algorithm) -> float:
        return _ndcg(questions, fit(algorithm, parts.train, silent), plan.headline)

    return resolve_search(engine, plan, plan.search, run, measured)


def with_defaults(
    engine: Engine, plan: Plan, run: Run, defaults: dict[str, Any]
) -> Algorithm:
    """The plan's algorithm with the options that the data decide, noted in the run's params."""
    if not defaults:
        return plan.algorithm
    record = query_named(engine, "run_record", run_id=run.run_id)[0]
    params = json.dumps(json.loads(record["params"]) | {DEFAULTS: defaults})
    noted = {"run_id": run.run_id, "params": params}
    retry(engine, lambda: execute_named(engine, "set_params", **noted))
    options = dataclasses.asdict(plan.algorithm)  # type: ignore[call-overload]  # it is a dataclass
    return algorithms.make(plan.algorithm.name, options | defaults)


def _ndcg(questions: Questions, embeddings: Embeddings, k: int) -> float:
    """The mean over the users asked."""
    return float(questions.per_user(embeddings, "ndcg", k).mean())


def resolve_search(
    engine: Engine,
    plan: Plan,
    wanted: search.Search,
    run: Run,
    measured: Callable[[Algorithm], float],
) -> Plan:
    """The plan with what is best of what a search tries; `measured` gives ndcg at the headline."""

    def record(trial: search.Trial) -> None:
        execute_named(
            engine, "log_trial", run_id=run.run_id, **dataclasses.asdict(trial)
        )
        if trial.value is not None:
            run.report(epoch=trial.trial, **{f"trial_{trial.metric}": trial.value})

    algorithm = search.best(wanted, measured, run, record, k=plan.headline)
    found = plan.resolved(algorithm)
    params = json.dumps(found.params | {"search": plan.params["search"]})
    retry(
        engine,
        lambda: execute_named(engine, "set_params", run_id=run.run_id, params=params),
    )
    return found


def _write(
    engine: Engine,
    plan: Plan,
    run: Run,
    data: Interactions,
    embeddings: Embeddings,
    source_hash: str,
    measured: Measured | None,
) -> None:
    """Everything of a run in one transaction: the registry sees all of it, or nothing."""
    figures = {
        "source_hash": source_hash,
        "checksum": embeddings.checksum(),
        "dim": embeddings.dim,
        "similarity": embeddings.similarity,
        "users": data.n_users,
        "items": data.n_items,
        "interactions": len(data),
    }
    with engine.transaction():
        rows = run_rows.tables(run, data, embeddings)
        if plan.search_cells:
            rows = in_cells(engine, run, embeddings.similarity, rows)
            counted = {"user": data.n_users, "item": data.n_items}
            write_findings(engine, run, without_cells(engine, counted))
        for table, columns in rows:
            write_table(engine, int(run.run_id or 0), table, columns)
        if embeddings.network or plan.search_cells:
            installation.install_readers(engine)
        write_measured(engine, run, measured)
        newest = data.newest_event(int(time.time() * 1e6))
        finish(
            engine, plan, run, (user.as_py() for user in data.users), newest, figures
        )


def write_measured(engine: Engine, run: Run, measured: Measured | None) -> None:
    """Write what an evaluation came to, where there was one."""
    if measured:
        engine.write("metrics", metrics_rows(run, measured.split, measured.figures))
        execute_named(engine, "judge", run_id=run.run_id, **measured.verdict.row)


def finish(
    engine: Engine,
    plan: Plan,
    run: Run,
    users: Iterable[str],
    newest_event: int | None,
    figures: Mapping[str, Any],
) -> None:
    """Make a run ready, without whoever of its users was forgotten meanwhile. Raises LostLease."""
    execute_named(engine, "note_newest", run_id=run.run_id, newest_event=newest_event)
    finished = execute_named(engine, "finish_run", run_id=run.run_id, **figures)
    if not finished:  # whoever took the lease over has written this run off
        raise LostLease(name=plan.model_name, run_id=run.run_id)
    forgetting.leave_out(engine, int(run.run_id or 0), users)

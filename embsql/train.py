"""The life of a run: lease, snapshot, train, write, validate, evaluate, promote, collect.

No transaction is held while training. Until `promote` no reader can see anything of a run; a run that does not
get there leaves its record, its log and its report behind, and nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from embsql import algorithms, gate, given, registry, stored, surface, tune
from embsql.algorithms import Algorithm
from embsql.checkpoints import Checkpoints, checkpoints
from embsql.data import Embeddings, Interactions
from embsql.engines import Engine
from embsql.errors import (
    BadArgument,
    Cancelled,
    CannotOpen,
    Diverged,
    EmbsqlError,
    LostLease,
    NotEvaluated,
    ServerGone,
)
from embsql.evaluate import Exam, Metric
from embsql.gate import Candidate, Comparison, Verdict
from embsql.jobs import Lease, retry
from embsql.loaded import Loaded, Side, load
from embsql.model import Columns, Listener, Run
from embsql.plan import SIDE_INPUTS, Plan
from embsql.prepare import Finding, prepare
from embsql.registry import look, say
from embsql.snapshot import (
    add_side_inputs,
    as_wanted,
    input_hash,
    live_vectors,
    read_snapshot,
    write_findings,
)
from embsql.splits import REPEATS, Split, named, split


def train(engine: Engine, plan: Plan, listener: Listener | None = None, reader: Engine | None = None) -> Run:
    """Train, store and promote a model; the run, whose status is live, or ready when its gate refused it.

    The source is read by `reader`, everything else is `engine`'s.
    An unchanged source with unchanged options gives back the live run. Raises EmbsqlError; whatever is raised,
    the version that was live stays so.
    """
    source = reader or engine
    return complete(engine, plan, lambda run: read_snapshot(engine, plan, run, source), listener, source)


def complete(
    engine: Engine,
    plan: Plan,
    snapshot: Callable[[Run], Interactions],
    listener: Listener | None = None,
    reader: Engine | None = None,
) -> Run:
    """A run from lease to collect, of the interactions that `snapshot` gives; what else it reads is in `reader`."""
    registry.check_name(plan.model_name)
    run_id = registry.next_run(engine)
    with Lease(engine, plan.model_name, run_id) as lease:
        run = Run(plan.seed, plan.threads, plan.device, run_id, plan.model_name, on_check=lease.check)
        run.on_report = _reporter(engine, run_id, listener)
        _begin(engine, plan, run_id)
        with _recorded(engine, run_id):
            _live(engine, plan, run, lease, snapshot, reader or engine)
    registry.collect(engine, plan.model_name)
    return run


def _begin(engine: Engine, plan: Plan, run_id: int) -> None:
    """Write down that a run starts, and that runs of dead trainers have ended."""
    retry(engine, lambda: say(engine, "know_model", model_name=plan.model_name))
    retry(engine, lambda: say(engine, "abandoned", model_name=plan.model_name, run_id=run_id))
    say(
        engine, "begin_run", run_id=run_id, model_name=plan.model_name, algorithm=plan.algorithm.name,
        params=json.dumps(plan.params), source_sql=str(plan.source), seed=plan.seed,
        versions=json.dumps(_versions(plan)),
    )  # fmt: skip
    named = {f"{column}_col": name for column, name in dataclasses.asdict(plan.columns).items()}
    say(engine, "name_columns", run_id=run_id, **named)


def _versions(plan: Plan) -> dict[str, Any]:
    packages = {name: version(name) for name in ("embsql", "duckdb", "numpy")}
    return {**packages, "python": platform.python_version(), "threads": plan.threads, "device": plan.device}


@contextmanager
def _recorded(engine: Engine, run_id: int) -> Iterator[None]:
    """Write down how a run ended when it ended badly."""
    try:
        yield
    except BaseException as error:
        status = "cancelled" if isinstance(error, Cancelled | KeyboardInterrupt) else "failed"
        with suppress(ServerGone, CannotOpen):  # a server that is gone: the next trainer writes this run off
            say(engine, "end_run", run_id=run_id, status=status, error=str(error) or "interrupted")
        raise


def _reporter(engine: Engine, run_id: int, listener: Listener | None) -> Listener:
    def report(epoch: int, values: Mapping[str, float]) -> None:
        for metric, value in values.items():
            say(engine, "log_epoch", run_id=run_id, epoch=epoch, metric=metric, value=float(value))
        if listener:
            listener(epoch, dict(values))

    return report


# --- the stages ----------------------------------------------------------------------------------


def _live(
    engine: Engine,
    plan: Plan,
    run: Run,
    lease: Lease,
    snapshot: Callable[[Run], Interactions],
    reader: Engine,
) -> None:
    """The stages between lease and collect."""
    data = snapshot(run)
    test = given.read(reader, plan.test, run) if plan.evaluate and plan.test else None
    source_hash = input_hash(plan, data, test)
    split_name = _split_name(plan, data) if plan.evaluate else None
    if not plan.force and _unchanged(engine, plan, run, source_hash, split_name):
        return
    plan = _tuned(engine, plan, data, run)
    before = live_vectors(engine, plan, data) if plan.warm_start else None
    run.checkpoints = _checkpoints(plan, source_hash, before)
    measured = _trial(engine, reader, plan, data, run) if split_name and test is None else None
    run.before = before  # only now: it has met what the evaluation holds out
    embeddings = _fit(plan.algorithm, data, run)
    if test is not None:
        made = _as_stored(data, embeddings)
        answered = _on_a_test(made, test, run, k=plan.k, repeats=plan.repeats)
        measured = _judged(engine, reader, plan, data, answered, run)
    lease.beat()
    _write(engine, plan, run, data, embeddings, source_hash, measured)
    if run.checkpoints:
        run.checkpoints.clear()
    run.status, run.metrics = "ready", _headlines(measured.figures) if measured else {}
    lease.beat()
    run.refused = measured.verdict.refused if measured else None
    if run.refused:
        say(engine, "explain_gate", run_id=run.run_id, error=run.refused)
        return
    registry.promote(engine, f"{plan.model_name}@{run.run_id}")
    run.status = "live"


def _checkpoints(plan: Plan, source_hash: str, before: Embeddings | None) -> Checkpoints | None:
    """Where this run leaves how far it is; threads do not count, as another machine may go on. Raises NotKept."""
    if plan.checkpoints is None:
        return None
    found = json.dumps(plan.params)  # by a search, of which the hash knows where it looked
    return checkpoints(plan.checkpoints, source_hash, found, before.checksum() if before else None, version("embsql"))


def _unchanged(engine: Engine, plan: Plan, run: Run, source_hash: str, split_name: str | None) -> bool:
    """Whether the live run came of the same input and options and was measured so; then `run` becomes that run."""
    live = registry.live(engine, plan.model_name)
    if live is None or look(engine, "run_record", run_id=live)[0]["source_hash"] != source_hash:
        return False
    figures = _measured(engine, live, split_name)
    if split_name and not {f"ndcg@{k}" for k in plan.k} <= set(figures):
        return False
    registry.discard(engine, int(run.run_id or 0))
    run.run_id, run.status, run.skipped = live, "live", True
    run.metrics = figures
    return True


def _measured(engine: Engine, run_id: int, split_name: str | None) -> dict[str, float]:
    """The figures of a run over all users on a split: "ndcg@10" -> value."""
    rows = look(engine, "metrics", run_id=run_id, split=split_name)
    return {f"{row['metric']}@{row['k']}": row["value"] for row in rows}


def _tuned(engine: Engine, plan: Plan, data: Interactions, run: Run) -> Plan:
    """The plan with what its search finds, which has not met the pairs that the run is then measured on."""
    if plan.search is None:
        return plan
    known = _split(plan, data).train if plan.evaluate and not plan.test else data

    def record(trial: tune.Trial) -> None:
        say(engine, "log_trial", run_id=run.run_id, **dataclasses.asdict(trial))
        if trial.value is not None:
            run.report(epoch=trial.trial, **{f"trial_{trial.metric}": trial.value})

    algorithm = tune.best(plan.search, _split(plan, known), run, _fit, record, k=plan.headline)
    found = dataclasses.replace(plan, algorithm=algorithm, search=None)
    say(engine, "choose", run_id=run.run_id, params=json.dumps(found.params | {"tune": plan.params["tune"]}))
    return found


def _fit(algorithm: Algorithm, data: Interactions, run: Run) -> Embeddings:
    """Train, and make sure that what came out can be stored."""
    embeddings = algorithm.fit(as_wanted(algorithm, data), run)
    if not embeddings.finite():
        raise Diverged(algorithm=algorithm.name, epoch=algorithm.epochs, model=run.model_name)
    return embeddings


def _write(
    engine: Engine,
    plan: Plan,
    run: Run,
    data: Interactions,
    embeddings: Embeddings,
    source_hash: str,
    measured: Measured | None,
) -> None:
    """Everything of a run in one transaction: all of it becomes visible to the registry, or nothing."""
    sums = {"source_hash": source_hash, "checksum": embeddings.checksum()}
    with engine.transaction():
        for table, columns in stored.tables(run, data, embeddings):
            engine.write(table, columns)
        if measured:
            engine.write("metrics", _metrics(run, measured.split, measured.figures))
            say(engine, "judge", run_id=run.run_id, **measured.verdict.row)
        finished = say(
            engine, "finish_run", run_id=run.run_id, dim=embeddings.dim, similarity=embeddings.similarity,
            users=data.n_users, items=data.n_items, interactions=len(data), **sums,
        )  # fmt: skip
        if not finished:  # whoever took the lease over has written this run off
            raise LostLease(name=plan.model_name, run_id=run.run_id)
    engine.index(int(run.run_id or 0))


# --- evaluating ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """What an evaluation came to."""

    split: str
    figures: list[Metric]
    verdict: Verdict


def _split_name(plan: Plan, data: Interactions) -> str:
    """What the plan's figures are filed under."""
    return given.NAME + REPEATS * plan.repeats if plan.test else named(data, plan.split, repeats=plan.repeats)


def _split(plan: Plan, data: Interactions) -> Split:
    return split(
        data, plan.split, seed=plan.seed, average=plan.algorithm.explicit, repeats=plan.repeats and not plan.test
    )


def _trial(engine: Engine, reader: Engine, plan: Plan, data: Interactions, run: Run) -> Measured:
    """Train on a part and ask about the other; the run itself is then trained on everything."""
    answered = _on_a_part(plan, data, run)
    write_findings(engine, run, _tied(answered.parts))
    return _judged(engine, reader, plan, data, answered, run)


@dataclass(frozen=True, slots=True)
class Answered:
    """Vectors that were asked, and how good they are."""

    parts: Split
    embeddings: Embeddings
    known: tuple[Any, Any]  # the users (n_users,) and items (n_items,) there are vectors of
    figures: list[Metric]


def _on_a_part(plan: Plan, data: Interactions, run: Run) -> Answered:
    """Train on a part, ask about the other."""
    parts = _split(plan, data)
    trial = dataclasses.replace(
        run, on_report=lambda epoch, values: run.report(epoch=epoch, **_renamed(values)),
        checkpoints=run.checkpoints and run.checkpoints.of(f"trial-{parts.name}"),
    )  # fmt: skip
    embeddings = _fit(plan.algorithm, parts.train, trial)
    exam = Exam.of(parts, run, k=plan.k)
    known = _present(parts.train.user, data.n_users), _present(parts.train.item, data.n_items)
    return Answered(parts, embeddings, known, exam.measure(embeddings) + exam.counted())


def _present(codes: Any, n: int) -> Any:
    """Which of n codes are among some: (n,)."""
    return np.bincount(codes, minlength=n) > 0


def _on_a_test(made: Loaded, test: Interactions, run: Run, *, k: tuple[int, ...], repeats: bool) -> Answered:
    """Ask vectors, as they are, about the caller's own pairs."""
    parts = given.asked(test, made.pairs, repeats=repeats, name=run.model_name)
    known = made.users.known(parts.train.users), made.items.known(parts.train.items)
    embeddings = made.embeddings(parts.train.users, parts.train.items)
    exam = Exam.of(parts, run, k=k, vectors=known)
    return Answered(parts, embeddings, known, exam.measure(embeddings) + exam.counted())


def _as_stored(data: Interactions, embeddings: Embeddings) -> Loaded:
    """Vectors that were just made, as they will be stored."""
    bias = np.zeros(data.n_items, np.float32) if embeddings.item_bias is None else embeddings.item_bias
    users = Side(data.users, embeddings.users, np.zeros(data.n_users, np.float32))
    return Loaded(users, Side(data.items, embeddings.items, bias), embeddings.similarity, data)


def _tied(parts: Split) -> list[Finding]:
    """How many users' last pair was drawn by lot."""
    if "tied users" not in parts.facts:
        return []
    users = parts.facts["tied users"]
    hint = "several pairs of one last time: which of them the evaluation asks about was drawn by the run's seed"
    return [Finding("users with tied last pairs", "info" if users else "ok", users, hint=hint)]


def _renamed(values: Mapping[str, float]) -> dict[str, float]:
    return {f"evaluation_{name}": value for name, value in values.items()}


def _metrics(run: Run, split_name: str, figures: list[Metric]) -> dict[str, Any]:
    """The rows of the metrics table."""
    names = [column.name for column in dataclasses.fields(Metric)]
    columns = {name: [getattr(figure, name) for figure in figures] for name in names}
    return {"run_id": [run.run_id] * len(figures), "split": [split_name] * len(figures), **columns}


def _headlines(figures: list[Metric]) -> dict[str, float]:
    return {f"{figure.metric}@{figure.k}": figure.value for figure in figures if figure.segment == "all"}


# --- the gate ------------------------------------------------------------------------------------


def _judged(engine: Engine, reader: Engine, plan: Plan, data: Interactions, answered: Answered, run: Run) -> Measured:
    """What was measured, and whether the run may go live."""
    found = _compared(engine, reader, plan, _candidate(plan, data, answered, run)) if plan.gate else None
    name, figures = answered.parts.name, answered.figures
    return Measured(name, figures, gate.judged(figures, found, name, plan.headline, plan.tolerance))


def _candidate(plan: Plan, data: Interactions, answered: Answered, run: Run) -> Candidate:
    """The run as the gate wants to know it."""
    silent = dataclasses.replace(run, on_report=None, checkpoints=None)
    return Candidate(
        data,
        answered.parts,
        answered.embeddings,
        answered.known,
        lambda part: _fit(plan.algorithm, part, silent),
        plan.algorithm.explicit,
        silent,
        plan.headline,
        plan.tolerance,
    )


def _compared(engine: Engine, reader: Engine, plan: Plan, new: Candidate) -> Comparison:
    """The run beside the live one."""
    run_id = registry.live(engine, plan.model_name)
    if run_id is None:
        return Comparison("none", reason="nothing was live")
    record = look(engine, "run_record", run_id=run_id)[0]
    found = gate.as_it_is(new, load(engine, record))
    if not plan.test and (found is None or (found.users or 0) < gate.ENOUGH):
        found = _anew(engine, reader, plan, new, record) or found
    found = found or Comparison("none", reason="the live run knows none of the users asked")
    return dataclasses.replace(found, compared_run=run_id)


def _anew(engine: Engine, reader: Engine, plan: Plan, new: Candidate, record: dict[str, Any]) -> Comparison | None:
    """The run beside the live one's algorithm and options, trained anew; None for vectors that were never trained."""
    if record["algorithm"] not in algorithms.names():
        return None
    try:
        live = _plan_of(engine, record)
        if (live.algorithm, live.seed, live.selects) == (plan.algorithm, plan.seed, plan.selects):
            return gate.alike(new)
        if live.algorithm.explicit != plan.algorithm.explicit:
            return Comparison("none", reason="one of the two takes weights for ratings, the other for evidence")
        part = dataclasses.replace(new.parts.train, user_features=None, item_features=None, graph=None)
        data, _ = add_side_inputs(reader, live, part)
        return gate.anew(new, _fit(live.algorithm, data, dataclasses.replace(new.run, seed=live.seed)))
    except (Cancelled, LostLease, ServerGone):
        raise
    except EmbsqlError as error:
        return Comparison("none", reason=f"the live run's options could not be trained anew: {error}")


def _plan_of(engine: Engine, record: dict[str, Any], **wanted: Any) -> Plan:
    """A plan to train a finished run's algorithm anew, with the run's options, on the run's own interactions."""
    params = json.loads(record["params"])
    params.pop("tune", None)  # what was searched; what was found is among the others
    sources = {name: params.pop(name) for name in SIDE_INPUTS if name in params}
    gone = next((name for name, given in sources.items() if not isinstance(given, str)), None)
    if gone:
        reason = f"its {gone} were a table in memory, which is gone; say evaluate=True when it is trained"
        raise NotEvaluated(name=f"{record['model_name']}@{record['run_id']}", reason=reason)
    algorithm = algorithms.make(record["algorithm"], params)
    source = surface.statements(engine=engine.name)["run_source"].replace("$run_id", str(int(record["run_id"])))
    return Plan(record["model_name"], source, algorithm, seed=record["seed"], **sources, **wanted)


# --- measuring a finished run --------------------------------------------------------------------

PAIRS = (
    "split 'time' cuts events, and of a finished run only the pairs are kept, to which {rows} repeated rows were added "
    "up; measure by time while training, with evaluate and split 'time', or give a test of your own"
)


def evaluate(
    engine: Engine,
    reference: str,
    *,
    k: tuple[int, ...],
    split: str = "auto",
    test: str | None = None,
    repeats: bool = False,
) -> dict[str, float]:
    """Measure a finished run and keep the figures: "ndcg@10" -> value.

    On a `test`, a SELECT of user_id and item_id, the run's vectors are asked as they are. Otherwise, as they have seen
    every interaction, the run's algorithm is trained anew, with the run's options, on a part of the run's own
    interactions, and asked about the rest. Raises NotEvaluated, BadArgument, and what reading and training raise.
    """
    record = registry.run(engine, reference)
    run = Run(record["seed"], run_id=record["run_id"], model_name=record["model_name"])
    if test is None:
        answered = _of_part(engine, reference, record, run, k=k, split=split, repeats=repeats)
    elif split != "auto":
        raise BadArgument(name="split", allowed="left out with test, which says what is asked", value=repr(split))
    else:
        answered = _on_a_test(load(engine, record), given.read(engine, test, run), run, k=k, repeats=repeats)
    rows = _metrics(run, answered.parts.name, answered.figures)
    with engine.transaction():
        say(engine, "forget_metrics", run_id=run.run_id, split=answered.parts.name)
        engine.write("metrics", rows)
    registry.event(engine, run.model_name, run.run_id, "evaluate")
    return _headlines(answered.figures)


def _of_part(engine: Engine, reference: str, record: dict[str, Any], run: Run, **wanted: Any) -> Answered:
    """Its algorithm, trained anew on a part. Raises NotEvaluated for vectors that were never trained."""
    if record["algorithm"] not in algorithms.names():
        reason = "its vectors were registered, not trained, so there is nothing to train anew; give a test of your own"
        raise NotEvaluated(name=reference, reason=reason)
    plan = _plan_of(engine, record, evaluate=True, **wanted)
    rows = look(engine, "repeated_pairs", run_id=run.run_id) if plan.cuts_events else []
    if rows:
        raise NotEvaluated(name=reference, reason=PAIRS.format(rows=rows[0]["affected"]))
    algorithm = plan.algorithm
    found = prepare(engine, plan.source, Columns(), run, explicit=algorithm.explicit, ordered=algorithm.ordered)
    data, _ = add_side_inputs(engine, plan, found.interactions())
    return _on_a_part(plan, data, run)

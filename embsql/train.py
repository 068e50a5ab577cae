"""The life of a run: lease, snapshot, train, write, validate, evaluate, promote, collect.

No transaction is held while training. Until `promote` no reader can see anything of a run; a run that does not
get there leaves its record, its log and its report behind, and nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql import algorithms, registry, stored, surface, tune
from embsql.algorithms import Algorithm
from embsql.checkpoints import Checkpoints, checkpoints
from embsql.data import Embeddings, Interactions
from embsql.engines import Engine
from embsql.errors import BadArgument, Cancelled, CannotOpen, Diverged, LostLease, NotEvaluated, ServerGone, TooFew
from embsql.evaluate import Metric, gate, measure
from embsql.jobs import Lease, retry
from embsql.model import Columns, Listener, Run, usable_cores
from embsql.prepare import Finding, features, graph, prepare, told
from embsql.registry import look, say
from embsql.splits import named, split

BESIDE = ("user_features", "item_features", "graph")  # what a plan may name beside the source


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides what a run will be."""

    model_name: str
    source: str
    algorithm: Algorithm
    columns: Columns = field(default_factory=Columns)
    seed: int = 42
    threads: int = field(default_factory=usable_cores)
    device: str = "cpu"
    evaluate: bool = False
    k: tuple[int, ...] = (10, 20)
    split: str = "auto"
    gate: bool = True
    tolerance: float = 0.05
    force: bool = False
    user_features: str | None = None  # a SELECT of user_id and what is known of each
    item_features: str | None = None  # a SELECT of item_id and what is known of each
    graph: str | None = None  # a SELECT of source_node, target_node (ids of items) and, if it has one, weight
    warm_start: bool = False
    checkpoints: str | None = None  # a folder where a training that is killed leaves how far it came
    search: tune.Search | None = None  # options still to be found; the algorithm has their first values

    def __post_init__(self) -> None:
        """Refuse options that do not go together. Raises BadArgument."""
        keeps = self.checkpoints is None or self.algorithm.resumes
        allowed = {
            "warm_start": (not (self.warm_start and self.search), "false with tune, whose trials start afresh"),
            "checkpoints": (keeps, f"left out: {self.algorithm.name} has no networks to train and keeps none"),
        }
        for name, (fine, words) in allowed.items():
            if not fine:
                raise BadArgument(name=name, allowed=words, value=repr(getattr(self, name)))

    @property
    def params(self) -> dict[str, Any]:
        """The algorithm's options, and where features and graph came from, as written into the run.

        Of options still to be found, what decides which they will be.
        """
        beside = {name: getattr(self, name) for name in BESIDE if getattr(self, name)}
        options: dict[str, Any] = dataclasses.asdict(self.algorithm) | beside  # type: ignore[call-overload]  # every algorithm is a dataclass
        if self.search:
            options = {name: value for name, value in options.items() if name not in self.search.space}
            way = {"metric": f"ndcg@{self.headline}", "split": self.split, "evaluate": self.evaluate}
            options["tune"] = self.search.asked | way
        return options

    @property
    def headline(self) -> int:
        """The k of the one figure that decides."""
        return 10 if 10 in self.k else self.k[0]


def train(engine: Engine, plan: Plan, listener: Listener | None = None, reader: Engine | None = None) -> Run:
    """Train, store and promote a model; the run, whose status is live, or ready when its gate refused it.

    The source is read by `reader`, everything else is `engine`'s.
    An unchanged source with unchanged options gives back the live run. Raises EmbsqlError; whatever is raised,
    the version that was live stays so.
    """
    return complete(engine, plan, lambda run: _snapshot(engine, plan, run, reader or engine), listener)


def complete(
    engine: Engine, plan: Plan, snapshot: Callable[[Run], Interactions], listener: Listener | None = None
) -> Run:
    """A run from lease to collect, of the interactions that `snapshot` gives."""
    registry.check_name(plan.model_name)
    run_id = registry.next_run(engine)
    with Lease(engine, plan.model_name, run_id) as lease:
        run = Run(plan.seed, plan.threads, plan.device, run_id, plan.model_name, on_check=lease.check)
        run.on_report = _reporter(engine, run_id, listener)
        _begin(engine, plan, run_id)
        with _recorded(engine, run_id):
            _live(engine, plan, run, lease, snapshot)
    registry.collect(engine, plan.model_name)
    return run


def _begin(engine: Engine, plan: Plan, run_id: int) -> None:
    """Write down that a run starts, and that runs of dead trainers have ended."""
    retry(engine, lambda: say(engine, "know_model", model_name=plan.model_name))
    retry(engine, lambda: say(engine, "abandoned", model_name=plan.model_name, run_id=run_id))
    say(
        engine, "begin_run", run_id=run_id, model_name=plan.model_name, algorithm=plan.algorithm.name,
        params=json.dumps(plan.params), source_sql=plan.source, seed=plan.seed, versions=json.dumps(_versions(plan)),
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


def _live(engine: Engine, plan: Plan, run: Run, lease: Lease, snapshot: Callable[[Run], Interactions]) -> None:
    """The stages between lease and collect."""
    data = snapshot(run)
    source_hash = _hash(plan, data)
    split_name = named(data, plan.split) if plan.evaluate else None
    if not plan.force and _unchanged(engine, plan, run, source_hash, split_name):
        return
    plan = _tuned(engine, plan, data, run)
    before = _before(engine, plan, data) if plan.warm_start else None
    run.checkpoints = _checkpoints(plan, source_hash, before)
    figures = _evaluate(plan, data, run) if split_name else []
    run.before = before  # only now: it has met what the evaluation holds out
    embeddings = _fit(plan.algorithm, data, run)
    lease.beat()
    _write(engine, plan, run, data, embeddings, source_hash, figures)
    if run.checkpoints:
        run.checkpoints.clear()
    run.status, run.metrics = "ready", _headlines(figures)
    lease.beat()
    run.refused = _refusal(engine, plan, figures, split_name)
    if run.refused:
        say(engine, "explain_gate", run_id=run.run_id, error=run.refused)
        return
    registry.promote(engine, f"{plan.model_name}@{run.run_id}")
    run.status = "live"


def _snapshot(engine: Engine, plan: Plan, run: Run, reader: Engine) -> Interactions:
    """The interactions as they are now, after writing down the report about them."""
    algorithm = plan.algorithm
    found = prepare(reader, plan.source, plan.columns, run, explicit=algorithm.explicit, ordered=algorithm.ordered)
    _note(engine, run, found.findings)
    data, findings = _beside(reader, plan, found.interactions())
    _note(engine, run, findings)
    if data.n_users < 2 or data.n_items < 2:
        raise TooFew(users=data.n_users, items=data.n_items, algorithm=plan.algorithm.name, need="2 of each")
    return data


def _beside(reader: Engine, plan: Plan, data: Interactions) -> tuple[Interactions, list[Finding]]:
    """The interactions with the plan's features of users and items and its graph, and what was found in that."""
    findings: list[Finding] = []
    if plan.user_features:
        known = features(reader, plan.user_features, "user_id", "user_features", data.users)
        data = dataclasses.replace(data, user_features=known)
        findings += told(known, "user", data.user, data.time, encodes=plan.algorithm.encodes)
    if plan.item_features:
        known = features(reader, plan.item_features, "item_id", "item_features", data.items)
        data = dataclasses.replace(data, item_features=known)
        findings += told(known, "item", data.item, data.time, encodes=plan.algorithm.encodes)
    if plan.graph:
        edges, of_edges = graph(reader, plan.graph, data.items)
        data = dataclasses.replace(data, graph=edges)
        findings += of_edges
    return data, findings


def _before(engine: Engine, plan: Plan, data: Interactions) -> Embeddings | None:
    """The live run's vectors in the order of these vocabularies, NaN for who is new; None when nothing is live."""
    live = registry.live(engine, plan.model_name)
    if live is None:
        return None
    users, items = (_aligned(engine, live, entity, ids) for entity, ids in (("user", data.users), ("item", data.items)))
    dim = getattr(plan.algorithm, "dim", items.shape[1])
    if items.shape[1] != dim:
        allowed = f"false when dim changes: the live run has vectors of {items.shape[1]}, not {dim}"
        raise BadArgument(name="warm_start", allowed=allowed, value="true")
    return Embeddings(users, items)


def _aligned(engine: Engine, run_id: int, entity: str, ids: pa.StringArray) -> Any:
    """The vectors (n_ids, d) that a run has of ids, NaN where it has none."""
    known = engine.ask(surface.statements(engine=engine.name)[f"{entity}_vectors"], run_id=run_id)
    vectors = np.array(known["embedding"].to_pylist(), np.float32)  # (k, d)
    found = np.full((len(ids), vectors.shape[1]), np.nan, np.float32)  # (n_ids, d)
    places = pc.index_in(ids, known["entity_id"].cast(pa.string()).combine_chunks())
    there = places.is_valid().to_numpy(zero_copy_only=False)  # (n_ids,)
    found[there] = vectors[places.drop_null().to_numpy()]
    return found


def _note(engine: Engine, run: Run, findings: list[Finding]) -> None:
    names = [column.name for column in dataclasses.fields(Finding)]
    columns = {name: [getattr(finding, name) for finding in findings] for name in names}
    engine.write("validations", {"run_id": [run.run_id] * len(findings), **columns})


def _hash(plan: Plan, data: Interactions) -> str:
    """Of all that decides the result, so that unchanged work is recognised."""
    options = json.dumps([plan.algorithm.name, plan.params, plan.seed, plan.device, data.checksum()], sort_keys=True)
    return hashlib.blake2b(options.encode(), digest_size=16).hexdigest()


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
    known = split(data, plan.split, seed=plan.seed)[0] if plan.evaluate else data

    def record(trial: tune.Trial) -> None:
        say(engine, "log_trial", run_id=run.run_id, **dataclasses.asdict(trial))
        if trial.value is not None:
            run.report(epoch=trial.trial, **{f"trial_{trial.metric}": trial.value})

    algorithm = tune.best(plan.search, known, run, _fit, record, by=plan.split, k=plan.headline)
    found = dataclasses.replace(plan, algorithm=algorithm, search=None)
    say(engine, "choose", run_id=run.run_id, params=json.dumps(found.params | {"tune": plan.params["tune"]}))
    return found


def _fit(algorithm: Algorithm, data: Interactions, run: Run) -> Embeddings:
    """Train, and make sure that what came out can be stored."""
    embeddings = algorithm.fit(data, run)
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
    figures: list[Metric],
) -> None:
    """Everything of a run in one transaction: all of it becomes visible to the registry, or nothing."""
    sums = {"source_hash": source_hash, "checksum": embeddings.checksum()}
    with engine.transaction():
        for table, columns in stored.tables(run, data, embeddings):
            engine.write(table, columns)
        if figures:
            engine.write("metrics", _metrics(run, named(data, plan.split), figures))
        finished = say(
            engine, "finish_run", run_id=run.run_id, dim=embeddings.dim, similarity=embeddings.similarity,
            users=data.n_users, items=data.n_items, interactions=len(data), **sums,
        )  # fmt: skip
        if not finished:  # whoever took the lease over has written this run off
            raise LostLease(name=plan.model_name, run_id=run.run_id)
    engine.index(int(run.run_id or 0))


# --- evaluating ----------------------------------------------------------------------------------


def _evaluate(plan: Plan, data: Interactions, run: Run) -> list[Metric]:
    """Train on a part, measure on what was held out; the run itself is then trained on everything."""
    known, held_out = split(data, plan.split, seed=plan.seed)
    trial = dataclasses.replace(
        run, on_report=lambda epoch, values: run.report(epoch=epoch, **_renamed(values)),
        checkpoints=run.checkpoints and run.checkpoints.of(f"trial-{named(data, plan.split)}"),
    )  # fmt: skip
    embeddings = _fit(plan.algorithm, known, trial)
    return measure(embeddings, known, held_out, run, k=plan.k)


def _renamed(values: Mapping[str, float]) -> dict[str, float]:
    return {f"evaluation_{name}": value for name, value in values.items()}


def _metrics(run: Run, split_name: str, figures: list[Metric]) -> dict[str, Any]:
    """The rows of the metrics table."""
    names = [column.name for column in dataclasses.fields(Metric)]
    columns = {name: [getattr(figure, name) for figure in figures] for name in names}
    return {"run_id": [run.run_id] * len(figures), "split": [split_name] * len(figures), **columns}


def _headlines(figures: list[Metric]) -> dict[str, float]:
    return {f"{figure.metric}@{figure.k}": figure.value for figure in figures if figure.segment == "all"}


def _refusal(engine: Engine, plan: Plan, figures: list[Metric], split_name: str | None) -> str | None:
    """Why the gate does not let a run go live; None when it may, or when nothing was measured."""
    if not (plan.gate and figures):
        return None
    live = registry.live(engine, plan.model_name)
    before = _measured(engine, live, split_name) if live is not None else {}
    return gate(figures, before, f"ndcg@{plan.headline}", plan.tolerance)


def evaluate(engine: Engine, reference: str, *, k: tuple[int, ...], split: str) -> dict[str, float]:
    """Measure a finished run and keep the figures: "ndcg@10" -> value.

    The stored vectors have seen every interaction, so the run's algorithm is trained anew, with the run's options,
    on a part of the run's own interactions, and measured on the rest.
    """
    record = registry.run(engine, reference)
    if record["algorithm"] not in algorithms.names():
        raise NotEvaluated(
            name=reference, reason="its vectors were registered, not trained; there is nothing to train anew"
        )
    params = json.loads(record["params"])
    params.pop("tune", None)  # what was searched; what was found is among the others
    sources = {name: params.pop(name) for name in BESIDE if name in params}
    algorithm = algorithms.make(record["algorithm"], params)
    source = surface.statements(engine=engine.name)["run_source"].replace("$run_id", str(int(record["run_id"])))
    plan = Plan(record["model_name"], source, algorithm, seed=record["seed"], k=k, split=split, **sources)
    run = Run(plan.seed, plan.threads, run_id=record["run_id"], model_name=plan.model_name)
    found = prepare(engine, source, Columns(), run, explicit=algorithm.explicit, ordered=algorithm.ordered)
    data, _ = _beside(engine, plan, found.interactions())
    figures = _evaluate(plan, data, run)
    rows = _metrics(run, named(data, split), figures)
    with engine.transaction():
        say(engine, "forget_metrics", run_id=run.run_id, split=rows["split"][0])
        engine.write("metrics", rows)
    registry.event(engine, plan.model_name, run.run_id, "evaluate")
    return _headlines(figures)

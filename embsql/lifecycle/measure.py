"""How good vectors are: on a part of the interactions or a test, and against the live run's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embsql import algorithms
from embsql.algorithms import Algorithm
from embsql.data import Embeddings, Interactions
from embsql.engines import Engine
from embsql.errors import (
    Cancelled,
    ConnectionLost,
    Diverged,
    EmbsqlError,
    InvalidArgument,
    LostLease,
    NotEvaluated,
    shared,
)
from embsql.evaluation.evaluator import Evaluator
from embsql.evaluation.splits import NEXT, Split, resolve_split, split
from embsql.evaluation.tally import Metric
from embsql.lifecycle import gate, registry, test_set
from embsql.lifecycle.gate import Candidate, Comparison, Verdict
from embsql.lifecycle.loaded import Loaded, Side, load_run
from embsql.lifecycle.named_statements import execute_named, log_event, query_named
from embsql.lifecycle.plan import Plan, plan_of
from embsql.lifecycle.sequences import with_histories
from embsql.lifecycle.snapshot import add_side_inputs, as_wanted, write_findings
from embsql.lifecycle.stored_folding import max_length_of
from embsql.lifecycle.test_sessions import SessionTest, asked_next
from embsql.numeric.linalg import thread_pool
from embsql.phases import MEASURING, TRAINING
from embsql.run import Columns, Run
from embsql.sources.findings import Finding
from embsql.sources.prepare import prepare
from embsql.sources.source import Source

Test = Interactions | SessionTest  # pairs, or what comes next


def fit(algorithm: Algorithm, data: Interactions, run: Run) -> Embeddings:
    """Train, and make sure that what came out can be stored."""
    with thread_pool(run):
        embeddings = algorithm.fit(as_wanted(algorithm, data), run)
    if not embeddings.finite():
        raise Diverged(
            algorithm=algorithm.name, epoch=algorithm.epochs, model=run.model_name
        )
    return embeddings


# --- figures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """What an evaluation came to."""

    split: str
    figures: list[Metric]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Answered:
    """Vectors that were asked, and how good they are."""

    parts: Split
    embeddings: Embeddings
    # the users (n_users,) and items (n_items,) there are vectors of
    known: tuple[Any, Any]
    figures: list[Metric]


def split_name_of(plan: Plan, data: Interactions, test: Test | None) -> str:
    """What the plan's figures are filed under."""
    if test:
        return test_set.name_of(test, repeats=plan.repeats)
    has_time = data.time is not None
    return resolve_split(plan.split, has_time=has_time, repeats=plan.repeats)


def parts_of(plan: Plan, data: Interactions) -> Split:
    """What the plan trains on and what it holds out."""
    return split(
        data,
        plan.split,
        seed=plan.seed,
        average=plan.algorithm.explicit,
        repeats=plan.repeats and not plan.test,
    )


def kept_figures(
    engine: Engine, run_id: int, split_name: str | None
) -> dict[str, float]:
    """The figures of a run over all users on a split: "ndcg@10" -> value."""
    rows = query_named(engine, "metrics", run_id=run_id, split=split_name)
    return {f"{row['metric']}@{row['k']}": row["value"] for row in rows}


def metrics_rows(run: Run, split_name: str, figures: list[Metric]) -> dict[str, Any]:
    """The rows of the metrics table."""
    names = [column.name for column in dataclasses.fields(Metric)]
    columns = {name: [getattr(figure, name) for figure in figures] for name in names}
    return {
        "run_id": [run.run_id] * len(figures),
        "split": [split_name] * len(figures),
        **columns,
    }


def headlines(figures: list[Metric]) -> dict[str, float]:
    """The figures over all users: "ndcg@10" -> value."""
    whole = (figure for figure in figures if figure.segment == "all")
    return {f"{figure.metric}@{figure.k}": figure.value for figure in whole}


# --- asking --------------------------------------------------------------------------------------


def measure_on_a_part(
    engine: Engine, reader: Engine, plan: Plan, data: Interactions, run: Run
) -> Measured:
    """Train on a part and ask about the other; the run itself is then trained on everything."""
    answered = _on_a_part(plan, data, run)
    write_findings(engine, run, tied(answered.parts.facts))
    return judge(engine, reader, plan, data, answered, run)


def _on_a_part(plan: Plan, data: Interactions, run: Run) -> Answered:
    """Train on a part, ask about the other."""
    parts = parts_of(plan, data)
    trial = dataclasses.replace(
        as_evaluation(run),
        checkpoints=run.checkpoints and run.checkpoints.of(f"trial-{parts.name}"),
    )
    run.phases.enter(TRAINING)
    embeddings = fit(plan.algorithm, parts.train, trial)
    run.phases.enter(MEASURING)
    evaluator = Evaluator.prepare(parts, run, k=plan.k)
    known = (
        present(parts.train.user, data.n_users),
        present(parts.train.item, data.n_items),
    )
    return Answered(
        parts, embeddings, known, evaluator.measure(embeddings) + evaluator.facts()
    )


def present(codes: Any, n: int) -> Any:
    """Which of n codes are among some: (n,)."""
    return np.bincount(codes, minlength=n) > 0


def on_a_test(
    made: Loaded, test: Test, run: Run, *, k: tuple[int, ...], repeats: bool
) -> Answered:
    """Ask vectors, as they are, about the caller's own pairs or sessions."""
    if isinstance(test, SessionTest):
        parts = asked_next(test, made, run)
    else:
        parts = test_set.asked(test, made.pairs, repeats=repeats, name=run.model_name)
    known = made.users.known(parts.train.users), made.items.known(parts.train.items)
    embeddings = made.embeddings(parts.train.users, parts.train.items)
    evaluator = Evaluator.prepare(parts, run, k=k, vectors=known)
    return Answered(
        parts, embeddings, known, evaluator.measure(embeddings) + evaluator.facts()
    )


def as_stored(data: Interactions, embeddings: Embeddings) -> Loaded:
    """Vectors that were just made, as they will be stored."""
    bias = embeddings.item_bias
    if bias is None:
        bias = np.zeros(data.n_items, np.float32)  # (n_items,)
    users = Side(data.users, embeddings.users, np.zeros(data.n_users, np.float32))
    return Loaded(
        users,
        Side(data.items, embeddings.items, bias),
        embeddings.similarity,
        data,
        embeddings.fold_in,
        embeddings.network,
    )


def tied(facts: Mapping[str, int]) -> list[Finding]:
    """How many users' last pair was drawn by lot, of the facts of a split."""
    if "tied users" not in facts:
        return []
    users = facts["tied users"]
    hint = (
        "several pairs of one last time: which of them the evaluation asks about was drawn by"
        " the run's seed"
    )
    return [
        Finding(
            "users with tied last pairs", "info" if users else "ok", users, hint=hint
        )
    ]


def as_evaluation(run: Run) -> Run:
    """The run, whose losses are reported as those of its evaluation."""
    return dataclasses.replace(
        run, on_report=lambda epoch, values: run.report(epoch=epoch, **_renamed(values))
    )


def _renamed(values: Mapping[str, float]) -> dict[str, float]:
    return {f"evaluation_{name}": value for name, value in values.items()}


# --- the gate ------------------------------------------------------------------------------------


def judge(
    engine: Engine,
    reader: Engine,
    plan: Plan,
    data: Interactions,
    answered: Answered,
    run: Run,
) -> Measured:
    """What was measured, and whether the run may go live."""
    found = None
    if plan.gate:
        found = _compared(engine, reader, plan, _candidate(plan, data, answered, run))
    name = answered.parts.name
    figures = answered.figures
    return Measured(
        name,
        figures,
        gate.judged(figures, found, name, plan.headline, plan.gate_tolerance),
    )


def _candidate(
    plan: Plan, data: Interactions, answered: Answered, run: Run
) -> Candidate:
    """The run as the gate wants to know it."""
    silent = dataclasses.replace(run, on_report=None, checkpoints=None)
    return Candidate(
        data,
        answered.parts,
        answered.embeddings,
        answered.known,
        lambda part: fit(plan.algorithm, part, silent),
        plan.algorithm.explicit,
        silent,
        plan.headline,
        plan.gate_tolerance,
    )


def _compared(engine: Engine, reader: Engine, plan: Plan, new: Candidate) -> Comparison:
    """The run to compare with the live one."""
    record = registry.live_record(engine, plan.model_name)
    if record is None:
        return Comparison("none", reason="nothing was live")
    found = gate.as_it_is(new, load_run(engine, record))
    if not plan.test and (found is None or (found.users or 0) < gate.MIN_USERS):
        found = _anew(engine, reader, plan, new, record) or found
    found = found or Comparison(
        "none", reason="the live run knows none of the users asked"
    )
    return dataclasses.replace(found, compared_run=record["run_id"])


def _anew(
    engine: Engine, reader: Engine, plan: Plan, new: Candidate, record: dict[str, Any]
) -> Comparison | None:
    """The run with the live one's algorithm and options, trained anew.

    None where the live run's vectors were never trained.
    """
    if record["algorithm"] not in algorithms.names():
        return None
    try:
        live = plan_of(engine, record)
        if (live.algorithm, live.seed, live.selects) == (
            plan.algorithm,
            plan.seed,
            plan.selects,
        ):
            return gate.alike(new)
        if live.algorithm.explicit != plan.algorithm.explicit:
            reason = "one of the two takes weights for ratings, the other for evidence"
            return Comparison("none", reason=reason)
        part = new.parts.train
        part = dataclasses.replace(
            part, user_features=None, item_features=None, graph=None
        )
        data, _ = add_side_inputs(reader, live, part)
        run = dataclasses.replace(new.run, seed=live.seed)
        return gate.anew(new, fit(live.algorithm, data, run))
    except (Cancelled, LostLease, ConnectionLost):
        raise
    except EmbsqlError as error:
        reason = f"the live run's options could not be trained anew: {shared(error)}"
        return Comparison("none", reason=reason)


# --- a finished run ------------------------------------------------------------------------------

PAIRS = (
    "split '{split}' cuts events, and of a finished run only the pairs are kept, to which {rows}"
    " repeated rows were added up; measure by time while training: train it again with"
    " evaluate=True, split='{split}'; or measure this run on other pairs, with split='last' "
    "or a test of your own"
)


def evaluate(
    engine: Engine,
    reference: str,
    *,
    k: tuple[int, ...],
    split: str = "auto",
    test: Source | None = None,
    user_col: str | None = None,
    item_col: str | None = None,
    repeats: bool = False,
) -> dict[str, float]:
    """Measure a finished run and keep the figures: "ndcg@10" -> value.

    On a `test`, a source of user_id and item_id, the run's vectors are asked as they are.
    Otherwise, as they have seen every interaction, the run's algorithm is trained anew, with the
    run's options, on a part of the run's own interactions, and asked about the rest.
    Raises NotEvaluated, InvalidArgument, and what reading and training raise.
    """
    record = registry.get_run(engine, reference)
    registry.check_own(engine, record["model_name"])
    run = Run(record["seed"], run_id=record["run_id"], model_name=record["model_name"])
    named = Columns(user_col, item_col)
    if test is None and named != test_set.NONE:
        allowed = "left out without test, whose columns they name"
        raise InvalidArgument(
            name="user_col or item_col",
            allowed=allowed,
            value=repr(user_col or item_col),
        )
    if test is None:
        answered = _of_part(
            engine, reference, record, run, k=k, split=split, repeats=repeats
        )
    else:
        test_set.check_options(split, repeats=repeats)
        usual = Columns(
            record["user_col"], record["item_col"], None, record["time_col"]
        )
        given = test_set.read_test(engine, test, run, named, usual, split)
        answered = on_a_test(load_run(engine, record), given, run, k=k, repeats=repeats)
    _keep(engine, run, answered)
    log_event(engine, run.model_name, run.run_id, "evaluate")
    return headlines(answered.figures)


def _keep(engine: Engine, run: Run, answered: Answered) -> None:
    """Write the figures of a run instead of its earlier ones on that split."""
    split = answered.parts.name
    rows = metrics_rows(run, split, answered.figures)
    with engine.transaction():
        execute_named(engine, "forget_metrics", run_id=run.run_id, split=split)
        engine.write("metrics", rows)


def _of_part(
    engine: Engine, reference: str, record: dict[str, Any], run: Run, **wanted: Any
) -> Answered:
    """Its algorithm, trained anew on a part.

    Raises NotEvaluated for vectors that were never trained.
    """
    plan = trained_plan(engine, reference, record, evaluate=True, **wanted)
    return _on_a_part(plan, stored_data(engine, plan, run), run)


def trained_plan(
    engine: Engine, reference: str, record: dict[str, Any], **wanted: Any
) -> Plan:
    """A plan to train a run anew, on this machine.

    Raises NotEvaluated for vectors that were never trained.
    """
    if record["algorithm"] not in algorithms.names():
        reason = (
            "its vectors were registered, not trained, so there is nothing to train anew;"
            " give a test of your own"
        )
        raise NotEvaluated(name=reference, reason=reason)
    plan = plan_of(engine, record, **wanted)
    plan.check_machine()
    return plan


def stored_data(engine: Engine, plan: Plan, run: Run) -> Interactions:
    """A run's own interactions, read as its algorithm wants them. Raises NotEvaluated.

    What comes next is asked of the histories that a network has read, where the run has one.
    """
    run_id = int(run.run_id or 0)
    in_order = plan.split == NEXT and max_length_of(engine, run_id) is not None
    rows = []
    if plan.cuts_events and not in_order:
        rows = query_named(engine, "repeated_pairs", run_id=run_id)
    if rows:
        repeated = (
            rows[0]["affected"] or "perhaps some"
        )  # what refresh adds is not counted
        reason = PAIRS.format(split=plan.split, rows=repeated)
        raise NotEvaluated(name=f"{run.model_name}@{run_id}", reason=reason)
    algorithm = plan.algorithm
    found = prepare(
        engine,
        plan.source,
        Columns(),
        run,
        explicit=algorithm.explicit,
        ordered=algorithm.ordered,
    )
    data, _ = add_side_inputs(engine, plan, found.interactions(), newcomers=True)
    return with_histories(engine, run_id, data) if in_order else data

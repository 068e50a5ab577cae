"""Algorithm auto: whether a model keeps what was chosen for it, or a choice is to be made now."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from embsql import algorithms
from embsql.algorithms import Algorithm
from embsql.command_options import Auto, Train
from embsql.data import Interactions
from embsql.engines import Engine
from embsql.errors import BadOption, InvalidArgument, UnknownOption
from embsql.lifecycle import registry
from embsql.lifecycle.budget import Budget, read_duration
from embsql.lifecycle.candidates import Choosing, simplest
from embsql.lifecycle.choice import choose
from embsql.lifecycle.exam import METRIC, Exam, Tried, trial_row
from embsql.lifecycle.leases import retry
from embsql.lifecycle.named_statements import execute_named
from embsql.lifecycle.plan import SIDE_INPUTS, Plan, headline_of, own_options
from embsql.lifecycle.search import Search, read_search
from embsql.lifecycle.snapshot import write_findings
from embsql.options import construct, declared, shown
from embsql.run import Run
from embsql.sources.findings import Finding
from embsql.sources.source import Source

DEFAULT_BUDGET = 300.0  # seconds
ONLY = "given together with algorithm auto"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is to be trained, or how it will be found: fields of a plan."""

    algorithm: Algorithm
    search: Search | None = None
    choosing: Choosing | None = None
    choice: Mapping[str, Any] | None = None

    def read_of(self, sides: Mapping[str, Source | None]) -> dict[str, Source | None]:
        """The side inputs that it reads; all of them, where it is still to be found."""
        if self.choice is None:
            return dict(sides)
        return {name: sides[name] for name in sides if name in self.algorithm.inputs}


def read_algorithm(
    engine: Engine,
    model_name: str,
    name: str,
    given: Mapping[str, Any],
    options: Train,
    is_timed: Callable[[], bool],
) -> Resolved:
    """What a caller wants to be trained; whether its source has times is asked for auto alone.

    Raises InvalidArgument for what does not go with auto or only with it, and what reading the
    algorithm's options raises.
    """
    if name != Auto.name:
        _refuse(
            budget=(options.budget, None, ONLY), search=(options.search, False, ONLY)
        )
        return Resolved(*read_search(name, given, options.n_trials))
    _check(options)
    wish = _choosing(given, options, is_timed())
    kept = None if options.search else _kept(engine, model_name, wish, options)
    return kept or Resolved(simplest(wish), choosing=wish)


def _refuse(**checks: tuple[Any, Any, str]) -> None:
    """Raise InvalidArgument for the first option whose value is not what it must be."""
    for name, (value, only, allowed) in checks.items():
        if value is not only:
            raise InvalidArgument(name=name, allowed=allowed, value=shown(value))


def _check(options: Train) -> None:
    """Refuse what does not go together with auto. Raises InvalidArgument."""
    alone = "left out with algorithm auto, which chooses options too"
    fresh = "false with algorithm auto, whose candidates start afresh"
    whole = "left out with algorithm auto, which begins again when it is killed"
    _refuse(
        n_trials=(options.n_trials, None, alone),
        warm_start=(options.warm_start, False, fresh),
        checkpoint_dir=(options.checkpoint_dir, None, whole),
    )
    if options.device == "spark":
        here = "cpu or cuda with algorithm auto; in Spark als is trained by its name"
        raise InvalidArgument(name="device", allowed=here, value="spark")


def _choosing(given: Mapping[str, Any], options: Train, times: bool) -> Choosing:
    """What is to be chosen, and what decides it."""
    held = construct(Auto, given)
    own = {
        option.name: getattr(held, option.name)
        for option in declared(Auto)
        if getattr(held, option.name) != option.default
    }
    seconds = DEFAULT_BUDGET
    if options.budget is not None:
        seconds = read_duration(options.budget)
    asked = {
        "algorithm": Auto.name,
        "budget_seconds": seconds,
        "options": own,
        "metric": f"{METRIC}@{headline_of(options.k)}",
        "split": options.split,
        "repeats": options.repeats,
        "times": times,  # without them nothing is tried that learns from order
        "device": options.device,
        "inputs": [name for name in SIDE_INPUTS if getattr(options, name) is not None],
    }
    return Choosing(Budget(seconds), own, asked, options.device)


def _kept(
    engine: Engine, model_name: str, wish: Choosing, options: Train
) -> Resolved | None:
    """What was chosen for the live run; None where that was not, or something else was asked."""
    record = registry.live_record(engine, model_name)
    params = json.loads(record["params"]) if record else {}
    choice = params.get("search", {})
    asked = dict(wish.asked)
    if options.budget is None:
        del asked["budget_seconds"]
    if record is None or any(
        choice.get(name) != value for name, value in asked.items()
    ):
        return None
    with suppress(BadOption, UnknownOption):  # of another version
        made = algorithms.make(record["algorithm"], own_options(params))
        return Resolved(made, choice=choice)
    return None


# --- choosing ------------------------------------------------------------------------------------


def chosen(
    engine: Engine, plan: Plan, choosing: Choosing, data: Interactions, run: Run
) -> tuple[Plan, Interactions]:
    """The plan with what is chosen, and of the data what that reads.

    Every candidate is a row of embsql.trials. Raises what `choose` raises.
    """

    def record(one: Tried, exam: Exam) -> None:
        row = trial_row(one, exam)
        execute_named(engine, "log_trial", run_id=run.run_id, **row)
        if one.value is not None:
            run.report(epoch=one.number, **{f"trial_{exam.metric}": one.value})

    found = choose(plan, choosing, data, run, record)
    for one, reason in found.reasons():
        execute_named(
            engine,
            "judge_trial",
            run_id=run.run_id,
            trial=one.number,
            chosen=one is found.winner,
            reason=reason,
        )
    algorithm = found.winner.candidate.make()
    warning = {"warning": found.warning, "run_id": run.run_id} if found.warning else {}
    resolved = plan.resolved(algorithm, choice={**choosing.asked, **warning})
    retry(engine, lambda: _note(engine, resolved, run))
    return resolved, _without_unread(data, algorithm)


def _note(engine: Engine, plan: Plan, run: Run) -> None:
    """Write down what the run is trained with."""
    params = json.dumps(plan.params)
    name = plan.algorithm.name
    execute_named(engine, "set_params", run_id=run.run_id, params=params)
    execute_named(engine, "set_algorithm", run_id=run.run_id, algorithm=name)


def _without_unread(data: Interactions, algorithm: Algorithm) -> Interactions:
    """The data without the side inputs that an algorithm does not read."""
    unread: dict[str, Any] = {
        name: None for name in SIDE_INPUTS if name not in algorithm.inputs
    }
    return dataclasses.replace(data, **unread)


def warn(engine: Engine, plan: Plan, run: Run) -> None:
    """Note where something simple was better than what was chosen for the model.

    Figures of a choice that is kept are those of the run that it was made for.
    """
    choice = plan.choice or {}
    warning = choice.get("warning")
    if warning:
        made_for = choice["run_id"]
        if made_for != run.run_id:
            warning = f"on the data of run {made_for}, {warning}"
        run.warning = warning
        found = Finding("algorithm chosen", "warning", 0, hint=warning)
        write_findings(engine, run, [found])

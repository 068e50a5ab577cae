"""Candidates are trained on a part of the data, and asked about the same pairs held out.

Each gets as much time as leaves enough for the run itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from embsql.algorithms import Algorithm
from embsql.data import Float64, Int32, Interactions
from embsql.errors import (
    Cancelled,
    ConnectionLost,
    EmbsqlError,
    LostLease,
    NotEvaluated,
    NothingToChooseBy,
    shared,
)
from embsql.evaluation import metrics
from embsql.evaluation.evaluator import Questions
from embsql.evaluation.splits import Split
from embsql.lifecycle.budget import Budget, Deadline, duration
from embsql.lifecycle.candidates import (
    Choosing,
    Proposal,
    candidates,
    in_no_order,
    obstacle,
)
from embsql.lifecycle.measure import fit, parts_of
from embsql.lifecycle.plan import Plan
from embsql.run import Run
from embsql.stopping import Stopped

METRIC = "ndcg"


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate, or what a model is compared with, and what came of it."""

    number: int  # from 1
    candidate: Proposal
    status: str  # done failed stopped skipped reference
    seconds: float = 0.0
    compiled: float = 0.0  # of these, which another training will not take
    # the figure of every user asked (m,)
    figures: Float64 | None = field(default=None, compare=False)
    # seconds that one that was stopped takes, as far as is known
    needs: float | None = None
    is_foreseen: bool = True  # else it takes that and nobody knows how much more
    error: str | None = None
    reason: str | None = None

    @property
    def value(self) -> float | None:
        """The mean of its figures."""
        return None if self.figures is None else float(self.figures.mean())

    @property
    def known_figures(self) -> Float64:
        """Its figures (m,), of one that was asked. Raises ValueError for another."""
        if self.figures is None:
            raise ValueError(f"trial {self.number} was not asked: {self.status}")
        return self.figures

    @property
    def again(self) -> float:
        """The seconds that it would take once more."""
        return max(0.0, self.seconds - self.compiled)

    def better_than(self, other: Tried) -> bool:
        """Whether its figure is higher."""
        return (self.value or 0.0) > (other.value or 0.0)


class Margin(NamedTuple):
    """How much one is better than another, over the users asked."""

    mean: float
    low: float  # 95% interval
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f}, 95% interval {self.low:+.4f} to {self.high:+.4f}"


@dataclass(frozen=True, slots=True)
class Exam:
    """What candidates are asked, and how long each may take."""

    parts: Split
    questions: Questions
    k: int
    run: Run
    budget: Budget
    later: float  # trainings on a part that the time for the chosen one's own is worth

    @property
    def metric(self) -> str:
        """What decides."""
        return f"{METRIC}@{self.k}"

    def difference(self, better: Tried, other: Tried) -> Margin:
        """How much one is better than another."""
        apart = better.known_figures - other.known_figures  # (m,)
        return Margin(float(apart.mean()), *self.interval(apart))

    def interval(self, figures: Float64) -> tuple[float, float]:
        """The 95% interval of the mean of some figures (m,)."""
        (low,), (high,) = metrics.intervals(
            figures[:, None], self.run.seed, self.questions.group
        )
        return float(low), float(high)

    def allowed(self, tried: Sequence[Tried]) -> float:
        """The seconds that a candidate may take, so that there is time for the run itself.

        Be it chosen, or the best of those before it.
        """
        left = self.budget.left
        best = best_of(tried)
        own = left / (1 + self.later)
        return min(own, left - self.later * best.again) if best else own

    def asked(
        self, train: Callable[[Run], Float64], epochs: int, allowed: float
    ) -> Float64 | Deadline:
        """The figures (m,) that a training gives, or the deadline that has stopped it."""
        deadline = Deadline(self.budget.clock, allowed, epochs, self.run.on_check)
        silent = replace(
            self.run,
            on_report=deadline.add_epoch,
            on_check=deadline.check,
            checkpoints=None,
        )
        try:
            with deadline.work:
                return train(silent)
        except Stopped:
            self.run.check()  # where somebody else stopped it
            return deadline

    def figures_of(self, algorithm: Algorithm, run: Run) -> Float64:
        """What an algorithm that is trained on the part answers, (m,)."""
        made = fit(algorithm, self.parts.train, run)
        return self.questions.per_user(made, METRIC, self.k)


def prepare_exam(plan: Plan, choosing: Choosing, data: Interactions, run: Run) -> Exam:
    """What candidates are asked: of what an evaluation does not ask about, a part."""
    try:
        parts = parts_of(plan, parts_of(plan, data).train)
    except NotEvaluated as error:
        raise NothingToChooseBy(reason=error.values["reason"]) from None
    trainings = 2 if plan.evaluate else 1
    larger = len(data) / max(1, len(parts.train))
    return Exam(
        parts,
        Questions.prepare(parts, run),
        plan.headline,
        run,
        choosing.budget,
        trainings * larger,
    )


def done_of(tried: Sequence[Tried]) -> list[Tried]:
    """The candidates that were trained and asked."""
    return [one for one in tried if one.status == "done"]


def best_of(tried: Sequence[Tried]) -> Tried | None:
    """The candidate with the best figure, of equal ones the first."""
    return max(done_of(tried), key=lambda one: one.value or 0.0, default=None)


# --- trying --------------------------------------------------------------------------------------


def every_trial(exam: Exam, choosing: Choosing, data: Interactions) -> Iterator[Tried]:
    """What a model is compared with, and the candidates, one after the other."""
    yield _reference(exam, 1, "popular", lambda _: exam.questions.popular(exam.k))
    yield _reference(
        exam,
        2,
        "item_knn",
        lambda run: exam.questions.item_knn(exam.parts, exam.k, run),
    )
    tried: list[Tried] = []
    for number, one in enumerate(candidates(choosing), 3):
        candidate = in_no_order(one, data)
        why = obstacle(candidate, data, choosing) or _too_long(exam, candidate, tried)
        if why:
            tried.append(
                Tried(number, candidate, "skipped", reason=f"not tried: {why}")
            )
        else:
            tried.append(_attempt(exam, number, candidate, tried))
        yield tried[-1]


def _reference(
    exam: Exam, number: int, name: str, ranked: Callable[[Run], Int32]
) -> Tried:
    """How good something is that is no model."""

    def figures(run: Run) -> Float64:
        return exam.questions.of_ranking(ranked(run), METRIC)

    begun = exam.budget.spent
    what = Proposal(name, {}, 1)
    exam.run.phases.work_on(f"trial {number} ({what})")
    found = exam.asked(figures, 1, exam.allowed(()))
    seconds = exam.budget.spent - begun
    if isinstance(found, Deadline):
        return Tried(number, what, "stopped", seconds, reason=_stopped(found, exam))
    return Tried(number, what, "reference", seconds, figures=found)


def _attempt(
    exam: Exam, number: int, candidate: Proposal, tried: Sequence[Tried]
) -> Tried:
    """Train a candidate and ask it."""
    exam.run.check()
    exam.run.phases.work_on(f"trial {number} ({candidate})")
    algorithm = candidate.make()
    begun = exam.budget.spent
    before = exam.run.phases.compiled
    try:
        found = exam.asked(
            lambda run: exam.figures_of(algorithm, run),
            algorithm.epochs,
            exam.allowed(tried),
        )
    except (Cancelled, LostLease, ConnectionLost):
        raise
    except (EmbsqlError, MemoryError) as fault:
        seconds = exam.budget.spent - begun
        error = shared(fault) or type(fault).__name__
        return Tried(number, candidate, "failed", seconds, error=error)
    seconds = exam.budget.spent - begun
    compiled = exam.run.phases.compiled - before
    if not isinstance(found, Deadline):
        return Tried(number, candidate, "done", seconds, compiled, found)
    return Tried(
        number,
        candidate,
        "stopped",
        seconds,
        compiled,
        needs=max(found.foreseen or 0.0, seconds),
        is_foreseen=found.foreseen is not None,
        reason=_stopped(found, exam),
    )


def _stopped(deadline: Deadline, exam: Exam) -> str:
    """Why something was stopped."""
    if deadline.foreseen is None:
        return (
            f"stopped after {duration(deadline.passed)}: more time is not left for it "
            f"in {duration(exam.budget.seconds)}"
        )
    return (
        f"stopped: it would take about {duration(deadline.foreseen)}, and in "
        f"{duration(exam.budget.seconds)} {duration(max(0.0, deadline.allowed))} are left for it"
    )


def _too_long(exam: Exam, candidate: Proposal, tried: Sequence[Tried]) -> str | None:
    """Why there is no time for a candidate, as far as those before it show; None where there is."""
    allowed = exam.allowed(tried)
    needs = _foreseen(candidate, tried)
    if needs is None:
        return "no time is left" if allowed <= 0 else None
    if needs <= allowed:
        return None
    return (
        f"it would take about {duration(needs)}, and "
        f"{duration(max(0.0, allowed))} are left for it"
    )


def _foreseen(candidate: Proposal, tried: Sequence[Tried]) -> float | None:
    """The seconds a candidate will take, by the last of its algorithm, or else of any."""
    known = [one for one in tried if one.status == "done" or one.needs is not None]
    own = [one for one in known if one.candidate.algorithm == candidate.algorithm]
    done = [one for one in known if one.status == "done"]
    last = next(reversed(own or done), None)
    if last is None:
        return None
    seconds = last.again if last.needs is None else last.needs
    return seconds * candidate.cost / last.candidate.cost


def trial_row(one: Tried, exam: Exam) -> dict[str, Any]:
    """The row of embsql.trials, but for the run."""
    figures = one.figures
    low, high = (None, None) if figures is None else exam.interval(figures)
    return {
        "trial": one.number,
        "params": json.dumps(dict(one.candidate.options)),
        "metric": exam.metric,
        "value": one.value,
        "seconds": one.seconds,
        "status": one.status,
        "error": one.error,
        "algorithm": one.candidate.algorithm,
        "ci_low": low,
        "ci_high": high,
        "reason": one.reason,
    }

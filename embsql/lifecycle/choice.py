"""Choosing an algorithm: the simplest of the candidates that may be as good as the best.

What they are asked, and for how long each may train, is in `exam`. See docs/decisions/0047.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from embsql.data import Interactions
from embsql.errors import AllTrialsFailed, BudgetTooShort
from embsql.lifecycle.budget import duration
from embsql.lifecycle.candidates import Choosing
from embsql.lifecycle.exam import (
    Exam,
    Tried,
    best_of,
    done_of,
    every_trial,
    prepare_exam,
)
from embsql.lifecycle.plan import Plan
from embsql.run import Run

REFERENCES = {"popular": "what is popular", "item_knn": "item-kNN"}
SLACK = 1.1  # a budget that is proposed is so many times what is foreseen


@dataclass(frozen=True, slots=True)
class Choice:
    """What was tried, and what of it is to be the run."""

    exam: Exam
    tried: list[Tried]
    best: Tried  # by its figure
    winner: Tried  # the simplest of those that may be as good as the best

    def reasons(self) -> Iterator[tuple[Tried, str | None]]:
        """Why each was chosen, or was not."""
        for one in self.tried:
            yield one, one.reason if one.figures is None else self._why(one)

    def _why(self, one: Tried) -> str:
        best = self.best
        if one is self.winner is best:
            done = len(done_of(self.tried))
            return f"chosen: its {self.exam.metric} is the best of {done}"
        below = f"trial {best.number} is higher by {self.exam.difference(best, one)}"
        if one is self.winner:
            return f"chosen: the simplest of those that may be as good; {below}"
        margin = self.exam.difference(one, self.winner)
        apart = f"{margin}, compared with the one chosen"
        if one.status == "reference":
            return f"for comparison: {apart}"
        if one.number < self.winner.number:
            return f"not chosen: {below}"
        word = "worse" if margin.high < 0 else "less simple"
        return f"not chosen: {word}, {apart}"

    @property
    def warning(self) -> str | None:
        """That something simple is better than what was chosen; None where nothing is."""
        winner = self.winner
        better = [
            self._described(one)
            for one in self.tried
            if one.status == "reference" and one.better_than(winner)
        ]
        if not better:
            return None
        name = winner.candidate.algorithm
        figure = f"the {self.exam.metric} of {name}, {winner.value:.4f}"
        return f"{figure}, which was chosen, is below that of {' and '.join(better)}"

    def _described(self, reference: Tried) -> str:
        name = REFERENCES[reference.candidate.algorithm]
        apart = self.exam.difference(reference, self.winner)
        return f"{name} with {reference.value:.4f} ({apart})"


def choose(
    plan: Plan,
    choosing: Choosing,
    data: Interactions,
    run: Run,
    record: Callable[[Tried, Exam], None],
) -> Choice:
    """What was tried, and the candidate to train.

    `record` gets each as it ends. Raises NothingToChooseBy, BudgetTooShort and AllTrialsFailed.
    """
    exam = prepare_exam(plan, choosing, data, run)
    tried: list[Tried] = []
    for one in every_trial(exam, choosing, data):
        record(one, exam)
        tried.append(one)
    best = best_of(tried)
    if best is None:
        raise _nothing_done(exam, tried)
    may_be_best = (
        one for one in done_of(tried) if not exam.difference(best, one).low > 0
    )
    return Choice(exam, tried, best, next(may_be_best))


def _nothing_done(
    exam: Exam, tried: Sequence[Tried]
) -> AllTrialsFailed | BudgetTooShort:
    """What to raise where no candidate was trained."""
    failed = [one for one in tried if one.error]
    stopped = [one for one in tried if one.needs is not None]
    if failed and not stopped:
        return AllTrialsFailed(
            model=exam.run.model_name,
            run_id=exam.run.run_id,
            trials=len(failed),
            error=failed[0].error,
        )
    budget = exam.budget.seconds
    simplest = stopped[0] if stopped else None
    needs = (simplest.needs or 0.0) if simplest else budget
    before = exam.budget.spent - sum(one.seconds for one in stopped)
    trainings = 1 + exam.later
    # what a model is compared with and was stopped takes its part of more time, too
    cut = [one for one in tried if one.status == "stopped" and one.needs is None]
    left = trainings * needs * (trainings / exam.later) ** len(cut)
    least = max(SLACK * (before + left), 2 * budget)
    reason = f"what came before the candidates took {duration(before)}"
    if simplest:
        name = simplest.candidate.algorithm
        took = f"takes {duration(needs)}"
        if not simplest.is_foreseen:
            took = f"had ended no epoch after {duration(needs)}, so that more may be needed"
        reason += f", and {name} {took}"
    return BudgetTooShort(budget=duration(budget), reason=reason, least=duration(least))

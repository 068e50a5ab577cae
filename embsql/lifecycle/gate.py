"""Whether a run goes live: it and the live run, asked about the same pairs.

The live run's vectors are asked as they are, about users none of whose pairs asked they were
trained on. The new run was measured without what was held out, of which the live run may have seen
a good part: where that makes it look worse, it is trained once more, on everything but the pairs
asked. Where there are too few such users, because little has happened since, the live run's
algorithm is trained anew with its options on the new run's training part. See docs/decisions/0013.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from embsql.data import Embeddings, Float64, Interactions
from embsql.evaluation import metrics
from embsql.evaluation.evaluator import Questions
from embsql.evaluation.splits import Cut, Mask, Split, by_next, by_time
from embsql.evaluation.tally import Metric
from embsql.lifecycle.loaded import Loaded, keys
from embsql.run import Run

METRIC = "ndcg"
MIN_USERS = 250  # users: an interval over fewer tells little apart


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a run and the live run answer, asked about the same pairs."""

    basis: str  # vectors options same none: what stood for the live run
    compared_run: int | None = None  # the live run; None: nothing was live
    users: int | None = None  # asked
    left_out: int | None = None  # users whom the evaluation asks, and this does not
    new_value: float | None = None
    live_value: float | None = None
    difference: float | None = None  # new - live
    ci_low: float | None = None  # 95% interval of the difference, over users
    ci_high: float | None = None
    reason: str | None = None  # why nothing was compared

    def below(self, tolerance: float) -> bool:
        """Whether the new run is clearly worse: the whole interval is below what is tolerated."""
        return self.ci_high is not None and self.ci_high < -tolerance * (
            self.live_value or 0
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a run may be promoted."""

    split: str
    metric: str
    k: int
    value: float  # over all users asked
    popular_value: float | None
    tolerance: float
    found: Comparison
    refused: str | None = None  # why
    off: bool = False  # nobody was to be refused

    @property
    def row(self) -> dict[str, Any]:
        """The row of embsql.gates, but for the run."""
        own = {
            "split": self.split,
            "metric": self.metric,
            "k": self.k,
            "value": self.value,
            "popular_value": self.popular_value,
            "tolerance": self.tolerance,
        }
        verdict = "off" if self.off else "refused" if self.refused else "passed"
        reason = self.refused or self.found.reason
        return asdict(self.found) | own | {"verdict": verdict, "reason": reason}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may go live, and how it was measured."""

    data: Interactions  # all there is
    parts: Split  # what was asked of it
    embeddings: Embeddings  # trained on one of the parts
    # the users (n_users,) and items (n_items,) it has vectors of
    known: tuple[Mask, Mask]
    fit: Callable[[Interactions], Embeddings]  # its training, on another part
    average: bool  # whether weights are means
    run: Run
    k: int
    tolerance: float

    def answers(
        self, questions: Questions, embeddings: Embeddings | None = None
    ) -> Float64:
        """The figure of every user asked (m,), of this run or of its training on another part."""
        if embeddings is not None:
            return questions.per_user(embeddings, METRIC, self.k)
        known = questions.known_of(*self.known)
        return questions.per_user(self.embeddings, METRIC, self.k, known)


def as_it_is(new: Candidate, live: Loaded) -> Comparison | None:
    """The live run's vectors and the new run; None where there is nobody to ask."""
    parts = _fair(new, live)
    if not len(parts.held_out):
        return None
    questions = Questions.prepare(parts, new.run)
    users = parts.held_out.users
    items = parts.held_out.items
    known = questions.known_of(live.users.known(users), live.items.known(items))
    other = questions.per_user(
        live.embeddings(users, items), METRIC, new.k, known
    )  # (m,)
    found = _compared("vectors", new, questions, new.answers(questions), other)
    if (
        found.below(new.tolerance)
        and len(parts.held_out) < len(new.parts.held_out)
        and not parts.given
    ):
        ours = new.answers(questions, new.fit(parts.train))  # (m,)
        found = _compared("vectors", new, questions, ours, other)
    return found


def anew(new: Candidate, live: Embeddings) -> Comparison:
    """The live run's options and the new run, both trained on the same part."""
    questions = Questions.prepare(new.parts, new.run)
    other = questions.per_user(live, METRIC, new.k)  # (m,)
    return _compared("options", new, questions, new.answers(questions), other)


def alike(new: Candidate) -> Comparison:
    """A live run of the same algorithm, options and seed: on the same part it is the new run."""
    questions = Questions.prepare(new.parts, new.run)
    answers = new.answers(questions)  # (m,)
    return _compared("same", new, questions, answers, answers)


def _compared(
    basis: str, new: Candidate, questions: Questions, ours: Float64, theirs: Float64
) -> Comparison:
    """The answers (m,) of both, and the interval of their difference over users."""
    (low,), (high,) = metrics.intervals(
        (ours - theirs)[:, None], new.run.seed, questions.group
    )
    users = len(np.unique(questions.users))
    return Comparison(
        basis,
        users=users,
        left_out=len(np.unique(new.parts.held_out.user)) - users,
        new_value=float(ours.mean()),
        live_value=float(theirs.mean()),
        difference=float((ours - theirs).mean()),
        ci_low=float(low),
        ci_high=float(high),
    )


def _fair(new: Candidate, live: Loaded) -> Split:
    """Users whom the live run knows, and no pair that it was trained on; all else is training.

    Of a split by time, what came after the last that the live run has seen. What comes next is
    asked by what came before, whoever it is.
    """
    parts = new.parts
    by_instant = parts.name.startswith("time") or (parts.sessions and not parts.given)
    if by_instant and live.pairs.time is not None:
        after = max(int(live.pairs.time.max()), _last_time(parts.train))
        cut_at = by_next if parts.sessions else by_time
        parts = cut_at(
            new.data, Cut(new.run.seed, 0.0, new.average, parts.repeats, after)
        )
    if parts.sessions:
        return parts
    held = parts.held_out
    users = parts.held_out.users
    items = parts.held_out.items
    asked = keys(held, users, items)  # (pairs,)
    unfair = ~live.users.known(users)  # (n_users,)
    if not parts.repeats:
        unfair[held.user[np.isin(asked, keys(live.pairs, users, items))]] = True
    fair = ~unfair[held.user]  # (pairs,)
    if not (parts.given or parts.name.startswith("time")):
        others = ~np.isin(keys(new.data, users, items), asked[fair])  # (n,)
        parts = replace(parts, train=new.data.where(others))
    return replace(parts, held_out=held.where(fair))


def _last_time(train: Interactions) -> int:
    """The instant of the last event trained on."""
    assert train.time is not None  # noqa: S101 - a split by time has times; tells the type checker
    return int(train.time.max())


# --- the verdict ---------------------------------------------------------------------------------


def judged(
    figures: Sequence[Metric],
    found: Comparison | None,
    split: str,
    k: int,
    tolerance: float,
) -> Verdict:
    """Whether a run may be promoted; it may when nothing was to be found out.

    It must beat what is popular, and not be clearly worse than the live run.
    """
    (figure,) = (
        one for one in figures if (one.segment, one.metric, one.k) == ("all", METRIC, k)
    )
    measured = (split, METRIC, k, figure.value, figure.popular_value, tolerance)
    if found is None:
        return Verdict(
            *measured, Comparison("none", reason="the gate was off"), off=True
        )
    refused = _unpopular(figure) or _worse(found, f"{METRIC}@{k}", tolerance)
    return Verdict(*measured, found, refused)


def _unpopular(figure: Metric) -> str | None:
    if figure.popular_value is None or figure.value > figure.popular_value:
        return None
    interval = f"95% interval {figure.ci_low or 0:.4f} to {figure.ci_high or 0:.4f}"
    shown = f"its {figure.metric}@{figure.k} is {figure.value:.4f} ({interval})"
    baseline = f"the popularity baseline ({figure.popular_value:.4f})"
    return f"{shown}, which does not beat {baseline}"


def _worse(found: Comparison, metric: str, tolerance: float) -> str | None:
    if not found.below(tolerance):
        return None
    low = found.ci_low or 0
    high = found.ci_high or 0
    new = found.new_value or 0
    live = found.live_value or 0
    difference = found.difference or 0
    interval = f"95% interval {low:+.4f} to {high:+.4f}"
    return (
        f"its {metric} is {new:.4f} and the live run's {live:.4f}, of the same "
        f"{found.users} users: a difference of {difference:+.4f} ({interval}), "
        f"where {-tolerance:.0%} is tolerated"
    )

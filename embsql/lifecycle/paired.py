"""Two runs asked about the same pairs: both figures, and the interval of their difference.

What a run's evaluation found of each user is not kept. Here users are asked anew: about a test of
the caller's, the vectors as they are; or about a part of the second run's pairs, after both
algorithms were trained on the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embsql.data import Float64, Int32, Interactions
from embsql.engines import Engine
from embsql.errors import NotEvaluated
from embsql.evaluation import metrics
from embsql.evaluation.evaluator import Known, Questions
from embsql.evaluation.splits import Split
from embsql.evaluation.tally import Key
from embsql.lifecycle import test_set
from embsql.lifecycle.loaded import Loaded, joined, keys, load_run
from embsql.lifecycle.measure import fit, parts_of, stored_data, trained_plan
from embsql.lifecycle.snapshot import add_side_inputs
from embsql.run import Columns, Run
from embsql.sources.source import Source

LENGTHS = (10,)  # of the lists that are compared

Record = Mapping[str, Any]  # a row of embsql.runs


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both runs."""

    segment: str
    metric: str
    k: int
    a: float
    b: float
    difference: float  # b - a
    ci_low: float  # 95% interval of the difference, over users
    ci_high: float


@dataclass(frozen=True, slots=True)
class Paired:
    """What two runs answer about the same pairs of the same users."""

    basis: str  # vectors: as they are; options: both were trained anew
    split: str
    users: int  # asked
    left_out: int  # users with such pairs whom one of the two does not know
    figures: list[Difference]


def paired_on_test(engine: Engine, a: Record, b: Record, test: Source) -> Paired:
    """Ask the vectors of two runs about a test that neither was trained on.

    Only users whom both know are asked. Raises NotEvaluated where there are none, and what reading
    the test raises.
    """
    run = _run(b)
    both = load_run(engine, a), load_run(engine, b)
    usual = Columns(b["user_col"], b["item_col"])
    pairs = test_set.read_test_set(engine, test, run, Columns(), usual)
    trained = _all_pairs(both[0].pairs, both[1].pairs)
    parts = test_set.asked(pairs, trained, repeats=False, name=run.model_name)
    asked = _known_to(both, parts)
    if not len(asked.held_out):
        reason = "its test asks no user whom both runs know; test on others"
        raise NotEvaluated(name=f"{_reference(a)}, {_reference(b)}", reason=reason)
    questions = Questions.prepare(asked, run)
    rankings = [_ranking(one, asked, questions) for one in both]
    left_out = len(np.unique(parts.held_out.user)) - len(questions.users)
    return _compared("vectors", parts.name, questions, rankings, left_out)


def _ranking(one: Loaded, asked: Split, questions: Questions) -> Int32:
    """What a run as it is answers to everybody asked: (m, k)."""
    users = asked.train.users
    items = asked.train.items
    known = Known(one.users.known(users)[questions.users], one.items.known(items))
    return questions.rank(one.embeddings(users, items), max(LENGTHS), known)


def paired_anew(engine: Engine, a: Record, b: Record) -> Paired:
    """Train the algorithms of two runs on one part of the second's pairs, and ask about the rest.

    Raises NotEvaluated, and what training raises.
    """
    plans = [
        trained_plan(engine, _reference(one), dict(one), evaluate=True)
        for one in (a, b)
    ]
    if plans[0].algorithm.explicit != plans[1].algorithm.explicit:
        reason = "one of the two takes weights for ratings, the other for evidence"
        raise NotEvaluated(name=f"{_reference(a)}, {_reference(b)}", reason=reason)
    run = _run(b)
    parts = parts_of(plans[1], stored_data(engine, plans[1], run))
    bare = replace(parts.train, user_features=None, item_features=None, graph=None)
    questions = Questions.prepare(parts, run)
    rankings = []
    for plan in plans:
        data, _ = add_side_inputs(engine, plan, bare)
        embeddings = fit(plan.algorithm, data, replace(run, seed=plan.seed))
        rankings.append(questions.rank(embeddings, max(LENGTHS)))
    return _compared("options", parts.name, questions, rankings, 0)


def _compared(
    basis: str, split: str, questions: Questions, rankings: list[Int32], left_out: int
) -> Paired:
    """Figures of two rankings (m, k) of the same users."""
    a, b = (questions.figures(ranking, LENGTHS, {}) for ranking in rankings)
    figures = list(_differences(a, b, questions.run.seed))
    return Paired(basis, split, len(questions.users), left_out, figures)


def _differences(
    a: dict[Key, Float64], b: dict[Key, Float64], seed: int
) -> Iterator[Difference]:
    """Of each figure that some user has part in; those of users are (m,)."""
    known = [key for key, values in a.items() if np.isfinite(values).any()]
    of_a, of_b = (np.column_stack([side[key] for key in known]) for side in (a, b))
    bounds = metrics.intervals(of_b - of_a, seed)  # (c,), (c,)
    means = (metrics.means(table) for table in (of_a, of_b, of_b - of_a))
    rows = np.column_stack([*means, *bounds]).tolist()  # c of 5
    for key, row in zip(known, rows, strict=True):
        yield Difference(*key, *row)


def _all_pairs(a: Interactions, b: Interactions) -> Interactions:
    """The pairs of two runs, each once, by the ids of both."""
    users = joined(a.users, b.users)
    items = joined(a.items, b.items)
    both = [keys(pairs, users, items) for pairs in (a, b)]  # (n,) each
    codes = np.divmod(np.union1d(*both), max(1, len(items)))  # (pairs,) each
    user, item = (code.astype(np.int32) for code in codes)
    weight = np.ones(len(user), np.float32)  # (pairs,)
    return Interactions(user, item, weight, None, users, items)


def _known_to(both: tuple[Loaded, Loaded], parts: Split) -> Split:
    """The same questions without users whom one of two runs does not know."""
    held = parts.held_out
    a, b = (one.users.known(held.users) for one in both)  # (n_users,) each
    return replace(parts, held_out=held.where((a & b)[held.user]))


def _run(record: Record) -> Run:
    return Run(record["seed"], run_id=record["run_id"], model_name=record["model_name"])


def _reference(record: Record) -> str:
    return f"{record['model_name']}@{record['run_id']}"

"""A seeded generator of databases: runs of every kind, vectors on a grid so that ties are real."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from tests.oracle.data import (
    Cluster,
    Figure,
    Gate,
    Member,
    Model,
    Part,
    Point,
    Run,
    Seen,
    Tower,
    Trial,
    Vector,
    World,
)

Random = np.random.Generator
NAMES = (
    "shop",
    "Films",
    "o'dd 🙂",
    "größe",
    "a b",
    "2024",
    "x-y_z",
    "ABC",
    "abc",
    "semi;colon",
)
ODD = (
    "it's",
    'q"uote',
    "🙂",
    "ä",
    "Zürich",
    "a b",
    "42",
    "007",
    "%",
    "A",
    "a",
    "ß",
    "x,y",
    "null",
    "$1",
    ":k",
)
SIZES = (1, 2, 4, 8, 15, 30)
KINDS = ("none", "mean", "projection", "scaled", "implicit", "confidence", "ratings")
WEIGHTS = (0.5, 1.0, 1.0, 2.0, 4.25)
COHORT_SETS = ("team", "plan", "o'dd")
CLUSTERINGS = ("default", "far", "o'dd")
METHODS = ("pca", "umap")
WORDS = ("red", "Big", "mug", "ÜBER", "tea", "x1")
TAGS = ("a", "b", "it's", "ä")
EPOCH = datetime(2026, 1, 1, 12, 30)


def world(seed: int, models: int = 10) -> World:
    """A database with so many models, the same for the same seed."""
    rng = np.random.default_rng(seed)
    made = World([], [], [])
    for number in range(models):
        _model(
            rng,
            made,
            NAMES[number] if number < len(NAMES) else f"model{number}",
            KINDS[number % len(KINDS)],
        )
    users = sorted({user for run in made.runs for user in run.users})
    for name in COHORT_SETS:
        pool = [*pick(rng, users, 40), "nobody", "zoe"]
        chosen = [
            (name, user, str(rng.choice(["Red", "blue", "ä"])))
            for user in pool
            for _ in range(rng.integers(3))
        ]
        made.cohorts += chosen
    most = max(made.runs, key=lambda run: len(run.users))
    known = [one for one, user in most.users.items() if user.norm]
    made.cohorts += [
        ("plan", user, "twenty") for user in known[:20]
    ]  # as many as are enough
    return made


def pick(rng: Random, pool: Any, most: int) -> list[Any]:
    """Some of a pool, in any order, each at most once."""
    pool = list(pool)
    return [pool[n] for n in rng.permutation(len(pool))[: int(rng.integers(most + 1))]]


def chance(rng: Random, share: float) -> bool:
    """True with a probability."""
    return bool(rng.random() < share)


# --- models and runs -----------------------------------------------------------------------------


def _model(rng: Random, made: World, name: str, kind: str) -> None:
    """One model with one to three finished runs, and perhaps others that did not get there."""
    first = _run(rng, made, name, kind)
    ready = [first]
    for _ in range(rng.integers(3)):
        ready.append(
            _next(rng, made, first) if chance(rng, 0.7) else _run(rng, made, name, kind)
        )
    for status in pick(rng, ("training", "failed", "cancelled"), 2):
        _unfinished(rng, made, name, status)
    order = [ready[n].run_id for n in rng.permutation(len(ready))]
    live = None if chance(rng, 0.05) else order[0]
    made.models.append(Model(name, live, order[1 : 1 + int(rng.integers(3))]))


def _run(rng: Random, made: World, name: str, kind: str) -> Run:
    """A finished run."""
    exact = chance(rng, 0.6)
    dim = int(rng.integers(2, 5)) if exact else int(rng.integers(1, 7))
    users = _side(rng, _ids(rng, "u", int(rng.choice(SIZES))), dim, exact=exact)
    items = _side(rng, _ids(rng, "i", int(rng.choice(SIZES))), dim, exact=exact)
    if chance(rng, 0.06):
        users |= _side(rng, [f"u{n:04d}" for n in range(120)], dim, exact=exact)
    return _whole(
        rng,
        made,
        name,
        kind,
        str(rng.choice(["dot", "cosine"])),
        dim,
        users,
        items,
        exact=exact,
    )


def _next(rng: Random, made: World, before: Run) -> Run:
    """A run of most of the same ids and a few others, the vectors turned and a little moved."""
    turn = rng.permutation(before.dim)
    sign = rng.choice([-1, 1], before.dim)
    sides = []
    for letter in ("user", "item"):
        side, exact = before.side(letter), before.exact
        moved = {
            one: _moved(rng, vector, turn, sign)
            for one, vector in side.items()
            if not chance(rng, 0.1)
        }
        others = [one for one in _ids(rng, letter[0], 2) if one not in side]
        sides.append((moved or side) | _side(rng, others, before.dim, exact=exact))
    exact = all(_is_whole(vector) for side in sides for vector in side.values())
    kind = str(rng.choice(KINDS))
    return _whole(
        rng,
        made,
        before.model,
        kind,
        before.similarity,
        before.dim,
        *sides,
        exact=exact,
    )


def _moved(rng: Random, vector: Vector, turn: np.ndarray, sign: np.ndarray) -> Vector:
    step = rng.integers(-1, 2, len(turn)) / 8 if chance(rng, 0.5) else 0.0
    return Vector(
        vector.embedding[turn] * sign + step, vector.bias, vector.interactions
    )


def _is_whole(vector: Vector) -> bool:
    return float(vector.norm * 8).is_integer()


def _whole(
    rng: Random,
    made: World,
    name: str,
    kind: str,
    similarity: str,
    dim: int,
    users: Any,
    items: Any,
    *,
    exact: bool,
) -> Run:
    """A run with all its rows, added to the world."""
    run_id = max((run.run_id for run in made.runs), default=0) + int(rng.integers(1, 3))
    run = Run(
        run_id,
        name,
        "ready",
        similarity,
        dim,
        exact,
        users,
        items,
        _seen(rng, users, items),
    )
    run.algorithm = str(rng.choice(["als", "svd", "item2vec"]))
    run.params = json.dumps({"dim": dim})
    run.started_at = EPOCH + timedelta(minutes=run_id)
    run.finished_at = run.started_at + timedelta(seconds=30)
    _folding(rng, run, kind)
    for entity in pick(rng, ("user", "item"), 2):
        run.towers[entity] = _tower(rng, dim)
    for entity in ("user", "item"):
        _groups(rng, run, entity)
    run.figures = _figures(rng)
    _add_what_advice_reads(np.random.default_rng(run_id), run)
    run.gate = _gate(rng, made, run) if chance(rng, 0.8) else None
    _notes(rng, run)
    made.runs.append(run)
    return run


def _unfinished(rng: Random, made: World, name: str, status: str) -> None:
    run_id = max(run.run_id for run in made.runs) + 1
    run = Run(
        run_id,
        name,
        status,
        "dot",
        2,
        True,
        {},
        {},
        [],
        started_at=EPOCH + timedelta(minutes=run_id),
        phase="compiling",
        phase_seconds="reading 0.4",
    )
    if status != "training":
        run.error = "it's gone"
        run.finished_at = run.started_at
    _notes(rng, run)
    made.runs.append(run)


# --- ids and vectors -----------------------------------------------------------------------------


def _ids(rng: Random, letter: str, n: int) -> list[str]:
    """So many ids, some of them of a kind that needs quoting or sorts oddly."""
    plain = [f"{letter}{number:03d}" for number in rng.permutation(n + 3)]
    odd = [
        f"{letter}{word}" if chance(rng, 0.5) else word for word in pick(rng, ODD, 6)
    ]
    return list(dict.fromkeys([*odd, *plain]))[:n]


def _side(rng: Random, ids: list[str], dim: int, *, exact: bool) -> dict[str, Vector]:
    """Vectors of ids: on a grid, with twins, multiples, opposites and zeros."""
    vectors = _grid(rng, len(ids), dim, exact=exact)
    biased = chance(rng, 0.7)
    bias = rng.integers(-8, 9, len(ids)) / 8 * biased
    count = rng.integers(0, 4, len(ids))
    return {
        one: Vector(vectors[n], float(bias[n]), int(count[n]))
        for n, one in enumerate(ids)
    }


def _grid(rng: Random, n: int, dim: int, *, exact: bool) -> np.ndarray:
    pool = whole(dim) if exact else np.array(rng.integers(-4, 5, (40, dim)))
    vectors = pool[rng.integers(len(pool), size=n)] / float(
        rng.choice([1, 8])
    )  # (n, d)
    for row in range(1, n):
        if chance(rng, 0.3):
            vectors[row] = vectors[rng.integers(row)] * float(
                rng.choice([1, 1, 2, 0.5, -1])
            )
    vectors[rng.random(n) < 0.08] = 0
    return vectors


@cache
def whole(dim: int) -> np.ndarray:
    """Vectors of small integers whose length is one too: (n, d)."""
    every = np.array(list(product(range(-4, 5), repeat=dim)))
    lengths = np.sqrt((every**2).sum(1))
    return every[(lengths == np.round(lengths)) & (lengths > 0)]


def _seen(rng: Random, users: Any, items: Any) -> list[Seen]:
    """Histories, also of people and of things without a vector."""
    timed = str(rng.choice(["never", "always", "sometimes"]))
    pairs = []
    for user in [*users, "cold", "cöld"]:
        for item in pick(rng, [*items, "ghost"], 8):
            time = (
                None
                if timed == "never" or (timed == "sometimes" and chance(rng, 0.2))
                else int(rng.integers(6))
            )
            pairs.append(Seen(user, item, float(rng.choice(WEIGHTS)), time))
    return pairs


# --- folding in ----------------------------------------------------------------------------------


def _folding(rng: Random, run: Run, kind: str) -> None:
    """How the run folds in, in the words of embsql.fold_in_settings."""
    least_squares = {
        "confidence_offset": 0.0,
        "confidence_scale": 1.0,
        "target_offset": 0.0,
        "unobserved_weight": 0.25,
        "reg_exponent": 1.0,
        "reg": 0.125,
        "weight_scale": 0.5,
    }
    if kind == "mean":
        run.solver = "mean", {}
    elif kind in ("projection", "scaled"):
        run.solver = "projection", {}
    elif kind == "implicit":
        run.solver = "least_squares", least_squares
    elif kind == "confidence":
        run.solver = (
            "least_squares",
            {
                **least_squares,
                "target_offset": 1.0,
                "unobserved_weight": 1.0,
                "reg_exponent": 0.5,
                "weight_scale": 2.0,
            },
        )
    elif kind == "ratings":
        ratings = {
            "confidence_offset": 1.0,
            "confidence_scale": 0.0,
            "unobserved_weight": 0.0,
            "global_mean": 3.25,
            "bias_damping": 10.0,
            "default_rating": 5.0,
        }
        run.solver = "least_squares", {**least_squares, **ratings, "weight_scale": 1.0}
    if kind == "scaled":
        run.scales = {one: float(rng.choice([0.25, 0.5, 2.0])) for one in run.items}


# --- towers --------------------------------------------------------------------------------------


def _tower(rng: Random, dim: int) -> Tower:
    """A tower with features of every kind, and up to two layers."""
    layers = int(rng.integers(3))
    width = dim if not layers else 3

    def part(
        feature: str,
        kind: str,
        value: str | None,
        center: Any = None,
        scale: Any = None,
    ) -> Part:
        return Part(feature, kind, value, center, scale, rng.integers(-8, 9, width) / 8)

    parts = [part("", "always", None)]
    parts += [
        part("land", "category", value) for value in (None, "DE", "it's", "true", "7")
    ]
    parts += [part("age", "number", None), part("age", "number", "", 30.0, 8.0)]
    parts += [part("joined", "time", None), part("joined", "time", "", 20000.5, 16.0)]
    parts += [part("likes", "tags", value) for value in (None, *TAGS)]
    parts += [
        part("title", "text", value)
        for value in (None, *(word.lower() for word in WORDS[:4]))
    ]
    parts += [part("items", "items", value) for value in (None, "i000", "i001", "ä")]
    shapes = [(3, width)] * (layers - 1) + [(dim, 3)] if layers else []
    return Tower(
        parts,
        [
            (rng.integers(-8, 9, shape) / 8, rng.integers(-4, 5, shape[0]) / 4)
            for shape in shapes
        ],
    )


# --- groups, maps, figures, notes ----------------------------------------------------------------


def _groups(rng: Random, run: Run, entity: str) -> None:
    """Clusterings and maps of one side."""
    for clustering in pick(rng, CLUSTERINGS, 3):
        unit, n = chance(rng, 0.5), int(rng.integers(1, 4))
        for number in range(n):
            label = None if chance(rng, 0.5) else str(rng.choice(["tea", "it's", "ä"]))
            centroid = rng.integers(-8, 9, run.dim) / 8
            run.clusters.append(
                Cluster(
                    entity,
                    clustering,
                    number,
                    int(rng.integers(9)),
                    float(rng.integers(9) / 8),
                    label,
                    unit,
                    centroid,
                )
            )
        run.members += _members(rng, run, entity, clustering, n)
    for method in pick(rng, METHODS, 2):
        run.points += [
            Point(
                entity, method, one, *(float(xy) for xy in rng.integers(-9, 9, 2) / 4)
            )
            for one in run.side(entity)
        ]


def _members(
    rng: Random, run: Run, entity: str, clustering: str, n: int
) -> list[Member]:
    found, tops = [], [0] * n
    for one in run.side(entity):
        if chance(rng, 0.8):
            group = int(rng.integers(n))
            tops[group] += 1
            rank = tops[group] if tops[group] <= 5 else None
            figures = (float(x) for x in rng.integers(-8, 9, 2) / 8)
            found.append(Member(entity, clustering, one, group, *figures, rank))
    return found


def _figures(rng: Random) -> list[Figure]:
    """What evaluations by up to two splits measured."""
    found = []
    for split in pick(rng, ("random", "last"), 2):
        for segment, metric, k in product(
            ("all", "new"), ("ndcg", "recall", "mrr"), (10, 100)
        ):
            numbers = [
                None if chance(rng, 0.05) else float(np.round(rng.random(), 6))
                for _ in range(5)
            ]
            found.append(Figure(split, segment, metric, k, *numbers))
    return found


def _add_what_advice_reads(rng: Random, run: Run) -> None:
    """Figures of other segments, counts of what was asked, and counts of rows."""
    numbers = (None,) * 4
    for split in {figure.split: None for figure in run.figures}:
        for segment, metric, k in (
            ("items:tail", "recall", 10),
            ("all", "coverage", 10),
            ("asked", "users", 0),
            ("asked", "users without training pairs", 0),
            ("asked", "tied users", 0),
        ):
            size = 300 if segment == "asked" else 0.1
            if not chance(rng, 0.2):
                value = float(np.round(size * rng.random(), 0 if size > 1 else 6))
                run.figures.append(Figure(split, segment, metric, k, value, *numbers))
    for name in pick(rng, ("rows", "repeated pairs", "users with one item"), 3):
        run.findings.append((name, "info", int(rng.integers(60)), None, None))


def _gate(rng: Random, made: World, run: Run) -> Gate:
    """What a gate decided: beside an earlier run of the model, or beside none."""
    verdict = str(rng.choice(["passed", "refused", "off"]))
    reason = "it's below 🙂" if verdict == "refused" else None
    value, popular = (float(one) / 8 for one in rng.integers(9, size=2))
    metric, k = str(rng.choice(["ndcg", "recall"])), int(rng.choice([10, 100]))
    first = verdict, "random", metric, k, value, None if chance(rng, 0.1) else popular
    earlier = [one.run_id for one in made.runs_of(run.model) if one.status == "ready"]
    if not earlier:
        return Gate(*first, None, "none", *(None,) * 7, 0.0, reason)
    basis = str(rng.choice(["vectors", "options", "same"]))
    counts = (int(n) for n in rng.integers(9, size=2))
    measured = (
        None if chance(rng, 0.1) else float(n) / 8 for n in rng.integers(-8, 9, 5)
    )
    return Gate(*first, earlier[0], basis, *counts, *measured, 0.05, reason)


def _notes(rng: Random, run: Run) -> None:
    """What is written down on the way: a log, findings, trials."""
    for epoch, metric in product(
        range(1, int(rng.integers(1, 4))), pick(rng, ("loss", "Loss", "ndcg@10"), 3)
    ):
        run.log.append(
            (
                epoch,
                metric,
                float(rng.integers(9) / 8),
                run.started_at + timedelta(seconds=epoch),
            )
        )
    severities = ("error", "warning", "info", "ok")
    for name in pick(rng, ("zero weights", "Pairs", "duplicates", "ä"), 4):
        example, hint = (
            None if chance(rng, 0.3) else word for word in ("it's", "do 🙂")
        )
        run.findings.append(
            (name, str(rng.choice(severities)), int(rng.integers(9)), example, hint)
        )
    for trial in range(1, 1 + int(rng.integers(5) if chance(rng, 0.6) else 0)):
        failed = chance(rng, 0.2)
        value = None if failed else float(rng.integers(4) / 8)
        outcome = ("failed", "too many") if failed else ("done", None)
        params = json.dumps({"dim": trial})
        run.trials.append(Trial(trial, params, "ndcg@10", value, trial / 4, *outcome))
    if chance(rng, 0.5):
        _of_several_algorithms(rng, run.trials)


def _of_several_algorithms(rng: Random, trials: list[Trial]) -> None:
    """As algorithm auto writes them: some for comparison, perhaps one chosen."""
    chosen = int(rng.integers(6))
    for trial in trials:
        trial.algorithm = str(rng.choice(("als", "svd")))
        if trial.value is not None and chance(rng, 0.3):
            trial.status = "reference"
        if trial.value is not None:
            trial.ci_low = trial.value / 2
            trial.ci_high = trial.value * 2
        if chance(rng, 0.8):
            trial.chosen = trial.status == "done" and trial.trial == chosen
            trial.reason = "it's better"

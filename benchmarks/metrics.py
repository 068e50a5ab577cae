"""The metrics beside ranx's: the same lists and held-out items, figure by figure, user by user.

Random users from a seed: lists from none to more than k items, from scores of which many are
equal; from none to 30 held-out items, of which some are in no list. ranx (pip install ranx) is
code of others for the same definitions. What differs by definition is brought together here: its
map divides by all held-out items, ours by at most k of them. A list of equal scores it orders in
its own way, so it is given ranks; how many users its own order would change is a line too.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks._lines import line
from embsql.data import CsrMatrix
from embsql.evaluation import metrics

ITEMS = 60
LONGEST = 25
NAMES = {
    "recall": "recall",
    "ndcg": "ndcg",
    "hit_rate": "hit_rate",
    "mrr": "mrr",
    "map": "map",
}


def options(parser: argparse.ArgumentParser) -> None:
    """What may be chosen."""
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--k", nargs="+", type=int, default=[1, 3, 10, 20])
    parser.add_argument("--seed", type=int, default=1)


def measure(options: argparse.Namespace) -> None:
    """Print the lines."""
    import ranx

    rng = np.random.default_rng(options.seed)
    scores = rng.integers(
        0, 8, (options.users, ITEMS)
    )  # (m, items), many of them equal
    ranking = np.argsort(-scores, axis=1, kind="stable")[
        :, :LONGEST
    ]  # (m, longest) equal ones by code
    ranking[
        np.arange(LONGEST) >= rng.integers(0, LONGEST + 1, options.users)[:, None]
    ] = -1
    wanted = [
        np.sort(rng.choice(ITEMS, n, replace=False))
        for n in rng.integers(0, 31, options.users)
    ]
    theirs = _ranx(
        ranx, ranking, wanted, np.broadcast_to(-np.arange(LONGEST), ranking.shape)
    )
    tied = _ranx(
        ranx,
        ranking,
        wanted,
        np.take_along_axis(scores, np.maximum(ranking, 0), axis=1),
    )
    for k in options.k:
        for name in NAMES:
            ours, here = _ours(name, k, ranking, wanted)
            settings = {"k": k, "users": int(here.sum()), "seed": options.seed}
            gap = np.abs(ours - theirs(f"{name}@{k}"))[here]
            line(
                "metrics",
                "made",
                "embsql",
                f"largest difference of {name}",
                float(gap.max()),
                "",
                peer="ranx",
                **settings,
            )
            changed = np.abs(ours - tied(f"{name}@{k}"))[here] > 1e-9
            line(
                "metrics",
                "made",
                "ranx's order of ties",
                f"users with another {name}",
                float(changed.mean()),
                "share",
                **settings,
            )


def _ours(name, k, ranking, wanted):
    """Our figures (m,) and which users have one; map as ranx divides it."""
    counts = np.array([len(items) for items in wanted])  # (m,)
    rows = CsrMatrix(
        np.concatenate(([0], np.cumsum(counts))),
        np.concatenate(wanted).astype(np.int32),
        np.empty(0),
    )
    hit = metrics.hits(ranking[:, :k].astype(np.int32), rows, ITEMS)  # (m, k)
    figures = metrics.PER_USER[name](hit, counts)  # (m,)
    if name == "map":
        figures = figures * np.minimum(counts, k) / np.maximum(counts, 1)
    assert (np.isnan(figures) == (counts == 0)).all()
    return figures, counts > 0


def _ranx(ranx, ranking, wanted, scores):
    """A function from a metric's name to ranx's figures (m,), 0 for users without one."""
    asked = [n for n, items in enumerate(wanted) if len(items)]
    qrels = ranx.Qrels(
        {f"{n:08}": {f"i{item:02}": 1 for item in wanted[n]} for n in asked}
    )
    lists = {f"{n:08}": _list(ranking[n], scores[n]) for n in asked}
    run = ranx.Run(lists)

    def figures(metric):
        values = np.zeros(len(wanted))
        values[asked] = ranx.evaluate(qrels, run, metric, return_mean=False)
        return values

    return figures


def _list(items, scores):
    """A list as ranx takes it: an empty one as an item that nobody wants."""
    listed = {
        f"i{item:02}": float(score)
        for item, score in zip(items, scores, strict=True)
        if item >= 0
    }
    return listed or {"nothing": 0.0}

"""How good a model is on interactions it has not seen, beside popular items and item-kNN, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from embsql import baselines, metrics
from embsql.data import Embeddings, Int32, Int64, Interactions, Rows
from embsql.errors import NotEvaluated, UnknownMetric, suggestion
from embsql.metrics import Float64
from embsql.model import Run
from embsql.splits import Mask

NEW = 2  # a user with at most this many training pairs is new
HEAD = 0.5  # the most popular items that together carry this share of the training pairs are the head

Column = tuple[str, str, int]  # segment, metric, k


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a model on a split, beside the same figure of the two baselines."""

    segment: str  # all, users:new, users:light, users:heavy, items:head, items:tail
    metric: str  # recall ndcg hit_rate mrr map coverage diversity novelty
    k: int  # length of the lists
    value: float
    popular_value: float | None  # None where the baseline's lists are too short for the figure
    itemknn_value: float | None
    ci_low: float | None  # 95% interval over users; None for coverage, which is not a mean over users
    ci_high: float | None


def measure(
    embeddings: Embeddings, train: Interactions, held_out: Interactions, run: Run, *, k: Sequence[int] = (10, 20)
) -> list[Metric]:
    """Every figure of a model trained on `train`, asked about `held_out`; the run may be cancelled meanwhile.

    To measure several models on one split make the `Exam` yourself: its baselines are computed once.
    """
    return Exam.of(train, held_out, run, k=k).measure(embeddings)


@dataclass(frozen=True, slots=True)
class Exam:
    """One split made ready: who is asked, what they have seen, what is right, and how the baselines answer.

    Every user with held-out pairs is asked for a ranking of the whole catalogue (the items with training
    pairs) without the items of their own training pairs. All users asked count in every mean. A user without
    training pairs cannot be ranked for and gets 0, from the baselines too; a held-out item without training
    pairs cannot be in a list and counts as missed.
    """

    k: tuple[int, ...]
    run: Run  # its threads, its seed for the intervals, its wish to stop
    users: Int32  # (m,) codes of the users who are asked
    seen: Rows  # m rows: their training items
    relevant: Rows  # m rows: their held-out items
    counts: Int64  # (n_items,) training pairs of every item
    n_users: int  # users with training pairs
    popular: Int32  # (m, max k) ranking by popularity
    itemknn: Int32  # (m, max k) ranking by item-kNN

    @classmethod
    def of(cls, train: Interactions, held_out: Interactions, run: Run, *, k: Sequence[int] = (10, 20)) -> Exam:
        """Make a split ready; takes the time of the baselines. Raises NotEvaluated for a k below 1."""
        if min(k, default=0) < 1:
            raise NotEvaluated(name="the model", reason=f"every k must be at least 1, got {list(k)}")
        users = np.unique(held_out.user)  # (m,)
        seen, relevant = _rows(train.by_user(), users), _rows(held_out.by_user(), users)
        popular = _only_known(baselines.popular(train, seen, max(k)), seen)  # (m, max k)
        itemknn = _only_known(baselines.item_knn(train, seen, max(k), run), seen)  # (m, max k)
        counts = np.bincount(train.item, minlength=train.n_items)  # (n_items,)
        n_users = len(np.unique(train.user))
        return cls(tuple(sorted(set(k))), run, users, seen, relevant, counts, n_users, popular, itemknn)

    @property
    def cold_users(self) -> int:
        """Users asked who have no training pair."""
        return int(np.count_nonzero(self.seen.counts == 0))

    @property
    def cold_items(self) -> int:
        """Held-out items without a training pair."""
        return int(np.count_nonzero(self.counts[np.unique(self.relevant.column)] == 0))

    def rank(self, embeddings: Embeddings) -> Int32:
        """The model's ranking for the users asked: (m, max k)."""
        from embsql.algorithms._topk import top_k

        bias = np.zeros(len(self.counts), np.float32) if embeddings.item_bias is None else embeddings.item_bias
        allowed = np.where(self.counts > 0, bias, np.float32(-np.inf))  # (n_items,)
        codes, _ = top_k(
            embeddings.users[self.users], embeddings.items, max(self.k),
            seen=self.seen, item_bias=allowed, similarity=embeddings.similarity, run=self.run,
        )  # fmt: skip
        return _only_known(codes, self.seen)

    def measure(self, embeddings: Embeddings) -> list[Metric]:
        """Every figure of a model that was trained on this split's training pairs."""
        answers = {"model": self.rank(embeddings), "popular": self.popular, "itemknn": self.itemknn}
        figures = {name: self._figures(ranking, embeddings) for name, ranking in answers.items()}
        asked = [column for column, values in figures["model"].items() if np.isfinite(values).any()]
        model, popular, itemknn = (np.column_stack([figures[name][c] for c in asked]) for name in answers)  # (m, c)
        low, high = metrics.intervals(model, self.run.seed)  # (c,) each
        table = np.column_stack([*map(metrics.means, (model, popular, itemknn)), low, high])  # (c, 5)
        rows = [Metric(*c, float(row[0]), *map(_number, row[1:])) for c, row in zip(asked, table, strict=True)]
        return rows + [self._coverage(answers, k) for k in self.k]

    def _figures(self, ranking: Int32, embeddings: Embeddings) -> dict[Column, Float64]:
        """Every figure that is a mean over users: (m,) each."""
        hit = metrics.hits(ranking, self.relevant, len(self.counts))  # (m, max k)
        figures: dict[Column, Float64] = {}
        for segment, users, items in self._segments():
            right = hit & items[ranking]  # (m, max k); where the code is -1 there is no hit
            relevant = np.where(users, self._held(items), 0)  # (m,)
            for name, figure in metrics.PER_USER.items():
                figures |= {(segment, name, k): figure(right[:, :k], relevant) for k in self.k}
        for k in self.k:
            figures["all", "diversity", k] = metrics.diversity(ranking[:, :k], embeddings.items)
            figures["all", "novelty", k] = metrics.novelty(ranking[:, :k], self.counts, self.n_users)
        return figures

    def _segments(self) -> Iterator[tuple[str, Mask, Mask]]:
        """Name, users asked (m,) and items (n_items,) of every segment.

        The figures of a segment of items take only its held-out items for right. Users who are not new are
        light up to the median of their training pairs, and heavy above it.
        """
        pairs = self.seen.counts  # (m,)
        everyone, everything = np.ones(len(pairs), bool), np.ones(len(self.counts), bool)
        new, head = pairs <= NEW, _head(self.counts)
        usual = np.median(pairs[~new]) if not new.all() else 0
        yield "all", everyone, everything
        yield "users:new", new, everything
        yield "users:light", ~new & (pairs <= usual), everything
        yield "users:heavy", ~new & (pairs > usual), everything
        yield "items:head", everyone, head
        yield "items:tail", everyone, ~head

    def _held(self, items: Mask) -> Int64:
        """How many held-out items of a set of items (n_items,) each user has: (m,)."""
        inside = np.concatenate(([0], np.cumsum(items[self.relevant.column])))  # (pairs + 1,)
        return np.diff(inside[self.relevant.start])

    def _coverage(self, answers: Mapping[str, Int32], k: int) -> Metric:
        model, popular, itemknn = (metrics.coverage(ranking[:, :k], self.counts) for ranking in answers.values())
        return Metric("all", "coverage", k, model, popular, itemknn, None, None)


def _head(counts: Int64) -> Mask:
    """The most popular items that together carry half of the pairs, equal counts by code: (n_items,)."""
    order = np.argsort(-counts, kind="stable")  # (n_items,)
    before = np.cumsum(counts[order]) - counts[order]  # (n_items,) pairs of more popular items
    head = np.zeros(len(counts), bool)  # (n_items,)
    head[order[before < HEAD * counts.sum()]] = True
    return head


def _rows(rows: Rows, which: Int32) -> Rows:
    """Some of the rows, in the order of `which`."""
    counts = rows.counts[which]  # (len(which),)
    start = np.concatenate(([0], np.cumsum(counts)))  # (len(which) + 1,)
    entries = np.arange(start[-1]) + np.repeat(rows.start[which] - start[:-1], counts)  # (entries,)
    return Rows(start, rows.column[entries], rows.weight[entries])


def _only_known(ranking: Int32, seen: Rows) -> Int32:
    """The ranking, empty for users without training pairs."""
    ranking[seen.counts == 0] = -1
    return ranking


def _number(value: float) -> float | None:
    """The value, None for NaN: no table may hold one."""
    return float(value) if np.isfinite(value) else None


def gate(
    new: Sequence[Metric], live: Mapping[str, float] | None, metric: str = "ndcg@10", tolerance: float = 0.05
) -> str | None:
    """Why a run should not be promoted, or None when it may be.

    `new` are its figures, `live` those of the live run over all users ("ndcg@10" -> value; None or empty when
    there is none, or when it lacks the metric). A run must beat recommending what is popular, and must not
    fall below the live run by more than `tolerance`, a share of the live run's figure.
    Raises UnknownMetric.
    """
    figures = {f"{figure.metric}@{figure.k}": figure for figure in new if figure.segment == "all"}
    if metric not in figures:
        known = ", ".join(dict.fromkeys(figure.metric for figure in figures.values()))
        raise UnknownMetric(name=metric, suggestion=suggestion(metric, figures), known=known)
    figure, before = figures[metric], (live or {}).get(metric)
    shown = f"its {metric} is {figure.value:.4f} (95% interval {figure.ci_low or 0:.4f} to {figure.ci_high or 0:.4f})"
    if figure.popular_value is not None and figure.value <= figure.popular_value:
        return f"{shown}, no better than recommending what is popular ({figure.popular_value:.4f})"
    if before is not None and figure.value < before * (1 - tolerance):
        fall = 1 - figure.value / before
        return f"{shown}, {fall:.1%} below the live run ({before:.4f}); up to {tolerance:.0%} is tolerated"
    return None

"""How good a model is on interactions it has not seen, beside popular items and item-kNN, with
intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from embsql.data import CsrMatrix, Embeddings, Int32, Int64
from embsql.errors import NotEvaluated
from embsql.evaluation import baselines, metrics
from embsql.evaluation.metrics import Float64
from embsql.evaluation.splits import Mask, Split
from embsql.run import Run

NEW = 2  # a user with at most this many training pairs is new
# the most popular items that together carry this share of the training pairs are the head
HEAD = 0.5

Column = tuple[str, str, int]  # segment, metric, k


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a model on a split, beside the same figure of the two baselines."""

    # all, users:new, users:light, users:heavy, items:head, items:tail; asked: counts of what was
    # asked
    segment: str
    metric: str  # recall ndcg hit_rate mrr map coverage diversity novelty
    k: int  # length of the lists; 0 for a count
    value: float
    popular_value: float | None  # None where the baseline's lists are too short for the figure
    itemknn_value: float | None
    ci_low: (
        float | None
    )  # 95% interval over users; None for coverage, which is not a mean over users
    ci_high: float | None


def measure(
    embeddings: Embeddings, parts: Split, run: Run, *, k: Sequence[int] = (10, 20)
) -> list[Metric]:
    """Every figure of a model trained on a part, asked about the other.

    The run may be cancelled meanwhile.

    To measure several models on one split make the `Exam` yourself: its baselines are computed
    once.
    """
    return Exam.of(parts, run, k=k).measure(embeddings)


@dataclass(frozen=True, slots=True)
class Questions:
    """One split made ready to be asked: whom, what they have seen, and what is right.

    Every user with held-out pairs is asked for a ranking of the whole catalogue (the items with
    training pairs) without the items of their own training pairs, unless the split asks for
    repeats. All users asked count in every mean. A user without training pairs cannot be ranked for
    and gets 0; a held-out item without training pairs cannot be in a list and counts as missed.
    """

    run: Run  # its threads, its seed for the intervals, its wish to stop
    users: Int32  # (m,) codes of the users who are asked
    seen: CsrMatrix  # m rows: their training items
    barred: CsrMatrix  # m rows: the items that their lists may not have
    relevant: CsrMatrix  # m rows: their held-out items
    counts: Int64  # (n_items,) training pairs of every item
    facts: Mapping[str, int]  # what is asked: name -> how many

    @classmethod
    def of(cls, parts: Split, run: Run) -> Questions:
        """Make a split ready."""
        users = np.unique(parts.held_out.user)  # (m,)
        seen, relevant = _rows(parts.train.by_user(), users), _rows(parts.held_out.by_user(), users)
        counts = np.bincount(parts.train.item, minlength=parts.train.n_items)  # (n_items,)
        barred = _none(len(users)) if parts.repeats else seen
        return cls(
            run,
            users,
            seen,
            barred,
            relevant,
            counts,
            {**parts.facts, **_facts(parts, seen, counts)},
        )

    @property
    def known(self) -> Known:
        """What a model that was trained on the training pairs can answer about."""
        return Known(self.seen.counts > 0, self.counts > 0)

    def rank(self, embeddings: Embeddings, k: int, known: Known | None = None) -> Int32:
        """The ranking (m, k) of a model trained on the training pairs, or of one that has vectors
        of others.
        """
        from embsql.numeric.topk import top_k

        known = known or self.known
        bias = (
            np.zeros(len(self.counts), np.float32)
            if embeddings.item_bias is None
            else embeddings.item_bias
        )
        allowed = np.where(known.items, bias, np.float32(-np.inf))  # (n_items,)
        codes, _ = top_k(
            embeddings.users[self.users],
            embeddings.items,
            k,
            seen=self.barred,
            item_bias=allowed,
            similarity=embeddings.similarity,
            run=self.run,
        )
        return _only(known.users, codes)

    def per_user(
        self, embeddings: Embeddings, metric: str, k: int, known: Known | None = None
    ) -> Float64:
        """One of the figures that are means over users, of every user asked: (m,)."""
        hit = metrics.hits(
            self.rank(embeddings, k, known), self.relevant, len(self.counts)
        )  # (m, k)
        return metrics.PER_USER[metric](hit, self.relevant.counts)


@dataclass(frozen=True, slots=True)
class Known:
    """What a model has vectors of."""

    users: Mask  # (m,) of the users asked
    items: Mask  # (n_items,)


@dataclass(frozen=True, slots=True)
class Exam:
    """Questions, and how the baselines answer them: popular items and item-kNN, for users with
    training pairs.
    """

    k: tuple[int, ...]
    asked: Questions
    n_users: int  # users with training pairs
    known: Known  # what the models to be measured have vectors of
    popular: Int32  # (m, max k) ranking by popularity
    itemknn: Int32  # (m, max k) ranking by item-kNN

    @classmethod
    def of(
        cls,
        parts: Split,
        run: Run,
        *,
        k: Sequence[int] = (10, 20),
        vectors: tuple[Mask, Mask] | None = None,
    ) -> Exam:
        """Make a split ready; takes the time of the baselines. Raises NotEvaluated for a k below 1.

        `vectors` says of all users (n_users,) and items (n_items,) which a model to be measured has
        vectors of, where those are not the ones with training pairs.
        """
        if min(k, default=0) < 1:
            raise NotEvaluated(
                name="the model", reason=f"every k must be at least 1, got {list(k)}"
            )
        asked, train, longest = Questions.of(parts, run), parts.train, max(k)
        trained = asked.known.users  # (m,)
        popular = _only(trained, baselines.popular(train, asked.barred, longest))  # (m, max k)
        itemknn = baselines.item_knn(
            train, asked.seen, longest, run, repeats=parts.repeats
        )  # (m, max k)
        known = Known(vectors[0][asked.users], vectors[1]) if vectors else asked.known
        n_users = max(1, len(np.unique(train.user)))
        return cls(tuple(sorted(set(k))), asked, n_users, known, popular, _only(trained, itemknn))

    def measure(self, embeddings: Embeddings) -> list[Metric]:
        """Every figure of a model."""
        own = self.asked.rank(embeddings, max(self.k), self.known)  # (m, max k)
        answers = {"model": own, "popular": self.popular, "itemknn": self.itemknn}
        figures = {name: self._figures(ranking, embeddings) for name, ranking in answers.items()}
        asked = [column for column, values in figures["model"].items() if np.isfinite(values).any()]
        model, popular, itemknn = (
            np.column_stack([figures[name][c] for c in asked]) for name in answers
        )  # (m, c)
        low, high = metrics.intervals(model, self.asked.run.seed)  # (c,) each
        table = np.column_stack(
            [*map(metrics.means, (model, popular, itemknn)), low, high]
        )  # (c, 5)
        rows = [
            Metric(*c, float(row[0]), *map(_number, row[1:]))
            for c, row in zip(asked, table, strict=True)
        ]
        rows += [self._coverage(answers, k) for k in self.k]
        return rows if self.asked.counts.any() else [_alone(row) for row in rows]

    def counted(self) -> list[Metric]:
        """What was asked, as figures of the segment `asked`."""
        return [
            Metric("asked", name, 0, float(n), None, None, None, None)
            for name, n in self.asked.facts.items()
        ]

    def _figures(self, ranking: Int32, embeddings: Embeddings) -> dict[Column, Float64]:
        """Every figure that is a mean over users: (m,) each."""
        counts = self.asked.counts
        hit = metrics.hits(ranking, self.asked.relevant, len(counts))  # (m, max k)
        figures: dict[Column, Float64] = {}
        for segment, users, items in self._segments():
            right = hit & items[ranking]  # (m, max k); where the code is -1 there is no hit
            relevant = np.where(users, self._held(items), 0)  # (m,)
            for name, figure in metrics.PER_USER.items():
                figures |= {(segment, name, k): figure(right[:, :k], relevant) for k in self.k}
        for k in self.k:
            figures["all", "diversity", k] = metrics.diversity(ranking[:, :k], embeddings.items)
            figures["all", "novelty", k] = metrics.novelty(ranking[:, :k], counts, self.n_users)
        return figures

    def _segments(self) -> Iterator[tuple[str, Mask, Mask]]:
        """Name, users asked (m,) and items (n_items,) of every segment.

        The figures of a segment of items take only its held-out items for right. Users who are not
        new are light up to the median of their training pairs, and heavy above it.
        """
        pairs, counts = self.asked.seen.counts, self.asked.counts  # (m,), (n_items,)
        everyone, everything = np.ones(len(pairs), bool), np.ones(len(counts), bool)
        new, head = pairs <= NEW, _head(counts)
        usual = np.median(pairs[~new]) if not new.all() else 0
        yield "all", everyone, everything
        yield "users:new", new, everything
        yield "users:light", ~new & (pairs <= usual), everything
        yield "users:heavy", ~new & (pairs > usual), everything
        yield "items:head", everyone, head
        yield "items:tail", everyone, ~head

    def _held(self, items: Mask) -> Int64:
        """How many held-out items of a set of items (n_items,) each user has: (m,)."""
        relevant = self.asked.relevant
        inside = np.concatenate(([0], np.cumsum(items[relevant.indices])))  # (pairs + 1,)
        return np.diff(inside[relevant.indptr])

    def _coverage(self, answers: Mapping[str, Int32], k: int) -> Metric:
        model, popular, itemknn = (
            metrics.coverage(ranking[:, :k], self.known.items) for ranking in answers.values()
        )
        return Metric("all", "coverage", k, model, popular, itemknn, None, None)


def _alone(figure: Metric) -> Metric:
    """A figure of a run without training pairs, which no baseline can answer from."""
    return replace(figure, popular_value=None, itemknn_value=None)


def _head(counts: Int64) -> Mask:
    """The most popular items that together carry half of the pairs, equal counts by code:
    (n_items,).
    """
    order = np.argsort(-counts, kind="stable")  # (n_items,)
    before = np.cumsum(counts[order]) - counts[order]  # (n_items,) pairs of more popular items
    head = np.zeros(len(counts), bool)  # (n_items,)
    head[order[before < HEAD * counts.sum()]] = True
    return head


def _rows(rows: CsrMatrix, which: Int32) -> CsrMatrix:
    """Some of the rows, in the order of `which`."""
    counts = rows.counts[which]  # (len(which),)
    start = np.concatenate(([0], np.cumsum(counts)))  # (len(which) + 1,)
    entries = np.arange(start[-1]) + np.repeat(
        rows.indptr[which] - start[:-1], counts
    )  # (entries,)
    return CsrMatrix(start, rows.indices[entries], rows.data[entries])


def _none(m: int) -> CsrMatrix:
    """As many rows as users, m, without an entry."""
    return CsrMatrix(np.zeros(m + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


def _facts(parts: Split, seen: CsrMatrix, counts: Int64) -> dict[str, int]:
    """What is asked on a split, and of whom and of what nothing is known."""
    return {
        "users": len(seen.counts),
        "pairs": len(parts.held_out),
        "users without training pairs": int(np.count_nonzero(seen.counts == 0)),
        "items without training pairs": int(
            np.count_nonzero(counts[np.unique(parts.held_out.item)] == 0)
        ),
    }


def _only(served: Mask, ranking: Int32) -> Int32:
    """The ranking (m, k), empty for users who are not served (m,)."""
    ranking[~served] = -1
    return ranking


def _number(value: float) -> float | None:
    """The value, None for NaN: no table may hold one."""
    return float(value) if np.isfinite(value) else None

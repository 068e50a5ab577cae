"""How good a model is on held-out interactions, with intervals, beside two baselines.

The baselines are popular items and item-kNN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from embsql.data import CsrMatrix, Embeddings, Float64, Int32, Int64
from embsql.errors import NotEvaluated
from embsql.evaluation import baselines, metrics
from embsql.evaluation.splits import Mask, Split
from embsql.numeric.blas import one_blas_thread
from embsql.run import Run

NEW_USER_PAIRS = 2  # a user with at most this many training pairs is new
# the most popular items that together carry this share of the training pairs are the head
HEAD_SHARE = 0.5

Key = tuple[str, str, int]  # of a figure: segment, metric, k
Jobs = dict[Key, Callable[[], Float64]]  # that make figures: (m,) each


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a model on a split, beside the same figure of the two baselines."""

    # all, users:new, users:light, users:heavy, items:head, items:tail; asked: counts
    segment: str
    metric: str  # recall ndcg hit_rate mrr map coverage diversity novelty
    k: int  # length of the lists; 0 for a count
    value: float
    # None where the baseline's lists are too short for the figure
    popular_value: float | None
    itemknn_value: float | None
    # 95% interval over users; None for coverage, which is not a mean over users
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class Known:
    """What a model has vectors of."""

    users: Mask  # (m,) of the users asked
    items: Mask  # (n_items,)


def measure(
    embeddings: Embeddings, parts: Split, run: Run, *, k: Sequence[int] = (10, 20)
) -> list[Metric]:
    """Every figure of a model trained on a part, asked about the other.

    The run may be cancelled meanwhile. To measure several models on one split make the `Evaluator`
    yourself: its baselines are computed once.
    """
    return Evaluator.prepare(parts, run, k=k).measure(embeddings)


@dataclass(frozen=True, slots=True)
class Questions:
    """One split made ready to be asked: whom, what they have seen, and what is right.

    Every user with held-out pairs is asked for a ranking of the whole catalog (the items with
    training pairs) without the items of their own training pairs, unless the split asks for
    repeats. All users asked count in every mean. A user without training pairs cannot be ranked for
    and gets 0; a held-out item without training pairs cannot be in a list and counts as missed.
    """

    run: Run  # its threads, its seed for the intervals, its wish to stop
    users: Int32  # (m,) codes of the users who are asked
    seen: CsrMatrix  # m rows: their training items
    excluded: CsrMatrix  # m rows: the items that their lists may not have
    relevant: CsrMatrix  # m rows: their held-out items
    counts: Int64  # (n_items,) training pairs of every item
    facts: Mapping[str, int]  # what is asked: name -> how many

    @classmethod
    def prepare(cls, parts: Split, run: Run) -> Questions:
        """Make a split ready."""
        users = np.unique(parts.held_out.user)  # (m,)
        seen = _take_rows(parts.train.by_user(), users)
        relevant = _take_rows(parts.held_out.by_user(), users)
        excluded = CsrMatrix.empty(len(users)) if parts.repeats else seen
        counts = np.bincount(
            parts.train.item, minlength=parts.train.n_items
        )  # (n_items,)
        facts = {**parts.facts, **_facts(parts, seen, counts)}
        return cls(run, users, seen, excluded, relevant, counts, facts)

    @property
    def known(self) -> Known:
        """What a model that was trained on the training pairs can answer about."""
        return Known(self.seen.counts > 0, self.counts > 0)

    def rank(self, embeddings: Embeddings, k: int, known: Known | None = None) -> Int32:
        """The ranking (m, k) of a model, which has vectors of what `known` says.

        That is of what it was trained on, where nothing else is said.
        """
        from embsql.numeric.topk import top_k

        known = known or self.known
        bias = embeddings.item_bias
        if bias is None:
            bias = np.zeros(len(self.counts), np.float32)  # (n_items,)
        codes, _ = top_k(
            embeddings.users[self.users],
            embeddings.items,
            k,
            seen=self.excluded,
            item_bias=np.where(known.items, bias, np.float32(-np.inf)),
            similarity=embeddings.similarity,
            run=self.run,
        )
        return _only(known.users, codes)

    def per_user(
        self, embeddings: Embeddings, metric: str, k: int, known: Known | None = None
    ) -> Float64:
        """One of the figures that are means over users, of every user asked: (m,)."""
        ranking = self.rank(embeddings, k, known)  # (m, k)
        hit = metrics.hits(ranking, self.relevant, len(self.counts))  # (m, k)
        return metrics.PER_USER[metric](hit, self.relevant.counts)

    def figures(
        self, ranking: Int32, lengths: Sequence[int], others: Jobs
    ) -> dict[Key, Float64]:
        """How well a ranking (m, max k) finds what was held out, in lists of each of `lengths`.

        By segment, and `others` with them: (m,) each, for every user asked.
        """
        hit = metrics.hits(ranking, self.relevant, len(self.counts))  # (m, max k)
        jobs: Jobs = {}
        for segment, items in self.item_segments():
            own_hit = hit & items[ranking]  # (m, max k); no hit where the code is -1
            relevant = self.relevant_counts(items)  # (m,)
            for (name, figure), k in product(metrics.PER_USER.items(), lengths):
                jobs[segment, name, k] = partial(figure, own_hit[:, :k], relevant)
        jobs |= others
        with ThreadPoolExecutor(self.run.threads) as pool:  # numpy lets go of the GIL
            done = pool.map(lambda job: job(), jobs.values())
            figures = dict(zip(jobs, done, strict=True))
        for segment, users in self.user_segments():
            for name, k in product(metrics.PER_USER, lengths):
                everyone = figures["all", name, k]  # (m,)
                figures[segment, name, k] = np.where(users, everyone, np.nan)
        return figures

    def user_segments(self) -> Iterator[tuple[str, Mask]]:
        """Parts of the users: (m,) each.

        Users who are not new are light up to the median of their training pairs, and heavy above
        it.
        """
        pairs = self.seen.counts  # (m,)
        new = pairs <= NEW_USER_PAIRS  # (m,)
        median = 0 if new.all() else np.median(pairs[~new])
        yield "users:new", new
        yield "users:light", ~new & (pairs <= median)
        yield "users:heavy", ~new & (pairs > median)

    def item_segments(self) -> Iterator[tuple[str, Mask]]:
        """All items, and parts of them: (n_items,) each; of which held-out ones count as right."""
        head = _head(self.counts)  # (n_items,)
        yield "all", np.ones(len(self.counts), bool)
        yield "items:head", head
        yield "items:tail", ~head

    def relevant_counts(self, items: Mask) -> Int64:
        """How many of its held-out items each user has among some (n_items,): (m,)."""
        is_in = items[self.relevant.indices]  # (pairs,)
        before = np.concatenate(([0], np.cumsum(is_in)))  # (pairs + 1,)
        return np.diff(before[self.relevant.indptr])


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Questions, and how the baselines answer them for users with training pairs."""

    k: tuple[int, ...]
    questions: Questions
    n_users: int  # users with training pairs
    known: Known  # what the models to be measured have vectors of
    popular: Int32  # (m, max k) ranking by popularity
    itemknn: Int32  # (m, max k) ranking by item-kNN

    @classmethod
    def prepare(
        cls,
        parts: Split,
        run: Run,
        *,
        k: Sequence[int] = (10, 20),
        vectors: tuple[Mask, Mask] | None = None,
    ) -> Evaluator:
        """Make a split ready; takes the time of the baselines. Raises NotEvaluated for a k below 1.

        `vectors` says of all users (n_users,) and items (n_items,) which a model to be measured has
        vectors of, where those are not the ones with training pairs.
        """
        if min(k, default=0) < 1:
            reason = f"every k must be at least 1, got {list(k)}"
            raise NotEvaluated(name="the model", reason=reason)
        longest = max(k)
        train = parts.train
        questions = Questions.prepare(parts, run)
        popular = baselines.popular(train, questions.excluded, longest)  # (m, max k)
        itemknn = baselines.item_knn(
            train, questions.seen, longest, run, repeats=parts.repeats
        )
        known = questions.known
        trained_users = known.users  # (m,)
        if vectors is not None:
            users, items = vectors
            known = Known(users[questions.users], items)
        return cls(
            k=tuple(sorted(set(k))),
            questions=questions,
            n_users=max(1, len(np.unique(train.user))),
            known=known,
            popular=_only(trained_users, popular),
            itemknn=_only(trained_users, itemknn),
        )

    def measure(self, embeddings: Embeddings) -> list[Metric]:
        """Every figure of a model."""
        ranking = self.questions.rank(embeddings, max(self.k), self.known)  # (m, max k)
        rankings = (ranking, self.popular, self.itemknn)
        with one_blas_thread():  # others would go on spinning after each product
            rows = self._means_over_users(rankings, embeddings)
        rows += [self._coverage(rankings, k) for k in self.k]
        if self.questions.counts.any():
            return rows
        return [_without_baselines(row) for row in rows]

    def facts(self) -> list[Metric]:
        """What was asked, as figures of the segment `asked`."""
        nothing = (None, None, None, None)
        facts = self.questions.facts.items()
        return [
            Metric("asked", name, 0, float(count), *nothing) for name, count in facts
        ]

    def _means_over_users(
        self, rankings: Sequence[Int32], embeddings: Embeddings
    ) -> list[Metric]:
        """The figures that are means over users, of the model's and the baselines' rankings."""
        figures = [self.figures(ranking, embeddings) for ranking in rankings]
        # of those in which some user has part
        keys = [key for key, values in figures[0].items() if np.isfinite(values).any()]
        tables = [
            np.column_stack([values[key] for key in keys]) for values in figures
        ]  # (m, c)
        low, high = metrics.intervals(tables[0], self.questions.run.seed)  # (c,) each
        columns = np.column_stack([*map(metrics.means, tables), low, high])  # (c, 5)
        rows = zip(keys, columns.tolist(), strict=True)
        return [
            Metric(*key, value, *map(_finite, others)) for key, (value, *others) in rows
        ]

    def figures(self, ranking: Int32, embeddings: Embeddings) -> dict[Key, Float64]:
        """Every figure that is a mean over users: (m,) each."""
        counts = self.questions.counts  # (n_items,)
        jobs: Jobs = {}
        for k in self.k:
            top = ranking[:, :k]  # (m, k)
            jobs["all", "diversity", k] = partial(
                metrics.diversity, top, embeddings.items
            )
            jobs["all", "novelty", k] = partial(
                metrics.novelty, top, counts, self.n_users
            )
        return self.questions.figures(ranking, self.k, jobs)

    def _coverage(self, rankings: Sequence[Int32], k: int) -> Metric:
        model, popular, itemknn = (
            metrics.coverage(ranking[:, :k], self.known.items) for ranking in rankings
        )
        return Metric("all", "coverage", k, model, popular, itemknn, None, None)


def _without_baselines(figure: Metric) -> Metric:
    """A figure of a run without training pairs, which no baseline can answer from."""
    return replace(figure, popular_value=None, itemknn_value=None)


def _head(counts: Int64) -> Mask:
    """The most popular items (n_items,) that together carry half of the pairs.

    Equal counts by code.
    """
    order = np.argsort(-counts, kind="stable")  # (n_items,)
    before = (
        np.cumsum(counts[order]) - counts[order]
    )  # (n_items,) pairs of more popular items
    head = np.zeros(len(counts), bool)  # (n_items,)
    head[order[before < HEAD_SHARE * counts.sum()]] = True
    return head


def _take_rows(matrix: CsrMatrix, rows: Int32) -> CsrMatrix:
    """Some of the rows (r,), in their order."""
    counts = matrix.counts[rows]  # (r,)
    indptr = np.concatenate(([0], np.cumsum(counts)))  # (r + 1,)
    shift = np.repeat(matrix.indptr[rows] - indptr[:-1], counts)  # (entries,)
    entries = np.arange(indptr[-1]) + shift  # (entries,)
    return CsrMatrix(indptr, matrix.indices[entries], matrix.data[entries])


def _facts(parts: Split, seen: CsrMatrix, counts: Int64) -> dict[str, int]:
    """What is asked on a split, and of whom and of what nothing is known."""
    held_out_items = np.unique(parts.held_out.item)
    return {
        "users": len(seen.counts),
        "pairs": len(parts.held_out),
        "users without training pairs": int(np.count_nonzero(seen.counts == 0)),
        "items without training pairs": int(
            np.count_nonzero(counts[held_out_items] == 0)
        ),
    }


def _only(served: Mask, ranking: Int32) -> Int32:
    """The ranking (m, k), empty for users who are not served (m,)."""
    ranking[~served] = -1
    return ranking


def _finite(value: float) -> float | None:
    """The value, None for NaN: no table may hold one."""
    return float(value) if np.isfinite(value) else None

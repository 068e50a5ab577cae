"""How good a model is on held-out interactions, with intervals, against two baselines.

The baselines are popular items and item-kNN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from embsql.data import CsrMatrix, Embeddings, Float32, Float64, Int32, Int64
from embsql.errors import NotEvaluated
from embsql.evaluation import baselines, metrics
from embsql.evaluation.metrics import Part
from embsql.evaluation.sessions import Sessions, vectors_after
from embsql.evaluation.splits import Mask, Split
from embsql.evaluation.tally import Key, Metric, Tally
from embsql.numeric.blas import one_blas_thread
from embsql.run import Run

NEW_USER_PAIRS = 2  # a user with at most this many training pairs is new
# The most popular items that together carry this share of the training pairs are the head, the
# least popular ones that carry no more are the tail, the others the torso: Abdollahpouri et al.
# 2021, User-centered evaluation of popularity bias in recommender systems.
SHARE = 0.2

Jobs = dict[Key, Callable[[], Float64]]  # that make figures: (m,) each


@dataclass(frozen=True, slots=True)
class Known:
    """What a model has vectors of."""

    users: Mask  # (m,) of the users asked
    items: Mask  # (n_items,)


@dataclass(frozen=True, slots=True)
class Whole:
    """What is to be known of all training pairs, where questions are about a part of the users."""

    counts: Int64  # (n_items,) training pairs of every item
    n_users: int  # users with training pairs
    light: float  # up to so many training pairs has a user who is light

    @classmethod
    def of(cls, parts: Split, asked: Int64) -> Whole:
        """That of a split, whose users who are asked have so many training pairs (m,)."""
        train = parts.train
        old = asked[asked > NEW_USER_PAIRS]
        return cls(
            np.bincount(train.item, minlength=train.n_items),  # (n_items,)
            max(1, len(np.unique(train.user))),
            float(np.median(old)) if len(old) else 0.0,
        )


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
    users: Int32  # (m,) codes of the users who are asked, or whose events
    seen: CsrMatrix  # m rows: their training items
    excluded: CsrMatrix  # m rows: the items that their lists may not have
    relevant: CsrMatrix  # m rows: their held-out items
    whole: Whole
    facts: Mapping[str, int]  # what is asked: name -> how many
    # what comes next in these is asked, and each of m is one event; none: users are asked
    sessions: Sessions | None = None

    @classmethod
    def prepare(cls, parts: Split, run: Run, whole: Whole | None = None) -> Questions:
        """Make a split ready, or the part of it that some users are."""
        if parts.sessions:
            return cls._of_sessions(parts, parts.sessions, run)
        users = np.unique(parts.held_out.user)  # (m,)
        seen = _take_rows(parts.train.by_user(), users)
        relevant = _take_rows(parts.held_out.by_user(), users)
        excluded = CsrMatrix.empty(len(users)) if parts.repeats else seen
        whole = whole or Whole.of(parts, seen.counts)
        facts = {**parts.facts, **_facts(parts, seen, whole.counts)}
        return cls(run, users, seen, excluded, relevant, whole, facts)

    @classmethod
    def _of_sessions(cls, parts: Split, sessions: Sessions, run: Run) -> Questions:
        """Each event that is asked about is a user, who has seen what comes before it."""
        m = len(sessions.asked)
        known = (
            np.bincount(parts.train.item, minlength=parts.train.n_items) > 0
        )  # (n_items,)
        seen = sessions.prefixes(known).items()
        ones = np.ones(m, np.float32)
        return cls(
            run,
            sessions.group,
            seen,
            excluded=CsrMatrix.empty(m),
            relevant=CsrMatrix(np.arange(m + 1), sessions.target, ones),
            whole=Whole.of(parts, seen.counts),
            facts=parts.facts,
            sessions=sessions,
        )

    @property
    def counts(self) -> Int64:
        """Training pairs of every item: (n_items,)."""
        return self.whole.counts

    @property
    def known(self) -> Known:
        """What a model that was trained on the training pairs can answer about."""
        return Known(self.seen.counts > 0, self.counts > 0)

    def known_of(self, users: Mask, items: Mask) -> Known:
        """What a model can answer about that has vectors of users (n_users,), items (n_items,).

        Whoever is asked by what comes before needs none of their own.
        """
        everyone = np.ones(len(self.users), bool)  # (m,)
        return Known(everyone if self.sessions else users[self.users], items)

    @property
    def group(self) -> Int32 | None:
        """Whose events are asked about (m,), where they are asked one by one."""
        return self.users if self.sessions else None

    def rank(self, embeddings: Embeddings, k: int, known: Known | None = None) -> Int32:
        """The ranking (m, k) of a model, which has vectors of what `known` says.

        That is of what it was trained on, where nothing else is said.
        """
        from embsql.numeric.topk import top_k

        known = known or self.known
        bias = embeddings.item_bias
        if bias is None:
            bias = np.zeros(len(self.counts), np.float32)  # (n_items,)
        vectors, served = self._subjects(embeddings, known)
        codes, _ = top_k(
            vectors,
            embeddings.items,
            k,
            seen=self.excluded,
            item_bias=np.where(known.items, bias, np.float32(-np.inf)),
            similarity=embeddings.similarity,
            run=self.run,
        )
        return _only(served, codes)

    def _subjects(self, embeddings: Embeddings, known: Known) -> tuple[Float32, Mask]:
        """The vectors of whoever is asked about (m, dim), and who has one (m,)."""
        if self.sessions is None:
            return embeddings.users[self.users], known.users
        made = vectors_after(self.sessions, embeddings, known.items, self.run)
        return made.vectors, made.known

    def per_user(
        self, embeddings: Embeddings, metric: str, k: int, known: Known | None = None
    ) -> Float64:
        """One of the figures that are means over users, of every user asked: (m,)."""
        return self.of_ranking(self.rank(embeddings, k, known), metric)

    def of_ranking(self, ranking: Int32, metric: str) -> Float64:
        """One of the same figures of a ranking (m, k), of every user asked: (m,)."""
        hit = metrics.hits(ranking, self.relevant, len(self.counts))  # (m, k)
        return metrics.PER_USER[metric](hit, self.relevant.counts)

    def popular(self, k: int) -> Int32:
        """The most popular items for each user who has training pairs: (m, k)."""
        ranking = baselines.popular(self.counts, self.excluded, k)  # (m, k)
        return _only(self.known.users, ranking)

    def item_knn(self, parts: Split, k: int, run: Run) -> Int32:
        """What item-kNN, trained on the split's pairs, gives each such user: (m, k)."""
        ranking = baselines.item_knn(
            parts.train, self.seen, k, run, repeats=parts.repeats
        )  # (m, k)
        return _only(self.known.users, ranking)

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
        heavy = pairs > self.whole.light  # (m,)
        yield "users:new", new
        yield "users:light", ~new & ~heavy
        yield "users:heavy", ~new & heavy

    def item_segments(self) -> Iterator[tuple[str, Mask]]:
        """All items, and parts of them: (n_items,) each; of which held-out ones count as right."""
        yield "all", np.ones(len(self.counts), bool)
        yield from _by_popularity(self.counts)

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
    known: Known  # what the models to be measured have vectors of
    baselines: list[Int32]  # (m, max k) rankings each: by popularity, by item-kNN

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
        made = cls.of_block(Questions.prepare(parts, run), k)
        questions = made.questions
        made.baselines.append(questions.item_knn(parts, longest, run))
        if vectors is None:
            return made
        return replace(made, known=questions.known_of(*vectors))

    @classmethod
    def of_block(cls, questions: Questions, k: Sequence[int]) -> Evaluator:
        """Without item-kNN, whose neighbors depend on the pairs of all users."""
        lengths = tuple(sorted(set(k)))
        popular = questions.popular(max(k))  # (m, max k)
        return cls(lengths, questions, questions.known, [popular])

    def measure(self, embeddings: Embeddings) -> list[Metric]:
        """Every figure of a model."""
        everybody = Part(0, len(np.unique(self.questions.users)))
        n_known = int(np.count_nonzero(self.known.items))
        rows = self.tally(embeddings, everybody).rows(self.k, n_known)
        if self.questions.counts.any():
            return rows
        return [_without_baselines(row) for row in rows]

    def facts(self) -> list[Metric]:
        """What was asked, as figures of the segment `asked`."""
        return facts_as_figures(self.questions.facts)

    def tally(self, embeddings: Embeddings, part: Part) -> Tally:
        """The sums of every figure of a model, of a part of those who are asked."""
        ranking = self.questions.rank(embeddings, max(self.k), self.known)  # (m, max k)
        rankings = [ranking, *self.baselines]
        with one_blas_thread():  # others would go on spinning after each product
            figures = [self.figures(ranking, embeddings) for ranking in rankings]
            tables = [np.column_stack([*one.values()]) for one in figures]  # (m, c)
            resamples = metrics.resampled(
                tables[0], part, self.questions.run.seed, self.questions.group
            )
        return Tally(
            list(figures[0]),
            np.array([metrics.sums(table) for table in tables]),  # (r, 2c)
            resamples,
            np.array([self._listed(ranking) for ranking in rankings]),
        )

    def _listed(self, ranking: Int32) -> list[Mask]:
        """Which items (n_items,) are in a list of each length."""
        n_items = len(self.questions.counts)
        return [metrics.listed(ranking[:, :k], n_items) for k in self.k]

    def figures(self, ranking: Int32, embeddings: Embeddings) -> dict[Key, Float64]:
        """Every figure that is a mean over users: (m,) each."""
        counts = self.questions.counts
        n_users = self.questions.whole.n_users
        jobs: Jobs = {}
        for k in self.k:
            top = ranking[:, :k]  # (m, k)
            jobs["all", "diversity", k] = partial(
                metrics.diversity, top, embeddings.items
            )
            jobs["all", "novelty", k] = partial(metrics.novelty, top, counts, n_users)
            jobs["all", "average_popularity", k] = partial(
                metrics.average_popularity, top, counts
            )
        return self.questions.figures(ranking, self.k, jobs)


def facts_as_figures(facts: Mapping[str, int]) -> list[Metric]:
    """What was asked, as figures of the segment `asked`."""
    nothing = (None, None, None, None)
    return [Metric("asked", name, 0, float(n), *nothing) for name, n in facts.items()]


def _without_baselines(figure: Metric) -> Metric:
    """A figure of a run without training pairs, which no baseline can answer from."""
    return replace(figure, popular_value=None, itemknn_value=None)


def _by_popularity(counts: Int64) -> Iterator[tuple[str, Mask]]:
    """The head, torso and tail (n_items,) of items with so many training pairs.

    Equal counts by code.
    """
    order = np.argsort(-counts, kind="stable")  # (n_items,)
    # pairs of more popular items
    before = np.cumsum(counts[order]) - counts[order]  # (n_items,)
    whole = counts.sum()
    is_head = before < SHARE * whole  # (n_items,)
    is_tail = before >= (1 - SHARE) * whole  # (n_items,)
    back = np.argsort(order)  # (n_items,)
    yield "items:head", is_head[back]
    yield "items:torso", ~(is_head | is_tail)[back]
    yield "items:tail", is_tail[back]


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

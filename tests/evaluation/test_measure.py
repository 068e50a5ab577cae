from __future__ import annotations

from dataclasses import astuple, replace
from functools import reduce
from operator import add

import numpy as np
import pyarrow.parquet as pq
import pytest

from embsql.data import Embeddings
from embsql.errors import Cancelled, NotEvaluated
from embsql.evaluation.evaluator import Evaluator, Questions, measure
from embsql.evaluation.metrics import Part
from embsql.evaluation.splits import Split, split
from embsql.run import Run
from tests.conftest import real
from tests.evaluation.worlds import coded, crowd, items_of, plain_figures, plain_ranking

K = (3, 10)


def world(method="random", **options):
    data = crowd(**options)
    rng = np.random.default_rng(9)
    vectors = (
        rng.standard_normal((n, 6)).astype(np.float32)
        for n in (data.n_users, data.n_items)
    )
    bias = rng.standard_normal(data.n_items).astype(np.float32)
    return Embeddings(*vectors, item_bias=bias), split(data, method, fraction=0.4)


def by_name(figures):
    return {(figure.segment, figure.metric, figure.k): figure for figure in figures}


def segments(train, held):
    """The users and the items of every segment, in the plainest way."""
    counts = np.bincount(train.item, minlength=train.n_items)
    pairs = {user: len(items_of(train, user)) for user in set(held.user.tolist())}
    usual = np.median([n for n in pairs.values() if n > 2])
    head, tail, carried = set(), set(), 0
    for item in sorted(range(train.n_items), key=lambda i: (-counts[i], i)):
        if carried < len(train) / 5:
            head.add(item)
        carried += counts[item]
        if carried - counts[item] >= len(train) * 4 / 5:
            tail.add(item)
    everything = set(range(train.n_items))
    return {
        "all": (set(pairs), everything),
        "users:new": ({u for u, n in pairs.items() if n <= 2}, everything),
        "users:light": ({u for u, n in pairs.items() if 2 < n <= usual}, everything),
        "users:heavy": ({u for u, n in pairs.items() if n > max(usual, 2)}, everything),
        "items:head": (set(pairs), head),
        "items:torso": (set(pairs), everything - head - tail),
        "items:tail": (set(pairs), tail),
    }


@pytest.mark.parametrize("method", ["random", "last", "time"])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_same_as_the_plainest_way(method, similarity):
    embeddings, parts = world(method, pairs=400)
    train, held = parts.train, parts.held_out
    embeddings = Embeddings(
        embeddings.users, embeddings.items, similarity, embeddings.item_bias
    )
    users, items = (
        v / np.linalg.norm(v, axis=1, keepdims=True) if similarity == "cosine" else v
        for v in (embeddings.users, embeddings.items)
    )
    scores = users @ items.T + embeddings.item_bias
    scores[:, np.bincount(train.item, minlength=train.n_items) == 0] = -np.inf
    found = by_name(measure(embeddings, parts, Run(), k=K))
    for segment, (asked, among) in segments(train, held).items():
        for k in K:
            plain = []
            for user in asked:
                seen, right = items_of(train, user), items_of(held, user) & among
                ranked = plain_ranking(scores[user], seen, k) if seen else []
                plain += [plain_figures(ranked, right, k)] if right else []
            for metric in plain[0] if plain else ():
                expected = np.mean([figures[metric] for figures in plain])
                assert found[segment, metric, k].value == pytest.approx(expected), (
                    segment,
                    metric,
                    k,
                )


def test_every_figure_is_there_and_inside_its_interval():
    embeddings, parts = world(pairs=400)
    figures = measure(embeddings, parts, Run(), k=K)
    assert len(by_name(figures)) == len(figures) == (7 * 5 + 4) * len(K)
    for figure in figures:
        numbers = (figure.value, figure.popular_value, figure.itemknn_value)
        assert all(
            type(number) is float and np.isfinite(number) for number in numbers
        ), figure
        if figure.metric != "coverage":
            assert figure.ci_low <= figure.value <= figure.ci_high, figure


def test_head_torso_and_tail_carry_a_fifth_three_and_one():
    train = coded([0, 1, 2, 3, 0, 1, 2, 0, 1, 0], [0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    held = coded([1, 2, 3, 3], [3, 3, 1, 2], shape=(4, 4))
    questions = Questions.prepare(Split("random", train, held), Run())
    parts = {
        name: np.flatnonzero(items).tolist()
        for name, items in questions.item_segments()
    }
    assert parts == {
        "all": [0, 1, 2, 3],
        "items:head": [0],  # four of ten pairs: the first alone has a fifth
        "items:torso": [1, 2],  # at most seven before it
        "items:tail": [3],
    }


def test_a_segment_that_nobody_was_asked_about_has_no_row():
    train = coded([0, 1, 2, 3, 0, 1, 2, 0, 1, 0], [0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    held = coded(
        [1, 2], [3, 3], shape=(4, 4)
    )  # of the tail, by users with two or three pairs
    vectors = Embeddings(np.ones((4, 1), np.float32), np.ones((4, 1), np.float32))
    figures = by_name(measure(vectors, Split("random", train, held), Run(), k=(2,)))
    found = {segment for segment, _, _ in figures}
    assert found == {"all", "items:tail", "users:new", "users:light"}


@pytest.mark.parametrize(
    ("user", "item", "held_user", "held_item"),
    [
        ([0], [0], [0], [0]),  # one user, one item, which was seen
        (
            [0, 1, 2],
            [0, 0, 0],
            [0, 1, 2],
            [1, 1, 1],
        ),  # all alike, asked about what nobody knows
        ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1], [2, 2]),
    ],
)
def test_the_least_that_can_be_asked_has_figures_and_no_row_that_is_none(
    user, item, held_user, held_item
):
    shape = (max(user) + 1, 3)
    parts = Split(
        "random",
        coded(user, item, shape=shape),
        coded(held_user, held_item, shape=shape),
    )
    vectors = (np.ones((n, 2), np.float32) for n in shape)
    figures = by_name(measure(Embeddings(*vectors), parts, Run(), k=(5,)))
    assert figures["all", "ndcg", 5].value == 0
    assert ("all", "average_popularity", 5) not in figures  # every list is empty
    assert figures["all", "coverage", 5].value == 0
    assert all(np.isfinite(figure.value) for figure in figures.values())


def test_one_exam_serves_many_models_and_gives_the_same():
    embeddings, parts = world()
    evaluator = Evaluator.prepare(parts, Run(threads=2), k=K)
    again = evaluator.measure(embeddings)
    assert evaluator.measure(embeddings) == again
    assert again == measure(embeddings, parts, Run(), k=K)


def test_baselines_measured_as_models_are():
    """Popularity written as vectors is ranked and measured as the popular baseline is."""
    _, parts = world()
    train = parts.train
    counts = np.bincount(train.item, minlength=train.n_items).astype(np.float32)
    popular = Embeddings(np.ones((train.n_users, 1), np.float32), counts[:, None])
    for figure in measure(popular, parts, Run(), k=K):
        assert figure.value == pytest.approx(figure.popular_value), figure


def test_knowing_the_answers_is_perfect():
    _, parts = world()
    train, held = parts.train, parts.held_out
    oracle = np.zeros((train.n_users, train.n_items), np.float32)
    oracle[held.user, held.item] = 1
    figures = by_name(
        measure(
            Embeddings(oracle, np.eye(train.n_items, dtype=np.float32)),
            parts,
            Run(),
            k=(40,),
        )
    )
    known = np.isin(held.item, train.item)
    assert known.all()
    assert {
        figures["all", name, 40].value
        for name in ("recall", "ndcg", "hit_rate", "mrr", "map")
    } == {1.0}


def test_chance_finds_about_k_of_n():
    data = coded(*np.nonzero(np.random.default_rng(1).random((2000, 500)) < 0.02))
    rng = np.random.default_rng(2)
    chance = Embeddings(
        *(rng.standard_normal((n, 32)).astype(np.float32) for n in (2000, 500))
    )
    figure = by_name(measure(chance, split(data, "random"), Run(), k=(20,)))[
        "all", "recall", 20
    ]
    assert figure.ci_low <= 20 / 492 <= figure.ci_high  # about 8 of the 500 are seen
    assert abs(figure.value - 20 / 492) < 0.01


def test_equal_scores_give_what_the_order_of_ids_gives():
    """A model that scores all items alike ranks by code: it knows nothing, and gets nothing for
    it.
    """
    _, parts = world()
    train, held = parts.train, parts.held_out
    flat = Embeddings(
        np.ones((train.n_users, 1), np.float32), np.ones((train.n_items, 1), np.float32)
    )
    ranking = Questions.prepare(parts, Run()).rank(flat, 10)
    for row, user in zip(ranking, np.unique(held.user).tolist(), strict=True):
        unseen = [
            i
            for i in range(train.n_items)
            if i not in items_of(train, user) and i in train.item
        ]
        assert row.tolist() == (unseen + [-1] * 10)[:10]


def test_who_and_what_is_new_counts_against_everybody():
    train = coded([0, 0, 1], [0, 1, 0], shape=(3, 4))
    held = coded(
        [0, 1, 1, 2], [3, 1, 3, 0], shape=(3, 4)
    )  # item 3 and user 2 are unknown
    evaluator = Evaluator.prepare(Split("random", train, held), Run(), k=(2,))
    assert {figure.metric: figure.value for figure in evaluator.facts()} == {
        "users": 3,
        "pairs": 4,
        "users without training pairs": 1,
        "items without training pairs": 1,
    }
    items = np.array([[1], [1], [1], [9]], np.float32)
    oracle = Embeddings(np.ones((3, 1), np.float32), items)
    recall = by_name(evaluator.measure(oracle))["all", "recall", 2]
    assert recall.value == pytest.approx((0 + 1 / 2 + 0) / 3)
    assert recall.popular_value == recall.value


def test_lists_must_have_a_length():
    _, parts = world()
    for k in ((), (0, 10)):
        with pytest.raises(NotEvaluated, match="every k must be at least 1"):
            Evaluator.prepare(parts, Run(), k=k)


def test_lists_of_one_have_no_diversity():
    embeddings, parts = world()
    assert ("all", "diversity", 1) not in by_name(
        measure(embeddings, parts, Run(), k=(1,))
    )


def test_gowalla_baselines_are_the_published_ones():
    """BARS ItemPop .0416 / .0317 and ItemCF .1570 / .1214: Recall@20 / NDCG@20."""
    tables = [
        pq.read_table(real("gowalla", f"{part}.parquet")) for part in ("train", "test")
    ]
    train, held = (
        coded(t["user"].to_numpy(), t["item"].to_numpy(), shape=(29858, 40981))
        for t in tables
    )
    nothing = Embeddings(
        np.zeros((29858, 1), np.float32), np.zeros((40981, 1), np.float32)
    )
    figures = by_name(
        measure(nothing, Split("given", train, held), Run(threads=2), k=(20,))
    )
    recall, ndcg = figures["all", "recall", 20], figures["all", "ndcg", 20]
    assert (round(recall.popular_value, 4), round(ndcg.popular_value, 4)) == (
        0.0416,
        0.0317,
    )
    assert (recall.itemknn_value, ndcg.itemknn_value) == pytest.approx(
        (0.1570, 0.1214), abs=3e-4
    )


def test_measuring_stops_when_asked():
    def stop() -> None:
        raise Cancelled(name="m", run_id=1)

    parts = split(crowd(), "random")
    shape = (parts.train.n_users, parts.train.n_items)
    with pytest.raises(Cancelled):
        measure(
            Embeddings(*(np.ones((n, 2), np.float32) for n in shape)),
            parts,
            Run(on_check=stop),
        )


def test_blocks_of_users_add_up_to_the_whole():
    embeddings, parts = world("last", pairs=400)
    whole = Evaluator.prepare(parts, Run(), k=K)
    asked, users = whole.questions, whole.questions.users
    tallies = []
    for first, last in ((0, 5), (5, 5), (5, len(users))):
        some = np.isin(parts.held_out.user, users[first:last])
        block = replace(parts, held_out=parts.held_out.where(some))
        questions = Questions.prepare(block, Run(), asked.whole)
        part = Part(first, len(users))
        tallies.append(Evaluator.of_block(questions, K).tally(embeddings, part))
    wanted = whole.measure(embeddings)
    found = reduce(add, tallies).rows(whole.k, np.count_nonzero(whole.known.items))
    for one, other in zip(found, wanted, strict=True):
        assert one.itemknn_value is None
        assert astuple(one) == pytest.approx(
            astuple(replace(other, itemknn_value=None)), abs=1e-6
        )

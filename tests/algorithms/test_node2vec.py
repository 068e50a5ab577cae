"""node2vec: the graphs it makes, the vectors it learns on worlds with known answers, and its life
in a database.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import embsql
from embsql.algorithms import make
from embsql.algorithms.node2vec import Node2Vec
from embsql.data import CsrMatrix, Events, Graph, Interactions
from embsql.errors import BadColumnType, BadGraph, BadOption, EmptyGraph
from embsql.run import Run
from embsql.skipgram import graph
from tests.worlds import interactions, islands

RUN = Run(seed=1, threads=2)


def dense(rows: CsrMatrix) -> np.ndarray:
    """A sparse matrix (n, n) in full."""
    full = np.zeros((len(rows.counts),) * 2)
    full[np.repeat(np.arange(len(rows.counts)), rows.counts), rows.indices] = rows.data
    return full


def items_graph(data: Interactions, k: int = 100, **options: object) -> np.ndarray:
    values = {
        "min_similarity": 0.0,
        "max_event_distance": 0,
        "max_time_gap": 0,
        "counts": False,
    } | options
    return dense(graph.item_knn_graph(data, k, run=RUN, **values))


def some() -> Interactions:
    rng = np.random.default_rng(3)
    return interactions(
        [
            (u, i)
            for u in range(40)
            for i in range(25)
            if u == i or rng.random() < 0.05 + 0.01 * i
        ]
    )


def cosines(data: Interactions) -> np.ndarray:
    """Of the items' sets of users: (n_items, n_items), 0 on the diagonal."""
    interacted = np.zeros((data.n_users, data.n_items))
    interacted[data.user, data.item] = 1
    counts = interacted.sum(0)
    found = interacted.T @ interacted / np.sqrt(np.outer(counts, counts))
    np.fill_diagonal(found, 0)
    return found


# --- graphs --------------------------------------------------------------------------------------


def test_items_are_joined_by_the_cosine_of_their_users() -> None:
    np.testing.assert_allclose(items_graph(some()), cosines(some()), rtol=1e-5)


def test_items_are_joined_with_their_nearest_and_those_they_are_nearest_to() -> None:
    wanted = cosines(some())
    order = np.lexsort((np.broadcast_to(np.arange(25), (25, 25)), -wanted))
    chosen = np.zeros((25, 25), bool)
    np.put_along_axis(chosen, order[:, :4], True, axis=1)
    np.testing.assert_allclose(
        items_graph(some(), 4), np.where(chosen | chosen.T, wanted, 0), rtol=1e-5
    )


def test_a_threshold_leaves_out_what_is_less_alike() -> None:
    wanted = cosines(some())
    np.testing.assert_allclose(
        items_graph(some(), min_similarity=0.4),
        np.where(wanted >= 0.4, wanted, 0),
        rtol=1e-5,
    )


def test_edges_may_weigh_the_number_of_users() -> None:
    data = some()
    interacted = np.zeros((data.n_users, data.n_items))
    interacted[data.user, data.item] = 1
    shared = interacted.T @ interacted
    np.fill_diagonal(shared, 0)
    assert (items_graph(data, counts=True) == shared).all()


def history(user: list[int], item: list[int], time: list[int]) -> Interactions:
    """Events that are ordered already."""
    data = interactions(list(zip(user, item, strict=True)))
    keys = data.user * data.n_items + data.item
    pair = np.searchsorted(keys, np.array(user) * data.n_items + np.array(item)).astype(
        np.int32
    )
    events = Events(pair, np.ones(len(pair), np.float32), np.array(time, np.int64))
    return dataclasses.replace(data, time=np.zeros(len(data), np.int64), events=events)


def by_hand(
    user: list[int], item: list[int], time: list[int], window: int, gap: int
) -> np.ndarray:
    """Shared users over the root of the product of users, counting pair by pair."""
    n = max(item) + 1
    shared: list[list[set[int]]] = [[set() for _ in range(n)] for _ in range(n)]
    events = list(zip(user, item, time, strict=True))
    for (a, one), (b, two) in itertools.permutations(enumerate(events), 2):
        near = (not window or abs(a - b) <= window) and (
            not gap or abs(one[2] - two[2]) <= gap
        )
        if one[0] == two[0] and one[1] != two[1] and near:
            shared[one[1]][two[1]].add(one[0])
    users = [len({u for u, i, _ in events if i == j}) for j in range(n)]
    return np.array(
        [
            [len(shared[i][j]) / np.sqrt(users[i] * users[j]) for j in range(n)]
            for i in range(n)
        ]
    )


@pytest.mark.parametrize(("window", "gap"), [(1, 0), (3, 0), (0, 2), (2, 5), (1000, 0)])
def test_limits_of_events_and_of_time(window: int, gap: int) -> None:
    rng = np.random.default_rng(5)
    user = np.sort(rng.integers(0, 9, 120)).tolist()
    item = rng.integers(0, 12, 120).tolist()
    time = [
        int(t) for u in range(9) for t in np.sort(rng.integers(0, 40, user.count(u)))
    ]
    found = items_graph(
        history(user, item, time), max_event_distance=window, max_time_gap=gap
    )
    np.testing.assert_allclose(found, by_hand(user, item, time, window, gap), rtol=1e-5)


def test_without_events_the_pairs_are_in_order_of_time() -> None:
    data = interactions([(0, 0), (0, 1), (0, 2), (1, 0)])
    data = dataclasses.replace(data, time=np.array([3, 1, 2, 9]))  # 1, 2, 0
    assert (items_graph(data, max_event_distance=1)[1] > 0).tolist() == [
        False,
        False,
        True,
    ]


def test_bytes_of_the_graph_do_not_depend_on_threads() -> None:
    for window in (0, 2):
        one, two = (
            graph.item_knn_graph(
                some(), 5, 0.0, window, 0, Run(threads=n), counts=False
            )
            for n in (1, 3)
        )
        assert (one.indices == two.indices).all()
        assert (one.data == two.data).all()


def test_users_next_to_items_by_weight() -> None:
    data = interactions([(0, 0), (0, 2), (1, 2)], [2.0, 3.0, 4.0])
    interacted = np.array([[2, 0, 3], [0, 0, 4]])
    wanted = np.block(
        [[np.zeros((2, 2)), interacted], [interacted.T, np.zeros((3, 3))]]
    )
    assert (dense(graph.bipartite(data, RUN)) == wanted).all()


def test_given_edges_go_both_ways_and_add_up() -> None:
    edges = Graph(
        *(np.array(a, np.int32) for a in ([0, 0, 1, 2], [1, 1, 0, 1])),
        np.array([1, 2, 4, 8], np.float32),
    )
    assert dense(graph.adjacency(edges, 4, RUN)).tolist() == [
        [0, 7, 0, 0],
        [7, 0, 8, 0],
        [0, 8, 0, 0],
        [0, 0, 0, 0],
    ]


def test_a_history_beyond_all_bounds_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "MAX_HISTORY", 5)
    data = interactions([(0, i) for i in range(6)] + [(1, 0), (1, 1), (2, 1), (2, 2)])
    assert [(int(a), int(b)) for a, b in np.argwhere(np.triu(items_graph(data)))] == [
        (0, 1),
        (1, 2),
    ]


# --- vectors -------------------------------------------------------------------------------------


def nearest(found: np.ndarray) -> np.ndarray:
    unit = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return (unit @ unit.T - 2 * np.eye(len(unit))).argsort(axis=1)[:, ::-1]


def on(
    edges: list[tuple[int, int]], weights: list[float] | None = None, **options: object
) -> embsql.data.Embeddings:
    """Vectors of the nodes of a graph that is given; all items are met by two users."""
    n = max(max(edge) for edge in edges) + 1
    source, target = (np.array(end, np.int32) for end in zip(*edges, strict=True))
    weight = (
        np.ones(len(edges), np.float32)
        if weights is None
        else np.array(weights, np.float32)
    )
    data = interactions([(u, i) for u in range(2) for i in range(n)])
    return make("node2vec", {"nodes": "items", "dim": 8, **options}).fit(
        dataclasses.replace(data, graph=Graph(source, target, weight)), RUN
    )


def test_on_a_ring_the_nearest_are_the_neighbors() -> None:
    ring = [(i, (i + 1) % 16) for i in range(16)]
    order = nearest(on(ring, walks_per_node=40, window=2).items)
    for node in range(16):
        assert set(order[node, :2]) <= {(node + step) % 16 for step in (-2, -1, 1, 2)}


def test_the_two_bells_of_a_barbell_are_told_apart() -> None:
    bells = [
        (a + 8 * bell, b + 8 * bell)
        for bell in range(2)
        for a in range(8)
        for b in range(a)
    ]
    path = [(7, 16), (16, 17), (17, 8)]
    order = nearest(on(bells + path, walks_per_node=20).items)
    inner = [*range(7), *range(9, 16)]
    for node in inner:
        assert set(order[node, :6] // 8) == {node // 8}


def test_isolated_nodes_are_zero() -> None:
    found = on([(0, 1), (1, 2), (0, 2), (4, 5)])
    assert not found.items[3].any()
    assert found.items[[0, 1, 2, 4, 5]].any(axis=1).all()
    assert found.finite()


def test_a_hub_is_no_obstacle() -> None:
    """An item that everybody has, among islands: neighbors still live on one island."""
    rng = np.random.default_rng(4)
    pairs = [
        (u, 1 + 8 * (u % 3) + i)
        for u in range(60)
        for i in range(8)
        if rng.random() < 0.6
    ]
    data = interactions(pairs + [(u, 0) for u in range(60)])
    for nodes in ("both", "items"):
        found = make("node2vec", {"nodes": nodes, "dim": 8, "walks_per_node": 20}).fit(
            data, RUN
        )
        order = nearest(found.items)
        first = np.where(
            order[:, 0] == 0, order[:, 1], order[:, 0]
        )  # the hub itself may be nearest
        assert ((first[1:] - 1) // 8 == np.arange(24) // 8).all(), nodes


@pytest.mark.parametrize("nodes", ["both", "items"])
def test_a_user_is_the_weighted_mean_of_the_items(nodes: str) -> None:
    data = interactions(
        [(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)], [3.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    )
    found = make("node2vec", {"nodes": nodes, "dim": 4}).fit(data, RUN)
    np.testing.assert_allclose(
        found.users[0],
        0.75 * found.items[0] + 0.25 * found.items[1],
        rtol=1e-5,
        atol=1e-6,
    )


def test_the_graph_that_was_walked_comes_with_the_vectors() -> None:
    data = some()
    found = make("node2vec", {"nodes": "items", "n_neighbors": 3, "dim": 4}).fit(
        data, RUN
    )
    rows = graph.item_knn_graph(data, 3, 0.0, 0, 0, RUN, counts=False)
    assert found.graph is not None
    assert (found.graph.target == rows.indices).all()
    assert (
        np.bincount(found.graph.source, minlength=data.n_items) == rows.counts
    ).all()
    assert (
        make("node2vec", {"nodes": "both", "dim": 4, "epochs": 1}).fit(data, RUN).graph
        is None
    )


def test_no_two_items_share_a_user() -> None:
    with pytest.raises(EmptyGraph, match="no edges to walk on"):
        make("node2vec", {"nodes": "items"}).fit(interactions([(0, 0), (1, 1)]), RUN)


@pytest.mark.parametrize("option", ["p", "q"])
@pytest.mark.parametrize("value", [0, -1, "inf", "nan"])
def test_p_and_q_are_above_zero(option: str, value: object) -> None:
    with pytest.raises(BadOption, match=f"node2vec: {option} must be"):
        make("node2vec", {option: value})


def test_warm_start_keeps_the_axes() -> None:
    data, _, _ = islands()
    first = Node2Vec(dim=8).fit(data, RUN)
    again, afresh = (
        Node2Vec(dim=8, epochs=2).fit(data, Run(7, 2, before=before))
        for before in (first, None)
    )
    assert np.median(alike(first.items, again.items)) > 0.8
    assert abs(np.median(alike(first.items, afresh.items))) < 0.6


def test_warm_start_knows_newcomers() -> None:
    data, _, home = islands()
    first = Node2Vec(dim=8).fit(data, RUN)
    first.items[5] = first.users[2] = np.nan
    again = Node2Vec(dim=8).fit(data, Run(7, 2, before=first))
    assert again.finite()
    assert home[nearest(again.items)[5, 0]] == home[5]


def alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosines of the same rows of two tables (n, d)."""
    return (
        (one * other).sum(1)
        / np.linalg.norm(one, axis=1)
        / np.linalg.norm(other, axis=1)
    )


def test_popularity_is_in_the_length() -> None:
    data = some()
    found = Node2Vec(dim=4, popularity_exponent=0.5).fit(data, RUN)
    np.testing.assert_allclose(
        np.linalg.norm(found.items, axis=1) ** 2, np.bincount(data.item), rtol=1e-4
    )


# --- in a database -------------------------------------------------------------------------------

PAIRS = [(u, i) for u in range(12) for i in range(8) if (u + i) % 2 == 0 or u == i]
ROWS = ", ".join(f"('u{u:02d}', 'i{i}')" for u, i in PAIRS)
SOURCE = f"SELECT * FROM (VALUES {ROWS}) AS t (user_id, item_id)"
GIVEN = "SELECT * FROM (VALUES {}) AS t (source_node, target_node, weight)"
RING = ", ".join(f"('i{i}', 'i{(i + 1) % 8}', {i + 1}.0)" for i in range(8))


def train(db: embsql.Database, *edges: str, **more: object) -> embsql.Run:
    given = {"graph": GIVEN.format(", ".join(edges))} if edges else {}
    return db.train(
        "shop",
        SOURCE,
        algorithm="node2vec",
        dim=4,
        epochs=1,
        progress=False,
        **given,
        **more,
    )


def edges_of(db: embsql.Database, run: embsql.Run) -> dict[tuple[str, str], float]:
    query = (
        "SELECT e.source_node, e.target_node, e.weight "
        "FROM embsql.graph_edges AS e WHERE e.run_id = $run_id"
    )
    rows = db.ask(query, run_id=run.run_id).to_pylist()
    return {(row["source_node"], row["target_node"]): row["weight"] for row in rows}


def report(db: embsql.Database) -> dict[str, int]:
    rows = db.ask(
        "SELECT v.check_name, v.affected FROM embsql.source_checks AS v"
    ).to_pylist()
    return {row["check_name"]: row["affected"] for row in rows}


def test_the_graph_is_a_table_and_goes_with_its_run(each, tmp_path) -> None:
    first = train(each, nodes="items", n_neighbors=2)
    edges = edges_of(each, first)
    assert edges
    assert all(edges[b, a] == weight for (a, b), weight in edges.items())
    train(each, nodes="both")
    with embsql.connect(str(tmp_path / "copy.duckdb")):
        pass
    each.publish(str(tmp_path / "copy.duckdb"), f"shop@{first.run_id}")
    with embsql.connect(str(tmp_path / "copy.duckdb"), read_only=True) as copy:
        assert edges_of(copy, first) == edges
    each.drop_run(f"shop@{first.run_id}")
    assert edges_of(each, first) == {}


def test_a_graph_may_be_given(each) -> None:
    odd = [
        "('i0', 'i0', 1.0)",
        "('i0', 'nowhere', 1.0)",
        "(NULL, 'i1', 1.0)",
        "('i1', 'i2', NULL)",
        "('i1', 'i0', 0.5)",
    ]
    run = train(each, RING, *odd)
    edges = edges_of(each, run)
    assert len(edges) == 16
    assert edges["i0", "i1"] == edges["i1", "i0"] == 1.5
    assert edges["i7", "i0"] == 8
    assert report(each) | {
        "edges": 13,
        "edges without node or weight": 2,
        "edges of unknown items": 1,
        "edges of an item with itself": 1,
        "items without edges": 0,
    } == report(each)


def test_order_counts_where_it_is_asked_for(db) -> None:
    """In steps of one event, i0 is next to i1 and i1 to i2; the order is that of the times, not of
    the rows.
    """
    rows = ", ".join(
        f"('u{u}', 'i{i}', {10 * u + i})" for u in range(3) for i in (2, 0, 1)
    )
    source = f"SELECT * FROM (VALUES {rows}) AS t (user_id, item_id, event_time)"
    run = db.train(
        "shop",
        source,
        algorithm="node2vec",
        nodes="items",
        max_event_distance=1,
        dim=4,
        epochs=1,
        progress=False,
    )
    assert set(edges_of(db, run)) == {
        ("i0", "i1"),
        ("i1", "i0"),
        ("i1", "i2"),
        ("i2", "i1"),
    }


def test_another_graph_is_another_run(db) -> None:
    assert not train(db, RING).skipped
    assert train(db, RING).skipped
    assert not train(db, "('i0', 'i1', 1.0), ('i2', 'i3', 1.0)").skipped
    assert report(db)["items without edges"] in (0, 4)


def test_a_run_with_a_graph_can_be_measured(db) -> None:
    train(db, RING)
    assert set(db.evaluate("shop", k=3)) >= {"ndcg@3", "recall@3"}


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        ("('i0', 'i1', -2.0)", "graph gives a negative weight .-2. in 1 of 1 rows"),
        (
            "('i0', 'i1', CAST('NaN' AS FLOAT8))",
            "graph gives a weight that is not finite .nan. in 1 of 1 rows",
        ),
        (
            "('i0', 'i1', 1e300)",
            "graph gives a weight that is not finite .inf. in 1 of 1 rows",
        ),
        (
            "('a', 'b', 1.0)",
            "graph gives 1 rows, none of them an edge between two items of the source",
        ),
    ],
)
def test_graphs_that_cannot_be_walked(db, edge: str, message: str) -> None:
    with pytest.raises(BadGraph, match=message):
        train(db, edge)


def test_a_weight_of_a_graph_that_is_no_number_says_what_to_write(db) -> None:
    with pytest.raises(BadColumnType, match=r"must be a number.*'heavy'"):
        train(db, "('i0', 'i1', 'heavy')")


def test_a_graph_needs_its_columns(db) -> None:
    with pytest.raises(BadGraph, match="no column target_node; its columns are"):
        db.train(
            "shop",
            SOURCE,
            algorithm="node2vec",
            graph="SELECT 'i0' AS source_node",
            progress=False,
        )


def test_folding_in_gives_the_vector_of_training(each) -> None:
    train(each)
    mine = each.ask(
        "SELECT embedding FROM embsql.user_embedding('shop', ARRAY['u03'])"
    )["embedding"][0].as_py()
    items = [f"i{i}" for u, i in PAIRS if u == 3]
    array = f"ARRAY[{', '.join(repr(item) for item in items)}]"
    folded = each.ask(f"SELECT embsql.fold_in('shop', {array}) AS x")["x"][0].as_py()
    np.testing.assert_allclose(folded, mine, rtol=1e-4, atol=1e-5)

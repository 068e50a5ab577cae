"""Every benchmark runs, on data made as small as they can be, and prints lines as promised."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import _sequences
from benchmarks.__main__ import main, names
from benchmarks._closed_forms import Lists, ease
from benchmarks._made import clustered
from benchmarks._rank import Model, hit_ndcg, popular, recall_ndcg
from benchmarks._shapes import World, interactions
from embsql.lifecycle import candidates

IN_PROCESS = (
    "_als_cost",
    "_sequences",
    "growth",
    "neural",
    "prepare",
    "quality",
    "query",
)
KEYS = [
    "benchmark",
    "data",
    "system",
    "metric",
    "value",
    "unit",
    "peer",
    "peer_value",
    "ratio",
    "seconds",
    "peak_rss_mb",
    "settings",
]
USERS, ITEMS, PAIRS = 120, 60, 1500
SMALL = {
    "quality": ["--algorithm", "als", "--dim", "8", "--seeds", "1"],
    "als": [
        "--part",
        "curve",
        "memory",
        "jit",
        "epochs",
        "line",
        "large",
        "--rows",
        "2000",
        "--users",
        "50",
        "--items",
        "40",
        "--data",
        "gowalla",
        "--dim",
        "8",
        "--repeat",
        "1",
        "--pairs",
        "2000",
        "--sizes",
        "2000",
        "--judged",
        "50",
    ],
    "query": ["--items", "300", "--users", "20", "--dim", "8", "--repeat", "3"],
    "quality_suite": [
        *("--shapes", "electronics", "ml1m", "--algorithms", "als", "svd"),
        *("--dim", "4", "--seeds", "1", "--minutes", "0.001", "--test"),
    ],
    "topk": ["--users", "50", "--items", "300", "--dim", "8", "--repeat", "1"],
    "startup": ["--repeat", "1"],
    "report": ["--items", "200", "--users", "50", "--dim", "4"],
    "first_minute": ["--data", "{data}/ml1m_external/train.parquet"],
    "compiling": ["--cases", "svd,content"],
    "foldin": [
        *("--dim", "8", "--held", "10", "--length", "5"),
        *("--repeat", "1", "--many", "3"),
    ],
    "sessions": [
        *("--dim", "4", "--epochs", "1", "--sessions", "200"),
        *("--prefixes", "2", "--length", "2", "--repeat", "1"),
    ],
    "batch": [
        *("--items", "400", "--users", "50", "--subjects", "5"),
        *("--alone", "2"),
    ],
    "search": [*("--items", "400", "--users", "50"), *("--repeat", "1", "--no-peers")],
    "storage": [
        *("--events", "2000", "--users", "50", "--items", "40"),
        *("--dim", "4", "--retrainings", "1"),
    ],
    "prepare": ["--rows", "5000", "--repeat", "1"],
    "churn": ["--data", "online_retail", "--dim", "4", "--repeat", "1"],
    "neural": ["--epochs", "1", "--seeds", "1", "--steps", "1", "--repeat", "1"],
    "dbt": ["--customers", "300", "--repeat", "1"],
    "external": [
        "--users",
        "50",
        "--items",
        "20",
        "--pairs",
        "300",
        "--system",
        "content, mean",
        "half_als",
        "neural_content, mean",
        "als",
    ],
    "item2vec": [
        "--part",
        "speed",
        "equal",
        "gowalla",
        "many",
        "--tokens",
        "5000",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--repeat",
        "1",
    ],
    "growth": [
        *("--pairs", "2000", "4000", "--items", "150", "200", "--dim", "4", "8"),
        *("--at", "2000", "200", "4"),
    ],
    "auto": ["--data", "online_retail", "--dim", "4"],
    "gate": ["--dim", "4", "--worse", "1", "--ends", "0", "--later", "28"],
    "fresh": [
        *("--data", "ml1m", "--dim", "4", "--server", "{postgres}"),
        *("--events", "200", "--users", "60", "--items", "40", "--repeat", "1"),
    ],
    "metrics": ["--users", "50", "--k", "3"],
    "features": ["--items", "100", "--dim", "8"],
    "evaluate": [
        *("--users", "50", "--items", "40", "--pairs", "500"),
        *("--dim", "4", "--repeat", "1"),
    ],
    "kmeans": ["--rows", "3000", "--k", "8", "--dim", "8", "--repeat", "1"],
    "node2vec": [
        "--part",
        "gowalla",
        "--dim",
        "4",
        "--seeds",
        "1",
        "--set",
        "epochs=1",
        "walks_per_node=1",
        "walk_length=5",
    ],
    "neighbors": ["--dim", "8", "--least", "2"],
    "lease": [
        *("--part", "heartbeat", "--repeat", "2"),
        *("--pairs", "300", "--users", "50", "--items", "20"),
    ],
    "locks": [
        "--runs",
        "1",
        "2",
        "--repeat",
        "1",
        "--models",
        "2",
        "--each",
        "2",
        "--clients",
        "2",
        "--seconds",
        "1",
    ],
    "postgres": [
        "--server",
        "{postgres}",
        "--dim",
        "8",
        "--rows",
        "500",
        "--loads",
        "1",
        "--items",
        "300",
        "--sizes",
        "300",
        "--asked",
        "5",
        "--clients",
        "4",
        "--seconds",
        "1",
        "--every",
        "0.3",
        "--rounds",
        "1",
        "--world",
        "100",
        "--jobs",
        "2",
    ],
}
# begins a JVM and trains there for half a minute: by hand
BY_HAND = {"spark"}
PEERS = {  # what a benchmark cannot do without
    "als": ["implicit"],
    "churn": ["sklearn"],
    "item2vec": ["gensim"],
    "kmeans": ["faiss"],
    "node2vec": ["gensim"],
    "postgres": ["pgvector"],
    "topk": ["faiss", "implicit"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out like the real data, with a little of everything the benchmarks read."""
    folder = tmp_path_factory.mktemp("data")
    known, held = clustered(USERS, ITEMS, PAIRS).held_out(0.2, 1)
    for name in ("gowalla", "electronics"):
        for part, pairs in (("train", known), ("test", held)):
            table(folder / name / f"{part}.parquet", user=pairs.user, item=pairs.item)
    table(folder / "ncf_ml1m" / "train.parquet", user=known.user, item=known.item)
    others = np.random.default_rng(1).integers(0, ITEMS, (len(held.user), 9))
    table(
        folder / "ncf_ml1m" / "test.parquet",
        user=held.user,
        target=held.item,
        negatives=others.tolist(),
    )
    rating = np.where(known.item % 7 == 0, 3, 5)
    rated_at = np.datetime64("2000-01-01", "us") + np.timedelta64(1, "h") * np.arange(
        len(known.user)
    )
    table(
        folder / "ml1m" / "interactions.parquet",
        user_id=known.user,
        movie_id=known.item,
        rating=rating,
        rated_at=rated_at,
    )
    table(
        folder / "ml1m" / "movies.parquet",
        movie_id=range(ITEMS),
        genres=["Drama|War", "Drama", "Comedy"] * (ITEMS // 3),
        title=[f"Film {n} (19{n % 40 + 50})" for n in range(ITEMS)],
    )
    table(
        folder / "ml1m" / "users.parquet",
        user_id=range(USERS),
        gender=["F", "M"] * (USERS // 2),
        age=[1, 25, 56] * (USERS // 3),
        occupation=[n % 7 for n in range(USERS)],
    )
    sequences = {
        "user": known.user,
        "item": known.item,
        "position": np.arange(len(known.user)),
    }
    table(folder / "ml1m_sequences" / "sequences.parquet", **sequences)
    table(folder / "sports" / "sequences.parquet", **sequences)
    sessions = {
        "session_id": known.user,
        "item_id": known.item,
        "position": np.arange(len(known.user)),
    }
    table(folder / "diginetica" / "train.parquet", **sessions)
    table(folder / "diginetica" / "test.parquet", prefix=[[1, 2], [3]], target=[3, 1])
    for part, pairs in (("train", known), ("valid", held), ("test", held)):
        table(
            folder / "ml1m_external" / f"{part}.parquet",
            user_id=pairs.user,
            movie_id=pairs.item,
        )
    vectors = np.random.default_rng(2).standard_normal((ITEMS, 4)).astype("f4")
    table(
        folder / "ml1m_external" / "item_embedding.parquet",
        movie_id=range(ITEMS),
        embedding=list(vectors),
    )
    day = np.datetime64("2011-01-01", "us") + np.timedelta64(1, "D") * (
        np.arange(len(known.user)) * 7 % 360
    )
    table(
        folder / "online_retail" / "online_retail.parquet",
        customer_id=known.user,
        stock_code=known.item,
        quantity=known.item % 3 + 1,
        unit_price=known.item * 1.0 + 1,
        invoice_date=day,
    )
    return folder


def table(file: Path, **columns: object) -> None:
    file.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), file)


def here(work: Callable[..., dict[str, Any]], **values: Any) -> dict[str, Any]:
    """As `apart`, in this process and its environment."""
    values.pop("environment", None)
    return {
        **work(**json.loads(json.dumps(values, default=str))),
        "peak_rss_mb": 1000.0,
    }


def test_every_benchmark_is_tried() -> None:
    assert sorted({*SMALL, *BY_HAND}) == names()


@pytest.mark.parametrize("name", SMALL)
def test_lines(
    name: str,
    data: Path,
    postgres: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name == "dbt" and not Path(".venv/dbt/bin/dbt").exists():
        pytest.skip("dbt is not installed: make dbt gives it an environment of its own")
    for peer in PEERS.get(name, []):
        pytest.importorskip(
            peer,
            reason=f"{peer} is not installed: make bench gives what benchmarks measure beside",
        )
    if name == "metrics":
        pytest.importorskip(
            "ranx",
            reason="ranx compiles for minutes and is no part of any extra: pip install ranx",
        )
    monkeypatch.setenv("EMBSQL_DATA", str(data))
    for module in IN_PROCESS:  # a dozen processes would take long; others start theirs
        monkeypatch.setattr(f"benchmarks.{module}.apart", here)
    few = candidates.EVIDENCE[:2]  # the others take long
    monkeypatch.setattr(candidates, "EVIDENCE", few)
    words = (word.format(data=data, postgres=postgres) for word in SMALL[name])
    main([name, *words])
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert len(lines) > 1
    for line in lines:
        assert list(line) == KEYS
        assert line["benchmark"] == name
        assert (line["ratio"] is None) == (
            line["value"] is None or not line["peer_value"]
        )


def test_a_csv_file_is_read_as_a_table_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both readings give the same bytes, or the benchmark stops."""
    monkeypatch.setattr("benchmarks.prepare.apart", here)
    main(["prepare", "--csv", "--rows", "2000", "--repeat", "1"])
    assert (
        json.loads(capsys.readouterr().out.splitlines()[0])["data"]
        == "generated 2000 rows of CSV"
    )


def test_list_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--list"])
    assert [text.split()[0] for text in capsys.readouterr().out.splitlines()] == names()


def test_absent_data_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBSQL_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="data not found: gowalla/train"):
        main(["quality"])


def test_recall_and_ndcg_by_hand() -> None:
    """One user, four items, the first known; of the ranking 3 2 1 the items 3 and 1 are
    relevant.
    """
    model = Model(
        np.ones((1, 1), np.float32), np.array([[9], [1], [2], [3]], np.float32)
    )
    known, relevant = matrix([0]), matrix([1, 3])
    recall, ndcg = recall_ndcg(model, known, relevant, k=2)
    assert recall == pytest.approx(1 / 2)
    assert ndcg == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert recall_ndcg(model, known, relevant, k=3)[0] == 1


def test_ranks_of_what_comes_next_by_hand() -> None:
    """Of scores 9 1 2 3: item 2 is behind 0 and 3; where 0 was seen, behind 3; level with another
    is behind it.
    """
    items = np.array([[9], [1], [2], [3], [2]], np.float32)
    exam = _sequences.Exam(
        "",
        np.array([0, 0]),
        np.array([2, 3]),
        [np.array([0]), np.array([], int)],
        (1, 5),
    )
    model = Model(np.ones((1, 1), np.float32), items)
    assert _sequences._ranks(model, exam, np.array([0, 1])).tolist() == [2, 1]
    assert _sequences._ranks(
        model, exam._replace(seen=None), np.array([0, 1])
    ).tolist() == [3, 1]


def test_followers_count_what_came_next_and_then_what_is_popular() -> None:
    seen = [np.array(one, int) for one in ([0, 1, 0, 1, 0, 2], [3, 2, 3, 0], [])]
    exam = _sequences.Exam("", np.arange(3), np.zeros(3, int), seen, (3, 4))
    scores = _sequences._Followers(exam).scores(np.arange(3))
    popular = np.array([3, 2, 2, 1]) / 4  # how often each came after another
    assert (scores - popular).tolist() == [[0, 0, 0, 1], [0, 2, 1, 0], [0, 0, 0, 0]]


def matrix(items: list[int]) -> object:
    from scipy.sparse import csr_matrix

    return csr_matrix(
        (np.ones(len(items), np.float32), (np.zeros(len(items), int), items)), (1, 4)
    )


def test_ties_count_against_the_model_but_not_the_target_itself() -> None:
    model = popular(matrix([0, 1, 2]))
    ask = np.array([0]), np.array([0])
    assert hit_ndcg(model, *ask, np.array([[1, 2]]), k=2) == (0, 0)
    assert hit_ndcg(model, *ask, np.array([[0, 1]]), k=2) == (
        1,
        pytest.approx(1 / np.log2(3)),
    )


def test_made_pairs_are_distinct_and_ordered() -> None:
    pairs = clustered(USERS, ITEMS, PAIRS)
    keys = pairs.user.astype(np.int64) * ITEMS + pairs.item
    assert len(keys) == PAIRS
    assert (np.diff(keys) > 0).all()
    assert pairs.item.max() < ITEMS


@pytest.mark.parametrize("blocks", [0, 4])
def test_a_made_world_has_the_structure_it_is_asked_for(blocks: int) -> None:
    """Each pair once, a steeper tail on fewer items, everybody with the least there is."""
    share = {}
    for tail in (0.5, 2.0):
        user, item = World(80, 60, 800, tail=tail, blocks=blocks).pairs()
        assert len(np.unique(user * 60 + item)) == len(user)
        assert np.bincount(user, minlength=80).min() >= 3
        share[tail] = np.sort(np.bincount(item))[-6:].sum() / len(item)
    assert share[2.0] > 1.5 * share[0.5]


def test_events_of_a_pair_are_one_pair_with_their_order_kept() -> None:
    data = interactions(["b", "a", "b", "b"], [9, 5, 7, 9], [3, 1, 2, 4])
    assert data.users.to_pylist() == ["a", "b"]
    assert [data.user.tolist(), data.item.tolist()] == [[0, 1, 1], [0, 1, 2]]
    assert [data.weight.tolist(), data.time.tolist()] == [[1, 1, 2], [1, 2, 4]]
    assert data.events_by_time().pair.tolist() == [0, 1, 2, 2]


def test_ease_by_hand() -> None:
    """Of two items that one of two users has both of: each is half the other at no penalty."""
    from scipy.sparse import csr_matrix

    known = csr_matrix(np.array([[1, 1], [1, 0], [0, 1]], np.float32))
    model = ease(known, 0.0)
    assert model.weights.tolist() == [[0, 0.5], [0.5, 0]]
    assert model.scores(np.array([1])).tolist() == [[0, 0.5]]


def test_a_list_is_scored_by_its_order() -> None:
    scores = Lists(np.array([[2, 0, -1]]), 3).scores(np.array([0]))
    assert scores.tolist() == [[-1, -np.inf, 0]]


def test_a_benchmark_that_is_imported_leaves_the_clock_alone() -> None:
    """That of CPU time is for processes that are started with it."""
    for name in names():
        with suppress(ModuleNotFoundError):  # a peer
            importlib.import_module(f"benchmarks.{name}")
    assert time.perf_counter.__module__ == "time"

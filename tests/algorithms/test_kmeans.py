"""k-means where the answer is known, and against plain formulas."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embsql.errors import Cancelled, InvalidArgument
from embsql.numeric import kmeans as _kmeans
from embsql.numeric.kmeans import Clustering, choose_k, kmeans
from embsql.run import Run

pytestmark = pytest.mark.usefixtures("numeric_path")


def blobs(
    k: int, each: int, *, dim: int = 6, apart: float = 30.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (k * each, dim) in k groups that do not touch, in random order, and the group of
    each.
    """
    rng = np.random.default_rng(seed)
    centers = np.zeros((k, dim))
    centers[np.arange(k), np.arange(k) % dim] = apart * (1 + np.arange(k) // dim)
    group = rng.permutation(np.repeat(np.arange(k), each))
    return (centers[group] + rng.standard_normal((k * each, dim))).astype(
        np.float32
    ), group


def all_distances(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Of every vector to every centroid: (n, k)."""
    return np.linalg.norm(vectors[:, None].astype(float) - centroids, axis=2)


def check(found: Clustering, vectors: np.ndarray) -> None:
    """All that is said of the clusters follows from the centroids."""
    distances = all_distances(vectors, found.centroids)
    own = np.take_along_axis(distances, found.labels[:, None], 1)[:, 0]
    np.testing.assert_allclose(own, distances.min(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.distances, own, rtol=1e-4, atol=1e-5)
    assert found.inertia == pytest.approx((own**2).sum(), rel=1e-4, abs=1e-6)
    np.put_along_axis(distances, found.labels[:, None], np.inf, 1)
    other = distances.min(1) if distances.shape[1] > 1 else own
    expected = (other - own) / np.maximum(np.maximum(own, other), 1e-30)
    np.testing.assert_allclose(found.silhouettes, expected, atol=1e-3)
    assert [
        a.dtype
        for a in (found.centroids, found.labels, found.distances, found.silhouettes)
    ] == [np.float32, np.int32, np.float32, np.float32]


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    """Which rows are together, whatever their label."""
    return {
        frozenset(np.flatnonzero(labels == label).tolist())
        for label in np.unique(labels)
    }


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("k", [2, 5, 13])
def test_groups_that_do_not_touch_are_found(k: int, seed: int) -> None:
    vectors, group = blobs(k, 40, seed=seed)
    found = kmeans(vectors, k, Run(seed=seed))
    assert as_sets(found.labels) == as_sets(group)
    for label in range(k):
        np.testing.assert_allclose(
            found.centroids[label], vectors[found.labels == label].mean(0), atol=1e-4
        )
    assert found.silhouettes.min() > 0.5
    check(found, vectors)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 300),
    dim=st.integers(1, 9),
    share=st.floats(0, 1),
    seed=st.integers(0, 9),
    kind=st.booleans(),
)
def test_the_answer_follows_from_the_centroids(
    *, n: int, dim: int, share: float, seed: int, kind: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, dim)) if kind else rng.integers(-1, 2, (n, dim))
    vectors = vectors.astype(np.float32)
    check(kmeans(vectors, 1 + int(share * (n - 1)), Run(seed=seed)), vectors)


def test_one_cluster_is_the_mean() -> None:
    vectors = np.random.default_rng(0).random((5000, 7), np.float32) + 100
    found = kmeans(vectors, 1, Run())
    np.testing.assert_allclose(
        found.centroids[0], vectors.mean(0, dtype=float), rtol=1e-6
    )
    assert not found.labels.any()
    assert not found.silhouettes.any()


def test_as_many_clusters_as_vectors() -> None:
    vectors = np.random.default_rng(1).standard_normal((150, 5)).astype(np.float32)
    found = kmeans(vectors, 150, Run())
    assert sorted(found.labels.tolist()) == list(range(150))
    assert found.inertia == 0
    assert (found.silhouettes == 1).all()


def test_equal_vectors_are_together() -> None:
    distinct = np.random.default_rng(2).standard_normal((6, 4)).astype(np.float32)
    vectors = np.repeat(distinct, 50, axis=0)
    assert as_sets(kmeans(vectors, 6, Run()).labels) == as_sets(
        np.repeat(np.arange(6), 50)
    )
    more = kmeans(vectors, 9, Run())  # three clusters have nothing to hold
    assert more.inertia == pytest.approx(0, abs=1e-9)
    assert np.isfinite(more.centroids).all()


def test_far_from_the_origin_nothing_is_lost() -> None:
    vectors, group = blobs(4, 50, apart=8)
    found = kmeans(vectors + np.float32(1000), 4, Run())
    assert as_sets(found.labels) == as_sets(group)
    assert found.inertia == pytest.approx(kmeans(vectors, 4, Run()).inertia, rel=1e-2)


def test_an_empty_cluster_takes_a_half_of_the_widest() -> None:
    """Two groups, and three centroids of which one is far from all."""
    rng = np.random.default_rng(3)
    narrow, left, right = (
        rng.standard_normal((30, 2)) * 0.1 + center
        for center in ((0, 0), (50, -5), (50, 5))
    )
    vectors = np.concatenate([narrow, left, right]).astype(np.float32)
    start = np.array([[0, 0], [50, 0], [1e4, 1e4]], np.float32)
    labels = _kmeans._nearest(vectors, start, 1, Run())[:, 0]
    assert np.bincount(labels, minlength=3).tolist() == [30, 60, 0]
    means, labels = _kmeans._update(vectors, labels, start, Run())
    assert as_sets(labels) == as_sets(np.repeat([0, 1, 2], 30))
    for label in range(3):
        np.testing.assert_allclose(
            means[label], vectors[labels == label].mean(0), atol=1e-4
        )


def test_what_cannot_be_split_stays() -> None:
    vectors, start = (
        np.ones((20, 3), np.float32),
        np.array([[1, 1, 1], [5, 5, 5]], np.float32),
    )
    means, labels = _kmeans._update(vectors, np.zeros(20, np.int32), start, Run())
    assert (means == start).all()
    assert not labels.any()


def test_equal_seeds_give_equal_clusters_whatever_the_threads() -> None:
    vectors = np.random.default_rng(4).standard_normal((30_000, 16)).astype(np.float32)
    first = kmeans(vectors, 40, Run(seed=7, threads=1))
    for threads in (1, 2, 5):
        again = kmeans(vectors, 40, Run(seed=7, threads=threads))
        assert (again.centroids == first.centroids).all()
        assert (again.labels == first.labels).all()
        assert (again.distances == first.distances).all()
        assert again.inertia == first.inertia
    assert (kmeans(vectors, 40, Run(seed=8)).labels != first.labels).any()


@pytest.mark.parametrize("seed", range(5))
def test_better_than_from_random_vectors(seed: int) -> None:
    vectors, _ = blobs(30, 100, dim=8, apart=6, seed=seed)
    start = vectors[np.random.default_rng(seed).choice(len(vectors), 30, replace=False)]
    random = _kmeans._lloyd(vectors, start, 25, Run())
    assert (
        kmeans(vectors, 30, Run(seed=seed)).inertia
        <= (all_distances(vectors, random).min(1) ** 2).sum()
    )


def test_training_on_samples_is_as_good_as_on_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, _ = blobs(10, 2000, dim=8, apart=4)
    sampled = kmeans(vectors, 10, Run(seed=1)).inertia
    monkeypatch.setattr(_kmeans, "ROWS_PER_CENTROID", 10**6)
    assert sampled == pytest.approx(kmeans(vectors, 10, Run(seed=1)).inertia, rel=0.02)


def test_long_sums_are_exact() -> None:
    """A tenth, added up in float32 three hundred thousand times, is off by more than a percent."""
    found = kmeans(np.full((300_000, 1), 0.1, np.float32), 1, Run())
    assert found.centroids[0, 0] == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("k", [2, 3, 6, 8, 12])
@pytest.mark.parametrize("seed", range(3))
def test_the_number_of_groups_is_found(k: int, seed: int) -> None:
    vectors, _ = blobs(k, 60, seed=seed)
    assert choose_k(vectors, Run(seed=seed)) == k


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_vectors_are_one_cluster(n: int) -> None:
    assert choose_k(np.eye(4, dtype=np.float32)[:n], Run()) == 1


def test_equal_silhouettes_choose_the_fewer() -> None:
    assert choose_k(np.ones((100, 2), np.float32), Run()) == 2


@pytest.mark.parametrize("k", [0, -1, 11])
def test_a_number_that_cannot_be(k: int) -> None:
    with pytest.raises(
        InvalidArgument, match=f"k must be 1 to 10, the number of vectors, got {k}"
    ):
        kmeans(np.ones((10, 2), np.float32), k, Run())


@pytest.mark.parametrize(
    "question", [lambda x: kmeans(x, 1, Run()), lambda x: choose_k(x, Run())]
)
def test_nothing_to_cluster(question: object) -> None:
    with pytest.raises(InvalidArgument, match="vectors must be one or more, got none"):
        question(np.empty((0, 3), np.float32))  # type: ignore[operator]  # one of several callables


def test_it_can_be_stopped() -> None:
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Cancelled(name="m", run_id=1)

    vectors = np.random.default_rng(5).standard_normal((200_000, 16)).astype(np.float32)
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Cancelled):
        kmeans(vectors, 2000, Run(on_check=check))

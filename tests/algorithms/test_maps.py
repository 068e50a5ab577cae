"""Maps against numpy's decompositions, and rotations that must be undone."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from embsql.errors import Cancelled, InvalidArgument, MissingExtra
from embsql.numeric import projection
from embsql.numeric.projection import align, neighbor_map, pca, procrustes
from embsql.run import Run

PACKAGES = {"umap": "umap", "tsne": "openTSNE"}  # what each method imports


def table(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Vectors (n, dim) that differ more in some directions than in others, away from the origin."""
    rng = np.random.default_rng(seed)
    skew = rng.standard_normal((dim, dim)) * 2.0 ** -np.arange(dim)
    return (
        rng.standard_normal((n, dim)) @ skew.T + rng.standard_normal(dim) * 3
    ).astype(np.float32)


def rotation(dim: int, seed: int) -> np.ndarray:
    """A random orthogonal matrix (dim, dim), a rotation or a reflection."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


@pytest.mark.parametrize(("n", "dim"), [(300, 8), (50, 2), (5, 20), (2, 3)])
def test_pca_is_the_singular_value_decomposition(
    n: int, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "BLOCK", 37)
    vectors = table(n, dim)
    U, s, Vt = np.linalg.svd(
        vectors - vectors.mean(0, dtype=float), full_matrices=False
    )
    expected = (
        U[:, :2]
        * s[:2]
        * np.sign(np.take_along_axis(Vt[:2], abs(Vt[:2]).argmax(1)[:, None], 1).T)
    )
    rank = int(
        (s[:2] > 1e-4 * s[0]).sum()
    )  # two vectors have one direction; the other is noise
    points = pca(vectors)
    assert points.dtype == np.float32
    assert points.shape == (n, 2)
    np.testing.assert_allclose(points[:, :rank], expected[:, :rank], atol=1e-4)
    np.testing.assert_allclose(points[:, rank:], 0, atol=1e-4)


def test_pca_of_little() -> None:
    assert not pca(np.full((1, 5), 7, np.float32)).any()
    assert not pca(np.full((9, 3), 7, np.float32)).any()
    line = pca(np.arange(4, dtype=np.float32)[:, None])
    np.testing.assert_allclose(
        line, [[-1.5, 0], [-0.5, 0], [0.5, 0], [1.5, 0]], atol=1e-6
    )


@pytest.mark.parametrize("seed", range(6))
def test_rotations_and_moves_are_undone(seed: int) -> None:
    points = table(200, 2, seed)
    moved = (points @ rotation(2, seed) + [4, -9]).astype(np.float32)
    np.testing.assert_allclose(align(moved, points), points, atol=1e-5)


def test_scale_is_kept() -> None:
    points = table(100, 2)
    centered = points - points.mean(0)
    aligned = align(points * np.float32(3), points)
    np.testing.assert_allclose(aligned, centered * 3 + points.mean(0), atol=1e-4)


@pytest.mark.parametrize("dim", [1, 2, 16, 64])
def test_procrustes_finds_the_rotation(dim: int) -> None:
    vectors, turn = (
        np.random.default_rng(dim).standard_normal((500, dim)).astype(np.float32),
        rotation(dim, dim),
    )
    np.testing.assert_allclose(
        procrustes(vectors, (vectors @ turn).astype(np.float32)), turn, atol=1e-5
    )


def test_procrustes_is_orthogonal_and_the_best() -> None:
    a, b = table(60, 4, 1), table(60, 4, 2)
    found = procrustes(a, b)
    np.testing.assert_allclose(found @ found.T, np.eye(4), atol=1e-6)
    others = [np.linalg.norm(a @ rotation(4, seed) - b) for seed in range(200)]
    assert np.linalg.norm(a @ found - b) <= min(others)


@pytest.mark.parametrize("method", PACKAGES)
def test_an_absent_package_is_named(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[method], None)
    with pytest.raises(MissingExtra, match=r"embsql\[maps\]"):
        neighbor_map(table(30, 4), Run(), method)


@pytest.mark.parametrize("method", PACKAGES)
def test_few_points_need_no_neighbors(method: str) -> None:
    assert (neighbor_map(table(3, 4), Run(), method) == pca(table(3, 4))).all()


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(InvalidArgument, match="method must be umap or tsne, got mds"):
        neighbor_map(table(30, 4), Run(), "mds")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("method", PACKAGES)
@pytest.mark.parametrize("n", [5, 200])
@pytest.mark.filterwarnings("ignore")  # their authors' affair
def test_neighbors_stay_neighbors(method: str, n: int) -> None:
    if not importlib.util.find_spec(PACKAGES[method]):
        pytest.skip(f"{PACKAGES[method]} is not installed")
    group = np.arange(n) % 2
    vectors = (
        np.random.default_rng(0).standard_normal((n, 10)).astype(np.float32)
        + 20 * group[:, None]
    )
    vectors = vectors.astype(np.float32)
    points = neighbor_map(vectors, Run(seed=3), method)
    assert points.shape == (n, 2)
    assert points.dtype == np.float32
    assert (points == neighbor_map(vectors, Run(seed=3), method)).all()
    if n > 100:
        apart = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(n)
        assert (group[apart.argmin(1)] == group).all()


@pytest.mark.filterwarnings("ignore")
def test_tsne_can_be_stopped() -> None:
    pytest.importorskip("openTSNE")
    checks = []

    def check() -> None:
        checks.append(None)
        if len(checks) == 5:
            raise Cancelled(name="m", run_id=1)

    with pytest.raises(Cancelled):
        neighbor_map(table(200, 5), Run(on_check=check), "tsne")

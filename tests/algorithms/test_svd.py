"""SVD against numpy's, densely."""

from __future__ import annotations

import numpy as np
import pytest

from embsql.algorithms.svd import SVD
from embsql.data import Interactions
from embsql.errors import BadOption
from embsql.run import Run
from tests.worlds import interactions


def world() -> tuple[Interactions, np.ndarray]:
    """Four tastes of different strength, blurred, and the same as a dense matrix."""
    rng = np.random.default_rng(0)
    taste_u, taste_i = rng.integers(0, 4, 90), rng.integers(0, 4, 50)
    interacted = rng.random((90, 50)) < np.where(
        taste_u[:, None] == taste_i, 0.6 - 0.1 * taste_i, 0.05
    )
    interacted[0] = interacted[:, 0] = True
    pairs = np.argwhere(interacted)
    weights = rng.uniform(1, 3, len(pairs))
    data = interactions([(int(u), int(i)) for u, i in pairs], list(weights))
    dense = np.zeros(interacted.shape)
    dense[data.user, data.item] = data.weight
    return data, dense


def test_plain_is_the_best_approximation() -> None:
    data, dense = world()
    found = SVD(dim=4, method="plain").fit(data, Run(seed=1))
    U, s, Vt = np.linalg.svd(dense)
    np.testing.assert_allclose(
        found.users @ found.items.T, (U[:, :4] * s[:4]) @ Vt[:4], atol=0.02
    )
    np.testing.assert_allclose(np.linalg.norm(found.users, axis=0), s[:4], rtol=1e-3)


@pytest.mark.parametrize("powers", [(0.5, 0.5), (0.25, 0.4)])
def test_normalized_is_the_low_pass_filter(powers: tuple[float, float]) -> None:
    data, dense = world()
    asked = SVD(dim=4, user_exponent=powers[0], item_exponent=powers[1])
    found = asked.fit(data, Run(seed=1))
    by_user, by_item = dense.sum(1) ** powers[0], dense.sum(0) ** powers[1]
    V = np.linalg.svd(dense / by_user[:, None] / by_item)[2][:4].T
    np.testing.assert_allclose(
        found.users @ found.items.T, dense / by_item @ V @ V.T * by_item, atol=0.02
    )


def test_the_loss_is_the_share_left_out() -> None:
    data, dense = world()
    losses: list[float] = []
    SVD(dim=4, method="plain").fit(
        data, Run(seed=1, on_report=lambda _, values: losses.append(values["loss"]))
    )
    s = np.linalg.svd(dense, compute_uv=False)
    assert losses == [pytest.approx((s[4:] ** 2).sum() / (s**2).sum(), rel=1e-3)]


@pytest.mark.parametrize("method", ["normalized", "plain"])
def test_beyond_the_rank_is_zero(method: str) -> None:
    data = interactions([(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)])
    found = SVD(dim=5, method=method).fit(data, Run(seed=1))
    assert found.users.shape == (3, 5)
    assert not found.users[:, 2:].any()
    assert not found.items[:, 2:].any()
    scores = found.users @ found.items.T
    assert scores[2].argmax() == 2
    np.testing.assert_allclose(scores[2, :2], 0, atol=1e-5)


def test_seeds_agree_in_sign() -> None:
    data, _ = world()
    first, second = (SVD(dim=3).fit(data, Run(seed=seed)) for seed in (1, 2))
    np.testing.assert_allclose(first.items, second.items, atol=0.02)


def test_bytes_do_not_depend_on_threads() -> None:
    data, _ = world()
    assert (
        SVD(dim=5).fit(data, Run(threads=1)).checksum()
        == SVD(dim=5).fit(data, Run(threads=3)).checksum()
    )


def test_bad_dim() -> None:
    with pytest.raises(BadOption, match="svd: dim must be"):
        SVD(dim=0)

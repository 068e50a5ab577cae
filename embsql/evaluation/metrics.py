"""How good rankings are: one number per user, and intervals for the means.

A ranking is (m, k): item codes per user, best first, -1 where a list is shorter. Figures per user
are (m,) float64; NaN says that a user has no part in the mean, for example one without held-out
items of a segment.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Int32, Int64

Float64 = NDArray[np.float64]
Hits = NDArray[np.bool_]

# of the bootstrap: the ends of a 95% interval are then known to about 3% of its width
RESAMPLES = 1000
USERS = 4096  # users whose lists are looked at together in `diversity`


def hits(ranking: Int32, relevant: CsrMatrix, n_items: int) -> Hits:
    """Which entries of a ranking (m, k) are among the user's relevant items (m rows): (m, k)."""
    row = np.arange(len(ranking), dtype=np.int64)  # (m,)
    known = np.repeat(row, relevant.counts) * n_items + relevant.indices  # (pairs,) ascending
    asked = row[:, None] * n_items + ranking  # (m, k)
    place = np.searchsorted(known, asked).clip(max=max(len(known) - 1, 0))  # (m, k)
    return (ranking >= 0) & (known[place] == asked) if len(known) else np.zeros(ranking.shape, bool)


# --- from the hits (m, k) and the number of relevant items (m,) of each user ---------------------


def recall(hit: Hits, relevant: Int64) -> Float64:
    """Share of a user's relevant items that are in the list.

    Items that no list can hold count as missed.
    """
    return _share(hit.sum(axis=1), relevant)


def hit_rate(hit: Hits, relevant: Int64) -> Float64:
    """1 for a list with a relevant item, else 0."""
    return _where(relevant, np.any(hit, axis=1))


def ndcg(hit: Hits, relevant: Int64) -> Float64:
    """Sum of 1 / log2(rank + 1) over the hits, as a share of the sum for the best possible list.

    Järvelin & Kekäläinen 2002, with binary gains: the best list has min(relevant, k) hits at its
    top.
    """
    gain = 1 / np.log2(np.arange(2, hit.shape[1] + 2))  # (k,)
    ideal = np.concatenate(([0.0], np.cumsum(gain)))  # (k + 1,) by number of hits
    return _share(hit @ gain, ideal[np.minimum(relevant, hit.shape[1])])


def mrr(hit: Hits, relevant: Int64) -> Float64:
    """1 / rank of the first hit, 0 without one."""
    first = np.where(hit.any(axis=1), 1 / (hit.argmax(axis=1) + 1), 0.0)  # (m,)
    return _where(relevant, first)


def mean_average_precision(hit: Hits, relevant: Int64) -> Float64:
    """Mean of the precision at each hit, over min(relevant, k): 1 when all that can be hit is on
    top.
    """
    rank = np.arange(1, hit.shape[1] + 1)  # (k,)
    precision = np.cumsum(hit, axis=1) / rank  # (m, k)
    return _share((precision * hit).sum(axis=1), np.minimum(relevant, hit.shape[1]))


def _share(part: NDArray[np.number], whole: NDArray[np.number]) -> Float64:
    """Part / whole (m,), NaN where the whole is 0."""
    share: Float64 = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return share


def _where(relevant: Int64, value: NDArray[np.generic]) -> Float64:
    """The values (m,), NaN for users without a relevant item."""
    return np.where(relevant > 0, value, np.nan)


PER_USER: dict[str, Callable[[Hits, Int64], Float64]] = {
    "recall": recall,
    "ndcg": ndcg,
    "hit_rate": hit_rate,
    "mrr": mrr,
    "map": mean_average_precision,
}


# --- from the lists themselves -------------------------------------------------------------------


def coverage(ranking: Int32, catalogue: NDArray[np.generic]) -> float:
    """Share of the catalogue (n_items,), where it is not 0 for an item, that is in at least one
    list.
    """
    return len(np.unique(ranking[ranking >= 0])) / max(1, int(np.count_nonzero(catalogue)))


def novelty(ranking: Int32, counts: Int64, n_users: int) -> Float64:
    """Mean self-information of a user's list in bits, -log2(share of users who have the item):
    (m,).

    Zhou et al. 2010, Solving the apparent diversity-accuracy dilemma. `counts` (n_items,) are
    training pairs.
    """
    bits = np.log2(n_users / np.maximum(counts, 1))  # (n_items,)
    listed = ranking >= 0  # (m, k)
    return _share(np.where(listed, bits[ranking], 0.0).sum(axis=1), listed.sum(axis=1))


def diversity(ranking: Int32, items: Float32) -> Float64:
    """1 - mean cosine between two items of a user's list, in the vectors items (n_items, dim):
    (m,).

    NaN for a list of fewer than two items; a zero vector has cosine 0 with every other.
    """
    length = np.linalg.norm(items, axis=1, keepdims=True)  # (n_items, 1)
    direction = (items / np.where(length > 0, length, 1)).astype(np.float32)  # (n_items, dim)
    blocks = [ranking[first : first + USERS] for first in range(0, len(ranking), USERS)]
    return np.concatenate(
        [np.empty(0), *(_diversity(block, direction) for block in blocks)]
    )  # (m,)


def _diversity(ranking: Int32, direction: Float32) -> Float64:
    """The sum over pairs comes from the length of the sum: |sum v|^2 = sum |v|^2 + 2 * sum over
    pairs.
    """
    listed = ranking >= 0  # (b, k)
    vectors = direction[ranking] * listed[:, :, None]  # (b, k, dim)
    n = listed.sum(axis=1)  # (b,)
    whole = np.square(vectors.sum(axis=1)).sum(axis=1)  # (b,)
    own = np.square(vectors).sum(axis=(1, 2))  # (b,)
    return 1 - _share((whole - own).astype(np.float64), n * (n - 1))


# --- means and how sure they are -----------------------------------------------------------------


def means(figures: Float64) -> Float64:
    """Means of the columns of figures (m, c), over the users who have part in them: (c,), NaN
    without any.
    """
    here = np.isfinite(figures)  # (m, c)
    return _share(np.where(here, figures, 0).sum(axis=0), here.sum(axis=0))


def intervals(figures: Float64, seed: int) -> tuple[Float64, Float64]:
    """95% intervals of those means by the bootstrap over users: low (c,) and high (c,).

    Percentile bootstrap, Efron & Tibshirani 1993, in its Poisson form: in each of 1,000 resamples a
    user counts Poisson(1) times, which makes every resample a row of one matrix product.
    """
    here = np.isfinite(figures)  # (m, c)
    both = np.hstack([np.where(here, figures, 0), here]).astype(
        np.float32
    )  # (m, 2c) sums and sizes
    table = _poisson_table()
    generator = np.random.default_rng(seed)
    rows = max(1, min(RESAMPLES, 2**24 // max(1, len(figures))))
    blocks = [min(rows, RESAMPLES - first) for first in range(0, RESAMPLES, rows)]
    draws = (
        table[generator.integers(0, len(table), (b, len(figures)), np.uint16)] for b in blocks
    )  # (b, m) each
    sums, sizes = np.hsplit(np.vstack([draw @ both for draw in draws]), 2)  # (1000, c) each
    resampled = np.divide(
        sums, sizes, out=np.full(sums.shape, np.nan, np.float32), where=sizes > 0
    )  # (1000, c)
    low, high = np.nanpercentile(resampled, (2.5, 97.5), axis=0)  # (c,) each
    return low.astype(np.float64), high.astype(np.float64)


def _poisson_table() -> Float32:
    """65,536 values of a Poisson(1) variable in its proportions: a random index draws one in a
    nanosecond.
    """
    chance = np.exp(-1.0) / np.cumprod(np.concatenate(([1.0], np.arange(1, 9))))  # (9,)
    edges = np.rint(2**16 * np.cumsum(chance))  # (9,)
    return np.searchsorted(edges, np.arange(2**16), side="right").astype(np.float32)  # (65536,)

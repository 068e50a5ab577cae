"""How good rankings are: one number per user, and intervals for the means.

A ranking is (m, k): item codes per user, best first, -1 where a list is shorter. Figures per user
are (m,) float64; NaN says that a user has no part in the mean, for example one without held-out
items of a segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Float64, Int32, Int64

Hits = NDArray[np.bool_]

# of the bootstrap: the ends of a 95% interval are then known to about 3% of its width
RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)
BLOCK_COUNTS = 2**24  # users x resamples that are drawn at a time
BLOCK_USERS = 256  # whose lists `diversity` looks at together: a cache holds them


def hits(ranking: Int32, relevant: CsrMatrix, n_items: int) -> Hits:
    """Which entries of a ranking (m, k) are among the user's relevant items (m rows): (m, k)."""
    if not len(relevant.indices):
        return np.zeros(ranking.shape, bool)
    row = np.arange(len(ranking), dtype=np.int64)  # (m,)
    # ascending
    relevant_keys = np.repeat(row, relevant.counts) * n_items + relevant.indices
    keys = row[:, None] * n_items + ranking  # (m, k)
    position = np.searchsorted(relevant_keys, keys)  # (m, k)
    found = relevant_keys[position.clip(max=len(relevant_keys) - 1)]  # (m, k)
    hit: Hits = (ranking >= 0) & (found == keys)  # (m, k)
    return hit


# --- from the hits (m, k) and the number of relevant items (m,) of each user ---------------------


def recall(hit: Hits, relevant: Int64) -> Float64:
    """Share of a user's relevant items that are in the list.

    Items that no list can hold count as missed.
    """
    return _ratio(hit.sum(axis=1), relevant)


def hit_rate(hit: Hits, relevant: Int64) -> Float64:
    """1 for a list with a relevant item, else 0."""
    return _where(relevant, np.any(hit, axis=1))


def ndcg(hit: Hits, relevant: Int64) -> Float64:
    """Sum of 1 / log2(rank + 1) over the hits, as a share of the sum for the best possible list.

    Järvelin & Kekäläinen 2002, with binary gains: the best list has min(relevant, k) hits at its
    top.
    """
    k = hit.shape[1]
    gain = 1 / np.log2(np.arange(2, k + 2))  # (k,)
    ideal = np.concatenate(([0.0], np.cumsum(gain)))  # (k + 1,) by number of hits
    return _ratio(hit @ gain, ideal[np.minimum(relevant, k)])


def mrr(hit: Hits, relevant: Int64) -> Float64:
    """1 / rank of the first hit, 0 without one."""
    first_rank = hit.argmax(axis=1) + 1  # (m,)
    reciprocal = np.where(hit.any(axis=1), 1 / first_rank, 0.0)  # (m,)
    return _where(relevant, reciprocal)


def mean_average_precision(hit: Hits, relevant: Int64) -> Float64:
    """Mean of the precision at each hit, over min(relevant, k).

    1 when all that can be hit is on top.
    """
    m, k = hit.shape
    row, column = np.nonzero(hit)  # (hits,) each, by row: few of the entries of `hit`
    counts = np.bincount(row, minlength=m)  # (m,)
    before = np.cumsum(counts) - counts  # (m,) hits of the rows above
    found = np.arange(len(row)) - before[row] + 1  # (hits,) up to each, of its row
    precision = found / (column + 1)  # (hits,)
    total = np.bincount(row, precision, minlength=m)  # (m,)
    return _ratio(total, np.minimum(relevant, k))


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Float64:
    """Part / whole (m,), NaN where the whole is 0."""
    nan = np.full(len(part), np.nan)
    ratio: Float64 = np.divide(part, whole, out=nan, where=whole > 0)
    return ratio


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


def listed(ranking: Int32, n_items: int) -> NDArray[np.bool_]:
    """Which items are in at least one list: (n_items,)."""
    found = np.zeros(n_items, bool)
    found[ranking[ranking >= 0]] = True
    return found


def novelty(ranking: Int32, counts: Int64, n_users: int) -> Float64:
    """Mean self-information of a user's list in bits, -log2(share of users who have the item).

    Zhou et al. 2010, Solving the apparent diversity-accuracy dilemma. `counts` (n_items,) are
    training pairs.
    """
    bits = np.log2(n_users / np.maximum(counts, 1))  # (n_items,)
    return _mean_of_listed(ranking, bits)


def average_popularity(ranking: Int32, counts: Int64) -> Float64:
    """Average recommendation popularity: mean training pairs of the items in a user's list.

    Yin et al. 2012, Challenging the long tail recommendation. `counts` (n_items,) are training
    pairs.
    """
    return _mean_of_listed(ranking, counts)


def _mean_of_listed(ranking: Int32, values: NDArray[np.number]) -> Float64:
    """The mean (m,) of what the items (n_items,) in a user's list have."""
    listed = ranking >= 0  # (m, k)
    total = np.where(listed, values[ranking], 0.0).sum(axis=1)  # (m,)
    return _ratio(total, listed.sum(axis=1))


def diversity(ranking: Int32, items: Float32) -> Float64:
    """1 - mean cosine between two items of a user's list, in the vectors items (n_items, dim).

    NaN for a list of fewer than two items; a zero vector has cosine 0 with every other.
    """
    length = np.linalg.norm(items, axis=1, keepdims=True)  # (n_items, 1)
    divisor = np.where(length > 0, length, 1)  # (n_items, 1)
    direction = (items / divisor).astype(np.float32)  # (n_items, dim)
    directed = length[:, 0] > 0  # (n_items,)
    parts = [np.empty(0)]
    for first in range(0, len(ranking), BLOCK_USERS):
        block = ranking[first : first + BLOCK_USERS]  # (b, k)
        parts.append(_diversity(block, direction, directed))
    return np.concatenate(parts)  # (m,)


def _diversity(ranking: Int32, direction: Float32, directed: Hits) -> Float64:
    """The diversity (b,) of a block of users.

    The sum over pairs comes from the length of the sum: |sum v|^2 = sum |v|^2 + 2 * sum over pairs.
    """
    listed = ranking >= 0  # (b, k)
    vectors = direction[ranking]  # (b, k, dim)
    ones = listed[:, None, :].astype(np.float32)  # (b, 1, k)
    total = (ones @ vectors)[:, 0]  # (b, dim)
    squared_sum = np.einsum("bd,bd->b", total, total)  # (b,)
    sum_of_squares = (listed & directed[ranking]).sum(axis=1)  # (b,) each square is 1
    n = listed.sum(axis=1)  # (b,)
    twice_pairs = squared_sum.astype(np.float64) - sum_of_squares  # (b,)
    return 1 - _ratio(twice_pairs, n * (n - 1))


# --- means and how sure they are -----------------------------------------------------------------


def means(figures: Float64) -> Float64:
    """Means of the columns of figures (m, c), over the users who have part in them.

    (c,), NaN where none has.
    """
    return ratios(sums(figures))


def sums(figures: Float64) -> Float64:
    """Sums of the columns of figures (m, c), then how many users have part in each: (2c,)."""
    has_part = np.isfinite(figures)  # (m, c)
    values = np.where(has_part, figures, 0).sum(axis=0)  # (c,)
    return np.concatenate([values, has_part.sum(axis=0)])


def ratios(sums: Float64) -> Float64:
    """The means (c,) of what `sums` (2c,) gives."""
    return _ratio(*np.hsplit(sums, 2))


def intervals(
    figures: Float64, seed: int, group: Int32 | None = None
) -> tuple[Float64, Float64]:
    """95% intervals of those means by the bootstrap over users: low (c,) and high (c,).

    Percentile bootstrap, Efron & Tibshirani 1993, in its Poisson form: in each of 1,000 resamples a
    user counts Poisson(1) times, which makes every resample a row of one matrix product. With a
    `group` (m,), ascending, rows of one group count as one user's.
    """
    n = len(figures) if group is None else len(np.unique(group))
    return percentiles(resampled(figures, Part(0, n), seed, group))


@dataclass(frozen=True, slots=True)
class Part:
    """Where some users stand among all who are asked."""

    first: int  # how many come before them
    whole: int  # how many there are


def resampled(
    figures: Float64, part: Part, seed: int, group: Int32 | None = None
) -> Float32:
    """What `sums` gives of every resample: (1000, 2c).

    Figures (m, c) may be of a part of the users: those of all parts add up to the whole's. `group`
    is as of `intervals`; a part is then of groups.
    """
    has_part = np.isfinite(figures)  # (m, c)
    first_of, copy_of = _distinct_columns(has_part)  # (d,), (c,)
    values = np.where(has_part, figures, 0)  # (m, c)
    table = np.hstack([values, has_part[:, first_of]]).astype(np.float32)  # (m, c + d)
    if group is not None:
        first = np.flatnonzero(np.diff(group, prepend=-1))  # (groups,)
        table = np.add.reduceat(table, first)  # (groups, c + d)
    c = len(copy_of)
    columns = np.concatenate([np.arange(c), c + copy_of])  # (2c,) of the table
    draws = _poisson_counts(len(table), part, seed)
    parts = [(counts @ table)[:, columns] for counts in draws]
    return np.vstack(parts)


def _distinct_columns(flags: Hits) -> tuple[Int64, Int64]:
    """Where each different column of flags (m, c) stands first, (d,), and which each is, (c,).

    Most figures have the same users, and a product with equal columns is the same product.
    """
    columns = [column.tobytes() for column in np.packbits(flags, axis=0).T]
    known: dict[bytes, int] = {}
    copies = [known.setdefault(column, len(known)) for column in columns]
    return np.unique(copies, return_index=True)[1], np.array(copies)  # (d,), (c,)


def percentiles(resamples: Float32) -> tuple[Float64, Float64]:
    """The ends of the intervals, (c,) each, of what `resampled` (1000, 2c) gives."""
    sums, sizes = np.hsplit(resamples, 2)  # (1000, c) each
    nan = np.full(sums.shape, np.nan, np.float32)
    found = np.divide(sums, sizes, out=nan, where=sizes > 0)  # (1000, c)
    low, high = np.nanpercentile(found, PERCENTILES, axis=0)  # (c,) each
    return low.astype(np.float64), high.astype(np.float64)


def _poisson_counts(m: int, part: Part, seed: int) -> Iterator[Float32]:
    """How often each of m users counts in some of the resamples, (b, m) at a time."""
    table = _poisson_table()
    size = max(1, min(RESAMPLES, BLOCK_COUNTS // max(1, m)))
    for first in range(0, RESAMPLES, size):
        rows = range(first, min(first + size, RESAMPLES))
        yield table[_numbers(rows, m, part, seed)]


def _numbers(rows: range, m: int, part: Part, seed: int) -> NDArray[np.uint16]:
    """Random numbers (b, m) for the m users of a part, of some resamples.

    All of one resample lie next to each other in the seed's stream, so that whoever knows a part of
    the users draws as one who knows all.
    """
    if m == part.whole:
        drawn = _drawn(rows.start * m, len(rows) * m, seed)  # (b * m,)
        return drawn.reshape(len(rows), m)
    begins = [row * part.whole + part.first for row in rows]
    return np.array([_drawn(begin, m, seed) for begin in begins])  # (b, m)


def _drawn(begin: int, n: int, seed: int) -> NDArray[np.uint16]:
    """Some numbers (n,) of the stream of 16 bits each that a seed begins; four are one step."""
    step, before = divmod(begin, 4)
    steps = -(-(before + n) // 4)
    stream = np.random.PCG64(seed).advance(step)
    raw = stream.random_raw(steps)  # (steps,)
    numbers = raw.astype("<u8").view("<u2")  # (4 * steps,)
    return numbers[before : before + n]


def _poisson_table() -> Float32:
    """65,536 values of a Poisson(1) variable in its proportions.

    A random index draws one in a nanosecond.
    """
    factors = np.concatenate(([1.0], np.arange(1, 9)))  # (9,)
    factorials = np.cumprod(factors)  # (9,)
    probabilities = np.exp(-1.0) / factorials  # (9,) of 0 to 8
    edges = np.rint(2**16 * np.cumsum(probabilities))  # (9,)
    index = np.arange(2**16)
    return np.searchsorted(edges, index, side="right").astype(np.float32)  # (65536,)

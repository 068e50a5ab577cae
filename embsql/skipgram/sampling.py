"""What steps of skip-gram draw by chance: the tokens they keep, and tables for drawing negatives.

Random numbers are SplitMix64's (Steele, Lea and Flood, 2014), of which each follows from the seed
and its number alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64
from embsql.numeric.plain import are_few
from embsql.skipgram import kernels
from embsql.skipgram.base import Block
from embsql.skipgram.kernels import AliasTable, Draws, Shape

GOLDEN = 0x9E3779B97F4A7C15
SLOTS_PER_FEW = (
    16  # a slot of an alias table costs as much as so many rows that are sorted
)
NO_TIME = np.empty(0, np.float32)


def alias_table(probabilities: NDArray[np.float64]) -> AliasTable:
    """The alias table of tokens with these probabilities (n,), which need not sum to 1."""
    n = len(probabilities)
    table = AliasTable(np.empty(n, np.float32), np.empty(n, np.int32))
    scaled = probabilities / probabilities.mean()  # (n,)
    fill = kernels.fill_alias_table
    if are_few(n * SLOTS_PER_FEW):
        fill = fill.py_func  # type: ignore[attr-defined]  # numba's: the same in Python
    fill(scaled, np.empty(n, np.int64), *table)
    return table


def advanced(state: int, draws: int) -> int:
    """The state after so many draws."""
    return (state + draws * GOLDEN) % 2**64


def kept(
    block: Block, low: int, high: int, keep: Float32, shape: Shape, state: int
) -> tuple[Draws, int]:
    """The tokens of sequences low..high that subsampling keeps, and the state after their draws.

    Of each sequence come first the numbers for subsampling, one for each token, unless `keep` is
    empty; then those of each token that is kept: of its window, if that is dynamic, and negatives.
    """
    own = shape.dynamic + shape.targets - 1  # draws of a token
    indptr = block.indptr[low : high + 1] - block.indptr[low]  # (s + 1,)
    part = slice(block.indptr[low], block.indptr[high])
    token = block.token[part]  # (t,)
    time = NO_TIME if block.time is None else block.time[part]
    before = np.zeros(high - low, np.int64)  # (s,) draws of subsampling
    if len(keep):
        is_kept = _subsample(indptr, token, keep, own, state)  # (t,)
        before = indptr[1:]
        token, time = token[is_kept], time[is_kept] if len(time) else time
        indptr = np.concatenate(([0], np.cumsum(is_kept)))[indptr]  # (s + 1,)
    drawn = own * len(token) + (int(before[-1]) if len(before) else 0)
    draws = Draws(indptr, token, time, before, np.array([state], np.uint64))
    return draws, advanced(state, drawn)


def _subsample(
    indptr: Int64, token: Int32, keep: Float32, own: int, state: int
) -> NDArray[np.bool_]:
    """Which tokens (t,) are kept; where a sequence's draws begin depends on those before it."""
    is_kept = np.empty(len(token), np.bool_)
    kernels.subsample(indptr, token, keep, own, np.uint64(state), is_kept)
    return is_kept

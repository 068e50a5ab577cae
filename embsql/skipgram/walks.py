"""Random walks on a graph, of the first or the second order, as sequences for the skip-gram
trainer.

A step of the second order is drawn by rejection: a neighbour is proposed by the weights alone and
taken with the probability that its bias asks for, so that a step costs about the same whatever the
degrees are. Every walker has random numbers of its own, which follow from seed, epoch and number:
walks do not depend on threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Int32, Int64
from embsql.numeric.kernels import FLOATS_PER_CACHE_LINE, Float64, compiled, inlined, prefetch
from embsql.numeric.linalg import parallel_map
from embsql.run import Run
from embsql.skipgram.base import Block

UInt32 = NDArray[np.uint32]
UInt64 = NDArray[np.uint64]

TOKENS = 1 << 20  # of a block at most: 4 MB, some hundredths of a second
LEAST = 1 << 14  # tokens for which a thread is worth its start
TOGETHER = 64  # walkers that a thread moves in turn: while one waits for memory, the others go on
# proposals refused before all probabilities of a step are computed: bounds its cost for any p and q
PATIENCE = 24

GOLDEN, FIRST, SECOND = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
S11, S27, S30, S31, S32 = (np.uint64(n) for n in (11, 27, 30, 31, 32))
LOW = np.uint64(0xFFFFFFFF)
FINE = 2.0**-53
NEAR = 8 * FLOATS_PER_CACHE_LINE  # neighbours that are fetched before one is looked up among them
OWN, OTHER, KEEP = 0, 1, 2  # columns of the alias table


class Tables(NamedTuple):
    """A graph as the compiled loops read it."""

    indptr: Int64  # (n + 1,)
    indices: Int32  # (m, 1)
    weight: Float32  # (m,)
    alias: UInt32  # (m, 3), or (0, 3) where all edges weigh alike
    total: Float64  # (n,)


class Bias(NamedTuple):
    """What the weight of an edge is multiplied by.

    It is 1 where the edge leads to a neighbour of the node before.
    """

    back: float  # where it leads back to that node: 1/p
    away: float  # where it leads to any other: 1/q


class Work(NamedTuple):
    """What is known of walkers that move together, each (TOGETHER,)."""

    state: UInt64  # of the random numbers
    bits: UInt64  # drawn for the proposal
    edge: Int64  # proposed
    waiting: Int64  # which walkers have not taken a step yet, the first of so many
    over: Float64  # see _over


@dataclass(frozen=True, slots=True)
class Walks:
    """The walks on an undirected graph: so many from every node that has neighbours, anew in every
    epoch.

    Row r of the graph holds the neighbours of node r, ascending; an edge stands in the rows of both
    its ends with one weight, above 0. From v, reached from t, each neighbour x is next with a
    probability in proportion to the weight of its edge times 1/p if it is t, 1 if it is a neighbour
    of t, 1/q otherwise (Grover and Leskovec, 2016, 3.2).
    """

    graph: CsrMatrix  # (n, n)
    walks: int
    length: int  # nodes of a walk
    p: float
    q: float
    run: Run
    alias: UInt32 = field(
        init=False
    )  # (m, 3): the edge's node, the node that may stand in for it, how often not
    total: Float64 = field(init=False)  # (n,) sum of the weights of a row

    def __post_init__(self) -> None:
        """Prepare the drawing of neighbours by weight (Walker, 1977.

        Vose, 1991), unless all weigh alike.
        """
        indptr, indices, weight = self.graph.indptr, self.graph.indices, self.graph.data
        even = not len(weight) or weight.min() == weight.max()
        alias, total = (
            np.empty((0 if even else len(indices), 3), np.uint32),
            np.zeros(len(indptr) - 1),
        )
        _alias(
            indptr,
            indices,
            weight,
            np.empty(len(alias), np.float32),
            np.empty(len(alias), np.int32),
            alias,
            total,
        )
        object.__setattr__(self, "alias", alias)
        object.__setattr__(self, "total", total)

    def blocks(self, epoch: int) -> Iterator[Block]:
        """The walks of an epoch, some at a time, from the nodes in random order."""
        nodes, size = (
            np.flatnonzero(self.graph.counts).astype(np.int32),
            max(1, TOKENS // self.length),
        )
        for turn in range(self.walks):
            rng = np.random.default_rng([self.run.seed, epoch, turn])
            order, key = rng.permutation(nodes), rng.integers(0, 2**63)  # (starts,)
            for low in range(0, len(order), size):
                tokens = self._walk(order[low : low + size], int(key) + low)  # (s, length)
                yield Block(
                    np.arange(len(tokens) + 1, dtype=np.int64) * self.length, tokens.ravel()
                )

    def counts(self) -> Int64:
        """How often each node is met in the walks of an epoch: (n,)."""
        total = np.zeros(len(self.total), np.int64)
        for block in self.blocks(0):
            total += np.bincount(block.token, minlength=len(total))
        return total

    def _walk(self, starts: Int32, key: int) -> Int32:
        """A walk from each node of starts (s,): (s, length).

        Walker w draws from the stream of key + w.
        """
        tokens = np.empty((len(starts), self.length), np.int32)  # (s, length)
        tokens[:, 0] = starts
        tables = Tables(
            self.graph.indptr, self.graph.indices[:, None], self.graph.data, self.alias, self.total
        )

        def part(low: int, high: int) -> None:
            _walk(
                tokens[low:high],
                np.uint64(key + low),
                tables,
                Bias(1 / self.p, 1 / self.q),
                _work(),
            )

        count = max(1, min(8 * self.run.threads, tokens.size // LEAST))
        edges = np.linspace(0, len(starts), count + 1).astype(np.int64)  # (count + 1,)
        parallel_map(part, list(pairwise(map(int, edges))), self.run)
        return tokens


def _work() -> Work:
    bits, places = np.empty((2, TOGETHER), np.uint64), np.empty((2, TOGETHER), np.int64)
    return Work(bits[0], bits[1], places[0], places[1], np.empty(TOGETHER))


# --- drawing -------------------------------------------------------------------------------------


@compiled
def _alias(
    indptr: Int64,
    indices: Int32,
    weight: Float32,
    keep: Float32,
    stack: Int32,
    alias: UInt32,
    total: Float64,
) -> None:
    """Fill total, and the alias table if it has rows; keep and stack (m,) are scratch.

    Each of the d edges of a row gets 1/d of it, of which `keep` is its own and the rest another's.
    The row's part of the stack holds the edges that keep less than all from its bottom up, those
    with more to give from its top.
    """
    for row in range(len(indptr) - 1):
        low, high = indptr[row], indptr[row + 1]
        for e in range(low, high):
            total[row] += weight[e]
        if not len(alias):
            continue
        poor, rich = low, high
        for e in range(low, high):
            keep[e] = weight[e] * (high - low) / total[row]
            alias[e, OWN] = alias[e, OTHER] = indices[e]
            if keep[e] < 1:
                stack[poor] = e
                poor += 1
            else:
                rich -= 1
                stack[rich] = e
        while poor > low and rich < high:
            poor -= 1
            taker, giver = stack[poor], stack[rich]
            alias[taker, OTHER] = indices[giver]
            keep[giver] -= 1 - keep[taker]
            if keep[giver] < 1:
                rich += 1
                stack[poor] = giver
                poor += 1
        for e in range(low, high):
            alias[e, KEEP] = np.uint32(min(max(keep[e], 0.0) * 4294967296.0, 4294967295.0))


@inlined
def _mix(z: np.uint64) -> np.uint64:
    """The output of SplitMix64 at a state (Steele, Lea and Flood, 2014)."""
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    return z ^ (z >> S31)


@inlined
def _draw(state: UInt64, w: int) -> np.uint64:
    """64 random bits of walker w."""
    state[w] += GOLDEN
    return _mix(state[w])


@inlined
def _share(state: UInt64, w: int) -> float:
    """A random number of walker w, from 0 to below 1."""
    return np.float64(np.int64(_draw(state, w) >> S11)) * FINE


@inlined
def _first_not_below(indices: Int32, low: int, high: int, x: int) -> int:
    """The first place of an ascending row that holds x or more; high when there is none."""
    n = high - low
    while n > 0:  # without a branch that could be guessed wrong
        half = (n + 1) >> 1
        low += half if indices[low + half - 1, 0] < x else 0
        n -= half
    return low


@inlined
def _adjacent(g: Tables, t: int, x: int) -> bool:
    """Whether x is a neighbour of t."""
    place = _first_not_below(g.indices, g.indptr[t], g.indptr[t + 1], x)
    return bool(place < g.indptr[t + 1] and g.indices[place, 0] == x)


@inlined
def _bias_of(x: int, t: int, g: Tables, bias: Bias) -> float:
    """What the weight of an edge to x is multiplied by, coming from t."""
    if x == t:
        return bias.back
    return 1.0 if _adjacent(g, t, x) else bias.away


@compiled
def _exactly(share: float, t: int, v: int, g: Tables, bias: Bias) -> int:
    """The neighbour of v, reached from t, that lies at a share of all its biased weights laid end
    to end.
    """
    mass = 0.0
    for e in range(g.indptr[v], g.indptr[v + 1]):
        mass += g.weight[e] * _bias_of(g.indices[e, 0], t, g, bias)
    mass *= share
    chosen = t
    for e in range(g.indptr[v], g.indptr[v + 1]):
        part = g.weight[e] * _bias_of(g.indices[e, 0], t, g, bias)
        mass -= part
        if part > 0:
            chosen = g.indices[e, 0]
        if mass < 0:
            break
    return chosen


# --- walking -------------------------------------------------------------------------------------


@inlined
def _propose(n: int, at: Int32, g: Tables, work: Work) -> None:
    """Draw a place in the row of at[w] for the first n waiting walkers, and ask the memory for what
    stands there.
    """
    for i in range(n):
        w = work.waiting[i]
        low, high = g.indptr[at[w]], g.indptr[at[w] + 1]
        work.bits[w] = _draw(work.state, w)
        work.edge[w] = low + np.int64(((work.bits[w] >> S32) * np.uint64(high - low)) >> S32)
        if len(g.alias):
            prefetch(g.alias, work.edge[w], OWN)
        else:
            prefetch(g.indices, work.edge[w], 0)


@inlined
def _proposed(w: int, g: Tables, work: Work) -> int:
    """The node that walker w is proposed: the edge's own, or the one that stands in for it."""
    e = work.edge[w]
    if not len(g.alias):
        return int(g.indices[e, 0])
    return int(g.alias[e, OWN if (work.bits[w] & LOW) < g.alias[e, KEEP] else OTHER])


@inlined
def _over(t: int, v: int, g: Tables, bias: Bias) -> float:
    """What the edge from v back to t weighs, biased, beyond what a proposal gives it, in units of
    the row's weights.

    It lies beside the row, and a draw that falls there is taken at once, so that a small p does not
    make all other proposals fail (Yang et al., 2019, "KnightKing: a fast distributed graph random
    walk engine").
    """
    top = max(1.0, bias.away)
    if bias.back <= top:
        return 0.0
    return (bias.back / top - 1) * float(
        g.weight[_first_not_below(g.indices, g.indptr[v], g.indptr[v + 1], t)]
    )


@inlined
def _taken(w: int, x: int, t: int, g: Tables, bias: Bias, work: Work) -> bool:
    """Whether the proposal to walk to x, coming from t, is taken: with probability bias / the
    largest but back.
    """
    bar = _share(work.state, w) * max(1.0, bias.away)
    if x == t:
        return bar < bias.back
    return bar < min(1.0, bias.away) or _adjacent(g, t, x) == (bias.away < 1)


@inlined
def _ask_for(g: Tables, t: int) -> None:
    """Ask the memory for the row of t, where neighbours will be looked up.

    Of a long one, for where that begins.
    """
    low, high = g.indptr[t], g.indptr[t + 1]
    if high - low > NEAR:
        low = (low + high) // 2
        high = low + 1
    for e in range(low, high, FLOATS_PER_CACHE_LINE):
        prefetch(g.indices, e, 0)


@inlined
def _step(walkers: Int32, place: int, g: Tables, work: Work) -> None:
    """Every walker's next node, by weight."""
    for w in range(len(walkers)):
        work.waiting[w] = w
    _propose(len(walkers), walkers[:, place - 1], g, work)
    for w in range(len(walkers)):
        walkers[w, place] = _proposed(w, g, work)


@inlined
def _try(n: int, walkers: Int32, place: int, g: Tables, bias: Bias, work: Work) -> int:
    """Make a proposal to the first n waiting walkers.

    Those who take none wait on, and their number is returned.
    """
    _propose(n, walkers[:, place - 1], g, work)
    still = 0
    for i in range(n):
        w = work.waiting[i]
        t, v, x = walkers[w, place - 2], walkers[w, place - 1], _proposed(w, g, work)
        over = work.over[w]
        if over > 0 and _share(work.state, w) * (g.total[v] + over) < over:
            walkers[w, place] = t
        elif _taken(w, x, t, g, bias, work):
            walkers[w, place] = x
        else:
            work.waiting[still] = w
            still += 1
    return still


@inlined
def _biased_step(walkers: Int32, place: int, g: Tables, bias: Bias, work: Work) -> None:
    """Every walker's next node, by weight and bias."""
    for w in range(len(walkers)):
        work.waiting[w] = w
        _ask_for(g, walkers[w, place - 2])
    for w in range(len(walkers)):
        work.over[w] = _over(walkers[w, place - 2], walkers[w, place - 1], g, bias)
    n = len(walkers)
    for _ in range(PATIENCE):
        if n > 0:
            n = _try(n, walkers, place, g, bias, work)
    for w in work.waiting[:n]:
        t, v = walkers[w, place - 2], walkers[w, place - 1]
        walkers[w, place] = _exactly(_share(work.state, w), t, v, g, bias)


@compiled
def _walk(tokens: Int32, key: np.uint64, g: Tables, bias: Bias, work: Work) -> None:
    """Let walkers walk on from tokens[:, 0]; walker w draws from the stream of key + w."""
    for first in range(0, len(tokens), TOGETHER):
        walkers = tokens[first : first + TOGETHER]
        for w in range(len(walkers)):
            work.state[w] = _mix(_mix(key + np.uint64(first + w)) + GOLDEN)
        for place in range(1, tokens.shape[1]):
            if place == 1 or (bias.back == 1 and bias.away == 1):
                _step(walkers, place, g, work)
            else:
                _biased_step(walkers, place, g, bias, work)

"""Random walks on a graph, of the first or the second order, as sequences for skip-gram.

A step of the second order is drawn by rejection: a neighbor is proposed by the weights alone and
accepted with the probability that its bias asks for, so that a step costs about the same whatever
the degrees are. Every walker has random numbers of its own, which follow from seed, epoch and
number: walks do not depend on threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Float64, Int32, Int64
from embsql.numeric.compiler import compiled, merged
from embsql.numeric.linalg import equal_ranges, parallel_map
from embsql.numeric.vectors import prefetch
from embsql.run import Run
from embsql.skipgram.base import Block

UInt32 = NDArray[np.uint32]
UInt64 = NDArray[np.uint64]

INTS_PER_CACHE_LINE = 16
BLOCK_TOKENS = 1 << 20  # at most: 4 MB, some hundredths of a second
MIN_TOKENS_PER_THREAD = 1 << 14  # for which a thread is worth its start
RANGES_PER_THREAD = 8
# walkers that a thread moves in turn: while one waits for memory, the others go on
WALKERS_PER_GROUP = 64
# proposals before all probabilities of a step are computed: bounds its cost for any p and q
MAX_REJECTIONS = 24

# of SplitMix64
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX1 = np.uint64(0xBF58476D1CE4E5B9)
MIX2 = np.uint64(0x94D049BB133111EB)
S11, S27, S30, S31, S32 = (np.uint64(n) for n in (11, 27, 30, 31, 32))  # shifts
LOW_HALF = np.uint64(0xFFFFFFFF)
UNIT = 2.0**-53  # the step between random numbers
# neighbors that are fetched before one is looked up among them
PREFETCH_NEIGHBORS = 8 * INTS_PER_CACHE_LINE
OWN, OTHER, KEEP = 0, 1, 2  # columns of the alias table


class GraphArrays(NamedTuple):
    """A graph as the compiled loops read it."""

    indptr: Int64  # (n + 1,)
    indices: Int32  # (m, 1)
    weight: Float32  # (m,)
    alias: UInt32  # (m, 3), or (0, 3) where all edges weigh alike
    total: Float64  # (n,)


class Bias(NamedTuple):
    """What the weight of an edge is multiplied by.

    It is 1 where the edge leads to a neighbor of the node before.
    """

    return_bias: float  # where it leads back to that node: 1/p
    inout_bias: float  # where it leads to any other: 1/q


class WalkState(NamedTuple):
    """What is known of walkers that move together, each (WALKERS_PER_GROUP,)."""

    state: UInt64  # of the random numbers
    bits: UInt64  # drawn for the proposal
    edge: Int64  # proposed
    waiting: Int64  # which walkers have not taken a step yet, the first of so many
    overflow: Float64  # see _overflow


@dataclass(frozen=True, slots=True)
class Walks:
    """Walks on an undirected graph, from every node that has neighbors, anew in every epoch.

    Row r of the graph holds the neighbors of node r, ascending; an edge stands in the rows of both
    its ends with one weight, above 0. From v, reached from t, each neighbor x is next with a
    probability in proportion to the weight of its edge times 1/p if it is t, 1 if it is a neighbor
    of t, 1/q otherwise (Grover and Leskovec, 2016, 3.2).
    """

    graph: CsrMatrix  # (n, n)
    walks_per_node: int
    walk_length: int  # in nodes
    p: float
    q: float
    run: Run
    # (m, 3): the edge's node, the node that may stand in for it, how often not
    alias: UInt32 = field(init=False)
    total: Float64 = field(init=False)  # (n,) sum of the weights of a row

    def __post_init__(self) -> None:
        """Make the alias table (Walker, 1977; Vose, 1991), unless all edges weigh alike."""
        indptr = self.graph.indptr
        indices = self.graph.indices
        weight = self.graph.data
        even = not len(weight) or weight.min() == weight.max()
        alias = np.empty((0 if even else len(indices), 3), np.uint32)
        total = np.zeros(len(indptr) - 1)
        keep = np.empty(len(alias), np.float32)
        stack = np.empty(len(alias), np.int32)
        _build_alias_table(indptr, indices, weight, keep, stack, alias, total)
        object.__setattr__(self, "alias", alias)
        object.__setattr__(self, "total", total)

    def blocks(self, epoch: int) -> Iterator[Block]:
        """The walks of an epoch, some at a time, from the nodes in random order."""
        nodes = np.flatnonzero(self.graph.counts).astype(np.int32)
        size = max(1, BLOCK_TOKENS // self.walk_length)
        for number in range(self.walks_per_node):
            rng = np.random.default_rng([self.run.seed, epoch, number])
            starts = rng.permutation(nodes)
            key = int(rng.integers(0, 2**63))
            for low in range(0, len(starts), size):
                tokens = self._walk(starts[low : low + size], key + low)  # (s, length)
                indptr = np.arange(len(tokens) + 1, dtype=np.int64) * self.walk_length
                yield Block(indptr, tokens.ravel())

    def counts(self) -> Int64:
        """How often each node is visited in the walks of an epoch: (n,)."""
        total = np.zeros(len(self.total), np.int64)
        for block in self.blocks(0):
            total += np.bincount(block.token, minlength=len(total))
        return total

    def _walk(self, starts: Int32, key: int) -> Int32:
        """A walk from each node of starts (s,): (s, length).

        Walker w draws from the stream of key + w.
        """
        tokens = np.empty((len(starts), self.walk_length), np.int32)
        tokens[:, 0] = starts
        graph = self._arrays()
        bias = Bias(1 / self.p, 1 / self.q)

        def walk_range(low: int, high: int) -> None:
            _walk(tokens[low:high], np.uint64(key + low), graph, bias, _work())

        worthwhile = tokens.size // MIN_TOKENS_PER_THREAD
        count = max(1, min(RANGES_PER_THREAD * self.run.threads, worthwhile))
        parallel_map(walk_range, equal_ranges(len(starts), count), self.run)
        return tokens

    def _arrays(self) -> GraphArrays:
        """The graph as the compiled loops read it."""
        graph = self.graph
        indices = graph.indices[:, None]  # (m, 1) as prefetch takes tables
        return GraphArrays(graph.indptr, indices, graph.data, self.alias, self.total)


def _work() -> WalkState:
    return WalkState(
        state=np.empty(WALKERS_PER_GROUP, np.uint64),
        bits=np.empty(WALKERS_PER_GROUP, np.uint64),
        edge=np.empty(WALKERS_PER_GROUP, np.int64),
        waiting=np.empty(WALKERS_PER_GROUP, np.int64),
        overflow=np.empty(WALKERS_PER_GROUP),
    )


# --- drawing -------------------------------------------------------------------------------------


@compiled
def _build_alias_table(
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
        low = indptr[row]
        high = indptr[row + 1]
        for e in range(low, high):
            total[row] += weight[e]
        if not len(alias):
            continue
        small = low
        large = high
        for e in range(low, high):
            keep[e] = weight[e] * (high - low) / total[row]
            alias[e, OWN] = alias[e, OTHER] = indices[e]
            if keep[e] < 1:
                stack[small] = e
                small += 1
            else:
                large -= 1
                stack[large] = e
        while small > low and large < high:
            small -= 1
            taker = stack[small]
            giver = stack[large]
            alias[taker, OTHER] = indices[giver]
            keep[giver] -= 1 - keep[taker]
            if keep[giver] < 1:
                large += 1
                stack[small] = giver
                small += 1
        for e in range(low, high):
            alias[e, KEEP] = np.uint32(
                min(max(keep[e], 0.0) * 4294967296.0, 4294967295.0)
            )


@merged
def _mix(z: np.uint64) -> np.uint64:
    """The output of SplitMix64 at a state (Steele, Lea and Flood, 2014)."""
    z = (z ^ (z >> S30)) * MIX1
    z = (z ^ (z >> S27)) * MIX2
    return z ^ (z >> S31)


@merged
def _draw(state: UInt64, w: int) -> np.uint64:
    """64 random bits of walker w."""
    state[w] += GOLDEN
    return _mix(state[w])


@merged
def _uniform(state: UInt64, w: int) -> float:
    """A random number of walker w, from 0 to below 1."""
    return np.float64(np.int64(_draw(state, w) >> S11)) * UNIT


@merged
def _lower_bound(indices: Int32, low: int, high: int, x: int) -> int:
    """The first entry of an ascending row that is x or more; high when there is none."""
    n = high - low
    while n > 0:  # without a branch that could be guessed wrong
        half = (n + 1) >> 1
        low += half if indices[low + half - 1, 0] < x else 0
        n -= half
    return low


@merged
def _adjacent(g: GraphArrays, t: int, x: int) -> bool:
    """Whether x is a neighbor of t."""
    end = g.indptr[t + 1]
    e = _lower_bound(g.indices, g.indptr[t], end, x)
    return bool(e < end and g.indices[e, 0] == x)


@merged
def _bias_of(x: int, t: int, g: GraphArrays, bias: Bias) -> float:
    """What the weight of an edge to x is multiplied by, coming from t."""
    if x == t:
        return bias.return_bias
    return 1.0 if _adjacent(g, t, x) else bias.inout_bias


@compiled
def _exact_step(uniform: float, t: int, v: int, g: GraphArrays, bias: Bias) -> int:
    """The neighbor of v, reached from t, by inversion of the distribution.

    That is the one at a share, `uniform`, of all biased weights laid end to end.
    """
    remaining = 0.0
    for e in range(g.indptr[v], g.indptr[v + 1]):
        remaining += g.weight[e] * _bias_of(g.indices[e, 0], t, g, bias)
    remaining *= uniform
    chosen = t
    for e in range(g.indptr[v], g.indptr[v + 1]):
        transition_weight = g.weight[e] * _bias_of(g.indices[e, 0], t, g, bias)
        remaining -= transition_weight
        if transition_weight > 0:
            chosen = g.indices[e, 0]
        if remaining < 0:
            break
    return chosen


# --- walking -------------------------------------------------------------------------------------


@merged
def _propose(n: int, at: Int32, g: GraphArrays, work: WalkState) -> None:
    """Draw an edge from the row of at[w] for the first n waiting walkers, and prefetch it."""
    for i in range(n):
        w = work.waiting[i]
        low = g.indptr[at[w]]
        degree = np.uint64(g.indptr[at[w] + 1] - low)
        work.bits[w] = _draw(work.state, w)
        work.edge[w] = low + np.int64(((work.bits[w] >> S32) * degree) >> S32)
        if len(g.alias):
            prefetch(g.alias, work.edge[w], OWN)
        else:
            prefetch(g.indices, work.edge[w], 0)


@merged
def _proposed(w: int, g: GraphArrays, work: WalkState) -> int:
    """The node that walker w is proposed: the edge's own, or the one that stands in for it."""
    e = work.edge[w]
    if not len(g.alias):
        return int(g.indices[e, 0])
    own = (work.bits[w] & LOW_HALF) < g.alias[e, KEEP]
    return int(g.alias[e, OWN if own else OTHER])


@merged
def _overflow(t: int, v: int, g: GraphArrays, bias: Bias) -> float:
    """The biased weight of the edge from v back to t, beyond what a proposal gives it.

    In units of the row's weights. A draw that falls there is accepted at once, so that a small p
    does not make all other proposals fail (Yang et al., 2019, "KnightKing: a fast distributed graph
    random walk engine").
    """
    largest = max(1.0, bias.inout_bias)
    if bias.return_bias <= largest:
        return 0.0
    edge = _lower_bound(g.indices, g.indptr[v], g.indptr[v + 1], t)
    return (bias.return_bias / largest - 1) * float(g.weight[edge])


@merged
def _accepts(
    w: int, x: int, t: int, g: GraphArrays, bias: Bias, work: WalkState
) -> bool:
    """Whether walker w, coming from t, accepts to walk to x.

    With probability bias / the largest but that of returning.
    """
    threshold = _uniform(work.state, w) * max(1.0, bias.inout_bias)
    if x == t:
        return threshold < bias.return_bias
    if threshold < min(1.0, bias.inout_bias):
        return True
    return _adjacent(g, t, x) == (bias.inout_bias < 1)


@merged
def _prefetch_row(g: GraphArrays, t: int) -> None:
    """Prefetch the row of t, where neighbors will be looked up.

    Of a long one, where that begins.
    """
    low = g.indptr[t]
    high = g.indptr[t + 1]
    if high - low > PREFETCH_NEIGHBORS:
        low = (low + high) // 2
        high = low + 1
    for e in range(low, high, INTS_PER_CACHE_LINE):
        prefetch(g.indices, e, 0)


@merged
def _step(walkers: Int32, position: int, g: GraphArrays, work: WalkState) -> None:
    """Every walker's next node, by weight."""
    for w in range(len(walkers)):
        work.waiting[w] = w
    _propose(len(walkers), walkers[:, position - 1], g, work)
    for w in range(len(walkers)):
        walkers[w, position] = _proposed(w, g, work)


@merged
def _try_step(
    n: int, walkers: Int32, position: int, g: GraphArrays, bias: Bias, work: WalkState
) -> int:
    """Make a proposal to the first n waiting walkers.

    Those who accept none wait on, and their number is returned.
    """
    _propose(n, walkers[:, position - 1], g, work)
    still_waiting = 0
    for i in range(n):
        w = work.waiting[i]
        t = walkers[w, position - 2]
        v = walkers[w, position - 1]
        x = _proposed(w, g, work)
        overflow = work.overflow[w]
        if (
            overflow > 0
            and _uniform(work.state, w) * (g.total[v] + overflow) < overflow
        ):
            walkers[w, position] = t
        elif _accepts(w, x, t, g, bias, work):
            walkers[w, position] = x
        else:
            work.waiting[still_waiting] = w
            still_waiting += 1
    return still_waiting


@merged
def _biased_step(
    walkers: Int32, position: int, g: GraphArrays, bias: Bias, work: WalkState
) -> None:
    """Every walker's next node, by weight and bias."""
    for w in range(len(walkers)):
        work.waiting[w] = w
        _prefetch_row(g, walkers[w, position - 2])
    for w in range(len(walkers)):
        t = walkers[w, position - 2]
        v = walkers[w, position - 1]
        work.overflow[w] = _overflow(t, v, g, bias)
    n = len(walkers)
    for _ in range(MAX_REJECTIONS):
        if n > 0:
            n = _try_step(n, walkers, position, g, bias, work)
    for w in work.waiting[:n]:
        t = walkers[w, position - 2]
        v = walkers[w, position - 1]
        uniform = _uniform(work.state, w)
        walkers[w, position] = _exact_step(uniform, t, v, g, bias)


@compiled
def _walk(
    tokens: Int32, key: np.uint64, g: GraphArrays, bias: Bias, work: WalkState
) -> None:
    """Let walkers walk on from tokens[:, 0]; walker w draws from the stream of key + w."""
    unbiased = bias.return_bias == 1 and bias.inout_bias == 1
    for first in range(0, len(tokens), WALKERS_PER_GROUP):
        walkers = tokens[first : first + WALKERS_PER_GROUP]
        for w in range(len(walkers)):
            work.state[w] = _mix(_mix(key + np.uint64(first + w)) + GOLDEN)
        for position in range(1, tokens.shape[1]):
            if position == 1 or unbiased:
                _step(walkers, position, g, work)
            else:
                _biased_step(walkers, position, g, bias, work)

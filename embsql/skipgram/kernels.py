"""Compiled loops of training with negative sampling.

A window is one step, as in pWord2Vec (Ji et al., 2016, "Parallelizing word2vec in shared and
distributed memory"): all its contexts meet the same few targets, the center and its negatives, so
that every row is read once for several products. Scores, errors and gradients of a window are
computed a tile at a time, see `tiles`. Columns of a row beyond `dim` are zero and stay so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Float64, Int32, Int64
from embsql.numeric.compiler import compiled, merged
from embsql.numeric.tiles import (
    CONTEXTS,
    TARGET_LANES,
    TARGETS,
    add_row,
    context_sums,
    row_products,
    row_sums,
    target_sums,
    tile_products,
    to_errors,
    weighted_sums,
)
from embsql.numeric.vectors import prefetch_row


class AliasTable(NamedTuple):
    """Walker's: a token drawn evenly is kept with a probability, else it becomes another token."""

    probability: Float32  # (n,)
    alias: Int32  # (n,)


class Draws(NamedTuple):
    """Sequences of tokens that subsampling kept, and where the random numbers of each begin.

    A token takes one number for its window, if that is dynamic, and one for each negative.
    """

    indptr: Int64  # (s + 1,)
    token: Int32  # (t,)
    time: Float32  # (t,), or none where all is at once
    before: Int64  # (s,) numbers that subsampling took up to the end of the sequence
    state: NDArray[np.uint64]  # (1,) that all numbers come from


class Shape(NamedTuple):
    """What the steps are of."""

    window: int
    dynamic: bool
    targets: int  # 1 + negatives


class Table(NamedTuple):
    """Vectors, and the sum of squared gradients of each, by which Adagrad shortens its steps."""

    vectors: Float32  # (n, f)
    squares: Float32  # (n,)


class Workspace(NamedTuple):
    """Room to compute in, of t targets and c contexts, both up to whole tiles; see `tiles`.

    Targets are drawn for one token ahead, for the even tokens into the first half.
    """

    # (1, 2t TARGET_LANES / TARGETS) the center, then the negatives; what is left names any row
    target: Int32
    signs: Float32  # (t / TARGETS, 2 LANES) of the labels, see `to_errors`
    reach: Int64  # (2,) of the window
    context: Int32  # (1, c)
    weight: Float32  # (c / CONTEXTS, CONTEXTS) of the contexts
    # (c t / (CONTEXTS TARGETS), LANES) tiles: label less probability
    errors: Float32
    # (t + c, f) of targets and contexts; for cbow the mean of these and its gradient
    gradients: Float32
    squares: Float32  # (t / TARGETS + c / CONTEXTS, LANES) of the gradients' lengths
    losses: Float32  # (1, LANES)
    sums: Float64  # (2,) number of pairs, and of those of one window


# --- drawing -------------------------------------------------------------------------------------


@compiled
def fill_alias_table(
    scaled: Float64, stack: Int64, probability: Float32, alias: Int32
) -> None:
    """Fill an alias table for probabilities (n,) of mean 1, which are used up (Vose, 1991).

    On the stack (n,) those below 1 grow from the left, the others from the right.
    """
    n = len(scaled)
    small = 0
    large = n
    for i in range(n):
        probability[i] = 1
        alias[i] = i
        if scaled[i] < 1:
            stack[small] = i
            small += 1
        else:
            large -= 1
            stack[large] = i
    while small > 0 and large < n:
        small -= 1
        taker = stack[small]
        giver = stack[large]
        probability[taker] = scaled[taker]
        alias[taker] = giver
        scaled[giver] -= 1 - scaled[taker]
        if scaled[giver] < 1:
            stack[small] = giver
            small += 1
            large += 1


@compiled
def subsample(
    indptr: Int64,
    token: Int32,
    keep: Float32,
    own: int,
    state: np.uint64,
    is_kept: NDArray[np.bool_],
) -> None:
    """Draw which tokens are kept; after a sequence each of those takes `own` draws more."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    for s in range(len(indptr) - 1):
        n = 0
        for k in range(indptr[s], indptr[s + 1]):
            state += golden
            z = state  # SplitMix64's output
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            unit = np.float32(np.int64(z & np.uint64(0xFFFFFF)))
            is_kept[k] = unit * np.float32(1 / 0x1000000) < keep[token[k]]
            n += is_kept[k]
        state += golden * np.uint64(n * own)


@merged
def draw_targets(
    i: int,
    number: int,
    draws: Draws,
    negatives: AliasTable,
    y: Float32,
    shape: Shape,
    work: Workspace,
) -> None:
    """Draw the reach of token i's window, and its negatives, from random numbers of SplitMix64."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    state = draws.state[0] + golden * np.uint64(number)
    n_tokens = np.uint64(len(negatives.probability))
    at = work.target.shape[1] // 2 * (i % 2)
    work.target[0, at] = draws.token[i]
    work.reach[i % 2] = shape.window
    for b in range(1 - shape.dynamic, shape.targets):
        state += golden
        z = state  # SplitMix64's output
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        upper = z >> np.uint64(32)
        if b == 0:
            below = (upper * np.uint64(shape.window)) >> np.uint64(32)
            work.reach[i % 2] = 1 + np.int64(below)
            continue
        token = np.int64((upper * n_tokens) >> np.uint64(32))
        unit = np.float32(np.int64(z & np.uint64(0xFFFFFF))) * np.float32(1 / 0x1000000)
        other = np.int64(negatives.alias[token])  # read at once: no branch to guess
        token = other if unit >= negatives.probability[token] else token
        prefetch_row(y, token)
        at += 1
        if at % TARGET_LANES == TARGETS:
            at += TARGET_LANES - TARGETS
        work.target[0, at] = token


@merged
def _find_context(i: int, low: int, high: int, draws: Draws, work: Workspace) -> int:
    """The tokens of the window of token i and their weights; how many there are."""
    c = 0
    reach = work.reach[i % 2]
    work.sums[1] = 0
    for j in range(max(low, i - reach), min(high, i + reach + 1)):
        if j != i:
            weight = np.float32(1)
            if len(draws.time):
                weight = np.exp2(-abs(draws.time[i] - draws.time[j]))
            work.context[0, c] = draws.token[j]
            work.weight[c // CONTEXTS, c % CONTEXTS] = weight
            work.sums[1] += weight
            c += 1
    work.context[0, c] = draws.token[i]  # where one is missing to a tile
    work.weight[c // CONTEXTS, c % CONTEXTS] = 0
    return c


# --- training ------------------------------------------------------------------------------------


@merged
def _adagrad(
    table: Table,
    row: int,
    gradients: Float32,
    k: int,
    scale: np.float32,
    square: np.float32,
    lr: np.float32,
) -> None:
    """Move a row by scale * gradients[k], shortened by Adagrad: one rate for a whole row.

    square is that of the gradient's length.
    """
    total = table.squares[row] + square * scale * scale
    table.squares[row] = total
    add_row(table.vectors, row, scale * lr / np.sqrt(total), gradients, k)


@merged
def _to_errors(pairs: int, weights: int, first: int, work: Workspace) -> None:
    """Turn the scores of so many pairs of contexts into errors.

    Their weights begin in row `weights`, the targets at `first`.
    """
    groups = len(work.signs)
    for p in range(pairs):
        for g in range(groups):
            to_errors(
                work.errors,
                p * groups + g,
                work.target,
                first,
                g,
                work.signs,
                work.weight,
                weights + p,
                work.losses,
            )


@compiled
def skipgram(  # noqa: C901 - each function that loops are moved to is compiled longer
    draws: Draws,
    negatives: AliasTable,
    shape: Shape,
    inputs: Table,
    outputs: Table,
    lr: np.float32,
    work: Workspace,
) -> None:
    """One step for each window: each of its contexts should tell the center from its negatives.

    Each loop ends before the next begins, so that the steps of one do not wait for each other.
    """
    x = inputs.vectors
    y = outputs.vectors
    own = shape.dynamic + shape.targets - 1  # draws of a token
    groups = len(work.signs)
    k = groups * TARGETS  # where gradients of contexts begin
    one = np.float32(1)
    for s in range(len(draws.before)):
        low = draws.indptr[s]
        high = draws.indptr[s + 1]
        for ahead in range(low, high + 1):
            if (
                ahead < high
            ):  # what is drawn comes from memory while the token before is trained
                number = draws.before[s] + ahead * own
                draw_targets(ahead, number, draws, negatives, y, shape, work)
                prefetch_row(x, draws.token[min(ahead + shape.window, high - 1)])
            if ahead == low:
                continue
            c = _find_context(ahead - 1, low, high, draws, work)
            if c == 0:
                continue
            work.sums[0] += work.sums[1]
            pairs = (c + CONTEXTS - 1) // CONTEXTS
            first = groups * TARGET_LANES * ((ahead - 1) % 2)
            for p in range(pairs):
                for g in range(groups):
                    tile = p * groups + g
                    n = first + g * TARGET_LANES
                    tile_products(
                        work.errors,
                        tile,
                        x,
                        work.context,
                        p * CONTEXTS,
                        y,
                        work.target,
                        n,
                    )
            _to_errors(pairs, 0, first, work)
            for g in range(groups):
                target_sums(
                    work.gradients,
                    g * TARGETS,
                    work.squares,
                    g,
                    x,
                    work.context,
                    0,
                    pairs,
                    work.errors,
                    g,
                    groups,
                )
            for p in range(pairs):
                context_sums(
                    work.gradients,
                    k + p * CONTEXTS,
                    work.squares,
                    groups + p,
                    y,
                    work.target,
                    first,
                    groups,
                    work.errors,
                    p * groups,
                    1,
                )
            for a in range(c):
                square = work.squares[groups + a // CONTEXTS, a % CONTEXTS]
                _adagrad(
                    inputs, work.context[0, a], work.gradients, k + a, one, square, lr
                )
            for b in range(shape.targets):
                row = work.target[0, first + b // TARGETS * TARGET_LANES + b % TARGETS]
                square = work.squares[b // TARGETS, b % TARGETS]
                _adagrad(outputs, row, work.gradients, b, one, square, lr)


@compiled
def cbow(  # noqa: C901 - each function that loops are moved to is compiled longer
    draws: Draws,
    negatives: AliasTable,
    shape: Shape,
    inputs: Table,
    outputs: Table,
    lr: np.float32,
    work: Workspace,
) -> None:
    """One step for each window: the mean of its contexts should tell the center.

    It is a function of its own, as compiling costs seconds and few want both.
    """
    x = inputs.vectors
    y = outputs.vectors
    own = shape.dynamic + shape.targets - 1  # draws of a token
    groups = len(work.signs)
    mean = groups * TARGETS  # row of it in the gradients
    for s in range(len(draws.before)):
        low = draws.indptr[s]
        high = draws.indptr[s + 1]
        for ahead in range(low, high + 1):
            if (
                ahead < high
            ):  # what is drawn comes from memory while the token before is trained
                number = draws.before[s] + ahead * own
                draw_targets(ahead, number, draws, negatives, y, shape, work)
                prefetch_row(x, draws.token[min(ahead + shape.window, high - 1)])
            if ahead == low:
                continue
            c = _find_context(ahead - 1, low, high, draws, work)
            total = np.float32(work.sums[1])
            if total == 0:  # no context, or all of it too long ago
                continue
            pairs = (c + CONTEXTS - 1) // CONTEXTS
            first = groups * TARGET_LANES * ((ahead - 1) % 2)
            for p in range(pairs):
                for m in range(CONTEXTS):
                    work.weight[p, m] /= total
            weighted_sums(
                work.gradients,
                mean,
                work.squares,
                0,
                x,
                work.context,
                0,
                pairs,
                work.weight,
                0,
                1,
            )
            mean_square = work.squares[0, 0]
            for g in range(groups):
                n = first + g * TARGET_LANES
                row_products(work.errors, g, work.gradients, mean, y, work.target, n)
            work.weight[pairs, 0] = total / np.float32(c)  # of the mean
            work.weight[pairs, 1] = 0
            work.sums[0] += work.weight[pairs, 0]
            _to_errors(1, pairs, first, work)
            row_sums(
                work.gradients,
                mean + 1,
                work.squares,
                0,
                y,
                work.target,
                first,
                groups,
                work.errors,
                0,
                1,
            )
            square = work.squares[0, 0]
            for b in range(shape.targets):
                row = work.target[0, first + b // TARGETS * TARGET_LANES + b % TARGETS]
                error = work.errors[b // TARGETS, b % TARGETS]
                _adagrad(outputs, row, work.gradients, mean, error, mean_square, lr)
            for a in range(c):
                share = work.weight[a // CONTEXTS, a % CONTEXTS]
                _adagrad(
                    inputs,
                    work.context[0, a],
                    work.gradients,
                    mean + 1,
                    share,
                    square,
                    lr,
                )

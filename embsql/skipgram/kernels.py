"""Compiled loops of training with negative sampling.

A window is one step, as in pWord2Vec (Ji et al., 2016, "Parallelizing word2vec in shared and
distributed memory"): all its contexts meet the same few targets, the center and its negatives, so
that every row is read once for several products. Rows are as wide as a multiple of `LANES`; columns
beyond `dim` are zero and stay so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Float64, Int32, Int64
from embsql.numeric.compiler import compiled, merged
from embsql.numeric.vectors import add_scaled, dot, dots, weighted_sum

STEPS_PER_UNIT = 64  # entries of the tables of curves per unit of a score
MAX_SCORE = 12  # a score beyond it counts as it


class AliasTable(NamedTuple):
    """Walker's: a token drawn evenly is kept with a probability, else it becomes another token."""

    probability: Float32  # (n,)
    alias: Int32  # (n,)


class Windows(NamedTuple):
    """Tokens that subsampling kept, and what each of them meets."""

    token: Int32  # (t,)
    time: Float32  # (t,), or none where all is at once
    first: Int64  # (t,) the window of token i is token[first[i]:last[i]], but i itself
    last: Int64  # (t,)
    number: Int64  # (t,) of random numbers that were drawn before its negatives
    state: NDArray[np.uint64]  # (1,) that they all come from


class Table(NamedTuple):
    """Vectors, and the sum of squared gradients of each, by which Adagrad shortens its steps."""

    vectors: Float32  # (n, f)
    squares: Float32  # (n,)


class Curves(NamedTuple):
    """The logistic function, and softplus log(1 + e^x), up to MAX_SCORE either way."""

    logistic: Float32
    softplus: Float32


class Workspace(NamedTuple):
    """Room to compute in; targets t = 1 + negatives, contexts c = 2 window."""

    target: Int32  # (1, t) the center, then the negatives
    context: Int32  # (1, c)
    weight: Float32  # (1, c) of the contexts
    # (c, t) label less probability: how much each pair's score should rise
    errors: Float32
    errors_by_target: Float32  # (t, c) the same
    # (t + 2, f) of the targets, of an input, and for cbow the mean of the contexts
    gradients: Float32
    sums: Float64  # (2,) loss and number of pairs


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
            z = state  # SplitMix64, see sampling.random_bits
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            unit = np.float32(np.int64(z & np.uint64(0xFFFFFF)))
            is_kept[k] = unit * np.float32(1 / 0x1000000) < keep[token[k]]
            n += is_kept[k]
        state += golden * np.uint64(n * own)


@merged
def draw_targets(
    i: int, windows: Windows, negatives: AliasTable, target: Int32
) -> None:
    """Fill target (1, t): token i, and what SplitMix64 draws from its number on."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    state = windows.state[0] + golden * np.uint64(windows.number[i])
    n = np.uint64(len(negatives.probability))
    target[0, 0] = windows.token[i]
    for b in range(1, target.shape[1]):
        state += golden
        z = state  # as sampling.random_bits
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        token = np.int64(((z >> np.uint64(32)) * n) >> np.uint64(32))
        unit = np.float32(np.int64(z & np.uint64(0xFFFFFF))) * np.float32(1 / 0x1000000)
        if unit >= negatives.probability[token]:
            token = np.int64(negatives.alias[token])
        target[0, b] = token


# --- training ------------------------------------------------------------------------------------


@merged
def _find_context(i: int, windows: Windows, work: Workspace) -> int:
    """The tokens of the window of token i and their weights; how many there are."""
    c = 0
    for j in range(windows.first[i], windows.last[i]):
        if j != i:
            work.context[0, c] = windows.token[j]
            work.weight[0, c] = 1
            if len(windows.time):
                apart = abs(windows.time[i] - windows.time[j])
                work.weight[0, c] = np.exp2(-apart)
            c += 1
    return c


@merged
def _to_errors(a: int, curves: Curves, weight: np.float32, work: Workspace) -> None:
    """Turn scores errors[a] (t,) into label less probability, times weight.

    The first target has the label 1, the others 0. The loss is added to the sums.
    """
    last = len(curves.softplus) - 1
    for b in range(work.target.shape[1]):
        x = (work.errors[a, b] + np.float32(MAX_SCORE)) * np.float32(STEPS_PER_UNIT)
        entry = np.int64(min(max(x, np.float32(0)), np.float32(last)))
        error = np.float32(0)  # of a negative that is the center itself
        if b == 0:
            error = weight * (np.float32(1) - curves.logistic[entry])
            work.sums[0] += weight * curves.softplus[last - entry]
        elif work.target[0, b] != work.target[0, 0]:
            error = -weight * curves.logistic[entry]
            work.sums[0] += weight * curves.softplus[entry]
        work.errors[a, b] = error
        work.errors_by_target[b, a] = error
    work.sums[1] += weight


@merged
def _adagrad(
    table: Table,
    row: int,
    gradients: Float32,
    k: int,
    scale: np.float32,
    lr: np.float32,
) -> None:
    """Move a row by scale * gradients[k], shortened by Adagrad: one rate for a whole row."""
    square = table.squares[row] + dot(gradients, k, gradients, k) * scale * scale
    table.squares[row] = square
    add_scaled(table.vectors, row, scale * lr / np.sqrt(square), gradients, k)


@compiled
def skipgram(
    windows: Windows,
    negatives: AliasTable,
    inputs: Table,
    outputs: Table,
    curves: Curves,
    lr: np.float32,
    work: Workspace,
) -> None:
    """One step for each window: each of its contexts should tell the center from its negatives."""
    targets = work.target.shape[1]
    for i in range(len(windows.token)):
        c = _find_context(i, windows, work)
        draw_targets(i, windows, negatives, work.target)
        for a in range(c):
            row = work.context[0, a]
            dots(work.errors, a, outputs.vectors, work.target, 0, inputs.vectors, row)
            _to_errors(a, curves, work.weight[0, a], work)
        for b in range(targets if c else 0):
            weighted_sum(
                work.gradients,
                b,
                inputs.vectors,
                work.context,
                0,
                c,
                work.errors_by_target,
                b,
            )
        for a in range(c):
            weighted_sum(
                work.gradients,
                targets,
                outputs.vectors,
                work.target,
                0,
                targets,
                work.errors,
                a,
            )
            row = work.context[0, a]
            _adagrad(inputs, row, work.gradients, targets, np.float32(1), lr)
        for b in range(targets if c else 0):
            row = work.target[0, b]
            _adagrad(outputs, row, work.gradients, b, np.float32(1), lr)


@compiled
def cbow(
    windows: Windows,
    negatives: AliasTable,
    inputs: Table,
    outputs: Table,
    curves: Curves,
    lr: np.float32,
    work: Workspace,
) -> None:
    """One step for each window: the mean of its contexts should tell the center.

    It is a function of its own, as compiling costs seconds and few want both.
    """
    targets = work.target.shape[1]
    mean = targets + 1
    for i in range(len(windows.token)):
        c = _find_context(i, windows, work)
        draw_targets(i, windows, negatives, work.target)
        total = np.float32(0)
        for a in range(c):
            total += work.weight[0, a]
        if total == 0:  # no context, or all of it too long ago
            continue
        for a in range(c):
            work.weight[0, a] /= total
        weighted_sum(
            work.gradients, mean, inputs.vectors, work.context, 0, c, work.weight, 0
        )
        dots(work.errors, 0, outputs.vectors, work.target, 0, work.gradients, mean)
        _to_errors(0, curves, total / np.float32(c), work)
        weighted_sum(
            work.gradients,
            targets,
            outputs.vectors,
            work.target,
            0,
            targets,
            work.errors,
            0,
        )
        for b in range(targets):
            row = work.target[0, b]
            _adagrad(outputs, row, work.gradients, mean, work.errors[0, b], lr)
        for a in range(c):
            row = work.context[0, a]
            _adagrad(inputs, row, work.gradients, targets, work.weight[0, a], lr)

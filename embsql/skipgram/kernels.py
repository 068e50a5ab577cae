"""Compiled loops of training with negative sampling.

A window is one step, as in pWord2Vec (Ji et al., 2016, "Parallelizing word2vec in shared and
distributed memory"): all its contexts meet the same few targets, the center and its negatives, so
that every row is read once for several products. Rows are as wide as a multiple of `LANES`; columns
beyond `dim` are zero and stay so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Float64, Int32, Int64
from embsql.numeric.compiler import compiled, inlined

UInt64 = NDArray[np.uint64]

LANES = 16  # floats in a vector register
STEPS_PER_UNIT = 64  # entries of the tables of curves per unit of a score
MAX_SCORE = 12  # a score beyond it counts as it


class Table(NamedTuple):
    """Vectors, and the sum of squared gradients of each, by which Adagrad shortens its steps."""

    vectors: Float32  # (n, f)
    squares: Float32  # (n,)


class AliasTable(NamedTuple):
    """Walker's: a token drawn evenly is kept with a probability, else it becomes another token."""

    probability: Float32  # (n,)
    alias: Int32  # (n,)


class Curves(NamedTuple):
    """The logistic function, and softplus log(1 + e^x), up to MAX_SCORE either way."""

    logistic: Float32
    softplus: Float32


class StepSettings(NamedTuple):
    """How to train."""

    window: int
    dynamic_window: bool
    lr: np.float32


class Workspace(NamedTuple):
    """Room to compute in; targets t = 1 + negatives, contexts c = 2 window, longest sequence s."""

    kept: Int32  # (s,) tokens that subsampling kept
    kept_time: Float32  # (s,) their times
    context: Int32  # (c,)
    context_weight: Float32  # (c,)
    target: Int32  # (t,) the center, then the negatives
    errors: (
        Float32  # (t, c) label less probability: how much each pair's score should rise
    )
    error: Float32  # (t,) the same of one context, or of the mean of all
    input_gradient: Float32  # (f,)
    context_mean: Float32  # (f,)
    output_gradients: Float32  # (t, f)
    state: UInt64  # (1,) of the random numbers
    sums: Float64  # (2,) loss and number of pairs


# --- random numbers ------------------------------------------------------------------------------


@inlined
def _random(state: UInt64) -> Any:
    """The next 64 random bits: splitmix64 (Steele, Lea and Flood, 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def _below(bits: Any, n: int) -> Any:
    """A number below n, from the upper half of random bits."""
    return np.int64(((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@inlined
def _unit(bits: Any) -> np.float32:
    """A number in [0, 1), from the lower 24 of random bits."""
    return np.float32(np.int64(bits & np.uint64(0xFFFFFF))) * np.float32(1 / 0x1000000)


@compiled
def build_alias_table(scaled: Float64, stack: Int64, table: AliasTable) -> None:
    """Fill a table for probabilities (n,) that are scaled to a mean of 1, and used up (Vose, 1991).

    On the stack (n,) those below 1 grow from the left, the others from the right.
    """
    n = len(scaled)
    small = 0
    large = n
    for i in range(n):
        table.probability[i] = 1
        table.alias[i] = i
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
        table.probability[taker] = scaled[taker]
        table.alias[taker] = giver
        scaled[giver] -= 1 - scaled[taker]
        if scaled[giver] < 1:
            stack[small] = giver
            small += 1
            large += 1


@inlined
def _draw(negatives: AliasTable, state: UInt64) -> Any:
    """A random token."""
    bits = _random(state)
    token = _below(bits, len(negatives.probability))
    return (
        token if _unit(bits) < negatives.probability[token] else negatives.alias[token]
    )


@compiled
def draws(negatives: AliasTable, state: UInt64, out: Int32) -> None:
    """Random tokens (m,)."""
    for k in range(len(out)):
        out[k] = _draw(negatives, state)


# --- vectors -------------------------------------------------------------------------------------


@inlined
def _dots(table: Float32, rows: Int32, n: int, vector: Float32, out: Float32) -> None:
    """Products of rows[:n] of a table with a vector (f,): out[:n].

    Six at a time share its reading, or two.
    """
    k = 0
    while k + 6 <= n:
        a = rows[k]
        b = rows[k + 1]
        c = rows[k + 2]
        d = rows[k + 3]
        e = rows[k + 4]
        f = rows[k + 5]
        u = v = w = x = y = z = np.float32(0)
        for j in range(len(vector)):
            u += table[a, j] * vector[j]
            v += table[b, j] * vector[j]
            w += table[c, j] * vector[j]
            x += table[d, j] * vector[j]
            y += table[e, j] * vector[j]
            z += table[f, j] * vector[j]
        out[k] = u
        out[k + 1] = v
        out[k + 2] = w
        out[k + 3] = x
        out[k + 4] = y
        out[k + 5] = z
        k += 6
    while k + 2 <= n:
        a = rows[k]
        b = rows[k + 1]
        x = y = np.float32(0)
        for j in range(len(vector)):
            x += table[a, j] * vector[j]
            y += table[b, j] * vector[j]
        out[k] = x
        out[k + 1] = y
        k += 2
    if k < n:
        a = rows[k]
        x = np.float32(0)
        for j in range(len(vector)):
            x += table[a, j] * vector[j]
        out[k] = x


@inlined
def _weighted_sum(
    table: Float32, rows: Int32, n: int, weight: Float32, out: Float32
) -> None:
    """Weighted sum of rows[:n] of a table: out (f,); six at a time share a store, or two."""
    for j in range(len(out)):
        out[j] = 0
    k = 0
    while k + 6 <= n:
        a = rows[k]
        b = rows[k + 1]
        c = rows[k + 2]
        d = rows[k + 3]
        e = rows[k + 4]
        f = rows[k + 5]
        u = weight[k]
        v = weight[k + 1]
        w = weight[k + 2]
        x = weight[k + 3]
        y = weight[k + 4]
        z = weight[k + 5]
        for j in range(len(out)):
            out[j] += (
                u * table[a, j]
                + v * table[b, j]
                + w * table[c, j]
                + x * table[d, j]
                + y * table[e, j]
                + z * table[f, j]
            )
        k += 6
    while k + 2 <= n:
        a = rows[k]
        b = rows[k + 1]
        x = weight[k]
        y = weight[k + 1]
        for j in range(len(out)):
            out[j] += x * table[a, j] + y * table[b, j]
        k += 2
    if k < n:
        a = rows[k]
        x = weight[k]
        for j in range(len(out)):
            out[j] += x * table[a, j]


@inlined
def _adagrad(
    table: Table, row: int, gradient: Float32, scale: np.float32, lr: np.float32
) -> None:
    """Move a row by scale * gradient (f,), shortened by Adagrad: one rate for a whole row."""
    total = np.float32(0)
    for j in range(len(gradient)):
        total += gradient[j] * gradient[j]
    square = table.squares[row] + total * scale * scale
    table.squares[row] = square
    rate = scale * lr / np.sqrt(square)
    for j in range(len(gradient)):
        table.vectors[row, j] += rate * gradient[j]


# --- training ------------------------------------------------------------------------------------


@inlined
def _errors_and_loss(
    score: Float32, work: Workspace, curves: Curves, weight: np.float32
) -> None:
    """Turn scores (t,) of the targets into errors, label less probability, times weight.

    The first has the label 1, the others 0. The loss is added to the sums.
    """
    for b in range(len(score)):
        x = min(max(score[b], np.float32(-MAX_SCORE)), np.float32(MAX_SCORE))
        entry = np.int64((x + np.float32(MAX_SCORE)) * np.float32(STEPS_PER_UNIT))
        if b == 0:
            score[b] = weight * (np.float32(1) - curves.logistic[entry])
            work.sums[0] += weight * curves.softplus[len(curves.softplus) - 1 - entry]
        elif work.target[b] != work.target[0]:
            score[b] = -weight * curves.logistic[entry]
            work.sums[0] += weight * curves.softplus[entry]
        else:  # a negative that is the center itself
            score[b] = 0
    work.sums[1] += weight


@inlined
def _skipgram(
    c: int,
    inputs: Table,
    outputs: Table,
    curves: Curves,
    work: Workspace,
    lr: np.float32,
) -> None:
    """One step: each of c contexts should tell the center from its negatives."""
    targets = len(work.target)
    error = work.error
    for a in range(c):
        _dots(
            outputs.vectors,
            work.target,
            targets,
            inputs.vectors[work.context[a]],
            error,
        )
        _errors_and_loss(error, work, curves, work.context_weight[a])
        for b in range(targets):
            work.errors[b, a] = error[b]
    for b in range(targets):
        gradient = work.output_gradients[b]
        _weighted_sum(inputs.vectors, work.context, c, work.errors[b], gradient)
    for a in range(c):
        for b in range(targets):
            error[b] = work.errors[b, a]
        _weighted_sum(outputs.vectors, work.target, targets, error, work.input_gradient)
        _adagrad(inputs, work.context[a], work.input_gradient, np.float32(1), lr)
    for b in range(targets):
        _adagrad(outputs, work.target[b], work.output_gradients[b], np.float32(1), lr)


@inlined
def _cbow(
    c: int,
    inputs: Table,
    outputs: Table,
    curves: Curves,
    work: Workspace,
    lr: np.float32,
) -> None:
    """One step: the mean of c contexts should tell the center from its negatives."""
    targets = len(work.target)
    total = np.float32(0)
    for a in range(c):
        total += work.context_weight[a]
    if total == 0:  # all of them too long ago
        return
    for a in range(c):
        work.context_weight[a] /= total
    mean = work.context_mean
    error = work.error
    _weighted_sum(inputs.vectors, work.context, c, work.context_weight, mean)
    _dots(outputs.vectors, work.target, targets, mean, error)
    _errors_and_loss(error, work, curves, total / np.float32(c))
    _weighted_sum(outputs.vectors, work.target, targets, error, work.input_gradient)
    for b in range(targets):
        _adagrad(outputs, work.target[b], mean, error[b], lr)
    for a in range(c):
        _adagrad(
            inputs, work.context[a], work.input_gradient, work.context_weight[a], lr
        )


@inlined
def _subsample(
    low: int, high: int, token: Int32, time: Float32, keep: Float32, work: Workspace
) -> int:
    """Copy the tokens low..high that subsampling keeps; returns how many.

    No `keep` keeps all, no `time` is all at once.
    """
    n = 0
    for k in range(low, high):
        if len(keep) == 0 or _unit(_random(work.state)) < keep[token[k]]:
            work.kept[n] = token[k]
            if len(time) > 0:
                work.kept_time[n] = time[k]
            n += 1
    return n


@inlined
def _sample_window(
    i: int,
    n: int,
    timed: bool,
    negatives: AliasTable,
    settings: StepSettings,
    work: Workspace,
) -> int:
    """Find the contexts of position i of n kept tokens, their weights, and the targets.

    Returns how many contexts.
    """
    reach = settings.window
    if settings.dynamic_window:
        reach = 1 + _below(_random(work.state), settings.window)
    c = 0
    for j in range(max(0, i - reach), min(n, i + reach + 1)):
        if j != i:
            work.context[c] = work.kept[j]
            work.context_weight[c] = np.float32(1)
            if timed:
                apart = abs(work.kept_time[i] - work.kept_time[j])
                work.context_weight[c] = np.exp2(-apart)
            c += 1
    work.target[0] = work.kept[i]
    for k in range(1, len(work.target)):
        work.target[k] = _draw(negatives, work.state)
    return c


@compiled
def skipgram(
    low: int,
    high: int,
    indptr: Int64,
    token: Int32,
    time: Float32,
    keep: Float32,
    negatives: AliasTable,
    curves: Curves,
    settings: StepSettings,
    inputs: Table,
    outputs: Table,
    work: Workspace,
) -> None:
    """Train on sequences low..high, one step for each of their tokens; adds to the sums."""
    for s in range(low, high):
        n = _subsample(indptr[s], indptr[s + 1], token, time, keep, work)
        for i in range(n):
            c = _sample_window(i, n, len(time) > 0, negatives, settings, work)
            if c > 0:
                _skipgram(c, inputs, outputs, curves, work, settings.lr)


@compiled
def cbow(
    low: int,
    high: int,
    indptr: Int64,
    token: Int32,
    time: Float32,
    keep: Float32,
    negatives: AliasTable,
    curves: Curves,
    settings: StepSettings,
    inputs: Table,
    outputs: Table,
    work: Workspace,
) -> None:
    """The same for CBOW: a function of its own, as compiling costs seconds and few want both."""
    for s in range(low, high):
        n = _subsample(indptr[s], indptr[s + 1], token, time, keep, work)
        for i in range(n):
            c = _sample_window(i, n, len(time) > 0, negatives, settings, work)
            if c > 0:
                _cbow(c, inputs, outputs, curves, work, settings.lr)


@compiled
def average_copies(
    low: int, high: int, table: Table, copies: tuple[Table, ...]
) -> None:
    """Set rows low..high of the table to the mean of its copies, and the copies to it.

    A copy counts by the squares of its new gradients: a row that one copy trained becomes that
    copy's.
    """
    for row in range(low, high):
        previous = table.squares[row]
        gained = np.float32(0)
        gained_squared = np.float32(0)
        for k in range(len(copies)):
            own = copies[k].squares[row] - previous
            gained += own
            gained_squared += own * own
        if gained == 0:  # no copy trained it
            continue
        for j in range(table.vectors.shape[1]):
            mean = np.float32(0)
            for k in range(len(copies)):
                share = (copies[k].squares[row] - previous) / gained
                mean += share * copies[k].vectors[row, j]
            table.vectors[row, j] = mean
        table.squares[row] += gained_squared / gained
        for k in range(len(copies)):
            copies[k].squares[row] = table.squares[row]
            for j in range(table.vectors.shape[1]):
                copies[k].vectors[row, j] = table.vectors[row, j]

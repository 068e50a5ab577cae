"""Compiled loops of training with negative sampling.

A window is one step, as in pWord2Vec (Ji et al., 2016, "Parallelizing word2vec in shared and
distributed memory"): all its contexts meet the same few targets, the centre and its negatives, so
that every row is read once for several products. Rows are as wide as a multiple of `LANES`; columns
beyond `dim` are zero and stay so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64
from embsql.numeric.kernels import compiled, inlined

UInt64 = NDArray[np.uint64]
Float64 = NDArray[np.float64]

LANES = 16  # floats in a vector register
STEPS = 64  # entries of the tables of curves per unit of a score
LIMIT = 12  # a score beyond it counts as it


class Table(NamedTuple):
    """Vectors, and for each the sum of its squared gradients, by which Adagrad shortens its steps."""

    vectors: Float32  # (n, f)
    squares: Float32  # (n,)


class Noise(NamedTuple):
    """Walker's alias table: an even draw is kept with a chance, else it becomes another token."""

    chance: Float32  # (n,)
    other: Int32  # (n,)


class Curves(NamedTuple):
    """The logistic function and the loss log(1 + e^x), STEPS per unit from -LIMIT to LIMIT."""

    logistic: Float32
    loss: Float32


class Rule(NamedTuple):
    """How to train."""

    window: int
    dynamic: bool
    lr: np.float32


class Work(NamedTuple):
    """Room to compute in; targets t = 1 + negatives, contexts c = 2 window, longest sequence s."""

    kept: Int32  # (s,) tokens that subsampling kept
    when: Float32  # (s,) their times
    context: Int32  # (c,)
    weight: Float32  # (c,) of the contexts
    target: Int32  # (t,)
    push: Float32  # (t, c) how much each pair's score should rise
    pull: Float32  # (t,) the same of one context, or of the mean of all
    step: Float32  # (f,) gradient of an input
    mean: Float32  # (f,) of the contexts
    steps: Float32  # (t, f) gradients of the targets
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
def alias(scaled: Float64, stack: Int64, noise: Noise) -> None:
    """Fill an alias table for probabilities (n,) that are scaled to a mean of 1 and used up (Vose,
    1991).
    """
    n = len(scaled)
    small, large = (
        0,
        n,
    )  # the stack of those below 1 grows from the left, that of the others from the right
    for i in range(n):
        noise.chance[i], noise.other[i] = 1, i
        if scaled[i] < 1:
            stack[small] = i
            small += 1
        else:
            large -= 1
            stack[large] = i
    while small > 0 and large < n:
        small -= 1
        lack, have = stack[small], stack[large]
        noise.chance[lack], noise.other[lack] = scaled[lack], have
        scaled[have] -= 1 - scaled[lack]
        if scaled[have] < 1:
            stack[small] = have
            small += 1
            large += 1


@inlined
def _draw(noise: Noise, state: UInt64) -> Any:
    """A random token."""
    bits = _random(state)
    token = _below(bits, len(noise.chance))
    return token if _unit(bits) < noise.chance[token] else noise.other[token]


@compiled
def draws(noise: Noise, state: UInt64, out: Int32) -> None:
    """Random tokens (m,)."""
    for k in range(len(out)):
        out[k] = _draw(noise, state)


# --- vectors -------------------------------------------------------------------------------------


@inlined
def _dots(table: Float32, rows: Int32, n: int, vector: Float32, out: Float32) -> None:
    """Products of rows[:n] of a table with a vector (f,): out[:n].

    Six at a time share its reading, or two.
    """
    k = 0
    while k + 6 <= n:
        a, b, c, d, e, f = rows[k], rows[k + 1], rows[k + 2], rows[k + 3], rows[k + 4], rows[k + 5]
        u = v = w = x = y = z = np.float32(0)
        for j in range(len(vector)):
            u += table[a, j] * vector[j]
            v += table[b, j] * vector[j]
            w += table[c, j] * vector[j]
            x += table[d, j] * vector[j]
            y += table[e, j] * vector[j]
            z += table[f, j] * vector[j]
        out[k], out[k + 1], out[k + 2], out[k + 3], out[k + 4], out[k + 5] = u, v, w, x, y, z
        k += 6
    while k + 2 <= n:
        a, b = rows[k], rows[k + 1]
        x = y = np.float32(0)
        for j in range(len(vector)):
            x += table[a, j] * vector[j]
            y += table[b, j] * vector[j]
        out[k], out[k + 1] = x, y
        k += 2
    if k < n:
        a, x = rows[k], np.float32(0)
        for j in range(len(vector)):
            x += table[a, j] * vector[j]
        out[k] = x


@inlined
def _sum(table: Float32, rows: Int32, n: int, weight: Float32, out: Float32) -> None:
    """Weighted sum of rows[:n] of a table: out (f,); six at a time share a store, or two."""
    for j in range(len(out)):
        out[j] = 0
    k = 0
    while k + 6 <= n:
        a, b, c, d, e, f = rows[k], rows[k + 1], rows[k + 2], rows[k + 3], rows[k + 4], rows[k + 5]
        u, v, w, x, y, z = (
            weight[k],
            weight[k + 1],
            weight[k + 2],
            weight[k + 3],
            weight[k + 4],
            weight[k + 5],
        )
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
        a, b = rows[k], rows[k + 1]
        x, y = weight[k], weight[k + 1]
        for j in range(len(out)):
            out[j] += x * table[a, j] + y * table[b, j]
        k += 2
    if k < n:
        a, x = rows[k], weight[k]
        for j in range(len(out)):
            out[j] += x * table[a, j]


@inlined
def _move(table: Table, row: int, step: Float32, scale: np.float32, lr: np.float32) -> None:
    """Add scale * step (f,) to a row, shortened by Adagrad: one rate for a whole row."""
    total = np.float32(0)
    for j in range(len(step)):
        total += step[j] * step[j]
    square = table.squares[row] + total * scale * scale
    table.squares[row] = square
    rate = scale * lr / np.sqrt(square)
    for j in range(len(step)):
        table.vectors[row, j] += rate * step[j]


# --- training ------------------------------------------------------------------------------------


@inlined
def _pushes(score: Float32, work: Work, curves: Curves, weight: np.float32) -> None:
    """Turn scores (t,) of the targets into how much each should rise: the first is wanted, the
    others are not.
    """
    for b in range(len(score)):
        x = min(max(score[b], np.float32(-LIMIT)), np.float32(LIMIT))
        place = np.int64((x + np.float32(LIMIT)) * np.float32(STEPS))
        if b == 0:
            score[b] = weight * (np.float32(1) - curves.logistic[place])
            work.sums[0] += weight * curves.loss[len(curves.loss) - 1 - place]
        elif work.target[b] != work.target[0]:
            score[b] = -weight * curves.logistic[place]
            work.sums[0] += weight * curves.loss[place]
        else:  # a negative that is the centre itself
            score[b] = 0
    work.sums[1] += weight


@inlined
def _skipgram(
    c: int, inputs: Table, outputs: Table, curves: Curves, work: Work, lr: np.float32
) -> None:
    """One step: each of c contexts should tell the centre from its negatives."""
    targets, score = len(work.target), work.pull
    for a in range(c):
        _dots(outputs.vectors, work.target, targets, inputs.vectors[work.context[a]], score)
        _pushes(score, work, curves, work.weight[a])
        for b in range(targets):
            work.push[b, a] = score[b]
    for b in range(targets):
        _sum(inputs.vectors, work.context, c, work.push[b], work.steps[b])
    for a in range(c):
        for b in range(targets):
            work.pull[b] = work.push[b, a]
        _sum(outputs.vectors, work.target, targets, work.pull, work.step)
        _move(inputs, work.context[a], work.step, np.float32(1), lr)
    for b in range(targets):
        _move(outputs, work.target[b], work.steps[b], np.float32(1), lr)


@inlined
def _cbow(
    c: int, inputs: Table, outputs: Table, curves: Curves, work: Work, lr: np.float32
) -> None:
    """One step: the mean of c contexts should tell the centre from its negatives."""
    targets, total = len(work.target), np.float32(0)
    for a in range(c):
        total += work.weight[a]
    if total == 0:  # all of them too long ago
        return
    for a in range(c):
        work.weight[a] /= total
    _sum(inputs.vectors, work.context, c, work.weight, work.mean)
    _dots(outputs.vectors, work.target, targets, work.mean, work.pull)
    _pushes(work.pull, work, curves, total / np.float32(c))
    _sum(outputs.vectors, work.target, targets, work.pull, work.step)
    for b in range(targets):
        _move(outputs, work.target[b], work.mean, work.pull[b], lr)
    for a in range(c):
        _move(inputs, work.context[a], work.step, work.weight[a], lr)


@inlined
def _keep(low: int, high: int, token: Int32, time: Float32, keep: Float32, work: Work) -> int:
    """Copy the tokens low..high that subsampling keeps; how many.

    No `keep` keeps all, no `time` is all at once.
    """
    n = 0
    for k in range(low, high):
        if len(keep) == 0 or _unit(_random(work.state)) < keep[token[k]]:
            work.kept[n] = token[k]
            if len(time) > 0:
                work.when[n] = time[k]
            n += 1
    return n


@inlined
def _window(i: int, n: int, timed: bool, noise: Noise, rule: Rule, work: Work) -> int:
    """Find the contexts of position i of n kept tokens, their weights, and the targets.

    How many contexts.
    """
    reach = 1 + _below(_random(work.state), rule.window) if rule.dynamic else rule.window
    c = 0
    for j in range(max(0, i - reach), min(n, i + reach + 1)):
        if j != i:
            work.context[c] = work.kept[j]
            work.weight[c] = np.exp2(-abs(work.when[i] - work.when[j])) if timed else np.float32(1)
            c += 1
    work.target[0] = work.kept[i]
    for k in range(1, len(work.target)):
        work.target[k] = _draw(noise, work.state)
    return c


@compiled
def skipgram(
    low: int,
    high: int,
    start: Int64,
    token: Int32,
    time: Float32,
    keep: Float32,
    noise: Noise,
    curves: Curves,
    rule: Rule,
    inputs: Table,
    outputs: Table,
    work: Work,
) -> None:
    """Train on sequences low..high, one step for each of their tokens; adds to the sums."""
    for s in range(low, high):
        n = _keep(start[s], start[s + 1], token, time, keep, work)
        for i in range(n):
            c = _window(i, n, len(time) > 0, noise, rule, work)
            if c > 0:
                _skipgram(c, inputs, outputs, curves, work, rule.lr)


@compiled
def cbow(
    low: int,
    high: int,
    start: Int64,
    token: Int32,
    time: Float32,
    keep: Float32,
    noise: Noise,
    curves: Curves,
    rule: Rule,
    inputs: Table,
    outputs: Table,
    work: Work,
) -> None:
    """The same, for CBOW: a function of its own, because compiling costs seconds and few want both."""
    for s in range(low, high):
        n = _keep(start[s], start[s + 1], token, time, keep, work)
        for i in range(n):
            c = _window(i, n, len(time) > 0, noise, rule, work)
            if c > 0:
                _cbow(c, inputs, outputs, curves, work, rule.lr)


@compiled
def merge(low: int, high: int, table: Table, copies: tuple[Table, ...]) -> None:
    """Set rows low..high of the table to the mean of its copies, and the copies to it.

    A copy counts by the squares of its new gradients: a row that one copy met becomes that copy's.
    """
    for row in range(low, high):
        before, gain, squared = table.squares[row], np.float32(0), np.float32(0)
        for k in range(len(copies)):
            own = copies[k].squares[row] - before
            gain += own
            squared += own * own
        if gain == 0:  # nobody met it
            continue
        for j in range(table.vectors.shape[1]):
            mean = np.float32(0)
            for k in range(len(copies)):
                mean += (copies[k].squares[row] - before) / gain * copies[k].vectors[row, j]
            table.vectors[row, j] = mean
        table.squares[row] += squared / gain
        for k in range(len(copies)):
            copies[k].squares[row] = table.squares[row]
            for j in range(table.vectors.shape[1]):
                copies[k].vectors[row, j] = table.vectors[row, j]

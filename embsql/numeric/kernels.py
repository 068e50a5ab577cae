"""Compiled loops over rows, shared by the algorithms that factorize a sparse matrix.

They take tables and row numbers rather than views of rows, hold no reference counts (`_nrt`) and
release the GIL: counting references of shared arrays costs more than the arithmetic. Each is one
function, as every function that is called is compiled by itself and again in its caller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from embsql.data import Float32, Float64, Int32, Int64
from embsql.numeric.compiler import compiled
from embsql.numeric.vectors import add_scaled, add_scaled_squares, dot, prefetch_row

# pairs by which the rows of a table are asked for before they are needed: hides the latency of
# memory
PREFETCH_DISTANCE = 8
TINY = 1e-30  # less than any loss or penalty that counts
# rows of the table that `solve` works in
DIAGONAL, PRECONDITIONER, RESIDUAL, DIRECTION, PRODUCT = range(5)


class Terms(NamedTuple):
    """How the weight of a pair becomes its confidence and its target; see `Objective`."""

    confidence_offset: np.float32
    confidence_scale: np.float32
    target_offset: np.float32


# --- sparse --------------------------------------------------------------------------------------


@compiled
def multiply_rows(
    low: int,
    high: int,
    indptr: Int64,
    indices: Int32,
    data: Float32,
    table: Float32,
    out: Float32,
) -> None:
    """Add rows low..high of a sparse matrix times table (m, f) to out (n, f)."""
    for row in range(low, high):
        for k in range(indptr[row], indptr[row + 1]):
            if k + PREFETCH_DISTANCE < len(indices):
                prefetch_row(table, indices[k + PREFETCH_DISTANCE])
            add_scaled(out, row, data[k], table, indices[k])


@compiled
def transpose_rows(
    indptr: Int64,
    indices: Int32,
    data: Float32,
    cursor: Int64,
    rows: Int32,
    values: Float32,
) -> None:
    """Write the rows and values of the pairs by column; rows alone where values have no room.

    cursor (m,) is where each column's pairs begin, and afterwards where they end.
    """
    for row in range(len(indptr) - 1):
        for k in range(indptr[row], indptr[row + 1]):
            column = indices[k]
            position = cursor[column]
            rows[position] = row
            if len(values):
                values[position] = data[k]
            cursor[column] = position + 1


# --- alternating least squares -------------------------------------------------------------------


@compiled
def solve(  # noqa: C901 - what it would call would be compiled twice
    low: int,
    high: int,
    indptr: Int64,
    indices: Int32,
    weight: Float32,
    fixed: Float32,
    solved: Float32,
    prior: Float32,
    diagonal: Float32,
    penalties: Float32,
    terms: Terms,
    cg_steps: int,
    work: Float32,
    sums: Float64,
) -> None:
    """Improve rows low..high of solved (n, f) by preconditioned conjugate gradients.

    A row x minimizes x' A x - 2 b' x + penalty |prior|^2, where Z are the fixed rows of its pairs:

        A = diag(diagonal + penalty) + Z' C Z,    b = Z' target + penalty prior

    `sums` (2,) gains this loss and the penalty x' x of every row. The loss is computed once, at the
    x that a row starts from, term by term along with the residual r = b - A x. After that nothing
    is computed again: a step of length alpha = rho / p' A p to the minimum along p, where
    rho = r' M^-1 r, lowers it by alpha rho. The prior is (n, f), or one row (1, f) for all.
    """
    width = solved.shape[1]
    for row in range(low, high):
        first = indptr[row]
        last = indptr[row + 1]
        penalty = penalties[row]
        own = row % len(prior)
        loss = np.float32(0)
        for j in range(width):
            d = diagonal[j] + penalty
            x = solved[row, j]
            mean = prior[own, j]
            work[DIAGONAL, j] = d
            # not 0 where nothing is seen and reg is 0
            work[PRECONDITIONER, j] = d + np.float32(TINY)
            work[RESIDUAL, j] = penalty * mean - d * x
            work[DIRECTION, j] = 0
            loss += d * x * x + penalty * mean * (mean - 2 * x)
        for k in range(first, last):
            if k + PREFETCH_DISTANCE < len(indices):
                prefetch_row(fixed, indices[k + PREFETCH_DISTANCE])
            i = indices[k]
            confidence = terms.confidence_offset + terms.confidence_scale * weight[k]
            target = terms.target_offset + weight[k]
            score = dot(fixed, i, solved, row)
            loss += score * (confidence * score - 2 * target)
            add_scaled(work, RESIDUAL, target - confidence * score, fixed, i)
            add_scaled_squares(work, PRECONDITIONER, confidence, fixed, i)
        direction = DIRECTION
        product = PRODUCT
        rho = np.float32(1)
        for _ in range(cg_steps):
            previous_rho = rho
            rho = np.float32(0)
            for j in range(width):
                work[product, j] = work[RESIDUAL, j] / work[PRECONDITIONER, j]
                rho += work[RESIDUAL, j] * work[product, j]
            if rho <= TINY:  # solved
                break
            add_scaled(work, product, rho / previous_rho, work, direction)
            direction, product = product, direction
            for j in range(width):
                work[product, j] = work[DIAGONAL, j] * work[direction, j]
            for k in range(first, last):
                if k + PREFETCH_DISTANCE < len(indices):
                    prefetch_row(fixed, indices[k + PREFETCH_DISTANCE])
                i = indices[k]
                confidence = (
                    terms.confidence_offset + terms.confidence_scale * weight[k]
                )
                scaled = confidence * dot(fixed, i, work, direction)
                add_scaled(work, product, scaled, fixed, i)
            alpha = rho / dot(work, direction, work, product)
            loss -= alpha * rho
            add_scaled(solved, row, alpha, work, direction)
            add_scaled(work, RESIDUAL, -alpha, work, product)
        sums[0] += loss
        sums[1] += penalty * dot(solved, row, solved, row)

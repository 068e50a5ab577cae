"""Compiled loops over rows, shared by the algorithms that factorize a sparse matrix.

All compiled functions that call one another live in this file, because a cached caller is not
rebuilt when only its callee's file changes. They take tables and row numbers rather than views of
rows, hold no reference counts (`_nrt`) and release the GIL: counting references of shared arrays
costs more than the arithmetic.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # publishes no types
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from embsql.data import Float32, Float64, Int32, Int64
from embsql.numeric.compiler import compiled, inlined

# pairs by which the rows of a table are asked for before they are needed: hides the latency of
# memory
PREFETCH_DISTANCE = 8
FLOATS_PER_CACHE_LINE = 16
TINY = 1e-30  # less than any loss or penalty that counts


class Terms(NamedTuple):
    """How the weight of a pair becomes its confidence and its target; see `Objective`."""

    confidence_offset: np.float32
    confidence_scale: np.float32
    target_offset: np.float32


@intrinsic
def prefetch(_typing: Any, table: Any, row: Any, column: Any) -> Any:
    """Ask the memory for table[row, column] without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        table_type, *index_types = signature.args
        array = make_array(table_type)(context, builder, values[0])
        indices = [
            context.cast(builder, value, index_type, types.intp)
            for value, index_type in zip(values[1:], index_types, strict=True)
        ]
        item = cgutils.get_item_pointer(context, builder, table_type, array, indices)
        _call_prefetch(builder, item)
        return context.get_dummy_value()

    return types.void(table, row, column), generate


def _call_prefetch(builder: Any, pointer: Any) -> None:
    """Emit LLVM's prefetch of data at a pointer, to be read and to stay in every cache."""
    byte_pointer = ir.IntType(8).as_pointer()
    int32 = ir.IntType(32)
    signature = ir.FunctionType(ir.VoidType(), [byte_pointer, int32, int32, int32])
    function = cgutils.get_or_insert_function(
        builder.module, signature, "llvm.prefetch.p0i8"
    )
    read, keep, data = int32(0), int32(3), int32(1)
    builder.call(function, [builder.bitcast(pointer, byte_pointer), read, keep, data])


@inlined
def _prefetch_row(table: Float32, indices: Int32, k: int) -> None:
    """Prefetch the row of the table that pair k + PREFETCH_DISTANCE will read."""
    row = indices[min(k + PREFETCH_DISTANCE, len(indices) - 1)]
    for j in range(0, table.shape[1], FLOATS_PER_CACHE_LINE):
        prefetch(table, row, j)


@inlined
def _dot(a: Float32, b: Float32) -> np.float32:
    """Inner product of two vectors (f,)."""
    total = np.float32(0)
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@inlined
def _row_dot(table: Float32, i: int, b: Float32) -> np.float32:
    """Inner product of row i of a table (m, f) with a vector (f,)."""
    total = np.float32(0)
    for j in range(len(b)):
        total += table[i, j] * b[j]
    return total


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
    """Rows low..high of a sparse matrix times table (m, f) into out (n, f)."""
    for row in range(low, high):
        for j in range(table.shape[1]):
            out[row, j] = 0
        for k in range(indptr[row], indptr[row + 1]):
            _prefetch_row(table, indices, k)
            column = indices[k]
            value = data[k]
            for j in range(table.shape[1]):
                out[row, j] += value * table[column, j]


@compiled
def transpose_rows(
    indptr: Int64,
    indices: Int32,
    data: Float32,
    cursor: Int64,
    rows: Int32,
    values: Float32,
) -> None:
    """Write the rows and values of the pairs by column.

    cursor (m,) is where each column's pairs begin, and afterwards where they end.
    """
    for row in range(len(indptr) - 1):
        for k in range(indptr[row], indptr[row + 1]):
            column = indices[k]
            position = cursor[column]
            rows[position] = row
            values[position] = data[k]
            cursor[column] = position + 1


# --- alternating least squares -------------------------------------------------------------------


@compiled
def _total_confidence(low: int, high: int, weight: Float32, terms: Terms) -> float:
    """Sum of the confidences of the pairs low..high."""
    total = 0.0
    for k in range(low, high):
        total += terms.confidence_offset + terms.confidence_scale * weight[k]
    return total


@compiled
def _add_prior(
    prior: Float32, row: int, penalty: np.float32, x: Float32, r: Float32
) -> Any:
    """Add a row of the prior to the residual r (f,), and return what it adds to the loss at x."""
    loss = np.float32(0)
    for j in range(len(x)):
        loss += penalty * prior[row, j] * (prior[row, j] - 2 * x[j])
        r[j] += penalty * prior[row, j]
    return loss


@compiled
def _add_pairs(
    low: int,
    high: int,
    indices: Int32,
    weight: Float32,
    fixed: Float32,
    terms: Terms,
    x: Float32,
    r: Float32,
    m: Float32,
) -> np.float32:
    """Add the pairs low..high to the residual r (f,) at x and to the preconditioner m (f,).

    Returns what they add to the loss at x.
    """
    loss = np.float32(0)
    for k in range(low, high):
        _prefetch_row(fixed, indices, k)
        i = indices[k]
        confidence = terms.confidence_offset + terms.confidence_scale * weight[k]
        target = terms.target_offset + weight[k]
        score = _row_dot(fixed, i, x)
        loss += score * (confidence * score - 2 * target)
        target -= confidence * score
        for j in range(len(x)):
            r[j] += target * fixed[i, j]
            m[j] += confidence * fixed[i, j] * fixed[i, j]
    return loss


@compiled
def _add_product(
    low: int,
    high: int,
    indices: Int32,
    weight: Float32,
    fixed: Float32,
    terms: Terms,
    p: Float32,
    q: Float32,
) -> None:
    """Add Z' C Z p to q (f,): Z are the fixed rows of the pairs low..high, C their confidences."""
    for k in range(low, high):
        _prefetch_row(fixed, indices, k)
        i = indices[k]
        confidence = terms.confidence_offset + terms.confidence_scale * weight[k]
        scaled = confidence * _row_dot(fixed, i, p)
        for j in range(len(p)):
            q[j] += scaled * fixed[i, j]


@compiled
def solve(
    low: int,
    high: int,
    indptr: Int64,
    indices: Int32,
    weight: Float32,
    fixed: Float32,
    solved: Float32,
    prior: Float32,
    diagonal: Float32,
    terms: Terms,
    unobserved_total: float,
    reg: float,
    reg_exponent: float,
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
    rho = r' M^-1 r, lowers it by alpha rho. Without rows of its own, the prior is 0.
    """
    d = work[0]  # (f,) diagonal of A without the pairs
    m = work[1]  # (f,) preconditioner M: the whole diagonal of A
    r = work[2]  # (f,) residual b - A x
    p = work[3]  # (f,) search direction
    q = work[4]  # (f,) A p
    for row in range(low, high):
        x = solved[row]
        first = indptr[row]
        last = indptr[row + 1]
        evidence = _total_confidence(first, last, weight, terms) + unobserved_total
        penalty = np.float32(reg * evidence**reg_exponent)
        for j in range(len(x)):
            d[j] = diagonal[j] + penalty
            m[j] = d[j] + np.float32(TINY)  # not 0 where nothing is seen and reg is 0
            r[j] = -d[j] * x[j]
        sums[0] -= _dot(r, x)
        if len(prior):
            sums[0] += _add_prior(prior, row, penalty, x, r)
        sums[0] += _add_pairs(first, last, indices, weight, fixed, terms, x, r, m)
        for j in range(len(x)):
            p[j] = r[j] / m[j]
        rho = _dot(r, p)
        for _ in range(cg_steps):
            if rho <= TINY:  # solved
                break
            for j in range(len(x)):
                q[j] = d[j] * p[j]
            _add_product(first, last, indices, weight, fixed, terms, p, q)
            alpha = rho / _dot(p, q)
            sums[0] -= alpha * rho
            previous_rho = rho
            rho = np.float32(0)
            for j in range(len(x)):
                x[j] += alpha * p[j]
                r[j] -= alpha * q[j]
                rho += r[j] * r[j] / m[j]
            for j in range(len(x)):
                p[j] = r[j] / m[j] + rho / previous_rho * p[j]
        sums[1] += penalty * _dot(x, x)

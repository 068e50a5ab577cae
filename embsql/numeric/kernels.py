"""Compiled loops over rows, shared by the algorithms that factorise a sparse matrix.

All compiled functions that call one another live in this file, because a cached caller is not
rebuilt when only its callee's file changes. They take tables and row numbers rather than views of
rows, hold no reference counts (`_nrt`) and release the GIL: counting references of shared arrays
costs more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64

Float64 = NDArray[np.float64]
Terms = tuple[
    np.float32, np.float32, np.float32
]  # curve0, curve1, pull0 of factorization's Objective
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Sums may be reordered, which is what lets them use vector registers; NaN and infinity keep their
# meaning.
FAST = {
    "nogil": True,
    "cache": True,
    "_nrt": False,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
}
compiled: Callable[[Kernel], Kernel] = njit(**FAST)
inlined: Callable[[Kernel], Kernel] = njit(
    **FAST, forceinline=True
)  # a call per pair would cost as much as its work

# pairs by which the rows of a table are asked for before they are needed: hides the latency of
# memory
AHEAD = 8
LINE = 16  # floats in a cache line
TINY = 1e-30  # less than any loss or penalty that counts
RIGHT_ANGLE = 1e-7  # cosine below which two rows count as orthogonal: what float32 can tell


@intrinsic
def prefetch(_typing: Any, table: Any, row: Any, column: Any) -> Any:
    """Ask the memory for table[row, column] without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, values[0])
        kinds = signature.args[1:]
        at = [
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(values[1:], kinds, strict=True)
        ]
        pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, at)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        hint = cgutils.get_or_insert_function(builder.module, form, "llvm.prefetch.p0i8")
        builder.call(
            hint, [builder.bitcast(pointer, byte), word(0), word(3), word(1)]
        )  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(table, row, column), generate


@inlined
def _look_ahead(table: Float32, column: Int32, k: int) -> None:
    """Prefetch the row of the table that pair k + AHEAD will read."""
    row = column[min(k + AHEAD, len(column) - 1)]
    for j in range(0, table.shape[1], LINE):
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


# --- dense ---------------------------------------------------------------------------------------


@compiled
def rotate(low: int, high: int, table: Float32, axes: Float32, out: Float32) -> None:
    """Rows low..high of table (n, f) times axes (f, g) into out (n, g)."""
    f, g = axes.shape
    fours = f - f % 4
    for row in range(low, high):
        for j in range(g):
            out[row, j] = 0
        for i in range(0, fours, 4):  # four at a time: each is one load, and one store serves all
            a, b, c, d = table[row, i], table[row, i + 1], table[row, i + 2], table[row, i + 3]
            for j in range(g):
                out[row, j] += (
                    a * axes[i, j] + b * axes[i + 1, j] + c * axes[i + 2, j] + d * axes[i + 3, j]
                )
        for i in range(fours, f):
            for j in range(g):
                out[row, j] += table[row, i] * axes[i, j]


@compiled
def gram(low: int, high: int, table: Float32, out: Float32) -> None:
    """Add the Gramian of rows low..high of table (n, f) to out (f, f)."""
    f = table.shape[1]
    fours = high - (high - low) % 4
    for row in range(low, fours, 4):
        for i in range(f):
            a, b, c, d = table[row, i], table[row + 1, i], table[row + 2, i], table[row + 3, i]
            for j in range(f):
                out[i, j] += (
                    a * table[row, j]
                    + b * table[row + 1, j]
                    + c * table[row + 2, j]
                    + d * table[row + 3, j]
                )
    for row in range(fours, high):
        for i in range(f):
            for j in range(f):
                out[i, j] += table[row, i] * table[row, j]


@inlined
def _turn(table: Float64, i: int, j: int, cosine: float, sine: float) -> None:
    """Turn rows i and j of a table in their plane."""
    for k in range(table.shape[1]):
        x, y = table[i, k], table[j, k]
        table[i, k] = cosine * x - sine * y
        table[j, k] = sine * x + cosine * y


@compiled
def jacobi(table: Float64, axes: Float64) -> int:
    """One sweep that turns each two rows of table (f, f) at right angles, and axes (f, f) along.

    Turns made.
    """
    turns = 0
    for i in range(len(table) - 1):
        for j in range(i + 1, len(table)):
            a = b = c = 0.0
            for k in range(len(table)):
                a += table[i, k] * table[i, k]
                b += table[j, k] * table[j, k]
                c += table[i, k] * table[j, k]
            if abs(c) <= RIGHT_ANGLE * np.sqrt(a * b):
                continue
            slope = (b - a) / (2 * c)
            tangent = np.copysign(1 / (abs(slope) + np.sqrt(1 + slope * slope)), slope)
            cosine = 1 / np.sqrt(1 + tangent * tangent)
            _turn(table, i, j, cosine, cosine * tangent)
            _turn(axes, i, j, cosine, cosine * tangent)
            turns += 1
    return turns


# --- sparse --------------------------------------------------------------------------------------


@compiled
def multiply(
    low: int, high: int, start: Int64, column: Int32, weight: Float32, table: Float32, out: Float32
) -> None:
    """Rows low..high of a sparse matrix times table (m, f) into out (n, f)."""
    for row in range(low, high):
        for j in range(table.shape[1]):
            out[row, j] = 0
        for k in range(start[row], start[row + 1]):
            _look_ahead(table, column, k)
            i, w = column[k], weight[k]
            for j in range(table.shape[1]):
                out[row, j] += w * table[i, j]


@compiled
def transpose(
    start: Int64, column: Int32, weight: Float32, at: Int64, to_row: Int32, to_weight: Float32
) -> None:
    """Write the pairs by column.

    At (m,) is where each column's pairs begin, and afterwards where they end.
    """
    for row in range(len(start) - 1):
        for k in range(start[row], start[row + 1]):
            place = at[column[k]]
            to_row[place] = row
            to_weight[place] = weight[k]
            at[column[k]] = place + 1


# --- alternating least squares -------------------------------------------------------------------


@inlined
def _first_residual(
    low: int,
    high: int,
    column: Int32,
    weight: Float32,
    fixed: Float32,
    terms: Terms,
    x: Float32,
    r: Float32,
    m: Float32,
) -> np.float32:
    """Add the pairs low..high to the residual r (f,) at x and to the preconditioner m (f,).

    Returns their loss.
    """
    loss = np.float32(0)
    for k in range(low, high):
        _look_ahead(fixed, column, k)
        i, curve, pull = column[k], terms[0] + terms[1] * weight[k], terms[2] + weight[k]
        score = _row_dot(fixed, i, x)
        loss += score * (curve * score - 2 * pull)
        pull -= curve * score
        for j in range(len(x)):
            r[j] += pull * fixed[i, j]
            m[j] += curve * fixed[i, j] * fixed[i, j]
    return loss


@inlined
def _curvature(
    low: int,
    high: int,
    column: Int32,
    weight: Float32,
    fixed: Float32,
    terms: Terms,
    p: Float32,
    q: Float32,
) -> None:
    """Add Z' C Z p to q (f,), Z being the fixed rows of the pairs low..high and C their curvatures."""
    for k in range(low, high):
        _look_ahead(fixed, column, k)
        i = column[k]
        push = (terms[0] + terms[1] * weight[k]) * _row_dot(fixed, i, p)
        for j in range(len(p)):
            q[j] += push * fixed[i, j]


@inlined
def _mass(low: int, high: int, weight: Float32, terms: Terms) -> float:
    """Sum of the curvatures of the pairs low..high."""
    total = 0.0
    for k in range(low, high):
        total += terms[0] + terms[1] * weight[k]
    return total


@inlined
def _towards(prior: Float32, row: int, lam: np.float32, x: Float32, r: Float32) -> np.float32:
    """Add the pull of a row of the prior to the residual r (f,).

    Returns what the penalty at x gains by it.
    """
    gain = np.float32(0)
    for j in range(len(x)):
        gain += lam * prior[row, j] * (prior[row, j] - 2 * x[j])
        r[j] += lam * prior[row, j]
    return gain


@compiled
def solve(
    low: int,
    high: int,
    start: Int64,
    column: Int32,
    weight: Float32,
    fixed: Float32,
    solved: Float32,
    prior: Float32,
    energy: Float32,
    terms: Terms,
    unseen: float,
    reg: float,
    nu: float,
    steps: int,
    work: Float32,
    sums: Float64,
) -> None:
    """Improve rows low..high of solved (n, f) by preconditioned conjugate gradients.

    Adds to sums (2,) the rows' loss after the last step and their penalty. The system of a row is
    (diag(energy + lam) + Z' C Z) x = Z' pull + lam prior, the prior being 0 where it has no rows;
    each step lowers the loss by what the method knows anyway.
    """
    d, m, r, p, q = (
        work[0],
        work[1],
        work[2],
        work[3],
        work[4],
    )  # (f,) diagonal, preconditioner, residual, step, A p
    for row in range(low, high):
        x, first, last = solved[row], start[row], start[row + 1]
        lam = np.float32(reg * (_mass(first, last, weight, terms) + unseen) ** nu)
        for j in range(len(x)):
            d[j] = energy[j] + lam
            m[j] = d[j] + np.float32(
                TINY
            )  # divides nothing by zero where nothing is seen and reg is 0
            r[j] = -d[j] * x[j]
        sums[0] -= _dot(r, x)
        if len(prior):
            sums[0] += _towards(prior, row, lam, x, r)
        sums[0] += _first_residual(first, last, column, weight, fixed, terms, x, r, m)
        for j in range(len(x)):
            p[j] = r[j] / m[j]
        gain = _dot(r, p)
        for _ in range(steps):
            if gain <= TINY:  # solved
                break
            for j in range(len(x)):
                q[j] = d[j] * p[j]
            _curvature(first, last, column, weight, fixed, terms, p, q)
            length, before = gain / _dot(p, q), gain
            sums[0] -= length * gain
            gain = np.float32(0)
            for j in range(len(x)):
                x[j] += length * p[j]
                r[j] -= length * q[j]
                gain += r[j] * r[j] / m[j]
            for j in range(len(x)):
                p[j] = r[j] / m[j] + gain / before * p[j]
        sums[1] += lam * _dot(x, x)

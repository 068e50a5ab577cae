"""Products and sums of a few rows with a few others, which stay in registers meanwhile.

A tile is what CONTEXTS rows of one table and TARGETS rows of another give, one number for each two:
a row of (LANES,), in which that of context m and target n is at TARGET_LANES m + n. Other lanes do
not count. Rows are named by number, contexts as names[0, m], targets in groups of TARGET_LANES of
which the first TARGETS count. Tables are as wide as a multiple of COLUMNS; see also `vectors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from embsql.numeric.vectors import FLAGS, INT32, LANES, VECTOR, Code, generator, index

CONTEXTS = 2
TARGETS = 6  # with two contexts, and twelve sums, they fit the registers
TARGET_LANES = LANES // CONTEXTS
VECTORS = 2  # of a row that are summed at once
COLUMNS = VECTORS * LANES
BLOCK = 4  # lanes that are shuffled soonest among themselves

INTEGERS = ir.VectorType(INT32, LANES)
LOG2_E = 1.4426950408889634
SMALLEST_EXPONENT = -126.0  # of a float32 that is not subnormal
EXPONENT_BIAS = 127
MANTISSA_BITS = 23
# of 2^x, -0.5 <= x <= 0.5, from the constant on: within 1e-7 of it
EXP2 = (1.0, 0.693147207, 0.240221074, 0.0555032721, 0.0096760371, 0.00134004322)
# of log(1 + x) / x, 0 <= x <= 1: within 1e-5 of it
LOG1P = (
    0.999991829,
    -0.499372598,
    0.325295141,
    -0.210293693,
    0.101500047,
    -0.0239795731,
)

ZERO = ir.Constant(VECTOR, [0.0] * LANES)
ONE = ir.Constant(VECTOR, [1.0] * LANES)


def _names(code: Code, table: int, names: int, first: Any, n: int) -> list[Any]:
    """Where the rows of a table begin that names[0, first:first + n] are the numbers of."""
    columns = [code.builder.add(first, index(m)) for m in range(n)]
    return [code.named_row(table, names, index(0), column) for column in columns]


def _shuffled(code: Code, a: Any, b: Any, lanes: list[int]) -> Any:
    """The lanes of two vectors that are named, those of the second after the first's."""
    mask = ir.Constant(ir.VectorType(INT32, len(lanes)), lanes)
    return code.builder.shuffle_vector(a, b, mask)


# --- sums over the lanes of many vectors ---------------------------------------------------------


def _totals(code: Code, vectors: dict[int, Any]) -> Any:
    """A vector of the sums of vectors, in the lanes that they are given by, else 0.

    Four times, half the numbers of two vectors are added to the other half: 15 additions.
    """

    def halved(a: Any, b: Any, by: int) -> Any:
        lanes = [lane for lane in range(2 * LANES) if not lane & by]
        if by < BLOCK:  # in their order in each block, which is one instruction
            lanes.sort(key=lambda lane: lane % LANES // BLOCK)
        first = _shuffled(code, a, b, lanes)
        second = _shuffled(code, a, b, [lane + by for lane in lanes])
        return code.builder.fadd(first, second, flags=FLAGS)

    given = [vectors.get(lane, ZERO) for lane in range(LANES)]
    eight = [halved(given[n], given[n + 4], 8) for n in (*range(4), *range(8, 12))]
    four = [halved(eight[n], eight[n + 4], 4) for n in range(4)]
    low, high = (halved(four[n], four[n + 1], 2) for n in (0, 2))
    return halved(low, high, 1)


# --- products ------------------------------------------------------------------------------------


def _products(code: Code, left: list[Any], b: int) -> None:
    """The tile of rows of the table of argument 2 with those that arguments from b on name."""
    right = _names(code, b, b + 1, code.integer(b + 2), TARGETS)
    sums = {
        TARGET_LANES * m + n: code.zero(vector=True)
        for m in range(len(left))
        for n in range(TARGETS)
    }
    with code.count(index(0), code.shape(2, 1), LANES) as j:
        contexts = [code.load(row, j, vector=True) for row in left]
        for n, row in enumerate(right):
            target = code.load(row, j, vector=True)
            for m, context in enumerate(contexts):
                code.accumulate(sums[TARGET_LANES * m + n], context, target)
    found = {lane: code.builder.load(total) for lane, total in sums.items()}
    code.store(_totals(code, found), code.row(0), index(0), vector=True)


@intrinsic
def tile_products(
    _typing: Any,
    out: Any,
    o: Any,
    a: Any,
    names: Any,
    m: Any,
    b: Any,
    targets: Any,
    n: Any,
) -> Any:
    """Let out[o] be the tile of rows names[0, m:] of a with rows targets[0, n:] of b."""

    def emit(code: Code) -> None:
        _products(code, _names(code, 2, 3, code.integer(4), CONTEXTS), 5)

    return types.void(out, o, a, names, m, b, targets, n), generator(emit)


@intrinsic
def row_products(
    _typing: Any, out: Any, o: Any, a: Any, k: Any, b: Any, targets: Any, n: Any
) -> Any:
    """Let out[o] be the tile of one row k of a with rows targets[0, n:] of b."""

    def emit(code: Code) -> None:
        _products(code, [code.row(2)], 4)

    return types.void(out, o, a, k, b, targets, n), generator(emit)


# --- errors --------------------------------------------------------------------------------------


def _polynomial(code: Code, x: Any, coefficients: tuple[float, ...]) -> Any:
    """Of a vector, by its coefficients from the constant on."""
    constants = [ir.Constant(VECTOR, [number] * LANES) for number in coefficients]
    total = constants.pop()
    while constants:
        total = code.multiply_add(total, x, constants.pop())
    return total


def _exp2(code: Code, x: Any) -> Any:
    """2^x of a vector of numbers that are not above 0; the least are taken for 2^-126."""
    builder = code.builder
    least = ir.Constant(VECTOR, [SMALLEST_EXPONENT] * LANES)
    x = builder.select(builder.fcmp_ordered(">", x, least), x, least)
    rint = code.function(f"llvm.rint.v{LANES}f32", VECTOR, VECTOR)
    whole = builder.call(rint, [x])
    power = _polynomial(code, builder.fsub(x, whole, flags=FLAGS), EXP2)
    bias = ir.Constant(INTEGERS, [EXPONENT_BIAS] * LANES)
    exponent = builder.add(builder.fptosi(whole, INTEGERS), bias)
    bits = builder.shl(exponent, ir.Constant(INTEGERS, [MANTISSA_BITS] * LANES))
    return builder.fmul(power, builder.bitcast(bits, VECTOR), flags=FLAGS)


def _logistic(code: Code, x: Any) -> tuple[Any, Any]:
    """1 / (1 + e^-x) of a vector, and log(1 + e^x)."""
    builder = code.builder
    positive = builder.fcmp_ordered(">", x, ZERO)
    scale = ir.Constant(VECTOR, [LOG2_E] * LANES)
    exponent = builder.fmul(x, scale, flags=FLAGS)
    negated = builder.fsub(ZERO, exponent, flags=FLAGS)
    e = _exp2(code, builder.select(positive, negated, exponent))  # of -|x|
    whole = builder.fadd(ONE, e, flags=FLAGS)
    probability = builder.fdiv(builder.select(positive, ONE, e), whole, flags=FLAGS)
    rest = builder.select(positive, x, ZERO)
    return probability, code.multiply_add(e, _polynomial(code, e, LOG1P), rest)


def _signs(code: Code) -> Any:
    """Of `to_errors`."""
    builder = code.builder
    center = builder.load(code.pointer(2, index(0), code.integer(3)))
    first = builder.add(
        code.integer(3), builder.mul(code.integer(4), index(TARGET_LANES))
    )
    some = ir.VectorType(INT32, TARGET_LANES).as_pointer()
    targets = builder.load(
        builder.bitcast(code.pointer(2, index(0), first), some), align=4
    )
    targets = _shuffled(code, targets, targets, [*range(TARGET_LANES)] * CONTEXTS)
    none = ir.Constant(INTEGERS, ir.Undefined)
    centers = builder.insert_element(none, center, INT32(0))
    centers = _shuffled(code, centers, none, [0] * LANES)
    of_center, of_others = (
        code.load(code.pointer(5, code.integer(4)), index(LANES * n), vector=True)
        for n in range(2)
    )
    is_other = builder.icmp_signed("!=", targets, centers)
    others = builder.select(is_other, of_others, ZERO)
    return builder.fadd(of_center, others, flags=FLAGS)


def _weights(code: Code) -> Any:
    """Of `to_errors`: each context's in all lanes of it."""
    each = [code.load(code.row(6), index(m), vector=False) for m in range(CONTEXTS)]
    first, second = map(code.spread, each)
    lanes = [*range(TARGET_LANES), *range(LANES, LANES + TARGET_LANES)]
    return _shuffled(code, first, second, lanes)


@intrinsic
def to_errors(
    _typing: Any,
    tiles: Any,
    o: Any,
    targets: Any,
    center: Any,
    g: Any,
    signs: Any,
    weights: Any,
    p: Any,
    losses: Any,
) -> Any:
    """Turn a tile of scores into label less probability, times the weights[p] of the contexts.

    The targets are group g of those from targets[0, center] on, which is the center. signs[g] has
    -1 in the first LANES for the label 1, and 1 in the next for the label 0; that of a target that
    is the center again does not count. Losses are added to the lanes of losses[0].
    """

    def emit(code: Code) -> None:
        fmul = code.builder.fmul
        sign = _signs(code)
        weight = _weights(code)
        tile = code.row(0)
        score = code.load(tile, index(0), vector=True)
        probability, loss = _logistic(code, fmul(sign, score, flags=FLAGS))
        factor = fmul(sign, weight, flags=FLAGS)
        error = fmul(factor, probability, flags=FLAGS)
        code.store(
            code.builder.fsub(ZERO, error, flags=FLAGS), tile, index(0), vector=True
        )
        counts = fmul(factor, sign, flags=FLAGS)
        total = code.pointer(8, index(0))
        before = code.load(total, index(0), vector=True)
        code.store(
            code.multiply_add(counts, loss, before), total, index(0), vector=True
        )

    types_ = (tiles, o, targets, center, g, signs, weights, p, losses)
    return types.void(*types_), generator(emit)


# --- sums ----------------------------------------------------------------------------------------


def _sums(n_sums: int, n_rows: int, step: int, lane: Callable[[int, int], int]) -> Any:
    """What adds up n_rows rows per tile; lane(sum, row) has the weight; names go on by `step`."""

    def add_rows(
        code: Code, totals: list[list[Any]], t: Any, columns: list[Any]
    ) -> None:
        builder = code.builder
        number = builder.add(code.integer(9), builder.mul(t, code.integer(10)))
        tile = code.pointer(8, number)
        first = builder.add(code.integer(6), builder.mul(t, index(step)))
        for m, row in enumerate(_names(code, 4, 5, first, n_rows)):
            entries = [code.load(row, j, vector=True) for j in columns]
            for k, sums in enumerate(totals):
                weight = code.spread(code.load(tile, index(lane(k, m)), vector=False))
                for total, entry in zip(sums, entries, strict=True):
                    code.accumulate(total, weight, entry)

    def emit(code: Code) -> None:
        builder = code.builder
        numbers = [builder.add(code.integer(1), index(k)) for k in range(n_sums)]
        outs = [code.pointer(0, number) for number in numbers]
        squares = [code.zero(vector=True) for _ in outs]
        with code.count(index(0), code.shape(4, 1), COLUMNS) as first:
            columns = [builder.add(first, index(LANES * v)) for v in range(VECTORS)]
            totals = [[code.zero(vector=True) for _ in columns] for _ in outs]
            with code.count(index(0), code.integer(7), 1) as t:
                add_rows(code, totals, t, columns)
            for out, sums, square in zip(outs, totals, squares, strict=True):
                for total, j in zip(sums, columns, strict=True):
                    value = builder.load(total)
                    code.store(value, out, j, vector=True)
                    code.accumulate(square, value, value)
        found = {k: builder.load(square) for k, square in enumerate(squares)}
        code.store(_totals(code, found), code.row(2), index(0), vector=True)

    def sums(
        _typing: Any,
        out: Any,
        k: Any,
        squares: Any,
        q: Any,
        table: Any,
        names: Any,
        first: Any,
        n: Any,
        tiles: Any,
        start: Any,
        stride: Any,
    ) -> Any:
        """Sums of rows names[0, first:] of a table into out[k:], and their squares' in squares[q].

        Weights are n tiles, from start on, each stride further.
        """
        types_ = (out, k, squares, q, table, names, first, n, tiles, start, stride)
        return types.void(*types_), generator(emit)

    return intrinsic(sums)


# of the contexts, for each target of a group
target_sums = _sums(TARGETS, CONTEXTS, CONTEXTS, lambda n, m: TARGET_LANES * m + n)
# of the targets, for each of the contexts, and for one row instead
context_sums = _sums(CONTEXTS, TARGETS, TARGET_LANES, lambda m, n: TARGET_LANES * m + n)
row_sums = _sums(1, TARGETS, TARGET_LANES, lambda _, n: n)
# of the contexts, by weights (pairs, CONTEXTS) instead of tiles
weighted_sums = _sums(1, CONTEXTS, CONTEXTS, lambda _, m: m)


@intrinsic
def add_row(_typing: Any, out: Any, o: Any, scale: Any, a: Any, i: Any) -> Any:
    """Add scale times row i of a to out[o]."""

    def emit(code: Code) -> None:
        out, row, scale = code.row(0), code.row(3), code.spread(code.number(2))
        with code.count(index(0), code.shape(3, 1), COLUMNS) as first:
            for v in range(VECTORS):
                j = code.builder.add(first, index(LANES * v))
                entry = code.load(row, j, vector=True)
                after = code.multiply_add(scale, entry, code.load(out, j, vector=True))
                code.store(after, out, j, vector=True)

    return types.void(out, o, scale, a, i), generator(emit)

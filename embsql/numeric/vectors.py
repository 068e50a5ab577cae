"""Sums and products of rows of tables, as vector instructions for LLVM.

A loop that LLVM has to turn into vector instructions by itself takes it most of the time of
compiling; these are such instructions from the start (docs/decisions/0025). A table is (m, f) of
float32, C-contiguous; rows are given by table and number, as a view of a row costs more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

LANES = 16  # floats in a vector
# sums may be reordered; see compiler.FAST
FLAGS = ("reassoc", "contract", "arcp", "nsz")
FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
BYTES = ir.IntType(8).as_pointer()
INT32 = ir.IntType(32)


class Code:
    """The instructions of one call, in the function that makes it."""

    def __init__(self, context: Any, builder: Any, signature: Any, values: Any) -> None:
        self.context, self.builder = context, builder
        self.types, self.values = signature.args, values
        # once: each is a variable of the function, which the optimizer has to take apart
        self.arrays = {
            n: make_array(kind)(context, builder, values[n])
            for n, kind in enumerate(self.types)
            if isinstance(kind, types.Array)
        }

    def integer(self, n: int) -> Any:
        """Argument n as an index."""
        return self.context.cast(
            self.builder, self.values[n], self.types[n], types.intp
        )

    def number(self, n: int) -> Any:
        """Argument n as float32."""
        return self.context.cast(
            self.builder, self.values[n], self.types[n], types.float32
        )

    def shape(self, n: int, axis: int) -> Any:
        """How long the array of argument n is along an axis."""
        return self.builder.extract_value(self.arrays[n].shape, axis)

    def pointer(self, n: int, row: Any, column: Any = 0) -> Any:
        """Where an entry of the table of argument n is."""
        column = index(column) if isinstance(column, int) else column
        return cgutils.get_item_pointer(
            self.context, self.builder, self.types[n], self.arrays[n], [row, column]
        )

    def row(self, n: int) -> Any:
        """Where the row begins that arguments n and n + 1 are the table and the number of."""
        return self.pointer(n, self.integer(n + 1))

    def named_row(self, table: int, names: int, i: Any, column: Any) -> Any:
        """Where that row of a table begins which names[i, column] is the number of."""
        number = self.builder.load(self.pointer(names, i, column))
        kind = self.types[names].dtype
        return self.pointer(
            table, self.context.cast(self.builder, number, kind, types.intp)
        )

    def load(self, pointer: Any, j: Any, *, vector: bool) -> Any:
        """A vector, or a number, from j on."""
        return self.builder.load(self._at(pointer, j, vector=vector), align=4)

    def store(self, value: Any, pointer: Any, j: Any, *, vector: bool) -> None:
        """Put a vector, or a number, from j on."""
        self.builder.store(value, self._at(pointer, j, vector=vector), align=4)

    def _at(self, pointer: Any, j: Any, *, vector: bool) -> Any:
        entry = self.builder.gep(pointer, [j])
        return self.builder.bitcast(entry, VECTOR.as_pointer()) if vector else entry

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """The sum a b + c of vectors or of numbers."""
        product = self.builder.fmul(a, b, flags=FLAGS)
        return self.builder.fadd(c, product, flags=FLAGS)

    def spread(self, number: Any) -> Any:
        """A vector of one number."""
        none = ir.Constant(VECTOR, ir.Undefined)
        first = self.builder.insert_element(none, number, INT32(0))
        zeros = ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, none, zeros)

    def total(self, vector: Any) -> Any:
        """The sum of a vector's numbers."""
        add = self.function(
            f"llvm.vector.reduce.fadd.v{LANES}f32", FLOAT, FLOAT, VECTOR
        )
        return self.builder.call(
            add, [ir.Constant(FLOAT, 0.0), vector], fastmath=("reassoc",)
        )

    def zero(self, *, vector: bool) -> Any:
        """A variable for a sum."""
        value = (
            ir.Constant(VECTOR, [0.0] * LANES) if vector else ir.Constant(FLOAT, 0.0)
        )
        variable = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, variable)
        return variable

    def accumulate(self, variable: Any, a: Any, b: Any) -> None:
        """Add a b to a variable."""
        before = self.builder.load(variable)
        self.builder.store(self.multiply_add(a, b, before), variable)

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """One of LLVM's own functions."""
        kind = ir.FunctionType(result, arguments)
        return cgutils.get_or_insert_function(self.builder.module, kind, name)

    @contextmanager
    def count(self, start: Any, stop: Any, step: int) -> Iterator[Any]:
        """A loop over numbers, which LLVM is not to unroll: rows are short, and it takes long."""
        builder = self.builder
        before = builder.block
        body = builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", start, stop), body, after)
        builder.position_at_end(body)
        j = builder.phi(start.type)
        j.add_incoming(start, before)
        yield j
        following = builder.add(j, index(step))
        j.add_incoming(following, builder.block)
        more = builder.icmp_signed("<", following, stop)
        builder.cbranch(more, body, after).set_metadata("llvm.loop", self._rolled())
        builder.position_at_end(after)

    def _rolled(self) -> Any:
        """What says of a loop that it is to stay one: a list of itself and of the wish."""
        module = self.builder.module
        wish = module.add_metadata(["llvm.loop.unroll.disable"])
        loop = module.add_metadata([wish, INT32(len(module.metadata))])
        loop.operands = (loop, wish)
        return loop

    def columns(self, width: Any, body: Callable[..., None]) -> None:
        """Call body(j, vector=) for the vectors of a row, and for the numbers that are left."""
        whole = self.builder.and_(width, index(-LANES))
        with self.count(index(0), whole, LANES) as j:
            body(j, vector=True)
        with self.count(whole, width, 1) as j:
            body(j, vector=False)


def index(number: int) -> Any:
    """A constant index."""
    return ir.Constant(ir.IntType(types.intp.bitwidth), number)


def generator(emit: Callable[[Code], Any]) -> Callable[..., Any]:
    """What numba calls for the instructions of an intrinsic: `emit`, which may give a result."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        found = emit(Code(context, builder, signature, values))
        return context.get_dummy_value() if found is None else found

    return generate


# --- what compiled functions call ----------------------------------------------------------------


@intrinsic
def prefetch(_typing: Any, table: Any, row: Any, column: Any) -> Any:
    """Ask the memory for table[row, column], of any type, without waiting for it."""

    def emit(code: Code) -> None:
        _prefetch(code, code.pointer(0, code.integer(1), code.integer(2)))

    return types.void(table, row, column), generator(emit)


@intrinsic
def prefetch_row(_typing: Any, table: Any, i: Any) -> Any:
    """Ask the memory for a row of a table without waiting for it."""

    def emit(code: Code) -> None:
        row = code.row(0)
        with code.count(index(0), code.shape(0, 1), LANES) as j:
            _prefetch(code, code.builder.gep(row, [j]))

    return types.void(table, i), generator(emit)


def _prefetch(code: Code, pointer: Any) -> None:
    """LLVM's prefetch of data at a pointer, to be read and to stay in every cache."""
    prefetch = code.function(
        "llvm.prefetch.p0i8", ir.VoidType(), BYTES, INT32, INT32, INT32
    )
    read, keep, data = INT32(0), INT32(3), INT32(1)
    code.builder.call(
        prefetch, [code.builder.bitcast(pointer, BYTES), read, keep, data]
    )


@intrinsic
def dot(_typing: Any, a: Any, i: Any, b: Any, k: Any) -> Any:
    """Row i of a times row k of b."""

    def emit(code: Code) -> Any:
        first, second = code.row(0), code.row(2)
        sums = {wide: code.zero(vector=wide) for wide in (True, False)}

        def add(j: Any, *, vector: bool) -> None:
            entries = [code.load(row, j, vector=vector) for row in (first, second)]
            code.accumulate(sums[vector], *entries)

        code.columns(code.shape(0, 1), add)
        vectors, rest = (code.builder.load(total) for total in sums.values())
        return code.builder.fadd(code.total(vectors), rest, flags=FLAGS)

    return types.float32(a, i, b, k), generator(emit)


@intrinsic
def add_scaled(_typing: Any, out: Any, o: Any, scale: Any, a: Any, i: Any) -> Any:
    """Add scale times row i of a to out[o]."""

    def emit(code: Code) -> None:
        _add_scaled(code, lambda entry: entry)

    return types.void(out, o, scale, a, i), generator(emit)


@intrinsic
def add_scaled_squares(
    _typing: Any, out: Any, o: Any, scale: Any, a: Any, i: Any
) -> Any:
    """Add scale times the squares of row i of a to out[o]."""

    def emit(code: Code) -> None:
        _add_scaled(code, lambda a: code.builder.fmul(a, a, flags=FLAGS))

    return types.void(out, o, scale, a, i), generator(emit)


def _add_scaled(code: Code, function: Callable[[Any], Any]) -> None:
    """Add scale times a function of the entries of row i of a to out[o]."""
    out, row, scale = code.row(0), code.row(3), code.number(2)
    scales = {True: code.spread(scale), False: scale}

    def add(j: Any, *, vector: bool) -> None:
        entry = function(code.load(row, j, vector=vector))
        before = code.load(out, j, vector=vector)
        after = code.multiply_add(scales[vector], entry, before)
        code.store(after, out, j, vector=vector)

    code.columns(code.shape(3, 1), add)

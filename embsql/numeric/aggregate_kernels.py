"""Compiled loops that put coded rows in order and add them up: `plain.plain_by_pair` in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float64, Int32, Int64
from embsql.numeric.compiler import exact


@exact
def scatter(
    low: int,
    high: int,
    codes: Int32,
    cursor: Int64,
    other: Int32,
    weight: Float64,
    time: Int64,
    others: Int32,
    weights: Float64,
    times: Int64,
) -> None:
    """Copy the rows of codes low to high to where cursor (high - low,) says, which moves on."""
    for row in range(len(codes)):
        code = codes[row] - low
        if 0 <= code < high - low:
            target = cursor[code]
            cursor[code] = target + 1
            others[target] = other[row]
            if len(weight):
                weights[target] = weight[row]
            if len(time):
                times[target] = time[row]


@exact
def merge(
    begin: int,
    end: int,
    user: Int32,
    item: Int32,
    weight: Float64,
    time: Int64,
    is_last: NDArray[np.bool_],
    average: bool,
) -> None:
    """Let the last of each pair's rows in begin..end hold the pair's weight and latest time."""
    first = begin
    for row in range(begin, end):
        is_last[row] = (
            row + 1 == end or user[row + 1] != user[row] or item[row + 1] != item[row]
        )
        if is_last[row]:
            if row > first:
                if len(weight):
                    total = _sum(weight, first, row + 1)
                    weight[row] = total / (row + 1 - first if average else 1)
                for earlier in range(first, row if len(time) else first):
                    time[row] = max(time[row], time[earlier])
            first = row + 1


@exact
def _sum(weight: Float64, begin: int, end: int) -> float:
    """The sum of weights begin..end, sorted first so that their order does not count.

    Shell's sort with Ciura's gaps: mostly there are two or three.
    """
    for stride in (701, 301, 132, 57, 23, 10, 4, 1):
        for row in range(begin + stride, end):
            value = weight[row]
            position = row
            while position >= begin + stride and weight[position - stride] > value:
                weight[position] = weight[position - stride]
                position -= stride
            weight[position] = value
    total = 0.0
    for row in range(begin, end):
        total += weight[row]
    return total

"""Compiled loops that number distinct texts by an open hash table.

Positions are unsigned, as a signed one may count from the end, which costs more than the reading.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embsql.data import Int32, Int64
from embsql.numeric.compiler import compiled, inlined
from embsql.numeric.vectors import prefetch

BLOCK = 64  # texts whose slots are asked for before the first is looked at
WORD = 8  # bytes
FACTOR = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finalizer
HALF = np.uint64(32)
# what a slot holds: the text's first and last bytes, its hash, and its code + 1 (0: it is free)
FIRST, LAST, HASH, CODE = 0, 1, 2, 3

UInt8 = NDArray[np.uint8]
UInt64 = NDArray[np.uint64]


@inlined
def _word(data: UInt8, at: np.uint64) -> np.uint64:
    """The 8 bytes from a position on."""
    word = np.uint64(0)
    for j in range(WORD):
        word |= np.uint64(data[at + np.uint64(j)]) << np.uint64(WORD * j)
    return word


@inlined
def _mixed(hashed: np.uint64, word: np.uint64) -> np.uint64:
    """A hash with 8 bytes more."""
    hashed = (hashed ^ word) * FACTOR
    return hashed ^ (hashed >> HALF)


@inlined
def _look(begin: np.uint64, end: np.uint64, data: UInt8, words: UInt64) -> None:
    """The first and last 8 bytes of a text, which may overlap, and its hash, into words (3,).

    Of a shorter one the first are all it has.
    """
    size = end - begin
    first = np.uint64(0)
    last = np.uint64(0)
    if size >= np.uint64(WORD):
        first = _word(data, begin)
        last = _word(data, end - np.uint64(WORD))
    else:
        for j in range(np.int64(size)):
            first |= np.uint64(data[begin + np.uint64(j)]) << np.uint64(WORD * j)
    hashed = _mixed(_mixed(size, first), last)
    for at in range(np.int64(begin) + WORD, np.int64(end) - WORD, WORD):
        hashed = _mixed(hashed, _word(data, np.uint64(at)))
    words[FIRST] = first
    words[LAST] = last
    words[HASH] = hashed


@inlined
def _is_same(begin: int, data: UInt8, start: int, texts: UInt8, size: int) -> bool:
    """Whether two texts of one size are, whose first and last bytes are."""
    j = WORD
    while j < size - WORD and data[begin + j] == texts[start + j]:
        j += 1
    return j >= size - WORD


@inlined
def _add(
    begin: int, size: int, data: UInt8, code: int, bounds: Int64, texts: UInt8
) -> None:
    """Write a text down behind those that there are."""
    start = bounds[code]
    for j in range(size):
        texts[start + j] = data[begin + j]
    bounds[code + 1] = start + size


@compiled
def encode(
    offsets: Int32,
    data: UInt8,
    codes: Int32,
    slots: UInt64,
    bounds: Int64,
    texts: UInt8,
    count: int,
    words: UInt64,
) -> int:
    """Number the n texts of data, bounded by offsets (n + 1,), into codes (n,).

    `count` texts are numbered already: they are bounded by bounds (count + 1,) in `texts`, and
    found by slots (a power of 2, 4). New ones are added; there must be room for them. Returns how
    many there are then. `words` (BLOCK, 3) is scratch.
    """
    mask = np.uint64(len(slots) - 1)
    for low in range(0, len(codes), BLOCK):
        high = min(low + BLOCK, len(codes))
        for row in range(low, high):
            word = words[row - low]
            _look(np.uint64(offsets[row]), np.uint64(offsets[row + 1]), data, word)
            prefetch(slots, word[HASH] & mask, 0)
        for row in range(low, high):
            word = words[row - low]
            begin = int(offsets[row])
            size = int(offsets[row + 1]) - begin
            slot = word[HASH] & mask
            code = -1
            while code < 0:
                known = int(slots[slot, CODE]) - 1
                if known < 0:
                    code = count
                    count += 1
                    for j in range(CODE):
                        slots[slot, j] = word[j]
                    slots[slot, CODE] = np.uint64(count)
                    _add(begin, size, data, code, bounds, texts)
                elif (
                    slots[slot, FIRST] == word[FIRST]
                    and slots[slot, LAST] == word[LAST]
                    and slots[slot, HASH] == word[HASH]
                    and bounds[known + 1] - bounds[known] == size
                    and _is_same(begin, data, bounds[known], texts, size)
                ):
                    code = known
                slot = (slot + np.uint64(1)) & mask
            codes[row] = code
    return count


@compiled
def move(slots: UInt64, larger: UInt64) -> None:
    """Put what is in slots (s, 4) into others (a greater power of 2, 4), which are free."""
    mask = np.uint64(len(larger) - 1)
    for old in range(len(slots)):
        if slots[old, CODE]:
            slot = slots[old, HASH] & mask
            while larger[slot, CODE]:
                slot = (slot + np.uint64(1)) & mask
            for j in range(CODE + 1):
                larger[slot, j] = slots[old, j]

"""Compiled loops against the same in a few lines of numpy, written from what the loops promise."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from filelock import FileLock, Timeout

from embsql.data import CsrMatrix
from embsql.numeric import kmeans
from embsql.numeric import tiles as tiles_code
from embsql.numeric import vectors as vector_code
from embsql.numeric.compiler import CACHE_LOCK, CacheIndex, compiled
from embsql.numeric.linalg import multiply
from embsql.numeric.plain import compiled_loops_only
from embsql.numeric.tiles import TARGET_LANES
from embsql.numeric.vectors import LANES
from embsql.run import Run
from embsql.skipgram import sampling, walks
from embsql.skipgram.base import Block, LrSchedule, Settings, initial_squares
from embsql.skipgram.cpu import CpuTrainer, average_copies
from embsql.skipgram.kernels import Table
from tests.conftest import ROOT

# --- numeric -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_a_sparse_matrix_times_a_table(threads: int) -> None:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((50, 30)) < 0.2, rng.standard_normal((50, 30)), 0)
    row, column = dense.nonzero()
    indptr = np.searchsorted(row, np.arange(51))
    matrix = CsrMatrix(
        indptr, column.astype(np.int32), dense[row, column].astype(np.float32)
    )
    table = rng.standard_normal((30, 7)).astype(np.float32)
    found = multiply(matrix, table, Run(threads=threads))
    np.testing.assert_allclose(found, dense @ table, atol=1e-5)
    with compiled_loops_only():
        found = multiply(matrix, table, Run(threads=threads))
    np.testing.assert_allclose(found, dense @ table, atol=1e-5)


@compiled
def use_vectors(table, b):
    vector_code.prefetch(table, 1, 2)
    vector_code.prefetch_row(table, 1)
    vector_code.add_scaled(b, 1, 2.0, table, 3)
    vector_code.add_scaled_squares(b, 3, 2.0, table, 3)
    return vector_code.dot(table, 1, b, 2)


@pytest.mark.parametrize("width", [64, 50, 7])
def test_rows_are_added_and_multiplied(width: int) -> None:
    """Vectors, and what is left of a row."""
    rng = np.random.default_rng(2)
    table = rng.standard_normal((9, width)).astype(np.float32)
    before = rng.standard_normal((4, width)).astype(np.float32)
    b = before.copy()
    product = use_vectors(table, b)
    wanted = before.copy()
    wanted[1] += 2 * table[3]
    wanted[3] += 2 * table[3] ** 2
    np.testing.assert_allclose(b, wanted, rtol=1e-4, atol=1e-5)
    assert product == pytest.approx(table[1] @ before[2], rel=1e-4, abs=1e-5)


@compiled
def use_errors(tiles, target, signs, weight, losses):
    for o in range(len(tiles)):
        tiles_code.to_errors(tiles, o, target, 0, 0, signs, weight, 0, losses)


def test_errors_are_those_of_the_logistic_function() -> None:
    """For scores of any size, in every lane, and none where the center is its own negative."""
    scores = np.concatenate(
        (np.linspace(-20, 20, 4096), [-1e30, -200, -88, 0, 88, 200, 1e30])
    )
    lanes = np.arange(LANES)
    target = np.array(
        [[4, 1, 2, 4, 3, 5, 0, 0]], np.int32
    )  # the fourth is the center, too
    signs = np.zeros((1, 2 * LANES), np.float32)
    signs[0, :LANES:TARGET_LANES] = -1
    signs[
        0,
        LANES + np.flatnonzero((lanes % TARGET_LANES > 0) & (lanes % TARGET_LANES < 6)),
    ] = 1
    weight = np.array([[1.0, 0.25]], np.float32)
    tiles = np.tile(scores[:, None], LANES).astype(np.float32)
    losses = np.zeros((1, LANES), np.float32)
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-scores))
    label = lanes % TARGET_LANES == 0
    counts = np.isin(lanes % TARGET_LANES, (0, 1, 2, 4, 5)) * weight[0].repeat(
        TARGET_LANES
    )
    use_errors(tiles, target, signs, weight, losses)
    wanted = counts * (label - probability[:, None])
    np.testing.assert_allclose(tiles, wanted, rtol=1e-4, atol=1e-6)
    inner = np.tile(scores[:4096:8, None], LANES).astype(np.float32)
    losses[:] = 0
    use_errors(inner, target, signs, weight, losses)
    softplus = np.logaddexp(0, np.where(label, -1, 1) * scores[:4096:8, None])
    np.testing.assert_allclose(losses[0], (counts * softplus).sum(0), rtol=1e-4)


def test_squared_distances_with_a_candidate() -> None:
    rng = np.random.default_rng(1)
    vectors, candidates = (
        rng.standard_normal((n, 5)).astype(np.float32) for n in (40, 4)
    )
    closest = rng.random(40).astype(np.float32) * 8
    found = np.empty((4, 40), np.float32)
    kmeans._write_closest(vectors, candidates, closest, found)
    distances = ((vectors - candidates[:, None]) ** 2).sum(2)
    np.testing.assert_allclose(found, np.minimum(closest, distances), rtol=1e-5)


# --- random numbers and walks --------------------------------------------------------------------


def splitmix64(seed: int, n: int) -> list[int]:
    """Steele, Lea and Flood, 2014, in whole numbers."""
    found, mask = [], 2**64 - 1
    for k in range(1, n + 1):
        z = (seed + k * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        found.append(z ^ (z >> 31))
    return found


@pytest.mark.parametrize("seed", [0, 12345, 2**64 - 1])
def test_walkers_draw_from_splitmix64(seed: int) -> None:
    state = np.array([seed], np.uint64)
    wanted = splitmix64(seed, 5)
    assert splitmix64(sampling.advanced(seed, 2), 3) == wanted[2:]
    assert [int(walks._draw(state, 0)) for _ in range(5)] == wanted
    assert splitmix64(0, 1) == [0xE220A8397B1DCDAF]  # as its authors print it


def test_the_lower_bound_is_that_of_numpy() -> None:
    rng = np.random.default_rng(2)
    for n in range(20):
        row = np.sort(rng.integers(0, 30, n)).astype(np.int32)
        for x in range(-1, 32):
            assert walks._lower_bound(row[:, None], 0, n, x) == np.searchsorted(row, x)


# --- skip-gram -----------------------------------------------------------------------------------

N, DIM, WINDOW, LR = 12, 5, 2, 0.8


def adagrad(table: Table, row: int, gradient: np.ndarray) -> None:
    table.squares[row] += gradient @ gradient
    table.vectors[row] += LR * np.sqrt(DIM) / np.sqrt(table.squares[row]) * gradient


def errors(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Label less probability of scores (t, ...); a negative that is the center itself counts 0."""
    label = np.arange(len(target)) == 0
    counts = label | (target != target[0])
    return (counts * (label - 1 / (1 + np.exp(-scores.T)))).T


def loss(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Of scores (t, ...), summed over the targets."""
    probability = 1 / (1 + np.exp(-scores))
    counts = target[1:] != target[0]
    return -np.log(probability[0]) - counts @ np.log(1 - probability[1:])


def skipgram_step(
    inputs: Table,
    outputs: Table,
    context: np.ndarray,
    weight: np.ndarray,
    target: np.ndarray,
) -> float:
    x, y = inputs.vectors[context], outputs.vectors[target]  # (c, d), (t, d)
    scores = y @ x.T  # (t, c)
    error = errors(scores, target) * weight  # (t, c)
    for row, gradient in zip(context, error.T @ y, strict=True):
        adagrad(inputs, row, gradient)
    for row, gradient in zip(target, error @ x, strict=True):
        adagrad(outputs, row, gradient)
    return float(loss(scores, target) @ weight)


def cbow_step(
    inputs: Table,
    outputs: Table,
    context: np.ndarray,
    weight: np.ndarray,
    target: np.ndarray,
) -> float:
    x, y = inputs.vectors[context], outputs.vectors[target]  # (c, d), (t, d)
    share, counts = weight / weight.sum(), weight.mean()
    mean = share @ x  # (d,)
    scores = y @ mean  # (t,)
    error = errors(scores, target) * counts  # (t,)
    for row, one in zip(target, error, strict=True):
        adagrad(outputs, row, one * mean)
    for row, one in zip(context, share, strict=True):
        adagrad(inputs, row, one * (error @ y))
    return float(loss(scores, target) * counts)


def drawn(table, bits: np.ndarray) -> np.ndarray:
    """Random tokens of random bits."""
    token = [int(z >> 32) * len(table.alias) >> 32 for z in bits.ravel().tolist()]
    token = np.reshape(token, bits.shape)
    stays = (bits & np.uint64(0xFFFFFF)) / 2**24 < table.probability[token]
    return np.where(stays, token, table.alias[token])


@pytest.mark.parametrize("step", [skipgram_step, cbow_step])
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("n_negatives", [3, 13], ids=["one tile", "three tiles"])
def test_training_is_its_steps_one_after_the_other(
    step, timed: bool, dynamic: bool, n_negatives: int
) -> None:
    rng = np.random.default_rng(4)
    token = rng.integers(0, N, 20).astype(np.int32)
    time = rng.random(20).astype(np.float32) * 2 if timed else np.zeros(20, np.float32)
    indptr = np.array([0, 9, 9, 10, 20])
    vectors = rng.standard_normal((N, DIM)).astype(np.float32)
    chances = rng.random(N) + 0.1
    cbow = step is cbow_step
    settings = Settings(
        dim=DIM, window=WINDOW, negatives=n_negatives, cbow=cbow, dynamic_window=dynamic
    )
    run = Run(seed=3, threads=1)
    trainer = CpuTrainer(
        vectors,
        initial_squares(DIM, N),
        chances,
        np.empty(0, np.float32),
        settings,
        run,
    )
    sums = trainer.learn(
        Block(indptr, token, time if timed else None), LrSchedule(LR, 10**12)
    )

    state = int(np.random.default_rng(3).integers(0, 2**64, 1, np.uint64)[0])
    own = dynamic + n_negatives  # of each token, without context, too
    bits = np.array(splitmix64(state, 20 * own), np.uint64).reshape(20, own)
    negatives = drawn(sampling.alias_table(chances), bits[:, dynamic:])  # (20, n)
    reach = np.full(20, WINDOW)
    if dynamic:
        reach = 1 + ((bits[:, 0] >> 32) * WINDOW >> 32).astype(int)
    inputs = Table(vectors.astype(np.float64), np.full(N, float(DIM)))
    outputs = Table(np.zeros((N, DIM)), np.full(N, float(DIM)))
    total, pairs = 0.0, 0.0
    for begin, end in pairwise(indptr):
        for i in range(begin, end):
            near = [
                j
                for j in range(max(begin, i - reach[i]), min(end, i + reach[i] + 1))
                if j != i
            ]
            if near:
                weight = np.exp2(-np.abs(time[near] - time[i]).astype(np.float64))
                target = np.concatenate((token[i : i + 1], negatives[i]))
                total += step(inputs, outputs, token[near], weight, target)
                pairs += weight.mean() if cbow else weight.sum()
    for found, wanted, first in zip(
        trainer.vectors(),
        (inputs, outputs),
        (vectors, np.zeros_like(vectors)),
        strict=True,
    ):
        moved = wanted.vectors - first
        assert abs(moved).max() > 0.02
        np.testing.assert_allclose(found - first, moved, atol=1e-4 * abs(moved).max())
    assert sums == pytest.approx([total, pairs], rel=1e-4)


def test_copies_are_averaged_by_what_they_learned() -> None:
    rng = np.random.default_rng(5)
    table = Table(
        rng.standard_normal((6, 4)).astype(np.float32), np.full(6, 2, np.float32)
    )
    gained = rng.random((3, 6)).astype(np.float32)  # squares of the new gradients
    gained[:, 0] = 0  # no copy trained it
    gained[1:, 1] = 0  # one did
    copies = tuple(
        Table(rng.standard_normal((6, 4)).astype(np.float32), table.squares + one)
        for one in gained
    )
    for copy in copies:
        copy.vectors[0] = table.vectors[0]
    before = Table(table.vectors.copy(), table.squares.copy())
    vectors = np.stack([copy.vectors for copy in copies])
    average_copies(0, 6, table, copies)
    share = gained[:, 1:] / gained[:, 1:].sum(0)  # (3, 5)
    mean = (share[:, :, None] * vectors[:, 1:]).sum(0)
    np.testing.assert_allclose(table.vectors[1:], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(table.vectors[0], before.vectors[0])
    squares = before.squares[1:] + (share * gained[:, 1:]).sum(0)
    np.testing.assert_allclose(table.squares[1:], squares, rtol=1e-4)
    for copy in copies:
        np.testing.assert_array_equal(copy.vectors[1:], table.vectors[1:])
        np.testing.assert_array_equal(copy.squares[1:], table.squares[1:])


# --- the cache -----------------------------------------------------------------------------------

MODULE = """
from typing import NamedTuple
import numpy as np
from embsql.numeric.compiler import CACHE_LOCK, CacheIndex, compiled

class Table(NamedTuple):
    column: np.ndarray

@compiled
def total(table):
    return table.column.sum()

print(total(Table(np.ones(3))))
"""


def test_code_that_another_version_has_cached_is_compiled_anew(tmp_path) -> None:
    """What it names may have another name now: numba itself fails then."""
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    for text in (MODULE, MODULE.replace("Table", "Sheet")):
        (tmp_path / "earlier.py").write_text(text)
        command = [sys.executable, "-c", "import earlier"]
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == "3.0\n", done.stderr
    assert list((tmp_path / "__pycache__").glob("*.nbi")), (
        "or there was nothing to be stale"
    )


def test_code_is_cached_by_one_process_at_a_time(tmp_path, monkeypatch) -> None:
    """numba reads which files there are, and then names the next: of two processes each would
    write that one, and the code of one signature would be called for the other's.
    """
    another = FileLock(tmp_path / CACHE_LOCK)

    def read(_index: CacheIndex) -> dict[str, str]:
        with pytest.raises(Timeout):
            another.acquire(timeout=0)
        return {}

    monkeypatch.setattr(CacheIndex, "_load_index", read)
    index = CacheIndex(str(tmp_path), "total", "stamp")
    index.save("a signature", "code")
    monkeypatch.undo()
    assert index.load("a signature") == "code"

"""embsql's walks and node2vec, and PecanPy's with gensim's skip-gram, on the same graph."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from embsql.data import CsrMatrix
from embsql.run import Run
from embsql.skipgram.base import Settings
from embsql.skipgram.train import train_skipgram
from embsql.skipgram.walks import Walks

SEED, NEGATIVES = 1, 5
Work = Callable[[], Any]


def walkers(
    graph: CsrMatrix, threads: int, *, walks: int, length: int, p: float, q: float
) -> dict[str, Work]:
    """What walks as often as one epoch does, by system; everything is compiled."""
    ours, theirs = (
        Walks(graph, walks, length, p, q, Run(SEED, threads)),
        _pecanpy(graph, threads, p, q),
    )
    next(iter(ours.blocks(0)))
    return {
        "embsql": lambda: sum(len(block.token) for block in ours.blocks(1)),
        "PecanPy": lambda: len(
            theirs.simulate_walks(walks, length - 1)
        ),  # it counts steps; gives lists of names
    }


def learners(
    graph: CsrMatrix,
    threads: int,
    *,
    walks: int,
    length: int,
    p: float,
    q: float,
    epochs: int,
    dim: int,
    window: int,
) -> dict[str, Work]:
    """What walks and learns, by system: vectors (n, dim) of the nodes; everything is compiled."""
    ours, theirs = (
        Walks(graph, walks, length, p, q, Run(SEED, threads)),
        _pecanpy(graph, threads, p, q),
    )
    settings = Settings(dim=dim, epochs=epochs, window=window, negatives=NEGATIVES)
    train_skipgram(
        replace(ours, walks_per_node=1, walk_length=2),
        np.ones(len(graph.counts), np.int64),
        settings,
        ours.run,
    )
    return {
        "embsql": lambda: train_skipgram(ours, ours.counts(), settings, ours.run)[0],
        "PecanPy + gensim": lambda: _gensim(
            theirs.simulate_walks(walks, length - 1), settings, threads, graph
        ),
    }


def _gensim(
    sentences: list[list[str]], settings: Settings, threads: int, graph: CsrMatrix
) -> np.ndarray:
    from gensim.models import Word2Vec

    model = Word2Vec(
        sentences,
        vector_size=settings.dim,
        window=settings.window,
        negative=settings.negatives,
        sg=1,
        min_count=0,
        epochs=settings.epochs,
        workers=threads,
        seed=SEED,
    )
    vectors = np.zeros((len(graph.counts), settings.dim), np.float32)
    vectors[np.array(model.wv.index_to_key, np.int64)] = model.wv.vectors
    return vectors


def _pecanpy(graph: CsrMatrix, threads: int, p: float, q: float) -> Any:
    """PecanPy in the mode that its manual advises for such a graph, or its faster one for walks of
    the first order.

    Every object compiles its loops anew, so this one has walked before it is given.
    """
    sys.modules["nptyping"] = (
        MagicMock()
    )  # only names types, and does not load beside numpy 2
    import numba
    from pecanpy import pecanpy

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    mode = pecanpy.PreCompFirstOrder if p == q == 1 else pecanpy.SparseOTF
    made = mode(p=p, q=q, workers=threads, random_state=SEED)
    made.set_node_ids([str(node) for node in range(len(graph.counts))])
    made.indptr, made.indices = (
        graph.indptr.astype(np.uint32),
        graph.indices.astype(np.uint32),
    )
    made.data = graph.data.astype(np.float32)
    made.simulate_walks(1, 2)
    return made

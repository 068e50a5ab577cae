"""Vectors of the nodes of a graph, learned from random walks on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from embsql.algorithms import algorithm
from embsql.algorithms.base.profile import weighted_means
from embsql.data import CsrMatrix, Embeddings, Float32, Interactions
from embsql.errors import EmptyGraph
from embsql.options import (
    INT,
    Count,
    Dim,
    Duration,
    NonNegative,
    Positive,
    Range,
    Share,
    Size,
    check,
)
from embsql.run import Run
from embsql.skipgram.base import Settings
from embsql.skipgram.train import train_skipgram

# of a vector, roughly: a shorter one would soon be turned away from where it pointed
TRAINED_LENGTH = np.float32(5)


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Node2Vec:
    """Vectors of the nodes of a graph, alike where random walks meet the nodes near one another.

    Walks of the second order with the parameters p and q (Grover and Leskovec, 2016, "node2vec");
    with p = q = 1 this is DeepWalk (Perozzi et al., 2014). They are drawn by rejection, exactly for
    every p and q, and go straight into skip-gram with negative sampling: memory does not grow with
    their number. Edges are walked by their weight.

    nodes=both: users next to their items. No user knows another, so a step leads back or to
    a new node, and p and q only act through p/q. nodes=items: every item next to the `n_neighbors`
    items whose users are most alike by cosine, of those at least `min_similarity` alike, and next
    to those it is such a neighbor of; with `max_event_distance` or `max_time_gap` only users count
    who have both items so near to one another. A history of more than 5,000 items is left out of
    that: the work grows with its square. graph, a SELECT of source_node, target_node and weight
    given to training, takes the place of the items' graph: edges count in both directions, those
    given more than once are added up. The items' graph that was walked is in embsql.graph_edges.

    A user's vector is the mean of the vectors of the user's items, by weight, which SQL repeats for
    any history. An item without neighbors is never walked: its vector is zero. An item that
    everybody has slows nothing down: a step costs about the same whatever the degree. With
    warm_start, training goes on from the live run's vectors.
    """

    warm_starts: ClassVar[bool] = True
    on_gpu: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("graph",)

    name: ClassVar[str]  # set by @algorithm

    dim: Dim = 64  # length of the vectors
    epochs: Count = 10  # passes, each over walks of its own
    # walk between users and items, or from item to item
    nodes: Literal["both", "items"] = "both"
    walks_per_node: Count = 5  # walks from every node in every epoch
    walk_length: Annotated[int, Range(2, INT)] = 20  # nodes of a walk
    # above 1 a walk seldom turns back at once, below 1 it stays near its start
    p: Positive = 1.0
    # above 1 a walk stays among common neighbors, below 1 it leads away
    q: Positive = 1.0
    # nodes on either side of a node in a walk that count as its context
    window: Count = 3
    negatives: Count = 5  # random nodes that each pair is contrasted with
    # nodes are drawn as negatives as often as they are visited, to this power
    ns_exponent: float = 0.75
    lr: Positive = 0.8  # length of the first steps; Adagrad shortens later ones
    # items that every item is joined with; more blur what is alike
    n_neighbors: Count = 20
    min_similarity: Share = 0.0  # cosine that items must have to be joined
    # weight of items' edges: their cosine, or how many users interacted with both
    edge_weight: Literal["cosine", "count"] = "cosine"
    # events that two items may be apart in a history to count for it; 0: any
    max_event_distance: Size = 0
    # time they may be apart, in microseconds or a numeric event_time's own unit; 0: any
    max_time_gap: Duration = 0
    # what popular items gain: vectors are as long as their number of users to this power
    popularity_exponent: NonNegative = 0.1

    def __post_init__(self) -> None:
        check(self)

    @property
    def ordered(self) -> bool:
        """Whether it matters when things happened."""
        return self.max_event_distance > 0 or self.max_time_gap > 0

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Walk and learn; the reported loss is that of a pair of nodes. Raises EmptyGraph."""
        # here: they bring the compiler, which listing does not need
        from embsql.skipgram.graph import edges
        from embsql.skipgram.walks import Walks

        bipartite = self.nodes == "both" and data.graph is None
        graph = self._graph(data, run)  # (n, n)
        # Without common neighbors only p/q counts, and with q = 1 none are looked for.
        p, q = (self.p / self.q, 1.0) if bipartite else (self.p, self.q)
        walks = Walks(graph, self.walks_per_node, self.walk_length, p, q, run)
        initial = _initial(run, bipartite)  # (n, d)
        vectors, _ = train_skipgram(
            walks, walks.counts(), self._settings(), run, initial
        )  # (n, d)
        vectors[graph.counts == 0] = 0
        items = self._items(vectors[-data.n_items :], data)  # (i, d)
        users = weighted_means(data, data.weight, items, run)  # (u, d)
        return Embeddings(users, items, graph=None if bipartite else edges(graph))

    def _settings(self) -> Settings:
        return Settings(
            dim=self.dim,
            epochs=self.epochs,
            window=self.window,
            negatives=self.negatives,
            lr=self.lr,
            ns_exponent=self.ns_exponent,
        )

    def _items(self, vectors: Float32, data: Interactions) -> Float32:
        """The items' directions (i, d), at their numbers of users to `popularity_exponent`."""
        length = np.linalg.norm(vectors, axis=1, keepdims=True)  # (i, 1)
        users = np.maximum(np.bincount(data.item, minlength=data.n_items), 1)[
            :, None
        ]  # (i, 1)
        wanted = users.astype(np.float32) ** np.float32(
            self.popularity_exponent
        )  # (i, 1)
        zero = np.zeros_like(length)
        factor = np.divide(wanted, length, out=zero, where=length > 0)  # (i, 1)
        items: Float32 = vectors * factor  # (i, d)
        return items

    def _graph(self, data: Interactions, run: Run) -> CsrMatrix:
        """What is walked on, a symmetric matrix: of the items, or of the users and then the items.

        Raises EmptyGraph.
        """
        from embsql.skipgram.graph import adjacency, bipartite, item_knn_graph

        if data.graph is not None:
            return adjacency(data.graph, data.n_items, run)
        if self.nodes == "both":
            return bipartite(data, run)
        graph = item_knn_graph(
            data,
            self.n_neighbors,
            self.min_similarity,
            self.max_event_distance,
            self.max_time_gap,
            run,
            counts=self.edge_weight == "count",
        )
        if not len(graph.indices):
            raise EmptyGraph(model=run.model_name)
        return graph


def _initial(run: Run, bipartite: bool) -> Float32 | None:
    """The live run's vectors (n, d) of the nodes, about as long as training makes them.

    None to begin afresh; NaN for who is new.
    """
    if run.before is None:
        return None
    items = run.before.items * TRAINED_LENGTH  # (i, d)
    return np.vstack((run.before.users * TRAINED_LENGTH, items)) if bipartite else items

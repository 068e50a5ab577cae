"""Users by a network over vectors of the items in their history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from embsql.algorithms import algorithm
from embsql.algorithms.base.network import train_network
from embsql.data import Embeddings, Interactions
from embsql.options import Count, Dim, Positive, check, require
from embsql.run import Run


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class NeuralContent:
    """Item vectors from elsewhere, mapped, and users as what an encoder makes of their history.

    The vectors (of texts, images, another model) are a column of lists of numbers in
    `item_features`. An item's vector is a learned linear map of the one it brings, with
    `item_id_embedding` plus a vector of its own; a user's is what an encoder makes of the vectors
    of the items in the history:

    - mean: their mean (Covington, Adams and Sargin, 2016, "Deep neural networks for YouTube
      recommendations");
    - attention: their mean, each item with a weight that is learned from its vector (Yang et al.,
      2016, "Hierarchical attention networks for document classification");
    - gru: the last state of gated recurrent units that read them in order of event_time (Cho et
      al., 2014, "Learning phrase representations using RNN encoder-decoder").

    Each item of a history is predicted from the others, or, with gru, from those before it; never
    from itself. The loss is the softmax over the catalog, estimated from items drawn (as in
    `two_tower`). Every pair counts once.

    An item without a vector is zero without `item_id_embedding`: it says nothing of its users and
    is never recommended; with it its own vector is all it has. Ids are left out at random in
    training, so that the map learns to do without them: an item without interactions has its mapped
    vector. A user whose items have no vectors has none. Histories given in SQL (`recommend_from`)
    are read as the encoder does; gru reads an item given twice once, as the last time.
    """

    name: ClassVar[str]  # set by @algorithm
    resumes: ClassVar[bool] = True
    on_gpu: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("item_features",)
    cold_start: ClassVar[tuple[str, ...]] = ("item_features",)

    # the column that holds them; none: the only one there is
    vector_col: str | None = None
    # how a history becomes one vector: its mean, one weighted by attention, or a GRU's last state
    encoder: Literal["mean", "attention", "gru"] = "mean"
    # whether items also have vectors of their own; better where items have many interactions
    item_id_embedding: bool = False
    dim: Dim = 64  # length of the vectors
    # passes over the histories; 5 where there are hundreds of thousands of pairs
    epochs: Count = 10
    lr: Positive = 0.003  # step size of Adam, falling to 0
    # histories per step; fewer where that would be less than 32 steps an epoch
    batch_size: Count = 64
    # items drawn per step to contrast with; the whole catalog where it has no more
    negatives: Count = 512
    # how two vectors make a score; lengths can say what is popular
    similarity: Literal["cosine", "dot"] = "dot"
    # divides scores that are cosines in the loss; lower looks more at hard negatives
    temperature: Positive = 0.1
    max_length: Count = 200  # the latest so many items of a user are used

    def __post_init__(self) -> None:
        check(self)

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data; the reported loss is the mean over steps."""
        has_order = self.encoder != "gru" or data.time is not None
        require(
            self,
            "mean or attention where the source has no event_time",
            encoder=has_order,
        )
        return train_network("history_encoder.fit_neural_content", self, data, run)

"""Two towers (DSSM): vectors of ids and features, so that newcomers have one too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embsql.algorithms import algorithm
from embsql.algorithms.base.network import train_network
from embsql.data import Embeddings, Interactions
from embsql.errors import BadFeatures
from embsql.features.encoders import FeatureMatrix, encode_features
from embsql.options import (
    Count,
    Dim,
    Dropout,
    Layers,
    NonNegative,
    Positive,
    Size,
    check,
    require,
)
from embsql.run import Run


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTower:
    """Two towers: a user's and an item's vector, trained so that interactions score above the rest.

    Each vector is that of the id plus what the features add (`user_features`, `item_features`: a
    SELECT of the id and any columns). Text and booleans are categories, numbers and dates are
    numbers, lists are several categories at once, long text is its words (n of them count 1 /
    sqrt(n) each); NULL, and a value that fewer than two rows have, have a learned vector of their
    own. `history_embedding` adds the mean over the user's items, in training over a random part of
    them; with user_id_embedding = False and no features that mean is all that users are. Ids are
    left out at random in training, so that embsql.embed_user, embed_item and recommend_new can give
    newcomers a vector of their features alone, in SQL. Where many words, tags or categories tell of
    newcomers, similarity = dot with a feature_reg near 50 is a good beginning: what one word adds
    is then small until many pairs say so, as in ridge regression. With warm_start, training goes on
    from the live run's vectors, of which the towers first learn what features can say.

    The loss is by default the softmax over the catalog, estimated from a few hundred negatives
    whose scores are corrected by how often each is drawn (Huang et al., 2013, "Learning deep
    structured semantic models"; Yi et al., 2019, "Sampling-bias-corrected neural modeling"). Every
    pair counts once, whatever its weight.

    With sampler = hard, only the best-scoring eighth of the items drawn uniformly counts for each
    pair (Zhang et al., 2013, "Optimizing top-N collaborative filtering via dynamic negative item
    sampling"), without those the user has seen and those so far above the pair's item that they may
    well be liked (as Moreira et al., 2024, "NV-Retriever"). With loss = contrastive, many items and
    nothing but ids, a margin near 0.9 and a negative_weight of 150 are a good beginning (Mao et
    al., 2021, "SimpleX", who also leave out a tenth of a user vector's components:
    `user_embedding_dropout`). `negative_queue_size` adds the items of earlier steps as negatives
    for little work, at the price that their vectors are a bit old (Wang et al., 2021, "Cross-batch
    negative sampling for training two-tower recommenders").
    """

    name: ClassVar[str]  # set by @algorithm
    encodes: ClassVar[bool] = True
    on_gpu: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("user_features", "item_features")
    cold_start: ClassVar[tuple[str, ...]] = ("user_features", "item_features")
    resumes: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True

    dim: Dim = 64  # length of the vectors
    epochs: Count = 20  # passes over the pairs
    # step size of Adam, and of row-wise Adagrad for over 100,000 ids; falling to 0
    lr: Positive = 0.005
    # pairs per step; fewer where that would be less than 32 steps an epoch
    batch_size: Count = 1024
    # items drawn per step to contrast with; the whole catalog where it has no more
    negatives: Count = 512
    # how negatives are drawn; mixed: from the batch and uniformly
    sampler: Literal["uniform", "popularity", "in_batch", "mixed", "hard"] = "uniform"
    # items of earlier pairs that are negatives too, with the vectors they had then
    negative_queue_size: Size = 0
    # over all negatives at once, or one by one
    loss: Literal["softmax", "bpr", "triplet", "contrastive"] = "softmax"
    similarity: Literal["cosine", "dot"] = "cosine"  # how two vectors make a score
    # divides scores in the loss; none: 0.1 for softmax or bpr of cosines, else 1
    temperature: Positive | None = None
    # triplet: between positive and negative; contrastive: the score a negative may have
    margin: NonNegative = 0.5
    # contrastive: weight of all negatives, where the positive's is 1
    negative_weight: NonNegative = 10.0
    reg: NonNegative = 0.0  # regularization of a step's vectors; only for dot
    # regularization of what features add, as strong as that many pairs; only for dot
    feature_reg: NonNegative = 0.0
    hidden_layers: Layers = 0  # hidden layers between features and vector
    hidden_dim: Count = 128  # width of hidden layers
    # the user's items as a feature, with vectors of their own
    history_embedding: Literal["none", "separate", "shared"] = "none"
    history_dropout: Dropout = 0.5  # share of a history's items left out in training
    # share of a user vector's components left out in training
    user_embedding_dropout: Dropout = 0.0
    # whether users have vectors of their own, besides what their features and history say
    user_id_embedding: bool = True
    # share of ids left out in training, where there are features; what newcomers live on
    id_dropout: Dropout = 0.3
    # epochs without a better hit rate on pairs held out, after which to stop; 0: never
    patience: Size = 0

    def __post_init__(self) -> None:
        check(self)

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data; the reported loss is the mean over steps."""
        features = self._encode_features(data)
        return train_network("towers.fit_two_tower", self, data, features, run)

    @property
    def divisor(self) -> float:
        """What scores are divided by in the loss."""
        if self.temperature is not None:
            return self.temperature
        is_softened = self.similarity == "cosine" and self.loss in ("softmax", "bpr")
        return 0.1 if is_softened else 1.0

    def _encode_features(self, data: Interactions) -> dict[str, FeatureMatrix | None]:
        """The features of users and of items. Raises BadFeatures and BadOption."""
        users = data.user_features
        items = data.item_features
        self._check_features(users, items)
        return {
            "user": _encode(users, "user_features", data.users_with_pairs()),
            "item": _encode(items, "item_features", data.items_with_pairs()),
        }

    def _check_features(self, users: pa.Table | None, items: pa.Table | None) -> None:
        """Raise BadFeatures or BadOption where they do not fit the options."""
        has_history = self.history_embedding != "none"
        if has_history and users is not None and "items" in users.column_names:
            found = 'a column "items", which is the history\'s name'
            raise BadFeatures(option="user_features", found=found)
        require(
            self,
            "true, unless there are user_features or a history_embedding",
            user_id_embedding=self.user_id_embedding
            or has_history
            or users is not None,
        )
        has_features = bool(users or items)
        require(
            self,
            "0, unless there are user_features or item_features",
            feature_reg=has_features or not self.feature_reg,
        )


def _encode(
    table: pa.Table | None, option: str, learned: NDArray[np.bool_]
) -> FeatureMatrix | None:
    return encode_features(table, option, learned) if table else None

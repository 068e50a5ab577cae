"""Vectors of items, and of users if there are any, that are a run as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from embsql.data import Embeddings, Interactions
from embsql.errors import BadFeatures
from embsql.features.vectors import require_norms, vector_column
from embsql.options import Similarity
from embsql.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The column `embedding` of the features of items and users is what they are embedded as.

    Nothing is trained.
    """

    name: ClassVar[str] = "registered"
    ordered: ClassVar[bool] = False
    encodes: ClassVar[bool] = False
    resumes: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = False
    in_spark: ClassVar[bool] = False
    sides: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[str, ...]] = ()
    cold_start: ClassVar[tuple[str, ...]] = ()

    similarity: Similarity
    users: str | None  # the SELECT that gave the users
    encoder: str | None = None  # the folder of what made vectors of texts

    @property
    def epochs(self) -> int:
        """None: nothing is trained."""
        return 0

    @property
    def explicit(self) -> bool:
        """There are no weights."""
        return False

    def defaults(self, _data: Interactions, _run: Run) -> dict[str, float]:
        """None is left to the data."""
        return {}

    def fit(self, data: Interactions, _run: Run) -> Embeddings:
        """The vectors as they were given. Raises BadFeatures for what is none."""
        assert data.item_features is not None  # noqa: S101 - for mypy: registering gives them
        items = vector_column(
            data.item_features["embedding"], data.items, "items"
        )  # (i, d)
        require_norms(items, data.items, "items")
        if data.user_features is None:
            return Embeddings(items[:0], items, similarity=self.similarity)
        users = vector_column(
            data.user_features["embedding"], data.users, "users"
        )  # (u, d)
        require_norms(users, data.users, "users")
        user_dim, item_dim = users.shape[1], items.shape[1]
        if user_dim != item_dim:
            found = f"vectors of {user_dim:,}, where those of items have {item_dim:,}"
            raise BadFeatures(option="users", found=found)
        return Embeddings(users, items, similarity=self.similarity)

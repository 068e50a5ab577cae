"""Features of items as columns of numbers, and the linear map from them to vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Interactions, Tower
from embsql.errors import BadFeatures
from embsql.features.encoders import FeatureMatrix, encode_features
from embsql.features.vectors import unit_or_zero, vector_column, vector_columns

MAX_COLUMNS = 4096  # the map is found by a dense solution
RIDGE = 1.0  # items at zero that each column is given
OPTION = "item_features"


class DenseFeatures(NamedTuple):
    """Features of items as numbers: attributes first, then vectors of length 1."""

    table: Float32  # (n_items, p)
    attributes: FeatureMatrix | None  # what the first columns are
    only_attributes: bool

    def ridge_map(self, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The matrix (p, m) that turns vectors (m, d) of the items seen into regression weights.

        The weights (p, d) predict these vectors from the items' features, by ridge regression.
        """
        x = self.table[seen].astype(np.float64)  # (m, p)
        identity = np.eye(x.shape[1])  # (p, p)
        gramian = x.T @ x + RIDGE * identity  # (p, p)
        solution = np.linalg.solve(gramian, x.T)  # (p, m)
        return np.asarray(solution, np.float64)

    def tower(self, weights: Float32) -> Tower | None:
        """The weights (p, d) for SQL, where attributes are all there is."""
        if self.attributes is None or not self.only_attributes:
            return None
        return Tower(tuple(self.attributes.columns()), weights)


def dense_item_features(data: Interactions) -> DenseFeatures:
    """The features of items as numbers.

    Raises BadFeatures where there are none or too many values.
    """
    table = data.item_features
    if table is None or not table.num_columns:
        found = "nothing, and fusion learns from what is known of items"
        raise BadFeatures(option=OPTION, found=found)
    names = vector_columns(table)
    others = table.drop_columns(names)
    attributes = None
    if others.num_columns:
        attributes = encode_features(others, OPTION, data.items_with_pairs())
    parts = [_dense(attributes)] if attributes else []
    for name in names:
        vectors = vector_column(table[name], data.items, OPTION)  # (n, d)
        parts.append(unit_or_zero(vectors))
    joined = np.concatenate(parts, axis=1)  # (n, p)
    n_columns = joined.shape[1]
    if n_columns > MAX_COLUMNS:
        found = f"{n_columns:,} values and numbers, where fusion takes {MAX_COLUMNS:,}"
        raise BadFeatures(option=OPTION, found=found)
    return DenseFeatures(joined, attributes, not names)


def _dense(matrix: FeatureMatrix) -> Float32:
    """The sparse matrix as a table (n, n_columns). Raises BadFeatures before it would be large."""
    n_columns = matrix.n_columns
    if n_columns > MAX_COLUMNS:
        found = f"{n_columns:,} values, where fusion takes {MAX_COLUMNS:,}"
        raise BadFeatures(option=OPTION, found=found)
    per_row = np.diff(matrix.indptr)  # (n,)
    n = len(per_row)
    row = np.repeat(np.arange(n), per_row)  # (entries,)
    cells = (row, matrix.column)
    table = np.zeros((n, n_columns), np.float32)
    np.add.at(table, cells, matrix.value)
    return table

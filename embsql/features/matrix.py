"""What is known of items as columns of numbers, and the linear map from it to vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embsql.data import Float32, Interactions, Tower
from embsql.errors import BadFeatures
from embsql.features.encoders import Encoded, encode
from embsql.features.vectors import is_vector, unit, vectors

MOST = 4096  # columns: the map is found by a dense solution
RIDGE = 1.0  # items at zero that each column is given
OPTION = "item_features"


class Content(NamedTuple):
    """Features of items as numbers: attributes first, each value a column, then vectors, each of
    length 1.
    """

    table: Float32  # (n_items, p)
    attributes: Encoded | None  # what the first columns are
    only_attributes: bool

    def map_of(self, met: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What takes vectors of the met items (m, d) to the ridge solution (p, d) that predicts
        them: (p, m).
        """
        rows = self.table[met].astype(np.float64)  # (m, p)
        return np.asarray(
            np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T), np.float64
        )

    def tower(self, weights: Float32) -> Tower | None:
        """The map (p, d) for SQL, where attributes are all there is."""
        if self.attributes is None or not self.only_attributes:
            return None
        return Tower(tuple(self.attributes.rows()), weights)


def content_of(data: Interactions) -> Content:
    """The features of items as numbers.

    Raises BadFeatures where there are none or too many values.
    """
    table = pa.table({}) if data.item_features is None else data.item_features
    if not table.num_columns:
        raise BadFeatures(
            option=OPTION, found="nothing, and fusion learns from what is known of items"
        )
    given = [field.name for field in table.schema if is_vector(field.type)]
    attributes = (
        encode(table.drop_columns(given), OPTION) if len(given) < table.num_columns else None
    )
    parts = [_dense(attributes)] if attributes else []
    parts += [unit(vectors(table[name], data.items, OPTION)) for name in given]
    found = np.concatenate(parts, axis=1)  # (n, p)
    if found.shape[1] > MOST:
        raise BadFeatures(
            option=OPTION,
            found=f"{found.shape[1]:,} values and numbers, where fusion takes {MOST:,}",
        )
    return Content(found, attributes, not given)


def _dense(encoded: Encoded) -> Float32:
    """The sparse rows as a table (n, slots). Raises BadFeatures before it would be large."""
    if encoded.slots > MOST:
        raise BadFeatures(
            option=OPTION, found=f"{encoded.slots:,} values, where fusion takes {MOST:,}"
        )
    n = len(encoded.start) - 1
    table = np.zeros((n, encoded.slots), np.float32)
    np.add.at(
        table, (np.repeat(np.arange(n), np.diff(encoded.start)), encoded.slot), encoded.factor
    )
    return table

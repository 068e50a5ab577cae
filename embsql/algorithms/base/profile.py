"""Users as means of their items."""

from __future__ import annotations

from typing import Any

import numpy as np

from embsql.data import Float32, Interactions
from embsql.run import Run


def weighted_means(
    data: Interactions, weight: Any, items: Float32, run: Run
) -> Float32:
    """The mean of each user's items (i, d) by weight (n,): (u, d), zero where there is none."""
    from embsql.numeric.linalg import multiply

    total = np.bincount(data.user, weight, data.n_users)  # (u,)
    divisor = np.where(total > 0, total, 1)  # (u,)
    share = weight / divisor[data.user]  # (n,)
    return multiply(data.by_user(share.astype(np.float32)), items, run)

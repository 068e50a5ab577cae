"""How strong a penalty the factors of evidence want, by what the interactions are like.

Divided by the roots of its row and column sums, a matrix of interactions has singular values from
0 to 1. Least squares whose penalty grows with evidence keep about those of them that are above
reg * (1 + ratio), where all unseen pairs together weigh `ratio` times the seen ones, and lower the
others to 0. Those of pairs without structure end at `level_of`. Where little rises above it, a
threshold near it keeps noise out of the factors. Where more does than factors can hold, none of
them is noise, and a threshold only bends what they learn: then it is low.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from embsql.data import CsrMatrix, Interactions
from embsql.factorization.objective import IMPLICIT_REG, UNOBSERVED_TO_OBSERVED
from embsql.numeric.linalg import multiply, transpose
from embsql.run import Run

# of the noise level: where there is little structure 0.65 to 0.8 is best
THRESHOLD_TO_NOISE = 0.8
# of so many directions as strong as noise, noise counts half
MUCH_STRUCTURE = 32.0
PROBES = 16  # random vectors that structure is estimated by
SEED = 0  # of these: the penalty is that of the data, whatever the training's seed


class Noise(NamedTuple):
    """What is known of the noise of pairs."""

    level: float  # see `level_of`
    share: float  # see `share_of`

    @property
    def reg(self) -> float:
        """The default penalty of evidence, for `UNOBSERVED_TO_OBSERVED`, to two digits."""
        threshold = THRESHOLD_TO_NOISE * self.level
        strong = max(threshold / (1 + UNOBSERVED_TO_OBSERVED), IMPLICIT_REG)
        more = self.share * (strong - IMPLICIT_REG)
        return float(f"{IMPLICIT_REG + more:.2g}")


def noise(data: Interactions, run: Run) -> Noise:
    """That of interactions in memory."""
    users = int(np.count_nonzero(np.bincount(data.user)))
    items = int(np.count_nonzero(np.bincount(data.item)))
    level = level_of(users, items, len(data))
    return Noise(level, share_of(structure(data, run), level))


def share_of(structure: float, level: float) -> float:
    """How much noise counts: 1 where nothing rises above it, almost 0 where much does."""
    directions = structure / level**4
    return 1 / (1 + (directions / MUCH_STRUCTURE) ** 2)


def level_of(users: int, items: int, pairs: int) -> float:
    """Where the singular values of `normalized` end if nobody prefers anything.

    The edge of Marchenko and Pastur (1967): the root of one over a user's pairs, and that of one
    over an item's, each on average. Of very few pairs it is 1, as is the largest of all.
    """
    edge = math.sqrt(users / pairs) + math.sqrt(items / pairs)
    return min(edge, 1.0)


def structure(data: Interactions, run: Run) -> float:
    """The fourth powers of singular values that neither chance nor popularity explains, added up.

    Of a normalized matrix these powers are the weight of its closed walks of four steps, from an
    item to a user, to an item, to a user and back. One that comes by the same item or user twice
    needs no structure; neither does the 1 that popularity, the largest of all, gives. Two products
    with a few random vectors, without both, estimate the rest (Hutchinson, 1990).
    """
    matrix = normalized(data)
    columns = transpose(matrix, data.n_items)
    counts = columns.counts  # (i,)
    returns = np.bincount(data.item, np.square(matrix.data), data.n_items)  # (i,)
    stays = returns - counts / len(data)  # (i,)
    popular = np.sqrt(counts / len(data))  # (i,)
    chance = np.random.default_rng(SEED)
    probes = chance.standard_normal((data.n_items, PROBES), np.float32)  # (i, p)
    probes = np.sign(probes)  # (i, p)
    walked = multiply(columns, multiply(matrix, probes, run), run)  # (i, p)
    along = (popular[:, None] * probes).sum(axis=0)  # (p,)
    walked -= popular[:, None] * along + stays[:, None] * probes  # (i, p)
    squares = [_sum_of_squares(part) for part in (walked, stays, returns)]
    return structure_of(squares, _by_one_user(matrix))


def structure_of(squares: Sequence[float], by_one_user: float) -> float:
    """Of the squares of what probes walked, of what stays and of what returns, added up.

    And of the walks from one item to another and back by the same user.
    """
    walked, stays, returns = squares
    others = walked / PROBES + stays - returns
    return max(0.0, others - by_one_user)


def normalized(data: Interactions) -> CsrMatrix:
    """Ones divided by the roots of how many pairs their user and their item have.

    Weights are left out: what is asked is whether pairs come by chance.
    """
    users = np.bincount(data.user, minlength=data.n_users)  # (u,)
    items = np.bincount(data.item, minlength=data.n_items)  # (i,)
    shares = 1 / np.sqrt(users[data.user] * items[data.item])  # (n,)
    return data.by_user(shares.astype(np.float32))


def _by_one_user(matrix: CsrMatrix) -> float:
    """The weight of walks from one item to another and back by the same user."""
    squares = np.square(matrix.data, dtype=np.float64)  # (n,)
    users = np.repeat(np.arange(len(matrix.counts)), matrix.counts)  # (n,)
    of_users = np.bincount(users, squares)  # (u,)
    return float(np.square(of_users).sum() - np.square(squares).sum())


def _sum_of_squares(table: Any) -> float:
    return float(np.square(table, dtype=np.float64).sum())

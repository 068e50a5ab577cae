"""A small shop that exists nowhere: customers with tastes, seasons, new products.

Same seed, same shop.
"""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

AISLES = ("tea", "coffee", "mug", "candle", "yarn", "book", "garden", "toy")
STYLES = ("plain", "playful", "classic", "bold")
# month (0 = January) in which each aisle sells best
PEAK = (11, 0, 10, 11, 9, 6, 4, 11)
OPENED = datetime.datetime(2024, 1, 1)
DAYS = 730


def generate_shop(
    customers: int = 3000, per_aisle: int = 30, seed: int = 7
) -> tuple[pa.Table, pa.Table]:
    """(items, orders): items (item_id, name, aisle, style, launched_on), orders one row per line.

    A customer likes two or three aisles and one style, orders from time to time, buys what the
    season suggests and, of what is already launched, the popular things more often.
    """
    rng = np.random.default_rng(seed)
    items = _items(rng, per_aisle)
    taste = rng.dirichlet(np.full(len(AISLES), 0.25), customers)  # (customers, aisles)
    style = rng.integers(len(STYLES), size=customers)  # (customers,)
    orders = rng.poisson(rng.gamma(1.5, 4.0, customers)) + 1  # (customers,) heavy tail
    customer = np.repeat(np.arange(customers), orders)  # (orders,)
    day = rng.integers(DAYS, size=len(customer))  # (orders,)
    order = np.repeat(
        np.arange(len(customer)), rng.integers(1, 5, len(customer))
    )  # (lines,) the order of each line
    aisle = _choose(rng, taste[customer[order]] * _season(day[order]))  # (lines,)
    rank = _choose(
        rng, _appeal(items, aisle, style[customer[order]], day[order])
    )  # (lines,) place in the aisle
    catalog = _item_table(items)
    return catalog, _order_table(
        rng, catalog, customer[order], day[order], order, aisle * per_aisle + rank
    )


def _items(rng: np.random.Generator, per_aisle: int) -> dict[str, NDArray[np.int64]]:
    """Style (aisles, per_aisle) and launch day (aisles, per_aisle).

    One product in four comes later.
    """
    shape = (len(AISLES), per_aisle)
    late = rng.random(shape) < 0.25
    launch = np.where(late, rng.integers(1, DAYS - 60, shape), 0)  # (aisles, per_aisle)
    return {"style": rng.integers(len(STYLES), size=shape), "launch": launch}


def _season(day: NDArray[np.int64]) -> NDArray[np.float64]:
    """How well each aisle sells on a day: (n,) -> (n, aisles).

    It is highest in the aisle's peak month.
    """
    month = day[:, None] / 30.4  # (n, 1)
    return np.asarray(
        1.2 + np.cos((month - np.array(PEAK)) * 2 * np.pi / 12)
    )  # (n, aisles)


def _appeal(
    items: dict[str, NDArray[np.int64]],
    aisle: NDArray[np.int64],
    style: NDArray[np.int64],
    day: NDArray[np.int64],
) -> NDArray[np.float64]:
    """How likely each product of the chosen aisle is: (n, per_aisle)."""
    popular = 1 / np.arange(1, items["style"].shape[1] + 1) ** 0.7  # (per_aisle,) Zipf
    affinity = np.where(
        items["style"][aisle] == style[:, None], 6.0, 1.0
    )  # (n, per_aisle)
    return popular * affinity * (items["launch"][aisle] <= day[:, None])


def _choose(rng: np.random.Generator, weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """One column per row, drawn in proportion to the weights: (n, m) -> (n,)."""
    total = np.cumsum(weight, axis=1)  # (n, m)
    chance = rng.random((len(total), 1))  # (n, 1)
    point = chance * total[:, -1:]  # (n, 1)
    is_before = total < point  # (n, m)
    return np.asarray(is_before.sum(axis=1))


def _item_table(items: dict[str, NDArray[np.int64]]) -> pa.Table:
    rows = [
        {
            "item_id": f"{aisle}-{n + 1:02d}",
            "name": f"{_style(items, a, n)} {aisle} no. {n + 1}",
            "aisle": aisle,
            "style": _style(items, a, n),
            "launched_on": (
                OPENED + datetime.timedelta(days=int(items["launch"][a, n]))
            ).date(),
        }
        for a, aisle in enumerate(AISLES)
        for n in range(items["style"].shape[1])
    ]
    return pa.Table.from_pylist(rows)


def _style(items: dict[str, NDArray[np.int64]], aisle: int, number: int) -> str:
    """The style of an item of an aisle."""
    code = items["style"][aisle, number]
    return STYLES[code]


def _order_table(
    rng: np.random.Generator,
    catalog: pa.Table,
    customer: NDArray[np.int64],
    day: NDArray[np.int64],
    order: NDArray[np.int64],
    item: NDArray[np.int64],
) -> pa.Table:
    """Order lines; the lines of an order share one moment."""
    n_orders = int(order.max()) + 1
    of_order = rng.integers(8 * 3600, 22 * 3600, n_orders)  # (orders,)
    second = of_order[order]  # (lines,)
    moment = (
        np.datetime64(OPENED, "s")
        + day.astype("timedelta64[D]")
        + second.astype("timedelta64[s]")
    )
    return pa.table(
        {
            "customer_id": [f"c{number:04d}" for number in customer],
            "item_id": catalog["item_id"].take(item),
            "quantity": rng.integers(1, 4, len(item)),
            "ordered_at": moment,
        }
    )

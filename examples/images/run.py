"""Pictures and behavior in one: items that look alike, and lists that hold what is new.

Usage: python examples/images/run.py [DATABASE]

The pictures are the 1,797 handwritten digits that come with scikit-learn. Who buys them is made up:
each customer likes two digits, and some pictures are popular. A fifth of the pictures came in after
the orders: nobody has bought them yet.
"""

from __future__ import annotations

import sys

import duckdb
import numpy as np
import pyarrow as pa
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import embsql

CUSTOMERS = 1500
BOUGHT = 12  # pictures of each customer before the fifth came in
WANTED = 6  # of each after it
NEW = 0.2  # share of the pictures that came in
LIKED = 0.8  # of what a customer buys, the share of the two digits
DIM = 32  # of a picture's vector

TABLES = """
CREATE OR REPLACE TABLE pictures AS SELECT * FROM given_pictures;
CREATE OR REPLACE TABLE orders AS SELECT * FROM given_orders;
CREATE OR REPLACE TABLE later_orders AS SELECT * FROM given_later_orders;
"""
ORDERS = "SELECT customer_id AS user_id, picture_id AS item_id FROM orders"
VECTORS = "SELECT picture_id AS item_id, embedding FROM pictures"
LATER = "SELECT customer_id AS user_id, picture_id AS item_id FROM later_orders"
QUESTIONS = {
    "Do pictures that lie near show the same digit?": """
SELECT count(*) AS pairs, avg(CAST(near.label = digit.label AS INTEGER)) AS same_digit
FROM pictures AS digit, LATERAL (
    SELECT * FROM embsql.similar_items('pictures', digit.picture_id, k => 5)
) AS answer
JOIN pictures AS near ON near.picture_id = answer.item_id
WHERE digit.picture_id LIKE 'p00%'
""",
    "How much of what was bought later do twenty recommendations hold?": """
SELECT figure.model_name, figure.value AS recall, figure.ci_low, figure.ci_high
FROM (
    SELECT 'behavior' AS model_name, * FROM embsql.evaluation('behavior')
    UNION ALL
    SELECT 'both' AS model_name, * FROM embsql.evaluation('both')
) AS figure
WHERE figure.split = 'test' AND figure.segment = 'all'
    AND figure.metric = 'recall' AND figure.k = 20
""",
    "Which of the new pictures do they get, of which behavior knows nothing?": """
WITH shelf AS (SELECT list(picture_id) AS ids, count(*) AS n FROM pictures WHERE is_new),
wanted AS (
    SELECT later.customer_id, later.picture_id
    FROM later_orders AS later
    JOIN pictures AS picture USING (picture_id)
    WHERE picture.is_new AND later.customer_id LIKE 'c12%'
), shown AS (
    SELECT customer.customer_id, best.item_id
    FROM (SELECT DISTINCT customer_id FROM wanted) AS customer, LATERAL (
        SELECT * FROM embsql.recommend(
            'both', customer.customer_id, k => 20, candidates => (SELECT ids FROM shelf)
        )
    ) AS best
), found AS (
    SELECT wanted.customer_id, count(shown.item_id) / count(*) AS recall
    FROM wanted
    LEFT JOIN shown
        ON shown.customer_id = wanted.customer_id AND shown.item_id = wanted.picture_id
    GROUP BY wanted.customer_id
)
SELECT
    avg(recall) AS recall, 20 / any_value(n) AS by_chance,
    avg(recall) - by_chance AS lift,
    lift - 1.96 * stddev_samp(recall) / sqrt(count(*)) AS ci_low,
    lift + 1.96 * stddev_samp(recall) / sqrt(count(*)) AS ci_high
FROM found
CROSS JOIN shelf
""",
}


def encoded(images: np.ndarray) -> np.ndarray:
    """Vectors of pictures, (n, 8, 8) to (n, 32): what an encoder of yours would give."""
    pixels = images.reshape(len(images), -1)  # (n, 64)
    vectors: np.ndarray = PCA(DIM, random_state=0).fit_transform(pixels)  # (n, 32)
    return vectors.astype(np.float32)


def tables(seed: int) -> dict[str, pa.Table]:
    """The pictures, what was bought of the known ones, and what was bought later of all."""
    rng = np.random.default_rng(seed)
    digits = load_digits()
    n = len(digits.target)
    popularity = rng.lognormal(size=n)  # (n,)
    is_new = rng.random(n) < NEW  # (n,)
    ids = np.array([f"p{number:04d}" for number in range(n)])
    rows: dict[str, list[tuple[str, str]]] = {"orders": [], "later_orders": []}
    for customer in range(CUSTOMERS):
        liked = np.isin(digits.target, rng.choice(10, 2, replace=False))  # (n,)
        chance = _share(popularity * liked) * LIKED + _share(popularity) * (1 - LIKED)
        bought = rng.choice(n, BOUGHT, replace=False, p=_share(chance * ~is_new))
        chance[bought] = 0
        later = rng.choice(n, WANTED, replace=False, p=_share(chance))
        rows["orders"] += [(f"c{customer}", one) for one in ids[bought]]
        rows["later_orders"] += [(f"c{customer}", one) for one in ids[later]]
    pictures = {
        "picture_id": ids,
        "label": digits.target,
        "is_new": is_new,
        "embedding": list(encoded(digits.images)),
    }
    made = {"pictures": pa.table(pictures)}
    for name, pairs in rows.items():
        customers, bought = zip(*pairs, strict=True)
        made[name] = pa.table({"customer_id": customers, "picture_id": bought})
    return made


def _share(weights: np.ndarray) -> np.ndarray:
    """Weights (n,) over their sum."""
    share: np.ndarray = weights / weights.sum()
    return share


def main(path: str = ":memory:") -> None:
    """Register, train, measure and ask."""
    connection = duckdb.connect(path)
    for name, rows in tables(seed=1).items():
        connection.register(f"given_{name}", rows)
    connection.execute(TABLES)
    with embsql.connect(connection) as db:
        db.register_embeddings("pictures", VECTORS)
        db.train("behavior", ORDERS)
        db.train("both", ORDERS, algorithm="fusion", item_features=VECTORS)
        for model in ("behavior", "both"):
            db.evaluate(model, test=LATER, k=20)
        for question, sql in QUESTIONS.items():
            print(f"{question}\n{sql}\n{db.ask(sql)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Whether embeddings help to predict churn and next value, over recency, frequency and money.

Everything that predicts lies before a day, everything predicted after it: whether a customer buys
again at all, and how much they spend (ln(1 + money)) in the months that are left. Customers are cut
into folds: a model that is fitted on some predicts for the others. The embeddings are of purchases
before the day, of all customers: they know no answer.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import embsql
from benchmarks._lines import line, real

PURCHASES = {  # every purchase: customer_id, item_id, money, bought_at
    "online_retail": """
        SELECT customer_id, stock_code AS item_id, quantity * unit_price AS money,
            invoice_date AS bought_at
        FROM '{file}' WHERE customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0
    """,
    "cdnow": r"""
        SELECT CAST(word[1] AS INTEGER) AS customer_id, CAST(word[4] AS DOUBLE) AS money,
            'a CD at ' || round(CAST(word[4] AS DOUBLE) / number) AS item_id,
            strptime(word[2], '%Y%m%d') AS bought_at
        FROM (
            SELECT regexp_split_to_array(trim(text, E' \r'), ' +') AS word,
                CAST(word[3] AS INTEGER) AS number
            FROM read_csv(
                '{file}', delim = '|', header = false, skip = 1,
                columns = {{'text': 'VARCHAR'}}
            )
        ) AS this
        WHERE number > 0
    """,
}
FILES = {"online_retail": "online_retail.parquet", "cdnow": "CDNOW_master.txt"}
DAYS = {"online_retail": "2011-07-01", "cdnow": "1997-10-01"}
CUSTOMERS = """
SELECT CAST(customer_id AS VARCHAR) AS user_id,
    date_diff('day', max(bought_at) FILTER (bought_at < $day), CAST($day AS TIMESTAMP)) AS recency,
    date_diff('day', min(bought_at) FILTER (bought_at < $day), CAST($day AS TIMESTAMP)) AS tenure,
    ln(count(DISTINCT bought_at) FILTER (bought_at < $day)) AS frequency,
    ln(1 + sum(money) FILTER (bought_at < $day)) AS money,
    count(*) FILTER (bought_at >= $day) = 0 AS churned,
    ln(1 + coalesce(sum(money) FILTER (bought_at >= $day), 0)) AS next_value
FROM purchases
GROUP BY customer_id
HAVING min(bought_at) < $day
ORDER BY user_id
"""
BEFORE = """
SELECT customer_id AS user_id, item_id, ln(1 + count(*)) AS weight
FROM purchases WHERE bought_at < TIMESTAMP '{day}' GROUP BY ALL
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", nargs="+", choices=sorted(FILES), default=sorted(FILES)
    )
    parser.add_argument("--algorithm", default="svd")
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument(
        "--repeat",
        type=int,
        default=10,
        help="times that the customers are cut into five folds",
    )


def measure(options: argparse.Namespace) -> None:
    for data in options.data:
        rfm, vectors, churned, value = _customers(data, options)
        figures = {
            name: _predict(table, churned, value, options.repeat)
            for name, table in (
                ("rfm", rfm),
                ("embedding", vectors),
                ("both", np.hstack((rfm, vectors))),
            )
        }
        for name, scores in figures.items():
            for metric, found in scores.items():
                plain = figures["rfm"][metric]
                gain = np.array(found) - np.array(plain)  # (repeat,)
                line(
                    "churn",
                    data,
                    name,
                    metric,
                    float(np.mean(found)),
                    "share",
                    peer="rfm",
                    peer_value=float(np.mean(plain)),
                    customers=len(churned),
                    churned=round(float(churned.mean()), 3),
                    day=DAYS[data],
                    algorithm=options.algorithm,
                    dim=options.dim,
                    gain=round(float(gain.mean()), 4),
                    gain_spread=round(float(gain.std()), 4),
                    repeat=options.repeat,
                )


def _customers(data: str, options: argparse.Namespace) -> tuple[Any, Any, Any, Any]:
    """Recency, frequency, money and tenure (n, 4); embeddings (n, dim); churned (n,); next value
    (n,).
    """
    with embsql.connect(":memory:") as database:
        database.engine.run(
            f"CREATE TABLE purchases AS {PURCHASES[data].format(file=real(data, FILES[data]))}"
        )
        rows = database.ask(CUSTOMERS, day=DAYS[data])
        source = BEFORE.format(day=DAYS[data])
        database.train(
            "m",
            source,
            algorithm=options.algorithm,
            dim=options.dim,
            threads=options.threads,
        )
        found = database.ask(
            "SELECT user_id, embedding, norm FROM embsql.user_embedding('m')"
        )
    row_of = {user: n for n, user in enumerate(found["user_id"].to_pylist())}
    order = [row_of[user] for user in rows["user_id"].to_pylist()]  # (n,)
    table = (
        found["embedding"]
        .combine_chunks()
        .flatten()
        .to_numpy()
        .reshape(len(found), -1)[order]
    )  # (n, dim)
    unit = table / np.maximum(
        np.linalg.norm(table, axis=1, keepdims=True), 1e-12
    )  # (n, dim) taste; how much is rfm's
    rfm = np.column_stack(
        [
            rows[name].to_numpy().astype(float)
            for name in ("recency", "tenure", "frequency", "money")
        ]
    )
    return (
        rfm,
        unit,
        rows["churned"].to_numpy(zero_copy_only=False),
        rows["next_value"].to_numpy(),
    )


def _predict(
    table: Any, churned: Any, value: Any, repeat: int
) -> dict[str, list[float]]:
    """AUC of churn and R2 of the next value, once per cut into folds."""
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.model_selection import KFold, cross_val_predict

    scores: dict[str, list[float]] = {"auc of churn": [], "r2 of next value": []}
    few = {"max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 8}
    for seed in range(repeat):
        folds = KFold(5, shuffle=True, random_state=seed)
        model = HistGradientBoostingClassifier(**few)
        says = cross_val_predict(
            model, table, churned, cv=folds, method="predict_proba"
        )
        spends = cross_val_predict(
            HistGradientBoostingRegressor(**few), table, value, cv=folds
        )
        scores["auc of churn"].append(roc_auc_score(churned, says[:, 1]))
        scores["r2 of next value"].append(r2_score(value, spends))
    return scores

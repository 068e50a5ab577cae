"""Newcomers on ML-1M: a fifth of the items, or users, is left out of training entirely and asked
for by features.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

import embsql
from benchmarks._lines import line, real

SHARE = 0.2  # of the ids that are held out
K = 20
NEAREST = (
    20,
    50,
    100,
    200,
    500,
)  # neighbors of the kNN, of which the best on the held-out part itself is printed
RESAMPLES = 1000
DRAWS_AT_ONCE = 1 << 17  # of the bootstrap: 1 MB of row numbers
OPTIONS: dict[str, dict[str, Any]] = {
    "item": {
        "epochs": 5,
        "similarity": "dot",
        "feature_reg": 50.0,
    },  # chosen on the draw of seed 1
    "user": {
        "dim": 128,
        "epochs": 3,
        "similarity": "dot",
        "reg": 0.01,
        "negatives": 4000,
        "batch_size": 4096,
        "lr": 0.005,
        "user_id_embedding": False,
    },  # chosen on the draw of seed 101
}
TABLES = """
CREATE TABLE ratings AS
SELECT CAST(rating.user_id AS VARCHAR) AS user_id, CAST(rating.movie_id AS VARCHAR) AS item_id
FROM '{interactions}' AS rating;
CREATE TABLE item_features AS
SELECT
    CAST(movie.movie_id AS VARCHAR) AS item_id, string_split(movie.genres, '|') AS genres,
    regexp_replace(movie.title, ' *\\(\\d+\\)$', '') AS title,
    regexp_extract(movie.title, '\\((\\d+)\\)$', 1) AS released,
    CAST(nullif(released, '') AS INTEGER) AS year
FROM '{movies}' AS movie;
CREATE TABLE user_features AS
SELECT
    CAST(person.user_id AS VARCHAR) AS user_id, person.gender, CAST(person.age AS VARCHAR) AS age,
    CAST(person.occupation AS VARCHAR) AS occupation
FROM '{users}' AS person;
"""


@dataclass(frozen=True, slots=True)
class Cold:
    """One draw: what is known, who is new, what they turned out to meet."""

    entity: str
    known: sparse.csr_matrix  # (users, items) without the newcomers' rows or columns
    asked: np.ndarray  # (m,) users whose lists are marked
    candidates: np.ndarray  # (c,) items to be ranked
    relevant: np.ndarray  # (m, c) bool
    new: np.ndarray  # (h,) codes of the newcomers


def measure(seeds: list[int], threads: int, epochs: int | None) -> None:
    for entity in ("item", "user"):
        chosen = OPTIONS[entity] | ({"epochs": epochs} if epochs else {})
        draws = [_draw(entity, seed=seed, threads=threads, **chosen) for seed in seeds]
        marks = {
            name: np.concatenate([draw[name] for draw in draws]) for name in draws[0]
        }  # (users of all draws, 2)
        _print(
            f"ml1m_cold_{entity}s", marks, None, draws=seeds, threads=threads, **chosen
        )


def _draw(entity: str, **settings: Any) -> dict[str, np.ndarray]:
    """Marks of one draw of newcomers, (m, 2) of each system, and lines for it."""
    with embsql.connect(":memory:") as database:
        _tables(database)
        interactions, ids = _interactions(database)
        cold = _held_out(entity, interactions, settings["seed"])
        features = _features(database, entity, ids[entity])
        seconds = _train(database, cold, ids, settings)
        found = {
            "two_tower": _of_towers(database, cold, ids),
            **_of_peers(cold, features),
        }
    marks = {name: _marks(scores, cold.relevant) for name, scores in found.items()}
    _print(f"ml1m_cold_{entity}s", marks, seconds, **settings)
    return marks


def _print(
    data: str, marks: dict[str, np.ndarray], seconds: float | None, **settings: Any
) -> None:
    """Every system's means, and by how much two_tower is above each peer, with an interval over
    users.
    """
    for n, metric in enumerate((f"Recall@{K}", f"NDCG@{K}")):
        ours = marks["two_tower"][:, n]
        for name in marks.keys() - {"two_tower"}:
            theirs = marks[name][:, n]
            low, high = (float(f"{end:.4g}") for end in interval(ours - theirs))
            line(
                "neural",
                data,
                "two_tower",
                metric,
                ours.mean(),
                "share",
                peer=name,
                peer_value=theirs.mean(),
                seconds=seconds,
                above_low=low,
                above_high=high,
                **settings,
            )


def _tables(database: embsql.Database) -> None:
    files = {
        name: str(real("ml1m", f"{name}.parquet"))
        for name in ("interactions", "movies", "users")
    }
    database.engine.run(TABLES.format(**files))


def _interactions(
    database: embsql.Database,
) -> tuple[sparse.csr_matrix, dict[str, np.ndarray]]:
    """Who interacted with what (users, items), and the ids of the codes."""
    rows = database.ask("SELECT user_id, item_id FROM ratings")
    users, user = np.unique(rows["user_id"].to_numpy(), return_inverse=True)
    items, item = np.unique(rows["item_id"].to_numpy(), return_inverse=True)
    interactions = sparse.csr_matrix(
        (np.ones(len(user), np.float32), (user, item)), shape=(len(users), len(items))
    )
    return interactions, {"user": users, "item": items}


def _held_out(entity: str, interactions: sparse.csr_matrix, seed: int) -> Cold:
    side = ("user", "item").index(entity)
    new = np.sort(
        np.random.default_rng(seed).choice(
            interactions.shape[side],
            int(SHARE * interactions.shape[side]),
            replace=False,
        )
    )
    keep = np.ones(interactions.shape[side], np.float32)
    keep[new] = 0
    known = (
        sparse.diags(keep) @ interactions
        if entity == "user"
        else interactions @ sparse.diags(keep)
    ).tocsr()
    known.eliminate_zeros()
    candidates = (
        new if entity == "item" else np.flatnonzero(np.asarray(known.sum(0))[0] > 0)
    )
    relevant = interactions[:, candidates].toarray() > 0  # (users, c)
    asked = new if entity == "user" else np.flatnonzero(np.diff(known.indptr))
    asked = asked[relevant[asked].any(axis=1)]
    return Cold(entity, known, asked, candidates, relevant[asked], new)


def _features(
    database: embsql.Database, entity: str, ids: np.ndarray
) -> sparse.csr_matrix:
    """What is known of each, one column per word, rows of length 1: (n, words)."""
    rows = {
        row[f"{entity}_id"]: row
        for row in database.ask(f"SELECT * FROM {entity}_features").to_pylist()
    }
    words: dict[str, int] = {}
    pairs = [
        (n, words.setdefault(word, len(words)))
        for n, id_ in enumerate(ids)
        for word in _words(rows[id_], entity)
    ]
    table = sparse.csr_matrix(
        (np.ones(len(pairs)), tuple(zip(*pairs, strict=True))),
        shape=(len(ids), len(words)),
    )
    return (
        sparse.diags(1 / np.sqrt(np.asarray(table.multiply(table).sum(1))[:, 0]))
        @ table
    )


def _words(row: dict[str, Any], entity: str) -> Iterator[str]:
    for name, value in row.items():
        if name not in (f"{entity}_id", "year"):
            yield from (
                f"{name} {word}"
                for word in (value if isinstance(value, list) else [value])
            )
    if row.get("year"):
        yield f"decade {row['year'] // 10}"


def _train(
    database: embsql.Database,
    cold: Cold,
    ids: dict[str, np.ndarray],
    settings: dict[str, Any],
) -> float:
    listed = json.dumps([str(id_) for id_ in ids[cold.entity][cold.new]])
    database.engine.run(
        "CREATE TABLE newcomers AS SELECT unnest(CAST($ids AS JSON)->>'$[*]') AS id",
        ids=listed,
    )
    source = f"SELECT * FROM ratings WHERE {cold.entity}_id NOT IN (SELECT id FROM newcomers)"
    start = time.perf_counter()
    features = {f"{cold.entity}_features": f"{cold.entity}_features"}
    database.train(
        "cold", source, algorithm="two_tower", progress=False, **features, **settings
    )
    return time.perf_counter() - start


def _of_towers(
    database: embsql.Database, cold: Cold, ids: dict[str, np.ndarray]
) -> np.ndarray:
    """The scores (m, c) of the stored vectors and those that SQL makes of newcomers."""
    new = database.ask(
        f"SELECT features.{cold.entity}_id AS id, "
        f"embsql.embed_{cold.entity}('cold', to_json(features)) AS embedding "
        f"FROM {cold.entity}_features AS features "
        f"WHERE features.{cold.entity}_id IN (SELECT id FROM newcomers)"
    )
    vectors = {
        cold.entity: dict(
            zip(new["id"].to_pylist(), new["embedding"].to_pylist(), strict=True)
        )
    }
    other = "user" if cold.entity == "item" else "item"
    known = database.ask(
        f"SELECT {other}_id AS id, embedding FROM embsql.{other}_embedding('cold')"
    )
    vectors[other] = dict(
        zip(known["id"].to_pylist(), known["embedding"].to_pylist(), strict=True)
    )
    users = np.array(
        [vectors["user"][id_] for id_ in ids["user"][cold.asked]]
    )  # (m, d)
    items = np.array(
        [vectors["item"][id_] for id_ in ids["item"][cold.candidates]]
    )  # (c, d)
    return users @ items.T


def _of_peers(cold: Cold, features: sparse.csr_matrix) -> dict[str, np.ndarray]:
    """The scores (m, c) of what is popular, and of the nearest known ones by features."""
    count = np.asarray(cold.known.sum(0 if cold.entity == "item" else 1)).ravel()
    alike = np.asarray((features[cold.new] @ features.T).todense())  # (h, n)
    alike[:, count == 0] = -1
    order = np.argsort(-alike, axis=1, kind="stable")  # (h, n)
    knn = {k: _knn(cold, alike, order[:, :k]) for k in NEAREST}
    best = max(knn, key=lambda k: _marks(knn[k], cold.relevant)[:, 1].mean())
    if cold.entity == "user":
        popular = np.asarray(cold.known.sum(0)).ravel()[cold.candidates]  # (c,)
    else:  # nobody met them: what their nearest by features are met by
        popular = max(
            (np.take(count, order[:, :k]).mean(1) for k in NEAREST),
            key=lambda one: _marks(np.tile(one, (len(cold.asked), 1)), cold.relevant)[
                :, 1
            ].mean(),
        )
    return {"popular": np.tile(popular, (len(cold.asked), 1)), "feature_knn": knn[best]}


def _knn(cold: Cold, alike: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The scores (m, c) by the nearest (h, k) of each newcomer."""
    h, k = near.shape
    weight = np.take_along_axis(alike, near, 1).clip(min=1e-6).ravel()
    shape = (h, alike.shape[1])
    pull = sparse.csr_matrix(
        (weight, (np.repeat(np.arange(h), k), near.ravel())), shape=shape
    )
    if cold.entity == "item":
        return np.asarray((cold.known[cold.asked] @ pull.T).todense())
    row = np.searchsorted(cold.new, cold.asked)
    return np.asarray((pull[row] @ cold.known[:, cold.candidates]).todense())


def _marks(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Recall and NDCG of each list: (m, 2)."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :K]  # (m, k)
    hit = np.take_along_axis(relevant, top, 1)  # (m, k)
    gain, count = 1 / np.log2(np.arange(2, K + 2)), relevant.sum(1)
    best = np.cumsum(gain)[np.minimum(count, K) - 1]
    return np.stack([hit.sum(1) / count, hit @ gain[: hit.shape[1]] / best], axis=1)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The ends of a 95% interval of a mean over users, by the bootstrap."""
    rng, n = np.random.default_rng(0), len(values)
    at_once = max(1, DRAWS_AT_ONCE // n)
    sizes = np.diff([*range(0, RESAMPLES, at_once), RESAMPLES])
    means = [values[rng.integers(0, n, (rows, n))].mean(1) for rows in sizes]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)

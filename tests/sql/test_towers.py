"""Newcomers' vectors in SQL against torch, on runs as training writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import embsql
from tests.conftest import ENGINES

torch = pytest.importorskip(
    "torch", reason="towers are trained by torch, which is an extra"
)

from embsql.nn import towers  # noqa: E402 - it imports torch

USERS, ITEMS, DIM = 60, 40, 8
LANDS = ("'DE'", "'FR'", "'it''s \"odd\" 🙂'", "NULL", "'Ünïcode'")
PEOPLE = [
    f"('u{u:02d}', {LANDS[u % 5] if u else repr('once')}, "
    f"{'NULL' if u % 7 == 3 else 20 + u * 1.5}, {u % 4}, "
    f"DATE '2024-01-01' + {u * 3}, {('true', 'false', 'NULL')[u % 3]}, 1)"
    for u in range(USERS)
]
THINGS = [
    f"('i{i:02d}', '{'Big, Red' if i % 2 else 'Small blue'} mug no. {i}', {tags}, "
    f"{'NULL' if i % 5 == 0 else i / 8})"
    for i, tags in enumerate(
        [
            "ARRAY['a']",
            "ARRAY['a', 'b', 'b']",
            "NULL",
            "ARRAY['b', 'seldom']",
            "ARRAY[NULL, 'c']",
        ]
        * 8
    )
]
USER_FEATURES = (
    f"SELECT * FROM (VALUES {', '.join(PEOPLE)}) "
    f"AS t (user_id, land, age, visits, joined, vip, constant)"
)
ITEM_FEATURES = (
    f"SELECT * FROM (VALUES {', '.join(THINGS)}) AS t (item_id, title, tags, price)"
)
BOTH = {"user_features": USER_FEATURES, "item_features": ITEM_FEATURES}
RUNS: dict[str, dict[str, Any]] = {
    "summed": {**BOTH},
    "layered": {
        **BOTH,
        "hidden_layers": 2,
        "hidden_dim": 12,
        "history_embedding": "shared",
    },
    "dotted": {
        **BOTH,
        "similarity": "dot",
        "hidden_layers": 1,
        "hidden_dim": 16,
        "history_embedding": "separate",
    },
    "users_only": {"user_features": USER_FEATURES},
    "history_only": {"history_embedding": "shared", "similarity": "dot"},
}


def interactions() -> list[tuple[str, str]]:
    """Two tastes and noise."""
    rng = np.random.default_rng(7)
    pairs = [
        (u, i)
        for u in range(USERS)
        for i in range(ITEMS)
        if rng.random() < (0.5 if u % 2 == i % 2 else 0.1)
    ]
    return [(f"u{u:02d}", f"i{i:02d}") for u, i in pairs]


SOURCE = "SELECT * FROM (VALUES {}) AS t (user_id, item_id)".format(
    ", ".join(map(str, interactions()))
)


@pytest.fixture(scope="module", params=ENGINES)
def trained(
    request,
) -> Iterator[tuple[embsql.Database, dict[str, towers.TwoTowerModel]]]:
    """A database with a run of each kind of tower, and torch's model behind each."""
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    models, make = {}, towers.build_two_towers
    with embsql.connect(target) as database:
        for name, options in RUNS.items():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    towers,
                    "build_two_towers",
                    lambda *given, name=name, **how: models.setdefault(
                        name, make(*given, **how)
                    ),
                )
                how = {
                    "algorithm": "two_tower",
                    "dim": DIM,
                    "epochs": 2,
                    "threads": 1,
                    "progress": False,
                }
                database.train(name, SOURCE, **how, **options)
        yield database, models


def without_id(pair: towers.TwoTowerModel, side: str) -> np.ndarray:
    """What torch makes of each known one's features alone: (n, d)."""
    tower = getattr(pair, f"{side}s")
    ids = tower.id_embedding.detach().clone()
    with torch.no_grad():
        tower.id_embedding.zero_()
        found = pair._scored(tower.vectors())
        tower.id_embedding.copy_(ids)
    return found.numpy()


def asked(
    database: embsql.Database, model: str, side: str, history: bool
) -> np.ndarray:
    """What SQL makes of the same features, each row of the SELECT trained on as JSON: (n, d)."""
    features = USER_FEATURES if side == "user" else ITEM_FEATURES
    if history:
        past = (
            f"SELECT m.user_id, array_agg(m.item_id) AS items "
            f"FROM ({SOURCE}) AS m GROUP BY m.user_id"
        )
        features = (
            f"SELECT t.*, p.items "
            f"FROM ({features}) AS t JOIN ({past}) AS p ON p.user_id = t.user_id"
        )
    if model == "history_only":
        features = past
    answer = database.ask(
        f"SELECT embsql.embed_{side}('{model}', "
        f"CAST(to_json(known) AS text)) AS x FROM ({features}) AS known "
        f"ORDER BY known.{side}_id"
    )
    return np.array(answer["x"].to_pylist(), np.float64)


@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("model", ["summed", "layered", "dotted"])
def test_sql_is_torch(trained, model: str, side: str) -> None:
    database, models = trained
    found = asked(
        database,
        model,
        side,
        history=side == "user" and "history_embedding" in RUNS[model],
    )
    expected = without_id(models[model], side)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4
    assert np.abs(found - found[0]).max() > 1e-3, "features make a difference"


@pytest.mark.parametrize("model", ["history_only", "users_only"])
def test_a_tower_of_one_feature_is_torch(trained, model: str) -> None:
    database, models = trained
    found = asked(database, model, "user", history=model == "history_only")
    assert np.abs(found - without_id(models[model], "user")).max() < 1e-4


def test_recommend_new_ranks_by_the_vector(trained) -> None:
    database, _ = trained
    newcomer = (
        '{"land": "FR", "age": 33, "joined": "2024-02-01", "vip": true, '
        '"items": ["i03", "i05"]}'
    )
    for model in ("layered", "dotted"):
        x = np.array(
            database.ask(f"SELECT embsql.embed_user('{model}', '{newcomer}') AS x")[
                "x"
            ][0].as_py()
        )
        rows = database.ask(
            f"SELECT * FROM embsql.recommend_new('{model}', '{newcomer}', k => 100)"
        ).to_pylist()
        items = database.ask(
            f"SELECT item_id, embedding, norm FROM embsql.item_embedding('{model}')"
        ).to_pylist()
        length = np.linalg.norm(x) if model == "layered" else 1.0
        scores = {
            item["item_id"]: x
            @ np.array(item["embedding"])
            / (length * (item["norm"] if model == "layered" else 1))
            for item in items
        }
        assert {row["item_id"]: row["score"] for row in rows} == pytest.approx(
            scores, abs=1e-4
        )
        assert [row["score"] for row in rows] == sorted(
            (row["score"] for row in rows), reverse=True
        )
        assert {row["source"] for row in rows} == {"features"}


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            "embed_user('summed', '{\"lnad\": 1}')",
            'knows no user feature "lnad". It knows: age, constant, joined, land, ',
        ),
        (
            "embed_item('summed', '{\"user_id\": 1}')",
            'knows no item feature "user_id". It knows: price, tags, title',
        ),
        (
            "embed_user('history_only', '{\"age\": 1}')",
            'knows no user feature "age". It knows: items',
        ),
        (
            "embed_item('users_only', '{}')",
            "makes no item vectors of features. Train two_tower with item_features",
        ),
        (
            "embed_user('summed', 'DE')",
            'features must be a JSON object, for example {"country": "DE", "age": 31}, got DE',
        ),
        ("embed_user('summed', '[1]')", "features must be a JSON object"),
        ("embed_user('summed', '{\"age\": \"old\"}')", "old"),
        ("embed_user('summed', '{\"joined\": \"one day\"}')", "one day"),
    ],
)
def test_what_cannot_be_embedded_says_why(trained, call: str, complaint: str) -> None:
    with pytest.raises(Exception, match=re.escape(complaint)):
        trained[0].ask(f"SELECT embsql.{call} AS x")


def test_a_model_without_towers_says_which_have_them(each) -> None:
    each.train("shop", SOURCE, algorithm="svd", dim=2, progress=False)
    for call in (
        "SELECT embsql.embed_user('shop', '{}')",
        "SELECT * FROM embsql.recommend_new('shop', NULL)",
    ):
        with pytest.raises(
            Exception,
            match=r"run 1 makes no user vectors of features\. Train two_tower",
        ):
            each.ask(call)


def test_the_report_says_what_features_are_taken_for(trained) -> None:
    database, _ = trained
    rows = database.ask("SELECT * FROM embsql.validation('summed')").to_pylist()
    reported = {row["check"]: row for row in rows if " feature " in row["check"]}
    taken = {name: row["hint"].split(",")[0] for name, row in reported.items()}
    assert taken == {
        "user feature land": "category",
        "user feature age": "number",
        "user feature visits": "number",
        "user feature joined": "time",
        "user feature vip": "category",
        "user feature constant": "number",
        "item feature title": "text",
        "item feature tags": "tags",
        "item feature price": "number",
    }
    assert reported["user feature age"]["rows"] == USERS - sum(
        u % 7 == 3 for u in range(USERS)
    )
    assert reported["user feature constant"]["severity"] == "warning"
    assert reported["user feature age"]["severity"] == "info"


@pytest.mark.parametrize("table", ["tower_features", "tower_layers"])
def test_towers_go_with_their_run(trained, table: str) -> None:
    database, _ = trained
    how = {
        "algorithm": "two_tower",
        "dim": 2,
        "epochs": 1,
        "hidden_layers": 1,
        "hidden_dim": 2,
        "threads": 1,
        "progress": False,
    }
    first = database.train("gone", SOURCE, user_features=USER_FEATURES, **how)
    database.train("gone", SOURCE, algorithm="svd", dim=2, progress=False)
    count = (
        f"SELECT count(*) AS n FROM embsql.{table} AS t WHERE t.run_id = {first.run_id}"
    )
    before = database.ask(count)["n"][0].as_py()
    database.drop_run(f"gone@{first.run_id}")
    assert before > 0
    assert database.ask(count)["n"][0].as_py() == 0


def test_publishing_takes_towers_along(trained, tmp_path) -> None:
    database, models = trained
    target = str(tmp_path / "copy.duckdb")
    database.publish(target, "dotted")
    with embsql.connect(target) as copy:
        found = asked(copy, "dotted", "user", history=True)
        assert np.abs(found - without_id(models["dotted"], "user")).max() < 1e-4
        assert asked(copy, "dotted", "item", history=False).shape == (ITEMS, DIM)

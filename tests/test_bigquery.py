"""BigQuery ML's statements and functions, as its manual prints them, with only the tables
changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql import errors
from embsql.api import create_model
from embsql.sqlfiles import questions, rules
from tests.conftest import ENGINES

EVENTS = "generate_series(0, 799) AS t (i)"
IMPLICIT = """
-- From the tutorial on implicit feedback. /* Only the table is ours. */
CREATE OR REPLACE MODEL
  `bqml_tutorial.my_implicit_mf_model`
OPTIONS
  (model_type='matrix_factorization', # as there
   feedback_type='implicit',
   user_col='visitorid',
   item_col='contentid',
   rating_col='seconds',
   l2_reg=30,
   max_iterations=3,
   num_factors=4) AS
SELECT
  visitorid,
  contentid,
  seconds
FROM
  sessions
"""
EXPLICIT = """
CREATE OR REPLACE MODEL
  `my-project.bqml_tutorial.mf_explicit`
  OPTIONS (
    MODEL_TYPE = 'matrix_factorization',
    FEEDBACK_TYPE = 'explicit',
    USER_COL = 'user_id',
    ITEM_COL = 'item_id',
    L2_REG = 9.83,
    NUM_FACTORS = 4)
AS
SELECT
  user_id,
  item_id,
  rating
FROM
  ratings;
"""


@pytest.fixture(scope="module", params=ENGINES)
def shop(request) -> Iterator[embsql.Database]:
    """Both tutorials' models on either engine, with the schema ml."""
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target) as database:
        database.install(ml=True)
        database.engine.run(
            "CREATE TABLE sessions AS SELECT i % 37 AS visitorid, (i * 31) % 23 AS contentid, "
            f"CAST(1 + i % 7 AS FLOAT8) AS seconds FROM {EVENTS}"
        )
        database.engine.run(
            "CREATE TABLE ratings AS SELECT i % 37 AS user_id, (i * 31) % 23 AS item_id, "
            f"CAST(1 + (i % 37 + (i * 31) % 23) % 5 AS FLOAT8) AS rating FROM {EVENTS}"
        )
        assert [row["status"] for row in database.sql(IMPLICIT).to_pylist()] == ["live"]
        assert [row["status"] for row in database.sql(EXPLICIT).to_pylist()] == ["live"]
        yield database


def rows(database: embsql.Database, sql: str) -> list[dict[str, Any]]:
    return database.sql(sql).to_pylist()


def test_options_mean_what_they_mean_there(shop) -> None:
    """Hu, Koren and Volinsky's objective with its plain penalty; ours grows with a row's
    evidence.
    """
    found = rows(shop, "SELECT params FROM embsql.runs('my_implicit_mf_model')")[0]
    params = json.loads(found["params"])
    assert (params["reg"], params["reg_exponent"], params["alpha"]) == (30.0, 0.0, 40.0)
    assert (params["dim"], params["epochs"], params["feedback"]) == (4, 3, "implicit")


def test_training_info(shop) -> None:
    found = rows(
        shop,
        "SELECT * FROM ML.TRAINING_INFO(MODEL `bqml_tutorial.my_implicit_mf_model`) "
        "ORDER BY iteration",
    )
    log = rows(
        shop,
        "SELECT * FROM embsql.training_log('my_implicit_mf_model') "
        "WHERE metric = 'loss' ORDER BY epoch",
    )
    assert [row["loss"] for row in found] == [row["value"] for row in log]
    assert [row["iteration"] for row in found] == [0, 1, 2]
    assert [row["duration_ms"] is None for row in found] == [True, False, False]
    assert list(found[0]) == [
        "training_run",
        "iteration",
        "loss",
        "eval_loss",
        "learning_rate",
        "duration_ms",
    ]


def test_evaluate(shop) -> None:
    """Measured by default, as AUTO_SPLIT is there; what is not measured is NULL, never a made-up
    number.
    """
    (found,) = rows(
        shop, "SELECT * FROM ML.EVALUATE(MODEL `bqml_tutorial.my_implicit_mf_model`)"
    )
    figures = {
        row["metric"]: row["value"]
        for row in rows(shop, "SELECT * FROM embsql.evaluation('my_implicit_mf_model')")
        if row["segment"] == "all" and row["k"] == 10
    }
    assert found["mean_average_precision"] == figures["map"]
    assert found["normalized_discounted_cumulative_gain"] == figures["ndcg"]
    assert found["average_rank"] is None
    assert found["k"] == 10


def test_recommend_for_a_few_users(shop) -> None:
    found = rows(
        shop,
        """
SELECT
  *
FROM
  ML.RECOMMEND(MODEL `bqml_tutorial.my_implicit_mf_model`,
  (
  SELECT
    visitorid -- one of them (with a bracket
  FROM
    sessions
  ORDER BY visitorid
  LIMIT 1))""",
    )
    assert len(found) == 23
    assert list(found[0]) == ["visitorid", "contentid", "predicted_seconds_confidence"]
    scores = {row["contentid"]: row["predicted_seconds_confidence"] for row in found}
    for item, score in scores.items():
        assert rows(
            shop, f"SELECT embsql.score('my_implicit_mf_model', '0', '{item}') AS s"
        ) == [{"s": score}]


def test_recommend_everything(shop) -> None:
    found = rows(
        shop,
        "SELECT * FROM ML.RECOMMEND(MODEL my_implicit_mf_model) WHERE visitorid = '3'",
    )
    assert len(found) == 23
    assert rows(
        shop, "SELECT count(*) AS n FROM ML.RECOMMEND(MODEL My_Implicit_MF_Model) r"
    ) == [{"n": 37 * 23}]


def test_recommend_for_items_and_for_nobody(shop) -> None:
    items = "SELECT contentid FROM sessions WHERE contentid = 5"
    call = (
        "SELECT count(*) AS n, min(contentid) AS item "
        "FROM ML.RECOMMEND(MODEL my_implicit_mf_model, ({}))"
    )
    assert rows(shop, call.format(items)) == [{"n": 37, "item": "5"}]
    assert rows(shop, call.format(f"{items} AND contentid = 6")) == [
        {"n": 0, "item": None}
    ]


def test_recommend_pairs_keeps_the_other_columns(shop) -> None:
    pairs = (
        "SELECT 3 AS contentid, 'why' AS note, 2 AS visitorid "
        "UNION ALL SELECT 999, 'unknown', 2 ORDER BY note DESC"
    )
    call = f"SELECT * FROM ML.RECOMMEND(MODEL my_implicit_mf_model, ({pairs}))"
    found = sorted(rows(shop, call), key=lambda row: row["note"])
    assert found[0]["predicted_seconds_confidence"] is None
    (score,) = rows(shop, "SELECT embsql.score('my_implicit_mf_model', '2', '3') AS s")
    assert found[1] == {
        "contentid": 3,
        "note": "why",
        "visitorid": 2,
        "predicted_seconds_confidence": score["s"],
    }
    table = rows(
        shop,
        "SELECT count(*) AS n FROM ML.RECOMMEND(MODEL my_implicit_mf_model, TABLE sessions)",
    )
    assert table == [{"n": 800}]


def test_weights_make_the_predictions(shop) -> None:
    weights = rows(shop, "SELECT * FROM ML.WEIGHTS(MODEL `bqml_tutorial.mf_explicit`)")
    by_id = {(row["processed_input"], row["feature"]): row for row in weights}
    assert len(weights) == 37 + 23
    user, item = by_id["user_id", "4"], by_id["item_id", "7"]
    vectors = [
        np.array(vector(row["factor_weights"]), np.float32) for row in (user, item)
    ]
    expected = float(vectors[0] @ vectors[1]) + user["intercept"] + item["intercept"]
    call = (
        "SELECT * FROM ML.RECOMMEND(MODEL mf_explicit, (SELECT 4 AS user_id)) "
        "WHERE item_id = '7'"
    )
    (found,) = rows(shop, call)
    assert found["predicted_rating"] == pytest.approx(expected, abs=1e-5)


def vector(value: Any) -> list[float]:
    return json.loads(value) if isinstance(value, str) else list(value)


@pytest.mark.parametrize("kind", ["FLOAT8", "DECIMAL(10, 2)"])
def test_ids_of_a_query_are_what_a_source_makes_of_them(shop, kind: str) -> None:
    query = f"""
        SELECT CAST(user_id AS {kind}) AS user_id, CAST(item_id AS {kind}) AS item_id, rating
        FROM ratings
    """
    found, wanted = (
        rows(shop, f"SELECT * FROM ML.EVALUATE(MODEL mf_explicit, ({asked}))")
        for asked in (query, "SELECT user_id, item_id, rating FROM ratings")
    )
    assert found[0]["mean_absolute_error"] == pytest.approx(
        wanted[0]["mean_absolute_error"]
    )
    ids = f"SELECT DISTINCT {{}} FROM ({query}) AS typed"
    for column in ("user_id", "item_id"):
        call = f"ML.RECOMMEND(MODEL mf_explicit, ({ids.format(column)}))"
        assert rows(shop, f"SELECT count(*) AS n FROM {call}") == [{"n": 37 * 23}]
    call = f"SELECT count(predicted_rating) AS n FROM ML.RECOMMEND(MODEL mf_explicit, ({query}))"
    assert rows(shop, call) == rows(shop, "SELECT count(*) AS n FROM ratings")


def test_errors_of_ratings(shop) -> None:
    (found,) = rows(
        shop,
        "SELECT * FROM ML.EVALUATE(MODEL mf_explicit, "
        "(SELECT user_id, item_id, rating FROM ratings))",
    )
    pairs = rows(
        shop, "SELECT * FROM ML.RECOMMEND(MODEL mf_explicit, (SELECT * FROM ratings))"
    )
    rating = np.array([row["rating"] for row in pairs])
    error = rating - np.array([row["predicted_rating"] for row in pairs])
    assert found["mean_absolute_error"] == pytest.approx(np.abs(error).mean())
    assert found["mean_squared_error"] == pytest.approx(np.square(error).mean())
    assert found["median_absolute_error"] == pytest.approx(np.median(np.abs(error)))
    assert found["r2_score"] == pytest.approx(
        1 - np.square(error).sum() / np.square(rating - rating.mean()).sum()
    )
    assert found["explained_variance"] == pytest.approx(1 - error.var() / rating.var())
    logs = np.log1p(rating) - np.log1p(rating - error)
    assert found["mean_squared_log_error"] == pytest.approx(np.square(logs).mean())


def test_feature_info(shop) -> None:
    found = rows(
        shop,
        "SELECT input, max, category_count FROM ML.FEATURE_INFO(MODEL mf_explicit)",
    )
    assert sorted(found, key=str) == sorted(
        [
            {"input": "user_id", "max": None, "category_count": 37},
            {"input": "item_id", "max": None, "category_count": 23},
            {"input": "rating", "max": 5.0, "category_count": None},
        ],
        key=str,
    )


@pytest.fixture(scope="module")
def grouped(shop) -> embsql.Database:
    """Both sides of a model in groups: items by direction, users as their vectors are."""
    shop.cluster("mf_explicit", k=3)
    shop.cluster("mf_explicit", entity="user", k=2, normalize=False)
    return shop


@pytest.mark.parametrize("entity", ["item", "user"])
def test_centroids_are_the_middles_of_their_members(grouped, entity: str) -> None:
    found = rows(
        grouped, f"SELECT * FROM ml.centroids('mf_explicit', entity => '{entity}')"
    )
    assert {(row["trial_id"], row["categorical_value"]) for row in found} == {
        (None, None)
    }
    members = rows(
        grouped,
        f"SELECT member.cluster_id, this.embedding "
        f"FROM embsql.cluster_members('mf_explicit', entity => '{entity}') AS member "
        f"JOIN embsql.{entity}_embedding('mf_explicit') AS this "
        f"ON this.{entity}_id = member.entity_id",
    )
    for cluster in {row["cluster_id"] for row in members}:
        here = [row for row in found if row["centroid_id"] == cluster]
        assert [row["feature"] for row in here] == ["e1", "e2", "e3", "e4"]
        vectors = np.array(
            [
                vector(row["embedding"])
                for row in members
                if row["cluster_id"] == cluster
            ]
        )
        if entity == "item":
            vectors /= np.linalg.norm(vectors, axis=1)[:, None]
        np.testing.assert_allclose(
            [row["numerical_value"] for row in here], vectors.mean(0), atol=1e-5
        )


def test_centroids_as_it_stands_there(grouped) -> None:
    asked = "SELECT * FROM ML.CENTROIDS(MODEL `bqml_tutorial.mf_explicit`)"
    plain = "SELECT * FROM ml.centroids('mf_explicit')"
    assert rows(grouped, asked) == rows(grouped, plain)
    assert len(rows(grouped, asked)) == 3 * 4
    never = "SELECT * FROM ml.centroids('mf_explicit', clustering => 'never')"
    with pytest.raises(errors.Refused, match="it has: item default"):
        rows(grouped, never)


@pytest.mark.parametrize("entity", ["item", "user"])
def test_predict_is_the_nearest_of_all_groups(grouped, entity: str) -> None:
    """For everyone trained on it is the group that they are in, at the distance known of them."""
    found = rows(
        grouped, f"SELECT * FROM ml.predict('mf_explicit', entity => '{entity}')"
    )
    members = rows(
        grouped,
        f"SELECT * FROM embsql.cluster_members('mf_explicit', entity => '{entity}')",
    )
    assert [row["entity_id"] for row in found] == [row["entity_id"] for row in members]
    groups = {"item": [0, 1, 2], "user": [0, 1]}[entity]
    for row, member in zip(found, members, strict=True):
        distances = row["nearest_centroid_distances"]
        assert row["centroid_id"] == member["cluster_id"]
        assert distances[0] == pytest.approx(member["distance"], abs=1e-5)
        assert row["nearest_centroid_ids"][0] == row["centroid_id"]
        assert sorted(row["nearest_centroid_ids"]) == groups
        assert distances == sorted(distances)


def test_predict_without_a_direction(shop) -> None:
    """Where directions were grouped it is in no group; elsewhere it is as far as any vector."""
    arrows = {"east": [2.0, 0.0], "north": [0.0, 3.0], "nowhere": [0.0, 0.0]}
    table = pa.table({"item_id": list(arrows), "embedding": list(arrows.values())})
    shop.register_embeddings("arrows", table)
    shop.cluster("arrows", k=2)
    asked = "SELECT entity_id, nearest_centroid_distances FROM ml.predict('arrows')"
    found = {row["entity_id"]: row for row in rows(shop, asked)}
    assert list(found) == ["east", "north"]
    for row in found.values():
        assert row["nearest_centroid_distances"] == pytest.approx([0, 2**0.5])
    shop.cluster("arrows", k=2, normalize=False)
    assert [row["entity_id"] for row in rows(shop, asked)] == sorted(arrows)


def test_predict_for_a_query(grouped) -> None:
    """With its columns, of their types; who is not known is in no group."""
    found = rows(
        grouped,
        "SELECT * FROM ML.PREDICT(MODEL `bqml_tutorial.mf_explicit`, "
        "(SELECT n AS item_id, 'as is' AS note FROM generate_series(21, 24) AS t (n))) "
        "ORDER BY item_id",
    )
    assert [(row["item_id"], row["note"]) for row in found] == [
        (n, "as is") for n in (21, 22, 23, 24)
    ]
    plain = {
        row["entity_id"]: row
        for row in rows(grouped, "SELECT * FROM ML.PREDICT(MODEL mf_explicit)")
    }
    for row in found[:2]:
        known = plain[str(row["item_id"])]
        assert row["centroid_id"] == known["centroid_id"]
        assert row["nearest_centroid_distances"] == known["nearest_centroid_distances"]
    assert [row["nearest_centroid_ids"] for row in found[2:]] == [None, None]
    one = (
        "SELECT count(*) AS n FROM ML.PREDICT(MODEL mf_explicit, (SELECT 4 AS user_id))"
    )
    assert rows(grouped, one) == [{"n": 1}]
    both = "SELECT * FROM ML.PREDICT(MODEL mf_explicit, (SELECT * FROM ratings))"
    with pytest.raises(errors.BadFunction, match="gives both"):
        grouped.sql(both)
    nobody = "SELECT * FROM ml.predict('mf_explicit', ids => ARRAY['none'])"
    assert rows(grouped, nobody) == []


def test_a_plain_client_calls_the_functions(shop) -> None:
    one = (
        "SELECT * FROM ml.recommend('mf_explicit', users => ARRAY['4'], "
        "items => ARRAY['7', 'none'])"
    )
    (found,) = shop.ask(one).to_pylist()
    assert (
        found["user_id"],
        found["item_id"],
        found["predicted_rating_confidence"],
    ) == ("4", "7", None)
    assert shop.ask(
        "SELECT count(*) AS n FROM ml.recommend('mf_explicit', users => NULL)"
    ).to_pylist() == [{"n": 851}]
    assert shop.ask("SELECT * FROM ml.trial_info('mf_explicit')").num_rows == 0
    assert shop.ask(
        "SELECT count(*) AS n FROM ml.weights('mf_explicit')"
    ).to_pylist() == [{"n": 60}]


def test_calls_among_other_sql(shop) -> None:
    """In joins, within one another, beside text and comments that only look like calls."""
    found = rows(
        shop,
        """
SELECT 'ML.RECOMMEND(MODEL nobody)' AS text, count(*) AS n -- ML.WEIGHTS(MODEL nobody)
FROM ML.RECOMMEND(MODEL mf_explicit, (
  SELECT CAST(w.feature AS integer) AS user_id
  FROM ML.WEIGHTS(MODEL mf_explicit) AS w
  WHERE w.processed_input = 'user_id' AND w.feature IN ('1', '2')
)) AS r
JOIN ratings
  ON CAST(ratings.user_id AS varchar(9)) = r.user_id
  AND CAST(ratings.item_id AS varchar(9)) = r.item_id
""",
    )
    ((text, n),) = [row.values() for row in found]
    assert text == "ML.RECOMMEND(MODEL nobody)"
    own = "SELECT count(*) AS n FROM ratings WHERE user_id IN (1, 2)"
    assert n == rows(shop, own)[0]["n"]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            "ML.FORECAST(MODEL mf_explicit)",
            errors.BadFunction,
            "no ML.FORECAST, only ML.RECOMMEND",
        ),
        ("ML.RECOMMEND(MODEL nobody)", errors.UnknownModel, 'no model named "nobody"'),
        ("ML.RECOMMEND(MODEL)", errors.BadFunction, "expected a model name"),
        (
            "ML.RECOMMEND(MODEL mf_explicit, 5)",
            errors.BadFunction,
            "expected a query in brackets",
        ),
        (
            "ML.RECOMMEND(MODEL mf_explicit, (SELECT 1)",
            errors.BadFunction,
            r"expected \)",
        ),
        ("ML.RECOMMEND(MODEL mf_explicit, (SELECT 1", errors.BadFunction, "not closed"),
        (
            "ML.RECOMMEND(MODEL mf_explicit, (SELECT 1 AS visitor))",
            errors.BadFunction,
            "visitor, not user_id or item",
        ),
        (
            "ML.RECOMMEND(MODEL mf_explicit, (SELECT 1) , 1)",
            errors.BadFunction,
            r"expected \)",
        ),
        (
            "ML.WEIGHTS(MODEL mf_explicit, (SELECT 1))",
            errors.BadFunction,
            "takes a model alone",
        ),
        (
            "ML.EVALUATE(MODEL mf_explicit, (SELECT 1 AS user_id))",
            errors.BadFunction,
            "must give user_id, item_id, rating",
        ),
        (
            "ML.EVALUATE(MODEL my_implicit_mf_model, (SELECT 1))",
            errors.BadFunction,
            "explicit feedback",
        ),
        (
            "ML.RECOMMEND(MODEL mf_explicit, (DROP TABLE ratings))",
            errors.EmbsqlError,
            "DROP",
        ),
    ],
)
def test_calls_that_cannot_be_read(
    shop, call: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        shop.sql(f"SELECT * FROM {call}")
    assert rows(shop, "SELECT count(*) AS n FROM ratings") == [{"n": 800}]


@pytest.mark.parametrize("name", questions.ml_questions())
def test_functions_keep_the_rules_of_questions(shop, name: str) -> None:
    question = questions.ml_questions()[name]
    allowed = {"lag", "extract", "stddev_pop", "unnest", "generate_subscripts"}
    found = [
        words
        for words in rules.violations(question)
        if not words.startswith(tuple(f"function {a}" for a in allowed))
    ]
    assert found == []
    described = shop.engine.describe(f"SELECT * FROM ml.{name}('mf_explicit')")
    assert list(described) == [column for column, _ in question.columns]


def test_without_the_schema_ml_it_is_said(db) -> None:
    db.train(
        "m",
        "SELECT i % 7 AS user_id, i % 5 AS item_id FROM range(99) AS t (i)",
        dim=2,
        epochs=1,
    )
    with pytest.raises(errors.NoMl, match=r"install\(ml=True\)"):
        db.sql("SELECT * FROM ML.WEIGHTS(MODEL m)")
    db.install(ml=True)
    assert db.sql("SELECT * FROM ML.WEIGHTS(MODEL m)").num_rows == 12


# --- CREATE MODEL --------------------------------------------------------------------------------

RATED = (
    "SELECT i % 7 AS {user}, i % 5 AS {item}, i % 3 AS {rating} "
    "FROM generate_series(0, 99) AS t (i)"
)


def created(database: embsql.Database, options: str, source: str) -> dict[str, Any]:
    database.sql(f"CREATE OR REPLACE MODEL m OPTIONS({options}) AS {source}")
    (run,) = database.ask(
        "SELECT * FROM embsql.runs WHERE model_name = 'm' ORDER BY run_id DESC LIMIT 1"
    ).to_pylist()
    return run | json.loads(run["params"])


SMALL = "model_type = 'matrix_factorization', num_factors = 2, max_iterations = 1"


@pytest.mark.parametrize("user", ["user", "user_id"])
def test_columns_and_feedback_have_the_defaults_of_the_manual(db, user: str) -> None:
    run = created(
        db,
        SMALL,
        RATED.format(user=user, item="item", rating="rating").replace(
            " user,", ' "user",'
        ),
    )
    assert (run["feedback"], run["weight_col"], run["item_col"]) == (
        "explicit",
        "rating",
        "item",
    )
    assert run["user_col"] == (None if user == "user_id" else "user")
    assert (run["reg"], run["reg_exponent"]) == (
        None,
        1.0,
    )  # ours, where the statement says nothing


def test_explicit_feedback_without_ratings_is_said(db) -> None:
    source = RATED.format(user="user_id", item="item_id", rating="stars")
    with pytest.raises(
        errors.BadStatement, match="feedback_type is explicit where it is left out"
    ):
        created(db, SMALL, source)
    assert (
        created(db, f"{SMALL}, rating_col = 'stars'", source)["weight_col"] == "stars"
    )
    assert (
        created(db, f"{SMALL}, feedback_type = 'IMPLICIT'", source)["feedback"]
        == "implicit"
    )


@pytest.mark.parametrize("measuring", ["", ", gate = TRUE, gate_tolerance = 0.1"])
def test_few_rows_are_not_measured_unless_it_is_said(db, measuring: str) -> None:
    """Nobody has two pairs, so nothing can be held out."""
    source = "SELECT i AS user_id, i % 3 AS item_id, 1 + i % 2 AS rating FROM range(9) AS t (i)"
    assert created(db, f"{SMALL}{measuring}", source)["status"] == "live"
    with pytest.raises(errors.NotEvaluated):
        created(db, f"{SMALL}, data_split_method = 'random'", source)


def test_the_gate_has_the_tolerance_that_is_given(db) -> None:
    source = RATED.format(user="user_id", item="item_id", rating="rating")
    created(db, f"{SMALL}, gate = TRUE, gate_tolerance = 0.25", source)
    assert db.ask("SELECT tolerance FROM embsql.gates").to_pylist() == [
        {"tolerance": 0.25}
    ]
    with pytest.raises(
        errors.InvalidArgument, match="gate_tolerance must be given together with"
    ):
        created(db, f"{SMALL}, gate_tolerance = 0.25", source)


def test_own_algorithms_keep_their_own_defaults(db) -> None:
    run = created(
        db,
        "model_type = 'als', dim = 2, epochs = 1",
        RATED.format(user="user_id", item="item_id", rating="w"),
    )
    assert (run["feedback"], run["alpha"]) == ("implicit", None)
    assert db.ask("SELECT * FROM embsql.evaluation('m')").num_rows == 0


def test_a_wrong_option_goes_by_the_name_it_was_given(db) -> None:
    source = RATED.format(user="user_id", item="item_id", rating="rating")
    with pytest.raises(
        errors.BadOption,
        match="num_factors must be a whole number from 1 to 16000, got 0",
    ):
        created(db, "model_type = 'matrix_factorization', num_factors = 0", source)
    with pytest.raises(
        errors.BadOption, match="wals_alpha must be left out with explicit feedback"
    ):
        created(db, "model_type = 'matrix_factorization', wals_alpha = 2.5", source)
    with pytest.raises(errors.UnknownOption, match='Did you mean "num_factors"'):
        created(db, "num_factor = 3", source)


NAMES = [
    ("shop", "shop"),
    ("`project.dataset.Shop`", "shop"),
    ("`my-project`.dataset.shop", "shop"),
    ("my-project.dataset.shop", "shop"),
    ('"shop"', "shop"),
    ("dataset . `shop` -- the shop's", "shop"),
    ("dataset.shop-- the shop's", "shop"),
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_names(written: str, name: str) -> None:
    read = create_model.parse(
        f"/* a */ create model if not exists {written}\n as /* b */ SELECT * EXCLUDE (a) FROM t; "
    )
    assert isinstance(read, create_model.CreateModel)
    assert (read.model_name, read.optional, read.source) == (
        name,
        True,
        "SELECT * EXCLUDE (a) FROM t",
    )


def test_the_select_stays_letter_by_letter() -> None:
    select = (
        "SELECT * EXCLUDE (x), list_transform([1], y -> y + 1), $$it's$$, "
        "E'\\'' -- AS OPTIONS(\nFROM 'a b.csv'"
    )
    read = create_model.parse(f"CREATE MODEL m OPTIONS(dim = 2) AS {select}")
    assert isinstance(read, create_model.CreateModel)
    assert read.source == select


def test_values_of_options() -> None:
    text = (
        "CREATE MODEL m OPTIONS(l2_reg = -.5e-1, "
        'num_factors = HPARAM_CANDIDATES([1, 2]), model_type = "als",'
        "reg_exponent = HPARAM_RANGE(0, 1.5), vectors = 'it''s', clock = TRUE) AS SELECT 1"
    )
    with pytest.raises(errors.UnknownOption, match='als has no option "vectors"'):
        create_model.parse(text)
    read = create_model.parse(
        text.replace(
            "vectors = 'it''s', clock = TRUE",
            "user_col = 'it''s', force = TRUE, alpha = NULL",
        )
    )
    assert isinstance(read, create_model.CreateModel)
    wanted = {
        "reg": -0.05,
        "dim": [1, 2],
        "reg_exponent": (0, 1.5),
        "user_col": "it's",
        "force": True,
        "alpha": None,
    }
    assert read.options == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "CREATE MODEL m TRANSFORM(a) OPTIONS() AS SELECT 1",
            "TRANSFORM has no counterpart",
        ),
        (
            "CREATE MODEL m OPTIONS(dim = 1, dim = 2) AS SELECT 1",
            "option dim is given twice",
        ),
        (
            "CREATE MODEL m OPTIONS(kms_key_name = 'k') AS SELECT 1",
            "kms_key_name has no counterpart here",
        ),
        ("CREATE MODEL m OPTIONS(dim = [[1]]) AS SELECT 1", "expected a value"),
        (
            "CREATE MODEL m OPTIONS(dim = 'a) AS SELECT 1",
            "quote before a. AS SELECT 1 is not closed",
        ),
        ("DROP MODEL", "expected a model name"),
        ("DROP MODEL m CASCADE", "expected the end, found CASCADE"),
        ("CREATE MODEL ` ` AS SELECT 1", "is not a model name"),
        ("CREATE MODEL `2much` AS SELECT 1", "'2much' is not a model name"),
    ],
)
def test_statements_that_cannot_be_read(text: str, says: str) -> None:
    with pytest.raises((errors.BadStatement, errors.BadModelName), match=says):
        create_model.parse(text)


def test_other_sql_is_none_of_ours(db) -> None:
    for text in (
        "SELECT 1 AS m",
        "CREATE TABLE model AS SELECT 1 AS a",
        "DROP TABLE model",
        "CREATE VIEW v AS SELECT 2",
    ):
        assert create_model.parse(text) is None
        db.sql(text)


# --- DROP MODEL ----------------------------------------------------------------------------------


def test_drop_model_leaves_nothing(each) -> None:
    """Not a row of any run, the live one's neither, in any table; other models stay."""
    source = (
        "SELECT i % 7 AS user_id, i % 5 AS item_id FROM generate_series(0, 99) AS t (i)"
    )
    for name in ("m", "other"):
        each.train(name, source, dim=2, epochs=1)
    each.train("m", source, dim=3, epochs=1)
    each.cluster("m", k=2)
    assert each.sql("DROP MODEL `a.b.m`").to_pylist() == [{"runs": 2}]
    assert each.ask("SELECT model_name FROM embsql.models()").to_pylist() == [
        {"model_name": "other"}
    ]
    tables = each.ask(
        "SELECT table_name FROM information_schema.columns "
        "WHERE table_schema = 'embsql' AND column_name = 'run_id'"
    )
    for table in tables["table_name"].to_pylist():
        runs = each.ask(f"SELECT DISTINCT run_id FROM embsql.{table}")[
            "run_id"
        ].to_pylist()
        assert set(runs) <= {2, None} or table in ("events", "leases"), table
    with pytest.raises(errors.UnknownModel):
        each.sql("DROP MODEL m")
    assert each.sql("DROP MODEL IF EXISTS m;").to_pylist() == [{"runs": 0}]
    assert each.drop_model("other") == 1


def test_a_model_in_training_is_not_dropped(db) -> None:
    from embsql.lifecycle.leases import Lease

    db.train(
        "m",
        "SELECT i % 7 AS user_id, i % 5 AS item_id FROM range(99) AS t (i)",
        dim=2,
        epochs=1,
    )
    with Lease(db.engine, "m", 9), pytest.raises(errors.AlreadyTraining):
        db.sql("DROP MODEL m")
    assert db.drop_model("m") == 1


# --- what is wrong, in the statement's words -----------------------------------------------------

TWICE = [
    ("l2_reg = 1, reg = 2", "l2_reg and reg"),
    ("num_factors = 2, dim = 4", "num_factors and dim"),
    ("rating_col = 'a', weight_col = 'b'", "rating_col and weight_col"),
    ("data_split_method = 'seq', split = 'random'", "data_split_method and split"),
]


@pytest.mark.parametrize(("given", "names"), TWICE)
def test_one_option_under_two_names_is_refused(given: str, names: str) -> None:
    """Of two values one would be lost without a word."""
    with pytest.raises(
        errors.BadStatement, match=f"{names} are two names of one option"
    ):
        create_model.parse(f"CREATE MODEL m OPTIONS({given}) AS SELECT 1")


def test_one_option_twice_through_the_other_doors(db) -> None:
    from click.testing import CliRunner

    from embsql.shells.cli import main

    with pytest.raises(errors.EmbsqlError, match="dim is given twice"):
        db.ask(
            """FROM embsql.train('m', 'SELECT 1', options => '{"dim": 2, "dim": 4}')"""
        )
    done = CliRunner().invoke(
        main, ["train", "m", "--source", "SELECT 1", "--dim", "2", "--dim", "4"]
    )
    assert (done.exit_code, "--dim is given twice" in done.output) == (2, True)


STARS = (
    "SELECT i % 7 AS user_id, i * i % 11 AS item_id, 1.0 + i % 3 AS rating "
    "FROM generate_series(0, 98) AS t (i)"
)
WORDS = [
    (
        "num_factors = HPARAM_RANGE(4, 2), num_trials = 2",
        errors.BadSearch,
        r"num_factors cannot.*HPARAM_RANGE\(0.001",
    ),
    (
        "num_factors = HPARAM_CANDIDATES([2, 4])",
        errors.InvalidArgument,
        "num_trials must be",
    ),
    ("rating_col = 'stars'", errors.MissingColumn, "name it with rating_col="),
    ("num_factors = 0", errors.BadOption, "num_factors must be"),
]


@pytest.mark.parametrize(("given", "error", "says"), WORDS)
def test_messages_are_in_the_words_of_create_model(
    each, given: str, error: type, says: str
) -> None:
    with pytest.raises(error, match=f"(?s){says}"):
        each.sql(f"CREATE MODEL m OPTIONS({given}) AS {STARS}")


@pytest.mark.parametrize(
    "text", ["DROP MODEL", "DROP MODEL m CASCADE", "DROP MODEL IF EXISTS '"]
)
def test_drop_model_says_drop_model(text: str) -> None:
    with pytest.raises(
        errors.BadDrop,
        match=r"this DROP MODEL statement.*Example: DROP MODEL IF EXISTS shop",
    ) as found:
        create_model.parse(text)
    assert "CREATE" not in str(found.value)


def test_a_call_of_ml_says_ml(db) -> None:
    for text in (
        "SELECT * FROM ML.WEIGHTS(MODEL 5 + 5)",
        "SELECT * FROM ML.WEIGHTS(MODEL ')",
    ):
        with pytest.raises(errors.BadFunction) as found:
            db.sql(text)
        assert "CREATE" not in str(found.value)


def test_calls_and_comments_of_one_statement(each) -> None:
    each.install(ml=True)
    create = f"CREATE MODEL m OPTIONS(num_factors = 2, max_iterations = 2) AS {STARS}"
    each.sql(f"{create} # of today's file\n; # it's all\n")
    one = each.sql(
        "SELECT count(*) AS n FROM ML.RECOMMEND(MODEL m) # it's every pair ("
    ).to_pylist()
    assert one == [{"n": 7 * 6}]
    two = each.sql("""
        SELECT count(*) AS n FROM ML.RECOMMEND(MODEL m), # (with each other)
            ML.RECOMMEND(MODEL m, (SELECT 1 AS user_id # one
            )) -- ml_answer1
    """).to_pylist()
    assert two == [{"n": 7 * 6 * 6}]
    joined = each.sql("""
        SELECT count(*) AS n FROM ML.WEIGHTS(MODEL m)
        JOIN ML.TRAINING_INFO(MODEL m) AS ml_answer0 ON TRUE, ML.EVALUATE(MODEL m)
    """).to_pylist()
    assert joined == [{"n": 13 * 2}]


def test_the_schema_ml_is_installed_as_the_message_tells(tmp_path) -> None:
    import shlex

    import duckdb
    from click.testing import CliRunner

    from embsql.shells.cli import main

    path = str(tmp_path / "my shop.duckdb")
    with duckdb.connect() as connection:
        for target in (path, connection, ":memory:"):
            with embsql.connect(target) as database:
                database.train("m", STARS, dim=2, epochs=1)
                with pytest.raises(errors.NoMl) as found:
                    database.sql("SELECT * FROM ML.WEIGHTS(MODEL m)")
            remedy = str(found.value.values["remedy"])
            assert ("embsql --db" in remedy) == (target == path)
            with embsql.connect(target) as database:
                assert not database.install()
                if target == path:
                    database.close()
                    words = shlex.split(remedy.split(", or", maxsplit=1)[0])
                    assert CliRunner().invoke(main, words[1:]).exit_code == 0
                elif target != ":memory:":
                    assert database.install(ml=True)
                    assert not database.install(ml=True)
    with embsql.connect(path) as database:
        assert database.sql("SELECT * FROM ML.WEIGHTS(MODEL m)").num_rows == 13


def test_a_source_in_another_database_is_described_there(tmp_path) -> None:
    """What the model's own database has under that name is another table."""
    there = str(tmp_path / "there.duckdb")
    with embsql.connect(there) as other:
        other.engine.run(
            f"CREATE TABLE ratings AS {STARS.replace('user_id', 'user').replace('item_id', 'item')}"
        )
    options = f"source_db = '{there}', num_factors = 2, max_iterations = 2"
    create = f"CREATE MODEL m OPTIONS({options}) AS SELECT * FROM ratings"
    for before in ("", "CREATE TABLE ratings AS SELECT 1 AS customer"):
        with embsql.connect(":memory:") as database:
            if before:
                database.sql(before)
            assert database.sql(create).to_pylist()[0]["status"] == "live"
            assert database.ask("SELECT users FROM embsql.models()").to_pylist() == [
                {"users": 7}
            ]


def test_tables_in_backquotes_are_paths(each: embsql.Database) -> None:
    """As the manual writes them, also where a text holds a backquote or a name a quote."""
    each.install(ml=True)
    each.engine.run("CREATE SCHEMA sales")
    each.engine.run(
        """CREATE TABLE sales."it's" AS """
        "SELECT i % 7 AS user_id, i % 5 AS item_id FROM generate_series(1, 40) AS t(i)"
    )
    each.sql(
        "CREATE MODEL `sales.m` OPTIONS(num_factors = 2, feedback_type = 'implicit')"
        " AS SELECT `user_id`, item_id FROM `sales.it's` WHERE 'a`b.c`' = 'a`b.c`'"
    )
    asked = rows(
        each,
        "SELECT count(*) AS n, count(DISTINCT mine.item_id) AS items FROM ML.RECOMMEND("
        "MODEL `sales.m`, (SELECT DISTINCT user_id FROM `sales.it's`)) AS best"
        " JOIN `sales.it's` AS mine ON CAST(mine.item_id AS text) = best.item_id"
        " AND mine.user_id = 1",
    )
    assert asked[0]["items"] == 5

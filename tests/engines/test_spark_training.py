"""Training in Spark: what comes out is what one machine makes of the same rows.

The toy world has a few blocks of users and of items, so that rows travel between blocks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql import errors
from embsql.algorithms import als
from embsql.data import Embeddings
from embsql.distributed import blocks, interactions
from embsql.factorization.objective import initial_factors, random_factors
from embsql.stopping import Stopped, Work

USERS, ITEMS, ROWS = 40, 30, 900
ALS = {"dim": 4, "epochs": 1}
# what is trained here and there: als of evidence and of ratings, and svd, of whose four vectors
# two are noise
OPTIONS: dict[str, dict[str, Any]] = {
    "implicit": ALS | {"feedback": "implicit"},
    "explicit": ALS | {"feedback": "explicit"},
    "svd": {"algorithm": "svd", "dim": 4},
}
MODELS = [*OPTIONS]
MEASURED = {"evaluate": True, "gate": False, "k": (3, 7)}
OTHERWISE = {"spark.sql.shuffle.partitions": "3", "spark.sql.adaptive.enabled": "true"}


def events() -> pa.Table:
    """Rows as they come: some pairs twice, ids and weights missing, ids alike, an outlier."""
    rng = np.random.default_rng(5)
    user, item = rng.integers(0, USERS, ROWS), rng.zipf(1.4, ROWS) % ITEMS
    weight = rng.integers(1, 6, ROWS).astype(float)
    weight[:3] = [0.0, 9000.0, np.nan]
    columns = {
        "user_id": [None if u == 39 else f"{'uU'[u % 2]}{u // 2}" for u in user],
        "item_id": [f"{i}.0" for i in item],
        "weight": pa.array(weight, from_pandas=True),
        "event_time": pa.array(
            rng.integers(0, 10**6, ROWS), mask=rng.random(ROWS) < 0.1
        ),
    }
    return pa.table(columns)


@pytest.fixture(scope="module", autouse=True)
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "PAIRS_PER_BLOCK", 400)
        patch.setattr(als, "BIAS_SWEEPS", 2)
        yield


@pytest.fixture(scope="module")
def world(session: Any) -> Iterator[embsql.Database]:
    """Models trained here and there: implicit and implicit_there, and so on."""
    session.createDataFrame(events()).createOrReplaceTempView("events")
    with embsql.connect(":memory:") as database:
        for model, options in OPTIONS.items():
            # the others are measured by tests that are slow
            measured = MEASURED if model == "implicit" else {}
            database.train(model, events(), **options, **measured)
            there(database, f"{model}_there", session, **options, **measured)
        yield database


def there(
    database: embsql.Database,
    model: str,
    session: Any,
    source: str = "SELECT * FROM events",
    **options: Any,
) -> embsql.Run:
    """Train in Spark."""
    return database.train(model, source, source_db=session, device="spark", **options)


def side(database: embsql.Database, model: str, entity: str) -> dict[str, Any]:
    """Columns of the vectors of a model's live run."""
    rows = database.ask(
        f"SELECT v.{entity}_id AS id, v.embedding, v.norm, v.bias, v.interactions"
        f" FROM embsql.{entity}_embeddings AS v WHERE v.run_id = embsql.live_run($model)"
        " ORDER BY 1",
        model=model,
    ).to_arrow()
    return {name: np.array(rows[name].to_pylist()) for name in rows.column_names}


def checksum(database: embsql.Database, model: str) -> str:
    """What a model's live run is known by."""
    (record,) = database.rows(
        "SELECT r.checksum FROM embsql.run_records AS r"
        f" WHERE r.run_id = embsql.live_run('{model}')"
    )
    return str(record["checksum"])


def tables(session: Any) -> list[str]:
    """What trainings have left in Spark."""
    found = session.sql("SHOW TABLES IN embsql_internal LIKE 'training_*'").collect()
    return [row["tableName"] for row in found]


@pytest.mark.parametrize("model", MODELS)
def test_vectors_are_those_of_one_machine(world: embsql.Database, model: str) -> None:
    scores = []
    for name in (model, f"{model}_there"):
        users, items = side(world, name, "user"), side(world, name, "item")
        bias = users["bias"][:, None] + items["bias"]
        scores.append(users["embedding"] @ items["embedding"].T + bias)
        assert np.allclose(users["norm"], np.linalg.norm(users["embedding"], axis=1))
    here, made = scores
    assert np.linalg.norm(here - made) < 1e-3 * np.linalg.norm(here)
    for entity in ("user", "item"):
        wanted, found = (
            side(world, name, entity) for name in (model, f"{model}_there")
        )
        assert list(wanted["id"]) == list(found["id"])
        assert list(wanted["interactions"]) == list(found["interactions"])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "asked",
    [
        "SELECT t.epoch, t.metric, round(t.value, 4) FROM embsql.training_log AS t",
        "SELECT c.check_name, c.severity, c.affected, c.example, c.hint"
        " FROM embsql.source_checks AS c",
        "SELECT p.user_id, p.item_id, p.weight, p.last_time FROM embsql.interactions AS p",
        "SELECT s.kind, s.settings[:40] FROM embsql.fold_in_settings AS s",
        "SELECT r.dim, r.similarity, r.users, r.items, r.interactions, r.status, r.params"
        " FROM embsql.run_records AS r",
    ],
)
def test_a_run_has_the_rows_of_one_machines(
    world: embsql.Database, model: str, asked: str
) -> None:
    here, made = (
        world.rows(f"{asked} WHERE run_id = embsql.live_run('{name}') ORDER BY ALL")
        for name in (model, f"{model}_there")
    )
    assert here
    assert here == made


def figures(database: embsql.Database, model: str) -> list[dict[str, Any]]:
    """What a model's live run was measured to be, without what is not computed in Spark."""
    asked = (
        "SELECT m.split, m.segment, m.metric, m.k, m.value, m.popular_value, m.ci_low, m.ci_high"
        " FROM embsql.metrics AS m WHERE m.run_id = embsql.live_run($model) ORDER BY ALL"
    )
    found: list[dict[str, Any]] = database.ask(asked, model=model).to_pylist()
    return found


def nearly(figure: dict[str, Any]) -> dict[str, Any]:
    """What equals such a figure but for the last digits of its numbers."""
    return {
        name: pytest.approx(value, rel=1e-6, abs=1e-6)
        if isinstance(value, float)
        else value
        for name, value in figure.items()
    }


def test_figures_are_those_of_one_machine(world: embsql.Database) -> None:
    here, made = (figures(world, name) for name in ("implicit", "implicit_there"))
    assert {"all", "users:light", "items:tail", "asked"} <= {
        one["segment"] for one in here
    }
    for wanted, found in zip(here, made, strict=True):
        assert found == nearly(wanted), wanted


@pytest.mark.slow
def test_figures_of_ratings_and_what_a_search_finds(
    session: Any, world: embsql.Database
) -> None:
    options = {"feedback": "explicit", "split": "random", "epochs": 1, "dim": [2, 4]}
    found = []
    for name in ("searched", "searched_there"):
        given: Any = {"source_db": session, "device": "spark"} if "_" in name else {}
        source = "SELECT * FROM events" if given else events()
        world.train(name, source, n_trials=2, **options, **MEASURED, **given)
        trials = world.rows(
            "SELECT t.params, t.metric, round(t.value, 5), t.status, t.best"
            f" FROM embsql.trials('{name}') AS t ORDER BY t.trial"
        )
        found.append((figures(world, name), trials))
    (here, tried), (made, tried_there) = found
    assert tried == tried_there
    for wanted, one in zip(here, made, strict=True):
        assert one == nearly(wanted), wanted


def test_the_checksum_is_that_of_the_vectors(world: embsql.Database) -> None:
    for model in (f"{name}_there" for name in MODELS):
        users, items = side(world, model, "user"), side(world, model, "item")
        is_rated = model.startswith("explicit")
        parts = [users["embedding"], items["embedding"]]
        parts += [items["bias"], users["bias"]] if is_rated else [None, None]
        arrays = [None if part is None else part.astype(np.float32) for part in parts]
        made = Embeddings(
            arrays[0], arrays[1], item_bias=arrays[2], user_bias=arrays[3]
        )
        assert checksum(world, model) == made.checksum()


def test_questions_answer_of_it(world: embsql.Database) -> None:
    asked = (
        "SELECT item_id, round(score, 3) AS score FROM embsql.recommend_from("
        "'{}', ARRAY['1.0', '2.0', '4.0'], weights => ARRAY[5, 1, 3], k => 5)"
    )
    for model in MODELS:
        here, made = (
            world.rows(asked.format(name)) for name in (model, f"{model}_there")
        )
        assert len(here) == 5
        assert here == made


@pytest.mark.slow
@pytest.mark.parametrize("model", ["implicit", "svd"])
def test_partitions_the_order_of_rows_and_the_way_of_factors_change_nothing(
    session: Any, world: embsql.Database, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Factors pass through this process in the fixture, and by tables here."""
    monkeypatch.setattr(interactions, "IN_MEMORY", 0)
    made = f"{model}_there"
    options = OPTIONS[model]
    before = checksum(world, made)
    source = "SELECT * FROM events ORDER BY weight, item_id"
    usual = {name: session.conf.get(name) for name in OTHERWISE}
    try:
        for name, value in OTHERWISE.items():
            session.conf.set(name, value)
        run = there(world, made, session, source, force=True, **options)
    finally:
        for name, value in usual.items():
            session.conf.set(name, value)
    assert not run.skipped
    assert checksum(world, made) == before
    again = there(world, made, session, **options)
    assert again.skipped
    assert again.run_id == run.run_id
    assert not tables(session)


@pytest.mark.slow
def test_figures_of_svd_are_those_of_one_machine(
    session: Any, world: embsql.Database
) -> None:
    world.train("measured", events(), **OPTIONS["svd"], **MEASURED)
    there(world, "measured_there", session, **OPTIONS["svd"], **MEASURED)
    here, made = (figures(world, name) for name in ("measured", "measured_there"))
    for wanted, found in zip(here, made, strict=True):
        assert found == nearly(wanted), wanted


# --- what goes wrong -----------------------------------------------------------------------------

BAD = {
    "a negative weight": "SELECT user_id, item_id, -1 AS weight FROM events",
    "one item": "SELECT user_id, 'x' AS item_id FROM events",
    "no column of items": "SELECT user_id FROM events",
}


@pytest.mark.parametrize("source", BAD.values(), ids=BAD)
def test_a_training_that_fails_leaves_its_record_and_nothing_else(
    session: Any, world: embsql.Database, source: str
) -> None:
    words = []
    for device in ("cpu", "spark"):
        with pytest.raises(errors.EmbsqlError) as raised:
            world.train("bad", source, source_db=session, device=device)
        words.append(str(raised.value))
    assert words[0] == words[1]
    assert not tables(session)
    assert {run["status"] for run in world.runs("bad").to_pylist()} == {"failed"}


def test_what_a_killed_training_left_is_dropped_by_the_next(session: Any) -> None:
    from embsql.engines.spark import Spark
    from embsql.engines.spark_workspace import SparkWorkspace

    killed = SparkWorkspace(Spark(session), "training_x")
    killed.store("rows", killed.frame("SELECT 1 AS a"))
    other = SparkWorkspace(Spark(session), "training_y")
    assert len(tables(session)) == 1
    SparkWorkspace(Spark(session), "training_x")
    assert not tables(session)
    other.close()


def test_a_job_ends_when_somebody_stops_the_work(session: Any) -> None:
    from embsql.engines.spark import Spark
    from embsql.engines.spark_workspace import SparkWorkspace

    endless = "SELECT count(*) AS n FROM range(1000000) AS a, range(1000000) AS b"
    over = threading.Event()
    with SparkWorkspace(Spark(session), "training_z") as space, Work() as work:

        def stop() -> None:  # until it is heard, as the lease does
            while not over.wait(0.5):
                work.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(Stopped):
            space.row(endless)
        over.set()
        thread.join()


def test_workers_without_embsql(session: Any) -> None:
    from embsql.engines.spark import Spark
    from embsql.engines.spark_workspace import SparkWorkspace, map_rows

    def lacking(batches: Any) -> Any:
        import embsql_that_is_not_there  # noqa: F401 - what a worker then says

        return batches

    schema = pa.schema({"a": pa.int32()})
    with SparkWorkspace(Spark(session), "training_w") as work:
        rows = map_rows(work.frame("SELECT 1 AS a"), lacking, schema)
        with pytest.raises(errors.WorkerLacks, match="PYSPARK_PYTHON"):
            work.store("made", rows)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "source_db='spark'"),
        (
            {"algorithm": "item2vec"},
            "cpu with item2vec; als and svd are trained in Spark",
        ),
        ({"evaluate": True, "split": "time"}, "auto, last or random in Spark"),
        (
            {"evaluate": True, "test": "SELECT 1 AS user_id, 2 AS item_id"},
            "left out in Spark",
        ),
        ({"warm_start": True}, "warm_start must be false"),
        ({"source": pa.table({"user_id": ["a"]})}, "createOrReplaceTempView"),
    ],
)
def test_what_is_not_done_in_spark(
    db: embsql.Database, options: dict[str, Any], says: str
) -> None:
    given = {"source": "SELECT 1 AS user_id, 2 AS item_id", "device": "spark"} | options
    with pytest.raises(errors.InvalidArgument, match=says):
        db.train("m", **given)
    assert not db.models().to_pylist()


# --- what needs no JVM ---------------------------------------------------------------------------


def test_blocks_have_about_equally_many_pairs() -> None:
    pairs = np.array([50, 200, 10, 10, 10, 100, 90, 90], np.int64)  # of two codes each
    cut = blocks.cut_evenly(pairs, width=2, n=15)
    assert cut.blocks == [1, 1, 1, 1, 1, 2, 2, 2]  # 280 each
    assert cut.edges.tolist() == [0, 10, 15]
    alone = blocks.cut_evenly(np.array([900, 1, 1], np.int64), width=1, n=3)
    assert alone.blocks == [1, 2, 2]


def test_factors_to_start_from_are_the_same_block_by_block() -> None:
    draw = random_factors(3, seed=9)
    parts = [draw(n) for n in (1, 5, 2)]
    assert np.array_equal(np.concatenate(parts), initial_factors(8, 3, seed=9))

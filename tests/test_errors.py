"""Nothing but embsql's own errors comes out, and each says what is so."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

import embsql
from embsql import engines, errors
from embsql.lifecycle import texts

TINY = "SELECT i % 7 AS user_id, i % 5 AS item_id FROM generate_series(0, 59) AS t (i)"


def caught(attempt: Callable[[], Any]) -> errors.EmbsqlError:
    with pytest.raises(errors.EmbsqlError) as found:
        attempt()
    return found.value


# --- what stands in the way ----------------------------------------------------------------------

TAKEN = {  # what somebody made -> what the message says to type
    "CREATE TABLE embsql.models (a INTEGER)": "ALTER TABLE embsql.models RENAME TO other_models;",
    "CREATE VIEW embsql.runs AS SELECT 1 AS a": "ALTER VIEW embsql.runs RENAME TO other_runs;",
    "CREATE VIEW embsql.live_map AS SELECT 1 AS a": (
        "ALTER VIEW embsql.live_map RENAME TO other_live_map;"
    ),
    "CREATE TABLE embsql.surface (a INTEGER)": (
        "ALTER TABLE embsql.surface RENAME TO other_surface;"
    ),
    "CREATE TABLE embsql.file (a INTEGER)": "ALTER TABLE embsql.file RENAME TO other_file;",
}


@pytest.mark.parametrize("made", TAKEN)
def test_a_table_of_somebody_else_is_named_and_stays(made: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE SCHEMA embsql; {made}").fetchall()
        error = caught(lambda: embsql.connect(connection))
        assert isinstance(error, errors.CannotInstall)
        assert TAKEN[made] in str(error)
        connection.execute(TAKEN[made]).fetchall()
        embsql.connect(connection).close()


def test_a_table_of_somebody_else_on_a_server(empty: str) -> None:
    import psycopg

    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA embsql")
        admin.execute("CREATE TABLE embsql.models (a integer)")
        error = caught(lambda: embsql.connect(empty))
        assert isinstance(error, errors.CannotInstall)
        admin.execute("ALTER TABLE embsql.models RENAME TO other_models")
    embsql.connect(empty).close()


@pytest.mark.parametrize("use", ["", "USE embsql"])
def test_a_database_attached_as_embsql(use: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH ':memory:' AS EmbSQL; {use}").fetchall()
        error = caught(lambda: embsql.connect(connection))
        assert isinstance(error, errors.CannotOpen)
        connection.execute("USE memory; DETACH embsql").fetchall()
        embsql.connect(connection).close()


def test_an_attached_file_that_holds_embsql_is_not_taken_for_this_one(tmp_path) -> None:
    path = str(tmp_path / "shop.duckdb")
    embsql.connect(path).close()
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS shop").fetchall()
        with embsql.connect(connection) as database:
            assert database.ask("SELECT * FROM embsql.models()").num_rows == 0


@pytest.mark.parametrize("kind", ["MACRO", "MACRO TABLE"])
def test_a_macro_of_the_commands_name(kind: str) -> None:
    """It would answer in place of every command."""
    body = "TABLE SELECT 1" if "TABLE" in kind else "['1']"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE MACRO embsql_command(x) AS {body}").fetchall()
        error = caught(lambda: embsql.connect(connection))
        assert isinstance(error, errors.CannotInstall)
        assert str(error).endswith(f"DROP {kind} embsql_command;")
        connection.execute(f"DROP {kind} embsql_command").fetchall()
        embsql.connect(connection).close()


# --- what is closed ------------------------------------------------------------------------------


def test_a_closed_connection_is_called_closed(postgres: str) -> None:
    import psycopg

    for connection in (duckdb.connect(), psycopg.connect(postgres)):
        connection.close()
        error = caught(partial(embsql.connect, connection))
        assert isinstance(error, errors.Closed)


def test_a_connection_that_its_owner_closed() -> None:
    connection = duckdb.connect()
    with embsql.connect(connection) as database:
        connection.close()
        assert isinstance(
            caught(lambda: database.train("m", TINY, dim=2)), errors.Closed
        )


def test_what_was_closed_is_called_closed(each: embsql.Database) -> None:
    """It is not another process that holds it; and a server is not asked again."""
    each.close()
    each.close()
    attempts: list[Callable[[], Any]] = [
        lambda: each.ask("SELECT 1"),
        lambda: each.ask("SELECT $a", a=1),
        lambda: each.sql("DROP MODEL m"),
        lambda: each.train("m", TINY, dim=2),
        lambda: each.promote("m"),
        lambda: each.forget("a"),
    ]
    for attempt in attempts:
        error = caught(attempt)
        assert isinstance(error, errors.Closed)
        assert str(error).startswith(f"{each.engine.label} is closed.")


def test_what_is_no_connection_of_a_server(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres) as connection:
        error = caught(lambda: embsql.connect(connection.cursor()))
    assert isinstance(error, errors.UnknownDatabase)


ADDRESSES = [  # by its settings, also where libpq does not understand them
    "user=bob password=hunter2",
    "user=bob password='hunter2 x' port=1",
    "hostaddr=127.0.0.1 port=1 user=x password=hunter2",
    " password = hunter2  port = 1",
    "sslmode=disable password=hunter2 port=1",
    "passwd=hunter2 port=1",
    "usr=bob password=hunter2",
    "Host=127.0.0.1;Port=1;Username=x;Password=hunter2",
    "user=bob password=hunter2\0",
    " postgresql://bob:hunter2@127.0.0.1:1/shop",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_file_is_called_after_a_password(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGPORT", "1")  # where nobody listens
    error = caught(lambda: embsql.connect(address))
    assert isinstance(error, errors.CannotOpen | errors.UnknownDatabase)
    assert "hunter2" not in str(error)
    assert not list(tmp_path.iterdir())


def test_every_setting_of_libpq_makes_an_address() -> None:
    psycopg = pytest.importorskip("psycopg")
    for setting in psycopg.pq.Conninfo.get_defaults():
        assert engines.is_address(f"{setting.keyword.decode()}=x")


@pytest.mark.parametrize(
    "path", ["a=b.duckdb", "./user=bob.duckdb", "/x/user=5/a.duckdb", "day=1/b.duckdb"]
)
def test_a_path_is_no_address(path: str) -> None:
    assert not engines.is_address(path)


# --- what is asked -------------------------------------------------------------------------------


def test_a_question_refuses_in_its_own_words(each: embsql.Database) -> None:
    said = 'no model named "a\'b". See: SELECT * FROM embsql.models();'
    for question in (each.ask, each.sql):
        error = caught(
            lambda ask=question: ask("SELECT * FROM embsql.similar_items('a''b', 'x')")
        )  # type: ignore[misc]  # bound in time
        assert (type(error), str(error)) == (errors.UnknownModel, said)
        assert error.values["name"] == "a'b"
    each.train("shop", TINY, dim=2)
    error = caught(
        lambda: each.ask("SELECT * FROM embsql.similar_items('shop@99', 'x')")
    )
    assert isinstance(error, errors.Refused)
    assert (
        str(error)
        == "\"shop@99\" has no finished run to read. See: SELECT * FROM embsql.runs('shop');"
    )
    error = caught(
        lambda: each.ask(
            "SELECT * FROM embsql.models() AS m, embsql.recommend('shops', 'x')"
        )
    )
    assert str(error).startswith('no model named "shops". Did you mean "shop"?')
    assert isinstance(error, errors.UnknownModel)


MISTAKES: list[tuple[str, dict[str, Any]]] = [
    ("SELEC 1", {}),
    ("SELECT nothing", {}),
    ("SELECT * FROM nowhere", {}),
    ("SELECT $a", {}),
    ("SELECT $a", {"b": 1}),
    ("SELECT $a", {"a": object()}),
    ("SELECT CAST('x' AS INTEGER)", {}),
    ("SELECT 1; SELEC 2", {}),
    ("", {}),
    ("SELECT '\0'", {}),
]


@pytest.mark.parametrize(
    ("sql", "values"), MISTAKES, ids=[repr(sql) for sql, _ in MISTAKES]
)
def test_a_mistake_in_sql_comes_in_the_databases_words(
    each: embsql.Database, sql: str, values: dict[str, Any]
) -> None:
    error = caught(lambda: each.ask(sql, **values))
    assert isinstance(error, errors.StatementFailed | errors.InvalidArgument)
    assert "\n" not in str(error)


def test_the_databases_words_are_quoted(each: embsql.Database) -> None:
    assert "nowhere" in str(caught(lambda: each.ask("SELECT * FROM nowhere")))


def test_a_command_without_words(db: embsql.Database) -> None:
    for call in ("NULL", "[]", "[NULL]", "CAST(NULL AS VARCHAR[])"):
        error = caught(partial(db.ask, f"SELECT embsql_command({call})"))
        assert str(error).startswith('no command named "None". Known: train,')


def test_a_type_that_arrow_does_not_have(pg: str) -> None:
    with embsql.connect(pg) as database:
        row = database.ask(
            "SELECT int4range(1, 3) AS a, CAST('10.0.0.1' AS inet) AS b"
        ).to_pylist()
    assert row == [{"a": "[1, 3)", "b": "10.0.0.1"}]


def test_every_method_speaks_plainly(db: embsql.Database, monkeypatch) -> None:
    """Whatever a user broke below: here the registry itself is gone."""
    monkeypatch.setattr(
        texts, "load_encoder", lambda _: texts.Encoder(Path("an encoder"), b"", None)
    )
    db.engine.run("DROP SCHEMA embsql CASCADE")
    given = {
        "model_name": "m",
        "model": "m",
        "source": TINY,
        "items": TINY,
        "statement": "DROP MODEL m",
        "sql": "x",
        "path": "m.html",
    }
    for name, method in inspect.getmembers(type(db), inspect.isfunction):
        if name.startswith("_") or name in ("close", "install", "doctor"):
            continue  # the doctor's finding is what is wrong
        words: list[str] = []
        named: dict[str, str] = {}
        for word, of in inspect.signature(method).parameters.items():
            value = given.get(word, "m")
            if (
                of.default is not of.empty
                or of.kind is of.VAR_KEYWORD
                or word == "self"
            ):
                continue
            if of.kind is of.KEYWORD_ONLY:
                named[word] = value
            else:
                words.append(value)
        caught(partial(getattr(db, name), *words, **named))


def test_what_a_database_says_of_a_statement_is_for_who_ran_it() -> None:
    """Its words may quote a row; what is written down for others does not have them."""
    error = errors.of_database(
        "duplicate key value: Key (user_id)=(ann) already exists"
    )
    assert "ann" in str(error)
    assert "ann" not in errors.shared(error)


def test_a_copy_of_an_error_shares_no_more_than_it() -> None:
    error = errors.IdTooLong(
        entity="user",
        start="ann",
        length=2000,
        limit=1024,
        remedy="-",
        shared={"start": ""},
    )
    assert "ann" not in errors.shared(error.but(remedy="md5(user_id)"))

"""The commands in every dress: SQL, CREATE MODEL, the command line."""

from __future__ import annotations

import gc
import inspect
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

import embsql
from embsql import errors
from embsql.api import create_model
from embsql.api.commands import EMBEDDED, perform
from embsql.api.lexing import split_statements
from embsql.api.text_table import format_table
from embsql.shells.cli import main

EVENTS = "SELECT i % 97 AS user_id, (i * 31) % 53 AS item_id, i AS event_time FROM range(5000) t(i)"


@pytest.fixture
def con():
    connection = duckdb.connect()
    embsql.register(connection)
    yield connection
    connection.close()


def test_train_from_sql(con) -> None:
    call = "CALL embsql.train('m', source => $1, algorithm => 'svd', options => '{\"dim\": 4}')"
    assert con.execute(call, [EVENTS]).fetchall() == [(1, "live", None)]
    assert con.execute("SELECT algorithm, dim FROM embsql.models()").fetchall() == [
        ("svd", 4)
    ]
    assert (
        con.execute(
            "CALL embsql.train('m', source => $1, options => '{\"dim\": 4}')", [EVENTS]
        ).fetchall()[0][1]
        == "live"
    )
    assert con.execute("CALL embsql.rollback('m')").fetchall() == [(1,)]
    assert con.execute("CALL embsql.promote('m@2')").fetchall() == [(2,)]
    assert "ndcg@10" in con.execute("CALL embsql.evaluate('m')").fetchall()[0][0]
    assert con.execute("CALL embsql.drop_run('m@1')").fetchall() == [("dropped",)]
    assert con.execute("CALL embsql.forget(5)").fetchall()[0][0] > 1


def test_explain_does_not_train(con) -> None:
    con.execute(
        "EXPLAIN SELECT * FROM embsql.train('m', source => $1)", [EVENTS]
    ).fetchall()
    con.execute(
        "SELECT * FROM embsql.train('m', source => $1) LIMIT 0", [EVENTS]
    ).fetchall()
    assert con.execute("SELECT * FROM embsql.models()").fetchall() == []


def test_errors_arrive_in_sql(con) -> None:
    with pytest.raises(duckdb.Error, match='no algorithm named "asl"'):
        con.execute(
            "CALL embsql.train('m', source => $1, algorithm => 'asl')", [EVENTS]
        ).fetchall()
    with pytest.raises(duckdb.Error, match="JSON object"):
        con.execute(
            "CALL embsql.train('m', source => $1, options => 'dim=4')", [EVENTS]
        ).fetchall()
    with pytest.raises(duckdb.Error, match="not being trained"):
        con.execute("CALL embsql.cancel('m')").fetchall()


def test_a_training_that_trains_itself_is_refused(con) -> None:
    source = (
        "SELECT run_id AS user_id, status AS item_id "
        "FROM embsql.train(''m'', source => ''events'')"
    )
    with pytest.raises(duckdb.Error, match="is being trained"):
        con.execute(f"CALL embsql.train('m', source => '{source}')").fetchall()


UNWATCH = "SELECT * FROM embsql.unwatch('m')"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("SELECT 1", UNWATCH),
        ("SELECT 1", "CALL embsql.unwatch('m')"),
        ("SELECT 1", f"SELECT 1; {UNWATCH}"),
        ("BEGIN", UNWATCH),
    ],
    ids=["a query", "a call", "a script", "a transaction"],
)
def test_a_file_knows_a_command_once_it_is_called(first, then, tmp_path) -> None:
    path = str(tmp_path / "shop.duckdb")
    embsql.connect(path).close()
    with embsql.connect(path) as db:
        db.ask(first)
        with pytest.raises(errors.EmbsqlError, match='named "m"'):
            db.ask(then)


def test_threads_that_come_at_once_find_one_command(tmp_path: Path) -> None:
    """Each has a connection of its own to one file; whoever comes first makes it known to all."""
    path = str(tmp_path / "shop.duckdb")
    embsql.connect(path).close()
    with ExitStack() as opened:
        handles = [opened.enter_context(embsql.connect(path)) for _ in range(6)]
        together = threading.Barrier(len(handles))

        def refused(handle: embsql.Database) -> bool:
            together.wait()
            with pytest.raises(duckdb.Error, match='no model named "m"'):
                handle.engine.run("CALL embsql.unwatch('m')")
            return True

        with ThreadPoolExecutor(len(handles)) as threads:
            assert all(threads.map(refused, handles))


@pytest.mark.parametrize("statement", [UNWATCH, "CALL embsql.unwatch('m')"])
def test_a_command_outlives_the_connection_that_made_it_known(
    statement, tmp_path
) -> None:
    """DuckDB would call a function that went with it."""
    path = str(tmp_path / "shop.duckdb")
    first = embsql.connect(path)
    second = embsql.connect(path)
    for db in (first, second):
        with pytest.raises(errors.EmbsqlError, match='named "m"'):
            db.ask(statement)
    first.close()
    with second, pytest.raises(errors.EmbsqlError, match='named "m"'):
        second.ask(statement)


def test_a_command_stays_while_one_of_two_handles_is_open() -> None:
    """The caller's own SQL asks for it, by a connection that embsql sees nothing of."""
    with duckdb.connect() as con:
        first = embsql.connect(con)
        second = embsql.register(con)
        con.execute("BEGIN")
        first.close()
        for statement in ("ROLLBACK", "SELECT 1"):
            con.execute(statement).fetchall()
            with pytest.raises(duckdb.Error, match='no model named "m"'):
                con.execute("CALL embsql.unwatch('m')")
        second.close()
        with pytest.raises(duckdb.CatalogException, match="embsql_command"):
            con.execute("CALL embsql.unwatch('m')")


def test_a_closed_file_leaves_its_command_to_a_connection_given(tmp_path) -> None:
    path = str(tmp_path / "shop.duckdb")
    opened = embsql.connect(path)
    with pytest.raises(errors.EmbsqlError, match='named "m"'):
        opened.ask(UNWATCH)
    own = duckdb.connect(path, config={"storage_compatibility_version": "v1.4.0"})
    with own as con, embsql.connect(con), embsql.connect(":memory:"):
        opened.close()
        with pytest.raises(duckdb.Error, match='no model named "m"'):
            con.execute(UNWATCH)


def test_every_command_has_a_name_in_sql(con) -> None:
    names = con.execute(
        "SELECT function_name FROM duckdb_functions() WHERE schema_name = 'embsql'"
    ).fetchall()
    assert set(EMBEDDED) <= {name for (name,) in names}


def test_a_report_is_written_by_a_command(con, tmp_path) -> None:
    con.execute(f"CREATE TABLE events AS {EVENTS}")
    page = tmp_path / "m.html"
    for _ in range(2):
        con.execute(
            "CALL embsql.train('m', source => 'events', options => '{\"force\": true}')"
        ).fetchall()
    call = f"CALL embsql.report('m', path => '{page}'"
    assert con.execute(f"{call})").fetchall() == [
        (2, None, str(page), page.stat().st_size)
    ]
    ((run, compared, *_),) = con.execute(
        f"{call}, compared_with => 'm@1', options => '{{\"seed\": 7}}')"
    ).fetchall()
    assert (run, compared) == (2, 1)
    with pytest.raises(duckdb.Error, match="seed must be"):
        con.execute(f'{call}, options => \'{{"seed": "x"}}\')')


def test_a_worker_writes_no_file(db) -> None:
    with pytest.raises(errors.UnknownCommand, match='"report"'):
        perform(db, "report", ["m", "m.html", None, "{}"])


# --- CREATE MODEL --------------------------------------------------------------------------------

CREATE = """
CREATE OR REPLACE MODEL shop
OPTIONS(model_type = 'MATRIX_FACTORIZATION', feedback_type = 'IMPLICIT',
        user_col = 'the user', item_col = 'item_id', num_factors = 4, wals_alpha = 40.0,
        l2_reg = 0.5, max_iterations = 3)
AS SELECT user_id AS "the user", item_id FROM events -- a comment; and a semicolon
"""


def test_create_model(db) -> None:
    db.engine.run(f"CREATE TABLE events AS {EVENTS}")
    first = db.sql(CREATE).to_pylist()[0]
    params = json.loads(
        db.ask("SELECT params FROM embsql.runs('shop')").to_pylist()[0]["params"]
    )
    assert (params["dim"], params["alpha"], params["reg"], params["epochs"]) == (
        4,
        40.0,
        0.5,
        3,
    )
    assert db.sql(
        CREATE.replace("OR REPLACE MODEL", "MODEL IF NOT EXISTS")
    ).to_pylist() == [first]
    with pytest.raises(errors.ModelExists):
        db.sql(CREATE.replace("OR REPLACE ", ""))
    assert db.sql("SELECT 1 AS one").to_pylist() == [{"one": 1}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("CREATE MODEL", "expected a model name, found the end"),
        ("CREATE MODEL m", "expected AS"),
        ("CREATE MODEL m AS", "expected a SELECT after AS, found nothing"),
        ("CREATE MODEL m OPTIONS(a) AS SELECT 1", "expected ="),
        ("CREATE MODEL m OPTIONS(a = 1 AS SELECT 1", "expected , or"),
        ("CREATE MODEL m OPTIONS(model_type = 'als) AS SELECT 1", "is not closed"),
        (
            "CREATE MODEL m OPTIONS(data_split_method = 'odd') AS SELECT 1",
            "data_split_method must be",
        ),
    ],
)
def test_bad_create_model(text: str, says: str) -> None:
    with pytest.raises(errors.BadStatement, match=says):
        create_model.parse(text)


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def cli(tmp_path):
    path = str(tmp_path / "c.duckdb")

    def call(*words: str):
        return CliRunner().invoke(main, ["--db", path, *words])

    return call


def test_cli_trains_and_asks(cli) -> None:
    done = cli(
        "--json",
        "train",
        "m",
        "--source",
        EVENTS,
        "--dim",
        "4",
        "--epochs=2",
        "--evaluate",
        "--no-gate",
    )
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["status"] == "live"
    assert "ndcg@10" in answer
    assert "epoch 2/2" in done.stderr
    assert "epoch" in cli("training-log", "m").stdout
    rows = cli(
        "--json",
        "sql",
        "SELECT * FROM embsql.recommend('m', '5', k => 2, exclude_seen => FALSE)",
    ).stdout
    assert [json.loads(line)["rank"] for line in rows.splitlines()] == [1, 2]
    for command in ("runs", "evaluation", "advice", "validation", "evaluate"):
        assert cli(command, "m").exit_code == 0
    assert cli("train", "m", "--source", EVENTS, "--dim", "3").exit_code == 0
    assert cli("rollback", "m").stdout == "run 1 is live\n"
    assert cli("promote", "m@2").stdout == "run 2 is live\n"
    assert cli("drop-run", "m@1").exit_code == 0
    assert "rows removed" in cli("forget", "5").stdout
    assert cli("models").exit_code == 0


def test_statements_come_from_standard_input(tmp_path) -> None:
    written = "-- what is there\nSELECT 'é' AS a;\nSELECT 2 AS b;\n"
    words = ["--db", str(tmp_path / "x.duckdb"), "--json", "sql", "-"]
    done = CliRunner().invoke(main, words, input=written)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"a": "é"},
        {"b": 2},
    ]


def test_cli_names_a_file_that_cannot_be_written(cli, tmp_path) -> None:
    cli("train", "shop", "--source", EVENTS, "--dim", "4")
    for name in ("nowhere/x.csv", "nowhere/x.parquet"):
        answer = cli("features", "shop", "--output", str(tmp_path / name))
        assert answer.exit_code == 1
        assert "nowhere/x." in answer.output
        assert "No such file or directory" in answer.output


def test_cli_writes_features(cli, tmp_path) -> None:
    assert cli("train", "m", "--source", EVENTS, "--dim", "4").exit_code == 0
    for name in ("f.csv", "f.parquet"):
        assert (
            "97 rows, 13 columns"
            in cli("features", "m", "--output", str(tmp_path / name)).output
        )
        written = duckdb.sql(
            f"SELECT count(e4), CAST(min(entity_id) AS INTEGER) FROM '{tmp_path / name}'"
        )
        assert written.fetchall() == [(97, 0)]
    assert cli("features", "m", "--output", str(tmp_path / "f.xls")).exit_code == 1
    assert (
        len(cli("--json", "features", "m", "--entity", "item").stdout.splitlines())
        == 53
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("runs", "nothing"), 1, 'no model named "nothing"'),
        (
            ("train", "m", "--source", EVENTS, "--dims", "4"),
            1,
            'als has no option "dims". Did you mean "dim"',
        ),
        (
            ("train", "m", "--source", EVENTS, "--dim", "many"),
            1,
            "dim must be a whole number",
        ),
        (("train", "m", "--source", EVENTS, "--dim"), 2, "expected --option value"),
        (("train", "m"), 2, "Missing option"),
        (("sql", "SELEKT"), 1, "syntax error"),
        (("cancel", "m"), 1, "not being trained"),
        (("algorithms", "asl"), 1, 'Did you mean "als"'),
    ],
)
def test_cli_says_what_is_wrong(
    cli, words: tuple[str, ...], code: int, says: str
) -> None:
    assert cli("install").exit_code == 0
    answer = cli(*words)
    assert answer.exit_code == code
    assert says in answer.output
    assert "Traceback" not in answer.output


def test_cli_without_a_database() -> None:
    answer = CliRunner().invoke(main, ["models"], env={"EMBSQL_DB": ""})
    assert (answer.exit_code, "which database" in answer.output) == (2, True)


def test_cli_needs_no_database_to_look_up() -> None:
    assert (
        "CREATE OR REPLACE MACRO embsql.similar_items"
        in CliRunner().invoke(main, ["render"]).output
    )
    assert "als" in CliRunner().invoke(main, ["algorithms"]).output
    manual = CliRunner().invoke(main, ["algorithms", "als"]).output
    assert "\nImplicit: a seen pair" in manual  # without the indents of the code
    assert "epochs" in manual


# --- errors --------------------------------------------------------------------------------------


class Anything(dict):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


@pytest.mark.parametrize(
    "error", [value for value in vars(errors).values() if inspect.isclass(value)]
)
def test_every_message_can_be_written(error: type[Exception]) -> None:
    if issubclass(error, errors.EmbsqlError):
        text = " ".join((error.__doc__ or "").split())
        assert text.format_map(Anything())
        assert text[0].islower() or text[0] == "{"


def test_remedies_are_written_as_they_are_typed(tmp_path) -> None:
    source = ["--source", "SELECT 1 AS whom, 2 AS item_id"]
    said = (
        CliRunner()
        .invoke(main, ["--db", str(tmp_path / "d.duckdb"), "train", "m", *source])
        .output
    )
    assert "or name it with --user-col ..." in said


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            "similar_itmes('m', 'i')",
            'no question named "similar_itmes". Did you mean "similar_items"?',
        ),
        (
            "similar_items('m', 'i', n => 3)",
            "takes other arguments than ('m', 'i', n => 3): similar_items(model text, "
            "for_item text, k int",
        ),
    ],
)
def test_a_question_that_is_not_there_has_a_neighbor(pg, call: str, says: str) -> None:
    said = (
        CliRunner()
        .invoke(main, ["--db", pg, "sql", f"SELECT * FROM embsql.{call}"])
        .output
    )
    assert says in said


WRONG_CALLS = [
    (
        "CALL embsql.promote('m@2', 1)",
        "embsql.promote takes other arguments than ('m@2', 1): promote(model{text}). "
        "For example: {call} embsql.promote('m@2');",
    ),
    (
        "SELECT * FROM embsql.rollback()",
        "embsql.rollback takes other arguments than (): rollback(model{text}). "
        "For example: {call} embsql.rollback(model => 'shop');",
    ),
    (
        "SELECT * FROM embsql.train('m', sorce => 'a, (b')",
        "embsql.train takes other arguments than ('m', sorce => 'a, (b'): train(model{text}, ",
    ),
    (
        "SELECT * FROM embsql.recommend('m', n => 3)",
        "embsql.recommend takes other arguments than ('m', n => 3): recommend(model text, ",
    ),
    (
        "SELECT * FROM embsql.recomend('m', 'u')",
        'no question named "recomend". Did you mean "recommend"?',
    ),
    (
        "SELECT embsql.promot('m')",
        'no question named "promot". Did you mean "promote"?',
    ),
]
IN_FILES = [
    ("SELECT embsql.recommend('m', 'u')", "embsql.recommend is a table, in FROM. For "),
    ("SELECT embsql.promote('m')", "embsql.promote is a command. For example: CALL "),
    ("SELECT * FROM embsql.score('m', 'u', 'i')", "embsql.score is one value, asked "),
    ("SELECT * FROM storge()", "Catalog Error: Table Function with name storge does "),
    (
        "SELECT * FROM promote('m', 1)",
        "Catalog Error: Table Function with name promote",
    ),
]


@pytest.mark.parametrize(("statement", "says"), WRONG_CALLS)
def test_a_call_that_fits_nothing_is_answered_with_what_does(
    each, statement: str, says: str
) -> None:
    is_file = each.engine.embedded
    if not is_file:
        statement = statement.replace("CALL ", "SELECT ")
    called = (
        {"text": "", "call": "CALL"} if is_file else {"text": " text", "call": "SELECT"}
    )
    with pytest.raises(errors.EmbsqlError) as raised:
        each.ask(statement)
    assert str(raised.value).startswith(says.format(**called))


@pytest.mark.parametrize(("statement", "says"), IN_FILES)
def test_a_call_in_a_file_that_stands_where_it_cannot(
    db, statement: str, says: str
) -> None:
    with pytest.raises(errors.EmbsqlError) as raised:
        db.rows(statement)
    assert str(raised.value).startswith(says)


def test_what_is_proposed_for_a_call_works(db) -> None:
    for source in (EVENTS, f"{EVENTS} WHERE i < 4000"):
        db.train("m", source, algorithm="svd", dim=2)
    with pytest.raises(errors.WrongArguments) as raised:
        db.sql("CALL embsql.promote('m@1', TRUE)")
    assert db.sql(str(raised.value).split("For example: ")[1])[
        "live_run"
    ].to_pylist() == [1]


def test_who_is_not_there_is_forgotten_already(tmp_path) -> None:
    words = ["--db", str(tmp_path / "d.duckdb")]
    CliRunner().invoke(main, [*words, "sql", "SELECT 1"])
    said = CliRunner().invoke(main, [*words, "forget", "kim"]).output
    assert said.startswith("0 rows removed: nothing here knows a user kim")


# --- several statements --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1;"]),
        ("SELECT 1; SELECT 2", ["SELECT 1", " SELECT 2"]),
        ("SELECT 1;; SELECT 2; -- done; really", ["SELECT 1", " SELECT 2"]),
        ("SELECT ';'; SELECT \";\" FROM t", ["SELECT ';'", ' SELECT ";" FROM t']),
        (
            "SELECT 'it''s; so'; SELECT $a$;$a$",
            ["SELECT 'it''s; so'", " SELECT $a$;$a$"],
        ),
        ("/* a; b */ SELECT 1; SELECT 2", ["/* a; b */ SELECT 1", " SELECT 2"]),
        ("SELECT e'\\';'; SELECT 2", ["SELECT e'\\';'", " SELECT 2"]),
        (
            "/* a /* b */ ; */ SELECT 1; SELECT 2",
            ["/* a /* b */ ; */ SELECT 1; SELECT 2"],
        ),
        ("-- nothing", ["-- nothing"]),
        ("", [""]),
    ],
)
def test_where_a_statement_ends(script: str, statements: list[str]) -> None:
    assert split_statements(script) == statements


def test_the_body_of_a_function_is_not_taken_apart() -> None:
    script = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT f()"
    assert split_statements(script) == [script]


def test_several_statements_answer_with_the_last(each) -> None:
    script = "CREATE TABLE t AS SELECT 1 AS a; INSERT INTO t VALUES (2); SELECT sum(a) AS b FROM t;"
    assert [int(row["b"]) for row in each.sql(script).to_pylist()] == [3]


def test_the_command_line_shows_each_answer(tmp_path) -> None:
    words = [
        "--db",
        str(tmp_path / "d.duckdb"),
        "sql",
        "SELECT 1 AS a; SELECT 'x' AS b",
    ]
    assert CliRunner().invoke(main, words).output == "a\n-\n1\n\nb\n-\nx\n"
    assert (
        CliRunner().invoke(main, ["--json", *words]).output == '{"a": 1}\n{"b": "x"}\n'
    )


def test_a_table_stands_straight_where_letters_are_wide() -> None:
    lines = format_table([{"id": "緑茶", "n": 1}, {"id": "tea", "n": 22}]).split("\n")
    assert lines == ["id     n", "----  --", "緑茶   1", "tea   22"]


def test_a_question_is_no_method_and_no_command() -> None:
    with (
        embsql.connect(":memory:") as database,
        pytest.raises(
            AttributeError, match=r'db\.ask\("SELECT \* FROM embsql\.recommend\('
        ),
    ):
        getattr(database, "recommend")  # noqa: B009 - mypy knows that there is none
    result = CliRunner().invoke(main, ["--db", ":memory:", "similar_items", "shop"])
    assert result.exit_code == 2
    assert 'embsql sql "SELECT * FROM embsql.similar_items(' in result.output


@pytest.mark.parametrize("dress", ["call", "model"])
def test_an_algorithm_may_stand_among_the_options(con, dress: str) -> None:
    statements = {
        "call": "CALL embsql.train('m', source => $s, options => '{\"algorithm\": \"svd\"}')",
        "model": "CREATE MODEL m OPTIONS(algorithm = 'svd') AS " + EVENTS,
    }
    with embsql.connect(con) as database:
        if dress == "call":
            con.execute(statements[dress], {"s": EVENTS})
        else:
            database.sql(statements[dress])
        models = database.ask("SELECT algorithm FROM embsql.models()").to_pylist()
        assert models == [{"algorithm": "svd"}]


def test_two_algorithms_in_one_call_are_refused(con) -> None:
    call = "CALL embsql.train('m', 'e', algorithm => 'svd', options => '{\"algorithm\": \"als\"}')"
    with pytest.raises(
        duckdb.Error, match="algorithm is als there and svd in the call"
    ):
        con.execute(call)


@pytest.mark.parametrize(
    ("call", "signature"),
    [
        ("recommend_batch('m', 'u1')", "recommend_batch(model text, for_users text[]"),
        ("recommend_from('m', 'i1')", "recommend_from(model text, items text[]"),
    ],
)
def test_one_text_is_no_list(con, call: str, signature: str) -> None:
    con.execute("CALL embsql.train('m', source => $1)", [EVENTS])
    with (
        embsql.connect(con) as database,
        pytest.raises(errors.WrongArguments, match=re.escape(signature)),
    ):
        database.ask(f"SELECT * FROM embsql.{call}")


def test_a_connection_that_goes_without_a_word_leaves_no_other_function(
    tmp_path,
) -> None:
    """DuckDB goes on calling what that connection gave it, which must be there still."""
    path = str(tmp_path / "shop.duckdb")
    first = duckdb.connect(path)
    second = duckdb.connect(path)
    handle = embsql.register(first)
    embsql.register(second)
    first.close()
    del handle
    gc.collect()
    # what would lie where a function was that is freed
    _others = [lambda number=number: number for number in range(1000)]
    with pytest.raises(duckdb.Error, match="closed"):
        second.execute(UNWATCH)
    second.close()


@pytest.mark.parametrize("call", ["train('m')", "unwatch('m')"])
def test_a_server_has_functions_and_no_procedures(pg, call: str) -> None:
    with (
        embsql.connect(pg) as database,
        pytest.raises(errors.CalledElsewhere, match=r"SELECT embsql\.\w+\("),
    ):
        database.ask(f"CALL embsql.{call}")

"""Options: one declaration each, one message for a wrong one, and no foreign exception through any
door.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

import embsql
from embsql import algorithms, errors, options
from embsql.api import commands
from embsql.command_options import COMMANDS, Evaluate, Project, Train
from embsql.options import declared
from embsql.shells import worker
from embsql.shells.cli import main
from embsql.sqlfiles import files
from tests.fuzz import NOWHERE, TINY, Doors, run

# --- one declaration -----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", COMMANDS, ids=lambda cls: cls.name)
def test_every_option_is_declared_whole(cls: type[Any]) -> None:
    for option in declared(cls):
        assert option.reason, f"{cls.name}.{option.name} has no reason behind it"
        if option.default is not None:
            assert options.cast(cls, option, option.default) == option.default


@pytest.mark.parametrize("name", algorithms.names())
def test_every_number_has_a_range(name: str) -> None:
    """Only a rating that divides liked from disliked may be anything, and a power of counts."""
    free = {
        ("content", "like_threshold"),
        ("node2vec", "ns_exponent"),
        ("two_tower", "margin"),
    }
    for option in declared(algorithms.find(name)):
        if option.kind in (int, float) and (name, option.name) not in free:
            assert option.range, f"{name}.{option.name}"


@pytest.mark.parametrize("cls", COMMANDS, ids=lambda cls: cls.name)
def test_methods_have_the_declared_options(cls: type[Any]) -> None:
    """In Python the signature repeats names and defaults, for whoever reads it; it must not say
    anything else.
    """
    others = {"train": {"algorithm", "progress"}}.get(cls.name, set())
    parameters = inspect.signature(
        getattr(embsql.Database, cls.name)
    ).parameters.values()
    written = {
        p.name: p.default
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.name not in others
    }
    assert written == {option.name: option.default for option in declared(cls)}


@pytest.mark.parametrize("cls", COMMANDS, ids=lambda cls: cls.name)
def test_the_command_line_has_the_declared_options(cls: type[Any]) -> None:
    command: click.Command = main
    for word in cls.help.split()[1:-1]:  # of "embsql export map --help"
        command = command.commands[word]
    written = {
        option.name: option
        for option in command.get_params(click.Context(command))
        if option.param_type_name == "option"
    }
    for option in declared(cls):
        assert option.reason[1:] in written[option.name].help


DEFAULTS = re.compile(r"(\w+) (?::=|\w+ DEFAULT) ('[^']*'|\w+)")


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_commands_in_sql_have_the_declared_defaults(engine: str) -> None:
    text = files.read_sql(f"commands/{engine}.sql")
    seen = 0
    for cls in COMMANDS:
        known = {option.name: option.default for option in declared(cls)}
        for head in re.findall(
            rf"(?:MACRO|FUNCTION) embsql\.{cls.name}\((.*?)\)\s+(?:AS|RETURNS)",
            text,
            re.DOTALL,
        ):
            for name, default in DEFAULTS.findall(head):
                if name in known:
                    seen += 1
                    assert default.strip("'").lower() == str(
                        known[name]
                    ).lower().replace("none", "null"), (name, head)
    assert seen >= 8


# --- one message ---------------------------------------------------------------------------------

SAID = "evaluate: k must be one or several whole numbers from 1 to 10000, got "


@pytest.fixture(scope="module")
def doors(tmp_path_factory) -> Any:
    made = Doors(tmp_path_factory.mktemp("doors"))
    yield made
    made.close()


def test_a_wrong_value_gets_one_message_through_every_door(doors) -> None:
    """The same words, but for how the value was written."""
    with pytest.raises(
        errors.BadOption, match=re.escape(f"{SAID}'many'. See: embsql evaluate --help")
    ):
        doors.database.evaluate("m", k="many")
    with pytest.raises(errors.BadOption, match=re.escape(f"{SAID}0")):
        commands.perform(doors.database, "evaluate", ["m", '{"k": 0}'])
    with pytest.raises(Exception, match=re.escape(f"{SAID}[0.5]")):
        doors.database.engine.second().execute(
            """CALL embsql.evaluate('m', '{"k": [0.5]}')"""
        ).fetchall()
    done = CliRunner().invoke(main, ["--db", doors.path, "evaluate", "m", "--k", "5,x"])
    assert (done.exit_code, f"{SAID}'5,x'" in done.output) == (1, True)
    said = "train: k must be one or several whole numbers from 1 to 10000, got 0"
    with pytest.raises(errors.BadOption, match=re.escape(said)):
        doors.database.sql(
            f"CREATE MODEL n OPTIONS(model_type = 'als', k = 0) AS {NOWHERE}"
        )


def test_numbers_on_the_command_line_are_numbers(doors) -> None:
    """--k is of training, though what follows a command's own options are the algorithm's."""
    done = CliRunner().invoke(
        main,
        [
            "--db",
            doors.path,
            "--json",
            "evaluate",
            "m",
            "--k",
            "3",
            "--split",
            "random",
        ],
    )
    assert "ndcg@3" in done.output
    call = [
        "train",
        "m",
        "--source",
        TINY,
        "--dim",
        "2",
        "--epochs",
        "1",
        "--k",
        "3",
        "--evaluate",
        "--no-gate",
    ]
    assert "ndcg@3" in CliRunner().invoke(main, ["--db", doors.path, *call]).output


NUMBERS = [
    (int, 5.0, 5),
    (int, "5.0", 5),
    (int, "1e3", 1000),
    (int, np.int8(5), 5),
    (int, np.array(5), 5),
    (int, 2**70, 2**70),
    (int, str(2**70), 2**70),
    (float, "1e-3", 0.001),
    (float, np.float32(0.5), 0.5),
    (float, Decimal("0.5"), 0.5),
    (bool, "TRUE", True),
    (bool, 0, False),
    (bool, np.bool_(True), True),
    (str, Path("a/b"), "a/b"),
    (tuple, 5, (5,)),
    (tuple, "5, 10", (5, 10)),
    (tuple, np.array([5, 10]), (5, 10)),
    (tuple, range(1, 3), (1, 2)),
]
NOT = [
    (int, True),
    (int, 1.5),
    (int, "٥"),
    (int, "1_000"),
    (int, math.nan),
    (int, math.inf),
    (int, b"5"),
    (int, "9" * 9999),
    (float, math.nan),
    (float, "inf"),
    (float, 10**400),
    (float, 1j),
    (float, [0.5]),
    (float, "0x1"),
    (float, True),
    (bool, "yes"),
    (bool, 2),
    (bool, 1.0),
    (bool, None),
    (str, ""),
    (str, " "),
    (str, "a\0"),
    (str, "\ud800"),
    (str, 5),
    (tuple, ()),
    (tuple, "5,"),
    (tuple, [1.5]),
    (tuple, True),
    (tuple, {"a": 1}),
    (tuple, None),
]


@pytest.mark.parametrize(("kind", "given", "read"), NUMBERS, ids=str)
def test_values_are_read(kind: type, given: Any, read: Any) -> None:
    found = options.cast(Train, options.Option("x", kind, None, "why"), given)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(("kind", "given"), NOT)
def test_values_that_are_none(kind: type, given: Any) -> None:
    with pytest.raises(errors.BadOption, match="train: x must be"):
        options.cast(Train, options.Option("x", kind, None, "why"), given)


def test_names_that_are_taken_are_said(doors) -> None:
    """In JSON, in a shell and in CREATE MODEL a name may be that of an argument, which is no
    option.
    """
    for name in ("model_name", "source", "self", "progress"):
        with pytest.raises(errors.UnknownOption, match=f'als has no option "{name}"'):
            commands.perform(
                doors.database, "train", ["n", NOWHERE, "als", json.dumps({name: "x"})]
            )
        done = CliRunner().invoke(
            main,
            ["--db", doors.path, "train", "n", "--source", NOWHERE, f"--{name}x", "1"],
        )
        assert (done.exit_code, "als has no option" in done.output) == (1, True)
        with pytest.raises(errors.UnknownOption):
            doors.database.sql(f"CREATE MODEL n OPTIONS({name} = 1) AS {NOWHERE}")


@pytest.mark.parametrize("wrong", [{"threds": 2}, {"seeed": 1}, {"evaluat": True}])
def test_a_slip_in_a_name_is_guessed_from_all_options(
    doors, wrong: dict[str, Any]
) -> None:
    with pytest.raises(
        errors.UnknownOption, match=r'Did you mean "(threads|seed|evaluate)"'
    ):
        doors.database.train("n", NOWHERE, **wrong)


def test_a_reference_that_is_none(doors) -> None:
    for reference in ("m@²", "m@", "m@1@1", "m@99999999999999999999"):
        with pytest.raises(errors.UnknownRun, match='model "m" has no run'):
            doors.database.promote(reference)
    for reference in (None, 5, b"m", "M\0", "\ud800"):
        with pytest.raises(errors.UnknownModel):
            doors.database.evaluate(reference)  # type: ignore[arg-type]  # a wrong value on purpose


def test_commands_that_are_none(doors) -> None:
    with pytest.raises(
        errors.UnknownCommand, match=r'no command named "trian"\. Did you mean "train"'
    ):
        commands.perform(doors.database, "trian", [])
    with pytest.raises(errors.BadCall, match="promote takes model, got 2 arguments"):
        commands.perform(doors.database, "promote", ["m", "m"])


@pytest.mark.parametrize(
    "target",
    ["\0", "a\0b", "\ud800", " ", 5, b"x", [], None, True, "x://y", "nowhere/x.duckdb"],
)
def test_what_is_no_database_is_said(doors, target: Any) -> None:
    for attempt in (
        lambda: embsql.connect(target),
        lambda: doors.database.publish(target),
        lambda: doors.database.train(
            "n", TINY, source_db=[] if target is None else target
        ),
    ):
        with pytest.raises(errors.EmbsqlError):
            attempt()


@pytest.mark.parametrize("folder", ["nowhere", "x" * 5000, "/dev/null"])
def test_what_is_no_encoder_is_said(doors, folder: str) -> None:
    with pytest.raises(errors.NoEncoder, match="there is no such folder"):
        doors.database.register_text(
            "t", "SELECT 1 AS item_id, 'x' AS words", encoder=folder
        )


# --- every door ----------------------------------------------------------------------------------


def test_nothing_foreign_comes_out(doors) -> None:
    """A few hundred tries; python -m tests.campaigns.options makes thousands."""
    outcomes, foreign = run(doors.tries(seed=5, number=250))
    assert not foreign, "\n".join(foreign[:3])
    assert len(outcomes) > 12  # it got somewhere


def test_a_worker_refuses_in_words(pg, monkeypatch) -> None:
    """Whatever somebody puts into the queue by hand ends as an error of embsql's, and the worker
    goes on.
    """
    raised: list[Exception] = []
    message = worker._message
    monkeypatch.setattr(
        worker, "_message", lambda error: raised.append(error) or message(error)
    )
    jobs = [
        ("nothing", "n", []),
        ("train", "n", []),
        ("train", "n", ["n", NOWHERE, "als", "["]),
        ("promote", "m@²", ["m@²"]),
        ("train", "n", ["n", NOWHERE, "als", '{"threads": "many"}']),
        ("cluster", "m", ["m", "cart", "x", "a", "", "{}"]),
        ("materialize", "m", ["m", "few", "maybe", "true"]),
        ("train", "n", ["n", NOWHERE, "als", '{"seed": "x"}']),
        ("evaluate", "m", ["m", '{"k": {}}']),
        ("forget", None, [""]),
        ("register_embeddings", "n", ["n", "", "", "near"]),
        ("drop_model", "n", ["n", "perhaps"]),
        ("drop_model", "n", ["n", "false"]),
    ]
    with embsql.connect(pg) as database:
        for command, model, words in jobs:
            database.ask(
                "SELECT embsql_internal.enqueue($c, $m, CAST($w AS text[])) AS job",
                c=command,
                m=model,
                w=words,
            )
    busy = worker.Worker(pg, lambda _line: None)
    busy.work(once=True)
    busy.close()
    assert [
        error for error in raised if not isinstance(error, errors.EmbsqlError)
    ] == []
    with embsql.connect(pg) as database:
        rows = database.ask(
            "SELECT status, error FROM embsql.jobs ORDER BY job_id"
        ).to_pylist()
    assert {row["status"] for row in rows} == {"failed"}
    assert len(rows) == len(jobs) == len(raised)


NULLS = [
    ("train('n', NULL)", "source must be text, got NULL"),
    ("train(NULL, 'x')", "NULL is not a model name"),
    ("train('n', 'x', options => '[]')", "options must be a JSON object"),
    ("cluster(NULL)", "model must be text"),
    ("materialize('n', k => NULL)", "k must be text, got NULL"),
    ("forget(NULL)", "user_id must be text"),
    ("project('n', method => NULL)", "method must be text"),
    ("drop_model('n', NULL)", "if_exists must be text"),
    ("register_embeddings('n', NULL)", "items must be text"),
]


def test_null_is_said_when_it_is_asked(pg) -> None:
    """Not by a constraint of the queue's table."""
    with embsql.connect(pg) as database:
        for call, says in NULLS:
            with pytest.raises(errors.StatementFailed, match=re.escape(says)):
                database.sql(f"SELECT embsql.{call}")
        database.sql(
            "SELECT embsql.register_embeddings('n', 'SELECT 1')"
        )  # users may be left out


def test_the_declared_options_survive_being_text() -> None:
    made = options.construct(Project, {"entity": "USER", "method": "PCA", "seed": "7"})
    assert (made.entity, made.method, made.seed) == ("user", "pca", 7)
    assert options.construct(Evaluate, {}) == Evaluate()

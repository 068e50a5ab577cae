"""Random options and arguments for every command through every door: nothing but embsql's errors
may come out.

A try is a door, and what goes through it; all are drawn from one seed. Sources are of a table that
does not exist, so that nothing is trained: whatever is wrong is said before a source is read. What
is made of the tiny model m is made.
"""

from __future__ import annotations

import inspect
import json
import math
import random
import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

import embsql
from embsql import algorithms, errors
from embsql.api import commands
from embsql.command_options import COMMANDS, Train
from embsql.errors import EmbsqlError
from embsql.options import Option, declared, shown
from embsql.shells import dbt
from embsql.shells.cli import main

NOWHERE = "SELECT user_id, item_id FROM nowhere"
TINY = "SELECT i % 7 AS user_id, i % 5 AS item_id FROM range(60) AS t (i)"


class Contrary:
    """An object that does nothing it is asked to."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __float__(self) -> float:
        raise RuntimeError("no")


class SaidByTheShell(EmbsqlError):
    """{message}"""


SCALARS: list[Any] = [
    0,
    1,
    -1,
    5,
    7,
    2**31 - 1,
    2**31,
    2**63,
    2**64,
    10**400,
    -(10**30),
    0.5,
    1.0,
    -0.0,
    1e308,
    5e-324,
    0.1,
    -2.5,
    math.nan,
    math.inf,
    -math.inf,
    True,
    False,
    None,
    "",
    " ",
    "5",
    " 5 ",
    "-1",
    "٥",
    "²",
    "1_000",
    "0x10",
    "1e3",
    "nan",
    "inf",
    "none",
    "None",
    "true",
    "FALSE",
    "yes",
    "0",
    "auto",
    "item",
    "user",
    "als",
    "cosine",
    "pca",
    "1,2",
    "10,x",
    "1..5",
    "0.1..",
    "..",
    ",",
    "[1]",
    "{}",
    '{"a": 1}',
    "\0",
    "a\0b",
    "\ud800",
    "é",
    "💥",
    "'",
    '"',
    "`",
    "; DROP TABLE x; --",
    "{name}",
    "%s",
    "$1",
    "\\",
    "../../x",
    "m@1",
    "9" * 5000,
    "x" * 5000,
    "SELECT 1",
    NOWHERE,
]
OBJECTS: list[Any] = [
    b"5",
    b"",
    b"\xff",
    [],
    [1],
    [1, 2],
    [0.1, None, "x"],
    [[1]],
    (),
    (1, 2),
    (0.1, 0.2),
    (2, 1),
    {},
    {"from": 1, "to": 2},
    {"from": "a", "to": []},
    {"a": {"b": [1]}},
    {1},
    {"x", "y"},
    frozenset(),
    range(3),
    Decimal("1.5"),
    Decimal("NaN"),
    Fraction(1, 3),
    1j,
    np.int64(5),
    np.int8(-1),
    np.float32(0.5),
    np.float64("nan"),
    np.bool_(True),
    np.array(5),
    np.array([1, 2]),
    np.str_("als"),
    date(2026, 1, 1),
    Path("nowhere"),
    object(),
    Contrary(),
    int,
    len,
    [10**400],
]
OTHERS: list[Any] = [  # than m
    "m@1",
    "nobody",
    "m@²",
    "m@",
    "@",
    "m@99999999999999999999",
    "m@-1",
    "m@1@1",
    "M",
    "",
    None,
    5,
    b"m",
    [],
    "\0",
    "\ud800",
    "x" * 100,
    "../x",
    "m'; --",
]

Try = tuple[str, Callable[[], Any]]


class Doors:
    """A database with the tiny model m, and every way into it."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "fuzz.duckdb")
        with embsql.connect(self.path) as made:
            made.train("m", TINY, dim=2, epochs=1, progress=False)
        self.database = embsql.connect(":memory:")
        self.database.train("m", TINY, dim=2, epochs=1, progress=False)
        self.ways = [
            self.python,
            self.command,
            self.create,
            self.sql,
            self.shell,
            self.names,
        ]

    def close(self) -> None:
        self.database.close()

    def tries(self, seed: int, number: int) -> Iterator[Try]:
        """So many tries, the same for the same seed."""
        drawn = random.Random(seed)  # noqa: S311 - a seeded series of tries, no secret
        return (drawn.choice(self.ways)(drawn) for _ in range(number))

    # --- the doors --------------------------------------------------------------------------------

    def python(self, drawn: random.Random) -> Try:
        """A method with some of its options."""
        cls = drawn.choice(COMMANDS)
        given = options(drawn, cls)
        arguments = [model(drawn, cls.name)]
        if cls is Train:
            given |= {"algorithm": name(drawn), "progress": False}
        if cls.name == "register_text":
            given["encoder"] = drawn.choice(
                ["nowhere", "\0", 5, b"x"]
            )  # that of the extra takes a second to load
        if cls.name in ("train", "register_embeddings", "register_text"):
            arguments.append(
                drawn.choice([NOWHERE, NOWHERE, drawn.choice(SCALARS + OBJECTS)])
            )
        if cls.name == "export_map":
            arguments.append(drawn.choice(["nowhere/map.parquet", "", "\0", 5, None]))
        return tell(cls.name, *arguments, *given.items()), lambda: getattr(
            self.database, cls.name
        )(*arguments, **given)

    def command(self, drawn: random.Random) -> Try:
        """A command with words, as a worker and dbt give it."""
        words = self._words(drawn)
        how = drawn.choice([commands.perform, self._dbt])
        return tell(how.__name__, *words), lambda: how(
            self.database, words[0] if words else None, words[1:]
        )

    def _words(self, drawn: random.Random) -> list[Any]:
        """A command's name and arguments, mostly as many as it takes; some are options as JSON."""
        command = drawn.choice(
            [*commands.COMMANDS, *commands.COMMANDS, "nothing", "", None]
        )
        takes = inspect.signature(
            commands.COMMANDS.get(command, commands.COMMANDS["promote"])
        ).parameters
        texts = [text for text in SCALARS if isinstance(text, str | None)]
        first = model(drawn, command)
        words = [
            as_json(drawn, command) if name == "options" else drawn.choice(texts)
            for name in list(takes)[2:]
        ]
        words = [command, first if isinstance(first, str | None) else "m", *words]
        return words if drawn.random() < 0.8 else words[: drawn.randint(0, 5)]

    @staticmethod
    def _dbt(database: embsql.Database, command: Any, words: list[Any]) -> Any:
        guarded = dbt._errors_as_json(
            lambda given: commands.perform(database, given[0], given[1:])
        )
        return json.loads(guarded([command, *words]))

    def create(self, drawn: random.Random) -> Try:
        """CREATE MODEL and its kin."""
        names = (
            "model_type num_factors l2_reg feedback_type data_split_method "
            "num_trials seed k rating_col wals_alpha "
            "model_name source self algorithm progress threads kms_key_name"
        )
        keys = names.split()
        chosen = {
            key: literal(drawn) for key in drawn.sample(keys, drawn.randint(0, 4))
        }
        inside = ", ".join(f"{key} = {value}" for key, value in chosen.items())
        head = drawn.choice(
            [
                "CREATE MODEL",
                "CREATE OR REPLACE MODEL",
                "CREATE MODEL IF NOT EXISTS",
                "DROP MODEL",
            ]
        )
        target = drawn.choice(
            ["n", "`a.b.n`", "a-b.n", '"', "`", "", "9", "N", "n n", "é", "m"]
        )
        tail = drawn.choice([f"AS {NOWHERE}", "AS", "", "AS SELECT", "; --", NOWHERE])
        text = f"{head} {target} OPTIONS({inside}) {tail}"
        text = text[: drawn.randint(0, len(text))] if drawn.random() < 0.2 else text
        if drawn.random() < 0.3:
            function = drawn.choice(["RECOMMEND", "WEIGHTS", "X"])
            text = f"SELECT * FROM ML.{function}(MODEL {target}, ({inside}))"
        return text, lambda: self.database.sql(text)

    def sql(self, drawn: random.Random) -> Try:
        """CALL with text as arguments and JSON as options."""
        name_ = drawn.choice(list(commands.COMMANDS))
        words = [
            word for word in self._words(drawn)[1:] if word != "\ud800"
        ]  # the driver takes no such text
        wanted = (
            len(inspect.signature(commands.COMMANDS[name_]).parameters)
            - 1
            - (name_ == "materialize")
        )
        scalars = [
            value
            for value in SCALARS
            if value is None or isinstance(value, bool | float)
        ]
        values = [model(drawn, name_), *words, *drawn.choices(scalars, k=9)][:wanted]
        values = [
            "m@1" if isinstance(value, bytes | list) or value == "\ud800" else value
            for value in values
        ]
        if name_ in ("train", "evaluate", "cluster", "project"):
            values[-1] = as_json(drawn, name_)
        marks = ", ".join(f"${n}" for n in range(1, wanted + 1))
        return tell(name_, *values), lambda: self._call(
            f"CALL embsql.{name_}({marks})", values
        )

    def _call(self, statement: str, values: list[Any]) -> Any:
        """DuckDB's error about a command names the class of what was raised in it."""
        try:
            return self.database.engine.second().execute(statement, values).fetchall()
        except Exception as error:
            raised = re.search(r"UDF: (\w+):", str(error))
            if raised and issubclass(
                getattr(errors, raised[1], Exception), EmbsqlError
            ):
                return None
            raise

    def shell(self, drawn: random.Random) -> Try:
        """The command line."""
        command = drawn.choice(
            [cls.name.replace("_", "-") for cls in COMMANDS]
            + [
                "promote",
                "rollback",
                "drop-run",
                "cancel",
                "forget",
                "runs",
                "algorithms",
            ]
        )
        cls = next(
            (cls for cls in COMMANDS if cls.name.replace("_", "-") == command), None
        )
        words = [command, written(model(drawn, command.replace("-", "_")))]
        words += (
            ["--source", NOWHERE, "--algorithm", str(name(drawn))]
            if command == "train"
            else []
        )
        words += ["--items", NOWHERE] if command.startswith("register") else []
        given = options(drawn, cls) if cls else {}
        given |= {"encoder": "nowhere"} if command == "register-text" else {}
        for option, value in given.items():
            words += [f"--{option.replace('_', '-')}", written(value)][
                : drawn.choice([1, 2, 2, 2])
            ]
        return tell("embsql", *words), lambda: invoke(self.path, words)

    def names(self, drawn: random.Random) -> Try:
        """What takes a model or an id alone."""
        verb = drawn.choice(
            ["promote", "rollback", "drop_run", "cancel", "forget", "publish", "sql"]
        )
        value = drawn.choice([*OTHERS, *OBJECTS])
        if verb == "publish":
            return tell(verb, value), lambda: self.database.publish("x://y", value)
        return tell(verb, value), lambda: getattr(self.database, verb)(value)


def invoke(path: str, words: list[str]) -> None:
    """The command line, at a database."""
    done = CliRunner().invoke(main, ["--db", path, *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code:
        raise SaidByTheShell(message=done.output)


# --- what goes through them -----------------------------------------------------------------------


def options(drawn: random.Random, cls: type[Any]) -> dict[str, Any]:
    """Some options of a command, and of training also some that an algorithm may have."""
    known = list(declared(cls))
    if cls is Train:
        known += declared(algorithms.find(drawn.choice(algorithms.names())))
        known = [
            option
            for option in known
            if option.name not in ("source_db", "checkpoint_dir")
        ]
    return {
        option.name: value(drawn, option)
        for option in drawn.sample(known, drawn.randint(0, min(3, len(known))))
    }


def value(drawn: random.Random, option: Option) -> Any:
    """A value, now and then one that is allowed."""
    pools = [SCALARS, OBJECTS, [option.default], list(option.choices) or [3]]
    return drawn.choice(drawn.choice(pools))


def name(drawn: random.Random) -> Any:
    """An algorithm, mostly."""
    return drawn.choice(
        [*algorithms.names(), *algorithms.names(), "asl", "", None, 5, [], "\0", b"als"]
    )


def model(drawn: random.Random, command: Any) -> Any:
    """A model: every second time the one that is there, unless it would be gone afterwards."""
    keeps = command not in ("drop_model", "forget", "register_embeddings", "train")
    return "m" if keeps and drawn.random() < 0.6 else drawn.choice(OTHERS)


def as_json(drawn: random.Random, command: Any) -> str:
    """A command's options as JSON, now and then not quite."""
    cls = next((cls for cls in COMMANDS if cls.name == command), Train)
    others = ["self", "model", "model_name", "algorithm", "progress", "x", ""]
    keys = [*options(drawn, cls), *drawn.sample(others, drawn.choice([0, 0, 1]))]
    scalars = [
        value
        for value in SCALARS
        if not isinstance(value, float) or math.isfinite(value)
    ]
    given = {
        key: drawn.choice(
            [*scalars, [], {}, [1, 2], {"from": 1, "to": 2}, "item", "cpu"]
        )
        for key in keys
    }
    broken = [
        "{",
        "[]",
        "null",
        "5",
        "[" * 3000,
        '{"a": ' * 500,
        '{"k": NaN}',
        '{"k": 1e999}',
        '{"dim": ' + "9" * 5000 + "}",
    ]
    return drawn.choice([dumped(given), dumped(given), drawn.choice(broken)])


def dumped(given: dict[str, Any]) -> str:
    small = {
        key: value if not isinstance(value, int) or abs(value) < 10**300 else 10**30
        for key, value in given.items()
    }
    return json.dumps(small, default=str)


def literal(drawn: random.Random) -> str:
    """A value as CREATE MODEL might have it."""
    number = drawn.choice(
        ["1", "-1", "2.5", "1e999", "9" * 5000, "٥", "1_0", ".5", "-"]
    )
    text = drawn.choice(
        [
            "'als'",
            "'x'",
            "'it''s'",
            "'",
            '"a"',
            "`a`",
            "'\0'",
            "'implicit'",
            "'auto_split'",
            "TRUE",
            "NULL",
        ]
    )
    lists = drawn.choice(
        [
            "[1, 2]",
            "[",
            "[]",
            "[[1]]",
            "HPARAM_RANGE(1, 2)",
            "HPARAM_RANGE(1",
            "HPARAM_CANDIDATES([1])",
        ]
    )
    return drawn.choice([number, text, lists, "STRUCT(1)", "", "="])


def written(value: Any) -> str:
    """A value as a shell would pass it."""
    try:
        return str(value)
    except Exception:  # one that cannot be written
        return "?"


def tell(*things: Any) -> str:
    """What was tried, for whoever looks into it; parts that are long or cannot be written are
    cut.
    """
    return " | ".join(shown(thing) for thing in things)


# --- the outcome ----------------------------------------------------------------------------------


def run(tries: Iterator[Try]) -> tuple[Counter[str], list[str]]:
    """What came of the tries, by class of error; and of each foreign one what was tried and where
    it was raised.
    """
    outcomes: Counter[str] = Counter()
    foreign: list[str] = []
    for what, attempt in tries:
        try:
            attempt()
            outcomes["answered"] += 1
        except EmbsqlError as error:
            outcomes[type(error).__name__] += 1
        except Exception as error:
            outcomes[f"FOREIGN {type(error).__name__}"] += 1
            foreign.append(
                f"{what}\n{''.join(traceback.format_exception(error, limit=-4))}"
            )
    return outcomes, foreign

"""A seeded generator of calls: every question, with arguments of every kind, in every form."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embsql.sqlfiles import questions
from tests.oracle.data import Run, World
from tests.oracle.generate import (
    CLUSTERINGS,
    COHORT_SETS,
    METHODS,
    TAGS,
    WORDS,
    Random,
    chance,
    pick,
)


@dataclass(frozen=True)
class Call:
    """One call: what is asked, with what, and how it is written."""

    question: str
    arguments: dict[str, Any]  # those that are given
    written: str  # embsql.question(...), the same text on every engine

    @property
    def sql(self) -> str:
        """The call as a statement."""
        scalar = questions.questions()[self.question].scalar
        return (
            f"SELECT {self.written} AS value"
            if scalar
            else f"SELECT * FROM {self.written}"
        )


def named(question: str, **arguments: Any) -> Call:
    """One call with all its arguments by name."""
    words = ", ".join(
        f"{name} => {literal(value)}" for name, value in arguments.items()
    )
    return Call(question, arguments, f"embsql.{question}({words})")


# what they answer is of the machine, of the questions, of what was written how, or of times, which
# no world has
NOT_OF_A_WORLD = {"doctor", "help", "recommend_as_of", "storage"}


def asked() -> list[str]:
    """The questions that are asked about a world, by name."""
    return sorted(questions.questions().keys() - NOT_OF_A_WORLD)


def calls(world: World, seed: int, n: int) -> list[Call]:
    """So many calls, the same for the same world and seed; every question as often."""
    names = asked()
    rng = np.random.default_rng(seed)
    return [_call(rng, world, names[number % len(names)]) for number in range(n)]


@dataclass(frozen=True)
class Many:
    """One call for several values of one argument, which come from a column."""

    question: str
    argument: str
    values: list[Any]
    others: dict[str, Any]  # the other arguments that are given
    written: str

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The arguments of the calls of one value each that it stands for."""
        return [{**self.others, self.argument: value} for value in self.values]

    @property
    def sql(self) -> str:
        """The call as a statement: the number of the value stands before each row."""
        question = questions.questions()[self.question]
        values = ", ".join(
            f"({n}, {literal(one)})" for n, one in enumerate(self.values)
        )
        if question.scalar:
            return f"SELECT s.n, {self.written} AS value FROM (VALUES {values}) AS s (n, x)"
        ranked = ", a.rank ASC" if ("rank", "int") in question.columns else ""
        return (
            f"SELECT s.n, a.* FROM (VALUES {values}) AS s (n, x), "
            f"LATERAL (SELECT * FROM {self.written}) AS a ORDER BY s.n ASC{ranked}"
        )


SUBJECTS = ("for_user", "for_item", "item_a", "item_b")


def many(world: World, seed: int, n: int) -> list[Many]:
    """So many calls for many values at once; every argument comes from a column as often."""
    known = from_columns()
    rng = np.random.default_rng(seed)
    return [_many(rng, world, *known[number % len(known)]) for number in range(n)]


def from_columns() -> list[tuple[str, str]]:
    """Every question with every argument that may come from a column.

    LIMIT takes none in DuckDB, so k does only where a question compares ranks with it. Times are
    always NULL, which no column is, as no run of a world reads them.
    """
    return [
        (name, argument.name)
        for name in asked()
        for argument in questions.questions()[name].arguments
        if f"LIMIT greatest(:{argument.name}" not in questions.questions()[name].body
        and argument.name != "times"
    ]


def _many(rng: Random, world: World, name: str, argument: str) -> Many:
    given = _given(rng, world)
    values = given.values(name)
    found = [given.for_a_column(argument, values) for _ in range(rng.integers(1, 6))]
    if argument not in SUBJECTS and not any(
        found
    ):  # a column of nothing but NULL has no type
        return _many(rng, world, name, argument)
    other = (argument, "weights") if argument == "items" else (argument,)
    others = {word: value for word, value in values.items() if word not in other}
    written = _text(rng, name, {**others, argument: Column("s.x")})
    return Many(name, argument, found, others, written)


def _given(rng: Random, world: World) -> Given:
    return Given(rng, world, str(rng.choice([one.name for one in world.models])))


def _call(rng: Random, world: World, name: str) -> Call:
    values = _given(rng, world).values(name)
    return Call(name, values, _text(rng, name, values))


def _text(rng: Random, name: str, values: dict[str, Any]) -> str:
    """The call: arguments by position as far as they stand in order, others by name."""
    words = [argument.name for argument in questions.questions()[name].arguments]
    in_order = next(
        (n for n, word in enumerate(words) if word not in values), len(words)
    )
    positional = int(rng.integers(in_order + 1)) if chance(rng, 0.5) else in_order
    named = [word for word in values if word not in words[:positional]]
    parts = [literal(values[word]) for word in words[:positional]]
    parts += [
        f"{word} => {literal(values[word])}"
        for word in (named[n] for n in rng.permutation(len(named)))
    ]
    return f"embsql.{name}({', '.join(parts)})"


def literal(value: Any) -> str:
    """A value in SQL that every engine reads."""
    if isinstance(value, list):
        written = f"ARRAY[{', '.join(map(literal, value))}]"
        return (
            f"CAST({written} AS {value.type}[])"
            if isinstance(value, Empty)
            else written
        )
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float) and not math.isfinite(value):
        return f"CAST('{value}' AS FLOAT8)"
    return (
        "NULL" if value is None else str(value)
    )  # a column, a number; True and False are words of SQL


@dataclass(frozen=True)
class Column:
    """A value that comes from a column around the call."""

    name: str

    def __str__(self) -> str:
        return self.name


class Empty(list[Any]):
    """A list without entries, which has to say of what."""

    def __init__(self, type_: str) -> None:
        super().__init__()
        self.type = type_


CHOICES: dict[str, Sequence[Any]] = {
    "entity": (*("item", "user") * 6, "thing", None),
    "clustering": (*CLUSTERINGS * 3, "none", None),
    "method": (*METHODS * 4, "none", None),
    "cohort_set": (*COHORT_SETS * 4, "none", None),
    "exclude_seen": (True, False, None),
    "exclude_seeds": (True, False, None),
    "k": (*(1, 2, 3, 4, 5, 7) * 2, 11, 1_000_000, 0, -1, -7, None),
}
LISTS = {
    "items": "item",
    "session": "item",
    "candidates": "item",
    "ids": "item",
    "users": "user",
    "seeds": "user",
    "for_items": "item",
    "for_users": "user",
}


class Given:
    """Draws the arguments of one call."""

    def __init__(self, rng: Random, world: World, model: str) -> None:
        self.rng, self.world = rng, world
        self.ready = [run for run in world.runs_of(model) if run.status == "ready"]
        self.run: Run = self.ready[int(rng.integers(len(self.ready)))]

    def values(self, question: str) -> dict[str, Any]:
        """The arguments of a question, some of those left out that have a default."""
        arguments = questions.questions()[question].arguments
        found = {argument.name: self.value(argument.name) for argument in arguments}
        if "weights" in found:
            found["weights"] = self.weights(found["items"])
        if "labels" in found:
            if found["ids"] and chance(
                self.rng, 0.6
            ):  # of few ids, the nearest k are all
                found["ids"] = [*found["ids"], *self.run.items]
            found["labels"] = self.labels(found["ids"])
        left_out = {
            argument.name
            for argument in arguments
            if argument.default is not None and chance(self.rng, 0.4)
        }
        return {name: value for name, value in found.items() if name not in left_out}

    def value(self, name: str) -> Any:
        """A value of an argument, by its name."""
        if name in CHOICES:
            return self.one_of(CHOICES[name])
        if name.startswith("model"):
            return self.model(self.ready[-1] if name == "model_a" else self.run)
        if name in LISTS:
            return self.ids(LISTS[name])
        if name in SUBJECTS:
            return self.id("user" if name == "for_user" else "item")
        drawn = {"to_vector": self.vector, "features": self.features}
        return (
            drawn[name]() if name in drawn else None
        )  # weights and labels follow the ids they are of

    def one_of(self, choices: Sequence[Any]) -> Any:
        """One of several values, as Python has them."""
        return choices[int(self.rng.integers(len(choices)))]

    def for_a_column(self, name: str, others: dict[str, Any]) -> Any:
        """A value beside others of its kind, none of which is refused."""
        if name.startswith("model"):
            run = self.one_of(self.ready)
            return f"{run.model}@{run.run_id}"
        if name == "weights" and others["items"]:
            return [self.one_of((0.5, 1.0, 4.25, 0.0)) for _ in others["items"]]
        if name == "labels":
            return self.labels(others["ids"])
        if name == "ids" and others["labels"]:
            return [self.id("item") for _ in others["labels"]]
        if name == "features":
            return json.dumps({"land": "DE"}) if chance(self.rng, 0.5) else None
        value = self.value(name)
        strange = name == "to_vector" and not all(
            math.isfinite(x or math.nan) for x in value or []
        )
        return None if strange else value

    def model(self, run: Run) -> str | None:
        """A run's name, in either form, or what names none."""
        known = self.world.model(run.model)
        if chance(self.rng, 0.03):
            wrong = (
                "shp",
                "",
                "shop@",
                "shop@x",
                "shop@99999",
                "@1",
                f"{run.model}@{run.run_id}x",
                f"{run.model}@ {run.run_id}",
                f"{run.model}@{run.run_id}.0",
                f"{run.model}@-1",
                f"{run.model}@²",
                f"{run.model}@0{run.run_id}",
            )
            return str(self.one_of(wrong)) if chance(self.rng, 0.9) else None
        if known and known.live_run == run.run_id and chance(self.rng, 0.7):
            return run.model
        return f"{run.model}@{run.run_id}"

    def id(self, entity: str) -> str | None:
        """Mostly one of the run's ids; some without a vector, some of nobody, some missing."""
        strangers = {
            "user": ("cold", "cöld", "nobody", "U000"),
            "item": ("ghost", "atlantis", "I000"),
        }[entity]
        if chance(self.rng, 0.15):
            return None if chance(self.rng, 0.2) else str(self.rng.choice(strangers))
        return str(self.rng.choice(list(self.run.side(entity))))

    def ids(self, entity: str) -> list[Any] | None:
        """A list of ids, some twice, some of nobody, some missing; an empty one; none."""
        if chance(self.rng, 0.05):
            return None
        found: list[Any] = [self.id(entity) for _ in range(self.rng.integers(1, 9))]
        if chance(self.rng, 0.2):
            found = list(self.run.side(entity))
        return Empty("TEXT") if chance(self.rng, 0.05) else found

    def vector(self) -> list[Any] | None:
        """A vector: of the run, on its grid, zero; too short, with what is no number; none."""
        sort = self.rng.random()
        if sort < 0.04:
            return None
        if sort < 0.4:
            known = list(self.run.side(str(self.rng.choice(["user", "item"]))).values())
            return [
                float(entry)
                for entry in known[int(self.rng.integers(len(known)))].embedding
            ]
        found: list[Any] = [
            float(entry) / 4 for entry in self.rng.integers(-8, 9, self.run.dim)
        ]
        if sort > 0.92:
            found[0] = self.one_of((math.nan, math.inf, -math.inf, None))
        elif sort > 0.87:
            found = found[1:] or [1.0, 1.0]
        elif sort > 0.82:
            found = [0.0] * self.run.dim
        return found

    def weights(self, items: list[Any] | None) -> list[Any] | None:
        """A weight for each item, some missing or 0; seldom too few, or one that is refused."""
        if items is None or chance(self.rng, 0.3):
            return None
        n = len(items) + (
            int(self.rng.integers(-1, 2)) if chance(self.rng, 0.08) else 0
        )
        found = [
            self.one_of((*(0.5, 1.0, 2.0, 4.25, 5.0) * 4, 0.0, None)) for _ in range(n)
        ]
        if n and chance(self.rng, 0.08):
            found[0] = self.one_of((math.nan, math.inf, -1.0, 1e300))
        return found if any(weight is not None for weight in found) else Empty("FLOAT8")

    def labels(self, ids: list[Any] | None) -> list[Any] | None:
        """A label for each id, some missing."""
        if ids is None or chance(self.rng, 0.05):
            return None
        found = [
            None
            if chance(self.rng, 0.05)
            else str(self.rng.choice(["tea", "Tea", "mug", "ä"]))
            for _ in ids
        ]
        return found or Empty("TEXT")

    def features(self) -> str | None:
        """Features as JSON: known, unknown and missing values; seldom what is refused."""
        if chance(self.rng, 0.06):
            return None
        if chance(self.rng, 0.06):
            wrong = (
                "DE",
                "[1]",
                "3",
                "",
                "null",
                '{"lnad": 1, "Age": 2}',
                '{"age": "old"}',
                '{"joined": "one day"}',
                '{"age": true}',
            )
            return str(self.rng.choice(wrong))
        values = (
            ("land", ("DE", "it's", "XX", True, 7, None, "")),
            ("age", (30, 38.5, -1e6, "31", None, 1e300)),
            ("joined", ("2024-11-21", "2024-10-05 12:30:00", "1999-01-01", None)),
            ("likes", ("a", list(TAGS), ["a", "a", "none"], [], [None, "b"], None)),
            ("title", (" ".join(WORDS), "Red/red, mug.", "", "none", None)),
            ("items", (["i000", "i001", "i999"], "ä", [], None)),
            ("user_id", ("x",)),
            ("item_id", ("x",)),
        )
        features = {
            name: self.one_of(words) for name, words in pick(self.rng, values[:6], 6)
        }
        if chance(self.rng, 0.1):
            name, words = values[int(self.rng.integers(6, 8))]
            features[name] = words[0]
        return json.dumps(features, ensure_ascii=False)

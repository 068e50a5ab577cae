"""Reads sql/: every question is one file, and its header is its signature, its manual and its test.

    -- name(argument type = default, ...)
    --   -> (column type, ...)                 or: -> type, for a single value
    -- What it answers.
    -- example: SELECT * FROM embsql.name(...);
    WITH ...

Arguments stand in the body as :argument. `render` wraps a body for an engine; `check` holds a file
to the rules that keep one text right on every engine. What is asked of users as of items has a
header of its own, and a line in place of its body, which is then written once:

    -- body: similar_items.sql, with user for item
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from embsql.errors import InvalidQuestionFile
from embsql.sqlfiles.files import folder, sibling

TYPES = {  # word in a header -> DuckDB's type
    "text": "VARCHAR",
    "text[]": "VARCHAR[]",
    "int": "INTEGER",
    "int[]": "INTEGER[]",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "double[]": "DOUBLE[]",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "timestamp[]": "TIMESTAMP[]",
    "vector": "FLOAT[]",
}

SHARED_BODY = re.compile(r"^body: (\w+\.sql), with user for item$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a question."""

    name: str
    type: str
    default: str | None

    @property
    def free(self) -> bool:
        """Whether a caller's value may be of any type: an id, a list of ids, a vector, features."""
        needed = (
            self.type == "text"
            and self.default is None
            and not self.name.startswith("model")
        )
        return needed or self.type in ("text[]", "vector")

    def __str__(self) -> str:
        return f"{self.name} {self.type}" + (
            f" = {self.default}" if self.default is not None else ""
        )


@dataclass(frozen=True, slots=True)
class Question:
    """One file of sql/questions."""

    name: str
    chapter: str  # its folder
    arguments: tuple[Argument, ...]
    columns: tuple[
        tuple[str, str], ...
    ]  # (name, type); one unnamed column for a single value
    scalar: bool
    doc: str
    example: str
    body: str
    path: Path

    @property
    def schema(self) -> str:
        """The schema it is made in."""
        return "ml" if self.chapter == "ml" else "embsql"

    @property
    def answer(self) -> str:
        """Its columns as the header has them, or the type of its single value."""
        return ", ".join(f"{name} {type_}".strip() for name, type_ in self.columns)

    @property
    def demo_example(self) -> str:
        """The example with the names of the models that `embsql demo` makes."""
        return re.sub(r"'shop(?:_tuned)?(?=['@_])", "'demo", self.example)

    @property
    def signature(self) -> str:
        """name(argument type = default, ...)"""
        return f"{self.name}({', '.join(map(str, self.arguments))})"


@cache
def questions() -> dict[str, Question]:
    """Every question, by name."""
    return {
        path.stem: read_question(path)
        for path in plain_files(folder() / "questions", "*/*.sql")
    }


def question(name: str) -> Question:
    """The question of this name, without reading the others."""
    (path,) = (folder() / "questions").glob(f"*/{name}.sql")
    return read_question(path)


def plain_files(folder: Path, pattern: str) -> list[Path]:
    """The files there that are written for every engine, in order."""
    return sorted(path for path in folder.glob(pattern) if path.name.count(".") == 1)


def read_question(path: Path) -> Question:
    """The question in a file. Raises InvalidQuestionFile for a malformed header."""
    header, _ = split_header(path.read_text(encoding="utf-8"))
    form = re.fullmatch(
        r"(\w+)\((.*?)\)\s+-> (\(.*?\)|\w+(?:\[\])?)\n(.*?)\nexample: (.*)",
        SHARED_BODY.sub("", header),
        re.DOTALL,
    )
    if not form or form[1] != path.name.split(".")[0]:
        raise InvalidQuestionFile(
            file=path.name,
            problem="the header is not: name(arguments), -> (columns), text, example",
        )
    scalar = not form[3].startswith("(")
    columns = (
        [("", form[3])]
        if scalar
        else [_pair(column) for column in form[3][1:-1].split(", ")]
    )
    arguments = [_argument(word) for word in form[2].split(", ") if word]
    return Question(
        form[1],
        path.parent.name,
        tuple(arguments),
        tuple(columns),
        scalar,
        form[4].strip(),
        form[5].strip(),
        body_of(path),
        path,
    )


def body_of(path: Path, engine: str = "") -> str:
    """The SELECT of a question, or the one that replaces it on an engine.

    That is `name.postgres.sql` in the same folder.
    """
    header, body = split_header(sibling(path, engine).read_text(encoding="utf-8"))
    if shared := SHARED_BODY.search(header):
        return body_of(path.with_name(shared[1]), engine).replace("item", "user")
    return body


def split_header(source: str) -> tuple[str, str]:
    """The leading comment without its dashes, and the rest."""
    lines = source.splitlines()
    outside = (n for n, line in enumerate(lines) if not line.startswith("--"))
    end = next(outside, len(lines))
    header = [line[2:].strip() for line in lines[:end]]
    rest = "\n".join(lines[end:])
    return "\n".join(header), rest.strip()


def _pair(column: str) -> tuple[str, str]:
    name, _, type_ = column.partition(" ")
    return name.strip('"'), type_


def _argument(word: str) -> Argument:
    declaration, _, default = word.partition(" = ")
    name, _, type_ = declaration.partition(" ")
    return Argument(name, type_, default or None)


@cache
def ml_questions() -> dict[str, Question]:
    """BigQuery ML's functions, by name.

    They are questions of the schema ml, which is there when asked for.
    """
    return {
        path.stem: read_question(path) for path in plain_files(folder() / "ml", "*.sql")
    }

"""Reads sql/views: every relation that needs no arguments is one file.

    -- name
    -- What its rows are.
    -- column: what it holds
    SELECT ...

`name.postgres.sql` in the same folder replaces the SELECT on that engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from embsql.errors import InvalidQuestionFile
from embsql.sqlfiles.files import folder
from embsql.sqlfiles.questions import SHARED_BODY, plain_files, split_header

COLUMN = re.compile(r"^(\w+): (.*)$", re.MULTILINE)
HEADER = re.compile(r"(\w+)\n(.*?)\n((?:\w+: .*\n?)+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class View:
    """One file of sql/views."""

    name: str
    doc: str
    columns: tuple[tuple[str, str], ...]  # (name, what it holds)
    path: Path


@cache
def views() -> tuple[View, ...]:
    """Every view, in order of name."""
    return tuple(_read_view(path) for path in plain_files(folder() / "views", "*.sql"))


def _read_view(path: Path) -> View:
    """The view in a file. Raises InvalidQuestionFile for a malformed header."""
    header, _ = split_header(path.read_text(encoding="utf-8"))
    form = HEADER.fullmatch(SHARED_BODY.sub("", header).strip())
    if not form or form[1] != path.name.split(".")[0]:
        raise InvalidQuestionFile(
            file=path.name, problem="the header is not: name, text, column: comment"
        )
    return View(form[1], form[2], tuple(COLUMN.findall(form[3])), path)

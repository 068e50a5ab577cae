"""Runs the code blocks of a page as its reader would, in a temporary folder where `make demo` has
just been run.

python   in order, in one namespace sql      each statement on the database that `db` of the python
blocks has open, or had last; demo.duckdb before that console  every line that begins with "$ ",
after closing `db`, as DuckDB's lock wants: embsql in this process, which is
         quicker, python in its own; of `make` only that the target exists; another program only
         where it is installed

A block of ```text after ```sql, and the lines under a command in ```console, are the answer it must
give, digits of decimal numbers aside. A block after the comment <!-- not run: reason --> is left
alone.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import embsql
from embsql.api.text_table import format_table
from embsql.shells import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs" / "guides").glob("*.md"),
        *(ROOT / "examples").glob("*/README.md"),
    ]
)
BLOCK = re.compile(r"(<!-- not run: .+? -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
TARGETS = set(
    re.findall(
        r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of the blocks that run."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, text) for skipped, language, text in found if not skipped]


def shows_answers(page: Path) -> bool:
    """Whether some block of a page is an answer, or has lines under a command."""
    return any(
        language == "text"
        or (language == "console" and re.search(r"^(?!\$)", text.strip(), re.MULTILINE))
        for language, text in blocks(page)
    )


def close(found: str, expected: str) -> bool:
    """Whether an answer is what the page says, digits of decimal numbers and widths aside."""
    return _plain(found) == _plain(expected)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"-?\d+\.\d+|-{2,}", "0", text)).strip()


@dataclass
class Reader:
    """Someone who types in a page, from top to bottom."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    answer: str = ""

    def read(self, page: Path) -> None:
        self.path = str(self.folder / "demo.duckdb")
        try:
            for language, text in blocks(page):
                getattr(self, language)(text)
        finally:
            self._leave()

    def _leave(self) -> None:
        if "db" in self.names:
            self.names["db"].close()

    def python(self, text: str) -> None:
        exec(compile(text, "page", "exec"), self.names)  # noqa: S102 - the pages are ours
        if "db" in self.names:
            engine = self.names["db"].engine
            self.path = engine.path or engine.second()

    def sql(self, text: str) -> None:
        with embsql.connect(self.path) as database:
            for statement in re.split(r";\s*(?:\n|$)", text):
                if re.sub(r"^--.*$", "", statement, flags=re.MULTILINE).strip():
                    self.answer = format_table(database.sql(statement).to_pylist())

    def text(self, text: str) -> None:
        assert close(self.answer, text), f"{self.answer}\n\nthe page says\n\n{text}"

    def console(self, text: str) -> None:
        if (
            "db" in self.names and self.names["db"].engine.embedded
        ):  # one process at a time may write its file
            self._leave()
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            printed = self._type(command, fails=expected.startswith("Error"))
            if expected.strip() and printed is not None:
                assert close(printed, expected), (
                    f"{printed}\n\nthe page says\n\n{expected}"
                )

    def _type(self, command: str, *, fails: bool) -> str | None:
        name, *words = shlex.split(command, comments=True)
        if name == "make":
            assert {word for word in words if "=" not in word} <= TARGETS, command
            return None
        if name == "embsql":
            done = CliRunner().invoke(cli.main, words)
            code, printed = done.exit_code, done.output
        elif program := sys.executable if name == "python" else shutil.which(name):
            run = subprocess.run(
                [program, *words], capture_output=True, text=True, check=False
            )
            code, printed = run.returncode, run.stdout + run.stderr
        else:
            return None
        assert (code != 0) == fails, f"{command}\n{printed}"
        return printed

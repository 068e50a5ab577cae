"""How statements are cut: tokens of BigQuery ML's, and pieces of the database's own SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from embsql import options
from embsql.engines.columns import quote
from embsql.errors import BadStatement

GAP = r"(?:\s|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*.*?\*/)"
TOKEN = re.compile(
    rf"""(?P<gap>{GAP}+)
    |(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<quoted>`[^`]+`)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?(?!\w))
    |(?P<word>\w+)
    |(?P<sign>.)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
# of the database's SQL: what may hold a bracket or a name without meaning one, a word, a sign
PIECE = re.compile(
    r"--[^\n]*|\#(?![0-9>#=-])[^\n]*|/\*.*?\*/"
    r"""|\be'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*\"|`[^`]+`"""
    r"|\$(\w*)\$.*?\$\1\$|\w+|.",
    re.IGNORECASE | re.DOTALL,
)
# Where a semicolon may end nothing: in the body of a function, in a comment within a comment.
UNSPLIT = re.compile(
    r"\bBEGIN\s+ATOMIC\b|/\*(?:(?!\*/).)*/\*", re.IGNORECASE | re.DOTALL
)
PART = r"""(?:`[^`]+`|"(?:[^"]|"")+"|\w+(?:-\w+)*)"""
NAME = re.compile(rf"{PART}(?:\s*\.\s*{PART})*")


def split_statements(script: str) -> list[str]:
    """The statements of a script, each as it stands; at least one, which may be empty."""
    if ";" not in script.rstrip().rstrip(";") or UNSPLIT.search(script):
        return [script]
    found, begin, empty = [], 0, True
    for piece in PIECE.finditer(script):
        if piece.group() != ";":
            empty = empty and _is_gap(piece)
            continue
        if not empty:
            found.append(script[begin : piece.start()])
        begin, empty = piece.end(), True
    return found if found and empty else [*found, script[begin:]]


def _is_gap(piece: re.Match[str]) -> bool:
    """Whether it is space or a comment."""
    text = piece.group()
    return text.isspace() or text.startswith(("--", "/*")) or _is_hash(piece)


def without_end(select: str) -> str:
    """A SELECT without the semicolons and BigQuery's comments behind it.

    Databases cannot read those.
    """
    pieces = list(PIECE.finditer(select))
    while pieces and (
        pieces[-1].group() == ";"
        or pieces[-1].group().isspace()
        or _is_hash(pieces[-1])
    ):
        pieces.pop()
    return select[: pieces[-1].end()] if pieces else ""


def _is_hash(piece: re.Match[str]) -> bool:
    """Whether it is one of BigQuery's comments; #1 is a column, in DuckDB, and #> an operator."""
    return len(piece.group()) > 1 and piece.group().startswith("#")


def without_hashes(statement: str) -> str:
    """A statement without BigQuery's comments from # to the end of the line."""
    return PIECE.sub(lambda piece: "" if _is_hash(piece) else piece.group(), statement)


def with_names_in_quotes(statement: str) -> str:
    """A statement with BigQuery's names in backquotes, which may be paths, in SQL's quotes."""

    def quoted(piece: re.Match[str]) -> str:
        if not piece[0].startswith("`") or len(piece[0]) == 1:
            return piece[0]
        return ".".join(quote(part) for part in piece[0][1:-1].split("."))

    return PIECE.sub(quoted, statement)


class Reader:
    """Reads the head of a statement from left to right, and looks no further than it must."""

    def __init__(self, statement: str, at: int = 0) -> None:
        self.statement, self.at = statement, at

    def peek(self) -> re.Match[str] | None:
        """The next token, spaces and comments aside; None at the end."""
        token = TOKEN.match(self.statement, self.at)
        if token and token.lastgroup == "gap":
            token = TOKEN.match(self.statement, token.end())
        return token

    def found(self) -> str:
        """The next token for a message."""
        token = self.peek()
        return options.shortened(token.group()) if token else "the end"

    def sees(self, word: str) -> bool:
        """Whether a word or sign is next."""
        token = self.peek()
        return (
            token is not None
            and token.lastgroup in ("word", "sign")
            and token.group().upper() == word
        )

    def skip(self, *words: str) -> bool:
        """Whether these words or signs stand here; then they are behind us."""
        before = self.at
        for word in words:
            token = self.peek()
            if token is None or not self.sees(word):
                self.at = before
                return False
            self.at = token.end()
        return True

    def expect(self, word: str) -> None:
        """Pass a word or sign that must stand here. Raises BadStatement."""
        if not self.skip(word):
            raise BadStatement(reason=f"expected {word}, found {self.found()}")

    def word(self, wanted: str) -> str:
        """The word that must stand here. Raises BadStatement."""
        return self._take(wanted, "word").group()

    def model(self) -> str:
        """The last part of a model's name, in lower case, as names there have no case.

        Raises BadStatement.
        """
        return self.path("a model name")[-1].lower()

    def path(self, wanted: str) -> list[str]:
        """The parts of a name like project.dataset.model, with backquotes around some or all.

        Raises BadStatement.
        """
        token = self.peek()
        name = NAME.match(self.statement, token.start()) if token else None
        if name is None:
            raise BadStatement(reason=f"expected {wanted}, found {self.found()}")
        self.at = name.end()
        parts = re.findall(PART, name.group())
        return [
            piece
            for part in parts
            for piece in (
                part[1:-1].split(".") if part[0] == "`" else [part.strip('"')]
            )
        ]

    def value(self) -> Any:
        """A string, number, INTERVAL, TRUE, FALSE or NULL.

        Several values to search: a list, or BigQuery ML's functions.
        """
        if self.skip("["):
            return self._list()
        if self.skip("HPARAM_CANDIDATES", "(", "["):
            return self._within(self._list)
        if self.skip("HPARAM_RANGE", "("):
            return self._within(self._range)
        if self.skip("INTERVAL"):
            return self._interval()
        return self._scalar()

    def _interval(self) -> str:
        """A duration in words: INTERVAL 5 MINUTE, INTERVAL '5 minutes'."""
        amount = str(self._scalar())
        token = self.peek()
        has_unit = token is not None and token.lastgroup == "word"
        return f"{amount} {self.word('a unit')}" if has_unit else amount

    def rest(self) -> str:
        """All that follows, as it is written."""
        token = self.peek()
        self.at = len(self.statement)
        return self.statement[token.start() :].strip() if token else ""

    def _take(self, wanted: str, *kinds: str) -> re.Match[str]:
        token = self.peek()
        if token is None or token.lastgroup not in kinds:
            raise BadStatement(reason=f"expected {wanted}, found {self.found()}")
        self.at = token.end()
        return token

    def _scalar(self) -> Any:
        if self.sees("'") or self.sees('"'):
            raise BadStatement(
                reason=f"the quote before {self.statement[self.at :].strip()[1:20]} is not closed"
            )
        sign = "-" if self.skip("-") else ""
        token = self._take(
            "a value", *(("number",) if sign else ("text", "number", "word"))
        )
        if token.lastgroup == "text":
            quoted = token.group()
            quote = quoted[0]
            return quoted[1:-1].replace(quote * 2, quote)
        if token.lastgroup == "number":
            return _number(sign + token.group())
        return {"TRUE": True, "FALSE": False, "NULL": None}.get(
            token.group().upper(), token.group()
        )

    def _list(self) -> list[Any]:
        """What stands between the brackets of a list."""
        values: list[Any] = []
        while not self.skip("]"):
            values.append(self._scalar())
            if not self.skip(",") and not self.sees("]"):
                raise BadStatement(
                    reason=f"expected , or ] in a list, found {self.found()}"
                )
        return values

    def _range(self) -> tuple[Any, Any]:
        """The ends of a range."""
        low = self._scalar()
        self.expect(",")
        return low, self._scalar()

    def _within(self, inside: Callable[[], Any]) -> Any:
        """What stands before a closing bracket."""
        value = inside()
        self.expect(")")
        return value


def _number(word: str) -> int | float:
    """A whole number as such.

    One with more digits than anything has as infinity, which no option allows.
    """
    return int(word) if re.fullmatch(r"-?[0-9]{1,400}", word) else float(word)

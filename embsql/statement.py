"""BigQuery ML's CREATE MODEL, read into the arguments of `Database.train`.

    CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name OPTIONS(key = value, ...) AS SELECT ...

The inner SELECT is kept letter by letter: it is the database's own SQL, not BigQuery's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import Token, TokenType
from sqlglot.errors import TokenError

from embsql.errors import BadStatement

ALIASES = {  # BigQuery ML's word -> ours
    "num_factors": "dim", "l2_reg": "reg", "wals_alpha": "alpha", "max_iterations": "epochs", "learn_rate": "lr",
    "num_trials": "tune",
    "rating_col": "weight_col", "feedback_type": "feedback",
}  # fmt: skip
ALGORITHMS = {"matrix_factorization": "als", "pca": "svd"}
SPLITS = {"auto_split": "auto", "random": "random", "seq": "time", "no_split": None}
START = re.compile(r"\s*CREATE\s+(OR\s+REPLACE\s+)?MODEL\b", re.IGNORECASE)
LONGEST = 100_000  # characters; longer statements are not read


@dataclass(frozen=True, slots=True)
class CreateModel:
    """What a CREATE MODEL statement asks for."""

    replace: bool  # OR REPLACE: train again when the model exists
    optional: bool  # IF NOT EXISTS: do nothing when it does
    arguments: dict[str, Any]  # for `Database.train`

    @property
    def model_name(self) -> str:
        """The model it makes."""
        return str(self.arguments["model_name"])


def read(statement: str) -> CreateModel | None:
    """What a CREATE MODEL statement asks for; None for any other SQL. Raises BadStatement."""
    if not START.match(statement):
        return None
    if len(statement) > LONGEST:
        raise BadStatement(reason=f"it is longer than {LONGEST} characters")
    try:
        tokens = sqlglot.tokenize(statement, read="duckdb")
    except TokenError as error:
        raise BadStatement(reason=str(error).splitlines()[0]) from None
    return _Reader(statement, tokens).read()


class _Reader:
    """Reads the statement's tokens from left to right."""

    def __init__(self, statement: str, tokens: list[Token]) -> None:
        self.statement, self.tokens, self.at = statement, tokens, 0

    def read(self) -> CreateModel:
        """The whole statement."""
        self._expect("CREATE")
        replace = self._skip("OR", "REPLACE")
        self._expect("MODEL")
        optional = self._skip("IF", "NOT", "EXISTS")
        name = self._next("a model name")
        options = self._options()
        self._expect("AS")
        if self.at >= len(self.tokens):
            raise BadStatement(reason="nothing follows AS")
        source = self.statement[self.tokens[self.at].start :].strip().rstrip(";")
        return CreateModel(replace, optional, {"model_name": name, "source": source, **translate(options)})

    def _options(self) -> dict[str, Any]:
        """OPTIONS(key = value, ...), or nothing."""
        options: dict[str, Any] = {}
        if not self._skip("OPTIONS"):
            return options
        self._expect("(")
        while not self._skip(")"):
            key = self._next("an option").lower()
            self._expect("=")
            options[key] = self._value()
            if not self._skip(",") and self._peek() != ")":
                raise BadStatement(reason=f"expected , or ) after option {key}, found {self._peek() or 'the end'}")
        return options

    def _value(self) -> Any:
        """A string, number, TRUE, FALSE or NULL; several values to search: a list, or BigQuery ML's two functions."""
        if self._skip("["):
            return self._list()
        if self._skip("HPARAM_CANDIDATES", "("):
            return self._within(self._value)
        if self._skip("HPARAM_RANGE", "("):
            return self._within(self._range)
        sign = "-" if self._skip("-") else ""
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        word = self._next("a value")
        if token and token.token_type == TokenType.STRING:
            return word
        if token and token.token_type == TokenType.NUMBER:
            return float(sign + word) if "." in word or "e" in word.lower() else int(sign + word)
        return {"TRUE": True, "FALSE": False, "NULL": None}.get(word.upper(), word)

    def _list(self) -> list[Any]:
        """What stands between the brackets of a list."""
        values: list[Any] = []
        while not self._skip("]"):
            values.append(self._value())
            if not self._skip(",") and self._peek() != "]":
                raise BadStatement(reason=f"expected , or ] in a list, found {self._peek() or 'the end'}")
        return values

    def _range(self) -> tuple[Any, Any]:
        """The ends of a range."""
        low = self._value()
        self._expect(",")
        return low, self._value()

    def _within(self, inside: Callable[[], Any]) -> Any:
        """What stands before a closing bracket."""
        value = inside()
        self._expect(")")
        return value

    def _peek(self) -> str:
        return self.tokens[self.at].text.upper() if self.at < len(self.tokens) else ""

    def _next(self, wanted: str) -> str:
        if self.at >= len(self.tokens):
            raise BadStatement(reason=f"expected {wanted}, found the end")
        self.at += 1
        return self.tokens[self.at - 1].text

    def _skip(self, *words: str) -> bool:
        """Whether these words stand here; then they are behind us. One token may hold several words."""
        before = self.at
        rest = " ".join(words)
        while rest and self._peek() and rest.startswith(self._peek()):
            rest = rest[len(self._peek()) :].lstrip()
            self.at += 1
        if rest:
            self.at = before
        return not rest

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            raise BadStatement(reason=f"expected {word}, found {self._peek() or 'the end'}")


def translate(options: dict[str, Any]) -> dict[str, Any]:
    """BigQuery ML's option names and values as ours. Raises BadStatement for a model type it does not know."""
    ours = {ALIASES.get(key, key): value for key, value in options.items()}
    model_type = str(ours.pop("model_type", "matrix_factorization")).lower()
    ours["algorithm"] = ALGORITHMS.get(model_type, model_type)
    if "feedback" in ours:
        ours["feedback"] = str(ours["feedback"]).lower()
    method = str(ours.pop("data_split_method", "no_split")).lower()
    if method not in SPLITS:
        raise BadStatement(reason=f"data_split_method must be one of {', '.join(SPLITS)}, found {method}")
    if SPLITS[method]:
        ours.update(split=SPLITS[method], evaluate=True)
    return ours

"""BigQuery ML's functions in a statement as the database's own SQL.

ML.RECOMMEND(MODEL m, ...) and its kin.

Each becomes a table function of the schema ml, or a query over embsql's questions; all around them
stays as it is.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from embsql.api.lexing import GAP, PIECE, Reader, with_names_in_quotes, without_hashes
from embsql.engines import Engine
from embsql.engines.columns import quote
from embsql.errors import BadFunction, BadStatement, NoMl
from embsql.lifecycle import installation, registry
from embsql.options import word
from embsql.sqlfiles import files

CALL = re.compile(
    rf"ML{GAP}*\.{GAP}*(\w+){GAP}*\({GAP}*MODEL\b", re.IGNORECASE | re.DOTALL
)
AFTER = {  # words that follow a table in FROM and are not its alias
    "ANTI",
    "ASOF",
    "CROSS",
    "EXCEPT",
    "FETCH",
    "FOR",
    "FULL",
    "GROUP",
    "HAVING",
    "INNER",
    "INTERSECT",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIMIT",
    "NATURAL",
    "OFFSET",
    "ON",
    "ORDER",
    "PIVOT",
    "POSITIONAL",
    "QUALIFY",
    "RIGHT",
    "SAMPLE",
    "SEMI",
    "TABLESAMPLE",
    "UNION",
    "UNPIVOT",
    "USING",
    "WHERE",
    "WINDOW",
}
DEEPEST = 20  # calls within calls


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function ML.*."""

    function: str  # in lower case, without ML
    model: str
    query: str | None  # a SELECT
    end: int  # where in the statement it ends


def rewritten(engine: Engine, statement: str, depth: int = 0) -> str:
    """The statement with its calls of ML.* replaced.

    Raises BadFunction, NoMl, and what asking for the model raises.
    """
    if not CALL.search(statement):
        return statement
    statement = without_hashes(statement)
    names = (
        f"ml_answer{n}"
        for n in count()
        if not re.search(rf"\bml_answer{n}\b", statement, re.IGNORECASE)
    )
    parts, done = [], 0
    for start in _starts(statement):
        if start < done:  # within the query of a call
            continue
        if depth > DEEPEST:
            raise BadFunction(
                reason=f"calls stand in one another more than {DEEPEST} deep"
            )
        call = _read(statement, start)
        query = None if call.query is None else rewritten(engine, call.query, depth + 1)
        alias = "" if _is_named(statement, call.end) else f" AS {next(names)}"
        around = with_names_in_quotes(statement[done:start])
        parts += [around, _answer(engine, call, query) + alias]
        done = call.end
    return "".join(parts) + with_names_in_quotes(statement[done:])


def _starts(statement: str) -> Iterator[int]:
    """Where calls begin, in order; those in strings, comments and names are none."""
    yield from (
        piece.start()
        for piece in PIECE.finditer(statement)
        if piece.group().upper() == "ML" and CALL.match(statement, piece.start())
    )


def _read(statement: str, start: int) -> Call:
    """The call that begins there. Raises BadFunction."""
    head = CALL.match(statement, start)
    assert head is not None  # noqa: S101 - it begins there; tells the type checker
    reader = Reader(statement, head.end())
    try:
        model = reader.model()
        query = _query(reader) if reader.skip(",") else None
    except BadStatement as error:
        raise BadFunction(**error.values) from None
    if not reader.skip(")"):
        raise BadFunction(
            reason=f"expected ) after the model and its query, found {reader.found()}"
        )
    return Call(head[1].lower(), model, query, reader.at)


def _query(reader: Reader) -> str:
    """The SELECT in brackets, or TABLE and a name."""
    if reader.skip("TABLE"):
        return files.statements("bigquery.sql")["table"].format(
            table=".".join(quote(part) for part in reader.path("a table"))
        )
    if not reader.skip("("):
        raise BadFunction(
            reason=f"expected a query in brackets or TABLE name, found {reader.found()}"
        )
    start, depth = reader.at, 1
    for piece in PIECE.finditer(reader.statement, start):
        depth += {"(": 1, ")": -1}.get(piece.group(), 0)
        if not depth:
            reader.at = piece.end()
            query = reader.statement[start : piece.start()]
            return with_names_in_quotes(query.strip())
    raise BadFunction(reason="the bracket before its query is not closed")


def _is_named(statement: str, end: int) -> bool:
    """Whether the statement names the table that ends there; some databases want that."""
    token = Reader(statement, end).peek()
    return (
        token is not None
        and token.lastgroup in ("word", "text", "quoted")
        and token.group().upper() not in AFTER
    )


# --- what a call becomes -------------------------------------------------------------------------


def _answer(engine: Engine, call: Call, query: str | None) -> str:
    """The table that answers a call."""
    if call.function not in FUNCTIONS:
        known = ", ".join(f"ML.{name.upper()}" for name in FUNCTIONS)
        raise BadFunction(
            reason=f"there is no ML.{word(call.function.upper())}, only {known}"
        )
    run = registry.get_run(engine, call.model)
    return FUNCTIONS[call.function](engine, call, run, query)


def _plain(engine: Engine, call: Call, _run: Any, query: str | None) -> str:
    """The function of the schema ml."""
    if query is not None:
        raise BadFunction(reason=f"ML.{call.function.upper()} takes a model alone")
    _need_ml(engine)
    return f"ml.{call.function}('{call.model}')"


def _recommend(engine: Engine, call: Call, run: Any, query: str | None) -> str:
    """Pairs with their scores, under the names that the model's columns have."""
    predicted = "predicted_rating" if _explicit(run) else "predicted_rating_confidence"
    names = {
        "model": call.model,
        "predicted": predicted,
        "user_col": quote(_column(run, "user")),
        "item_col": quote(_column(run, "item")),
        "predicted_col": quote(predicted.replace("rating", _column(run, "weight"), 1)),
    }
    if query is None:
        _need_ml(engine)
        return _template("recommend", names)
    given = _given(engine, run, query, ("user", "item"))
    if len(given) == 2:
        return _template("recommend_pairs", names | given, query)
    _need_ml(engine)
    ((side, column),) = given.items()
    return _template(f"recommend_{side}", names | {"given_col": column}, query)


def _evaluate(engine: Engine, call: Call, run: Any, query: str | None) -> str:
    """The figures of the run; or how far its ratings are from those of a query."""
    if query is None:
        return _plain(engine, call, run, None)
    if not _explicit(run):
        reason = (
            "ML.EVALUATE with a query is for explicit feedback; without one it gives what was "
            "measured"
        )
        raise BadFunction(reason=reason)
    given = _given(engine, run, query, ("user", "item", "weight"))
    if len(given) < 3:
        wanted = ", ".join(_column(run, side) for side in ("user", "item", "weight"))
        raise BadFunction(reason=f"the query of ML.EVALUATE must give {wanted}")
    return _template("evaluate_pairs", {"model": call.model} | given, query)


def _predict(engine: Engine, call: Call, run: Any, query: str | None) -> str:
    """The groups of everything, or of what a query gives, next to its other columns."""
    if query is None:
        return _plain(engine, call, run, None)
    _need_ml(engine)
    given = _given(engine, run, query, ("user", "item"))
    if len(given) > 1:
        reason = (
            f"its query gives both {' and '.join(given.values())}; groups are of either"
        )
        raise BadFunction(reason=reason)
    ((side, column),) = given.items()
    entity = side.removeprefix("given_").removesuffix("_col")
    names = {"model": call.model, "entity": entity, "given_col": column}
    return _template("predict_given", names, query)


FUNCTIONS: dict[str, Callable[[Engine, Call, Any, str | None], str]] = {
    "recommend": _recommend,
    "evaluate": _evaluate,
    "weights": _plain,
    "training_info": _plain,
    "feature_info": _plain,
    "trial_info": _plain,
    "centroids": _plain,
    "predict": _predict,
}


def _template(name: str, names: dict[str, str], query: str = "") -> str:
    return files.statements("bigquery.sql")[name].format(**names, query=query)


def _given(
    engine: Engine, run: Any, query: str, sides: tuple[str, ...]
) -> dict[str, str]:
    """The columns of a query that say who and what is meant, quoted, by what they are.

    Raises BadFunction.
    """
    columns = {name.lower(): name for name in engine.describe(query)}
    wanted = {side: _column(run, side) for side in sides}
    given = {
        f"given_{side}_col": quote(columns[name.lower()])
        for side, name in wanted.items()
        if name.lower() in columns
    }
    if not given:
        raise BadFunction(
            reason=f"its query gives {', '.join(columns)}, not {' or '.join(wanted.values())}"
        )
    return given


def _column(run: Any, side: str) -> str:
    """What the model's source called a column."""
    return str(
        run[f"{side}_col"]
        or {"user": "user_id", "item": "item_id", "weight": "rating"}[side]
    )


def _explicit(run: Any) -> bool:
    return bool(json.loads(run["params"]).get("feedback") == "explicit")


def _need_ml(engine: Engine) -> None:
    if not installation.has_ml(engine):
        remedy = "database.install(ml=True) in Python"
        if not engine.embedded or engine.path not in ("", ":memory:"):
            remedy = (
                f"embsql --db {shlex.quote(engine.label)} install --ml, or {remedy}"
            )
        raise NoMl(database=engine.label, remedy=remedy)

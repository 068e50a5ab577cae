"""What is wrong with a call of a question or a command that the database itself refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from embsql.api.lexing import PIECE
from embsql.errors import (
    CalledElsewhere,
    EmbsqlError,
    UnknownQuestion,
    WrongArguments,
    ZonedTimes,
    suggestion,
)
from embsql.options import shortened
from embsql.sqlfiles import files
from embsql.sqlfiles.questions import questions

SIGNATURE = r"(?:MACRO|FUNCTION) embsql\.{name}\(([^)]*)\)"  # of a command
NAMED = re.compile(r"\s*(\w+)\s*(?:=>|:=)")
# what an argument of a command that was left out may be
SAMPLES = {
    "model": "'shop'",
    "source": "'events'",
    "path": "'shop.html'",
    "user_id": "'u1'",
}
SEE = "See: SELECT example FROM embsql.help('{name}');"
ON_A_SERVER = "SELECT embsql.{name}(...)"
OPENING = {"(", "[", "{"}
CLOSING = {")", "]", "}"}


def wrong_call(complaint: str, statement: str) -> EmbsqlError | None:
    """The error for a database's complaint about a call in a statement; None for any other."""
    for pattern, error in COMPLAINTS.items():
        if found := re.match(pattern, complaint, re.DOTALL):
            return error(found, statement)
    return None


# --- what databases complain of ------------------------------------------------------------------


def _of_server(found: re.Match[str], statement: str) -> EmbsqlError | None:
    """Of a function of this name with arguments of these types there is none."""
    name = found[1]
    known = questions()
    if name in known and "timestamp with time zone[]" in found[0]:
        return ZonedTimes(name=name)
    if name in known or _is_command(name):
        return _arguments(name, statement, "postgres", found[2])
    return _unknown(name)


def _of_macro(found: re.Match[str], statement: str) -> EmbsqlError | None:
    """A macro of this name has other arguments."""
    name = found[1]
    if not _is_ours(name, statement):
        return None
    return _arguments(name, statement, "duckdb", "...")


def _absent(found: re.Match[str], statement: str) -> EmbsqlError | None:
    """There is no table function, or scalar one, of this name."""
    name = found[1]
    if not _calls(name, statement):
        return None
    return _elsewhere(name) if _is_ours(name, statement) else _unknown(name)


def _of_kind(found: re.Match[str], statement: str) -> EmbsqlError | None:
    """A table function was called for a value."""
    name = found[1]
    return _elsewhere(name) if _is_ours(name, statement) else None


def _no_list(found: re.Match[str], statement: str) -> EmbsqlError | None:
    """An argument that is a list got one text."""
    takes = f"{found[1]} text[]"
    for name, asked in questions().items():
        if takes in asked.signature and _calls(name, statement):
            return _arguments(name, statement, "duckdb", "...")
    return None


def _no_procedure(
    found: re.Match[str],
    statement: str,  # noqa: ARG001 - what answers a complaint is called with both
) -> EmbsqlError | None:
    """A server's CALL, which is for procedures; commands are functions there."""
    name = found[1]
    if not _is_command(name):
        return None
    kind = "a function on a server, in SELECT"
    return CalledElsewhere(name=name, kind=kind, example=ON_A_SERVER.format(name=name))


COMPLAINTS: dict[str, Callable[[re.Match[str], str], EmbsqlError | None]] = {
    r"function embsql\.(\w+)\((.*)\) does not exist": _of_server,
    r"procedure embsql\.(\w+)\(": _no_procedure,
    r"embsql\.(\w+)\(.*\) is not a procedure": _no_procedure,
    r'Binder Error: Macro "?(\w+)"?\(\) does not support the supplied': _of_macro,
    r'Catalog Error: \w+ Function with name "?(\w+)"? does not exist': _absent,
    r'Binder Error: Function "(\w+)" is a table function but': _of_kind,
    r"Conversion Error: .* VARCHAR\[\] when .* column _embsql_(\w+)": _no_list,
}


# --- in our words --------------------------------------------------------------------------------


def _unknown(name: str) -> UnknownQuestion:
    from embsql.api.commands import COMMANDS

    known = [*questions(), *COMMANDS]
    return UnknownQuestion(name=name, suggestion=suggestion(name, known))


def _elsewhere(name: str) -> CalledElsewhere:
    asked = questions().get(name)
    if asked is None:
        example = f"CALL embsql.{name}(...)"
        return CalledElsewhere(name=name, kind="a command", example=example)
    kind = "one value, asked for in SELECT" if asked.scalar else "a table, in FROM"
    return CalledElsewhere(name=name, kind=kind, example=asked.example.rstrip(";"))


def _arguments(name: str, statement: str, engine: str, types: str) -> WrongArguments:
    """The error for a call with other arguments; `types` stand for those that are not found."""
    calls = set(_calls(name, statement))
    # which of several it was nobody knows
    came = calls.pop() if len(calls) == 1 else types
    asked = questions().get(name)
    if asked:
        remedy = SEE.format(name=name)
        signature = asked.signature
    else:
        taken = _parameters(name, engine)
        signature = f"{name}({', '.join(taken)})"
        verb = "CALL" if engine == "duckdb" else "SELECT"
        remedy = f"For example: {verb} embsql.{name}({_example(taken, came)});"
    found = shortened(f"({came})")
    return WrongArguments(name=name, found=found, signature=signature, remedy=remedy)


def _example(taken: Sequence[str], came: str) -> str:
    """The arguments that a command needs, as they came as far as they did."""
    needed = [one.split()[0] for one in taken if not re.search(r":=|DEFAULT", one)]
    given = [one.strip() for one in _parts(came)]
    in_order = [one for one in given if one not in ("", "...") and not NAMED.match(one)]
    samples = [f"{name} => {SAMPLES[name]}" for name in needed]
    return ", ".join(in_order[: len(needed)] + samples[len(in_order) :])


# --- what is called ------------------------------------------------------------------------------


def _is_command(name: str) -> bool:
    from embsql.api.commands import EMBEDDED

    return name in EMBEDDED


def _is_ours(name: str, statement: str) -> bool:
    """Whether a question or command of this name is called, and not somebody's own macro."""
    is_known = name in questions() or _is_command(name)
    return is_known and bool(_calls(name, statement))


def _parameters(name: str, engine: str) -> list[str]:
    """The arguments of a command on an engine, with their defaults."""
    text = files.read_sql(f"commands/{engine}.sql")
    found = re.search(SIGNATURE.format(name=name), text)
    return [" ".join(one.split()) for one in _parts(found[1])] if found else []


def _calls(name: str, statement: str) -> list[str]:
    """What stands between the brackets of the calls of embsql.name."""
    begin = re.compile(rf'\bembsql\s*\.\s*"?{name}"?\s*\(', re.IGNORECASE)
    return [
        next(_parts(statement[one.end() :], whole=True), "")
        for one in begin.finditer(statement)
    ]


def _parts(text: str, *, whole: bool = False) -> Iterator[str]:
    """What commas part, up to a bracket that closes one before it; or all up to there."""
    depth = 0
    part = ""
    for piece in PIECE.finditer(text):
        word = piece[0]
        depth += (word in OPENING) - (word in CLOSING)
        if depth < 0:
            break
        if word == "," and not depth and not whole:
            yield part
            part = ""
        else:
            part += word
    yield part

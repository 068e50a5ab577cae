"""What is around every method of `Database`: errors in our words, a caller's transaction alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from embsql import engines
from embsql.errors import (
    EmbsqlError,
    InTransaction,
    NoMemory,
    NotInSpark,
    UnknownQuestion,
    WrongArguments,
    ZonedTimes,
    of_database,
    suggestion,
)
from embsql.lifecycle import installation

# methods that only ask questions, and so work where runs are but published
ASKING = ("__init__", "ask", "models", "runs", "sql", "rows", "close")
# commands that work on runs that are but published, too
ON_PUBLISHED = ("publish", "materialize")
Wanted = TypeVar("Wanted")
NO_FUNCTION = re.compile(r"^function embsql\.(\w+)\(.*\) does not exist")

# methods that work on tables of an earlier version, which a file keeps that is open for reading
ANY_VERSION = ("doctor", "install")

# methods that may stand between BEGIN and COMMIT
ANYWHERE = (
    "__init__",
    "ask",
    "models",
    "runs",
    "sql",
    "rows",
    "doctor",
    "features",
    "report",
    "export_map",
    "close",
)


@contextmanager
def plainly() -> Iterator[None]:
    """A database's own error, and one for want of memory, as embsql's."""
    try:
        yield
    except Exception as error:
        missing = engines.no_memory(error)
        if missing is not None:
            raise NoMemory(reason=missing) from error
        complaint = engines.complaint(error)
        if complaint is None:
            raise
        raise _uncalled(complaint) or of_database(complaint) from error


def _uncalled(complaint: str) -> EmbsqlError | None:
    """What was meant by the call of a function that a server does not have."""
    found = NO_FUNCTION.search(complaint)
    if found is None:
        return None
    from embsql.api.commands import COMMANDS
    from embsql.sqlfiles.questions import questions

    name = found[1]
    known = questions()
    if name in known and "timestamp with time zone[]" in complaint:
        return ZonedTimes(name=name)
    if name in known:
        return WrongArguments(name=name, signature=known[name].signature)
    if name in COMMANDS:  # with other arguments
        return None
    return UnknownQuestion(name=name, suggestion=suggestion(name, [*known, *COMMANDS]))


def speaking_plainly(cls: type[Wanted]) -> type[Wanted]:
    """The class, of whose methods no database's own error comes.

    Its commands leave a caller's transaction alone.
    """
    for name, method in list(vars(cls).items()):
        if inspect.isfunction(method) and (
            name == "__init__" or not name.startswith("_")
        ):
            checked = method if name in ANYWHERE else _by_itself(method)
            if name not in (*ASKING, *ANY_VERSION):
                checked = _with_tables_of_now(checked)
            anywhere = name in (*ASKING, *ON_PUBLISHED)
            whole = checked if anywhere else _with_a_registry(checked)
            setattr(cls, name, plainly()(whole))
    return cls


def _with_a_registry(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that needs the records of runs, and says so in Spark. Raises NotInSpark."""

    @wraps(command)
    def checked(database: Any, *arguments: Any, **options: Any) -> Any:
        if not database.engine.holds_registry:
            raise NotInSpark(command=command.__name__)
        return command(database, *arguments, **options)

    return checked


def _with_tables_of_now(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that needs tables of this version, which a file cannot be given while it is read.

    Raises NotInstalled.
    """

    @wraps(command)
    def checked(database: Any, *arguments: Any, **options: Any) -> Any:
        if database.engine.read_only and database.engine.holds_registry:
            installation.check_tables(database.engine)
        return command(database, *arguments, **options)

    return checked


def _by_itself(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that commits, and says so in a transaction of somebody else's.

    Raises InTransaction.
    """

    @wraps(command)
    def checked(database: Any, *arguments: Any, **options: Any) -> Any:
        if database.engine.in_transaction():
            raise InTransaction(command=command.__name__)
        return command(database, *arguments, **options)

    return checked

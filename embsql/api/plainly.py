"""What is around every method of `Database`: errors in our words, a caller's transaction alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from embsql import engines
from embsql.errors import EmbsqlError, InTransaction, NoMemory, NotInSpark, of_database
from embsql.lifecycle import installation

# methods that only ask questions, and so work where runs are but published
ASKING = ("__init__", "ask", "models", "runs", "sql", "rows", "close")
# commands that work on runs that are but published, too
ON_PUBLISHED = ("publish", "materialize")
Wanted = TypeVar("Wanted")

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
def plainly(statement: str = "") -> Iterator[None]:
    """A database's own error, also about a statement, and one for want of memory, as embsql's."""
    try:
        yield
    except Exception as error:
        missing = engines.no_memory(error)
        if missing is not None:
            raise NoMemory(reason=missing) from error
        complaint = engines.complaint(error)
        if complaint is None:
            raise
        raise _wrong_call(complaint, statement) or of_database(complaint) from error


def _wrong_call(complaint: str, statement: str) -> EmbsqlError | None:
    from embsql.api.wrong_calls import wrong_call  # here: it reads questions

    return wrong_call(complaint, statement)


def _speaking(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method in whose place of a database's own errors embsql's come."""

    @wraps(method)
    def spoken(database: Any, *arguments: Any, **options: Any) -> Any:
        given = [*arguments, *options.values()]
        with plainly(next((one for one in given if isinstance(one, str)), "")):
            return method(database, *arguments, **options)

    return spoken


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
            setattr(cls, name, _speaking(whole))
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

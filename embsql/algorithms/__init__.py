"""What can be trained: one algorithm, one file, named after it.

An algorithm is a frozen dataclass marked `@algorithm`. Its fields are its options (the comment behind a
field is the option's reason), its docstring is the manual, `fit` is the mathematics. Everything else
(command line, dbt options, reference pages, checking of values) is read from the class.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import pkgutil
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from embsql.data import Embeddings, Interactions
from embsql.errors import BadOption, UnknownAlgorithm, UnknownOption, suggestion
from embsql.model import Run


class Algorithm(Protocol):
    """Anything that turns interactions into embeddings."""

    name: ClassVar[str]
    ordered: ClassVar[bool]  # whether `fit` wants the events behind the pairs
    encodes: ClassVar[bool]  # whether features are columns of any type, which the report then tells of
    resumes: ClassVar[bool]  # whether a training that was killed can go on from a checkpoint: those in _loop can

    @property
    def epochs(self) -> int:
        """Passes over the data, as many as `run.report` will be called."""

    @property
    def explicit(self) -> bool:
        """Whether weights are ratings to predict (may be zero or negative) rather than evidence."""

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data."""


Class = TypeVar("Class", bound=type[Any])


def algorithm(cls: Class) -> Class:
    """Mark a frozen dataclass as the algorithm that its file is named after."""
    cls.name = cls.__module__.rpartition(".")[2]
    cls.ordered = getattr(cls, "ordered", False)
    cls.encodes = getattr(cls, "encodes", False)
    cls.resumes = getattr(cls, "resumes", False)
    return cls


def names() -> list[str]:
    """The algorithms there are, by name."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def find(name: str) -> type[Any]:
    """The class of an algorithm. Raises UnknownAlgorithm."""
    if name not in names():
        known = names()
        raise UnknownAlgorithm(name=name, suggestion=suggestion(name, known), known=", ".join(known))
    module = importlib.import_module(f"{__name__}.{name}")
    return next(
        value for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__ and hasattr(value, "fit")
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Option:
    """One option of an algorithm, as documentation and command line show it."""

    name: str
    type: Any
    default: Any
    reason: str


def options(cls: type[Any]) -> list[Option]:
    """The options of an algorithm in the order they are written, with the reasons from its source."""
    written = [base for base in cls.__mro__ if dataclasses.is_dataclass(base)]  # the class before what it inherits
    source = "\n".join(Path(inspect.getfile(base)).read_text(encoding="utf-8") for base in written)
    hints = typing.get_type_hints(cls)
    return [
        Option(field.name, hints[field.name], field.default, _reason(source, field.name))
        for field in dataclasses.fields(cls)
    ]


def _reason(source: str, name: str) -> str:
    """The comment behind a field's line."""
    line = re.search(rf"^    {name}: [^#\n]*#\s*(.+)$", source, re.MULTILINE)
    return line.group(1) if line else ""


def make(name: str, values: dict[str, Any]) -> Algorithm:
    """An algorithm with these option values, each checked against its field's type.

    Raises UnknownAlgorithm, UnknownOption or BadOption.
    """
    cls = find(name)
    known = {option.name: option for option in options(cls)}
    for key in values:
        if key not in known:
            raise UnknownOption(algorithm=name, name=key, suggestion=suggestion(key, known), known=", ".join(known))
    made: Algorithm = cls(**{key: cast(name, known[key], value) for key, value in values.items()})
    return made


def cast(algorithm: str, option: Option, value: Any) -> Any:
    """The value as the option's type, read from text where it came as text. Raises BadOption."""
    choices = typing.get_args(option.type)
    if typing.get_origin(option.type) is typing.Literal:
        return _one_of(algorithm, option, value, choices)
    if isinstance(option.type, types.UnionType):
        if value is None or str(value).lower() == "none":
            return None
        option = dataclasses.replace(option, type=next(t for t in choices if t is not type(None)))
    read, words = READERS[option.type]
    try:
        return read(value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise BadOption(algorithm=algorithm, name=option.name, allowed=words, value=repr(value)) from None


def _one_of(algorithm: str, option: Option, value: Any, choices: tuple[Any, ...]) -> Any:
    text = str(value).lower()
    if text not in choices:
        raise BadOption(algorithm=algorithm, name=option.name, allowed=" or ".join(choices), value=repr(value))
    return text


def _integer(value: Any) -> int:
    number = float(value)
    if isinstance(value, bool) or number != int(number):
        raise ValueError(value)
    return int(number)


def _finite(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def _boolean(value: Any) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]


READERS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    int: (_integer, "a whole number"),
    float: (_finite, "a number"),
    bool: (_boolean, "true or false"),
    str: (str, "text"),
}


def require(algorithm: Any, allowed: str, **checks: bool) -> None:
    """Raise BadOption, saying what is allowed, for the first option whose check is false."""
    for name, fine in checks.items():
        if not fine:
            raise BadOption(algorithm=algorithm.name, name=name, allowed=allowed, value=repr(getattr(algorithm, name)))

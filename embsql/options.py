"""Every option: its type, range, default and reason.

Declared once, as a field of a frozen dataclass.

    lr: Positive = 0.002  # step size of Adam, falling to 0

The comment behind or above a field is the option's reason. Algorithms declare their own options so,
and commands theirs in `command_options`. Python, SQL's JSON, the command line, CREATE MODEL and dbt
all read values through `make`, so that a wrong one gets the same message whichever way it came.
What depends on several options, an algorithm checks with `require`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from embsql.errors import BadOption, InvalidArgument, UnknownOption, suggestion

LONGEST = 60  # characters of a wrong value that a message shows


# --- ranges --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, the ends included unless they are said to be open."""

    low: float
    high: float = math.inf
    above: bool = False  # more than low
    below: bool = False  # less than high

    def __contains__(self, number: float) -> bool:
        least = number > self.low if self.above else number >= self.low
        return least and (
            number < self.high
            if self.below or self.high == math.inf
            else number <= self.high
        )

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'from'} {_written(self.low)}"
        return (
            low
            if self.high == math.inf
            else f"{low} to {'below ' if self.below else ''}{_written(self.high)}"
        )


def _written(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


INT = 2**31 - 1  # the largest number of SQL's INTEGER
DIMS = 16_000  # the most numbers that pgvector stores in a vector

Count = Annotated[int, Range(1, INT)]
Size = Annotated[int, Range(0, INT)]  # a count that may be 0
Dim = Annotated[int, Range(1, DIMS)]
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
Dropout = Annotated[float, Range(0, 1, below=True)]
Exponent = Annotated[float, Range(-2, 2)]
Duration = Annotated[int, Range(0, 2**62)]  # a BIGINT, with room to add one to another
Layers = Annotated[int, Range(0, 3)]
# numpy and the libraries of maps and searches take no larger one
Seed = Annotated[int, Range(0, 2**32 - 1)]
Threads = Annotated[int, Range(1, 1024)]
Ranks = Annotated[tuple[int, ...], Range(1, 10_000)]  # lengths of ranked lists
Similarity = Literal["dot", "cosine"]  # how two vectors make a score


# --- one option ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as documentation, the command line and the reader of values know it."""

    name: str
    kind: Any  # int, float, bool, str, tuple (of whole numbers), or object: anything
    default: Any  # dataclasses.MISSING where there is none
    reason: str
    optional: bool = False  # whether it may be none
    choices: tuple[str, ...] = ()
    range: Range | None = None

    @property
    def values(self) -> str:
        """Its type in a word or two."""
        return " or ".join(self.choices) or WORDS[self.kind]

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        words = f"{self.values} {self.range}" if self.range else self.values
        return f"{words}, or none" if self.optional else words


def declared(cls: Any) -> tuple[Option, ...]:
    """The options of a class in the order they are written, with the reasons from its source."""
    return _declared(cls)


@cache
def _declared(cls: Any) -> tuple[Option, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        _option(field.name, hints[field.name], field.default, _reason(cls, field.name))
        for field in dataclasses.fields(cls)
    )


def _reason(cls: type[Any], name: str) -> str:
    """The comment at a field, behind its line or above it, of the first class that has one."""
    for base in cls.__mro__:
        field = re.search(
            rf"((?:^    # .+\n)*)^    {name}: [^#\n]*(?:# (.+))?$",
            _source(base),
            re.MULTILINE,
        )
        if field and any(field.groups()):
            above, behind = field.groups()
            return behind or " ".join(line.strip("# ") for line in above.splitlines())
    return ""


@cache
def _source(cls: type[Any]) -> str:
    """The text of a class whose fields are options."""
    if not dataclasses.is_dataclass(cls):
        return ""
    text = Path(inspect.getfile(cls)).read_text(encoding="utf-8")
    found = re.search(
        rf"^class {cls.__name__}\b.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL
    )
    return found.group() if found else ""


def _option(name: str, hint: Any, default: Any, reason: str) -> Option:
    """What a field's type says of its option."""
    parts = (
        typing.get_args(hint)
        if typing.get_origin(hint) in (types.UnionType, typing.Union)
        else (hint,)
    )
    kind = next(part for part in parts if part is not types.NoneType)
    allowed, choices = None, ()
    if typing.get_origin(kind) is Annotated:
        kind, allowed = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        kind, choices = str, typing.get_args(kind)
    kind = typing.get_origin(kind) or kind
    return Option(
        name,
        object if kind is Any else kind,
        default,
        reason,
        len(parts) > 1,
        choices,
        allowed,
    )


# --- reading values ------------------------------------------------------------------------------

Class = TypeVar("Class")


def construct(cls: type[Class], values: Mapping[str, Any]) -> Class:
    """The options with these values, each read as its type. Raises UnknownOption or BadOption."""
    known = {option.name: option for option in declared(cls)}
    check_names(cls, values, known)
    return cls(
        **{name: cast(cls, known[name], value) for name, value in values.items()}
    )


def check_names(
    owner: Any, given: Iterable[str], known: Iterable[str], refused: Iterable[str] = ()
) -> None:
    """Raise UnknownOption for the first name that is not known.

    With the name that may have been meant. Those that are `refused` later for what they are given
    with are no unknown ones, and are not proposed.
    """
    unlisted = set(refused)
    names = [name for name in known if name not in unlisted]
    for name in given:
        if name not in names and name not in unlisted:
            raise UnknownOption(
                owner=owner.name,
                name=word(name),
                suggestion=suggestion(name, names),
                known=", ".join(names),
                see=see(owner),
            )


def cast(owner: Any, option: Option, value: Any) -> Any:
    """The value as the option's type, read from text where it came as text. Raises BadOption."""
    if option.optional and (
        value is None or (isinstance(value, str) and value.strip().lower() == "none")
    ):
        return None
    try:
        read = (
            _one_of(value, option.choices)
            if option.choices
            else READERS[option.kind](_plain(value))
        )
    except (TypeError, ValueError, LookupError, ArithmeticError):
        raise bad(owner, option.name, option.allowed, value) from None
    if not _within(option, read):
        raise bad(owner, option.name, option.allowed, value)
    return read


def check(made: Any) -> None:
    """Raise BadOption for the first option of these that is out of its range."""
    for option in declared(type(made)):
        value = getattr(made, option.name)
        if not _within(option, value):
            raise bad(made, option.name, option.allowed, value)


def _within(option: Option, value: Any) -> bool:
    if option.range is None or value is None:
        return True
    return all(
        number in option.range
        for number in (value if option.kind is tuple else (value,))
    )


def require(owner: Any, allowed: str, **checks: bool) -> None:
    """Raise BadOption, saying what is allowed, for the first option whose check is false."""
    for name, fine in checks.items():
        if not fine:
            raise bad(owner, name, allowed, getattr(owner, name))


def bad(owner: Any, name: str, allowed: str, value: Any) -> BadOption:
    """The error for a value that an option of `owner`, an algorithm or a command, cannot have."""
    return BadOption(
        owner=owner.name, name=name, allowed=allowed, value=shown(value), see=see(owner)
    )


def see(owner: Any) -> str:
    """Where the options are listed."""
    return getattr(owner, "help", f"embsql algorithms {owner.name}")


def shown(value: Any) -> str:
    """A value as a message shows it, whatever it is."""
    try:
        return shortened(repr(value))
    except (
        Exception
    ):  # a caller's own class may raise anything, and a number be too long to write
        return f"a {type(value).__name__} that cannot be written"


def word(name: Any) -> str:
    """A name as a message shows it between quotes, whatever it is."""
    return shortened(name) if isinstance(name, str) else shown(name)


def shortened(text: str) -> str:
    """A text, printable, and cut where it is long."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."


def _one_of(value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value.lower() not in choices:
        raise ValueError
    return value.lower()


def _integer(value: Any) -> int:
    """A whole number, exact however large; 5.0 is one, True and '٥' are none."""
    if isinstance(value, str):
        text = _number(value)
        return (
            int(text)
            if re.fullmatch(r"[+-]?\d{1,400}", text)
            else _integer(float(text))
        )
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise TypeError
    if value != int(value):
        raise ValueError
    return int(value)


def _finite(value: Any) -> float:
    """A number that is neither infinite nor NaN."""
    if isinstance(value, bool) or not isinstance(
        value, str | int | float | Fraction | Decimal
    ):
        raise TypeError
    number = float(_number(value) if isinstance(value, str) else value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _number(text: str) -> str:
    """The text of a number as SQL writes it.

    Python would also read digits of other scripts, and 1_000.
    """
    if not text.isascii() or "_" in text:
        raise ValueError
    return text.strip()


def _boolean(value: Any) -> bool:
    """True or false, also written as 1, 0 or in words."""
    if not isinstance(value, str | int):  # True is an int
        raise TypeError
    return {"true": True, "false": False, "1": True, "0": False}[
        str(value).strip().lower()
    ]


def _text(value: Any) -> str:
    """Text that every database stores; the path of a folder is text too."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise TypeError
    text.encode()  # raises for half a surrogate pair, which is a ValueError
    if "\0" in text or not text.strip():
        raise ValueError
    return text


def _several(value: Any) -> tuple[int, ...]:
    """One or several whole numbers."""
    if isinstance(value, str):
        value = value.split(",")
    elif isinstance(value, int | float):
        value = [value]
    # which would give its numbers, or its keys
    elif isinstance(value, bytes | bytearray | Mapping):
        raise TypeError
    read = tuple(_integer(_plain(part)) for part in value)
    if not read:
        raise ValueError
    return read


def _plain(value: Any) -> Any:
    """A numpy scalar as the number it is; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


READERS: dict[Any, Callable[[Any], Any]] = {
    int: _integer,
    float: _finite,
    bool: _boolean,
    str: _text,
    tuple: _several,
    object: lambda value: value,
}
WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    tuple: "one or several whole numbers",
    object: "anything",
}


def is_text(value: Any) -> bool:
    """Whether a value is text that every database stores."""
    try:
        _text(value)
    except (TypeError, ValueError):
        return False
    return True


def text(name: str, value: Any, allowed: str) -> str:
    """A command's own argument that is text. Raises InvalidArgument."""
    try:
        return _text(value)
    except (TypeError, ValueError):
        raise InvalidArgument(name=name, allowed=allowed, value=shown(value)) from None

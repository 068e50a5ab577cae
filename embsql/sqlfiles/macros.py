"""From the body of a question to that of a DuckDB macro.

Arguments are bound once, before anything else.

DuckDB pastes the text of an argument into the macro's body, where any column, alias or CTE would
catch a name in it (duckdb/duckdb#15296). Here a caller's text goes into one SELECT without FROM,
the first thing in the body, and its values are columns of the row `given` from there on. Two things
remain. LIMIT takes no columns, so `k` is pasted behind it; that is why everything named in a body
gets a reserved prefix. And a body must join `given` where it uses an argument: one that forgets to
is refused by DuckDB at its first call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

RESERVED = "_embsql_"  # no name of a caller's may begin with this
FILE_ID = "@file_id@"  # `install` writes the id of the file it installs into here

STRING = r"'(?:[^']|'')*'"
COMMENT = re.compile(rf"{STRING}|--[^\n]*")
TABLE = re.compile(rf"{STRING}|(?<![\w.\"])([a-z_]\w*)(?=\.[\w\"*])")
CTE = re.compile(r"([a-z_]\w*) AS (?:MATERIALIZED )?\(")
MACRO = re.compile(
    r"CREATE OR REPLACE MACRO (?P<name>embsql\w*\.\w+)\((?P<parameters>[^)]*)\)"
    r" AS(?P<table> TABLE)?(?P<body>.*?);\n(?=\n|\Z)",
    re.DOTALL,
)
CREATE = "CREATE OR REPLACE MACRO {name}({parameters}) AS{kind}{body};\n"
CALL = re.compile(r"\b(embsql\w*\.\w+)\(")
LAMBDA = re.compile(r"lambda ([a-z_]\w*(?:, [a-z_]\w*)*):")
# not a cast, a slice, or the end of a word within a text
ARGUMENT = re.compile(r"(?<![:\w]):([a-z_]\w*)")
LIMIT = re.compile(r"(LIMIT greatest\():([a-z_]\w*)(, 0\))")
RUN = re.compile(
    r"\(SELECT (embsql\w*)\.(live_run|newest_run|mapped_run|clustered_run)"
    r"\(:(\w+(?:, :\w+)*)\)\)"
)
PIECE = re.compile(rf"{STRING}|[()\[\]{{}},]")
DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def bind(body: str, types: Mapping[str, str], row: Callable[..., str]) -> str:
    """The body with a CTE `given` in front, which holds each argument as its type says.

    `types` are what casts an argument, with {} for it. `row` writes the SELECT of that CTE, in
    which the run that a model's name means is looked up too.
    """
    runs, body = runs_of(LIMIT.sub(r"\1\2\3", without_comments(body)))
    names = {*ARGUMENT.findall(body), *(name for *_, names in runs for name in names)}
    used = {name: type_ for name, type_ in types.items() if name in names}
    select = row(types=used, runs=runs, reserved=RESERVED, file_id=FILE_ID)
    body = reserve(ARGUMENT.sub(r"given.\1", body), also={"given"})
    return first(f"{RESERVED}given AS (\n{select}\n)", body)


def runs_of(body: str) -> tuple[list[tuple[str, str, list[str]]], str]:
    """What looks runs up in a body, and the body with columns of `given` in its place.

    Each is a schema, a function there, and the names of its arguments.
    """
    found = dict.fromkeys(RUN.findall(body))
    runs = [(schema, which, words.split(", :")) for schema, which, words in found]

    def column(run: re.Match[str]) -> str:
        argument = run[3].split(",")[0]
        return f"given.{run[2]}_of_{argument}"

    return runs, RUN.sub(column, body)


def first(cte: str, body: str) -> str:
    """The body with one more CTE before all others."""
    rest = re.match(r"WITH\s+(.*)", body, re.DOTALL)
    return f"WITH {cte},\n{rest[1]}" if rest else f"WITH {cte}\n{body}"


def reserve(
    text: str, *, also: Collection[str] = (), keep: Collection[str] = ()
) -> str:
    """The text with the reserved prefix on every CTE, table alias and lambda parameter in it.

    A table alias is what stands before a dot; our schemas, what follows a dot and `keep` stay.
    """
    names = {name for name in TABLE.findall(text) if name}
    names |= set(CTE.findall(text)) | set(also)
    for parameters in LAMBDA.findall(text):
        names |= set(parameters.split(", "))
    names -= {"embsql", "embsql_internal", *keep}
    known = "|".join(sorted(names, key=len, reverse=True)) or "(?!)"
    word = re.compile(rf"{STRING}|(?<![\w.:\"])(?:{known})(?![\w(])")
    return _outside_strings(word, lambda name: RESERVED + name, text)


def prelude(text: str) -> str:
    """A prelude as DuckDB is given it: names reserved, and none asking for a later one too early.

    EXPORT DATABASE writes macros in order of their schemas and names, and IMPORT DATABASE looks up
    at once what each of them calls, all but table macros whose arguments it does not know yet. So
    what is called of the later ones stands in the caller.
    """
    known = expressions(text)
    return MACRO.sub(lambda found: _macro(found).reserved().inlined(known).sql(), text)


def expressions(text: str) -> dict[str, Macro]:
    """The macros of a prelude that can stand in place of a call, by name."""
    made = (_macro(found).reserved() for found in MACRO.finditer(text))
    return {macro.name: macro for macro in made if macro.is_expression}


def inlined(name: str, body: str, known: Mapping[str, Macro]) -> str:
    """The body of a macro, with those of the known ones that come after it in place of calls."""
    while call := _later_call(name, body, known):
        arguments, end = _arguments(body, call.end())
        value = known[call[1]].applied(arguments)
        body = f"{body[: call.start()]}({value.strip()}){body[end:]}"
    return body


def _later_call(
    name: str, body: str, known: Mapping[str, Macro]
) -> re.Match[str] | None:
    return next((c for c in CALL.finditer(body) if c[1] in known and c[1] > name), None)


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro of a prelude."""

    name: str  # with its schema
    parameters: tuple[str, ...]
    is_table: bool
    body: str

    @property
    def is_expression(self) -> bool:
        """Whether it is scalar, or a table whatever it is called with."""
        return not self.is_table or not self.parameters

    def sql(self) -> str:
        """The statement that makes it."""
        kind = " TABLE" if self.is_table else ""
        parameters = ", ".join(self.parameters)
        return CREATE.format(
            name=self.name, parameters=parameters, kind=kind, body=self.body
        )

    def reserved(self) -> Macro:
        """With its names reserved, all but those of its parameters."""
        body = without_comments(self.body)
        return replace(self, body=reserve(body, keep=self.parameters))

    def inlined(self, known: Mapping[str, Macro]) -> Macro:
        """With the bodies of the known ones that come after it, if DuckDB looks into it."""
        if not self.is_expression:
            return self
        return replace(self, body=inlined(self.name, self.body, known))

    def applied(self, arguments: list[str]) -> str:
        """The body with arguments in place of the parameters."""
        if not self.parameters:
            return self.body
        values = dict(zip(self.parameters, arguments, strict=True))
        word = re.compile(rf"{STRING}|(?<![\w.])(?:{'|'.join(values)})(?![\w(])")
        return _outside_strings(word, lambda name: f"({values[name]})", self.body)


def _macro(found: re.Match[str]) -> Macro:
    parameters = tuple(filter(None, found["parameters"].split(", ")))
    return Macro(found["name"], parameters, found["table"] is not None, found["body"])


def without_comments(text: str) -> str:
    """The text without what stands behind -- outside of strings."""
    return _outside_strings(COMMENT, lambda _: "", text)


def _outside_strings(
    word: re.Pattern[str], written: Callable[[str], str], text: str
) -> str:
    """The text with every word but those that are strings written otherwise."""

    def one(found: re.Match[str]) -> str:
        is_string = found[0].startswith("'")
        return found[0] if is_string else written(found[0])

    return word.sub(one, text)


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """The arguments of a call whose bracket has just opened, and where the call ends."""
    depth = 1
    begin = start
    arguments = []
    for piece in PIECE.finditer(text, start):
        depth += DEPTH.get(piece[0], 0)
        is_end = depth == 0
        if is_end or (piece[0] == "," and depth == 1):
            arguments.append(text[begin : piece.start()].strip())
            begin = piece.end()
        if is_end:
            return arguments, begin
    raise ValueError(text)

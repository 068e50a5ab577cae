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

RESERVED = "_embsql_"  # no name of a caller's may begin with this
FILE_ID = "@file_id@"  # `install` writes the id of the file it installs into here

STRING = r"'(?:[^']|'')*'"
COMMENT = r"--[^\n]*"
TABLE = re.compile(rf"{STRING}|(?<![\w.\"])([a-z_]\w*)(?=\.[\w\"*])")
CTE = re.compile(r"([a-z_]\w*) AS (?:MATERIALIZED )?\(")
MACRO = re.compile(
    r"(CREATE OR REPLACE MACRO embsql\.)(\w+)\(([^)]*)(\) AS(?: TABLE)?)(.*?);\n(?=\n|\Z)",
    re.DOTALL,
)
CALL = re.compile(r"\bembsql\.(\w+)\(")
LAMBDA = re.compile(r"lambda ([a-z_]\w*(?:, [a-z_]\w*)*):")
ARGUMENT = re.compile(r"(?<!:):([a-z_]\w*)")
LIMIT = re.compile(r"(LIMIT greatest\():([a-z_]\w*)(, 0\))")
RUN = re.compile(r"\(SELECT embsql\.(live_run|newest_run)\(:(\w+)\)\)")


def bind(body: str, types: Mapping[str, str], row: Callable[..., str]) -> str:
    """The body with a CTE `given` in front, which holds each argument as its type says.

    `types` are what casts an argument, with {} for it. `row` writes the SELECT of that CTE, in
    which the run that a model's name means is looked up too.
    """
    body = re.sub(COMMENT, "", body)
    runs = list(dict.fromkeys(RUN.findall(body)))
    body = LIMIT.sub(r"\1\2\3", body)
    body = RUN.sub(r"given.\1_of_\2", body)
    names = {*ARGUMENT.findall(body), *(name for _, name in runs)}
    used = {name: type_ for name, type_ in types.items() if name in names}
    select = row(types=used, runs=runs, reserved=RESERVED, file_id=FILE_ID)
    body = reserve(ARGUMENT.sub(r"given.\1", body), also={"given"})
    return first(f"{RESERVED}given AS (\n{select}\n)", body)


def first(cte: str, body: str) -> str:
    """The body with one more CTE before all others."""
    rest = re.match(r"WITH\s+(.*)", body, re.DOTALL)
    return f"WITH {cte},\n{rest[1]}" if rest else f"WITH {cte}\n{body}"


def reserve(text: str, *, also: Collection[str] = (), keep: Collection[str] = ()) -> str:
    """The text with the reserved prefix on every CTE, table alias and lambda parameter in it.

    A table alias is what stands before a dot; schema embsql, what follows a dot and `keep` stay.
    """
    tables = {name for name in TABLE.findall(text) if name}
    parameters = {name for names in LAMBDA.findall(text) for name in names.split(", ")}
    names = (tables | set(CTE.findall(text)) | parameters | set(also)) - {"embsql", *keep}
    known = "|".join(sorted(names, key=len, reverse=True)) or "(?!)"
    word = re.compile(rf"{STRING}|(?<![\w.:\"])(?:{known})(?![\w(])")
    return word.sub(lambda found: found[0] if found[0][0] == "'" else RESERVED + found[0], text)


def prelude(text: str) -> str:
    """A prelude as DuckDB is given it: names reserved, and no scalar macro asking for a later one.

    EXPORT DATABASE writes macros in order of their names, and IMPORT DATABASE looks up at once what
    each of them calls. So what is called of the later ones stands in the caller.
    """
    reserved = MACRO.sub(_reserved, text)
    scalars = {
        m[2]: (m[3].split(", "), m[5]) for m in MACRO.finditer(reserved) if "TABLE" not in m[4]
    }

    def inlined(found: re.Match[str]) -> str:
        body = _inlined(found[2], found[5], scalars) if found[2] in scalars else found[5]
        return found[1] + found[2] + "(" + found[3] + found[4] + body + ";\n"

    return MACRO.sub(inlined, reserved)


def _reserved(found: re.Match[str]) -> str:
    """One macro with its names reserved, all but those of its parameters."""
    body = reserve(re.sub(COMMENT, "", found[5]), keep=found[3].split(", "))
    return found[1] + found[2] + "(" + found[3] + found[4] + body + ";\n"


def _inlined(name: str, body: str, scalars: Mapping[str, tuple[list[str], str]]) -> str:
    """The body of a scalar macro with the bodies of those whose names come after its own."""
    while call := next((c for c in CALL.finditer(body) if c[1] in scalars and c[1] > name), None):
        parameters, callee = scalars[call[1]]
        arguments, end = _arguments(body, call.end())
        value = _with(callee, dict(zip(parameters, arguments, strict=True)))
        body = f"{body[: call.start()]}({value.strip()}){body[end:]}"
    return body


def _with(body: str, values: Mapping[str, str]) -> str:
    """The body with values in place of its parameters."""
    word = re.compile(rf"{STRING}|(?<![\w.])(?:{'|'.join(values)})(?![\w(])")
    return word.sub(lambda found: found[0] if found[0][0] == "'" else f"({values[found[0]]})", body)


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """The arguments of a call whose bracket has just opened, and where the call ends."""
    depth, begin, found = 1, start, []
    for piece in re.compile(rf"{STRING}|[()\[\]{{}},]").finditer(text, start):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(piece[0], 0)
        if (piece[0] == "," and depth == 1) or depth == 0:
            found.append(text[begin : piece.start()].strip())
            begin = piece.end()
        if depth == 0:
            return found, begin
    raise ValueError(text)

"""Reads sql/: every question is one file, and its header is its signature, its manual and its test.

    -- name(argument type = default, ...)
    --   -> (column type, ...)                 or: -> type, for a single value
    -- What it answers.
    -- example: SELECT * FROM embsql.name(...);
    WITH ...

Arguments stand in the body as :argument. `render` wraps a body for an engine; `check` holds a file to the
rules that keep one text right on every engine.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from embsql.errors import BadSurface
from embsql.sqlfiles import macros

TYPES = {  # word in a header -> DuckDB's type
    "text": "VARCHAR", "text[]": "VARCHAR[]", "int": "INTEGER", "bigint": "BIGINT", "double": "DOUBLE",
    "double[]": "DOUBLE[]", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP", "vector": "FLOAT[]",
}  # fmt: skip
POSTGRES_TYPES = {**{word: word for word in TYPES}, "double": "double precision", "double[]": "double precision[]"}
POSTGRES_ARGUMENTS = {**POSTGRES_TYPES, "int": "double precision"}  # what every number turns into
POSTGRES_CASTS = {  # how a body reads an argument, which may have come as another type
    **dict.fromkeys(TYPES, "{}"),
    "text": "CAST({} AS text)",
    "text[]": "CAST({} AS text[])",
    "int": "embsql.row_limit({})",
    "vector": "embsql.vector_from({})",
}


IDS = {"text": "embsql.id_text({})", "text[]": "embsql.id_texts({})"}


@cache
def folder() -> Path:
    """Where sql/ is: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return package / "sql" if (package / "sql").is_dir() else package.parent / "sql"


def text(name: str) -> str:
    """One file below sql/, for example prelude/duckdb.sql."""
    return (folder() / name).read_text(encoding="utf-8")


def described(name: str) -> list[tuple[str, str, str]]:
    """(name, what it is for, statement) of a file in which `-- name: what it is for` begins each statement."""
    parts = re.split(r"^-- (\w+): (.*)\n", text(name), flags=re.MULTILINE)[1:]
    return [(parts[n], parts[n + 1], parts[n + 2].strip()) for n in range(0, len(parts), 3)]


@cache
def statements(name: str = "statements.sql", engine: str = "") -> dict[str, str]:
    """The statements of one file, by name; `x.postgres.sql` beside `x.sql` replaces some of them there."""
    own = _sibling(folder() / name, engine).relative_to(folder())
    files = dict.fromkeys((name, str(own)))
    return {known: statement for file in files for known, _, statement in described(file)}


@dataclass(frozen=True, slots=True)
class Step:
    """One schema file: run once, in order of name."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """What tells one version of the file from another."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()

    @property
    def tables(self) -> list[str]:
        """The tables it makes."""
        return re.findall(r"^CREATE TABLE embsql\.(\w+)", self.text, re.MULTILINE)


def migrations(engine: str) -> list[Step]:
    """Every schema file in order; `0001_x.postgres.sql` is instead of `0001_x.sql` there."""
    names = sorted({path.name.split(".")[0] for path in (folder() / "schema").glob("*.sql")})
    files = [_sibling(folder() / "schema" / f"{name}.sql", engine) for name in names]
    return [Step(path.name, path.read_text(encoding="utf-8")) for path in files if path.exists()]


def _sibling(path: Path, engine: str) -> Path:
    own = path.with_suffix(f".{engine}.sql")
    return own if own.exists() else path


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a question."""

    name: str
    type: str
    default: str | None

    @property
    def free(self) -> bool:
        """Whether a caller's value may be of any type: an id, a list of ids, a vector, features."""
        needed = self.type == "text" and self.default is None and not self.name.startswith("model")
        return needed or self.type in ("text[]", "vector")

    def __str__(self) -> str:
        return f"{self.name} {self.type}" + (f" = {self.default}" if self.default is not None else "")


@dataclass(frozen=True, slots=True)
class Question:
    """One file of sql/questions."""

    name: str
    chapter: str  # its folder
    arguments: tuple[Argument, ...]
    columns: tuple[tuple[str, str], ...]  # (name, type); one unnamed column for a single value
    scalar: bool
    doc: str
    example: str
    body: str
    path: Path | None = None

    @property
    def schema(self) -> str:
        """The schema it is made in."""
        return "ml" if self.chapter == "ml" else "embsql"

    @property
    def signature(self) -> str:
        """name(argument type = default, ...)"""
        return f"{self.name}({', '.join(map(str, self.arguments))})"


@cache
def questions() -> dict[str, Question]:
    """Every question, by name."""
    return {path.stem: read(path) for path in _plain(folder() / "questions", "*/*.sql")}


def _plain(place: Path, pattern: str) -> list[Path]:
    """The files there that are written for every engine, in order."""
    return sorted(path for path in place.glob(pattern) if path.name.count(".") == 1)


def read(path: Path) -> Question:
    """The question in a file. Raises BadSurface for a malformed header."""
    header, body = _split(path.read_text(encoding="utf-8"))
    form = re.fullmatch(r"(\w+)\((.*?)\)\s+-> (\(.*?\)|\w+(?:\[\])?)\n(.*?)\nexample: (.*)", header, re.DOTALL)
    if not form or form[1] != path.name.split(".")[0]:
        raise BadSurface(file=path.name, problem="the header is not: name(arguments), -> (columns), text, example")
    scalar = not form[3].startswith("(")
    columns = [("", form[3])] if scalar else [_pair(column) for column in form[3][1:-1].split(", ")]
    arguments = [_argument(word) for word in form[2].split(", ") if word]
    return Question(
        form[1],
        path.parent.name,
        tuple(arguments),
        tuple(columns),
        scalar,
        form[4].strip(),
        form[5].strip(),
        body,
        path,
    )


def _split(source: str) -> tuple[str, str]:
    """The leading comment without its dashes, and the rest."""
    lines = source.splitlines()
    end = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(line[2:].strip() for line in lines[:end]), "\n".join(lines[end:]).strip()


def _pair(column: str) -> tuple[str, str]:
    name, _, type_ = column.partition(" ")
    return name.strip('"'), type_


def _argument(word: str) -> Argument:
    declaration, _, default = word.partition(" = ")
    name, _, type_ = declaration.partition(" ")
    return Argument(name, type_, default or None)


# --- rendering -----------------------------------------------------------------------------------


def script(engine: str, *, without: Collection[str] = (), commands: bool = True, file_id: str = "") -> str:
    """Everything `install` runs, in a transaction of the caller's; `without` names schema files that have run.

    `file_id` is what the questions of a DuckDB file know it by; a new one where none is given.
    """
    written: str = _template("shells/script.sql.j2").render(
        bootstrap=_sibling(folder() / "bootstrap.sql", engine).read_text(encoding="utf-8"),
        steps=[step for step in migrations(engine) if step.name not in without],
        surface=surface(engine, commands=commands),
        roles=text("roles.postgres.sql") if engine == "postgres" else None,
        version=version(engine) + ("+commands" if commands else ""),
    )
    return written.replace(macros.FILE_ID, file_id or uuid.uuid4().hex)


def surface(engine: str, *, commands: bool) -> str:
    """What is made anew by every install: the primitives, every question, the commands."""
    files = sorted((folder() / "prelude").glob(f"{engine}*.sql"))
    prelude = "\n\n".join(file.read_text(encoding="utf-8") for file in files)
    prelude = macros.prelude(prelude) if engine == "duckdb" else prelude
    parts = [prelude, *(wrap(question, engine) for question in questions().values())]
    if commands:
        files = sorted((folder() / "commands").glob(f"{engine}*.sql"))
        parts += [file.read_text(encoding="utf-8") for file in files]
    return "\n\n".join(part.strip() for part in parts)


@cache
def ml_questions() -> dict[str, Question]:
    """BigQuery ML's functions, by name: questions of the schema ml, which is there when asked for."""
    return {path.stem: read(path) for path in _plain(folder() / "ml", "*.sql")}


def ml(engine: str, *, file_id: str = "") -> str:
    """What makes the schema ml, for the file of that id."""
    rights = folder() / "ml" / f"rights.{engine}.sql"
    parts = ["CREATE SCHEMA IF NOT EXISTS ml;", *(wrap(question, engine) for question in ml_questions().values())]
    parts += [rights.read_text(encoding="utf-8")] if rights.exists() else []
    return "\n\n".join(parts).replace(macros.FILE_ID, file_id or macros.FILE_ID)


def extension(release: str) -> dict[str, str]:
    """The two files of a PostgreSQL extension, by name."""
    return {
        "embsql.control": text("extension.control").replace("VERSION", release),
        f"embsql--{release}.sql": script("postgres") + text("extension.postgres.sql"),
    }


def wrap(question: Question, engine: str) -> str:
    """One question as the statements that create it."""
    body = _body(question, engine)
    if engine == "duckdb":
        return _wrapped(question, engine, _duckdb(question, body))
    overloads = [_postgres(question, body, words) for words in _signatures(question)]
    return "\n".join(_wrapped(question, engine, overload) for overload in overloads)


def _wrapped(question: Question, engine: str, parts: Wrapped) -> str:
    shell, (parameters, returns, body) = _template(f"shells/{engine}.sql.j2"), parts
    partitioned = engine == "postgres" and PARTITIONED.search(body) is not None
    comment = f"{question.signature}\n{question.doc}\n{question.example}".replace("'", "''")
    written: str = shell.render(
        question=question,
        parameters=", ".join(parameters),
        identity=", ".join(parameter.partition(" DEFAULT ")[0] for parameter in parameters),
        returns=returns,
        body=_of_runs(body) if partitioned else body,
        partitioned=partitioned,
        runs=_runs(body),
        columns=[f"CAST(answer.{name} AS {type_})" for name, type_ in _columns(question)],
        arguments=[f"${n}" for n, _ in enumerate(question.arguments, 1)],
        comment=f"'{comment}'",
    )
    return written.strip()


def _body(question: Question, engine: str) -> str:
    """The question's own body, or the one that replaces it on an engine: `name.postgres.sql` beside it."""
    own = _sibling(question.path, engine) if question.path else None
    return question.body if own in (None, question.path) else _split(own.read_text(encoding="utf-8"))[1]


def prepare(stage: str, facts: dict[str, Any]) -> str:
    """A stage of reading a source (source, coded), for what the engine found out about it."""
    script: str = _template(f"prepare/{stage}.sql.j2").render(facts)
    return script


@cache
def _template(name: str) -> Any:
    import jinja2  # here, because asking questions needs no templates

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701 - no HTML
    return environment.from_string(text(name))


NOTHING_GIVEN = "given AS NOT MATERIALIZED (SELECT)"  # a row without columns: PostgreSQL has arguments as $1, $2
RUN = re.compile(r"\(SELECT (embsql\.(?:live|newest)_run\(CAST\(\$\d+ AS text\)\))\)")  # in PostgreSQL
# Tables of one partition for each run, in PostgreSQL
PARTITIONED = re.compile(r"embsql\.(?:item_embeddings|user_embeddings|interactions)\b")
Wrapped = tuple[list[str], str, str]  # parameters, what is returned, the body with the parameters in it


def _duckdb(question: Question, body: str) -> Wrapped:
    """A macro. Its arguments are cast, so that 42 names the item '42', and 42.0 too."""
    parameters = [a.name + (f" := {a.default}" if a.default is not None else "") for a in question.arguments]
    types = {a.name: _as_id(a, IDS, f"CAST({{}} AS {TYPES[a.type]})") for a in question.arguments}
    return parameters, "", macros.bind(body, types, _template("shells/given.duckdb.sql.j2").render)


def _postgres(question: Question, body: str, words: dict[str, str]) -> Wrapped:
    """A function whose arguments have the types `words`.

    :argument becomes its number, cast to the type that its header names.
    """
    parameters = [f"{a.name} {words[a.name]}{_default(a)}" for a in question.arguments]
    columns = [f"{name} {type_}".strip() for name, type_ in _columns(question)]
    returns = columns[0] if question.scalar else f"TABLE ({', '.join(columns)})"
    body = macros.first(NOTHING_GIVEN, body)
    numbers = [(a, f"${n}") for n, a in enumerate(question.arguments, 1)]
    kinds = {a.name: IDS if words[a.name].startswith("any") else {} for a in question.arguments}
    casts = {a.name: _as_id(a, kinds[a.name], POSTGRES_CASTS[a.type]).format(number) for a, number in numbers}
    return parameters, returns, _bind(question, body, lambda a: casts[a.name])


def _columns(question: Question) -> list[tuple[str, str]]:
    """Names, quoted, and types of what a question answers in PostgreSQL."""
    return [(f'"{name}"' if name else "", POSTGRES_TYPES[type_]) for name, type_ in question.columns]


def _of_runs(body: str) -> str:
    """A body that reads partitioned tables, as format() takes it: with a place for each run."""
    places = {run: f"CAST(%{n}$s AS bigint)" for n, run in enumerate(_runs(body), 1)}
    return RUN.sub(lambda found: places[found[1]], body.replace("%", "%%"))


def _runs(body: str) -> list[str]:
    """What looks up the runs that a body is about, each once."""
    return list(dict.fromkeys(RUN.findall(body)))


def _as_id(argument: Argument, ids: dict[str, str], otherwise: str) -> str:
    """What casts an argument, {}: what may be of any type becomes text by the rule of a source's ids."""
    return ids.get(argument.type, otherwise) if argument.free else otherwise


def _default(argument: Argument) -> str:
    """A default; that of a list has a type, because a list of anything would else have none."""
    if argument.default is None:
        return ""
    typed = f"CAST({argument.default} AS text[])" if argument.type == "text[]" else argument.default
    return f" DEFAULT {typed}"


def _signatures(question: Question) -> list[dict[str, str]]:
    """The types of a question's arguments in PostgreSQL, by name, for each of its functions: one or two.

    A free argument may be of any type. Two words say so that are independent of each other, so that
    one argument may be 42 and the other 'mug-03': anycompatible, which takes a plain literal for
    text, and anyelement, which refuses one. The other argument is therefore text in one function and
    anyelement in another.
    """
    fixed = {a.name: POSTGRES_ARGUMENTS[a.type] for a in question.arguments}
    free = sorted((a for a in question.arguments if a.free), key=lambda a: a.type == "text[]")
    if not free:
        return [fixed]
    *others, common = free
    others = [a for a in others if a.default is None]  # left out, it would tell two functions not apart
    fixed[common.name] = "anycompatiblearray" if common.type == "text[]" else "anycompatible"
    words = ("text", "anyelement") if others else ("",)
    return [fixed | {a.name: word for a in others} for word in words]


def _bind(question: Question, body: str, written: Callable[[Argument], str]) -> str:
    """The body with every :argument as the engine writes it."""
    arguments = {argument.name: argument for argument in question.arguments}
    return re.sub(r"(?<!:):([a-z_]\w*)", lambda found: written(arguments[found[1]]), body)


@cache
def version(engine: str) -> str:
    """A hash of everything `install` writes, kept in the database so that it writes only when it must."""
    parts = [*(step.text for step in migrations(engine)), surface(engine, commands=True), ml(engine)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


# --- rules ---------------------------------------------------------------------------------------

FUNCTIONS = {
    "abs",
    "count",
    "sum",
    "coalesce",
    "round",
    "row_number",
    "string_agg",
    "cast",
    "case",
    "exists",
    "if",
    "greatest",
    "array_agg",
    "explode",  # unnest
    "least",
    "avg",
    "min",
    "max",
    "corr",
    "ln",
    "exp",
    "power",
    "pow",
    "md5",
    "dense_rank",
    "percentile_cont",
    "within_group",
    "nullif",
    "collate",
    "array",
}


def check(question: Question) -> Iterator[str]:
    """What is wrong with a question, each as one sentence."""
    import sqlglot  # here, because only development and translation need it
    from sqlglot import exp

    bound = re.sub(r"(?<!:):([a-z_]\w*)", r"$\1", question.body)
    tree: Any = sqlglot.parse_one(bound, read="duckdb")
    used = {node.name for node in tree.find_all(exp.Parameter, exp.Placeholder)}
    declared = {argument.name for argument in question.arguments}
    columns = {node.name for node in tree.find_all(exp.Column)}
    if used != declared:
        yield f"arguments declared {sorted(declared)} but used {sorted(used)}"
    if _tables(tree) & (columns | _aliases(tree)):
        yield f"tables and columns share a name: {sorted(_tables(tree) & (columns | _aliases(tree)))}"
    if declared & columns:
        yield f"arguments share a column's name: {sorted(declared & columns)}"
    if not question.scalar and tree.named_selects != [name for name, _ in question.columns]:
        yield f"returns {tree.named_selects} but declares {[name for name, _ in question.columns]}"
    yield from (
        f"column {node.name} has no table alias"
        for node in tree.find_all(exp.Column)
        if not node.table and not (node.find_ancestor(exp.Order) and node.name in _aliases(tree))
    )
    yield from (
        f"ORDER BY {term.this.sql()} must say ASC or DESC: a caller may have set default_order"
        for term in unsaid_orders(tree)
    )
    yield from (f"function {name} is not in the portable set" for name in _functions(tree) - FUNCTIONS)
    if tree.find(exp.Qualify):
        yield "QUALIFY is not portable"
    if sum(argument.free for argument in question.arguments) > 2:
        yield "more than two arguments of any type cannot be told apart in PostgreSQL"
    if any(type_ not in TYPES for _, type_ in question.columns):
        yield "a column has an unknown type"


def unsaid_orders(tree: Any) -> list[Any]:
    """The terms of ORDER BY, wherever it stands, whose direction DuckDB's default_order would decide."""
    from sqlglot import exp

    ordered = (term for term in tree.find_all(exp.Ordered) if not isinstance(term.parent, exp.OnConflict))
    return [term for term in ordered if term.args.get("desc") is None]


def _aliases(tree: Any) -> set[str]:
    """Names an ORDER BY may use without a table: what a SELECT has just named."""
    from sqlglot import exp

    return {alias.alias for alias in tree.find_all(exp.Alias)}


def _tables(tree: Any) -> set[str]:
    """Names of the CTEs, and aliases in FROM."""
    from sqlglot import exp

    sources = tree.find_all(exp.CTE, exp.Table, exp.Subquery, exp.Lateral, exp.Values)
    return {source.alias for source in sources if source.alias}


def _functions(tree: Any) -> set[str]:
    """Names of the functions called, those of the embsql schema left out (the prelude has them)."""
    from sqlglot import exp

    calls = [
        node for node in tree.find_all(exp.Func)
        if not isinstance(node.parent, exp.Dot) and not (isinstance(node.parent, exp.Table) and node.parent.db)
    ]  # fmt: skip
    names = {node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower() for node in calls}
    return names - {"and", "or", "group_concat"}

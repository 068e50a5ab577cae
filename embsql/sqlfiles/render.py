"""What `install` writes: questions, preludes and commands in an engine's shells."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any

from embsql.sqlfiles import macros
from embsql.sqlfiles.files import folder, migrations, read_sql, sibling
from embsql.sqlfiles.questions import (
    TYPES,
    Argument,
    Question,
    body_of,
    ml_questions,
    questions,
)
from embsql.sqlfiles.views import View, views

POSTGRES_TYPES = {
    **{word: word for word in TYPES},
    "double": "double precision",
    "double[]": "double precision[]",
}
# what every number turns into
POSTGRES_ARGUMENTS = {**POSTGRES_TYPES, "int": "double precision"}
POSTGRES_CASTS = {  # how a body reads an argument, which may have come as another type
    **dict.fromkeys(TYPES, "{}"),
    "text": "CAST({} AS text)",
    "text[]": "CAST({} AS text[])",
    "int": "embsql_internal.row_limit({})",
    "vector": "embsql_internal.vector_from({})",
}
KINDS = {"duckdb": "MACRO", "postgres": "ROUTINE"}
IDS = {"text": "embsql.id_text({})", "text[]": "embsql_internal.id_texts({})"}
DUCKDB_CASTS = {
    **{word: f"CAST({{}} AS {type_})" for word, type_ in TYPES.items()},
    "timestamp": "embsql_internal.utc_times([{}])[1]",
    "timestamp[]": "embsql_internal.utc_times({})",
}


def script(
    engine: str,
    *,
    without: Collection[str] = (),
    commands: bool = True,
    file_id: str = "",
) -> str:
    """Everything `install` runs, in a transaction of the caller's.

    `without` names schema files that have run.

    `file_id` is what the questions of a DuckDB file know it by; a new one where none is given.
    """
    file_id = file_id or uuid.uuid4().hex
    written: str = template("shells/script.sql.j2").render(
        bootstrap=bootstrap(engine, file_id),
        steps=steps(engine, without=without),
        surface=surface(engine, commands=commands),
        roles=read_sql("roles.postgres.sql") if engine == "postgres" else None,
        rights=_rights() if engine == "postgres" else None,
        version=version() + ("+commands" if commands else ""),
    )
    return written.replace(macros.FILE_ID, file_id)


def bootstrap(engine: str, file_id: str) -> str:
    """What every install begins with: the schemas, and the tables that say what is installed."""
    text = sibling(folder() / "bootstrap.sql", engine).read_text(encoding="utf-8")
    return text.replace(macros.FILE_ID, file_id or uuid.uuid4().hex)


def steps(engine: str, *, without: Collection[str] = ()) -> list[str]:
    """The schema files that have not run, each with a line that says so afterwards."""
    written = template("shells/step.sql.j2")
    return [
        written.render(step=step)
        for step in migrations(engine)
        if step.name not in without
    ]


def _rights() -> dict[str, str]:
    """What carries rights over to functions that an upgrade makes again: before, and after."""
    return {
        "kept": read_sql("keep_rights.postgres.sql"),
        "restored": read_sql("restore_rights.postgres.sql"),
    }


def surface(engine: str, *, commands: bool) -> str:
    """What is made anew by every install: the primitives, every question, the commands."""
    prelude = _prelude(engine)
    prelude = macros.prelude(prelude) if engine == "duckdb" else prelude
    comments = template("prelude/comments.sql.j2").render(kind=KINDS[engine])
    parts = [prelude, comments, views_sql(engine)]
    parts += [wrap(question, engine) for question in questions().values()]
    if commands:
        files = sorted((folder() / "commands").glob(f"{engine}*.sql"))
        parts += [file.read_text(encoding="utf-8") for file in files]
    return "\n\n".join(part.strip() for part in parts)


def networks() -> str:
    """What reads networks in DuckDB, in place of the primitive that finds none."""
    return macros.prelude(read_sql("prelude/networks.duckdb.sql"))


def cells(*, file_id: str) -> str:
    """What reads cells in DuckDB instead of all vectors, for the file of that id."""
    parts = [macros.prelude(read_sql("prelude/cells.duckdb.sql"))]
    parts += [wrap(question, "duckdb", "cells") for question in by_cells()]
    return "\n\n".join(parts).replace(macros.FILE_ID, file_id)


def by_cells() -> list[Question]:
    """The questions that have a body for runs with cells."""
    return [
        question
        for question in questions().values()
        if body_of(question.path, "cells") != question.body
    ]


def _prelude(engine: str) -> str:
    files = sorted((folder() / "prelude").glob(f"{engine}*.sql"))
    return "\n\n".join(file.read_text(encoding="utf-8") for file in files)


def ml(engine: str, *, file_id: str = "") -> str:
    """What makes the schema ml, for the file of that id."""
    rights = folder() / "ml" / f"rights.{engine}.sql"
    parts = [
        "CREATE SCHEMA IF NOT EXISTS ml;",
        *(wrap(question, engine) for question in ml_questions().values()),
    ]
    parts += [rights.read_text(encoding="utf-8")] if rights.exists() else []
    return "\n\n".join(parts).replace(macros.FILE_ID, file_id or macros.FILE_ID)


def views_sql(engine: str) -> str:
    """What makes the views."""
    shell = template("shells/view.sql.j2")
    parts = [
        shell.render(view=view, engine=engine, body=view_body(view, engine))
        for view in views()
    ]
    if engine == "postgres":
        rights = template("shells/view_rights.postgres.sql.j2")
        parts.append(rights.render(views=views()))
    return "\n".join(parts)


def view_body(view: View, engine: str) -> str:
    """The SELECT of a view; one that is about the questions has them written into it."""
    body: str = (
        _environment()
        .from_string(body_of(view.path, engine))
        .render(questions=questions().values())
    )
    return body


def extension(release: str) -> dict[str, str]:
    """The two files of a PostgreSQL extension, by name."""
    return {
        "embsql.control": read_sql("extension.control").replace("VERSION", release),
        f"embsql--{release}.sql": script("postgres")
        + read_sql("extension.postgres.sql"),
    }


def wrap(question: Question, engine: str, variant: str = "") -> str:
    """One question as the statements that create it, by the engine's body or a variant of it."""
    body = body_of(question.path, variant or engine)
    if engine == "duckdb":
        return _wrapped(question, engine, _duckdb(question, body))
    overloads = [_postgres(question, body, words) for words in _signatures(question)]
    return "\n".join(_wrapped(question, engine, overload) for overload in overloads)


def _wrapped(question: Question, engine: str, parts: Wrapped) -> str:
    shell = template(f"shells/{engine}.sql.j2")
    parameters, returns, body = parts
    partitioned = engine == "postgres" and PARTITIONED.search(body) is not None
    comment = f"{question.signature}\n{question.doc}\n{question.example}"
    written: str = shell.render(
        question=question,
        parameters=", ".join(parameters),
        identity=", ".join(
            parameter.partition(" DEFAULT ")[0] for parameter in parameters
        ),
        returns=returns,
        body=_of_runs(body) if partitioned else body,
        partitioned=partitioned,
        runs=_runs(body),
        columns=[
            f"CAST(answer.{name} AS {type_})" for name, type_ in _columns(question)
        ],
        arguments=[f"${n}" for n, _ in enumerate(question.arguments, 1)],
        comment=_literal(comment),
    )
    return written.strip()


def render_stage(stage: str, facts: dict[str, Any]) -> str:
    """A stage of reading a source (source, coded), for what the engine found out about it."""
    script: str = template(f"prepare/{stage}.sql.j2").render(facts)
    return script


@cache
def template(name: str) -> Any:
    """A template below sql/, which has no value for what it is not given."""
    return _environment().from_string(read_sql(name))


@cache
def _environment() -> Any:
    import jinja2  # here, because asking questions needs no templates

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML
        trim_blocks=True,
    )
    environment.filters["literal"] = _literal
    return environment


def _literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


# a row without columns: PostgreSQL has arguments as $1, $2
NOTHING_GIVEN = "given AS NOT MATERIALIZED (SELECT)"
# the look-up of a run in a PostgreSQL body
RUN = re.compile(
    r"\(SELECT (embsql\w*\.(?:live|newest|mapped|clustered)_run"
    r"\(CAST\(\$\d+ AS text\)(?:, CAST\(\$\d+ AS text\))*\))\)"
)
# Tables of one partition for each run, in PostgreSQL
PARTITIONED = re.compile(r"embsql\.(?:item_embeddings|user_embeddings|interactions)\b")
# parameters, what is returned, the body with the parameters in it
Wrapped = tuple[list[str], str, str]


def _duckdb(question: Question, body: str) -> Wrapped:
    """A macro. Its arguments are cast, so that 42 names the item '42', and 42.0 too."""
    parameters = [
        a.name + (f" := {a.default}" if a.default is not None else "")
        for a in question.arguments
    ]
    types = {a.name: _as_id(a, IDS, DUCKDB_CASTS[a.type]) for a in question.arguments}
    body = macros.bind(body, types, template("shells/given.duckdb.sql.j2").render)
    if not types:  # only arguments keep DuckDB from looking into it when it is made
        name = f"{question.schema}.{question.name}"
        body = macros.inlined(name, body, macros.expressions(_prelude("duckdb")))
    return parameters, "", body


def _postgres(question: Question, body: str, words: dict[str, str]) -> Wrapped:
    """A function whose arguments have the types `words`.

    :argument becomes its number, cast to the type that its header names.
    """
    parameters = [
        f"{argument.name} {words[argument.name]}{_default(argument)}"
        for argument in question.arguments
    ]
    columns = [f"{name} {type_}".strip() for name, type_ in _columns(question)]
    returns = columns[0] if question.scalar else f"TABLE ({', '.join(columns)})"
    body = macros.first(NOTHING_GIVEN, body)
    numbers = [(a, f"${n}") for n, a in enumerate(question.arguments, 1)]
    kinds = {
        a.name: IDS if words[a.name].startswith("any") else {}
        for a in question.arguments
    }
    casts = {
        a.name: _as_id(a, kinds[a.name], POSTGRES_CASTS[a.type]).format(number)
        for a, number in numbers
    }
    return parameters, returns, _bind(question, body, lambda a: casts[a.name])


def _columns(question: Question) -> list[tuple[str, str]]:
    """Names, quoted, and types of what a question answers in PostgreSQL."""
    return [
        (f'"{name}"' if name else "", POSTGRES_TYPES[type_])
        for name, type_ in question.columns
    ]


def _of_runs(body: str) -> str:
    """A body that reads partitioned tables, as format() takes it: with a place for each run."""
    slots = {run: f"CAST(%{n}$s AS bigint)" for n, run in enumerate(_runs(body), 1)}
    return RUN.sub(lambda found: slots[found[1]], body.replace("%", "%%"))


def _runs(body: str) -> list[str]:
    """What looks up the runs that a body is about, each once."""
    return list(dict.fromkeys(RUN.findall(body)))


def _as_id(argument: Argument, ids: dict[str, str], otherwise: str) -> str:
    """What casts an argument, {}.

    What may be of any type becomes text by the rule of a source's ids.
    """
    return ids.get(argument.type, otherwise) if argument.free else otherwise


def _default(argument: Argument) -> str:
    """A default; that of a list has a type, because a list of anything would else have none."""
    if argument.default is None:
        return ""
    typed = (
        f"CAST({argument.default} AS text[])"
        if argument.type == "text[]"
        else argument.default
    )
    return f" DEFAULT {typed}"


def _signatures(question: Question) -> list[dict[str, str]]:
    """The types of a question's arguments in PostgreSQL, by name.

    One or two functions, each with its own.

    A free argument may be of any type. Two words say so that are independent of each other, so that
    one argument may be 42 and the other 'mug-03': anycompatible, which takes a plain literal for
    text, and anyelement, which refuses one. The other argument is therefore text in one function
    and anyelement in another, or anyarray where it is a list.
    """
    fixed = {a.name: POSTGRES_ARGUMENTS[a.type] for a in question.arguments}
    free = sorted(
        (a for a in question.arguments if a.free), key=lambda a: a.type == "text[]"
    )
    if not free:
        return [fixed]
    *others, common = free
    # left out, it would tell two functions not apart
    others = [a for a in others if a.default is None]
    fixed[common.name] = (
        "anycompatiblearray" if common.type == "text[]" else "anycompatible"
    )
    words = [{a.name: word for a in others} for word in ("text", "anyelement")]
    lists = {a.name: "anyarray" for a in others if a.type == "text[]"}
    return [fixed | words[0], fixed | words[1] | lists] if others else [fixed]


def _bind(question: Question, body: str, written: Callable[[Argument], str]) -> str:
    """The body with every :argument as the engine writes it."""
    arguments = {argument.name: argument for argument in question.arguments}
    return macros.ARGUMENT.sub(lambda found: written(arguments[found[1]]), body)


@cache
def version() -> str:
    """A hash of all that decides what `install` writes: the files below sql/, and this folder's.

    It is kept in the database, so that install writes only when it must. What is written is no part
    of it: rendering takes many times as long as reading.
    """
    digest = hashlib.blake2b(digest_size=8)
    files = [*folder().rglob("*.*"), *Path(__file__).parent.glob("*.py")]
    for file in sorted(files, key=lambda file: file.parts[-2:]):
        digest.update(file.read_bytes())
    return digest.hexdigest()

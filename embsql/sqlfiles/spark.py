"""What Spark is given: tables, the primitives, the questions, and what is live."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from embsql.sqlfiles import macros
from embsql.sqlfiles.files import read_sql
from embsql.sqlfiles.questions import Argument, Question, body_of
from embsql.sqlfiles.render import template, version, view_body
from embsql.sqlfiles.translation import to_spark
from embsql.sqlfiles.views import views

SPARK_TYPES = {  # word in a header -> Spark's type
    "text": "STRING",
    "text[]": "ARRAY<STRING>",
    "int": "INT",
    "int[]": "ARRAY<INT>",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "double[]": "ARRAY<DOUBLE>",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP_NTZ",
    "timestamp[]": "ARRAY<TIMESTAMP_NTZ>",
    "vector": "ARRAY<FLOAT>",
}
# single values over more tables than Spark finds a plan for: they are a row
ROWS = {"embed_item", "embed_user"}
MACRO = re.compile(r"CREATE MACRO (embsql\w*\.\w+)\(([^)]*)\) AS\s(.*?);\n", re.DOTALL)
BLOCK = re.compile(r";\n(?=\n)|;\s*\Z")  # where a statement ends


def spark_primitives() -> list[str]:
    """What makes the functions that questions are written with, a statement each."""
    text = read_sql("prelude/spark.sql")
    known = _macros(text)
    return [macros.inlined("", one, known) for one in _statements(MACRO.sub("", text))]


def spark_promotion(models: list[dict[str, Any]], derived: Iterable[str]) -> list[str]:
    """What makes it known which runs are live, a statement each; the last is the one that counts.

    Each model has model_name, live_run, newest_run, earlier_runs, runs and updated_at. `derived`
    has the maps and clusterings of all runs, as "map 7 item pca".
    """
    words = [_literal(word) for word in derived]
    script = template("spark/promotion.sql.j2").render(models=models, derived=words)
    return _statements(script)


def spark_derived() -> list[str]:
    """What makes the functions that ask what a promotion makes known, a statement each."""
    return _statements(read_sql("prelude/spark_derived.sql"))


def spark_tables() -> list[str]:
    """What makes the tables, a statement each."""
    return _statements(read_sql("spark/tables.sql"))


def spark_views() -> list[str]:
    """What makes the views, a statement each."""
    known = _macros(read_sql("prelude/spark.sql"))
    shell = template("shells/view.spark.sql.j2")
    return [
        shell.render(
            view=view,
            columns=[(name, _literal(comment)) for name, comment in view.columns],
            comment=_literal(view.doc),
            body=macros.inlined(
                "", to_spark(view_body(view, "spark"), view.name), known
            ),
        )
        for view in views()
    ]


def spark_removal(run_id: int, tables: Collection[str]) -> list[str]:
    """What drops a run's rows from tables, a statement each."""
    script = template("spark/drop_run.sql.j2").render(run_id=run_id, tables=tables)
    return _statements(script)


def spark_addition(run_id: int, table: str, folder: str) -> list[str]:
    """What makes room for a run's rows of a table in a folder, a statement each."""
    script = template("spark/add_run.sql.j2")
    return _statements(
        script.render(run_id=run_id, table=table, folder=_literal(folder))
    )


def spark_lock(name: str, holder: str) -> list[str]:
    """What makes the function of a publisher, a statement each."""
    script = template("spark/lock.sql.j2").render(name=name, holder=_literal(holder))
    return _statements(script)


def spark_holder(name: str) -> str:
    """What asks a publisher's function who it is."""
    (asked,) = _statements(template("spark/holder.sql.j2").render(name=name))
    return asked


def spark_unlock(name: str) -> list[str]:
    """What drops a publisher's function, a statement each."""
    return _statements(template("spark/unlock.sql.j2").render(name=name))


def spark_mark() -> list[str]:
    """What notes that the functions are of this version."""
    return _statements(template("spark/installed.sql.j2").render(version=version()))


def table_function(question: Question) -> str:
    """One question as the statement that creates it. Raises InvalidQuestionFile."""
    if question.name in ROWS:
        question = replace(question, scalar=False, columns=(("embedding", "vector"),))
    text = macros.without_comments(body_of(question.path, "spark"))
    runs, text = macros.runs_of(text)
    text = macros.ARGUMENT.sub(r"given.\1", text)
    given = template("shells/given.spark.sql.j2").render(
        function=question.name,
        parameters=[a.name for a in question.arguments],
        runs=runs,
    )
    known = _macros(read_sql("prelude/spark.sql"))
    body = macros.inlined("", to_spark(text, question.name), known)
    written: str = template("shells/spark.sql.j2").render(
        question=question,
        signature=", ".join(map(_parameter, question.arguments)),
        returns=_returns(question),
        comment=_literal(f"{question.signature}\n{question.doc}\n{question.example}"),
        body=macros.first(f"given AS (\n{given}\n)", body),
    )
    return written.strip()


def _parameter(argument: Argument) -> str:
    default = "" if argument.default is None else f" DEFAULT {argument.default}"
    return f"{argument.name} {SPARK_TYPES[argument.type]}{default}"


def _returns(question: Question) -> str:
    if question.scalar:
        return SPARK_TYPES[question.columns[0][1]]
    columns = (f"`{name}` {SPARK_TYPES[type_]}" for name, type_ in question.columns)
    return f"TABLE ({', '.join(columns)})"


def _literal(text: str) -> str:
    """A text as Spark's SQL, in which a backslash begins an escape."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


# --- the prelude ---------------------------------------------------------------------------------


def _statements(text: str) -> list[str]:
    """The statements of a file, without comments."""
    bare = BLOCK.split(macros.without_comments(text))
    return [one.strip() for one in bare if one.strip()]


def _macros(text: str) -> dict[str, macros.Macro]:
    """The macros of a prelude, by name."""
    found = (
        macros.Macro(name, tuple(parameters.split(", ")), is_table=False, body=body)
        for name, parameters, body in MACRO.findall(text)
    )
    return {macro.name: macro for macro in found}

"""Commands that ask: any SQL, the questions about a model, and what is wrong."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from embsql.shells.cli.group import database_path, main, open_database, show
from embsql.sqlfiles import questions


@main.command("sql")
@click.argument("statement")
@click.pass_context
def sql_(ctx: click.Context, statement: str) -> None:
    """Run any SQL, also BigQuery ML's CREATE MODEL, DROP MODEL and functions ML.*.

    Of several statements each answers in turn; the first that fails is the last that runs.
    They are read from standard input where STATEMENT is -: embsql sql - < file.sql.
    """
    from embsql.api.lexing import split_statements

    if statement == "-":
        statement = sys.stdin.read()

    with open_database(ctx, new=True) as database:
        for number, one in enumerate(split_statements(statement)):
            if number and not ctx.obj["json"]:
                click.echo()
            show(ctx, database.rows(one))


def _question(name: str, query: str, *, with_model: bool) -> None:
    """A command that asks one question."""

    def ask(ctx: click.Context, model: str | None = None) -> None:
        with open_database(ctx) as database:
            values = {"model": model} if with_model else {}
            rows = database.ask(query, **values).to_pylist()
        show(ctx, [_typed(ctx, row) for row in rows])

    function: Callable[..., Any] = click.pass_context(ask)
    if with_model:
        function = click.argument("model")(function)
    main.command(name, help=questions.question(name.replace("-", "_")).doc)(function)


def _typed(ctx: click.Context, row: dict[str, Any]) -> dict[str, Any]:
    """A row whose command, if it has one, names the database as it was named in this call."""
    command = row.get("command")
    is_named = ctx.find_root().get_parameter_source("db") is ParameterSource.COMMANDLINE
    if command is None or not is_named:
        return row
    named = f"embsql --db {shlex.quote(database_path(ctx))}"
    return row | {"command": command.replace("embsql", named, 1)}


_question("models", "SELECT * FROM embsql.models()", with_model=False)
_question("runs", "SELECT * FROM embsql.runs($model)", with_model=True)
_question("training-log", "SELECT * FROM embsql.training_log($model)", with_model=True)
_question("trials", "SELECT * FROM embsql.trials($model)", with_model=True)
_question("evaluation", "SELECT * FROM embsql.evaluation($model)", with_model=True)
_question("advice", "SELECT * FROM embsql.advice($model)", with_model=True)
_question("gate", "SELECT * FROM embsql.gate($model)", with_model=True)
_question("validation", "SELECT * FROM embsql.validation($model)", with_model=True)


@main.command("doctor")
@click.pass_context
def doctor_(ctx: click.Context) -> None:
    """Look for what is wrong with the database and its models, and what mends it.

    Exits with 1 where there is an error or a warning; notes alone are no reason to.
    """
    with open_database(ctx, read_only=True) as database:
        findings = database.doctor().to_pylist()
    show(ctx, findings)
    if not ctx.obj["json"] and all(found["severity"] == "info" for found in findings):
        click.echo("nothing is wrong")
    if any(found["severity"] in ("error", "warning") for found in findings):
        ctx.exit(1)

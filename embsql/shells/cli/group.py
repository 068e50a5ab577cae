"""The group that every command joins: its database, its answers, what errors become."""

from __future__ import annotations

import errno
import json
import re
from typing import TYPE_CHECKING, Any

import click

from embsql import engines
from embsql.command_options import Train
from embsql.errors import EmbsqlError, plain
from embsql.options import declared

if TYPE_CHECKING:
    from embsql.api.database import Database

OPTION = re.compile(r"\b(?P<name>[a-z_]+)=(?P<value>True\b|\.\.\.|'[^']*')")


def _as_typed(message: str) -> str:
    """A message with options of training that are written as Python's, as they are written here."""
    known = {option.name for option in declared(Train)}

    def typed(found: re.Match[str]) -> str:
        if found["name"] not in known:
            return found[0]
        value = "" if found["value"] == "True" else f" {found['value']}"
        return f"--{found['name'].replace('_', '-')}{value}"

    return OPTION.sub(typed, message)


class Main(click.Group):
    """Turns what goes wrong into one clear line and the exit code 1; wrong usage is 2, by click."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click; a question is no command, and is shown as it is asked."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from embsql.sqlfiles.questions import questions  # here: it reads all

            asked = questions().get(args[0])
            if asked is None:
                raise
            example = asked.example.rstrip(";")
            raise click.UsageError(
                f'{args[0]} is a question, asked in SQL: embsql sql "{example}"'
            ) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except EmbsqlError as error:
            raise click.ClickException(_as_typed(str(error))) from None
        except KeyboardInterrupt:
            raise click.ClickException(
                "interrupted; what was live stays live"
            ) from None
        except OSError as error:  # of a file that cannot be read or written
            # whoever read the output has gone, which click knows
            if error.errno == errno.EPIPE:
                raise
            message = (
                f"{error.filename}: {error.strerror}" if error.filename else str(error)
            )
            raise click.ClickException(plain(message)) from None
        except Exception as error:
            complaint = engines.complaint(error)
            if complaint is None:
                raise
            raise click.ClickException(plain(complaint)) from None


@click.group(
    cls=Main,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="embsql")
@click.option(
    "--db",
    envvar="EMBSQL_DB",
    help="A DuckDB file or postgresql://...; also from the environment, EMBSQL_DB.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Answers as JSON, one object per row."
)
@click.pass_context
def main(ctx: click.Context, db: str | None, as_json: bool) -> None:
    """Embeddings in SQL: train in the process, keep everything in the database, answer in SQL."""
    ctx.obj = {"db": db, "json": as_json}


def database_path(ctx: click.Context) -> str:
    """The address that was given. Raises UsageError where none was."""
    if not ctx.obj["db"]:
        raise click.UsageError(
            "which database? embsql --db shop.duckdb ..., or set EMBSQL_DB"
        )
    return str(ctx.obj["db"])


def open_database(
    ctx: click.Context, *, read_only: bool = False, new: bool = False
) -> Database:
    """The database; with `new` a file is made where there is none. Raises CannotOpen."""
    from embsql.api.database import connect  # here: help needs no database

    path = database_path(ctx)
    return connect(path if new else engines.existing(path), read_only=read_only)


def show(ctx: click.Context, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table, or as JSON."""
    if ctx.obj["json"]:
        for row in rows:
            click.echo(json.dumps(row, default=str, ensure_ascii=False))
    else:
        from embsql.api.text_table import format_table

        click.echo(format_table(rows))

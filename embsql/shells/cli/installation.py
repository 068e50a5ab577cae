"""Commands about the installation: install, compact, render, precompile."""

from __future__ import annotations

from pathlib import Path

import click

from embsql.shells.cli.group import database_path, main, open_database


@main.command("install")
@click.option(
    "--roles",
    is_flag=True,
    help="In PostgreSQL, also the roles embsql_owner, _trainer, _admin and _reader.",
)
@click.option(
    "--ml",
    is_flag=True,
    help="Also the schema ml: BigQuery ML's functions, as ml.recommend('shop').",
)
@click.pass_context
def install_(ctx: click.Context, roles: bool, ml: bool) -> None:
    """Put embsql's tables and questions into the database; does nothing when they are there."""
    from embsql.api.database import connect

    with connect(database_path(ctx), install=True) as database:
        database.install(roles=roles, ml=ml)
        click.echo(f"embsql is installed in {database.engine.label}")


@main.command("compact")
@click.pass_context
def compact_(ctx: click.Context) -> None:
    """Write the database anew, without the bytes of what was deleted or forgotten."""
    with open_database(ctx) as database:
        database.compact()
        click.echo(f"{database.engine.label} holds nothing that was deleted")


@main.command("render")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "postgres"]),
    default="duckdb",
    show_default=True,
)
@click.option(
    "--extension",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a PostgreSQL extension here.",
)
def render_(engine: str, extension: Path | None) -> None:
    """Print everything embsql creates in a database, for someone to read first.

    Or write it as an extension.
    """
    from embsql.sqlfiles import render as sql_render

    if extension is None:
        click.echo(sql_render.script(engine))
        return
    from importlib.metadata import version

    extension.mkdir(parents=True, exist_ok=True)
    for name, content in sql_render.extension(version("embsql")).items():
        (extension / name).write_text(content, encoding="utf-8")
        click.echo(extension / name)


@main.command("precompile")
def precompile() -> None:
    """Compile the training loops now, so that no first training waits for it.

    For the build of an image.
    """
    from embsql.shells.precompile import compile_all

    compile_all()

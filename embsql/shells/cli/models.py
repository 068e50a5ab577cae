"""Commands about models and runs that are there: promote, drop, forget, publish."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from embsql.command_options import DropModel
from embsql.shells.cli.group import main, open_database, show
from embsql.shells.cli.options import Command, given_options

LEFT = (
    "Free blocks of the database and its log keep the bytes until: embsql compact. "
    "Backups, and copies that were"
    " published, keep the person until they are made anew. Checkpoints of a training that "
    "was killed keep vectors,"
    " without ids, until you remove the files. Your own tables, and those that a model watches, "
    "are yours to clear."
)


@main.command("promote")
@click.argument("model")
@click.pass_context
def promote_(ctx: click.Context, model: str) -> None:
    """Make run 7 live: embsql promote MODEL@7."""
    with open_database(ctx) as database:
        click.echo(f"run {database.promote(model)} is live")


@main.command("rollback")
@click.argument("model")
@click.pass_context
def rollback_(ctx: click.Context, model: str) -> None:
    """Make the run live that was live before."""
    with open_database(ctx) as database:
        click.echo(f"run {database.rollback(model)} is live")


@main.command("drop-run")
@click.argument("model")
@click.pass_context
def drop_run_(ctx: click.Context, model: str) -> None:
    """Remove run 7 and all its rows: embsql drop-run MODEL@7."""
    with open_database(ctx) as database:
        database.drop_run(model)


@main.command("drop-model", cls=Command, options=DropModel)
@click.argument("model")
@click.pass_context
def drop_model_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Remove MODEL with all its runs, the live one too."""
    with open_database(ctx) as database:
        click.echo(f"{database.drop_model(model, **given_options(given))} runs removed")


@main.command("forget")
@click.argument("user_id")
@click.pass_context
def forget_(ctx: click.Context, user_id: str) -> None:
    """Remove one person from every run of every model, also from those that are being trained."""
    with open_database(ctx) as database:
        rows = database.forget(user_id)
    nobody = f": nothing here knows a user {user_id}"
    click.echo(f"{rows} rows removed{'' if rows else nobody}")
    click.echo(LEFT, err=True)


@main.command("publish")
@click.argument("target")
@click.argument("models", nargs=-1)
@click.pass_context
def publish_(ctx: click.Context, target: str, models: tuple[str, ...]) -> None:
    """Copy the live run of MODELS into TARGET, and make it live there.

    When no model is named, the live runs of all are copied.

    TARGET is a DuckDB file, which readers may hold open meanwhile, or postgresql://...
    """
    with open_database(ctx, read_only=True) as database:
        show(
            ctx,
            [dataclasses.asdict(done) for done in database.publish(target, *models)],
        )

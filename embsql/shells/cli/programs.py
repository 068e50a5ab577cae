"""Commands that run for longer: the worker, dbt, the demo."""

from __future__ import annotations

from contextlib import nullcontext

import click

from embsql.shells.cli.group import database_path, main


@main.command("worker")
@click.option("--once", is_flag=True, help="Work off what is queued, then end.")
@click.pass_context
def worker_(ctx: click.Context, once: bool) -> None:
    """Train what SELECT embsql.train(...) asks for in PostgreSQL.

    Ends at SIGTERM, giving back what it had begun.
    """
    from embsql.shells import worker

    worker.run(database_path(ctx), once=once, log=click.echo)


@main.group("dbt")
def dbt_() -> None:
    """Work with dbt: where the package is, and dbt with a worker at its side."""


@dbt_.command("path")
def dbt_path() -> None:
    """Print where the dbt package is, for `- local:` in packages.yml."""
    from embsql.shells import dbt

    click.echo(dbt.package_path())


@dbt_.command(
    "build", context_settings={"ignore_unknown_options": True, "help_option_names": []}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def dbt_build(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Run `dbt build WORDS`, and a worker while it runs if the profile leads to PostgreSQL."""
    from embsql.shells import dbt

    if not dbt.invoke(["build", *words], ctx.obj["db"], click.echo):
        raise click.ClickException("dbt did not succeed; its messages above say why")


@main.command("demo")
@click.option(
    "--data",
    help="A CSV or Parquet file of interactions instead of the generated shop.",
)
@click.option(
    "--postgres",
    is_flag=True,
    help="In a PostgreSQL started for the occasion, gone afterwards.",
)
@click.option(
    "--algorithm",
    default="als",
    show_default=True,
    help="What is trained. See: embsql algorithms",
)
@click.option("--user-col", help="Name of the user column in --data.")
@click.option("--item-col", help="Name of the item column in --data.")
@click.option("--weight-col", help="Name of the weight column in --data.")
@click.option(
    "--time-col",
    help="Name of the time column in --data: a timestamp, a date or a whole number.",
)
@click.pass_context
def demo_(
    ctx: click.Context,
    /,
    data: str | None,
    postgres: bool,
    algorithm: str,
    **columns: str | None,
) -> None:
    """Train on a small generated shop (or your file), ask ten questions, say what is next."""
    from embsql.shells.demo import own_server, run_demo

    with (
        own_server()
        if postgres
        else nullcontext(ctx.obj["db"] or "demo.duckdb") as target
    ):
        run_demo(target, data, columns, click.echo, algorithm)

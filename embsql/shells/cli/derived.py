"""Commands that derive something from a run: clusters, maps, tables, features."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from embsql.command_options import Cluster, Features, Materialize, Project
from embsql.shells.cli.group import main, open_database, show
from embsql.shells.cli.options import Command, given_options


@main.command("cluster", cls=Command, options=Cluster)
@click.argument("model")
@click.pass_context
def cluster_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Group the items or users of MODEL.

    SELECT * FROM embsql.clusters('MODEL') shows the groups.
    """
    with open_database(ctx) as database:
        show(ctx, [dataclasses.asdict(database.cluster(model, **given_options(given)))])


@main.command("project", cls=Command, options=Project)
@click.argument("model")
@click.pass_context
def project_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Draw a map of the items or users of MODEL.

    SELECT * FROM embsql.map('MODEL') gives the points.
    """
    with open_database(ctx) as database:
        show(ctx, [dataclasses.asdict(database.project(model, **given_options(given)))])


@main.command("materialize", cls=Command, options=Materialize)
@click.argument("model")
@click.pass_context
def materialize_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Write the best items of every user of MODEL, and the nearest of every item.

    They are tables for joins.
    """
    with open_database(ctx) as database:
        show(
            ctx,
            [dataclasses.asdict(database.materialize(model, **given_options(given)))],
        )


@main.command("report")
@click.argument("model")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    help="The file to write.  [default: MODEL.html]",
)
@click.option(
    "--item-labels", help="A SELECT of entity_id and label: what items are called."
)
@click.option("--seed", default=42, show_default=True, help="What draws the examples.")
@click.pass_context
def report_(
    ctx: click.Context, /, model: str, output: str | None, **given: Any
) -> None:
    """Write one page about MODEL or MODEL@7, which opens in any browser, also offline.

    What it is and how good, its maps, clusters, drift and health, examples, what to do next.
    """
    with open_database(ctx, read_only=True) as database:
        done = database.report(model, output or f"{model}.html", **given)
    show(ctx, [dataclasses.asdict(done)])


@main.command("features", cls=Command, options=Features)
@click.argument("model")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .csv or .parquet file to write.",
)
@click.pass_context
def features_(
    ctx: click.Context, /, model: str, output: Path | None, **given: Any
) -> None:
    """Write the wide table of MODEL for other models.

    It has a row per user or item, and each entry of its vector is a column.
    """
    with open_database(ctx) as database:
        table = database.features(model, **given_options(given)).to_arrow()
    if output is None:
        return show(ctx, table.to_pylist())
    _save(table, output)
    return click.echo(f"{len(table)} rows, {table.num_columns} columns in {output}")


def _save(table: Any, output: Path) -> None:
    """Write a table in the format that the file's name ends with."""
    import pyarrow.csv
    import pyarrow.parquet

    writers = {".csv": pyarrow.csv.write_csv, ".parquet": pyarrow.parquet.write_table}
    if output.suffix not in writers:
        raise click.UsageError(
            f"--output {output}: a name that ends in .csv or .parquet"
        )
    writers[output.suffix](table, output)

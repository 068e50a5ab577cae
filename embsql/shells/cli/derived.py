"""Commands that derive something from a run: clusters, maps, tables, features."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from embsql.command_options import Cluster, ExportMap, Features, Materialize, Project
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
@click.argument("models", nargs=-1, required=True, metavar="MODEL [MODEL]")
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
@click.option(
    "--test", help="Of two: a SELECT of user_id and item_id that both are asked about."
)
@click.option(
    "--evaluate",
    is_flag=True,
    help="Of two: train both anew on a part of the second's pairs, and ask both.",
)
@click.pass_context
def report_(
    ctx: click.Context, /, models: tuple[str, ...], output: str | None, **given: Any
) -> None:
    """Write one page about MODEL or MODEL@7, which opens in any browser, also offline.

    What it is and how good, its maps, clusters, drift and health, examples, what to do next. Of two
    it compares the second with the first: figures, answers, maps, drift and options.
    """
    with open_database(ctx, read_only=True) as database:
        path = output or f"{'-'.join(models)}.html"
        done = database.report(*models, path=path, **given)
    show(ctx, [dataclasses.asdict(done)])


@main.command("features", cls=Command, options=Features)
@click.argument("model")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="A .csv or .parquet file to write.",
)
@click.pass_context
def features_(
    ctx: click.Context, /, model: str, output: str | None, **given: Any
) -> None:
    """Write the wide table of MODEL for other models.

    It has a row per user or item, and each entry of its vector is a column.
    """
    from embsql.derived.table_files import to_csv, to_parquet, writer

    formats = {".csv": to_csv, ".parquet": to_parquet}
    write = writer(output, "--output", formats) if output else None
    with open_database(ctx) as database:
        table = database.features(model, **given_options(given)).to_arrow()
    if not (write and output):
        return show(ctx, table.to_pylist())
    write(table, output)
    return click.echo(f"{len(table)} rows, {table.num_columns} columns in {output}")


@main.group("export")
def export_() -> None:
    """Write what was derived from a model into files for other tools."""


@export_.command("map", cls=Command, options=ExportMap)
@click.argument("model")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    required=True,
    help="A .parquet file to write, or a .tsv for TensorBoard's projector.",
)
@click.pass_context
def export_map_(ctx: click.Context, /, model: str, output: str, **given: Any) -> None:
    """Write the map of MODEL, drawn by `embsql project`, for tools that show maps.

    A row per item or user: where it lies, its cluster, its popularity and its nearest.
    """
    with open_database(ctx, read_only=True) as database:
        done = database.export_map(model, output, **given_options(given))
    show(ctx, [dataclasses.asdict(done)])

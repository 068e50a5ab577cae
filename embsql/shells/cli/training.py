"""Commands that make runs: train, evaluate, register, cancel; what can be trained."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import click

from embsql import algorithms
from embsql.command_options import (
    Auto,
    Evaluate,
    Refresh,
    RegisterEmbeddings,
    RegisterText,
    Train,
    Watch,
)
from embsql.options import declared
from embsql.run import Run
from embsql.shells.cli.group import database_path, main, open_database, show
from embsql.shells.cli.options import Command, given_options

CHOSEN = """
SELECT trial.algorithm, trial.params, trial.value, trial.reason
FROM embsql.trials($model) AS trial
WHERE trial.best
"""


@main.command(
    "train",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    cls=Command,
    options=Train,
)
@click.argument("model")
@click.option(
    "--source", required=True, help="A SELECT, or the name of a table or file."
)
@click.option(
    "--algorithm", default="als", show_default=True, help="See: embsql algorithms"
)
@click.pass_context
def train_(
    ctx: click.Context, /, model: str, source: str, algorithm: str, **given: Any
) -> None:
    """Train MODEL and make it live.

    The algorithm's own options follow as --name value, for example --dim 64.
    """
    options = given_options(given) | _extra(ctx.args)
    algorithms.check_option_names(algorithm, options)
    with open_database(ctx, new=True) as database:
        run = database.train(
            model, source, algorithm=algorithm, progress=True, **options
        )
        chosen = _chosen(database, model, run) if algorithm == Auto.name else []
    show(ctx, [_row(model, run) | (run.metrics if ctx.obj["json"] else {})])
    if chosen and not ctx.obj["json"]:
        show(ctx, chosen)
    if run.metrics and not ctx.obj["json"]:
        show(
            ctx,
            [{"metric": name, "value": value} for name, value in run.metrics.items()],
        )
    if run.incomplete:
        click.echo(f"run {run.run_id} is live, but {run.incomplete}", err=True)
    if run.refused:
        remedy = (
            f"Read it as {model}@{run.run_id}, or make it live: embsql promote "
            f"{model}@{run.run_id}"
        )
        raise click.ClickException(
            f"run {run.run_id} was not made live: {run.refused}. {remedy}"
        )


def _chosen(database: Any, model: str, run: Run) -> list[dict[str, Any]]:
    """What algorithm auto chose for a run, and why; nothing where a choice was kept."""
    rows: list[dict[str, Any]] = database.ask(
        CHOSEN, model=f"{model}@{run.run_id}"
    ).to_pylist()
    return rows


def _row(model: str, run: Run) -> dict[str, Any]:
    """What is shown of a run that was made."""
    return {
        "model": model,
        "run_id": run.run_id,
        "status": run.status,
        "skipped": run.skipped,
    }


def _extra(words: list[str]) -> dict[str, Any]:
    """--dim 64 --reg=0.1 -> {"dim": "64", "reg": "0.1"}"""
    options: dict[str, Any] = {}
    rest = [
        part
        for word in words
        for part in (word.split("=", 1) if word.startswith("--") else [word])
    ]
    while rest:
        name, value = rest.pop(0), rest.pop(0) if rest else ""
        if not name.startswith("--") or not value:
            raise click.UsageError(
                f"expected --option value, got {name} {value}".rstrip()
            )
        key = name[2:].replace("-", "_")
        if key in options:
            raise click.UsageError(f"{name} is given twice")
        options[key] = value
    return options


@main.command("evaluate", cls=Command, options=Evaluate)
@click.argument("model")
@click.pass_context
def evaluate_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Measure the live run of MODEL, or run 7 as MODEL@7."""
    with open_database(ctx) as database:
        figures = database.evaluate(model, **given_options(given))
    show(ctx, [{"metric": name, "value": value} for name, value in figures.items()])


@main.command("watch", cls=Command, options=Watch)
@click.argument("model")
@click.option(
    "--source", help="Where new events are; in PostgreSQL the name of a table."
)
@click.pass_context
def watch_(ctx: click.Context, /, model: str, source: str | None, **given: Any) -> None:
    """Let events count in answers about MODEL that are newer than its live run.

    In a DuckDB file what is new is read now, and again by each call; without --source from the
    same.
    """
    with open_database(ctx) as database:
        found = database.watch(model, source, **given_options(given))
    show(ctx, [dataclasses.asdict(found)])


@main.command("unwatch")
@click.argument("model")
@click.pass_context
def unwatch_(ctx: click.Context, model: str) -> None:
    """Answer about MODEL from its runs alone again."""
    with open_database(ctx) as database:
        database.unwatch(model)


@main.command("refresh", cls=Command, options=Refresh)
@click.argument("model")
@click.pass_context
def refresh_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Make a run of MODEL's live one in which the users of new events are folded in."""
    with open_database(ctx) as database:
        made = database.refresh(model, **given_options(given))
    show(ctx, [dataclasses.asdict(made)])


@main.command("register-embeddings", cls=Command, options=RegisterEmbeddings)
@click.argument("model")
@click.option("--items", required=True, help="A SELECT of item_id and embedding.")
@click.pass_context
def register_embeddings_(
    ctx: click.Context, /, model: str, items: str, **given: Any
) -> None:
    """Make vectors from elsewhere a model that every question works on; nothing is trained."""
    with open_database(ctx, new=True) as database:
        run = database.register_embeddings(model, items, **given_options(given))
    show(ctx, [_row(model, run)])


@main.command("register-text", cls=Command, options=RegisterText)
@click.argument("model")
@click.option(
    "--items", required=True, help="A SELECT of item_id and one column of text."
)
@click.pass_context
def register_text_(ctx: click.Context, /, model: str, items: str, **given: Any) -> None:
    """Make texts a model that every question works on.

    Nothing is downloaded, and no text is read twice.
    """
    with open_database(ctx, new=True) as database:
        run = database.register_text(model, items, **given_options(given))
    show(ctx, [_row(model, run)])


@main.command("cancel")
@click.argument("model")
@click.pass_context
def cancel_(ctx: click.Context, model: str) -> None:
    """Stop the training of MODEL, also one in another process; what is live stays live."""
    from embsql.api.database import cancel

    here = cancel(database_path(ctx), model)
    asked = f"the trainer of {model} was asked to stop"
    other = f"another process holds the file; if it trains {model}, it will stop"
    click.echo(asked if here else other)


@main.command("algorithms")
@click.argument("name", required=False)
@click.pass_context
def algorithms_(ctx: click.Context, name: str | None) -> None:
    """What can be trained; with NAME, its manual and every option with default and reason."""
    if name is None:
        rows = [
            {"algorithm": known, "what": _first_line(algorithms.manual(known))}
            for known in (*algorithms.names(), Auto.name)
        ]
        return show(ctx, rows)
    cls = algorithms.manual(name)
    if not ctx.obj["json"]:
        click.echo(f"{inspect.cleandoc(cls.__doc__ or '')}\n")
    show(
        ctx,
        [
            {"option": o.name, "default": o.default, "reason": o.reason}
            for o in declared(cls)
        ],
    )
    return None


def _first_line(cls: type[Any]) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]

"""The command line: parse, call, print."""

from __future__ import annotations

import dataclasses
import errno
import inspect
import json
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from embsql import algorithms, engines
from embsql.api.database import Database, cancel, connect
from embsql.command_options import (
    Cluster,
    DropModel,
    Evaluate,
    Features,
    Materialize,
    Project,
    RegisterEmbeddings,
    RegisterText,
    Train,
)
from embsql.errors import EmbsqlError, plain, suggestion
from embsql.options import Option, declared
from embsql.sqlfiles import questions
from embsql.sqlfiles import render as sql_render

METAVARS = {
    int: "INTEGER",
    float: "FLOAT",
    str: "TEXT",
    tuple: "INTEGER,...",
    object: "TEXT",
}

NO_FUNCTION = re.compile(r"^function embsql\.(\w+)\(.*\) does not exist$")
OPTION = re.compile(r"\b(?P<name>[a-z_]+)=(?P<value>True\b|\.\.\.|'[^']*')")

LEFT = (
    "Free blocks of the database and its log keep the bytes until: embsql compact. "
    "Backups, and copies that were"
    " published, keep the person until they are made anew. Checkpoints of a training that "
    "was killed keep vectors,"
    " without ids, until you remove the files."
)


def _as_typed(message: str) -> str:
    """A message with options of training that are written as Python's, as they are written here."""
    known = {option.name for option in declared(Train)}

    def typed(found: re.Match[str]) -> str:
        if found["name"] not in known:
            return found[0]
        value = "" if found["value"] == "True" else f" {found['value']}"
        return f"--{found['name'].replace('_', '-')}{value}"

    return OPTION.sub(typed, message) + _hint(message)


def _hint(message: str) -> str:
    """What PostgreSQL does not add where it knows no such function.

    A function of a like name, or its arguments.
    """
    found = NO_FUNCTION.search(message)
    if found is None:
        return ""
    known = questions.questions()
    if found[1] in known:
        return f". There is {known[found[1]].signature}"
    close = suggestion(found[1], known)
    return close and f".{close}"


class Main(click.Group):
    """Turns what goes wrong into one clear line and the exit code 1; wrong usage is 2, by click."""

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


def _path(ctx: click.Context) -> str:
    if not ctx.obj["db"]:
        raise click.UsageError(
            "which database? embsql --db shop.duckdb ..., or set EMBSQL_DB"
        )
    return str(ctx.obj["db"])


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _options(cls: type[Any], *, but: Collection[str] = ()) -> Decorator:
    """The options of a command as the command line has them.

    Those not given are left to their defaults.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(
            [known for known in declared(cls) if known.name not in but]
        ):
            function = _as_option(option)(function)
        return function

    return decorate


def _as_option(option: Option) -> Decorator:
    """One option with its reason as help; its value stays text, which `options.make` reads."""
    name, help_ = option.name.replace("_", "-"), _help(option)
    if option.kind is bool:
        switch = f"--{name}/--no-{name}" if option.default else f"--{name}"
        return click.option(switch, option.name, is_flag=True, default=None, help=help_)
    metavar = (
        f"[{'|'.join(option.choices)}]" if option.choices else METAVARS[option.kind]
    )
    return click.option(f"--{name}", option.name, metavar=metavar, help=help_)


def _help(option: Option) -> str:
    """The reason as a sentence, and the default unless the reason tells what none means."""
    text = f"{option.reason[0].upper()}{option.reason[1:]}."
    if option.kind is bool or option.default is None:
        return text
    default = (
        ",".join(map(str, option.default)) if option.kind is tuple else option.default
    )
    return f"{text}  [default: {default}]"


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _open(
    ctx: click.Context, *, read_only: bool = False, new: bool = False
) -> Database:
    """The database; with `new` a file is made where there is none. Raises CannotOpen."""
    path = _path(ctx)
    return connect(path if new else engines.existing(path), read_only=read_only)


def _show(ctx: click.Context, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table, or as JSON."""
    if ctx.obj["json"]:
        for row in rows:
            click.echo(json.dumps(row, default=str, ensure_ascii=False))
    else:
        from embsql.shells.text_table import format_table

        click.echo(format_table(rows))


# --- asking --------------------------------------------------------------------------------------


@main.command("sql")
@click.argument("statement")
@click.pass_context
def sql_(ctx: click.Context, statement: str) -> None:
    """Run any SQL, also BigQuery ML's CREATE MODEL, DROP MODEL and functions ML.*.

    Of several statements each answers in turn; the first that fails is the last that runs.
    """
    from embsql.api.create_model import split_statements

    with _open(ctx, new=True) as database:
        for number, one in enumerate(split_statements(statement)):
            if number and not ctx.obj["json"]:
                click.echo()
            _show(ctx, database.sql(one).to_pylist())


def _question(name: str, query: str, *, with_model: bool) -> None:
    """A command that asks one question."""

    def ask(ctx: click.Context, model: str | None = None) -> None:
        with _open(ctx) as database:
            _show(
                ctx,
                database.ask(
                    query, **({"model": model} if with_model else {})
                ).to_pylist(),
            )

    function: Callable[..., Any] = click.pass_context(ask)
    if with_model:
        function = click.argument("model")(function)
    main.command(name, help=questions.questions()[name.replace("-", "_")].doc)(function)


_question("models", "SELECT * FROM embsql.models()", with_model=False)
_question("runs", "SELECT * FROM embsql.runs($model)", with_model=True)
_question("training-log", "SELECT * FROM embsql.training_log($model)", with_model=True)
_question("trials", "SELECT * FROM embsql.trials($model)", with_model=True)
_question("evaluation", "SELECT * FROM embsql.evaluation($model)", with_model=True)
_question("gate", "SELECT * FROM embsql.gate($model)", with_model=True)
_question("validation", "SELECT * FROM embsql.validation($model)", with_model=True)


# --- doing ---------------------------------------------------------------------------------------


@main.command(
    "train", context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.argument("model")
@click.option(
    "--source", required=True, help="A SELECT, or the name of a table or file."
)
@click.option(
    "--algorithm", default="als", show_default=True, help="See: embsql algorithms"
)
@_options(Train)
@click.pass_context
def train_(
    ctx: click.Context, /, model: str, source: str, algorithm: str, **given: Any
) -> None:
    """Train MODEL and make it live.

    The algorithm's own options follow as --name value, for example --dim 64.
    """
    options = _given(given) | _extra(ctx.args)
    algorithms.check_option_names(algorithm, options)
    with _open(ctx, new=True) as database:
        run = database.train(
            model, source, algorithm=algorithm, progress=True, **options
        )
    made = {
        "model": model,
        "run_id": run.run_id,
        "status": run.status,
        "skipped": run.skipped,
    }
    _show(ctx, [made | (run.metrics if ctx.obj["json"] else {})])
    if run.metrics and not ctx.obj["json"]:
        _show(
            ctx,
            [{"metric": name, "value": value} for name, value in run.metrics.items()],
        )
    if run.refused:
        remedy = (
            f"Read it as {model}@{run.run_id}, or make it live: embsql promote "
            f"{model}@{run.run_id}"
        )
        raise click.ClickException(
            f"run {run.run_id} was not made live: {run.refused}. {remedy}"
        )


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


@main.command("evaluate")
@click.argument("model")
@_options(Evaluate)
@click.pass_context
def evaluate_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Measure the live run of MODEL, or run 7 as MODEL@7."""
    with _open(ctx) as database:
        figures = database.evaluate(model, **_given(given))
    _show(ctx, [{"metric": name, "value": value} for name, value in figures.items()])


@main.command("promote")
@click.argument("model")
@click.pass_context
def promote_(ctx: click.Context, model: str) -> None:
    """Make run 7 live: embsql promote MODEL@7."""
    with _open(ctx) as database:
        click.echo(f"run {database.promote(model)} is live")


@main.command("rollback")
@click.argument("model")
@click.pass_context
def rollback_(ctx: click.Context, model: str) -> None:
    """Make the run live that was live before."""
    with _open(ctx) as database:
        click.echo(f"run {database.rollback(model)} is live")


@main.command("register-embeddings")
@click.argument("model")
@click.option("--items", required=True, help="A SELECT of item_id and embedding.")
@_options(RegisterEmbeddings)
@click.pass_context
def register_embeddings_(
    ctx: click.Context, /, model: str, items: str, **given: Any
) -> None:
    """Make vectors from elsewhere a model that every question works on; nothing is trained."""
    with _open(ctx, new=True) as database:
        run = database.register_embeddings(model, items, **_given(given))
    _show(
        ctx,
        [
            {
                "model": model,
                "run_id": run.run_id,
                "status": run.status,
                "skipped": run.skipped,
            }
        ],
    )


@main.command("register-text")
@click.argument("model")
@click.option(
    "--items", required=True, help="A SELECT of item_id and one column of text."
)
@_options(RegisterText)
@click.pass_context
def register_text_(ctx: click.Context, /, model: str, items: str, **given: Any) -> None:
    """Make texts a model that every question works on.

    Nothing is downloaded, and no text is read twice.
    """
    with _open(ctx, new=True) as database:
        run = database.register_text(model, items, **_given(given))
    _show(
        ctx,
        [
            {
                "model": model,
                "run_id": run.run_id,
                "status": run.status,
                "skipped": run.skipped,
            }
        ],
    )


@main.command("cluster")
@click.argument("model")
@_options(Cluster)
@click.pass_context
def cluster_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Group the items or users of MODEL.

    SELECT * FROM embsql.clusters('MODEL') shows the groups.
    """
    with _open(ctx) as database:
        _show(ctx, [dataclasses.asdict(database.cluster(model, **_given(given)))])


@main.command("project")
@click.argument("model")
@_options(Project)
@click.pass_context
def project_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Draw a map of the items or users of MODEL.

    SELECT * FROM embsql.map('MODEL') gives the points.
    """
    with _open(ctx) as database:
        _show(ctx, [dataclasses.asdict(database.project(model, **_given(given)))])


@main.command("materialize")
@click.argument("model")
@_options(Materialize)
@click.pass_context
def materialize_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Write the best items of every user of MODEL, and the nearest of every item.

    They are tables for joins.
    """
    with _open(ctx) as database:
        _show(ctx, [dataclasses.asdict(database.materialize(model, **_given(given)))])


@main.command("features")
@click.argument("model")
@_options(Features)
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
    with _open(ctx) as database:
        table = database.features(model, **_given(given))
    if output is None:
        return _show(ctx, table.to_pylist())
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


@main.command("drop-run")
@click.argument("model")
@click.pass_context
def drop_run_(ctx: click.Context, model: str) -> None:
    """Remove run 7 and all its rows: embsql drop-run MODEL@7."""
    with _open(ctx) as database:
        database.drop_run(model)


@main.command("drop-model")
@click.argument("model")
@_options(DropModel)
@click.pass_context
def drop_model_(ctx: click.Context, /, model: str, **given: Any) -> None:
    """Remove MODEL with all its runs, the live one too."""
    with _open(ctx) as database:
        click.echo(f"{database.drop_model(model, **_given(given))} runs removed")


@main.command("forget")
@click.argument("user_id")
@click.pass_context
def forget_(ctx: click.Context, user_id: str) -> None:
    """Remove one person from every run of every model, also from those that are being trained."""
    with _open(ctx) as database:
        rows = database.forget(user_id)
    nobody = f": nothing here knows a user {user_id}"
    click.echo(f"{rows} rows removed{'' if rows else nobody}")
    click.echo(LEFT, err=True)


@main.command("compact")
@click.pass_context
def compact_(ctx: click.Context) -> None:
    """Write the database anew, without the bytes of what was deleted or forgotten."""
    with _open(ctx) as database:
        database.compact()
        click.echo(f"{database.engine.label} holds nothing that was deleted")


@main.command("cancel")
@click.argument("model")
@click.pass_context
def cancel_(ctx: click.Context, model: str) -> None:
    """Stop the training of MODEL, also one in another process; what is live stays live."""
    here = cancel(_path(ctx), model)
    asked = f"the trainer of {model} was asked to stop"
    other = f"another process holds the file; if it trains {model}, it will stop"
    click.echo(asked if here else other)


@main.command("publish")
@click.argument("target")
@click.argument("models", nargs=-1)
@click.pass_context
def publish_(ctx: click.Context, target: str, models: tuple[str, ...]) -> None:
    """Copy the live run of MODELS into TARGET, and make it live there.

    When no model is named, the live runs of all are copied.

    TARGET is a DuckDB file, which readers may hold open meanwhile, or postgresql://...
    """
    with _open(ctx, read_only=True) as database:
        _show(
            ctx,
            [dataclasses.asdict(done) for done in database.publish(target, *models)],
        )


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
    with connect(_path(ctx), install=True) as database:
        database.install(roles=roles, ml=ml)
        click.echo(f"embsql is installed in {database.engine.label}")


@main.command("precompile")
def precompile() -> None:
    """Compile the training loops now, so that no first training waits for it.

    For the build of an image.
    """
    from embsql.shells.precompile import compile_all

    compile_all()


@main.command("worker")
@click.option("--once", is_flag=True, help="Work off what is queued, then end.")
@click.pass_context
def worker_(ctx: click.Context, once: bool) -> None:
    """Train what SELECT embsql.train(...) asks for in PostgreSQL.

    Ends at SIGTERM, giving back what it had begun.
    """
    from embsql.shells import worker

    worker.run(_path(ctx), once=once, log=click.echo)


@main.group("dbt")
def dbt_() -> None:
    """Work with dbt: where the package is, and dbt with a worker beside it."""


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


# --- looking up ----------------------------------------------------------------------------------


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
    if extension is None:
        click.echo(sql_render.script(engine))
        return
    extension.mkdir(parents=True, exist_ok=True)
    for name, content in sql_render.extension(version("embsql")).items():
        (extension / name).write_text(content, encoding="utf-8")
        click.echo(extension / name)


@main.command("algorithms")
@click.argument("name", required=False)
@click.pass_context
def algorithms_(ctx: click.Context, name: str | None) -> None:
    """What can be trained; with NAME, its manual and every option with default and reason."""
    if name is None:
        rows = [
            {"algorithm": known, "what": _first_line(algorithms.find(known))}
            for known in algorithms.names()
        ]
        return _show(ctx, rows)
    cls = algorithms.find(name)
    if not ctx.obj["json"]:
        click.echo(f"{inspect.cleandoc(cls.__doc__ or '')}\n")
    _show(
        ctx,
        [
            {"option": o.name, "default": o.default, "reason": o.reason}
            for o in declared(cls)
        ],
    )
    return None


def _first_line(cls: type[Any]) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


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
@click.option("--user-col", help="Name of the user column in --data.")
@click.option("--item-col", help="Name of the item column in --data.")
@click.option("--weight-col", help="Name of the weight column in --data.")
@click.option(
    "--time-col",
    help="Name of the time column in --data: a timestamp, a date or a whole number.",
)
@click.pass_context
def demo_(
    ctx: click.Context, /, data: str | None, postgres: bool, **columns: str | None
) -> None:
    """Train on a small generated shop (or your file), ask ten questions, say what is next."""
    from embsql.shells.demo import own_server, run_demo

    with (
        own_server()
        if postgres
        else nullcontext(ctx.obj["db"] or "demo.duckdb") as target
    ):
        run_demo(target, data, columns, click.echo)

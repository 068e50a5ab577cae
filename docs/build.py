"""Writes the reference pages, and what changes in pages written by hand, from the code: make docs.

With --check nothing is written: stale pages are named, and the exit code is 1. Answers are compared
without their digits, because the last of them differ between processors.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

import embsql
from embsql import algorithms, errors, options
from embsql.api import commands as sql_commands
from embsql.api.text_table import format_table
from embsql.command_options import Auto
from embsql.shells import cli
from embsql.shells.demo import SHOP, open_shop, train_towers
from embsql.sqlfiles import files, questions, views

DOCS = Path(__file__).parent
README, INDEX = DOCS.parent / "README.md", DOCS / "README.md"
CHAPTERS = {
    "recommend": "Recommend",
    "search": "Search",
    "models": "Models and runs",
    "audience": "Audiences and drift",
    "cohorts": "Cohorts",
    "clusters": "Clusters",
    "maps": "Maps",
    "diagnostics": "Diagnostics",
    "features": "Features",
}
GENERATED = (
    "<!-- Written by docs/build.py; change the code it comes from, then: make docs -->"
)


def pages() -> dict[Path, str]:
    """Every generated page, by its path."""
    with embsql.connect(":memory:") as database:
        train_shop(database)
        sql, first = (
            sql_page(database),
            answered(
                filled(README, "questions", ("question", "what it answers"), asked()),
                database,
            ),
        )
    return {
        DOCS / "sql.md": sql,
        DOCS / "algorithms.md": algorithms_page(),
        DOCS / "errors.md": errors_page(),
        DOCS / "cli.md": cli_page(),
        README: first,
        INDEX: filled(INDEX, "decisions", ("decision", ""), decided()),
    }


# --- pages ---------------------------------------------------------------------------------------


def sql_page(database: embsql.Database) -> str:
    """Every question with its example's answer, and the commands."""
    questions = "\n".join(
        part for chapter in chapters() for part in _chapter(database, chapter)
    )
    return f"""# SQL reference

{GENERATED}

Every question works on every client that reads the database, DuckDB or PostgreSQL, without Python, as the same text.
`model` is a model's name for its live run, `'shop'`, or names a run, `'shop@1'`; an unknown one raises and suggests.
Ids are text. Ranks start at 1, a higher score is nearer, ties are broken by id. Arguments can be named: `k => 5`.
Scores are computed in 32-bit floats: what is equal on paper may differ in the last digit, and rank by that, on one
engine or in a table of `materialize` and not in the other.
`k` beyond what there is gives all there is; 0, less or NULL gives no rows. A vector must be as long as the run's.

The catalog has the same texts as comments: `duckdb_functions()` in DuckDB, `\\df+ embsql.*` in
psql. Schema `embsql_internal` is for questions and commands alone, and any version may change it.

The answers below are from the [generated shop](../examples/shop/README.md): run 1 was trained with `dim => 8`, run 2,
which is live, with the defaults. `shop_towers` is a two_tower with features of customers and products; `shop_tuned`
[searched](guides/tuning.md) its `dim`.

{questions}
## Views

Relations without arguments, for tools that list tables:
[how to use them](guides/bi.md#tables-without-arguments).

{table(("view", "rows", "columns"), relations())}

## Commands

The only calls that write. In DuckDB they need the Python process that opened the database with embsql. In PostgreSQL
they are functions, `SELECT embsql.train(...)`, that leave a [job for a worker](guides/postgres.md) and give its number.

{table(("call", "columns", "what it does"), commands())}

## Vectors, runs and ids

What else may be called, in a query of your own:

{table(("function", "what it gives"), primitives())}
"""


def _chapter(database: embsql.Database, chapter: str) -> Iterator[str]:
    yield f"## {CHAPTERS.get(chapter, chapter.capitalize())}\n"
    for question in questions.questions().values():
        if question.chapter == chapter:
            yield from _question(database, question)


def _question(database: embsql.Database, question: questions.Question) -> Iterator[str]:
    answer = database.ask(question.example.rstrip(";"))
    yield f"### {question.name}\n\n    embsql.{question.signature}\n"
    yield f"{question.doc}\n"
    yield f"Gives {columns(question)}.\n"
    yield f"```sql\n{question.example}\n```\n"
    yield (
        table(answer.column_names, [row.values() for row in answer.to_pylist()]) + "\n"
    )


def relations() -> list[tuple[str, str, str]]:
    """Every view: its name, what its rows are, and what its columns hold."""
    return [
        (
            f"`embsql.{view.name}`",
            view.doc.replace("\n", " "),
            "; ".join(f"`{name}` {comment}" for name, comment in view.columns),
        )
        for view in views.views()
    ]


def algorithms_page() -> str:
    """Every algorithm with its manual and options."""
    parts = [
        f"# Algorithms\n\n{GENERATED}\n",
        "Choose with `algorithm => 'svd'` in SQL, `--algorithm svd` in a shell, `algorithm=\"svd\"` in Python.\n"
        'Options go the same way: `{"dim": 32}`, `--dim 32`, `dim=32`.\n'
        "Or let [`auto`](guides/tuning.md#which-algorithm) choose, whose options come last.\n",
    ]
    for name in (*algorithms.names(), Auto.name):
        cls = algorithms.manual(name)
        rows = [
            (f"`{o.name}`", f"`{_default(o.default)}`", o.allowed, o.reason)
            for o in options.declared(cls)
        ]
        parts += [f"## {name}\n", f"{inspect.getdoc(cls)}\n"]
        parts += [
            table(
                ("option", "default", "values", "what it does, and why the default"),
                rows,
            )
            + "\n"
        ]
    return "\n".join(parts)


def errors_page() -> str:
    """Every error with its message."""
    parts = [
        f"# Errors\n\n{GENERATED}\n",
        "Every error is a class in `embsql.errors` and an `EmbsqlError`. Words in braces are filled in.\n"
        "On the command line an error is one line, and the exit code is 1. Whatever it is, what was live stays live.\n",
    ]
    source = inspect.getsource(errors)
    for title, name in re.findall(
        r"^# --- (.+?) -+$|^class (\w+)\((?!Exception)\w+\)", source, re.MULTILINE
    ):
        parts.append(
            f"## {title.capitalize()}\n"
            if title
            else f"### {name}\n\n> {_message(getattr(errors, name))}\n"
        )
    return "\n".join(parts)


def cli_page() -> str:
    """The help of every command."""
    parts = [
        f"# Command line\n\n{GENERATED}\n",
        f"```text\n{_help(cli.main, 'embsql')}\n```\n",
    ]
    for name, command in _commands(cli.main):
        parts.append(f"## {name}\n\n```text\n{_help(command, f'embsql {name}')}\n```\n")
    return "\n".join(parts)


def filled(
    page: Path, name: str, head: Iterable[str], rows: Iterable[Iterable[str]]
) -> str:
    """A page written by hand, with the table between its two comments as it is now."""
    begin, end = (
        f"<!-- {name}: written by docs/build.py -->\n",
        f"<!-- end of {name} -->",
    )
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    return f"{before}{begin}{table(head, rows)}\n{end}{rest.partition(end)[2]}"


def answered(page: str, database: embsql.Database) -> str:
    """A page with the answer to its first statement as it is now.

    The demo's model is the shop's by another name.
    """
    found = re.search(r"```sql\n(.+?);\n```\n\n```text\n(.+?)```", page, re.DOTALL)
    if not found:
        raise ValueError("README.md has no statement with an answer")
    answer = format_table(
        database.ask(found[1].replace("'demo'", "'shop'")).to_pylist()
    )
    return f"{page[: found.start(2)]}{answer}\n{page[found.end(2) :]}"


# --- parts ---------------------------------------------------------------------------------------


def asked() -> list[tuple[str, str]]:
    """(link, what it answers) of every question."""
    return [
        (f"[`{question.name}`](docs/sql.md#{question.name})", _sentence(question.doc))
        for chapter in chapters()
        for question in questions.questions().values()
        if question.chapter == chapter
    ]


def decided() -> list[tuple[str, str]]:
    """(link, title) of every decision."""
    found = sorted(DOCS.glob("decisions/*.md"))
    titles = [
        re.sub(r"^#\s*[\d:.]*\s*", "", page.read_text(encoding="utf-8").splitlines()[0])
        for page in found
    ]
    return [
        (f"[{page.name[:4]}](decisions/{page.name})", title)
        for page, title in zip(found, titles, strict=True)
    ]


def train_shop(database: embsql.Database) -> None:
    """The generated shop with two runs of a model `shop`: enough for every example."""
    open_shop(database)
    database.train(
        "shop", "shop_orders", evaluate=True, gate=False, progress=False, dim=8, **SHOP
    )
    database.train(
        "shop", "shop_orders", evaluate=True, gate=False, progress=False, **SHOP
    )
    train_towers(database, "shop_towers")
    database.train(
        "shop_tuned",
        "shop_orders",
        n_trials=3,
        dim=[4, 8, 16],
        epochs=4,
        progress=False,
        **SHOP,
    )
    database.cluster(
        "shop", labels="SELECT item_id AS entity_id, aisle AS label FROM shop_items"
    )
    database.project("shop")


def chapters() -> list[str]:
    """Folders of questions: those with a title in its order, then the others by name."""
    found = {question.chapter for question in questions.questions().values()}
    return [
        *(known for known in CHAPTERS if known in found),
        *sorted(found - set(CHAPTERS)),
    ]


def columns(question: questions.Question) -> str:
    """What a question gives back, in words."""
    if question.scalar:
        return f"one {question.columns[0][1]}"
    return ", ".join(f"`{name}` {type_}" for name, type_ in question.columns)


def commands() -> list[tuple[str, str, str]]:
    """(call, columns, what it does) of every command in SQL."""
    found = re.findall(
        r"MACRO embsql\.(\w+)\((.*?)\) AS TABLE\nSELECT\s(.*?)(?=FROM)",
        files.read_sql("commands/duckdb.sql"),
        re.DOTALL,
    )
    arguments = [" ".join(words.replace(":=", "=>").split()) for _, words, _ in found]
    calls = [
        f"`CALL embsql.{name}({words})`"
        for (name, _, _), words in zip(found, arguments, strict=True)
    ]
    given = [
        ", ".join(re.findall(r" AS (\w+)(?=[,\s])", select)) for _, _, select in found
    ]
    return list(
        zip(
            calls,
            given,
            [_first_line(sql_commands.EMBEDDED[name]) for name, _, _ in found],
            strict=True,
        )
    )


def primitives() -> list[tuple[str, str]]:
    """(name, what it gives) of what may be called besides questions and commands."""
    found = re.findall(
        r"embsql\.(\w+) IS '(.*)';", files.read_sql("prelude/comments.sql.j2")
    )
    return [(f"`embsql.{name}`", comment.replace("''", "'")) for name, comment in found]


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table in Markdown."""
    head = list(head)
    lines = [
        head,
        ["---"] * len(head),
        *([_cell(value) for value in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".replace("-0.000", "0.000")
    return ("" if value is None else str(value)).replace("|", "\\|")


def _default(value: Any) -> str:
    return "none" if value is None else str(value)


def _first_line(function: Any) -> str:
    return " ".join((inspect.getdoc(function) or "").split())


def _sentence(text: str) -> str:
    """The first sentence."""
    return re.split(r"(?<=[.?])\s", " ".join(text.split()), maxsplit=1)[0]


def _message(cls: type[Exception]) -> str:
    return (
        " ".join((inspect.getdoc(cls) or "").split())
        .replace("{{", "{")
        .replace("}}", "}")
    )


def _commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """(words, command) of every command of a group, those of a group in it behind it."""
    for name, command in sorted(group.commands.items()):
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {word}", own) for word, own in _commands(command))


def _help(command: click.Command, name: str) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=100, help_option_names=["-h", "--help"]
    )
    return command.get_help(context)


# --- writing -------------------------------------------------------------------------------------


def masked(text: str) -> str:
    """The text without the digits of answers.

    All in a row of a table, elsewhere those with four decimals.
    """
    text = re.sub(r"-?\d+\.\d{4}\b", "0", text)
    return re.sub(
        r"^\|.*",
        lambda row: re.sub(r"-?\d+(\.\d+)?", "0", row[0]),
        text,
        flags=re.MULTILINE,
    )


def stale(page: Path, text: str) -> bool:
    """Whether a page is not what it should be."""
    return not page.exists() or masked(page.read_text(encoding="utf-8")) != masked(text)


def main(words: list[str]) -> int:
    """Write the pages, or with --check name those that are stale."""
    if words not in ([], ["--check"]):
        sys.stderr.write("usage: docs/build.py [--check]\n")
        return 2
    built = pages()
    if words:
        old = [page.name for page, text in built.items() if stale(page, text)]
        sys.stderr.write("".join(f"{name} is stale; run: make docs\n" for name in old))
        return 1 if old else 0
    for page, text in built.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

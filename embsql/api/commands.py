"""The commands as SQL, inside a Python process: CALL embsql.train('shop', source => 'SELECT ...').

One function, embsql_command, takes a command's name and arguments as a list of text; sql/commands
gives each command its own name and columns. A command works on a connection of its own, so it
cannot see what the caller has not committed, and what it writes stays when the caller rolls back.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embsql import algorithms
from embsql.command_options import (
    Cluster,
    Evaluate,
    Materialize,
    Project,
    Refresh,
    ReportOptions,
    Watch,
)
from embsql.errors import BadCall, InvalidOptionsJson, UnknownCommand, suggestion
from embsql.options import check_names, declared, shortened, word

# files of the trainer's machine, where who asks for a training has no rights
TRAINER_ONLY_OPTIONS = {"source_db", "checkpoint_dir"}

Words = Sequence[str | None]


def _train(
    database: Any, model: str, source: str, algorithm: str, options: str
) -> list[Any]:
    """Train; options is JSON: the algorithm's options and train's own, for example {"dim": 64}."""
    given = _options(options)
    named = given.pop("algorithm", algorithm)
    if algorithm not in ("als", named):
        twice = f"algorithm is {named} there and {algorithm} in the call"
        raise InvalidOptionsJson(found=word(options), reason=twice)
    algorithm = named
    algorithms.check_option_names(algorithm, given)
    run = database.train(model, source, algorithm=algorithm, progress=False, **given)
    return [run.run_id, run.status, run.refused]


def _evaluate(database: Any, model: str, options: str) -> list[Any]:
    """Measure a run; the figures as JSON."""
    return [json.dumps(database.evaluate(model, **_read(Evaluate, options)))]


def _watch(database: Any, model: str, source: str | None, options: str) -> list[Any]:
    """Let events count that are newer than the live run; options names columns of the source."""
    done = database.watch(model, source, **_read(Watch, options))
    return [done.run_id, done.events, done.users, done.new_users, done.new_items]


def _unwatch(database: Any, model: str) -> list[Any]:
    """Answer about a model from its runs alone again."""
    database.unwatch(model)
    return ["watches nothing"]


def _refresh(database: Any, model: str, options: str) -> list[Any]:
    """Make a run of the live one in which the users of new events are folded in."""
    done = database.refresh(model, **_read(Refresh, options))
    folded = [done.users, done.new_users, done.new_items]
    return [done.run_id, *folded, done.retrained]


def _register_embeddings(
    database: Any, model: str, items: str, users: str | None, similarity: str
) -> list[Any]:
    """Store vectors from elsewhere as a run.

    items and users are SELECTs of an id and an embedding.
    """
    run = database.register_embeddings(
        model, items, users=users or None, similarity=similarity
    )
    return [run.run_id, run.status]


def _cluster(
    database: Any,
    model: str,
    entity: str,
    k: str,
    clustering: str,
    labels: str,
    options: str,
) -> list[Any]:
    """Group items or users.

    k by silhouette unless given; labels is a SELECT of entity_id and label.
    """
    wanted = {
        "entity": entity,
        "k": k or None,
        "clustering": clustering,
        "labels": labels or None,
    }
    done = database.cluster(model, **wanted | _read(Cluster, options))
    return [done.run_id, done.clusters, done.members, done.silhouette]


def _project(
    database: Any, model: str, entity: str, method: str, options: str
) -> list[Any]:
    """Draw a map of items or users; method is pca, umap or tsne."""
    done = database.project(
        model, **{"entity": entity, "method": method} | _read(Project, options)
    )
    return [done.run_id, done.points, done.aligned_to]


def _materialize(
    database: Any, model: str, k: str, users: str, items: str, options: str = "{}"
) -> list[Any]:
    """Write the k best items of every user and the k nearest of every item into tables."""
    wanted = {"k": k, "users": users, "items": items}
    done = database.materialize(model, **wanted | _read(Materialize, options))
    return [done.run_id, done.top_items, done.neighbors]


def _cancel(database: Any, model: str) -> list[Any]:
    """Ask the trainer of a model to stop."""
    database.cancel(model)
    return ["asked to stop"]


def _promote(database: Any, model: str) -> list[Any]:
    """Make a run live."""
    return [database.promote(model)]


def _rollback(database: Any, model: str) -> list[Any]:
    """Make the run live that was live before."""
    return [database.rollback(model)]


def _drop_run(database: Any, model: str) -> list[Any]:
    """Remove a run."""
    database.drop_run(model)
    return ["dropped"]


def _drop_model(database: Any, model: str, if_exists: str) -> list[Any]:
    """Remove a model with all its runs, the live one too; how many there were."""
    return [database.drop_model(model, if_exists=if_exists)]


def _forget(database: Any, user_id: str) -> list[Any]:
    """Remove a person from every run."""
    return [database.forget(user_id)]


def _report(
    database: Any, model: str, path: str, compared_with: str | None, options: str
) -> list[Any]:
    """Write a page about a run, or about two, into a file; in DuckDB alone."""
    models = [compared_with, model] if compared_with else [model]
    done = database.report(*models, path=path, **_read(ReportOptions, options))
    return [done.run_id, done.compared_run, done.path, done.bytes]


COMMANDS: dict[str, Callable[..., list[Any]]] = {
    function.__name__.removeprefix("_"): function
    for function in (
        _train,
        _evaluate,
        _refresh,
        _register_embeddings,
        _cluster,
        _project,
        _materialize,
        _cancel,
        _promote,
        _rollback,
        _drop_run,
        _drop_model,
        _forget,
    )
}


# only for who called them in a process of his own, never for a worker: a report is a file, and a
# server's own functions watch
EMBEDDED = COMMANDS | {"report": _report, "watch": _watch, "unwatch": _unwatch}


def perform(
    database: Any,
    name: str | None,
    words: Words,
    commands: Mapping[str, Callable[..., list[Any]]] = COMMANDS,
) -> list[str | None]:
    """Do one of the commands, whose arguments are text; its answer as text.

    Raises UnknownCommand, BadCall, and what the command raises.
    """
    if name is None or name not in commands:
        raise UnknownCommand(
            name=word(name),
            suggestion=suggestion(name, commands),
            known=", ".join(commands),
        )
    command = commands[name]
    try:
        inspect.signature(command).bind(database, *words)
    except TypeError:
        wanted = ", ".join(list(inspect.signature(command).parameters)[1:])
        raise BadCall(
            command=name, wanted=wanted, found=f"{len(words)} arguments"
        ) from None
    return [
        None if value is None else str(value) for value in command(database, *words)
    ]


def dispatcher(
    second: Callable[[], Any],
) -> Callable[[list[str | None] | None], list[str | None]]:
    """The function behind embsql_command.

    `second` opens another connection to the same database.
    """

    def command(words: list[str | None] | None) -> list[str | None]:
        name, *rest = words or [None]
        with second() as database:
            return perform(database, name, rest, EMBEDDED)

    return command


def _read(cls: type[Any], text: str | None) -> dict[str, Any]:
    """The options of a command from JSON. Raises InvalidOptionsJson and UnknownOption."""
    given = _options(text)
    check_names(cls, given, [option.name for option in declared(cls)])
    return given


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON.

    Raises ValueError for a name that comes twice, of which one value would be lost.
    """
    named = dict(pairs)
    if len(named) < len(pairs):
        twice = next(
            name for n, (name, _) in enumerate(pairs) if name in dict(pairs[:n])
        )
        raise ValueError(f"{twice} is given twice")
    return named


def _options(text: str | None) -> dict[str, Any]:
    try:
        options = json.loads(text or "", object_pairs_hook=_once)
    except (
        ValueError,
        RecursionError,
    ) as error:  # also of JSON that is nested too deep, or of a number too long
        raise InvalidOptionsJson(
            found=word(text), reason=shortened(str(error))
        ) from None
    if not isinstance(options, dict):
        raise InvalidOptionsJson(found=word(text), reason="it is not an object")
    for name in TRAINER_ONLY_OPTIONS & options.keys():
        raise InvalidOptionsJson(
            found=word(text),
            reason=f"{name} can be said in Python and on the command line only",
        )
    return options

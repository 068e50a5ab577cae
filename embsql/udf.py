"""The commands as SQL, inside a Python process: CALL embsql.train('shop', source => 'SELECT ...').

One function, embsql_command, takes a command's name and arguments as a list of text; sql/commands gives each
command its own name and columns. A command works on a connection of its own, so it cannot see what the caller
has not committed, and what it writes stays when the caller rolls back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from embsql.errors import BadArguments

OUTSIDE = {"source_db", "checkpoints"}  # files of the trainer's machine, where who asks for a training has no rights


def train(database: Any, model: str, source: str, algorithm: str, options: str) -> list[Any]:
    """Train; options is JSON: the algorithm's options and train's own, for example {"dim": 64}."""
    run = database.train(model, source, algorithm=algorithm, progress=False, **_options(options))
    return [run.run_id, run.status, run.refused]


def evaluate(database: Any, model: str, options: str) -> list[Any]:
    """Measure a run; the figures as JSON."""
    return [json.dumps(database.evaluate(model, **_options(options)))]


def register_embeddings(database: Any, model: str, items: str, users: str | None, similarity: str) -> list[Any]:
    """Store vectors from elsewhere as a run; items and users are SELECTs of an id and an embedding."""
    if items is None:
        raise BadArguments(found="no items", reason="items => 'SELECT item_id, embedding FROM ...' is needed")
    run = database.register_embeddings(model, items, users=users, similarity=similarity)
    return [run.run_id, run.status]


def cluster(database: Any, model: str, entity: str, k: str, clustering: str, labels: str, options: str) -> list[Any]:
    """Group items or users; k by silhouette unless given, labels a SELECT of entity_id and label."""
    wanted = {"entity": entity, "k": int(k) if k else None, "clustering": clustering, "labels": labels or None}
    done = database.cluster(model, **wanted | _options(options))
    return [done.run_id, done.clusters, done.members, done.silhouette]


def project(database: Any, model: str, entity: str, method: str, options: str) -> list[Any]:
    """Draw a map of items or users; method is pca, umap or tsne."""
    done = database.project(model, **{"entity": entity, "method": method} | _options(options))
    return [done.run_id, done.points, done.aligned_to]


def materialise(database: Any, model: str, k: str, users: str, items: str) -> list[Any]:
    """Write the k best items of every user, and the k nearest of every item, into tables for joins."""
    done = database.materialise(model, k=int(k), users=users == "true", items=items == "true")
    return [done.run_id, done.top_items, done.neighbors]


def cancel(database: Any, model: str) -> list[Any]:
    """Ask the trainer of a model to stop."""
    database.cancel(model)
    return ["asked to stop"]


def promote(database: Any, model: str) -> list[Any]:
    """Make a run live."""
    return [database.promote(model)]


def rollback(database: Any, model: str) -> list[Any]:
    """Make the run live that was live before."""
    return [database.rollback(model)]


def drop_run(database: Any, model: str) -> list[Any]:
    """Remove a run."""
    database.drop_run(model)
    return ["dropped"]


def forget(database: Any, user_id: str) -> list[Any]:
    """Remove a person from every run."""
    return [database.forget(user_id)]


COMMANDS: dict[str, Callable[..., list[Any]]] = {
    function.__name__: function
    for function in (
        train, evaluate, register_embeddings, cluster, project, materialise, cancel, promote, rollback, drop_run, forget
    )
}  # fmt: skip


def dispatcher(second: Callable[[], Any]) -> Callable[[list[str]], list[str | None]]:
    """The function behind embsql_command; `second` opens another connection to the same database."""

    def command(words: list[str]) -> list[str | None]:
        with second() as database:
            answer = COMMANDS[words[0]](database, *words[1:])
        return [None if value is None else str(value) for value in answer]

    return command


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadArguments(found=text, reason=str(error)) from None
    if not isinstance(options, dict):
        raise BadArguments(found=text, reason="it is not an object")
    for name in OUTSIDE & options.keys():
        raise BadArguments(found=text, reason=f"{name} can be said in Python and on the command line only")
    return options

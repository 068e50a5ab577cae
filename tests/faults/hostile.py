"""Texts that mean harm through every door: nothing happens, and nothing foreign is raised.

A try is one of 120 payloads, through every door of one engine; the first of each round is also all
of them as ids, labels and cohorts, which come back as they went in.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    chdir,
    contextmanager,
    nullcontext,
)
from pathlib import Path
from typing import Any

import embsql
from embsql.engines.columns import quote
from embsql.shells import worker
from tests.faults import seen
from tests.faults.acts import EVENTS, train
from tests.faults.payloads import PAYLOADS
from tests.faults.result import Tried
from tests.fuzz import Try, invoke, run, tell
from tests.servers import started

Server = Callable[[], Any]  # what starts one while a block runs
CATALOG = {
    "duckdb": (
        "SELECT function_name AS name FROM duckdb_functions() WHERE NOT internal ORDER BY name"
    ),
    "postgres": (
        "SELECT proname AS name FROM pg_proc WHERE oid > 16383 "
        "UNION ALL SELECT rolname FROM pg_roles ORDER BY name"
    ),
}
WORDS = {  # a command of SQL -> what it is given, $p being the payload
    "train": [
        "$p, $events",
        "'x', $p",
        "'x', $events, $p",
        "'x', $events, 'als', $p",
        "'x', $events, 'als', $json",
    ],
    "evaluate": ["$p", "'m', $p", "'m', $json"],
    "cluster": ["$p", "'m', $p", "'m', 'item', 2, $p", "'m', 'item', 2, 'default', $p"],
    "project": ["$p", "'m', $p", "'m', 'item', $p"],
    "register_embeddings": [
        "$p, $events",
        "'x', $p",
        "'x', $events, $p",
        "'x', $events, $events, $p",
    ],
    "materialize": ["$p"],
    "promote": ["$p"],
    "rollback": ["$p"],
    "drop_run": ["$p"],
    "drop_model": ["$p"],
}
QUESTIONS = [
    "recommend($p, '1')",
    "recommend('m', $p)",
    "similar_items('m', $p)",
    "features($p)",
    "runs($p)",
]


def tries(_seed: int, first: int, engines: list[str]) -> Iterator[Tried]:
    """Payload after payload, each on every engine in turn."""
    with ExitStack() as opened:
        sides = [opened.enter_context(side(engine)) for engine in engines]
        for number in itertools.count(first):
            yield sides[number % len(sides)].tried(number // len(sides) % len(PAYLOADS))


def side(engine: str, server: Server = started) -> AbstractContextManager[Side]:
    """An engine's database, while a block runs."""
    return PLACES[engine](server)


def once(engine: str, address: str, number: int) -> Tried:
    """One payload, in a database of the server's that is given."""
    with side(engine, lambda: nullcontext(address)) as opened:
        return opened.tried(number)


class Side:
    """A database with a model and a table that must stay as they are, and every door to it."""

    def __init__(self, database: embsql.Database, target: str, folder: Path) -> None:
        self.database, self.target, self.folder = database, target, folder
        self.engine = database.engine
        train(database, "als", "m", 1)
        self.engine.run("CREATE TABLE canary (n int)")
        self.engine.run("INSERT INTO canary VALUES (1)")

    def tried(self, number: int) -> Tried:
        """One payload through every door, and for the first all of them as ids."""
        payload, before = PAYLOADS[number], self._print()
        doors = [
            *self._python(payload),
            *self._sql(payload),
            *self._statements(payload),
            *self._shell(payload),
        ]
        outcomes, foreign = run(iter(doors))
        wrong = [f"{self.engine.name}: {each}" for each in foreign]
        for name in {"x", payload} & {model["model_name"] for model in self._models()}:
            self.database.drop_model(name)  # of which failed runs are kept
        effects = [
            (was, now)
            for was, now in zip(before, self._print(), strict=True)
            if was != now
        ]
        wrong += (
            [f"{self.engine.name}: {payload[:99]!r} had an effect: {effects}"]
            if effects
            else []
        )
        wrong += self._as_names(payload) + (self._as_ids() if number == 0 else [])
        return Tried(
            Counter({"payloads": 1, f"{self.engine.name} tries": outcomes.total()}),
            wrong,
        )

    def _print(self) -> list[Any]:
        """Everything that no payload may change."""
        found, engine = seen.Look(self.database).parts(), self.database.engine
        return [
            {
                name: found[name]
                for name in ("tables", "live m", f"run {found['live m']}")
            },
            [row["model_name"] for row in self._models()],
            self.database.ask("SELECT n FROM canary").to_pylist(),
            self.database.ask(CATALOG[engine.name]).to_pydict(),
            sorted(self.folder.iterdir()),
        ]

    def _models(self) -> list[dict[str, Any]]:
        return seen.Look(self.database).models

    # --- doors -----------------------------------------------------------------------------------

    def _python(self, payload: str) -> Iterator[Try]:
        """Models, sources, options and values, in Python."""
        db, quiet = self.database, {"progress": False, "dim": 2, "epochs": 1}
        for name in (
            "promote",
            "rollback",
            "drop_run",
            "cancel",
            "drop_model",
            "evaluate",
            "cluster",
            "materialize",
        ):
            yield tell(name, payload), lambda name=name: getattr(db, name)(payload)
        yield tell("train", payload), lambda: db.train(payload, EVENTS, **quiet)
        yield tell("source", payload), lambda: db.train("x", payload, **quiet)
        for option in (
            "algorithm",
            "user_col",
            "item_col",
            "weight_col",
            "time_col",
            "split",
            "device",
            "test",
            "user_features",
            "item_features",
            "graph",
            "dim",
            "epochs",
            "reg",
            "seed",
            "k",
        ):
            given = {"evaluate": True, **quiet, option: payload}
            yield (
                tell(option, payload),
                lambda given=given: self._undone(
                    lambda: db.train("x", EVENTS, **given)
                ),
            )
        for name, option in (
            ("cluster", "entity"),
            ("cluster", "labels"),
            ("project", "method"),
            ("features", "entity"),
        ):
            yield (
                tell(name, option, payload),
                lambda n=name, o=option: getattr(db, n)("m", **{o: payload}),
            )
        yield tell("items", payload), lambda: db.register_embeddings("x", payload)
        yield (
            tell("users", payload),
            lambda: db.register_embeddings("x", EVENTS, users=payload),
        )

    def _undone(self, act: Callable[[], Any]) -> Any:
        """What an act answers that may succeed, as with columns of that name; its model goes."""
        try:
            return act()
        finally:
            self.database.drop_model("x", if_exists=True)

    def _sql(self, payload: str) -> Iterator[Try]:
        """Arguments of questions and commands; what is queued is done by a worker."""
        values = {
            "p": payload,
            "events": EVENTS,
            "json": json.dumps({"dim": payload, payload[:80]: payload}),
        }
        for question in QUESTIONS:
            yield (
                tell(question, payload),
                lambda q=question: self._asked(f"SELECT * FROM embsql.{q}", values),
            )
        for command, forms in WORDS.items():
            for words in forms:
                sql = f"SELECT * FROM embsql.{command}({words})"
                yield tell(sql, payload), lambda sql=sql: self._asked(sql, values)
        if not self.engine.embedded:
            queue = "SELECT embsql_internal.enqueue($p, $p, ARRAY[$p, $p])"
            yield tell(queue, payload), lambda: self._asked(queue, values)
            yield (
                tell("worker", payload),
                lambda: worker.run(self.target, once=True, log=lambda _: None),
            )

    def _asked(self, sql: str, values: dict[str, str]) -> None:
        self.database.ask(
            sql, **{name: value for name, value in values.items() if f"${name}" in sql}
        )

    def _statements(self, payload: str) -> Iterator[Try]:
        """CREATE MODEL and its kin, of which the payload is a part."""
        quoted = payload.replace("'", "''")
        for statement in (
            f"CREATE MODEL {payload} OPTIONS(model_type='als') AS {EVENTS}",
            f"CREATE MODEL x OPTIONS(model_type='{payload}') AS {EVENTS}",
            f"CREATE MODEL x OPTIONS(model_type='{quoted}') AS {EVENTS}",
            f"CREATE MODEL x OPTIONS({payload}) AS {EVENTS}",
            f"CREATE MODEL `{payload}` OPTIONS(model_type='als') AS SELECT",
            f"DROP MODEL {payload}",
            f"SELECT * FROM ML.WEIGHTS(MODEL `{payload}`)",
        ):
            yield (
                tell(statement),
                lambda s=statement: self._undone(lambda: self.database.sql(s)),
            )

    def _shell(self, payload: str) -> Iterator[Try]:
        """Words of the command line."""
        if self.engine.embedded:
            return  # the file is open here; the command line is the same for a server
        for words in (
            ["promote", payload],
            ["drop-run", payload],
            ["runs", payload],
            ["train", payload, "--source", EVENTS],
            ["train", "x", "--source", payload],
            ["train", "x", "--source", EVENTS, "--algorithm", payload],
            ["cluster", "m", "--entity", payload],
            ["evaluate", payload],
        ):
            yield tell(*words), lambda words=words: invoke(self.target, words)

    # --- as what is stored -----------------------------------------------------------------------

    def _as_names(self, payload: str) -> list[str]:
        """What is wrong with a table and columns that are called so."""
        if not payload or "\0" in payload or len(payload.encode()) > 60:
            return []
        table, column = quote(payload), quote(payload)
        self.engine.run(f"CREATE TABLE {table} ({column} int, item_id int)")
        try:
            self.engine.run(
                f"INSERT INTO {table} SELECT i % 3, i % 5 FROM generate_series(0, 14) AS t (i)"
            )
            options = {"user_col": payload, "dim": 2, "epochs": 1, "progress": False}
            _, foreign = run(
                iter(
                    [
                        (
                            tell("as a name", payload),
                            lambda: self._trained(table, options),
                        )
                    ]
                )
            )
            return foreign
        finally:
            self.engine.run(f"DROP TABLE {table}")

    def _trained(self, table: str, options: dict[str, Any]) -> None:
        found = self._undone(lambda: self.database.train("x", table, **options))
        assert found.status == "live"

    def _as_ids(self) -> list[str]:
        """What is wrong with ids, labels and cohorts that are payloads."""
        ids = [p for p in PAYLOADS if p.strip() and "\0" not in p and len(p) < 1000]
        pairs = [
            (ids[n], ids[n * step % len(ids)])
            for n in range(len(ids))
            for step in (1, 7, 11)
        ]
        users, items = zip(*pairs, strict=True)
        self.engine.run("CREATE TABLE hostile (user_id text, item_id text)")
        self.engine.write(
            "hostile", {"user_id": users, "item_id": items}, schema="main"
        )
        try:
            _, foreign = run(
                iter([("as ids", lambda: self._undone(lambda: self._kept(ids)))])
            )
            return foreign
        finally:
            self.engine.run("DROP TABLE hostile")

    def _kept(self, ids: list[str]) -> None:
        """Train on them and ask for each; every id and label is as it was."""
        db = self.database
        db.train(
            "x", "SELECT user_id, item_id FROM hostile", dim=2, epochs=1, progress=False
        )
        db.materialize("x", k=2)
        db.cluster(
            "x",
            k=2,
            labels="SELECT item_id AS entity_id, user_id AS label FROM hostile",
        )
        known = set(ids)
        for table in ("item_embeddings", "user_embeddings", "neighbors"):
            column = {"neighbors": "neighbor_id"}.get(table, f"{table[:4]}_id")
            run_id = seen.Look(db).models[-1]["live_run"]
            rows = db.ask(
                f"SELECT {column} AS id FROM embsql.{table} WHERE run_id = $r", r=run_id
            )["id"].to_pylist()
            assert set(rows) <= known, (table, set(rows) - known)
            assert table == "neighbors" or set(rows) == known, (
                table,
                known - set(rows),
            )
        for one in ids:
            vector = db.ask(
                "SELECT * FROM embsql.item_embedding('x', items => ARRAY[$one])",
                one=one,
            )
            assert vector["item_id"].to_pylist() == [one], one


@contextmanager
def _file(_: Server) -> Iterator[Side]:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        target = f"{folder}/w.duckdb"
        with embsql.connect(target) as database:
            yield Side(database, target, Path(folder))


@contextmanager
def _server(server: Server) -> Iterator[Side]:
    with (
        tempfile.TemporaryDirectory() as folder,
        server() as target,
        embsql.connect(target) as database,
    ):
        yield Side(database, target, Path(folder))


PLACES = {"duckdb": _file, "postgres": _server}

"""What runs were trained on is kept once, and read as if each run had its own.

The oracle is a plain model: for every run a dict of its pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import embsql
from embsql.lifecycle import pair_removal, pair_versions
from embsql.lifecycle.named_statements import execute_named
from embsql.lifecycle.publish import publish

Pairs = dict[tuple[str, str], tuple[float, int | None]]  # (user, item) -> weight, time
USERS, ITEMS = 12, 8


class Models:
    """A file whose runs are written, dropped and cleared at random, and what each shall have."""

    def __init__(self, database: embsql.Database, seed: int) -> None:
        self.engine, self.rng = database.engine, np.random.default_rng(seed)
        self.runs: dict[int, Pairs] = {}
        self.models: dict[int, str] = {}
        self.last = 0

    def begin(self, model: str) -> int:
        self.last += 1
        execute_named(
            self.engine,
            "begin_run",
            run_id=self.last,
            model_name=model,
            algorithm="als",
            params="{}",
            source_sql=model,
            seed=1,
            versions="{}",
        )
        self.models[self.last] = model
        return self.last

    def drawn(self, share: float, known: Pairs | None = None) -> Pairs:
        """Pairs of which a share is new, or weighs otherwise, and another is gone."""
        pairs = dict(known or {})
        for key in [key for key in pairs if self.rng.random() < share / 2]:
            del pairs[key]
        for _ in range(int(share * USERS * ITEMS)):
            pair = f"u{self.rng.integers(USERS)}", f"i{self.rng.integers(ITEMS)}"
            time = int(self.rng.integers(3)) or None
            pairs[pair] = float(self.rng.integers(1, 4)), time
        return pairs

    def train(self) -> None:
        """A run on a source that is as before, has grown a little, or is another."""
        model = f"m{self.rng.integers(2)}"
        earlier = [run for run, name in self.models.items() if name == model]
        share = self.rng.choice([0.0, 0.05, 0.6])
        base = self.runs[self.rng.choice(earlier)] if earlier else {}
        pairs = self.drawn(share if base else 0.6, base)
        run = self.begin(model)
        with self.engine.transaction():
            pair_versions.write_pairs(self.engine, run, [columns(pairs, run)])
        self.runs[run] = pairs

    def refresh(self) -> None:
        """A run made of another: the rows of some users are written anew."""
        parent = self.any_run()
        users = {f"u{user}" for user in self.rng.integers(0, USERS, 2)}
        kept = {
            pair: of for pair, of in self.runs[parent].items() if pair[0] not in users
        }
        new = {pair: of for pair, of in self.drawn(0.3).items() if pair[0] in users}
        new[next(iter(users)), "i0"] = (1.0, None)
        run = self.begin(self.models[parent])
        with self.engine.transaction():
            pair_versions.write_changed(
                self.engine, run, parent, sorted(users), columns(new, run)
            )
        self.runs[run] = kept | new

    def drop(self) -> None:
        run = self.any_run()
        with self.engine.transaction():
            pair_removal.drop_pairs(self.engine, run)
            execute_named(self.engine, "drop_run", run_id=run)
        del self.runs[run], self.models[run]

    def forget(self) -> None:
        """A person goes from some runs, and stays in others that share what these have."""
        user = f"u{self.rng.integers(USERS)}"
        runs = sorted({self.any_run(), self.any_run()})
        with self.engine.transaction():
            gone = pair_removal.forget_pairs(self.engine, user, runs)
        theirs = [
            (run, pair) for run in runs for pair in self.runs[run] if pair[0] == user
        ]
        assert gone == len(theirs)
        for run, pair in theirs:
            del self.runs[run][pair]

    def any_run(self) -> int:
        return int(self.rng.choice(list(self.runs)))

    def step(self) -> None:
        acts = [self.train, self.refresh, self.drop, self.forget]
        act = self.rng.choice(4, p=[0.4, 0.15, 0.25, 0.2]) if len(self.runs) > 1 else 0
        acts[act]()

    def check(self) -> None:
        """Each run has its pairs, and every row that is kept is of some run."""
        found = self.engine.ask("SELECT * FROM embsql.interactions").to_pylist()
        rows = {tuple(row.values()) for row in found}
        assert len(rows) == len(found)
        assert rows == {
            (run, *pair, *of)
            for run, pairs in self.runs.items()
            for pair, of in pairs.items()
        }
        stored = self.engine.rows("SELECT count(*) AS n FROM embsql.pair_versions")
        shared = self.engine.rows(
            """
            SELECT count(DISTINCT pair.rowid) AS n
            FROM embsql.pair_versions AS pair
            JOIN embsql.run_records AS run
                ON run.series = pair.series AND run.snapshot >= pair.from_snapshot
                AND run.snapshot < coalesce(pair.to_snapshot, run.snapshot + 1)
            """
        )
        assert stored == shared


def columns(pairs: Pairs, run: int) -> dict[str, object]:
    """Pairs as they are written."""
    times = [time for _, time in pairs.values()]
    return {
        "run_id": [run] * len(pairs),
        "user_id": [user for user, _ in pairs],
        "item_id": [item for _, item in pairs],
        "weight": np.array([weight for weight, _ in pairs.values()], np.float32),
        "last_time": times,
    }


@pytest.fixture
def database() -> Iterator[embsql.Database]:
    with embsql.connect(":memory:") as database:
        yield database


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_come_and_go_in_any_order(database: embsql.Database, seed: int) -> None:
    models = Models(database, seed)
    for _ in range(20):
        models.step()
        models.check()
    for _ in list(models.runs):
        models.drop()
        models.check()
    for table in ("pair_versions", "snapshot_series"):
        assert not database.rows(f"SELECT 1 FROM embsql.{table}")


def test_what_has_not_changed_is_not_written_again(tmp_path) -> None:
    """Trained again, on what has grown, by another model on the same source, and published."""
    first, second = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    options = {"algorithm": "svd", "dim": 2, "force": True}
    kept = "SELECT count(*) AS n FROM embsql.pair_versions"
    with embsql.connect(first) as shop:
        shop.ask(
            "CREATE TABLE orders AS "
            "SELECT i % 13 AS user_id, i % 11 AS item_id FROM range(100) AS t (i)"
        )
        shop.train("one", "orders", **options)
        shop.train("one", "orders", **options)
        shop.train("two", "orders", **options)
        assert shop.rows(kept) == [{"n": 100}]
        shop.ask("INSERT INTO orders VALUES (1, 2), (0, 5)")
        shop.train("one", "orders", **options)
        grown = shop.rows(kept)
        publish(shop.engine, str(second), ["one@1", "one@4"])
    assert grown == [{"n": 102}]
    with embsql.connect(second) as shop:
        assert shop.rows(kept) == grown
        sizes = "SELECT run_id, count(*) AS n FROM embsql.interactions GROUP BY run_id"
        assert sorted(row["n"] for row in shop.rows(sizes)) == [100, 101]

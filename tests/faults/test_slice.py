"""A slice of the campaign: the same code, a few tries, at no moment that a clock decides."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ENGINES
from tests.faults import dbt, hostile, kills, readers, seen, trainers, zygote
from tests.faults.acts import ALL
from tests.faults.payloads import PAYLOADS
from tests.faults.result import Totals, Tried, resumed
from tests.faults.versions import READS, read, version
from tests.faults.zygote import returned

KILLED, LIMITED = (
    1,
    7,
)  # seeds: als dies in the middle, register_embeddings meets its limit
zygote.PRELOADED[:] = ["tests.faults.preload_few"]


@pytest.fixture(scope="module")
def server(request) -> Callable[[], AbstractContextManager[str]]:
    """The server of the suite, on which a database is made when it is asked for."""
    return lambda: nullcontext(request.getfixturevalue("new_database")())


FEW = {name: ALL[name] for name in ("als", "register", "promote")}


@pytest.fixture(scope="module", params=ENGINES)
def world(request, server) -> Iterator[kills.World]:
    with kills.living(request.param, server, FEW) as living:
        yield living


def test_what_is_killed_at_a_step_leaves_the_version_before_or_after(world) -> None:
    tried = world.tried(random.Random(KILLED), ("step",))
    assert tried.wrong == []
    assert tried.counts["killed"]
    assert tried.counts[f"{world.engine} als"]


def test_what_meets_a_limit_says_so_and_loses_nothing(world) -> None:
    blow = {"duckdb": "full", "postgres": "late"}[world.engine]
    assert world.tried(random.Random(LIMITED), (blow,)).wrong == []


def test_a_loss_is_found() -> None:
    """Of rows that went, of versions that are mixed, of runs that one act made and that differ."""
    before = {"live m": "1", "run 1": "a", "topk 1": "t"}
    after = before | {"live m": "2", "run 2": "b"}
    assert seen.changed(before, before, after) == []
    assert seen.changed(before, before | {"run 2": "b"}, after) == []
    assert seen.changed(before, before | {"run 1": "c"}, after)
    assert seen.changed(before, before | {"topk 1": "u"}, after)
    assert seen.changed(before, before | {"live m": "3"}, after)
    assert seen.unlike(before, after | {"run 3": "c"})
    assert not seen.unlike(before, after | {"run 3": "b"})


@pytest.mark.skipif(find_spec("dbt") is not None, reason="dbt is installed here")
def test_dbt_is_killed_where_it_is_installed() -> None:
    with pytest.raises(SystemExit, match="dbt is not installed here: make"):
        dbt.tries(1, 0, ["duckdb"])


@pytest.mark.parametrize("engine", ENGINES)
def test_readers_see_one_whole_version(engine: str, server) -> None:
    with readers.side(engine, server, between=3) as change:
        tried = [change(number) for number in (2, 3)]  # a promotion, a rollback
    assert [wrong for each in tried for wrong in each.wrong] == []
    assert sum(each.counts[f"{engine} reads"] for each in tried) > 5


ABOUT_OTHERS = READS[2:4]  # items, which do not change


def test_a_mixed_answer_is_found(db) -> None:
    version(db, 1)
    db.engine.run(
        "UPDATE embsql.item_embeddings SET embedding = [2, 0], norm = 2 WHERE item_id = 'i0001'"
    )
    reader = db.engine.second()
    for asked in READS:
        assert bool(read(reader, asked)) != (asked in ABOUT_OTHERS)
    reader.close()


def test_threads_train_models_of_one_file_in_turn() -> None:
    assert returned(trainers.threads, 1, 4, 2).wrong == []


def test_one_process_trains_in_a_file_and_the_others_are_refused() -> None:
    assert trainers.one_file(1, trainers=3, models=1).wrong == []


def test_hostile_texts_have_no_effect(pg) -> None:
    """In PostgreSQL, where a worker and the command line are doors too; DuckDB: tests/fuzz.py."""
    payload = PAYLOADS.index("'); DROP TABLE canary; --")
    assert returned(hostile.once, "postgres", pg, payload).wrong == []


def test_a_campaign_goes_on_where_it_was() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        totals = resumed(path, "kills", 1)
        totals.add(Tried({"killed": 1}, ["a loss"]))
        path.write_text(totals.line())
        assert (
            resumed(path, "kills", 1)
            == totals
            == Totals("kills", 1, 1, 1, Counter(killed=1), ["try 0: a loss"])
        )
        with pytest.raises(SystemExit):
            resumed(path, "kills", 2)

"""What comes next, through every door: splits, prefixes and targets, sessions, and bad ones."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql.errors import (
    BadColumnType,
    EmbsqlError,
    InvalidArgument,
    MissingColumn,
    NotEvaluated,
)
from tests.life.test_figures import asked, fill, judged

N = 8
STEPS = 10  # more than there are items, so that they come again
QUICK = {"dim": 8, "epochs": 2, "threads": 1}


def walk(user: int, steps: int = STEPS) -> list[tuple[str, str, int]]:
    """A user around a ring of items, one a day."""
    return [(f"u{user:02}", f"i{(user + n) % N}", user // 8 + n) for n in range(steps)]


@pytest.fixture(scope="module")
def ring() -> embsql.Database:
    """Models of everybody's walks: `walks` reads the order, `als` does not, `clock` reads times."""
    pytest.importorskip("torch", reason="sequence networks are trained by torch")
    with embsql.connect(":memory:") as database:
        fill(database, "visits", [row for user in range(48) for row in walk(user)])
        rnn = {
            "algorithm": "gru4rec",
            "dim": 16,
            "epochs": 12,
            "lr": 0.02,
            "threads": 1,
        }
        database.train("walks", "visits", **rnn)
        database.train("als", "visits", **QUICK)
        clock = {"algorithm": "gru4rec", "dim": 8, "epochs": 1, "time_features": True}
        database.train("clock", "visits", **clock, threads=1)
        deep = {"algorithm": "youtube_dnn", "hidden_layers": 1}
        database.train("deep", "visits", **QUICK | deep)
        turns = [(f"i{n}", float(np.cos(n)), float(np.sin(n)), n / N) for n in range(N)]
        vectors = ", ".join(f"('{item}', ARRAY{numbers})" for item, *numbers in turns)
        content = {
            "algorithm": "neural_content",
            "encoder": "gru",
            "item_features": f"SELECT * FROM (VALUES {vectors}) AS t (item_id, v)",
        }
        database.train("content", "visits", **QUICK | content)
        yield database


def test_a_network_that_learned_the_way_is_measured_so(ring: embsql.Database) -> None:
    """Of a finished run, whose events come again, by the histories that it has kept."""
    figures = ring.evaluate("walks", split="next", k=1)
    assert figures["hit_rate@1"] > 0.95
    assert figures["hit_rate@1"] == figures["mrr@1"] == figures["ndcg@1"]
    rows = ring.ask(
        "SELECT * FROM embsql.evaluation('walks') WHERE split = 'next' AND metric = 'hit_rate'"
    ).to_pylist()
    (whole,) = [row for row in rows if row["segment"] == "all"]
    assert whole["ci_low"] <= whole["value"] <= whole["ci_high"]
    assert whole["popular_value"] < 0.4
    assert whole["itemknn_value"] < 0.6
    counts = asked(ring, "walks", "next")
    assert counts["events"] == 120  # a fifth, and the rest of that day
    assert counts["events without a prefix"] == counts["events of unknown items"] == 0
    with pytest.raises(
        NotEvaluated, match=r"split 'next' cuts events.*split='next'; or"
    ):
        ring.evaluate("als", split="next")
    with pytest.raises(InvalidArgument, match="asks for it anyway"):
        ring.evaluate("walks", split="next", repeats=True)


@pytest.mark.parametrize("algorithm", ["als", "gru4rec"])
def test_training_is_measured_and_judged_by_what_comes_next(
    ring: embsql.Database, algorithm: str
) -> None:
    options = {**QUICK, "algorithm": algorithm, "evaluate": True, "split": "next"}
    first = ring.train(f"by_{algorithm}", "visits", **options, gate=False)
    assert first.metrics["hit_rate@10"] == 1  # of eight items
    ring.train(
        f"by_{algorithm}", "visits", **options | {"epochs": 3, "k": (3, 10)}, gate=True
    )
    found = judged(ring, f"by_{algorithm}")[0]
    # nothing came after what the live run has seen, so that its options are trained anew
    assert (found["basis"], found["split"], found["users"]) == ("options", "next", 40)


PREFIXES = [
    ["i1", "i2", "i3"],
    ["i5"],
    ["nowhere", "i6", "i7"],
    ["i4", "i4", "i1", "i4"],
]
TARGETS = ["i4", "i6", "i0", "unheard"]
GIVEN = pa.table({"prefix": PREFIXES, "target": TARGETS})


@pytest.mark.parametrize("model", ["walks", "als", "clock", "deep", "content"])
def test_prefixes_are_asked_as_next_items_asks(
    ring: embsql.Database, model: str
) -> None:
    figures = ring.evaluate(model, test=GIVEN, k=3)
    ask = f"SELECT item_id FROM embsql.next_items('{model}', $items, k => 3)"
    lists = [ring.ask(ask, items=prefix)["item_id"].to_pylist() for prefix in PREFIXES]
    pairs = list(zip(lists, TARGETS, strict=True))
    gains = [
        1 / (1 + found.index(target)) if target in found else 0
        for found, target in pairs
    ]
    assert figures["mrr@3"] == pytest.approx(np.mean(gains))
    assert figures["hit_rate@3"] == pytest.approx(np.mean(np.sign(gains)))
    assert asked(ring, model, "test+next") == {
        "rows without a target": 0,
        "events": 4,
        "sessions": 4,
        "events of unknown items": 1,
        "unknown items in prefixes": 1,
        "prefixes without known items": 0,
        "events without a prefix": 0,
        "events not drawn": 0,
    }


def test_times_of_a_prefix_are_read(ring: embsql.Database) -> None:
    start = np.datetime64("2026-01-01", "us")
    times = [
        [start + np.timedelta64(n * n * 9, "h") for n, _ in enumerate(p)]
        for p in PREFIXES
    ]
    given = GIVEN.append_column("times", pa.array(times, pa.list_(pa.timestamp("us"))))
    figures = ring.evaluate("clock", test=given, k=8)
    ask = "SELECT item_id FROM embsql.next_items('clock', $items, times => $times, k => 8)"
    gains = []
    for prefix, moments, target in zip(PREFIXES, times, TARGETS, strict=True):
        values = {"items": prefix, "times": [moment.item() for moment in moments]}
        found = ring.ask(ask, **values)["item_id"].to_pylist()
        gains.append(1 / (1 + found.index(target)) if target in found else 0)
    assert figures["mrr@8"] == pytest.approx(np.mean(gains))


def test_sessions_are_the_same_question_as_their_prefixes(
    each: embsql.Database,
) -> None:
    """On every engine, in SQL as in Python; with what the future holds, and a session of one."""
    fill(each, "visits", [row for user in range(24) for row in walk(user)])
    each.train("als", "visits", **QUICK)
    sessions = {"a": ["i1", "i2", "i1", "i9"], "b": ["i3"], "c": ["i7", "i6"]}
    rows = [
        (s, item, 9000 + n)
        for s, items in sessions.items()
        for n, item in enumerate(items)
    ]
    fill(each, "later", rows[::-1])
    by_rows = each.evaluate("als", test="later", split="next", k=3)
    counts = asked(each, "als", "test+next")
    assert (counts["events"], counts["sessions"]) == (4, 2)
    assert counts["events without a prefix"] == 3
    assert counts["events of unknown items"] == 1
    lists = " UNION ALL ".join(
        f"SELECT ARRAY[{', '.join(map(repr, items[:n]))}] AS prefix, '{items[n]}' AS target"
        for items in sessions.values()
        for n in range(1, len(items))
    )
    if each.engine.embedded:
        options = json.dumps({"test": lists, "k": 3})
        each.ask("CALL embsql.evaluate('als', options => $options)", options=options)
    else:
        each.evaluate("als", test=lists, k=3)
    found = each.ask(
        "SELECT metric, value FROM embsql.evaluation('als') "
        "WHERE split = 'test+next' AND segment = 'all' AND k = 3"
    ).to_pylist()
    by_lists = {f"{row['metric']}@3": row["value"] for row in found}
    assert by_lists == pytest.approx(by_rows)


def test_a_training_asks_a_test_of_prefixes(ring: embsql.Database) -> None:
    options = {**QUICK, "evaluate": True, "test": GIVEN, "gate": False, "k": 3}
    run = ring.train("tested", "visits", **options)
    assert run.metrics == ring.evaluate("tested", test=GIVEN, k=3)
    assert ring.train("tested", "visits", **options).skipped
    other = GIVEN.set_column(1, "target", pa.array(["i0", "i1", "i2", "i3"]))
    assert not ring.train("tested", "visits", **options | {"test": other}).skipped


def test_a_run_of_pairs_answers_as_of_a_moment_where_it_can_know(
    each: embsql.Database,
) -> None:
    """Of pairs that came once; else a sentence, as without moments."""
    fill(each, "once", [row for user in range(24) for row in walk(user, 5)])
    each.train("once", "SELECT * FROM once", **QUICK)
    ask = "SELECT * FROM embsql.recommend_as_of('{}', 'u03', TIMESTAMP '2026-01-03', k => 8)"
    found = each.ask(ask.format("once")).to_pylist()
    given = each.ask(
        "SELECT * FROM embsql.recommend_from('once', ARRAY['i3', 'i4', 'i5'], k => 8)"
    ).to_pylist()
    assert [row["item_id"] for row in found] == [row["item_id"] for row in given]
    assert {row["source"] for row in found} == {"fold_in"}
    again = "SELECT * FROM once UNION ALL SELECT * FROM once WHERE item_id = 'i3'"
    each.train("again", again, **QUICK)
    with pytest.raises(
        EmbsqlError, match=r"again@2, which keeps the last time alone of a pair"
    ):
        each.ask(ask.format("again"))
    each.train("timeless", "SELECT user_id, item_id FROM once", **QUICK)
    nanoseconds = "CAST(extract(epoch FROM event_time) * 1000000000 AS BIGINT)"
    source = f"SELECT user_id, item_id, {nanoseconds} AS event_time FROM once"
    each.train("numbers", source, **QUICK)
    for name in ("timeless", "numbers"):
        with pytest.raises(EmbsqlError, match="events have no moments"):
            each.ask(ask.format(name))


def test_of_a_refreshed_run_repeated_rows_are_unknown(each: embsql.Database) -> None:
    fill(each, "once", [row for user in range(24) for row in walk(user, 5)])
    each.train("pairs", "SELECT * FROM once", **QUICK)
    each.watch("pairs", "once")
    fill(each, "later", walk(3, 8))
    each.engine.run("INSERT INTO once SELECT * FROM later")
    assert each.refresh("pairs").run_id == 2
    with pytest.raises(NotEvaluated, match="perhaps some repeated rows"):
        each.evaluate("pairs", split="next")


def rows(**columns: object) -> pa.Table:
    return pa.table(columns)


NO_PREFIX = "no event of its test has one before it"
BAD: list[tuple[pa.Table, str | None, type[EmbsqlError], str]] = [
    (rows(prefix=[["i1"]]), None, MissingColumn, 'the test has no column "target"'),
    (
        rows(prefix=["i1"], target=["i2"]),
        None,
        BadColumnType,
        '"prefix" must be a list',
    ),
    (
        rows(prefix=[[1]], target=["i2"]),
        None,
        BadColumnType,
        "of the type of the prefix's items",
    ),
    (
        rows(prefix=pa.array([[]], pa.list_(pa.string())), target=["i2"]),
        None,
        NotEvaluated,
        NO_PREFIX,
    ),
    (
        rows(prefix=[["i1"]], target=pa.array([None], pa.string())),
        None,
        NotEvaluated,
        "has a target",
    ),
    (
        rows(prefix=[["i1", "i2"]], target=["i2"], times=[[1]]),
        None,
        NotEvaluated,
        "differ in length; give every item one time",
    ),
    (
        rows(prefix=[["i1", "i2"]], target=["i2"], times=[[1, None]]),
        None,
        NotEvaluated,
        "1 times that are NULL",
    ),
    (
        rows(user_id=["a", "a"], item_id=["i1", "i2"]),
        "next",
        MissingColumn,
        '"event_time"',
    ),
    (
        rows(user_id=["a", "a"], item_id=["i1", "i2"], event_time=[1, None]),
        "next",
        NotEvaluated,
        "1 rows of its test have no event_time",
    ),
    (
        rows(user_id=["a", "b"], item_id=["i1", "i2"], event_time=[1, 2]),
        "next",
        NotEvaluated,
        NO_PREFIX,
    ),
    (
        rows(prefix=[["i1"]], target=["i2"], times=[["now"]]),
        None,
        BadColumnType,
        "a list of timestamps",
    ),
    (
        rows(
            user_id=["a"] * 2, item_id=["i1", "i2"], event_time=pa.nulls(2, pa.int64())
        ),
        "next",
        NotEvaluated,
        "2 rows of its test have no event_time",
    ),
    (
        rows(user_id=["a"], item_id=pa.array([None], pa.string()), event_time=[1]),
        "next",
        NotEvaluated,
        "its test gives no event",
    ),
]


@pytest.mark.parametrize(("test", "split", "error", "words"), BAD)
def test_what_is_no_test_of_sessions(
    ring: embsql.Database,
    test: pa.Table,
    split: str | None,
    error: type[EmbsqlError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        ring.evaluate("als", test=test, split=split or "auto")


def test_only_unknown_items_are_a_miss_and_counted(ring: embsql.Database) -> None:
    """As are repeats alone an answer, and a NULL among a prefix's items passed over."""
    prefixes = [["no", "nor"], ["i1"] * 300, [None, "i2"]]
    given = pa.table({"prefix": prefixes, "target": ["i1", "i2", "i3"]})
    for model in ("walks", "als"):
        figures = ring.evaluate(model, test=given, k=8)
        assert figures["hit_rate@8"] == pytest.approx(2 / 3)
        counts = asked(ring, model, "test+next")
        assert counts["prefixes without known items"] == 1
        assert counts["unknown items in prefixes"] == 2


def test_figures_and_options_that_do_not_go_together(ring: embsql.Database) -> None:
    with pytest.raises(InvalidArgument, match="split must be left out with test"):
        ring.evaluate("als", test=GIVEN, split="last")
    with pytest.raises(InvalidArgument, match="repeats must be false"):
        ring.evaluate("als", test=GIVEN, split="next", repeats=True)

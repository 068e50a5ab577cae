"""Bad input: each case has one outcome, never a traceback of ours, never a half-written run."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import embsql
from embsql import errors
from embsql.algorithms import find, names

NO_SELECT = (
    errors.NotASelect,
    errors.SourceFailed,
)  # DuckDB tells what stands there, PostgreSQL where it stumbles
GOOD = (
    "('a', 'x', 1.0), ('a', 'y', 1.0), ('b', 'x', 2.0), ('b', 'z', 1.0), "
    "('c', 'y', 1.0), ('c', 'z', 3.0)"
)


def rows(extra: str = "", good: str = GOOD) -> str:
    """A source of these rows."""
    return (
        f"SELECT * FROM (VALUES {', '.join(part for part in (good, extra) if part)}) "
        f"AS t(user_id, item_id, weight)"
    )


REFUSED = [
    ("no rows", rows() + " WHERE FALSE", errors.NoRows, "0 rows"),
    (
        "only NULL ids",
        rows("(NULL, 'x', 1.0)", good=""),
        errors.NoRows,
        "1 rows, none of them",
    ),
    (
        "one user",
        rows("('a', 'x', 1.0), ('a', 'y', 1.0)", good=""),
        errors.NotEnoughData,
        "1 users and 2 items",
    ),
    (
        "one item",
        rows("('a', 'x', 1.0), ('b', 'x', 1.0)", good=""),
        errors.NotEnoughData,
        "2 users and 1 items",
    ),
    (
        "NaN weight",
        rows("('d', 'x', CAST('nan' AS FLOAT8))"),
        errors.BadWeights,
        "not finite.*user d, item x, weight nan",
    ),
    (
        "infinite weight",
        rows("('d', 'x', CAST('inf' AS FLOAT8))"),
        errors.BadWeights,
        "not finite",
    ),
    ("huge weight", rows("('d', 'x', 1e300)"), errors.BadWeights, "not finite"),
    (
        "negative weight",
        rows("('d', 'x', -2.0)"),
        errors.BadWeights,
        "negative: 1, for example user d",
    ),
    (
        "text weight",
        "SELECT 'a' AS user_id, 'x' AS item_id, '1,5' AS weight",
        errors.BadColumnType,
        '"weight" must be',
    ),
    (
        "million-letter id",
        rows("(repeat('n', 1000000), 'x', 1.0)"),
        errors.IdTooLong,
        "1000000 bytes",
    ),
    (
        "list as id",
        "SELECT ARRAY[1] AS user_id, 'x' AS item_id",
        errors.BadColumnType,
        '"user_id" must be text',
    ),
    (
        "no such column",
        "SELECT 1 AS userid, 2 AS item_id",
        errors.MissingColumn,
        'no column "user_id".*mean "userid"',
    ),
    ("no such table", "SELECT * FROM nowhere", errors.SourceFailed, "nowhere"),
    ("table that is not there", "nowhere", errors.SourceFailed, "nowhere"),
    ("nonsense", "SELEKT *", NO_SELECT, "syntax|SELEKT"),
    ("empty text", "", errors.NotASelect, "nothing"),
    ("a command", "DROP TABLE precious", errors.NotASelect, "DROP"),
    (
        "two statements",
        "SELECT 1 AS user_id, 2 AS item_id; DROP TABLE precious",
        NO_SELECT,
        "SELECT and DROP|syntax",
    ),
    (
        "bracket games",
        "SELECT 1 AS user_id, 2 AS item_id) AS t; DROP TABLE precious; --",
        errors.SourceFailed,
        "",
    ),
    (
        "text time",
        "SELECT 1 AS user_id, 2 AS item_id, 'noon' AS event_time",
        errors.BadColumnType,
        "a timestamp",
    ),
]


@pytest.fixture
def precious(each: embsql.Database) -> embsql.Database:
    each.engine.run("CREATE TABLE precious AS SELECT 42 AS answer")
    return each


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_refused(precious, source: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"(?is){says}"):
        precious.train("m", source, dim=4)
    assert precious.ask("SELECT answer FROM precious").to_pylist() == [{"answer": 42}]
    for table in ("item_embeddings", "user_embeddings", "interactions", "leases"):
        assert precious.ask(f"SELECT 1 FROM embsql.{table}").num_rows == 0
    assert precious.ask("SELECT status FROM embsql.runs('m')").to_pylist() == [
        {"status": "failed"}
    ]
    assert precious.train("m", rows(), dim=4).status == "live"


ACCEPTED = [
    (
        "NULL and empty ids are left out",
        "(NULL, 'x', 1.0), ('d', NULL, 1.0), ('', 'x', 1.0)",
        3,
        6,
        {"missing user id": 2, "missing item id": 1},
    ),
    (
        "NULL and zero weights are left out",
        "('d', 'x', NULL), ('e', 'x', 0.0)",
        3,
        6,
        {"missing weight": 1, "zero weight": 1},
    ),
    (
        "repeats are added up",
        "('a', 'x', 1.0), ('a', 'x', 1.0)",
        3,
        6,
        {"repeated pairs": 2},
    ),
    (
        "ids that look alike are told",
        "('A', 'x', 1.0), (' a', 'y', 1.0)",
        5,
        8,
        {"user ids alike": 1},
    ),
    (
        "an outlier is told",
        "('d', 'x', 100000.0), ('d', 'y', 1.0)",
        4,
        8,
        {"outlier weight": 1},
    ),
    ("a single item is told", "('d', 'x', 1.0)", 4, 7, {"users with one item": 1}),
    (
        "an item that most met is told",
        "('c', 'x', 1.0), ('d', 'x', 1.0)",
        4,
        8,
        {"item of most users": 4},
    ),
    (
        "quotes, emoji, newlines",
        "('o''brien\"', '🙂\n--', 1.0), ('o''brien\"', 'x', 1.0)",
        4,
        8,
        {},
    ),
]


@pytest.mark.parametrize(
    ("extra", "users", "pairs", "findings"),
    [case[1:] for case in ACCEPTED],
    ids=[case[0] for case in ACCEPTED],
)
def test_accepted(
    each, extra: str, users: int, pairs: int, findings: dict[str, int]
) -> None:
    each.train("m", rows(extra), dim=4)
    made = each.ask(
        "SELECT users, interactions FROM embsql.runs WHERE run_id = embsql.live_run('m')"
    ).to_pylist()
    assert made == [{"users": users, "interactions": pairs}]
    report = {
        row["check"]: row
        for row in each.ask("SELECT * FROM embsql.validation('m')").to_pylist()
    }
    for name, affected in findings.items():
        assert report[name]["rows"] == affected
        assert report[name]["severity"] != "ok"
        assert report[name]["hint"]


def test_ids_are_what_they_were(each) -> None:
    each.train(
        "m", rows("('o''brien\"', '🙂\n--', 1.0), ('o''brien\"', 'x', 1.0)"), dim=4
    )
    found = each.ask(
        "SELECT item_id FROM embsql.item_embedding('m', items => ARRAY['🙂\n--'])"
    ).to_pylist()
    assert found == [{"item_id": "🙂\n--"}]
    assert (
        each.ask("SELECT * FROM embsql.recommend('m', 'o''brien\"', k => 1)").num_rows
        == 1
    )


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("TIMESTAMP '2026-01-01 00:00:00' + INTERVAL '1 second' * i", 1767225629000000),
        (
            "TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL '1 second' * i",
            1767225629000000,
        ),
        ("DATE '2026-01-01'", 1767225600000000),
        ("i", 29),
        ("CASE WHEN i < 29 THEN NULL ELSE i END", 29),
    ],
)
def test_time_is_a_moment_or_an_order(each, time: str, expected: int) -> None:
    each.train(
        "m",
        f"SELECT i % 5 AS user_id, i % 3 AS item_id, {time} AS event_time "
        f"FROM generate_series(0, 29) AS t(i)",
        dim=2,
    )
    assert each.ask(
        "SELECT max(last_time) AS t FROM embsql.interactions"
    ).to_pylist() == [{"t": expected}]


def test_times_that_are_all_null_are_no_order(each) -> None:
    """As of a run whose source had none, when it is measured later by what was stored."""
    each.train(
        "m",
        "SELECT i % 5 AS user_id, i % 7 AS item_id FROM generate_series(0, 34) AS t(i)",
        dim=2,
    )
    each.evaluate("m", k=5)
    assert each.ask("SELECT DISTINCT split FROM embsql.metrics").to_pylist() == [
        {"split": "random"}
    ]


def test_time_in_the_future_is_reported(each) -> None:
    rows = "FROM generate_series(0, 29) AS t(i)"
    source = (
        f"SELECT i % 5 AS user_id, i % 3 AS item_id, "
        f"TIMESTAMP '2999-01-01' AS event_time {rows}"
    )
    each.train("m", source, dim=2)
    found = each.ask(
        "SELECT rows FROM embsql.validation('m') WHERE \"check\" = 'time in the future'"
    ).to_pylist()
    assert found == [{"rows": 30}]


def test_columns_by_other_names(each) -> None:
    source = (
        'SELECT i % 5 AS "the ""user""", i % 3 AS sku, 2 AS "Quantity", i AS "when" '
        "FROM generate_series(0, 29) AS t(i)"
    )
    each.train(
        "m",
        source,
        user_col='the "user"',
        item_col="SKU",
        weight_col="quantity",
        time_col="when",
        dim=2,
    )
    found = each.ask(
        "SELECT DISTINCT weight, last_time IS NOT NULL AS timed FROM embsql.interactions"
    ).to_pylist()
    assert found == [{"weight": 4.0, "timed": True}]


def test_a_source_that_changes_its_mind_is_read_once(each) -> None:
    """random() gives other rows each time it is evaluated: vocabularies and pairs must agree all
    the same.
    """
    source = (
        "SELECT i % 40 AS user_id, i % 17 AS item_id "
        "FROM generate_series(0, 1999) AS t(i) WHERE random() < 0.05"
    )
    run = each.train("m", source, dim=2)
    counts = each.ask(
        "SELECT interactions, users FROM embsql.runs WHERE run_id = $n", n=run.run_id
    ).to_pylist()[0]
    assert (
        counts["interactions"]
        == each.ask("SELECT count(*) AS n FROM embsql.interactions").to_pylist()[0]["n"]
    )


def test_a_file_is_a_source(db, tmp_path) -> None:
    path = tmp_path / "o'brien.csv"
    path.write_text(
        "user_id,item_id\n" + "\n".join(f"{i % 5},{i % 3}" for i in range(30))
    )
    assert db.train("m", str(path), dim=2).status == "live"


def test_order_of_rows_changes_nothing(db) -> None:
    source = (
        "SELECT i % 40 AS user_id, (i * 7) % 17 AS item_id, "
        "1 + (i % 3) / 10 AS weight FROM range(3000) t(i)"
    )
    one = db.train("one", source, dim=4)
    two = db.train("two", f"{source} ORDER BY hash(i)", dim=4)
    sums = db.ask(
        "SELECT DISTINCT checksum FROM embsql.runs WHERE run_id IN ($a, $b)",
        a=one.run_id,
        b=two.run_id,
    )
    assert sums.num_rows == 1


SIDES = {
    "user_features": "SELECT DISTINCT user_id, 1 AS c FROM",
    "item_features": "SELECT DISTINCT item_id, 1 AS c FROM",
    "graph": "SELECT 'x' AS source_node, 'y' AS target_node FROM",
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("algorithm", names())
def test_what_an_algorithm_does_not_read_is_refused(
    here: embsql.Database, algorithm: str, side: str
) -> None:
    if side in find(algorithm).sides:
        return
    with pytest.raises(
        errors.InvalidArgument,
        match=f"{side} must be left out: {algorithm} does not read it, ",
    ) as caught:
        here.train("m", "ev", algorithm=algorithm, **{side: f"{SIDES[side]} ev"})
    assert (
        str(caught.value)
        .split("does not read it, ")[1]
        .split(" do")[0]
        .split(" and ")[0]
        in names()
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "time"}, "split must be given together with evaluate or n_trials"),
        ({"repeats": True}, "repeats must be given together with evaluate or n_trials"),
        ({"k": 5}, "k must be given together with evaluate or n_trials"),
        ({"gate": False}, "gate must be given together with evaluate"),
        (
            {"gate_tolerance": 0.5},
            "gate_tolerance must be given together with evaluate",
        ),
        (
            {"evaluate": True, "test": "ev", "split": "random"},
            "split must be left out with test",
        ),
        (
            {"evaluate": True, "gate": False, "gate_tolerance": 0.5},
            "gate_tolerance must be given together with evaluate and gate",
        ),
        ({"algorithm": "svd", "device": "cuda"}, "device must be cpu with svd"),
        (
            {"algorithm": "item2vec", "method": "ppmi", "device": "cuda"},
            "device must be cpu with item2vec and these options; see embsql algorithms item2vec",
        ),
        (
            {"algorithm": "item2vec", "method": "ppmi", "warm_start": True},
            "warm_start must be false with item2vec and these options; "
            "see embsql algorithms item2vec",
        ),
        (
            {"user_col": "user_id", "item_col": "USER_ID"},
            "item_col must be another column than that of users",
        ),
        (
            {"algorithm": "item2vec", "item_features": "ev"},
            "does not read it with these options",
        ),
        (
            {"algorithm": "half_als", "user_features": "ev"},
            "does not read it with these options",
        ),
    ],
)
def test_no_option_is_without_effect(
    here: embsql.Database, options: dict, words: str
) -> None:
    with pytest.raises(errors.InvalidArgument, match=words):
        here.train("m", "ev", **options)


@pytest.mark.parametrize(
    "algorithm", ["als", "content", "fusion", "half_als", "neural_content", "svd"]
)
def test_a_warm_start_of_what_starts_afresh_is_refused(
    here: embsql.Database, algorithm: str
) -> None:
    words = (
        f"warm_start must be false with {algorithm}, which starts afresh; bert4rec, gru4rec, "
        "item2vec, node2vec, sasrec, two_tower and youtube_dnn go on"
    )
    with pytest.raises(errors.InvalidArgument, match=words):
        here.train("m", "ev", algorithm=algorithm, warm_start=True)


@pytest.mark.parametrize("algorithm", names())
def test_a_warm_start_is_read_by_those_that_are_said_to(algorithm: str) -> None:
    """Where an algorithm starts from is `run.before`: its own file or its family's reads it."""
    folder = Path(inspect.getfile(find(algorithm))).parents[1]
    network = re.search(
        r'train_network\(\s*"(\w+)\.', inspect.getsource(find(algorithm).fit)
    )
    file = (
        folder / "nn" / f"{network[1]}.py"
        if network
        else folder / "algorithms" / f"{algorithm}.py"
    )
    assert bool(find(algorithm).warm_starts) == ("run.before" in file.read_text())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"algorithm": "two_tower"}, "two_tower needs the Python package torch"),
        ({"device": "cuda"}, "training on a GPU needs the Python package torch"),
    ],
)
def test_that_torch_is_missing_is_reported_before_anything_is_read(
    here: embsql.Database, monkeypatch: pytest.MonkeyPatch, options: dict, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(errors.MissingExtra, match=words):
        here.train("m", "no_such_table", **options)


def test_what_is_unchanged_needs_no_torch(
    each: embsql.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "SELECT i % 4 AS user_id, i % 7 AS item_id FROM generate_series(1, 28) AS t (i)"
    )
    options: dict[str, Any] = {"algorithm": "two_tower", "dim": 2, "epochs": 1}
    options |= {"evaluate": True, "gate": False}
    first = each.train("m", source, **options)
    monkeypatch.setitem(sys.modules, "torch", None)
    again = each.train("m", source, **options)
    assert (again.skipped, again.run_id) == (True, first.run_id)
    for changed in ({"dim": 3}, {"force": True}):
        with pytest.raises(errors.MissingExtra, match="two_tower needs"):
            each.train("m", source, **options | changed)
    with pytest.raises(errors.MissingExtra, match="two_tower needs"):
        each.evaluate("m")


NONE = "SELECT i % 2 AS user_id, i % 3 AS item_id, {} FROM range(6) AS t (i)"


def test_weights_too_small_for_a_float_are_none(here: embsql.Database) -> None:
    with pytest.raises(errors.NoRows):
        here.train("m", NONE.format("1e-46 AS weight"), dim=2)


def test_weights_that_add_up_to_too_much(here: embsql.Database) -> None:
    rows = (
        f"{NONE.format('2e38 AS weight')} "
        f"UNION ALL {NONE.format('2e38 AS weight')} UNION ALL {NONE.format('1')}"
    )
    with pytest.raises(errors.BadWeights, match="added up") as caught:
        here.train("m", rows, dim=2)
    mended = f"SELECT * FROM ({rows}) {caught.value.values['remedy']}"
    assert here.train("m", mended, dim=2).status == "live"


def test_the_oldest_time_there_is(here: embsql.Database) -> None:
    time = "CASE i WHEN 0 THEN -9223372036854775808 WHEN 1 THEN NULL ELSE i END AS event_time"
    assert here.train("m", NONE.format(time), dim=2).status == "live"


def test_an_infinite_time_is_none(each: embsql.Database) -> None:
    time = "CASE i WHEN 0 THEN 'infinity' ELSE '2026-03-14' END"
    for type_ in ("timestamp", "date", "timestamptz"):
        rows = NONE.format(f"CAST({time} AS {type_}) AS event_time").replace(
            "range(6)", "generate_series(0, 5)"
        )
        each.train("m", rows, dim=2)
        found = each.ask(
            "SELECT rows FROM embsql.validation('m') WHERE \"check\" = 'missing time'"
        )
        assert found["rows"].to_pylist() == [1]


@pytest.mark.parametrize(
    "value", [np.int64(3), np.float64(0.5), np.bool_(True), np.str_("a")]
)
def test_numbers_of_numpy_are_parameters(each: embsql.Database, value: Any) -> None:
    assert each.ask("SELECT $x AS y", x=value)["y"].to_pylist() == [value.item()]


def test_a_list_is_no_id(here: embsql.Database) -> None:
    with pytest.raises(
        errors.InvalidArgument, match=r"id must be text, .* got \['a'\]"
    ):
        here.forget(["a"])


def test_a_file_of_another_format_is_no_target(
    here: embsql.Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    here.train("m", "ev", dim=2)
    for attempt in (
        lambda: here.publish(str(path)),
        lambda: embsql.connect(str(path), read_only=True),
    ):
        with pytest.raises(errors.CannotOpen, match="it is no DuckDB database"):
            attempt()


def test_an_inexact_id_is_whole_by_its_remedy(each: embsql.Database) -> None:
    rows = (
        "SELECT 9007199254740992::float8 AS user_id, i AS item_id "
        "FROM generate_series(0, 3) AS t (i)"
    )
    with pytest.raises(errors.InexactId) as caught:
        each.train("m", rows)
    mended = (
        f"SELECT {caught.value.values['remedy']}, item_id "
        f"FROM ({rows}) AS t UNION ALL SELECT 1, 1"
    )
    each.train("m", mended, dim=2)
    assert (
        "9007199254740992"
        in each.ask("SELECT user_id FROM embsql.user_embedding('m')")[
            "user_id"
        ].to_pylist()
    )


@pytest.fixture(scope="module")
def here():
    with embsql.connect(":memory:") as database:
        rows = "SELECT 'u' || i % 5 AS user_id, 'i' || i % 7 AS item_id FROM range(35) AS t (i)"
        database.engine.run(f"CREATE TABLE ev AS {rows}")
        yield database

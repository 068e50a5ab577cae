"""States of sequence networks in SQL against torch, on runs as training writes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

import embsql
from embsql.errors import StatementFailed, ZonedTimes
from embsql.lifecycle.installation import install_readers
from tests.conftest import ENGINES

torch = pytest.importorskip(
    "torch", reason="sequence networks are trained by torch, which is an extra"
)

from embsql.nn import sequence_training  # noqa: E402 - it imports torch
from embsql.nn.histories import EventHistories  # noqa: E402 - it imports torch
from embsql.nn.sequence_model import SequenceModel  # noqa: E402 - it imports torch

N_ITEMS, MAX_LENGTH, N_SESSIONS = 12, 6, 50
ITEMS = [f"i{n:02}" for n in range(N_ITEMS)]
# of all items but the last
GIVEN = ", ".join(
    f"('{item}', ARRAY[{np.cos(n):.3f}, {np.sin(n):.3f}, {n / 9:.3f}])"
    for n, item in enumerate(ITEMS[:-1])
)
RUNS: dict[str, dict[str, Any]] = {
    "ring": {"algorithm": "gru4rec", "epochs": 5, "lr": 0.01},
    "gru": {"algorithm": "gru4rec", "n_layers": 2, "temperature": 0.5},
    "sasrec": {"algorithm": "sasrec", "n_layers": 3, "n_heads": 4},
    "masked": {"algorithm": "bert4rec"},
    "deep": {
        "algorithm": "youtube_dnn",
        "hidden_layers": 2,
        "hidden_dim": 24,
        "temperature": 0.5,
    },
    "clock": {"algorithm": "bert4rec", "time_features": True},
    "hours": {"algorithm": "youtube_dnn", "time_features": True},
    "content": {
        "algorithm": "neural_content",
        "encoder": "gru",
        "similarity": "cosine",
        "item_features": f"SELECT * FROM (VALUES {GIVEN}) AS t (item_id, v)",
    },
}
WITHOUT_TIMES = ["ring", "gru", "sasrec", "masked", "deep"]
Models = dict[str, SequenceModel]
Trained = tuple[embsql.Database, Models]


def source() -> str:
    """Walks around a ring of items, each event some hours after the one before."""
    rng = np.random.default_rng(0)
    rows = [
        f"('u{user:03}', '{ITEMS[(start + n) % N_ITEMS]}', "
        f"TIMESTAMP '2026-01-01' + INTERVAL '{start * 50 + n * n * 7 + user} hours')"
        for user in range(100)
        for start in [int(rng.integers(N_ITEMS))]
        for n in range(int(rng.integers(2, 10)))
    ]
    return (
        f"SELECT * FROM (VALUES {', '.join(rows)}) AS t (user_id, item_id, event_time)"
    )


@pytest.fixture(scope="module", params=ENGINES)
def trained(request) -> Iterator[Trained]:
    """A database with a run of each network, and torch's model behind each."""
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    models: Models = {}
    build = sequence_training.build_model
    usual = {"dim": 8, "epochs": 1, "max_length": MAX_LENGTH, "threads": 1}
    with embsql.connect(target) as database, pytest.MonkeyPatch.context() as patch:
        for name, options in RUNS.items():
            columns = "*" if name != "deep" else "s.user_id, s.item_id"  # without times
            patch.setattr(
                sequence_training,
                "build_model",
                lambda *given, name=name: models.setdefault(name, build(*given)),
            )
            database.train(
                name,
                f"SELECT {columns} FROM ({source()}) AS s",
                progress=False,
                **usual | {"dim": 16} | options,
            )
        patch.undo()
        yield database, models


def state(model: SequenceModel, session: list[str], *, masked: bool) -> np.ndarray:
    """What torch makes of a session: (d,)."""
    item = torch.tensor([ITEMS.index(one) for one in session])
    n = len(item)
    no_times = torch.empty(n, 0, dtype=torch.int64)
    events = EventHistories(
        torch.tensor([0, n]), item, torch.ones(n), torch.zeros(n), no_times
    )
    if masked:
        events = events.latest(MAX_LENGTH - 1).append(model.n_items)
    return model.last_states(events.latest(MAX_LENGTH)).numpy()[0]


def array(items: list[str]) -> str:
    return f"ARRAY[{', '.join(repr(one) for one in items)}]"


def vectors(database: embsql.Database, call: str, rows: str) -> np.ndarray:
    """What a call gives for each of some rows, which have a number n: (n, d)."""
    vector = call if database.engine.embedded else f"CAST({call} AS real[])"
    found = database.engine.rows(
        f"SELECT s.n, {vector} AS state FROM ({rows}) AS s ORDER BY s.n"
    )
    return np.array([row["state"] for row in found], np.float64)


def in_sql(database: embsql.Database, name: str, sessions: list[list[str]]) -> Any:
    """The states of sessions: (n, d)."""
    rows = " UNION ALL ".join(
        f"SELECT {n} AS n, {array(session)} AS items"
        for n, session in enumerate(sessions)
    )
    return vectors(database, f"embsql.fold_in('{name}', s.items)", rows)


def assert_near(found: np.ndarray, wanted: np.ndarray) -> None:
    """To 1e-4 of each vector's largest number: (n, d) and (n, d)."""
    assert found.shape == wanted.shape
    largest = np.abs(wanted).max(axis=1)  # (n,)
    assert (np.abs(found - wanted).max(axis=1) < 1e-4 * largest).all()


@pytest.mark.parametrize("name", WITHOUT_TIMES)
def test_a_state_is_that_of_torch(trained: Trained, name: str) -> None:
    """Of one event, of more than are read, with repeats."""
    database, models = trained
    rng = np.random.default_rng(1)
    lengths = [1, MAX_LENGTH, *rng.integers(1, 2 * MAX_LENGTH, N_SESSIONS - 2)]
    sessions = [
        [ITEMS[int(code)] for code in rng.integers(N_ITEMS, size=n)] for n in lengths
    ]
    model = models[name].cpu()
    wanted = [state(model, one, masked=name == "masked") for one in sessions]
    assert_near(in_sql(database, name, sessions), np.array(wanted))


@pytest.mark.parametrize("name", RUNS)
def test_the_state_after_a_user_s_history_is_the_user_s_vector(
    trained: Trained, name: str
) -> None:
    """Of all that are kept whole: the gap before a first event is not known afterwards."""
    database, _ = trained
    moment = (
        "make_timestamp(h.event_time)"
        if database.engine.embedded
        else "TIMESTAMP '1970-01-01' + h.event_time * INTERVAL '1 microsecond'"
    )
    run = f"embsql.live_run('{name}')"
    rows = f"""
        SELECT h.user_id AS n, array_agg(h.item_id ORDER BY h.position) AS items,
            array_agg({moment} ORDER BY h.position) AS times
        FROM embsql.histories AS h
        WHERE h.run_id = {run} AND h.user_id < 'u060'
        GROUP BY h.user_id HAVING count(*) < {MAX_LENGTH - 1}
    """
    found = vectors(database, f"embsql.fold_in('{name}', s.items, NULL, s.times)", rows)
    known = database.engine.rows(
        f"SELECT user_id, embedding FROM embsql.user_embedding('{name}', NULL) "
        f"WHERE user_id IN (SELECT n FROM ({rows}) AS short) ORDER BY user_id"
    )
    wanted = [embsql_vector(row["embedding"]) for row in known]
    assert len(wanted) > 10
    assert_near(found, np.array(wanted))


def embsql_vector(value: Any) -> list[float]:
    """A vector as a list: PostgreSQL's come as text."""
    if isinstance(value, str):
        return [float(entry) for entry in value[1:-1].split(",")]
    return list(value)


def test_networks_of_several_kinds_in_one_statement(trained: Trained) -> None:
    database, _ = trained
    rows = " UNION ALL ".join(f"SELECT '{name}' AS n" for name in WITHOUT_TIMES)
    found = vectors(database, "embsql.fold_in(s.n, ARRAY['i01', 'i02'])", rows)
    wanted = [in_sql(database, name, [["i01", "i02"]])[0] for name in WITHOUT_TIMES]
    assert_near(found, np.array([wanted[n] for n in np.argsort(WITHOUT_TIMES)]))


@pytest.mark.parametrize("name", ["ring", "sasrec"])
def test_what_no_run_knows_is_passed_over(trained: Trained, name: str) -> None:
    database, _ = trained
    known, strange = ["i01", "i02", "i03"], ["i01", "atlantis", "i02", "i03", "ghost"]
    assert_near(*in_sql(database, name, [known, strange])[:, None])
    (row,) = database.ask(
        f"SELECT * FROM embsql.next_items('{name}', ARRAY['i01', 'ghost', NULL], k => 1)"
    ).to_pylist()
    assert (row["source"], row["unknown_items"]) == ("sequence", 1)


def test_a_network_of_pairs_reads_an_item_once(trained: Trained) -> None:
    """At its last event, as in training, and none without a vector."""
    database, _ = trained
    sessions = [["i01", "i02", "i01", "i11", "i03"], ["i02", "i01", "i03"]]
    there, back = in_sql(database, "content", sessions)[:, None]
    assert_near(there, back)
    rows = "SELECT 1 AS n, ARRAY['i02', 'i01', NULL, 'i03'] AS items"
    assert_near(vectors(database, "embsql.fold_in('content', s.items)", rows), back)
    assert (
        np.abs(there - in_sql(database, "content", [["i01", "i02", "i03"]])).max()
        > 0.01
    )


def test_what_comes_next_follows_the_last(trained: Trained) -> None:
    """Everybody walks on around the ring."""
    database, _ = trained
    for last in range(0, N_ITEMS, 4):
        session = [ITEMS[last - 2], ITEMS[last - 1], ITEMS[last]]
        calls = (
            f"embsql.next_items('ring', {array(session)}, k => 1)",
            f"embsql.recommend_from('ring', {array(session)}, k => 1)",
            f"embsql.recommend_from('ring@1', {array(session)}, k => 1)",
        )
        for call in calls:
            (row,) = database.ask(f"SELECT * FROM {call}").to_pylist()
            assert (row["item_id"], row["source"]) == (
                ITEMS[(last + 1) % N_ITEMS],
                "sequence",
            )


def test_order_counts(trained: Trained) -> None:
    database, _ = trained
    there, back = in_sql(database, "ring", [["i01", "i02"], ["i02", "i01"]])
    assert np.abs(there - back).max() > 0.01


@pytest.mark.parametrize(
    "session", ["ARRAY['ghost']", "CAST(ARRAY[] AS TEXT[])", "NULL"]
)
def test_of_nothing_known_the_popular(trained: Trained, session: str) -> None:
    database, _ = trained
    for question in ("next_items", "recommend_from"):
        (row,) = database.ask(
            f"SELECT * FROM embsql.{question}('sasrec', {session}, k => 1)"
        ).to_pylist()
        assert row["source"] == "popular"


def test_times_belong_to_items(trained: Trained) -> None:
    database, _ = trained
    with pytest.raises(
        StatementFailed, match="2 items with 1 times: give every item one"
    ):
        database.ask(
            "SELECT * FROM embsql.next_items('clock', ARRAY['i01', 'i02'], "
            "times => ARRAY[TIMESTAMP '2026-01-01'])"
        )


def test_without_times_all_are_of_the_latest(trained: Trained) -> None:
    database, _ = trained
    latest = database.engine.rows(
        "SELECT max(last_time) AS latest FROM embsql.interactions "
        "WHERE run_id = embsql.live_run('clock')"
    )[0]["latest"]
    moment = f"TIMESTAMP '1970-01-01' + INTERVAL '{latest // 1_000_000} seconds'"
    rows = f"SELECT 1 AS n, ARRAY['i03', 'i04'] AS items, ARRAY[{moment}, {moment}] AS times"
    with_times = vectors(
        database, "embsql.fold_in('clock', s.items, NULL, s.times)", rows
    )
    without = vectors(database, "embsql.fold_in('clock', s.items)", rows)
    assert_near(without, with_times)


def test_networks_are_read_after_an_installation(trained: Trained) -> None:
    database, _ = trained
    database.engine.run("UPDATE embsql.surface SET surface = 'earlier'")
    assert database.install()
    ask = "SELECT source FROM embsql.next_items('gru', ARRAY['i01'], k => 1)"
    assert database.engine.rows(ask) == [{"source": "sequence"}]


def test_a_file_without_networks_plans_none() -> None:
    """DuckDB plans a macro whole: what reads networks comes with the first, or not at all."""
    plans = """
        SELECT contains(f.macro_definition, 'network_layers') AS reads
        FROM duckdb_functions() AS f WHERE f.function_name = 'network_state'
    """
    with embsql.connect(":memory:") as other:
        other.train("plain", source(), dim=2, epochs=1, progress=False)
        other.engine.run("BEGIN")
        row = "INSERT INTO embsql.networks VALUES (1, 'gru', 1, 1, 1, NULL)"
        other.engine.run(row)
        install_readers(other.engine)
        assert other.engine.rows(plans) == [{"reads": True}]
        other.engine.run("ROLLBACK")
        assert other.engine.rows(plans) == [{"reads": False}]


def test_a_moment_without_end_is_no_time(trained: Trained) -> None:
    database, _ = trained
    rows = (
        "SELECT 1 AS n, ARRAY['i03', 'i04'] AS items, "
        "ARRAY[TIMESTAMP 'infinity', TIMESTAMP '-infinity'] AS times"
    )
    endless = vectors(database, "embsql.fold_in('clock', s.items, NULL, s.times)", rows)
    assert_near(endless, in_sql(database, "clock", [["i03", "i04"]]))


@pytest.mark.parametrize("trained", ["duckdb"], indirect=True)
def test_times_with_a_zone_are_the_same_in_every_session(trained: Trained) -> None:
    """A cast to TIMESTAMP would give the hours of the session's zone."""
    database, _ = trained
    call = "embsql.fold_in('clock', s.items, NULL, s.times)"
    rows = "SELECT 1 AS n, ARRAY['i03'] AS items, ARRAY[{} '2026-01-05 03:00:00{}'] AS times"
    wanted = vectors(database, call, rows.format("TIMESTAMP", ""))
    database.engine.run("SET TimeZone = 'America/New_York'")
    try:
        found = vectors(database, call, rows.format("TIMESTAMPTZ", "+00"))
    finally:
        database.engine.run("RESET TimeZone")
    assert_near(found, wanted)


def test_a_server_takes_times_without_a_zone(trained: Trained) -> None:
    """The remedy works as it stands in the sentence."""
    database, _ = trained
    if database.engine.embedded:
        pytest.skip("DuckDB takes both")
    given = {"times": [datetime(2026, 1, 5, 3, tzinfo=UTC)]}
    call = "SELECT embsql.fold_in('clock', ARRAY['i03'], times => {}) AS state"
    with pytest.raises(ZonedTimes, match="in UTC") as refused:
        database.ask(call.format("$times"), **given)
    remedy = str(refused.value).partition("times => ")[2]
    found = database.engine.rows(call.format(remedy), **given)
    plain = "ARRAY[TIMESTAMP '2026-01-05 03:00:00']"
    assert found == database.engine.rows(call.format(plain))


def test_a_forgotten_person_has_no_history(trained: Trained) -> None:
    database, _ = trained
    of_user = "SELECT count(*) AS n FROM embsql.histories WHERE user_id = 'u099'"
    assert database.engine.rows(of_user)[0]["n"] > 0
    database.forget("u099")
    assert database.engine.rows(of_user)[0]["n"] == 0


def test_a_published_run_answers_the_same(
    trained: Trained, new_database, tmp_path
) -> None:
    """To the other engine, with its layers, histories and times."""
    database, _ = trained
    embedded = database.engine.embedded
    target = new_database() if embedded else str(tmp_path / "there.duckdb")
    database.publish(target, "clock", "gru")
    sessions = [["i01", "i02", "i03"], ["i07"]]
    kept = """
        SELECT count(*) AS n FROM embsql.histories WHERE run_id = embsql.live_run('clock')
    """
    with embsql.connect(target) as there:
        for name in ("clock", "gru"):
            found, wanted = (in_sql(one, name, sessions) for one in (there, database))
            assert_near(found, wanted)
        assert there.engine.rows(kept) == database.engine.rows(kept)


def test_a_run_without_layers_answers_by_the_mean(trained: Trained) -> None:
    """As those of earlier versions are, and one that is dropped leaves nothing behind."""
    database, _ = trained
    run = database.train(
        "early", source(), algorithm="gru4rec", dim=8, epochs=1, progress=False
    )
    for table in ("networks", "network_layers", "histories"):
        database.engine.run(f"DELETE FROM embsql.{table} WHERE run_id = {run.run_id}")
    (row,) = database.ask(
        "SELECT * FROM embsql.next_items('early', ARRAY['i01', 'i02'], k => 1)"
    ).to_pylist()
    assert row["source"] == "fold_in"


# what two people did after the training: one whom it met, one whom it did not
SINCE = {
    "u003": ["i04", "i05", "ghost", "i04", "i09"],
    "newcomer": ["i07", "i08", "i07"],
}
CLICKS = ", ".join(
    f"('{user}', '{item}', TIMESTAMP '2026-03-01' + INTERVAL '{n * n} hours')"
    for user, items in SINCE.items()
    for n, item in reversed(list(enumerate(items)))
)


@pytest.fixture(scope="module")
def clicks(trained: Trained) -> embsql.Database:
    """The database with a table of what happened since."""
    database, _ = trained
    database.engine.run(
        "CREATE TABLE clicks (user_id text, item_id text, event_time timestamp)"
    )
    database.engine.run(f"INSERT INTO clicks VALUES {CLICKS}")
    return database


def session_of(database: embsql.Database, run_id: int, user: str) -> dict[str, Any]:
    """The items and times of a kept history and of what came since, in order."""
    past = database.engine.rows(
        "SELECT h.item_id, embsql_internal.moment(h.event_time) AS event_time "
        "FROM embsql.histories AS h WHERE h.run_id = $r AND h.user_id = $u ORDER BY h.position",
        r=run_id,
        u=user,
    )
    since = database.engine.rows(
        "SELECT item_id, event_time FROM clicks WHERE user_id = $u ORDER BY event_time",
        u=user,
    )
    events = past + since
    return {
        "items": [event["item_id"] for event in events],
        "times": [event["event_time"] for event in events],
    }


@pytest.mark.parametrize("name", ["ring", "sasrec", "clock", "content"])
def test_what_happened_since_is_read_in_order(
    clicks: embsql.Database, name: str
) -> None:
    """As if all were given in the call, with repeats; what was met since is left out, too."""
    run_id = clicks.watch(name, "clicks").run_id
    for user, since in SINCE.items():
        found = clicks.engine.rows(
            f"SELECT * FROM embsql.recommend('{name}', $u, k => 5, exclude_seen => FALSE)",
            u=user,
        )
        right = clicks.engine.rows(
            f"SELECT * FROM embsql.recommend_from('{name}', $items, times => $times, "
            "k => 5, exclude_seen => FALSE)",
            **session_of(clicks, run_id, user),
        )
        assert {row["source"] for row in found} == {"sequence"}
        assert [row["item_id"] for row in found] == [row["item_id"] for row in right]
        np.testing.assert_allclose(
            [row["score"] for row in found], [row["score"] for row in right], rtol=1e-4
        )
        unseen = clicks.engine.rows(
            f"SELECT item_id FROM embsql.recommend('{name}', $u, k => 12)", u=user
        )
        assert not {row["item_id"] for row in unseen} & set(since)


def answers(database: embsql.Database, question: str, **values: Any) -> list[Any]:
    """Items and scores, to five digits, of a question without what was seen."""
    call = (
        f"SELECT item_id, score FROM embsql.{question}, k => 12, exclude_seen => FALSE)"
    )
    rows = database.engine.rows(call, **values)
    return [(row["item_id"], round(row["score"], 5)) for row in rows]


@pytest.mark.parametrize("name", ["gru", "masked"])
def test_as_of_a_moment_what_came_later_is_neither_read_nor_seen(
    trained: Trained, name: str
) -> None:
    database, _ = trained
    kept = database.engine.rows(
        "SELECT h.user_id, h.item_id, embsql_internal.moment(h.event_time) AS event_time "
        "FROM embsql.histories AS h WHERE h.run_id = embsql.live_run($m) "
        "ORDER BY h.user_id, h.position",
        m=name,
    )
    histories: dict[str, list[dict[str, Any]]] = {}
    for row in kept:
        histories.setdefault(row["user_id"], []).append(row)
    user, events = next(one for one in histories.items() if len(one[1]) == 4)
    until = {"u": user, "t": events[1]["event_time"]}
    first = {
        "items": [event["item_id"] for event in events[:2]],
        "times": [event["event_time"] for event in events[:2]],
    }
    found = answers(database, f"recommend_as_of('{name}', $u, $t", **until)
    assert found == answers(
        database, f"recommend_from('{name}', $items, times => $times", **first
    )
    as_of = f"SELECT * FROM embsql.recommend_as_of('{name}', $u, $t, k => 12)"
    unseen = database.engine.rows(as_of, **until)
    assert {row["item_id"] for row in unseen} == set(ITEMS) - set(first["items"])
    assert {row["source"] for row in unseen} == {"sequence"}
    long_ago = {"t": datetime(2020, 1, 1)}
    assert {
        row["source"] for row in database.engine.rows(as_of, u=user, **long_ago)
    } == {"popular"}
    full = next(one for one, rows in histories.items() if len(rows) >= MAX_LENGTH - 1)
    with pytest.raises(StatementFailed, match="train with a larger max_length"):
        database.ask(as_of, u=full, **long_ago)


def test_as_of_a_moment_newer_events_count_where_their_times_are_known(
    clicks: embsql.Database,
) -> None:
    """A server reads them; a file has kept no times."""
    run_id = clicks.watch("gru", "clicks").run_id
    session = session_of(clicks, run_id, "u003")
    until = {"u": "u003", "t": session["times"][-2]}
    if clicks.engine.embedded:
        with pytest.raises(StatementFailed, match="embsql refresh gru"):
            clicks.ask("SELECT * FROM embsql.recommend_as_of('gru', $u, $t)", **until)
        return
    first = {word: values[:-1] for word, values in session.items()}
    found = answers(clicks, "recommend_as_of('gru', $u, $t", **until)
    assert found == answers(
        clicks, "recommend_from('gru', $items, times => $times", **first
    )


@pytest.mark.parametrize("name", ["ring", "clock", "content"])
def test_a_refresh_keeps_the_network(clicks: embsql.Database, name: str) -> None:
    """Its states, everybody's history, and of those with new events the state as vector."""
    run_id = clicks.watch(name, "clicks").run_id
    sessions = {user: session_of(clicks, run_id, user) for user in SINCE}
    made = clicks.refresh(name)
    assert (made.users, made.new_users, made.new_items) == (2, 1, 1)
    for user, session in sessions.items():
        ask = f"SELECT embsql.fold_in('{name}@{{}}', $items, times => $times) AS state"
        before, after = (
            embsql_vector(clicks.engine.rows(ask.format(run), **session)[0]["state"])
            for run in (run_id, made.run_id)
        )
        assert before == after
        stored = clicks.engine.rows(
            f"SELECT embedding FROM embsql.user_embedding('{name}', $u)", u=[user]
        )
        assert_near(
            np.array([embsql_vector(stored[0]["embedding"])]), np.array([before])
        )
        kept = session_of(clicks, made.run_id, user)["items"][: -len(SINCE[user])]
        known = [item for item in session["items"] if item in ITEMS]
        if name == "content":
            known = [item for n, item in enumerate(known) if item not in known[n + 1 :]]
        n_kept = MAX_LENGTH - (name == "clock")  # its mask is one
        assert kept == known[-n_kept:]
    others = (
        "SELECT h.user_id, h.position, h.item_id, h.event_time FROM embsql.histories AS h "
        "WHERE h.run_id = $r AND h.user_id NOT IN ('u003', 'newcomer') ORDER BY 1, 2"
    )
    assert clicks.engine.rows(others, r=run_id) == clicks.engine.rows(
        others, r=made.run_id
    )


def test_a_training_after_new_events_reads_what_was_repeated(
    clicks: embsql.Database,
) -> None:
    """All of them once, in order: what came since, and what a refresh has folded in."""
    clicks.watch("ring", "clicks")
    wanted = list(SINCE["newcomer"])
    made = clicks.refresh("ring", retrain_after=0.0)
    if not made.retrained:  # the refresh before has read them
        last = "INSERT INTO clicks VALUES ('newcomer', 'i08', TIMESTAMP '2026-04-01')"
        clicks.engine.run(last)
        made = clicks.refresh("ring", retrain_after=0.0)
        wanted.append("i08")
    assert made.retrained
    kept = clicks.engine.rows(
        "SELECT h.item_id FROM embsql.histories AS h "
        "WHERE h.run_id = $r AND h.user_id = 'newcomer' ORDER BY h.position",
        r=made.run_id,
    )
    assert [row["item_id"] for row in kept] == wanted
    (row,) = clicks.engine.rows(
        "SELECT item_id FROM embsql.item_embedding('ring', ARRAY['ghost'])"
    )
    assert row == {"item_id": "ghost"}  # which only a pair of the refreshed run knew

"""Groups and maps of a run: the right ones are found, replaced, turned alike, and go with the
run.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import embsql
from embsql.derived import with_training
from embsql.derived.clusters import Categories, _labels, _ranks
from embsql.errors import (
    InvalidArgument,
    MissingExtra,
    NotASelect,
    Refused,
    RunNotReady,
    SourceFailed,
    UnknownModel,
    UnknownRun,
)
from embsql.lifecycle.named_statements import execute_named
from embsql.shells import worker
from embsql.shells.cli import main

GROUPS, EACH, DIM = 4, 30, 6
IDS = [
    f"g{group}-{n:02d}" for group in range(GROUPS) for n in range(EACH - group)
]  # group 0 is the largest
POPULAR = {"g0-07": 9, "g0-03": 8, "g1-05": 5, "g2-00": 4, "g3-02": 7}


def blobs(seed: int = 0) -> np.ndarray:
    """Vectors (n, dim) in four bunches of directions, of many lengths, the last one without a
    direction.
    """
    rng = np.random.default_rng(seed)
    centers = 3 * np.eye(GROUPS, DIM)[[int(name[1]) for name in IDS]]  # (n, dim)
    vectors = centers + 0.2 * rng.standard_normal(centers.shape)
    vectors *= rng.uniform(0.1, 10, len(IDS))[:, None]
    vectors[-1] = 0
    return vectors.astype(np.float32)


def store(
    database: embsql.Database,
    run_id: int,
    vectors: np.ndarray,
    *,
    model: str = "m",
    live: bool = True,
) -> None:
    """Write a run with these items, and as many users of the same vectors, as training would
    have.
    """
    engine, n = database.engine, len(vectors)
    begun = {
        "algorithm": "als",
        "params": "{}",
        "source_sql": "",
        "seed": 1,
        "versions": "{}",
    }
    execute_named(engine, "ensure_model", model_name=model)
    execute_named(engine, "begin_run", run_id=run_id, model_name=model, **begun)
    for entity in ("item", "user"):
        engine.write(
            f"{entity}_embeddings",
            {
                "run_id": [run_id] * n,
                f"{entity}_id": IDS[:n],
                "embedding": vectors,
                "norm": np.linalg.norm(vectors, axis=1),
                "bias": np.zeros(n, np.float32),
                "interactions": [POPULAR.get(name, 1) for name in IDS[:n]],
            },
        )
    done = {
        "source_hash": "",
        "similarity": "cosine",
        "interactions": 0,
        "checksum": "",
        "users": n,
        "items": n,
    }
    execute_named(engine, "finish_run", run_id=run_id, dim=vectors.shape[1], **done)
    if live:
        database.promote(f"{model}@{run_id}")


@pytest.fixture
def bunches(each: embsql.Database) -> embsql.Database:
    """Model `m`, whose only run has four bunches of items, and of users."""
    store(each, 1, blobs())
    return each


def rows(
    database: embsql.Database, question: str, **values: Any
) -> list[dict[str, Any]]:
    return database.ask(f"SELECT * FROM embsql.{question}", **values).to_pylist()


# --- clusters ------------------------------------------------------------------------------------


def test_bunches_are_found_and_counted(bunches) -> None:
    done = bunches.cluster("m")
    assert (done.run_id, done.clusters, done.members) == (1, 4, len(IDS) - 1)
    assert done.silhouette > 0.8
    members = rows(bunches, "cluster_members('m')")
    assert [row["entity_id"] for row in members] == IDS[:-1]
    assert all(row["cluster_id"] == int(row["entity_id"][1]) for row in members)
    found = rows(bunches, "clusters('m')")
    assert [row["size"] for row in found] == [30, 29, 28, 26]
    for row in found:
        distances = [
            member["distance"]
            for member in members
            if member["cluster_id"] == row["cluster_id"]
        ]
        assert np.isclose(row["radius"], np.sqrt(np.mean(np.square(distances))))


def test_a_cluster_goes_by_its_most_popular_members(bunches) -> None:
    bunches.cluster("m", k=4)
    found = rows(bunches, "clusters('m')")
    assert found[0]["top_ids"] == ["g0-07", "g0-03", "g0-00", "g0-01", "g0-02"]
    assert found[3]["label"] == "g3-02, g3-00, g3-01, g3-03, g3-04"


def test_the_nearest_cluster_of_a_member_is_its_own(bunches) -> None:
    bunches.cluster("m", entity="user")
    ask = (
        "nearest_cluster('m', "
        "(SELECT embedding FROM embsql.user_embedding('m', users => ARRAY['g2-11'])), "
        "'user')"
    )
    nearest = rows(bunches, ask)
    own = next(
        row
        for row in rows(bunches, "cluster_members('m', 'user')")
        if row["entity_id"] == "g2-11"
    )
    assert nearest[0]["cluster_id"] == own["cluster_id"] == 2
    assert np.isclose(nearest[0]["distance"], own["distance"], atol=1e-5)
    assert np.isclose(
        own["silhouette"],
        1 - nearest[0]["distance"] / nearest[1]["distance"],
        atol=1e-4,
    )


def test_raw_vectors_have_length(bunches) -> None:
    bunches.cluster("m", k=2, normalize=False, clustering="by length")
    members = rows(bunches, "cluster_members('m', 'item', 'by length')")
    assert [row["entity_id"] for row in members] == IDS
    nearest = rows(
        bunches,
        "nearest_cluster('m', ARRAY[0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 'item', 'by length')",
    )
    assert nearest[0]["cluster_id"] == members[-1]["cluster_id"]
    assert nearest[0]["distance"] == pytest.approx(members[-1]["distance"], rel=1e-5)


def test_clusterings_lie_side_by_side_and_are_replaced(bunches) -> None:
    bunches.cluster("m", k=3)
    bunches.cluster("m", k=2, clustering="two")
    bunches.cluster("m", k=5, entity="user")
    bunches.cluster("m", k=6)
    asked = ("'m'", "'m', clustering => 'two'", "'m', entity => 'user'")
    assert [len(rows(bunches, f"clusters({words})")) for words in asked] == [6, 2, 5]
    assert len(rows(bunches, "cluster_members('m')")) == len(IDS) - 1


def test_same_seed_same_clusters(bunches) -> None:
    found = [
        (bunches.cluster("m", k=7, threads=n), rows(bunches, "cluster_members('m')"))
        for n in (1, 2)
    ]
    assert found[0] == found[1]


def test_equal_vectors_make_no_empty_cluster(each) -> None:
    store(each, 1, np.ones((5, 3), np.float32))
    assert each.cluster("m", k=3).clusters == 1
    assert rows(each, "clusters('m')")[0]["size"] == 5


def test_two_at_once_leave_one_clustering(bunches) -> None:
    target = bunches.engine.second()
    others = [embsql.Database(target) for _ in range(3)]
    threads = [
        threading.Thread(target=other.cluster, args=("m",), kwargs={"k": 4})
        for other in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(bunches, "cluster_members('m')")) == len(IDS) - 1
    assert sum(row["size"] for row in rows(bunches, "clusters('m')")) == len(IDS) - 1
    for other in others:
        other.close()


# --- labels --------------------------------------------------------------------------------------


def test_labels_by_lift(bunches) -> None:
    bunches.engine.run("CREATE TABLE said (entity_id VARCHAR(9), label VARCHAR(9))")
    words = ["tea", "mug", "yarn"]  # and the last bunch is nothing in particular
    said = [
        (name, word)
        for name in IDS
        for word in ["all", *words[int(name[1]) : int(name[1]) + 1]]
    ]
    said += [
        ("g0-00", "rare"),
        ("g0-01", "rare"),
        ("stranger", "tea"),
        (None, "tea"),
        ("g1-01", None),
    ]
    ids, labels = zip(*said, strict=True)
    bunches.engine.write(
        "said", {"entity_id": list(ids), "label": list(labels)}, schema="main"
    )
    weightless = "CAST(NULL AS double precision) AS weight"  # says nothing of a label
    bunches.cluster("m", k=4, labels=f"SELECT label, entity_id, {weightless} FROM said")
    assert [row["label"] for row in rows(bunches, "clusters('m')")] == [
        "tea",
        "mug",
        "yarn",
        "all",
    ]
    bunches.cluster(
        "m", k=4, labels="SELECT label, entity_id FROM said WHERE label = 'rare'"
    )
    assert rows(bunches, "clusters('m')")[0]["label"].startswith("g0-07, ")


def test_equal_lifts_are_decided_by_name() -> None:
    from embsql.numeric.kmeans import Clustering

    labels = np.array([0] * 6 + [1] * 40, np.int32)
    found = Clustering(
        np.zeros((2, 1), "f4"), labels, np.zeros(46, "f4"), np.zeros(46, "f4"), 0.0
    )
    row = np.array([0, 1, 2, 0, 1, 2, 9, 10, 11])
    given = Categories(["a", "b", "c"], row, np.array([1, 1, 1, 0, 0, 0, 2, 2, 2]))
    assert _labels(found, given) == ["a", None], "three of forty are no tenth"


def test_ranks_within_clusters() -> None:
    ranks = _ranks(
        np.array([1, 0, 1, 0, 1], np.int32), np.array([5, 2, 9, 2, 5], np.int32)
    )
    assert ranks.tolist() == [2, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("select", "error"),
    [
        ("DROP TABLE embsql.runs", NotASelect),
        ("SELECT 1 AS entity_id", InvalidArgument),
        ("SELECT entity_id, label FROM nowhere", SourceFailed),
        (
            "SELECT 'a' AS entity_id, 'b' AS label; DROP TABLE embsql.maps",
            (NotASelect, SourceFailed),
        ),
    ],
)
def test_labels_come_of_one_select(bunches, select: str, error: Any) -> None:
    with pytest.raises(error):
        bunches.cluster("m", k=2, labels=select)
    with pytest.raises(Refused, match='no clustering "default"'):
        rows(bunches, "clusters('m')")


# --- with training --------------------------------------------------------------------------------


def derived(database: embsql.Database) -> list[tuple[Any, ...]]:
    """Entity, clusters and points of what is live."""
    found = database.ask(
        "SELECT DISTINCT point.entity, point.run_id, count(DISTINCT point.cluster_id) AS clusters "
        "FROM embsql.live_map AS point WHERE point.model_name = 't' "
        "GROUP BY point.entity, point.run_id ORDER BY point.entity"
    )
    return [tuple(row.values()) for row in found.to_pylist()]


PAIRS = (
    "SELECT i % 23 AS user_id, (i * i + i % 3) % 17 AS item_id "
    "FROM generate_series(0, 200) AS t (i)"
)


def test_a_training_makes_its_map_and_clusters(each) -> None:
    first = each.train("t", PAIRS, dim=4, epochs=3)
    assert derived(each) == []
    same = each.train("t", PAIRS, dim=4, epochs=3, map=True, clusters=2)
    assert same.skipped
    assert derived(each) == [("item", first.run_id, 2), ("user", first.run_id, 2)]
    each.cluster("t", k=2, labels="SELECT '1' AS entity_id, 'one' AS label")
    made = "SELECT event FROM embsql.events WHERE event IN ('cluster', 'project')"
    events = each.ask(made).num_rows
    each.train("t", PAIRS, dim=4, epochs=3, map=True, clusters=2)
    assert each.ask(made).num_rows == events, "what is there stays"
    second = each.train("t", PAIRS, dim=4, epochs=3, seed=1, map=True, clusters=3)
    assert derived(each) == [("item", second.run_id, 3), ("user", second.run_id, 3)]


def test_a_run_is_live_without_the_clusters_that_failed(each) -> None:
    run = each.train("t", PAIRS, dim=4, epochs=3, map=True, clusters=100)
    assert run.status == "live"
    (found,) = each.ask("SELECT status, error FROM embsql.runs").to_pylist()
    assert found["status"] == "live"
    assert found["error"] == run.incomplete
    assert run.incomplete.startswith(
        "not all maps and clusters were made: k must be 1 to "
    )
    (noted,) = (
        row for row in each.doctor().to_pylist() if "k must be" in row["finding"]
    )
    assert (noted["severity"], noted["subject"]) == ("warning", "t")
    unclustered = [("item", run.run_id, 0), ("user", run.run_id, 0)]
    assert derived(each) == unclustered, "both maps are there"
    with pytest.raises(InvalidArgument, match=r"k must be 1 to .* got 100"):
        each.train("t", PAIRS, dim=4, epochs=3, map=True, clusters=100)
    assert each.runs("t")["status"].to_pylist() == ["live"], "which it stays"
    each.train("t", PAIRS, dim=4, epochs=3, map=True, clusters=3)
    assert not [row for row in each.doctor().to_pylist() if "k must" in row["finding"]]


def test_a_training_that_is_interrupted_at_its_map_says_so(each, monkeypatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(with_training, "project", interrupted)
    with pytest.raises(KeyboardInterrupt):
        each.train("t", PAIRS, dim=4, epochs=3, map=True)
    (found,) = each.runs("t").to_pylist()
    assert (found["status"], found["error"]) == ("ready", "interrupted")


# --- maps ----------------------------------------------------------------------------------------


def points(database: embsql.Database, model: str) -> dict[str, tuple[float, float]]:
    return {
        row["entity_id"]: (row["x"], row["y"])
        for row in rows(database, "map($model)", model=model)
    }


def test_a_map_lies_as_the_one_before(bunches) -> None:
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((DIM, DIM)))[0]
    assert bunches.project("m").aligned_to is None
    store(
        bunches, 2, (blobs() @ turn).astype(np.float32)[:100]
    )  # twenty are no longer sold
    assert bunches.project("m").aligned_to == 1
    assert bunches.project("m@1").aligned_to == 2
    before, after = points(bunches, "m@1"), points(bunches, "m")
    assert (len(before), len(after)) == (len(IDS) - 1, 100)
    store(bunches, 3, (blobs() @ turn).astype(np.float32))
    assert bunches.project("m").aligned_to == 2
    again = points(bunches, "m@3")
    np.testing.assert_allclose(
        [again[name] for name in IDS[:-1]],
        [before[name] for name in IDS[:-1]],
        atol=0.05,
    )


def test_the_same_vectors_rotated_give_the_same_picture(bunches) -> None:
    turn = np.linalg.qr(np.random.default_rng(4).standard_normal((DIM, DIM)))[0]
    store(bunches, 2, (blobs() @ turn).astype(np.float32))
    bunches.project("m@1")
    bunches.project("m@2")
    one, two = points(bunches, "m@1"), points(bunches, "m@2")
    np.testing.assert_allclose(
        list(one.values()), [two[name] for name in one], atol=1e-4
    )


def test_maps_of_strangers_are_not_aligned(bunches) -> None:
    bunches.project("m")
    store(bunches, 2, blobs()[:2])
    assert bunches.project("m").aligned_to is None
    store(bunches, 3, blobs(), model="other")
    assert bunches.project("other").aligned_to is None
    assert bunches.project("m@1", entity="user").aligned_to is None


def test_a_map_is_replaced_and_colored(bunches) -> None:
    bunches.project("m")
    assert {row["cluster_id"] for row in rows(bunches, "map('m')")} == {None}
    bunches.cluster("m", k=4)
    bunches.project("m")
    drawn = rows(bunches, "map('m')")
    assert len(drawn) == len(IDS) - 1
    assert all(row["cluster_id"] == int(row["entity_id"][1]) for row in drawn)


@pytest.mark.parametrize(
    ("method", "package"), [("umap", "umap"), ("tsne", "openTSNE")]
)
def test_other_methods_need_their_packages(
    bunches, monkeypatch, method: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"embsql\[maps\]"):
        bunches.project("m", method=method)


# --- what goes wrong, and what goes ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"k": 0}, "k must be a whole number from 1"),
        ({"k": 114}, "k must be 1 to 113, the number of vectors, got 114"),
        ({"entity": "user", "k": -1}, "k must be"),
        ({"entity": "cart"}, "entity must be item or user, got 'cart'"),
    ],
)
def test_bad_arguments_of_cluster(bunches, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        bunches.cluster("m", **options)


def test_bad_arguments_of_project(bunches) -> None:
    with pytest.raises(
        InvalidArgument, match="method must be pca or umap or tsne, got 'pac'"
    ):
        bunches.project("m", method="pac")
    with pytest.raises(InvalidArgument, match="entity must be"):
        bunches.project("m", entity="items")


@pytest.mark.parametrize("verb", ["cluster", "project"])
def test_runs_that_cannot_be_used(bunches, verb: str) -> None:
    do = getattr(bunches, verb)
    with pytest.raises(UnknownModel, match='no model named "n"'):
        do("n")
    with pytest.raises(UnknownRun):
        do("m@99")
    begun = {
        "algorithm": "als",
        "params": "{}",
        "source_sql": "",
        "seed": 1,
        "versions": "{}",
    }
    execute_named(bunches.engine, "begin_run", run_id=7, model_name="m", **begun)
    with pytest.raises(RunNotReady, match="is training"):
        do("m@7")
    store(bunches, 8, np.zeros((4, 2), np.float32))
    with pytest.raises(InvalidArgument, match="that have a direction, got m"):
        do("m")


def test_a_run_dropped_meanwhile_gets_nothing(bunches, monkeypatch) -> None:
    from embsql.numeric import projection

    store(bunches, 2, blobs())
    drawn = projection.pca

    def late(vectors: np.ndarray) -> np.ndarray:
        bunches.drop_run("m@1")
        return drawn(vectors)

    monkeypatch.setattr(projection, "pca", late)
    with pytest.raises(RunNotReady, match="is gone"):
        bunches.project("m@1")
    assert left(bunches, 1) == {}


def left(database: embsql.Database, run_id: int) -> dict[str, int]:
    """How many rows of a run the tables have, those that have none left out."""
    found = {
        table: database.ask(
            f"SELECT count(*) AS n FROM embsql.{table} WHERE run_id = {run_id}"
        ).to_pylist()[0]["n"]
        for table in ("clusters", "cluster_members", "maps")
    }
    return {table: n for table, n in found.items() if n}


def test_they_go_with_the_run(bunches) -> None:
    bunches.cluster("m", k=2)
    bunches.project("m")
    store(bunches, 2, blobs())
    assert set(left(bunches, 1)) == {"clusters", "cluster_members", "maps"}
    bunches.drop_run("m@1")
    assert left(bunches, 1) == {}


def test_a_person_is_forgotten_here_too(bunches) -> None:
    for entity in ("item", "user"):
        bunches.cluster("m", k=4, entity=entity)
        bunches.project("m", entity=entity)
    assert bunches.forget("g0-07") == 3
    assert "g0-07" not in {
        row["entity_id"] for row in rows(bunches, "map('m', 'user')")
    }
    assert rows(bunches, "clusters('m', 'user')")[0]["top_ids"][0] == "g0-03"
    assert rows(bunches, "clusters('m', 'user')")[0]["label"].startswith("g0-03")
    assert rows(bunches, "clusters('m', 'item')")[0]["top_ids"][0] == "g0-07"


def test_they_are_published_also_later(bunches, tmp_path) -> None:
    target = str(tmp_path / "serving.duckdb")
    bunches.publish(target, "m")
    bunches.cluster("m", k=4)
    bunches.project("m")
    assert not bunches.publish(target, "m")[0].copied
    with embsql.connect(target, read_only=True) as there:
        for question in ("clusters('m')", "cluster_members('m')", "map('m')"):
            assert rows(there, question) == rows(bunches, question) != []


# --- in every dress ------------------------------------------------------------------------------


def test_commands_in_sql(db) -> None:
    store(db, 1, blobs())
    done = db.ask(
        "SELECT * FROM embsql.cluster('m', entity => 'user', k => 3, clustering => 'three')"
    ).to_pylist()[0]
    assert (done["run_id"], done["clusters"], done["members"]) == (1, 3, len(IDS) - 1)
    again = db.ask(
        "SELECT clusters FROM embsql.cluster('m', options => '{\"seed\": 7}')"
    ).to_pylist()
    assert again == [{"clusters": 4}]
    assert len(rows(db, "clusters('m', entity => 'user', clustering => 'three')")) == 3
    drawn = db.ask("SELECT * FROM embsql.project('m', entity => 'user')").to_pylist()
    assert drawn == [{"run_id": 1, "points": len(IDS) - 1, "aligned_to": None}]


def test_commands_are_jobs_in_a_server(pg) -> None:
    with embsql.connect(pg) as database:
        store(database, 1, blobs())
        labels = (
            "SELECT item_id AS entity_id, left(item_id, 2) AS label "
            "FROM embsql.item_embeddings"
        )
        database.ask(
            "SELECT embsql.cluster('m', k => 4, labels => $labels)", labels=labels
        )
        database.ask(
            "SELECT embsql.cluster('m', entity => 'user', clustering => 'all')"
        )
        database.ask("SELECT embsql.project('m')")
        database.ask("SELECT embsql.cluster('m', k => 0)")
        worker.run(pg, once=True, log=lambda _: None)
        done = database.ask(
            "SELECT status, result, error FROM embsql.jobs ORDER BY job_id"
        ).to_pylist()
        assert [row["status"] for row in done] == ["done", "done", "done", "failed"]
        assert done[0]["result"][:3] == ["1", "4", str(len(IDS) - 1)]
        assert done[2]["result"] == ["1", str(len(IDS) - 1), None]
        assert done[3]["error"].startswith("cluster: k must be a whole number from 1")
        assert [row["label"] for row in rows(database, "clusters('m')")] == [
            "g0",
            "g1",
            "g2",
            "g3",
        ]


def test_commands_in_a_shell(tmp_path) -> None:
    path = str(tmp_path / "c.duckdb")
    with embsql.connect(path) as database:
        store(database, 1, blobs())

    def call(*words: str) -> Any:
        done = CliRunner().invoke(main, ["--db", path, "--json", *words])
        return json.loads(done.stdout) if done.exit_code == 0 else done.output

    assert call("cluster", "m", "--k", "4", "--entity", "user")["clusters"] == 4
    assert call("project", "m", "--entity", "user") == {
        "run_id": 1,
        "points": len(IDS) - 1,
        "aligned_to": None,
    }
    assert "k must be a whole number from 1" in call("cluster", "m", "--k", "0")


def test_what_was_made_reads_without_python(tmp_path) -> None:
    import duckdb

    path = str(tmp_path / "c.duckdb")
    with embsql.connect(path) as database:
        store(database, 1, blobs())
        database.cluster("m", k=4)
        database.project("m")
    with duckdb.connect(path, read_only=True) as plain:
        assert len(plain.sql("SELECT * FROM embsql.clusters('m')").fetchall()) == 4
        assert (
            len(plain.sql("SELECT * FROM embsql.map('m')").fetchall()) == len(IDS) - 1
        )
        assert (
            plain.sql(
                "SELECT * FROM embsql.nearest_cluster('m', [1, 0, 0, 0, 0, 0])"
            ).fetchall()[0][0]
            == 0
        )

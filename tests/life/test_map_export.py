"""A map as a file: what the questions answer, in the form that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import FileNotWritten, InvalidArgument, NoMap, RunNotReady
from embsql.shells.cli import main
from embsql.shells.cli.options import given_options
from tests.life.test_derive import IDS, POPULAR, blobs, store

COLUMNS = ["label", "x", "y", "cluster", "cluster_label", "popularity", "neighbors"]
SHOWN = IDS[:-1]  # the last has no direction, so it lies nowhere


@pytest.fixture
def drawn(each: embsql.Database) -> embsql.Database:
    """Model `m`, whose items are drawn and grouped, and whose users are drawn."""
    store(each, 1, blobs())
    each.project("m")
    each.project("m", entity="user")
    each.cluster("m", k=4)
    return each


def written(database: embsql.Database, path: Path, **options: Any) -> pa.Table:
    done = database.export_map("m", path, **options)
    table = pq.read_table(path)
    assert (done.points, done.path) == (len(table), str(path))
    return table


def test_a_row_is_what_the_questions_answer(drawn, tmp_path) -> None:
    table = written(drawn, tmp_path / "map.parquet")
    assert table.column_names == ["item_id", *COLUMNS]
    asked = drawn.ask(
        "SELECT point.entity_id, point.x, point.y, point.cluster_id, named.label "
        "FROM embsql.map('m') AS point JOIN embsql.clusters('m') AS named "
        "ON named.cluster_id = point.cluster_id ORDER BY point.entity_id"
    ).to_pydict()
    found = table.to_pydict()
    assert found["item_id"] == found["label"] == asked["entity_id"] == SHOWN
    assert (found["x"], found["y"]) == (asked["x"], asked["y"])
    assert found["cluster"] == asked["cluster_id"]
    assert found["cluster_label"] == asked["label"]
    assert found["popularity"] == [POPULAR.get(name, 1) for name in SHOWN]


@pytest.mark.parametrize("entity", ["item", "user"])
def test_neighbors_are_the_similar_ones_by_row(drawn, tmp_path, entity: str) -> None:
    table = written(drawn, tmp_path / "map.parquet", entity=entity)
    ids = table[f"{entity}_id"].to_pylist()
    for name in ("g0-07", "g3-02"):
        near = table["neighbors"][ids.index(name)].as_py()
        asked = drawn.ask(
            f"SELECT {entity}_id AS id, score FROM embsql.similar_{entity}s('m', $id)",
            id=name,
        ).to_pydict()
        assert [ids[row] for row in near["ids"]] == asked["id"]
        apart = 1 - np.array(asked["score"])
        np.testing.assert_allclose(near["distances"], apart, atol=1e-6)


def test_neighbors_are_a_matrix(drawn, tmp_path) -> None:
    """Embedding Atlas stacks the lists of all rows: each has as many, none of them itself."""
    path = tmp_path / "map.parquet"
    for wanted, length in ((3, 3), (1000, len(SHOWN) - 1)):
        near = written(drawn, path, neighbors=wanted)["neighbors"].to_pylist()
        codes = np.stack([row["ids"] for row in near])  # (n, k)
        distances = np.stack([row["distances"] for row in near])  # (n, k)
        assert codes.shape == distances.shape == (len(SHOWN), length)
        assert not (codes == np.arange(len(SHOWN))[:, None]).any()
        assert (np.diff(distances) >= 0).all()
    assert "neighbors" not in written(drawn, path, neighbors=0).column_names


def test_vectors_are_lists(drawn, tmp_path) -> None:
    column = written(drawn, tmp_path / "map.parquet", embeddings=True)["embedding"]
    assert pa.types.is_large_list(column.type) or pa.types.is_list(column.type)
    np.testing.assert_array_equal(np.stack(column.to_pylist()), blobs()[:-1])


def test_labels_are_given(drawn, tmp_path) -> None:
    """Of several the first by name; who has none goes by the id, and strangers are not there."""
    labels = pa.table(
        {"entity_id": ["g0-00", "g0-00", "nobody"], "label": ["mug", "cup", "nothing"]}
    )
    table = written(drawn, tmp_path / "map.parquet", labels=labels)
    assert table["label"].to_pylist() == ["cup", *SHOWN[1:]]
    table = written(drawn, tmp_path / "map.parquet", labels=labels.slice(1, 0))
    assert table["label"].to_pylist() == SHOWN


def test_what_was_never_clustered_has_no_clusters(drawn, tmp_path) -> None:
    path = tmp_path / "map.parquet"
    for options in ({"entity": "user"}, {"clustering": "by color"}):
        table = written(drawn, path, **options)
        assert table["cluster"].null_count == len(table) == len(SHOWN)
        assert table["cluster_label"].null_count == len(table)
    drawn.cluster("m", k=2, clustering="by color")
    assert set(written(drawn, path, clustering="by color")["cluster"].to_pylist()) == {
        0,
        1,
    }


@pytest.mark.parametrize("entity", ["item", "user"])
def test_what_was_never_drawn_is_drawn_by_the_remedy(each, tmp_path, entity) -> None:
    store(each, 1, blobs())
    path = tmp_path / "map.parquet"
    with pytest.raises(NoMap, match=f"no map of the {entity}s of m@1 was") as missing:
        each.export_map("m", path, entity=entity)
    assert not path.exists()
    verb, *words = str(missing.value).partition("Draw it: embsql ")[2].split()
    given = main.commands[verb].make_context(verb, words).params
    each.project(given.pop("model"), **given_options(given))
    assert each.export_map("m", path, entity=entity).method == "pca"


def test_a_method_that_was_not_drawn_by(drawn, tmp_path) -> None:
    said = (
        "no map of the items of m@1 by umap was drawn (there is one by pca). Draw it: "
    )
    with pytest.raises(NoMap) as missing:
        drawn.export_map("m", tmp_path / "map.parquet", method="umap")
    remedy = "embsql project m@1 --entity item --method umap"
    assert str(missing.value) == said + remedy


def test_the_projector_reads_tabs(drawn, tmp_path) -> None:
    """Vectors without a head, and a file of as many rows with one, as its manual says."""
    labels = pa.table({"entity_id": ["g0-00"], "label": ['a\ttall\n"mug"']})
    drawn.export_map("m", tmp_path / "map.tsv", labels=labels)
    np.testing.assert_array_equal(
        np.loadtxt(tmp_path / "map.tsv", np.float32, delimiter="\t"), blobs()[:-1]
    )
    text = (tmp_path / "map.metadata.tsv").read_text(encoding="utf-8")
    head, *lines = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    assert head == ["item_id", *COLUMNS[:-1]]
    assert {len(line) for line in lines} == {len(head)}
    assert [line[0] for line in lines] == SHOWN
    assert lines[0][1] == 'a tall "mug"'
    assert lines[0][head.index("cluster")] == "0"


def test_files_that_cannot_be(drawn, tmp_path) -> None:
    with pytest.raises(InvalidArgument, match=r"ends in \.parquet or \.tsv, got .*csv"):
        drawn.export_map("m", tmp_path / "map.csv")
    for name in ("gone/map.parquet", "gone/map.tsv"):
        with pytest.raises(FileNotWritten, match=f"{name} cannot be written: "):
            drawn.export_map("m", tmp_path / name)
    with pytest.raises(InvalidArgument, match="method must be umap or tsne or pca"):
        drawn.export_map("m", tmp_path / "map.parquet", method="pac")
    with pytest.raises(InvalidArgument, match="labels must be a SELECT of entity_id"):
        drawn.export_map("m", tmp_path / "map.parquet", labels="SELECT 1 AS label")
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_gone_is_not_exported(drawn, tmp_path) -> None:
    drawn.engine.run("UPDATE embsql.run_records SET status = 'failed' WHERE run_id = 1")
    with pytest.raises(RunNotReady):
        drawn.export_map("m@1", tmp_path / "map.parquet")


def test_on_the_command_line(tmp_path) -> None:
    path, output = str(tmp_path / "m.duckdb"), tmp_path / "map.parquet"
    words = ["--db", path, "--json", "export", "map", "m", "-o", str(output)]
    with embsql.connect(path) as database:
        store(database, 1, blobs())
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "Draw it: embsql project m@1 --entity item" in done.output
    with embsql.connect(path) as database:
        database.project("m")
    done = CliRunner().invoke(main, [*words, "--embeddings", "--neighbors", "2"])
    assert done.exit_code == 0, done.output
    assert '"points": 113' in done.output
    table = pq.read_table(output)
    assert table.column_names == ["item_id", *COLUMNS, "embedding"]
    assert len(table["neighbors"][0].as_py()["ids"]) == 2


def test_in_a_transaction_too_as_nothing_is_committed(drawn, tmp_path) -> None:
    drawn.engine.run("BEGIN")
    assert written(drawn, tmp_path / "map.parquet").num_rows
    drawn.engine.run("ROLLBACK")

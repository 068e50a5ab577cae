"""Vectors from elsewhere as a run, on both engines."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import BadFeatures, InvalidArgument, NotASelect, NotEvaluated
from embsql.shells.cli import main

VECTORS = np.random.default_rng(0).standard_normal((30, 4)).round(3)


def select(entity: str, vectors: np.ndarray = VECTORS) -> str:
    rows = ", ".join(
        f"('{entity[0]}{n:02d}', ARRAY{list(map(float, row))})"
        for n, row in enumerate(vectors)
    )
    return f"SELECT * FROM (VALUES {rows}) AS v ({entity}_id, embedding)"


def test_every_kind_of_question_works(each: embsql.Database) -> None:
    run = each.register_embeddings(
        "titles", select("item"), users=select("user", VECTORS[:5])
    )
    assert (run.status, run.run_id) == ("live", 1)
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    scores = unit @ unit[3]
    near = each.ask(
        "SELECT item_id, score FROM embsql.similar_items('titles', 'i03', k => 5)"
    ).to_pylist()
    right = [n for n in np.argsort(-scores) if n != 3][:5]
    assert [row["item_id"] for row in near] == [f"i{n:02d}" for n in right]
    np.testing.assert_allclose([row["score"] for row in near], scores[right], atol=1e-5)
    assert each.ask(
        "SELECT item_id FROM embsql.recommend('titles', 'u03', k => 1)"
    ).to_pylist() == [{"item_id": "i03"}]
    mean = unit[1] + unit[2]
    best = each.ask(
        "SELECT item_id FROM embsql.recommend_from('titles', ARRAY['i01', 'i02'], k => 1)"
    ).to_pylist()
    seen = (VECTORS[1] + VECTORS[2]) @ unit.T
    seen[[1, 2]] = -np.inf
    assert mean.any()
    assert best == [{"item_id": f"i{seen.argmax():02d}"}]
    assert each.cluster("titles", k=3).members == 30
    assert each.project("titles").points == 30
    assert each.materialize("titles", k=2).neighbors == 60
    assert each.ask(
        "SELECT algorithm, dim, items, users FROM embsql.models()"
    ).to_pylist() == [{"algorithm": "registered", "dim": 4, "items": 30, "users": 5}]


def test_unchanged_vectors_are_not_stored_again(each: embsql.Database) -> None:
    first = each.register_embeddings("titles", select("item"))
    again = each.register_embeddings("titles", select("item"))
    assert (again.skipped, again.run_id) == (True, first.run_id)
    assert not each.register_embeddings("titles", select("item", VECTORS * 2)).skipped
    assert each.rollback("titles") == first.run_id


def test_rows_without_a_vector_are_left_out(each: embsql.Database) -> None:
    gaps = (
        f"{select('item')} UNION ALL SELECT 'none', NULL "
        f"UNION ALL SELECT NULL, ARRAY[1.0, 1.0, 1.0, 1.0]"
    )
    each.register_embeddings("titles", gaps)
    assert each.ask("SELECT items FROM embsql.models()").to_pylist() == [{"items": 30}]


@pytest.mark.parametrize(
    ("items", "error", "complaint"),
    [
        ("SELECT 'a' AS item_id", BadFeatures, "no column besides item_id"),
        (
            "SELECT 'a' AS item_id, 1 AS vector",
            BadFeatures,
            "no column embedding, only vector",
        ),
        (
            "SELECT 'a' AS item_id, 'x' AS embedding",
            BadFeatures,
            "lists of numbers are wanted",
        ),
        (
            f"{select('item')} UNION ALL SELECT 'i03', ARRAY[1.0]",
            BadFeatures,
            'the id "i03" more than once',
        ),
        (
            f"{select('item')} UNION ALL SELECT 'x', ARRAY[1.0]",
            BadFeatures,
            "vectors of 1 and 4",
        ),
        (
            f"SELECT * FROM ({select('item')}) AS s WHERE item_id = ''",
            BadFeatures,
            "no row with an id and an embedding",
        ),
        ("DROP TABLE x", NotASelect, "DROP"),
    ],
)
def test_what_is_no_vector_is_refused(
    each: embsql.Database, items: str, error: type, complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        each.register_embeddings("titles", items)
    assert (
        each.ask("SELECT * FROM embsql.models()").num_rows == 0
        or not each.ask("SELECT live_run FROM embsql.models()")["live_run"].drop_null()
    )


def test_a_length_that_no_float_holds_is_refused(each: embsql.Database) -> None:
    with pytest.raises(
        BadFeatures, match=r"1 vectors longer than 1.8e19.* that of i01"
    ):
        each.register_embeddings(
            "m", select("item", np.array([[1.0, 2], [1e38, 3e38]]))
        )


def test_other_refusals(each: embsql.Database) -> None:
    with pytest.raises(BadFeatures, match="vectors of 3, where those of items have 4"):
        each.register_embeddings(
            "titles", select("item"), users=select("user", VECTORS[:, :3])
        )
    with pytest.raises(InvalidArgument, match="similarity"):
        each.register_embeddings("titles", select("item"), similarity="l2")
    each.register_embeddings("titles", select("item"))
    with pytest.raises(NotEvaluated, match="registered"):
        each.evaluate("titles")


def test_in_sql_and_on_the_command_line(tmp_path) -> None:
    path = str(tmp_path / "r.duckdb")
    with embsql.connect(path) as database:
        call = (
            "SELECT status FROM embsql.register_embeddings('titles', items => $items)"
        )
        assert database.ask(call, items=select("item")).to_pylist() == [
            {"status": "live"}
        ]
    done = CliRunner().invoke(
        main,
        [
            "--db",
            path,
            "register-embeddings",
            "titles",
            "--items",
            select("item", VECTORS[:9]),
        ],
    )
    assert (done.exit_code, "live" in done.output) == (0, True)

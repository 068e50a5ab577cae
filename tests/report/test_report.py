"""The page about a run: what it says is what the questions answer, and nothing in it can act."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import embsql
from benchmarks._browser import Browser
from embsql.errors import InvalidArgument, NoLiveRun, ReportNotWritten, UnknownModel
from embsql.report import health, points
from embsql.report import page as page_module
from embsql.shells.cli import main
from tests.report.pages import HOSTILE, column, data_of, ids_of, toy_pairs


@pytest.fixture(scope="module")
def page(toy, tmp_path_factory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("page") / "toy.html"
    toy.report("toy", path=path)
    return data_of(path)


# --- what it says --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "question"),
    [
        ("quality", "SELECT * FROM embsql.evaluation('toy')"),
        ("curve", "SELECT epoch, metric, value FROM embsql.training_log('toy')"),
        (
            "validation",
            'SELECT "check" AS name, severity, rows, example, hint '
            "FROM embsql.validation('toy')",
        ),
    ],
)
def test_a_section_is_a_questions_answer(
    toy, page, section: str, question: str
) -> None:
    answer = toy.ask(question).to_pylist()
    assert answer
    assert page[section] == answer


def test_health_clusters_and_examples_are_questions_answers(toy, page) -> None:
    health = toy.ask("SELECT value FROM embsql.embedding_health('toy')")
    values = [row["value"] for row in page["health"]["checks"]]
    # sums that the database takes in parallel may differ in their last digits
    assert values == pytest.approx(health["value"].to_pylist())
    for entity in ("item", "user"):
        answer = toy.ask("SELECT * FROM embsql.clusters('toy', entity => $e)", e=entity)
        found = [row["size"] for row in page["clusters"][entity]]
        assert found == answer["size"].to_pylist()
    for example in page["examples"]["users"]:
        question = "SELECT * FROM embsql.recommend('toy', $user, k => 5)"
        assert example["best"] == toy.ask(question, user=example["subject"]).to_pylist()


def test_examples_go_from_the_best_known_to_the_least(page) -> None:
    counts = [row["interactions"] for row in page["examples"]["items"]]
    assert len(counts) == 6
    assert counts == sorted(counts, reverse=True)


def test_drift_is_that_since_the_run_before(toy, page) -> None:
    moved = toy.ask("SELECT * FROM embsql.drift('toy@1', 'toy@2')").to_pylist()
    items = [row for row in moved if row["entity"] == "item"]
    assert page["drift"]["before"] == "toy@1"
    most = page["drift"]["movers"][0]["shift"]
    assert most == pytest.approx(items[0]["shift"], rel=1e-4)
    assert page["drift"]["sides"][0]["ids"] == len(items)
    assert sum(page["drift"]["sides"][0]["histogram"]) == len(items)


def test_points_lie_as_on_the_map(toy, page) -> None:
    drawn = page["maps"][1]
    answer = toy.ask("SELECT * FROM embsql.map('toy', entity => 'user')")
    assert ids_of(drawn) == answer["entity_id"].to_pylist()
    assert (
        column(drawn["cluster"], np.int32).tolist() == answer["cluster_id"].to_pylist()
    )
    for axis in "xy":
        there = answer[axis].to_numpy()
        assert np.corrcoef(column(drawn[axis], np.uint16), there)[0, 1] > 0.99999
    assert drawn["cohorts"] == ["first", "second"]
    assert column(drawn["cohort"], np.uint8).tolist() == [0] * 30 + [1] * 30


@pytest.mark.parametrize("entity", ["item", "user"])
def test_neighbors_are_those_of_the_question(toy, page, entity: str) -> None:
    drawn = next(one for one in page["maps"] if one["entity"] == entity)
    ids = ids_of(drawn)
    near = column(drawn["neighbors"], np.int32).reshape(len(ids), -1)  # (n, 3)
    question = (
        f"SELECT {entity}_id AS id FROM embsql.similar_{entity}s('toy', $id, k => 3)"
    )
    for name, row in zip(ids[:10], near[:10], strict=True):
        assert [ids[n] for n in row] == toy.ask(question, id=name)["id"].to_pylist()


def test_the_page_is_the_same_from_either_engine(toy, pg, tmp_path) -> None:
    toy.publish(pg, "toy")
    with embsql.connect(pg) as other:
        for entity in ("item", "user"):
            other.cluster("toy", entity=entity, k=2)
            other.project("toy", entity=entity)
        other.report("toy@2", path=tmp_path / "postgres.html")
    toy.report("toy@2", path=tmp_path / "duckdb.html")
    here, there = (
        data_of(tmp_path / f"{name}.html") for name in ("duckdb", "postgres")
    )
    assert there["quality"] == here["quality"]
    assert there["examples"]["items"][0].keys() == here["examples"]["items"][0].keys()
    same = [row["subject"] for row in here["examples"]["items"]]
    assert [row["subject"] for row in there["examples"]["items"]] == same
    assert [one["ids"] for one in there["maps"]] == [one["ids"] for one in here["maps"]]
    assert [one["neighbors"] for one in there["maps"]] == [
        one["neighbors"] for one in here["maps"]
    ]


def test_a_report_of_the_same_run_is_the_same(toy, page, tmp_path) -> None:
    """But for last digits of what the database sums in parallel."""
    toy.report("toy", path=tmp_path / "again.html")
    again = data_of(tmp_path / "again.html")
    for section in ("quality", "curve", "maps", "examples", "validation", "model"):
        assert again[section] == page[section]
    toy.report("toy", path=tmp_path / "other.html", seed=7)
    assert data_of(tmp_path / "other.html")["examples"] != page["examples"]


def test_items_go_by_their_labels(toy, tmp_path) -> None:
    labels = pa.table(
        {
            "entity_id": [f"i{n:02d}" for n in range(9)],
            "label": [f"no. {n}" for n in range(9)],
        }
    )
    toy.report("toy", path=tmp_path / "toy.html", item_labels=labels)
    page = data_of(tmp_path / "toy.html")
    known = json.loads(gzip.decompress(base64.b64decode(page["maps"][0]["labels"])))
    assert known == [f"no. {n}" for n in range(9)] + [None] * 21
    assert page["maps"][1]["labels"] is None
    assert page["labels"].items() <= {f"i{n:02d}": f"no. {n}" for n in range(9)}.items()
    assert page["labels"]


def test_of_an_item_with_two_labels_the_first_is_shown(toy, tmp_path) -> None:
    labels = pa.table({"entity_id": ["i00", "i00", "i00"], "label": ["b", "a", "c"]})
    toy.report("toy", path=tmp_path / "toy.html", item_labels=labels)
    packed = data_of(tmp_path / "toy.html")["maps"][0]["labels"]
    assert json.loads(gzip.decompress(base64.b64decode(packed)))[0] == "a"


def test_labels_without_a_label(toy, tmp_path) -> None:
    with pytest.raises(InvalidArgument, match="item_labels must be a SELECT of"):
        toy.report(
            "toy", path=tmp_path / "toy.html", item_labels="SELECT 1 AS entity_id"
        )


# --- what is not there ---------------------------------------------------------------------------


def test_of_a_model_that_is_not_live_the_newest_run(db, tmp_path) -> None:
    vectors = pa.table({"item_id": ["a", "b", "c"], "embedding": [[1.0], [2.0], [0.0]]})
    db.register_embeddings("few", vectors)
    db.engine.run("UPDATE embsql.models SET live_run = NULL")
    db.report("few", path=tmp_path / "few.html")
    page = data_of(tmp_path / "few.html")
    assert page["model"]["status"] == "retired"
    assert page["next"][0]["command"] == "embsql promote few@1"
    assert page["model"]["evaluate"] is None  # it has no users to ask about
    assert [one["points"] for one in page["maps"]] == [2]  # one has no direction


@pytest.fixture
def least(each, tmp_path) -> Path:
    """The page of the least that can be: three items, one user, a figure that is no number."""
    sides = {"item": ["a", "b", "c"], "user": ["u"]}
    vectors = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    tables = [
        pa.table({f"{side}_id": ids, "embedding": vectors[: len(ids)]})
        for side, ids in sides.items()
    ]
    each.register_embeddings("least", tables[0], users=tables[1])
    each.engine.run(
        "INSERT INTO embsql.metrics (run_id, split, segment, metric, k, value) "
        "VALUES (1, 'last', 'all', 'ndcg', 10, CAST('NaN' AS FLOAT8))"
    )
    each.report("least", path=tmp_path / "least.html")
    return tmp_path / "least.html"


def test_of_the_least_that_can_be(least) -> None:
    page = data_of(least)
    assert page["quality"][0]["value"] is None
    assert page["drift"] == {"reason": "first", "before": None}
    assert [(one["entity"], one["points"]) for one in page["maps"]] == [
        ("item", 2),
        ("user", 1),
    ]
    zero = next(one for one in page["examples"]["items"] if one["subject"] == "c")
    assert zero["similar"] == []


def test_the_least_is_drawn(least, tab) -> None:
    tab.open(least)
    assert tab.trouble == []
    cells = "document.querySelectorAll('#quality tbody td')"
    assert tab.value(f"Array.from({cells}, cell => cell.textContent)") == [
        *("all", "ndcg", "10"),
        *"–––––",
    ]


def test_above_so_many_points_a_fixed_choice(toy, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(points, "POINTS", 7)
    toy.report("toy", path=tmp_path / "toy.html")
    drawn = data_of(tmp_path / "toy.html")["maps"]
    assert [(one["points"], one["total"]) for one in drawn] == [(7, 30), (7, 60)]
    assert drawn[0]["neighbors"] is None  # they are not all here


@pytest.mark.parametrize("name", ["no/such/folder.html", ".", "nul\0.html"])
def test_where_it_cannot_be_written(toy, tmp_path, name: str) -> None:
    with pytest.raises(ReportNotWritten, match="cannot be written to"):
        toy.report("toy", path=tmp_path / name)


def test_a_database_is_not_written_over(tmp_path) -> None:
    path = tmp_path / "own.duckdb"
    vectors = pa.table({"item_id": ["a", "b"], "embedding": [[1.0, 0.0], [0.0, 1.0]]})
    with embsql.connect(path) as database:
        database.register_embeddings("own", vectors)
        with pytest.raises(ReportNotWritten, match=r"its name must end with \.html"):
            database.report("own", path=path)
        for wrong in (None, 5):
            with pytest.raises(
                InvalidArgument, match="path must be the name of a file"
            ):
                database.report("own", path=wrong)
        with pytest.raises(InvalidArgument, match="seed"):
            database.report("own", path=tmp_path / "own.html", seed=None)
    with embsql.connect(path) as database:
        assert database.models().num_rows == 1
    assert [file.name for file in tmp_path.iterdir()] == ["own.duckdb"]


def test_what_equals_another_vector_is_counted() -> None:
    rows = np.array([[1, 2], [1, 2], [1, 2], [3, 4]], np.float32)
    assert health._repeated(rows) == 3
    assert health._repeated(rows[2:]) == 0


def test_a_map_fills_its_square_wherever_it_lies() -> None:
    assert points.in_square(np.array([[10.0, 10], [11, 11]])).tolist() == [
        [0, 0],
        [65535] * 2,
    ]
    assert points.in_square(np.zeros((0, 2))).shape == (0, 2)


def test_what_is_not_a_model(db, tmp_path) -> None:
    with pytest.raises(UnknownModel):
        db.report("nothing", path=tmp_path / "page.html")
    db.engine.run(
        "INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at) "
        "VALUES ('empty', NULL, [], current_timestamp)"
    )
    with pytest.raises(NoLiveRun):
        db.report("empty", path=tmp_path / "page.html")


def test_on_the_command_line_and_what_it_calls_for(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBSQL_DB", "own.duckdb")
    vectors = pa.table({"item_id": ["a", "b"], "embedding": [[1.0, 0.0], [0.0, 1.0]]})
    with embsql.connect("own.duckdb") as database:
        database.register_embeddings("own", vectors)
    answer = CliRunner().invoke(main, ["--json", "report", "own"])
    assert json.loads(answer.output)["path"] == "own.html"
    called = [row["command"] for row in data_of(tmp_path / "own.html")["next"]]
    assert called[0] is None  # without users there is nobody to ask
    commands = called[1:]
    assert [command.split()[1] for command in commands] == ["project", "cluster"]
    for command in commands:
        assert CliRunner().invoke(main, command.split()[1:]).exit_code == 0
    CliRunner().invoke(main, ["report", "own@1", "-o", "again.html"])
    (row,) = data_of(tmp_path / "again.html")["next"]
    assert row["sentence"].startswith("The run has no users")


def test_the_library_is_as_published() -> None:
    library = Path(page_module.__file__).parent / "vendor" / "d3.min.js"
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    assert digest == "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1"


# --- what it cannot do ---------------------------------------------------------------------------


class Elements(HTMLParser):
    """The elements of a page, and what acts on events."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_no_id_is_an_element(toy, tmp_path) -> None:
    tags = []
    for name in ("strange", "toy"):
        toy.report(name, path=tmp_path / "page.html")
        parser = Elements()
        parser.feed((tmp_path / "page.html").read_text(encoding="utf-8"))
        tags.append(parser.found)
        assert not parser.handlers
    assert tags[0] == tags[1]
    assert "img" not in tags[0]


def drawn(tab: Browser, database: embsql.Database, name: str, path: Path) -> Path:
    database.report(name, path=path)
    tab.open(path)
    return path


def test_ids_and_labels_are_shown_as_text(toy, tab, tmp_path) -> None:
    drawn(tab, toy, "strange", tmp_path / "strange.html")
    assert tab.value("document.title").startswith("strange@")
    assert tab.value(
        "document.querySelectorAll('img, b, script:not([id])').length"
    ) == len(page_module.SCRIPTS)
    text = tab.value("document.body.innerText")
    for name in HOSTILE[:5]:
        assert name in text
    assert "y" * 200 not in text


def test_a_script_that_is_not_the_pages_own_does_not_run(toy, tab, tmp_path) -> None:
    drawn(tab, toy, "toy", tmp_path / "toy.html")
    added = "const own = document.createElement('script'); own.textContent = 'window.ran = 1'"
    ran = "document.body.append(own); return window.ran ?? 0"
    assert tab.value(f"(() => {{ {added}; {ran}; }})()") == 0
    assert "Content Security Policy" in str(tab.trouble)


def test_nothing_is_fetched_and_nothing_goes_wrong(toy, tab, tmp_path) -> None:
    for name in ("toy", "strange"):
        path = drawn(tab, toy, name, tmp_path / f"{name}.html")
        assert tab.requests == [path.as_uri()]
        assert tab.trouble == []


def test_figures_on_the_page_are_the_answers(toy, tab, tmp_path) -> None:
    drawn(tab, toy, "toy", tmp_path / "toy.html")
    shown = tab.value(
        "Array.from(document.querySelectorAll('#quality tbody tr'), row =>"
        " Array.from(row.querySelectorAll('data'), cell => cell.value))"
    )
    columns = ("k", "value", "ci_low", "ci_high", "itemknn_value", "popular_value")
    answer = toy.ask("SELECT * FROM embsql.evaluation('toy')").to_pylist()
    assert [[float(cell or "nan") for cell in row] for row in shown] == pytest.approx(
        np.array([[row[name] for name in columns] for row in answer], float),
        abs=0,
        nan_ok=True,
    )


def test_the_map_is_for_keyboards_too(toy, tab, tmp_path) -> None:
    drawn(tab, toy, "toy", tmp_path / "toy.html")
    tab.value(
        "(() => { const box = document.querySelector('input[type=search]');"
        " box.value = 'i07'; box.dispatchEvent(new Event('input')); })()"
    )
    tab.value("document.querySelector('.details button').click()")
    near = tab.value(
        "Array.from(document.querySelectorAll('.details h3 + div bdi'), e => e.textContent)"
    )
    question = "SELECT item_id FROM embsql.similar_items('toy', 'i07', k => 3)"
    assert near == toy.ask(question)["item_id"].to_pylist()
    before = tab.value("document.querySelector('canvas').dataset.frames")
    tab.value(
        "document.querySelector('canvas').dispatchEvent("
        "new KeyboardEvent('keydown', {key: '+', bubbles: true}))"
    )
    tab.value(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    assert tab.value("document.querySelector('canvas').dataset.frames") > before


# --- what it calls for ---------------------------------------------------------------------------


def test_what_was_never_measured_can_be(db, tmp_path) -> None:
    """A command that works as it is; of vectors from elsewhere a sentence, as none could."""
    db.train("own", toy_pairs(), dim=4, progress=False)
    sides = (
        pa.table({f"{side}_id": ["a", "b"], "embedding": [[1.0, 0.0], [0.0, 1.0]]})
        for side in ("item", "user")
    )
    db.register_embeddings("given", next(sides), users=next(sides))
    for name, command in (("own", "embsql evaluate own@1"), ("given", None)):
        db.report(name, path=tmp_path / "page.html")
        (found,) = (
            row
            for row in data_of(tmp_path / "page.html")["next"]
            if "Nobody measured" in row["sentence"]
        )
        assert found["command"] == command
        assert "..." not in found["sentence"]


def test_each_split_is_judged_by_itself(db, tmp_path) -> None:
    db.train("own", toy_pairs(), dim=4, progress=False)
    for split, value in (("last", 0.1), ("random", 0.9)):
        db.engine.run(
            "INSERT INTO embsql.metrics (run_id, split, segment, metric, k, value, "
            f"popular_value) VALUES (1, '{split}', 'all', 'ndcg', 10, {value}, 0.5)"
        )
    db.report("own", path=tmp_path / "page.html")
    found = [row["sentence"] for row in data_of(tmp_path / "page.html")["next"]]
    assert [one for one in found if "below" in one] == [
        "ndcg@10 of 0.1000 (split last) is below that of what is popular, 0.5000: compare "
        "several by algorithm auto, or more of them by a larger budget."
    ]

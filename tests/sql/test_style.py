"""The rules that keep one text right on every engine, and every header true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot

import embsql
from embsql.api.commands import COMMANDS
from embsql.errors import InvalidQuestionFile
from embsql.sqlfiles import files, questions, render, rules

QUESTIONS = questions.questions()


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_keeps_the_rules(name: str) -> None:
    assert list(rules.violations(QUESTIONS[name])) == []


def test_no_body_is_written_for_items_and_again_for_users() -> None:
    written = [
        questions.split_header(path.read_text(encoding="utf-8"))[1]
        for path in (files.folder() / "questions").rglob("*.sql")
    ]
    bodies = [body.replace("item", "user") for body in written if body]
    assert len(bodies) == len(set(bodies))


def test_a_shared_body_is_the_engines_own() -> None:
    path = QUESTIONS["similar_users"].path
    assert "embsql.user_embeddings AS other" in questions.body_of(path)
    assert "near.id AS user_id" in questions.body_of(path, "postgres")


@pytest.mark.parametrize("name", QUESTIONS)
def test_answer_has_the_declared_columns(known, name: str) -> None:
    question = QUESTIONS[name]
    call = re.search(rf"embsql\.{name}\(.*\)", question.example)[0].replace(
        "'shop'", "'compass'"
    )
    # The call alone, whatever the example does with it: cut at the bracket that closes it.
    depth = 0
    for position, letter in enumerate(call):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == ")" and depth == 0:
            call = call[: position + 1]
            break
    described = known.engine.describe(
        f"SELECT {call} AS value" if question.scalar else f"SELECT * FROM {call}"
    )
    assert list(described.values()) == [
        words(known)[type_] for _, type_ in question.columns
    ]
    if not question.scalar:
        assert list(described) == [column for column, _ in question.columns]


def words(database: embsql.Database) -> dict[str, str]:
    """What the database calls the types that headers name."""
    if database.engine.name == "duckdb":
        return questions.TYPES
    return render.POSTGRES_TYPES | {
        "int": "integer",
        "timestamp": "timestamp without time zone",
    }


@pytest.mark.parametrize("name", QUESTIONS)
def test_database_explains_the_question(known, name: str) -> None:
    for comment in comments(known)[name]:
        assert comment.startswith(QUESTIONS[name].signature)


def comments(
    database: embsql.Database, schema: str = "embsql"
) -> dict[str, list[str | None]]:
    """What the catalog says of the functions in a schema, by name."""
    asked = {
        "duckdb": "SELECT function_name AS name, comment "
        "FROM duckdb_functions() WHERE schema_name = $schema",
        "postgres": "SELECT f.proname AS name, obj_description(f.oid, 'pg_proc') AS comment "
        "FROM pg_proc AS f "
        "WHERE f.pronamespace = to_regnamespace($schema)",
    }[database.engine.name]
    found: dict[str, list[str | None]] = {}
    for row in database.ask(asked, schema=schema).to_pylist():
        found.setdefault(row["name"], []).append(row["comment"])
    return found


DOCUMENTED = [Path("docs/sql.md"), Path("docs/guides/postgres.md")]


def test_who_browses_sees_what_the_docs_show(known) -> None:
    root = Path(__file__).parents[2]
    pages = "".join((root / page).read_text(encoding="utf-8") for page in DOCUMENTED)
    shown = {*QUESTIONS, *COMMANDS, *re.findall(r"embsql\.(\w+)", pages)}
    assert comments(known).keys() <= shown
    assert comments(known).keys() >= {*QUESTIONS, "cosine_similarity", "live_run"}


def test_what_questions_call_lies_in_a_schema_of_its_own(known) -> None:
    internal = comments(known, "embsql_internal").keys()
    assert not internal & comments(known).keys()
    assert {"cosine", "contains", "tower", "run_score", "fold_in_system"} <= internal


def test_database_explains_every_function(known) -> None:
    assert not [name for name, said in comments(known).items() if None in said]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            "SELECT t.item_id AS item_id FROM embsql.item_embeddings AS t WHERE t.item_id = :other",
            "arguments declared",
        ),
        (
            "SELECT item_id AS item_id FROM embsql.item_embeddings AS t WHERE t.norm = :k",
            "no table alias",
        ),
        (
            "SELECT t.norm AS norm FROM embsql.item_embeddings AS t WHERE t.norm = :k",
            "declares",
        ),
        (
            "SELECT hash(t.item_id) AS item_id FROM embsql.item_embeddings AS t WHERE t.norm = :k",
            "not in the portable",
        ),
        (
            "SELECT max(t.item_id ORDER BY t.norm) AS item_id FROM t WHERE t.norm = :k",
            "must say ASC or DESC",
        ),
        (
            "SELECT t.k AS item_id FROM embsql.item_embeddings AS t WHERE t.norm = :k",
            "share a column's name",
        ),
    ],
)
def test_rules_notice(body: str, complaint: str) -> None:
    arguments = (questions.Argument("k", "int", "10"),)
    columns, path = (("item_id", "text"),), Path("q.sql")
    question = questions.Question(
        "q", "search", arguments, columns, False, "", "", body, path
    )
    assert any(complaint in problem for problem in rules.violations(question))


@pytest.mark.parametrize("file", ["statements.sql", "publish.sql"])
def test_statements_say_which_way_they_order(file: str) -> None:
    trees = [
        sqlglot.parse_one(statement, read="duckdb")
        for statement in files.statements(file).values()
    ]
    assert not [tree.sql() for tree in trees if rules.unsaid_orders(tree)]


@pytest.mark.parametrize("name", questions.ml_questions())
def test_functions_of_ml_say_which_way_they_order(name: str) -> None:
    body = re.sub(r"(?<!:):([a-z_]\w*)", r"$\1", questions.ml_questions()[name].body)
    assert not rules.unsaid_orders(sqlglot.parse_one(body, read="duckdb"))


# Whose values are others in DuckDB 2.0 than in 1.5: estimates altogether, products by a digit.
ESTIMATES = r"\b(approx_\w+|reservoir_quantile|histogram|tablesample)\b"
OTHERWISE = r"\b(list|array)_(cosine_\w+|dot_product|negative_\w+)\b|\barray_(inner|distance)\w*"
PRODUCTS = r"\blist_(inner_product|distance)\b|\b(cosine|inner_product|unit_vector|vector_avg)\("


def test_nothing_that_stays_depends_on_the_version_of_duckdb() -> None:
    """Scores are made of products, and equal ones are ordered by id; what is stored is not."""
    texts = {path: path.read_text() for path in files.folder().rglob("*.sql*")}
    for path, text in texts.items():
        assert not re.search(f"{ESTIMATES}|{OTHERWISE}", text, re.IGNORECASE), path
    stored = ("statements", "schema", "prepare", "publish", "jobs", "commands")
    for path, text in texts.items():
        if path.relative_to(files.folder()).parts[0].startswith(stored):
            assert not re.search(PRODUCTS, text), path


def test_malformed_header_names_the_file(tmp_path) -> None:
    (tmp_path / "broken.sql").write_text("-- other(model text)\nSELECT 1")
    with pytest.raises(InvalidQuestionFile, match=r"broken\.sql"):
        questions.read_question(tmp_path / "broken.sql")


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, one in QUESTIONS.items()
        if any(argument.name.startswith("model") for argument in one.arguments)
    ),
)
def test_unknown_model_raises_and_suggests(known, name: str) -> None:
    words = {
        "text": "'ada'",
        "text[]": "ARRAY['ada']",
        "int": "1",
        "vector": "ARRAY[1.0, 0.0]",
        "timestamp": "TIMESTAMP '2026-01-01'",
    }
    needed = [
        argument for argument in QUESTIONS[name].arguments if argument.default is None
    ]
    arguments = [
        "'compas'" if argument.name.startswith("model") else words[argument.type]
        for argument in needed
    ]
    call = f"embsql.{name}({', '.join(arguments)})"
    with pytest.raises(
        Exception, match=r'no model named "compas".*Did you mean "compass"'
    ):
        known.ask(
            f"SELECT {call}" if QUESTIONS[name].scalar else f"SELECT * FROM {call}"
        )

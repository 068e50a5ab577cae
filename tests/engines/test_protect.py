"""embsql.protect: what a caller may see of other people, in every table and by every question."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import conninfo

import embsql
from embsql import errors
from embsql.lifecycle import installation
from embsql.sqlfiles import questions
from tests.conftest import ROOT
from tests.sql.test_capture import VALUES

QUESTIONS = questions.questions() | questions.ml_questions()
ASKED = VALUES | {  # of either tenant
    "model": "'m'",
    "model_a": "'m@1'",
    "model_b": "'m'",
    "for_item": "'i1'",
    "for_user": "'b:1'",
    "item_a": "'i1'",
    "item_b": "'i2'",
    "items": "ARRAY['i1', 'i2']",
    "for_users": "ARRAY['a:2', 'a:4']",
    "for_items": "ARRAY['i1', 'i2']",
    "session": "ARRAY['i1', 'i2']",
    "times": "NULL",
    "users": "NULL",
    "seeds": "ARRAY['a:2', 'b:1', 'b:3']",
    "weights": "ARRAY[1, 2]",
    "to_vector": "ARRAY[1, 0.5]",
    "k": "9",
    "candidates": "ARRAY['i1', 'i2']",
    "cohort_set": "'country'",
    "ids": "ARRAY['i1', 'i2', 'i3']",
    "labels": "ARRAY['x', 'x', 'y']",
}
OTHERS = r"b:\d|of b"  # ids of the other tenant, and the label of a group of its users
AGGREGATES = {
    "advice",
    "clusters",
    "nearest_cluster",
    "centroids",
    "validation",
    "storage",
}  # of what stays when a person is forgotten
OF_TRAINERS = {"doctor"}  # which reads leases and jobs
SEES = """
    CREATE FUNCTION public.sees(user_id text) RETURNS boolean LANGUAGE sql STABLE
    RETURN starts_with(user_id, current_setting('app.tenant', TRUE))
"""
EVENTS = """
    CREATE TABLE events AS
    SELECT CASE WHEN i % 2 = 0 THEN 'a:' ELSE 'b:' END || i % 12 AS user_id,
        'i' || i * 7 % 10 AS item_id, CASE WHEN i = 7 THEN 1e6 ELSE 1 END AS weight
    FROM generate_series(1, 80) AS t (i)
"""


@pytest.fixture(scope="module")
def whole(new_database) -> str:
    """The address of a database in which everything that embsql makes of two tenants was made."""
    address: str = new_database()
    with embsql.connect(address) as db:
        db.engine.run(EVENTS)
        db.train("m", "events", dim=2, epochs=1, progress=False)
        made(db)
        db.install(roles=True)
        installation.install_ml(db.engine)
    return address


def made(db: embsql.Database) -> None:
    people = "SELECT DISTINCT user_id AS entity_id, 'of ' || left(user_id, 1) AS label FROM events"
    db.cluster("m", entity="user", k=2, labels=people)
    db.cluster("m", entity="item", k=2)
    db.project("m", entity="user")
    db.project("m", entity="item")
    db.materialize("m", k=2)
    db.engine.run("""
        INSERT INTO embsql.neighbors VALUES
            (1, 'user', 'a:2', 1, 'b:1', 1), (1, 'user', 'a:2', 2, 'a:4', 1);
        INSERT INTO embsql.cohorts SELECT DISTINCT 'country', user_id, left(user_id, 1) FROM events;
        INSERT INTO embsql.cohorts SELECT DISTINCT 'country', user_id, 'all' FROM events
    """)


def copied(new_database, whole: str) -> str:
    """The address of a copy."""
    address: str = new_database()
    name, source = (
        conninfo.conninfo_to_dict(one)["dbname"] for one in (address, whole)
    )
    with psycopg.connect(
        conninfo.make_conninfo(whole, dbname="postgres"), autocommit=True
    ) as admin:
        admin.execute(f"DROP DATABASE {name}".encode())
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
    return address


@pytest.fixture(scope="module")
def alone(new_database, whole) -> Iterator[embsql.Database]:
    """As the owner, where the other tenant was forgotten."""
    with embsql.connect(copied(new_database, whole)) as db:
        for number in range(1, 12, 2):
            db.forget(f"b:{number}")
        yield db


@pytest.fixture(scope="module")
def protected(new_database, whole) -> str:
    """The address of a copy in which callers see their tenant."""
    address = copied(new_database, whole)
    with embsql.connect(address) as db:
        db.engine.run(SEES)
        db.engine.run("SELECT embsql.protect('public.sees')")
    return address


def test_protecting_is_done_without_a_word(protected) -> None:
    with psycopg.connect(protected) as caller:
        said: list[str | None] = []
        caller.add_notice_handler(lambda notice: said.append(notice.message_primary))
        caller.execute("SELECT embsql.protect(NULL)")
        caller.execute("SELECT embsql.protect('public.sees')")
        caller.rollback()
    assert said == []


@pytest.fixture(scope="module")
def reader(protected) -> Iterator[embsql.Database]:
    """A reader of tenant a."""
    with embsql.connect(protected) as db:
        db.engine.run("SET ROLE embsql_reader; SET app.tenant = 'a:'")
        yield db


def answer(db: embsql.Database, name: str) -> str:
    """What a question answers, or what it raises, for comparison."""
    question = QUESTIONS[name]
    kinds = (
        ("user", "item")
        if any(one.name == "entity" for one in question.arguments)
        else ("",)
    )
    return "\n".join(answer_about(db, question, kind) for kind in kinds)


def answer_about(db: embsql.Database, question: questions.Question, kind: str) -> str:
    asked = ASKED | {"entity": f"'{kind}'"}
    words = [asked[argument.name] for argument in question.arguments]
    try:
        rows = db.ask(
            f"SELECT * FROM {question.schema}.{question.name}({', '.join(words)})"
        )
    except errors.Refused as error:
        return str(error)
    return "\n".join(
        sorted(
            str([shown(value) for value in row.values()]) for row in rows.to_pylist()
        )
    )


def shown(value: Any) -> Any:
    """A value, of a number the digits that the order of a sum does not change."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    return f"{value:.6g}" if isinstance(value, float) else value


@pytest.mark.parametrize("name", sorted(set(QUESTIONS) - OF_TRAINERS))
def test_no_question_names_anybody_else(reader, name: str) -> None:
    assert not re.search(OTHERS, answer(reader, name))


@pytest.mark.parametrize("name", sorted(set(QUESTIONS) - AGGREGATES - OF_TRAINERS))
def test_a_question_answers_as_if_there_were_nobody_else(
    reader, alone, name: str
) -> None:
    """Ids, counts and whatever is made of them, popularity apart: forgetting leaves it, too."""
    assert answer(reader, name) == answer(alone, name)


@pytest.mark.parametrize("name", sorted(OF_TRAINERS))
def test_who_only_reads_is_refused(reader, name: str) -> None:
    with pytest.raises(errors.PermissionDenied, match="GRANT embsql_trainer"):
        answer(reader, name)


def test_a_map_is_exported_of_those_whom_one_sees(reader, tmp_path) -> None:
    """Neighbors, too, are rows of the file: nobody else is among them."""
    done = reader.export_map("m", tmp_path / "map.parquet", entity="user")
    table = pq.read_table(done.path)
    assert all(name.startswith("a:") for name in table["user_id"].to_pylist())
    assert done.points == len(table) == 6
    near = [row["ids"] for row in table["neighbors"].to_pylist()]
    assert sorted(near[0]) == [1, 2, 3, 4, 5]


def test_what_only_reads_needs_no_more_than_a_reader(reader, tmp_path) -> None:
    wide = reader.features("m")
    assert len(wide) == 6
    assert all(name.startswith("a:") for name in wide["entity_id"].to_pylist())
    assert reader.report("m", path=tmp_path / "m.html").run_id == 1


def test_groups_of_users_are_what_one_sees_of_them(reader, alone) -> None:
    """Size and members by which they go; nothing that was made of everybody."""
    found = reader.ask(
        "SELECT * FROM embsql.clusters('m', entity => 'user')"
    ).to_pylist()
    members = alone.ask(
        "SELECT * FROM embsql.cluster_members('m', entity => 'user')"
    ).to_pylist()
    for group in found:
        own = [one for one in members if one["cluster_id"] == group["cluster_id"]]
        assert group["size"] == len(own)
        assert group["radius"] ** 2 == pytest.approx(
            sum(x["distance"] ** 2 for x in own) / len(own)
        )
        assert set(group["top_ids"]) <= {one["entity_id"] for one in own}
    assert sum(group["size"] for group in found) == 6
    assert (
        reader.ask("SELECT * FROM embsql.clusters WHERE entity_kind = 'user'").num_rows
        == 0
    )
    assert reader.ask("SELECT * FROM embsql.clusters('m')").num_rows == 2, (
        "those of items as ever"
    )


def guide() -> str:
    """What the guide says of row level security."""
    page = (ROOT / "docs" / "guides" / "postgres.md").read_text()
    return page.split("### Row level security")[1].split("\n## ")[0]


def tables(db: embsql.Database, kinds: str) -> list[str]:
    """The tables, or views, that may be read."""
    readable = """
        SELECT c.relname AS name FROM pg_class AS c
        WHERE c.relnamespace = 'embsql'::regnamespace AND strpos($kinds, c.relkind::text) > 0
            AND has_table_privilege(c.oid, 'SELECT')
    """
    found = db.ask(readable, kinds=kinds)
    return [row["name"] for row in found.to_pylist()]


def holding(db: embsql.Database, pattern: str, kinds: str = "rp") -> set[str]:
    """The tables, or views (v), that show whoever asks something."""
    found = "SELECT count(*) AS n FROM embsql.{} AS t WHERE CAST(t AS text) ~ $pattern"
    return {
        name
        for name in tables(db, kinds)
        if db.ask(found.format(name), pattern=pattern).to_pylist()[0]["n"]
    }


def test_no_table_names_anybody_else(protected, reader) -> None:
    with embsql.connect(protected) as owner:
        everywhere = holding(owner, OTHERS)
        named = set(re.findall(r"^\| `(\w+)` \|", guide(), re.MULTILINE))
        assert everywhere == named, "the guide names each"
        assert holding(owner, r"a:\d") - {"source_checks"} == holding(
            reader, r"a:\d"
        ), "of one's own all"
    assert holding(reader, OTHERS) == set()


def test_no_view_names_anybody_else(protected, reader) -> None:
    with embsql.connect(protected) as owner:
        everywhere = holding(owner, OTHERS, "v")
        assert everywhere >= {"live_embeddings", "live_map", "live_cluster_members"}
        assert holding(owner, r"a:\d", "v") == holding(reader, r"a:\d", "v")
    assert holding(reader, OTHERS, "v") == set()


def test_every_table_with_an_id_of_a_user_is_protected(protected) -> None:
    """So that one of a later version is, too."""
    bare = """
        SELECT DISTINCT c.oid::regclass::text AS name
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'embsql'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition
            AND a.attname ~ '^(user|entity|neighbor)_id$|^example$' AND NOT c.relrowsecurity
    """
    with embsql.connect(protected) as owner:
        assert owner.ask(bare).to_pylist() == []


def test_who_trains_sees_everybody(protected) -> None:
    for role in ("embsql_trainer", "embsql_admin"):
        with embsql.connect(protected) as db:
            db.engine.run(f"SET ROLE {role}; SET app.tenant = 'a:'")
            assert (
                db.ask("SELECT * FROM embsql.map('m', entity => 'user')").num_rows == 12
            )
            found = db.ask(
                "SELECT * FROM embsql.clusters('m', entity => 'user')"
            ).to_pylist()
            assert sum(group["size"] for group in found) == 12
            assert {group["label"] for group in found} <= {"of a", "of b"}


def test_what_a_trainer_makes_later_is_protected(new_database, whole) -> None:
    address = copied(new_database, whole)
    with embsql.connect(address) as db:
        db.engine.run(SEES)
        db.engine.run(
            "SELECT embsql.protect('public.sees'); GRANT SELECT ON events TO embsql_trainer"
        )
        db.engine.run("SET ROLE embsql_trainer")
        assert db.train("m", "events", dim=3, epochs=1, progress=False).status == "live"
        db.cluster("m", entity="user", k=2)
        db.project("m", entity="user")
        assert db.ask("SELECT * FROM embsql.user_embedding('m')").num_rows == 12
    assert reading(address, "a:") == 6


def test_who_may_see_what_is_made_of_all_is_asked_with_null(
    new_database, whole
) -> None:
    with embsql.connect(copied(new_database, whole)) as db:
        db.engine.run(
            "CREATE FUNCTION public.all_of(text) RETURNS boolean LANGUAGE sql STABLE RETURN TRUE"
        )
        wanted = {name: answer(db, name) for name in AGGREGATES}
        db.engine.run("SELECT embsql.protect('public.all_of'); SET ROLE embsql_reader")
        assert {name: answer(db, name) for name in AGGREGATES} == wanted


def test_protection_is_kept_replaced_and_taken_away(new_database, whole) -> None:
    address = copied(new_database, whole)
    with embsql.connect(address) as db:
        db.engine.run(SEES)
        db.engine.run("SELECT embsql.protect('public.sees')")
        db.engine.run(
            "DROP POLICY embsql_users ON embsql.maps; DELETE FROM embsql.surface"
        )
        assert db.install() is True
        assert reading(address, "b:") == 6, (
            "a new version protects what it is the first to have"
        )
        db.engine.run(
            "CREATE FUNCTION public.one(id text) RETURNS boolean LANGUAGE sql RETURN id = 'b:1'"
        )
        db.engine.run("SELECT embsql.protect('one')")
        assert reading(address, "b:") == 1
        db.engine.run("SELECT embsql.protect(NULL)")
        assert reading(address, "b:") == 12
        assert db.ask("SELECT * FROM pg_policy").num_rows == 0


def reading(address: str, tenant: str) -> int:
    """How many points of a map a tenant sees."""
    with embsql.connect(address) as db:
        db.engine.run(f"SET ROLE embsql_reader; SET app.tenant = '{tenant}'")
        return db.ask("SELECT * FROM embsql.map('m', entity => 'user')").num_rows


@pytest.mark.parametrize("name", ["pg_catalog.lower(text)", "pg_catalog.now()"])
def test_what_says_nothing_of_an_id_is_refused(protected, name: str) -> None:
    with (
        embsql.connect(protected) as db,
        pytest.raises(errors.Refused, match=r"returns a boolean\. Make one"),
    ):
        db.ask("SELECT embsql.protect(CAST($name AS regprocedure)::oid)", name=name)


def test_a_reader_protects_nothing(reader) -> None:
    with pytest.raises(errors.PermissionDenied):
        reader.ask("SELECT embsql.protect(NULL)")


def test_the_guide_protects(new_database, whole) -> None:
    address = copied(new_database, whole)
    with embsql.connect(address) as db:
        for code in re.findall(r"```sql\n(.*?)```", guide(), re.DOTALL):
            db.engine.run(code)
    assert reading(address, "a") == 6
    assert reading(address, "") == 0

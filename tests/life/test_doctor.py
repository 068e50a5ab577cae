"""The doctor finds what is wrong, and what it says to type mends it."""

from __future__ import annotations

import json
import os
import shlex

import pytest
from click.testing import CliRunner

import embsql
from embsql.algorithms.als import ALS
from embsql.engines.columns import quote
from embsql.lifecycle.installation import install_roles
from embsql.lifecycle.named_statements import execute_named
from embsql.lifecycle.plan import Plan
from embsql.lifecycle.train import train_model
from embsql.shells.cli import main
from embsql.sources.source import source

EVENTS = """
SELECT CAST(i % 40 AS INTEGER) AS user_id, CAST((i * 7) % 11 AS INTEGER) AS item_id
FROM (SELECT * FROM range(400)) AS numbers(i)
"""
ON_POSTGRES = EVENTS.replace("(SELECT * FROM range(400))", "generate_series(0, 399)")


def train(database: embsql.Database, **options: object) -> embsql.Run:
    source = EVENTS if database.engine.embedded else ON_POSTGRES
    return database.train("m", source, algorithm="svd", dim=2, force=True, **options)


def found(database: embsql.Database) -> list[tuple[str, str, str]]:
    """What is found of models: severity, finding, remedy."""
    rows = database.doctor().to_pylist()
    return [
        (row["severity"], row["finding"], row["remedy"])
        for row in rows
        if row["subject"] == "m"
    ]


def about(database: embsql.Database, subject: str) -> list[dict[str, str]]:
    """What is found of something else."""
    return [row for row in database.doctor().to_pylist() if row["subject"] == subject]


def typed(remedy: str) -> str:
    """The statement of a remedy."""
    _, _, statement = shlex.split(remedy)
    return statement


def test_the_first_training_is_on_its_way(each) -> None:
    seen: list[object] = []
    train_model(
        each.engine,
        Plan(
            "m",
            source(EVENTS if each.engine.embedded else ON_POSTGRES, "source"),
            ALS(dim=2),
        ),
        lambda *_: seen.append(found(each)),
    )
    assert seen
    assert not any(seen)


def test_a_machine_that_counts_no_processors_of_a_process_has_a_doctor(
    db, monkeypatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")  # as macOS and Windows have none
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    db.ask("SET threads = 2")
    (noted,) = about(db, "threads")
    assert noted["finding"] == "DuckDB takes 2 of 64 processors"


def test_a_doctor_may_come_in_a_transaction(db) -> None:
    train(db, evaluate=True, gate=False)
    db.sql("BEGIN")
    assert found(db) == []
    db.sql("ROLLBACK")


def test_nothing_is_wrong(each) -> None:
    train(each, evaluate=True, gate=False)
    assert found(each) == []
    assert each.doctor().column_names == ["severity", "subject", "finding", "remedy"]


def test_a_run_that_was_never_evaluated(each) -> None:
    train(each)
    note = ("note", "the live run was never evaluated", "embsql evaluate m")
    assert found(each) == [note]
    each.evaluate("m")
    assert found(each) == []


def test_a_model_without_a_live_run(each) -> None:
    train(each, evaluate=True, gate=False)
    each.engine.run("UPDATE embsql.models SET live_run = NULL")
    finding = "no run is live, so questions about it have no answer"
    assert found(each) == [("warning", finding, "embsql promote m@1")]
    each.promote("m@1")
    assert found(each) == []


def test_the_newest_failed(each) -> None:
    train(each, evaluate=True, gate=False)
    with pytest.raises(embsql.errors.SourceFailed):
        each.train("m", "SELECT nothing")
    ((severity, finding, _),) = found(each)
    assert severity == "warning"
    assert finding.startswith("run 2, the newest, failed: the database could not run")


def test_the_newest_was_refused(each) -> None:
    for _ in range(2):
        train(each, evaluate=True, gate=False)
    each.rollback("m")
    assert found(each) == []  # it was live, and was taken back
    each.engine.run("UPDATE embsql.run_records SET promoted_at = NULL WHERE run_id = 2")
    execute_named(each.engine, "set_gate_reason", run_id=2, error="too bad")
    finding = "run 2, the newest, is not live: too bad"
    assert found(each) == [("note", finding, "embsql gate m")]


def test_a_trainer_that_is_gone(each) -> None:
    train(each, evaluate=True, gate=False)
    each.engine.run(
        "INSERT INTO embsql.leases (model_name, owner, run_id, host, pid, cancelled,"
        " heartbeat_at, expires_at) VALUES ('m', 'o', 7, 'h', 12, FALSE,"
        " TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-01')"
    )
    gone = "the trainer of run 7 (process 12) has given no sign of life for a minute"
    finding = f"{gone}; the next training takes over"
    assert found(each) == [("note", finding, "embsql runs m")]
    train(each, evaluate=True, gate=False)
    assert found(each) == []


def test_jobs_that_nobody_takes_and_one_that_failed(pg) -> None:
    with embsql.connect(pg) as database:
        train(database, evaluate=True, gate=False)
        database.ask("SELECT embsql.promote('m@1')")
        database.engine.run(
            "UPDATE embsql.jobs SET start_after = start_after - INTERVAL '2 minutes'"
        )
        waiting = {
            row["subject"]: row["remedy"] for row in database.doctor().to_pylist()
        }
        assert waiting["jobs"] == "embsql worker"
        database.engine.run(
            "UPDATE embsql.jobs SET status = 'failed', error = 'no luck'"
        )
        ((severity, finding, remedy),) = found(database)
        assert (severity, finding) == ("warning", "job 1 (promote) failed: no luck")
        assert database.ask(typed(remedy))["error"].to_pylist() == ["no luck"]


def test_an_index_whose_building_was_broken_off(pg) -> None:
    with embsql.connect(pg) as database:
        train(database)
        database.engine.run(
            'ALTER INDEX embsql_runs.item_embeddings_1_pkey RENAME TO "$(x) y"'
        )
        database.engine.run(
            "UPDATE pg_index SET indisvalid = FALSE"
            " WHERE indrelid = 'embsql_runs.item_embeddings_1'::regclass AND indisprimary"
        )
        (warning,) = [
            r for r in database.doctor().to_pylist() if "index" in r["finding"]
        ]
        assert warning["severity"] == "warning"
        assert warning["remedy"] == 'REINDEX INDEX embsql_runs."$(x) y";'
        database.sql(warning["remedy"])
        assert not [r for r in database.doctor().to_pylist() if "index" in r["finding"]]


def test_what_an_earlier_run_has_and_the_live_one_lacks(each) -> None:
    train(each, evaluate=True, gate=False)
    each.project("m")
    assert found(each) == []
    train(each, evaluate=True, gate=False)
    finding = "run 1 has a map of items, the live run has none"
    assert found(each) == [("note", finding, "embsql project m --entity item")]
    each.project("m", entity="item")
    assert found(each) == []


def test_it_is_a_question_too(each) -> None:
    train(each)
    asked = each.ask("SELECT * FROM embsql.doctor()").to_pylist()
    known = [row for row in each.doctor().to_pylist() if row["severity"] != "info"]
    assert asked == [row for row in known if row["subject"] != "threads"]


def test_what_is_there(tmp_path) -> None:
    path = str(tmp_path / "x.duckdb")
    with embsql.connect(path) as database:
        train(database)
        there = {
            row["subject"]: row["finding"] for row in database.doctor().to_pylist()
        }
    assert there["runs kept"] == "1, with 0.0 MB of vectors"
    assert "Python" in there["embsql"]
    assert there["duckdb"].startswith("v")
    assert there["disk"].endswith("MB are free")


def test_too_little_memory_for_the_vectors(db) -> None:
    train(db, evaluate=True, gate=False)
    db.engine.run("UPDATE embsql.run_records SET users = 1000000000000")
    ((severity, finding, remedy),) = found(db)
    assert severity == "note"
    assert finding.endswith("(8000000 MB): each question reads them from the file")
    db.sql(remedy.replace("16000100", "16000"))
    assert found(db) != []
    db.sql(remedy)
    assert found(db) == []


def test_an_index_that_is_missing(pg) -> None:
    with embsql.connect(pg) as database:
        database.sql("SET embsql.index_above = 10")
        train(database, evaluate=True, gate=False)
        assert found(database) == []
        database.sql("SET embsql.index_above = 9")
        (name,) = database.ask(
            "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%hnsw%cosine%'"
            " AND tablename = 'user_embeddings_1'"
        )["indexname"].to_pylist()
        database.engine.run(f"DROP INDEX embsql_runs.{quote(name)}")
        ((severity, finding, remedy),) = found(database)
        assert severity == "warning"
        assert (
            finding
            == "run 1 has no index for its users by cosine, so a question reads them all"
        )
        database.ask(typed(remedy))
        assert found(database) == []


def test_an_index_that_serves_nobody(pg) -> None:
    with embsql.connect(pg) as database:
        database.sql("SET embsql.index_above = 39")
        train(database, evaluate=True, gate=False)
        assert found(database) == []
        database.engine.run(
            "UPDATE embsql.run_records SET finished_at = finished_at - INTERVAL '8 days'"
        )
        (severity, finding, remedy), *_ = found(database)
        assert severity == "note"
        assert finding.endswith("has served no question for a week")
        assert "index_above = '78'" in remedy
        database.sql(remedy)


def test_settings_of_the_server_that_hurt(pg) -> None:
    with embsql.connect(pg) as database:
        database.sql("SET work_mem = '1MB'")
        database.sql("SET statement_timeout = '90s'")
        (memory,) = about(database, "work_mem")
        (timeout,) = about(database, "statement_timeout")
        assert memory["finding"].startswith("work_mem is 1MB")
        assert timeout["finding"].startswith("statement_timeout is 90s")
        database.sql(memory["remedy"])
        database.sql(timeout["remedy"])
    with embsql.connect(pg) as database:
        assert about(database, "work_mem") + about(database, "statement_timeout") == []


def test_who_may_do_too_much_or_too_little(pg) -> None:
    with embsql.connect(pg) as database:
        train(database)
        database.engine.run("GRANT CREATE ON SCHEMA embsql TO PUBLIC")
        (wide,) = about(database, "rights")
        assert wide["severity"] == "error"
        database.engine.run(typed(wide["remedy"]))
        assert about(database, "rights") == []
        database.engine.run(
            """CREATE FUNCTION "it's $(x)"(user_id text) RETURNS boolean LANGUAGE sql RETURN TRUE"""
        )
        database.ask("""SELECT embsql.protect('"it''s $(x)"')""")
        assert about(database, "rights") == []
        database.engine.run("ALTER TABLE embsql.maps DISABLE ROW LEVEL SECURITY")
        (open_table,) = about(database, "rights")
        assert (
            open_table["finding"]
            == """embsql.maps is not protected by "it's $(x)", as other tables are"""
        )
        database.sql(open_table["remedy"])
        assert about(database, "rights") == []


def test_the_roles(pg) -> None:
    with embsql.connect(pg) as database:
        (missing,) = about(database, "roles")
        assert (missing["severity"], missing["remedy"]) == (
            "note",
            "embsql install --roles",
        )
        install_roles(database.engine)
        assert about(database, "roles") == []
        database.engine.run("REVOKE SELECT ON embsql.runs FROM embsql_reader")
        (refused,) = about(database, "roles")
        assert refused["finding"] == "embsql_reader may not read runs"
        install_roles(database.engine)
        assert about(database, "roles") == []


def test_questions_of_another_version(tmp_path) -> None:
    path = str(tmp_path / "x.duckdb")
    with embsql.connect(path) as database:
        train(database)
        database.engine.run("UPDATE embsql.surface SET surface = 'another'")
    with embsql.connect(path, read_only=True) as database:
        (old,) = about(database, "installation")
        assert (old["severity"], old["remedy"]) == ("warning", "embsql install")
    assert CliRunner().invoke(main, ["--db", path, "install"]).exit_code == 0
    with embsql.connect(path, read_only=True) as database:
        assert about(database, "installation") == []


def test_the_command_says_so_by_its_exit_code(tmp_path) -> None:
    path = str(tmp_path / "x.duckdb")
    with embsql.connect(path) as database:
        train(database)
    noted = CliRunner().invoke(main, ["--db", path, "--json", "doctor"])
    assert noted.exit_code == 0
    note = json.loads(noted.output.splitlines()[0])
    assert note["remedy"] == "embsql evaluate m"
    with embsql.connect(path) as database:
        database.evaluate("m")
    fine = CliRunner().invoke(main, ["--db", path, "doctor"])
    assert fine.exit_code == 0
    assert fine.output.endswith("\nnothing is wrong\n")
    with embsql.connect(path) as database:
        database.engine.run("UPDATE embsql.models SET live_run = NULL")
    assert CliRunner().invoke(main, ["--db", path, "doctor"]).exit_code == 1

"""The doctor finds what is wrong, and what it says to type mends it."""

from __future__ import annotations

import json
import shlex

import pytest
from click.testing import CliRunner

import embsql
from embsql.algorithms.als import ALS
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
            "UPDATE pg_index SET indisvalid = FALSE"
            " WHERE indrelid = 'embsql_runs.item_embeddings_1'::regclass AND indisprimary"
        )
        (warning,) = [
            r for r in database.doctor().to_pylist() if "index" in r["finding"]
        ]
        assert warning["severity"] == "warning"
        database.engine.run(typed(warning["remedy"]))
        assert not [r for r in database.doctor().to_pylist() if "index" in r["finding"]]


def test_the_command_says_so_by_its_exit_code(tmp_path) -> None:
    path = str(tmp_path / "x.duckdb")
    with embsql.connect(path) as database:
        train(database)
    noted = CliRunner().invoke(main, ["--db", path, "--json", "doctor"])
    assert noted.exit_code == 0
    assert json.loads(noted.output)["remedy"] == "embsql evaluate m"
    with embsql.connect(path) as database:
        database.evaluate("m")
    fine = CliRunner().invoke(main, ["--db", path, "doctor"])
    assert (fine.exit_code, fine.output) == (0, "nothing is wrong\n")
    with embsql.connect(path) as database:
        database.engine.run("UPDATE embsql.models SET live_run = NULL")
    assert CliRunner().invoke(main, ["--db", path, "doctor"]).exit_code == 1

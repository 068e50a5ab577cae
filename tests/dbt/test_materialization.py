"""The life of an embedding model: what trains, what does not, and what goes wrong with a message
that helps.
"""

from __future__ import annotations

import json
import time

import embsql

EVENTS = "select user_id, item_id, weight from {{ ref('events') }}"
LATER = "select item_id, run_id from {{ ref('shop') }}"


def view(project, name: str = "shop") -> list[dict[str, object]]:
    schema = "analytics" if project.target == "postgres" else "main"
    return project.ask(f"SELECT * FROM {schema}.{name}")


def message(project, name: str) -> str:
    """What dbt says of one node that must fail."""
    return project.dbt("build", "-s", name, succeeds=False).results[name]["message"]


def test_a_model_is_trained_once_forced_and_never_by_looking(project) -> None:
    project.model("shop", EVENTS, dim=4)
    project.model("later", LATER)
    project.dbt("build", "--empty")
    assert project.runs() == []
    assert view(project) == []
    project.dbt("build")
    (first,) = project.runs()
    assert {row["run_id"] for row in view(project)} == {first}
    assert {
        len(row["embedding"])
        for row in project.ask("SELECT * FROM embsql.item_embedding('shop')")
    } == {4}
    for words in (
        ["build"],
        ["build", "--empty"],
        ["compile"],
        ["docs", "generate"],
        ["show", "-s", "later"],
    ):
        project.dbt(*words)
        assert project.runs() == [first], words
    assert len(view(project)) == 30
    project.dbt("build", "--full-refresh", "-s", "shop")
    assert len(project.runs()) == 2
    assert {row["run_id"] for row in view(project)} == {max(project.runs())}
    assert [row["is_live"] for row in view(project, "shop__runs")].count(True) == 1


def test_what_auto_chose_is_kept(project) -> None:
    project.model("shop", EVENTS, algorithm="auto", budget="1 minute", dim=2)
    project.dbt("build")
    (first,) = project.runs()
    tried = "SELECT count(*) AS n FROM embsql.trials('shop') WHERE status = 'done'"
    assert project.ask(tried)[0]["n"] > 1
    project.dbt("build")
    assert project.runs() == [first]
    project.dbt("build", "--full-refresh", "-s", "shop")
    assert len(project.runs()) == 2
    assert project.ask(tried) == [{"n": 0}]


def test_a_refused_run_fails_its_node_and_what_was_live_stays(project) -> None:
    project.model("shop", EVENTS, dim=4)
    project.model("later", LATER)
    project.dbt("build")
    before = view(project)
    noise = "select user_id, 'i' || length(item_id) * 7 % 3 as item_id from {{ ref('events') }}"
    project.model("shop", noise, dim=2, epochs=1, evaluate=True, split="random")
    done = project.dbt("build", succeeds=False)
    assert "was not made live" in done.results["shop"]["message"]
    assert "run-operation embsql.promote" in done.results["shop"]["message"]
    assert done.results["later"]["status"] == "skipped"
    assert view(project) == before
    project.model(
        "shop", noise, dim=2, epochs=1, evaluate=True, split="random", gate=False
    )
    project.dbt("build")
    assert view(project) != before


def test_what_is_wrong_is_said_and_the_next_build_succeeds(project) -> None:
    project.model(
        "events_of_nobody",
        "select cast(null as varchar) as user_id, item_id from {{ ref('events') }}",
        dim=4,
    )
    project.model("without_items", "select user_id from {{ ref('events') }}", dim=4)
    project.model("wrong_option", EVENTS, dimm=4)
    project.model("wrong_entity", EVENTS, dim=4, entity="users")
    project.model("wrong_algorithm", EVENTS, algorithm="alss")
    project.model("x" * 41, EVENTS, dim=4)
    project.model("y" * 55, EVENTS, dim=4, name="short")
    results = project.dbt("build", succeeds=False).results
    messages = {
        name: result["message"]
        for name, result in results.items()
        if result["status"] == "error"
    }
    expected = {
        "events_of_nobody": "no usable interaction",
        "without_items": 'the source has no column "item_id"',
        "wrong_option": 'has no option "dimm". Did you mean "dim"?',
        "wrong_entity": "must be item or user, got users",
        "wrong_algorithm": 'Did you mean "als"?',
        "x" * 41: "'name': 'shop'",
        "y" * 55: "alias='shop'",
    }
    assert set(messages) == set(expected)
    for number, (name, words) in enumerate(expected.items()):
        assert words in messages[name], messages[name]
        project.model(name, EVENTS, dim=4, name=f"mended_{number}")
    (project.folder / "models" / f"{'y' * 55}.sql").unlink()
    project.dbt("build")


def test_settings_that_are_none_are_said(project) -> None:
    """Whatever YAML can hold: none of it ends in an exception of dbt's, and nothing is trained."""
    wrong = {
        "dim_many": (
            {"dim": "many"},
            "als: dim must be a whole number from 1 to 16000, got 'many'",
        ),
        "seed_date": (
            {"seed": "{{ modules.datetime.date(2026, 1, 1) }}"},
            "train: seed must be a whole number",
        ),
        "threads_list": (
            {"threads": [1, 2]},
            "train: threads must be a whole number from 1 to 1024, or none",
        ),
        "taken": ({"model_name": "x"}, 'als has no option "model_name"'),
        "split_map": (
            {"evaluate": True, "split": {"a": {"b": 1}}},
            "train: split must be auto or last or time",
        ),
        "timeout_word": (
            {"timeout": "soon"},
            "meta.embsql.timeout must be a number of seconds from 1, got soon",
        ),
        "cluster_word": (
            {"cluster": "users"},
            "meta.embsql.cluster must be true, options like",
        ),
        "project_number": (
            {"project": 3},
            "meta.embsql.project must be true, options like",
        ),
        "refresh_word": (
            {"refresh": "daily"},
            "meta.embsql.refresh must be true, or a mapping with any of source",
        ),
        "named_five": ({"name": 5}, '"5" cannot be the name of an embsql model'),
    }
    for name, (settings, _) in wrong.items():
        project.model(name, EVENTS, **settings)
    results = project.dbt("build", succeeds=False).results
    for name, (_, says) in wrong.items():
        assert says in results[name]["message"], (name, results[name]["message"])
    assert (
        project.ask("SELECT run_id FROM embsql.run_records WHERE status = 'ready'")
        == []
    )


def test_what_is_made_of_a_run_is_checked_alike(on_duckdb) -> None:
    on_duckdb.model("shop", EVENTS, dim=4, cluster={"k": 0})
    assert "cluster: k must be a whole number from 1" in message(on_duckdb, "shop")
    on_duckdb.model("shop", EVENTS, dim=4, cluster={"normalise": 1, "k": 3})
    assert 'cluster has no option "normalise". Did you mean "normalize"?' in message(
        on_duckdb, "shop"
    )
    on_duckdb.model("shop", EVENTS, dim=4, materialize={"users": False, "items": False})
    assert "materialize: users must be true where items is false" in message(
        on_duckdb, "shop"
    )
    on_duckdb.model(
        "shop",
        EVENTS,
        dim=4,
        cluster={"seed": 7, "k": 3},
        materialize={"k": 2, "threads": 1},
    )
    on_duckdb.dbt("build", "-s", "shop")
    assert on_duckdb.ask("SELECT max(rank) AS k FROM embsql.top_items") == [{"k": 2}]


def test_features_of_a_model_that_is_no_parent(on_duckdb) -> None:
    on_duckdb.model(
        "traits", "select distinct item_id, 1 as shade from {{ ref('events') }}"
    )
    on_duckdb.model("shop", EVENTS, algorithm="fusion", dim=4, item_features="traits")
    on_duckdb.dbt("build", "-s", "events", "traits")
    assert "-- depends_on: {{ ref('traits') }}" in message(on_duckdb, "shop")


def test_a_schema_does_not_take_over_anothers_model(project) -> None:
    project.model("shop", EVENTS, dim=4)
    project.dbt("build")
    profile = (project.folder / "profiles.yml").read_text()
    elsewhere = profile.replace("schema: analytics", "schema: alice").replace(
        "      plugins:", "      schema: alice\n      plugins:"
    )
    (project.folder / "profiles.yml").write_text(elsewhere)
    done = project.dbt("build", succeeds=False)
    assert "belongs to schema" in done.results["shop"]["message"]
    assert "target.schema" in done.results["shop"]["message"]
    assert len(project.runs()) == 1


def test_a_profile_without_the_plugin(on_duckdb) -> None:
    on_duckdb.model("shop", EVENTS, dim=4)
    on_duckdb.target = "bare"
    done = on_duckdb.dbt("build", succeeds=False)
    assert "plugins: [{module: embsql.dbt}]" in done.results["shop"]["message"]
    on_duckdb.target = "duckdb"
    on_duckdb.dbt("build")


def test_a_file_that_another_process_has(on_duckdb) -> None:
    on_duckdb.dbt("build")
    with embsql.connect(on_duckdb.database):
        done = on_duckdb.alone("build")
    assert "is open for writing in another process (process" in done.stdout
    on_duckdb.dbt("build")


def test_a_file_that_hides_the_schema(on_duckdb) -> None:
    on_duckdb.env["EMBSQL_DBT_FILE"] = str(on_duckdb.folder / "embsql.duckdb")
    assert "a file of this name hides the schema" in on_duckdb.alone("build").stdout


def test_a_killed_build_leaves_nothing_in_the_way(on_duckdb) -> None:
    on_duckdb.model("shop", EVENTS, dim=64, epochs=1_000_000)
    with on_duckdb.running("build") as process:
        assert any("START sql embedding" in line for line in process.stdout)
        time.sleep(5)  # well into the training
        assert process.poll() is None
    on_duckdb.model("shop", EVENTS, dim=8)
    assert on_duckdb.alone("build").returncode == 0
    assert [(row["status"], row["dim"]) for row in view(on_duckdb, "shop__runs")][
        -1
    ] == ("live", 8)
    assert "training" not in {row["status"] for row in view(on_duckdb, "shop__runs")}


# --- PostgreSQL ----------------------------------------------------------------------------------


def test_a_worker_that_is_not_running(on_postgres) -> None:
    on_postgres.model("shop", EVENTS, dim=4)
    done = on_postgres.alone("build", "--vars", "{embsql_worker_wait: 2}")
    assert done.returncode == 1
    assert "no worker has taken job" in done.stdout
    assert "embsql dbt build" in done.stdout
    assert on_postgres.ask("SELECT status FROM embsql.jobs") == [
        {"status": "cancelled"}
    ]
    on_postgres.dbt("build")


def test_a_database_without_embsql(on_postgres) -> None:
    import psycopg

    with psycopg.connect(on_postgres.database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA embsql CASCADE")
        on_postgres.model("shop", EVENTS, dim=4)
        done = on_postgres.alone("build")
    assert "this database has no embsql yet. Run once: embsql --db" in done.stdout


def test_a_dashboard_in_a_long_transaction_is_not_in_the_way(on_postgres) -> None:
    """The view follows the live run, so building again does not replace it; a change of its columns
    waits and tells.
    """
    import psycopg

    on_postgres.model("shop", EVENTS, dim=4)
    on_postgres.dbt("build")
    with psycopg.connect(on_postgres.database, application_name="dashboard") as reader:
        reader.execute("SELECT * FROM analytics.shop").fetchall()
        on_postgres.dbt("build", "--full-refresh", "-s", "shop")
        on_postgres.model("shop", EVENTS, dim=4, entity="user")
        refused = on_postgres.dbt(
            "build", "-s", "shop", "--vars", "{embsql_reader_wait: 2}", succeeds=False
        )
        assert "(dashboard, user" in refused.results["shop"]["message"]
        assert "pg_terminate_backend" in refused.results["shop"]["message"]
    on_postgres.dbt("build", "-s", "shop")
    assert "user_id" in view(on_postgres)[0]


def test_a_training_that_takes_too_long(on_postgres) -> None:
    on_postgres.model("shop", EVENTS, dim=64, epochs=1_000_000, timeout=3)
    refusal = on_postgres.dbt("build", succeeds=False).results["shop"]["message"]
    assert "after 3 seconds" in refusal
    assert "embsql.cancel('shop')" in refusal
    assert on_postgres.ask("SELECT status FROM embsql.jobs") == [
        {"status": "cancelled"}
    ]  # the worker beside ends too
    on_postgres.model("shop", EVENTS, dim=4)
    on_postgres.dbt("build")


def test_what_is_new_is_folded_in(project) -> None:
    """By a build that says so, and by name; until --full-refresh nothing is trained."""
    dated = (
        "select e.*, timestamp '2026-01-01' as event_time from {{ ref('events') }} as e"
    )
    new = " union all select 'u1', 'i{}', 1, timestamp '2026-02-0{}'"
    project.model("dated", dated)
    settings = {"refresh": {"source": "dated"}, "cluster": {"k": 2}}
    project.model("shop", "select * from {{ ref('dated') }}", dim=4, **settings)

    def parents() -> list[int | None]:
        rows = "SELECT parent_run FROM embsql.runs ORDER BY run_id"
        return [row["parent_run"] for row in project.ask(rows)]

    project.dbt("build")
    project.dbt("build", "-s", "shop")
    assert parents() == [None]
    project.model("dated", dated + new.format(3, 1))
    project.dbt("build")
    first, second = project.runs()
    assert parents() == [None, first]
    assert {row["run_id"] for row in view(project)} == {second}
    clustered = "SELECT run_id FROM embsql.events WHERE event = 'cluster'"
    assert project.ask(clustered) == [{"run_id": first}]  # which the other has
    project.model("dated", dated + new.format(3, 1) + new.format(5, 2))
    project.dbt("run", "-s", "dated")
    said = project.dbt(
        "run-operation", "embsql.refresh", "--args", json.dumps({"model": "shop"})
    ).said
    assert f"shop has 1 users folded in, run {max(project.runs())} is live" in said
    assert parents() == [None, first, second]
    project.dbt("build", "--full-refresh", "-s", "shop")
    assert parents() == [None, first, second, None]

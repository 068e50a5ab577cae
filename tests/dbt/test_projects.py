"""The package's own projects, from empty: every macro and test of the package, and the
demonstration.
"""

from __future__ import annotations

import json

import pytest

import embsql
from tests.conftest import real
from tests.dbt.conftest import TARGETS
from tests.dbt.projects import Project, copied


@pytest.fixture(scope="module", params=TARGETS)
def build(request, tmp_path_factory):
    """Copies a project and builds it."""

    def make(name: str) -> Project:
        address = (
            request.getfixturevalue("new_database")()
            if request.param == "postgres"
            else None
        )
        project = copied(name, tmp_path_factory.mktemp(name), request.param, address)
        project.dbt("build")
        return project

    return make


@pytest.fixture(scope="module")
def integration(build) -> Project:
    return build("integration_tests")


@pytest.fixture(scope="module")
def demo(build) -> Project:
    return build("demo")


def test_four_models_in_four_threads_are_what_training_alone_gives(integration) -> None:
    records = integration.ask("SELECT * FROM embsql.runs")
    assert sorted(r["model_name"] for r in records) == [
        "island_items",
        "island_people",
        "island_promised",
        "island_svd",
    ]
    with embsql.connect(integration.database) as database:
        for record in records:
            options = json.loads(record["params"])
            name, sums = (
                f"again_{record['run_id']}",
                "SELECT checksum FROM embsql.runs WHERE run_id = {}",
            )
            run = database.train(
                name, record["source_sql"], algorithm=record["algorithm"], **options
            )
            assert database.ask(sums.format(run.run_id)).to_pylist() == [
                {"checksum": record["checksum"]}
            ]


def test_demonstration_answers_its_questions(demo) -> None:
    schema = "shop" if demo.target == "postgres" else "main"
    (counted,) = demo.ask(f"""SELECT
        (SELECT count(DISTINCT segment_id) FROM {schema}.customer_segments) AS segments,
        (SELECT count(*) FROM {schema}.lookalike_audience) AS audience,
        (SELECT count(*) FROM {schema}.cohort_profiles) AS cohorts,
        (SELECT
            avg(CASE WHEN substr(item_id, 1, 3) = substr(neighbor_id, 1, 3) THEN 1.0 ELSE 0.0 END)
         FROM {schema}.item_neighbors) AS same_aisle""")
    assert (counted["segments"], counted["audience"]) == (8, 100)
    assert counted["cohorts"] >= 18  # people sign up during 600 days
    assert counted["same_aisle"] > 0.9  # customers like two aisles of eight


def test_nothing_is_trained_twice(demo) -> None:
    before = demo.runs()
    assert len(before) == 4
    said = demo.dbt("build").said
    assert demo.runs() == before
    assert said.count("has not changed") == 4


def test_demonstration_on_a_real_shop(tmp_path) -> None:
    path = real("online_retail", "online_retail.parquet")
    project = copied("demo", tmp_path, "duckdb", None)
    done = project.dbt("build", "--vars", json.dumps({"online_retail": str(path)}))
    assert "ERROR=0" in done.said
    (shop,) = project.ask(
        "SELECT users, items FROM embsql.runs WHERE model_name = 'shop'"
    )
    assert shop["users"] > 4000
    assert shop["items"] > 3000

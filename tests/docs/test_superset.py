"""The dashboard of examples/superset, without Superset: its files belong together, and the SQL of
its datasets answers what its charts show, on both engines.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jinja2 import Environment

import embsql
from embsql.engines.columns import quote
from embsql.shells import demo
from tests.docs.pages import ROOT
from tests.docs.test_docs import load

FOLDER = ROOT / "examples" / "superset"
IN_A_DATASET = ("groupby", "metrics", "all_columns")  # lists of a chart
OF_A_DATASET = ("x_axis", "x_axis_sort", "entity", "series", "x", "y", "size")


def parts(kind: str) -> dict[str, dict[str, Any]]:
    """The files of one folder of the dashboard, by their name."""
    found = sorted((FOLDER / "dashboard" / kind).rglob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text()) for path in found}


DATASETS, CHARTS = parts("datasets"), parts("charts")


def rendered(sql: str, *customers: str) -> str:
    """A dataset's SQL as Superset renders it for the customers of a filter."""
    environment = Environment(autoescape=False)  # noqa: S701 - it renders SQL, as Superset does
    environment.filters["where_in"] = lambda values: (
        f"({', '.join(map(quoted, values))})"
    )
    chosen = {"customer_id": list(customers)}
    return environment.from_string(sql).render(
        filter_values=lambda column: chosen[column]
    )


def quoted(value: str) -> str:
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def script(name: str) -> ModuleType:
    return load(FOLDER / f"{name}.py")


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def shop(request, tmp_path_factory) -> embsql.Database:
    """The demo's shop, prepared for the dashboard."""
    if request.param == "duckdb":
        address = str(tmp_path_factory.mktemp("superset") / "demo.duckdb")
    else:
        address = request.getfixturevalue("new_database")()
    with embsql.connect(address) as database:
        demo.open_shop(database)
        script("prepare").prepare(database)
        yield database


def answer_of(dataset: str) -> str:
    """The table of a dataset's answer."""
    return quote(f"dataset_{dataset}")


@pytest.fixture(scope="module")
def answered(shop) -> embsql.Database:
    """The same, where each dataset's answer is a table: two runs are not compared three times."""
    for name, dataset in DATASETS.items():
        asked = f"SELECT * FROM ({rendered(dataset['sql'])}) AS virtual_table"
        shop.engine.run(f"CREATE TABLE {answer_of(name)} AS {asked}")
    return shop


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_has_its_columns_and_metrics(answered, name: str) -> None:
    dataset = DATASETS[name]
    answer = answered.ask(f"SELECT * FROM {answer_of(name)}")
    assert answer.num_rows > 0
    assert answer.column_names == [
        column["column_name"] for column in dataset["columns"]
    ]
    metrics = [metric["expression"] for metric in dataset.get("metrics", [])]
    if metrics:
        answered.ask(f"SELECT {', '.join(metrics)} FROM {answer_of(name)}")


def test_filter_asks_about_the_customer(shop) -> None:
    sql = DATASETS["recommended"]["sql"]
    for customer in ("c0099", "nobody's"):
        asked = f"SELECT name FROM ({rendered(sql, customer)}) AS answer ORDER BY rank"
        best = f"""
            SELECT product.name FROM embsql.recommend('shop', {quoted(customer)}, k => 10) AS answer
            JOIN shop_items AS product ON product.item_id = answer.item_id ORDER BY answer.rank
        """
        assert shop.ask(asked).to_pylist() == shop.ask(best).to_pylist()


def test_every_run_has_figures_and_every_step_a_drift(answered) -> None:
    assert answered.ask("SELECT * FROM dataset_quality").num_rows == 3
    steps = answered.ask("SELECT DISTINCT runs FROM dataset_drift")
    assert steps.num_rows == 2


@pytest.mark.parametrize("name", CHARTS)
def test_chart_shows_what_its_dataset_has(name: str) -> None:
    chart = CHARTS[name]
    (dataset,) = (
        one for one in DATASETS.values() if one["uuid"] == chart["dataset_uuid"]
    )
    known = {column["column_name"] for column in dataset["columns"]}
    known |= {metric["metric_name"] for metric in dataset.get("metrics", [])}
    shown = chart["params"]
    used = {shown[key] for key in OF_A_DATASET if key in shown}
    used |= {one for key in IN_A_DATASET for one in shown.get(key, [])}
    used |= {json.loads(order)[0] for order in shown.get("order_by_cols", [])}
    assert used
    assert used <= known
    assert shown["viz_type"] == chart["viz_type"]


def test_dashboard_holds_every_chart_and_a_filter() -> None:
    dashboard = parts("dashboards")["shop"]
    parts_shown = dashboard["position"]
    shown = [part for name, part in parts_shown.items() if name.startswith("CHART")]
    assert {chart["meta"]["uuid"] for chart in shown} == {
        one["uuid"] for one in CHARTS.values()
    }
    (customer,) = dashboard["metadata"]["native_filter_configuration"]
    (target,) = customer["targets"]
    assert target["datasetUuid"] == DATASETS["customers"]["uuid"]
    assert {one["database_uuid"] for one in DATASETS.values()} == {
        parts("databases")["embsql"]["uuid"]
    }


def test_bundle_names_the_database(tmp_path: Path) -> None:
    serve = script("serve")
    (tmp_path / "a #1: shop.duckdb").touch()
    for given, address in (
        (
            str(tmp_path / "a #1: shop.duckdb"),
            f"duckdb:///{tmp_path}/a #1: shop.duckdb?access_mode=READ_ONLY",
        ),
        ("postgresql://reader@host/shop", "postgresql+psycopg2://reader@host/shop"),
    ):
        serve.pack(serve.sqlalchemy_address(given), tmp_path / "bundle.zip")
        with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
            database = yaml.safe_load(bundle.read("dashboard/databases/embsql.yaml"))
        assert database["sqlalchemy_uri"] == address

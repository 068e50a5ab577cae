"""The generated documentation, opened in a real browser: the descriptions and the lineage are
there.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.dbt.projects import copied

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser found: {', '.join(BROWSERS)}")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demonstration's documentation as one page, and its manifest."""
    project = copied("demo", tmp_path_factory.mktemp("docs"), "duckdb", None)
    project.dbt("docs", "generate", "--static")
    assert project.ask("SELECT count(*) AS runs FROM embsql.runs") == [{"runs": 0}]
    return project.folder / "target"


def dom(browser: str, page: str) -> str:
    """A page once its scripts have run."""
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=20000",
        "--dump-dom",
        page,
    ]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120
    ).stdout


def opened(browser: str, page: str) -> str:
    """Its words."""
    html = re.sub(r"<(script|style).*?</\1>", "", dom(browser, page), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_model_has_its_description_columns_and_lineage(browser, folder) -> None:
    words = opened(
        browser, f"file://{folder}/static_index.html#!/model/model.embsql_demo.shop"
    )
    assert "Products as vectors, near when the same customers buy them." in words
    assert (
        "32 numbers; the inner product with a customer's vector is the score." in words
    )
    children, parents = re.search(
        r"Referenced By Models (.*?) Depends On Models (.*?) Code", words
    ).groups()
    assert {
        "customer_segments",
        "item_neighbors",
        "lookalike_audience",
        "item_drift",
    } <= set(children.split())
    assert {"interactions", "customer_labels"} <= set(parents.split())


def test_the_graph_is_drawn(browser, folder) -> None:
    html = dom(
        browser,
        f"file://{folder}/static_index.html#!/model/model.embsql_demo.shop?g_v=1&g_i=%2Bshop%2B",
    )
    assert re.search(r'<canvas[^>]*layer2-node"[^>]*width="[1-9]', html)


def test_a_dashboard_says_what_it_rests_on(browser, folder) -> None:
    words = opened(
        browser,
        f"file://{folder}/static_index.html#!/exposure/exposure.embsql_demo.crm_dashboard",
    )
    assert "those who write to customers" in words
    parents = re.search(r"Depends On Models (.*)", words)[1]
    assert "customer_segments" in parents


def test_a_macro_is_documented_with_its_arguments(browser, folder) -> None:
    words = opened(
        browser, f"file://{folder}/static_index.html#!/macro/macro.embsql.lookalikes"
    )
    assert "users most like some seed users" in words
    assert "exclude_seeds" in words


def test_everything_is_described_and_hangs_together(folder) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    kinds = ("model.", "source.", "exposure.")
    for name, node in {
        **manifest["nodes"],
        **manifest["sources"],
        **manifest["exposures"],
    }.items():
        if name.startswith(kinds):
            assert node["description"], f"{name} has no description"
    upstream = [
        name
        for name, children in manifest["child_map"].items()
        if "model.embsql_demo.shop" in children
    ]
    assert "model.embsql_demo.interactions" in upstream
    seen, queue = set(), ["exposure.embsql_demo.merchandising_dashboard"]
    while queue:
        node = queue.pop()
        seen.add(node)
        queue += [
            parent
            for parent in manifest["parent_map"].get(node, [])
            if parent not in seen
        ]
    assert "source.embsql_demo.raw.order_lines" in seen

"""The guide, typed in: its files make a project, and the project builds."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.dbt.projects import PACKAGE, PROJECT, Project

GUIDE = ROOT / "docs" / "guides" / "dbt.md"
LINES = """{{ config(materialized='table') }}
select
  'c' || n % 211 as customer_id,
  case
    when n % 211 % 7 = 0 and n % 3 = 0 then 'mug-03'
    else 'sku-' || (n % 211 % 5 * 8 + n // 211 * 7 % 8)
  end as sku,
  1 + n % 3 as quantity,
  timestamp '2026-01-01 00:00:00' + n * interval '1 hour' as ordered_at
from range(6000) as given(n)
"""


def test_the_guide_makes_a_project_that_builds(tmp_path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "models" / "order_lines.sql").write_text(LINES)
    blocks = re.findall(
        r"```(?:yaml|sql|python)\n(?:#|--) (\S+)\n(.*?)```",
        GUIDE.read_text(),
        re.DOTALL,
    )
    assert len(blocks) == 9
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    env = {"EMBSQL_DBT_PACKAGE": str(PACKAGE)}
    project = Project(tmp_path, "dev", str(tmp_path / "warehouse.duckdb"), env)
    project.dbt("deps")
    project.dbt("build")
    (counted,) = project.ask("""SELECT (SELECT count(*) FROM main.segments) AS segments,
        (SELECT count(*) FROM main.audience) AS audience,
        (SELECT count(*) FROM main.people) AS people""")
    assert counted == {"segments": 211, "audience": 50, "people": 211}

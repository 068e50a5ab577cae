"""`dbt run` ended by SIGKILL, as in `kills`: dbt, training and what is made of it, in one process.

dbt has an environment of its own, whose Python runs this part.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from embsql.errors import EmbsqlError
from embsql.options import shortened
from tests.faults import zygote
from tests.faults.acts import DBT, EVENTS, PROJECT
from tests.faults.kills import BLOWS, World, endless
from tests.faults.result import Tried
from tests.faults.seen import Parts, hashed
from tests.faults.victims import Asked, Found, again
from tests.faults.zygote import called, returned

MISSING = (
    "dbt is not installed here: make .venv/dbt/ready, and then "
    ".venv/dbt/bin/python -m tests.faults dbt"
)
MADE = ("topk", "clusters")  # of a run, by the project
NOTHING = hashed([None, None])  # no rows in either table of these
MODEL = f"""
{{{{ config(materialized='embedding', meta={{'embsql': {{
  'dim': 4, 'epochs': 2, 'threads': 1, 'seed': env_var('EMBSQL_SEED') | int,
  'cluster': {{'k': 3, 'threads': 1}}, 'materialize': {{'k': 3, 'threads': 1}}
}}}}) }}}}
{EVENTS}
"""


def tries(seed: int, first: int, engines: list[str]) -> Iterator[Tried]:
    """Kill after kill, each on the next engine."""
    if importlib.util.find_spec("dbt") is None:
        raise SystemExit(MISSING)
    zygote.PRELOADED.append("tests.faults.preload_dbt")
    return endless(seed, first, engines, BLOWS, DBT, world=Projects)


class DbtFailed(EmbsqlError):
    """{reason}"""


class Projects(World):
    """A database, and a project of dbt that has run in it once."""

    def _renewed(self) -> None:
        super()._renewed()
        project = self.folder.parent / PROJECT
        if not project.exists():
            returned(written, project, self.engine, self.target)
        asked = Asked(self.target, self.folder, "dbt_run", "first", self.runs)
        left: Found = called(again, asked, 0)
        assert not left.wrong, left.wrong
        self.before, self.runs = left.after, left.runs

    def _judged(
        self, asked: Asked, blow: str, ended: str, before: Parts, left: Found
    ) -> Tried:
        """A new run is at first without what dbt makes of it, each by a command of its own."""
        new = left.found.keys() - before.keys()
        bare = {name: NOTHING for name in new if name.split()[0] in MADE}
        return super()._judged(asked, blow, ended, before | bare, left)


def written(folder: Path, engine: str, target: str) -> None:
    """A project whose one model is an embedding."""
    # here: it needs dbt
    from tests.dbt.projects import PACKAGE, PROFILE, PROJECT

    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "packages.yml").write_text(f"packages: [{{local: {PACKAGE}}}]")
    (folder / "models" / "m.sql").write_text(MODEL)
    _dbt(folder, engine, target, 0, "deps")


def run(folder: Path, engine: str, target: str, seed: int) -> None:
    """`dbt run` in this process, with a worker beside it where the database is a server's."""
    _dbt(folder, engine, target, seed, "run")


def _dbt(folder: Path, engine: str, target: str, seed: int, command: str) -> None:
    """Run a command of dbt, which must succeed, and close what it opened, as its process does."""
    # here: they need dbt
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    from tests.dbt.projects import Project, environment_of

    embedded = {"EMBSQL_DBT_FILE": target}
    env = environment_of(target) if engine == "postgres" else embedded
    env |= {"EMBSQL_SEED": str(seed)}
    try:
        Project(folder, engine, target, env).dbt(command, "--quiet")
    except AssertionError as error:  # it ended by itself, and said why
        raise DbtFailed(reason=shortened(str(error))) from None
    DuckDBConnectionManager.close_all_connections()

"""dbt as an analytics engineer runs it: a project in a folder of its own, one process per
command.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner

import embsql
from embsql.shells.dbt import BackgroundWorker
from tests.conftest import ROOT

PACKAGE = ROOT / "dbt_project"
PROFILE = """
shop:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: "{{ env_var('EMBSQL_DBT_FILE') }}"
      threads: 4
      plugins: [{module: embsql.dbt}]
    bare: {type: duckdb, path: "{{ env_var('EMBSQL_DBT_FILE') }}"}
    postgres:
      type: postgres
      host: "{{ env_var('PGHOST') }}"
      port: "{{ env_var('PGPORT', '5432') | int }}"
      user: "{{ env_var('PGUSER') }}"
      password: "{{ env_var('PGPASSWORD', '') }}"
      dbname: "{{ env_var('PGDATABASE') }}"
      schema: analytics
      threads: 4
"""
PROJECT = """
name: shop
profile: shop
flags: {send_anonymous_usage_stats: false}
models: {shop: {+materialized: table}}
"""


HERE = Path(sys.executable).parent  # where the commands dbt and embsql are


@dataclass
class Done:
    """What a command of dbt gave."""

    said: str
    results: dict[str, dict[str, Any]]  # by name of the node


@dataclass
class Project:
    """A dbt project in a folder, a target of its profile, and the database behind it."""

    folder: Path
    target: str
    database: str  # as embsql.connect takes it
    env: dict[str, str] = field(default_factory=dict)

    def dbt(self, *words: str, succeeds: bool = True) -> Done:
        """Run a command in this process, in PostgreSQL with a worker beside it."""
        said: list[str] = []
        arguments = [
            *words,
            "--target",
            self.target,
            *(["--profiles-dir", "."] if words[0] != "deps" else []),
        ]
        with self._inside(), BackgroundWorker(self.database, said.append) as worker:
            done = dbtRunner(
                callbacks=[
                    worker.on_dbt_event,
                    lambda event: said.append(event.info.msg),
                ]
            ).invoke(arguments)
        results = self.folder / "target" / "run_results.json"
        nodes = json.loads(results.read_text())["results"] if results.exists() else []
        found = Done(
            "\n".join(said), {node["unique_id"].split(".")[2]: node for node in nodes}
        )
        assert done.success == succeeds, f"{done.exception}\n{found.said[-6000:]}"
        return found

    @contextmanager
    def _inside(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield

    def alone(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run dbt in a process of its own, without a worker."""
        command = [
            str(HERE / "dbt"),
            *words,
            "--target",
            self.target,
            "--profiles-dir",
            ".",
        ]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.env,
            "DBT_USE_COLORS": "false",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """dbt in the background, killed when the block ends."""
        command = [
            str(HERE / "dbt"),
            *words,
            "--target",
            self.target,
            "--profiles-dir",
            ".",
        ]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()

    def model(self, name: str, sql: str, /, **options: Any) -> None:
        """Write an embedding model with these options under meta.embsql, or with none a table."""
        config = (
            f"{{{{ config(materialized='embedding', meta={{'embsql': {options!r}}}) }}}}\n"
            if options
            else ""
        )
        (self.folder / "models" / f"{name}.sql").write_text(config + sql)

    def ask(self, sql: str) -> list[dict[str, Any]]:
        with embsql.connect(self.database) as database:
            return database.ask(sql).to_pylist()

    def runs(self) -> list[int]:
        """Every run there is."""
        return [
            row["run_id"]
            for row in self.ask("SELECT run_id FROM embsql.runs ORDER BY run_id")
        ]


def environment_of(address: str) -> dict[str, str]:
    """A PostgreSQL address as the variables that the profiles read."""
    from psycopg import conninfo

    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "dbname": "PGDATABASE",
    }
    found = conninfo.conninfo_to_dict(address)
    return {
        variable: str(found[word])
        for word, variable in names.items()
        if found.get(word)
    }


def opened(folder: Path, target: str, address: str | None) -> Project:
    """The project in a folder, with the package installed into it."""
    env = (
        environment_of(address)
        if address
        else {"EMBSQL_DBT_FILE": str(folder / "warehouse.duckdb")}
    )
    project = Project(folder, target, address or env["EMBSQL_DBT_FILE"], env)
    project.dbt("deps")
    return project


def copied(name: str, folder: Path, target: str, address: str | None) -> Project:
    """A copy of one of the package's own projects."""
    shutil.copytree(
        PACKAGE,
        folder / "dbt_project",
        ignore=shutil.ignore_patterns("target", "dbt_packages", "logs"),
    )
    return opened(folder / "dbt_project" / name, target, address)


def written(folder: Path, target: str, address: str | None) -> Project:
    """A project with one table, events: two islands of users and items."""
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "packages.yml").write_text(
        f"packages: [{{local: {json.dumps(str(PACKAGE))}}}]"
    )
    project = opened(folder, target, address)
    numbers = (
        "range(60) AS given(n)"
        if target == "duckdb"
        else "generate_series(0, 59) AS given(n)"
    )
    project.model(
        "events",
        f"""SELECT 'u' || u.n AS user_id, 'i' || i.n AS item_id, 1 + (u.n + i.n) % 3 AS weight
        FROM (SELECT n FROM {numbers}) AS u CROSS JOIN (SELECT n FROM {numbers}) AS i
        WHERE i.n < 30 AND u.n % 2 = i.n % 2 AND (u.n + i.n) % 3 <> 0""",
    )
    return project

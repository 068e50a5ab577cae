"""What dbt's profiles and Python models name: `module: embsql.dbt`."""

from embsql.shells.dbt import Plugin, train

__all__ = ["Plugin", "train"]

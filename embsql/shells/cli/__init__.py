"""The command line: parse, call, print. The modules imported here add their commands to `main`."""

from embsql.shells.cli import asking, derived, installation, models, programs, training
from embsql.shells.cli.group import main

__all__ = [
    "asking",
    "derived",
    "installation",
    "main",
    "models",
    "programs",
    "training",
]

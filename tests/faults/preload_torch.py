"""Imported by a zygote of its own: torch and the networks, which have not run when it forks."""

from __future__ import annotations

import embsql.nn.sequence_training
import embsql.nn.towers  # noqa: F401 - what is forked has them at hand
from tests.faults import preload  # noqa: F401 - the rest, likewise

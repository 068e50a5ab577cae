"""Imported by the zygote of the suite's slice: the least that acts can be done on."""

from __future__ import annotations

from tests.faults import acts

acts.FILLING[1:] = []

from tests.faults import preload  # noqa: E402, F401 - only now: importing it fills a database

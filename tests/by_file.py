"""How tests are shared out: by file, and all of Spark's to one process, which has the one JVM."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling


class ByFile(LoadFileScheduling):
    """What goes to a process as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return "Spark" if "/test_spark" in nodeid else super()._split_scope(nodeid)

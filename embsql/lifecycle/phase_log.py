"""The phases of a run in its row, where readers see them while it is trained."""

from __future__ import annotations

import threading

from embsql.engines import Engine
from embsql.lifecycle.leases import retry
from embsql.lifecycle.named_statements import execute_named
from embsql.phases import Phases


class PhaseLog:
    """Writes down which phase a run is in, and what each took, where that has changed.

    The thread of the run's lease does, so that training waits for nothing. What begins a
    transaction on the run's row writes first, or one of the two would have to be tried again.
    """

    def __init__(self, phases: Phases, run_id: int) -> None:
        self.phases = phases
        self._run_id = run_id
        self._written: tuple[str | None, str] | None = None
        self._lock = threading.Lock()

    def write(self, engine: Engine) -> None:
        """Write down what has changed, outside of transactions."""
        with self._lock:
            state = self.phases.current, self.phases.summary()
            if state != self._written and self._update(engine, *state):
                self._written = state

    def _update(self, engine: Engine, phase: str | None, summary: str) -> int:
        values = {"run_id": self._run_id, "phase": phase, "phase_seconds": summary}
        return execute_named(engine, "log_phase", **values)

    def enter(self, engine: Engine, phase: str | None) -> None:
        """Begin a phase, or with None end the last, and write it down at once."""
        self.phases.enter(phase)
        retry(engine, lambda: self.write(engine))

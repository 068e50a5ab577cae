"""What the model is: its source, options, users and items; when, and whether it is live."""

from __future__ import annotations

import json
from typing import Any

from embsql.features.registered import Registered
from embsql.report.subject import Subject

LONGEST_SOURCE = 4000  # characters of the SELECT that are shown


def run_facts(subject: Subject) -> dict[str, Any]:
    """The run, its options and versions as objects, and every run of the model."""
    run = subject.rows("run")[0]
    registered = run["algorithm"] == Registered.name
    # what was not trained cannot be trained anew on a part, and nobody can be asked without users
    measurable = run["users"] and not registered
    return run | {
        "reference": subject.reference,
        "params": json.loads(run["params"]),
        "versions": json.loads(run["versions"]),
        "source_sql": run["source_sql"][:LONGEST_SOURCE],
        "runs": subject.rows("history"),
        "gate": next(iter(subject.rows("gate")), None),
        "registered": registered,
        # the command that measures it
        "evaluate": f"embsql evaluate {subject.reference}" if measurable else None,
    }


def run_before(model: dict[str, Any]) -> str | None:
    """The newest run before this one that is finished, as 'shop@6'."""
    finished = [
        run["run_id"]
        for run in model["runs"]
        if run["status"] in {"ready", "live", "retired"}
        and run["run_id"] < model["run_id"]
    ]
    return f"{model['model_name']}@{max(finished)}" if finished else None

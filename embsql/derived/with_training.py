"""Maps and clusters that are made in a training, before the run is live."""

from __future__ import annotations

from collections.abc import Callable

from embsql.derived.clusters import cluster
from embsql.derived.maps import project
from embsql.engines import Engine
from embsql.lifecycle import registry
from embsql.lifecycle.named_statements import query_named

ENTITIES = ("item", "user")
METHOD = "pca"  # umap and tsne take longer than most trainings
CLUSTERING = "default"


def deriving(
    *, drawn: bool, clusters: int | None, seed: int, threads: int
) -> Callable[[Engine, str], None]:
    """What makes maps of a run's items and users, and so many clusters of each.

    What is there already stays as it is. It raises what `project` and `cluster` raise.
    """

    def derive(engine: Engine, reference: str) -> None:
        record = registry.get_run(engine, reference)
        for entity in (one for one in ENTITIES if record[f"{one}s"]):
            known = {"run_id": record["run_id"], "entity": entity}
            if drawn and METHOD not in _methods(engine, known):
                project(engine, reference, entity=entity, method=METHOD, seed=seed)
            if clusters and _clusters(engine, known) != clusters:
                cluster(
                    engine,
                    reference,
                    entity=entity,
                    k=clusters,
                    clustering=CLUSTERING,
                    seed=seed,
                    normalize=True,
                    labels=None,
                    threads=threads,
                )

    return derive


def _methods(engine: Engine, known: dict[str, object]) -> set[str]:
    rows = query_named(engine, "map_methods", **known)
    return {row["method_name"] for row in rows}


def _clusters(engine: Engine, known: dict[str, object]) -> int:
    rows = query_named(engine, "count_clusters", clustering=CLUSTERING, **known)
    return int(rows[0]["clusters"])

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
        run_id = record["run_id"]
        entities = [one for one in ENTITIES if record[f"{one}s"]]
        # all maps first: they need fewer vectors than clusters
        for entity in entities if drawn else ():
            if METHOD not in _methods(engine, run_id, entity):
                project(engine, reference, entity=entity, method=METHOD, seed=seed)
        for entity in entities if clusters else ():
            if _clusters(engine, run_id, entity) != clusters:
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


def _methods(engine: Engine, run_id: int, entity: str) -> set[str]:
    rows = query_named(engine, "map_methods", run_id=run_id, entity=entity)
    return {row["method_name"] for row in rows}


def _clusters(engine: Engine, run_id: int, entity: str) -> int:
    known = {"run_id": run_id, "entity": entity, "clustering": CLUSTERING}
    return int(query_named(engine, "count_clusters", **known)[0]["clusters"])

"""The options of commands, each declared once; how, `options` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from embsql.options import (
    Count,
    Dim,
    Range,
    Ranks,
    Seed,
    Share,
    Similarity,
    Size,
    Threads,
    require,
)

Entity = Literal["item", "user"]
SplitName = Literal["auto", "last", "time", "random", "next"]  # what a split holds out
Tries = Annotated[int, Range(1, 100_000)]
Kept = Annotated[int, Range(0, 1000)]  # runs


@dataclass(frozen=True, kw_only=True)
class Train:
    """Options of training that every algorithm has."""

    name: ClassVar[str] = "train"
    help: ClassVar[str] = "embsql train --help"

    # where the source is read: a DuckDB file, :memory: for files, or postgresql://...
    source_db: Any = None
    user_col: str | None = None  # name of the user column; none: user_id
    item_col: str | None = None  # name of the item column; none: item_id
    weight_col: str | None = None  # name of the weight column; none: weight, if there
    time_col: str | None = None  # name of the time column; none: event_time, if there
    # where all that is random begins: the same seed gives the same bytes
    seed: Seed = 42
    threads: Threads | None = None  # threads to train with; none: every core
    # where to train; spark: in the executors of source_db, from which no row comes here
    device: Literal["cpu", "cuda", "spark"] = "cpu"
    # measure on held-out interactions first, and let that decide
    evaluate: bool = False
    k: Ranks = (10, 20)  # lengths of the lists that are measured
    split: SplitName = "auto"  # what is held out; auto: last where there are times
    # a SELECT of user_id and item_id, or of prefix and target, to measure on, instead of a part of
    # the source
    test: Any | None = None
    repeats: bool = False  # ask again for what a user knew, with split time or test
    gate: bool = True  # make it live only if what was measured allows; else whatever was measured
    # share of the live run's figure by which the gate lets a new one be worse
    gate_tolerance: Share = 0.05
    force: bool = False  # train although nothing changed
    # a SELECT of user_id and what is known of each, for what can learn from it
    user_features: Any | None = None
    item_features: Any | None = None  # a SELECT of item_id and what is known of each
    # a SELECT of source_node, target_node and weight: edges between items, to walk on
    graph: Any | None = None
    # go on from the live run's vectors, where one is live; some algorithms start afresh, and refuse
    warm_start: bool = False
    # a folder where a training that is killed leaves how far it came
    checkpoint_dir: str | None = None
    # try so many settings of options that have several values
    n_trials: Tries | None = None
    # with algorithm auto: how long the whole training may take, such as 90 seconds or 1 hour; none:
    # 5 minutes
    budget: Any | None = None
    # with algorithm auto: choose anew, where a choice is kept
    search: bool = False
    map: bool = False  # draw maps of items and of users, before it is live
    # make so many groups of items, and of users; none: no groups
    clusters: Count | None = None
    # how many runs that were live before the model keeps from now on, and how many others, the
    # oldest going first; none: as it was, at first 10
    keep: Kept | None = None
    # in DuckDB, of 100,000 vectors and more: read the likeliest, and miss 1 in 100
    search_cells: bool = False


@dataclass(frozen=True, kw_only=True)
class Auto:
    """What fits the data and the time: chosen among the other algorithms, on held-out pairs.

    These options hold for every candidate. How long it may take is training's option `budget`.
    """

    name: ClassVar[str] = "auto"
    # options of training that go with nothing else, and those that do not go with it
    only: ClassVar[tuple[str, ...]] = ("budget", "search")
    without: ClassVar[tuple[str, ...]] = ("n_trials", "warm_start", "checkpoint_dir")
    help: ClassVar[str] = "embsql algorithms auto"

    # length of the vectors of every candidate; none: several are tried
    dim: Dim | None = None
    # weights are evidence, or ratings to predict
    feedback: Literal["implicit", "explicit"] = "implicit"


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Options of measuring a run."""

    name: ClassVar[str] = "evaluate"
    help: ClassVar[str] = "embsql evaluate --help"

    k: Ranks = (10, 20)  # lengths of the lists that are measured
    # what is held out; auto: last where there are times. With test, next: it has sessions
    split: SplitName = "auto"
    # a SELECT of user_id and item_id, or of prefix and target: measure the vectors as they are
    test: Any | None = None
    # name of the user column of the test; none: the source's, or user_id
    user_col: str | None = None
    # name of the item column of the test; none: the source's, or item_id
    item_col: str | None = None
    repeats: bool = False  # ask again for what a user knew, with split time or test


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Options of letting new events count."""

    name: ClassVar[str] = "watch"
    help: ClassVar[str] = "embsql watch --help"

    user_col: str | None = None  # name of the user column; none: user_id
    item_col: str | None = None  # name of the item column; none: item_id
    weight_col: str | None = None  # name of the weight column; none: weight, if there
    time_col: str | None = None  # name of the time column; none: event_time


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """Options of folding new events into a run."""

    name: ClassVar[str] = "refresh"
    help: ClassVar[str] = "embsql refresh --help"

    # train instead where embsql.freshness says a staleness above this; none: never
    retrain_after: Share | None = None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Options of grouping vectors."""

    name: ClassVar[str] = "cluster"
    help: ClassVar[str] = "embsql cluster --help"

    entity: Entity = "item"  # whose vectors
    k: Count | None = None  # how many groups; none: the number with the best silhouette
    clustering: str = "default"  # its name; a run may have several
    # a SELECT of entity_id and label: what a group has most of names it
    labels: Any | None = None
    normalize: bool = True  # group directions; false: vectors as they are
    seed: Seed = 42  # where all that is random begins
    threads: Threads | None = None  # threads to use; none: every core


@dataclass(frozen=True, kw_only=True)
class Project:
    """Options of drawing a map."""

    name: ClassVar[str] = "project"
    help: ClassVar[str] = "embsql project --help"

    entity: Entity = "item"  # whose vectors
    # how; umap and tsne need the extra maps
    method: Literal["pca", "umap", "tsne"] = "pca"
    seed: Seed = 42  # where all that is random begins


@dataclass(frozen=True, kw_only=True)
class Materialize:
    """Options of writing top-k tables."""

    name: ClassVar[str] = "materialize"
    help: ClassVar[str] = "embsql materialize --help"

    k: Count = 10  # rows for each user and item
    users: bool = True  # whether to write embsql.top_items
    items: bool = True  # whether to write embsql.neighbors
    threads: Threads | None = None  # threads to use; none: every core

    def __post_init__(self) -> None:
        allowed = "true where items is false: one of the two tables is to be written"
        require(self, allowed, users=self.users or self.items)


@dataclass(frozen=True, kw_only=True)
class Features:
    """Options of the wide table of features."""

    name: ClassVar[str] = "features"
    help: ClassVar[str] = "embsql features --help"

    entity: Entity = "user"  # whose


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of the page about a run."""

    name: ClassVar[str] = "report"
    help: ClassVar[str] = "embsql report --help"

    seed: int = 42  # draws the examples
    # train two runs anew on a part of the second's pairs, and ask both about the rest
    evaluate: bool = False


@dataclass(frozen=True, kw_only=True)
class ExportMap:
    """Options of a map as a file."""

    name: ClassVar[str] = "export_map"
    help: ClassVar[str] = "embsql export map --help"

    entity: Entity = "item"  # whose
    # by which method it was drawn; none: the first there is of these
    method: Literal["umap", "tsne", "pca"] | None = None
    clustering: str = "default"  # the clustering whose groups are written
    # a SELECT of entity_id and label: what each is called; none: its id
    labels: Any | None = None
    neighbors: Size = 10  # how many of the nearest are written of each; 0: none
    embeddings: bool = False  # write the vectors, too


@dataclass(frozen=True, kw_only=True)
class RegisterEmbeddings:
    """Options of registering vectors."""

    name: ClassVar[str] = "register_embeddings"
    help: ClassVar[str] = "embsql register-embeddings --help"

    users: Any | None = None  # a SELECT of user_id and embedding
    similarity: Similarity = "cosine"  # how two vectors make a score
    force: bool = False  # store them although nothing changed
    # in DuckDB, of 100,000 vectors and more: read the likeliest, and miss 1 in 100
    search_cells: bool = False


@dataclass(frozen=True, kw_only=True)
class RegisterText:
    """Options of registering texts."""

    name: ClassVar[str] = "register_text"
    help: ClassVar[str] = "embsql register-text --help"

    # the folder of a sentence encoder; none: that of the extra text
    encoder: str | None = None
    force: bool = False  # read them although nothing changed


@dataclass(frozen=True, kw_only=True)
class DropModel:
    """Options of removing a model."""

    name: ClassVar[str] = "drop_model"
    help: ClassVar[str] = "embsql drop-model --help"

    if_exists: bool = False  # do nothing where there is no such model


@dataclass(frozen=True, kw_only=True)
class PythonModel:
    """Options of embsql.dbt.train besides those of training."""

    name: ClassVar[str] = "embsql.dbt.train"
    help: ClassVar[str] = "embsql train --help"

    entity: Entity = "item"  # whose vectors the model returns


COMMANDS: tuple[type[Any], ...] = (
    Train,
    Evaluate,
    Watch,
    Refresh,
    Cluster,
    Project,
    Materialize,
    Features,
    ExportMap,
    RegisterEmbeddings,
    RegisterText,
    DropModel,
)

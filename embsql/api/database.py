"""The Python face: a database that can train, answer and promote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from embsql import algorithms, engines
from embsql.api import commands
from embsql.api.answers import Answer
from embsql.api.plainly import speaking_plainly
from embsql.command_options import (
    Cluster,
    DropModel,
    Evaluate,
    ExportMap,
    Features,
    Materialize,
    Project,
    Refresh,
    RegisterEmbeddings,
    RegisterText,
    ReportOptions,
    Train,
    Watch,
)
from embsql.errors import DatabaseBusy, EmbsqlError, ModelExists, NotEvaluated
from embsql.lifecycle import forgetting, installation, leases, registry, removal
from embsql.options import Similarity, construct, declared, text
from embsql.phases import Phases
from embsql.plain_values import plain_value
from embsql.run import Columns, Run, usable_cores
from embsql.sources import source as sources

if TYPE_CHECKING:
    import pyarrow as pa

    from embsql.api.create_model import CreateModel
    from embsql.derived.clusters import Clustered
    from embsql.derived.map_export import ExportedMap
    from embsql.derived.maps import Projected
    from embsql.derived.topk_tables import Materialized
    from embsql.lifecycle.publish import Published
    from embsql.lifecycle.refresh import Refreshed
    from embsql.lifecycle.watching import Watched
    from embsql.report.page import Report

# options of train that say how it is measured, and what of it
MEASURING = {"evaluate", "k", "split", "test", "repeats", "gate", "gate_tolerance"}
Wanted = TypeVar("Wanted")

SOURCE = "a SELECT, or the name of a table or file"
ITEMS = "a SELECT of item_id and what is known of each"


@speaking_plainly
class Database:
    """A database that holds embsql, opened by `embsql.connect`.

    Close it, or use it in a `with` block.
    """

    _offers: ClassVar[bool] = True  # commands to SQL

    def __init__(
        self, target: Any, *, read_only: bool = False, install: bool = False
    ) -> None:
        self.engine = engines.open_engine(target, read_only=read_only)
        if not self.engine.holds_registry:
            return
        try:
            if self._offers:
                self.engine.offer(commands.dispatcher(self._second))
            if install:
                installation.install(self.engine, commands=True)
            installation.ensure_installed(self.engine)
        except BaseException:
            self.engine.close()
            raise

    def _second(self) -> Database:
        return _Within(self.engine.second())

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; other processes may then open it."""
        self.engine.close()

    def __repr__(self) -> str:
        return f"<embsql database {self.engine.label}>"

    if not TYPE_CHECKING:  # which would let every name pass

        def __getattr__(self, name: str) -> Any:
            """Say of a question that it is asked in SQL."""
            from embsql.sqlfiles.questions import questions  # here: it reads all

            asked = questions().get(name)
            if asked is None:
                return super().__getattribute__(name)
            example = asked.example.rstrip(";")
            hint = f'a question is asked in SQL: db.ask("{example}")'
            raise AttributeError(hint, name=name, obj=self)

    def ask(self, sql: str, **values: Any) -> Answer:
        """The answer of one SQL query; values fill its $name parameters.

        They may be numpy's scalars and arrays, which are numbers, texts, times and lists there.
        Raises an `embsql.errors.EmbsqlError`: what a question refuses, or the database's own
        complaint.
        """
        given = {name: plain_value(value) for name, value in values.items()}
        return Answer(self.engine.ask(text("sql", sql, "SQL"), **given))

    def models(self) -> Answer:
        """The models there are, as embsql.models() has them."""
        return self.ask("SELECT * FROM embsql.models()")

    def runs(self, model: str) -> Answer:
        """The runs of a model, newest first, as embsql.runs(model) has them."""
        return self.ask("SELECT * FROM embsql.runs($model)", model=model)

    def doctor(self) -> Answer:
        """What is wrong with the database and its models, the gravest first.

        The columns are severity (error, warning, note), subject, finding and remedy, which is what
        to type; rows of severity info come last and are what is there: versions, sizes, free space.
        Raises an `embsql.errors.EmbsqlError`.
        """
        import pyarrow as pa  # here: it takes as long to load as DuckDB

        from embsql.lifecycle import doctor

        schema = pa.schema([(name, pa.string()) for name in doctor.COLUMNS])
        rows = [asdict(found) for found in doctor.examine(self.engine)]
        return Answer(pa.Table.from_pylist(rows, schema))

    def sql(self, statement: str) -> Answer:
        """Run any SQL, also BigQuery ML's.

        CREATE MODEL trains and answers with the run; DROP MODEL and ML.RECOMMEND work too.

        Of several statements the answer is the last one's. Raises an `embsql.errors.EmbsqlError`.
        """
        return Answer(self._each(statement, self.engine.ask))

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Run any SQL as `sql` does; the answer as Python's values, a dictionary for each row."""
        found = self._each(statement, self.engine.rows)
        rows: list[dict[str, Any]] = (
            found if isinstance(found, list) else found.to_pylist()
        )
        return rows

    def _each(self, statement: str, ask: Callable[[str], Any]) -> Any:
        """The answer of the last of several statements."""
        from embsql.api.lexing import split_statements

        *before, last = split_statements(text("statement", statement, "SQL"))
        for one in before:
            self._sql(one, ask)
        return self._sql(last, ask)

    def _sql(self, statement: str, ask: Callable[[str], Any]) -> Any:
        """The answer of one statement."""
        from embsql.api import bigquery
        from embsql.api import create_model as statements

        wanted = statements.parse(statement)
        if isinstance(wanted, statements.CreateModel):
            return self._create(wanted)
        if isinstance(wanted, statements.DropModelStatement):
            runs = self.drop_model(wanted.model_name, if_exists=wanted.if_exists)
            return _row(runs=runs)
        return ask(bigquery.rewritten(self.engine, statement))

    def _create(self, wanted: CreateModel) -> pa.Table:
        """Train as CREATE MODEL asks, unless the model is there; the run."""
        live = registry.live_run_id(self.engine, wanted.model_name)
        if live is not None and wanted.optional:
            return _row(run_id=live, status="live")
        if live is not None and not wanted.replace:
            raise ModelExists(name=wanted.model_name)
        options = wanted.options
        if wanted.as_there:
            with engines.open_or_reuse(options.get("source_db"), self.engine) as reader:
                options = wanted.with_columns(list(reader.describe(wanted.source)))
        try:
            run = self._created(wanted, options)
        except EmbsqlError as error:
            raise wanted.in_its_words(error) from None
        return _row(run_id=run.run_id, status=run.status)

    def _created(self, wanted: CreateModel, options: dict[str, Any]) -> Run:
        try:
            return self.train(
                wanted.model_name, wanted.source, algorithm=wanted.algorithm, **options
            )
        except NotEvaluated:
            if not wanted.measures_if_it_can:
                raise
        unmeasured = {name: options[name] for name in options.keys() - MEASURING}
        return self.train(
            wanted.model_name, wanted.source, algorithm=wanted.algorithm, **unmeasured
        )

    def train(
        self,
        model_name: str,
        source: Any,
        *,
        source_db: Any = None,
        algorithm: str = "als",
        user_col: str | None = None,
        item_col: str | None = None,
        weight_col: str | None = None,
        time_col: str | None = None,
        seed: int = 42,
        threads: int | None = None,
        device: str = "cpu",
        evaluate: bool = False,
        k: int | Sequence[int] = (10, 20),
        split: str = "auto",
        test: Any = None,
        repeats: bool = False,
        gate: bool = True,
        gate_tolerance: float = 0.05,
        force: bool = False,
        user_features: Any = None,
        item_features: Any = None,
        graph: Any = None,
        warm_start: bool = False,
        checkpoint_dir: str | None = None,
        n_trials: int | None = None,
        budget: Any = None,
        search: bool = False,
        map: bool = False,  # noqa: A002 - the option's name in SQL and dbt, too
        clusters: int | None = None,
        keep: int | None = None,
        search_cells: bool = False,
        progress: bool | None = None,
        **options: Any,
    ) -> Run:
        """Train a model on a source and make it live.

        A source is a SELECT, the name of a table or file, a path, or a table in memory: a DataFrame
        of pandas or polars, a table or reader of pyarrow, a relation of DuckDB. It gives user_id,
        item_id and, if it has them, weight and event_time; other names through `user_col` and so
        on. It is read in this database, or in `source_db`: whatever `connect` opens. `options` are
        the algorithm's own, for example dim=64 (`embsql algorithms als` lists them). With
        `evaluate` the model is first measured at each of `k` on held-out interactions (`split`:
        last, time, random, next, or auto), or on a `test` of your own, a source of user_id and
        item_id (or of the source's names), or as of `evaluate`; with `repeats` what a user knew is
        asked for again (split time, and test). It goes live only if it beats recommending what is
        popular and, asked about the same pairs, is not clearly worse than the live run by more than
        `gate_tolerance`, unless `gate` is off. An unchanged source with unchanged options is not
        trained again unless `force`. `user_features` and `item_features` are sources of an id and
        what is known of each, for algorithms that can use it; `graph` one of source_node,
        target_node and weight, edges between items, for those that walk on a graph. With
        `warm_start` training goes on from the live run's vectors, whose axes stay comparable, and
        starts afresh where nothing is live; an algorithm that cannot refuses it. With
        `checkpoint_dir`, a folder, a training by epochs that was killed goes on where it was, when
        the same is trained again. `progress` shows phases and epochs: a bar in a terminal or a
        notebook (also by default), lines elsewhere. With `n_trials` options may have several
        values, dim=[32, 64, 128] or reg=(0.001, 0.1): so many settings are tried on a part of the
        interactions, and the run is trained with the best (`embsql.trials` has them all). With
        the algorithm "auto" one is chosen that fits the data, within a `budget` such as "5
        minutes"; training again keeps it, unless the budget is another, or with `search`. With
        `map` and `clusters` the run that goes live has maps, turned onto those of the run before,
        and so many clusters of its items and of its users; an unchanged one gets what it lacks.
        Where that fails the run is live without, and its `error` in embsql.runs says why; of an
        unchanged one it is raised. `keep` is how many runs the model keeps from now on of those
        that were live before, which `rollback` goes back to, and as many of the others (10 unless
        given): older ones go after each training.
        With `search_cells` questions of a DuckDB file read a part of the vectors where there are
        100,000 or more, and miss about one in a hundred of the best; it counts for runs that
        are trained, not unchanged ones.

        Returns the run: its status is live, or ready when the gate refused it (`run.refused` says
        why). Raises an `embsql.errors.EmbsqlError`; whatever it is, the version that was live stays
        live.
        """
        from embsql.api.progress import is_watched, show_progress, show_warning
        from embsql.derived.with_training import deriving
        from embsql.lifecycle.auto import read_algorithm
        from embsql.lifecycle.plan import SIDE_INPUTS, Plan
        from embsql.lifecycle.train import train_model
        from embsql.lifecycle.train_in_spark import train_in_spark
        from embsql.sources.prepare import has_times

        wanted = _read(Train, locals())
        algorithms.check_option_names(algorithm, options)
        read = sources.source(source, "source")
        columns = Columns(
            wanted.user_col, wanted.item_col, wanted.weight_col, wanted.time_col
        )

        def is_timed() -> bool:
            with engines.open_or_reuse(source_db, self.engine) as reader:
                return has_times(reader, read, columns)

        found = read_algorithm(
            self.engine, model_name, algorithm, options, wanted, is_timed
        )
        sides = {
            name: sources.optional(getattr(wanted, name), name) for name in SIDE_INPUTS
        }
        plan = Plan(
            model_name,
            read,
            found.algorithm,
            columns,
            seed=wanted.seed,
            threads=wanted.threads or usable_cores(),
            device=wanted.device,
            evaluate=wanted.evaluate,
            k=wanted.k,
            split=wanted.split,
            test=sources.optional(wanted.test, "test"),
            repeats=wanted.repeats,
            gate=wanted.gate,
            gate_tolerance=wanted.gate_tolerance,
            force=wanted.force,
            **found.read_of(sides),
            warm_start=wanted.warm_start,
            checkpoint_dir=wanted.checkpoint_dir,
            search=found.search,
            choosing=found.choosing,
            choice=found.choice,
            derive=deriving(
                drawn=wanted.map,
                clusters=wanted.clusters,
                seed=wanted.seed,
                threads=wanted.threads or usable_cores(),
            )
            if wanted.map or wanted.clusters
            else None,
            keep=wanted.keep,
            search_cells=wanted.search_cells,
        )
        phases = Phases()
        is_shown = is_watched() if progress is None else progress
        shows = show_progress(plan, phases, is_shown)
        with shows as listener, engines.open_or_reuse(source_db, self.engine) as reader:
            train = train_in_spark if wanted.device == "spark" else train_model
            run = train(self.engine, plan, listener, reader, phases)
        if is_shown:
            show_warning(run)
        return run

    def evaluate(
        self,
        model: str,
        *,
        k: int | Sequence[int] = (10, 20),
        split: str = "auto",
        test: Any = None,
        user_col: str | None = None,
        item_col: str | None = None,
        repeats: bool = False,
    ) -> dict[str, float]:
        """Measure a run: "ndcg@10" -> value.

        Its algorithm is trained anew on a part of its interactions and asked about the rest; or,
        with a `test` of your own, a source (as of `train`) of user_id and item_id, its vectors are
        asked as they are; `user_col` and `item_col` name its columns where neither these names nor
        those of the run's source do. `repeats` asks again for what a user knew (split time, and
        test).

        With the split `next` every later event is asked about from those before it, as `next_items`
        answers. So is a `test` of prefix, a list of items, and target, the one after it (and
        perhaps times, of the prefix), or, with this split, one of whole sessions: user_id, item_id
        and event_time. Raises an `embsql.errors.EmbsqlError`.
        """
        from embsql.lifecycle import measure

        wanted = vars(_read(Evaluate, locals()))
        return measure.evaluate(
            self.engine, model, **wanted | {"test": sources.optional(test, "test")}
        )

    def watch(
        self,
        model_name: str,
        source: Any = None,
        *,
        user_col: str | None = None,
        item_col: str | None = None,
        weight_col: str | None = None,
        time_col: str | None = None,
    ) -> Watched:
        """Let events count that are newer than the live run: in recommend, rank_items and score.

        `source` has the columns that training had, and event_time. In a DuckDB file it is whatever
        `train` reads but a table in memory; what is new there is read now, and again whenever this
        is called, without `source` from the same. In PostgreSQL it is the name of a table, which
        every question reads at that moment, with the rights of who asks. Whose vector it concerns
        is folded in, and what they have seen is left out. Returns what is new. Raises an
        `embsql.errors.EmbsqlError`.
        """
        from embsql.lifecycle.watching import watch

        wanted = _read(Watch, locals())
        columns = Columns(
            wanted.user_col, wanted.item_col, wanted.weight_col, wanted.time_col
        )
        given = sources.optional(source, "source")
        return watch(self.engine, model_name, given, columns)

    def unwatch(self, model_name: str) -> None:
        """Answer about a model from its runs alone again, whatever happened since."""
        from embsql.lifecycle.watching import unwatch

        unwatch(self.engine, model_name)

    def refresh(
        self, model_name: str, *, retrain_after: float | None = None
    ) -> Refreshed:
        """Make a run of the live one in which the users of new events are folded in; it is live.

        New events are those of the source that `watch` named. Vectors of items, and of all other
        users, are the same bytes; clusters and maps stay. Items that came since are counted, and
        stay unknown: with `retrain_after`, the model is trained on all there is instead where
        embsql.freshness says a staleness above it. Without new events nothing is written.
        """
        from embsql.lifecycle.refresh import refresh

        wanted = _read(Refresh, locals())
        return refresh(self.engine, model_name, wanted.retrain_after)

    def register_embeddings(
        self,
        model_name: str,
        items: Any,
        *,
        users: Any = None,
        similarity: Similarity = "cosine",
        force: bool = False,
        search_cells: bool = False,
    ) -> Run:
        """Make vectors from elsewhere a model that every question works on; nothing is trained.

        `items` is a source (as of `train`) of item_id and embedding (a list of numbers, or
        pgvector's vector), `users` one of user_id and embedding. `search_cells` is as in `train`.
        Returns the run, which is live. Raises an `embsql.errors.EmbsqlError`.
        """
        from embsql.lifecycle.register import register_embeddings

        wanted = _read(RegisterEmbeddings, locals())
        return register_embeddings(
            self.engine,
            model_name,
            sources.source(items, "items"),
            users=sources.optional(wanted.users, "users"),
            similarity=wanted.similarity,
            force=wanted.force,
            search_cells=wanted.search_cells,
        )

    def register_text(
        self,
        model_name: str,
        items: Any,
        *,
        encoder: str | None = None,
        force: bool = False,
    ) -> Run:
        """Make texts a model that every question works on: near is what means the same.

        `items` is a source (as of `train`) of item_id and one column of text. `encoder` is a folder
        that holds a sentence encoder; by default it is that of the extra `text`. Nothing is
        downloaded, and no text is read twice by one encoder. The vectors serve others too:
        item_features="SELECT item_id, embedding FROM embsql.item_embedding('titles')". Returns the
        run, which is live. Raises an `embsql.errors.EmbsqlError`.
        """
        from embsql.lifecycle.texts import register_text

        wanted = _read(RegisterText, locals())
        return register_text(
            self.engine, model_name, sources.source(items, "items"), **vars(wanted)
        )

    def cluster(
        self,
        model: str,
        *,
        entity: str = "item",
        k: int | None = None,
        clustering: str = "default",
        labels: Any = None,
        normalize: bool = True,
        seed: int = 42,
        threads: int | None = None,
    ) -> Clustered:
        """Group a run's items, or users, in place of an earlier clustering of that name.

        Without `k` the number of groups is the one with the best silhouette. `labels` is a source
        (as of `train`) of entity_id and label, and names a group after the category most
        over-represented in it; without, it goes by its most popular members. Directions are
        grouped, so that length does not count, unless `normalize` is false.
        """
        from embsql.derived.clusters import cluster

        wanted = vars(_read(Cluster, locals()))
        return cluster(
            self.engine,
            model,
            **wanted | {"labels": sources.optional(labels, "labels")},
        )

    def project(
        self, model: str, *, entity: str = "item", method: str = "pca", seed: int = 42
    ) -> Projected:
        """Draw a run's items, or users, as points in the plane, lying as on the model's map before.

        `method` is pca, or with the extra `maps` umap or tsne.
        """
        from embsql.derived.maps import project

        return project(self.engine, model, **vars(_read(Project, locals())))

    def features(self, model: str, *, entity: str = "user") -> Answer:
        """The wide table of embsql.features.

        Each entry of the vector is a column, e1, e2, ..., as other models want it.
        """
        from embsql.derived.wide_features import wide_features

        wanted = vars(_read(Features, locals()))
        return Answer(wide_features(self.engine, model, **wanted))

    def export_map(
        self,
        model: str,
        path: str,
        *,
        entity: str = "item",
        method: str | None = None,
        clustering: str = "default",
        labels: Any = None,
        neighbors: int = 10,
        embeddings: bool = False,
    ) -> ExportedMap:
        """Write a run's map, with clusters and neighbors, into a file that other tools open.

        A .parquet is for Embedding Atlas, datamapplot and data frames, a .tsv, with a .metadata.tsv
        next to it, for TensorBoard's projector. `labels` is a source (as of `train`) of entity_id
        and label: what items, or users, are called. Raises an `embsql.errors.EmbsqlError`: NoMap
        where `project` was not called before.
        """
        from embsql.derived.map_export import export_map

        wanted = vars(_read(ExportMap, locals()))
        return export_map(
            self.engine,
            model,
            str(path),
            **wanted | {"labels": sources.optional(labels, "labels")},
        )

    def report(
        self,
        *models: str,
        path: str | Path,
        item_labels: Any = None,
        seed: int = 42,
        test: Any = None,
        evaluate: bool = False,
    ) -> Report:
        """Write one page about a run, 'shop' or 'shop@7', into a file of HTML that needs no other.

        What it is and how good, its maps, clusters, drift and health, examples drawn by `seed`, and
        what to do next. `item_labels` is a source (as of `train`) of entity_id and label: what
        items are called. Of a model without a live run it is about the newest finished one. Nothing
        is written into the database.

        Of two runs, 'shop@6', 'shop@7', the page compares the second with the first: figures, whose
        answers changed most, both maps in one plane, what moved, options that differ. For intervals
        of the differences both are asked about the same pairs: with `test`, a source (as of
        `train`) of user_id and item_id, their vectors as they are, or with `evaluate` after both
        were trained anew on a part of the second's pairs. Raises an `embsql.errors.EmbsqlError`.
        """
        from embsql.report.page import Wanted as Page
        from embsql.report.page import write

        wanted = _read(ReportOptions, locals())
        named = isinstance(path, Path)
        file = str(path) if named else text("path", path, "the name of a file")
        page = Page(
            labels=sources.optional(item_labels, "item_labels"),
            seed=wanted.seed,
            test=sources.optional(test, "test"),
            evaluate=wanted.evaluate,
        )
        return write(self.engine, models, file, page)

    def materialize(
        self,
        model: str,
        *,
        k: int = 10,
        users: bool = True,
        items: bool = True,
        threads: int | None = None,
    ) -> Materialized:
        """Write top-k tables for joins, in place of earlier ones.

        Scores are those of recommend and similar_items.

        embsql.top_items has the `k` best items of all `users`, without those seen, embsql.neighbors
        those near `items`.
        """
        from embsql.derived.spark_topk import materialize_in_spark
        from embsql.derived.topk_tables import materialize

        wanted = vars(_read(Materialize, locals()))
        here = materialize if self.engine.holds_registry else materialize_in_spark
        return here(self.engine, model, **wanted)

    def promote(self, model: str) -> int:
        """Make 'shop@7' live; readers change over at one instant."""
        return registry.promote(self.engine, model)

    def rollback(self, model: str) -> int:
        """Make the run live that was live before; its run_id."""
        return registry.rollback(self.engine, model)

    def cancel(self, model: str) -> None:
        """Ask the trainer of a model, in this process or another, to stop.

        It does within two seconds.
        """
        leases.request_cancel(self.engine, registry.check_name(model))

    def publish(self, target: Any, *models: str) -> list[Published]:
        """Copy runs into another database and make them live there.

        They arrive byte for byte, under the same run_id.

        `models` are 'shop' (its live run) or 'shop@7'; without any, the live run of every model. A
        DuckDB file is written next to it and swapped in, so that its readers never meet a lock. In
        Spark ("spark", an sc:// address or an open session) tables are Parquet, and the questions
        functions of its SQL.
        """
        from embsql.lifecycle.publish import publish
        from embsql.lifecycle.spark_publish import publish_to_spark

        there = publish_to_spark if engines.is_spark(target) else publish
        return there(self.engine, target, models)

    def install(self, *, roles: bool = False, ml: bool = False) -> bool:
        """Bring the tables and questions up to this version.

        False when they were, and nothing else was missing.

        `roles` and `ml`, the schema of BigQuery ML's functions: see `embsql install`.
        """
        changed = installation.install(self.engine, commands=True)
        if roles:
            installation.install_roles(self.engine)
        return (ml and installation.install_ml(self.engine)) or changed

    def drop_run(self, model: str) -> None:
        """Remove 'shop@7' and all its rows; the live run cannot be dropped."""
        removal.drop_run(self.engine, model)

    def drop_model(self, model_name: str, *, if_exists: bool = False) -> int:
        """Remove a model with all its runs, the live one too; how many runs there were."""
        return removal.drop_model(
            self.engine, model_name, **vars(_read(DropModel, locals()))
        )

    def forget(self, user_id: Any) -> int:
        """Remove one person from every run, by an id of whatever type.

        The number of rows that went.

        A training in flight comes to its end without them. Free blocks of the file, its log,
        backups and what was published elsewhere keep the bytes: `compact` rewrites this database,
        the others are yours to make anew. Checkpoints of a training that was killed keep vectors,
        without ids, until you remove the files. A table that a model watches is yours: as long as
        the person is in it, new events of theirs count.
        """
        person = sources.text_of(user_id, in_file=self.engine.embedded)
        return forgetting.forget(self.engine, person)

    def compact(self) -> None:
        """Write this database anew without the bytes of what was deleted, as after `forget`.

        A DuckDB file, which nobody else may have open, is replaced by a copy; in PostgreSQL the
        tables of embsql are rewritten one after the other, each locked meanwhile, for which one
        must own them.
        """
        self.engine.compact()
        self.engine.offer(commands.dispatcher(self._second))


def _row(**values: Any) -> pa.Table:
    """A table of one row."""
    import pyarrow as pa  # here: it takes as long to load as DuckDB

    return pa.Table.from_pylist([values])


def _read(cls: type[Wanted], arguments: Mapping[str, Any]) -> Wanted:
    """The options of a command, read from the arguments of its method."""
    return construct(
        cls, {option.name: arguments[option.name] for option in declared(cls)}
    )


class _Within(Database):
    """A database as a command of SQL works on it: that the command is known is others' care."""

    _offers: ClassVar[bool] = False


def connect(target: Any, *, read_only: bool = False, install: bool = False) -> Database:
    """Open a database with embsql in it.

    `target` is a DuckDB file, ":memory:", a postgresql:// address, or an open connection of either.
    It may also be Spark, "spark", the sc:// address of a server or an open session: then what was
    published there can be asked, published elsewhere and materialized, and nothing else.

    A PostgreSQL database without embsql is given it, for which one needs the right to create a
    schema. One that holds an earlier version of it is refused, and with `install` brought up to
    this one. Raises UnknownDatabase, DatabaseBusy, CannotOpen, CannotInstall, NotInstalled.
    """
    return Database(target, read_only=read_only, install=install)


def register(connection: Any) -> Database:
    """Put embsql's tables, questions and commands into a DuckDB connection you already have."""
    return connect(connection)


def sql(statement: str, connection: Any) -> Answer:
    """Run any SQL, also BigQuery ML's statements, on a database or a connection."""
    database = connection if isinstance(connection, Database) else connect(connection)
    return database.sql(statement)


def cancel(path: str, model: str) -> bool:
    """Stop a training, also one in another process that holds the file open.

    Returns whether the training was in this process.
    """
    registry.check_name(model)
    try:
        with connect(engines.existing(path)) as database:
            database.cancel(model)
    except DatabaseBusy as busy:
        leases.cancel_elsewhere(path, model, busy)
        return False
    return True

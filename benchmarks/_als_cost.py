"""What als costs beside its fitting: memory, compiling, growth with the data, and the way from
table to live run.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import embsql
from benchmarks._als_systems import (
    GIVEN,
    SEED,
    fit_embsql,
    fit_implicit,
    generated,
    warm,
)
from benchmarks._apart import apart, forget_peak, peak_rss_mb, rss_mb
from benchmarks._lines import in_turn, line
from benchmarks._made import WARM_ROWS, Pairs, load
from benchmarks.prepare import PAIRS, VOCABULARY
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare

# --- memory --------------------------------------------------------------------------------------


def memory(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pairs = generated(options.pairs).save(Path(folder))
        for dim in options.dim:
            grown = {
                s: apart(grow, folder=pairs, system=s, dim=dim, threads=options.threads)
                for s in ("embsql", "implicit")
            }
            over = {
                s: (one["peak_rss_mb"] - one["before_mb"]) / one["needed_mb"]
                for s, one in grown.items()
            }
            ours, theirs = grown["embsql"], grown["implicit"]
            line(
                "als",
                f"generated {options.pairs}",
                "embsql",
                "growth of memory over coded data and factors",
                over["embsql"],
                "times",
                peer="implicit",
                peer_value=over["implicit"],
                seconds=ours["seconds"],
                peak_rss_mb=ours["peak_rss_mb"],
                dim=dim,
                threads=options.threads,
                needed_mb=round(ours["needed_mb"]),
                peer_peak_rss_mb=round(theirs["peak_rss_mb"]),
            )


def grow(folder: str, system: str, dim: int, threads: int) -> dict[str, Any]:
    """A training in this process: what memory it held before the data, and what data and result
    need.
    """
    warm(threads)
    before, pairs = rss_mb(), load(folder)
    data = pairs.interactions() if system == "embsql" else pairs.matrix(GIVEN[0])
    needed = (
        12 * len(pairs.user) + 4 * dim * sum(pairs.shape)
    ) / 2**20  # two codes and a weight; a float
    del pairs
    forget_peak()
    start = time.perf_counter()
    if system == "embsql":
        fit_embsql(data, dim, threads, 2)
    else:
        fit_implicit(data, dim, threads, 2)
    return {
        "seconds": time.perf_counter() - start,
        "before_mb": before,
        "needed_mb": needed,
    }


# --- jit: what compiling costs -------------------------------------------------------------------


def jit(options: argparse.Namespace) -> None:
    pairs = generated(20_000)
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/pairs.parquet"
        pq.write_table(pa.table({"user_id": pairs.user, "item_id": pairs.item}), source)
        cold, warmed = zip(
            *(_first_trainings(source, options.threads) for _ in range(options.repeat)),
            strict=True,
        )
    line(
        "als",
        "generated 20000",
        "embsql",
        "first training in a fresh process, nothing compiled yet",
        statistics.median(cold),
        "s",
        peer="embsql, compiled before",
        peer_value=statistics.median(warmed),
        seconds=statistics.median(cold),
        dim=64,
        threads=options.threads,
    )


def _first_trainings(source: str, threads: int) -> tuple[float, float]:
    """Seconds of a process that compiles, and of one that finds everything compiled; its start and
    imports count.
    """
    with tempfile.TemporaryDirectory() as cache:
        once = partial(
            apart,
            first_training,
            environment={"NUMBA_CACHE_DIR": cache},
            source=source,
            threads=threads,
        )
        cold, warmed = (
            in_turn({"process": once}, 1)["process"].seconds for _ in range(2)
        )
    return cold, warmed


def first_training(source: str, threads: int) -> dict[str, Any]:
    with embsql.connect(":memory:") as database:
        return {
            "status": database.train(
                "m", source, threads=threads, progress=False
            ).status
        }


# --- epochs: what one costs as data grow ---------------------------------------------------------


def epochs(options: argparse.Namespace) -> None:
    warm(options.threads)
    for size in options.sizes:
        pairs = generated(size)
        for dim in options.dim:
            cost = _per_epoch(pairs, dim, options)
            line(
                "als",
                f"generated {size}",
                "embsql",
                "time per epoch",
                cost["embsql"],
                "s",
                peer="implicit",
                peer_value=cost["implicit"],
                dim=dim,
                threads=options.threads,
            )


def _per_epoch(pairs: Pairs, dim: int, options: argparse.Namespace) -> dict[str, float]:
    """Seconds that an epoch adds: five epochs less one, by four."""
    data, matrix = pairs.interactions(), pairs.matrix(GIVEN[0])
    works: dict[tuple[str, int], Any] = {}
    for n in (1, 5):
        works["embsql", n] = partial(fit_embsql, data, dim, options.threads, n)
        works["implicit", n] = partial(fit_implicit, matrix, dim, options.threads, n)
    timed = in_turn(works, options.repeat)
    return {
        system: (timed[system, 5].seconds - timed[system, 1].seconds) / 4
        for system in ("embsql", "implicit")
    }


# --- line: from a table in a file to a live run --------------------------------------------------


def whole_line(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _events(generated(options.pairs), f"{folder}/events.duckdb")
        for dim in options.dim:
            settings = {"dim": dim, "threads": options.threads}
            epochs = {"epochs": options.epochs, "iterations": options.iterations}
            rounds = [_round(folder, epochs, settings) for _ in range(options.repeat)]
            took = {
                key: statistics.median(one[key] for one in rounds) for key in rounds[0]
            }
            for metric, key, peer in (
                ("from table to live run", "whole", "embsql, fit alone"),
                ("reading and coding the table", "prepare", "embsql, fit alone"),
                ("from table to live run", "whole", "implicit, from table to tables"),
            ):
                line(
                    "als",
                    f"generated {options.pairs}",
                    "embsql",
                    metric,
                    took[key],
                    "s",
                    peer=peer,
                    peer_value=took["implicit" if "implicit" in peer else "fit"],
                    seconds=took[key],
                    peak_rss_mb=took[f"{key}_mb"],
                    peer_peak_rss_mb=took["implicit_mb"]
                    if "implicit" in peer
                    else None,
                    **settings,
                    **epochs,
                )


def _events(pairs: Pairs, file: str) -> None:
    """A table of the pairs with text ids, in no order."""
    order = np.random.default_rng(SEED).permutation(len(pairs.user))
    with embsql.connect(file) as database:
        database.engine.run("CREATE TABLE events (user_id VARCHAR, item_id VARCHAR)")
        database.engine.write(
            "events",
            {
                "user_id": _text("user", pairs.user[order]),
                "item_id": _text("item", pairs.item[order]),
            },
            schema="main",
        )


def _text(prefix: str, codes: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        codes, [f"{prefix}-{code}" for code in range(codes.max() + 1)]
    )


def _round(
    folder: str, epochs: dict[str, int], settings: dict[str, int]
) -> dict[str, float]:
    """Seconds and memory of the line, of its parts and of implicit's line, each in a process of its
    own on a fresh copy of the file.
    """
    source, copy = f"{folder}/events.duckdb", f"{folder}/copy.duckdb"
    ours = settings | {"epochs": epochs["epochs"]}
    whole = apart(train_whole, file=shutil.copy(source, copy), **ours)
    parts = apart(train_parts, file=shutil.copy(source, copy), **ours)
    peers = settings | {"iterations": epochs["iterations"]}
    peer = apart(implicit_whole, file=shutil.copy(source, copy), **peers)
    return {
        "whole": whole["seconds"],
        "whole_mb": whole["peak_rss_mb"],
        "prepare": parts["prepare"],
        "prepare_mb": parts["prepare_mb"],
        "fit": parts["fit"],
        "implicit": peer["seconds"],
        "implicit_mb": peer["peak_rss_mb"],
    }


def train_whole(file: str, dim: int, threads: int, epochs: int) -> dict[str, Any]:
    """From a closed file to a closed file in which the run is live."""
    _warm_line(threads)
    start = time.perf_counter()
    with embsql.connect(file) as database:
        database.engine.run("SET threads = $threads", threads=threads)
        options = {"dim": dim, "epochs": epochs, "threads": threads, "seed": SEED}
        database.train("m", "events", progress=False, **options)
    return {"seconds": time.perf_counter() - start}


def train_parts(file: str, dim: int, threads: int, epochs: int) -> dict[str, Any]:
    """The same reading and the same training, nothing stored."""
    _warm_line(threads)
    with embsql.connect(file) as database:
        database.engine.run("SET threads = $threads", threads=threads)
        start = time.perf_counter()
        data = prepare(
            database.engine, "events", Columns(), Run(threads=2), explicit=False
        ).interactions()
        read, most = time.perf_counter(), peak_rss_mb()
        fit_embsql(data, dim, threads, epochs)
    return {
        "prepare": read - start,
        "prepare_mb": most,
        "fit": time.perf_counter() - read,
    }


def implicit_whole(
    file: str, dim: int, threads: int, iterations: int
) -> dict[str, Any]:
    """From a closed file to a closed file with implicit's vectors: ids coded by DuckDB, the vectors
    written through Arrow.
    """
    import duckdb
    from scipy.sparse import csr_matrix

    warm(threads)
    start = time.perf_counter()
    with duckdb.connect(file) as connection:
        connection.execute("SET threads = $threads", {"threads": threads})
        for entity in ("user", "item"):
            connection.execute(VOCABULARY.format(entity))
        pairs = connection.sql(PAIRS.format(weight=f"{GIVEN[0]} * count(*)"))
        user, item, weight = pairs.fetchnumpy().values()
        model = fit_implicit(
            csr_matrix((weight, (user, item))), dim, threads, iterations
        )
        for entity, vectors in (("user", model.users), ("item", model.items)):
            _write_vectors(connection, entity, vectors)
    return {"seconds": time.perf_counter() - start}


def _write_vectors(connection: Any, entity: str, vectors: np.ndarray) -> None:
    numbers = pa.array(vectors.ravel())
    rows = pa.FixedSizeListArray.from_arrays(numbers, vectors.shape[1])
    codes = pa.array(np.arange(len(vectors), dtype=np.int32))
    connection.register("vectors", pa.table({"code": codes, "embedding": rows}))
    connection.execute(
        f"CREATE TABLE {entity}_vectors AS SELECT {entity}s.id, vectors.embedding"
        f" FROM {entity}s JOIN vectors USING (code)"
    )


# --- large: as many pairs as a machine may have --------------------------------------------------

# Items of popularity exponent 1, users at random.
LARGE = """
CREATE TABLE events AS
SELECT
    'user-' || CAST(floor($users * random()) AS BIGINT) AS user_id,
    'item-' || CAST(floor(exp(random() * ln($items + 1))) AS BIGINT) AS item_id
FROM range($rows)
"""


def large(options: argparse.Namespace) -> None:
    """One training of many rows, from table to live run, with what DuckDB may use of 16 GB."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/events.duckdb"
        sizes = {name: getattr(options, name) for name in ("rows", "users", "items")}
        with embsql.connect(file) as database:
            database.engine.run("SELECT setseed(0.5)")
            database.engine.run(LARGE, **sizes)
        for dim in options.dim:
            settings = {"dim": dim, "threads": options.threads}
            took = apart(train_large, file=file, epochs=options.epochs, **settings)
            line(
                "als",
                f"generated {options.rows} rows",
                "embsql",
                "from table to live run",
                took["seconds"],
                "s",
                seconds=took["seconds"],
                peak_rss_mb=took["peak_rss_mb"],
                phases=took["phases"],
                pairs=took["pairs"],
                **sizes,
                **settings,
            )


def train_large(file: str, dim: int, threads: int, epochs: int) -> dict[str, Any]:
    _warm_line(threads)
    start = time.perf_counter()
    with embsql.connect(file) as database:
        database.engine.run("SET threads = $threads", threads=threads)
        database.engine.run("SET memory_limit = '12GB'")
        options = {"dim": dim, "epochs": epochs, "threads": threads, "seed": SEED}
        database.train("m", "events", progress=True, force=True, **options)
        seconds = time.perf_counter() - start
        (run,) = database.rows(
            "SELECT interactions, phase_seconds FROM embsql.runs ORDER BY run_id DESC LIMIT 1"
        )
    return {
        "seconds": seconds,
        "phases": run["phase_seconds"],
        "pairs": run["interactions"],
    }


def _warm_line(threads: int) -> None:
    """Load what is loaded once."""
    with embsql.connect(":memory:") as database:
        database.train(
            "m",
            "SELECT range % 4999 AS user_id, range % 997 AS item_id "
            f"FROM range({WARM_ROWS})",
            dim=8,
            threads=threads,
        )

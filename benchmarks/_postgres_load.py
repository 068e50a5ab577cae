"""How fast a run's vectors get into PostgreSQL, and under its HNSW indexes: beside the same steps
typed by hand, whose stream is made beforehand, and beside psycopg's COPY row by row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

import embsql
from benchmarks._clock._family import Family
from benchmarks._lines import line
from benchmarks._server import New
from benchmarks.query import write

PIECE = 131_072  # bytes a message of the prepared stream
WIRE = [
    "int8",
    "text",
    "vector",
    "float4",
    "float4",
    "int4",
]  # the columns of item_embeddings
PARENT = """
CREATE TABLE {table} (LIKE embsql.item_embeddings INCLUDING ALL) PARTITION BY LIST (run_id)
"""
PART = """
CREATE TABLE {table}_1
    (LIKE {table} INCLUDING CONSTRAINTS INCLUDING STORAGE, CONSTRAINT one_run CHECK (run_id = 1))
"""
ATTACHED = """
ALTER TABLE {table}_1 ADD PRIMARY KEY (run_id, item_id);
CREATE INDEX ON {table}_1 (interactions DESC, item_id);
ALTER TABLE {table} ATTACH PARTITION {table}_1 FOR VALUES IN (1);
ALTER TABLE {table}_1 DROP CONSTRAINT one_run;
ANALYZE {table}_1
"""
SAME = """
SELECT count(*) AS rows
FROM embsql.item_embeddings AS ours
JOIN {other} AS peer
    ON peer.item_id = ours.item_id AND peer.embedding = ours.embedding AND peer.norm = ours.norm
WHERE ours.run_id = 1
"""
ROWS, HAND = "psycopg, write_row", "by hand"
STORAGES = ("vector", "halfvec")
EF_SEARCH = (40, 100, 200)
TYPED = """
DROP INDEX IF EXISTS by_{storage};
SET maintenance_work_mem = '{memory}';
CREATE INDEX by_{storage} ON plain USING hnsw ((embedding::{storage}({dim})) {storage}_cosine_ops)
WITH (ef_construction = 200)
"""
OURS = """
DROP INDEX IF EXISTS embsql_runs.item_embeddings_1_embedding_idx;
SET maintenance_work_mem = '{memory}';
SELECT embsql_internal.build_index(
    CAST(ROW(1, 'item', 'cosine', '{storage}', {dim}) AS embsql.vector_indexes)
)
"""
COPIED = """
CREATE TABLE plain AS SELECT item_id, embedding FROM embsql.item_embeddings;
ALTER TABLE plain ADD PRIMARY KEY (item_id);
ANALYZE plain
"""
SOME = "SELECT item_id FROM plain ORDER BY md5(item_id) LIMIT %s"
NEAREST = """
SELECT item_id FROM plain
ORDER BY (embedding::{storage}({dim})) <=> (
    SELECT embedding::{storage}({dim}) FROM plain WHERE item_id = %s
)
LIMIT 10
"""
Works = Mapping[tuple[str, str], Callable[[int], object]]


class Took(NamedTuple):
    """What a piece of work took, in seconds."""

    wall: float
    cpu: float  # of this process and the server's


def load(options: argparse.Namespace, new: New) -> None:
    """As a bare stream into a table without index, and whole: a partition with its keys and
    indexes, analyzed and attached.

    psycopg's whole is less: a table and its primary key.
    """
    import psycopg
    from pgvector.psycopg import register_vector

    columns, address = _columns(options.rows, options.dim), new()
    with ExitStack() as open_:
        database = open_.enter_context(embsql.connect(address))
        plain = open_.enter_context(psycopg.connect(address, autocommit=True))
        register_vector(plain)
        _stream(database, "first", columns)
        made = _bytes(plain, "first", columns)
        works: Works = {
            ("stream", "embsql"): lambda n: _stream(database, f"stream_{n}", columns),
            ("stream", HAND): lambda n: _by_hand(plain, f"bare_{n}", columns, made),
            ("stream", ROWS): lambda n: _by_rows(plain, f"row_{n}", columns, key=False),
            ("whole", "embsql"): lambda n: _whole(database, n, columns),
            ("whole", HAND): lambda n: _partition(plain, f"hand_{n}", columns, made),
            ("whole", ROWS): lambda n: _by_rows(plain, f"peer_{n}", columns, key=True),
        }
        took = _in_turn(works, options.loads, lambda: plain.execute("CHECKPOINT"))
        for other in ("peer_1", "hand_1"):
            rows = database.ask(SAME.format(other=other))["rows"].to_pylist()
            assert rows == [options.rows], f"{other} is something else"
    for metric in ("stream", "whole"):
        for peer in (HAND, ROWS):
            ours, theirs = took[metric, "embsql"], took[metric, peer]
            data = f"generated {options.rows} x {options.dim}"
            _print(data, f"load, {metric}", ours, peer, theirs, options.server)


def hnsw(options: argparse.Namespace, new: New) -> None:
    """One index of a run's items, by cosine, and the same one typed by hand: of vectors and of
    halves, in as much memory, and with the server's own number of parallel workers.
    """
    import psycopg

    address = new()
    write(address, options.items, min(1000, options.items // 2), options.dim)
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as plain:
        plain.execute(COPIED)  # no plan is kept: how a question is answered changes
        works: Works = {
            (f"{storage}, {memory}", whose): partial(
                _built,
                plain,
                sql.format(storage=storage, memory=memory, dim=options.dim),
            )
            for storage in STORAGES
            for memory in options.memory
            for whose, sql in (("embsql", OURS), (HAND, TYPED))
        }
        took = _in_turn(works, options.loads, lambda: plain.execute("CHECKPOINT"))
        data = f"generated {options.items} x {options.dim}"
        for name in dict.fromkeys(name for name, _ in works):
            ours, theirs = took[name, "embsql"], took[name, HAND]
            _print(data, f"hnsw, {name}", ours, HAND, theirs, options.server)
        for storage in STORAGES:
            _recall(plain, storage, data, options)


def _built(connection: Any, sql: str, _: int) -> None:
    connection.execute(sql)


def _recall(
    connection: Any, storage: str, data: str, options: argparse.Namespace
) -> None:
    """What an index finds of the true ten, and its size."""
    ids = connection.execute(SOME, [options.asked]).fetchall()
    connection.execute("SET enable_indexscan = off")
    true = _answers(connection, "vector", ids, options.dim)
    connection.execute("SET enable_indexscan = on; SET enable_seqscan = off")
    size = connection.execute(f"SELECT pg_relation_size('by_{storage}')").fetchone()
    for ef_search in EF_SEARCH:
        connection.execute(f"SET hnsw.ef_search = {ef_search}")
        found = _answers(connection, storage, ids, options.dim)
        line(
            "postgres",
            data,
            f"hnsw, {storage}",
            "recall@10",
            sum(map(len, map(set.intersection, true, found))) / sum(map(len, true)),
            "share",
            ef_search=ef_search,
            megabytes=round(size[0] / 1e6, 1),
            asked=len(ids),
        )
    connection.execute("RESET enable_seqscan")


def _answers(connection: Any, storage: str, ids: list[Any], dim: int) -> list[set[str]]:
    query = NEAREST.format(storage=storage, dim=dim)
    return [
        {row[0] for row in connection.execute(query, id_).fetchall()} for id_ in ids
    ]


def _in_turn(
    works: Works, rounds: int, between: Callable[[], object]
) -> dict[tuple[str, str], list[Took]]:
    """Do every load, then again, every other round backwards; `between` is not timed."""
    clock = Family()
    took: dict[tuple[str, str], list[Took]] = {name: [] for name in works}
    for turn in range(rounds):
        for name in list(works)[:: -1 if turn % 2 else 1]:
            between()
            start, cpu = time.perf_counter(), clock.cpu()
            works[name](turn + 1)
            took[name].append(Took(time.perf_counter() - start, clock.cpu() - cpu))
    return took


def _print(
    data: str,
    metric: str,
    ours: list[Took],
    peer: str,
    theirs: list[Took],
    server: str | None,
) -> None:
    """Medians, and the median of the ratios of each round.

    What a given server takes of CPU time is not known.
    """
    for measure in ("wall",) if server else Took._fields:
        one, other = (
            np.array([getattr(took, measure) for took in side])
            for side in (ours, theirs)
        )
        line(
            "postgres",
            data,
            "embsql",
            f"{metric}, {measure} time",
            float(np.median(one)),
            "s",
            peer=peer,
            peer_value=float(np.median(other)),
            ratio_of_rounds=round(float(np.median(one / other)), 3),
            repeat=len(ours),
        )


def _columns(rows: int, dim: int) -> dict[str, Any]:
    """The columns of item_embeddings as training has them."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((rows, dim), np.float32)
    return {
        "run_id": pa.scalar(1, pa.int64()),
        "item_id": pa.array([f"item-{number:08d}" for number in range(rows)]),
        "embedding": vectors,
        "norm": np.linalg.norm(vectors, axis=1),
        "bias": np.zeros(rows, np.float32),
        "interactions": rng.zipf(1.5, rows).clip(0, 1_000_000).astype(np.int32),
    }


def _stream(database: embsql.Database, table: str, columns: dict[str, Any]) -> None:
    database.engine.run(f"CREATE TABLE {table} (LIKE embsql.item_embeddings)")
    database.engine.write(table, columns, schema="main")


def _whole(database: embsql.Database, run_id: int, columns: dict[str, Any]) -> None:
    of_run = {"run_id": pa.scalar(run_id, pa.int64())}
    database.engine.write("item_embeddings", {**columns, **of_run})


def _bytes(connection: Any, table: str, columns: dict[str, Any]) -> bytes:
    """The stream of a table, as the server itself writes it."""
    with connection.cursor().copy(
        f"COPY {table} ({', '.join(columns)}) TO STDOUT (FORMAT BINARY)"
    ) as copy:
        return b"".join(copy)


def _sent(connection: Any, table: str, columns: dict[str, Any], made: bytes) -> None:
    whole = memoryview(made)
    with connection.cursor().copy(
        f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        for start in range(0, len(whole), PIECE):
            copy.write(whole[start : start + PIECE])


def _by_hand(connection: Any, table: str, columns: dict[str, Any], made: bytes) -> None:
    connection.execute(f"CREATE TABLE {table} (LIKE embsql.item_embeddings)")
    _sent(connection, table, columns, made)


def _partition(
    connection: Any, table: str, columns: dict[str, Any], made: bytes
) -> None:
    """Filled where nobody reads, then indexed, then attached without being read."""
    connection.execute(PARENT.format(table=table))
    with connection.transaction():
        connection.execute(PART.format(table=table))
        _sent(connection, f"{table}_1", columns, made)
        connection.execute(ATTACHED.format(table=table))


def _by_rows(
    connection: Any, table: str, columns: dict[str, Any], *, key: bool
) -> None:
    """As pgvector-python shows it, in one transaction."""
    from pgvector import Vector

    run_id, ids, vectors, *numbers = columns.values()
    rows = zip(
        repeat(run_id.as_py()),
        ids.to_pylist(),
        vectors,
        *(column.tolist() for column in numbers),
    )
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (LIKE embsql.item_embeddings)")
        with cursor.copy(
            f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(WIRE)
            for run, item_id, vector, norm, bias, interactions in rows:
                copy.write_row((run, item_id, Vector(vector), norm, bias, interactions))
        if key:
            cursor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (run_id, item_id)")

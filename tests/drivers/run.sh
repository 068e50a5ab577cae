#!/bin/sh
# Asks a model as every driver would; by hand: tests/drivers/run.sh ADDRESS, where ADDRESS is a postgresql:// address of
# a scratch database. With Node.js also node-postgres (PGHOST and PGDATABASE say where), and with a folder of the
# driver's .jar in PGJDBC and a jdbc: address in JDBC_ADDRESS also JDBC. Fails where a question fails that was sent.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/python"
"$work/python/bin/pip" install -q "psycopg[binary]>=3.2" psycopg2-binary asyncpg pg8000 "SQLAlchemy[asyncio]" pgvector numpy \
    adbc-driver-postgresql pyarrow
"$work/python/bin/pip" install -q -e "$here/../..[postgres]"
"$work/python/bin/python" "$here/python_drivers.py" "$1" --train
if command -v npm >/dev/null; then
    (cd "$work" && npm init -y >/dev/null && npm install --silent pg pgvector >/dev/null && node "$here/node_driver.mjs")
fi
if [ -n "$PGJDBC" ]; then
    (cd "$work" && javac -d . -cp "$PGJDBC" "$here/JdbcDriver.java" && java -cp "$PGJDBC:." JdbcDriver "$JDBC_ADDRESS")
fi

#!/bin/bash
# Guess: where duckdb-engine 0.17 (of March 2025) cannot reflect a table, DuckDB 2.0 is too new for it; an older DuckDB
# helps, and a patch release of SQLAlchemy changes nothing about that.
# Behavior: it is SQLAlchemy alone. The dialect is one of PostgreSQL's, whose questions to the catalog SQLAlchemy changes
# in patch releases: 2.0.45 asks for pg_collation, which DuckDB 1.4 lacks, 2.0.55 for the type regclass, which no DuckDB
# has. With SQLAlchemy 2.0.44 the dialect reflects tables of DuckDB 1.4 and of 2.0 alike.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/reflect.py" <<'PYTHON'
import duckdb
import sqlalchemy as sa

engine = sa.create_engine("duckdb:///:memory:")
with engine.connect() as connection:
    connection.execute(sa.text("CREATE TABLE items (item_id VARCHAR PRIMARY KEY)"))
    try:
        found = sa.Table("items", sa.MetaData(), autoload_with=connection).columns.keys()
    except sa.exc.ProgrammingError as error:
        found = str(error).splitlines()[0].partition("Error: ")[2]
print("duckdb", duckdb.__version__, "sqlalchemy", sa.__version__, found)
PYTHON
python3 -m venv "$folder/venv"
for duckdb in 1.4.5 2.0.1; do
    for sqlalchemy in 2.0.44 2.0.45 2.0.54 2.0.55; do
        "$folder/venv/bin/pip" install --quiet "duckdb==$duckdb" "sqlalchemy==$sqlalchemy" duckdb-engine==0.17.0
        "$folder/venv/bin/python" -W ignore "$folder/reflect.py"
    done
done | tee "$folder/found"
diff - "$folder/found" <<'EXPECTED'
duckdb 1.4.5 sqlalchemy 2.0.44 ['item_id']
duckdb 1.4.5 sqlalchemy 2.0.45 Table with name pg_collation does not exist!
duckdb 1.4.5 sqlalchemy 2.0.54 Table with name pg_collation does not exist!
duckdb 1.4.5 sqlalchemy 2.0.55 Table with name pg_collation does not exist!
duckdb 2.0.1 sqlalchemy 2.0.44 ['item_id']
duckdb 2.0.1 sqlalchemy 2.0.45 ['item_id']
duckdb 2.0.1 sqlalchemy 2.0.54 ['item_id']
duckdb 2.0.1 sqlalchemy 2.0.55 Type with name REGCLASS does not exist!
EXPECTED

#!/bin/sh
# Which versions of SQLAlchemy and of its dialects see our tables; by hand, in a folder with the file that `embsql demo`
# leaves: tests/drivers/reflect.sh demo.duckdb, or with an address, postgresql://..., of a database that has the same.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python"

look() { # look ADDRESS PACKAGE...
    address=$1
    shift
    rm -rf "$work/packages"
    "$work/python/bin/pip" install -q --target "$work/packages" "$@"
    PYTHONPATH="$work/packages" "$work/python/bin/python" "$here/reflect.py" "$address"
}

case $1 in
postgresql:*)
    for sqlalchemy in 2.0.58 2.1.9; do
        look "postgresql+psycopg:${1#postgresql:}" "sqlalchemy==$sqlalchemy" "psycopg[binary]"
        look "postgresql+psycopg2:${1#postgresql:}" "sqlalchemy==$sqlalchemy" psycopg2-binary
    done
    look "postgresql+psycopg2:${1#postgresql:}" sqlalchemy==1.4.54 psycopg2-binary
    ;;
*)
    address="duckdb:///$(realpath "$1")?access_mode=READ_ONLY"
    for duckdb in 1.4.5 1.5.6 2.0.1; do
        for sqlalchemy in 1.4.54 2.0.44 2.0.54 2.0.58 2.1.9; do
            look "$address" "duckdb==$duckdb" "sqlalchemy==$sqlalchemy" duckdb-engine==0.17.0
        done
        for sqlalchemy in 2.0.58 2.1.9; do
            look "$address" "duckdb==$duckdb" "sqlalchemy==$sqlalchemy" duckdb-sqlalchemy==1.5.6.4
        done
    done
    ;;
esac

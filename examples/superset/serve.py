"""Starts Apache Superset on 127.0.0.1 with the dashboard in dashboard/, until it is interrupted.

Usage, with a Python that has requirements.txt:
    python examples/superset/serve.py [demo.duckdb | postgresql://...] [--port 8088]
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SUPERSET = Path(sys.executable).with_name("superset")
ADMIN = "--username admin --firstname Shop --lastname Admin --email admin@localhost.localdomain"


def main() -> None:
    """Import the dashboard into a Superset that forgets everything when it ends, and serve it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("database", nargs="?", default="demo.duckdb")
    parser.add_argument("--port", type=int, default=8088)
    wanted = parser.parse_args()
    # the server ends with this program
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory() as home:
        os.environ["SUPERSET_HOME"] = home
        os.environ["SUPERSET_CONFIG_PATH"] = str(FOLDER / "superset_config.py")
        os.environ["FLASK_APP"] = "superset.app:create_app()"
        address = sqlalchemy_address(wanted.database)
        serve(address, wanted.port, Path(home) / "dashboard.zip")


def serve(address: str, port: int, bundle: Path) -> None:
    """A Superset with one user, whose password is printed, and one dashboard."""
    password = os.environ.get("SUPERSET_PASSWORD") or secrets.token_urlsafe(9)
    pack(address, bundle)
    superset("db", "upgrade")
    superset("init")
    superset("fab", "create-admin", *ADMIN.split(), "--password", password)
    superset("import-dashboards", "--path", str(bundle), "--username", "admin")
    print(
        f"http://127.0.0.1:{port}/superset/dashboard/shop/  admin, {password}",
        flush=True,
    )
    superset("run", "--host", "127.0.0.1", "--port", str(port), "--with-threads")


def sqlalchemy_address(database: str) -> str:
    """What SQLAlchemy calls a database; a file is opened for reading only."""
    if database.startswith("postgresql://"):
        return database.replace("postgresql://", "postgresql+psycopg2://", 1)
    return f"duckdb:///{Path(database).resolve(strict=True)}?access_mode=READ_ONLY"


def pack(address: str, bundle: Path) -> None:
    """The dashboard's files as Superset imports them, about the database at an address."""
    with zipfile.ZipFile(bundle, "w") as archive:
        for path in sorted((FOLDER / "dashboard").rglob("*.yaml")):
            text = path.read_text(encoding="utf-8").replace(
                "ADDRESS", json.dumps(address)
            )
            archive.writestr(path.relative_to(FOLDER).as_posix(), text)


def superset(*words: str) -> None:
    """Run a command of Superset's."""
    subprocess.run([SUPERSET, *words], check=True)  # noqa: S603 - words of this file


if __name__ == "__main__":
    main()

"""PgBouncer in transaction mode before a server: every transaction may have another session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MISSING = "pgbouncer is not installed (Debian: apt-get install pgbouncer)"
CONFIG = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
server_reset_query =
logfile = {log}
"""


@contextmanager
def pooler(server: str, sessions: int) -> Iterator[Callable[[str], str]]:
    """Starts one with so many sessions for each database; what makes of an address one through
    it.
    """
    import psycopg
    from psycopg import conninfo

    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip(MISSING)
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(server) as known:
        listen, info = _free_port(), known.info
        config = Path(folder, "pgbouncer.ini")
        config.write_text(
            CONFIG.format(
                host=info.host,
                port=info.port,
                user=info.user,
                listen=listen,
                sessions=sessions,
                log=Path(folder, "log"),
            )
        )
        Path(folder).chmod(
            0o777
        )  # it does not run as root, but as who reaches the server's socket
        home = Path(info.host)
        user = home.owner() if home.is_dir() and home.owner() != "root" else "nobody"
        command = [program, *(["-u", user] if os.geteuid() == 0 else []), str(config)]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait(listen, process)
            yield lambda address: conninfo.make_conninfo(
                address, host="127.0.0.1", port=listen
            )
        finally:
            process.terminate()
            process.wait(60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60  # a guard against hanging, not a measurement
    while True:
        assert process.poll() is None, "pgbouncer has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)
        else:
            return

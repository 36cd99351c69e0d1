"""One SQLite connection on a thread of its own, and what SQLite's errors mean here."""

from __future__ import annotations

import sqlite3
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import aiosqlite

from queuectl.errors import (
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from queuectl.store.sqlite.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta
    from pathlib import Path

__all__ = ["WAL_LIMIT", "Connection", "configure", "store_errors", "translate", "uri_of"]

T = TypeVar("T")

# Strictly more than SQLite's own need: with WAL, FULL makes every commit survive a power cut, and fullfsync does so
# on macOS, where fsync alone does not. Elsewhere it changes nothing.
_DURABLE = ("PRAGMA synchronous = FULL", "PRAGMA fullfsync = ON", "PRAGMA checkpoint_fullfsync = ON")

# A checkpoint that runs while another connection commits can corrupt the file in SQLite 3.7.0 to 3.51.2, so none
# happens by itself: see `checkpoint`.
_NO_AUTOMATIC_CHECKPOINT = "PRAGMA wal_autocheckpoint = 0"

WAL_LIMIT = 16 << 20
"""Bytes to which the file of the log is cut when it begins anew, and from which on it is due for a checkpoint."""

_CUT_LOG = f"PRAGMA journal_size_limit = {WAL_LIMIT}"


class Connection:
    """A connection whose work runs on its own thread, one function at a time, each to its end.

    A cancelled caller does not stop a function that has begun: a transaction is one function, so it is never left
    open.
    """

    def __init__(self, proxy: aiosqlite.Connection) -> None:
        self._proxy = proxy

    @classmethod
    async def open(cls, path: Path, *, busy_timeout: timedelta, read_only: bool = False) -> Connection:
        """Open an existing store.

        Raises:
            StoreError: SQLite cannot open the file.
        """
        proxy = aiosqlite.connect(
            uri_of(path, "ro" if read_only else "rw"),
            uri=True,
            isolation_level=None,
            timeout=busy_timeout.total_seconds(),
        )
        connection = cls(proxy)
        try:
            with store_errors(str(path)):
                # Its thread must have a loop to answer to: after a Ctrl-C that is about to be closed.
                await to_the_end(_begin(proxy))
                await connection.run(configure)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function with the bare connection on its thread.

        aiosqlite's own methods cost a hop to that thread and back for each statement; a transaction is one hop so.
        """
        answer: T = await self._proxy._execute(work, self._proxy._conn)  # type: ignore[no-untyped-call]  # noqa: SLF001 - the one place
        return answer

    async def close(self) -> None:
        """Close the connection once what runs on it has ended. Without it the thread would keep the process alive."""
        await self._proxy.close()


async def _begin(proxy: aiosqlite.Connection) -> None:
    await proxy


def uri_of(path: Path, mode: str) -> str:
    """Give what SQLite opens a file by, in mode ``ro`` or ``rw``."""
    # A name with a question mark or a per cent sign is a name all the same.
    return f"{path.absolute().as_uri()}?mode={mode}"


def configure(connection: sqlite3.Connection) -> None:
    """Set what holds for every connection."""
    for pragma in (*_DURABLE, _NO_AUTOMATIC_CHECKPOINT, _CUT_LOG):
        connection.execute(pragma)


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Turn SQLite's errors into the store's."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, place) from error
    except UnicodeDecodeError as error:
        # SQLite quotes damaged parts of a schema in its message, and Python cannot read that.
        raise StoreDamaged(_DAMAGED.format(place=place, error="malformed database schema")) from error


_PRIMARY = 0xFF
"""The part of an extended result code that holds the primary one."""

_LONGEST_REASON = 100

_UNREADABLE = "{place} cannot be written by this user: check its permissions and its folder's"
_LOCKED = "{place} is locked by another process; nothing was changed: try again, or see who holds it"
_DAMAGED = "{place} is damaged ({error}): restore a backup; it was left as it is"
_NOT_NOW = "{place} cannot be used now: {error}"

_MEANINGS: Mapping[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreLocked, _LOCKED),
    sqlite3.SQLITE_LOCKED: (StoreLocked, _LOCKED),
    sqlite3.SQLITE_PROTOCOL: (StoreLocked, _LOCKED),
    sqlite3.SQLITE_FULL: (StoreFull, "no space is left for {place}; nothing was changed: free some and try again"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, _UNREADABLE),
    sqlite3.SQLITE_PERM: (StoreReadOnly, _UNREADABLE),
    sqlite3.SQLITE_AUTH: (StoreReadOnly, _UNREADABLE),
    sqlite3.SQLITE_NOTADB: (
        StoreForeign,
        "{place} is no queuectl store: name another with --db; it was left as it is",
    ),
    sqlite3.SQLITE_CORRUPT: (StoreDamaged, _DAMAGED),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, _NOT_NOW),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, _NOT_NOW),
    sqlite3.SQLITE_NOMEM: (StoreUnavailable, _NOT_NOW),
}


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another has the lock that was wanted."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_BUSY


def translate(error: sqlite3.Error, place: str) -> StoreError:
    """Say in the store's terms what an error of SQLite means."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, sqlite3.OperationalError):
        # Raised by Python's module itself, with all of the text in its message.
        return StoreDamaged(_DAMAGED.format(place=place, error="a text in it is no UTF-8"))
    kind, text = _MEANINGS.get((code or 0) & _PRIMARY, (StoreError, "{place} cannot be used: {error}"))
    return kind(text.format(place=place, error=_brief(str(error))))


def _brief(message: str) -> str:
    """Keep of SQLite's words what fits in a line: it may quote whole statements out of a damaged file."""
    printable = "".join(character if character.isprintable() else " " for character in message)
    return textwrap.shorten(printable, _LONGEST_REASON, placeholder="…")

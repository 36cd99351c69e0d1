"""Moving the write-ahead log into the file, while nobody else can write."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from queuectl.failpoints import Failpoint, reach
from queuectl.store.sqlite.connection import WAL_LIMIT, configure, uri_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LogGrowth", "checkpoint", "is_due", "wal_size"]

_COMMITS = 64
"""The log stays short so, and its file is written over again and again: to make it longer takes a commit half as long
again."""

_LOOK_EVERY = 16
"""Commits between looks at the size of the log's file, which one large commit, or others', may have blown up."""

_PATIENCE_MS = 200
"""How long a checkpoint may wait for writers: its own engine's stand behind it."""


def is_due(path: Path, commits: int) -> bool:
    """Tell whether the log wants to be moved after so many commits since the last time."""
    if commits % _LOOK_EVERY:
        return False
    return commits >= _COMMITS or wal_size(path) > WAL_LIMIT


def wal_size(path: Path) -> int:
    """Give the size of the log's file in bytes; 0 where there is none, or none that can be seen."""
    try:
        return os.stat(f"{path}-wal").st_size  # noqa: PTH116 - a Path would cost more than the call
    except OSError:
        return 0


def checkpoint(connection: sqlite3.Connection, path: Path) -> bool:
    """Move the log into the file, so that the next commit begins it anew; say whether all of it was moved.

    What readers still need of the log stays. Before SQLite 3.51.3 a checkpoint in one process beside a commit in
    another can corrupt the file (the WAL-reset bug). So `connection` holds the write lock while a second one does the
    work; the modes that take that lock by themselves go on without it where it is held.

    Raises:
        sqlite3.Error: it could not be done now; nothing is lost.

    Source: https://sqlite.org/wal.html, "the WAL-reset bug".
    """
    [before] = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
    try:
        connection.execute("BEGIN IMMEDIATE")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
    try:
        with closing(sqlite3.connect(uri_of(path, "rw"), uri=True, isolation_level=None)) as second:
            configure(second)
            reach(Failpoint.CHECKPOINT_BEGUN)
            busy, length, moved = second.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            reach(Failpoint.CHECKPOINT_DONE)
    finally:
        connection.execute("ROLLBACK")
    return not busy and moved == length


class LogGrowth:
    """Tells when the log grows in spite of checkpoints, which is when someone reads for long, and when that is over."""

    def __init__(self, path: Path, tell: Callable[[int | None], None]) -> None:
        """Watch the log of the store at `path`.

        `tell` is called with its size in bytes when it is twice what checkpoints should keep it to, and whenever it has
        doubled since; then with None, as soon as it can begin anew.
        """
        self._path = path
        self._tell = tell
        self._told = WAL_LIMIT

    def note(self, *, is_moved: bool) -> None:
        """Say whether a checkpoint has moved all of the log."""
        size = wal_size(self._path)
        if is_moved and self._told > WAL_LIMIT:
            self._told = WAL_LIMIT
            self._tell(None)
        elif not is_moved and size >= 2 * self._told:
            self._told = size
            self._tell(size)

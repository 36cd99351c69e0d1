"""Moving the write-ahead log into the file, by one process at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from queuectl.store.sqlite.bell import bell_file

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["WAL_LIMIT", "checkpoint", "wal_size"]

WAL_LIMIT = 16 << 20
"""Bytes of log from which on it is worth the time to move it into the file."""

_PATIENCE_MS = 200
"""How long a checkpoint may wait for readers: writers stand behind it."""


def wal_size(path: Path) -> int:
    """Give the size of a store's log in bytes; 0 where there is none."""
    try:
        return os.stat(f"{path}-wal").st_size  # noqa: PTH116 - a Path would cost more than the call
    except FileNotFoundError:
        return 0


def checkpoint(connection: sqlite3.Connection, path: Path) -> bool:
    """Move the log into the file and empty it, if no other process is at it; say whether it is empty now.

    Before SQLite 3.51.3 a checkpoint in one process beside a commit in another can corrupt the file (the WAL-reset
    bug). TRUNCATE holds the write lock, and the lock file keeps two checkpoints apart.

    Source: https://sqlite.org/wal.html, "the WAL-reset bug".
    """
    with _only_one(bell_file(path)) as alone:
        if not alone:
            return False
        [before] = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        try:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {before}")
        return not busy


@contextmanager
def _only_one(lock: Path) -> Iterator[bool]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)

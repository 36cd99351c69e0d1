"""Machines that have nothing left: of space, of file descriptors, of processes."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from queuectl.store.sqlite.store import SqliteStore


async def limit_size(store: SqliteStore, pages: int | None) -> None:
    """Let the store grow no further than to so many pages; None for those that it has now."""
    assert store._writer is not None

    def limit(connection: sqlite3.Connection) -> None:
        most = pages or connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {most}").fetchall()

    await store._writer._connection.run(limit)


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let no file of this process, nor of those that it starts, grow beyond so many bytes."""
    with _limited(resource.RLIMIT_FSIZE, size):
        yield


@contextmanager
def no_descriptors_left(but: int = 0) -> Iterator[None]:
    """Let this process open nothing more, or no more than so many files."""
    free = os.dup(0)
    os.close(free)
    with _limited(resource.RLIMIT_NOFILE, free + but):
        yield


@contextmanager
def many_descriptors_taken(count: int = 1100) -> Iterator[None]:
    """Let the descriptors that this process opens next have numbers beyond so many."""
    with _limited(resource.RLIMIT_NOFILE, 2 * count), ExitStack() as taken:
        for _ in range(count):
            taken.callback(os.close, os.dup(0))
        yield


@contextmanager
def no_processes_left() -> Iterator[None]:
    """Let this process start no other, unless it is root's."""
    with _limited(resource.RLIMIT_NPROC, 0):
        yield


@contextmanager
def _limited(kind: int, limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))

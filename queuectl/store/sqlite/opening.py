"""Opening a SQLite store: what has to be true of the file, its schema, and the connections on it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, TypeVar

from queuectl.errors import StoreLocked
from queuectl.settings import Settings
from queuectl.store import sqlite
from queuectl.store.options import stored_busy_timeout
from queuectl.store.sqlite import schema, sql
from queuectl.store.sqlite.checkpoint import LogGrowth
from queuectl.store.sqlite.connection import Connection, store_errors
from queuectl.store.sqlite.file_system import check_file_system
from queuectl.store.sqlite.opened_file import OpenedFile
from queuectl.store.sqlite.shield import to_the_end
from queuectl.store.sqlite.store import SqliteStore
from queuectl.store.sqlite.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from queuectl.errors import StoreError
    from queuectl.store.options import StoreOptions

__all__ = ["open_sqlite_store"]

T = TypeVar("T", Connection, Writer)

_SLICE = timedelta(seconds=1)
"""How long a writer waits for a lock before it looks whether the store is to be closed; a patient one then says so."""


@asynccontextmanager
async def open_sqlite_store(path: Path, options: StoreOptions) -> AsyncIterator[SqliteStore]:
    """Open the store at `path`; see `queuectl.store.open_store`."""
    read_only, patient, busy_timeout = options.read_only, options.patient, options.busy_timeout
    if patient:
        sqlite.load_all()
    now = options.clock or _utc_now
    check_file_system(path)
    if not read_only:
        schema.create_file(path)
    schema.check_place(path)
    if options.check_owner:
        schema.check_owner(path)
    timeout = _SLICE if patient else Settings().busy_timeout if busy_timeout is None else busy_timeout
    cannot_write = read_only and not os.access(path, os.W_OK)
    async with _closing(await Connection.open(path, busy_timeout=timeout, read_only=cannot_write)) as reader:
        await _prepare(reader, path, read_only=read_only, on_wait=options.on_wait if patient else None)
        # Before the connection that writes is made: should that come upon another file, it writes nothing.
        file = OpenedFile(path)
        if read_only:
            yield SqliteStore(path, file, reader, None, now)
            return
        if not patient and busy_timeout is None:
            with store_errors(str(path)):
                timeout = await reader.run(_stored_busy_timeout)
        tries = max(ceil(timeout / _SLICE), 1)
        writer = Writer(
            path,
            file,
            partial(Connection.open, path, busy_timeout=timeout / tries),
            tries=tries,
            patient=patient,
            on_wait=options.on_wait,
            growth=LogGrowth(path, options.on_growth),
        )
        await writer.open()
        async with _closing(writer):
            store = SqliteStore(path, file, reader, writer, now)
            try:
                yield store
            finally:
                store.stop_listening()


@asynccontextmanager
async def _closing(opened: T) -> AsyncIterator[T]:
    try:
        yield opened
    finally:
        # A thread that is left behind would keep the process from ending.
        await to_the_end(opened.close())


async def _prepare(
    connection: Connection, path: Path, *, read_only: bool, on_wait: Callable[[StoreError | None], None] | None
) -> None:
    """Bring the schema up to date. With `on_wait`, a lock is waited for without end, and that is told."""
    prepare = partial(schema.prepare, path=path, read_only=read_only)
    waits = False
    while True:
        try:
            with store_errors(str(path)):
                await connection.run(prepare)
            break
        except StoreLocked as error:
            if on_wait is None:
                raise
            if not waits:
                on_wait(error)
            waits = True
    if on_wait is not None and waits:
        on_wait(None)


def _stored_busy_timeout(connection: sqlite3.Connection) -> timedelta:
    return stored_busy_timeout(dict(connection.execute(sql.settings.SETTINGS).fetchall()))


def _utc_now() -> datetime:
    return datetime.now(UTC)

"""Opening a PostgreSQL store: what has to be true of its schema, and the connections to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import psycopg

from queuectl.settings import Settings
from queuectl.store.options import stored_busy_timeout
from queuectl.store.postgres import schema, sql
from queuectl.store.postgres.address import parse_address
from queuectl.store.postgres.connection import Connection, ServerClock, translate
from queuectl.store.postgres.reader import Reader
from queuectl.store.postgres.store import PostgresStore
from queuectl.store.postgres.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from queuectl.store.options import StoreOptions

__all__ = ["open_postgres_store"]

_SLICE = timedelta(seconds=1)
"""How long a patient writer waits for a lock before it says so."""


@asynccontextmanager
async def open_postgres_store(url: str, options: StoreOptions) -> AsyncIterator[PostgresStore]:
    """Open the store at `url`; see `queuectl.store.open_store`."""
    address = parse_address(url)
    clock = ServerClock(options.clock)
    first = Connection(address, clock, options.busy_timeout or Settings().busy_timeout)
    try:
        try:
            await schema.prepare(first, read_only=options.read_only)
            if options.check_owner:
                await schema.check_owner(first)
            if options.patient:
                await first.wait_for_locks(_SLICE)
            elif options.busy_timeout is None:
                await first.wait_for_locks(await _stored_busy_timeout(first))
        except psycopg.Error as error:
            raise translate(error, address.shown) from error
        async with _opened(first, options) as store:
            yield store
    finally:
        with anyio.CancelScope(shield=True):
            await first.close()


@asynccontextmanager
async def _opened(first: Connection, options: StoreOptions) -> AsyncIterator[PostgresStore]:
    """Make the store. It writes through the connection that is open already; the one to read is made when needed."""
    if options.read_only:
        yield PostgresStore(first.address, Reader(first), None, first.clock)
        return
    writer = Writer(first, patient=options.patient, on_wait=options.on_wait)
    reader = Reader(Connection(first.address, first.clock, first.lock_timeout))
    writer.start()
    store = PostgresStore(first.address, reader, writer, first.clock)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.stop_listening()
            await writer.close()
            await reader.close()


async def _stored_busy_timeout(connection: Connection) -> timedelta:
    async with connection.transaction(sql.transactions.BEGIN_READ) as transaction:
        found = await transaction.rows(sql.settings.SETTINGS)
    return stored_busy_timeout({row["key"]: row["value"] for row in found})

"""Opening a PostgreSQL store: what has to be true of its schema, and the connections to it."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import psycopg

from queuectl.errors import StoreUnavailable
from queuectl.settings import Settings
from queuectl.store.group import TRANSIENT
from queuectl.store.options import stored_busy_timeout
from queuectl.store.postgres import schema, sql
from queuectl.store.postgres.address import parse_address
from queuectl.store.postgres.connection import Connection, ServerClock
from queuectl.store.postgres.reader import Reader
from queuectl.store.postgres.sqlstate import is_refused, translate
from queuectl.store.postgres.store import PostgresStore
from queuectl.store.postgres.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from queuectl.errors import StoreError
    from queuectl.store.options import StoreOptions

__all__ = ["open_postgres_store"]

_SLICE = timedelta(seconds=1)
"""How long a patient writer waits for a lock before it says so."""
_AGAIN = 0.2
"""Seconds between two tries to reach a server."""


@asynccontextmanager
async def open_postgres_store(url: str, options: StoreOptions) -> AsyncIterator[PostgresStore]:
    """Open the store at `url`; see `queuectl.store.open_store`."""
    address = parse_address(url)
    clock = ServerClock(options.clock)
    first = Connection(
        address, clock, Settings().busy_timeout if options.busy_timeout is None else options.busy_timeout
    )
    try:
        await _prepared(first, options)
        async with _opened(first, options) as store:
            yield store
    finally:
        with anyio.CancelScope(shield=True):
            await first.close()


async def _prepared(first: Connection, options: StoreOptions) -> None:
    """See that the store can be used, and wait while its server cannot be reached: a patient one without end."""
    deadline = time.monotonic() + first.lock_timeout.total_seconds()
    trouble: StoreError | None = None
    while True:
        try:
            await _prepare(first, options)
            break
        except psycopg.Error as error:
            reason = translate(error, first.address.shown)
            passes = isinstance(reason, TRANSIENT if options.patient else StoreUnavailable) and not is_refused(error)
            if not passes or (time.monotonic() >= deadline and not options.patient):
                raise reason from error
        if trouble is None:
            options.on_wait(reason)
        trouble = reason
        await anyio.sleep(_AGAIN)
    if trouble is not None:
        options.on_wait(None)


async def _prepare(first: Connection, options: StoreOptions) -> None:
    await schema.prepare(first, read_only=options.read_only)
    if options.check_owner:
        await schema.check_owner(first)
    if options.patient:
        await first.wait_for_locks(_SLICE)
    elif options.busy_timeout is None:
        await first.wait_for_locks(await _stored_busy_timeout(first))


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
    async with AsyncExitStack() as closing:
        # From the last to the first, each of them whatever becomes of the others.
        for close in (reader.close, writer.close, store.stop_listening):
            closing.push_async_callback(_shielded, close)
        yield store


async def _shielded(close: Callable[[], Awaitable[None]]) -> None:
    with anyio.CancelScope(shield=True):
        await close()


async def _stored_busy_timeout(connection: Connection) -> timedelta:
    async with connection.transaction(sql.transactions.BEGIN_READ) as transaction:
        found = await transaction.rows(sql.settings.SETTINGS)
    return stored_busy_timeout({row["key"]: row["value"] for row in found})

"""Hearing of changes, on a connection of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import psycopg

from queuectl.errors import StoreError
from queuectl.store.postgres import sql
from queuectl.store.postgres.connection import connect

if TYPE_CHECKING:
    from queuectl.store.postgres.address import Address

__all__ = ["Listener"]

_AGAIN = 1.0
"""Seconds before a connection that was lost is made anew. Meanwhile those who wait look by themselves."""


class Listener:
    """Listens for the notifications of one store, unless a pooler stands between: behind one nothing is heard."""

    def __init__(self, address: Address) -> None:
        """Begin to listen."""
        self._address = address
        self._heard = asyncio.Event()
        self._task = None if address.is_pooled else asyncio.create_task(self._listen(), name="queuectl store listener")

    async def wait(self, at_most: float) -> None:
        """Return when something was heard since the last call, or after `at_most` seconds. Many may wait."""
        with anyio.move_on_after(at_most):
            await self._heard.wait()
        self._heard.clear()

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _listen(self) -> None:
        while True:
            with suppress(psycopg.Error, StoreError):
                await self._listen_once()
            await anyio.sleep(_AGAIN)

    async def _listen_once(self) -> None:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        async with await connect(self._address) as connection:
            await connection.execute(sql.transactions.LISTEN)
            # What came before was not heard.
            self._heard.set()
            # Kept: a connection that is lost has no number any more, and whoever gets the same one next would not be
            # heard by an event loop that believes to watch it already.
            descriptor = connection.fileno()
            # Watched here: the driver's own wait takes a cancellation for a query that has to be cancelled.
            loop.add_reader(descriptor, arrived.set)
            try:
                while True:
                    await arrived.wait()
                    arrived.clear()
                    self._hear(connection.pgconn)
            finally:
                loop.remove_reader(descriptor)

    def _hear(self, connection: psycopg.pq.abc.PGconn) -> None:
        connection.consume_input()
        while notification := connection.notifies():
            if notification.extra == self._address.schema.encode():
                self._heard.set()

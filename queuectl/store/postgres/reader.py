"""The connection of a store that reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio
import psycopg

from queuectl.store.postgres import schema, sql
from queuectl.store.postgres.sqlstate import is_lost, translate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from queuectl.store.postgres.connection import Connection, Transaction

__all__ = ["Reader"]

T = TypeVar("T")


class Reader:
    """Reads in transactions on one connection, one at a time: each is short."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = anyio.Lock()

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run a function that reads, so that all its statements see the store at the same moment.

        Raises:
            StoreError: the store could not be read.
        """
        async with self._lock:
            try:
                try:
                    return await self._read(work)
                except psycopg.Error as error:
                    if not is_lost(error):
                        raise
                # It was lost, perhaps long ago: a new one may do.
                return await self._read(work)
            except psycopg.Error as error:
                raise translate(error, self._connection.address.shown) from error

    async def _read(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._connection.transaction(sql.transactions.BEGIN_READ) as transaction:
            schema.check_version(transaction.version, self._connection.address)
            return await work(transaction)

    def another(self) -> Connection:
        """Make another connection like its own."""
        return self._connection.another()

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

"""The one connection of a store that writes: it commits in groups, and finds out what became of a lost commit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import psycopg

from queuectl.errors import QueuectlError, StoreError
from queuectl.failpoints import Failpoint, reach
from queuectl.store.group import GroupFailedError, GroupWriter, Rank
from queuectl.store.postgres import schema, sql
from queuectl.store.postgres.sqlstate import is_lost, translate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from queuectl.store.group import Unit
    from queuectl.store.postgres.connection import Connection, Transaction

__all__ = ["Writer"]

T = TypeVar("T")

_TRIES = 5
"""How often a transaction is tried whose failure is over at once."""

_PAUSE = 0.1
"""Seconds between two questions about a commit whose answer was lost."""

_TAKERS = {Rank.FINISH, Rank.CLAIM}
"""Who may take jobs: the end of a run may be exchanged for the next one."""

_OVER_AT_ONCE = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected: only one of those that stood in each other's way is refused
    "23505",  # unique_violation: an id was taken between the look and the insertion; the next look sees it
}


class Work(Protocol):
    """Does something for several items in the open transaction, and gives an answer for each.

    What it refuses, by an error of queuectl's own, it refuses before it has changed anything.
    """

    def __call__(self, transaction: Transaction, items: list[Any], /) -> Awaitable[Sequence[Any]]:
        """Do it."""


class Writer(GroupWriter[Work]):
    """Serves those who wait to write, in transactions on one connection."""

    def __init__(self, connection: Connection, *, patient: bool, on_wait: Callable[[StoreError | None], None]) -> None:
        """Write through `connection`; a `patient` writer tries again without end where trouble may pass."""
        super().__init__(connection.address.shown, patient=patient, on_wait=on_wait)
        self._connection = connection

    async def close(self) -> None:
        """Serve those who wait already, then close the connection."""
        await self.stop()
        await self._connection.close()

    def another(self) -> Connection:
        """Make another connection like its own."""
        return self._connection.another()

    async def submit(
        self, work: Callable[[Transaction], Awaitable[T]], *, rank: Rank = Rank.CLIENT, alone: bool = False
    ) -> T:
        """Run `work` in a transaction with others', and give its answer once that is committed; see `post`."""

        async def once(transaction: Transaction, _items: list[Any]) -> Sequence[T]:
            return [await work(transaction)]

        answer: T = await self.post(object(), once, None, rank=rank, alone=alone)
        return answer

    async def transact(self, units: list[Unit[Work]]) -> list[Sequence[Any] | Exception]:
        """Do all the work in one transaction, and do it again where a failure is over at once."""
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._transact(units)
            except StoreError as error:
                raise GroupFailedError(error) from error
            except psycopg.Error as error:
                # A connection that was lost while nobody used it is no trouble yet.
                may_try = error.sqlstate in _OVER_AT_ONCE or (is_lost(error) and tries_left == _TRIES - 1)
                if not (tries_left and may_try):
                    raise GroupFailedError(translate(error, self._connection.address.shown)) from error
        raise AssertionError("the last try either answers or raises")

    async def _transact(self, units: list[Unit[Work]]) -> list[Sequence[Any] | Exception]:
        may_take = any(unit[0].rank in _TAKERS for unit in units)
        beginning = sql.transactions.BEGIN_TAKE if may_take else sql.transactions.BEGIN_WRITE
        async with self._connection.transaction(beginning) as transaction:
            schema.check_version(transaction.version, self._connection.address)
            answers = [await _run_unit(transaction, unit) for unit in units]
            try:
                await self._connection.commit(transaction)
            except psycopg.Error as error:
                if not await self._is_committed(transaction, error):
                    raise
        reach(Failpoint.COMMITTED)
        return answers

    async def _is_committed(self, transaction: Transaction, reason: psycopg.Error) -> bool:
        """Find out, by means of a new connection, what became of a transaction whose COMMIT was not answered well.

        Raises:
            GroupFailedError: that cannot be found out at all, or not for as long as locks are waited for.
        """
        await transaction.connection.close()
        deadline = time.monotonic() + self._connection.lock_timeout.total_seconds()
        while True:
            fate = await self._fate(transaction)
            if fate in {"committed", "aborted"}:
                return fate == "committed"
            if fate == "unknown" or time.monotonic() >= deadline:
                error = translate(reason, self._connection.address.shown)
                raise GroupFailedError(error, unknown=True) from reason
            await anyio.sleep(_PAUSE)

    async def _fate(self, transaction: Transaction) -> str | None:
        """Ask the server once; None where it cannot be asked, or does not know."""
        try:
            async with self._connection.transaction(sql.transactions.BEGIN_PREPARE) as asking:
                row = await asking.row(sql.transactions.FATE, {"xid": transaction.xid, "server": transaction.server})
        except (psycopg.Error, StoreError):
            return None
        return None if row is None else row["status"]


async def _run_unit(transaction: Transaction, unit: Unit[Work]) -> Sequence[Any] | Exception:
    try:
        return await unit[0].work(transaction, [request.item for request in unit])
    except QueuectlError as refusal:
        # It has changed nothing: see `Work`.
        return refusal

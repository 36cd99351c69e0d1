"""The one connection of a store that writes: it commits in groups, rings for those who wait, and moves the log."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from queuectl.errors import QueuectlError, StoreError, StoreReadOnly, StoreUnavailable
from queuectl.failpoints import Failpoint, reach
from queuectl.store.group import GroupFailedError, GroupWriter, Rank
from queuectl.store.sqlite import schema
from queuectl.store.sqlite.bell import Bell
from queuectl.store.sqlite.checkpoint import LogGrowth, checkpoint, is_due
from queuectl.store.sqlite.connection import is_busy, translate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from queuectl.store.group import Unit
    from queuectl.store.sqlite.connection import Connection
    from queuectl.store.sqlite.opened_file import OpenedFile

__all__ = ["Writer"]

T = TypeVar("T")
Work: TypeAlias = "Callable[[sqlite3.Connection, list[Any]], Sequence[Any]]"
"""Does something for several items in the open transaction, and gives an answer for each.

What a client asks is undone where it fails; the others refuse, by an error of queuectl's own, before they change
anything.
"""


class Writer(GroupWriter[Work]):
    """Serves those who wait to write, in transactions on one connection."""

    def __init__(
        self,
        path: Path,
        file: OpenedFile,
        connect: Callable[[], Awaitable[Connection]],
        *,
        tries: int,
        patient: bool,
        on_wait: Callable[[StoreError | None], None],
        growth: LogGrowth,
    ) -> None:
        """Write to `file`, the store at `path`; a `patient` writer tries again without end where trouble may pass.

        It tries so often to get the lock, each time for as long as a connection that `connect` makes waits.
        """
        super().__init__(str(path), patient=patient, on_wait=on_wait)
        self._path = path
        self._file = file
        self.connect = connect
        """Makes another connection like its own."""
        self._tries = tries
        self._commits = 0
        self._growth = growth

    async def open(self) -> None:
        """Connect, and begin to serve."""
        self._bell = Bell(self._path)
        try:
            self._connection = await self.connect()
        except BaseException:
            self._bell.close()
            raise
        self.start()

    async def close(self) -> None:
        """Serve those who wait already, then close the connection."""
        try:
            await self.stop()
        finally:
            self._bell.close()
            await self._connection.close()

    async def submit(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        rank: Rank = Rank.CLIENT,
        repeatable: bool = True,
        alone: bool = False,
        ids: Sequence[str] = (),
    ) -> T:
        """Run `work` in a transaction with others', and give its answer once that is committed; see `post`."""

        def once(connection: sqlite3.Connection, _items: list[Any]) -> Sequence[T]:
            return [work(connection)]

        answer: T = await self.post(object(), once, None, rank=rank, repeatable=repeatable, alone=alone, ids=ids)
        return answer

    async def transact(self, units: list[Unit[Work]]) -> list[Sequence[Any] | Exception]:
        """Do all the work in one transaction, and wake those who wait for a change."""
        answers = await self._connection.run(partial(_run_group, self._path, self._file, units, self._begin))
        reach(Failpoint.COMMITTED)
        self._bell.ring()
        return answers

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock, which others may have. Once the store is to be closed, it is not waited for any more."""
        for left in reversed(range(self._tries)):
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error) or self._closing.is_set() or not left:
                    raise
            else:
                return

    async def mend(self, failure: GroupFailedError) -> None:
        """Connect anew where the connection is of no use any more."""
        if failure.unknown or isinstance(failure.error, StoreReadOnly):
            # After an I/O error on a commit, what it believes of the log is not to be trusted; and a connection that
            # was opened while the file could only be read will never write.
            with suppress(StoreError):
                fresh = await self.connect()
                await self._connection.close()
                self._connection = fresh

    async def rest(self) -> None:
        """Move the log into the store's file, when that is due."""
        self._commits += 1
        if is_due(self._path, self._commits):
            self._commits = 0
            # Nothing is lost if it fails: the log stays as it is, and the next one that is due tries again.
            with suppress(sqlite3.Error):
                is_moved = await self._connection.run(partial(checkpoint, path=self._path))
                self._growth.note(is_moved=is_moved)


def _run_group(
    path: Path,
    file: OpenedFile,
    units: list[Unit[Work]],
    begin: Callable[[sqlite3.Connection], None],
    connection: sqlite3.Connection,
) -> list[Sequence[Any] | Exception]:
    """Run on the connection's thread: all the work in one transaction; an answer, or its error, for each unit."""
    try:
        begin(connection)
        schema.check_version(connection, path)
        answers = [_run_unit(connection, unit) for unit in units]
        # Last of all, so that no client is told of a job that is stored where nobody will find it.
        if any(unit[0].rank is Rank.CLIENT for unit in units):
            file.check()
        else:
            file.check_often()
    except Exception as error:
        _roll_back(connection)
        if not isinstance(error, (sqlite3.Error, StoreError)):
            raise
        raise GroupFailedError(_as_store_error(error, path)) from error
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        reason = _as_store_error(error, path)
        # Measured: a commit whose sync failed was there again after a crash, or was not.
        raise GroupFailedError(reason, unknown=isinstance(reason, StoreUnavailable)) from error
    return answers


def _run_unit(connection: sqlite3.Connection, unit: Unit[Work]) -> Sequence[Any] | Exception:
    """Run one piece of work so that its error undoes nothing but its own changes."""
    items = [request.item for request in unit]
    if unit[0].rank is not Rank.CLIENT:
        # What engines ask is refused before anything is changed, and should it fail otherwise, each is tried alone.
        try:
            return unit[0].work(connection, items)
        except StoreError:
            raise
        except QueuectlError as refusal:
            return refusal
    connection.execute("SAVEPOINT unit")
    try:
        answers = unit[0].work(connection, items)
    except Exception as error:
        if _concerns_all(error) or not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")
        return error
    connection.execute("RELEASE unit")
    return answers


def _concerns_all(error: Exception) -> bool:
    """Tell an error of the store (a full disk, a lock) from one of this request."""
    own = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
    return isinstance(error, sqlite3.Error) and not isinstance(error, own)


def _as_store_error(error: sqlite3.Error | StoreError, path: Path) -> StoreError:
    return error if isinstance(error, StoreError) else translate(error, str(path))


def _roll_back(connection: sqlite3.Connection) -> None:
    # Some errors, a full disk among them, have ended the transaction already.
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")

"""Group commit: many callers, one transaction, one sync to disk."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from queuectl.errors import (
    OutcomeUnknown,
    QueuectlError,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from queuectl.failpoints import Failpoint, reach
from queuectl.store.sqlite import schema
from queuectl.store.sqlite.bell import Bell
from queuectl.store.sqlite.checkpoint import LogGrowth, checkpoint, is_due
from queuectl.store.sqlite.connection import translate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from pathlib import Path

    from queuectl.store.sqlite.connection import Connection
    from queuectl.store.sqlite.opened_file import OpenedFile

__all__ = ["Rank", "Writer"]

T = TypeVar("T")
Work: TypeAlias = "Callable[[sqlite3.Connection, list[Any]], list[Any]]"
"""Does something for several items in the open transaction, and gives an answer for each."""

MAX_GROUP = 1_000
"""Requests in one transaction, so that nobody waits long behind others."""

_TRANSIENT = (StoreLocked, StoreFull, StoreUnavailable, StoreReadOnly)
"""Troubles that may end without anyone restarting the engine."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries of a patient writer."""


class Rank(IntEnum):
    """Who goes first: an engine that cannot beat loses its jobs, and a result is worth more than a new start."""

    BEAT = 0
    FINISH = 1
    CLAIM = 2
    CLIENT = 3


@dataclass(slots=True, eq=False)
class _Request:
    """One caller who waits for an answer."""

    key: Hashable
    """Requests of one transaction with the same key are done by one call of `work`."""
    work: Work
    item: Any
    rank: Rank
    repeatable: bool
    alone: bool
    ids: Sequence[str]
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _GroupFailedError(Exception):
    """A transaction ended without an answer for anyone: nothing of it is stored, unless its fate is `unknown`."""

    def __init__(self, error: StoreError, *, unknown: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.unknown = unknown


class Writer:
    """The one connection of a store that writes."""

    def __init__(
        self,
        path: Path,
        file: OpenedFile,
        connect: Callable[[], Awaitable[Connection]],
        *,
        patient: bool,
        on_wait: Callable[[StoreError | None], None],
        growth: LogGrowth,
    ) -> None:
        """Write to `file`, the store at `path`; a `patient` writer tries again without end where trouble may pass."""
        self._path = path
        self._file = file
        self._connect = connect
        self._patient = patient
        self._on_wait = on_wait
        self._waiting: list[_Request] = []
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._pause = 0.0
        self._commits = 0
        self._growth = growth

    async def open(self) -> None:
        """Connect, and begin to serve."""
        self._bell = Bell(self._path)
        try:
            self._connection = await self._connect()
        except BaseException:
            self._bell.close()
            raise
        self._task = asyncio.create_task(self._serve(), name="queuectl store writer")

    async def close(self) -> None:
        """Serve those who wait already, then close; one who is in trouble then gets its error."""
        self._closing.set()
        self._arrived.set()
        await self._task
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
        """Run `work` in a transaction with others' (or `alone`), and give its answer once that is committed.

        What it raises undoes its own changes only. It may run again, on a transaction that has nothing of the time
        before; `repeatable` says that this is harmless even where the time before was stored after all.

        Raises:
            StoreError: nothing was stored.
            OutcomeUnknown: it may be stored; the error names the `ids`.
        """
        request = _Request(object(), lambda connection, _: [work(connection)], None, rank, repeatable, alone, ids)
        answer: T = await self._add(request)
        return answer

    def post(
        self,
        key: Hashable,
        work: Callable[[sqlite3.Connection, list[Any]], list[T]],
        item: object,
        *,
        rank: Rank,
    ) -> asyncio.Future[T]:
        """As `submit`, but `work` runs once for the items of all that wait with the same `key`, and nobody waits here.

        Of what is posted without a pause in between, a lower rank is done before a higher one.
        """
        return self._add(_Request(key, work, item, rank, repeatable=True, alone=False, ids=()))

    def _add(self, request: _Request) -> asyncio.Future[Any]:
        if self._closing.is_set():
            raise StoreUnavailable(f"{self._path} was closed by this program already")
        self._waiting.append(request)
        self._arrived.set()
        return request.answer

    async def _serve(self) -> None:
        while True:
            if requests := self._take():
                await self._transact(requests)
            elif self._closing.is_set():
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def _take(self) -> list[_Request]:
        """Take the next group off those who wait: the urgent first, those whose caller went away not at all."""
        waiting = sorted((request for request in self._waiting if not request.answer.done()), key=_rank)
        size = next((n for n, request in enumerate(waiting) if request.alone), MAX_GROUP)
        size = max(min(size, MAX_GROUP), 1)
        self._waiting = waiting[size:]
        return waiting[:size]

    async def _transact(self, requests: list[_Request]) -> None:
        units = _units(requests)
        try:
            answers = await self._connection.run(partial(_run_group, self._path, self._file, units))
        except _GroupFailedError as failure:
            await self._recover(units, failure)
            return
        except Exception as fault:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for unit in units:
                _answer(unit, fault)
            return
        reach(Failpoint.COMMITTED)
        self._bell.ring()
        for unit, answer in zip(units, answers, strict=True):
            _answer(unit, answer)
        self._say_recovered()
        await self._checkpoint_when_due()

    async def _recover(self, units: list[list[_Request]], failure: _GroupFailedError) -> None:
        """Go on after a transaction that failed as a whole."""
        if failure.unknown or isinstance(failure.error, StoreReadOnly):
            await self._reconnect()
        requests = [request for unit in units for request in unit]
        if self._patient and isinstance(failure.error, _TRANSIENT) and not self._closing.is_set():
            repeatable = [request for request in requests if request.repeatable or not failure.unknown]
            self._waiting = repeatable + self._waiting
            _fail([request for request in requests if request not in repeatable], failure)
            await self._wait(failure.error)
        elif len(units) > 1 and not failure.unknown and not isinstance(failure.error, StoreLocked):
            # One of them may be the reason: on its own, each gets the answer that is its own.
            for unit in units:
                await self._transact(unit)
        else:
            _fail(requests, failure)

    async def _wait(self, reason: StoreError) -> None:
        if not self._pause:
            self._on_wait(reason)
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._closing.wait()

    def _say_recovered(self) -> None:
        if self._pause:
            self._pause = 0.0
            self._on_wait(None)

    async def _reconnect(self) -> None:
        # After an I/O error on a commit, what it believes of the log is not to be trusted; and a connection that was
        # opened while the file could only be read will never write.
        with suppress(StoreError):
            fresh = await self._connect()
            await self._connection.close()
            self._connection = fresh

    async def _checkpoint_when_due(self) -> None:
        self._commits += 1
        if is_due(self._path, self._commits):
            self._commits = 0
            # Nothing is lost if it fails: the log stays as it is, and the next one that is due tries again.
            with suppress(sqlite3.Error):
                is_moved = await self._connection.run(partial(checkpoint, path=self._path))
                self._growth.note(is_moved=is_moved)


def _rank(request: _Request) -> Rank:
    return request.rank


def _units(requests: list[_Request]) -> list[list[_Request]]:
    """Put together what is done by one call; the order of the ranks stays."""
    by_key: dict[Hashable, list[_Request]] = {}
    for request in requests:
        by_key.setdefault(request.key, []).append(request)
    return list(by_key.values())


def _answer(unit: list[_Request], answer: list[Any] | Exception) -> None:
    for n, request in enumerate(unit):
        if request.answer.done():
            continue
        if isinstance(answer, Exception):
            request.answer.set_exception(answer)
        else:
            request.answer.set_result(answer[n])


def _fail(requests: list[_Request], failure: _GroupFailedError) -> None:
    for request in requests:
        error: StoreError = failure.error
        if failure.unknown:
            named = f" ({', '.join(request.ids)})" if request.ids else ""
            error = OutcomeUnknown(
                f"{failure.error}; whether the change{named} is stored is unknown: look, or enqueue again with the "
                "same id and on_conflict ignore",
                request.ids,
            )
        if not request.answer.done():
            request.answer.set_exception(error)


def _run_group(
    path: Path, file: OpenedFile, units: list[list[_Request]], connection: sqlite3.Connection
) -> list[list[Any] | Exception]:
    """Run on the connection's thread: all the work in one transaction; an answer, or its error, for each unit."""
    try:
        connection.execute("BEGIN IMMEDIATE")
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
        raise _GroupFailedError(_as_store_error(error, path)) from error
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        reason = _as_store_error(error, path)
        # Measured: a commit whose sync failed was there again after a crash, or was not.
        raise _GroupFailedError(reason, unknown=isinstance(reason, StoreUnavailable)) from error
    return answers


def _run_unit(connection: sqlite3.Connection, unit: list[_Request]) -> list[Any] | Exception:
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

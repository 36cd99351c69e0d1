"""Group commit: many callers, one transaction, one sync to disk. How a transaction is made is the backend's affair."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import anyio

from queuectl.errors import OutcomeUnknown, StoreFull, StoreLocked, StoreReadOnly, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from queuectl.errors import StoreError

__all__ = ["MAX_GROUP", "TRANSIENT", "GroupFailedError", "GroupWriter", "Rank", "Request", "Unit"]

T = TypeVar("T")
Tx_contra = TypeVar("Tx_contra", contravariant=True)

MAX_GROUP = 1_000
"""Requests in one transaction, so that nobody waits long behind others."""

TRANSIENT = (StoreLocked, StoreFull, StoreUnavailable, StoreReadOnly)
"""Troubles that may end without anyone restarting the engine."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries of a patient store."""


class Rank(IntEnum):
    """Who goes first: an engine that cannot beat loses its jobs, and a result is worth more than a new start."""

    BEAT = 0
    FINISH = 1
    CLAIM = 2
    CLIENT = 3


class Work(Protocol[Tx_contra]):
    """Does something for several items in the open transaction, and gives an answer for each.

    What it refuses, by an error of queuectl's own, it refuses before it has changed anything.
    """

    def __call__(self, transaction: Tx_contra, items: list[Any], /) -> Awaitable[Sequence[Any]]:
        """Do it."""


@dataclass(slots=True, eq=False)
class Request(Generic[Tx_contra]):
    """One caller who waits for an answer."""

    key: Hashable
    """Requests of one transaction with the same key are done by one call of `work`."""
    work: Work[Tx_contra]
    item: Any
    rank: Rank
    repeatable: bool
    alone: bool
    ids: Sequence[str]
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


Unit: TypeAlias = "list[Request[Tx_contra]]"
"""Requests that are done by one call."""


class GroupFailedError(Exception):
    """A transaction ended without an answer for anyone: nothing of it is stored, unless its fate is `unknown`."""

    def __init__(self, error: StoreError, *, unknown: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.unknown = unknown


class GroupWriter(ABC, Generic[Tx_contra]):
    """Those who wait to write, and the one task that serves them."""

    def __init__(self, place: str, *, patient: bool, on_wait: Callable[[StoreError | None], None]) -> None:
        """Write to the store at `place`; a `patient` writer tries again without end where trouble may pass."""
        self._place = place
        self._patient = patient
        self._on_wait = on_wait
        self._waiting: list[Request[Tx_contra]] = []
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._pause = 0.0

    @abstractmethod
    async def transact(self, units: list[Unit[Tx_contra]]) -> list[Sequence[Any] | Exception]:
        """Do all units in one transaction, and give the answers of each, or its own error.

        Raises:
            GroupFailedError: the transaction failed as a whole.
        """

    def open(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._serve(), name="queuectl store writer")

    async def close(self) -> None:
        """Serve those who wait already, then end; one who is in trouble then gets its error."""
        self._closing.set()
        self._arrived.set()
        await self._task

    async def submit(
        self,
        work: Callable[[Tx_contra], Awaitable[T]],
        *,
        rank: Rank = Rank.CLIENT,
        repeatable: bool = True,
    ) -> T:
        """Run `work` in a transaction with others', and give its answer once that is committed.

        It refuses before it has changed anything. It may run again, on a transaction that has nothing of the time
        before; `repeatable` says that this is harmless even where the time before was stored after all.

        Raises:
            StoreError: nothing was stored.
            OutcomeUnknown: it may be stored.
        """

        async def once(transaction: Tx_contra, _items: list[Any]) -> Sequence[T]:
            return [await work(transaction)]

        answer: T = await self.post(object(), once, None, rank=rank, repeatable=repeatable)
        return answer

    def post(
        self,
        key: Hashable,
        work: Work[Tx_contra],
        item: object,
        *,
        rank: Rank = Rank.CLIENT,
        repeatable: bool = True,
        alone: bool = False,
        ids: Sequence[str] = (),
    ) -> asyncio.Future[Any]:
        """As `submit`, but `work` runs once for the items of all that wait with the same `key`, and nobody waits here.

        Of what is posted without a pause in between, a lower rank is done before a higher one. What is to be done
        `alone` has a transaction of its own. `ids` are named where the outcome is unknown.
        """
        if self._closing.is_set():
            raise StoreUnavailable(f"{self._place} was closed by this program already")
        request = Request(key, work, item, rank, repeatable, alone, ids)
        self._waiting.append(request)
        self._arrived.set()
        return request.answer

    async def _serve(self) -> None:
        while True:
            if requests := self._take():
                await self._serve_units(_units(requests))
            elif self._closing.is_set():
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def _take(self) -> list[Request[Tx_contra]]:
        """Take the next group off those who wait: the urgent first, those whose caller went away not at all."""
        waiting = sorted((request for request in self._waiting if not request.answer.done()), key=_rank)
        size = next((n for n, request in enumerate(waiting) if request.alone), MAX_GROUP)
        size = max(min(size, MAX_GROUP), 1)
        self._waiting = waiting[size:]
        return waiting[:size]

    async def _serve_units(self, units: list[Unit[Tx_contra]]) -> None:
        try:
            answers = await self.transact(units)
        except GroupFailedError as failure:
            await self._recover(units, failure)
        except Exception as fault:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for unit in units:
                _answer(unit, fault)
        else:
            for unit, answer in zip(units, answers, strict=True):
                _answer(unit, answer)
            self._say_recovered()

    async def _recover(self, units: list[Unit[Tx_contra]], failure: GroupFailedError) -> None:
        """Go on after a transaction that failed as a whole."""
        requests = [request for unit in units for request in unit]
        if self._patient and isinstance(failure.error, TRANSIENT) and not self._closing.is_set():
            repeatable = [request for request in requests if request.repeatable or not failure.unknown]
            self._waiting = repeatable + self._waiting
            _fail([request for request in requests if request not in repeatable], failure)
            await self._wait(failure.error)
        elif len(units) > 1 and not failure.unknown and not isinstance(failure.error, StoreLocked):
            # One of them may be the reason: on its own, each gets the answer that is its own.
            for unit in units:
                await self._serve_units([unit])
        else:
            _fail(requests, failure)

    async def _wait(self, reason: StoreError) -> None:
        if not self._pause:
            self._on_wait(reason)
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        with anyio.move_on_after(self._pause):
            await self._closing.wait()

    def _say_recovered(self) -> None:
        if self._pause:
            self._pause = 0.0
            self._on_wait(None)


def _rank(request: Request[Any]) -> Rank:
    return request.rank


def _units(requests: list[Request[Tx_contra]]) -> list[Unit[Tx_contra]]:
    """Put together what is done by one call; the order of the ranks stays."""
    by_key: dict[Hashable, Unit[Tx_contra]] = {}
    for request in requests:
        by_key.setdefault(request.key, []).append(request)
    return list(by_key.values())


def _answer(unit: Unit[Any], answer: Sequence[Any] | Exception) -> None:
    for n, request in enumerate(unit):
        if request.answer.done():
            continue
        if isinstance(answer, Exception):
            request.answer.set_exception(answer)
        else:
            request.answer.set_result(answer[n])


def _fail(requests: list[Request[Any]], failure: GroupFailedError) -> None:
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

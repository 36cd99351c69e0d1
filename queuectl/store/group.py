"""Group commit: many callers, one transaction, one sync to disk. How a transaction is made is the backend's affair."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from queuectl.errors import OutcomeUnknown, StoreFull, StoreLocked, StoreReadOnly, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from queuectl.errors import StoreError

__all__ = ["MAX_GROUP", "TRANSIENT", "GroupFailedError", "GroupWriter", "Rank", "Request", "Unit"]

Work = TypeVar("Work")
"""What a backend calls inside a transaction, to do something for several items and give an answer for each."""

MAX_GROUP = 1_000
"""Requests in one transaction, so that nobody waits long behind others."""

TRANSIENT = (StoreLocked, StoreFull, StoreUnavailable, StoreReadOnly)
"""Troubles that may end without anyone restarting the engine."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries of a patient store."""


class Rank(IntEnum):
    """Who goes first: an engine that cannot beat loses its jobs, and a result is worth more than a new start."""

    BEAT = 0
    REPORT = 1
    """Before the ends that are stored by one call, as one of them may be that of this run: then it comes too late."""
    FINISH = 2
    CLAIM = 3
    CLIENT = 4


@dataclass(slots=True, eq=False)
class Request(Generic[Work]):
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


Unit: TypeAlias = "list[Request[Work]]"
"""Requests that are done by one call."""


class GroupFailedError(Exception):
    """A transaction ended without an answer for anyone: nothing of it is stored, unless its fate is `unknown`."""

    def __init__(self, error: StoreError, *, unknown: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.unknown = unknown


class GroupWriter(ABC, Generic[Work]):
    """Those who wait to write, and the one task that serves them."""

    def __init__(self, place: str, *, patient: bool, on_wait: Callable[[StoreError | None], None]) -> None:
        """Write to the store at `place`; a `patient` writer tries again without end where trouble may pass."""
        self._place = place
        self._patient = patient
        self._on_wait = on_wait
        self._waiting: list[Request[Work]] = []
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._pause = 0.0

    # ── What a backend does ──────────────────────────────────────────────────

    @abstractmethod
    async def transact(self, units: list[Unit[Work]]) -> list[Sequence[Any] | Exception]:
        """Do all units in one transaction, and give the answers of each, or its own error.

        Raises:
            GroupFailedError: the transaction failed as a whole.
        """

    async def mend(self, failure: GroupFailedError) -> None:
        """Make good what a transaction that failed as a whole has left behind."""

    async def rest(self) -> None:
        """Do what is to be done once in a while, when those of a transaction have their answers."""

    # ── For those who write ──────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._serve(), name="queuectl store writer")

    async def stop(self) -> None:
        """Serve those who wait already, then end; one who is in trouble then gets its error."""
        self._closing.set()
        self._arrived.set()
        await self._task

    def post(
        self,
        key: Hashable,
        work: Work,
        item: object,
        *,
        rank: Rank = Rank.CLIENT,
        repeatable: bool = True,
        alone: bool = False,
        ids: Sequence[str] = (),
    ) -> asyncio.Future[Any]:
        """Have `work` done in a transaction with others', and give the answer to its `item` once that is committed.

        It is called once for the items of all that wait with the same `key`. It may be called again, in a transaction
        that has nothing of the time before; `repeatable` says that this is harmless even where the time before was
        stored after all. Of what is posted without a pause in between, a lower rank is done before a higher one. What
        is to be done `alone` has a transaction of its own.

        The answer may be a StoreError: then nothing was stored, unless it is `OutcomeUnknown`, which names the `ids`.
        """
        if self._closing.is_set():
            raise StoreUnavailable(f"{self._place} was closed by this program already")
        request = Request(key, work, item, rank, repeatable, alone, ids)
        self._waiting.append(request)
        self._arrived.set()
        return request.answer

    async def _serve(self) -> None:
        try:
            await self._serve_all()
        except Exception as fault:
            # Nobody serves any more: those who wait must hear of it, and nobody may wait again.
            self._closing.set()
            for request in self._waiting:
                if not request.answer.done():
                    request.answer.set_exception(fault)
            raise

    async def _serve_all(self) -> None:
        while True:
            if requests := self._take():
                await self._serve_units(_units(requests))
            elif self._closing.is_set():
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def _take(self) -> list[Request[Work]]:
        """Take the next group off those who wait: the urgent first, those whose caller went away not at all."""
        waiting = sorted((request for request in self._waiting if not request.answer.done()), key=_rank)
        size = next((n for n, request in enumerate(waiting) if request.alone), MAX_GROUP)
        if self._pause:
            # What stands in the way of others must not keep an engine from saying that it lives.
            size = sum(request.rank is Rank.BEAT for request in waiting) or size
        size = max(min(size, MAX_GROUP), 1)
        self._waiting = waiting[size:]
        return waiting[:size]

    async def _serve_units(self, units: list[Unit[Work]]) -> None:
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
            self._say_recovered(units)
            await self.rest()

    async def _recover(self, units: list[Unit[Work]], failure: GroupFailedError) -> None:
        """Go on after a transaction that failed as a whole."""
        await self.mend(failure)
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
        # Not by anyio, which a command that only stores a job is spared.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._closing.wait()

    def _say_recovered(self, served: list[Unit[Work]]) -> None:
        # Where beats alone got through, those who wait may be in trouble still.
        are_beats = served[-1][0].rank is Rank.BEAT
        if self._pause and not (are_beats and self._waiting):
            self._pause = 0.0
            self._on_wait(None)


def _rank(request: Request[Any]) -> Rank:
    return request.rank


def _units(requests: list[Request[Work]]) -> list[Unit[Work]]:
    """Put together what is done by one call; the order of the ranks stays."""
    by_key: dict[Hashable, Unit[Work]] = {}
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

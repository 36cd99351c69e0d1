"""Reads snapshots of a store. Each costs the same, however many jobs there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl.cli.engines import live
from queuectl.cli.queues import queues_of
from queuectl.cli.top.snapshot import Snapshot
from queuectl.cli.top.throughput import Throughput
from queuectl.job import FINAL_STATES, JobState
from queuectl.store.base import JobFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queuectl.job import Job
    from queuectl.registration import QueueCounts
    from queuectl.store.base import Store

__all__ = ["Reader"]

NEWEST = 100
"""How many jobs of a kind are looked at."""


class Reader:
    """Reads one store again and again."""

    def __init__(self, store: Store, place: str) -> None:
        """Read `store`, which is shown as `place`."""
        self._store = store
        self._place = place
        self._throughput = Throughput()

    async def read(self) -> Snapshot:
        """Look once."""
        queues = await queues_of(self._store)
        self._throughput.add(anyio.current_time(), _final([counts for _, counts in queues]))
        pending = [job for job in await self._next_and_newest() if job.state is JobState.PENDING]
        return Snapshot(
            now=self._store.now(),
            place=self._place,
            queues=tuple(queues),
            engines=tuple(live(await self._store.engines())),
            running=tuple(await self._newest(JobState.PROCESSING)),
            failures=(*await self._newest(JobState.FAILED), *await self._newest(JobState.DEAD)),
            waiting=(*await self._newest(JobState.BLOCKED), *pending),
            rates=self._throughput.rates(),
            rate=self._throughput.rate(),
        )

    async def _next_and_newest(self) -> Iterable[Job]:
        """Read jobs among which are pending ones. No index leads to the newest of these among many others."""
        found = (*await self._store.next_in_line(NEWEST), *await self._newest())
        return {job.id: job for job in found}.values()

    async def _newest(self, *states: JobState) -> list[Job]:
        # One state at a time, by age: so every kind of store has an index that leads to them, in order.
        return [job async for job in self._store.list_jobs(JobFilter(states=states), limit=NEWEST)]


def _final(counts: Sequence[QueueCounts]) -> int:
    """Count the jobs that are final."""
    return sum(of.jobs.get(state, 0) for of in counts for state in FINAL_STATES)

"""The wall clock jumps, or is another on each side."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from queuectl.events import EngineFenced, EngineStarted, JobClaimed, JobFinished
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from queuectl.store import open_store
from tests.engine.engines import a_lease_goes_by, lines_in, running_engine
from tests.factories import SECOND, Clock
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import Gate

HOUR = timedelta(hours=1)
TEN_YEARS = timedelta(days=3652)
SHORT = Settings(lease=SECOND)


async def test_a_clock_that_jumps_moves_what_is_due_and_nothing_else(
    timed_store: Store, clock: Clock, path: Path, gate: Gate
) -> None:
    """One engine's clock jumps while its job runs, the other's stands still: they are ten years apart at times."""
    store = timed_store
    await store.enqueue([NewJob("echo >> started; read line < gate", id="running", queue="one")])

    async with (
        open_store(path, clock=Clock(), patient=True) as elsewhere,
        running_engine(store, settings=SHORT, queues=("one",)) as one,
        running_engine(elsewhere, settings=SHORT, queues=("other",)) as other,
    ):
        await until(lambda: len(lines_in(path.with_name("started"))) == 1)
        await other.event(EngineStarted)
        for jump in (HOUR, TEN_YEARS, -TEN_YEARS, -HOUR):
            later = f"later-{jump.total_seconds():.0f}"
            await store.enqueue([NewJob("true", id=later, queue="one", run_at=clock() + HOUR / 2)])
            clock.advance(jump)
            if abs(jump) == TEN_YEARS:
                await asyncio.gather(a_lease_goes_by(store, one.id), a_lease_goes_by(store, other.id))
            now = f"now-{jump.total_seconds():.0f}"
            await store.enqueue([NewJob("true", id=now, queue="one")])
            await one.event(JobFinished, now)
            if jump > timedelta(0):
                await one.event(JobFinished, later)
            assert ((await store.get(later)).state is JobState.PENDING) is (jump < timedelta(0))
        gate.open()
        await one.event(JobFinished, "running")
        assert [event for engine in (one, other) for event in engine.log.of(EngineFenced)] == []

    claimed = [event.job.id for event in one.log.of(JobClaimed)]
    assert len(set(claimed)) == len(claimed) == 7
    [run] = await store.list_runs("running")
    assert run.duration is not None
    assert timedelta(0) < run.duration < HOUR

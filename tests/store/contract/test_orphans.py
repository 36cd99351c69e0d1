"""Rescue: an engine is taken off when it stands still, and its jobs are ended once by another."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import EngineFenced, LeaseLost
from queuectl.job import JobState
from queuectl.outcome import EngineDied
from queuectl.output import NO_OUTPUT, RunOutput
from queuectl.transition import Bury, Release
from tests.factories import (
    SECOND,
    START,
    add,
    claim_next,
    end,
    execution,
    new_engine,
    printed,
    record_of,
    run_next,
    take,
)

if TYPE_CHECKING:
    from queuectl.job import Job
    from queuectl.store.base import Store
    from tests.factories import Clock

DEATH = execution(EngineDied("its engine died", crashed=True), duration=None)
GIVEN_BACK = Release(0, 1, "its engine died")


async def orphan(store: Store, engine: str, job_id: str = "job1") -> Job:
    """Enqueue a job, let an engine claim it, and fence that engine."""
    await add(store, job_id)
    job = await take(store, engine)
    await store.report(job.claim, 4712, "12345", printed(b"so far"))
    assert await store.fence(await record_of(store, engine))
    return await store.get(job_id)


async def test_an_engine_that_stood_still_is_fenced(store: Store, other: Store, engine: str) -> None:
    await store.beat(engine)
    record = await record_of(store, engine)
    assert await other.fence(record) is True
    assert await store.engines() == []
    with pytest.raises(EngineFenced):
        await store.beat(engine)


async def test_an_engine_whose_counter_moved_on_is_not_fenced(store: Store, other: Store, engine: str) -> None:
    record = await record_of(other, engine)
    await store.beat(engine)
    assert await other.fence(record) is False
    assert await store.beat(engine) == 2


async def test_an_engine_that_is_off_already_is_off(store: Store, other: Store, engine: str) -> None:
    record = await record_of(store, engine)
    assert all(await asyncio.gather(store.fence(record), other.fence(record)))


async def test_fencing_takes_off_only_the_one_that_is_meant(store: Store, engine: str, rival: str) -> None:
    await store.fence(await record_of(store, engine))
    assert [record.id for record in await store.engines()] == [rival]
    assert await store.beat(rival) == 1


async def test_the_jobs_of_a_fenced_engine_stay_as_they_are(store: Store, engine: str) -> None:
    await add(store, "job1")
    before = await take(store, engine)
    await store.fence(await record_of(store, engine))
    assert await store.get("job1") == before
    assert await store.orphans() == [before]


async def test_orphans_are_the_running_jobs_of_engines_that_are_off(store: Store, engine: str, rival: str) -> None:
    await add(store, "done", "of-the-dead", "of-the-living", "waiting")
    await run_next(store, engine)
    await take(store, engine)
    await take(store, rival)
    assert await store.orphans() == []
    await store.fence(await record_of(store, engine))
    assert [job.id for job in await store.orphans()] == ["of-the-dead"]


async def test_an_orphan_shows_its_process(store: Store, engine: str) -> None:
    await orphan(store, engine)
    (job,) = await store.orphans()
    assert (job.engine_id, job.pid, job.pid_start) == (engine, 4712, "12345")


async def test_an_orphan_is_claimed_by_nobody(store: Store, engine: str, rival: str) -> None:
    await orphan(store, engine)
    assert await claim_next(store, rival) is None


async def test_a_rescued_job_is_given_back(store: Store, engine: str, rival: str, clock: Clock) -> None:
    job = await orphan(store, engine)
    clock.advance(timedelta(minutes=1))
    await store.rescue(rival, job, DEATH, GIVEN_BACK)
    assert await store.orphans() == []
    kept = await store.get("job1")
    assert (kept.state, kept.attempts, kept.crashes, kept.error) == (JobState.PENDING, 0, 1, "its engine died")
    assert (kept.pid, kept.run_at, kept.updated_at) == (None, START, clock())
    (run,) = await store.list_runs("job1")
    assert (run.outcome, run.error, run.engine_id) == ("engine_died", "its engine died", engine)
    assert (run.finished_at, run.duration) == (clock(), None)
    assert await store.read_output("job1", 1) == RunOutput(b"so far")


async def test_a_rescued_job_runs_again_under_a_higher_token(store: Store, engine: str, rival: str) -> None:
    job = await orphan(store, engine)
    await store.rescue(rival, job, DEATH, GIVEN_BACK)
    again = await take(store, rival)
    assert (again.id, again.runs) == ("job1", 2)
    assert again.claim_token > job.claim_token


async def test_a_rescued_job_may_be_buried(store: Store, engine: str, rival: str) -> None:
    job = await orphan(store, engine)
    await store.rescue(rival, job, DEATH, Bury(0, 5, "its engine died, 5 times in a row"))
    kept = await store.get("job1")
    assert (kept.state, kept.crashes, kept.finished_at) == (JobState.DEAD, 5, START)
    assert kept.error == "its engine died, 5 times in a row"


async def test_of_two_rescuers_one_comes_too_late(store: Store, other: Store, engine: str, rival: str) -> None:
    await store.register_engine(new_engine("engine-3"))
    job = await orphan(store, engine)
    answers = await asyncio.gather(
        store.rescue(rival, job, DEATH, GIVEN_BACK),
        other.rescue("engine-3", job, DEATH, GIVEN_BACK),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["LeaseLost", "NoneType"]
    assert (await store.get("job1")).crashes == 1
    assert len(await store.list_runs("job1")) == 1


async def test_a_rescue_that_comes_too_late_does_nothing_to_the_next_run(store: Store, engine: str, rival: str) -> None:
    job = await orphan(store, engine)
    await store.rescue(rival, job, DEATH, GIVEN_BACK)
    again = await take(store, rival)
    with pytest.raises(LeaseLost):
        await store.rescue(rival, job, DEATH, Bury(0, 5, "late"))
    assert await store.get("job1") == again


async def test_a_fenced_rescuer_rescues_nothing(store: Store, engine: str, rival: str) -> None:
    job = await orphan(store, engine)
    await store.fence(await record_of(store, rival))
    with pytest.raises(EngineFenced):
        await store.rescue(rival, job, DEATH, GIVEN_BACK)
    assert await store.orphans() == [job]


async def test_a_fenced_engine_that_leaves_gives_nothing_back(store: Store, engine: str) -> None:
    job = await orphan(store, engine)
    assert await store.deregister_engine(engine) == 0
    assert await store.orphans() == [job]


async def test_the_job_of_a_registered_engine_is_not_rescued(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    with suppress(LeaseLost):
        await store.rescue(rival, job, DEATH, GIVEN_BACK)
    assert await store.get("job1") == job
    await end(store, job)


async def test_the_jobs_of_an_engine_that_is_gone_are_moved_on_before_it_is_taken_off(
    store: Store, engine: str, rival: str
) -> None:
    await add(store, "of-the-dead", "of-the-living")
    job, _ = await take(store, engine), await take(store, rival)
    assert await store.orphans([engine, "stranger"]) == [job]
    await store.rescue(rival, job, DEATH, GIVEN_BACK, is_gone=True)
    assert await store.orphans([engine]) == []
    kept = await store.get("of-the-dead")
    assert (kept.state, kept.crashes) == (JobState.PENDING, 1)
    assert {record.id: record.processing for record in await store.engines()} == {engine: 0, rival: 1}


async def test_who_comes_too_late_to_an_engine_that_is_gone_does_nothing(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.rescue(rival, job, DEATH, GIVEN_BACK, is_gone=True)
    again = await take(store, rival)
    with pytest.raises(LeaseLost):
        await store.rescue(rival, job, DEATH, Bury(0, 5, "late"), is_gone=True)
    assert await store.get("job1") == again


async def test_what_comes_back_from_the_dead_changes_nothing(
    store: Store, engine: str, rival: str, clock: Clock
) -> None:
    old = await orphan(store, engine)
    await store.rescue(rival, old, DEATH, GIVEN_BACK)
    clock.advance(SECOND)
    new = await take(store, rival)
    with pytest.raises(EngineFenced):
        await end(store, old, output=printed(b" late", offset=6))
    with pytest.raises(LeaseLost):
        await store.report(old.claim, 4712, "12345", printed(b" late", offset=6))
    assert await store.get("job1") == new
    assert await store.read_output("job1", 1) == RunOutput(b"so far")
    assert await store.read_output("job1", 2) == RunOutput()
    await store.report(new.claim, 4713, "12346", NO_OUTPUT)
    await end(store, new)
    assert (await store.get("job1")).state is JobState.COMPLETED

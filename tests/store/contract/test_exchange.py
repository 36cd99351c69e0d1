"""Handing in a finished job and taking the next one at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import EngineFenced, LeaseLost
from queuectl.job import JobState
from queuectl.transition import Complete
from tests.factories import add, all_jobs, execution, printed, record_of

if TYPE_CHECKING:
    from queuectl.job import Job
    from queuectl.store.base import Store

DONE = Complete(1, 0)


async def first(store: Store, engine: str, worker: int) -> Job:
    """Claim the next job, which must be there, for this worker."""
    job = await store.claim(engine, worker, None)
    assert job is not None
    return job


async def test_the_job_is_over_and_the_next_is_held(store: Store, engine: str) -> None:
    await add(store, "job1", "job2")
    held = await first(store, engine, 0)

    following = await store.exchange(held.claim, execution(output=printed(b"out")), DONE, 0, None)

    assert following is not None
    assert (following.id, following.state, following.worker) == ("job2", JobState.PROCESSING, 0)
    assert following.claim_token > held.claim_token
    assert (await store.get("job1")).state is JobState.COMPLETED
    assert (await store.read_output("job1", 1)).stdout == b"out"


async def test_where_nothing_is_left_there_is_no_next(store: Store, engine: str) -> None:
    await add(store, "job1")
    held = await first(store, engine, 0)
    assert await store.exchange(held.claim, execution(), DONE, 0, None) is None
    assert (await store.get("job1")).state is JobState.COMPLETED


async def test_a_refused_end_changes_nothing_and_loses_nothing(store: Store, engine: str) -> None:
    await add(store, "job1", "job2")
    held = await first(store, engine, 0)
    await store.finish(held.claim, execution(), DONE)
    stale = replace(held.claim, token=held.claim.token - 1)

    with pytest.raises(LeaseLost):
        await store.exchange(stale, execution(), DONE, 0, None)

    # What was claimed on the way is given to the worker when it asks.
    assert (await first(store, engine, 0)).id == "job2"
    assert [job.runs for job in await all_jobs(store)] == [1, 1]


async def test_a_fenced_engine_gets_nothing(store: Store, engine: str) -> None:
    await add(store, "job1", "job2")
    held = await first(store, engine, 0)
    await store.fence(await record_of(store, engine))

    with pytest.raises(EngineFenced):
        await store.exchange(held.claim, execution(), DONE, 0, None)

    assert [job.state for job in await all_jobs(store)] == [JobState.PROCESSING, JobState.PENDING]


async def test_many_workers_at_once_run_each_job_once(store: Store, engine: str) -> None:
    names = [f"job{number}" for number in range(200)]
    await add(store, *names)
    seen: list[str] = []

    async def work(worker: int) -> None:
        job = await store.claim(engine, worker, None)
        while job is not None:
            seen.append(job.id)
            job = await store.exchange(job.claim, execution(), DONE, worker, None)

    await asyncio.gather(*(work(worker) for worker in range(8)))

    assert sorted(seen) == sorted(names)
    assert {(job.state, job.runs) for job in await all_jobs(store)} == {(JobState.COMPLETED, 1)}

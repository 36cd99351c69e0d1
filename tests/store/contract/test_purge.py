"""Purge: final jobs are deleted with everything about them, and no others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import JobNotFound, LeaseLost
from queuectl.job import FINAL_STATES, JobState, NewJob
from queuectl.outcome import Cancelled, Exited
from queuectl.output import RunOutput
from queuectl.store import open_store
from queuectl.store.base import JobFilter
from queuectl.store.pruning import prune
from tests.factories import SECOND, START, TWO_ATTEMPTS, add, all_jobs, end, printed, run_next, take

if TYPE_CHECKING:
    from queuectl.store.base import Store
    from tests.factories import Clock

FINAL = tuple(FINAL_STATES)


async def finish_in_turn(store: Store, engine: str, clock: Clock, *ids: str) -> None:
    """Enqueue jobs and complete them, one a second: the first at `START`."""
    await add(store, *ids)
    for _ in ids:
        await run_next(store, engine)
        clock.advance(SECOND)


async def ids(store: Store) -> list[str]:
    """List the ids of all jobs."""
    return [job.id for job in await all_jobs(store)]


async def test_only_jobs_in_the_states_named_are_deleted(store: Store, engine: str) -> None:
    await add(store, "completed", "dead", "cancelled", "failed", "processing", "pending")
    for outcome in (Exited(0), Exited(1), Cancelled()):
        await run_next(store, engine, outcome)
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    await take(store, engine)
    assert await store.purge([JobState.DEAD], None) == 1
    assert await ids(store) == ["completed", "cancelled", "failed", "processing", "pending"]
    assert await store.purge(FINAL, None) == 2
    assert await ids(store) == ["failed", "processing", "pending"]
    assert await store.purge(FINAL, None) == 0


async def test_no_states_are_no_jobs(store: Store, engine: str, clock: Clock) -> None:
    await finish_in_turn(store, engine, clock, "a")
    assert await store.purge([], None) == 0
    assert await ids(store) == ["a"]


async def test_only_jobs_that_finished_before_are_deleted(store: Store, engine: str, clock: Clock) -> None:
    await finish_in_turn(store, engine, clock, "a", "b", "c")
    assert await store.purge(FINAL, START) == 0
    assert await store.purge(FINAL, START + SECOND) == 1
    assert await ids(store) == ["b", "c"]


async def test_a_limit_takes_the_oldest_first(store: Store, engine: str, clock: Clock) -> None:
    await finish_in_turn(store, engine, clock, "a", "b", "c")
    assert await store.purge(FINAL, None, limit=2) == 2
    assert await ids(store) == ["c"]
    assert await store.purge(FINAL, None, limit=2) == 1


async def test_a_limit_and_a_time_hold_together(store: Store, engine: str, clock: Clock) -> None:
    await finish_in_turn(store, engine, clock, "a", "b", "c")
    assert await store.purge(FINAL, START + 2 * SECOND, limit=1) == 1
    assert await store.purge(FINAL, START + 2 * SECOND, limit=5) == 1
    assert await ids(store) == ["c"]


async def test_nothing_of_a_deleted_job_is_left_for_its_successor(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, output=printed(b"old", b"old"))
    await store.purge(FINAL, None)
    with pytest.raises(JobNotFound):
        await store.get("job1")
    with pytest.raises(JobNotFound):
        await store.list_runs("job1")
    assert await store.read_output("job1", 1) == RunOutput()
    await add(store, "job1")
    assert await store.list_runs("job1") == []
    assert await store.read_output("job1", 1) == RunOutput()
    job = await take(store, engine)
    assert job.runs == 1
    await end(store, job, output=printed(b"new"))
    assert await store.read_output("job1", 1) == RunOutput(b"new")


async def test_a_claim_on_a_deleted_job_does_not_fit_its_successor(store: Store, engine: str) -> None:
    await add(store, "job1")
    old = await take(store, engine)
    await end(store, old)
    await store.purge(FINAL, None)
    await add(store, "job1")
    new = await take(store, engine)
    assert new.claim_token > old.claim_token
    with pytest.raises(LeaseLost):
        await store.report(old.claim, 100, "start", printed(b"old"))
    assert await store.read_output("job1", 1) == RunOutput()


async def test_many_at_once(store: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(1200)))
    await asyncio.gather(*(run_next(store, engine) for _ in range(1200)))
    assert await store.purge(FINAL, None) == 1200
    assert await ids(store) == []


async def test_the_tags_of_a_deleted_job_go_with_it(store: Store, engine: str) -> None:
    tagged = JobFilter(tags=("red",))
    await store.enqueue([NewJob("true", id="gone", tags=("red", "red", "big"))])
    await run_next(store, engine)
    await store.purge(FINAL, None)
    await store.enqueue([NewJob("true", id="plain")])
    assert [job.id async for job in store.list_jobs(tagged)] == []
    await store.enqueue([NewJob("true", id="new", tags=("red",))])
    assert [job.id async for job in store.list_jobs(tagged)] == ["new"]


async def test_what_would_be_deleted_can_be_counted(store: Store, engine: str, clock: Clock, url: str) -> None:
    await finish_in_turn(store, engine, clock, "a", "b", "c")
    async with open_store(url, read_only=True, clock=clock) as reader:
        assert await reader.purge(FINAL, None, dry_run=True) == 3
        assert await reader.purge(FINAL, START + 2 * SECOND, dry_run=True) == 2
        assert await reader.purge(FINAL, None, limit=1, dry_run=True) == 1
        assert await reader.purge([], None, dry_run=True) == 0
    assert await ids(store) == ["a", "b", "c"]


async def test_pruning_takes_what_is_over_bit_by_bit_and_leaves_the_dead(store: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(1100)))
    await asyncio.gather(*(run_next(store, engine) for _ in range(1100)))
    await add(store, "cancelled", "dead", "pending")
    await run_next(store, engine, Cancelled())
    await run_next(store, engine, Exited(1))
    later = store.now() + SECOND
    assert await prune(store, store.now()) == 0
    assert await prune(store, later, dry_run=True) == 1101
    assert await prune(store, later) == 1101
    assert await ids(store) == ["dead", "pending"]

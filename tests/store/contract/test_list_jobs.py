"""Lists of jobs: filters, orders, limits, and pages that others write between."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.job import FINAL_STATES, JobState, NewJob
from queuectl.outcome import Exited
from queuectl.store.base import JobFilter, Sort
from queuectl.transition import Action
from tests.factories import SECOND, START, TWO_ATTEMPTS, add, end, run_next, take

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from queuectl.job import Job
    from queuectl.store.base import Store
    from tests.factories import Clock

MANY = 2500
"""More than any page."""


async def ids(
    store: Store, where: JobFilter | None = None, *, sort: Sort = Sort.CREATED, limit: int | None = None
) -> list[str]:
    """List the ids of jobs."""
    return [job.id async for job in store.list_jobs(where or JobFilter(), sort=sort, limit=limit)]


async def test_an_empty_store_has_an_empty_list(store: Store) -> None:
    assert await ids(store) == []


async def test_all_jobs_come_from_the_oldest(store: Store, clock: Clock) -> None:
    for job_id in ("c", "a", "b"):
        await add(store, job_id)
        clock.advance(SECOND)
    assert await ids(store) == ["c", "a", "b"]


async def test_a_limit_gives_the_newest_the_oldest_of_them_first(store: Store) -> None:
    await add(store, "a", "b", "c", "d")
    assert await ids(store, limit=2) == ["c", "d"]
    assert await ids(store, limit=4) == await ids(store, limit=9) == ["a", "b", "c", "d"]


async def test_a_limit_counts_those_that_fit_the_filter(store: Store) -> None:
    await add(store, "a", "b", "c", queue="wanted")
    await add(store, "x", "y")
    assert await ids(store, JobFilter(queues=("wanted",)), limit=2) == ["b", "c"]


async def test_a_filter_by_state_takes_any_of_those_named(store: Store, engine: str) -> None:
    await add(store, "done", "dead", "running", "waiting")
    await run_next(store, engine)
    await run_next(store, engine, Exited(1))
    await take(store, engine)
    assert await ids(store, JobFilter(states=(JobState.DEAD,))) == ["dead"]
    assert await ids(store, JobFilter(states=(JobState.PROCESSING, JobState.COMPLETED))) == ["done", "running"]
    assert await ids(store, JobFilter(states=(JobState.BLOCKED,))) == []
    assert await ids(store, JobFilter(states=tuple(JobState))) == ["done", "dead", "running", "waiting"]


async def test_a_filter_by_queue_takes_any_of_those_named(store: Store) -> None:
    await store.enqueue([NewJob("true", id=f"in-{queue}", queue=queue) for queue in ("a", "b", "c", "A")])
    assert await ids(store, JobFilter(queues=("a", "c"))) == ["in-a", "in-c"]
    assert await ids(store, JobFilter(queues=("d",))) == []


async def test_a_filter_by_tags_wants_all_of_those_named(store: Store) -> None:
    await store.enqueue(
        [
            NewJob("true", id="both", tags=("red", "big")),
            NewJob("true", id="one", tags=("red",)),
            NewJob("true", id="none"),
        ]
    )
    assert await ids(store, JobFilter(tags=("red",))) == ["both", "one"]
    assert await ids(store, JobFilter(tags=("big", "red"))) == ["both"]


@pytest.mark.parametrize("tag", ["re", "red ", "RED", "r%", "r_d", "r*", '"red"', "red,blue", "red' --", ""])
async def test_a_tag_is_compared_whole(store: Store, tag: str) -> None:
    await store.enqueue([NewJob("true", id="job1", tags=("red", "blue"))])
    assert await ids(store, JobFilter(tags=(tag,))) == []


@pytest.mark.parametrize("tag", ["a'b", 'a"b', "a\\b", "%", "a,b", "[1]", "ä😀", "a\nb", "null"])
async def test_any_text_can_be_a_tag(store: Store, tag: str) -> None:
    await store.enqueue([NewJob("true", id="job1", tags=("other", tag))])
    assert await ids(store, JobFilter(tags=(tag,))) == ["job1"]


async def test_since_takes_those_created_at_that_time_or_later(store: Store, clock: Clock) -> None:
    for job_id in ("a", "b", "c"):
        await add(store, job_id)
        clock.advance(SECOND)
    assert await ids(store, JobFilter(since=START + SECOND)) == ["b", "c"]
    assert await ids(store, JobFilter(since=START + SECOND + timedelta(milliseconds=1))) == ["c"]
    assert await ids(store, JobFilter(since=START + 3 * SECOND)) == []


async def test_a_job_must_fit_everything_that_is_given(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue([NewJob("true", id="too-old", queue="q", tags=("t",))])
    clock.advance(SECOND)
    fitting = NewJob("true", id="fits", queue="q", tags=("t",))
    others = [NewJob("true", id="no-tag", queue="q"), NewJob("true", id="no-queue", tags=("t",))]
    await store.enqueue([*others, fitting, NewJob("true", id="claimed", queue="q", tags=("t",), priority=1)])
    assert (await take(store, engine)).id == "claimed"
    where = JobFilter(states=(JobState.PENDING,), queues=("q",), tags=("t",), since=clock())
    assert await ids(store, where) == ["fits"]


async def test_by_priority_the_highest_comes_last(store: Store) -> None:
    await store.enqueue(
        [NewJob("true", id=job_id, priority=priority) for job_id, priority in [("a", 5), ("b", -5), ("c", 5), ("d", 0)]]
    )
    assert await ids(store, sort=Sort.PRIORITY) == ["b", "d", "a", "c"]
    assert await ids(store, sort=Sort.PRIORITY, limit=2) == ["a", "c"]
    assert await ids(store, sort=Sort.PRIORITY, limit=3) == ["d", "a", "c"]


async def test_by_run_at_the_latest_comes_last(store: Store) -> None:
    await store.enqueue(
        [NewJob("true", id=job_id, run_at=START + late * SECOND) for job_id, late in [("a", 9), ("b", -9), ("c", 9)]]
    )
    assert await ids(store, sort=Sort.RUN_AT) == ["b", "a", "c"]
    assert await ids(store, sort=Sort.RUN_AT, limit=1) == ["c"]


async def test_by_updated_the_last_that_changed_comes_last(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "a", "b", "c")
    clock.advance(SECOND)
    await take(store, engine)
    assert await ids(store, sort=Sort.UPDATED) == ["b", "c", "a"]
    assert await ids(store, sort=Sort.UPDATED, limit=2) == ["c", "a"]


async def test_by_finished_the_last_that_finished_comes_last(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "a", "b", "c")
    first, second = await take(store, engine), await take(store, engine)
    await run_next(store, engine)
    for job in (second, first):
        clock.advance(SECOND)
        await end(store, job)
    final = JobFilter(states=tuple(FINAL_STATES))
    assert await ids(store, final, sort=Sort.FINISHED) == ["c", "b", "a"]
    assert await ids(store, final, sort=Sort.FINISHED, limit=2) == ["b", "a"]


@pytest.mark.parametrize("sort", Sort)
async def test_pages_join_without_a_seam(store: Store, sort: Sort) -> None:
    created = [f"job{number}" for number in range(MANY)]
    await store.enqueue([NewJob("true", id=job_id, priority=number % 3) for number, job_id in enumerate(created)])
    expected = sorted(created, key=lambda job_id: int(job_id[3:]) % 3) if sort is Sort.PRIORITY else created
    assert await ids(store, sort=sort) == expected
    assert await ids(store, sort=sort, limit=MANY - 7) == expected[7:]


async def test_what_is_written_between_pages_spoils_nothing(store: Store, other: Store) -> None:
    before = await add(other, *(f"job{number}" for number in range(MANY)))
    seen = []
    async for job in store.list_jobs(JobFilter()):
        seen.append(job.id)
        if len(seen) % 500 == 1:
            await add(other, f"new{len(seen)}")
    assert [job_id for job_id in seen if job_id.startswith("job")] == before
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("limit", [None, MANY - 10])
async def test_no_job_comes_twice_though_its_place_in_the_order_changes(
    store: Store, engine: str, clock: Clock, sort: Sort, limit: int | None
) -> None:
    await add(store, *(f"job{number}" for number in range(MANY)))
    seen: list[str] = []
    async for job in store.list_jobs(JobFilter(), sort=sort, limit=limit):
        seen.append(job.id)
        if len(seen) % 200 == 1:
            clock.advance(SECOND)
            await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    assert len(set(seen)) == len(seen)


async def test_what_does_not_fit_any_more_is_not_listed(store: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(MANY)))
    await store.enqueue([NewJob("true", id="urgent", priority=1)])
    states: set[JobState] = set()
    async for job in store.list_jobs(JobFilter(states=(JobState.PENDING,))):
        if not states:
            assert (await take(store, engine)).id == "urgent"
        states.add(job.state)
    assert states == {JobState.PENDING}


async def test_a_list_of_what_is_being_purged_and_retried_ends(store: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(MANY)))
    for _ in range(20):
        await run_next(store, engine)
    seen = []
    async for job in store.list_jobs(JobFilter()):
        seen.append(job.id)
        if len(seen) == 5:
            await store.purge([JobState.COMPLETED], None, limit=10)
            await store.apply(Action.RETRY, JobFilter())
    assert len(set(seen)) == len(seen)
    assert len(seen) >= MANY - 10


async def test_a_list_that_is_left_early_holds_nothing_up(store: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(MANY)))
    listing: AsyncGenerator[Job] = store.list_jobs(JobFilter())  # type: ignore[assignment] # any backend's is one
    async with aclosing(listing) as jobs:
        async for _ in jobs:
            break
    await run_next(store, engine)
    await add(store, "last")
    assert (await ids(store, limit=1)) == ["last"]

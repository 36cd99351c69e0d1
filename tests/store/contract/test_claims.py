"""Claims: who is due, in which order, and never to two workers at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import EngineFenced
from queuectl.job import FINAL_STATES, JobState, NewJob
from queuectl.outcome import Exited, Interrupted
from queuectl.store import open_store
from tests.factories import (
    SECOND,
    START,
    TWO_ATTEMPTS,
    add,
    all_jobs,
    claim_next,
    end,
    new_engine,
    record_of,
    run_next,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.job import Job
    from queuectl.store.base import Store
    from tests.factories import Clock


async def claim_all(store: Store, engine_id: str, queues: Sequence[str] | None = None) -> list[Job]:
    """Claim until nothing is due, and give the jobs in the order in which they came."""
    jobs = []
    while job := await claim_next(store, engine_id, queues):
        jobs.append(job)
    return jobs


async def ids_claimed(store: Store, engine_id: str, queues: Sequence[str] | None = None) -> list[str]:
    """Claim until nothing is due, and give the ids."""
    return [job.id for job in await claim_all(store, engine_id, queues)]


async def test_an_empty_store_has_nothing_to_claim(store: Store, engine: str) -> None:
    assert await claim_next(store, engine) is None


async def test_a_claimed_job_is_processing_under_its_claim(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    clock.advance(SECOND)
    job = await store.claim(engine, 3, None)
    assert job is not None
    assert job == await store.get("job1")
    assert job.state is JobState.PROCESSING
    assert (job.engine_id, job.worker, job.runs, job.attempts) == (engine, 3, 1, 0)
    assert job.started_at == job.updated_at == START + SECOND
    assert (job.pid, job.finished_at) == (None, None)


async def test_a_claimed_job_is_not_claimed_again(store: Store, other: Store, engine: str, rival: str) -> None:
    await add(store, "job1")
    await take(store, engine)
    assert await claim_next(store, engine) is None
    assert await claim_next(other, rival) is None


async def test_the_highest_priority_goes_first(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true", id=f"p{priority}", priority=priority) for priority in (0, -3, 9, 1)])
    assert await ids_claimed(store, engine) == ["p9", "p1", "p0", "p-3"]


async def test_at_equal_priority_the_earliest_run_at_goes_first(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue([NewJob("true", id=f"at{late}", run_at=START + late * SECOND) for late in (3, 1, -5, 2)])
    clock.advance(timedelta(minutes=1))
    assert await ids_claimed(store, engine) == ["at-5", "at1", "at2", "at3"]


async def test_at_equal_run_at_the_oldest_goes_first(store: Store, engine: str) -> None:
    await add(store, "c", "a", "b")
    assert await ids_claimed(store, engine) == ["c", "a", "b"]


async def test_priority_counts_before_time_and_time_before_age(store: Store, engine: str, clock: Clock) -> None:
    jobs = [("low", 0, -9), ("late", 1, 2), ("early", 1, 1), ("early-too", 1, 1)]
    await store.enqueue(
        [NewJob("true", id=job_id, priority=high, run_at=START + late * SECOND) for job_id, high, late in jobs]
    )
    clock.advance(timedelta(minutes=1))
    assert await ids_claimed(store, engine) == ["early", "early-too", "late", "low"]


async def test_future_jobs_of_higher_priority_hold_nothing_up(store: Store, engine: str, clock: Clock) -> None:
    tomorrow = START + timedelta(days=1)
    await store.enqueue([NewJob("true", id=f"future{n}", priority=9, run_at=tomorrow) for n in range(200)])
    await add(store, "now")
    assert await ids_claimed(store, engine) == ["now"]
    clock.advance(timedelta(days=1))
    await add(store, "new")
    assert await ids_claimed(store, engine) == [*(f"future{n}" for n in range(200)), "new"]


async def test_many_jobs_become_due_in_the_order_of_their_times(store: Store, engine: str, clock: Clock) -> None:
    order = [number * 7 % 300 for number in range(300)]
    await store.enqueue([NewJob("true", id=f"at{late}", run_at=START + late * SECOND) for late in order])
    clock.advance(timedelta(seconds=149))
    assert await ids_claimed(store, engine) == [f"at{late}" for late in range(150)]
    clock.advance(timedelta(days=1))
    assert await ids_claimed(store, engine) == [f"at{late}" for late in range(150, 300)]


async def test_the_highest_priority_goes_first_however_many_became_due_before(
    store: Store, engine: str, clock: Clock
) -> None:
    await store.enqueue([NewJob("true", run_at=START + SECOND) for _ in range(1500)])
    await store.enqueue([NewJob("true", id="urgent", priority=9, run_at=START + 2 * SECOND)])
    clock.advance(timedelta(hours=1))
    assert (await take(store, engine)).id == "urgent"


async def test_a_failed_job_is_claimed_when_its_delay_is_over(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    clock.advance(2 * SECOND - timedelta(milliseconds=1))
    assert await claim_next(store, engine) is None
    clock.advance(timedelta(milliseconds=1))
    job = await take(store, engine)
    assert (job.id, job.attempts, job.runs) == ("job1", 1, 2)


async def test_queues_take_turns_at_equal_priority(store: Store, engine: str, clock: Clock) -> None:
    for queue in ("a", "b", "c"):
        await store.enqueue([NewJob("true", queue=queue) for _ in range(5)])
        clock.advance(SECOND)
    served = [job.queue for job in await claim_all(store, engine)]
    assert [set(served[start : start + 3]) for start in range(0, 15, 3)] == [{"a", "b", "c"}] * 5
    assert all(first != second for first, second in pairwise(served))


async def test_a_queue_that_ran_dry_loses_its_turns_to_the_others(store: Store, engine: str) -> None:
    await add(store, *(f"long{number}" for number in range(6)), queue="long")
    await add(store, "short0", "short1", queue="short")
    order = await ids_claimed(store, engine)
    assert [job_id for job_id in order if job_id.startswith("long")] == [f"long{number}" for number in range(6)]
    assert {"short0", "short1"} < set(order[:4])


async def test_a_newcomer_waits_for_no_more_than_one_turn_of_each_queue(store: Store, engine: str) -> None:
    await add(store, *(f"busy{number}" for number in range(9)), queue="busy")
    for _ in range(4):
        await take(store, engine)
    await add(store, "new", queue="fresh")
    assert "new" in [(await take(store, engine)).id for _ in range(2)]


async def test_no_turn_goes_before_a_higher_priority(store: Store, engine: str) -> None:
    await add(store, "a0", "a1", queue="a")
    await store.enqueue([NewJob("true", id=f"b{number}", queue="b", priority=1) for number in range(3)])
    order = await ids_claimed(store, engine)
    assert order[:3] == ["b0", "b1", "b2"]
    assert order[3:] == ["a0", "a1"]


async def test_only_the_queues_named_are_served(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true", id=f"in-{queue}", queue=queue) for queue in ("a", "b", "c", "A")])
    assert await ids_claimed(store, engine, ["b"]) == ["in-b"]
    assert await ids_claimed(store, engine, ["nothing"]) == []
    assert await ids_claimed(store, engine, []) == []
    assert set(await ids_claimed(store, engine, ("a", "c"))) == {"in-a", "in-c"}
    assert await ids_claimed(store, engine, None) == ["in-A"]


async def test_tokens_only_grow(store: Store, other: Store, engine: str) -> None:
    tokens = []
    for round_ in range(3):
        await add(store, f"job{round_}", f"more{round_}")
        for opened in (store, other):
            job = await take(opened, engine)
            tokens.append(job.claim_token)
            await end(store, job, Interrupted("drained"))
            job = await take(opened, engine)
            tokens.append(job.claim_token)
            await end(store, job)
        await store.purge(tuple(FINAL_STATES), None)
    assert tokens == sorted(set(tokens))


async def test_tokens_go_on_when_the_store_is_opened_again(url: str) -> None:
    tokens = []
    for number in range(3):
        async with open_store(url) as store:
            await store.register_engine(new_engine(f"engine-{number}"))
            await add(store, "job1")
            tokens.append((await take(store, f"engine-{number}")).claim_token)
            await store.deregister_engine(f"engine-{number}")
            await store.register_engine(new_engine(f"engine-{number}b"))
            await run_next(store, f"engine-{number}b")
            await store.purge(tuple(FINAL_STATES), None)
    assert tokens == sorted(set(tokens))


async def test_an_engine_that_nobody_registered_claims_nothing(store: Store) -> None:
    await add(store, "job1")
    with pytest.raises(EngineFenced):
        await store.claim("stranger", 0, None)
    assert (await store.get("job1")).state is JobState.PENDING


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "deregistered"])
async def test_an_engine_that_is_off_claims_nothing(store: Store, engine: str, *, is_fenced: bool) -> None:
    await add(store, "job1")
    if is_fenced:
        assert await store.fence(await record_of(store, engine))
    else:
        await store.deregister_engine(engine)
    with pytest.raises(EngineFenced):
        await store.claim(engine, 0, None)
    assert (await store.get("job1")).state is JobState.PENDING


async def test_an_engine_that_is_off_is_told_so_even_when_nothing_is_due(store: Store) -> None:
    with pytest.raises(EngineFenced):
        await store.claim("stranger", 0, None)


async def test_no_job_is_claimed_twice_however_many_claim_at_once(store: Store, other: Store, engine: str) -> None:
    await other.register_engine(new_engine("elsewhere"))
    expected = await add(store, *(f"job{number}" for number in range(300)))

    workers = [(store, engine)] * 8 + [(other, "elsewhere")] * 8
    claimed = await asyncio.gather(*(claim_all(opened, engine_id) for opened, engine_id in workers))

    assert sorted(job.id for jobs in claimed for job in jobs) == sorted(expected)
    assert sorted(await all_jobs(store), key=lambda job: job.id) == sorted(
        (job for jobs in claimed for job in jobs), key=lambda job: job.id
    )


async def test_a_worker_that_holds_a_job_is_given_it_again(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1", "job2")
    job = await store.claim(engine, 0, None)
    assert await store.claim(engine, 0, None) == job
    assert [run.run for run in await store.list_runs("job1")] == [1]
    assert (await take(store, rival)).id == "job2"


async def test_jobs_that_are_claimed_at_once_have_tokens_of_their_own(store: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(20)))
    jobs = await asyncio.gather(*(take(store, engine) for _ in range(20)))
    assert len({job.claim_token for job in jobs}) == 20


async def test_the_order_is_kept_however_many_are_claimed_at_once(store: Store, engine: str) -> None:
    names = [f"job{number}" for number in range(100)]
    await add(store, *names)
    jobs = await asyncio.gather(*(take(store, engine) for _ in names))
    assert [job.id for job in sorted(jobs, key=lambda job: job.claim_token)] == names


async def test_fewer_jobs_than_claimers_leave_the_rest_with_none(store: Store, engine: str) -> None:
    await add(store, "a", "b", "c")
    claimed = await asyncio.gather(*(store.claim(engine, worker, None) for worker in range(10)))
    assert sorted(job.id for job in claimed if job) == ["a", "b", "c"]
    assert all(job.worker == worker for worker, job in enumerate(claimed) if job)

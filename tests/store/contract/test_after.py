"""Jobs that come after others: when they are let go, when they are cancelled, and what counts as an end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import InvalidJob, JobNotFound
from queuectl.job import Condition, Dependency, JobState, NewJob, OnConflict
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted
from queuectl.retry import RetryPolicy
from queuectl.store.base import JobFilter
from queuectl.transition import Action, decide
from tests.factories import (
    SECOND,
    START,
    TWO_ATTEMPTS,
    add,
    all_jobs,
    claim_next,
    end,
    execution,
    record_of,
    run_next,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from queuectl.job import Job
    from queuectl.store.base import Store
    from tests.factories import Clock

OK, ANY, NOT_OK = Condition.OK, Condition.ANY, Condition.NOT_OK
PENDING, BLOCKED, CANCELLED = JobState.PENDING, JobState.BLOCKED, JobState.CANCELLED


async def add_after(store: Store, job_id: str, *ids: str, condition: Condition = OK) -> Job:
    """Enqueue a job that comes after others."""
    await store.enqueue([NewJob("true", id=job_id, after=tuple(Dependency(other, condition) for other in ids))])
    return await store.get(job_id)


async def complete(store: Store, engine: str) -> None:
    await run_next(store, engine)


async def bury(store: Store, engine: str) -> None:
    await run_next(store, engine, Exited(1))


async def cancel(store: Store, _engine: str) -> None:
    await store.apply(Action.CANCEL, ["first"])


async def cancel_while_it_runs(store: Store, engine: str) -> None:
    await run_next(store, engine, Cancelled())


async def bury_with_its_engine(store: Store, engine: str) -> None:
    await run_next(store, engine, EngineDied("gone", crashed=True), policy=RetryPolicy(max_crashes=1))


async def delete(store: Store, _engine: str) -> None:
    await store.apply(Action.DELETE, ["first"])


async def purge_dead(store: Store, engine: str) -> None:
    await bury(store, engine)
    assert await store.purge([JobState.DEAD], None) == 1


ENDS = [complete, bury, bury_with_its_engine, cancel, cancel_while_it_runs, delete, purge_dead]
EXPECTED = {
    OK: [PENDING, BLOCKED, BLOCKED, CANCELLED, CANCELLED, CANCELLED, CANCELLED],
    ANY: [PENDING] * len(ENDS),
    NOT_OK: [CANCELLED, PENDING, PENDING, PENDING, PENDING, PENDING, PENDING],
}


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("number", range(len(ENDS)), ids=[end.__name__ for end in ENDS])
async def test_each_end_decides_as_the_condition_says(
    store: Store, engine: str, condition: Condition, number: int
) -> None:
    await add(store, "first")
    assert (await add_after(store, "second", "first", condition=condition)).state is BLOCKED
    await ENDS[number](store, engine)
    assert (await store.get("second")).state is EXPECTED[condition][number]


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("number", range(5), ids=[end.__name__ for end in ENDS[:5]])
async def test_a_job_that_is_final_already_decides_at_once(
    store: Store, engine: str, condition: Condition, number: int
) -> None:
    await add(store, "first")
    await ENDS[number](store, engine)
    assert (await add_after(store, "second", "first", condition=condition)).state is EXPECTED[condition][number]


@pytest.mark.parametrize("outcome", [Exited(1), Interrupted("drained")], ids=["failed", "given back"])
async def test_what_is_no_end_decides_nothing(store: Store, engine: str, outcome: Exited | Interrupted) -> None:
    await add(store, "first")
    await add_after(store, "second", "first", condition=ANY)
    await run_next(store, engine, outcome, policy=TWO_ATTEMPTS)
    assert (await store.get("second")).state is BLOCKED


async def test_a_blocked_job_is_not_claimed_until_it_is_let_go(store: Store, engine: str) -> None:
    await add(store, "first")
    await add_after(store, "second", "first")
    first = await take(store, engine)
    assert await claim_next(store, engine) is None
    await end(store, first)
    assert (await take(store, engine)).id == "second"


async def test_a_job_is_let_go_by_the_last_of_several(store: Store, engine: str) -> None:
    await add(store, "a", "b", "c")
    assert (await add_after(store, "last", "a", "b", "c")).unmet == 3
    for left in (2, 1):
        await complete(store, engine)
        assert (await store.get("last")).unmet == left
    assert (await store.get("last")).state is BLOCKED
    await complete(store, engine)
    assert (await store.get("last")).state is PENDING


async def test_a_job_that_is_let_go_still_waits_for_its_time(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "first")
    later = NewJob("true", id="later", after=(Dependency("first"),), run_at=START + timedelta(hours=1))
    await store.enqueue([later])
    await complete(store, engine)
    assert (await store.get("later")).state is PENDING
    assert await claim_next(store, engine) is None
    clock.advance(timedelta(hours=1))
    assert (await take(store, engine)).id == "later"


async def test_what_is_impossible_goes_down_the_chain_and_names_the_reason(store: Store, clock: Clock) -> None:
    await add(store, "a")
    for before, job_id in (("a", "b"), ("b", "c"), ("c", "d")):
        await add_after(store, job_id, before)
    await add_after(store, "mourner", "c", condition=NOT_OK)
    await add_after(store, "either", "a", "d", condition=ANY)
    clock.advance(SECOND)
    await store.apply(Action.CANCEL, ["a"])
    for before, job_id in (("a", "b"), ("b", "c"), ("c", "d")):
        job = await store.get(job_id)
        assert (job.state, job.finished_at) == (CANCELLED, clock())
        assert job.error == f"job {before}, which had to complete first, was cancelled"
    assert (await store.get("mourner")).state is PENDING
    assert (await store.get("either")).state is PENDING


async def test_a_job_whose_dependency_is_impossible_is_cancelled_when_it_is_enqueued(store: Store) -> None:
    await add(store, "gone")
    await store.apply(Action.CANCEL, ["gone"])
    chain = [
        NewJob("true", id="b", after=(Dependency("gone"),)),
        NewJob("true", id="c", after=(Dependency("b"),)),
        NewJob("true", id="relieved", after=(Dependency("c", NOT_OK),)),
    ]
    await store.enqueue(chain)
    assert [job.state for job in await all_jobs(store)] == [CANCELLED, CANCELLED, CANCELLED, PENDING]


async def test_a_verdict_stands_whatever_becomes_of_the_other_job_later(store: Store, engine: str) -> None:
    await add(store, "first")
    await add_after(store, "met", "first")
    await complete(store, engine)
    await store.apply(Action.RETRY, ["first"])
    await store.apply(Action.CANCEL, ["first"])
    assert (await store.get("met")).state is PENDING


async def test_a_dead_job_is_waited_for_until_it_completes_after_all(store: Store, engine: str) -> None:
    await add(store, "first")
    await add_after(store, "second", "first")
    await bury(store, engine)
    await store.apply(Action.RETRY, ["first"])
    await complete(store, engine)
    assert (await store.get("second")).state is PENDING


async def test_pruning_takes_no_job_that_is_waited_for(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "first")
    await add_after(store, "second", "first")
    await bury(store, engine)
    clock.advance(timedelta(days=365))
    assert await store.purge([JobState.COMPLETED, JobState.CANCELLED], clock()) == 0
    assert (await store.get("second")).unmet == 1


async def test_a_cancelled_job_is_retried_into_waiting_for_what_is_still_open(store: Store, engine: str) -> None:
    await add(store, "a", "b")
    await add_after(store, "last", "a", "b")
    await store.apply(Action.CANCEL, ["last"])
    await complete(store, engine)
    assert (await store.get("last")).state is CANCELLED
    await store.apply(Action.RETRY, ["last"])
    assert ((await store.get("last")).state, (await store.get("last")).unmet) == (BLOCKED, 1)
    await complete(store, engine)
    assert (await store.get("last")).state is PENDING


async def test_whoever_retries_a_job_by_hand_overrules_what_was_impossible(store: Store, engine: str) -> None:
    await add(store, "first")
    await add_after(store, "second", "first")
    await store.apply(Action.CANCEL, ["first"])
    await store.apply(Action.RETRY, ["second"])
    assert (await take(store, engine)).id == "second"


async def test_a_dead_job_is_retried_though_it_once_waited(store: Store, engine: str) -> None:
    await add(store, "first")
    await add_after(store, "second", "first")
    await complete(store, engine)
    await bury(store, engine)
    await store.apply(Action.RETRY, ["second"])
    assert (await take(store, engine)).id == "second"


async def test_jobs_of_one_batch_may_wait_for_each_other_in_any_order(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true", id="last", after=(Dependency("first"),)), NewJob("true", id="first")])
    assert await run_next(store, engine) == "first"
    assert await run_next(store, engine) == "last"


async def test_an_unknown_job_refuses_the_whole_batch(store: Store) -> None:
    with pytest.raises(JobNotFound, match="nowhere"):
        await store.enqueue([NewJob("true", id="a"), NewJob("true", id="b", after=(Dependency("nowhere"),))])
    assert await all_jobs(store) == []


async def test_a_circle_refuses_the_whole_batch_and_is_named(store: Store) -> None:
    circle = [NewJob("true", id=job_id, after=(Dependency(other),)) for job_id, other in ("ab", "bc", "ca")]
    with pytest.raises(InvalidJob, match="wait for each other") as refusal:
        await store.enqueue([NewJob("true", id="z"), *circle])
    assert all(job_id in str(refusal.value) for job_id in "abc")
    assert await all_jobs(store) == []


async def test_a_job_that_is_there_already_keeps_what_it_waits_for(store: Store) -> None:
    await add(store, "first", "other")
    await add_after(store, "second", "first")
    again = NewJob("true", id="second", after=(Dependency("other"),), on_conflict=OnConflict.IGNORE)
    [receipt] = await store.enqueue([again])
    assert receipt.existing
    assert (await store.get("second")).after == (Dependency("first"),)


async def test_what_a_job_comes_after_can_be_read_in_its_order(store: Store) -> None:
    await add(store, "a", "b")
    wanted = (Dependency("b", ANY), Dependency("a"))
    await store.enqueue([NewJob("true", id="c", after=wanted)])
    assert (await store.get("c")).after == wanted


async def test_the_end_of_an_engine_that_stops_or_dies_decides_nothing(store: Store, engine: str, rival: str) -> None:
    await add(store, "first")
    await add_after(store, "second", "first", condition=ANY)
    await take(store, engine)
    await store.deregister_engine(engine)
    job = await take(store, rival)
    assert job.id == "first"
    await store.fence(await record_of(store, rival))
    assert (await store.get("second")).state is BLOCKED


async def test_a_rescue_that_buries_decides(store: Store, engine: str, rival: str) -> None:
    await add(store, "first")
    await add_after(store, "second", "first", condition=NOT_OK)
    job = await take(store, engine)
    await store.fence(await record_of(store, engine))
    outcome = EngineDied("gone", crashed=True)
    transition = decide(job, outcome, RetryPolicy(max_crashes=1), store.now())
    await store.rescue(rival, job, execution(outcome, duration=None), transition)
    assert (await store.get("second")).state is PENDING


async def test_a_deleted_job_waits_for_nothing_any_more(store: Store, engine: str) -> None:
    await add(store, "first")
    await add_after(store, "second", "first")
    await store.apply(Action.DELETE, ["second"])
    await add(store, "second")
    await complete(store, engine)
    assert [job.state for job in await all_jobs(store)] == [JobState.COMPLETED, PENDING]


async def test_many_wait_for_one(store: Store, engine: str) -> None:
    await add(store, "first")
    await store.enqueue([NewJob("true", after=(Dependency("first"),)) for _ in range(1000)])
    await complete(store, engine)
    waiting = [job async for job in store.list_jobs(JobFilter(states=(PENDING,)))]
    assert len(waiting) == 1000


async def test_one_waits_for_many(store: Store, engine: str) -> None:
    ids = await add(store, *(f"job{number}" for number in range(1000)))
    await add_after(store, "last", *ids)
    await asyncio.gather(*(run_next(store, engine) for _ in ids))
    assert (await store.get("last")).state is PENDING


async def test_many_stand_in_a_chain_that_falls(store: Store) -> None:
    jobs = [NewJob("true", id=f"job{n}", after=(Dependency(f"job{n - 1}"),) if n else ()) for n in range(300)]
    await store.enqueue(jobs)
    await store.apply(Action.CANCEL, ["job0"])
    assert {job.state for job in await all_jobs(store)} == {CANCELLED}


async def test_of_many_ends_at_once_each_is_decided(store: Store, other: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(20)))
    for number in range(20):
        await add_after(store, f"then{number}", f"job{number}")
    jobs = [await take(store, engine) for _ in range(20)]
    finishing: list[Callable[[], Awaitable[object]]] = [
        (lambda job=job, number=number: end(store if number % 2 else other, job, Exited(number % 3 and 1)))  # type: ignore[misc]
        for number, job in enumerate(jobs)
    ]
    await asyncio.gather(*(finish() for finish in finishing), store.apply(Action.CANCEL, ["then1"]))
    states = {job.id: job.state for job in await all_jobs(store)}
    assert [states[f"then{number}"] is PENDING for number in range(20)] == [number % 3 == 0 for number in range(20)]

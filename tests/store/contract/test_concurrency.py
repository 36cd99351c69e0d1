"""Many callers at once: each gets its own answer, and nobody sees half of anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from queuectl.errors import DuplicateJob, EngineFenced, LeaseLost, QueuectlError
from queuectl.job import JobState, NewJob, OnConflict, Receipt
from queuectl.outcome import Exited
from queuectl.store.base import JobFilter
from queuectl.transition import Action, Complete
from tests.factories import add, all_jobs, execution, run_next, take
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from queuectl.store.base import Store

BATCH = 250


async def test_of_64_that_enqueue_at_once_only_the_one_with_a_taken_id_fails(store: Store) -> None:
    await add(store, "job40")
    calls = (store.enqueue([NewJob("false", id=f"job{number}")]) for number in range(64))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[40], DuplicateJob)
    assert [answer for number, answer in enumerate(answers) if number != 40] == [
        [Receipt(f"job{number}", "default", existing=False)] for number in range(64) if number != 40
    ]
    assert sorted(job.id for job in await all_jobs(store)) == sorted(f"job{number}" for number in range(64))
    assert (await store.get("job40")).command == "true"


async def test_of_many_that_want_the_same_id_one_gets_it(store: Store, other: Store) -> None:
    calls = (opened.enqueue([NewJob(f"echo {n}", id="job1")]) for n in range(20) for opened in (store, other))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    receipts = [answer for answer in answers if isinstance(answer, list)]
    assert receipts == [[Receipt("job1", "default", existing=False)]]
    assert sum(isinstance(answer, DuplicateJob) for answer in answers) == 39
    assert len(await all_jobs(store)) == 1


async def test_of_many_that_ignore_a_taken_id_one_stores_the_job(store: Store, other: Store) -> None:
    job = NewJob("true", id="job1", on_conflict=OnConflict.IGNORE)
    answers = await asyncio.gather(*(opened.enqueue([job]) for _ in range(20) for opened in (store, other)))
    assert [receipt.existing for (receipt,) in answers].count(False) == 1
    assert len(await all_jobs(store)) == 1


async def test_a_refused_batch_takes_none_of_its_neighbours_along(store: Store) -> None:
    await add(store, "taken")
    refused = store.enqueue([*(NewJob("true", id=f"refused{n}") for n in range(5)), NewJob("true", id="taken")])
    before, error, after = await asyncio.gather(
        add(store, "before"), refused, add(store, "after"), return_exceptions=True
    )
    assert (before, after) == (["before"], ["after"])
    assert isinstance(error, DuplicateJob)
    assert sorted(job.id for job in await all_jobs(store)) == ["after", "before", "taken"]


async def test_everyone_gets_the_answer_to_their_own_call(store: Store, engine: str) -> None:
    await add(store, "held", "free")
    held = await take(store, engine)
    stale = (await take(store, engine)).claim
    await store.finish(stale, execution(), Complete(1, 0))
    answers = await asyncio.gather(
        store.beat(engine),
        store.beat("stranger"),
        store.report(stale, 1, "start", execution().output),
        store.claim(engine, 0, None),
        store.finish(held.claim, execution(), Complete(1, 0)),
        add(store, "held"),
        add(store, "new"),
        store.claim("stranger", 0, None),
        return_exceptions=True,
    )
    kinds = [type(answer) if isinstance(answer, QueuectlError) else answer for answer in answers]
    claimed = kinds.pop(3)
    assert kinds == [1, EngineFenced, LeaseLost, None, DuplicateJob, ["new"], EngineFenced]
    assert claimed is None or getattr(claimed, "id", None) == "new"
    assert (await store.get("held")).state is JobState.COMPLETED


async def test_no_reader_sees_half_a_batch(store: Store, other: Store) -> None:
    async def write() -> None:
        for _ in range(12):
            await store.enqueue([NewJob("true", queue=f"q{number % 2}") for number in range(BATCH)])

    writing = asyncio.create_task(write())
    totals = set()
    while not writing.done():
        by_queue = [counts.jobs[JobState.PENDING] for counts in await other.counts()]
        assert len(set(by_queue)) <= 1
        totals.add((await other.stats()).jobs[JobState.PENDING])
        assert sum(by_queue) % BATCH == 0
    await writing
    assert all(total % BATCH == 0 for total in totals)
    assert (await other.stats()).jobs[JobState.PENDING] == 12 * BATCH


async def test_no_reader_sees_half_a_retry(store: Store, other: Store, engine: str) -> None:
    await add(store, *(f"job{number}" for number in range(BATCH)))
    await asyncio.gather(*(run_next(store, engine, Exited(1)) for _ in range(BATCH)))
    retrying = asyncio.create_task(store.apply(Action.RETRY, JobFilter()))
    while not retrying.done():
        assert (await other.stats()).jobs[JobState.DEAD] in (0, BATCH)
    assert len(await retrying) == BATCH


async def test_a_caller_that_is_cancelled_takes_nobody_along(store: Store) -> None:
    calls = [asyncio.create_task(add(store, f"job{number}")) for number in range(30)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    async with asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*calls, return_exceptions=True)
        await add(store, "last")
    assert all(answers[number] == [f"job{number}"] for number in range(30) if number % 3)
    stored = {job.id for job in await all_jobs(store)}
    assert stored >= {f"job{number}" for number in range(30) if number % 3} | {"last"}


async def test_a_store_in_heavy_use_answers_everyone(store: Store, other: Store, engine: str) -> None:
    async def live(opened: Store, name: str) -> None:
        for number in range(10):
            await add(opened, f"{name}-{number}", queue=name)
            job = await take(opened, engine, [name])
            await opened.report(job.claim, 100, "start", execution().output)
            await opened.get(job.id)
            await opened.finish(job.claim, execution(), Complete(1, 0))

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(live(opened, f"{n}-{k}") for n in range(10) for k, opened in enumerate((store, other))))
    assert {job.state for job in await all_jobs(store)} == {JobState.COMPLETED}
    assert len(await all_jobs(store)) == 200

"""What an idle engine asks: is there work, when will there be, and wake me when something changes."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import queuectl
from queuectl.job import NewJob
from queuectl.outcome import Cancelled, Exited
from queuectl.registration import Look
from queuectl.transition import Action
from tests.factories import SECOND, START, TWO_ATTEMPTS, add, end, new_engine, record_of, run_next, take
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from queuectl.store.base import Store
    from tests.factories import Clock

FOR_EVER = 3600.0
NOTHING = Look(ready=0, next_due=None, stopping=False)


async def test_an_empty_store_offers_nothing(store: Store, engine: str) -> None:
    assert await store.look(engine, None, 10) == NOTHING


async def test_ready_jobs_are_counted_up_to_the_limit(store: Store, other: Store, engine: str) -> None:
    await add(store, "a", "b", "c")
    assert (await other.look(engine, None, 10)).ready == 3
    assert (await other.look(engine, None, 2)).ready == 2
    await take(store, engine)
    assert (await other.look(engine, None, 10)).ready == 2


async def test_the_limit_holds_for_jobs_that_have_just_become_due_too(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue([NewJob("true", run_at=START + wait * SECOND) for wait in (0, 0, 1, 1)])
    clock.advance(SECOND)
    assert (await store.look(engine, None, 3)).ready == 3
    assert (await store.look(engine, None, 9)).ready == 4


async def test_only_the_queues_named_are_looked_at(store: Store, engine: str) -> None:
    await store.enqueue(
        [
            NewJob("true", queue="a"),
            NewJob("true", queue="b"),
            NewJob("true", queue="b", run_at=START + 2 * SECOND),
            NewJob("true", queue="c", run_at=START + SECOND),
        ]
    )
    next_due = START + SECOND  # Of any queue: one look too many costs less than a search for the right one.
    assert await store.look(engine, ["a"], 10) == Look(ready=1, next_due=next_due, stopping=False)
    assert await store.look(engine, ["b", "c"], 10) == Look(ready=1, next_due=next_due, stopping=False)
    assert await store.look(engine, ["d"], 10) == Look(ready=0, next_due=next_due, stopping=False)
    assert await store.look(engine, None, 10) == Look(ready=2, next_due=next_due, stopping=False)


async def test_the_next_due_is_the_earliest_of_those_that_wait(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue([NewJob("true", run_at=START + late * SECOND, priority=late) for late in (9, 3, 6)])
    assert await store.look(engine, None, 10) == Look(ready=0, next_due=START + 3 * SECOND, stopping=False)
    clock.advance(3 * SECOND)
    assert await store.look(engine, None, 10) == Look(ready=1, next_due=START + 6 * SECOND, stopping=False)
    clock.advance(timedelta(hours=1))
    assert await store.look(engine, None, 10) == Look(ready=3, next_due=None, stopping=False)


async def test_a_retry_that_is_due_later_waits(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    assert await store.look(engine, None, 10) == Look(ready=0, next_due=START + 2 * SECOND, stopping=False)
    clock.advance(2 * SECOND)
    assert await store.look(engine, None, 10) == Look(ready=1, next_due=None, stopping=False)


async def test_a_look_changes_nothing(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue([NewJob("true", id="job1", run_at=START + SECOND)])
    clock.advance(SECOND)
    before = await store.get("job1")
    await store.look(engine, None, 10)
    assert await store.get("job1") == before


async def test_an_empty_store_is_idle(store: Store) -> None:
    assert await store.is_idle(None)
    assert await store.is_idle(["a"])


async def test_a_future_job_does_not_count_until_it_is_due(store: Store, clock: Clock) -> None:
    await store.enqueue([NewJob("true", run_at=START + SECOND)])
    assert await store.is_idle(None)
    clock.advance(SECOND)
    assert not await store.is_idle(None)


async def test_a_running_job_and_one_that_waits_for_a_retry_count(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    assert not await store.is_idle(None)
    job = await take(store, engine)
    assert not await store.is_idle(None)
    await end(store, job, Exited(1))
    assert not await store.is_idle(None)
    clock.advance(2 * SECOND)
    assert not await store.is_idle(None)
    await run_next(store, engine)
    assert await store.is_idle(None)


async def test_an_orphan_counts(store: Store, engine: str) -> None:
    await add(store, "job1")
    await take(store, engine)
    await store.fence(await record_of(store, engine))
    assert not await store.is_idle(None)


@pytest.mark.parametrize("outcome", [Exited(0), Exited(1), Cancelled()], ids=["completed", "dead", "cancelled"])
async def test_a_final_job_does_not_count(store: Store, engine: str, outcome: Exited | Cancelled) -> None:
    await add(store, "job1")
    await run_next(store, engine, outcome)
    assert await store.is_idle(None)


async def test_only_the_queues_named_are_asked(store: Store, engine: str) -> None:
    await add(store, "job1", queue="a")
    assert not await store.is_idle(["b", "a"])
    assert await store.is_idle(["b"])
    await take(store, engine)
    assert not await store.is_idle(["a"])
    assert await store.is_idle(["b"])


async def resting(store: Store) -> asyncio.Task[None]:
    """Give a task that waits for a change, and that has not been woken by what changed before."""
    for _ in range(100):
        waiting = asyncio.create_task(store.wait_for_change(FOR_EVER))
        await asyncio.wait([waiting], timeout=0.02)
        if not waiting.done():
            return waiting
    pytest.fail("every wait ends at once, though nothing changes")


async def wakes(store: Store, change: Callable[[], Awaitable[object]]) -> None:
    """Let a task wait for a change, make one, and see that the task wakes long before its own time is over."""
    waiting = await resting(store)
    await change()
    async with asyncio.timeout(PATIENCE):
        await waiting


async def test_a_change_by_another_wakes(store: Store, other: Store) -> None:
    for number in range(3):
        await wakes(store, partial(add, other, f"job{number}"))


async def test_a_change_of_ones_own_wakes(store: Store) -> None:
    for number in range(3):
        await wakes(store, partial(add, store, f"job{number}"))


async def test_every_kind_of_change_wakes(store: Store, other: Store, engine: str) -> None:
    await add(store, "job1")
    await wakes(store, lambda: run_next(other, engine, Exited(1)))
    await wakes(store, lambda: other.apply(Action.RETRY, ["job1"]))
    await wakes(store, lambda: other.request_stop([engine]))
    await wakes(store, lambda: other.set_setting("workers", "3"))
    await wakes(store, lambda: other.beat(engine))
    await wakes(store, lambda: other.register_engine(new_engine("engine-2")))


async def test_a_change_between_two_waits_is_not_missed(store: Store, other: Store) -> None:
    await store.wait_for_change(0)
    await add(other, "job1")
    async with asyncio.timeout(PATIENCE):
        await store.wait_for_change(FOR_EVER)


async def test_all_that_wait_are_woken(store: Store, other: Store) -> None:
    waiting = [await resting(store), *(asyncio.create_task(store.wait_for_change(FOR_EVER)) for _ in range(4))]
    await asyncio.sleep(0)
    await add(other, "job1")
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*waiting)


async def test_a_wait_that_is_cancelled_leaves_the_others_waiting(store: Store, other: Store) -> None:
    leaving, staying = await resting(store), asyncio.create_task(store.wait_for_change(FOR_EVER))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await add(other, "job1")
    async with asyncio.timeout(PATIENCE):
        await staying


async def test_a_wait_ends_after_its_time_when_nothing_changes(store: Store) -> None:
    async with asyncio.timeout(PATIENCE):
        await store.wait_for_change(0)
        await store.wait_for_change(0.01)


ENQUEUE = """
import asyncio, sys
from queuectl.job import NewJob
from queuectl.store import open_store

async def main():
    async with open_store(sys.argv[1]) as store:
        await store.enqueue([NewJob("true", id="from-afar")])

asyncio.run(main())
"""


async def test_a_change_by_another_process_wakes(store: Store, url: str) -> None:
    package = Path(queuectl.__file__).parents[1]

    async def enqueue_elsewhere() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ENQUEUE, url, env={**os.environ, "PYTHONPATH": str(package)}
        )
        assert await process.wait() == 0

    await wakes(store, enqueue_elsewhere)
    assert (await store.get("from-afar")).command == "true"

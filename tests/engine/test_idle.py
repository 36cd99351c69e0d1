from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from queuectl.engine.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

PASSES = 50
"""Turns of the event loop in which everything that can happen here has happened."""


async def settle(passes: int = PASSES) -> None:
    for _ in range(passes):
        await asyncio.sleep(0)


async def waiting(idle: Idle, workers: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(idle.wait(idle.wakes)) for _ in range(workers)]
    await settle()
    return tasks


def done(tasks: list[asyncio.Task[None]]) -> list[bool]:
    return [task.done() for task in tasks]


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_those_who_waited_the_longest_are_woken_first() -> None:
    idle = Idle(3)
    tasks = await waiting(idle, 3)

    idle.wake(2)
    await settle()

    assert done(tasks) == [True, True, False]
    await cancel(tasks)


async def test_more_wakes_than_workers_wake_all() -> None:
    idle = Idle(2)
    tasks = await waiting(idle, 2)

    idle.wake(5)
    await settle()

    assert done(tasks) == [True, True]


async def test_a_wake_between_the_look_and_the_wait_counts() -> None:
    idle = Idle(1)
    seen = idle.wakes
    idle.wake(1)

    await asyncio.wait_for(idle.wait(seen), 10)


async def test_nothing_to_claim_wakes_nobody() -> None:
    idle = Idle(1)
    tasks = await waiting(idle, 1)

    idle.wake(0)
    await settle()

    assert done(tasks) == [False]
    await cancel(tasks)


async def test_it_is_full_when_the_last_one_comes_and_says_so_once() -> None:
    calls: list[bool] = []
    idle = Idle(2)
    idle.on_full = lambda: calls.append(idle.is_full)

    first = await waiting(idle, 1)
    assert (calls, idle.is_full) == ([], False)
    second = await waiting(idle, 1)
    assert (calls, idle.is_full) == ([True], True)
    idle.wake(1)
    assert not idle.is_full
    await cancel(first + second)


async def test_one_who_gives_up_is_not_woken_in_place_of_another() -> None:
    idle = Idle(2)
    tasks = await waiting(idle, 2)
    await cancel(tasks[:1])

    idle.wake(1)
    await settle()

    assert done(tasks) == [True, True]
    assert not tasks[1].cancelled()


async def test_once_closed_nobody_waits() -> None:
    idle = Idle(2)
    tasks = await waiting(idle, 2)

    idle.close()
    await settle()

    assert done(tasks) == [True, True]
    await asyncio.wait_for(idle.wait(idle.wakes), 10)


async def test_someone_is_noticed_when_they_come_and_when_they_are_there() -> None:
    idle = Idle(1)
    noticed = asyncio.create_task(idle.until_someone())
    await settle()
    assert not noticed.done()

    tasks = await waiting(idle, 1)
    assert noticed.done()
    await asyncio.wait_for(idle.until_someone(), 10)
    await cancel(tasks)


class Shop:
    """Jobs that come, and workers that look for them; each answer takes a while to arrive."""

    def __init__(self, workers: int, delays: Iterator[int]) -> None:
        self.idle = Idle(workers)
        self.jobs = 0
        self._workers = workers
        self._delays = delays

    async def work(self) -> None:
        while True:
            seen = self.idle.wakes
            found = self.jobs > 0
            self.jobs -= found
            await settle(next(self._delays, 0))
            if not found:
                await self.idle.wait(seen)

    def bring(self, jobs: int) -> None:
        self.jobs += jobs
        self.idle.wake(min(self.jobs, self._workers))


async def trade(workers: int, deliveries: list[tuple[int, int]], delays: list[int]) -> int:
    """Let jobs come at certain moments, and give how many are left when nothing moves any more."""
    shop = Shop(workers, iter(delays))
    tasks = [asyncio.create_task(shop.work()) for _ in range(workers)]
    for passes, jobs in deliveries:
        await settle(passes)
        shop.bring(jobs)
    await settle(10 * PASSES)
    await cancel(tasks)
    return shop.jobs


def in_a_loop(main: Coroutine[None, None, int]) -> int:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


SMALL = st.integers(0, 4)


@given(
    workers=st.integers(1, 4),
    deliveries=st.lists(st.tuples(SMALL, st.integers(1, 5)), max_size=8),
    delays=st.lists(SMALL, max_size=30),
)
def test_no_job_is_left_lying_while_workers_wait(
    workers: int, deliveries: list[tuple[int, int]], delays: list[int]
) -> None:
    assert in_a_loop(trade(workers, deliveries, delays)) == 0

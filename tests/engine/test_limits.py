"""Engines beside limits: they rest while nothing may start, begin as soon as it may, and keep to it through crashes."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.events import JobClaimed, JobFinished
from queuectl.job import JobState, NewJob
from queuectl.store.base import JobFilter
from queuectl.transition import Action
from tests.engine.engines import engine_process, lines_in, run_until_idle, running_engine
from tests.factories import SECOND, START
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import Gate, RunningEngine
    from tests.factories import Clock

WAITS = "echo $QUEUECTL_JOB_ID >> started; read line < gate"


async def rests(running: RunningEngine, store: Store) -> bool:
    """Tell whether nobody is woken any more, though the store changes and is looked at again and again."""
    idle = running.engine._context.idle
    looks = 0
    look = store.look

    async def counting(*args: object) -> object:
        nonlocal looks
        looks += 1
        return await look(*args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "look", counting)
        before = idle.wakes
        await store.set_setting("workers", "3")
        await until(lambda: looks >= 3)
        return idle.wakes == before


async def test_an_engine_rests_while_a_queue_is_paused_and_begins_when_it_is_resumed(store: Store) -> None:
    await store.set_queue("default", {"paused": True})
    await store.enqueue([NewJob("true", id="a")])

    async with running_engine(store) as running:
        await running.all_wait()
        assert await rests(running, store)
        await store.set_queue("default", {"paused": False})
        await running.event(JobFinished, "a")


async def test_an_engine_rests_while_a_key_is_full_and_begins_when_there_is_room(store: Store, gate: Gate) -> None:
    await store.enqueue([NewJob(WAITS, id=job_id, concurrency_key="k") for job_id in "abc"])

    async with running_engine(store, workers=3) as running:
        await running.holds(1)
        await until(lambda: len(running.engine._context.idle._waiting) == 2)
        assert await rests(running, store)
        gate.open(3)
        for job_id in "abc":
            await running.event(JobFinished, job_id)

    assert [event.job.id for event in running.log.of(JobClaimed)] == ["a", "b", "c"]


async def test_an_engine_rests_while_a_queue_is_full_and_begins_when_there_is_room(store: Store, gate: Gate) -> None:
    await store.set_queue("default", {"concurrency": 1})
    await store.enqueue([NewJob(WAITS, id=job_id) for job_id in "ab"])

    async with running_engine(store, workers=2) as running:
        await running.holds(1)
        await until(lambda: len(running.engine._context.idle._waiting) == 1)
        assert await rests(running, store)
        gate.open(2)
        for job_id in "ab":
            await running.event(JobFinished, job_id)


async def test_a_token_that_comes_starts_a_job_though_nothing_else_happens(timed_store: Store, clock: Clock) -> None:
    await timed_store.set_queue("default", {"rate": 1.0})
    await timed_store.enqueue([NewJob("true", id="a"), NewJob("true", id="b")])

    async with running_engine(timed_store) as running:
        await running.event(JobFinished, "a")
        await running.all_wait()
        assert await rests(running, timed_store)
        clock.advance(SECOND)
        await running.event(JobFinished, "b")


async def test_a_rate_slows_an_engine_and_ends_nothing(store: Store) -> None:
    await store.set_queue("default", {"rate": 50.0})
    await store.enqueue([NewJob("true") for _ in range(60)])

    await run_until_idle(store, workers=4)

    [counts] = await store.counts()
    assert counts.jobs[JobState.COMPLETED] == 60
    jobs = [job.started_at for job in [job async for job in store.list_jobs(JobFilter())] if job.started_at]
    assert max(jobs) - min(jobs) >= timedelta(milliseconds=190)


async def test_until_idle_passes_over_what_is_paused_held_or_waits(timed_store: Store) -> None:
    await timed_store.set_queue("paused", {"paused": True})
    await timed_store.enqueue([NewJob("true", id="a", queue="paused"), NewJob("true", id="b"), NewJob("true", id="c")])
    await timed_store.enqueue([NewJob("true", id="d", run_at=START + SECOND)])
    await timed_store.apply(Action.HOLD, ["b"])

    await run_until_idle(timed_store)

    states = [(await timed_store.get(job_id)).state for job_id in "abcd"]
    assert states == [JobState.PENDING, JobState.BLOCKED, JobState.COMPLETED, JobState.PENDING]


async def test_a_limit_of_one_never_runs_two_though_engines_are_killed(
    any_store: Store, url: str, folder: Path
) -> None:
    ledger = folder / "ledger"
    command = "echo start $QUEUECTL_CLAIM >> ledger; sleep 0.02; echo end $QUEUECTL_CLAIM >> ledger"
    await any_store.enqueue([NewJob(command, concurrency_key="k") for _ in range(20)])
    await any_store.set_setting("max_crashes", "none")

    with engine_process(url, "--workers", "3"):
        for number in (4, 12, 20):
            with engine_process(url, "--workers", "3") as victim:
                await until(lambda number=number: len(lines_in(ledger)) >= number)  # type: ignore[misc]
                victim.send(signal.SIGKILL)
                await victim.exit_code()

        async def all_done() -> bool:
            [counts] = await any_store.counts()
            return counts.jobs[JobState.COMPLETED] == 20

        await until(all_done)

    lines = [line.split() for line in lines_in(ledger)]
    ends = [number for number, (word, _) in enumerate(lines) if word == "end"]
    assert len(ends) >= 20
    # Had two run at once, another's start would stand between a start and its end.
    assert all(lines[number - 1] == ["start", lines[number][1]] for number in ends)

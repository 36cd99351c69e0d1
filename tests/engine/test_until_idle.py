"""When an engine that runs until nothing is left to do comes to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.engine import EngineReport
from queuectl.events import DrainStarted, EngineStarted, JobFinished
from queuectl.job import JobState, NewJob
from queuectl.store.liveness import this_process
from tests.engine.engines import LONG, run_until_idle, running_engine
from tests.factories import SECOND, START, add, end, new_engine, take
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from queuectl.store.base import Store
    from tests.factories import Clock


def answers_of_is_idle(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Give a list that grows with each answer to the engine's question whether it is done."""
    answers: list[bool] = []
    is_idle = store.is_idle

    async def spy(queues: Sequence[str] | None) -> bool:
        answers.append(await is_idle(queues))
        return answers[-1]

    monkeypatch.setattr(store, "is_idle", spy)
    return answers


async def test_an_empty_store_ends_it_at_once(store: Store) -> None:
    report, log = await run_until_idle(store)

    assert report == EngineReport(report.engine_id, given_back=0, buried=0)
    assert log.of(EngineStarted)
    assert log.of(DrainStarted) == [DrainStarted("nothing is left to do", 0)]


async def test_jobs_that_it_buries_are_counted(store: Store) -> None:
    await store.enqueue([NewJob(f"exit {code}", max_retries=1) for code in (0, 1, 2)])

    report, _ = await run_until_idle(store)

    assert report.buried == 2


async def test_a_job_that_waits_for_its_retry_is_waited_for(
    timed_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = answers_of_is_idle(timed_store, monkeypatch)
    await timed_store.enqueue([NewJob("test $QUEUECTL_ATTEMPT = 2", id="a")])

    async with running_engine(timed_store, until_idle=True) as running:
        await running.event(JobFinished)
        answers.clear()
        await until(lambda: len(answers) >= 2)
        assert not running.is_over
        clock.advance(2 * SECOND)
        await running.report()

    assert (await timed_store.get("a")).state is JobState.COMPLETED


async def test_future_jobs_do_not_count(timed_store: Store) -> None:
    await timed_store.enqueue([NewJob("true", id="later", run_at=START + SECOND), NewJob("true", id="now")])

    await run_until_idle(timed_store)

    assert (await timed_store.get("later")).state is JobState.PENDING
    assert (await timed_store.get("now")).state is JobState.COMPLETED


async def test_a_job_that_another_engine_runs_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = answers_of_is_idle(store, monkeypatch)
    await store.register_engine(new_engine("other", process=this_process(), lease=LONG))
    await add(store, "a")
    job = await take(store, "other")

    async with running_engine(store, until_idle=True) as running:
        await until(lambda: len(answers) >= 2)
        assert not running.is_over
        await end(store, job)
        await running.report()

    assert not any(answers[:-1])

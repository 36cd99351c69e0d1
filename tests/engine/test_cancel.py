"""How the command of a job that is cancelled comes to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.events import DrainStarted, JobFinished
from queuectl.job import JobState, NewJob
from queuectl.outcome import Cancelled
from queuectl.transition import Action
from tests.engine.engines import lines_in, run_until_idle, running_engine, strays
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import Gate

WAITS = "echo $QUEUECTL_JOB_ID >> started; read line < gate"
STUBBORN = f"trap '' TERM; {WAITS}"


@pytest.mark.usefixtures("gate")
async def test_a_running_command_is_stopped(store: Store, folder: Path) -> None:
    await store.enqueue([NewJob(WAITS, id="a"), NewJob(WAITS, id="b")])

    async with running_engine(store, workers=2) as running:
        await running.holds(2)
        assert await store.apply(Action.CANCEL, ["a"]) == ["a"]
        finished = await running.event(JobFinished)
        assert (finished.job.id, finished.outcome, finished.state) == ("a", Cancelled(), JobState.CANCELLED)
        assert len(strays(folder)) == 1, "the other one goes on"

    job = await store.get("a")
    assert (job.state, job.error, job.attempts) == (JobState.CANCELLED, "cancelled", 0)
    [run] = await store.list_runs("a")
    assert run.outcome == "cancelled"


@pytest.mark.usefixtures("gate")
async def test_a_command_that_does_not_listen_is_killed(store: Store, folder: Path) -> None:
    await store.set_setting("kill_grace", "50ms")
    await store.enqueue([NewJob(STUBBORN, id="a")])

    async with running_engine(store, workers=1) as running:
        await until(lambda: lines_in(folder / "started") == ["a"])
        await running.holds(1)
        await store.apply(Action.CANCEL, ["a"])
        await running.event(JobFinished)

    assert (await store.get("a")).state is JobState.CANCELLED
    assert strays(folder) == []


@pytest.mark.usefixtures("gate")
async def test_a_draining_engine_still_hears_of_it(store: Store) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])

    async with running_engine(store, workers=2) as running:
        await running.holds(1)
        running.engine.drain("enough")
        await running.event(DrainStarted)
        await store.apply(Action.CANCEL, ["a"])
        report = await running.report()

    assert report.given_back == 0
    assert (await store.get("a")).state is JobState.CANCELLED


async def test_jobs_that_do_not_run_are_never_started(store: Store, folder: Path) -> None:
    await store.enqueue([NewJob(WAITS, id="a"), NewJob(WAITS, id="b"), NewJob("true", id="c")])
    await store.apply(Action.CANCEL, ["a"])
    await store.apply(Action.HOLD, ["b"])

    report, _ = await run_until_idle(store)

    assert report.buried == 0
    assert lines_in(folder / "started") == []
    assert (await store.get("c")).state is JobState.COMPLETED


async def test_a_job_whose_engine_is_stopped_meanwhile_is_cancelled_and_not_given_back(
    store: Store, folder: Path, gate: Gate
) -> None:
    await store.enqueue([NewJob(STUBBORN, id="a")])

    async with running_engine(store, workers=1) as running:
        await until(lambda: lines_in(folder / "started") == ["a"])
        await running.holds(1)
        running.engine.stop("out of patience")
        await store.apply(Action.CANCEL, ["a"])
        gate.open()
        await running.report()

    assert (await store.get("a")).state is JobState.CANCELLED

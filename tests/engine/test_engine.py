"""What an engine does with jobs that it can run in peace."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import queuectl
from queuectl.events import EngineStarted, EngineStopped, JobClaimed, JobFinished, SettingsRefused
from queuectl.job import JobState, NewJob
from queuectl.outcome import Exited, TimedOut
from queuectl.output import RunOutput
from tests.engine.commands import open_descriptors
from tests.engine.engines import lines_in, run_until_idle, running_engine
from tests.factories import SECOND, START
from tests.waiting import until

if TYPE_CHECKING:
    from queuectl.store.base import Store
    from tests.engine.engines import Gate
    from tests.factories import Clock


async def test_a_job_is_run_and_recorded(store: Store) -> None:
    await store.enqueue([NewJob("echo out; echo err >&2", id="a")])

    report, log = await run_until_idle(store)

    job = await store.get("a")
    assert (job.state, job.attempts, job.runs, job.exit_code, job.error) == (JobState.COMPLETED, 1, 1, 0, None)
    assert job.engine_id == report.engine_id
    (run,) = await store.list_runs("a")
    assert (run.run, run.attempt, run.outcome, run.exit_code) == (1, 1, "exited", 0)
    assert run.engine_id == report.engine_id
    assert run.duration is not None
    assert run.duration > timedelta(0)
    assert await store.read_output("a", 1) == RunOutput(b"out\n", b"err\n")
    assert [type(event) for event in log.events if isinstance(event, (EngineStarted, JobClaimed, JobFinished))] == [
        EngineStarted,
        JobClaimed,
        JobFinished,
    ]
    assert log.events[-1] == EngineStopped(report.engine_id, 0)


async def test_an_engine_leaves_no_row_behind(store: Store) -> None:
    async with running_engine(store) as running:
        await running.event(EngineStarted)
        assert [engine.id for engine in await store.engines()] == [running.id]
    assert await store.engines() == []


async def test_a_command_knows_which_execution_it_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUECTL_HTTP_TOKEN", "secret")
    monkeypatch.setenv("INHERITED", "yes")
    await store.enqueue([NewJob("env", id="a", queue="mail", env={"OWN": "1"}, max_retries=7)])

    report, _ = await run_until_idle(store, workers=1)

    text = (await store.read_output("a", 1)).stdout.decode()
    seen = dict(line.partition("=")[::2] for line in text.splitlines())
    job = await store.get("a")
    assert {name: value for name, value in seen.items() if name.startswith("QUEUECTL_")} == {
        "QUEUECTL_JOB_ID": "a",
        "QUEUECTL_RUN": "1",
        "QUEUECTL_ATTEMPT": "1",
        "QUEUECTL_MAX_RETRIES": "7",
        "QUEUECTL_QUEUE": "mail",
        "QUEUECTL_WORKER": "0",
        "QUEUECTL_ENGINE_ID": report.engine_id,
        "QUEUECTL_CLAIM": str(job.claim_token),
    }
    assert (seen["OWN"], seen["INHERITED"]) == ("1", "yes")


async def test_as_many_jobs_run_at_once_as_there_are_workers(store: Store, folder: Path, gate: Gate) -> None:
    command = "echo $QUEUECTL_WORKER >> arrived; read line < gate"
    await store.enqueue([NewJob(command) for _ in range(6)])

    async with running_engine(store, workers=4, until_idle=True) as running:
        await until(lambda: len(lines_in(folder / "arrived")) == 4)
        assert sorted(lines_in(folder / "arrived")) == ["0", "1", "2", "3"]
        (counts,) = await store.counts()
        assert (counts.jobs[JobState.PROCESSING], counts.jobs[JobState.PENDING]) == (4, 2)
        gate.open(6)
        await running.report()

    (counts,) = await store.counts()
    assert counts.jobs[JobState.COMPLETED] == 6


async def test_failures_are_retried_after_a_growing_delay_until_the_job_is_dead(
    timed_store: Store, clock: Clock
) -> None:
    await timed_store.enqueue([NewJob("exit $QUEUECTL_RUN", id="a")])

    async with running_engine(timed_store, until_idle=True) as running:
        await running.event(JobFinished, count=1)
        job = await timed_store.get("a")
        assert (job.state, job.attempts, job.run_at) == (JobState.FAILED, 1, START + 2 * SECOND)

        clock.advance(2 * SECOND)
        await running.event(JobFinished, count=2)
        job = await timed_store.get("a")
        assert (job.state, job.attempts, job.run_at) == (JobState.FAILED, 2, START + 6 * SECOND)

        clock.advance(4 * SECOND)
        report = await running.report()

    job = await timed_store.get("a")
    assert (job.state, job.attempts, job.exit_code, job.error) == (JobState.DEAD, 3, 3, "exit code 3")
    assert report.buried == 1
    runs = await timed_store.list_runs("a")
    assert [(run.attempt, run.exit_code) for run in runs] == [(1, 1), (2, 2), (3, 3)]


async def test_a_job_that_succeeds_at_last_is_completed(store: Store) -> None:
    await store.enqueue([NewJob("test $QUEUECTL_ATTEMPT = 2", id="a", backoff_base=1)])

    report, _ = await run_until_idle(store)

    job = await store.get("a")
    assert (job.state, job.attempts, job.error) == (JobState.COMPLETED, 2, None)
    assert report.buried == 0


@pytest.mark.parametrize(
    ("command", "outcome", "exit_code", "error"),
    [
        ("exit 3", "exited", 3, "exit code 3"),
        ("kill -9 $$", "signalled", None, "killed by signal 9"),
        ("sleep 3600", "timed_out", None, "timed out after 100ms"),
        (("no-such-program",), "spawn_failed", 127, "could not start: the program no-such-program does not exist"),
    ],
)
async def test_every_kind_of_failure_is_retried(
    timed_store: Store, command: str | tuple[str, ...], outcome: str, exit_code: int | None, error: str
) -> None:
    # The failure at hand is to have all the time it needs; only what never ends runs into the limit.
    timeout = timedelta(milliseconds=100) if outcome == "timed_out" else None
    await timed_store.enqueue([NewJob(command, id="a", timeout=timeout, max_retries=2)])

    async with running_engine(timed_store) as running:
        finished = await running.event(JobFinished)

    assert finished.state is JobState.FAILED
    (run,) = await timed_store.list_runs("a")
    assert (run.outcome, run.error) == (outcome, error)
    job = await timed_store.get("a")
    assert (job.state, job.attempts, job.exit_code) == (JobState.FAILED, 1, exit_code)


async def test_exit_codes_that_are_not_worth_a_retry_are_final(store: Store) -> None:
    await store.enqueue(
        [
            NewJob("exit 3", id="listed", no_retry_on=frozenset({3})),
            NewJob("exit 3", id="unlisted", retry_on=frozenset({4})),
        ]
    )

    report, _ = await run_until_idle(store)

    for job in [await store.get("listed"), await store.get("unlisted")]:
        assert (job.state, job.attempts, job.exit_code) == (JobState.DEAD, 1, 3)
    assert report.buried == 2


async def test_higher_priorities_go_first_then_older_jobs(store: Store, folder: Path) -> None:
    command = "echo $QUEUECTL_JOB_ID >> order"
    jobs = {"low": -1, "first": 0, "second": 0, "high": 5}
    await store.enqueue([NewJob(command, id=job_id, priority=priority) for job_id, priority in jobs.items()])

    await run_until_idle(store, workers=1)

    assert lines_in(folder / "order") == ["high", "first", "second", "low"]


async def test_only_the_queues_that_it_serves_concern_an_engine(store: Store) -> None:
    await store.enqueue([NewJob("true", id="mine", queue="mail"), NewJob("true", id="other")])

    await run_until_idle(store, queues=("mail",))

    assert (await store.get("mine")).state is JobState.COMPLETED
    assert (await store.get("other")).state is JobState.PENDING


async def test_a_future_job_starts_when_it_is_due(timed_store: Store, clock: Clock) -> None:
    await timed_store.enqueue([NewJob("true", id="a", run_at=START + 60 * SECOND)])

    async with running_engine(timed_store) as running:
        await running.all_wait()
        assert (await timed_store.get("a")).state is JobState.PENDING
        clock.advance(60 * SECOND)
        await running.event(JobFinished)


async def test_a_future_job_of_a_queue_that_nobody_serves_costs_nothing_when_it_is_due(
    timed_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    wait_for_change = timed_store.wait_for_change

    async def spy(at_most: float) -> None:
        waits.append(at_most)
        await wait_for_change(at_most)

    monkeypatch.setattr(timed_store, "wait_for_change", spy)
    await timed_store.enqueue([NewJob("true", queue="other", run_at=START + SECOND)])

    async with running_engine(timed_store, queues=("mine",)) as running:
        await running.all_wait()
        clock.advance(2 * SECOND)
        waits.clear()
        await until(lambda: len(waits) >= 3)

    assert waits[1:] == [0.5] * (len(waits) - 1)


async def test_another_process_that_enqueues_wakes_an_idle_engine(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(queuectl.__file__).parents[1]))

    async with running_engine(store) as running:
        await running.all_wait()
        enqueue = [sys.executable, "-m", "queuectl", "--db", str(path), "enqueue", '{"id": "a", "command": "true"}']
        await asyncio.to_thread(subprocess.run, enqueue, check=True, capture_output=True)
        await running.event(JobFinished, job="a")


async def test_settings_are_followed_while_the_engine_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuectl.engine.live_settings._FRESH", 0.0)

    async with running_engine(store) as running:
        await store.enqueue([NewJob("exit 1", id="before")])
        assert (await running.event(JobFinished, job="before")).state is JobState.FAILED

        await store.set_setting("max_retries", "1")
        await store.set_setting("max_output", "4")
        await store.set_setting("timeout", "100ms")
        await store.enqueue([NewJob("sleep 3600", id="after")])
        finished = await running.event(JobFinished, job="after")
        assert (finished.state, finished.outcome) == (JobState.DEAD, TimedOut(timedelta(milliseconds=100)))

        await store.unset_setting("timeout")
        await store.enqueue([NewJob("printf abcdef", id="cut")])
        await running.event(JobFinished, job="cut")

    assert (await store.read_output("cut", 1)).stdout == b"ab\n[queuectl: 2 bytes cut here]\nef"


async def test_a_stored_setting_that_cannot_be_used_leaves_the_earlier_ones(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuectl.engine.live_settings._FRESH", 0.0)
    await store.set_setting("max_retries", "1")

    async with running_engine(store) as running:
        await store.enqueue([NewJob("exit 1", id="before")])
        await running.event(JobFinished, job="before")
        await store.set_setting("timeout", "soon")
        await store.enqueue([NewJob("exit 1", id="after")])

        assert (await running.event(JobFinished, job="after")).state is JobState.DEAD
        assert "timeout" in (await running.event(SettingsRefused)).reason
        assert len(running.log.of(SettingsRefused)) == 1


async def test_the_environment_of_the_engine_goes_before_the_stored_settings(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUECTL_MAX_RETRIES", "1")
    await store.set_setting("max_retries", "9")
    await store.enqueue([NewJob("exit 1", id="a")])

    await run_until_idle(store)

    assert (await store.get("a")).state is JobState.DEAD


async def test_jobs_leave_no_descriptors_behind(store: Store) -> None:
    jobs = [NewJob("echo out; exit 1", max_retries=1, stdin="text") for _ in range(300)]
    async with running_engine(store, workers=4) as running:
        # By then the store has opened what it keeps, its log having been moved into the file.
        await store.enqueue(jobs)
        await running.event(JobFinished, count=300)
        await running.all_wait()
        before = open_descriptors()
        await store.enqueue(jobs)
        await running.event(JobFinished, count=600)
        await running.all_wait()

        assert open_descriptors() == before
        assert running.log.of(JobFinished)[-1].outcome == Exited(1)

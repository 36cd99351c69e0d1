"""How an engine comes to its end: by a drain, by a stop, by signals."""

from __future__ import annotations

import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.engine import Engine
from queuectl.events import DrainStarted, EngineStarted, JobClaimed, StopForced
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from tests.engine.commands import linux_only
from tests.engine.engines import engine_process, lines_in, running_engine, strays
from tests.waiting import until

if TYPE_CHECKING:
    from queuectl.events import Event
    from queuectl.store.base import Store
    from tests.engine.engines import Gate

WAITS = "echo $QUEUECTL_RUN >> started; read line < gate"
STUBBORN = f"trap '' TERM; {WAITS}"


async def assert_given_back(store: Store, job_id: str) -> None:
    """Show that a job is as good as new, but for the run that was cut short."""
    job = await store.get(job_id)
    assert (job.state, job.attempts, job.crashes, job.runs) == (JobState.PENDING, 0, 0, 1)
    (run,) = await store.list_runs(job_id)
    assert (run.outcome, run.exit_code) == ("interrupted", None)


async def test_a_drain_lets_what_runs_end_and_starts_nothing_more(store: Store, gate: Gate) -> None:
    await store.enqueue([NewJob(WAITS, id="running"), NewJob("true", id="next")])

    async with running_engine(store, workers=1) as running:
        await running.holds(1)
        running.engine.drain("enough")
        assert await running.event(DrainStarted) == DrainStarted("enough", 1)
        gate.open()
        report = await running.report()

    assert (await store.get("running")).state is JobState.COMPLETED
    assert (await store.get("next")).state is JobState.PENDING
    assert (report.given_back, report.buried) == (0, 0)
    assert not running.log.of(StopForced)


@pytest.mark.usefixtures("gate")
async def test_a_stop_gives_back_what_runs(store: Store, folder: Path) -> None:
    await store.enqueue([NewJob(WAITS, id="a"), NewJob(WAITS, id="b")])

    async with running_engine(store, workers=2) as running:
        await running.holds(2)
        running.engine.stop("out of patience")
        report = await running.report()

    assert report.given_back == 2
    assert running.log.of(StopForced) == [StopForced("out of patience", 2)]
    for job_id in ("a", "b"):
        await assert_given_back(store, job_id)
    assert (await store.get("a")).error == "out of patience"
    assert strays(folder) == []


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("bound", [timedelta(0), timedelta(milliseconds=50)])
async def test_a_drain_that_takes_too_long_becomes_a_stop(store: Store, folder: Path, bound: timedelta) -> None:
    await store.enqueue([NewJob(STUBBORN, id="a")])
    settings = Settings(kill_grace=timedelta(milliseconds=50))
    await store.set_setting("kill_grace", "50ms")

    async with running_engine(store, settings=settings, drain_timeout=bound) as running:
        await until(lambda: lines_in(folder / "started") == ["1"])
        await running.holds(1)
        running.engine.drain("enough")
        report = await running.report()

    assert report.given_back == 1
    (forced,) = running.log.of(StopForced)
    assert forced.reason.startswith("running jobs did not end within ")
    await assert_given_back(store, "a")
    assert strays(folder) == []


@pytest.mark.parametrize("end", ["drain", "stop"])
async def test_an_engine_that_is_told_to_end_before_it_begins_runs_nothing(store: Store, end: str) -> None:
    await store.enqueue([NewJob("true", id="a")])
    engine = Engine(store, settings=Settings(), workers=2)

    getattr(engine, end)("changed my mind")
    report = await engine.run()

    assert report.given_back == 0
    job = await store.get("a")
    assert (job.state, job.runs) == (JobState.PENDING, 0)
    assert await store.engines() == []


@pytest.mark.parametrize("moment", [EngineStarted, JobClaimed])
@pytest.mark.parametrize("end", ["drain", "stop"])
async def test_the_end_may_come_at_any_moment(store: Store, moment: type[Event], end: str) -> None:
    await store.enqueue([NewJob("true") for _ in range(4)])

    def listen(event: Event) -> None:
        if isinstance(event, moment):
            getattr(engine, end)("now")

    engine = Engine(store, settings=Settings(), workers=2, listeners=[listen])
    report = await engine.run()

    (counts,) = await store.counts()
    assert counts.jobs[JobState.COMPLETED] + counts.jobs[JobState.PENDING] == 4
    assert counts.jobs[JobState.PENDING] >= 2
    assert end == "stop" or report.given_back == 0


async def test_an_engine_drains_when_another_process_asks_for_it(store: Store) -> None:
    async with running_engine(store) as running:
        await running.event(EngineStarted)
        await store.request_stop([running.id])
        await running.report()

    assert running.log.of(DrainStarted) == [DrainStarted("asked to stop", 0)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_the_first_signal_drains(
    store: Store, path: Path, folder: Path, gate: Gate, number: signal.Signals
) -> None:
    await store.enqueue([NewJob(WAITS, id="running"), NewJob("true", id="next")])

    with engine_process(path, "--workers", "1") as engine:
        await until(lambda: lines_in(folder / "started") == ["1"])
        engine.send(number)
        await engine.event("draining: no new jobs, waiting for those that run")
        gate.open()
        assert await engine.exit_code() == 0

    assert (await store.get("running")).state is JobState.COMPLETED
    assert (await store.get("next")).state is JobState.PENDING


@pytest.mark.usefixtures("gate")
async def test_the_second_signal_stops_what_runs_even_if_it_resists(store: Store, path: Path, folder: Path) -> None:
    await store.set_setting("kill_grace", "100ms")
    await store.enqueue([NewJob(f"{STUBBORN} & {STUBBORN}", id="a")])

    with engine_process(path) as engine:
        await until(lambda: len(lines_in(folder / "started")) == 2)
        engine.send(signal.SIGTERM)
        await engine.event("draining: no new jobs, waiting for those that run")
        engine.send(signal.SIGINT)
        assert await engine.exit_code() == 1

    await assert_given_back(store, "a")
    assert strays(folder) == []


async def test_the_third_signal_ends_the_process_and_the_next_engine_cleans_up(
    store: Store, path: Path, folder: Path, gate: Gate
) -> None:
    await store.set_setting("kill_grace", "1h")
    await store.enqueue([NewJob(STUBBORN, id="a")])

    with engine_process(path) as engine:
        await until(lambda: lines_in(folder / "started") == ["1"])
        engine.send(signal.SIGTERM)
        await engine.event("draining: no new jobs, waiting for those that run")
        engine.send(signal.SIGTERM)
        await engine.event("stopping the jobs that still run")
        engine.send(signal.SIGTERM)
        assert await engine.exit_code() == -signal.SIGTERM
    assert (await store.get("a")).state is JobState.PROCESSING

    with engine_process(path, "--until-idle") as engine:
        await engine.event("job of a dead engine rescued", job="a", killed=1)
        await until(lambda: lines_in(folder / "started") == ["1", "2"])
        gate.open()
        assert await engine.exit_code() == 0
    assert strays(folder) == []


@linux_only
async def test_a_signal_while_the_engine_starts_drains_it(store: Store, path: Path) -> None:
    await store.enqueue([NewJob("true", id="a")])

    with engine_process(path) as engine:
        # From the moment on at which it has a handler, before it says anything.
        await until(lambda: catches(engine.pid, signal.SIGTERM))
        engine.send(signal.SIGTERM)
        assert await engine.exit_code() == 0

    assert (await store.get("a")).state in {JobState.PENDING, JobState.COMPLETED}
    assert await store.engines() == []


@linux_only
async def test_nohup_keeps_an_engine_from_hearing_that_its_terminal_is_closed(path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with engine_process(path) as engine:
            await engine.event("engine started")
            assert catches(engine.pid, signal.SIGTERM)
            assert not catches(engine.pid, signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def catches(pid: int, number: signal.Signals) -> bool:
    caught = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


async def test_a_storm_of_signals_loses_nothing(store: Store, path: Path, folder: Path) -> None:
    await store.enqueue([NewJob("echo $QUEUECTL_JOB_ID >> ended", id=f"job{n}") for n in range(40)])

    with engine_process(path, "--workers", "4") as engine:
        await until(lambda: len(lines_in(folder / "ended")) >= 4)
        for _ in range(50):
            engine.send(signal.SIGTERM)
        assert await engine.exit_code() in {0, 1, -signal.SIGTERM}

    with engine_process(path, "--until-idle") as engine:
        assert await engine.exit_code() == 0
    (counts,) = await store.counts()
    assert counts.jobs[JobState.COMPLETED] == 40
    assert set(lines_in(folder / "ended")) == {f"job{n}" for n in range(40)}
    assert strays(folder) == []

"""What guards the commands of an engine that can be cut off: they end when it is killed, or is silent for too long."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from queuectl.engine.guardian import Guardian
from queuectl.engine.process_group import is_over
from queuectl.events import GuardianLost, JobFinished
from queuectl.failpoints import VARIABLE, Failpoint
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from tests.engine.commands import lives
from tests.engine.engines import LONG, engine_process, lines_in, patient_store, running_engine
from tests.engine.limits import many_descriptors_taken
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import EngineProcess, EventLog

AWAY = """import os; os.setsid(); os.execlp("sh", "sh", "-c", "echo $$ >> started; sleep 3600")"""
HANGS_ONCE = "echo $$ >> started; test $QUEUECTL_RUN -gt 1 || sleep 3600"


@pytest.fixture
def url(new_postgres_url: Callable[[], str]) -> str:
    """Where `store` is."""
    return new_postgres_url()


@pytest.fixture
async def store(url: str, log: EventLog, folder: Path) -> AsyncIterator[Store]:  # noqa: ARG001 - where commands run
    """A store that one engine alone can be cut off from."""
    async with patient_store(url, log) as opened:
        yield opened


def guardians_of(pid: int) -> list[psutil.Process]:
    return [
        child for child in psutil.Process(pid).children() if any("guardian_main" in word for word in child.cmdline())
    ]


async def pids(folder: Path, count: int = 1) -> list[int]:
    """Wait for so many processes to have written their ids, and give those."""
    await until(lambda: len(lines_in(folder / "started")) >= count)
    return [int(line) for line in lines_in(folder / "started")]


async def killed(engine: EngineProcess) -> None:
    engine.send(signal.SIGKILL)
    await engine.exit_code()


@pytest.mark.parametrize(
    "line",
    [
        HANGS_ONCE,
        # It has left its environment, or its group.
        "echo $$ >> started; exec env -i sleep 3600",
        f"{sys.executable} -c '{AWAY}' & sleep 3600",
    ],
)
async def test_what_an_engine_ran_dies_with_it(store: Store, url: str, folder: Path, line: str) -> None:
    await store.enqueue([NewJob(line, id="a")])

    with engine_process(url, "--workers", "1") as engine:
        [pid] = await pids(folder)
        [guardian] = guardians_of(engine.pid)
        await killed(engine)
        await until(lambda: not lives(pid))
        await until(lambda: not guardian.is_running())

    assert (await store.get("a")).state is JobState.PROCESSING


async def test_a_command_that_nobody_could_be_told_of_dies_too(store: Store, url: str, folder: Path) -> None:
    await store.enqueue([NewJob(HANGS_ONCE, id="a")])

    with engine_process(url, "--workers", "1", environ={VARIABLE: f"{Failpoint.COMMAND_SPAWNED}=kill"}) as engine:
        await engine.exit_code()
        assert engine.words.endswith("kill\n")

    await until(lambda: not [process for process in psutil.process_iter() if _runs_in(process, folder)])


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder) and process.environ().get("QUEUECTL_JOB_ID") == "a"
    except psutil.Error:
        return False


async def test_what_a_job_left_behind_on_purpose_is_let_be(store: Store, url: str, folder: Path) -> None:
    await store.enqueue([NewJob("sleep 3600 & echo $! >> started", id="a"), NewJob(HANGS_ONCE, id="b")])

    with engine_process(url, "--workers", "1") as engine:
        daemon, hanging = await pids(folder, 2)
        await killed(engine)
        await until(lambda: not lives(hanging))

    assert lives(daemon)


async def test_an_engine_that_is_suspended_loses_its_commands_in_time_and_no_attempt(
    store: Store, url: str, folder: Path
) -> None:
    await store.set_setting("lease", "1s")
    await store.enqueue([NewJob(HANGS_ONCE, id="a", max_retries=1)])

    with engine_process(url, "--workers", "1") as engine:
        # A busy machine may have it cut itself off before.
        pid, *_ = await pids(folder)
        engine.send(signal.SIGSTOP)
        # Nobody else is there who could have done it.
        await until(lambda: not lives(pid))
        assert psutil.Process(engine.pid).status() == psutil.STATUS_STOPPED
        engine.send(signal.SIGCONT)
        await engine.event("job completed", job="a")
        engine.send(signal.SIGTERM)
        assert await engine.exit_code() == 0

    job = await store.get("a")
    assert (job.attempts, job.crashes) == (1, 0)


async def test_one_that_dies_is_replaced_and_the_next_guards_what_runs_already(
    store: Store, url: str, folder: Path
) -> None:
    await store.enqueue([NewJob(HANGS_ONCE, id="a")])

    with engine_process(url, "--workers", "1") as engine:
        [pid] = await pids(folder)
        [guardian] = guardians_of(engine.pid)
        guardian.send_signal(signal.SIGINT)
        guardian.terminate()
        guardian.kill()
        await engine.event("nobody guards the running jobs; starting another guardian", reason="it died")
        # Its process may be there before it was told anything.
        await engine.event("a guardian watches over the running jobs again")
        await killed(engine)
        await until(lambda: not lives(pid))


async def test_it_is_deaf_to_what_asks_an_engine_to_end_and_ends_with_it(store: Store, url: str) -> None:
    with engine_process(url, "--workers", "1") as engine:
        await engine.event("engine started")
        [guardian] = guardians_of(engine.pid)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            guardian.send_signal(number)
        engine.send(signal.SIGTERM)
        assert await engine.exit_code() == 0
        assert not engine.lines("nobody guards the running jobs; starting another guardian")
        assert not guardian.is_running()

    assert await store.engines() == []


async def test_where_none_can_be_started_the_engine_says_so_and_works(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    await store.enqueue([NewJob("true", id="a")])

    async with running_engine(store, settings=Settings(lease=LONG)) as running:
        assert "/nowhere/python" in (await running.event(GuardianLost)).reason
        await running.event(JobFinished)


async def test_one_that_does_not_listen_any_more_is_replaced_however_many_descriptors_are_open(log: EventLog) -> None:
    guardian = Guardian(LONG, log)

    with many_descriptors_taken():
        async with anyio.create_task_group() as tasks:
            await tasks.start(guardian.run)
            [process] = guardians_of(os.getpid())
            process.suspend()
            while not is_over(process):
                # Until the pipe is full, and one second longer.
                guardian.confirmed(0)
            await until(lambda: log.of(GuardianLost) == [GuardianLost("it died")])
            tasks.cancel_scope.cancel()

    assert not process.is_running()

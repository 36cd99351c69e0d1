"""The machine has nothing left for a command, or for the engine: no process, no descriptor, no memory."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING

from queuectl.events import JobFinished, NoProcessLeft
from queuectl.job import JobState, NewJob
from tests.engine.commands import MIB, linux_only
from tests.engine.engines import engine_process, lines_in, patient_store, run_until_idle, running_engine, strays
from tests.engine.limits import no_descriptors_left, no_processes_left
from tests.engine.test_engine_output import peak_memory
from tests.factories import all_jobs
from tests.faults.privileges import public_folder, without_privileges
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import EventLog, Gate


async def test_a_job_that_finds_no_process_left_is_given_back_until_there_are_some(log: EventLog) -> None:
    with public_folder() as folder:
        async with patient_store(folder / "queuectl.db", log) as store:
            async with running_engine(store, workers=1, log=log) as running:
                await store.enqueue([NewJob("true", cwd="/")])
                await running.event(JobFinished)
                await running.all_wait()
                with without_privileges(), no_processes_left():
                    await store.enqueue([NewJob("true", id="a", max_retries=1, cwd="/")])
                    await running.event(NoProcessLeft, count=3)
                await until(lambda: completed(log) == 2)
            job = await store.get("a")

    failures = log.of(NoProcessLeft)
    assert "Resource temporarily unavailable" in failures[0].reason
    assert all(later.pause == 2 * earlier.pause for earlier, later in pairwise(failures[:3]))
    assert (job.attempts, job.crashes, job.runs) == (1, 0, len(failures) + 1)


async def test_more_workers_than_descriptors_cost_no_job_an_attempt(store: Store) -> None:
    async with running_engine(store, workers=24) as running:
        await store.enqueue([NewJob("true")])
        await running.event(JobFinished)
        await running.all_wait()
        with no_descriptors_left(but=16):
            await store.enqueue([NewJob("sleep 0.1", id=f"job{number}", max_retries=1) for number in range(48)])
            await running.event(NoProcessLeft)
            await until(lambda: completed(running.log) == 49)

    assert {(job.state, job.attempts, job.crashes) for job in await all_jobs(store)} == {(JobState.COMPLETED, 1, 0)}


def completed(log: EventLog) -> int:
    return sum(event.state is JobState.COMPLETED for event in log.of(JobFinished))


async def test_a_command_without_memory_is_a_failure_that_says_so(store: Store) -> None:
    starved = f"ulimit -v 300000; exec {sys.executable} -c 'bytearray(1 << 30)'"
    # This is how the kernel ends one when the whole machine has none left.
    killed = "kill -KILL $$"
    await store.enqueue([NewJob(line, id=job, max_retries=1) for job, line in {"a": starved, "b": killed}.items()])

    report, _ = await run_until_idle(store)

    assert report.buried == 2
    assert (await store.get("a")).error == "exit code 1"
    assert b"MemoryError" in (await store.read_output("a", 1)).stderr
    assert (await store.get("b")).error == "killed by signal 9"


DAEMON = """
import os, pathlib, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
pathlib.Path("daemon").write_text(f"{os.getpid()}\\n")
time.sleep(3600)
"""


async def test_a_command_that_becomes_a_daemon_is_over_and_the_daemon_is_let_be(store: Store, folder: Path) -> None:
    (folder / "daemon.py").write_text(DAEMON)
    line = f"{sys.executable} daemon.py; until test -s daemon; do sleep 0.01; done"
    await store.enqueue([NewJob(line, id="a")])

    report, _ = await run_until_idle(store)

    assert report.given_back == 0
    assert (await store.get("a")).state is JobState.COMPLETED
    assert [process.pid for process in strays(folder)] == [int(*lines_in(folder / "daemon"))]


@linux_only
async def test_the_memory_of_an_engine_is_bounded_however_many_commands_flood_it(
    store: Store, path: Path, folder: Path, gate: Gate
) -> None:
    await store.set_setting("max_output", "32KiB")
    line = "head -c 2000000 /dev/zero; echo >> drained; read line < gate"
    await store.enqueue([NewJob(line, id=f"job{number}") for number in range(256)])

    with engine_process(path, "--workers", "256", "--until-idle") as engine:
        await until(lambda: len(lines_in(folder / "drained")) == 256)
        peak = peak_memory(engine.pid)
        gate.open(256)
        assert await engine.exit_code() == 0

    # Kept whole they would be 500 MiB.
    assert peak < 200 * MIB
    assert {job.state for job in await all_jobs(store)} == {JobState.COMPLETED}
    assert 32_768 < len((await store.read_output("job255", 1)).stdout) < 40_000

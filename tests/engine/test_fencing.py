"""What an engine does when others have taken it for dead, and it is not."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from typing import TYPE_CHECKING

from queuectl.events import EngineFenced, EngineStarted, JobClaimed, JobFinished, JobRescued, LeaseLost
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from tests.engine.commands import lives
from tests.engine.engines import engine_process, lines_in, running_engine
from tests.factories import SECOND, add, record_of
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from queuectl.engine.command_spec import CommandSpec
    from queuectl.job import Job
    from queuectl.store.base import Store
    from tests.engine.engines import Gate, RunningEngine

WAITS = "echo $$ >> started; read line < gate"


async def fence(store: Store, engine_id: str) -> None:
    """Take an engine for dead; it may beat at that very moment."""

    async def is_off() -> bool:
        return await store.fence(await record_of(store, engine_id))

    await until(is_off)


async def beats(store: Store, running: RunningEngine, number: int) -> None:
    """Wait until the engine has beaten so often under the id that it has now."""

    async def enough() -> bool:
        return any(engine.id == running.id and engine.beats >= number for engine in await store.engines())

    await until(enough)


async def test_an_engine_that_was_suspended_starts_anew_and_its_late_end_is_refused(
    store: Store, path: Path, folder: Path, gate: Gate
) -> None:
    await store.set_setting("lease", "1s")
    await store.enqueue([NewJob(WAITS, id="a")])

    with engine_process(path, "--workers", "1") as sleeper:
        await until(lambda: len(lines_in(folder / "started")) == 1)
        sleeper.send(signal.SIGSTOP)

        # One beat of this one takes as long as the lease of the other.
        async with running_engine(store, settings=Settings(lease=6 * SECOND)) as running:
            rescued = await running.event(JobRescued)
            assert (rescued.reason, rescued.killed) == ("its engine fell silent", 1)
            await until(lambda: len(lines_in(folder / "started")) == 2)
            assert not lives(int(lines_in(folder / "started")[0]))
            gate.open()
            await running.event(JobFinished)
            successor = running.id
        ended = await store.get("a")

        sleeper.send(signal.SIGCONT)
        await sleeper.event("taken for dead by others; starting anew", engine=rescued.job.engine_id)
        await sleeper.event("job lost to another engine; its end is not recorded here", job="a")
        await add(store, "b")
        await sleeper.event("job completed", job="b")
        sleeper.send(signal.SIGTERM)
        assert await sleeper.exit_code() == 0

    assert await store.get("a") == ended
    assert (ended.state, ended.attempts, ended.crashes) == (JobState.COMPLETED, 1, 0)
    runs = await store.list_runs("a")
    assert [(run.engine_id, run.outcome) for run in runs] == [
        (rescued.job.engine_id, "engine_died"),
        (successor, "exited"),
    ]
    assert (await store.get("b")).engine_id not in {rescued.job.engine_id, successor}


async def test_an_engine_that_was_fenced_kills_its_commands_and_begins_anew(
    store: Store, folder: Path, gate: Gate
) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])

    async with running_engine(store, settings=Settings(lease=SECOND)) as running:
        await running.holds(1)
        await until(lambda: len(lines_in(folder / "started")) == 1)
        first = running.id
        await fence(store, first)

        assert await running.event(EngineFenced) == EngineFenced(first)
        assert (await running.event(LeaseLost)).claim.engine_id == first
        assert not lives(int(lines_in(folder / "started")[0]))
        # It finds the job that it has lost itself, as any other engine would.
        await running.event(JobRescued)
        gate.open()
        finished = await running.event(JobFinished)

    assert finished.job.engine_id == running.id != first
    assert (await store.get("a")).attempts == 1


async def test_an_engine_begins_anew_only_once_though_a_worker_finds_out_before_the_heartbeat(
    store: Store, gate: Gate
) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])

    async with running_engine(store, settings=Settings(lease=6 * SECOND), workers=1) as running:
        await running.holds(1)
        await beats(store, running, 1)
        await fence(store, running.id)
        gate.open()
        # The beat that would notice it comes a second later.
        await running.event(EngineFenced)
        await beats(store, running, 2)

    assert len(running.log.of(EngineFenced)) == 1
    assert len(running.log.of(LeaseLost)) == 1


async def test_a_command_that_is_about_to_start_when_its_engine_is_fenced_is_killed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from queuectl.engine.command import start  # noqa: PLC0415 - before it is replaced

    starting, go_on = asyncio.Event(), asyncio.Event()

    async def slow_start(spec: CommandSpec) -> object:
        starting.set()
        await go_on.wait()
        return await start(spec)

    monkeypatch.setattr("queuectl.engine.worker.start", slow_start)
    # The next report, and the hunt for what fenced engines left, would get it in the end: here they do nothing.
    monkeypatch.setattr("queuectl.engine.services.reporter._EVERY", 3600.0)
    monkeypatch.setattr("queuectl.engine.services.rescuer.kill_leftovers", find_nothing)
    await store.enqueue([NewJob("test $QUEUECTL_RUN = 2 || sleep 3600", id="a")])

    async with running_engine(store, settings=Settings(lease=SECOND), workers=1) as running:
        await starting.wait()
        await fence(store, running.id)
        await running.event(EngineFenced)
        go_on.set()
        await running.event(LeaseLost)
        await running.event(JobFinished, "a")

    assert [event.job.runs for event in running.log.of(JobClaimed)] == [1, 2]


async def find_nothing(_jobs: Sequence[Job]) -> dict[str, int]:
    return {}


async def test_an_engine_whose_counter_went_back_begins_anew(store: Store, path: Path) -> None:
    async with running_engine(store, settings=Settings(lease=SECOND)) as running:
        await running.event(EngineStarted)
        first = running.id
        await beats(store, running, 2)
        # As it is in a backup that was made before.
        with sqlite3.connect(path, isolation_level=None) as connection:
            connection.execute("UPDATE engines SET beats = 0")
        connection.close()

        assert await running.event(EngineFenced) == EngineFenced(first)
        await until(lambda: running.id != first)
        await beats(store, running, 1)
        assert [engine.id for engine in await store.engines()] == [running.id]

"""What was held before means nothing after: an engine that stood still, a store that went back in time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from queuectl.engine import Engine
from queuectl.errors import JobNotFound, LeaseLost
from queuectl.events import EngineFenced, EngineStarted, JobFinished, JobRescued
from queuectl.events import LeaseLost as LeaseWasLost
from queuectl.job import JobState, NewJob
from queuectl.outcome import Exited
from queuectl.settings import Settings
from queuectl.store import open_store
from tests.engine.commands import lives
from tests.engine.engines import LONG, EventLog, lines_in, patient_store, running_engine
from tests.factories import SECOND, add, end, new_engine, printed, record_of, take
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import Gate, RunningEngine

WAITS = "echo $$ >> started; read line < gate"


class EngineInThread:
    """An engine with an event loop of its own, which can be blocked as by code that does not come back."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.log = EventLog()
        self._path = path
        self._settings = settings
        self._go_on = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with patient_store(self._path, self.log) as store:
            self._engine = Engine(store, settings=self._settings, workers=1, listeners=[self.log])
            await self._engine.run()

    def block(self) -> None:
        """Have the loop do nothing until `go_on`."""
        self._loop.call_soon_threadsafe(self._go_on.wait)

    def go_on(self) -> None:
        self._go_on.set()

    def close(self) -> None:
        self.go_on()
        self._loop.call_soon_threadsafe(self._engine.stop, "the test is over")
        self._thread.join()


@contextmanager
def engine_in_thread(path: Path, settings: Settings) -> Iterator[EngineInThread]:
    engine = EngineInThread(path, settings)
    try:
        yield engine
    finally:
        engine.close()


async def test_an_engine_whose_event_loop_was_blocked_for_a_lease_lets_go_of_what_it_held(
    store: Store, path: Path, gate: Gate
) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])
    started = path.with_name("started")

    with engine_in_thread(path, Settings(lease=SECOND)) as blocked:
        await until(lambda: len(lines_in(started)) == 1)
        blocked.block()
        # One beat of this one takes as long as the lease of the other.
        async with running_engine(store, settings=Settings(lease=6 * SECOND)) as running:
            rescued = await running.event(JobRescued)
            assert (rescued.reason, rescued.killed) == ("its engine fell silent", 1)
            await until(lambda: len(lines_in(started)) == 2)
            assert not lives(int(lines_in(started)[0]))
            gate.open()
            await running.event(JobFinished)
        ended = await store.get("a")
        blocked.go_on()
        await until(lambda: bool(blocked.log.of(EngineFenced) and blocked.log.of(LeaseWasLost)))

    assert await store.get("a") == ended
    assert (ended.state, ended.attempts, ended.runs) == (JobState.COMPLETED, 1, 2)


def back_up(path: Path) -> Path:
    backup = path.with_name("backup")
    copy(path, backup)
    return backup


def copy(source: Path, target: Path) -> None:
    """Write over a store what is in another, page by page, as SQLite's own tools do it."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target, timeout=60)) as new:
        old.backup(new)


async def has_beaten(store: Store, running: RunningEngine, wanted: int) -> None:
    async def enough() -> bool:
        return (await record_of(store, running.id)).beats >= wanted

    await until(enough)


async def test_an_engine_under_which_a_backup_is_restored_begins_anew_with_what_is_there(
    store: Store, path: Path, gate: Gate
) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])

    async with running_engine(store, settings=Settings(lease=SECOND)) as running:
        await running.event(EngineStarted)
        first = running.id
        await until(lambda: len(lines_in(path.with_name("started"))) == 1)
        backup = back_up(path)
        # Only a beat that is missing in the backup tells the engine that time went back.
        await has_beaten(store, running, (await record_of(store, first)).beats + 2)
        gate.open()
        await running.event(JobFinished, "a")
        await add(store, "late")
        await running.event(JobFinished, "late")

        copy(backup, path)
        assert await running.event(EngineFenced) == EngineFenced(first)
        gate.open()
        await running.event(JobFinished, "a", count=2)

    with pytest.raises(JobNotFound):
        await store.get("late")
    runs = await store.list_runs("a")
    assert [(run.engine_id, run.outcome) for run in runs] == [(first, "interrupted"), (running.id, "exited")]


async def test_a_job_is_not_started_beside_itself_where_a_backup_is_restored_that_does_not_know_of_its_run(
    store: Store, path: Path, gate: Gate
) -> None:
    started = path.with_name("started")
    await store.set_queue("default", {"paused": True})
    await store.enqueue([NewJob(WAITS, id="a")])

    # No beat comes in time to tell that time went back.
    async with running_engine(store, settings=Settings(lease=LONG)) as running:
        await running.event(EngineStarted)
        first = running.id
        backup = back_up(path)
        await store.set_queue("default", {"paused": False})
        await running.holds(1)
        await until(lambda: len(lines_in(started)) == 1)

        copy(backup, path)
        await store.set_queue("default", {"paused": False})
        assert await running.event(EngineFenced) == EngineFenced(first)
        await until(lambda: len(lines_in(started)) == 2)
        await until(lambda: not lives(int(lines_in(started)[0])))
        gate.open()
        await running.event(JobFinished, "a")

    runs = await store.list_runs("a")
    assert [(run.engine_id, run.outcome) for run in runs] == [(first, "interrupted"), (running.id, "exited")]


async def test_a_claim_that_a_backup_does_not_know_writes_nothing_where_that_is_restored(path: Path) -> None:
    async with open_store(path) as store:
        await store.register_engine(new_engine("engine-1"))
        await add(store, "a")
        backup = back_up(path)
        lost = await take(store, "engine-1")
        await store.fence(await record_of(store, "engine-1"))
    copy(backup, path)

    async with open_store(path) as store:
        await store.register_engine(new_engine("engine-2"))
        held = await take(store, "engine-2")
        assert held.claim_token == lost.claim_token
        with pytest.raises(LeaseLost):
            await store.report(lost.claim, 1, "start", printed(b"late"))
        with pytest.raises(LeaseLost):
            await end(store, lost, Exited(0))
        assert await store.get("a") == held
        assert (await store.read_output("a", 1)).stdout == b""

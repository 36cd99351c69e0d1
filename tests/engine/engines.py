"""Engines as tests run them: inside the test, or as a process that can be killed, suspended and signalled."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

import queuectl
from queuectl.engine import Engine, EngineReport
from queuectl.engine.services.heartbeat import BEATS_PER_LEASE
from queuectl.events import Event, StoreRecovered, StoreWaiting, WalEmptied, WalGrown
from queuectl.settings import Settings
from queuectl.store import open_store
from tests.factories import record_of
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Iterator, Mapping

    from queuectl.errors import StoreError
    from queuectl.store.base import Store

E = TypeVar("E")

LONG = timedelta(hours=1)
MARK = "ENGINE_TEST_FOLDER"
"""A variable of the engine's environment, and so of its commands', that tells to which test they belong."""


class EventLog:
    """A listener that keeps all events, and lets a test wait for one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    def on_wait(self, error: StoreError | None) -> None:
        """Keep, as a patient store's listener, what it says."""
        self(StoreRecovered() if error is None else StoreWaiting(str(error)))

    def on_growth(self, size: int | None) -> None:
        """Keep what it says about the growth of its log."""
        self(WalEmptied() if size is None else WalGrown(size))

    def of(self, kind: type[E], job: str | None = None) -> list[E]:
        """Give the events of one kind, all of them or those about one job."""
        found = [event for event in self.events if isinstance(event, kind)]
        return [event for event in found if job is None or event.job.id == job]  # type: ignore[union-attr] # asked of events about jobs


class RunningEngine:
    """An engine that runs beside the test, in its event loop."""

    def __init__(self, engine: Engine, log: EventLog) -> None:
        self.engine = engine
        self.log = log
        self._task = asyncio.create_task(engine.run())
        self._task.add_done_callback(lambda _: log.changed.set())

    @property
    def id(self) -> str:
        assert self.engine.id is not None
        return self.engine.id

    async def event(self, kind: type[E], job: str | None = None, count: int = 1) -> E:
        """Wait for the event, or the `count`-th of its kind."""
        async with asyncio.timeout(PATIENCE):
            while len(found := self.log.of(kind, job)) < count:
                assert not self._task.done() or self._task.result() is None, f"the engine ended without {kind}"
                self.log.changed.clear()
                await self.log.changed.wait()
        return found[count - 1]

    async def holds(self, commands: int) -> None:
        """Wait until it runs so many commands: a command may print before its engine knows that it has started."""
        running = self.engine._context.running
        await until(lambda: len(running) == commands)

    async def all_wait(self) -> None:
        """Wait until none of the workers has anything to do."""
        idle = self.engine._context.idle
        await until(lambda: idle.is_full)

    async def report(self) -> EngineReport:
        """Wait for the engine's end."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.shield(self._task)

    @property
    def is_over(self) -> bool:
        return self._task.done()

    async def close(self) -> None:
        self.engine.stop("the test is over")
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([self._task])


@asynccontextmanager
async def running_engine(
    store: Store, *, workers: int = 2, settings: Settings | None = None, log: EventLog | None = None, **options: Any
) -> AsyncIterator[RunningEngine]:
    """Run an engine for as long as the block lasts, unless it ends by itself; then stop it."""
    log = EventLog() if log is None else log
    engine = Engine(store, settings=settings or Settings(), workers=workers, listeners=[log], **options)
    running = RunningEngine(engine, log)
    try:
        yield running
    finally:
        await running.close()


async def run_until_idle(store: Store, **options: Any) -> tuple[EngineReport, EventLog]:
    """Run an engine until nothing is left to do."""
    async with running_engine(store, until_idle=True, **options) as running:
        return await running.report(), running.log


@asynccontextmanager
async def patient_store(path: Path | str, log: EventLog) -> AsyncIterator[Store]:
    """Open a store as the engine's command does, with a log of its troubles."""
    async with open_store(path, patient=True, on_wait=log.on_wait, on_growth=log.on_growth) as store:
        yield store


class EngineProcess:
    """``queuectl run`` as a process of its own, with its log."""

    def __init__(self, store: Path | str, *options: str, environ: Mapping[str, str] | None = None) -> None:
        source = str(Path(queuectl.__file__).parents[1])
        self._log = Path(f"engine-{len(list(Path.cwd().glob('engine-*.log')))}.log").absolute()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "queuectl", "--db", store, "-v", "run", *options],
                stderr=log,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": source, **(environ or {})},
            )
        self.pid = self._process.pid

    def lines(self, event: str, **fields: Any) -> list[Mapping[str, Any]]:
        """Give the lines of the log that tell of such an event."""
        whole = self.words.rpartition("\n")[0].splitlines()
        documents = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in documents if line.get("event") == event and fields.items() <= line.items()]

    async def event(self, event: str, **fields: Any) -> Mapping[str, Any]:
        """Wait for a line of the log."""
        await until(lambda: bool(self.lines(event, **fields)) or self.is_over)
        found = self.lines(event, **fields)
        assert found, f"the engine ended without {event!r}: {self.words}"
        return found[0]

    @property
    def words(self) -> str:
        """All that it has said."""
        return self._log.read_text()

    def send(self, number: signal.Signals) -> None:
        """Send the process, not its commands, a signal."""
        self._process.send_signal(number)

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    async def exit_code(self) -> int:
        """Wait for the end of the process; negative is the signal that ended it."""
        await until(lambda: self.is_over)
        return self._process.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def engine_process(
    store: Path | str, *options: str, environ: Mapping[str, str] | None = None
) -> Iterator[EngineProcess]:
    """Run an engine as a process, with `environ` added to its environment; kill it at the end, if it is still there."""
    process = EngineProcess(store, *options, environ=environ)
    try:
        yield process
    finally:
        process.close()


class Gate:
    """A named pipe from which commands read a line before they go on."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        # Open at both ends, so that neither a command nor the test has to wait for the other to open it.
        self._descriptor = os.open(path, os.O_RDWR)

    def open(self, times: int = 1) -> None:
        """Let so many commands through, now or later."""
        os.write(self._descriptor, b"\n" * times)

    def close(self) -> None:
        os.close(self._descriptor)


def lines_in(path: Path) -> list[str]:
    """Give the whole lines that commands have written to a file, which need not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


async def a_lease_goes_by(store: Store, engine_id: str) -> None:
    """Wait until an engine has beaten often enough to take others for dead."""
    wanted = (await record_of(store, engine_id)).beats + BEATS_PER_LEASE + 1

    async def has_beaten() -> bool:
        return (await record_of(store, engine_id)).beats >= wanted

    await until(has_beaten)


def strays(folder: Path) -> list[psutil.Process]:
    """Find the living processes that belong to the test of that folder, other than the test itself."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(folder):
                found.append(process)
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

"""``python -m tests.recovery``: how soon engines on PostgreSQL are back at their speed after a fault. By hand.

The faults are those of the public comparison of job queues under chaos. Recovered means 90 % of the throughput from
before, over three seconds. It ends with 1 where that took more than 30 seconds. It takes about three minutes, and no
more than six where nothing recovers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from queuectl.errors import StoreError
from queuectl.job import JobState, NewJob
from queuectl.store import open_store
from tests.engine.engines import EngineProcess
from tests.faults.places import ServerPlace
from tests.postgres import a_server
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

BEFORE, WINDOW, LIMIT = 6.0, 3.0, 30.0
"""Seconds that are measured before a fault, that make up a throughput, and within which an engine must recover."""
SHARE = 0.9
JOBS = 200_000
"""More than can be done in the time."""
ENGINES, WORKERS = 2, 4
AWAY, BETWEEN_KILLS, TROUBLED = 5.0, 20.0, 10.0
"""Seconds that the server is down, that lie between two kills, and that connections are ended or held."""
IDLE = 300
"""Connections that are held."""


class Run:
    """Some engines at work on a server of their own."""

    def __init__(self, place: ServerPlace) -> None:
        self.place = place
        self.engines = [self.start() for _ in range(ENGINES)]

    def start(self) -> EngineProcess:
        return EngineProcess(self.place.url, "--workers", str(WORKERS))

    async def completed(self) -> int:
        """Count what is done; asked again while the server is away."""
        while True:
            with suppress(StoreError):
                async with open_store(self.place.url, read_only=True) as store:
                    return sum(of.jobs[JobState.COMPLETED] for of in await store.counts())

    async def has_begun(self) -> bool:
        """Tell whether its engines are at work."""
        return await self.completed() > 0

    async def throughput(self, seconds: float) -> float:
        """Measure jobs a second."""
        first, began = await self.completed(), time.monotonic()
        await asyncio.sleep(seconds)
        return (await self.completed() - first) / (time.monotonic() - began)


async def kill_an_engine(run: Run) -> None:
    run.engines[0].send(signal.SIGKILL)
    run.engines[0] = run.start()


async def take_the_server_away(run: Run) -> None:
    await asyncio.to_thread(run.place.restart, AWAY, is_immediate=True)


async def kill_engines_again_and_again(run: Run) -> None:
    for _ in range(2):
        await kill_an_engine(run)
        await asyncio.sleep(BETWEEN_KILLS)


async def end_connections_twice_a_second(run: Run) -> None:
    for _ in range(round(2 * TROUBLED)):
        await asyncio.to_thread(run.place.cut)
        await asyncio.sleep(0.5)


async def hold_connections(run: Run) -> None:
    with ExitStack() as held:
        for _ in range(IDLE):
            held.enter_context(psycopg.connect(run.place.url))
        await asyncio.sleep(TROUBLED)


FAULTS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "an engine killed": kill_an_engine,
    f"the server down for {AWAY:.0f} s": take_the_server_away,
    f"an engine killed every {BETWEEN_KILLS:.0f} s, twice": kill_engines_again_and_again,
    "all connections ended twice a second": end_connections_twice_a_second,
    f"{IDLE} idle connections": hold_connections,
}


async def recover(run: Run, fault: Callable[[Run], Awaitable[None]]) -> tuple[float, float, float]:
    """Give the throughput before, its share during the fault, and the seconds from its end to recovery."""
    before = await run.throughput(BEFORE)
    first, began = await run.completed(), time.monotonic()
    await fault(run)
    during = (await run.completed() - first) / (time.monotonic() - began)
    ended = time.monotonic()
    while await run.throughput(WINDOW) < SHARE * before and time.monotonic() - ended < LIMIT + WINDOW:
        pass
    return before, during / before, time.monotonic() - ended - WINDOW


@asynccontextmanager
async def at_work() -> AsyncIterator[Run]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="queuectl-recovery-")))
        os.chdir(folder)
        server = stack.enter_context(a_server())
        server.start(max_connections="400")
        place = ServerPlace(server, folder)
        async with open_store(place.url) as store:
            await store.enqueue([NewJob("true") for _ in range(JOBS)])
        run = Run(place)
        try:
            await until(run.has_begun)
            yield run
        finally:
            os.chdir("/")
            for engine in run.engines:
                engine.close()


async def main() -> bool:
    """Measure one fault after the other, and tell whether all were recovered from."""
    is_good = True
    for name, fault in FAULTS.items():
        async with at_work() as run:
            before, during, seconds = await recover(run, fault)
        is_good = is_good and seconds <= LIMIT
        sys.stdout.write(f"{name}: {before:.0f} jobs/s before, {during:.0%} during, recovered in {seconds:.1f} s\n")
        sys.stdout.flush()
    return is_good


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m tests.recovery",
        description=f"Measure how soon engines on PostgreSQL are back at {SHARE:.0%} of their speed after: "
        f"{'; '.join(FAULTS)}. It takes about three minutes, and ends with 1 where that took more than {LIMIT:.0f} s.",
    ).parse_args()
    sys.exit(not asyncio.run(main()))

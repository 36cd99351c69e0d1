"""How soon an idle engine starts what another process enqueues, and what it costs while it waits.

    python -m benchmarks.pickup [--jobs 400] [--windows 5] [--seconds 6]

Each job is enqueued alone, from this process, while the engine in another has nothing to do. The time runs from before
the call to the first sign of life of the command: a byte in a named pipe, so the start of its shell counts as well.
The idle engine's share of one core is what the system says it has used, over several windows without any job.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING

import psutil

from benchmarks import stores
from benchmarks.benchmark import Benchmark, say
from benchmarks.figures import Figure, Row, at_most
from benchmarks.processes import running_engine
from benchmarks.watch import until_registered
from queuectl import NewJob, open_store

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from pathlib import Path

    from queuectl import Store

__all__ = ["BENCHMARK"]

WORKERS = "4"
SETTLE = 0.5
"""Seconds that an engine gets to come to rest."""
PAUSES = (0.02, 0.1)
"""Between these many seconds lie from one command's start to the next enqueue, so that no rhythm forms."""
PERCENTILES = ((0.5, at_most(10)), (0.99, at_most(50)))
IDLE_GOAL = at_most(1)


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for each percentile, and one for the idle engine."""
    with stores.folder("pickup") as folder:
        store = folder / "pickup.db"
        stores.fill(store, NewJob("true"), 0)
        with running_engine(store, "--workers", WORKERS) as engine:
            say(f"pickup: {options.jobs} single jobs for an idle engine")
            times = asyncio.run(_pickups(store, folder / "pipe", options.jobs))
            say(f"pickup: {options.windows} windows of {options.seconds:g} s without a job")
            time.sleep(SETTLE)
            process = psutil.Process(engine.pid)
            shares = [_share_of_a_core(process, options.seconds) for _ in range(options.windows)]
    for share, goal in PERCENTILES:
        yield Row(
            benchmark="pickup",
            ran=f"enqueue to the command's start in an idle engine of another process, p{share * 100:.0f}",
            figure=Figure.percentile(times, share),
            unit="ms",
            goal=goal,
            case={"percentile": share},
        )
    yield Row(
        benchmark="pickup",
        ran=f"an idle engine's use of a core, over {options.seconds:g} s",
        figure=Figure.median(shares),
        unit="%",
        goal=IDLE_GOAL,
    )


async def _pickups(store: Path, pipe: Path, jobs: int) -> list[float]:
    """Give for each job the milliseconds until its command runs."""
    os.mkfifo(pipe)
    # Open for both, so that it never ends when a command closes its side.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        async with open_store(store) as opened:
            await until_registered(store)
            await asyncio.sleep(SETTLE)
            return [await _pickup(opened, pipe, descriptor) for _ in range(jobs)]
    finally:
        os.close(descriptor)


async def _pickup(store: Store, pipe: Path, descriptor: int) -> float:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[float] = loop.create_future()

    def read() -> None:
        arrived.set_result(time.monotonic())
        os.read(descriptor, 1)

    await asyncio.sleep(random.uniform(*PAUSES))
    loop.add_reader(descriptor, read)
    try:
        began = time.monotonic()
        await store.enqueue([NewJob(f"printf x >'{pipe}'")])
        return (await arrived - began) * 1_000
    finally:
        loop.remove_reader(descriptor)


def _share_of_a_core(process: psutil.Process, seconds: float) -> float:
    """Give the share in percent that a process uses of one core while we wait."""
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after, ended = process.cpu_times(), time.monotonic()
    used = (after.user + after.system) - (before.user + before.system)
    return 100 * used / (ended - began)


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=400, help="single jobs (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=5, help="looks at the idle engine (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each of them (default: %(default)s)")


BENCHMARK = Benchmark(
    "pickup", __doc__, add_options, measure, quick=("--jobs", "100", "--windows", "2", "--seconds", "2")
)

if __name__ == "__main__":
    BENCHMARK.main()

"""How fast the store alone is: claim and finish without a process.

    python -m benchmarks.claims [--jobs 50000] [--workers 4 16 64 256] [--rounds 5]

So many coroutines as the engine has workers hand in a finished job and take the next one, through the store's own
`exchange`, in one process and on a fresh store each time: grouped and durable as in the engine.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.figures import Figure, Row, at_least
from queuectl import NewJob, open_store

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BENCHMARK"]

GOAL = at_least(20_000)


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for each number of workers."""
    with stores.folder("claims") as folder:
        for workers in options.workers:
            say(f"claims: {options.rounds} rounds of {options.jobs} jobs, {workers} at once")
            speeds = [_speed(folder / "claims.db", options.jobs, workers) for _ in range(options.rounds)]
            yield Row(
                benchmark="claims",
                ran=f"{options.jobs:,} jobs claimed and finished without a process, W={workers}",
                figure=Figure.median(speeds),
                unit="jobs/s",
                goal=GOAL,
                case={"workers": workers},
            )


def _speed(store: Path, jobs: int, workers: int) -> float:
    stores.remove(store)
    stores.fill(store, NewJob("true"), jobs)
    done, seconds = asyncio.run(_work_off(store, workers))
    if done != jobs:
        raise NothingMeasured(f"{done} of {jobs} jobs were claimed")
    return done / seconds


async def _work_off(store: Path, workers: int) -> tuple[int, float]:
    async with open_store(store) as opened:
        began = time.monotonic()
        done = await stores.work_off(opened, workers)
        return done, time.monotonic() - began


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=50_000, help="in a round (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 16, 64, 256], help="default: 4 16 64 256")
    parser.add_argument("--rounds", type=int, default=5, help="for each number of workers (default: %(default)s)")


BENCHMARK = Benchmark("claims", __doc__, add_options, measure, quick=("--jobs", "5000", "--rounds", "3"))

if __name__ == "__main__":
    BENCHMARK.main()

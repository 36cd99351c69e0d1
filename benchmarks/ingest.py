"""How fast jobs are stored: a large batch through the command line, and many single jobs at once from Python.

    python -m benchmarks.ingest [--jobs 1000000] [--rounds 3] [--singles 20000] [--callers 64]

The batch is NDJSON on the standard input of `queuectl enqueue -`, a whole process, validated and durable. The singles
are `enqueue` calls with one job each, from so many coroutines of one process, each answered after its commit.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.figures import Figure, Row, at_least
from benchmarks.processes import queuectl, timed
from queuectl import JobState, NewJob, open_store

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BENCHMARK"]

BATCH_GOAL = at_least(100_000)
SINGLES_GOAL = at_least(4_000)


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for the batch and one for the singles."""
    with stores.folder("ingest") as folder:
        store = folder / "ingest.db"
        say(f"ingest: {options.rounds} batches of {options.jobs:,} lines")
        speeds = [_batch(store, options.jobs) for _ in range(options.rounds)]
        yield Row(
            benchmark="ingest",
            ran=f"{options.jobs:,} NDJSON lines into `queuectl enqueue -`",
            figure=Figure.median(speeds),
            unit="jobs/s",
            goal=BATCH_GOAL,
            case={"way": "batch"},
        )
        say(f"ingest: {options.rounds} rounds of {options.singles:,} single jobs")
        speeds = [asyncio.run(_singles(store, options.singles, options.callers)) for _ in range(options.rounds)]
        yield Row(
            benchmark="ingest",
            ran=f"{options.singles:,} `enqueue` calls, {options.callers} at a time",
            figure=Figure.median(speeds),
            unit="jobs/s",
            goal=SINGLES_GOAL,
            case={"way": "singles"},
        )


def _batch(store: Path, jobs: int) -> float:
    stores.remove(store)
    lines = "".join(f"{json.dumps({'command': f'true {number}'})}\n" for number in range(jobs))
    seconds = timed(queuectl(store, "enqueue", "-q", "-"), lines=lines.encode())
    stored = stores.count(store, JobState.PENDING)
    if stored != jobs:
        raise NothingMeasured(f"{stored} of {jobs} jobs were stored")
    return jobs / seconds


async def _singles(store: Path, jobs: int, callers: int) -> float:
    stores.remove(store)
    left = iter(range(jobs))
    async with open_store(store) as opened:

        async def call() -> None:
            for _ in left:
                await opened.enqueue([NewJob("true")])

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(call())
        return jobs / (time.monotonic() - began)


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=1_000_000, help="lines in the batch (default: %(default)s)")
    parser.add_argument("--singles", type=int, default=20_000, help="single calls (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=64, help="calls at a time (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: %(default)s)")


BENCHMARK = Benchmark(
    "ingest", __doc__, add_options, measure, quick=("--jobs", "50000", "--singles", "3000", "--rounds", "3")
)

if __name__ == "__main__":
    BENCHMARK.main()

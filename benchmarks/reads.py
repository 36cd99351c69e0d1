"""Whether a look at the store takes longer when it is large: commands in a store of a million jobs and in one of ten.

    python -m benchmarks.reads [--jobs 1000000] [--pairs 15]

Half of the jobs are completed, half are pending. The same command runs on the large store and on the small one in
turn, each time as a whole process; the figure is the median of the differences of neighbours.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, say
from benchmarks.figures import Figure, Row, at_most
from benchmarks.processes import queuectl, timed
from queuectl import JobFilter, NewJob, open_store

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["BENCHMARK"]

FEW = 10
GOAL = at_most(50)
SHOWN = "ID"
"""Stands for the id of the newest job."""
COMMANDS: Sequence[Sequence[str]] = (
    ("status",),
    ("list", "--limit", "50"),
    ("show", SHOWN),
)
MORE: Sequence[Sequence[str]] = (
    ("list", "--limit", "50", "--state", "completed"),
    ("stats",),
)
"""Without a goal, but nobody likes to wait for them either."""


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for each command."""
    with stores.folder("reads") as folder:
        large, small = folder / "large.db", folder / "small.db"
        say(f"reads: building a store with {options.jobs:,} jobs")
        _build(large, options.jobs)
        _build(small, FEW)
        for words in (*COMMANDS, *MORE):
            say(f"reads: {options.pairs} pairs of `{' '.join(words)}`")
            times = [(_read(large, words), _read(small, words)) for _ in range(options.pairs)]
            beside_many, beside_few = (statistics.median(column) for column in zip(*times, strict=True))
            yield Row(
                benchmark="reads",
                ran=f"`{' '.join(words)}` at {options.jobs:,} jobs, more than at {FEW}",
                figure=Figure.median([many - few for many, few in times]),
                unit="ms",
                goal=GOAL if words in COMMANDS else None,
                note=f"{beside_many:.0f} ms, at {FEW} {beside_few:.0f} ms",
                case={"command": words[0]},
            )


def _build(store: Path, jobs: int) -> None:
    stores.complete(store, jobs // 2)
    stores.fill(store, NewJob("true"), jobs - jobs // 2)


def _read(store: Path, words: Sequence[str]) -> float:
    """Give the milliseconds a command takes."""
    newest = asyncio.run(_newest(store)) if SHOWN in words else ""
    return 1_000 * timed(queuectl(store, "-q", *(newest if word is SHOWN else word for word in words)))


async def _newest(store: Path) -> str:
    async with open_store(store, read_only=True) as opened:
        [job] = [job async for job in opened.list_jobs(JobFilter(), limit=1)]
        return job.id


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=1_000_000, help="in the large store (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=15, help="measurements of each (default: %(default)s)")


BENCHMARK = Benchmark("reads", __doc__, add_options, measure, quick=("--jobs", "30000", "--pairs", "5"))

if __name__ == "__main__":
    BENCHMARK.main()

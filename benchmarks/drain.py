"""How fast a full queue is drained: jobs a second of `true`, beside `xargs -P` on the same commands.

    python -m benchmarks.drain [--jobs 20000] [--workers 4 16] [--pairs 3]

One measurement drains a fresh store that already holds the jobs, with `queuectl run --until-idle` as a whole process
(its start and its end count), output captured and every result durable; then `xargs -P W -n 1 sh -c` runs the same
commands, keeping nothing. The two take turns, and the figure is the median of the ratios of neighbours: it stays
comparable where the machine's speed does not.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.figures import Figure, Row, at_least
from benchmarks.processes import queuectl, timed, xargs
from queuectl import JobState, NewJob

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BENCHMARK", "COMMAND", "drain"]

COMMAND = "true"
GOAL = at_least(0.9)
WARM_UP = 200
"""Jobs of a first measurement, which does not count; so few that they are not worth one of their own."""


def drain(folder: Path, jobs: int, workers: int) -> float:
    """Drain a fresh store with so many jobs, and give the seconds that took.

    Raises:
        NothingMeasured: not all of them completed.
    """
    store = folder / "drain.db"
    stores.remove(store)
    stores.fill(store, NewJob(COMMAND), jobs)
    seconds = timed(queuectl(store, "run", "-q", "--until-idle", "--workers", str(workers)))
    completed = stores.count(store, JobState.COMPLETED)
    if completed != jobs:
        raise NothingMeasured(f"{completed} of {jobs} jobs completed")
    return seconds


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for each number of workers."""
    with stores.folder("drain") as folder:
        for workers in options.workers:
            yield _pairs(folder, options.jobs, workers, options.pairs)


def _pairs(folder: Path, jobs: int, workers: int, pairs: int) -> Row:
    say(f"drain: {pairs} pairs of {jobs} jobs, {workers} at once")
    if jobs > WARM_UP:
        drain(folder, WARM_UP, workers)
    times = [(drain(folder, jobs, workers), xargs(COMMAND, jobs, workers)) for _ in range(pairs)]
    ours, theirs = (jobs / statistics.median(column) for column in zip(*times, strict=True))
    return Row(
        benchmark="drain",
        ran=f"{jobs:,} jobs `{COMMAND}`, W={workers}, beside `xargs -P {workers}`",
        figure=Figure.median([theirs / ours for ours, theirs in times]),
        unit="of xargs",
        goal=GOAL,
        note=f"{ours:,.0f} jobs/s, xargs {theirs:,.0f}",
        case={"workers": workers},
    )


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs in a queue (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 16], help="jobs at once (default: 4 16)")
    parser.add_argument("--pairs", type=int, default=3, help="measurements of each of the two (default: %(default)s)")


BENCHMARK = Benchmark(
    "drain", __doc__, add_options, measure, quick=("--jobs", "2000", "--workers", "4", "16", "--pairs", "3")
)

if __name__ == "__main__":
    BENCHMARK.main()

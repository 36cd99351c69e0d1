"""Whether a thousand commands run together, and whether the heartbeat keeps its time meanwhile.

    python -m benchmarks.many [--jobs 1000] [--sleep 5] [--rounds 3]

As many workers as jobs, each job a `sleep`, drained with `queuectl run --until-idle`. How many ran at once is counted
from the runs as the store has kept them. A heartbeat's lateness is how much longer than the interval between two beats
the counter in the store stood still, seen from outside every few milliseconds.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.figures import Figure, Row, at_least, at_most
from benchmarks.processes import running_engine
from benchmarks.watch import lateness, watch
from queuectl import JobFilter, JobState, NewJob, open_store
from queuectl.engine.services.heartbeat import BEATS_PER_LEASE

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from benchmarks.watch import Sample
    from queuectl import Run

__all__ = ["BENCHMARK"]

INTERVAL = 1.0
"""Seconds between two beats: more of them than by default, as the jobs are over soon."""
LATENESS_GOAL = at_most(1)
EVERY = 0.02


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for the commands, and one for the heartbeat."""
    jobs = options.jobs
    together, late, memory = [], [], []
    with stores.folder("many") as folder:
        store = folder / "many.db"
        for number in range(options.rounds):
            say(f"many: {jobs} jobs at once, round {number + 1} of {options.rounds}")
            samples = _drain(store, jobs, options.sleep)
            together.append(max_at_once(asyncio.run(_runs(store))))
            late += [seconds for _, seconds in _lateness(samples)]
            memory.append(max(sample.memory for sample in samples))
    yield Row(
        benchmark="many",
        ran=f"{jobs:,} jobs `sleep {options.sleep:g}`, W={jobs:,}: most at the same time",
        figure=Figure.lowest(together),
        unit="jobs",
        goal=at_least(jobs),
        note=f"the engine's memory up to {max(memory):.0f} MiB",
        case={"of": "jobs"},
    )
    yield Row(
        benchmark="many",
        ran=f"the heartbeat meanwhile, every {INTERVAL:g} s: latest",
        figure=Figure.highest(late),
        unit="s late",
        goal=LATENESS_GOAL,
        case={"of": "heartbeat"},
    )


def _drain(store: Path, jobs: int, sleep: float) -> list[Sample]:
    stores.remove(store)
    stores.fill(store, NewJob(f"sleep {sleep:g}"), jobs)
    lease = {"lease": f"{INTERVAL * BEATS_PER_LEASE:g}s"}
    with running_engine(store, "--until-idle", "--workers", str(jobs), settings=lease) as engine:
        samples = asyncio.run(watch(engine, store, every=EVERY))
    completed = stores.count(store, JobState.COMPLETED)
    if completed != jobs:
        raise NothingMeasured(f"{completed} of {jobs} jobs completed")
    return samples


def _lateness(samples: list[Sample]) -> list[tuple[float, float]]:
    late = lateness(samples, INTERVAL)
    if not late:
        raise NothingMeasured("the engine was over before its heartbeat was seen")
    return late


async def _runs(store: Path) -> list[Run]:
    async with open_store(store, read_only=True) as opened:
        return [run async for job in opened.list_jobs(JobFilter()) for run in await opened.list_runs(job.id)]


def max_at_once(runs: Iterable[Run]) -> int:
    """Count how many runs were under way at the same time, at most.

    A run's claim may be older than its command, so its start is reckoned back from its end.
    """
    changes: list[tuple[datetime, int]] = []
    for run in runs:
        if run.finished_at is not None:
            changes += [(run.finished_at - (run.duration or timedelta(0)), 1), (run.finished_at, -1)]
    at_once = most = 0
    for _, change in sorted(changes):
        at_once += change
        most = max(most, at_once)
    return most


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=1_000, help="at once (default: %(default)s)")
    parser.add_argument("--sleep", type=float, default=5.0, help="seconds each (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often (default: %(default)s)")


BENCHMARK = Benchmark("many", __doc__, add_options, measure, quick=("--rounds", "1"))

if __name__ == "__main__":
    BENCHMARK.main()

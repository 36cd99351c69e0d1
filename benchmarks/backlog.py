"""Whether a drain grows slower with what else is in the store: its speed beside that of a store without it.

    python -m benchmarks.backlog [--cases pending completed future paused parked] [--sizes 10000 100000 1000000]
        [--pairs 10]

Each store is built once, checkpointed, and copied for each measurement. A measurement runs a small queue to its end
with `queuectl run` as a whole process, once alone and once with the backlog in the same queue; then `xargs` runs the
same commands. These take turns. The last job of the small queue stops the engine, which would go on with the backlog.
"""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.figures import Figure, Row, at_least
from benchmarks.processes import queuectl, timed, xargs
from queuectl import JobState, NewJob, open_store
from queuectl.registration import NewEngine
from queuectl.store.ids import new_id
from queuectl.store.liveness import this_process

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["BENCHMARK"]

COMMAND = "true"
STOP = "kill $PPID"
"""A command that makes its own engine drain."""
GOAL = at_least(0.95)
DAY = timedelta(days=1)
_HOLDER = "holder"
"""The queue of the job that holds the key."""
_LONG_LEASE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of backlog."""

    words: str
    build: Callable[[Path, int], None]
    """Puts so many jobs into a store, none of which may be claimed before the small queue."""


def _pending(store: Path, size: int) -> None:
    stores.fill(store, NewJob(COMMAND, priority=-1), size)


def _future(store: Path, size: int) -> None:
    stores.fill(store, NewJob(COMMAND, priority=1, run_at=datetime.now(UTC) + DAY), size)


def _paused(store: Path, size: int) -> None:
    stores.fill(store, NewJob(COMMAND, priority=1, queue="paused"), size)

    async def pause() -> None:
        async with open_store(store) as opened:
            await opened.set_queue("paused", {"paused": True})

    asyncio.run(pause())


def _parked(store: Path, size: int) -> None:
    stores.fill(store, NewJob(COMMAND, queue=_HOLDER, concurrency_key="key"), 1)
    stores.fill(store, NewJob(COMMAND, priority=1, concurrency_key="key"), size)

    async def park() -> None:
        async with open_store(store) as opened:
            # It lives as long as this process does, and holds the key in each copy of the store.
            engine = NewEngine(new_id(), this_process(), 1, _LONG_LEASE)
            await opened.register_engine(engine)
            await opened.claim(engine.id, 0, [_HOLDER])
            while (await opened.look(engine.id, None, 1)).ready:
                await opened.claim(engine.id, 1, None)

    asyncio.run(park())


CASES: Mapping[str, Case] = {
    "pending": Case("pending behind it", _pending),
    "completed": Case("completed before it", stores.complete),
    "future": Case("of higher priority in the future", _future),
    "paused": Case("of higher priority in a paused queue", _paused),
    "parked": Case("of higher priority whose key is full", _parked),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """Jobs a second, measured one after the other."""

    alone: float
    beside: float
    xargs: float


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for each case, size and number of workers."""
    with stores.folder("backlog") as folder:
        small, large, work = (folder / name for name in ("small.db", "large.db", "work.db"))
        _add_small_queue(small, options.jobs)
        for name in options.cases:
            for size in options.sizes:
                say(f"backlog: building a store with {size:,} jobs {CASES[name].words}")
                stores.remove(large)
                CASES[name].build(large, size)
                _add_small_queue(large, options.jobs)
                for workers in options.workers:
                    say(f"backlog: {options.pairs} turns of {options.jobs} jobs, {workers} at once")
                    turns = [_turn(small, large, work, options.jobs, workers) for _ in range(options.pairs)]
                    yield _row(name, size, options.jobs, workers, turns)


def _add_small_queue(store: Path, jobs: int) -> None:
    stores.fill(store, NewJob(COMMAND), jobs)
    stores.fill(store, NewJob(STOP), 1)


def _turn(small: Path, large: Path, work: Path, jobs: int, workers: int) -> Turn:
    alone, beside = (_speed(store, work, jobs, workers) for store in (small, large))
    return Turn(alone, beside, jobs / xargs(COMMAND, jobs, workers))


def _speed(built: Path, work: Path, jobs: int, workers: int) -> float:
    """Give the jobs a second at which a copy of a store is worked on until the engine is stopped."""
    stores.copy(built, work)
    before = stores.count(work, JobState.COMPLETED)
    seconds = timed(queuectl(work, "run", "-q", "--workers", str(workers)))
    # Until the engine is stopped it has begun some of the backlog as well.
    completed = stores.count(work, JobState.COMPLETED) - before
    if completed < jobs:
        raise NothingMeasured(f"{completed} of {jobs} jobs completed")
    return completed / seconds


def _row(name: str, size: int, jobs: int, workers: int, turns: list[Turn]) -> Row:
    alone, beside = (statistics.median(speeds) for speeds in zip(*((t.alone, t.beside) for t in turns), strict=True))
    share_alone = statistics.median(turn.alone / turn.xargs for turn in turns)
    share_beside = statistics.median(turn.beside / turn.xargs for turn in turns)
    return Row(
        benchmark="backlog",
        ran=f"{jobs:,} jobs, W={workers}, {size:,} {CASES[name].words}, beside the small queue",
        figure=Figure.median([turn.beside / turn.alone for turn in turns]),
        unit="of alone",
        goal=GOAL,
        note=f"{beside:,.0f} jobs/s ({share_beside:.2f} of xargs), alone {alone:,.0f} ({share_alone:.2f} of xargs)",
        case={"kind": name, "size": size, "workers": workers, "share": share_beside, "share_alone": share_alone},
    )


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="default: all")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="other jobs")
    parser.add_argument("--jobs", type=int, default=2_000, help="jobs in the small queue (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[4], help="jobs at once (default: 4)")
    parser.add_argument("--pairs", type=int, default=10, help="turns (default: %(default)s)")


BENCHMARK = Benchmark(
    "backlog", __doc__, add_options, measure, quick=("--sizes", "20000", "--jobs", "500", "--pairs", "3")
)

if __name__ == "__main__":
    BENCHMARK.main()

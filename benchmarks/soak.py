"""Minutes at full speed: what an engine's memory, log, file, speed and heartbeat come to in the long run.

    python -m benchmarks.soak [--minutes 10] [--workers 16] [--retention 30] [--svg FILE]

One engine runs jobs that print a line each, while this process keeps its queue filled; completed jobs are deleted after
a short retention, so nothing should grow for ever. The verdicts are by slope: the rise over the second half of the
time, along the straight line that fits best. The store's file does not shrink, but must come to an end of its growth:
it has room for what was kept at the busiest time, so where the speed rises, because of other work on the machine, it
grows with it, and says nothing.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks import plot, stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.figures import Figure, Goal, Row, at_least, at_most, growth
from benchmarks.processes import running_engine
from benchmarks.watch import Sample, lateness, watch
from queuectl import JobState, NewJob, open_store
from queuectl.engine.services.heartbeat import BEATS_PER_LEASE

if TYPE_CHECKING:
    import subprocess
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from pathlib import Path

    from queuectl import Store

__all__ = ["BENCHMARK"]

JOB = NewJob('echo "$QUEUECTL_JOB_ID"')
DEPTH = 4_000
"""Jobs that wait: more than are run between two looks, few enough to leave the size of the store to what is kept."""
EVERY = 0.1
FEED_EVERY = 1.0
"""Seconds between two looks at the queue, and so those over which a speed is measured."""
INTERVAL = 1.0
"""Seconds between two beats, more of them than by default."""
OPEN = (JobState.PENDING, JobState.FAILED, JobState.PROCESSING)
LONG_ENOUGH = 5.0
"""Minutes. Old jobs are deleted once a minute, so that a file's growth cannot have ended much sooner."""

SPEED_GOAL, MEMORY_GOAL, LOG_GOAL, FILE_GOAL, LATENESS_GOAL = (
    at_least(-10),
    at_most(2),
    at_most(64),
    at_most(5),
    at_most(1),
)


@dataclass(frozen=True, slots=True)
class Soak:
    """What was seen, as curves of (seconds, quantity)."""

    samples: list[Sample]
    ended: list[tuple[float, int]]
    """How many jobs had ended by then."""

    @property
    def speed(self) -> list[tuple[float, float]]:
        """Jobs a second since the last look."""
        return [(now, (count - before) / (now - then)) for (then, before), (now, count) in pairwise(self.ended)]

    def curve(self, quantity: str) -> list[tuple[float, float]]:
        """Give the curve of one of a sample's quantities."""
        return [(sample.time, getattr(sample, quantity)) for sample in self.samples]

    @property
    def lateness(self) -> list[tuple[float, float]]:
        """Seconds by which each heartbeat was late."""
        return lateness(self.samples, INTERVAL)


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for each quantity."""
    say(f"soak: {options.minutes:g} minutes at full speed")
    with stores.folder("soak") as folder:
        soak = _soak(folder / "soak.db", options)
    if options.svg:
        plot.draw_soak(
            options.svg,
            speed=soak.speed,
            memory=soak.curve("memory"),
            store=soak.curve("file"),
            log=soak.curve("log"),
            lateness=soak.lateness,
        )
    yield from _rows(soak, options)


def _soak(store: Path, options: Namespace) -> Soak:
    stores.fill(store, JOB, DEPTH)
    settings = {"retention": f"{options.retention:g}s", "lease": f"{INTERVAL * BEATS_PER_LEASE:g}s"}
    with running_engine(store, "--workers", str(options.workers), settings=settings) as engine:
        return asyncio.run(_watch_and_feed(engine, store, options.minutes * 60))


async def _watch_and_feed(engine: subprocess.Popen[bytes], store: Path, seconds: float) -> Soak:
    watching = asyncio.create_task(watch(engine, store, every=EVERY, seconds=seconds))
    ended: list[tuple[float, int]] = []
    async with open_store(store) as opened:
        feeding = asyncio.create_task(_feed(opened, ended))
        samples = await watching
        feeding.cancel()
    if engine.poll() is not None:
        raise NothingMeasured("the engine ended before its time")
    soak = Soak([sample for sample in samples if sample.is_up], ended)
    if not (soak.speed and soak.lateness):
        raise NothingMeasured("the time was too short")
    return soak


async def _feed(store: Store, ended: list[tuple[float, int]]) -> None:
    """Keep the queue filled, and note how many jobs have ended."""
    stored, began = DEPTH, time.monotonic()
    while True:
        waiting = sum(of.jobs.get(state, 0) for of in await store.counts() for state in OPEN)
        ended.append((time.monotonic() - began, stored - waiting))
        missing = max(DEPTH - waiting, 0)
        await store.enqueue([JOB] * missing)
        stored += missing
        await asyncio.sleep(FEED_EVERY)


def _rows(soak: Soak, options: Namespace) -> Iterator[Row]:
    ran = f"{options.minutes:g} min at full speed, W={options.workers}, retention {options.retention:g} s"
    speeds = [speed for _, speed in soak.speed]
    yield _row(f"{ran}: speed", Figure.median(speeds), "jobs/s")
    change = 100 * growth(soak.speed) / Figure.median(speeds).value
    yield _row("speed: change over the second half", _one(change), "%", SPEED_GOAL)
    memory = soak.curve("memory")
    yield _row("memory: rise over the second half", _one(growth(memory)), "MiB", MEMORY_GOAL, _ends(memory))
    yield _row("log (WAL): peak", Figure.highest([size for _, size in soak.curve("log")]), "MiB", LOG_GOAL)
    file = soak.curve("file")
    rise = 100 * growth(file) / max(file[len(file) // 2][1], 1)
    judged = options.minutes >= LONG_ENOUGH
    yield _row(
        "file: rise over the second half",
        _one(rise),
        "%",
        FILE_GOAL if judged else None,
        _ends(file) if judged else "too short a time to judge",
    )
    late = [seconds for _, seconds in soak.lateness]
    yield _row(f"heartbeat every {INTERVAL:g} s: latest", Figure.highest(late), "s late", LATENESS_GOAL)


def _row(ran: str, figure: Figure, unit: str, goal: Goal | None = None, note: str = "") -> Row:
    return Row(benchmark="soak", ran=ran, figure=figure, unit=unit, goal=goal, note=note)


def _one(value: float) -> Figure:
    return Figure.median([value])


def _ends(curve: list[tuple[float, float]]) -> str:
    return f"{curve[len(curve) // 2][1]:.1f} MiB half way, {curve[-1][1]:.1f} MiB at the end"


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: %(default)g)")
    parser.add_argument("--workers", type=int, default=16, help="jobs at once (default: %(default)s)")
    parser.add_argument("--retention", type=float, default=30.0, help="seconds (default: %(default)g)")
    parser.add_argument("--svg", type=plot.svg_file, metavar="FILE", help="draw the curves")


BENCHMARK = Benchmark("soak", __doc__, add_options, measure, quick=("--minutes", "0.25"))

if __name__ == "__main__":
    BENCHMARK.main()

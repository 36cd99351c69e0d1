"""How much memory an engine holds: with a large queue before it, over time, and with many large outputs at once.

    python -m benchmarks.memory [--jobs 1000000] [--workers 64] [--seconds 120] [--outputs 256] [--rounds 3]

Resident memory of the engine's process alone, seen from outside several times a second. "Over time" is the rise over
the second half, along the straight line that fits best.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.figures import Figure, Row, at_most, growth
from benchmarks.processes import running_engine
from benchmarks.watch import watch
from queuectl import JobState, NewJob

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BENCHMARK"]

EVERY = 0.1
"""Seconds between two looks; outputs come and go faster."""
OFTEN = 0.02
PRINT = "head -c 1048576 /dev/zero | tr '\\0' x"
"""A command that prints 1 MiB."""
PEAK_GOAL, GROWTH_GOAL, OUTPUTS_GOAL = at_most(80), at_most(2), at_most(1_024)


def measure(options: Namespace) -> Iterator[Row]:
    """Give two rows for the large queue, the peak and the rise, and one for the outputs."""
    with stores.folder("memory") as folder:
        yield from _large_queue(folder / "queue.db", options.jobs, options.workers, options.seconds)
        yield _outputs(folder / "outputs.db", options.outputs, options.rounds)


def _large_queue(store: Path, jobs: int, workers: int, seconds: float) -> Iterator[Row]:
    say(f"memory: building a store with {jobs:,} jobs")
    stores.fill(store, NewJob("true"), jobs)
    say(f"memory: an engine at full speed for {seconds:g} s")
    with running_engine(store, "--workers", str(workers)) as engine:
        samples = asyncio.run(watch(engine, store, every=EVERY, seconds=seconds))
        if engine.poll() is not None:
            raise NothingMeasured("the engine ended before its time")
    if not stores.count(store, JobState.PENDING):
        raise NothingMeasured("the queue ran dry")
    curve = [(sample.time, sample.memory) for sample in samples if sample.is_up]
    memory = [size for _, size in curve]
    yield Row(
        benchmark="memory",
        ran=f"an engine with {jobs:,} pending, W={workers}, {seconds:g} s: peak",
        figure=Figure.highest(memory),
        unit="MiB",
        goal=PEAK_GOAL,
        case={"of": "queue"},
    )
    yield Row(
        benchmark="memory",
        ran="the same: rise over the second half",
        figure=Figure.median([growth(curve)]),
        unit="MiB",
        goal=GROWTH_GOAL,
        note=f"{memory[len(memory) // 2]:.1f} MiB half way, {memory[-1]:.1f} MiB at the end",
        case={"of": "rise"},
    )


def _outputs(store: Path, workers: int, rounds: int) -> Row:
    say(f"memory: {rounds} rounds of {workers} outputs of 1 MiB at once")
    peaks = []
    for _ in range(rounds):
        stores.remove(store)
        stores.fill(store, NewJob(PRINT), workers)
        peaks.append(_peak_until_idle(store, workers))
    return Row(
        benchmark="memory",
        ran=f"{workers} commands at once that print 1 MiB each: peak",
        figure=Figure.highest(peaks),
        unit="MiB",
        goal=OUTPUTS_GOAL,
        case={"of": "outputs"},
    )


def _peak_until_idle(store: Path, workers: int) -> float:
    with running_engine(store, "--until-idle", "--workers", str(workers)) as engine:
        samples = asyncio.run(watch(engine, store, every=OFTEN))
    completed = stores.count(store, JobState.COMPLETED)
    if completed != workers:
        raise NothingMeasured(f"{completed} of {workers} jobs completed")
    return max(sample.memory for sample in samples)


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=1_000_000, help="in the queue (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=64, help="jobs at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=120.0, help="at full speed (default: %(default)s)")
    parser.add_argument("--outputs", type=int, default=256, help="commands that print (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of the outputs (default: %(default)s)")


BENCHMARK = Benchmark(
    "memory",
    __doc__,
    add_options,
    measure,
    quick=("--jobs", "50000", "--seconds", "8", "--outputs", "64", "--rounds", "1"),
)

if __name__ == "__main__":
    BENCHMARK.main()

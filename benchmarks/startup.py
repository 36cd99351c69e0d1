"""What one `queuectl enqueue "true"` costs as a whole process, beside the mere import of the libraries it needs.

    python -m benchmarks.startup [--pairs 30]

The two take turns; the figure is the median of the ratios of neighbours.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, say
from benchmarks.figures import Figure, Row, at_most
from benchmarks.processes import queuectl, timed
from queuectl import NewJob

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

__all__ = ["BENCHMARK"]

LIBRARIES = "import asyncclick, aiosqlite"
GOAL = at_most(1.25)


def measure(options: Namespace) -> Iterator[Row]:
    """Give one row."""
    say(f"startup: {options.pairs} pairs of processes")
    with stores.folder("startup") as folder:
        store = folder / "startup.db"
        stores.fill(store, NewJob("true"), 0)
        enqueue = queuectl(store, "enqueue", "true")
        imports = [sys.executable, "-c", LIBRARIES]
        # Once without counting: then everything that is loaded has been compiled.
        timed(enqueue)
        times = [(timed(enqueue), timed(imports)) for _ in range(options.pairs)]
    ours, theirs = (statistics.median(column) * 1_000 for column in zip(*times, strict=True))
    yield Row(
        benchmark="startup",
        ran=f'`queuectl enqueue "true"` as a whole process, beside `python -c "{LIBRARIES}"`',
        figure=Figure.median([ours / theirs for ours, theirs in times]),
        unit="times",
        goal=GOAL,
        note=f"{ours:.0f} ms, imports {theirs:.0f} ms",
    )


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--pairs", type=int, default=30, help="measurements of each (default: %(default)s)")


BENCHMARK = Benchmark("startup", __doc__, add_options, measure, quick=("--pairs", "20"))

if __name__ == "__main__":
    BENCHMARK.main()

"""Runs the benchmarks, one after the other, and writes what came out: a table, JSON, a picture.

    python -m benchmarks [--quick] [--only NAME...] [--json FILE] [--svg FILE]

A full run takes an hour or two and wants a machine with nothing else to do; `--quick` takes a few minutes and shows no
more than that everything works. With `--svg` the soak gets a picture of its own beside FILE.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    backlog,
    claims,
    drain,
    ingest,
    many,
    memory,
    peers,
    pickup,
    plot,
    reads,
    scale,
    soak,
    startup,
)
from benchmarks.benchmark import Benchmark, NothingMeasured
from benchmarks.tables import HEADER, line, machine, save

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from benchmarks.figures import Row

__all__ = ["main"]

_MODULES = (drain, backlog, claims, ingest, pickup, startup, reads, memory, many, soak, peers, scale)
ALL: Mapping[str, Benchmark] = {module.BENCHMARK.name: module.BENCHMARK for module in _MODULES}


def main(words: Sequence[str]) -> int:
    """Run what is asked for; gives 1 if something could not be measured, whatever the figures are."""
    options = _options(words)
    print("; ".join(f"{name} {value}" for name, value in machine().items()), end="\n\n")
    print(HEADER, flush=True)
    rows: list[Row] = []
    failures = []
    for name in options.only:
        try:
            rows += _run(ALL[name], _words(ALL[name], options))
        except NothingMeasured as reason:
            failures.append(f"{name}: {reason}: nothing was measured")
        # Each time, as a later one may take long, or be interrupted.
        if options.json:
            save(options.json, rows)
    if options.svg:
        plot.draw_drain(rows, options.svg)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _run(benchmark: Benchmark, words: Sequence[str]) -> list[Row]:
    rows = []
    for row in benchmark.measure(benchmark.parse(words)):
        rows.append(row)
        print(line(row), flush=True)
    return rows


def _words(benchmark: Benchmark, options: Namespace) -> list[str]:
    words = list(benchmark.quick) if options.quick else []
    if options.svg and benchmark is soak.BENCHMARK:
        words += ["--svg", str(options.svg.with_stem(f"{options.svg.stem}-soak"))]
    return words


def _options(words: Sequence[str]) -> Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a short version of everything")
    parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL), metavar="NAME", help=", ".join(ALL))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows to this file")
    parser.add_argument("--svg", type=plot.svg_file, metavar="FILE", help="draw the drain, and the soak beside it")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What makes a script a benchmark: its options, how it measures, and how it runs alone."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.tables import HEADER, line, save

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.figures import Row

__all__ = ["Benchmark", "NothingMeasured", "say"]


class NothingMeasured(Exception):
    """What was measured did not do its work, so its time says nothing."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One script."""

    name: str
    about: str | None
    """The script's docstring."""
    add_options: Callable[[ArgumentParser], object]
    """The defaults are those of a full run."""
    measure: Callable[[Namespace], Iterator[Row]]
    """Raises `NothingMeasured`."""
    quick: Sequence[str]
    """The options of a short run."""

    def parse(self, words: Sequence[str]) -> Namespace:
        """Read the script's own options."""
        return self._parser().parse_args(words)

    def main(self) -> None:
        """Run alone: measure, and print a table in Markdown as it grows."""
        parser = self._parser()
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file as well")
        parser.add_argument("--quick", action="store_true", help=f"the same as: {' '.join(self.quick)}")
        options = parser.parse_args()
        if options.quick:
            # What is named beside it goes first.
            options = parser.parse_args([*self.quick, *sys.argv[1:]])
        rows = []
        print(HEADER)
        try:
            for row in self.measure(options):
                rows.append(row)
                print(line(row), flush=True)
        except NothingMeasured as reason:
            raise SystemExit(f"{self.name}: {reason}: nothing was measured") from None
        if options.json:
            save(options.json, rows)

    def _parser(self) -> ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=f"python -m benchmarks.{self.name}",
            description=self.about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_options(parser)
        return parser


def say(words: str) -> None:
    """Tell who waits what is going on. The tables go to stdout, this to stderr."""
    print(f"  {words} …", file=sys.stderr, flush=True)

"""What a person sees: colour where it is wanted, and help pages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

import asyncclick as click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Context", "is_terminal", "wants_colour", "write_examples"]


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether a stream ends at a person who wants colour."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def wants_colour(environ: Mapping[str, str]) -> bool | None:
    """Give what asyncclick is told about colour: False for none at all, None to look at each stream."""
    return None if is_terminal(sys.stderr, environ) or is_terminal(sys.stdout, environ) else False


class Help(click.HelpFormatter):
    """The help page: headings in bold, and in colour what can be typed. Where no terminal is, both are taken off."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how the command is called."""
        super().write_usage(prog, args, prefix or click.style("Usage:", bold=True) + " ")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options or commands, with what each of them does."""
        coloured = [(click.style(term, fg="cyan"), meaning) for term, meaning in rows]
        super().write_dl(coloured, col_max, col_spacing)

    def write_heading(self, heading: str) -> None:
        """Write a section's heading."""
        super().write_heading(click.style(heading, bold=True))


class Context(click.Context):
    """The context of each command."""

    formatter_class = Help


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Write command lines as a section of a help page."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")

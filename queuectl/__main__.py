"""The process: starts the event loop, runs one command line in it, and gives the exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import asyncclick as click

from queuectl.cli.errors import expects_json, innermost, report
from queuectl.cli.exits import ExitCode
from queuectl.cli.main import cli
from queuectl.cli.options import Invocation, wants_colour

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]


def main() -> NoReturn:
    """Run queuectl with the arguments of this process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown escaped: it is no reason to fail.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # text streams, at a process's start
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line and give its exit code. Whatever goes wrong is told on stderr."""
    invocation = Invocation()
    colour = wants_colour(invocation.environ)
    try:
        code = asyncio.run(call(args, invocation, colour=colour))
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except Exception as raised:  # noqa: BLE001 - the last place that can put an error into words
        error = innermost(raised)
        if isinstance(error, BrokenPipeError):
            return _closed_pipe()
        as_json = expects_json(args, invocation.environ)
        return report(error, as_json=as_json, verbosity=invocation.verbosity, colour=colour)
    return code


async def call(args: Sequence[str], invocation: Invocation, *, colour: bool | None) -> int:
    """Parse one command line and carry it out; errors are raised."""
    # The library's own main() would turn a closed pipe into exit 1.
    try:
        async with await cli.make_context("queuectl", list(args), obj=invocation, color=colour) as ctx:
            return await cli.invoke(ctx) or ExitCode.DONE
    except click.exceptions.Exit as ended:
        return ended.exit_code


def _closed_pipe() -> ExitCode:
    # What is still buffered has nowhere to go, and must not be complained about at the exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.CLOSED_PIPE


if __name__ == "__main__":
    main()

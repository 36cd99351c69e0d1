"""One command line: run in an event loop, to its exit code."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.exits import ExitCode
from queuectl.cli.interrupt import interruptible
from queuectl.cli.invocation import Invocation
from queuectl.cli.main import cli
from queuectl.cli.options import COMPLETION
from queuectl.cli.streams import settle
from queuectl.cli.terminal import wants_colour

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]


def run(args: Sequence[str]) -> int:
    """Run one command line and give its exit code. Whatever goes wrong is told on stderr."""
    invocation = Invocation()
    colour = wants_colour(invocation.environ)
    try:
        with interruptible():
            code = asyncio.run(call(args, invocation, colour=colour))
            sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except Exception as raised:  # noqa: BLE001 - the last place that can put an error into words
        settle(sys.stdout)
        return _tell(raised, args, invocation, colour=colour)
    return code


def _tell(raised: Exception, args: Sequence[str], invocation: Invocation, *, colour: bool | None) -> int:
    """Tell what went wrong, where anyone reads it, and give the exit code."""
    from queuectl.cli.errors import expects_json, innermost, report  # noqa: PLC0415 - nothing goes wrong as a rule

    error = innermost(raised)
    if isinstance(error, BrokenPipeError):
        return ExitCode.CLOSED_PIPE
    as_json = expects_json(args, invocation.environ)
    try:
        usual = report(error, as_json=as_json, verbosity=invocation.verbosity, colour=colour)
    except BrokenPipeError:
        return ExitCode.CLOSED_PIPE
    return usual if invocation.error_code is None else invocation.error_code


async def call(args: Sequence[str], invocation: Invocation, *, colour: bool | None) -> int:
    """Parse one command line and carry it out; errors are raised."""
    if instruction := invocation.environ.get(COMPLETION):
        from queuectl.cli.completion import answer  # noqa: PLC0415 - only a shell that completes asks for it

        await answer(cli, invocation, instruction)
        return ExitCode.DONE
    # The library's own main() would turn a closed pipe into exit 1.
    try:
        async with await cli.make_context("queuectl", list(args), obj=invocation, color=colour) as ctx:
            return await cli.invoke(ctx) or ExitCode.DONE
    except click.exceptions.Exit as ended:
        return ended.exit_code

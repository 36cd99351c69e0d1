"""The process: starts the event loop, runs one command line in it, and gives the exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import asyncclick as click

from queuectl.cli.exits import ExitCode
from queuectl.cli.invocation import Invocation
from queuectl.cli.main import cli
from queuectl.cli.options import COMPLETION
from queuectl.cli.terminal import wants_colour

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

__all__ = ["main", "run"]


def main() -> NoReturn:
    """Run queuectl with the arguments of this process, and exit."""
    _mend_streams()
    code = run(sys.argv[1:])
    if isinstance(_settle(sys.stderr), BrokenPipeError):
        # Words that nobody reads; the interpreter would fail to print them once more, with an exit code of its own.
        code = ExitCode.CLOSED_PIPE
    # Everything goes with the process: without this the garbage collector looks through it all first, which takes
    # longer than the command itself.
    gc.freeze()
    sys.exit(code)


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
        from queuectl.cli.errors import expects_json, innermost, report  # noqa: PLC0415 - nothing goes wrong as a rule

        error = innermost(raised)
        _settle(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return ExitCode.CLOSED_PIPE
        as_json = expects_json(args, invocation.environ)
        usual = report(error, as_json=as_json, verbosity=invocation.verbosity, colour=colour)
        return usual if invocation.error_code is None else invocation.error_code
    return code


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


def _mend_streams() -> None:
    """Let the standard streams take whatever is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # A closed stream's descriptor would be given to the next file that is opened: the store.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - open for as long as the process is
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown escaped: it is no reason to fail.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # text streams, at a process's start


def _settle(stream: TextIO) -> OSError | None:
    """Print what can be printed; what has nowhere to go must not be complained about at the exit. Give the reason."""
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


if __name__ == "__main__":
    main()

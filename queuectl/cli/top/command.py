"""``top``: the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.exits import ExitCode
from queuectl.cli.options import command, duration_option
from queuectl.cli.render import print_document

if TYPE_CHECKING:
    from datetime import timedelta

    from queuectl.cli.invocation import Invocation
    from queuectl.store.base import Store

__all__ = ["top"]

_REST = 0.5
"""Seconds between two looks at least, unless someone says otherwise."""
_LEAST_REST = 0.1


@command(
    "top",
    exits={"128 + N": "signal N ended it; with Ctrl-C 130"},
    examples=("queuectl top", "queuectl top --interval 2s", "queuectl top --once"),
)
@duration_option("--interval", "Look at the store no more often than this; else every 500ms.")
@click.option("--once", is_flag=True, help="Print what there is to see now, and end.")
async def top(invocation: Invocation, interval: timedelta | None, *, once: bool) -> int:
    """Show queues, running jobs with what they print, failures, waiting jobs and engines, live on the terminal.

    The key ? shows the keys: to move, to see a job's output, to cancel, retry, hold and release jobs, to pause and
    resume queues. Of each kind the newest 100 jobs are shown; of pending ones the next 100 that are due, the next 100
    that will be, and those among the newest 100 of all jobs. Ctrl-C and q end it and leave the jobs alone.

    It wants a terminal. As JSON, and with --once, it prints one look.
    """
    rest = _REST if interval is None else interval.total_seconds()
    if rest < _LEAST_REST:
        raise click.UsageError("--interval is too short: use 100ms or more")
    is_live = not (once or invocation.is_json)
    if is_live:
        _require_terminal(invocation)
    async with invocation.store(read_only=True) as store:
        return await _watch(invocation, store, rest) if is_live else await _look_once(invocation, store)


async def _watch(invocation: Invocation, store: Store, rest: float) -> int:
    """Show the store on the terminal until someone quits, and give the exit code."""
    from queuectl.cli.top.loop import Top  # noqa: PLC0415 - after the help and the refusals
    from queuectl.cli.top.reader import Reader  # noqa: PLC0415 - likewise
    from queuectl.cli.top.screen import Screen  # noqa: PLC0415 - only a terminal can have one

    reader = Reader(store, invocation.place)
    # Where nothing can be read, that is said on the screen as it was.
    snapshot = await reader.read()
    return await Top(invocation, store, reader, Screen(invocation.environ), snapshot).run(rest)


async def _look_once(invocation: Invocation, store: Store) -> ExitCode:
    """Print what there is to see now."""
    from queuectl.cli.top.once import print_once  # noqa: PLC0415 - after the help and the refusals
    from queuectl.cli.top.reader import Reader  # noqa: PLC0415 - likewise
    from queuectl.cli.top.snapshot import snapshot_document  # noqa: PLC0415 - likewise
    from queuectl.cli.top.tails import Tails  # noqa: PLC0415 - likewise

    snapshot, tails = await Reader(store, invocation.place).read(), Tails()
    await tails.read(store, snapshot.running)
    if invocation.is_json:
        print_document(snapshot_document(snapshot, tails, await invocation.settings(store)))
    else:
        print_once(snapshot, tails)
    return ExitCode.DONE


def _require_terminal(invocation: Invocation) -> None:
    """Refuse what is no terminal, or none that can be drawn on.

    Raises:
        UsageError: it is so; the message says what to use instead.
    """
    instead = "use 'queuectl top --once', 'queuectl status', or 'queuectl logs -f ID'"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(f"top wants a terminal, for its screen and its keys: {instead}")
    if invocation.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}:
        raise click.UsageError(
            f"top wants a terminal that can be drawn on, and TERM says that this one cannot: {instead}"
        )

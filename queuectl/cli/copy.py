"""``db copy``: moving to another store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.exits import ExitCode
from queuectl.cli.options import command
from queuectl.cli.progress import has_bar
from queuectl.cli.render import emit, print_document
from queuectl.cli.text import counted
from queuectl.store.copying import Copied, copy
from queuectl.store.place import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from queuectl.cli.invocation import Invocation

__all__ = ["copy_store"]


@command(
    "copy",
    exits={ExitCode.CONFLICT: "the other store is not empty"},
    examples=(
        "queuectl --db jobs.db db copy postgresql://queue@db.example.org/app",
        "queuectl --db postgresql://queue@db.example.org/app db copy jobs.db",
    ),
)
@click.argument("target", metavar="URL", type=click.Path())
async def copy_store(invocation: Invocation, *, target: str) -> None:
    """Copy the store to an empty one, a file or a PostgreSQL database, and print its place.

    Everything comes along: jobs in every state, runs and output, settings, rules of queues. It is copied whole or not
    at all, as it is at one moment. No engine may run on either. The store itself stays as it is.
    """
    async with invocation.store(read_only=True) as source, invocation.store(target) as sink:
        total = sum(sum(queue.jobs.values()) for queue in await source.counts())
        with _shown(invocation, total) as show:
            copied = await copy(source, sink, show)
    if invocation.is_json:
        print_document({"db": invocation.place, "copy": shown(target), **asdict(copied)})
    else:
        emit(shown(target))
    parts = (
        counted(copied.jobs, "job"),
        counted(copied.runs, "run"),
        counted(copied.settings, "setting"),
        f"rules of {counted(copied.queues, 'queue')}",
    )
    invocation.say(f"copied {', '.join(parts)}")


@contextmanager
def _shown(invocation: Invocation, total: int) -> Iterator[Callable[[Copied], None]]:
    """Give what shows how far it is: a bar, where someone looks on."""
    if not has_bar(invocation):
        yield lambda _copied: None
        return
    from queuectl.cli.bar import new_bar  # noqa: PLC0415 - slow to import, and only a terminal wants it

    with new_bar() as bar:
        task = bar.add_task("jobs", total=total)
        yield lambda copied: bar.update(task, completed=copied.jobs)

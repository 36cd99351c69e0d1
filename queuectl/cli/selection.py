"""What the commands share that do something to several jobs: how these are named, and how it is said what was done."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.filters import filter_options, state_option
from queuectl.cli.render import emit, print_document
from queuectl.cli.text import counted
from queuectl.store.base import JobFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from queuectl.cli.invocation import Invocation
    from queuectl.job import JobState
    from queuectl.store.base import Selection, Store

__all__ = ["dry_run_option", "ids_argument", "print_done", "selected", "selection_options"]

ids_argument = click.argument("job_ids", metavar="[ID]...", nargs=-1)
dry_run_option = click.option("--dry-run", is_flag=True, help="Only print the ids.")


def selection_options(function: Any) -> Any:
    """Add the ids, or the filters in their place, and ``--dry-run``."""
    for option in (dry_run_option, filter_options, state_option, ids_argument):
        function = option(function)
    return function


@asynccontextmanager
async def selected(
    invocation: Invocation,
    *,
    job_ids: Sequence[str],
    states: tuple[JobState, ...],
    queues: tuple[str, ...],
    tags: tuple[str, ...],
    dry_run: bool,
) -> AsyncIterator[tuple[Store, Selection]]:
    """Open the store, and give it with the jobs that are meant: those named by their ids, or that fit the filters.

    A dry run only reads.

    Raises:
        UsageError: neither is given, or both are; no store is opened, or made, then.
    """
    if bool(states or queues or tags) == bool(job_ids):
        raise click.UsageError("give ids, or filters (--state, --queue, --tag)" + (", not both" if job_ids else ""))
    async with invocation.store(read_only=dry_run) as store:
        if job_ids:
            yield store, [await store.resolve(job_id) for job_id in job_ids]
        else:
            yield store, JobFilter(states=states, queues=queues, tags=tags)


def print_done(
    invocation: Invocation, ids: Sequence[str], done: str, *, words: str = "", dry_run: bool = False
) -> None:
    """Print the ids of the jobs to which it was, or would be, done; `words` say it where `done` alone does not."""
    if invocation.is_json:
        print_document({done: list(ids), "dry_run": dry_run})
    else:
        for job_id in ids:
            emit(job_id)
    verb = "would be" if dry_run else "is" if len(ids) == 1 else "are"
    invocation.say(f"{counted(len(ids), 'job')} {verb} {words or done}")

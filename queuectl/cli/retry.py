"""``retry``: makes jobs due again by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.filters import filter_options, state_option
from queuectl.cli.options import Invocation, command
from queuectl.cli.render import emit, print_document
from queuectl.cli.text import counted
from queuectl.store.base import JobFilter
from queuectl.transition import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.job import JobState

__all__ = ["print_retried", "retry"]


@command("retry", examples=("queuectl retry job1", "queuectl retry --state dead --queue mail --dry-run"))
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@state_option
@filter_options
@click.option("--dry-run", is_flag=True, help="Only print the ids.")
async def retry(
    invocation: Invocation,
    *,
    job_ids: Sequence[str],
    states: tuple[JobState, ...],
    queues: tuple[str, ...],
    tags: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Make jobs due now, with all their attempts before them: failed, completed, dead or cancelled ones.

    Name them by their ids, or filter them; of several ids, all must be in such a state. Earlier runs are kept.
    """
    is_filtered = bool(states or queues or tags)
    if is_filtered == bool(job_ids):
        raise click.UsageError("give ids, or filters (--state, --queue, --tag)" + (", not both" if job_ids else ""))
    async with invocation.store() as store:
        ids = [await store.resolve(job_id) for job_id in job_ids]
        selection = JobFilter(states=states, queues=queues, tags=tags) if is_filtered else ids
        retried = await store.apply(Action.RETRY, selection, dry_run=dry_run)
    print_retried(invocation, retried, dry_run=dry_run)


def print_retried(invocation: Invocation, ids: Sequence[str], *, dry_run: bool = False) -> None:
    """Print the ids of jobs that are, or would be, due again."""
    if invocation.is_json:
        print_document({"retried": list(ids), "dry_run": dry_run})
    else:
        for job_id in ids:
            emit(job_id)
    verb = "would be" if dry_run else "is" if len(ids) == 1 else "are"
    invocation.say(f"{counted(len(ids), 'job')} {verb} due again")

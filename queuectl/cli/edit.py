"""``edit``: changes what jobs are like that do not run and are not final."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.exits import STEERED
from queuectl.cli.filters import state_option
from queuectl.cli.job_options import change_options, options_document
from queuectl.cli.options import command
from queuectl.cli.selection import dry_run_option, ids_argument, print_done, selected
from queuectl.job_changes import parse_changes

if TYPE_CHECKING:
    from queuectl.cli.invocation import Invocation
    from queuectl.job import JobState

__all__ = ["edit"]


@command(
    "edit",
    exits=STEERED,
    examples=("queuectl edit job1 --priority 5 --timeout 10m", "queuectl edit --queue mail --delay 1h"),
)
@ids_argument
@state_option
@dry_run_option
@change_options
async def edit(
    invocation: Invocation, *, job_ids: tuple[str, ...], states: tuple[JobState, ...], dry_run: bool, **options: Any
) -> None:
    """Change jobs that do not run and are not final: any key but the id, unique and after.

    Name them by their ids, or filter them by --state, --queue and --tag. With ids, --queue and --tag are what the jobs
    are to have.
    """
    filters: dict[str, Any] = {"queues": (), "tags": ()}
    if not job_ids:
        queue, tags = options.pop("queue"), options.pop("tags")
        filters = {"queues": () if queue is None else (queue,), "tags": tags}
    changes = parse_changes(options_document(**options))
    if not changes:
        raise click.UsageError("say what to change, for example --priority 5")
    async with selected(invocation, job_ids=job_ids, states=states, dry_run=dry_run, **filters) as (store, chosen):
        edited = await store.edit(chosen, changes, dry_run=dry_run)
    print_done(invocation, edited, "edited", dry_run=dry_run)

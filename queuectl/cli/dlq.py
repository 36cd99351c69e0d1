"""``dlq``: the dead letter queue, where jobs go that kept failing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.exits import FOUND, STEERED
from queuectl.cli.filters import list_options
from queuectl.cli.jobs import print_job, print_list
from queuectl.cli.options import command, duration_option, group
from queuectl.cli.render import print_document
from queuectl.cli.selection import print_done
from queuectl.cli.text import counted
from queuectl.errors import WrongState
from queuectl.job import Job, JobState
from queuectl.store.base import JobFilter
from queuectl.transition import Action

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from queuectl.cli.invocation import Invocation
    from queuectl.store.base import Selection, Store

__all__ = ["dlq"]


@command("list", is_list=True, examples=("queuectl dlq list --since 1d",))
@list_options
async def list_dead(invocation: Invocation, **options: Any) -> None:
    """List the dead jobs: the newest 50, the oldest of them first."""
    await print_list(invocation, (JobState.DEAD,), **options)


@command("show", exits=FOUND, examples=("queuectl dlq show job1",))
@click.argument("job_id", metavar="ID")
async def show(invocation: Invocation, job_id: str) -> None:
    """Show one dead job whole, its runs, and the end of its output."""
    async with invocation.store(read_only=True) as store:
        await print_job(invocation, store, await _get_dead(store, job_id))


@command("retry", exits=STEERED, examples=("queuectl dlq retry job1", "queuectl dlq retry --all"))
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead jobs.")
async def retry(invocation: Invocation, *, job_ids: Sequence[str], everything: bool) -> None:
    """Make dead jobs due now, with all their attempts before them. Their earlier runs are kept."""
    if everything == bool(job_ids):
        raise click.UsageError("give ids, or --all" + (", not both" if everything else ""))
    async with invocation.store() as store:
        dead: Selection = JobFilter(states=(JobState.DEAD,))
        if not everything:
            dead = [(await _get_dead(store, job_id)).id for job_id in job_ids]
        retried = await store.apply(Action.RETRY, dead)
    print_done(invocation, retried, "retried", words="due again")


@command("purge", examples=("queuectl dlq purge --older-than 30d",))
@duration_option("--older-than", "Only jobs that died at least so long ago.")
async def purge(invocation: Invocation, older_than: timedelta | None) -> None:
    """Delete dead jobs, with their runs and output, for good. It asks nothing."""
    async with invocation.store() as store:
        before = None if older_than is None else store.now() - older_than
        count = await store.purge([JobState.DEAD], before)
    if invocation.is_json:
        print_document({"purged": count})
    invocation.say(f"purged {counted(count, 'dead job')}")


async def _get_dead(store: Store, text: str) -> Job:
    job = await store.get(await store.resolve(text))
    if job.state is not JobState.DEAD:
        raise WrongState(f"job {job.id} is not in the dead letter queue: it is {job.state}")
    return job


dlq = group("dlq", "The dead letter queue: jobs whose attempts are used up.", list_dead, show, retry, purge)

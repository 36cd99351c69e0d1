"""``cancel``, ``hold``, ``release``, ``retry``, ``delete``: what users do to jobs by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.exits import STEERED
from queuectl.cli.options import command
from queuectl.cli.selection import print_done, selected, selection_options
from queuectl.cli.text import counted
from queuectl.errors import JobNotFound, WrongState
from queuectl.job import JobState
from queuectl.store.base import JobFilter
from queuectl.transition import Action

if TYPE_CHECKING:
    from collections.abc import Collection

    from queuectl.cli.invocation import Invocation
    from queuectl.store.base import Store

__all__ = ["cancel", "delete", "hold", "release", "retry"]

LOOK_AGAIN = 0.5
"""Seconds: a store on which nobody rings is looked at so often."""


@command(
    "cancel", exits=STEERED, examples=("queuectl cancel job1", "queuectl cancel --queue mail --state pending,failed")
)
@selection_options
@click.option("--no-wait", is_flag=True, help="Do not wait until running jobs are stopped.")
async def cancel(invocation: Invocation, *, dry_run: bool, no_wait: bool, **selection: Any) -> None:
    """Cancel jobs that are not final. Running ones are stopped, and waited for; one that succeeds first has completed.

    Name them by their ids, or filter them; of several ids, all must be in such a state. Ctrl-C ends the waiting, not
    the cancelling.
    """
    async with selected(invocation, dry_run=dry_run, **selection) as (store, chosen):
        ids = await store.apply(Action.CANCEL, chosen, dry_run=dry_run)
        running = [] if dry_run else await _stopping(store, ids)
        if running and not no_wait:
            invocation.say(f"waiting for {counted(len(running), 'running job')} to stop", mark="·")
            await _until_stopped(store, running)
        # One that was named may have completed before it was seen to run.
        asked = ids if selection["job_ids"] else running
        completed = [] if dry_run or no_wait else [job_id for job_id in asked if await _has_completed(store, job_id)]
    words = "cancelled, or will be when stopped" if running and no_wait else ""
    cancelled = [job_id for job_id in ids if job_id not in completed]
    print_done(invocation, cancelled, "cancelled", words=words, dry_run=dry_run)
    if completed:
        raise WrongState(f"too late to cancel {', '.join(completed)}: completed before it was stopped")


async def _stopping(store: Store, ids: Collection[str]) -> list[str]:
    """Give those of these jobs that run and are to be cancelled."""
    wanted = set(ids)
    running = store.list_jobs(JobFilter(states=(JobState.PROCESSING,)))
    return [job.id async for job in running if job.cancelling and job.id in wanted]


async def _until_stopped(store: Store, ids: Collection[str]) -> None:
    while await _stopping(store, ids):
        await store.wait_for_change(LOOK_AGAIN)


async def _has_completed(store: Store, job_id: str) -> bool:
    try:
        return (await store.get(job_id)).state is JobState.COMPLETED
    except JobNotFound:
        return False


@command("hold", exits=STEERED, examples=("queuectl hold job1", "queuectl hold --tag nightly"))
@selection_options
async def hold(invocation: Invocation, *, dry_run: bool, **selection: Any) -> None:
    """Keep jobs from being started until they are released: pending, failed or blocked ones."""
    async with selected(invocation, dry_run=dry_run, **selection) as (store, chosen):
        ids = await store.apply(Action.HOLD, chosen, dry_run=dry_run)
    print_done(invocation, ids, "held", dry_run=dry_run)


@command("release", exits=STEERED, examples=("queuectl release job1", "queuectl release --queue mail"))
@selection_options
async def release(invocation: Invocation, *, dry_run: bool, **selection: Any) -> None:
    """Let go of jobs that are held. One that waits for other jobs goes on waiting."""
    async with selected(invocation, dry_run=dry_run, **selection) as (store, chosen):
        ids = await store.apply(Action.RELEASE, chosen, dry_run=dry_run)
    print_done(invocation, ids, "released", dry_run=dry_run)


@command("retry", exits=STEERED, examples=("queuectl retry job1", "queuectl retry --state dead --queue mail --dry-run"))
@selection_options
async def retry(invocation: Invocation, *, dry_run: bool, **selection: Any) -> None:
    """Make jobs due now, with all their attempts before them: failed, completed, dead or cancelled ones.

    Name them by their ids, or filter them; of several ids, all must be in such a state. Earlier runs are kept.
    """
    async with selected(invocation, dry_run=dry_run, **selection) as (store, chosen):
        ids = await store.apply(Action.RETRY, chosen, dry_run=dry_run)
    print_done(invocation, ids, "retried", words="due again", dry_run=dry_run)


@command("delete", exits=STEERED, examples=("queuectl delete job1", "queuectl delete --state cancelled --dry-run"))
@selection_options
async def delete(invocation: Invocation, *, dry_run: bool, **selection: Any) -> None:
    """Delete jobs for good, with their runs and output: any that do not run. It asks nothing."""
    async with selected(invocation, dry_run=dry_run, **selection) as (store, chosen):
        ids = await store.apply(Action.DELETE, chosen, dry_run=dry_run)
    print_done(invocation, ids, "deleted", dry_run=dry_run)

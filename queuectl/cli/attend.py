"""``enqueue --wait`` and ``--follow``: stores jobs and stays until they are final."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from queuectl.cli.after import with_whole_ids
from queuectl.cli.documents import job_document
from queuectl.cli.exits import SIGNALLED, ExitCode
from queuectl.cli.follow import follow_job
from queuectl.cli.hints import say_what_is_missing
from queuectl.cli.raw import print_both
from queuectl.cli.receipts import print_receipt, say_receipt
from queuectl.cli.render import print_document
from queuectl.cli.wait import print_jobs, say_ended, wait_for_jobs
from queuectl.job import JobState
from queuectl.outcome import Exited, Signalled, SpawnFailed, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queuectl.cli.invocation import Invocation
    from queuectl.job import Job, Run
    from queuectl.new_job import NewJob, Receipt
    from queuectl.store.base import Store

__all__ = ["attend_batch", "enqueue_and_attend", "exit_code_of_job"]


async def enqueue_and_attend(invocation: Invocation, job: NewJob, *, is_after: bool, follow: bool) -> int:
    """Store a job, stay until it is final, and give its exit code. With `follow`, print its output meanwhile."""
    async with invocation.store() as store:
        # Read first: settings that are refused must be so before the job is stored.
        settings = await invocation.settings(store)
        [receipt] = await store.enqueue(await with_whole_ids(store, [job]) if is_after else [job])
        with _leaving_alone(invocation, f"{receipt.id} goes on", f"{'logs -f' if follow else 'wait'} {receipt.id}"):
            await (_follow if follow else _wait)(invocation, store, receipt)
        ended = await store.get(receipt.id)
        if invocation.is_json:
            print_document(job_document(ended, settings))
        return exit_code_of_job(ended, await store.list_runs(receipt.id))


async def _follow(invocation: Invocation, store: Store, receipt: Receipt) -> None:
    # What stands on stdout is the command's.
    say_receipt(invocation, receipt)
    await say_what_is_missing(invocation, store, [receipt.id])
    say_ended(invocation, await follow_job(invocation, store, receipt.id, print_both))


async def _wait(invocation: Invocation, store: Store, receipt: Receipt) -> None:
    if not invocation.is_json:
        print_receipt(invocation, receipt)
        sys.stdout.flush()
    await wait_for_jobs(invocation, store, [receipt.id])


async def attend_batch(invocation: Invocation, receipts: Sequence[Receipt]) -> ExitCode:
    """Stay until the jobs of a batch are final, and give whether all of them completed."""
    ids = list(dict.fromkeys(receipt.id for receipt in receipts))
    sys.stdout.flush()
    async with invocation.store(read_only=True) as store:
        with _leaving_alone(invocation, "the jobs go on", "list"):
            code = await wait_for_jobs(invocation, store, ids)
        if invocation.is_json:
            await print_jobs(invocation, store, ids)
    return code


@contextmanager
def _leaving_alone(invocation: Invocation, what: str, command: str) -> Iterator[None]:
    """Say, when Ctrl-C comes, that it ends only the waiting, and how to look again."""
    try:
        yield
    except (asyncio.CancelledError, KeyboardInterrupt):
        invocation.say(f"{what}; look again with: {invocation.line(command)}", mark="·")
        raise


def exit_code_of_job(job: Job, runs: Sequence[Run]) -> int:
    """Give the exit code of a final job: that of its last run, as a shell would report it.

    It is 124 for the job's timeout, and 125 where the job did not end by its command's doing.
    """
    if job.state is JobState.COMPLETED:
        return ExitCode.DONE
    if job.state is not JobState.DEAD or not runs:
        return ExitCode.OWN
    last = runs[-1]
    match last.outcome, last.exit_code, last.signal:
        case Exited.name | SpawnFailed.name, int(code), _:
            return code
        case Signalled.name, _, int(number):
            return SIGNALLED + number
        case TimedOut.name, _, _:
            return ExitCode.TIMED_OUT
        case _:
            return ExitCode.OWN

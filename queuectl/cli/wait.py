"""``wait``: until jobs are final."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.documents import job_document
from queuectl.cli.exits import FOUND, ExitCode
from queuectl.cli.failures import Failures
from queuectl.cli.hints import say_what_is_missing
from queuectl.cli.looks import looks
from queuectl.cli.options import command, duration_option
from queuectl.cli.progress import has_bar
from queuectl.cli.render import print_document
from queuectl.cli.text import escape
from queuectl.job import FINAL_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import timedelta

    from queuectl.cli.invocation import Invocation
    from queuectl.job import Job
    from queuectl.store.base import Store

__all__ = ["print_jobs", "say_ended", "wait", "wait_for_jobs"]

_AT_ONCE = 20
"""How many jobs that are not final a look takes in: a look is to be short, however many there are."""


@command(
    "wait",
    exits={**FOUND, ExitCode.NO: "one of them did not complete", ExitCode.TIMED_OUT: "the time was over"},
    examples=("queuectl wait job1 job2", "queuectl wait job1 --timeout 10m"),
)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@duration_option("--timeout", "Wait no longer than this, and then end with 124.")
async def wait(invocation: Invocation, job_ids: Sequence[str], timeout: timedelta | None) -> ExitCode:
    """Wait until jobs are final: completed, dead or cancelled.

    Ends with 0 if all of them completed, with 1 if not. On a terminal a progress bar is shown; with -v, and elsewhere,
    a line for each job. Ctrl-C ends the waiting and leaves the jobs alone. As JSON, the jobs as they are in the end.
    """
    async with invocation.store(read_only=True) as store:
        ids = list(dict.fromkeys([await store.resolve(job_id) for job_id in job_ids]))
        code = await wait_for_jobs(invocation, store, ids, timeout)
        if invocation.is_json:
            await print_jobs(invocation, store, ids)
    return code


async def wait_for_jobs(
    invocation: Invocation, store: Store, ids: Sequence[str], timeout: timedelta | None = None
) -> ExitCode:
    """Wait until all these different jobs are final, show it on stderr, and give the exit code.

    Raises:
        JobNotFound: one of them is not there, or was deleted before it was seen to be final.
    """
    await say_what_is_missing(invocation, store, ids)
    states = Counter[JobState]()
    async with _shown(invocation, store, len(ids)) as show:
        async for job in _finals(store, ids, timeout):
            states[job.state] += 1
            show(job)
    unfinished = len(ids) - states.total()
    code = ExitCode.TIMED_OUT if unfinished else ExitCode.NO if states.keys() - {JobState.COMPLETED} else ExitCode.DONE
    parts = [f"{states[state]} {state}" for state in JobState if states[state]]
    if unfinished:
        parts.append(f"{unfinished} not finished in time")
    if len(ids) > 1 or unfinished:
        invocation.say(", ".join(parts), mark="✗" if code else "✓")
    return code


async def print_jobs(invocation: Invocation, store: Store, ids: Sequence[str]) -> None:
    """Print jobs as JSON, in this order."""
    settings = await invocation.settings(store)
    print_document([job_document(await store.get(job_id), settings) for job_id in ids])


async def _finals(store: Store, ids: Sequence[str], timeout: timedelta | None) -> AsyncIterator[Job]:
    """Give each job when it is seen to be final, until all are or the time is over."""
    left = deque(ids)
    async for _ in looks(store, timeout):
        unfinished: list[str] = []
        while left and len(unfinished) < _AT_ONCE:
            job = await store.get(left.popleft())
            if job.state in FINAL_STATES:
                yield job
            else:
                unfinished.append(job.id)
        left.extendleft(reversed(unfinished))
        if not left:
            return


@asynccontextmanager
async def _shown(invocation: Invocation, store: Store, count: int) -> AsyncIterator[Callable[[Job], None]]:
    """Give what shows that a job is final: a bar that moves on, or a line."""
    if not has_bar(invocation):
        yield lambda job: say_ended(invocation, job)
        return
    from queuectl.cli.bar import new_bar  # noqa: PLC0415 - slow to import, and only a terminal wants it

    failures = Failures()
    with new_bar() as bar:
        task = bar.add_task("jobs", total=count)

        def show(job: Job) -> None:
            if job.state is not JobState.COMPLETED:
                failures.add(job.id, job.runs, _ending(job))
            bar.advance(task)

        yield show
    await failures.read_last_words(store)
    failures.say(invocation)


def say_ended(invocation: Invocation, job: Job) -> None:
    """Say in a line what became of a job."""
    invocation.say(f"{job.id}: {escape(_ending(job))}", mark="✓" if job.state is JobState.COMPLETED else "✗")


def _ending(job: Job) -> str:
    """Say what became of a job, and why."""
    return f"{job.state}, {job.error}" if job.error and job.error != job.state else str(job.state)

"""``list`` and ``show``: jobs, many in short or one whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.documents import job_document
from queuectl.cli.exits import FOUND
from queuectl.cli.filters import list_options, state_option
from queuectl.cli.invocation import Invocation, Output
from queuectl.cli.job_page import print_job_page
from queuectl.cli.options import command
from queuectl.cli.render import Table, emit, in_pages, print_document, print_documents, print_line
from queuectl.cli.text import command_text, state_text, when_text
from queuectl.output import RunOutput
from queuectl.store.base import JobFilter, Sort

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from queuectl.cli.documents import Document
    from queuectl.job import Job, JobState
    from queuectl.settings import Settings
    from queuectl.store.base import Store

__all__ = ["list_jobs", "print_job", "print_list", "show"]


@command(
    "list", is_list=True, examples=("queuectl list --state failed,dead --since 2h", "queuectl list --limit 0 -o ids")
)
@state_option
@list_options
async def list_jobs(invocation: Invocation, states: tuple[JobState, ...], **options: Any) -> None:
    """List jobs: the newest 50, the oldest of them first.

    'scheduled' and 'retrying' are no states; they tell that a job waits for its time.
    """
    await print_list(invocation, states, **options)


async def print_list(
    invocation: Invocation,
    states: tuple[JobState, ...],
    *,
    queues: tuple[str, ...],
    tags: tuple[str, ...],
    since: datetime | timedelta | None,
    limit: int,
    sort: str,
) -> None:
    """Read jobs page by page and print them as they come. A duration `since` goes back from now."""
    async with invocation.store(read_only=True) as store:
        begin = store.now() - since if isinstance(since, timedelta) else since
        where = JobFilter(states=states, queues=queues, tags=tags, since=begin)
        jobs = store.list_jobs(where, sort=Sort(sort), limit=limit or None)
        match invocation.list_output:
            case Output.IDS:
                async for job in jobs:
                    emit(job.id)
            case Output.TABLE:
                if not await _print_table(invocation, store, jobs):
                    is_filtered = where != JobFilter()
                    hint = "no such jobs" if is_filtered else "no jobs yet; store one with: queuectl enqueue COMMAND"
                    invocation.say(hint, mark="·")
            case Output.JSON:
                await print_documents(_documents(jobs, await invocation.settings(store)))
            case Output.NDJSON:
                async for document in _documents(jobs, await invocation.settings(store)):
                    print_line(document)


async def _documents(jobs: AsyncIterator[Job], settings: Settings) -> AsyncIterator[Document]:
    async for job in jobs:
        yield job_document(job, settings)


async def _print_table(invocation: Invocation, store: Store, jobs: AsyncIterator[Job]) -> bool:
    """Print jobs as a table, and say whether there were any."""
    settings = await invocation.settings(store)
    paused = {rules.queue for rules in await store.queues() if rules.paused}
    spare = ("PRIORITY", "ATTEMPTS", "QUEUE", "WHEN")
    table = Table("ID", "STATE", "QUEUE", "PRIORITY", "ATTEMPTS", "WHEN", "COMMAND", spare=spare)
    async for page in in_pages(jobs):
        now = store.now()
        table.print([_row(job, state_text(job, now, paused), settings, now) for job in page])
    return not table.is_empty


def _row(job: Job, state: str, settings: Settings, now: datetime) -> tuple[str, ...]:
    return (
        job.id,
        state,
        job.queue,
        str(job.priority),
        f"{job.attempts}/{settings.policy(job).max_retries}",
        when_text(job, now),
        command_text(job.command),
    )


@command("show", exits=FOUND, examples=("queuectl show job1", "queuectl show job1 --json"))
@click.argument("job_id", metavar="ID")
async def show(invocation: Invocation, job_id: str) -> None:
    """Show one job whole, its runs, and the end of its output.

    The first characters of a generated id, at least 4, will do.
    """
    async with invocation.store(read_only=True) as store:
        await print_job(invocation, store, await store.get(await store.resolve(job_id)))


async def print_job(invocation: Invocation, store: Store, job: Job) -> None:
    """Print one job whole."""
    settings = await invocation.settings(store)
    output = await store.read_output(job.id, job.runs) if job.runs else RunOutput()
    if invocation.is_json:
        print_document(job_document(job, settings) | {"output": output.stdout.decode(errors="replace")})
    else:
        print_job_page(job, settings, await store.list_runs(job.id), output, store.now())

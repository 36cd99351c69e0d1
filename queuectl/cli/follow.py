"""What a job prints, while it prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.looks import looks
from queuectl.job import FINAL_STATES, JobState
from queuectl.output import START

if TYPE_CHECKING:
    from collections.abc import Callable

    from queuectl.cli.invocation import Invocation
    from queuectl.job import Job
    from queuectl.output import Position, RunOutput
    from queuectl.store.base import Store

__all__ = ["follow_job", "follow_run"]


async def follow_job(
    invocation: Invocation,
    store: Store,
    job_id: str,
    show: Callable[[RunOutput], None],
    *,
    run: int = 0,
    after: Position = START,
) -> Job:
    """Show what a job prints, behind `after` in one run and whole in all later ones, until the job is final.

    Says on stderr where one run ends and the next begins. Gives the job.

    Raises:
        JobNotFound: it was deleted.
    """
    async for _ in looks(store):
        # First the job, then its output: of a run that is over nothing can be missing.
        job = await store.get(job_id)
        for number in range(run, job.runs + 1):
            if number != run:
                await _say_next(invocation, store, job_id, number)
                run, after = number, START
            after = await _show_news(store, job_id, show, run, after)
        if job.state in FINAL_STATES:
            break
    return job


async def follow_run(
    store: Store, job_id: str, show: Callable[[RunOutput], None], *, run: int, after: Position
) -> None:
    """Show what one run prints behind `after`, until the run is over.

    Raises:
        JobNotFound: the job was deleted.
    """
    async for _ in looks(store):
        job = await store.get(job_id)
        after = await _show_news(store, job_id, show, run, after)
        if job.runs > run or job.state is not JobState.PROCESSING:
            break


async def _show_news(
    store: Store, job_id: str, show: Callable[[RunOutput], None], run: int, after: Position
) -> Position:
    output = await store.read_output(job_id, run, after=after)
    show(output)
    return output.end


async def _say_next(invocation: Invocation, store: Store, job_id: str, run: int) -> None:
    ended = [before for before in await store.list_runs(job_id) if before.run == run - 1]
    for before in ended:
        invocation.say(f"run {before.run} ended: {before.error or 'exit code 0'}; run {run} begins", mark="·")

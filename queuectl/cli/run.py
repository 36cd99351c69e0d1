"""``run``: the engine in the foreground."""

from __future__ import annotations

import gc
import os
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import asyncclick as click

from queuectl.cli.exits import ExitCode
from queuectl.cli.failures import Failures
from queuectl.cli.options import command, duration_option
from queuectl.cli.progress import shown
from queuectl.cli.render import print_document
from queuectl.errors import StoreLocked, StoreUnavailable
from queuectl.events import Event, JobFinished, JobRescued, StoreRecovered, StoreWaiting, WalEmptied, WalGrown
from queuectl.job import JobState
from queuectl.outcome import SpawnFailed
from queuectl.store import open_store
from queuectl.transition import describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from queuectl.cli.exits import Exits
    from queuectl.cli.invocation import Invocation
    from queuectl.engine import EngineReport
    from queuectl.events import Listener
    from queuectl.registration import QueueCounts
    from queuectl.store.base import Store

__all__ = ["ENGINE_EXITS", "run", "run_engine", "run_options"]

T = TypeVar("T")

AGAIN = 0.2
"""Seconds between two tries to read."""


class Tally:
    """Counts what became of jobs, and keeps why they died: a listener."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._states: Counter[JobState] = Counter()
        self.failures = Failures()

    def __call__(self, event: Event) -> None:
        """Count the end of an execution."""
        if isinstance(event, (JobFinished, JobRescued)):
            self._states[event.state] += 1
            if event.state is JobState.DEAD:
                self.failures.add(event.job.id, event.job.runs, _why(event))

    @property
    def ended(self) -> dict[str, int]:
        """How many jobs became final, by state; completed and dead ones are always named."""
        named = {JobState.COMPLETED, JobState.DEAD} | ({JobState.CANCELLED} & self._states.keys())
        return {str(state): self._states[state] for state in JobState if state in named}


def _why(event: JobFinished | JobRescued) -> str:
    """Say why a job died, without a word of its command: this may stand in a log."""
    match event:
        case JobFinished(outcome=SpawnFailed(exit_code=code)):
            return f"could not start, exit code {code}"
        case JobFinished(outcome=outcome):
            return describe(outcome)
        case JobRescued(reason=reason):
            return reason


def run_options(function: Any) -> Any:
    """Add the options of an engine, but the number of its workers, which goes by two names."""
    for option in (
        click.option(
            "--trust-store",
            is_flag=True,
            help="Run jobs from a store that others may write to, or that another user owns: they can run anything.",
        ),
        duration_option("--drain-timeout", "How long a drain waits before running jobs are stopped and given back."),
        click.option("--until-idle", is_flag=True, help="End when nothing is running, due, or waiting for a retry."),
        click.option("--queue", "queues", multiple=True, metavar="QUEUE", help="Serve only this queue; repeatable."),
    ):
        function = option(function)
    return function


WORKERS = click.IntRange(1, 10_000)


ENGINE_EXITS: Exits = {
    ExitCode.DONE: "it drained, or was idle",
    ExitCode.NO: "it gave running jobs back; or it ran until it was idle, and a job died",
}
"""What exit codes mean to an engine."""


@command("run", exits=ENGINE_EXITS, examples=("queuectl run --workers 8", "queuectl run --queue mail --until-idle"))
@click.option("--workers", type=WORKERS, metavar="N", help="Jobs at once; else the setting, else 2 x the processors.")
@run_options
async def run(invocation: Invocation, **options: Any) -> ExitCode:
    """Run jobs, in the foreground.

    Ctrl-C or SIGTERM drains: no new jobs are started, and running ones finish. A second signal stops them and gives
    them back, to run again later; a third ends the engine at once.
    """
    return await run_engine(invocation, **options)


async def run_engine(
    invocation: Invocation,
    *,
    workers: int | None,
    queues: tuple[str, ...],
    until_idle: bool,
    drain_timeout: timedelta | None,
    trust_store: bool,
) -> ExitCode:
    """Run an engine to its end, with its log or a progress bar on stderr, and say what it did.

    Gives 1 if it gave jobs back, or if it ran until it was idle and a job died.
    """
    from queuectl.engine import Engine, handle_signals  # noqa: PLC0415 - after the help and the refusals

    tally = Tally()
    with shown(invocation, until_idle=until_idle) as display:
        listeners: Sequence[Listener] = (display, tally)
        async with _patient_store(invocation, listeners, check_owner=not trust_store) as store:
            settings = await _read(partial(invocation.settings, store), listeners)
            engine = Engine(
                store,
                settings=settings,
                workers=workers or settings.workers or 2 * _processors(),
                queues=queues or None,
                until_idle=until_idle,
                drain_timeout=drain_timeout,
                listeners=listeners,
            )
            display.expect(_open_jobs(await _read(store.counts, listeners), queues))
            async with handle_signals(engine):
                # What is loaded by now stays: looked through at each round, it would be most of what there is.
                gc.freeze()
                report = await engine.run()
            await tally.failures.read_last_words(store)
    code = ExitCode.NO if report.given_back or (until_idle and report.buried) else ExitCode.DONE
    if until_idle:
        tally.failures.say(invocation)
    _summarize(invocation, tally, report, mark="✗" if code else "✓")
    return code


def _patient_store(
    invocation: Invocation, listeners: Sequence[Listener], *, check_owner: bool
) -> AbstractAsyncContextManager[Store]:
    """Open the store for an engine, which waits without end where a command gives up."""
    emit = partial(_emit, listeners)
    return open_store(
        invocation.url,
        patient=True,
        check_owner=check_owner,
        on_wait=lambda error: emit(StoreRecovered() if error is None else StoreWaiting(str(error))),
        on_growth=lambda size: emit(WalEmptied() if size is None else WalGrown(size)),
    )


async def _read(read: Callable[[], Awaitable[T]], listeners: Sequence[Listener]) -> T:
    """Read what an engine wants to know before it begins. A store that goes away in that very moment is waited for."""
    is_waiting = False
    while True:
        try:
            found = await read()
        except (StoreLocked, StoreUnavailable) as error:
            if not is_waiting:
                _emit(listeners, StoreWaiting(str(error)))
            is_waiting = True
            await anyio.sleep(AGAIN)
        else:
            if is_waiting:
                _emit(listeners, StoreRecovered())
            return found


def _emit(listeners: Sequence[Listener], event: Event) -> None:
    for listener in listeners:
        listener(event)


def _processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open_jobs(counts: Sequence[QueueCounts], queues: Sequence[str]) -> int:
    """Count the jobs that the engine may come to run."""
    served = [of.jobs for of in counts if not queues or of.queue in queues]
    return sum(
        jobs.get(state, 0) for jobs in served for state in (JobState.PENDING, JobState.FAILED, JobState.PROCESSING)
    )


def _summarize(invocation: Invocation, tally: Tally, report: EngineReport, *, mark: str) -> None:
    """Say what the engine did."""
    if invocation.is_json:
        print_document({"engine": report.engine_id, **tally.ended, "given_back": report.given_back})
    parts = [f"{count} {state}" for state, count in tally.ended.items()]
    if report.given_back:
        parts.append(f"{report.given_back} given back")
    invocation.say(", ".join(parts), mark=mark)

"""An engine's log on stderr: its events in words.

Jobs are named by their ids. What they run, and with which environment, is never written: it may hold secrets.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, assert_never

import structlog

from queuectl.events import (
    DrainStarted,
    EngineCutOff,
    EngineFenced,
    EngineStarted,
    EngineStopped,
    GuardianBack,
    GuardianLost,
    GuardianStruck,
    JobClaimed,
    JobFinished,
    JobRescued,
    JobsPruned,
    LeaseLost,
    NoProcessLeft,
    SettingsRefused,
    StopForced,
    StoreRecovered,
    StoreWaiting,
    WalEmptied,
    WalGrown,
)
from queuectl.job import JobState
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Outcome, Signalled, SpawnFailed, TimedOut

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

    from queuectl.events import Event

__all__ = ["Log"]


class Log:
    """A listener that writes events to stderr: for a person in colour, with local times, else a JSON object a line.

    What is routine is written from level debug or info on, what a person should look at as a warning.
    """

    def __init__(self, level: int, *, colour: bool) -> None:
        """Write what is of that level, one of `logging`'s, or above."""
        self._level = level
        self._log: FilteringBoundLogger = structlog.wrap_logger(
            _Stderr(),
            processors=[
                structlog.processors.add_log_level,
                *(_console(colour=colour) if sys.stderr.isatty() else _json_lines()),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            # Bound once: else structlog makes a logger for each line, and for each that is not written, too.
        ).bind()

    def __call__(self, event: Event) -> None:
        """Write one event."""
        match event:
            case JobClaimed() | JobFinished() | JobRescued() | LeaseLost():
                self._log_job(event)
            case EngineStarted() | DrainStarted() | StopForced() | EngineStopped() | EngineFenced() | EngineCutOff():
                self._log_engine(event)
            case GuardianLost(reason=reason):
                self._log.warning("nobody guards the running jobs; starting another guardian", reason=reason)
            case GuardianBack():
                self._log.warning("a guardian watches over the running jobs again")
            case GuardianStruck(running=running):
                self._log.warning("too long without a heartbeat; the guardian has killed what ran", running=running)
            case JobsPruned(count=count):
                self._log.info("old jobs deleted", count=count)
            case NoProcessLeft(reason=reason, pause=pause):
                self._log.warning(
                    "no process could be started; slowing down", reason=reason, pause=pause.total_seconds()
                )
            case SettingsRefused(reason=reason):
                self._log.warning("stored settings refused; keeping the earlier ones", reason=reason)
            case StoreWaiting() | StoreRecovered() | WalGrown() | WalEmptied():
                self._log_store(event)
            case _:
                assert_never(event)

    def _log_job(self, event: JobClaimed | JobFinished | JobRescued | LeaseLost) -> None:
        match event:
            case JobClaimed(job=job):
                self._log.debug("job claimed", job=job.id, run=job.runs, queue=job.queue, worker=job.worker)
            case JobFinished(state=state) if state is not JobState.DEAD and self._level > logging.INFO:
                pass  # Its fields are not made for nothing.
            case JobFinished(job=job, outcome=outcome, state=state, duration=duration):
                write = self._log.warning if state is JobState.DEAD else self._log.info
                seconds = None if duration is None else round(duration.total_seconds(), 3)
                write(f"job {state}", job=job.id, run=job.runs, **_outcome_fields(outcome), duration=seconds)
            case JobRescued(job=job, state=state, reason=reason, killed=killed):
                self._log.warning("job of a dead engine rescued", job=job.id, state=state, reason=reason, killed=killed)
            case LeaseLost(claim=claim):
                self._log.warning("job lost to another engine; its end is not recorded here", job=claim.job_id)
            case _:
                assert_never(event)

    def _log_engine(
        self,
        event: EngineStarted | DrainStarted | StopForced | EngineStopped | EngineFenced | EngineCutOff,
    ) -> None:
        match event:
            case EngineStarted(engine_id=engine_id, workers=workers, queues=queues):
                self._log.info("engine started", engine=engine_id, workers=workers, queues=queues or "all")
            case DrainStarted(reason=reason, running=running):
                self._log.info("draining: no new jobs, waiting for those that run", reason=reason, running=running)
            case StopForced(reason=reason, running=running):
                self._log.warning("stopping the jobs that still run", reason=reason, running=running)
            case EngineStopped(engine_id=engine_id, given_back=given_back):
                self._log.info("engine stopped", engine=engine_id, given_back=given_back)
            case EngineFenced(engine_id=engine_id):
                self._log.warning("taken for dead by others; starting anew", engine=engine_id)
            case EngineCutOff(engine_id=engine_id):
                self._log.warning(
                    "cut off from the store; running jobs are killed before others take them", engine=engine_id
                )
            case _:
                assert_never(event)

    def _log_store(self, event: StoreWaiting | StoreRecovered | WalGrown | WalEmptied) -> None:
        match event:
            case StoreWaiting(reason=reason):
                self._log.warning("the store cannot be used now; waiting", reason=reason)
            case StoreRecovered():
                self._log.warning("the store can be used again")
            case WalGrown(size=size):
                self._log.warning("someone has been reading the store for long, and its log grows", bytes=size)
            case WalEmptied():
                self._log.warning("the store's log is in bounds again")
            case _:
                assert_never(event)


class _Stderr:
    """Writes lines to whatever stderr is by then: a progress bar puts itself in its place while it is shown."""

    def msg(self, line: str) -> None:
        """Write a line. One that cannot be written is lost: an engine goes on where its log has no reader or space."""
        with suppress(OSError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = msg


def _console(*, colour: bool) -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=colour, exception_formatter=structlog.dev.plain_traceback),
    ]


def _json_lines() -> list[Processor]:
    # Local variables in a traceback would show commands and environments.
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(transformer),
        structlog.processors.JSONRenderer(),
    ]


def _outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """Name an outcome with its figures, but not with its words: those may quote the command."""
    fields: dict[str, Any] = {"outcome": outcome.name}
    match outcome:
        case Exited(exit_code=code) | SpawnFailed(exit_code=code):
            fields["exit_code"] = code
        case Signalled(signal=number):
            fields["signal"] = number
        case TimedOut(timeout=timeout):
            fields["timeout"] = timeout.total_seconds()
        case Cancelled() | Interrupted() | EngineDied():
            pass
    return fields

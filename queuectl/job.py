"""The job: what a user asks for (`NewJob`), what the store keeps, and what became of each of its runs."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from queuectl.new_job import Condition, Dependency, NewJob, OnConflict, Receipt, Spec
from queuectl.value import value

if TYPE_CHECKING:
    from datetime import datetime, timedelta

__all__ = [
    "FINAL_STATES",
    "Claim",
    "Condition",
    "Dependency",
    "Job",
    "JobState",
    "NewJob",
    "OnConflict",
    "Receipt",
    "Run",
]


class JobState(StrEnum):
    """Where a job stands in its life."""

    PENDING = "pending"
    """Ready, or waiting for its `run_at`."""
    BLOCKED = "blocked"
    """Held by hand, or waiting for other jobs."""
    PROCESSING = "processing"
    """Claimed by a worker of an engine."""
    FAILED = "failed"
    """The last attempt failed; another is due at `run_at`."""
    COMPLETED = "completed"
    """An attempt succeeded."""
    DEAD = "dead"
    """Its attempts are used up: it is in the dead letter queue."""
    CANCELLED = "cancelled"
    """Cancelled before or while running."""


FINAL_STATES = frozenset({JobState.COMPLETED, JobState.DEAD, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds a job under. Every write about a running job names all three."""

    job_id: str
    engine_id: str
    """Random, never used again."""
    token: int
    """Only grows."""


@value
class Job(Spec):
    """A job as the store keeps it. Times are aware, in UTC, to the millisecond."""

    _: KW_ONLY
    id: str
    state: JobState
    run_at: datetime
    """When it is, or was, due."""
    attempts: int
    """Executions that ended by themselves."""
    runs: int
    """Executions in all."""
    crashes: int
    """Engines in a row that died under it."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    """Of the last run."""
    finished_at: datetime | None
    """When it became final."""
    engine_id: str | None
    """Of the last run."""
    worker: int | None
    """The slot of the last run in its engine."""
    claim_token: int
    pid: int | None
    """The process of the run under way, once the engine has reported it; also its process group and session."""
    pid_start: str | None
    """When that process started, in the machine's own terms: with the pid it names a process for good."""
    exit_code: int | None
    """Of the last run that ended by itself."""
    error: str | None
    """Why the last run did not succeed, or the job was cancelled, as a sentence."""
    held: bool = False
    """Whether it is held by hand."""
    unmet: int = 0
    """How many of the jobs in `after` are still to end as they have to."""
    cancelling: bool = False
    """Whether it runs, and a user wants it cancelled."""

    @property
    def claim(self) -> Claim:
        """The claim that the job is, or was last, held under."""
        return Claim(self.id, self.engine_id or "", self.claim_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a job's command."""

    job_id: str
    run: int
    """From 1, never reset."""
    attempt: int
    """`attempts` + 1 at its start."""
    engine_id: str
    worker: int
    outcome: str | None
    """The name of an `Outcome`; None while it runs."""
    exit_code: int | None
    signal: int | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    """None while it runs."""
    duration: timedelta | None
    """None while it runs, and where nobody saw the end."""

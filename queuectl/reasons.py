"""Why a job does not run, or what has become of it: each reason is a value with only what is true of it.

When which of them holds, `explain` says; their words stand elsewhere. Each `code` is stable for programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from queuectl.situation import Prerequisite

__all__ = [
    "AwaitsDeadJobs",
    "AwaitsJobs",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Dead",
    "EngineLost",
    "EnginesDraining",
    "Held",
    "JobsAhead",
    "KeyFull",
    "NoEngine",
    "QueueFull",
    "QueueNotServed",
    "QueuePaused",
    "RateUsedUp",
    "Ready",
    "Reason",
    "Retrying",
    "Running",
    "Scheduled",
    "WorkersBusy",
]


# ── It waits ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Its time has not come."""

    run_at: datetime
    code: ClassVar[str] = "scheduled"


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed, and the next is due later."""

    run_at: datetime
    attempts: int
    error: str | None
    code: ClassVar[str] = "retrying"


@dataclass(frozen=True, slots=True)
class Held:
    """A user holds it."""

    code: ClassVar[str] = "held"


@dataclass(frozen=True, slots=True)
class AwaitsJobs:
    """Other jobs have to end first."""

    jobs: tuple[Prerequisite, ...]
    """The first of them."""
    more: int
    """How many there are besides those that are named, here or as dead ones."""
    code: ClassVar[str] = "awaits_jobs"


@dataclass(frozen=True, slots=True)
class AwaitsDeadJobs:
    """Jobs that have to complete first are dead: that stays open until they are retried, or are no more."""

    jobs: tuple[Prerequisite, ...]
    """The first of them."""
    code: ClassVar[str] = "awaits_dead_jobs"


@dataclass(frozen=True, slots=True)
class QueuePaused:
    """Nothing of its queue is started."""

    queue: str
    code: ClassVar[str] = "queue_paused"


@dataclass(frozen=True, slots=True)
class QueueFull:
    """As many jobs of its queue run as may."""

    queue: str
    processing: int
    concurrency: int
    code: ClassVar[str] = "queue_full"


@dataclass(frozen=True, slots=True)
class RateUsedUp:
    """As many jobs of its queue were started as may be in this time."""

    queue: str
    rate: float
    """Starts in a second."""
    next_start: datetime
    code: ClassVar[str] = "rate_used_up"


@dataclass(frozen=True, slots=True)
class KeyFull:
    """As many jobs with its concurrency key run as it allows."""

    key: str
    processing: int
    limit: int
    jobs: tuple[str, ...]
    """The ids of the first that run."""
    code: ClassVar[str] = "key_full"


@dataclass(frozen=True, slots=True)
class NoEngine:
    """No engine is alive, as far as one can see."""

    silent: str | None
    """The engine that was last heard of, where it may still be there."""
    heard_at: datetime | None
    """When that was."""
    code: ClassVar[str] = "no_engine"


@dataclass(frozen=True, slots=True)
class QueueNotServed:
    """There are engines, of which none serves its queue."""

    queue: str
    served: tuple[str, ...]
    """The queues that are served."""
    code: ClassVar[str] = "queue_not_served"


@dataclass(frozen=True, slots=True)
class EnginesDraining:
    """All engines that serve its queue are asked to end."""

    queue: str
    engines: tuple[str, ...]
    code: ClassVar[str] = "engines_draining"


@dataclass(frozen=True, slots=True)
class JobsAhead:
    """Other jobs are ready too, and go before it."""

    higher: int
    """With a higher priority, in the queues that all engines serve which serve its own.

    As of the following, at most `situation.MOST_COUNTED` are counted.
    """
    earlier: int
    """In its queue, with the same priority, due earlier or older."""
    code: ClassVar[str] = "jobs_ahead"


@dataclass(frozen=True, slots=True)
class WorkersBusy:
    """Every worker that could take it runs another job."""

    workers: int
    code: ClassVar[str] = "workers_busy"


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing keeps it from being started."""

    code: ClassVar[str] = "ready"


# ── It runs ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Running:
    """Its command runs."""

    since: datetime
    run: int
    attempt: int
    engine: str
    host: str
    pid: int | None
    """Of the command; None until its engine has reported it."""
    code: ClassVar[str] = "running"


@dataclass(frozen=True, slots=True)
class Cancelling:
    """A user wants it cancelled, and it has not ended yet."""

    code: ClassVar[str] = "cancelling"


@dataclass(frozen=True, slots=True)
class EngineLost:
    """Its engine is gone or silent, and no other has taken the job over yet."""

    engine: str
    heard_at: datetime | None
    """When a silent one was last heard of; None for one that is gone."""
    is_anyone_there: bool
    """Whether another engine is alive, which will."""
    code: ClassVar[str] = "engine_lost"


# ── It is final ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Completed:
    """An attempt succeeded."""

    at: datetime | None
    code: ClassVar[str] = "completed"


@dataclass(frozen=True, slots=True)
class Dead:
    """Its attempts are used up, or no other is worth it."""

    at: datetime | None
    attempts: int
    error: str | None
    code: ClassVar[str] = "dead"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A user cancelled it, or a job before it ended otherwise than it had to."""

    at: datetime | None
    error: str | None
    code: ClassVar[str] = "cancelled"


Reason: TypeAlias = (
    Scheduled
    | Retrying
    | Held
    | AwaitsJobs
    | AwaitsDeadJobs
    | QueuePaused
    | QueueFull
    | RateUsedUp
    | KeyFull
    | NoEngine
    | QueueNotServed
    | EnginesDraining
    | JobsAhead
    | WorkersBusy
    | Ready
    | Running
    | Cancelling
    | EngineLost
    | Completed
    | Dead
    | Cancelled
)

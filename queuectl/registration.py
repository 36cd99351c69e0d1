"""An engine as the store knows it, and figures about the whole store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from queuectl.job import Claim, JobState

__all__ = ["EngineRecord", "Look", "NewEngine", "ProcessIdentity", "QueueCounts", "Stats"]


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """What names one process for good on one machine."""

    host: str
    """For people only; nothing is decided by it."""
    boot_id: str
    """New at every boot of the machine."""
    pid_namespace: str
    """Two containers share a boot id, but not their process ids."""
    pid: int
    start: str
    """When the process started, in the machine's own terms; tells apart processes that had the same id."""


@dataclass(frozen=True, slots=True)
class NewEngine:
    """An engine that is about to be registered."""

    id: str
    """Random, never used again."""
    process: ProcessIdentity
    workers: int
    lease: timedelta
    queues: tuple[str, ...] | None = None
    """None for all."""
    version: str = ""

    def serves(self, queue: str) -> bool:
        """Tell whether it takes jobs of a queue."""
        return self.queues is None or queue in self.queues


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecord(NewEngine):
    """A registered engine."""

    beats: int
    """Raised by each heartbeat."""
    started_at: datetime
    beat_at: datetime
    """When the last heartbeat was stored, by its writer's clock: for people, nothing is decided by it."""
    stopping: bool
    """Whether it was asked to drain."""
    processing: int
    """How many jobs it holds."""


@dataclass(frozen=True, slots=True)
class Look:
    """What an idle engine wants to know of the store."""

    ready: int
    """How many jobs it could claim now, up to the number it asked about; or how many a claim has to look at first."""
    next_due: datetime | None
    """When the next job becomes due, in any queue, or a queue's rate lets the next one start; None where none is to."""
    stopping: bool
    """Whether this engine was asked to drain."""
    to_cancel: frozenset[Claim] = frozenset()
    """The claims of this engine whose jobs are to be cancelled."""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The jobs of one queue by state; every state is there."""

    queue: str
    jobs: Mapping[JobState, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Figures over all jobs and runs that the store still has."""

    jobs: Mapping[JobState, int]
    """Every state is there."""
    total_runs: int
    """Executions that have ended."""
    failed_runs: int
    """Those of them that ended by themselves and did not succeed."""
    mean: timedelta | None
    """Of the durations, as are the following; None without any."""
    p50: timedelta | None
    p95: timedelta | None
    p99: timedelta | None
    longest: timedelta | None
    finished_last_minute: int
    finished_last_hour: int
    oldest_due: datetime | None
    """The `run_at` of the job that has been due for the longest time and is not yet claimed."""

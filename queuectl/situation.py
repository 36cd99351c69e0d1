"""All that decides whether a job runs, as a store has it at one moment; `explain` says what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from queuectl.job import Condition, Job, JobState
    from queuectl.queue_rules import Bucket, QueueRules
    from queuectl.registration import EngineRecord

__all__ = ["MOST_COUNTED", "MOST_NAMED", "Prerequisite", "Situation"]

MOST_NAMED = 10
"""How many other jobs are named."""
MOST_COUNTED = 10_000
"""How many jobs ahead are counted; there may be more."""


class Prerequisite(NamedTuple):
    """Another job that a job waits for."""

    id: str
    condition: Condition
    """How it has to end."""
    state: JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A job, and what stands around it."""

    now: datetime
    job: Job
    engines: tuple[EngineRecord, ...]
    """All that are registered."""
    rules: QueueRules
    """Of its queue."""
    bucket: Bucket | None
    """Of its queue, as it was when a token was last taken; None without a rate."""
    processing: int
    """How many jobs of its queue are processing."""
    prerequisites: tuple[Prerequisite, ...] = ()
    """What it still waits for: the first `MOST_NAMED`, dead ones before the others."""
    keyed: int = 0
    """How many jobs with its concurrency key are processing."""
    holders: tuple[str, ...] = ()
    """The ids of the first `MOST_NAMED` of those."""
    higher: Mapping[str, int] = field(default_factory=dict)
    """How many jobs of a higher priority are ready, by queue, counted up to `MOST_COUNTED` in all.

    Of its own queue, and of others from which one may start now.
    """
    earlier: int = 0
    """How many jobs of its queue and priority are ready that go before it, counted as far."""

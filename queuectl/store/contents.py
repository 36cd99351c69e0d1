"""All that is in a store, in the terms of no kind of store, so that another can take it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queuectl.dependency import Verdict
    from queuectl.job import Job, Run
    from queuectl.output import Chunk
    from queuectl.queue_rules import QueueRules

__all__ = ["Page", "StoredChunk", "StoredJob", "StoredRun"]


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job, and what only its store knows of it."""

    job: Job
    seq: int
    """Its age: higher is younger."""
    verdicts: tuple[Verdict, ...]
    """What was decided about each dependency in its `after`."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that has ended, and what only its store knows of it."""

    run: Run
    seq: int
    """Of its job."""
    claim_token: int


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A piece of what a run has printed."""

    seq: int
    """Of its job."""
    run: int
    chunk: Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of what is in a store; it may have something of each kind. A run or a piece comes after its job."""

    jobs: Sequence[StoredJob] = ()
    runs: Sequence[StoredRun] = ()
    output: Sequence[StoredChunk] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    queues: Sequence[QueueRules] = ()
    last_token: int = 0
    """The highest claim token that was given out, where the page says so."""

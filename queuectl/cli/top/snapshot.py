"""What `top` shows, as it was at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.cli.documents import Document, job_document, status_document
from queuectl.timestamp import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from queuectl.cli.top.tails import Tail
    from queuectl.job import Job
    from queuectl.queue_rules import QueueRules
    from queuectl.registration import EngineRecord, QueueCounts
    from queuectl.settings import Settings

__all__ = ["Snapshot", "snapshot_document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A store at a glance; of each kind of jobs the newest, and of pending ones those that are next."""

    now: datetime
    """By the store's clock."""
    place: str
    queues: tuple[tuple[QueueRules, QueueCounts], ...]
    engines: tuple[tuple[EngineRecord, str], ...]
    """The live ones, each with its state in a word."""
    running: tuple[Job, ...]
    failures: tuple[Job, ...]
    """Dead jobs, and failed ones that are to be retried."""
    waiting: tuple[Job, ...]
    """Blocked and pending jobs."""
    rates: tuple[float, ...] = ()
    """Jobs that became final in a second, over equal parts of the last minute; the latest part comes last."""
    rate: float = 0.0
    """The same over as much of the last minute as was seen."""


def snapshot_document(snapshot: Snapshot, tails: Mapping[str, Tail], settings: Settings) -> Document:
    """Give a snapshot as JSON: what ``status`` prints, and the jobs; of running ones the last line of output too."""
    return {
        "at": format_time(snapshot.now),
        **status_document(snapshot.queues, snapshot.engines),
        "running": [
            job_document(job, settings) | {"last_line": tails[job.id].last_line if job.id in tails else ""}
            for job in snapshot.running
        ],
        "failures": [job_document(job, settings) for job in snapshot.failures],
        "waiting": [job_document(job, settings) for job in snapshot.waiting],
    }

"""Jobs counted by queue and state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import JobState
from queuectl.registration import QueueCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["by_queue", "in_all"]


def by_queue(counted: Iterable[tuple[str, str, int]]) -> list[QueueCounts]:
    """Put counts of (queue, state, jobs) together, in the order in which the queues come; every state is there."""
    queues: dict[str, dict[JobState, int]] = {}
    for queue, state, jobs in counted:
        queues.setdefault(queue, dict.fromkeys(JobState, 0))[JobState(state)] = jobs
    return [QueueCounts(queue, jobs) for queue, jobs in queues.items()]


def in_all(queues: Iterable[QueueCounts]) -> Mapping[JobState, int]:
    """Sum the jobs of all queues up, by state."""
    counts = [queue.jobs for queue in queues]
    return {state: sum(jobs[state] for jobs in counts) for state in JobState}

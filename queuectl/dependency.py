"""What follows for the jobs that come after another one, once that one has come to its end."""

from __future__ import annotations

from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from queuectl.errors import InvalidJob
from queuectl.job import Condition, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["VERDICTS", "Verdict", "refuse_cycles", "why_impossible"]


class Verdict(StrEnum):
    """What has been decided about a dependency. It is decided once."""

    OPEN = "open"
    """Nothing yet."""
    MET = "met"
    """It holds the job back no longer."""
    IMPOSSIBLE = "impossible"
    """The job is cancelled for it."""


_OPEN, _MET, _IMPOSSIBLE = Verdict.OPEN, Verdict.MET, Verdict.IMPOSSIBLE

VERDICTS: Mapping[JobState | None, Mapping[Condition, Verdict]] = {
    JobState.COMPLETED: {Condition.OK: _MET, Condition.ANY: _MET, Condition.NOT_OK: _IMPOSSIBLE},
    # It may yet be retried from the dead letter queue.
    JobState.DEAD: {Condition.OK: _OPEN, Condition.ANY: _MET, Condition.NOT_OK: _MET},
    JobState.CANCELLED: {Condition.OK: _IMPOSSIBLE, Condition.ANY: _MET, Condition.NOT_OK: _MET},
    None: {Condition.OK: _IMPOSSIBLE, Condition.ANY: _MET, Condition.NOT_OK: _MET},
}
"""What is decided when a job becomes final, by its state, or is deleted or purged (None)."""


def why_impossible(job_id: str, condition: Condition, end: JobState | None) -> str:
    """Say why a job is cancelled that came after the job `job_id`, which ended otherwise than it had to."""
    if condition is Condition.NOT_OK:
        return f"job {job_id}, which had to fail first, has completed"
    return f"job {job_id}, which had to complete first, was {end or 'deleted'}"


def refuse_cycles(after: Mapping[str, Iterable[str]]) -> None:
    """Let new jobs pass, each with the ids of those that it comes after, unless some wait for each other.

    Raises:
        InvalidJob: they do; the message names them.
    """
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        cycle = " after ".join(reversed(error.args[1]))
        raise InvalidJob(f"these jobs would wait for each other for ever: {cycle}") from None

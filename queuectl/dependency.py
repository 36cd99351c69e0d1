"""What follows for the jobs that come after another one, once that one has come to its end."""

from __future__ import annotations

from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple

from queuectl.errors import InvalidJob, JobNotFound
from queuectl.job import Condition, JobState

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from queuectl.new_job import NewJob

__all__ = [
    "VERDICTS",
    "DecidedEdge",
    "Verdict",
    "dependencies",
    "first_reasons",
    "refuse_cycles",
    "require_known",
    "why_impossible",
]


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


class DecidedEdge(NamedTuple):
    """A dependency about which something has just been decided."""

    job_seq: int
    """The job that comes after the other."""
    place: int
    """Among the dependencies of that job, in its own order."""
    on_id: str
    """The other job."""
    condition: str
    verdict: str


def first_reasons(decided: Iterable[tuple[DecidedEdge, JobState | None]]) -> dict[int, str]:
    """Give for each job with a dependency that became impossible why it is cancelled, by its seq.

    `decided` has with each dependency the end of the other job, as in VERDICTS. Of several reasons, the first in the
    job's own order is given.
    """
    reasons = sorted(
        (edge.job_seq, edge.place, why_impossible(edge.on_id, Condition(edge.condition), end))
        for edge, end in decided
        if edge.verdict == Verdict.IMPOSSIBLE
    )
    return {seq: reason for seq, _, reason in reversed(reasons)}


def why_impossible(job_id: str, condition: Condition, end: JobState | None) -> str:
    """Say why a job is cancelled that came after the job `job_id`, which ended otherwise than it had to."""
    if condition is Condition.NOT_OK:
        return f"job {job_id}, which had to fail first, has completed"
    return f"job {job_id}, which had to complete first, was {end or 'deleted'}"


def dependencies(new: Iterable[tuple[NewJob, str]]) -> dict[str, list[str]]:
    """Give the ids that new jobs come after, by their own ids; those that come after none are left out.

    Raises:
        InvalidJob: some would wait for each other.
    """
    after = {job_id: [other.id for other in job.after] for job, job_id in new if job.after}
    refuse_cycles(after)
    return after


def require_known(after: Mapping[str, Sequence[str]], known: Container[str]) -> None:
    """Let new jobs pass that come only after such as are known.

    Raises:
        JobNotFound: one comes after another; the message names all of them.
    """
    if missing := {other for others in after.values() for other in others if other not in known}:
        raise JobNotFound(
            f"after names what is no job: {', '.join(sorted(missing))}; enqueue it first, or in the batch"
        )


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

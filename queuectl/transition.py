"""The state machine: which change of state is allowed, and what follows from an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from queuectl.duration import format_duration
from queuectl.errors import WrongState
from queuectl.job import Job, JobState
from queuectl.outcome import (
    Cancelled,
    EngineDied,
    Exited,
    Interrupted,
    Outcome,
    Signalled,
    SpawnFailed,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from queuectl.retry import RetryPolicy

__all__ = [
    "TRANSITIONS",
    "Action",
    "Bury",
    "Cancel",
    "Complete",
    "Release",
    "Retry",
    "Transition",
    "allowed_from",
    "check",
    "decide",
    "describe",
    "if_cancelled",
    "require_held",
]


class Action(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    BURY = "bury"
    CANCEL = "cancel"
    GIVE_BACK = "give back"
    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    EDIT = "edit"
    DELETE = "delete"


_P, _B, _R, _F, _C, _D, _X = (
    JobState.PENDING,
    JobState.BLOCKED,
    JobState.PROCESSING,
    JobState.FAILED,
    JobState.COMPLETED,
    JobState.DEAD,
    JobState.CANCELLED,
)

TRANSITIONS: Mapping[Action, Mapping[JobState, frozenset[JobState]]] = {
    Action.CLAIM: {_P: frozenset({_R}), _F: frozenset({_R})},
    Action.COMPLETE: {_R: frozenset({_C})},
    Action.FAIL: {_R: frozenset({_F})},
    Action.BURY: {_R: frozenset({_D})},
    Action.CANCEL: {state: frozenset({_X}) for state in (_P, _B, _R, _F)},
    Action.GIVE_BACK: {_R: frozenset({_P})},
    Action.HOLD: {state: frozenset({_B}) for state in (_P, _B, _F)},
    Action.RELEASE: {_B: frozenset({_P, _B})},
    Action.RETRY: {
        _F: frozenset({_P}),
        _C: frozenset({_P, _B}),
        _D: frozenset({_P, _B}),
        _X: frozenset({_P, _B}),
    },
    Action.EDIT: {state: frozenset({state}) for state in (_P, _B, _F)},
    Action.DELETE: {state: frozenset() for state in (_P, _B, _F, _C, _D, _X)},
}
"""Every transition there is: for an action, the states it starts from and those it may lead to.

A dependency that is met, or can no longer be, moves a blocked job as RELEASE and CANCEL do.
"""


def allowed_from(action: Action) -> tuple[JobState, ...]:
    """Give the states that an action may start from."""
    return tuple(TRANSITIONS[action])


def check(job_id: str, state: JobState, action: Action) -> None:
    """Let the action pass, or refuse it.

    Raises:
        WrongState: a job in this state does not allow the action; the message names the states that do.
    """
    if state not in TRANSITIONS[action]:
        allowed = ", ".join(allowed_from(action))
        raise WrongState(f"cannot {action} job {job_id}: it is {state}; allowed for {allowed} jobs")


def require_held(job_id: str, *, held: bool) -> None:
    """Let a blocked job be released, or refuse it.

    Raises:
        WrongState: it is not held by hand: it waits for other jobs.
    """
    if not held:
        raise WrongState(f"cannot release job {job_id}: it is not held, it waits for other jobs")


@dataclass(frozen=True, slots=True)
class _Counted:
    """The counters of a job after the transition."""

    attempts: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Complete(_Counted):
    """The job is completed."""

    state: ClassVar[JobState] = JobState.COMPLETED


@dataclass(frozen=True, slots=True)
class Retry(_Counted):
    """The attempt failed and another follows at `run_at`."""

    run_at: datetime
    error: str
    state: ClassVar[JobState] = JobState.FAILED


@dataclass(frozen=True, slots=True)
class Bury(_Counted):
    """The job is dead."""

    error: str
    state: ClassVar[JobState] = JobState.DEAD


@dataclass(frozen=True, slots=True)
class Cancel(_Counted):
    """The job is cancelled."""

    error: str
    state: ClassVar[JobState] = JobState.CANCELLED


@dataclass(frozen=True, slots=True)
class Release(_Counted):
    """The job is given back: due as it was, and no attempt charged."""

    error: str
    state: ClassVar[JobState] = JobState.PENDING


Transition: TypeAlias = Complete | Retry | Bury | Cancel | Release


def decide(job: Job, outcome: Outcome, policy: RetryPolicy, now: datetime, *, chance: float = 0.0) -> Transition:
    """Say what becomes of a processing job after an execution with this outcome.

    Pure: `now` is the time of the outcome, and `chance` (0 to below 1) decides about the jitter.
    """
    transition = _after(job, outcome, policy, now, chance)
    return if_cancelled(transition) if job.cancelling else transition


def _after(job: Job, outcome: Outcome, policy: RetryPolicy, now: datetime, chance: float) -> Transition:
    match outcome:
        case Exited(exit_code=0):
            return Complete(job.attempts + 1, 0)
        case Exited(exit_code=code) if not policy.is_worth_retrying(code):
            return Bury(job.attempts + 1, 0, f"{describe(outcome)}, which is not to be retried")
        case Exited() | Signalled() | TimedOut() | SpawnFailed():
            return _after_failure(job, outcome, policy, now, chance)
        case Cancelled():
            return Cancel(job.attempts, job.crashes, describe(outcome))
        case Interrupted():
            return Release(job.attempts, job.crashes, describe(outcome))
        case EngineDied(crashed=crashed):
            return _after_engine_death(job, policy, describe(outcome), crashed=crashed)


def _after_failure(job: Job, outcome: Outcome, policy: RetryPolicy, now: datetime, chance: float) -> Retry | Bury:
    attempts = job.attempts + 1
    if policy.is_exhausted(attempts):
        return Bury(attempts, 0, describe(outcome))
    return Retry(attempts, 0, now + policy.delay(attempts, chance=chance), describe(outcome))


def _after_engine_death(job: Job, policy: RetryPolicy, error: str, *, crashed: bool) -> Release | Bury:
    crashes = job.crashes + crashed
    if crashed and policy.max_crashes is not None and crashes >= policy.max_crashes:
        return Bury(job.attempts, crashes, f"{error}, {crashes} times in a row")
    return Release(job.attempts, crashes, error)


def if_cancelled(transition: Transition) -> Transition:
    """Say what becomes of a transition where a user has cancelled the job while it ran: only a success stands."""
    match transition:
        case Complete() | Cancel():
            return transition
        case Retry() | Bury() | Release():
            return Cancel(transition.attempts, transition.crashes, f"cancelled; {transition.error}")


def describe(outcome: Outcome) -> str:
    """Put an outcome into words."""
    match outcome:
        case Exited(exit_code=code):
            return f"exit code {code}"
        case Signalled(signal=number):
            return f"killed by signal {number}"
        case TimedOut(timeout=timeout):
            return f"timed out after {format_duration(timeout)}"
        case SpawnFailed(reason=reason):
            return f"could not start: {reason}"
        case Cancelled():
            return "cancelled"
        case Interrupted(reason=reason) | EngineDied(reason=reason):
            return reason

"""What an engine tells its listeners, as frozen values. What is said about them stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from queuectl.job import Claim, Job, JobState
    from queuectl.outcome import Outcome

__all__ = [
    "DrainStarted",
    "EngineCutOff",
    "EngineFenced",
    "EngineStarted",
    "EngineStopped",
    "Event",
    "GuardianBack",
    "GuardianLost",
    "GuardianStruck",
    "JobClaimed",
    "JobFinished",
    "JobRescued",
    "JobsPruned",
    "LeaseLost",
    "Listener",
    "NoProcessLeft",
    "SettingsRefused",
    "StopForced",
    "StoreRecovered",
    "StoreWaiting",
    "WalEmptied",
    "WalGrown",
]


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """The engine is registered and claims jobs from now on."""

    engine_id: str
    workers: int
    queues: tuple[str, ...] | None
    """None for all."""


@dataclass(frozen=True, slots=True)
class DrainStarted:
    """The engine claims nothing more and waits for what runs."""

    reason: str
    running: int


@dataclass(frozen=True, slots=True)
class StopForced:
    """The engine stops what still runs, to give it back."""

    reason: str
    running: int


@dataclass(frozen=True, slots=True)
class EngineStopped:
    """The engine is done."""

    engine_id: str
    given_back: int
    """How many running jobs it had to give back."""


@dataclass(frozen=True, slots=True)
class EngineFenced:
    """Others took this engine for dead. It stops its commands and starts anew under another id."""

    engine_id: str


@dataclass(frozen=True, slots=True)
class EngineCutOff:
    """This engine cannot reach the store, and others soon take it for dead. It stops its commands and starts anew."""

    engine_id: str


@dataclass(frozen=True, slots=True)
class GuardianLost:
    """The process that kills this engine's commands when the engine cannot is not there; another one is started."""

    reason: str


@dataclass(frozen=True, slots=True)
class GuardianBack:
    """Another guardian is there, and was told of all that runs."""


@dataclass(frozen=True, slots=True)
class GuardianStruck:
    """The guardian has killed this engine's commands, because the engine had not been heard of for too long."""

    running: int


@dataclass(frozen=True, slots=True)
class JobClaimed:
    """A worker holds a job and is about to run it."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobFinished:
    """The end of an execution is stored."""

    job: Job
    """As it was while it ran."""
    outcome: Outcome
    state: JobState
    """What the job became."""
    duration: timedelta | None
    """None where the command was not even started."""


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The end of an execution was refused, because the job is no longer held under that claim."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class JobRescued:
    """A job of a dead engine was given back, or buried."""

    job: Job
    """As it was under the dead engine."""
    state: JobState
    reason: str
    killed: int
    """How many processes it had left behind on this machine."""


@dataclass(frozen=True, slots=True)
class JobsPruned:
    """Old jobs were deleted."""

    count: int


@dataclass(frozen=True, slots=True)
class NoProcessLeft:
    """A command could not be started for want of processes, descriptors or memory; the engine slows down."""

    reason: str
    pause: timedelta


@dataclass(frozen=True, slots=True)
class SettingsRefused:
    """The stored settings have a value that cannot be used; the engine keeps those it had."""

    reason: str


@dataclass(frozen=True, slots=True)
class StoreWaiting:
    """The store cannot be written now; the engine keeps what it has and tries again."""

    reason: str


@dataclass(frozen=True, slots=True)
class StoreRecovered:
    """The store can be written again."""


@dataclass(frozen=True, slots=True)
class WalGrown:
    """The store's write-ahead log cannot begin anew, because someone has been reading for long, and grows."""

    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class WalEmptied:
    """The log that had grown can begin anew, and is cut then."""


Event: TypeAlias = (
    EngineStarted
    | DrainStarted
    | StopForced
    | EngineStopped
    | EngineFenced
    | EngineCutOff
    | GuardianBack
    | GuardianLost
    | GuardianStruck
    | JobClaimed
    | JobFinished
    | LeaseLost
    | JobRescued
    | JobsPruned
    | NoProcessLeft
    | SettingsRefused
    | StoreWaiting
    | StoreRecovered
    | WalGrown
    | WalEmptied
)
Listener: TypeAlias = "Callable[[Event], None]"

"""What became of one execution of a command. A command's failure is a value, never an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = [
    "Cancelled",
    "EngineDied",
    "Exited",
    "Interrupted",
    "Outcome",
    "Signalled",
    "SpawnFailed",
    "TimedOut",
]


@dataclass(frozen=True, slots=True)
class Exited:
    """The command ended by itself with an exit code."""

    exit_code: int
    name: ClassVar[str] = "exited"


@dataclass(frozen=True, slots=True)
class Signalled:
    """The command was ended by a signal that queuectl did not send."""

    signal: int
    name: ClassVar[str] = "signalled"


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The command ran longer than it may, and was stopped."""

    timeout: timedelta
    name: ClassVar[str] = "timed_out"


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """The command could not be started, through a fault of its own."""

    reason: str
    exit_code: int
    """What a shell would report: 127 where something is missing, 126 where it cannot be executed."""
    name: ClassVar[str] = "spawn_failed"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A user cancelled the job while the command ran."""

    name: ClassVar[str] = "cancelled"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """queuectl itself cut the execution short, or had no process or descriptor left to start it."""

    reason: str
    name: ClassVar[str] = "interrupted"


@dataclass(frozen=True, slots=True)
class EngineDied:
    """The engine went away under the execution."""

    reason: str
    crashed: bool
    """Whether the engine's process died on a machine that went on running, so that the job may have caused it."""
    name: ClassVar[str] = "engine_died"


Outcome: TypeAlias = Exited | Signalled | TimedOut | SpawnFailed | Cancelled | Interrupted | EngineDied

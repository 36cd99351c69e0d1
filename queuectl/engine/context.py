"""What the parts of an engine share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queuectl.engine.drain import Drain
    from queuectl.engine.guardian import Guardian
    from queuectl.engine.idle import Idle
    from queuectl.engine.live_settings import LiveSettings
    from queuectl.engine.registration import Registration
    from queuectl.engine.running import Running
    from queuectl.events import Listener
    from queuectl.store.base import Store

__all__ = ["EngineContext", "Tally"]


@dataclass(slots=True)
class Tally:
    """What the engine has to answer for at its end."""

    given_back: int = 0
    """Runs that it cut short."""
    buried: int = 0
    """Jobs that died in its hands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContext:
    """One engine's parts, each an object of its own."""

    store: Store
    registration: Registration
    settings: LiveSettings
    running: Running
    guardian: Guardian
    idle: Idle
    drain: Drain
    emit: Listener
    queues: tuple[str, ...] | None
    """The queues that it serves; None for all."""
    workers: int
    tally: Tally = field(default_factory=Tally)

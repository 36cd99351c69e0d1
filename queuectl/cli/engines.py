"""Engines as people ask about them: which are live, what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.render import Table
from queuectl.cli.text import escape, in_time
from queuectl.errors import AmbiguousId, EngineNotFound, quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from queuectl.registration import EngineRecord

__all__ = [
    "ENGINE_HEADINGS",
    "GONE",
    "engine_row",
    "engine_state",
    "find_engines",
    "gone",
    "live",
    "print_engines",
    "uptime",
]

GONE = "gone"
ENGINE_HEADINGS = ("ENGINE", "STATE", "HOST", "PID", "WORKERS", "RUNNING", "SINCE", "QUEUES")


def engine_state(engine: EngineRecord) -> str:
    """Say in a word what an engine does. It is gone only where that can be proven, on its own machine."""
    from queuectl.store.liveness import is_gone  # noqa: PLC0415 - it looks at processes, which few commands do

    if is_gone(engine.process):
        return GONE
    return "draining" if engine.stopping else "running"


def live(engines: Sequence[EngineRecord]) -> list[tuple[EngineRecord, str]]:
    """Pick the engines that are not gone, each with its state."""
    return [(engine, state) for engine in engines if (state := engine_state(engine)) != GONE]


def gone(engines: Sequence[EngineRecord]) -> set[str]:
    """Give the ids of the engines that are gone."""
    return {engine.id for engine in engines} - {engine.id for engine, _ in live(engines)}


def uptime(engines: Sequence[EngineRecord], now: datetime) -> timedelta | None:
    """Give how long the oldest live engine has run; None without one."""
    return max((now - engine.started_at for engine, _ in live(engines)), default=None)


def find_engines(engines: Sequence[EngineRecord], texts: Sequence[str]) -> list[EngineRecord]:
    """Give the engines that are meant by their ids, or by how their ids begin.

    Raises:
        EngineNotFound: one fits none of them.
        AmbiguousId: one fits several.
    """
    return [_find_engine(engines, text) for text in texts]


def _find_engine(engines: Sequence[EngineRecord], text: str) -> EngineRecord:
    fitting = [engine for engine in engines if engine.id.startswith(text)]
    found = [engine for engine in fitting if engine.id == text] or fitting
    if not found:
        raise EngineNotFound(f"there is no engine {quote(text)}; 'queuectl worker list' names them")
    if len(found) > 1:
        raise AmbiguousId(f"{quote(text)} fits several engines: {', '.join(engine.id for engine in found[:5])}")
    return found[0]


def print_engines(engines: Sequence[tuple[EngineRecord, str]], now: datetime) -> None:
    """Print engines, each with its state, as a table."""
    table = Table(*ENGINE_HEADINGS, spare=("HOST", "PID", "SINCE", "WORKERS"))
    table.print([engine_row(engine, state, now) for engine, state in engines])


def engine_row(engine: EngineRecord, state: str, now: datetime) -> tuple[str, ...]:
    """Write an engine as a row of a table."""
    return (
        engine.id,
        state,
        escape(engine.process.host),
        str(engine.process.pid),
        str(engine.workers),
        str(engine.processing),
        in_time(engine.started_at, now),
        "all" if engine.queues is None else ", ".join(engine.queues),
    )

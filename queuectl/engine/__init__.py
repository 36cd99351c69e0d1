"""The engine: one event loop that claims jobs, runs their commands, and gives the store what became of them."""

from __future__ import annotations

from queuectl.engine.engine import Engine, EngineReport
from queuectl.engine.signals import handle_signals

__all__ = ["Engine", "EngineReport", "handle_signals"]

"""Turns: at equal priority no queue waits for another's end."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QueueTurn"]


@dataclass(slots=True)
class QueueTurn:
    """Remembers which queue was served last, so that at equal priority each has its turn."""

    last: str = ""

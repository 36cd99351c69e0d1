"""Which jobs did not complete, and why: the first of them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.text import counted, escape

if TYPE_CHECKING:
    from queuectl.cli.invocation import Invocation

__all__ = ["Failures"]

_NAMED = 10


class Failures:
    """Keeps the first failures, and counts the others."""

    def __init__(self) -> None:
        """Start with none."""
        self._first: list[str] = []
        self._count = 0

    def add(self, job_id: str, why: str) -> None:
        """Take note of a job that did not complete."""
        self._count += 1
        if self._count <= _NAMED:
            self._first.append(f"{job_id}: {escape(why)}")

    def say(self, invocation: Invocation) -> None:
        """Name the first ten, and say how many more there are."""
        for line in self._first:
            invocation.say(line, mark="✗")
        if more := self._count - len(self._first):
            invocation.say(f"and {counted(more, 'more job')}", mark="✗")

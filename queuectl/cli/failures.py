"""Which jobs did not complete, and why: the first of them by name."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from queuectl.cli.text import counted, escape
from queuectl.errors import StoreError

if TYPE_CHECKING:
    from queuectl.cli.invocation import Invocation
    from queuectl.store.base import Store

__all__ = ["Failures"]

_NAMED = 10
_LONGEST = 200
"""Characters of what a command printed that are repeated."""


class Failures:
    """Keeps the first failures, and counts the others."""

    def __init__(self) -> None:
        """Start with none."""
        self._first: dict[tuple[str, int], str] = {}
        self._last_words: dict[tuple[str, int], str] = {}
        self._count = 0

    def add(self, job_id: str, run: int, why: str) -> None:
        """Take note of a job that did not complete, with its last run."""
        self._count += 1
        if self._count <= _NAMED:
            self._first[job_id, run] = why

    async def read_last_words(self, store: Store) -> None:
        """Read the last line that each of the first printed to stderr, if somebody looks on.

        Else this stands in a log, in which nothing may be that a command printed.
        """
        if not sys.stderr.isatty():
            return
        # They are no reason to end otherwise than well.
        with suppress(StoreError):
            for job_id, run in self._first:
                printed = (await store.read_output(job_id, run)).stderr.decode(errors="replace")
                self._last_words[job_id, run] = (printed.rstrip().splitlines() or [""])[-1]

    def say(self, invocation: Invocation) -> None:
        """Name the first ten, say how many more there are, and where to look."""
        for failure, why in self._first.items():
            job_id, _ = failure
            last = self._last_words.get(failure, "")[:_LONGEST]
            invocation.say(f"{job_id}: {escape(': '.join(filter(None, (why, last))))}", mark="✗")
        if more := self._count - len(self._first):
            invocation.say(f"and {counted(more, 'more job')}", mark="✗")
        if self._count:
            it, job_id = ("it", next(iter(self._first))[0]) if self._count == 1 else ("each", "ID")
            invocation.say(f"see what {it} printed with: {invocation.line(f'logs {job_id}')}", mark="·")

"""Where workers wait while there is nothing to do."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Idle"]


class Idle:
    """Idle workers in the order in which they came. A wake is never lost between a look at the store and the wait."""

    def __init__(self, workers: int) -> None:
        """Take in up to so many workers."""
        self._workers = workers
        self.on_full: Callable[[], None] = _do_nothing
        """Called when the last worker has come, so that all wait."""
        self._waiting: deque[anyio.Event] = deque()
        self._someone = anyio.Event()
        self._closed = False
        self.wakes = 0
        """How often anyone was to be woken. Read it before you look for work, and give it to `wait`."""

    @property
    def is_full(self) -> bool:
        """Whether all workers wait."""
        return len(self._waiting) == self._workers

    async def wait(self, seen: int) -> None:
        """Wait to be woken; return at once where that has happened since `wakes` was `seen`."""
        if self._closed or seen != self.wakes:
            return
        woken = anyio.Event()
        self._waiting.append(woken)
        self._someone.set()
        if self.is_full:
            self.on_full()
        try:
            await woken.wait()
        finally:
            if not woken.is_set():
                self._waiting.remove(woken)

    def wake(self, most: int) -> None:
        """Wake up to so many workers, those first who have waited the longest."""
        if most > 0:
            self.wakes += 1
        for _ in range(min(most, len(self._waiting))):
            self._waiting.popleft().set()

    def close(self) -> None:
        """Wake everyone, and let nobody wait again."""
        self._closed = True
        self.wake(len(self._waiting))

    async def until_someone(self) -> None:
        """Return as soon as anyone waits."""
        while not self._waiting:
            self._someone = anyio.Event()
            await self._someone.wait()


def _do_nothing() -> None:
    pass

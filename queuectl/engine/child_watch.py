"""One watch over many children: it tells each of its end, and when it has run for a while."""

from __future__ import annotations

import asyncio
import select
from typing import Protocol
from weakref import WeakKeyDictionary, ref

__all__ = ["QUICK", "ChildWatch", "Watched"]

QUICK = 0.02
"""Seconds after which a child is told that it runs for long."""


class Watched(Protocol):
    """What is told of a child."""

    def note_exit(self) -> None:
        """Take note that the process has ended."""

    def note_age(self) -> None:
        """Take note that the process has run for `QUICK`."""


class ChildWatch:
    """Watches pidfds by an epoll of its own, of which the event loop knows as one descriptor.

    The loop's own way, a reader and a timer for each, is some fifty calls for a process, and a busy engine starts one
    after another.
    """

    def __init__(self) -> None:
        """Begin to watch in the running event loop, with nothing to watch yet."""
        self._exits = select.epoll()
        self._running: dict[int, Watched] = {}
        self._young: dict[Watched, float] = {}
        """When they started, by the clock of the event loop; the oldest first."""
        self._will_look_for_ages = False
        asyncio.get_running_loop().add_reader(self._exits.fileno(), self._look_for_exits)

    @classmethod
    def of_this_loop(cls) -> ChildWatch:
        """Give the one of the running event loop, whose end is its own, too: nothing else keeps it."""
        loop = asyncio.get_running_loop()
        known = _watches.get(loop)
        if known is None or (watch := known()) is None:
            watch = cls()
            _watches[loop] = ref(watch)
        return watch

    def begin(self, child: Watched, pidfd: int) -> None:
        """Watch over a child that has just been started, until it has exited. Its pidfd stays open until then.

        Raises:
            OSError: the kernel can watch no more just now.
        """
        # Once and no more: the epoll forgets a descriptor when its last copy is closed, and a process that is just
        # being started may have one.
        self._exits.register(pidfd, select.EPOLLIN | select.EPOLLONESHOT)
        self._running[pidfd] = child
        loop = asyncio.get_running_loop()
        self._young[child] = loop.time()
        if not self._will_look_for_ages:
            self._will_look_for_ages = True
            loop.call_later(QUICK, self._look_for_ages)

    def _look_for_exits(self) -> None:
        for pidfd, _ in self._exits.poll(0):
            child = self._running.pop(pidfd)
            self._young.pop(child, None)
            child.note_exit()

    def _look_for_ages(self) -> None:
        loop = asyncio.get_running_loop()
        self._will_look_for_ages = False
        old = loop.time() - QUICK
        for child, started in tuple(self._young.items()):
            if started > old:
                self._will_look_for_ages = True
                loop.call_at(started + QUICK, self._look_for_ages)
                return
            del self._young[child]
            child.note_age()


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[ChildWatch]] = WeakKeyDictionary()
"""By event loop. A loop that is closed lets go of its reader, and so of the watch."""

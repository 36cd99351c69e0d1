"""Hearing a store's bell. Apart from the bell, since what only rings need not load what it takes to hear."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import anyio

from queuectl.store.sqlite.bell import bell_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Listener", "listen"]

_LOOK_EVERY = 0.05
"""Seconds between looks where the bell cannot be heard."""


class Listener(Protocol):
    """Waits for a store to change."""

    async def wait(self, at_most: float) -> None:
        """Return when it may have changed since the last call, or after `at_most` seconds. Many may wait."""

    def close(self) -> None:
        """Listen no more."""


def listen(path: Path) -> Listener:
    """Listen to the store at `path`, which has been opened for writing once."""
    if sys.platform == "linux":
        # Not everyone may watch every file, and the watches of a machine are counted: then looking will do.
        with suppress(OSError):
            return _Hearing(path)
    return _Looking()


class _Looking:
    """Takes the place of one that hears."""

    async def wait(self, at_most: float) -> None:
        """Return after a short while, or after `at_most` seconds."""
        await anyio.sleep(min(at_most, _LOOK_EVERY))

    def close(self) -> None:
        """Do nothing."""


if sys.platform == "linux":
    from asyncinotify import Inotify, Mask

    class _Hearing:
        """Hears the bell of a store."""

        def __init__(self, path: Path) -> None:
            """Listen to the store at `path`, which has been opened for writing once.

            Raises:
                OSError: this user may not, or has too many listeners.
            """
            bell_file(path).touch(0o600)
            self._rung = asyncio.Event()
            self._waiting = 0
            self._inotify = Inotify(sync_timeout=0)
            self._inotify.add_watch(bell_file(path), Mask.MODIFY)

        async def wait(self, at_most: float) -> None:
            """Return when the bell has rung since the last call, or after `at_most` seconds. Many may wait."""
            with self._listening(), anyio.move_on_after(at_most):
                await self._rung.wait()
            self._rung.clear()

        def close(self) -> None:
            """Listen no more."""
            self._inotify.close()

        @contextmanager
        def _listening(self) -> Iterator[None]:
            # Only while someone waits: a busy engine rings all the time itself. The kernel keeps one ring for later.
            loop = asyncio.get_running_loop()
            self._waiting += 1
            loop.add_reader(self._inotify.fd, self._hear)
            try:
                yield
            finally:
                self._waiting -= 1
                if not self._waiting:
                    loop.remove_reader(self._inotify.fd)

        def _hear(self) -> None:
            while self._inotify.sync_get() is not None:
                self._rung.set()

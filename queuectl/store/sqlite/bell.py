"""Telling other processes that the store has changed, without their asking again and again.

SQLite has no such call, and watching its log comes too early: the log is written before it is synced, and only then
does anyone see the change. So who has committed writes a byte into a file of its own beside the store, and who waits
watches that file. What is changed by other programs, which do not ring, has to be found by looking now and then.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bell", "Listener", "bell_file"]


def bell_file(path: Path) -> Path:
    """Give the file beside a store that is rung by writing to it. It is also what checkpoints are locked by."""
    return Path(f"{path}-lock")


class Bell:
    """Rings for one connection that writes."""

    def __init__(self, path: Path) -> None:
        """Ring for the store at `path`."""
        self._descriptor = os.open(bell_file(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def ring(self) -> None:
        """Wake all who listen. Call it when the change can be seen."""
        # Where that fails (a full disk, for one) they find out when they look by themselves.
        with suppress(OSError):
            os.pwrite(self._descriptor, b"\0", 0)

    def close(self) -> None:
        """Ring no more."""
        os.close(self._descriptor)


if sys.platform == "linux":
    from asyncinotify import Inotify, Mask

    class Listener:
        """Hears the bell of a store."""

        def __init__(self, path: Path) -> None:
            """Listen to the store at `path`, which has been opened for writing once."""
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

else:

    class Listener:
        """Takes the place of one that hears: there is no inotify here."""

        def __init__(self, path: Path) -> None:
            """Stand for the store at `path`."""

        async def wait(self, at_most: float) -> None:
            """Return after a short while, or after `at_most` seconds."""
            await anyio.sleep(min(at_most, 0.05))

        def close(self) -> None:
            """Do nothing."""

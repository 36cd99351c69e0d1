"""Telling other processes that the store has changed, without their asking again and again.

SQLite has no such call, and watching its log comes too early: the log is written before it is synced, and only then
does anyone see the change. So who has committed writes a byte into a file of its own beside the store, and who waits
watches that file. What is changed by other programs, which do not ring, has to be found by looking now and then.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio

from queuectl.errors import StoreReadOnly, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bell", "Listener", "bell_file", "listen"]

_LOOK_EVERY = 0.05
"""Seconds between looks where the bell cannot be heard."""


def bell_file(path: Path) -> Path:
    """Give the file beside a store that is rung by writing to it. It is also what checkpoints are locked by."""
    return Path(f"{path}-lock")


class Bell:
    """Rings for one connection that writes."""

    def __init__(self, path: Path) -> None:
        """Ring for the store at `path`.

        Raises:
            StoreReadOnly: this user may not write there.
            StoreUnavailable: the file cannot be opened for another reason.
        """
        file = bell_file(path)
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
                raise StoreReadOnly(
                    f"{file} cannot be written by this user: check its permissions and its folder's"
                ) from error
            raise StoreUnavailable(f"{file} cannot be opened: {error.strerror}") from error

    def ring(self) -> None:
        """Wake all who listen. Call it when the change can be seen."""
        # Where that fails (a full disk, for one) they find out when they look by themselves.
        with suppress(OSError):
            os.pwrite(self._descriptor, b"\0", 0)

    def close(self) -> None:
        """Ring no more."""
        os.close(self._descriptor)


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

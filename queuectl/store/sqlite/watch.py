"""Noticing that another connection has changed the store, without asking it again and again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ChangeWatch"]

if sys.platform == "linux":
    from asyncinotify import Inotify, Mask

    class ChangeWatch:
        """Wakes when the log of a store is written. Each commit writes it, whoever makes it."""

        def __init__(self, path: Path) -> None:
            """Watch the store at `path`, which is open in this process, so that its log exists and stays."""
            self._inotify = Inotify()
            self._inotify.add_watch(f"{path}-wal", Mask.MODIFY)

        async def wait(self, at_most: float) -> None:
            """Return at the next change since the last call, or after `at_most` seconds."""
            with anyio.move_on_after(at_most):
                await self._inotify.get()

        def close(self) -> None:
            """Stop watching."""
            self._inotify.close()

else:

    class ChangeWatch:
        """Wakes now and then: there is no inotify here."""

        def __init__(self, path: Path) -> None:
            """Take the place of a watch on `path`."""

        async def wait(self, at_most: float) -> None:
            """Return after a short while, or after `at_most` seconds."""
            await anyio.sleep(min(at_most, 0.05))

        def close(self) -> None:
            """Do nothing."""

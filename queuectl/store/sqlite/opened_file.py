"""Whether the files of a store are still those that were opened."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from queuectl.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OpenedFile"]

_FRESH = 0.05
"""Seconds for which a look is good enough for those whom `check_often` serves."""


class OpenedFile:
    """The file that the connections of one opened store are about, with its log and their shared memory beside it.

    SQLite goes on with files that were deleted or replaced under it. What it then stores nobody else sees, and where
    others have made new ones meanwhile, the two spoil each other's work. So they are told apart by device and inode.
    """

    def __init__(self, path: Path) -> None:
        """Remember the files that stand at `path` now. A connection has to be open, so that none of them is to come."""
        # Absolute, as SQLite has it: this process may go to another directory.
        place = os.path.abspath(path)  # noqa: PTH100 - a text, as a Path costs more than the call to the system
        beside = {name: found for name in (f"{place}-wal", f"{place}-shm") if (found := _identity(name))}
        self._files = {place: _identity(place), **beside}
        self._seen_at = -math.inf

    def check_often(self) -> None:
        """Do as `check`, but believe what was seen a moment ago: in a busy engine each look costs the other threads."""
        if time.monotonic() - self._seen_at >= _FRESH:
            self.check()

    def check(self) -> None:
        """Let the caller pass while those files are still there.

        Raises:
            StoreUnavailable: one is gone, or another stands in its place. It may come back.
        """
        self._seen_at = -math.inf
        for name, expected in self._files.items():
            found = _identity(name)
            if found is None:
                raise StoreUnavailable(
                    f"{name} was deleted or moved away while it was in use: put it back, or stop and start again"
                )
            if found != expected:
                raise StoreUnavailable(
                    f"{name} was replaced by another file while it was in use: put the first one back, or stop and "
                    "start again with the new one"
                )
        self._seen_at = time.monotonic()


def _identity(name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name)  # noqa: PTH116 - as above
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"{name} cannot be reached: {error.strerror}") from error
    return status.st_dev, status.st_ino

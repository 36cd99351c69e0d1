"""Whether the files of a store are still those that were opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from queuectl.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OpenedFile"]


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

    def check(self) -> None:
        """Let the caller pass while those files are still there. It costs microseconds: do so in each transaction.

        Raises:
            StoreUnavailable: one is gone, or another stands in its place. It may come back.
        """
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


def _identity(name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name)  # noqa: PTH116 - as above
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"{name} cannot be reached: {error.strerror}") from error
    return status.st_dev, status.st_ino

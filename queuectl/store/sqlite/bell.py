"""Telling other processes that the store has changed, without their asking again and again.

SQLite has no such call, and watching its log comes too early: the log is written before it is synced, and only then
does anyone see the change. So who has committed writes a byte into a file of its own beside the store, and who waits
watches that file (see `listener`). What is changed by other programs, which do not ring, has to be found by looking
now and then.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from queuectl.errors import StoreReadOnly, StoreUnavailable

__all__ = ["Bell", "bell_file"]


def bell_file(path: Path) -> Path:
    """Give the file beside a store that is rung by writing to it."""
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

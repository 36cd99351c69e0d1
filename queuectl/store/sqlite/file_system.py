"""Which file system a store is on, and whether SQLite can work there."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOUNTS", "check_file_system"]

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux tells what is mounted. Its form: proc_pid_mountinfo(5)."""

_NETWORK = (
    *("9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"),
    *("ocfs2", "rclone", "s3fs", "smb3", "smbfs", "smbnetfs", "sshfs", "webdav"),
)
"""Kinds of file systems that several machines share; some also go by this name behind ``fuse.``."""


def check_file_system(path: Path) -> None:
    """See that a store's place, where nothing need be yet, is on a disk of this machine.

    SQLite's users share memory, which has to be that of one machine, and they rely on its locks.

    Raises:
        StoreUnavailable: it is on a network file system, or nowhere.
    """
    try:
        kind = _kind_at(os.path.realpath(path))
    except FileNotFoundError:
        raise StoreUnavailable(
            f"{path} is nowhere, as the current directory was deleted: change to another, or give --db a whole path"
        ) from None
    if kind is not None and kind.removeprefix("fuse.") in _NETWORK:
        raise StoreUnavailable(
            f"{path} is on a network file system ({kind}), where SQLite's locks cannot be trusted: name a place on a "
            "disk of this machine with --db"
        )


def _kind_at(place: str) -> str | None:
    """Give the kind of the file system that a path without links is on; None where that cannot be told."""
    # What is mounted later hides what was there before.
    found = [(len(point), n, kind) for n, (point, kind) in enumerate(_mounted()) if _is_below(place, point)]
    return max(found)[-1] if found else None


def _is_below(place: str, point: str) -> bool:
    return f"{place}/".startswith(point if point == "/" else f"{point}/")


def _mounted() -> Iterator[tuple[str, str]]:
    """Give the point and the kind of everything that is mounted, in that order."""
    if sys.platform != "linux":
        import psutil  # noqa: PLC0415 - its import takes a while, and Linux does without

        yield from ((part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True))
        return
    try:
        lines = os.fsdecode(MOUNTS.read_bytes()).splitlines()
    except OSError:
        return
    for line in lines:
        mount, _, source = line.partition(" - ")
        yield _ESCAPED.sub(_unescape, mount.split()[4]), source.split()[0]


_ESCAPED = re.compile(r"\\([0-7]{3})")


def _unescape(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))

"""Which SQLite there is, and whether it has the defect that stores have to keep clear of."""

from __future__ import annotations

import sqlite3

__all__ = ["describe"]

_MENDED_IN = {(3, 44): (3, 44, 6), (3, 50): (3, 50, 7)}
"""Older lines of SQLite that have the WAL-reset bug mended too, and from which release on.

Source: https://sqlite.org/wal.html, "the WAL-reset bug".
"""


def describe() -> str:
    """Name the SQLite in use, and whether it has the bug that can corrupt a database in WAL mode."""
    version = sqlite3.sqlite_version_info
    is_mended = version >= (3, 51, 3) or version >= _MENDED_IN.get(version[:2], (4,))
    bug = "" if is_mended else " (it has the WAL-reset bug, mended in 3.51.3, which queuectl keeps clear of)"
    return f"SQLite {sqlite3.sqlite_version}{bug}"

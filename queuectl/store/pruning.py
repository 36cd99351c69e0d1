"""What is kept of jobs that are over, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import JobState

if TYPE_CHECKING:
    from datetime import datetime

    from queuectl.store.base import JobStore

__all__ = ["prune"]

_PRUNED = (JobState.COMPLETED, JobState.CANCELLED)
"""Dead jobs stay until somebody purges them."""

_AT_ONCE = 500
"""Jobs in one transaction, so that nobody waits long behind it."""


async def prune(store: JobStore, before: datetime, *, dry_run: bool = False) -> int:
    """Delete the jobs that completed or were cancelled before that time, bit by bit, and say how many there were.

    With `dry_run` they are only counted.
    """
    if dry_run:
        return await store.purge(_PRUNED, before, dry_run=True)
    total = 0
    while count := await store.purge(_PRUNED, before, limit=_AT_ONCE):
        total += count
    return total

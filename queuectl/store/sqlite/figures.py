"""What the store counts. Each function runs inside a read transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from queuectl.registration import QueueCounts, Stats
from queuectl.store import tallies
from queuectl.store.sqlite import rows, sql
from queuectl.timestamp import from_epoch_ms

if TYPE_CHECKING:
    import sqlite3

__all__ = ["counts", "stats"]

_MINUTE_MS = 60_000


def counts(connection: sqlite3.Connection) -> list[QueueCounts]:
    """Count jobs by queue and state; see `AdminStore.counts`."""
    return tallies.by_queue(map(rows.queue_count, connection.execute(sql.figures.COUNTS)))


def stats(connection: sqlite3.Connection, now: int) -> Stats:
    """Give figures over all jobs and runs; see `AdminStore.stats`."""
    total_runs, failed_runs, *durations = connection.execute(sql.figures.RUN_FIGURES).fetchone()
    mean, p50, p95, p99, longest = (None if us is None else timedelta(microseconds=us) for us in durations)
    [last_minute] = connection.execute(sql.figures.FINISHED_SINCE, (now - _MINUTE_MS,)).fetchone()
    [last_hour] = connection.execute(sql.figures.FINISHED_SINCE, (now - 60 * _MINUTE_MS,)).fetchone()
    [oldest_due] = connection.execute(sql.figures.OLDEST_DUE, (now,)).fetchone()
    return Stats(
        jobs=tallies.in_all(counts(connection)),
        total_runs=total_runs,
        failed_runs=failed_runs,
        mean=mean,
        p50=p50,
        p95=p95,
        p99=p99,
        longest=longest,
        finished_last_minute=last_minute,
        finished_last_hour=last_hour,
        oldest_due=None if oldest_due is None else from_epoch_ms(oldest_due),
    )

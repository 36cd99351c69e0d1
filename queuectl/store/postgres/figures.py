"""What the store counts. Each function runs inside a read transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.registration import QueueCounts, Stats
from queuectl.store import tallies
from queuectl.store.postgres import sql

if TYPE_CHECKING:
    from queuectl.store.postgres.connection import Transaction

__all__ = ["counts", "stats"]


async def counts(transaction: Transaction) -> list[QueueCounts]:
    """Count jobs by queue and state; see `AdminStore.counts`."""
    return tallies.by_queue(
        (row["queue"], row["state"], row["jobs"]) for row in await transaction.rows(sql.figures.COUNTS)
    )


async def stats(transaction: Transaction) -> Stats:
    """Give figures over all jobs and runs; see `AdminStore.stats`."""
    of_runs = await transaction.row(sql.figures.RUN_FIGURES) or {}
    of_jobs = await transaction.row(sql.figures.JOB_FIGURES, {"now": transaction.now}) or {}
    return Stats(jobs=tallies.in_all(await counts(transaction)), **of_runs, **of_jobs)

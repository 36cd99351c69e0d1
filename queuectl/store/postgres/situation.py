"""What stands around a job. Each function runs inside a read transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.queue_rules import QueueRules
from queuectl.situation import MOST_COUNTED, Situation
from queuectl.store.postgres import engines, jobs, sql
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    from queuectl.job import Job
    from queuectl.store.postgres.connection import Transaction

__all__ = ["read"]


async def read(transaction: Transaction, job_id: str) -> Situation:
    """Read all that decides whether a job runs; see `JobStore.situation`."""
    job = await jobs.get(transaction, job_id)
    may_be_claimed = job.state in allowed_from(Action.CLAIM)
    return Situation(
        now=transaction.now,
        job=job,
        engines=tuple(await engines.engines(transaction)),
        rules=QueueRules(job.queue),
        bucket=None,
        processing=await _count(transaction, sql.situation.COUNT_PROCESSING, queue=job.queue),
        higher=await _higher(transaction, job) if may_be_claimed else {},
        earlier=await _earlier(transaction, job) if may_be_claimed else 0,
    )


async def _higher(transaction: Transaction, job: Job) -> dict[str, int]:
    """Count the ready jobs of a higher priority by queue."""
    found = await transaction.rows(sql.situation.COUNT_HIGHER, {"priority": job.priority, "limit": MOST_COUNTED})
    return {row["queue"]: row["jobs"] for row in found}


async def _earlier(transaction: Transaction, job: Job) -> int:
    place = {"queue": job.queue, "priority": job.priority, "run_at": job.run_at, "id": job.id}
    return await _count(transaction, sql.situation.COUNT_EARLIER, **place, limit=MOST_COUNTED)


async def _count(transaction: Transaction, statement: str, **parameters: object) -> int:
    row = await transaction.row(statement, parameters)
    return 0 if row is None else int(row["jobs"])

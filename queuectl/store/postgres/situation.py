"""What stands around a job. Each function runs inside a read transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import Condition, JobState
from queuectl.situation import MOST_COUNTED, MOST_NAMED, Prerequisite, Situation
from queuectl.store.postgres import engines, jobs, queues, sql
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    from queuectl.job import Job
    from queuectl.store.postgres.connection import Transaction

__all__ = ["read"]


async def read(transaction: Transaction, job_id: str) -> Situation:
    """Read all that decides whether a job runs; see `JobStore.situation`."""
    job = await jobs.get(transaction, job_id)
    rules, bucket = await queues.read_one(transaction, job.queue)
    of_key = {"keys": [job.concurrency_key], "key": job.concurrency_key, "limit": MOST_NAMED}
    keyed = await transaction.row(sql.keys.COUNT_KEYED, of_key) if job.concurrency_key else None
    holders = await transaction.rows(sql.situation.KEY_HOLDERS, of_key) if job.concurrency_key else []
    may_be_claimed = job.state in allowed_from(Action.CLAIM)
    return Situation(
        now=transaction.now,
        job=job,
        engines=tuple(await engines.engines(transaction)),
        rules=rules,
        bucket=bucket,
        processing=await _count(transaction, sql.situation.COUNT_PROCESSING, queue=job.queue),
        prerequisites=await _prerequisites(transaction, job_id),
        keyed=0 if keyed is None else keyed["running"],
        holders=tuple(row["id"] for row in holders),
        higher=await _higher(transaction, job) if may_be_claimed else {},
        earlier=await _earlier(transaction, job) if may_be_claimed else 0,
    )


async def _prerequisites(transaction: Transaction, job_id: str) -> tuple[Prerequisite, ...]:
    found = await transaction.rows(sql.situation.PREREQUISITES, {"id": job_id, "limit": MOST_NAMED})
    return tuple(Prerequisite(row["on_id"], Condition(row["condition"]), JobState(row["state"])) for row in found)


async def _higher(transaction: Transaction, job: Job) -> dict[str, int]:
    """Count the ready jobs of a higher priority by queue, in its own and in those of which one may start now."""
    opened = [of.name for of, _ in await queues.open_queues(transaction, None, 1) if of.name == job.queue or of.most(1)]
    parameters = {"queues": opened, "priority": job.priority, "limit": MOST_COUNTED}
    found = {row["queue"]: row["jobs"] for row in await transaction.rows(sql.situation.COUNT_HIGHER, parameters)}
    return {name: found.get(name, 0) for name in opened}


async def _earlier(transaction: Transaction, job: Job) -> int:
    place = {"queue": job.queue, "priority": job.priority, "run_at": job.run_at, "id": job.id}
    return await _count(transaction, sql.situation.COUNT_EARLIER, **place, limit=MOST_COUNTED)


async def _count(transaction: Transaction, statement: str, **parameters: object) -> int:
    row = await transaction.row(statement, parameters)
    return 0 if row is None else int(row["jobs"])

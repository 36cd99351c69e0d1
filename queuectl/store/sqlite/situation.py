"""What stands around a job. Each function runs inside a read transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import Condition, JobState
from queuectl.situation import MOST_COUNTED, MOST_NAMED, Prerequisite, Situation
from queuectl.store.sqlite import engines, jobs, limited, queues, sql
from queuectl.timestamp import from_epoch_ms, to_epoch_ms
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    import sqlite3

    from queuectl.job import Job

__all__ = ["read"]


def read(connection: sqlite3.Connection, job_id: str, now: int) -> Situation:
    """Read all that decides whether a job runs; see `JobStore.situation`."""
    job = jobs.get(connection, job_id)
    rules, bucket = queues.read_one(connection, job.queue)
    [processing] = connection.execute(sql.situation.COUNT_PROCESSING, (job.queue,)).fetchone()
    [keyed] = connection.execute(sql.keys.COUNT_KEYED, (job.concurrency_key,)).fetchone()
    holders = connection.execute(sql.situation.KEY_HOLDERS, (job.concurrency_key, MOST_NAMED))
    may_be_claimed = job.state in allowed_from(Action.CLAIM)
    return Situation(
        now=from_epoch_ms(now),
        job=job,
        engines=tuple(engines.engines(connection)),
        rules=rules,
        bucket=bucket,
        processing=processing,
        prerequisites=_prerequisites(connection, job_id),
        keyed=keyed,
        holders=tuple(holder for (holder,) in holders),
        higher=_higher(connection, job, now) if may_be_claimed else {},
        earlier=_earlier(connection, job) if may_be_claimed else 0,
    )


def _prerequisites(connection: sqlite3.Connection, job_id: str) -> tuple[Prerequisite, ...]:
    found = connection.execute(sql.situation.PREREQUISITES, (job_id, MOST_NAMED))
    return tuple(Prerequisite(other, Condition(condition), JobState(state)) for other, condition, state in found)


def _higher(connection: sqlite3.Connection, job: Job, now: int) -> dict[str, int]:
    """Count the ready jobs of a higher priority by queue, in its own and in those of which one may start now."""
    opened = [of.name for of in limited.open_queues(connection, None, now) if of.name == job.queue or of.most(1)]
    higher: dict[str, int] = {}
    for queue in opened:
        left = MOST_COUNTED - sum(higher.values())
        [higher[queue]] = connection.execute(sql.situation.COUNT_HIGHER, (queue, job.priority, left)).fetchone()
    return higher


def _earlier(connection: sqlite3.Connection, job: Job) -> int:
    place = {"queue": job.queue, "priority": job.priority, "run_at": to_epoch_ms(job.run_at), "id": job.id}
    count: int = connection.execute(sql.situation.COUNT_EARLIER, {**place, "limit": MOST_COUNTED}).fetchone()[0]
    return count

"""Storing new jobs. It stands alone because a command that stores a job does nothing else, and is to start fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from queuectl.errors import DuplicateJob
from queuectl.new_job import OnConflict, Receipt
from queuectl.store.sqlite import sql
from queuectl.store.sqlite.columns import milliseconds, to_json
from queuectl.timestamp import to_epoch_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from queuectl.new_job import NewJob

__all__ = ["enqueue"]

Row: TypeAlias = tuple[Any, ...]


def enqueue(
    connection: sqlite3.Connection, jobs: Sequence[NewJob], ids: Sequence[str], cwd: str, now: int
) -> list[Receipt]:
    """Insert jobs under these ids, those without a directory with `cwd`; see `JobStore.enqueue`."""
    taken = _queues_of([job.id for job in jobs if job.id is not None], connection)
    receipts: list[Receipt] = []
    new: list[Row] = []
    for job, job_id in zip(jobs, ids, strict=True):
        if job_id in taken:
            if job.on_conflict is not OnConflict.IGNORE:
                raise DuplicateJob(
                    f"the id {job_id} is taken: choose another, or enqueue with on_conflict ignore to leave that job be"
                )
            receipts.append(Receipt(job_id, taken[job_id], existing=True))
            continue
        new.append(_row(job, job_id, cwd, now))
        receipts.append(Receipt(job_id, job.queue, existing=False))
        if job.id is not None:
            taken[job_id] = job.queue
    connection.executemany(sql.INSERT_JOB, new)
    return receipts


def _queues_of(ids: list[str], connection: sqlite3.Connection) -> dict[str, str]:
    if not ids:
        return {}
    return dict(connection.execute(sql.QUEUES_OF, (to_json(ids),)))


def _row(job: NewJob, job_id: str, cwd: str, now: int) -> Row:
    """Give the parameters of INSERT_JOB."""
    run_at = now if job.run_at is None else to_epoch_ms(job.run_at)
    is_argv = not isinstance(job.command, str)
    return (
        job_id,
        run_at <= now,
        job.queue,
        job.priority,
        run_at,
        now,
        now,
        milliseconds(job.timeout),
        job.max_retries,
        job.backoff,
        job.backoff_base,
        milliseconds(job.backoff_max),
        job.backoff_jitter,
        None if job.retry_on is None else _codes(job.retry_on),
        _codes(job.no_retry_on),
        is_argv,
        to_json(job.tags) if job.tags else "[]",
        job.cwd or cwd,
        to_json(job.command) if is_argv else job.command,
        to_json(dict(job.env)) if job.env else "{}",
        job.stdin,
    )


def _codes(codes: Iterable[int]) -> str:
    return to_json(sorted(codes)) if codes else "[]"

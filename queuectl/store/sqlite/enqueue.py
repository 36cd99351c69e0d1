"""Storing new jobs. It stands alone because a command that stores a job does nothing else, and is to start fast."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import repeat
from operator import attrgetter, is_not
from typing import TYPE_CHECKING, Any, TypeAlias

from queuectl.failpoints import Failpoint, reach
from queuectl.store import sqlite
from queuectl.store.enqueuing import chosen_ids, is_related, receipts_for, unique_keys
from queuectl.store.sqlite import sql
from queuectl.store.sqlite.columns import milliseconds, to_json
from queuectl.timestamp import from_epoch_ms, to_epoch_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from queuectl.new_job import NewJob, Receipt

__all__ = ["enqueue"]

Row: TypeAlias = tuple[Any, ...]


def enqueue(
    connection: sqlite3.Connection, jobs: Sequence[NewJob], ids: Sequence[str], cwd: str, now: int
) -> list[Receipt]:
    """Insert jobs under these ids, those without a directory with `cwd`; see `JobStore.enqueue`."""
    keys = unique_keys(jobs)
    holders = sqlite.keys.holders(connection, keys) if keys else {}
    receipts = receipts_for(jobs, ids, _queues_of(chosen_ids(jobs), connection), holders)
    new = [(job, of.id) for job, of in zip(jobs, receipts, strict=True) if not of.existing]
    statement, row = _insertion(jobs, cwd, now)
    # Bit by bit, since a batch may have millions, but not one by one, for which SQLite would do a third more. And what
    # most batches have nothing of, none is searched for.
    for start in range(0, len(new), sql.AT_ONCE):
        some = new[start : start + sql.AT_ONCE]
        connection.execute(statement(len(some)), [value for job, job_id in some for value in row(job, job_id)])
    if any(map(_TAGS, jobs)):
        connection.executemany(sql.enqueue.TAG_JOB, ((tag, job_id) for job, job_id in new for tag in {*job.tags}))
    connection.executemany(sql.enqueue.COUNT_PENDING, Counter(job.queue for job, _ in new).items())
    # Few are, and their columns are set once all are there.
    if related := [(job, job_id) for job, job_id in new if is_related(job)]:
        sqlite.dependencies.relate(connection, related, now)
    reach(Failpoint.ENQUEUING)
    return receipts


_TAGS = attrgetter("tags")


def _queues_of(ids: list[str], connection: sqlite3.Connection) -> dict[str, str]:
    if not ids:
        return {}
    return dict(connection.execute(sql.enqueue.QUEUES_OF, (to_json(ids),)))


def _insertion(jobs: Sequence[NewJob], cwd: str, now: int) -> tuple[Callable[[int], str], Callable[[NewJob, str], Row]]:
    """Give what makes the statement for so many of these jobs, and what makes a job and its id its parameters.

    Most jobs leave most keys out, and a parameter that says so costs more than one with a value: so the statement has
    those columns only that are given by one of them.
    """
    given = [name for name in _NONE if any(map(is_not, map(attrgetter(name), jobs), repeat(None)))]
    given += [name for name in _EMPTY if any(map(attrgetter(name), jobs))]
    columns = [(_NONE | _EMPTY)[name] for name in given]
    began = from_epoch_ms(now)

    def row(job: NewJob, job_id: str) -> Row:
        run_at = now if job.run_at is None and job.delay is None else to_epoch_ms(job.due(began))
        # Integers: what is neither that nor a float nor a string, the driver looks up an adapter for, each time.
        ready = 1 if run_at <= now else 0
        is_argv, command = (0, job.command) if isinstance(job.command, str) else (1, to_json(job.command))
        always = (job_id, ready, job.queue, job.priority, run_at, now, now, is_argv, job.cwd or cwd, command)
        return always + tuple([column(job) for column in columns]) if columns else always

    return partial(sql.enqueue.insert_jobs, tuple(given)), row


_NONE: dict[str, Callable[[NewJob], object]] = {
    "timeout": lambda job: milliseconds(job.timeout),
    "max_retries": lambda job: job.max_retries,
    "backoff": lambda job: job.backoff,
    "backoff_base": lambda job: job.backoff_base,
    "backoff_max": lambda job: milliseconds(job.backoff_max),
    "backoff_jitter": lambda job: job.backoff_jitter,
    "retry_on": lambda job: None if job.retry_on is None else to_json(sorted(job.retry_on)),
}
"""Columns that are None by default, and what a job has there."""

_EMPTY: dict[str, Callable[[NewJob], object]] = {
    "no_retry_on": lambda job: to_json(sorted(job.no_retry_on)),
    "tags": lambda job: to_json(job.tags),
    "env": lambda job: to_json(dict(job.env)),
    "stdin": lambda job: job.stdin,
}
"""Columns that are empty by default, and what a job has there."""

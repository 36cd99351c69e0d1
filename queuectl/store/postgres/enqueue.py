"""Storing new jobs. Each function runs inside a transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queuectl.dependency import dependencies, require_known
from queuectl.errors import QueuectlError
from queuectl.failpoints import Failpoint, reach
from queuectl.store.enqueuing import awaited_ids, chosen_ids, is_related, receipts_for, unique_keys
from queuectl.store.postgres import keys, rows, sql
from queuectl.store.postgres.dependencies import lock_awaited, relate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.job import JobState
    from queuectl.new_job import NewJob, Receipt
    from queuectl.store.postgres.connection import Transaction

__all__ = ["Batch", "enqueue"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that are stored whole or not at all."""

    jobs: Sequence[NewJob]
    ids: Sequence[str]
    cwd: str
    """The directory of those that name none."""


@dataclass(slots=True)
class _Insertion:
    """What is about to be inserted, and what is there already."""

    taken: dict[str, str]
    """The queue of the job that has an id."""
    holders: dict[str, tuple[str, str]]
    """The id and the queue of the job that has a unique key."""
    awaited: dict[str, JobState]
    """Jobs that are there and that others are to come after; they are locked."""
    new: list[tuple[NewJob, str, str]] = field(default_factory=list)
    """Each with its id and the directory that it gets if it names none."""
    after: dict[str, list[str]] = field(default_factory=dict)
    """What each of those comes after that come after any."""

    chosen: set[str] = field(default_factory=set)
    """The ids of those that users have chosen: only these can others of them come after."""

    def add(self, batch: Batch) -> list[Receipt]:
        """Take in a batch, or refuse it and change nothing."""
        receipts = receipts_for(batch.jobs, batch.ids, self.taken, self.holders)
        new = [(job, of.id, batch.cwd) for job, of in zip(batch.jobs, receipts, strict=True) if not of.existing]
        chosen = {job.id for job, _, _ in new if job.id is not None}
        after = dependencies((job, job_id) for job, job_id, _ in new)
        if after:
            require_known(after, self.chosen | chosen | self.awaited.keys())
        self.new += new
        self.chosen |= chosen
        self.after |= after
        self.taken.update((receipt.id, receipt.queue) for receipt in receipts)
        self.holders.update((job.unique, (job_id, job.queue)) for job, job_id, _ in new if job.unique is not None)
        return receipts


async def enqueue(transaction: Transaction, batches: Sequence[Batch]) -> list[list[Receipt] | QueuectlError]:
    """Insert batches of jobs, each whole or not at all; see `JobStore.enqueue`.

    Where others take an id or a key between the look and the insertion, the transaction fails.
    """
    jobs = [job for batch in batches for job in batch.jobs]
    insertion = _Insertion(
        taken=await _queues_of(transaction, chosen_ids(jobs)),
        holders=await keys.holders(transaction, unique_keys(jobs)),
        awaited=await lock_awaited(transaction, awaited_ids(jobs)),
    )
    answers = [_add(insertion, batch) for batch in batches]
    await _insert(transaction, insertion.new)
    if insertion.after:
        await relate(transaction, insertion.after, insertion.awaited)
    reach(Failpoint.ENQUEUING)
    return answers


def _add(insertion: _Insertion, batch: Batch) -> list[Receipt] | QueuectlError:
    try:
        return insertion.add(batch)
    except QueuectlError as refusal:
        return refusal


async def _queues_of(transaction: Transaction, ids: Sequence[str]) -> dict[str, str]:
    found = await transaction.rows(sql.enqueue.QUEUES_OF, {"ids": ids}) if ids else []
    return {row["id"]: row["queue"] for row in found}


async def _insert(transaction: Transaction, new: Sequence[tuple[NewJob, str, str]]) -> None:
    # One statement, as the order of a batch is that of the ages; and few jobs have what most do not.
    if any(is_related(job) for job, _, _ in new):
        statement, row = sql.enqueue.INSERT_RELATED, rows.related_job
    else:
        statement, row = sql.enqueue.INSERT_JOBS, rows.new_job
    await transaction.copy(statement, (row(job, job_id, cwd, transaction.now) for job, job_id, cwd in new))

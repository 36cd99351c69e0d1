"""What is decided about new jobs before they are inserted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from queuectl.errors import InvalidJob
from queuectl.new_job import OnConflict, Receipt
from queuectl.store import refusals
from queuectl.store.ids import new_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queuectl.errors import Conflict
    from queuectl.new_job import NewJob

__all__ = [
    "awaited_ids",
    "chosen_ids",
    "current_directory",
    "ids_for",
    "is_related",
    "receipts_for",
    "unique_keys",
]


def ids_for(jobs: Sequence[NewJob]) -> list[str]:
    """Give each job's own id, or a generated one."""
    made = iter(new_ids(sum(job.id is None for job in jobs)))
    return [job.id or next(made) for job in jobs]


def chosen_ids(jobs: Sequence[NewJob]) -> list[str]:
    """Give the ids that a user chose: only these can be taken."""
    return [job.id for job in jobs if job.id is not None]


def unique_keys(jobs: Sequence[NewJob]) -> set[str]:
    """Give the keys that only one job may have: these, too, can be taken."""
    return {job.unique for job in jobs if job.unique is not None}


def is_related(job: NewJob) -> bool:
    """Tell whether a job has to do with others: few have."""
    return bool(job.after or job.unique or job.concurrency_key or job.concurrency_limit != 1)


def awaited_ids(jobs: Iterable[NewJob]) -> set[str]:
    """Give the ids of those that any of the jobs come after."""
    return {other.id for job in jobs for other in job.after}


def receipts_for(
    jobs: Sequence[NewJob], ids: Sequence[str], taken: Mapping[str, str], holders: Mapping[str, tuple[str, str]]
) -> list[Receipt]:
    """Decide about each job, under its id, whether it is new.

    `taken` gives, by id, the queues of the jobs that are there, and `holders`, by unique key, the id and the queue of
    the job that has it.

    Raises:
        DuplicateJob: an id is taken, and its new job does not ignore that.
        UniqueKeyTaken: the same of a unique key.
    """
    queues, holders = dict(taken), dict(holders)
    receipts = []
    for job, job_id in zip(jobs, ids, strict=True):
        refusal: Conflict
        if job_id in queues:
            there = Receipt(job_id, queues[job_id], existing=True)
            refusal = refusals.taken(job_id)
        elif job.unique is not None and job.unique in holders:
            there = Receipt(*holders[job.unique], existing=True)
            refusal = refusals.key_taken(job.unique, there.id)
        else:
            receipts.append(Receipt(job_id, job.queue))
            if job.id is not None:
                queues[job_id] = job.queue
            if job.unique is not None:
                holders[job.unique] = (job_id, job.queue)
            continue
        if job.on_conflict is not OnConflict.IGNORE:
            raise refusal
        receipts.append(there)
    return receipts


def current_directory(jobs: Sequence[NewJob]) -> str:
    """Give the directory for those jobs that name none.

    Raises:
        InvalidJob: it is wanted, and was deleted.
    """
    if all(job.cwd is not None for job in jobs):
        return ""
    try:
        return os.getcwd()  # noqa: PTH109 - a Path would be made for nothing else
    except FileNotFoundError:
        raise InvalidJob("the current directory was deleted: change to another, or name one with cwd") from None

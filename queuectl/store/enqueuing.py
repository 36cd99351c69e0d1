"""What is decided about new jobs before they are inserted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from queuectl.errors import InvalidJob
from queuectl.new_job import OnConflict, Receipt
from queuectl.store import refusals
from queuectl.store.ids import new_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queuectl.new_job import NewJob

__all__ = ["chosen_ids", "current_directory", "ids_for", "receipts_for"]


def ids_for(jobs: Sequence[NewJob]) -> list[str]:
    """Give each job's own id, or a generated one."""
    made = iter(new_ids(sum(job.id is None for job in jobs)))
    return [job.id or next(made) for job in jobs]


def chosen_ids(jobs: Sequence[NewJob]) -> list[str]:
    """Give the ids that a user chose: only these can be taken."""
    return [job.id for job in jobs if job.id is not None]


def receipts_for(jobs: Sequence[NewJob], ids: Sequence[str], taken: Mapping[str, str]) -> list[Receipt]:
    """Decide about each job, under its id, whether it is new.

    `taken` gives, by id, the queues of the jobs that are there.

    Raises:
        DuplicateJob: an id is taken, and its new job does not ignore that.
    """
    queues = dict(taken)
    receipts = []
    for job, job_id in zip(jobs, ids, strict=True):
        if job_id in queues:
            if job.on_conflict is not OnConflict.IGNORE:
                raise refusals.taken(job_id)
            receipts.append(Receipt(job_id, queues[job_id], existing=True))
            continue
        receipts.append(Receipt(job_id, job.queue))
        if job.id is not None:
            queues[job_id] = job.queue
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

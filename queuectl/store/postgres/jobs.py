"""What the store does for those who make jobs and look at them. Each function runs inside a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queuectl.errors import DuplicateJob
from queuectl.failpoints import Failpoint, reach
from queuectl.job import JobState
from queuectl.output import START, Chunk, RunOutput, Stream, assemble
from queuectl.store import naming, refusals
from queuectl.store.enqueuing import chosen_ids, receipts_for
from queuectl.store.postgres import rows, sql
from queuectl.store.selection import JobFilter, Sort
from queuectl.transition import Action, allowed_from, check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from queuectl.job import Job, Run
    from queuectl.new_job import NewJob, Receipt
    from queuectl.output import Position
    from queuectl.store.postgres.connection import Transaction
    from queuectl.store.selection import Selection


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that are stored whole or not at all."""

    jobs: Sequence[NewJob]
    ids: Sequence[str]
    cwd: str
    """The directory of those that name none."""


async def enqueue(transaction: Transaction, batches: Sequence[Batch]) -> list[list[Receipt] | DuplicateJob]:
    """Insert batches of jobs, each whole or not at all; see `JobStore.enqueue`.

    Where others take an id between the look and the insertion, the transaction fails.
    """
    wanted = [job_id for batch in batches for job_id in chosen_ids(batch.jobs)]
    found = await transaction.rows(sql.enqueue.QUEUES_OF, {"ids": wanted}) if wanted else []
    taken = {row["id"]: row["queue"] for row in found}
    answers: list[list[Receipt] | DuplicateJob] = []
    new: list[Sequence[object]] = []
    for batch in batches:
        try:
            receipts = receipts_for(batch.jobs, batch.ids, taken, holders={})
        except DuplicateJob as refusal:
            answers.append(refusal)
            continue
        answers.append(receipts)
        taken |= {receipt.id: receipt.queue for receipt in receipts}
        new += [
            rows.new_job(job, receipt.id, batch.cwd, transaction.now)
            for job, receipt in zip(batch.jobs, receipts, strict=True)
            if not receipt.existing
        ]
    await transaction.copy(sql.enqueue.INSERT_JOBS, new)
    reach(Failpoint.ENQUEUING)
    return answers


async def resolve(transaction: Transaction, text: str) -> str:
    """Find the id that a user means; see `JobStore.resolve`."""
    refusals.require_form([text])
    if await transaction.row(sql.jobs.JOB_BY_ID, {"id": text}):
        return text
    found = []
    if naming.may_begin_an_id(text):
        found = await transaction.rows(sql.jobs.IDS_BY_PREFIX, {"prefix": text, "limit": naming.CANDIDATES})
    return naming.only_one(text, [row["id"] for row in found])


async def get(transaction: Transaction, job_id: str) -> Job:
    """Read one job; see `JobStore.get`."""
    refusals.require_form([job_id])
    row = await transaction.row(sql.jobs.JOB_BY_ID, {"id": job_id})
    if row is None:
        raise refusals.no_job(job_id)
    return rows.job(row)


_BACKWARDS: Mapping[Sort, str] = {
    Sort.CREATED: "seq DESC",
    Sort.UPDATED: "updated_at DESC, seq DESC",
    Sort.RUN_AT: "run_at DESC, seq DESC",
    Sort.FINISHED: "finished_at DESC NULLS LAST, seq DESC",
    Sort.PRIORITY: "priority DESC, seq DESC",
}


async def find(transaction: Transaction, where: JobFilter, sort: Sort, limit: int | None) -> list[int]:
    """Give the seqs of the last `limit` jobs that fit, in the order of `sort`."""
    statement = sql.jobs.SEQS.format(order=_BACKWARDS[sort])
    found = await transaction.rows(statement, _fitting(where) | {"limit": limit})
    return [row["seq"] for row in reversed(found)]


async def read(transaction: Transaction, seqs: list[int], where: JobFilter) -> list[Job]:
    """Read jobs by their seqs; those that are gone, or do not fit any more, are left out."""
    return [rows.job(row) for row in await transaction.rows(sql.jobs.JOBS_BY_SEQ, _fitting(where) | {"seqs": seqs})]


def _fitting(where: JobFilter) -> dict[str, Any]:
    """Give the parameters of a filter."""
    return {
        "states": [state.value for state in where.states] or None,
        "queues": list(where.queues) or None,
        "tags": list(where.tags),
        "since": where.since,
    }


async def runs(transaction: Transaction, job_id: str) -> list[Run]:
    """Read the runs of a job; see `JobStore.list_runs`."""
    await get(transaction, job_id)
    return [rows.run(row) for row in await transaction.rows(sql.runs.RUNS_OF, {"id": job_id})]


async def output(transaction: Transaction, job_id: str, run: int, after: Position | None) -> RunOutput:
    """Read what a run has printed since `after`; see `JobStore.read_output`."""
    if not refusals.has_form(job_id):
        return RunOutput()
    begin = after or START
    pieces = await transaction.rows(sql.runs.OUTPUT_OF, {"id": job_id, "run": run} | begin._asdict())
    # The order of the streams does not matter, only that of the pieces of each.
    chunks = (Chunk(Stream(piece["stream"]), piece["offset"], piece["data"]) for piece in pieces)
    return assemble(chunks, begin)


async def retry(transaction: Transaction, selection: Selection, *, dry_run: bool) -> list[str]:
    """Make jobs due again by hand; see `JobStore.apply`."""
    if isinstance(selection, JobFilter):
        chosen = await _allowing(transaction, selection, Action.RETRY, dry_run=dry_run)
    else:
        chosen = await _named(transaction, selection, Action.RETRY, dry_run=dry_run)
    if not dry_run:
        await transaction.execute(sql.actions.RETRY, {"seqs": list(chosen), "now": transaction.now})
    return list(chosen.values())


async def _allowing(transaction: Transaction, where: JobFilter, action: Action, *, dry_run: bool) -> dict[int, str]:
    """Give id by seq of the jobs that fit a filter and allow an action, from the oldest."""
    statement = sql.actions.FITTING if dry_run else sql.actions.LOCK_FITTING
    allowed = [state.value for state in allowed_from(action)]
    return {row["seq"]: row["id"] for row in await transaction.rows(statement, _fitting(where) | {"allowed": allowed})}


async def _named(transaction: Transaction, ids: Sequence[str], action: Action, *, dry_run: bool) -> dict[int, str]:
    """Give id by seq of these jobs, from the oldest; each of them has to be there and allow the action."""
    refusals.require_form(ids)
    found = await transaction.rows(sql.actions.NAMED if dry_run else sql.actions.LOCK_NAMED, {"ids": list(ids)})
    refusals.require_all(ids, [row["id"] for row in found])
    for row in found:
        check(row["id"], JobState(row["state"]), action)
    return {row["seq"]: row["id"] for row in found}


async def purge(
    transaction: Transaction, states: Sequence[JobState], before: datetime | None, limit: int | None
) -> int:
    """Delete finished jobs; see `JobStore.purge`."""
    wanted = {"states": [state.value for state in states], "before": before, "limit": limit}
    row = await transaction.row(sql.jobs.PURGE, wanted)
    reach(Failpoint.PRUNING)
    return 0 if row is None else row["jobs"]


async def count_purgeable(
    transaction: Transaction, states: Sequence[JobState], before: datetime | None, limit: int | None
) -> int:
    """Count the jobs that `purge` would delete."""
    wanted = {"states": [state.value for state in states], "before": before, "limit": limit}
    row = await transaction.row(sql.jobs.COUNT_PURGEABLE, wanted)
    return 0 if row is None else row["jobs"]

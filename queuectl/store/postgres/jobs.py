"""What the store does for those who make jobs and look at them. Each function runs inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queuectl.failpoints import Failpoint, reach
from queuectl.output import START, Chunk, RunOutput, Stream, assemble
from queuectl.store import naming, refusals
from queuectl.store.postgres import rows, sql
from queuectl.store.postgres.dependencies import settle_rows
from queuectl.store.selection import JobFilter, Sort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from queuectl.job import Job, JobState, Run
    from queuectl.output import Position
    from queuectl.store.postgres.connection import Transaction


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
    found = await transaction.rows(statement, fitting(where) | {"limit": limit})
    return [row["seq"] for row in reversed(found)]


async def read(transaction: Transaction, seqs: list[int], where: JobFilter) -> list[Job]:
    """Read jobs by their seqs; those that are gone, or do not fit any more, are left out."""
    return [rows.job(row) for row in await transaction.rows(sql.jobs.JOBS_BY_SEQ, fitting(where) | {"seqs": seqs})]


async def next_in_line(transaction: Transaction, limit: int) -> list[Job]:
    """Read jobs that will be claimed soon; see `JobStore.next_in_line`."""
    ready = await transaction.rows(sql.claims.NEXT_IN_LINE, {"limit": limit})
    to_come = await transaction.rows(sql.waiting.NEXT_TO_COME, {"limit": limit})
    return await read(transaction, [row["seq"] for row in (*ready, *to_come)], JobFilter())


def fitting(where: JobFilter) -> dict[str, Any]:
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


async def purge(
    transaction: Transaction, states: Sequence[JobState], before: datetime | None, limit: int | None
) -> int:
    """Delete finished jobs; see `JobStore.purge`."""
    found = await transaction.rows(sql.jobs.LOCK_PURGEABLE, _purgeable(states, before, limit))
    purged = await transaction.rows(sql.jobs.DELETE, {"seqs": [row["seq"] for row in found]}) if found else []
    await settle_rows(transaction, purged, None)
    reach(Failpoint.PRUNING)
    return len(purged)


async def count_purgeable(
    transaction: Transaction, states: Sequence[JobState], before: datetime | None, limit: int | None
) -> int:
    """Count the jobs that `purge` would delete."""
    row = await transaction.row(sql.jobs.COUNT_PURGEABLE, _purgeable(states, before, limit))
    return 0 if row is None else row["jobs"]


def _purgeable(states: Sequence[JobState], before: datetime | None, limit: int | None) -> dict[str, object]:
    return {"states": [state.value for state in states], "before": before, "limit": limit}

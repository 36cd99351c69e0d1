"""What the store does for those who look at jobs and manage them. Each function runs inside a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from queuectl.failpoints import Failpoint, reach
from queuectl.job import JobState
from queuectl.output import START, Chunk, RunOutput, Stream, assemble
from queuectl.store import naming, refusals
from queuectl.store.base import JobFilter, Sort
from queuectl.store.sqlite import rows, sql
from queuectl.store.sqlite.dependencies import settle
from queuectl.timestamp import to_epoch_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from queuectl.job import Job, Run
    from queuectl.output import Position


def resolve(connection: sqlite3.Connection, text: str) -> str:
    """Find the id that a user means; see `JobStore.resolve`."""
    refusals.require_form([text])
    if connection.execute(sql.jobs.EXISTS_JOB, (text,)).fetchone():
        return text
    found: list[str] = []
    if naming.may_begin_an_id(text):
        wanted = {"prefix": text, "limit": naming.CANDIDATES}
        found = [row[0] for row in connection.execute(sql.jobs.GENERATED_IDS_BY_PREFIX, wanted)]
    return naming.only_one(text, found)


def get(connection: sqlite3.Connection, job_id: str) -> Job:
    """Read one job; see `JobStore.get`."""
    refusals.require_form([job_id])
    row = connection.execute(sql.jobs.JOB_BY_ID, (job_id,)).fetchone()
    if row is None:
        raise refusals.no_job(job_id)
    return rows.job(row)


_ORDERS = {
    Sort.CREATED: (),
    Sort.UPDATED: ("updated_at",),
    Sort.RUN_AT: ("run_at",),
    Sort.FINISHED: ("finished_at",),
    Sort.PRIORITY: ("priority",),
}
"""What goes before the age."""


def find(connection: sqlite3.Connection, where: JobFilter, sort: Sort, limit: int | None) -> list[int]:
    """Give the seqs of the last `limit` jobs that fit, in the order of `sort`."""
    condition, parameters = conditions(where)
    # The first tag leads to the jobs: to look at each job for a rare one takes long.
    tag = where.tags[:1]
    source, age = (sql.jobs.TAGGED, "job_seq") if tag else ("jobs", "seq")
    if where.states == (JobState.PROCESSING,):
        # They are few and have an index; without the sign SQLite would rather look for them among all, by age.
        age = f"+{age}"
    backwards = ", ".join(f"{column} DESC" for column in (*_ORDERS[sort], age))
    statement = sql.jobs.SEQS.format(source=source, where=condition, order=backwards)
    seqs = [row[0] for row in connection.execute(statement, (*tag, *parameters, -1 if limit is None else limit))]
    seqs.reverse()
    return seqs


def read(connection: sqlite3.Connection, seqs: list[int], where: JobFilter) -> list[Job]:
    """Read jobs by their seqs; those that are gone, or do not fit any more, are left out."""
    condition, parameters = conditions(where)
    statement = sql.jobs.JOBS_BY_SEQ.format(where=condition)
    return [rows.job(row) for row in connection.execute(statement, (json.dumps(seqs), *parameters))]


def next_in_line(connection: sqlite3.Connection, limit: int) -> list[Job]:
    """Read jobs that will be claimed soon; see `JobStore.next_in_line`."""
    statements = (sql.claims.NEXT_IN_LINE, sql.waiting.NEXT_TO_COME)
    seqs = [seq for statement in statements for (seq,) in connection.execute(statement, {"limit": limit})]
    return read(connection, seqs, JobFilter())


def conditions(where: JobFilter) -> tuple[str, list[object]]:
    """Write a filter as SQL. No text of a user's stands in it: only marks for parameters."""
    terms, parameters = ["1"], list[object]()
    # Rare states have an index; the sign keeps SQLite from taking that of a queue, which may have a million jobs.
    is_rare = bool(where.states) and set(where.states) <= _NOTABLE | {JobState.PROCESSING}
    for column, values in (("state", where.states), ("+queue" if is_rare else "queue", where.queues)):
        if values:
            terms.append(f"{column} IN ({marks(values)})")
            parameters += values
    if is_rare and JobState.PROCESSING not in where.states:
        # Said literally, so that the partial index is seen to fit.
        terms.append("(state = 'blocked' OR state = 'failed' OR state = 'dead' OR state = 'cancelled')")
    if where.states == (JobState.PROCESSING,):
        terms.append("state = 'processing'")
    for tag in where.tags:
        terms.append("EXISTS (SELECT 1 FROM job_tags AS tagged WHERE tagged.tag = ? AND tagged.job_seq = jobs.seq)")
        parameters.append(tag)
    if where.since is not None:
        terms.append("created_at >= ?")
        parameters.append(to_epoch_ms(where.since))
    return " AND ".join(terms), parameters


_NOTABLE = {JobState.BLOCKED, JobState.FAILED, JobState.DEAD, JobState.CANCELLED}


def marks(values: Sequence[object]) -> str:
    """Give as many parameter marks as there are values."""
    return ", ".join("?" * len(values))


def runs(connection: sqlite3.Connection, job_id: str) -> list[Run]:
    """Read the runs of a job; see `JobStore.list_runs`."""
    get(connection, job_id)
    return [rows.run(row) for row in connection.execute(sql.runs.RUNS_OF, {"id": job_id})]


def output(connection: sqlite3.Connection, job_id: str, run: int, after: Position | None) -> RunOutput:
    """Read what a run has printed since `after`; see `JobStore.read_output`."""
    if not refusals.has_form(job_id):
        return RunOutput()
    begin = after or START
    chunks = [
        Chunk(stream, offset, data)
        for stream, start in zip(Stream, begin, strict=True)
        for offset, data in connection.execute(sql.runs.OUTPUT_OF, (job_id, run, stream, start))
    ]
    return assemble(chunks, begin)


def purge(
    connection: sqlite3.Connection, states: Sequence[JobState], before: datetime | None, limit: int, now: int
) -> int:
    """Delete finished jobs; see `JobStore.purge`. A negative `limit` is none."""
    if not states:
        return 0
    condition, parameters = _finished(states, before)
    purged = connection.execute(sql.jobs.PURGE.format(where=condition), (*parameters, limit)).fetchall()
    settle(connection, {job_id: None for (job_id,) in purged if job_id is not None}, now)
    reach(Failpoint.PRUNING)
    return len(purged)


def count_purgeable(
    connection: sqlite3.Connection, states: Sequence[JobState], before: datetime | None, limit: int
) -> int:
    """Count the jobs that `purge` would delete."""
    if not states:
        return 0
    condition, parameters = _finished(states, before)
    count: int = connection.execute(sql.jobs.COUNT_PURGEABLE.format(where=condition), (*parameters, limit)).fetchone()[
        0
    ]
    return count


def _finished(states: Sequence[JobState], before: datetime | None) -> tuple[str, list[object]]:
    """Write as SQL which jobs are purged."""
    condition, parameters = conditions(JobFilter(states=tuple(states)))
    condition += " AND finished_at IS NOT NULL"
    if before is not None:
        condition += " AND finished_at < ?"
        parameters.append(to_epoch_ms(before))
    return condition, parameters

"""What the store does for those who run jobs. Each function runs inside a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from queuectl.failpoints import Failpoint, reach
from queuectl.job import FINAL_STATES, Claim, JobState
from queuectl.store import refusals
from queuectl.store.ends import End
from queuectl.store.sqlite import heads, keys, limited, rows, sql
from queuectl.store.sqlite.dependencies import settle
from queuectl.store.turns import QueueTurn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from queuectl.errors import LeaseLost
    from queuectl.job import Job
    from queuectl.output import OutputUpdate

__all__ = ["End", "QueueTurn", "claim", "end_runs", "exchange", "finish", "is_registered", "report", "rescue"]


def claim(
    connection: sqlite3.Connection,
    workers: Sequence[int],
    *,
    engine_id: str,
    queues: Sequence[str] | None,
    turn: QueueTurn,
    now: int,
) -> list[Job | None]:
    """Give each worker of an engine its next job, or None; see `WorkerStore.claim`."""
    wish = {"engine_id": engine_id, "workers": json.dumps(workers), "now": now}
    is_registered, holds_some, some_are_due = connection.execute(sql.claims.CLAIM_VIEW, wish).fetchone()
    if not is_registered:
        raise refusals.fenced(engine_id)
    if some_are_due and not connection.execute(sql.waiting.PROMOTE_DUE, wish).rowcount:
        raise refusals.contradicts_itself()
    # Jobs of an earlier claim whose answer was lost.
    jobs = list(map(rows.job, connection.execute(sql.claims.HELD_BY_WORKERS, wish))) if holds_some else []
    busy = {job.worker for job in jobs}
    free = [worker for worker in workers if worker not in busy]
    jobs += _take(connection, free, engine_id=engine_id, queues=queues, turn=turn, now=now)
    held = {job.worker: job for job in jobs}
    return [held.get(worker) for worker in workers]


def _take(
    connection: sqlite3.Connection,
    workers: Sequence[int],
    *,
    engine_id: str,
    queues: Sequence[str] | None,
    turn: QueueTurn,
    now: int,
) -> list[Job]:
    """Give each of these workers, which hold nothing, the next job, as far as there are any."""
    next_jobs = heads.heads(connection, queues, turn, len(workers))
    if any(head.is_bounded for head in next_jobs):
        return limited.take(connection, workers, engine_id=engine_id, queues=queues, turn=turn, now=now)
    picks = [(head.seq, worker) for head, worker in zip(next_jobs, workers, strict=False)]
    jobs = heads.take(connection, picks, engine_id, now)
    if jobs:
        turn.last = next_jobs[-1].queue
        reach(Failpoint.CLAIMING)
    return jobs


def report(
    connection: sqlite3.Connection, claim: Claim, *, pid: int, pid_start: str, output: OutputUpdate, now: int
) -> None:
    """Note the process of a claimed job and what it has printed; see `WorkerStore.report`."""
    parameters = {**rows.claim(claim), "pid": pid, "pid_start": pid_start, "now": now}
    if not connection.execute(sql.claims.REPORT, parameters).rowcount:
        raise refusals.lost(claim)
    _append(connection, claim.job_id, output)


def finish(connection: sqlite3.Connection, ends: Sequence[End], *, now: int) -> list[LeaseLost | None]:
    """End runs in the name of the engines that hold them, and say which could not; see `WorkerStore.finish`."""
    ended = end_runs(connection, ends, now)
    reach(Failpoint.FINISHING)
    return [None if end.claim in ended else _refusal(connection, end.claim) for end in ends]


def exchange(
    connection: sqlite3.Connection,
    ended: Sequence[tuple[End, int]],
    *,
    engine_id: str,
    queues: Sequence[str] | None,
    turn: QueueTurn,
    now: int,
) -> list[tuple[LeaseLost | None, Job | None]]:
    """End the runs of an engine's workers, and give each its next job; see `WorkerStore.exchange`."""
    refused = finish(connection, [end for end, _ in ended], now=now)
    workers = [worker for _, worker in ended]
    jobs = claim(connection, workers, engine_id=engine_id, queues=queues, turn=turn, now=now)
    return list(zip(refused, jobs, strict=True))


def _refusal(connection: sqlite3.Connection, claim: Claim) -> LeaseLost | None:
    if not is_registered(connection, claim.engine_id):
        return refusals.fenced(claim.engine_id)
    # It may have been stored before, and only the answer was lost.
    return None if connection.execute(sql.ends.IS_RECORDED, rows.claim(claim)).fetchone() else refusals.lost(claim)


def rescue(connection: sqlite3.Connection, engine_id: str, end: End, *, is_gone: bool, now: int) -> None:
    """End a run in the name of another engine than the one that held it; see `WorkerStore.rescue`."""
    if not is_registered(connection, engine_id):
        raise refusals.fenced(engine_id)
    if not end_runs(connection, [end], now, sql.ends.AFTER_ITS_HOLDER if is_gone else sql.ends.BY_ANOTHER):
        raise refusals.lost(end.claim)
    reach(Failpoint.RESCUING)


def end_runs(
    connection: sqlite3.Connection, ends: Sequence[End], now: int, condition: str = sql.ends.BY_HOLDER
) -> set[Claim]:
    """End runs and move their jobs on, where they are held under their claims; give those claims."""
    ended: set[Claim] = set()
    for start in range(0, len(ends), sql.AT_ONCE):
        some = ends[start : start + sql.AT_ONCE]
        values = [value for end in some for value in rows.end_of_run(end, now)]
        found = connection.execute(sql.ends.finish(len(some), condition), values).fetchall()
        ended |= {Claim(*row[:3]) for row in found}
        _let_others_go_on(connection, found, now)
    for end in ends:
        if end.execution.output and end.claim in ended:
            _append(connection, end.claim.job_id, end.execution.output)
    return ended


def _let_others_go_on(connection: sqlite3.Connection, ended: Sequence[rows.Row], now: int) -> None:
    """Do for other jobs what follows from the ends of runs."""
    awaited = {row[0]: JobState(row[3]) for row in ended if row[3] is not None}
    settle(connection, {job_id: state for job_id, state in awaited.items() if state in FINAL_STATES}, now)
    keys.unpark(connection, [row[4] for row in ended if row[4] is not None])


def is_registered(connection: sqlite3.Connection, engine_id: str) -> bool:
    """Tell whether the store knows an engine, and it is not fenced."""
    return connection.execute(sql.engines.IS_REGISTERED, (engine_id,)).fetchone() is not None


def _append(connection: sqlite3.Connection, job_id: str, output: OutputUpdate) -> None:
    """Add pieces of output to the run under way, and drop what lies in its gaps."""
    for chunk in output.chunks:
        connection.execute(sql.runs.APPEND_OUTPUT, (chunk.stream, chunk.offset, chunk.data, job_id))
    for gap in output.gaps:
        parameters = {"id": job_id, "stream": gap.stream, "start": gap.start, "end": gap.end}
        connection.execute(sql.runs.DROP_OUTPUT, parameters)
        connection.execute(sql.runs.TRIM_OUTPUT, parameters)

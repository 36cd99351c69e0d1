"""What the store does for those who run jobs. Each function runs inside a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from queuectl.errors import EngineFenced, LeaseLost
from queuectl.store.sqlite import rows, sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from queuectl.job import Claim, Job
    from queuectl.output import OutputUpdate
    from queuectl.store.base import Execution
    from queuectl.transition import Transition

__all__ = ["QueueTurn", "claim", "finish", "report", "require_engine", "rescue"]


class QueueTurn:
    """Remembers which queue was served last, so that at equal priority each has its turn."""

    def __init__(self) -> None:
        self._last = ""

    def order(self, queues: Iterable[str]) -> list[str]:
        """Put queues in the order of their turns: those behind the last one served, then round from the first."""
        return sorted(queues, key=lambda queue: (queue <= self._last, queue))

    def served(self, queue: str) -> None:
        """Say that a job of this queue was given out last."""
        self._last = queue


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
    require_engine(connection, engine_id)
    held = _held(connection, engine_id, workers)
    free = [worker for worker in workers if worker not in held]
    connection.execute(sql.PROMOTE_DUE, (now,))
    seqs = _choose(connection, queues, len(free), turn)
    if seqs:
        [token] = connection.execute(sql.NEXT_TOKEN).fetchone()
        picks = json.dumps(list(zip(seqs, free, strict=False)))
        taken = connection.execute(sql.TAKE, {"engine_id": engine_id, "token": token, "now": now, "picks": picks})
        held |= _by_worker(taken.fetchall())
    return [held.get(worker) for worker in workers]


def require_engine(connection: sqlite3.Connection, engine_id: str) -> None:
    """Let registered engines pass.

    Raises:
        EngineFenced: this one is not.
    """
    if connection.execute(sql.IS_REGISTERED, (engine_id,)).fetchone() is None:
        raise EngineFenced(f"engine {engine_id} is not registered: others took it for dead, or it has stopped")


def _held(connection: sqlite3.Connection, engine_id: str, workers: Sequence[int]) -> dict[int, Job]:
    """Find jobs that these workers hold without knowing it, because the answer to an earlier claim was lost."""
    return _by_worker(connection.execute(sql.HELD_BY_WORKERS, (engine_id, json.dumps(workers))).fetchall())


def _by_worker(found: Iterable[rows.Row]) -> dict[int, Job]:
    jobs = map(rows.job, found)
    return {job.worker: job for job in jobs if job.worker is not None}


def _choose(connection: sqlite3.Connection, queues: Sequence[str] | None, wanted: int, turn: QueueTurn) -> list[int]:
    """Merge the heads of the open queues: by priority, at equal priority in turn. Gives up to `wanted` seqs."""
    if not wanted:
        return []
    is_open = [queue for (queue,) in connection.execute(sql.OPEN_QUEUES) if queues is None or queue in queues]
    heads: list[tuple[int, int, int, str, int]] = []
    for place, queue in enumerate(turn.order(is_open)):
        nth: dict[int, int] = {}
        for seq, priority in connection.execute(sql.HEAD, (queue, wanted)):
            nth[priority] = nth.get(priority, 0) + 1
            heads.append((-priority, nth[priority], place, queue, seq))
    heads.sort()
    if heads := heads[:wanted]:
        turn.served(heads[-1][3])
    return [seq for *_, seq in heads]


def report(
    connection: sqlite3.Connection, claim: Claim, *, pid: int, pid_start: str, output: OutputUpdate, now: int
) -> None:
    """Note the process of a claimed job and what it has printed; see `WorkerStore.report`."""
    parameters = {**rows.claim(claim), "pid": pid, "pid_start": pid_start, "now": now}
    if not connection.execute(sql.REPORT, parameters).rowcount:
        raise _lost(claim)
    _append(connection, claim.job_id, output)


def finish(
    connection: sqlite3.Connection, claim: Claim, execution: Execution, transition: Transition, now: int
) -> None:
    """End a run in the name of the engine that holds it; see `WorkerStore.finish`."""
    require_engine(connection, claim.engine_id)
    if not _end(connection, claim, execution, transition, now) and not _is_recorded(connection, claim):
        raise _lost(claim)


def rescue(
    connection: sqlite3.Connection,
    engine_id: str,
    job: Job,
    execution: Execution,
    transition: Transition,
    *,
    now: int,
) -> None:
    """End a run in the name of another engine than the one that held it; see `WorkerStore.rescue`."""
    require_engine(connection, engine_id)
    if not _end(connection, job.claim, execution, transition, now):
        raise _lost(job.claim)


def _end(connection: sqlite3.Connection, claim: Claim, execution: Execution, transition: Transition, now: int) -> bool:
    """Record the run and move the job on, if it is held under this claim; say whether it was."""
    parameters = rows.claim(claim) | rows.end_of_run(execution, transition, now)
    if not connection.execute(sql.RECORD_RUN, parameters).rowcount:
        return False
    _append(connection, claim.job_id, execution.output)
    connection.execute(sql.FINISH, parameters)
    return True


def _append(connection: sqlite3.Connection, job_id: str, output: OutputUpdate) -> None:
    """Add pieces of output to the run under way, and drop what lies in its gaps."""
    for chunk in output.chunks:
        connection.execute(sql.APPEND_OUTPUT, (chunk.stream, chunk.offset, chunk.data, job_id))
    for gap in output.gaps:
        parameters = {"id": job_id, "stream": gap.stream, "start": gap.start, "end": gap.end}
        connection.execute(sql.DROP_OUTPUT, parameters)
        connection.execute(sql.TRIM_OUTPUT, parameters)


def _is_recorded(connection: sqlite3.Connection, claim: Claim) -> bool:
    return connection.execute(sql.IS_RECORDED, rows.claim(claim)).fetchone() is not None


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"job {claim.job_id} is no longer held by engine {claim.engine_id} under claim {claim.token}")

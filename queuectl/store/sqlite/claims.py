"""What the store does for those who run jobs. Each function runs inside a transaction."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.errors import EngineFenced, LeaseLost
from queuectl.job import Claim
from queuectl.store.sqlite import rows, sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from queuectl.job import Job
    from queuectl.output import OutputUpdate
    from queuectl.store.base import Execution
    from queuectl.transition import Transition

__all__ = ["End", "QueueTurn", "claim", "end_runs", "finish", "is_registered", "report", "rescue"]


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
    wish = {"engine_id": engine_id, "workers": json.dumps(workers), "now": now}
    is_registered, holds_some, some_are_due = connection.execute(sql.CLAIM_VIEW, wish).fetchone()
    if not is_registered:
        raise _fenced(engine_id)
    # Jobs that these workers hold without knowing it, because the answer to an earlier claim was lost.
    held = _by_worker(connection.execute(sql.HELD_BY_WORKERS, wish).fetchall()) if holds_some else {}
    if some_are_due:
        connection.execute(sql.PROMOTE_DUE, wish)
    free = [worker for worker in workers if worker not in held]
    seqs = _choose(connection, queues, len(free), turn)
    if seqs:
        [last_token] = connection.execute(sql.TAKE_TOKENS, (len(seqs),)).fetchone()
        tokens = range(last_token - len(seqs) + 1, last_token + 1)
        picks = json.dumps(list(zip(seqs, free, tokens, strict=False)))
        taken = connection.execute(sql.TAKE, {"engine_id": engine_id, "now": now, "picks": picks})
        held |= _by_worker(taken.fetchall())
    return [held.get(worker) for worker in workers]


def _by_worker(found: Iterable[rows.Row]) -> dict[int, Job]:
    jobs = map(rows.job, found)
    return {job.worker: job for job in jobs if job.worker is not None}


def _choose(connection: sqlite3.Connection, queues: Sequence[str] | None, wanted: int, turn: QueueTurn) -> list[int]:
    """Merge the heads of the open queues: by priority, at equal priority in turn. Gives up to `wanted` seqs."""
    heads = connection.execute(sql.HEADS, (wanted,)).fetchall() if wanted else []
    served = [head for head in heads if queues is None or head[0] in queues]
    places = {queue: place for place, queue in enumerate(turn.order({queue for queue, *_ in served}))}
    counts: Counter[tuple[str, int]] = Counter()
    ranked: list[tuple[int, int, int, int, str]] = []
    for queue, priority, _, seq in sorted(served, key=lambda head: (-head[1], head[2], head[3])):
        counts[queue, priority] += 1
        ranked.append((-priority, counts[queue, priority], places[queue], seq, queue))
    ranked.sort()
    if ranked := ranked[:wanted]:
        turn.served(ranked[-1][-1])
    return [seq for *_, seq, _ in ranked]


def report(
    connection: sqlite3.Connection, claim: Claim, *, pid: int, pid_start: str, output: OutputUpdate, now: int
) -> None:
    """Note the process of a claimed job and what it has printed; see `WorkerStore.report`."""
    parameters = {**rows.claim(claim), "pid": pid, "pid_start": pid_start, "now": now}
    if not connection.execute(sql.REPORT, parameters).rowcount:
        raise _lost(claim)
    _append(connection, claim.job_id, output)


@dataclass(frozen=True, slots=True)
class End:
    """The end of a run that is to be stored."""

    claim: Claim
    execution: Execution
    transition: Transition
    now: int


def finish(connection: sqlite3.Connection, ends: Sequence[End]) -> list[LeaseLost | None]:
    """End runs in the name of the engines that hold them, and say which could not; see `WorkerStore.finish`."""
    fenced = {engine for engine in {end.claim.engine_id for end in ends} if not is_registered(connection, engine)}
    ended = end_runs(connection, [end for end in ends if end.claim.engine_id not in fenced])
    return [_refusal(connection, end.claim, fenced) if end.claim not in ended else None for end in ends]


def _refusal(connection: sqlite3.Connection, claim: Claim, fenced: set[str]) -> LeaseLost | None:
    if claim.engine_id in fenced:
        return _fenced(claim.engine_id)
    # It may have been stored before, and only the answer was lost.
    return None if connection.execute(sql.IS_RECORDED, rows.claim(claim)).fetchone() else _lost(claim)


def rescue(connection: sqlite3.Connection, engine_id: str, end: End) -> None:
    """End a run in the name of another engine than the one that held it; see `WorkerStore.rescue`."""
    if not is_registered(connection, engine_id):
        raise _fenced(engine_id)
    if is_registered(connection, end.claim.engine_id) or not end_runs(connection, [end]):
        raise _lost(end.claim)


def end_runs(connection: sqlite3.Connection, ends: Sequence[End]) -> set[Claim]:
    """Record runs and move their jobs on, where they are held under their claims; give those claims."""
    if not ends:
        return set()
    parameters = (json.dumps([rows.end_of_run(end.claim, end.execution, end.transition, end.now) for end in ends]),)
    connection.execute(sql.RECORD_RUNS, parameters)
    for end in ends:
        if end.execution.output and connection.execute(sql.HOLDS, rows.claim(end.claim)).fetchone():
            _append(connection, end.claim.job_id, end.execution.output)
    return {Claim(*row) for row in connection.execute(sql.FINISH, parameters).fetchall()}


def is_registered(connection: sqlite3.Connection, engine_id: str) -> bool:
    """Tell whether the store knows an engine, and it is not fenced."""
    return connection.execute(sql.IS_REGISTERED, (engine_id,)).fetchone() is not None


def _append(connection: sqlite3.Connection, job_id: str, output: OutputUpdate) -> None:
    """Add pieces of output to the run under way, and drop what lies in its gaps."""
    for chunk in output.chunks:
        connection.execute(sql.APPEND_OUTPUT, (chunk.stream, chunk.offset, chunk.data, job_id))
    for gap in output.gaps:
        parameters = {"id": job_id, "stream": gap.stream, "start": gap.start, "end": gap.end}
        connection.execute(sql.DROP_OUTPUT, parameters)
        connection.execute(sql.TRIM_OUTPUT, parameters)


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"job {claim.job_id} is no longer held by engine {claim.engine_id} under claim {claim.token}")


def _fenced(engine_id: str) -> EngineFenced:
    return EngineFenced(f"engine {engine_id} is not registered: others took it for dead, or it has stopped")

"""The jobs that are next, and taking them. All inside a transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from queuectl.store import refusals
from queuectl.store.sqlite import rows, sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from queuectl.job import Job
    from queuectl.store.turns import QueueTurn

__all__ = ["Head", "heads", "take"]


class Head(NamedTuple):
    """A job that is among the first of its queue."""

    queue: str
    seq: int
    priority: int
    is_paused: bool
    """Whether its queue is paused."""
    is_bounded: bool
    """Whether its key, or a limit of its queue, may leave no room for it."""


def heads(connection: sqlite3.Connection, served: Sequence[str] | None, turn: QueueTurn, wanted: int) -> list[Head]:
    """Give up to so many ready jobs of the served queues (None: of all) that are not paused, in the order of a claim.

    That is by priority; at equal priority a job of each queue in turn, beginning behind the last one served; within a
    queue by `run_at`, then by age.
    """
    lines = _next_lines(connection, wanted) if served is None else _lines(connection, served, wanted)
    rounds = Counter[tuple[str, int]]()
    ranked = []
    for head in lines:
        if not head.is_paused:
            rounds[head.queue, head.priority] += 1
            rank = (-head.priority, rounds[head.queue, head.priority], head.queue <= turn.last, head.queue)
            ranked.append((rank, head))
    return [head for _, head in sorted(ranked)[:wanted]]


def _lines(connection: sqlite3.Connection, served: Sequence[str], wanted: int) -> list[Head]:
    """Give the first ready jobs of each of these queues, in its order."""
    wishes = [{"queue": queue, "limit": wanted} for queue in dict.fromkeys(served)]
    return [Head(*row) for wish in wishes for row in connection.execute(_OF_THIS, wish)]


def _next_lines(connection: sqlite3.Connection, wanted: int) -> list[Head]:
    """Give the first ready jobs of each queue that has any, in its order."""
    lines: list[Head] = []
    wish = {"queue": "", "limit": wanted}
    while line := connection.execute(_OF_NEXT, wish).fetchall():
        lines += [Head(*row) for row in line]
        wish["queue"] = lines[-1].queue
    return lines


_OF_THIS = sql.claims.HEADS.format(queue=sql.claims.THIS_QUEUE)
_OF_NEXT = sql.claims.HEADS.format(queue=sql.claims.NEXT_QUEUE)


def take(connection: sqlite3.Connection, picks: Sequence[tuple[int, int]], engine_id: str, now: int) -> list[Job]:
    """Claim ready jobs for an engine, each by its seq for a worker that holds none; their tokens grow in that order.

    Raises:
        StoreDamaged: one of them is not there.
    """
    jobs: list[Job] = []
    for start in range(0, len(picks), sql.AT_ONCE):
        some = picks[start : start + sql.AT_ONCE]
        values = [value for place, (seq, worker) in enumerate(some, start=1) for value in (seq, worker, place)]
        taken = connection.execute(sql.claims.take(len(some)), (*values, engine_id, now, now)).fetchall()
        if len(taken) != len(some):
            raise refusals.contradicts_itself()
        jobs += map(rows.job, taken)
    return jobs

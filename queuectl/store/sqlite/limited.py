"""Taking jobs one by one, where a key or a queue bounds how many may start. All inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.store import refusals
from queuectl.store.limits import open_queue
from queuectl.store.sqlite import heads, keys, rows, sql
from queuectl.store.sqlite.columns import to_json
from queuectl.timestamp import from_epoch_ms, to_epoch_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from queuectl.job import Job
    from queuectl.store.limits import OpenQueue
    from queuectl.store.turns import QueueTurn

__all__ = ["open_queues", "take"]

_MOST_PARKED = 100
"""Full keys that one claim deals with, so that its transaction stays short; the next one goes on."""


def open_queues(connection: sqlite3.Connection, served: Sequence[str] | None, now: int) -> list[OpenQueue]:
    """Give those of the served queues (None: of all) that have something ready and are not paused."""
    found = connection.execute(sql.claims.OPEN_QUEUES).fetchall()
    return [_open_queue(row, now) for row in found if served is None or row[0] in served]


def _open_queue(row: rows.Row, now: int) -> OpenQueue:
    return open_queue(rows.queue_rules(row), rows.bucket(row), row[-1], from_epoch_ms(now))


def take(
    connection: sqlite3.Connection,
    workers: Sequence[int],
    *,
    engine_id: str,
    queues: Sequence[str] | None,
    turn: QueueTurn,
    now: int,
) -> list[Job]:
    """Give each of these workers, which hold nothing, the next job that may start, as far as there are any."""
    opened = {queue.name: queue for queue in open_queues(connection, queues, now)}
    taken: list[Job] = []
    for worker in workers:
        seq = _next(connection, opened, turn, is_first=not taken)
        if seq is None:
            break
        [job] = heads.take(connection, [(seq, worker)], engine_id, now)
        taken.append(job)
        turn.last = job.queue
        opened[job.queue].start_one()
    _keep_buckets(connection, opened.values())
    return taken


def _next(
    connection: sqlite3.Connection, opened: dict[str, OpenQueue], turn: QueueTurn, *, is_first: bool
) -> int | None:
    """Give the seq of the job that is next and may start. Those before it whose key is full are parked."""
    names = [queue.name for queue in opened.values() if queue.most(1)]
    wish = {"queues": to_json(names), "last_queue": turn.last}
    for parked in range(_MOST_PARKED):
        head = connection.execute(sql.claims.NEXT_HEAD, wish).fetchone()
        if head is None:
            if names and is_first and not parked:
                raise refusals.contradicts_itself()
            return None
        seq, key, limit = head
        if not keys.is_full(connection, key, limit):
            found: int = seq
            return found
    return None


def _keep_buckets(connection: sqlite3.Connection, opened: Iterable[OpenQueue]) -> None:
    rated = [(queue.bucket, queue.name) for queue in opened if queue.bucket is not None]
    connection.executemany(
        sql.queues.SET_TOKENS, [(bucket.tokens, to_epoch_ms(bucket.refilled_at), name) for bucket, name in rated]
    )

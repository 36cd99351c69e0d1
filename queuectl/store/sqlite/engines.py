"""What the store does for engines: who is there, and what an idle one wants to know. Each runs in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import Claim
from queuectl.registration import Look
from queuectl.store import refusals
from queuectl.store.ends import given_back
from queuectl.store.sqlite import claims, limited, rows, sql
from queuectl.store.sqlite.columns import to_json
from queuectl.store.sqlite.jobs import marks
from queuectl.timestamp import from_epoch_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from queuectl.job import Job
    from queuectl.registration import EngineRecord, NewEngine
    from queuectl.store.limits import OpenQueue

__all__ = ["beat", "deregister", "engines", "fence", "is_idle", "look", "orphans", "register", "request_stop"]


def register(connection: sqlite3.Connection, engine: NewEngine, now: int) -> None:
    """Make an engine known; see `EngineStore.register_engine`."""
    connection.execute(sql.engines.INSERT_ENGINE, rows.new_engine(engine, now))


def beat(connection: sqlite3.Connection, engine_id: str, now: int) -> int:
    """Raise a heartbeat counter; see `EngineStore.beat`."""
    row = connection.execute(sql.engines.BEAT, (now, engine_id)).fetchall()
    if not row:
        raise refusals.fenced(engine_id)
    beats: int = row[0][0]
    return beats


def deregister(connection: sqlite3.Connection, engine_id: str, now: int) -> int:
    """Give back what an engine holds, and take it off; see `EngineStore.deregister_engine`."""
    if not claims.is_registered(connection, engine_id):
        return 0
    held = [rows.job(row) for row in connection.execute(sql.claims.HELD_BY, (engine_id,)).fetchall()]
    claims.end_runs(connection, [given_back(job) for job in held], now)
    connection.execute(sql.engines.DELETE_ENGINE, (engine_id,))
    return len(held)


def engines(connection: sqlite3.Connection) -> list[EngineRecord]:
    """Read the registered engines; see `EngineStore.engines`."""
    return [rows.engine(row) for row in connection.execute(sql.engines.ENGINES)]


def request_stop(connection: sqlite3.Connection, engine_ids: Sequence[str]) -> None:
    """Ask engines to drain; see `EngineStore.request_stop`."""
    connection.execute(sql.engines.REQUEST_STOP, (to_json(list(engine_ids)),))


def fence(connection: sqlite3.Connection, engine: EngineRecord) -> bool:
    """Take a dead engine off; see `EngineStore.fence`."""
    connection.execute(sql.engines.FENCE, (engine.id, engine.beats))
    return not claims.is_registered(connection, engine.id)


def orphans(connection: sqlite3.Connection, gone: Collection[str]) -> list[Job]:
    """Read the jobs of engines that are gone; see `EngineStore.orphans`."""
    return [rows.job(row) for row in connection.execute(sql.engines.ORPHANS, (to_json(list(gone)),))]


def look(connection: sqlite3.Connection, engine_id: str, queues: Sequence[str] | None, limit: int, now: int) -> Look:
    """Read what an idle engine wants to know; see `EngineStore.look`."""
    opened = limited.open_queues(connection, queues, now)
    served, condition = _served(queues)
    # What is due and not yet ready has to be readied by a claim, whatever may start of it.
    [ready] = connection.execute(sql.waiting.COUNT_DUE.format(and_queue=condition), (now, *served, limit)).fetchone()
    for queue in opened:
        ready += _count_ready(connection, queue, limit - ready)
    [next_due] = connection.execute(sql.waiting.NEXT_DUE, (now,)).fetchone()
    times = [None if next_due is None else from_epoch_ms(next_due), *(queue.next_token() for queue in opened)]
    stopping = connection.execute(sql.engines.IS_STOPPING, (engine_id,)).fetchone()
    return Look(
        ready=ready,
        next_due=min((time for time in times if time is not None), default=None),
        stopping=stopping == (1,),
        to_cancel=frozenset(Claim(*row) for row in connection.execute(sql.claims.TO_CANCEL, (engine_id,))),
    )


def _count_ready(connection: sqlite3.Connection, queue: OpenQueue, limit: int) -> int:
    most = queue.most_to_look_at(limit)
    count: int = connection.execute(sql.waiting.COUNT_READY, (queue.name, most)).fetchone()[0] if most else 0
    return count


def is_idle(connection: sqlite3.Connection, queues: Sequence[str] | None, now: int) -> bool:
    """Tell whether nothing is left to do; see `EngineStore.is_idle`."""
    if limited.open_queues(connection, queues, now):
        return False
    served, condition = _served(queues)
    condition += sql.queues.NOT_PAUSED
    counts = (
        connection.execute(sql.waiting.COUNT_DUE.format(and_queue=condition), (now, *served, 1)),
        connection.execute(sql.waiting.COUNT_ACTIVE.format(and_queue=condition), tuple(served)),
        connection.execute(sql.waiting.IS_ANY_PARKED.format(and_queue=condition), tuple(served)),
    )
    return not any(cursor.fetchone()[0] for cursor in counts)


def _served(queues: Sequence[str] | None) -> tuple[Sequence[str], str]:
    """Give the parameters and the condition that keep to the queues an engine serves."""
    return ((), "") if queues is None else (queues, f"AND queue IN ({marks(queues)}) ")

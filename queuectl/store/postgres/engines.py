"""What the store does for engines: who is there, and what an idle one wants to know. Each runs in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import Claim
from queuectl.registration import Look
from queuectl.store import refusals
from queuectl.store.ends import given_back
from queuectl.store.postgres import claims, queues, rows, sql

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from queuectl.job import Job
    from queuectl.registration import EngineRecord, NewEngine
    from queuectl.store.postgres.connection import Transaction

__all__ = ["beat", "deregister", "engines", "fence", "is_idle", "look", "orphans", "register", "request_stop"]


async def register(transaction: Transaction, engine: NewEngine) -> None:
    """Make an engine known; see `EngineStore.register_engine`."""
    await transaction.execute(sql.engines.INSERT_ENGINE, rows.new_engine(engine, transaction.now))


async def beat(transaction: Transaction, engine_id: str) -> int:
    """Raise a heartbeat counter; see `EngineStore.beat`."""
    row = await transaction.row(sql.engines.BEAT, {"id": engine_id, "now": transaction.now})
    if row is None:
        raise refusals.fenced(engine_id)
    beats: int = row["beats"]
    return beats


async def deregister(transaction: Transaction, engine_id: str) -> int:
    """Give back what an engine holds, and take it off; see `EngineStore.deregister_engine`."""
    if await transaction.row(sql.engines.LOCK_ENGINE_TO_END, {"id": engine_id}) is None:
        return 0
    held = [rows.job(row) for row in await transaction.rows(sql.claims.LOCK_HELD, {"id": engine_id})]
    await claims.end_runs(transaction, [given_back(job) for job in held])
    await transaction.execute(sql.engines.DELETE_ENGINE, {"id": engine_id})
    return len(held)


async def engines(transaction: Transaction) -> list[EngineRecord]:
    """Read the registered engines; see `EngineStore.engines`."""
    return [rows.engine(row) for row in await transaction.rows(sql.engines.ENGINES)]


async def request_stop(transaction: Transaction, engine_ids: Sequence[str]) -> None:
    """Ask engines to drain; see `EngineStore.request_stop`."""
    await transaction.execute(sql.engines.REQUEST_STOP, {"ids": list(engine_ids)})


async def fence(transaction: Transaction, engine: EngineRecord) -> bool:
    """Take a dead engine off; see `EngineStore.fence`."""
    await transaction.execute(sql.engines.FENCE, {"id": engine.id, "beats": engine.beats})
    return await transaction.row(sql.engines.IS_REGISTERED, {"id": engine.id}) is None


async def orphans(transaction: Transaction, gone: Collection[str]) -> list[Job]:
    """Read the jobs of engines that are gone; see `EngineStore.orphans`."""
    return [rows.job(row) for row in await transaction.rows(sql.engines.ORPHANS, {"gone": list(gone)})]


async def look(transaction: Transaction, engine_id: str, served: Sequence[str] | None, limit: int) -> Look:
    """Read what an idle engine wants to know; see `EngineStore.look`."""
    parameters = {"engine_id": engine_id, "queues": served, "limit": limit, "now": transaction.now}
    row = await transaction.row(sql.waiting.LOOK.format(and_queue=_served(served)), parameters)
    assert row is not None  # noqa: S101 - it always gives a row
    opened = await queues.open_queues(transaction, served, limit)
    # What is due and not yet ready, and places that became free, a claim has to see to, whatever may start of it.
    ready = row["due"] + row["some_are_freed"] + sum(queue.most_to_look_at(found) for queue, found in opened)
    times = [row["next_due"], *(queue.next_token() for queue, _ in opened)]
    return Look(
        ready=min(ready, limit),
        next_due=min((time for time in times if time is not None), default=None),
        stopping=row["stopping"],
        to_cancel=frozenset(
            Claim(row["id"], row["engine_id"], row["claim_token"])
            for row in await transaction.rows(sql.claims.TO_CANCEL, parameters)
        ),
    )


async def is_idle(transaction: Transaction, queues: Sequence[str] | None) -> bool:
    """Tell whether nothing is left to do; see `EngineStore.is_idle`."""
    parameters = {"queues": queues, "now": transaction.now}
    row = await transaction.row(sql.waiting.IS_IDLE.format(and_queue=_served(queues)), parameters)
    return row is not None and row["is_idle"]


def _served(queues: Sequence[str] | None) -> str:
    """Give the condition that keeps to the queues an engine serves. Where it serves all, none reads an index best."""
    return "" if queues is None else sql.waiting.AND_QUEUE

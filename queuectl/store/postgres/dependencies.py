"""Jobs that come after others: their edges, and what is decided about them. Each function runs inside a transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from queuectl.dependency import VERDICTS, DecidedEdge, first_reasons
from queuectl.job import FINAL_STATES, JobState
from queuectl.store.postgres import sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg.rows import DictRow

    from queuectl.store.postgres.connection import Transaction

__all__ = ["lock_awaited", "relate", "settle", "settle_rows"]


async def lock_awaited(transaction: Transaction, ids: set[str]) -> dict[str, JobState]:
    """Keep jobs that others are to come after as they are, and give the states of those that are there."""
    if not ids:
        return {}
    found = await transaction.rows(sql.dependencies.LOCK_AWAITED, {"ids": sorted(ids)})
    return {row["id"]: JobState(row["state"]) for row in found}


async def relate(transaction: Transaction, after: Mapping[str, Sequence[str]], locked: Mapping[str, JobState]) -> None:
    """Make the edges of new jobs, which are inserted already and come after those given.

    Of those others, the ones that are not new have to be locked.
    """
    others = {other for others in after.values() for other in others}
    await transaction.execute(sql.dependencies.AWAIT, {"ids": sorted(others)})
    await transaction.execute(sql.dependencies.INSERT_EDGES, {"ids": list(after)})
    final = {job_id: state for job_id, state in locked.items() if job_id in others and state in FINAL_STATES}
    await settle(transaction, final)


async def settle_rows(transaction: Transaction, ended: Sequence[DictRow], state: JobState | None) -> None:
    """Decide as `settle` does, on jobs that have all come to the same end; each row has an id, and if it is awaited."""
    await settle(transaction, {row["id"]: state for row in ended if row["awaited"]})


async def settle(transaction: Transaction, ended: Mapping[str, JobState | None]) -> None:
    """Decide the open edges on jobs that have just become final, or are gone (None), and so down the chain."""
    while ended:
        decided = [
            (edge, end) for end in set(ended.values()) for edge in await _decide(transaction, _of(ended, end), end)
        ]
        cancelled = await _cancel(transaction, first_reasons(decided))
        await _meet(transaction, Counter(edge.job_seq for edge, _ in decided))
        ended = dict.fromkeys(cancelled, JobState.CANCELLED)


def _of(ended: Mapping[str, JobState | None], end: JobState | None) -> list[str]:
    return [job_id for job_id, state in ended.items() if state == end]


async def _decide(transaction: Transaction, ids: list[str], end: JobState | None) -> list[DecidedEdge]:
    verdicts = {condition.value: verdict.value for condition, verdict in VERDICTS[end].items()}
    found = await transaction.rows(sql.dependencies.DECIDE, {"ids": ids, **verdicts})
    return [DecidedEdge(**row) for row in found]


async def _cancel(transaction: Transaction, reasons: Mapping[int, str]) -> list[str]:
    """Cancel the jobs that cannot run any more, and give the ids of those that others wait for."""
    if not reasons:
        return []
    parameters = {"seqs": list(reasons), "errors": list(reasons.values()), "now": transaction.now}
    cancelled = await transaction.rows(sql.dependencies.CANCEL_BLOCKED, parameters)
    return [row["id"] for row in cancelled if row["awaited"]]


async def _meet(transaction: Transaction, edges: Mapping[int, int]) -> None:
    """Let go of those jobs that wait for nothing more, after so many edges of each were decided."""
    if edges:
        parameters = {"seqs": list(edges), "edges": list(edges.values()), "now": transaction.now}
        await transaction.execute(sql.dependencies.MEET, parameters)

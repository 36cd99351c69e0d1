"""Taking jobs where a key or a queue bounds how many may start. All inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queuectl.store.postgres import keys, queues, rows, sql
from queuectl.store.postgres.choice import Head, choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queuectl.job import Job
    from queuectl.store.limits import OpenQueue
    from queuectl.store.postgres.connection import Transaction
    from queuectl.store.turns import QueueTurn

__all__ = ["take"]

_ROUNDS = 100
"""How often one claim parks what stands in the way, so that its transaction stays short; the next one goes on."""


async def take(
    transaction: Transaction, workers: Sequence[int], wish: Mapping[str, Any], turn: QueueTurn
) -> dict[int | None, Job]:
    """Give each of these workers, which hold nothing, the next job that may start, as far as there are any."""
    await keys.give_freed(transaction)
    opened = await _opened(transaction, wish, len(workers))
    taken: list[Job] = []
    missed: set[int] = set()
    for _ in range(_ROUNDS):
        rest = workers[len(taken) :]
        heads = await _heads(transaction, opened, missed, len(rest))
        running = await keys.running(transaction, {head.concurrency_key for head in heads if head.concurrency_key})
        chosen, full = choose(heads, opened, running, len(rest), turn)
        jobs = await _start(transaction, chosen, rest, wish)
        taken += jobs.values()
        lost = [head for head in chosen if head.seq not in jobs]
        for head in lost:
            opened[head.queue].start_none()
        missed.update(head.seq for head in lost)
        is_parked = bool(full) and await keys.park(transaction, full) > 0
        if len(taken) == len(workers) or not (lost or is_parked):
            break
    await _keep_buckets(transaction, opened, taken)
    return {job.worker: job for job in taken}


async def _opened(transaction: Transaction, wish: Mapping[str, Any], wanted: int) -> dict[str, OpenQueue]:
    """Give the open queues by name. Of those with a limit, nobody else starts anything until the transaction ends."""
    limited = await transaction.rows(sql.queues.LOCK_LIMITED, wish)
    locked = {row["name"] for row in limited}
    opened = [queue for queue, _ in await queues.open_queues(transaction, wish["queues"], wanted)]
    # One that has something ready only since then is not locked, and has to wait for the next claim.
    return {queue.name: queue for queue in opened if queue.name in locked or not queue.is_limited}


async def _heads(
    transaction: Transaction, opened: Mapping[str, OpenQueue], missed: set[int], wanted: int
) -> list[Head]:
    """Give the first jobs of each queue of which one may start, but for those that others were about to take."""
    names = [name for name, queue in opened.items() if queue.most(1)]
    if not names:
        return []
    parameters = {"names": names, "without": sorted(missed), "wanted": wanted}
    return [Head(**row) for row in await transaction.rows(sql.claims.HEADS, parameters)]


async def _start(
    transaction: Transaction, chosen: Sequence[Head], workers: Sequence[int], wish: Mapping[str, Any]
) -> dict[int, Job]:
    """Take the chosen jobs, and give by seq those that nobody else has taken."""
    if not chosen:
        return {}
    parameters = {
        "seqs": [head.seq for head in chosen],
        "names": [head.queue for head in chosen],
        "keys": [head.concurrency_key for head in chosen],
        "limits": [head.concurrency_limit for head in chosen],
        "workers": workers[: len(chosen)],
    }
    found = await transaction.rows(sql.claims.TAKE_CHOSEN, {**wish, **parameters})
    return {row.pop("seq"): rows.job(row) for row in found}


async def _keep_buckets(transaction: Transaction, opened: Mapping[str, OpenQueue], taken: Sequence[Job]) -> None:
    """Write down what is left of the tokens of those queues where that is not as it was."""
    started = {job.queue for job in taken}
    changed = [queue for queue in opened.values() if queue.name in started or queue.is_rewound]
    await queues.keep_buckets(transaction, changed)

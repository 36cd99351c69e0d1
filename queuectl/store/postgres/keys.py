"""Keys that jobs share: one that only one may have, one that bounds how many run. All inside a transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from queuectl.store import by_hand
from queuectl.store.postgres import sql

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from queuectl.store.postgres.connection import Transaction

__all__ = ["free", "give_freed", "holders", "park", "ready_keys", "require_free", "running"]


async def holders(transaction: Transaction, keys: Collection[str]) -> dict[str, tuple[str, str]]:
    """Give for each of these unique keys that is taken the id and the queue of the job that has it."""
    if not keys:
        return {}
    found = await transaction.rows(sql.keys.HOLDERS, {"keys": sorted(keys)})
    return {row["unique_key"]: (row["id"], row["queue"]) for row in found}


async def require_free(transaction: Transaction, seqs: Sequence[int]) -> None:
    """Let jobs be retried, unless that would give two jobs the same unique key.

    Raises:
        UniqueKeyTaken: it would; the message names the other job.
    """
    found = await transaction.rows(sql.keys.CLAIMANTS, {"seqs": seqs})
    claimants = [(row["unique_key"], row["id"]) for row in found]
    taken = await holders(transaction, {key for key, _ in claimants})
    by_hand.require_free(claimants, {key: job_id for key, (job_id, _) in taken.items()})


async def ready_keys(transaction: Transaction, seqs: Sequence[int]) -> list[str]:
    """Give the concurrency keys of those of these jobs that are ready, once for each job."""
    return [row["concurrency_key"] for row in await transaction.rows(sql.keys.READY_KEYS, {"seqs": seqs})]


async def running(transaction: Transaction, keys: Collection[str]) -> dict[str, int]:
    """Take hold of those of these keys that nobody else is at, and give how many jobs run under each.

    Until the end of the transaction nobody else starts or parks a job with such a key. Nobody is waited for: whoever
    is at a key may be waiting for a job that is locked here.
    """
    if not keys:
        return {}
    own = await _try(transaction, keys)
    return {row["key"]: row["running"] for row in await transaction.rows(sql.keys.COUNT_KEYED, {"keys": own})}


async def park(transaction: Transaction, full: Mapping[str, int]) -> int:
    """Park ready jobs that have these keys, of which so many run, and for whom the key is full; say how many.

    A parked job costs the claims after this one nothing.
    """
    return await transaction.execute(sql.keys.PARK, {"keys": list(full), "running": list(full.values())})


async def free(transaction: Transaction, keys: Sequence[str]) -> None:
    """Ready who is next, for each job that ran, or was ready to, and does so no more; `keys` are the keys of those."""
    if keys:
        left = await _unpark(transaction, keys)
        await transaction.execute(sql.keys.KEEP_FREED, {"keys": [key for key in keys if key in left]})


async def give_freed(transaction: Transaction) -> None:
    """Do `free` for those places that could not be given away when they became free."""
    freed = await transaction.rows(sql.keys.LOCK_FREED)
    if freed:
        left = await _unpark(transaction, [row["concurrency_key"] for row in freed])
        done = [row["seq"] for row in freed if row["concurrency_key"] not in left]
        await transaction.execute(sql.keys.DELETE_FREED, {"seqs": done})


async def _unpark(transaction: Transaction, keys: Sequence[str]) -> set[str]:
    """Ready who is next; give the keys for which that could not be seen to, because somebody else is at them."""
    places = Counter(keys)
    own = await _try(transaction, places)
    parameters = {"keys": own, "places": [places[key] for key in own]}
    passed_over = await transaction.rows(sql.keys.UNPARK, parameters)
    return {row["key"] for row in passed_over} | places.keys() - set(own)


async def _try(transaction: Transaction, keys: Collection[str]) -> list[str]:
    return [row["key"] for row in await transaction.rows(sql.keys.TRY_KEYS, {"keys": sorted(keys)})]

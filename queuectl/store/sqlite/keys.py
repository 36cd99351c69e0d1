"""Keys that jobs share: one that only one may have, one that bounds how many run. All inside a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from queuectl.store import by_hand, refusals
from queuectl.store.sqlite import sql
from queuectl.store.sqlite.columns import to_json
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable

__all__ = ["holders", "is_full", "ready_keys", "require_free", "unpark"]


def holders(connection: sqlite3.Connection, keys: Collection[str]) -> dict[str, tuple[str, str]]:
    """Give for each of these unique keys that is taken the id and the queue of the job that has it."""
    if not keys:
        return {}
    found = connection.execute(sql.keys.HOLDERS, (to_json(sorted(keys)),))
    return {key: (job_id, queue) for key, job_id, queue in found}


def require_free(connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Let jobs be retried, unless that would give two jobs the same unique key.

    Raises:
        UniqueKeyTaken: it would; the message names the other job.
    """
    claimants = connection.execute(sql.keys.CLAIMANTS, {"seqs": json.dumps(list(seqs))}).fetchall()
    taken = holders(connection, {key for key, _ in claimants})
    by_hand.require_free(claimants, {key: holder for key, (holder, _) in taken.items()})


def is_full(connection: sqlite3.Connection, key: str | None, limit: int) -> bool:
    """Tell whether a job may not start for its concurrency key; then all that are ready are parked for whom it is full.

    A parked job costs the claims after this one nothing.
    """
    if key is None:
        return False
    [running] = connection.execute(sql.keys.COUNT_KEYED, (key,)).fetchone()
    if running < limit:
        return False
    if not connection.execute(sql.keys.PARK, {"key": key, "running": running}).rowcount:
        raise refusals.contradicts_itself()
    return True


def unpark(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Ready who is next, for each job that ran, or was ready to, and does so no more; `keys` are the keys of those."""
    wishes = [{"key": key, "state": state} for key in keys for state in allowed_from(Action.CLAIM)]
    connection.executemany(sql.keys.UNPARK, wishes)


def ready_keys(connection: sqlite3.Connection, seqs: Iterable[int]) -> list[str]:
    """Give the concurrency keys of those of these jobs that are ready, once for each job."""
    return [key for (key,) in connection.execute(sql.keys.READY_KEYS, {"seqs": json.dumps(list(seqs))})]

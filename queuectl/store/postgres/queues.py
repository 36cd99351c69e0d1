"""The rules of queues. Each function runs inside a transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queuectl.queue_rules import QueueRules
from queuectl.store.limits import open_queue
from queuectl.store.postgres import rows, sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queuectl.queue_rules import Bucket, QueueChanges
    from queuectl.store.limits import OpenQueue
    from queuectl.store.postgres.connection import Transaction

__all__ = ["change", "keep_buckets", "open_queues", "read", "read_one"]


async def read(transaction: Transaction) -> list[QueueRules]:
    """Read what is set; see `AdminStore.queues`."""
    return [rows.queue_rules(row) for row in await transaction.rows(sql.queues.QUEUES)]


async def read_one(transaction: Transaction, name: str) -> tuple[QueueRules, Bucket | None]:
    """Read what is set for a queue, and its bucket as it was kept."""
    row = await transaction.row(sql.queues.QUEUE, {"name": name})
    return (QueueRules(name), None) if row is None else (rows.queue_rules(row), rows.kept_bucket(row))


async def change(transaction: Transaction, name: str, changes: QueueChanges) -> QueueRules:
    """Set rules of a queue; see `AdminStore.set_queue`."""
    # Refused before anything is changed.
    replace(QueueRules(name), **changes)
    await transaction.execute(sql.queues.WAIT_TO_CHANGE_RULES)
    await transaction.execute(sql.queues.MAKE_QUEUE, {"name": name})
    row = await transaction.row(sql.queues.LOCK_QUEUE, {"name": name})
    assert row is not None  # noqa: S101 - it was made, and none is ever deleted
    before = rows.queue_rules(row)
    after = replace(before, **changes)
    bucket = after.new_bucket(before.rate, rows.kept_bucket(row), transaction.now)
    await transaction.execute(sql.queues.SET_QUEUE, rows.queue(after, bucket))
    return after


async def open_queues(
    transaction: Transaction, queues: Sequence[str] | None, limit: int
) -> list[tuple[OpenQueue, int]]:
    """Give those of the served queues (None: of all) that have something ready and are not paused.

    With each comes how many of its jobs are ready, up to `limit`.
    """
    found = await transaction.rows(sql.queues.OPEN_QUEUES, {"queues": queues, "limit": limit})
    return [
        (
            open_queue(
                QueueRules(row["queue"], concurrency=row["concurrency"], rate=row["rate"]),
                rows.kept_bucket(row),
                row["processing"],
                transaction.now,
            ),
            row["ready"],
        )
        for row in found
    ]


async def keep_buckets(transaction: Transaction, opened: Iterable[OpenQueue]) -> None:
    """Write down what is left of the tokens of queues, which are locked."""
    kept = [(queue.name, queue.bucket) for queue in opened if queue.bucket is not None]
    if kept:
        buckets = rows.columns(
            kept,
            name=lambda of: of[0],
            tokens=lambda of: of[1].tokens,
            refilled_at=lambda of: of[1].refilled_at,
        )
        await transaction.execute(sql.queues.SET_TOKENS, buckets)

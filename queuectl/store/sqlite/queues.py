"""The rules of queues. Each function runs inside a transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queuectl.queue_rules import QueueChanges, QueueRules
from queuectl.store.sqlite import rows, sql
from queuectl.timestamp import from_epoch_ms

if TYPE_CHECKING:
    import sqlite3

    from queuectl.queue_rules import Bucket

__all__ = ["change", "read", "read_one"]


def read(connection: sqlite3.Connection) -> list[QueueRules]:
    """Read what is set; see `AdminStore.queues`."""
    return [rows.queue_rules(row) for row in connection.execute(sql.queues.QUEUES)]


def read_one(connection: sqlite3.Connection, name: str) -> tuple[QueueRules, Bucket | None]:
    """Read what is set for a queue, and its bucket as it was when a token was last taken; None without a rate."""
    if row := connection.execute(sql.queues.QUEUE, (name,)).fetchone():
        return rows.queue_rules(row), rows.bucket(row)
    return QueueRules(name), None


def change(connection: sqlite3.Connection, name: str, changes: QueueChanges, now: int) -> QueueRules:
    """Set rules of a queue; see `AdminStore.set_queue`."""
    before, bucket = read_one(connection, name)
    after = replace(before, **changes)
    connection.execute(
        sql.queues.SET_QUEUE, rows.queue(after, after.new_bucket(before.rate, bucket, from_epoch_ms(now)))
    )
    return after

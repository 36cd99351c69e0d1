"""The rules of queues. Each function runs inside a transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queuectl.queue_rules import QueueChanges, QueueRules
from queuectl.store.sqlite import rows, sql
from queuectl.timestamp import from_epoch_ms

if TYPE_CHECKING:
    import sqlite3

__all__ = ["change", "read"]


def read(connection: sqlite3.Connection) -> list[QueueRules]:
    """Read what is set; see `AdminStore.queues`."""
    return [rows.queue_rules(row) for row in connection.execute(sql.queues.QUEUES)]


def change(connection: sqlite3.Connection, name: str, changes: QueueChanges, now: int) -> QueueRules:
    """Set rules of a queue; see `AdminStore.set_queue`."""
    before, bucket = QueueRules(name), None
    if row := connection.execute(sql.queues.QUEUE, (name,)).fetchone():
        before, bucket = rows.queue_rules(row), rows.bucket(row)
    after = replace(before, **changes)
    connection.execute(
        sql.queues.SET_QUEUE, rows.queue(after, after.new_bucket(before.rate, bucket, from_epoch_ms(now)))
    )
    return after

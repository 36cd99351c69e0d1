"""Every statement of the PostgreSQL store, by subject and name: ``sql.claims.TAKE``.

Parameters go by name; lists of values go as a list a column.
"""

from __future__ import annotations

from queuectl.store.postgres.sql import (
    actions,
    check,
    claims,
    copying,
    dependencies,
    ends,
    engines,
    enqueue,
    figures,
    jobs,
    keys,
    queues,
    runs,
    schema,
    settings,
    situation,
    transactions,
    waiting,
)

__all__ = [
    "actions",
    "check",
    "claims",
    "copying",
    "dependencies",
    "ends",
    "engines",
    "enqueue",
    "figures",
    "jobs",
    "keys",
    "queues",
    "runs",
    "schema",
    "settings",
    "situation",
    "transactions",
    "waiting",
]

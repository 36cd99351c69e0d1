"""Every statement of the PostgreSQL store, by subject and name: ``sql.claims.TAKE``.

Parameters go by name; lists of values go as a list a column.
"""

from __future__ import annotations

from queuectl.store.postgres.sql import (
    actions,
    claims,
    copying,
    ends,
    engines,
    enqueue,
    figures,
    jobs,
    runs,
    schema,
    settings,
    situation,
    transactions,
    waiting,
)

__all__ = [
    "actions",
    "claims",
    "copying",
    "ends",
    "engines",
    "enqueue",
    "figures",
    "jobs",
    "runs",
    "schema",
    "settings",
    "situation",
    "transactions",
    "waiting",
]

"""Jobs that wait: for their time, for a worker, for their key."""

from __future__ import annotations

from queuectl.store.postgres.sql.queues import IS_PAUSED, IS_SERVED, OPEN

WAITING = "NOT ready AND NOT parked AND state IN ('pending', 'failed')"
"""The condition of the index of what becomes ready by and by. A job that waits for its key is not among it."""

PROMOTE_DUE = f"""
WITH promoted AS (
    UPDATE jobs SET ready = true WHERE seq = ANY (ARRAY (
        SELECT seq FROM jobs WHERE {WAITING} AND run_at <= %(now)s ORDER BY run_at LIMIT 20000 FOR UPDATE SKIP LOCKED
    ))
    RETURNING concurrency_key
)
SELECT coalesce(bool_or(concurrency_key IS NOT NULL), false) AS some_have_keys FROM promoted
"""
"""Parameters: now. Rows: whether some of what is ready now has a concurrency key.

The bound keeps the transaction short where a flood becomes due at once; the next claim goes on.
"""

NEXT_TO_COME = f"SELECT seq FROM jobs WHERE {WAITING} ORDER BY run_at LIMIT %(limit)s"
"""Parameters: limit. Rows: seqs."""

LOOK = f"""
SELECT
    (
        SELECT count(*) FROM (
            SELECT FROM jobs WHERE {WAITING} AND run_at <= %(now)s {{and_queue}} LIMIT %(limit)s
        ) AS due
    ) AS due,
    EXISTS (SELECT FROM freed_places) AS some_are_freed,
    (SELECT min(run_at) FROM jobs WHERE {WAITING} AND run_at > %(now)s) AS next_due,
    coalesce((SELECT stopping FROM engines WHERE id = %(engine_id)s), false) AS stopping
"""
"""Formatted with: AND_QUEUE, or nothing. Parameters: limit, now, engine_id, those of `and_queue`."""

IS_IDLE = f"""
WITH RECURSIVE {OPEN}
SELECT NOT (
    EXISTS (
        SELECT FROM open
        WHERE queue IS NOT NULL AND NOT {IS_PAUSED.format(queue="queue")} AND {IS_SERVED.format(queue="queue")}
    )
    OR EXISTS (
        SELECT FROM jobs
        WHERE {WAITING} AND run_at <= %(now)s AND NOT {IS_PAUSED.format(queue="jobs.queue")} {{and_queue}}
    )
    OR EXISTS (SELECT FROM jobs WHERE parked AND NOT {IS_PAUSED.format(queue="jobs.queue")} {{and_queue}})
    OR EXISTS (
        SELECT FROM counts
        WHERE state IN ('processing', 'failed') AND jobs > 0 AND NOT {IS_PAUSED.format(queue="counts.queue")}
            {{and_queue}}
    )
) AS is_idle
"""
"""As LOOK. Parameters: now, those of `and_queue`, queues."""

AND_QUEUE = "AND queue = ANY (%(queues)s)"

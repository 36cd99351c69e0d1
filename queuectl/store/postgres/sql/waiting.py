"""Jobs that wait: for their time, or for a worker."""

from __future__ import annotations

WAITING = "NOT ready AND state IN ('pending', 'failed')"

PROMOTE_DUE = """
UPDATE jobs SET ready = true WHERE seq = ANY (ARRAY (
    SELECT seq FROM jobs WHERE NOT ready AND state IN ('pending', 'failed') AND run_at <= %(now)s
    ORDER BY run_at LIMIT 20000 FOR UPDATE SKIP LOCKED
))
"""
"""Parameters: now. The bound keeps the transaction short where a flood becomes due at once; the next claim goes on."""

LOOK = f"""
SELECT
    (SELECT count(*) FROM (SELECT FROM jobs WHERE ready {{and_queue}} LIMIT %(limit)s) AS ready) AS ready,
    (
        SELECT count(*) FROM (
            SELECT FROM jobs WHERE {WAITING} AND run_at <= %(now)s {{and_queue}} LIMIT %(limit)s
        ) AS due
    ) AS due,
    (SELECT min(run_at) FROM jobs WHERE {WAITING} AND run_at > %(now)s) AS next_due,
    coalesce((SELECT stopping FROM engines WHERE id = %(engine_id)s), false) AS stopping
"""
"""Formatted with: AND_QUEUE, or nothing. Parameters: limit, now, engine_id, those of `and_queue`."""

IS_IDLE = f"""
SELECT NOT (
    EXISTS (SELECT FROM jobs WHERE ready {{and_queue}})
    OR EXISTS (SELECT FROM jobs WHERE {WAITING} AND run_at <= %(now)s {{and_queue}})
    OR EXISTS (SELECT FROM counts WHERE state IN ('processing', 'failed') AND jobs > 0 {{and_queue}})
) AS is_idle
"""
"""As LOOK. Parameters: now, those of `and_queue`."""

AND_QUEUE = "AND queue = ANY (%(queues)s)"

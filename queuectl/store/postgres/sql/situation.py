"""What stands around a job."""

from __future__ import annotations

COUNT_PROCESSING = """
SELECT coalesce(sum(jobs), 0)::integer AS jobs FROM counts WHERE queue = %(queue)s AND state = 'processing'
"""

COUNT_HIGHER = """
SELECT queue, count(*) AS jobs FROM (
    SELECT open.queue FROM unnest(%(queues)s::text[]) AS open (queue) CROSS JOIN LATERAL (
        SELECT FROM jobs WHERE ready AND jobs.queue = open.queue AND priority > %(priority)s LIMIT %(limit)s
    ) AS higher
    LIMIT %(limit)s
) AS found
GROUP BY queue
"""
"""Parameters: queues, priority, limit (in all). Rows: queue, how many of its ready jobs have a higher priority."""

PREREQUISITES = """
SELECT on_id, condition, other.state FROM edges JOIN jobs AS other ON other.id = on_id
WHERE job_seq = (SELECT seq FROM jobs WHERE id = %(id)s) AND verdict = 'open'
ORDER BY other.state = 'dead' DESC, place LIMIT %(limit)s
"""
"""Rows: on_id, condition, state of the jobs that it waits for, dead ones first."""

KEY_HOLDERS = (
    "SELECT id FROM jobs WHERE concurrency_key = %(key)s AND state = 'processing' ORDER BY seq LIMIT %(limit)s"
)

COUNT_EARLIER = """
SELECT count(*) AS jobs FROM (
    SELECT FROM jobs WHERE ready AND queue = %(queue)s AND priority = %(priority)s AND run_at < %(run_at)s
    UNION ALL
    SELECT FROM jobs
    WHERE ready AND queue = %(queue)s AND priority = %(priority)s AND run_at = %(run_at)s
        AND seq < (SELECT seq FROM jobs WHERE id = %(id)s)
    LIMIT %(limit)s
) AS earlier
"""

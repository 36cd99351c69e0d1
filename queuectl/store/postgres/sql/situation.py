"""What stands around a job."""

from __future__ import annotations

COUNT_PROCESSING = """
SELECT coalesce(sum(jobs), 0)::integer AS jobs FROM counts WHERE queue = %(queue)s AND state = 'processing'
"""

COUNT_HIGHER = """
SELECT queue, count(*) AS jobs FROM (
    SELECT known.queue
    FROM (SELECT DISTINCT queue FROM counts WHERE state IN ('pending', 'failed') AND jobs > 0) AS known
    CROSS JOIN LATERAL (
        SELECT FROM jobs WHERE ready AND jobs.queue = known.queue AND priority > %(priority)s LIMIT %(limit)s
    ) AS higher
    LIMIT %(limit)s
) AS found
GROUP BY queue
"""
"""Parameters: priority, limit (in all). Rows: queue, how many of its ready jobs have a higher priority."""

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
